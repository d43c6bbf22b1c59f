"""What does a subscriber do here besides reading: follow what was sent, keep their settings?

Codes are shown after a button, because their days start to count with the first showing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core.errors import Denied, Ended, NoGrant, WrongSecret
from cryptnsend.flow.searching import LONGEST
from cryptnsend.flow.views import Reached, SentEntry, Status
from cryptnsend.flow.views_accounts import Code
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.passkeys import typed_password
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import forget, needs_subscriber, recall, remember, row_number, signed_in, source, thrown

blueprint = Blueprint("subscriber", __name__)
blueprint.before_request(check_form)

PAGE = 50


# ---- what was sent ----------------------------------------------------------------------------------------------


@blueprint.get("/sent")
@needs_subscriber
def sent() -> Any:
    """List what was sent, newest first, each with the state that matters most."""
    before = request.args.get("before", type=row_number)
    entries = desk().pickup.sent(signed_in(), before=before, limit=PAGE + 1)
    return render_template(
        "sent.html",
        entries=entries[:PAGE],
        more=len(entries) > PAGE,
        before=before,
        now=desk().now(),
        summary=summary,
        thrown=thrown(),
        found=None,
        typed="",
    )


@blueprint.post("/sent/search")
@needs_subscriber
def search() -> Any:
    """Find what was sent by words. They come by POST, so that they stand in no address, history or log."""
    typed = " ".join(request.form.get("words", "").split())[:LONGEST]
    if not typed:
        return redirect(url_for("subscriber.sent"), 303)
    found = desk().pickup.search_sent(signed_in(), typed)
    return render_template(
        "sent.html", entries=found.entries, more=False, before=None, now=desk().now(), summary=summary, thrown=None,
        found=found, typed=typed,
    )  # fmt: skip


@blueprint.get("/sent/search")
@needs_subscriber
def searched() -> Any:
    """Lead back to the list whoever comes without words, for example by signing in again."""
    return redirect(url_for("subscriber.sent"), 303)


@blueprint.get("/sent/<int:message>")
@needs_subscriber
def status(message: int) -> Any:
    """Show what became of one message, recipient by recipient; just after it was sent, with the codes to tell."""
    found = desk().pickup.status(signed_in(), message)
    renewed = recall("renewed")
    forget("renewed")
    if isinstance(renewed, dict) and renewed["message"] == str(message):
        return status_page(found, codes_of([renewed["address"]]), limit=renewed["limit"])
    if recall("sent") != str(message):
        return status_page(found)
    forget("sent")
    needed = [each.address for each in found.recipients if waits_for_code(each)]
    return status_page(found, codes_of(needed), sent=True)


@blueprint.post("/sent/<int:message>/codes")
@needs_subscriber
def codes(message: int) -> Any:
    """Show the codes of those who still need one; from here on their days count."""
    found = desk().pickup.status(signed_in(), message)
    needed = [each.address for each in found.recipients if waits_for_code(each)]
    return status_page(found, desk().accounts.codes(signed_in(), needed) if needed else ())


@blueprint.post("/sent/<int:message>/next-code")
@needs_subscriber
def next_code(message: int) -> Any:
    """Make a recipient's next code; the one before stops working. It is shown by the page that this leads to."""
    found = desk().pickup.status(signed_in(), message)
    address = recipient_of(found)
    try:
        made = desk().accounts.next_code(signed_in(), address)
    except (Denied, Ended) as denied:
        return status_page(found, problem=say(denied))
    limit = made.expires if made.state == "limit" else None
    remember("renewed", {"message": str(message), "address": address, "limit": limit})
    return redirect(url_for("subscriber.status", message=message), 303)


@blueprint.post("/sent/<int:message>/expire")
@needs_subscriber
def expire(message: int) -> Any:
    """Take a message back, from one recipient or from all."""
    found = desk().pickup.status(signed_in(), message)
    desk().pickup.expire(signed_in(), message, recipient_of(found) if request.form.get("address") else None)
    remember("saved", "taken-back")
    return redirect(url_for("subscriber.status", message=message), 303)


@blueprint.post("/sent/<int:message>/restore")
@needs_subscriber
def restore(message: int) -> Any:
    """Give a message back that was taken back, while that is possible."""
    found = desk().pickup.status(signed_in(), message)
    desk().pickup.restore(signed_in(), message, recipient_of(found) if request.form.get("address") else None)
    remember("saved", "restored")
    return redirect(url_for("subscriber.status", message=message), 303)


def recipient_of(found: Status) -> str:
    """Return the recipient that the form names; it must be one of this message."""
    address = request.form.get("address", "")
    if address not in [each.address for each in found.recipients]:
        raise NoGrant("This message did not go to that address.")
    return address


def codes_of(addresses: Sequence[str]) -> Sequence[Code]:
    """Return codes, none where this session may not see them now."""
    try:
        return desk().accounts.codes(signed_in(), addresses) if addresses else ()
    except Denied:
        return ()


def status_page(
    found: Status,
    shown: Sequence[Code] = (),
    problem: str | None = None,
    *,
    sent: bool = False,
    limit: int | None = None,
) -> str:
    """
    Render one sent message with the codes that are to be seen now.

    *sent*: its author has just sent it; *limit*: when there can be another code, for who has used up those of a week.
    """
    saved = recall("saved")
    forget("saved")
    return render_template(
        "status.html",
        status=found,
        codes={each.address: each for each in shown},
        problem=problem,
        limit=limit,
        saved=saved,
        sent=sent,
        in_trash=desk().folders.is_thrown_away(signed_in(), found.message, "author"),
        waiting=[each for each in found.recipients if waits_for_code(each)],
        open_to=[each for each in found.recipients if not each.suspended and each.state != "ended"],
        beside=(beside := beside_of(found.message)),
        links=desk().filelinks.listing(signed_in(), found.message) if beside else (),
        may_link=bool(beside) and desk().filelinks.allowed(signed_in()),
        downloads=() if found.locked else desk().downloads.done(signed_in(), found.message),
        now=desk().now(),
        longest=desk().now() + desk().rules(signed_in()).life_most_days * 86_400_000,
    )


def beside_of(message: int) -> Mapping[int, str]:
    """Return the names of the files beside an own message by their ids; none where it does not open."""
    try:
        return {each.id: each.name for each in desk().downloads.beside(signed_in(), message)}
    except (NoGrant, Ended):
        return {}


def waits_for_code(one: Reached) -> bool:
    """Say whether somebody should be called: not those whose notice came back, who have no link to type it at."""
    return one.needs_code and one.state != "bounced" and not one.suspended


def summary(entry: SentEntry) -> tuple[str, str, str]:
    """Return the chip of one line of Sent (kind, symbol, words): what needs its author first, else how far it got."""
    reached: Sequence[Reached] = entry.recipients
    total = len(reached)

    def count(*states: str) -> int:
        return sum(1 for each in reached if each.state in states)

    if entry.never_left:
        return "", "reply", gettext("Not sent")
    if entry.at > desk().now() and not entry.taken_back:
        return "", "clock", gettext("Leaves later")
    if entry.taken_back:
        return "", "reply", gettext("Taken back")
    if bounced := count("bounced"):
        return (
            "bad",
            "warning",
            gettext("%(n)d of %(all)d came back", n=bounced, all=total) if total > 1 else gettext("Came back"),
        )
    if any(each.awaits_word for each in reached):
        return "warn", "warning", gettext("Held: choose")
    if needing := sum(1 for each in reached if waits_for_code(each)):
        return "warn", "phone", gettext("Tell %(n)d codes", n=needing) if needing > 1 else gettext("Tell the code")
    if opened := count("opened"):
        return (
            "good",
            "good",
            gettext("%(n)d of %(all)d opened", n=opened, all=total) if total > 1 else gettext("Opened"),
        )
    if count("ended") == total and total:
        return "", "clock", gettext("Time is up")
    if count("delayed") or any(each.way and each.way.late_at for each in reached):
        return "warn", "clock", gettext("On its way, delayed")
    if count("readable") == total and total:
        return "", "sent", gettext("Delivered readable")
    if count("relayed") == total and total:
        return "", "sent", gettext("Sent as ordinary mail")
    if count("waiting"):
        return "", "open-circle", gettext("On its way")
    return "", "open-circle", gettext("Not opened yet")


# ---- settings ---------------------------------------------------------------------------------------------------


@blueprint.route("/account/profile", methods=["GET", "POST"])
@needs_subscriber
def profile() -> Any:
    """Change the name and number on notices."""
    known = desk().accounts.profile(signed_in())
    page: dict[str, Any] = {"name": known.name, "phone": known.phone, "error": None}
    if request.method != "POST":
        return render_template("profile.html", **page)
    page["name"] = " ".join(request.form.get("name", "").split())[:80]
    page["phone"] = " ".join(request.form.get("phone", "").split())[:40]
    if not page["name"]:
        page["error"] = gettext("Type the name that people know you by.")
        return render_template("profile.html", **page), WRONG
    try:
        desk().accounts.set_profile(
            signed_in(), name=page["name"], phone=page["phone"], form=known.form, password="", source=source()
        )
    except Denied as denied:
        page["error"] = say(denied)
        return render_template("profile.html", **page), WRONG
    remember("saved", "profile")
    return redirect(url_for("account.overview"), 303)


@blueprint.route("/account/passphrase", methods=["GET", "POST"])
@needs_subscriber
def passphrase() -> Any:
    """Show the delivery passphrases after the password was typed again, or make a new one."""
    if request.method != "POST":
        return render_template("passphrase.html", phrases=None, error=None)
    try:
        typed = typed_password()
        if "new" in request.form:
            desk().accounts.new_passphrase(signed_in(), typed, source())
        phrases = desk().accounts.passphrases(signed_in(), typed, source())
    except WrongSecret:
        return render_template("passphrase.html", phrases=None, error=gettext("That is not your password.")), WRONG
    return render_template("passphrase.html", phrases=phrases, error=None)
