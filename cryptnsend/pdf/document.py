"""What is a document made of? The pages as HTML, in two settings, the files that go along, and what locks it."""

from __future__ import annotations

import msgspec

LOGO = "cryptnsend:logo"  # where pages find the picture that comes with them


class Enclosed(msgspec.Struct, frozen=True):
    """A file inside the document. Its octets follow the job, one file after the other."""

    name: str
    media_type: str
    size: int  # octets

    @property
    def is_pdf(self) -> bool:
        """Whether its name or type says that it has pages; its octets have the last word."""
        return self.media_type.lower() == "application/pdf" or self.name.lower().endswith(".pdf")


class Document(msgspec.Struct, frozen=True):
    """
    One document. Pictures stand in the pages as data: addresses, but for the *logo* of our own, a picture of the media
    type *logo_type*, which is at LOGO; nothing else is ever fetched.

    *pages* is the HTML with the message as it was laid out, "" for none; *plain* the same with its bare text, for what
    cannot be set otherwise. *most* is octets that the whole should not pass: without appended pages, if it would.
    """

    pages: str
    plain: str
    title: str  # says nothing: it stands where file managers look
    password: str
    second_password: str  # the same as somebody might type it
    files: tuple[Enclosed, ...] = ()
    append: bool = True  # whether files that are PDF are set behind the message as pages
    most: int = 64 << 20
    logo_type: str = ""
    logo: bytes = b""

    def __repr__(self) -> str:
        return "<Document>"  # it holds what it locks, and the key

    __str__ = __repr__
