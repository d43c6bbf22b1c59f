"""What is in the copy that a journal gets? The whole message as it is kept, and above it to whom it really went.

Locked like any handoff, or readable over a proven way where the mailbox's owner chose that; then the message is a part
of its own behind our words, so that archive programs find it as it was. The mail around it says neither who wrote nor
to whom.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Row
from cryptnsend.core.errors import Refusal
from cryptnsend.core.mime import Enclosure
from cryptnsend.core.mime_build import quoted_printable
from cryptnsend.flow.composing import US, Letter
from cryptnsend.flow.holders import Committed
from cryptnsend.flow.mailwords import moment
from cryptnsend.flow.parcels import Moot
from cryptnsend.flow.readable import InSight
from cryptnsend.store.records import journals, mailing

FILE = "message-copy.zip"


class JournalMail(InSight):
    """Composes copies for journals."""

    def _journal(self, row: Row) -> Letter:
        """Bring a copy to its mailbox; raise Refusal where there is none any more, so that the officers hear of it."""
        try:
            to = self._parcels.inbox(row)
        except Moot as gone:
            raise Refusal(f"No copy could be made: {gone}.", status="5.1.1") from None
        words = self._words(row)
        subject = words("A copy of a message, for your records")
        values = {
            "is_locked": row["form"] == "zip",
            "file": FILE,
            "when": moment(row["message_created"], row["language"]),
            "message": str(row["message"]),
            "recipient": to,
        }
        if row["form"] == "tls":
            return self._as_it_is(row, to, subject, values)
        to, octets = self._parcels.locked(row, to, self._above(row))
        enclosures = (Enclosure(FILE, "application/zip", (octets,)),)
        return self._mail(
            row, "journal", author=self._us(), to=to, subject=subject, values=values, enclosures=enclosures
        )

    def _above(self, row: Row) -> bytes:
        """Return header fields that say who wrote and to whom it went, as far as this organisation may know."""
        house = journals.house(Committed(self._engine), row["recipient"])
        known = journals.envelope(self._engine, row["org"], row["message"], house or 0)
        author = mailing.author(self._engine, row["org"], row["message"])["address"]
        fields = [("X-Envelope-From", author), *(("X-Envelope-To", each) for each in known)]
        return "".join(f"{name}: {address}\r\n" for name, address in fields).encode()

    def _as_it_is(self, row: Row, inbox: str, subject: str, values: dict[str, object]) -> Letter:
        """Return the mail with the message readable in it, as a part of its own."""
        leaving = self._parcels.readable(row, inbox)
        key, above = leaving.keys[:32], self._above(row) + row["received"]

        def body() -> Iterator[bytes]:
            yield b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n" + above
            yield from self._parcels.raw(row, key)

        text, _ = self._faces.render("journal", row["language"], subject, values)
        octets = self._in_sight(
            row, leaving, "journal", quoted_printable(text), body, author=self._us(), subject=subject
        )
        path, bounce = self._bounces(row)
        return Letter(path, leaving.recipient, octets, "proven", (bounce,), copy_key=key)

    def _us(self) -> Mailbox:
        return Mailbox(US, f"notice@{self._settings.domain}")
