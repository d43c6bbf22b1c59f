"""Where does somebody come out who asks once more for a page that a form brought?

A wrong code, a refused file, a code that was shown: such pages stand at an address that takes forms only. A phone that
was put away loads them anew, and somebody may choose another language there. Both lead to the page with the form.
"""

from __future__ import annotations

from flask import current_app, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

STATUS, LETTER, DRAFTS = "subscriber.status", "letters.read", "writing.drafts"
PAGES = {  # an endpoint whose forms are answered by a page: the page that has this form
    "recipient.code": "recipient.waiting",
    "recipient.password": "recipient.waiting",
    "recipient.anew": "recipient.choose",
    "writing.reply": LETTER,
    "writing.save": LETTER,
    "compose.send": DRAFTS,  # what was typed is kept there
    "compose.save": DRAFTS,
    "subscriber.codes": STATUS,
    "subscriber.next_code": STATUS,
    "following.remind": STATUS,
    "following.extend": STATUS,
    "following.delete": STATUS,
    "following.again": STATUS,
    "visitors.save": "visitors.write",
    "library.rename": "library.listing",
    "second.first": "second.overview",
    "second.end": "second.overview",
    "passkeys.add": "passkeys.overview",
    "passkeys.step": "passkeys.overview",
    "passkeys.seal": "passkeys.overview",
    "passkeys.sign_in": "account.sign_in",
    "programs.add_device": "programs.setup",
    "webhooks.test": "webhooks.overview",
    "organisation_webhooks.test": "organisation_webhooks.overview",
    "ownkeys.hand_in": "ownkeys.overview",
    "ownkeys.take_away": "ownkeys.overview",
    "ownkeys.keep": "ownkeys.others",
    "ownkeys.forget_one": "ownkeys.others",
    "organisation.invite": "organisation.people",
    "organisation.bring_list": "organisation.people",
    "organisation.revert": "organisation.history",
    "looks.back": "looks.history",
    "oversight.hold": "oversight.archive",
    "oversight.release": "oversight.archive",
    "oversight.undo_recall": "oversight.recall",
}


def page_of_form() -> str | None:
    """Return the address of the page whose form leads to this request's address, None if there is none."""
    adapter = current_app.create_url_adapter(request)
    try:
        endpoint, values = adapter.match(method="POST")  # type: ignore[union-attr]
    except (HTTPException, RequestRedirect):
        return None
    page = PAGES.get(endpoint)
    if page is None:
        return None
    rule = next(current_app.url_map.iter_rules(page))
    return url_for(page, **{name: value for name, value in values.items() if name in rule.arguments})
