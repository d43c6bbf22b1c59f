"""What stands in the PDF of a message, and how is it locked? The message as its reader may see it, under its own key.

The same for a mail that leaves, a reply that is handed over, and a file that somebody saves: whoever calls has the key
of the message already. Nothing of it is kept, and the key of the document can be made again from that of the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cryptnsend.core.document_key import document_key, without_hyphens
from cryptnsend.core.html_text import printable
from cryptnsend.core.mime import Index, Mailbox
from cryptnsend.core.subject import peel
from cryptnsend.flow import saving
from cryptnsend.flow.looks import Cover
from cryptnsend.flow.mailwords import Faces, day, moment, size_of
from cryptnsend.flow.opening import Sealed
from cryptnsend.flow.rendering import Rendered, render
from cryptnsend.flow.views import File
from cryptnsend.languages import known
from cryptnsend.pdf.document import LOGO, Document, Enclosed
from cryptnsend.pdf.press import NotMade, Press

FILE = "secure-message.pdf"
MOST_CHARACTERS, MOST_LINES = 200_000, 8000  # of bare text that is set
_NO_WORDS = re.compile(r"<img (?![^>]*\balt=)")  # nh3 writes every quotation mark and ">" of a value as an entity
_ENDING = re.compile(r"[A-Za-z0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Copy:
    """Whose copy of which message it is; times are UTC milliseconds."""

    message: int
    organisation: int  # whose look it wears: the sender's, where the message is of the same, else the installation
    organisation_name: str  # "" for somebody on their own
    recipient: str  # canonical
    sender_name: str
    sender_address: str
    at: int
    until: int | None
    language: str
    can_reply: bool = True


class Documents:
    """Makes documents of messages. Thread-safe; keeps nothing. *most* is octets of message that fit into one."""

    def __init__(self, press: Press, web: Path, cover: Callable[[int, str], Cover], most: int):
        self._press, self._web, self._cover, self._most = press, web, cover, most
        self._faces = Faces(web)

    def make(self, copy: Copy, index: Index | None, raw: Sealed, key: bytes) -> bytes:
        """
        Return the locked PDF of a message; *key* is its content key, 32 octets.

        Raises NotMade where there can be none, and `SealBroken` if not all of the message is there.
        """
        rendered = render(index, raw)
        if index is None or rendered.text is None:
            raise NotMade("This message cannot be shown, so that no PDF can be made of it.")
        if sum(each.size for each in rendered.files) > self._most:
            raise NotMade("The files of this message are too large for a PDF.")
        inside = [each for each in rendered.files if not each.dangerous]
        octets = [_octets(index, each, raw) for each in inside]
        password = document_key(key, copy.message, copy.recipient)
        words = self._faces.words(copy.language).gettext
        cover = self._cover(copy.organisation, copy.language)
        logo_type, logo = cover.logo or ("", b"")
        document = Document(
            pages=self._page(copy, cover, index, rendered, as_text=False) if rendered.html is not None else "",
            plain=self._page(copy, cover, index, rendered, as_text=True),
            title=words("Secure message"),
            password=password,
            second_password=without_hyphens(password),
            files=tuple(
                Enclosed(each.name, each.media_type, len(found)) for each, found in zip(inside, octets, strict=True)
            ),
            most=self._most,
            logo_type=logo_type,
            logo=logo,
        )
        return self._press.make(document, [(found,) for found in octets])

    def close(self) -> None:
        """End what documents are made with."""
        self._press.close()

    def cut(self) -> None:
        """Wait for no document any more."""
        self._press.cut()

    def _page(self, copy: Copy, cover: Cover, index: Index, rendered: Rendered, *, as_text: bool) -> str:
        """Return the HTML of a document, with a stranger's inside, or with the bare text of it."""
        lines, is_cut = _lines(rendered.text or "") if as_text or rendered.html is None else ([], False)
        base = f"{cover.base_url}/messages/{copy.message}"
        words = self._faces.words(copy.language).gettext
        foot = words("Sent securely with CryptnSend to %(address)s") % {"address": copy.recipient}
        values: dict[str, Any] = {
            "language": known(copy.language),
            "title": words("Secure message"),
            "style": Markup(self._style(cover, foot)),  # noqa: S704 - of our own, and what stands in it is checked
            "house": cover.name or copy.organisation_name or copy.sender_name,
            "logo": LOGO if cover.logo else "",
            "banner": cover.banner,
            "footer": cover.footer,
            "subject": peel(index.subject).shown,
            "sender_name": copy.sender_name,
            "sender_address": copy.sender_address,
            "to": _people(index.to),
            "cc": _people(index.cc),
            "when": moment(copy.at, copy.language),
            "until": day(copy.until, copy.language) if copy.until else "",
            "files": [self._file(each, base) for each in rendered.files],
            "any_inside": any(not each.dangerous for each in rendered.files),
            "body": _body(rendered.html) if rendered.html and not as_text else "",
            "lines": lines,
            "cut": is_cut,
            "left_out": rendered.left_out if not as_text else 0,
            "as_text": as_text and rendered.html is not None,
            "can_reply": copy.can_reply,
            "reply": f"{base}#reply",
            "read": base,
        }
        return self._faces.document("letter.html", copy.language, values)

    def _file(self, file: File, base: str) -> dict[str, object]:
        ending = file.name.rpartition(".")[2] if "." in file.name else ""
        return {
            "name": file.name,
            "kind": ending.upper() if _ENDING.fullmatch(ending) else file.media_type,
            "size": size_of(file.size),
            "link": f"{base}/files/{file.part}",
            "inside": not file.dangerous,
            "pages": not file.dangerous and Enclosed(file.name, file.media_type, file.size).is_pdf,
        }

    def _style(self, cover: Cover, foot: str) -> str:
        style = (self._web / "pdf" / "letter.css").read_text(encoding="utf-8")
        quoted = "".join(f"\\{ord(each):x} " if each in '"\\<>&' or not each.isprintable() else each for each in foot)
        return style.replace("ACCENT", cover.accent).replace("FOOT", quoted)


def _body(html: str) -> Markup:
    """Return sanitised HTML whose pictures all have words, none for those whose author gave none, as PDF/UA asks."""
    return Markup(_NO_WORDS.sub('<img alt="" ', html))  # noqa: S704 - it was sanitised


def _octets(index: Index, file: File, raw: Sealed) -> bytes:
    found = saving.attachment(index, file.part)
    if found is None:
        raise NotMade("A file of this message is not where it stood.")
    return b"".join(saving.part(index, found, raw).chunks)


def _lines(text: str) -> tuple[list[str], bool]:
    """Return the lines of a text as far as they are set, and whether it goes on."""
    plain = printable(text)
    lines = plain[:MOST_CHARACTERS].strip("\n").split("\n")
    return lines[:MOST_LINES], len(plain) > MOST_CHARACTERS or len(lines) > MOST_LINES


def _people(mailboxes: Sequence[Mailbox]) -> list[str]:
    return [f"{each.name} <{each.address}>" if each.name else each.address for each in mailboxes]
