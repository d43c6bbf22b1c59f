"""How does somebody who may open a message get the key of its PDF, or a PDF to keep?

Both open the message first, by the same rules as reading does: the contact, the end, a recall count for the key as they
do for the words, and whoever was shown a key was shown the message. The key is made again each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.document_key import document_key
from cryptnsend.core.errors import Refusal
from cryptnsend.flow.documents import FILE, Copy, Documents
from cryptnsend.flow.noting import note_act
from cryptnsend.flow.opening import Opener
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Letter, Part
from cryptnsend.pdf.press import NotMade
from cryptnsend.store.records import listing

SHOWN = "document.key-shown"


class Key(NamedTuple):
    """The key of one document: that which went to this address."""

    address: str
    key: str

    def __repr__(self) -> str:
        return "<Key>"


class Papers:
    """Keys and documents for sessions. Shared by all requests of a process; thread-safe."""

    def __init__(
        self,
        engine: Engine,
        opener: Opener,
        documents: Documents,
        clock: Clock,
        show: Callable[[Session, int], Letter],
    ):
        """*show* opens a message as reading it does, and notes that."""
        self._engine, self._opener, self._documents, self._clock = engine, opener, documents, clock
        self._show = show

    def keys(self, session: Session, message: int) -> tuple[Letter, Sequence[Key]]:
        """Return a message and the keys of its PDF, one for each own address it went to; errors as of `Pickup.show`."""
        letter = self._show(session, message)
        row = self._opener.grant(session, message)
        content_key = self._opener.keys(session, row)[:32]
        addresses = self._addresses(session, message)
        org, now = row["org"], self._clock.now()

        def write(rows: Rows) -> None:
            note_act(rows, session, org, now, SHOWN, str(message), {})

        self._engine.write(write).result()
        return letter, [Key(each, document_key(content_key, message, each)) for each in addresses]

    def document(self, session: Session, message: int, language: str) -> Part:
        """Return a message as a locked PDF; raise Refusal where none can be made of it, and as `Pickup.show`."""
        letter = self._show(session, message)
        row = self._opener.grant(session, message)
        content_keys = self._opener.keys(session, row)
        name = letter.sender_name or letter.sender_address
        copy = Copy(
            message=message,
            organisation=letter.org,
            organisation_name=letter.organisation,
            recipient=self._addresses(session, message)[0],
            sender_name=name,
            sender_address=letter.sender_address,
            at=letter.at,
            until=letter.ends,
            language=language,
            can_reply=letter.can_reply,
        )
        raw, index = self._opener.raw(row, content_keys), self._opener.index(row, content_keys)
        try:
            octets = self._documents.make(copy, index, raw, content_keys[:32])
        except NotMade:
            raise Refusal(
                "No PDF could be made of this message: it cannot be shown, or its files are too large."
            ) from None
        return Part(FILE, "application/pdf", len(octets), iter((octets,)))

    def _addresses(self, session: Session, message: int) -> list[str]:
        """Return which own addresses a message went to, those first that got it as a PDF; the author's own for none."""
        found = listing.as_documents(self._engine, session.account, message)
        return [each["canonical"] for each in found if each["is_pdf"] or not found[0]["is_pdf"]] or [session.address]
