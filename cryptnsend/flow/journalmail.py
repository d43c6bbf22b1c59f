"""What is in the copy that a journal gets? The whole message as it is kept, and above it to whom it really went.

Locked like any handoff, or readable over a proven way where the mailbox's owner chose that; then the message is a part
of its own behind our words, so that archive programs find it as it was. The mail around it says neither who wrote nor
to whom.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import chain

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Row
from cryptnsend.core.errors import Refusal
from cryptnsend.core.mime import Enclosure, rfc_date
from cryptnsend.core.mime_build import quoted_printable
from cryptnsend.core.mime_words import encode_field, encode_ids, encode_mailboxes, encode_token
from cryptnsend.core.seal import framed
from cryptnsend.delivery.dkim import sign
from cryptnsend.flow.composing import AUTO, US, Composing, Letter
from cryptnsend.flow.holders import Committed
from cryptnsend.flow.mailwords import moment
from cryptnsend.flow.parcels import Moot
from cryptnsend.store.records import journals, mailing

FILE = "message-copy.zip"


class JournalMail(Composing):
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
            return self._in_sight(row, to, subject, values)
        to, octets = self._parcels.locked(row, to, self._above(row))
        enclosures = (Enclosure(FILE, "application/zip", (octets,)),)
        author = Mailbox(US, f"notice@{self._settings.domain}")
        return self._mail(row, "journal", author=author, to=to, subject=subject, values=values, enclosures=enclosures)

    def _above(self, row: Row) -> bytes:
        """Return header fields that say who wrote and to whom it went, as far as this organisation may know."""
        house = journals.house(Committed(self._engine), row["recipient"])
        known = journals.envelope(self._engine, row["org"], row["message"], house or 0)
        author = mailing.author(self._engine, row["org"], row["message"])["address"]
        fields = [("X-Envelope-From", author), *(("X-Envelope-To", each) for each in known)]
        return "".join(f"{name}: {address}\r\n" for name, address in fields).encode()

    def _in_sight(self, row: Row, inbox: str, subject: str, values: dict[str, object]) -> Letter:
        """Return the mail with the message readable in it; it streams from the vault to the wire, and is read twice."""
        leaving = self._parcels.readable(row, inbox)
        key = leaving.keys[:32]
        # Nobody outside knows it, so that no message can have it in its text; the same with each try.
        boundary = "=_" + hashlib.sha256(framed("journal", key, row["id"])).hexdigest()[:32]
        text, _ = self._faces.render("journal", row["language"], subject, values)
        top = b"".join(
            (
                encode_field("Date", rfc_date(row["created"])),
                encode_mailboxes("From", [Mailbox(US, f"notice@{self._settings.domain}")]),
                encode_mailboxes("To", [Mailbox("", leaving.recipient)]),
                encode_field("Subject", subject),
                encode_ids("Message-ID", [self._ident(row)]),
                *(encode_field(name, value) for name, value in AUTO),
                b"MIME-Version: 1.0\r\n",
                encode_token("Content-Type", "multipart/mixed", {"boundary": boundary}),
                f"\r\n--{boundary}\r\n".encode(),
                encode_token("Content-Type", "text/plain", {"charset": "utf-8"}),
                encode_token("Content-Transfer-Encoding", "quoted-printable"),
                b"\r\n",
                quoted_printable(text),
                f"\r\n--{boundary}\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n".encode(),
                self._above(row),
                row["received"],
            )
        )
        octets = self._signed_copy(row, top, key, f"\r\n--{boundary}--\r\n".encode())
        path, bounce = self._bounces(row)
        return Letter(path, leaving.recipient, octets, "proven", (bounce,), copy_key=key)

    def _signed_copy(self, row: Row, top: bytes, key: bytes, end: bytes) -> Callable[[], Iterator[bytes]]:
        def unsigned() -> Iterator[bytes]:
            return chain((top,), self._parcels.raw(row, key), (end,))

        signature = sign(unsigned(), self._signers.own(), now=row["created"] // 1000)
        return lambda: chain((signature,), unsigned())
