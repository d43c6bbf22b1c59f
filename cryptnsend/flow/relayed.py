"""How does plain mail leave? In its author's name where their domain lets us sign for it, else in ours.

DMARC decides: receivers refuse a From whose domain neither sent nor signed the mail (RFC 7489 §3.1). So the author's
own address stays there only if their domain's name servers show our keys; otherwise From is an address of ours behind
which the author stands, and Reply-To is the author.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

from cryptnsend.core.addresses import Mailbox, single_author
from cryptnsend.core.contracts import Row
from cryptnsend.core.errors import NotAuthor
from cryptnsend.core.mime import read_headers, relay_header
from cryptnsend.core.mime_indexer import index_blocks
from cryptnsend.core.mime_lines import LongLines, changes, reencoded
from cryptnsend.core.names import safe_display_name
from cryptnsend.delivery.courier import TlsClass
from cryptnsend.delivery.dkim import DkimKey, sign
from cryptnsend.flow.addressees import canonical_or_none
from cryptnsend.flow.composing import Composing, Letter, Link
from cryptnsend.flow.parcels import split_header
from cryptnsend.store.records import mailing

Read = Callable[[], Iterator[bytes]]  # reads a message from its start


class Relayed(Composing):
    """Composes relayed mail."""

    def _relay(self, row: Row) -> Letter:
        """Pass a plain mail on, under an address of ours unless the author's domain lets us sign in its name."""
        leaving = self._parcels.plain(row)
        key = leaving.keys[:32]
        author = mailing.author(self._engine, row["org"], row["message"])
        raw: Read = partial(self._parcels.raw, row, key)
        lines = LongLines()
        chunks = lines.watch(raw())
        header, rest = split_header(chunks)
        face, reply_to, signing, links = self._as_whom(row, author, header)
        compose = partial(
            relay_header,
            author=face,
            reply_to=reply_to,
            date=row["message_created"],
            message_id=f"<m{row['message']}@{self._settings.domain}>",
        )
        # Read once to sign, and anew for each attempt: the message never stands in memory as a whole.
        ours, now = compose(header), row["created"] // 1000
        signature = sign(chain((ours, rest), chunks), signing, now=now)
        read = raw
        if lines.found:
            read = _in_short_lines(raw, lines.found)
            chunks = read()
            header, rest = split_header(chunks)
            ours = compose(header)
            signature = sign(chain((ours, rest), chunks), signing, now=now)

        def octets() -> Iterator[bytes]:
            again = read()
            _, begun = split_header(again)
            return chain((row["received"], signature, ours, begun), again)

        path, bounce = self._bounces(row)
        # Other 8-bit headers are old mistakes, which nobody's server declares and most take as they are.
        international = not ours.isascii() and b"with UTF8SMTP" in row["received"]
        tls_class: TlsClass = "proven" if row["tls_class"] == "proven" else "plain"
        return Letter(
            path,
            leaving.recipient,
            octets,
            tls_class,
            (*links, bounce),
            key,
            international,
            tls_optional=_waives_tls(header),
            cleartext=row["tls_class"] == "cleartext",
        )

    def _as_whom(
        self, row: Row, author: Row, header: bytes
    ) -> tuple[Mailbox, Mailbox | None, Sequence[DkimKey], tuple[Link, ...]]:
        """
        Return From, Reply-To (None: as the author has it), the keys and the tokens of a plain mail.

        DMARC looks at From alone, so it is the author's only where their domain's keys are there to sign for it.
        """
        address: str = author["address"]
        written = _written(header)
        if written is not None and canonical_or_none(written.address) == address:
            keys = self._signers.of(address.rpartition("@")[2])
            if keys:
                # Nobody borrows a name under a signature that we made, in whosever name it is.
                honest = written.name if safe_display_name(written.name) else safe_display_name(author["name"])
                return Mailbox(honest, written.address), None, keys, ()
        token = self._keeper.reply_token(address, row["subscriber"], row["message"])
        name = safe_display_name(author["name"]) or safe_display_name(address.partition("@")[0])
        face = Mailbox(name, self._local("u-", token.token))
        return face, Mailbox(name, address), self._signers.own(), (Link(token.row, None),)


def _in_short_lines(raw: Read, starts: Sequence[int]) -> Read:
    """Return how to read a message in which too long lines begin at *starts*, so that every host takes it."""
    plan = changes(index_blocks(raw()), starts)
    return lambda: reencoded(raw(), plan)


def _waives_tls(header: bytes) -> bool:
    """Say whether the author does not mind how well the way is protected: one field, exactly as RFC 8689 §3 has it."""
    fields = read_headers(header)
    return fields.count(b"tls-required") == 1 and fields.raw(b"tls-required").strip().lower() == b"no"


def _written(header: bytes) -> Mailbox | None:
    """Return who a mail says it is from; None where that is not one author."""
    try:
        return single_author(header)
    except NotAuthor:
        return None
