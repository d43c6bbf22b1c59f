"""What stands in the form of a new message: what was typed, as it came, and what a button changes in it?"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from flask import request

from cryptnsend.core.html import tidy
from cryptnsend.flow.views import Addressed, Checked, Drafted, KeptFile, Wishes, Writing
from cryptnsend.flow.views_accounts import Code
from cryptnsend.portal.formlinks import asked_for
from cryptnsend.portal.writing import number_of

SUBJECT = 900  # characters
LONG_FIELD = 20_000


@dataclass(frozen=True, slots=True)
class Form:
    """What the page shows: what is being written, as typed or as it was kept, and what was found about it."""

    writing: Writing
    draft: int = 0
    nonce: str = ""
    files: Sequence[KeptFile] = ()
    changed: int | None = None
    shown: frozenset[str] = frozenset()  # people whom the page told about already
    sure: frozenset[str] = frozenset()  # addresses that are right though they look like others
    checked: Checked = field(default_factory=Checked)
    codes: Sequence[Code] = ()

    @property
    def doubtful(self) -> Sequence[Addressed]:
        """Return those whose address may be a mistake, and who wrote it has not said yet that it is none."""
        return [each for each in self.checked.people if each.meant and each.address not in self.sure]

    @property
    def unseen(self) -> bool:
        """Say whether there is something about people that has not been shown before."""
        fresh = [each for each in self.checked.people if each.is_new and each.address not in self.shown]
        return bool(fresh or self.doubtful)


def typed() -> Form:
    """Return the form that came with this request."""
    form = request.form
    writing = Writing(
        text=form.get("text", ""),
        subject=" ".join(form.get("subject", "").split())[:SUBJECT],
        to=_field("to"),
        cc=_field("cc"),
        bcc=_field("bcc"),
        html=tidy(form["html"]) if form.get("html") else "",
        sender=form.get("sender", "")[:LONG_FIELD],
        about=number(form.get("about", "")),
        wishes=Wishes(
            plain=form.get("way") == "plain",
            pdf=form.get("way") == "pdf",
            days=number(form.get("days", "")),
            tell="tell" in form,
            later=number(form.get("later", "")),
            at=_moment(),
            way=form.get("instead", "")[:8],
        ),
    )
    shown, sure = frozenset(form.getlist("shown")), frozenset(form.getlist("sure"))
    return Form(writing, number(form.get("draft", "")), form.get("nonce", "")[:32], shown=shown, sure=sure)


def _field(name: str) -> tuple[str, ...]:
    typed = " ".join(request.form.get(name, "")[:LONG_FIELD].split()).strip(" ,;")
    return (typed,) if typed else ()


def number(typed: str) -> int:
    """Return a number of a form, 0 for what is none."""
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 20 else 0


def _moment() -> int:
    """Return the time at which a message is to leave, 0 for none; `zone` is what the script says of the reader's."""
    typed, zone = request.form.get("at", ""), request.form.get("zone", "")
    try:
        at = datetime.fromisoformat(typed).replace(tzinfo=UTC)
        minutes = int(zone) if len(zone) < 6 and zone.lstrip("-").isdecimal() else 0
    except ValueError:
        return 0
    return max(0, int(at.timestamp() * 1000) + minutes * 60_000)


def changed(form: Form) -> Form:
    """Return the form after a button that adds somebody or a form, takes what was meant, or says that it is right."""
    pressed, writing = request.form, form.writing
    if wanted := number_of(pressed.get("ask", "")):
        return replace(form, writing=asked_for(writing, wanted))
    if added := pressed.get("add", "")[:400]:
        return replace(form, writing=replace(writing, to=(", ".join((*writing.to, added)),)))
    if right := pressed.get("right", "")[:400]:
        return replace(form, sure=form.sure | {right})
    wrong, _, meant = pressed.get("fix", "")[:800].partition(" ")
    if wrong and meant:
        # The whole address only: it may stand inside another one.
        whole = re.compile(rf"""(^|[\s,;:<("']){re.escape(wrong)}(?=$|[\s,;>)"'])""", re.IGNORECASE)
        to, cc, bcc = (
            tuple(whole.sub(lambda found: found[1] + meant, field) for field in fields)
            for fields in (writing.to, writing.cc, writing.bcc)
        )
        return replace(form, writing=replace(writing, to=to, cc=cc, bcc=bcc))
    return form


def drafted(found: Drafted) -> Form:
    """Return the form of a draft."""
    return Form(
        found.writing,
        found.id,
        found.nonce.hex() if found.nonce else secrets.token_hex(16),
        found.files,
        found.changed,
    )
