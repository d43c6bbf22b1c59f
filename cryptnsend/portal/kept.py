"""How does somebody look at mail that came for them by ordinary mail and may not join a conversation?

Under /kept, apart from everything else: what came, why it is apart, and a button to throw it away.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from cryptnsend.portal.desk import desk
from cryptnsend.portal.letters import download
from cryptnsend.portal.security import check_form
from cryptnsend.portal.visits import needs_session, row_number, signed_in, visitor

blueprint = Blueprint("kept", __name__, url_prefix="/kept")

PAGE = 50  # mails in one page of the list


@blueprint.before_request
def _check() -> Response | None:
    """Answer HEAD with nothing, and check forms."""
    if visitor() is None:
        return None
    if request.method == "HEAD":
        return Response()
    check_form()
    return None


@blueprint.get("")
@needs_session
def listing() -> Any:
    """List what is kept, newest first."""
    before = request.args.get("before", type=row_number)
    mails = desk().pickup.kept.list(signed_in(), before=before, limit=PAGE + 1)
    return render_template("kept.html", mails=mails[:PAGE], more=len(mails) > PAGE, before=before)


@blueprint.get("/<int:message>")
@needs_session
def read(message: int) -> Any:
    """Show one mail, as words only."""
    return render_template("kept-mail.html", mail=desk().pickup.kept.show(signed_in(), message))


@blueprint.get("/<int:message>/eml")
@needs_session
def eml(message: int) -> Any:
    """Hand over the mail as it came."""
    return download(desk().pickup.kept.eml(signed_in(), message))


@blueprint.post("/<int:message>/delete")
@needs_session
def delete(message: int) -> Any:
    """Throw a mail away."""
    desk().pickup.kept.delete(signed_in(), message)
    return redirect(url_for("kept.listing"), 303)
