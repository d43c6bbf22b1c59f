"""How does a message go out that only its reader's own key opens? As PGP/MIME or S/MIME, with everything inside.

Outside stand our own address and words that say nothing; who wrote it, and the true subject, are inside with the
message's own body and our link (core/protected.py). Which key it is, the card of its owner says, or that of a sender
who knows it; a row that is not what the card says is no key. What cannot be encrypted goes as a link.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptnsend.core import protected
from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Row
from cryptnsend.core.mime import entity_header, read_headers, rfc_date
from cryptnsend.core.mime_build import quoted_printable
from cryptnsend.core.mime_words import encode_field, encode_ids, encode_mailboxes, encode_token
from cryptnsend.core.seal import framed
from cryptnsend.core.subject import strip_token
from cryptnsend.flow.composing import AUTO, Composing, Letter, Link
from cryptnsend.flow.parcels import TooLargeToHandOver, split_header
from cryptnsend.ownkeys.locksmith import NotNow, Unusable

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Faces:
    """Who a mail is from and what it is called: outside, where everybody sees it, and inside."""

    author: Mailbox
    subject: str
    writer: str  # the name, or the address, of who wrote the message
    reply_to: str = ""


class Encrypted(Composing):
    """Composes mail of the forms "smime" and "openpgp"."""

    def _encrypted(
        self,
        row: Row,
        inbox: str,
        faces: Faces,
        values: dict[str, Any],
        in_reply_to: Sequence[str],
        links: tuple[Link, ...],
    ) -> Letter:
        """Return the mail; raise TooLargeToHandOver where it has to go as a link."""
        key = self._parcels.own_key(row)
        leaving = self._parcels.readable(row, inbox)
        content_key = leaving.keys[:32]
        # Nobody outside knows it, so that no message can have it in its text.
        boundary = "=_" + hashlib.sha256(framed("encrypted", content_key, row["id"])).hexdigest()[:32]
        chunks = self._parcels.raw(row, content_key)
        header, begun = split_header(chunks)
        text, _ = self._faces.render("reply", row["language"], faces.subject, values)
        about = b"".join(
            (
                encode_token("Content-Type", "text/plain", {"charset": "utf-8"}),
                encode_token("Content-Transfer-Encoding", "quoted-printable"),
                b"\r\n",
                quoted_printable(text),
            )
        )
        whole = b"".join((entity_header(header), b"\r\n", begun, *chunks))
        outer = self._fields(row, leaving.recipient, faces.author, faces.subject, faces.reply_to, in_reply_to)
        true = _CONTROLS.sub(" ", read_headers(strip_token(header)).subject).strip() or faces.subject
        author = Mailbox(
            self._words(row)("%(name)s via CryptnSend") % {"name": faces.writer} if faces.writer else faces.author.name,
            faces.author.address,
        )
        inner = self._fields(row, leaving.recipient, author, true, faces.reply_to, in_reply_to)
        plain = protected.payload(inner, outer, boundary, (about, whole))
        octets = self._locked(row["form"], key, plain, outer, boundary)
        self._parcels.check_whole(octets)
        path, bounce = self._bounces(row)
        return Letter(path, leaving.recipient, self._signed(octets, row), links=(*links, bounce))

    def _locked(self, kind: str, key: bytes, plain: bytes, outer: Sequence[bytes], boundary: str) -> bytes:
        try:
            locked = self._locksmith.lock(kind, key, plain, self._clock.now())
            if kind == "smime":
                return protected.smime(outer, locked)
            return protected.pgp_mime(outer, locked, hashlib.sha256(boundary.encode()).hexdigest()[:32])
        except (Unusable, NotNow, ValueError) as reason:
            raise TooLargeToHandOver(f"it cannot be encrypted: {reason}") from None

    def _fields(
        self, row: Row, to: str, author: Mailbox, subject: str, reply_to: str, in_reply_to: Sequence[str]
    ) -> list[bytes]:
        fields = [
            encode_field("Date", rfc_date(row["created"])),
            encode_mailboxes("From", [author]),
            encode_mailboxes("To", [Mailbox("", to)]),
            encode_field("Subject", subject),
            encode_ids("Message-ID", [self._ident(row)]),
        ]
        if reply_to:
            fields.append(encode_mailboxes("Reply-To", [Mailbox("", reply_to)]))
        if in_reply_to:
            fields += [encode_ids("In-Reply-To", in_reply_to), encode_ids("References", in_reply_to)]
        return fields + [encode_field(name, value) for name, value in AUTO]
