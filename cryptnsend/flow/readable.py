"""How does mail arrive readable in an original inbox? Only where its owner chose so, and only over proven TLS.

The message's own body stands in it unchanged, behind a few words of ours: whoever looks at a locked screen sees those
first. Its header stays here, so that no name and no subject stands where mail servers keep lists of them. Where the way
is not proven, the courier makes a link of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Row
from cryptnsend.core.mime import entity_header, rfc_date
from cryptnsend.core.mime_build import quoted_printable
from cryptnsend.core.mime_words import encode_field, encode_ids, encode_mailboxes, encode_token
from cryptnsend.core.seal import framed
from cryptnsend.delivery.dkim import sign
from cryptnsend.flow.composing import AUTO, Composing, Letter, Link
from cryptnsend.flow.parcels import split_header


class Readable(Composing):
    """Composes handoffs of the form "tls"."""

    def _readable(
        self,
        row: Row,
        author: Mailbox,
        inbox: str,
        subject: str,
        values: dict[str, Any],
        in_reply_to: Sequence[str],
        links: tuple[Link, ...],
    ) -> Letter:
        """Return the mail; the message streams from the vault to the wire, once to be signed and once to be sent."""
        leaving = self._parcels.readable(row, inbox)
        key = leaving.keys[:32]
        # Nobody outside knows it, so that no message can have it in its text; the same with each try.
        boundary = "=_" + hashlib.sha256(framed("readable", key, row["id"])).hexdigest()[:32]
        text, _ = self._faces.render("reply", row["language"], subject, values)
        top = b"".join(
            (
                encode_field("Date", rfc_date(row["created"])),
                encode_mailboxes("From", [author]),
                encode_mailboxes("To", [Mailbox("", leaving.recipient)]),
                encode_field("Subject", subject),
                encode_ids("Message-ID", [self._ident(row)]),
                encode_ids("In-Reply-To", in_reply_to) + encode_ids("References", in_reply_to) if in_reply_to else b"",
                *(encode_field(name, value) for name, value in AUTO),
                b"MIME-Version: 1.0\r\n",
                encode_token("Content-Type", "multipart/mixed", {"boundary": boundary}),
                f"\r\n--{boundary}\r\n".encode(),
                encode_token("Content-Type", "text/plain", {"charset": "utf-8"}),
                encode_token("Content-Transfer-Encoding", "quoted-printable"),
                b"\r\n",
                quoted_printable(text),
                f"\r\n--{boundary}\r\n".encode(),
            )
        )
        octets = self._signed_stream(row, top, key, f"\r\n--{boundary}--\r\n".encode())
        path, bounce = self._bounces(row)
        return Letter(path, leaving.recipient, octets, "proven", (*links, bounce))

    def _signed_stream(self, row: Row, top: bytes, key: bytes, end: bytes) -> Callable[[], Iterator[bytes]]:
        def unsigned() -> Iterator[bytes]:
            chunks = self._parcels.raw(row, key)
            header, begun = split_header(chunks)
            yield top + entity_header(header) + b"\r\n" + begun
            yield from chunks
            yield end

        signature = sign(unsigned(), self._signers.own(), now=row["created"] // 1000)
        return lambda: chain((signature,), unsigned())
