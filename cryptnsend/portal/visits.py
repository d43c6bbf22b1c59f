"""Who is looking at the page, and what does their browser carry?

Two cookies. `__Host-cryptnsend` names the server-side session of somebody who is signed in. The form cookie, signed and
readable by its owner, holds the form token and the few facts that lead from one page to the next: which link was
opened, which code was mailed. It opens nothing by itself.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, ParamSpec, cast

from flask import Response, abort, g, make_response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as Answer

from cryptnsend.flow.views_accounts import SignedIn
from cryptnsend.portal.desk import desk
from cryptnsend.portal.flows_accounts import Session

SESSION_COOKIE = "__Host-cryptnsend"
STEP_SECONDS = 1800  # how long a half-finished way through several pages is remembered
AGENT_LENGTH = 200

P = ParamSpec("P")
View = Callable[P, Any]


def visitor() -> Session | None:
    """Return the session of this request, or None; looked up once, when a page first asks."""
    if "visitor" not in g:
        cookie = request.cookies.get(SESSION_COOKIE, "")
        g.visitor = session_of(cookie) if cookie else None
        g.was_signed_in = bool(cookie) and g.visitor is None
    return cast("Session | None", g.visitor)


def session_of(cookie: str) -> Session | None:
    """Return the session that a cookie names, of this request, or None."""
    return desk().accounts.session(cookie, source(), agent())


def signed_in() -> Session:
    """Return the session of a view that `needs_session` guards."""
    found = visitor()
    assert found is not None  # noqa: S101 - the guard let nobody else in
    return found


def needs_session(view: View[P]) -> View[P]:
    """Send those who are not signed in to the sign-in page, and back to a page they only wanted to look at."""

    @functools.wraps(view)
    def guarded(*args: P.args, **values: P.kwargs) -> Any:
        if visitor() is not None:
            return view(*args, **values)
        if request.method == "GET" and request.endpoint:
            remember("next", [request.endpoint, dict(request.view_args or {})])
        if g.was_signed_in:
            remember("away", True)
        return forget_session(redirect(url_for("account.sign_in"), 303))

    return guarded


def needs_subscriber(view: View[P]) -> View[P]:
    """Let only subscribers in. To others such a page does not exist."""

    @needs_session
    @functools.wraps(view)
    def guarded(*args: P.args, **values: P.kwargs) -> Any:
        if not is_subscriber(signed_in()):
            abort(404)
        return view(*args, **values)

    return guarded


def is_subscriber(somebody: Session | None) -> bool:
    """Say whether this person may send on their own account."""
    return somebody is not None and "subscriber" in somebody.roles


def is_staff_or_subscriber(somebody: Session) -> bool:
    """Say whether this person belongs to an organisation, and does not only receive from some."""
    return bool({"subscriber", "officer", "manager"} & set(somebody.roles))


def is_same_person(somebody: Session, address: str) -> bool:
    """Say whether a message to *address* (canonical) is for this person."""
    return address in somebody.addresses


def source() -> str:
    """Return the network address that throttling counts by."""
    return request.remote_addr or ""


def agent() -> str:
    """Return what the browser calls itself, cut to a decent length and to printable characters."""
    return "".join(c for c in request.user_agent.string[:AGENT_LENGTH] if c.isprintable())


def cookie() -> str:
    """Return the session cookie as it came."""
    return request.cookies.get(SESSION_COOKIE, "")


def row_number(typed: str) -> int:
    """Return the number that a query or a field has; raise ValueError for what no row can have, as for no number."""
    number = int(typed)
    if not 0 <= number < 1 << 63:
        raise ValueError(typed)
    return number


def start_session(answer: Answer, fresh: SignedIn) -> Answer:
    """Give the browser its new session; everything it carried from page to page before is forgotten."""
    session.clear()
    answer.set_cookie(SESSION_COOKIE, fresh.cookie, secure=True, httponly=True, samesite="Lax", path="/")
    return answer


def start_session_here(fresh: SignedIn, template: str, **values: Any) -> Answer:
    """Give the browser its new session along with a page that is shown this once, as to somebody signed in."""
    session.clear()  # before the page, whose forms carry a token of the session from now on
    g.visitor = session_of(fresh.cookie)
    answer = make_response(render_template(template, **values))
    answer.set_cookie(SESSION_COOKIE, fresh.cookie, secure=True, httponly=True, samesite="Lax", path="/")
    return answer


def forget_session(answer: Answer) -> Answer:
    """Take the session cookie away."""
    answer.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="Lax", path="/")
    return answer


def after_sign_in() -> Response | Answer:
    """Lead on to the page that was asked for first, or to the list of messages."""
    wanted = recall("next")
    if isinstance(wanted, list) and len(wanted) == 2:
        return redirect(url_for(wanted[0], **wanted[1]), 303)
    return redirect(url_for("letters.listing"), 303)


def remember(name: str, fact: Any) -> None:
    """Keep *fact* in the form cookie for the next page; octets are not allowed, secrets neither."""
    session[name] = [int(time.time()), fact]


def recall(name: str) -> Any:
    """Return what was remembered under *name*, or None if it is gone or too old."""
    kept = session.get(name)
    if not isinstance(kept, list) or len(kept) != 2 or not isinstance(kept[0], int):
        return None
    return kept[1] if time.time() - kept[0] < STEP_SECONDS else None


def forget(*names: str) -> None:
    """Drop what was remembered."""
    for name in names:
        session.pop(name, None)


def mails_again(name: str, address: str) -> None:
    """Note, before *name* is remembered anew, whether its code goes to the same *address* once more."""
    begun = recall(name)
    if isinstance(begun, dict) and begun.get("address") == address:
        remember("again", name)


def mailed_again(name: str) -> bool:
    """Say, once, whether the code of *name* was just mailed once more."""
    found = bool(recall("again") == name)
    if found:
        forget("again")
    return found


def thrown() -> list[str] | str | None:
    """Return, once, which message was just thrown away (id, role), or the words that one is back; for their list."""
    found = recall("thrown")
    forget("thrown")
    return [str(each) for each in found] if isinstance(found, list) else found if isinstance(found, str) else None
