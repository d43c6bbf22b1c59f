"""What is every mail of ours made of? Who it is from, its words, its signature, and how whatever comes back is known.

The same delivery composed twice is the same mail, but for the salt of an encrypted file: same Message-ID, date, links
and words. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Clock, Engine, Row
from cryptnsend.core.mime import Enclosure, Outgoing, build_message
from cryptnsend.delivery.courier import TlsClass
from cryptnsend.delivery.dkim import sign
from cryptnsend.delivery.signers import Signers
from cryptnsend.flow.documents import Documents
from cryptnsend.flow.looks import Looks, Worn
from cryptnsend.flow.mailwords import Faces
from cryptnsend.flow.parcels import Parcels
from cryptnsend.flow.policies import Policies
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import LinkRow
from cryptnsend.ownkeys.locksmith import Locksmith

AUTO = (("Auto-Submitted", "auto-generated"),)  # RFC 3834 §5
US = "CryptnSend"
BOUNCES = 30 * 86_400_000  # milliseconds for which a mail may still come back


@dataclass(frozen=True, slots=True)
class Link:
    """A token that a mail carries, and when the row about it may go."""

    row: LinkRow
    expires: int | None


@dataclass(frozen=True, slots=True)
class Letter:
    """
    One mail ready to leave. `content_key` is set for relayed mail, which may have to stay after all.

    With `is_posted` it is no mail but a file for a web server, and `recipient` its URL.
    """

    reverse_path: str
    recipient: str
    octets: bytes | Callable[[], Iterator[bytes]]
    tls_class: TlsClass = "opportunistic"
    links: tuple[Link, ...] = ()
    content_key: bytes | None = None
    smtputf8: bool = False  # the header needs RFC 6532
    tls_optional: bool = False  # its author says "TLS-Required: No" (RFC 8689)
    cleartext: bool = False  # class plain may go unencrypted where there is no TLS
    is_posted: bool = False
    posted: Mapping[str, str] = field(default_factory=dict)  # header fields of such a file
    copy_key: bytes | None = None  # of a journal's readable copy, which may have to be locked after all


@dataclass(frozen=True, slots=True)
class Settings:
    """What letters need of the configuration; `give_up` is milliseconds."""

    domain: str
    hostname: str
    give_up: int


class Composing:
    """The pieces that composing needs, and what all mails have in common."""

    def __init__(
        self,
        *,
        engine: Engine,
        parcels: Parcels,
        documents: Documents,
        locksmith: Locksmith,
        keeper: Keeper,
        clock: Clock,
        signers: Signers,
        settings: Settings,
        policies: Policies,
        looks: Looks,
        web: Path,
    ):
        self._engine, self._parcels, self._documents, self._keeper = engine, parcels, documents, keeper
        self._locksmith, self._clock, self._signers = locksmith, clock, signers
        self._settings, self._looks, self._policies = settings, looks, policies
        self._faces = Faces(web)

    def give_up(self) -> None:
        """Wait for no document and no encryption any more: the process ends."""
        self._documents.cut()
        self._locksmith.cut()

    def close(self) -> None:
        """End what mails are made with."""
        self._documents.close()
        self._locksmith.close()

    def _words(self, row: Row) -> Callable[[str], str]:
        """Return what puts English words into the language of a delivery's reader."""
        return self._faces.words(row["language"]).gettext

    def _own(self, row: Row, template: str, to: str, subject: str, values: dict[str, Any]) -> Letter:
        """Build a mail from the house itself, which nobody answers."""
        author = Mailbox(US, f"notice@{self._settings.domain}")
        return self._mail(row, template, author=author, to=to, subject=subject, values=values)

    def _mail(
        self,
        row: Row,
        template: str,
        *,
        author: Mailbox,
        to: str,
        subject: str,
        values: dict[str, Any],
        reply_to: str = "",
        in_reply_to: Sequence[str] = (),
        links: tuple[Link, ...] = (),
        enclosures: tuple[Enclosure, ...] = (),
    ) -> Letter:
        text, html = self._faces.render(template, row["language"], subject, values, self._worn(row).look.accent)
        path, bounce = self._bounces(row)
        built = build_message(
            Outgoing(
                author=author,
                to=[Mailbox("", to)],
                subject=subject,
                date=row["created"],
                message_id=self._ident(row),
                text=text,
                html=html,
                reply_to=[Mailbox("", reply_to)] if reply_to else (),
                in_reply_to=in_reply_to,
                references=in_reply_to,
                enclosures=enclosures,
                extra=AUTO,
            )
        )
        return Letter(path, to, self._signed(b"".join(built), row), links=(*links, bounce))

    def _signed(self, octets: bytes, row: Row) -> bytes:
        return sign(octets, self._signers.own(), now=row["created"] // 1000) + octets

    def _ident(self, row: Row) -> str:
        return f"<d{row['id']}@{self._settings.domain}>"

    def _bounces(self, row: Row) -> tuple[str, Link]:
        """Return the envelope sender of a delivery, by which whatever comes back is known again."""
        token = self._keeper.bounce(row["id"])
        return self._local("b+", token.token), Link(token.row, row["created"] + BOUNCES)

    def _local(self, kind: str, token: str) -> str:
        return f"{kind}{token}@{self._settings.domain}"

    def _worn(self, row: Row) -> Worn:
        """Return the look of the organisation whose mail this is; links lead to its host only if the keeper says so."""
        return self._looks.worn(row["org"])

    def _url(self, row: Row, path: str) -> str:
        return self._worn(row).base_url + path

    def _host(self, row: Row) -> str:
        return self._worn(row).host
