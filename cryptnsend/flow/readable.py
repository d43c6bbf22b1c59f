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
from cryptnsend.keeper.requests import Leaving


class InSight(Composing):
    """Composes mails with a message readable in them."""

    def _in_sight(
        self,
        row: Row,
        leaving: Leaving,
        label: str,
        words: bytes,
        body: Callable[[], Iterator[bytes]],
        *,
        author: Mailbox,
        subject: str,
        in_reply_to: Sequence[str] = (),
    ) -> Callable[[], Iterator[bytes]]:
        """
        Return the mail: our *words*, then *body*, a MIME entity with its header.

        It streams from the vault to the wire; the body is asked for twice, once to be signed and once to be sent.
        """
        # Nobody outside knows it, so that no message can have it in its text; the same with each try.
        boundary = "=_" + hashlib.sha256(framed(label, leaving.keys[:32], row["id"])).hexdigest()[:32]
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
                words,
                f"\r\n--{boundary}\r\n".encode(),
            )
        )

        def unsigned() -> Iterator[bytes]:
            yield top
            yield from body()
            yield f"\r\n--{boundary}--\r\n".encode()

        signature = sign(unsigned(), self._signers.own(), now=row["created"] // 1000)
        return lambda: chain((signature,), unsigned())


class Readable(InSight):
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
        """Return the mail with the message's own body in it."""
        leaving = self._parcels.readable(row, inbox)

        def body() -> Iterator[bytes]:
            chunks = self._parcels.raw(row, leaving.keys[:32])
            header, begun = split_header(chunks)
            yield entity_header(header) + b"\r\n" + begun
            yield from chunks

        text, _ = self._faces.render("reply", row["language"], subject, values)
        octets = self._in_sight(
            row, leaving, "readable", quoted_printable(text), body,
            author=author, subject=subject, in_reply_to=in_reply_to,
        )  # fmt: skip
        path, bounce = self._bounces(row)
        return Letter(path, leaving.recipient, octets, "proven", (*links, bounce))
