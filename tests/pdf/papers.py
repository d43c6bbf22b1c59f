"""Messages to make documents of, and the readers that open them."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pypdfium2

from cryptnsend.config import web_root
from cryptnsend.core.document_key import document_key
from cryptnsend.core.mime import index_message
from cryptnsend.core.seal import SeekReader, open_stream, seal
from cryptnsend.flow.documents import Copy, Documents
from cryptnsend.flow.looks import Cover
from cryptnsend.pdf.press import Press

KEY = bytes(range(32))
MESSAGE = 7
PAT = "pat@mail.example"
PASSWORD = document_key(KEY, MESSAGE, PAT)


class Plain:
    """A sealed message that stands in memory (as `flow.opening.Sealed` reads it)."""

    def __init__(self, octets: bytes):
        self._sealed = seal(KEY, MESSAGE, "raw", octets)
        self._octets = octets

    def chunks(self) -> Iterator[bytes]:
        return open_stream(KEY, MESSAGE, "raw", (self._sealed,))

    def ranges(self, wanted: Any) -> list[bytes]:
        return [self._octets[start:end] for start, end in wanted]

    def reader(self) -> SeekReader:
        return SeekReader(KEY, MESSAGE, "raw", lambda start: iter((self._sealed[start:],)), len(self._sealed))


def mail(text: str = "Hello Pat", html: str = "", subject: str = "Canaryvale results") -> EmailMessage:
    """Return a mail to add files to."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Dr. Ann Ruiz <ann@clinic.example>", f"Pat Lee <{PAT}>", subject
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    return made


def documents(press: Press, most: int = 15 << 20, **worn: Any) -> Documents:
    """Return what makes documents in these tests; *worn* is what the covers of all organisations show."""
    facts: dict[str, Any] = {
        "name": "", "accent": "#0b5c73", "logo": None, "banner": "", "footer": "", "base_url": "https://secure.example",
    }  # fmt: skip
    return Documents(press, web_root(), lambda organisation, language: Cover(**facts | worn), most)


def copy(**more: Any) -> Copy:
    """Return whose copy it is."""
    facts: dict[str, Any] = {
        "message": MESSAGE,
        "organisation": 1,
        "organisation_name": "Harbour Clinic",
        "recipient": PAT,
        "sender_name": "Dr. Ann Ruiz",
        "sender_address": "ann@clinic.example",
        "at": 1_795_000_000_000,
        "until": 1_797_500_000_000,
        "language": "en",
    }
    return Copy(**{**facts, **more})


def made(press: Press, message: EmailMessage | bytes, worn: dict[str, Any] | None = None, **more: Any) -> bytes:
    """Return the locked document of a message."""
    octets = message if isinstance(message, bytes) else message.as_bytes().replace(b"\n", b"\r\n")
    return documents(press, **worn or {}).make(copy(**more), index_message(octets), Plain(octets), KEY)  # type: ignore[arg-type]


def opened(octets: bytes, password: str = PASSWORD) -> pypdfium2.PdfDocument:
    """Open a document with the browser's own engine."""
    return pypdfium2.PdfDocument(io.BytesIO(octets), password=password)


def text_of(octets: bytes, password: str = PASSWORD) -> str:
    """Return the words of all pages."""
    document = opened(octets, password)
    try:
        found = []
        for number in range(len(document)):
            page = document[number]
            words = page.get_textpage()
            found.append(words.get_text_bounded())
            words.close()
            page.close()
        return "\n".join(found)
    finally:
        document.close()


def run(*command: str | Path, **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a reader."""
    return subprocess.run([str(each) for each in command], capture_output=True, check=False, timeout=60, **more)


def picture(width: int = 240, height: int = 80, kind: str = "PNG", colour: str = "#3a7ca5") -> bytes:
    """Return a picture."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, kind)
    return out.getvalue()


def blank_pdf(pages: int = 1) -> bytes:
    """Return a PDF with so many pages."""
    import pikepdf

    with pikepdf.new() as pdf:
        for _ in range(pages):
            pdf.add_blank_page(page_size=(400, 500))
        out = io.BytesIO()
        pdf.save(out)
        return out.getvalue()


def noise(size: int) -> bytes:
    """Return octets that nobody packs."""
    return os.urandom(size)
