"""What leaves for one delivery? Notices, handoffs, relayed mail, receipts, codes, alerts and reports.

Links, codes and passphrases come from the keeper together with the only address they may go to; the row's recipient is
not believed for these. Nothing here writes. The same delivery composed twice is the same mail, but for the salt of an
encrypted file: same Message-ID, date, links and words.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyzipper

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Clock, Engine, Row
from cryptnsend.core.errors import CryptnSendError, NoGrant, Refusal, SealBroken
from cryptnsend.core.mime import Enclosure, Outgoing, build_message, header_end, relay_header
from cryptnsend.core.model import Random
from cryptnsend.core.names import safe_display_name
from cryptnsend.core.seal import open_stream
from cryptnsend.delivery.courier import TlsClass
from cryptnsend.delivery.dkim import DkimKey, sign
from cryptnsend.flow.mailwords import Faces, day, moment
from cryptnsend.flow.reports import Report, build_report
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Code, EpochRow, Leaving, LinkRow, QueueGrant
from cryptnsend.store.records import deliveries, mailing
from cryptnsend.store.vault import Stored, Vault

AUTO = (("Auto-Submitted", "auto-generated"),)  # RFC 3834 §5
LANGUAGE = "en"
HEADER_MOST = 1 << 20  # octets of a header block that a relayed mail may have


class Moot(CryptnSendError):
    """There is nothing to send any more: taken back, expired, used, or told already."""


class TooLargeToHandOver(CryptnSendError):
    """The reply is larger than goes to an inbox; it goes as a link."""


@dataclass(frozen=True, slots=True)
class Link:
    """A token that a mail carries, and when the row about it may go."""

    row: LinkRow
    expires: int | None


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail ready to leave. `content_key` is set for relayed mail, which may have to stay after all."""

    reverse_path: str
    recipient: str
    octets: bytes | Callable[[], Iterator[bytes]]
    tls_class: TlsClass = "opportunistic"
    links: tuple[Link, ...] = ()
    content_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What letters need of the configuration; `handoff_octets` is the most that goes to an inbox as a file."""

    domain: str
    hostname: str
    handoff_octets: int
    give_up: int  # milliseconds


class Letters:
    """Composes the mail of one claimed delivery."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        keeper: Keeper,
        clock: Clock,
        random: Random,
        dkim_keys: Sequence[DkimKey],
        settings: Settings,
        web: Path,
        base_url: Callable[[], str],
    ):
        self._engine, self._vault, self._keeper = engine, vault, keeper
        self._clock, self._random, self._dkim_keys = clock, random, dkim_keys
        self._settings, self._base_url = settings, base_url
        self._faces = Faces(web / "mail", web / "translations")

    def compose(self, row: Row) -> Letter:
        """
        Return the mail of a claimed delivery (a row of `deliveries.claim`).

        Raises Moot when there is nothing to send any more, TooLargeToHandOver when it has to go as a link, Temporary
        when keeper or store are out of reach, and SealBroken when rows were damaged or tampered with.
        """
        kinds = {
            "notice": self._notice,
            "handoff": self._handoff,
            "relay": self._relay,
            "receipt": self._receipt,
            "code": self._code,
            "alert": self._alert,
            "dsn": self._report,
        }
        try:
            return kinds[row["kind"]](row)
        except NoGrant as none:
            raise Moot(str(none)) from none

    # -- to recipients ------------------------------------------------------------------------------------------------

    def _notice(self, row: Row) -> Letter:
        """Say that a secure message waits, and nothing of it."""
        org, message, address = row["org"], row["message"], row["recipient"]
        if not mailing.still_waits(self._engine, org, message, address):
            raise Moot("taken back or expired before the notice left")
        author = mailing.author(self._engine, org, message)
        name = _name(author)
        told = self._keeper.notice(row["recipient_address"], row["subscriber"], message, author["address"])
        phrase = mailing.phrase(self._engine, org, address, row["subscriber"])
        values = {
            "sender": name,
            "sender_address": author["address"],
            "phone": author["phone"],
            "organisation": author["organisation"],
            "recipient": told.address,
            "when": moment(row["message_created"]),
            "until": day(row["expires"]),
            "phrase": phrase or "",
            "is_new": phrase is None,
            "link": self._url(f"/m/{told.link.token}"),
            "host": self._host(),
            "number": row["display_id"],
        }
        words = self._faces.words(LANGUAGE).gettext
        return self._mail(
            row,
            "notice",
            author=Mailbox(words("%(name)s via CryptnSend") % {"name": name}, f"notice@{self._settings.domain}"),
            to=told.address,
            subject=words("%(name)s sent you a secure message") % {"name": name},
            values=values,
            reply_to=self._local("r+", told.reply.token),
            links=(Link(told.link.row, None), Link(told.reply.row, None)),
        )

    def _handoff(self, row: Row) -> Letter:
        """Bring a message encrypted to an original inbox, or tell that it waits; never who wrote it."""
        org, message = row["org"], row["message"]
        if not mailing.still_waits(self._engine, org, message, row["recipient"]):
            raise Moot("taken back before it left")
        enclosures: tuple[Enclosure, ...] = ()
        to = row["recipient_address"]
        if row["form"] == "zip":
            leaving = self._leave(row)
            if leaving.passphrase is None:
                raise SealBroken("A handoff as ZIP came without its passphrase.")
            to = leaving.recipient
            enclosures = (Enclosure("secure-message.zip", "application/zip", self._zip(row, leaving)),)
        author = mailing.author(self._engine, org, message)
        told = self._keeper.notice(to, row["subscriber"], message, author["address"])
        answered = mailing.answered(self._engine, org, message)
        values = {
            "is_reply": answered is not None,
            "form": row["form"],
            "too_large": row["attempts"] == 1 and row["form"] == "link" and row["decision"] == "handoff",
            "link": self._url(f"/m/{told.link.token}"),
            "recipient": told.address,
            "number": row["display_id"],
        }
        words = self._faces.words(LANGUAGE).gettext
        local = self._local("r+", told.reply.token)
        name = words("Secure reply via CryptnSend") if answered else words("Secure message via CryptnSend")
        return self._mail(
            row,
            "reply",
            author=Mailbox(name, local),
            to=told.address,
            subject=words("You have a secure reply") if answered else words("You have a secure message"),
            values=values,
            in_reply_to=(answered,) if answered else (),
            links=(Link(told.link.row, None), Link(told.reply.row, None)),
            enclosures=enclosures,
        )

    def _zip(self, row: Row, leaving: Leaving) -> tuple[bytes, ...]:
        """
        Return an AES-256 ZIP with exactly one entry, the whole message.

        Names inside an encrypted ZIP can be read by anybody, so the entry says nothing, and Gmail refuses archives
        inside encrypted archives, so the attachments stay inside the message.
        """
        if row["size"] > self._settings.handoff_octets:
            raise TooLargeToHandOver("larger than goes to an inbox")
        packed = io.BytesIO()
        with pyzipper.AESZipFile(packed, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
            archive.setpassword((leaving.passphrase or "").encode())
            with archive.open("message.eml", "w") as entry:
                entry.write(row["received"])
                for chunk in self._raw(row, leaving.keys[:32]):
                    entry.write(chunk)
        octets = packed.getvalue()
        if len(octets) * 4 // 3 > self._settings.handoff_octets:
            raise TooLargeToHandOver("larger than goes to an inbox")
        return (octets,)

    def _relay(self, row: Row) -> Letter:
        """Pass a plain mail on under an address of ours, so that the author's own domain is never pretended."""
        leaving = self._leave(row)
        key = leaving.keys[:32]
        author = mailing.author(self._engine, row["org"], row["message"])
        token = self._keeper.reply_token(author["address"], row["subscriber"], row["message"])
        name = safe_display_name(author["name"]) or author["address"].partition("@")[0]
        chunks = self._raw(row, key)
        header, rest = _split(chunks)
        ours = relay_header(
            header,
            author=Mailbox(name, self._local("u-", token.token)),
            reply_to=Mailbox(name, author["address"]),
            date=row["message_created"],
            message_id=f"<m{row['message']}@{self._settings.domain}>",
        )
        # Read once to sign, and anew for each attempt: the message never stands in memory as a whole.
        signature = sign(chain((ours, rest), chunks), self._dkim_keys, now=row["created"] // 1000)

        def octets() -> Iterator[bytes]:
            again = self._raw(row, key)
            _, begun = _split(again)
            return chain((signature, row["received"], ours, begun), again)

        path, bounce = self._bounces(row)
        links = (Link(token.row, None), Link(bounce, None))
        return Letter(path, leaving.recipient, octets, "plain", links, key)

    # -- to the people of this house ----------------------------------------------------------------------------------

    def _receipt(self, row: Row) -> Letter:
        """Tell the author which codes to pass on; without link, subject, file names or counts."""
        waiting = deliveries.newcomers(self._engine, row["org"], row["message"])
        told = self._keeper.receipt(row["subscriber"], waiting)
        codes = {code.address: code for code in told.codes}
        people = [_newcomer(address, codes.get(address)) for address in waiting]
        if not people:
            raise Moot("nobody needs a code any more")
        words = self._faces.words(LANGUAGE).gettext
        values = {
            "people": people,
            "when": moment(row["message_created"]),
            "link": self._url(f"/sent/{row['message']}"),
            "host": self._host(),
        }
        return self._own(row, "receipt", told.address, words("Your message is sent. A code to tell."), values)

    def _code(self, row: Row) -> Letter:
        words = self._faces.words(LANGUAGE).gettext
        if row["template"] == "invitation":
            invited = self._keeper.invitation(row["subject_id"])
            values = {
                "organisation": invited.organisation_name if invited.organisation else "",
                "recipient": invited.address,
                "link": self._url(f"/invite/{invited.token}"),
                "code": invited.code,
                "until": moment(invited.expires),
            }
            letter = self._own(row, "invitation", invited.address, words("You are invited to send secure mail"), values)
            return _with_links(letter, Link(invited.row, invited.expires))
        told = self._keeper.mail_code(row["subject_id"])
        if told.expires <= self._clock.now() and told.purpose != "exists":
            raise Moot("the code ended before it could leave")
        values = {
            "purpose": told.purpose,
            "code": told.code,
            "until": moment(told.expires),
            "recipient": told.address,
            "link": self._url("/sign-in"),
        }
        return self._own(row, "code", told.address, words("Your CryptnSend code"), values)

    def _alert(self, row: Row) -> Letter:
        words = self._faces.words(LANGUAGE).gettext
        to = self._keeper.alert(row["subject_id"])
        values = {
            "template": row["template"],
            "when": moment(row["created"]),
            "recipient": to,
            "link": self._url("/account"),
        }
        return self._own(row, "alert", to, words("About your CryptnSend account"), values)

    def _report(self, row: Row) -> Letter:
        """Report on one delivery (RFC 3464) to the author's original inbox, in plain words and without content."""
        about = mailing.reported(self._engine, row["org"], row["subject_id"])
        if about is None:
            raise Moot("what it is about is gone")
        to = self._keeper.alert(row["author"])
        words = self._faces.words(LANGUAGE).gettext
        report = Report(
            what=row["template"],
            about=about,
            to=to,
            message_id=row["message_id"],
            ident=self._ident(row),
            sent=row["message_created"],
            now=row["created"],
            give_up=self._settings.give_up,
            link=self._url(f"/sent/{row['message']}"),
            author=Mailbox("CryptnSend", f"notice@{self._settings.domain}"),
            hostname=self._settings.hostname,
        )
        octets = build_report(report, self._faces, words, LANGUAGE)
        # The null reverse-path, so that a report never bounces back (RFC 3464 §2).
        return Letter("", to, self._signed(octets, row))

    # -- the parts of a mail ------------------------------------------------------------------------------------------

    def _own(self, row: Row, template: str, to: str, subject: str, values: dict[str, Any]) -> Letter:
        """Build a mail from the house itself, which nobody answers."""
        return self._mail(
            row,
            template,
            author=Mailbox("CryptnSend", f"notice@{self._settings.domain}"),
            to=to,
            subject=subject,
            values=values,
        )

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
        enclosures: Iterable[Enclosure] = (),
    ) -> Letter:
        text, html = self._faces.render(template, LANGUAGE, subject, values)
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
                enclosures=tuple(enclosures),
                extra=AUTO,
            )
        )
        return Letter(path, to, self._signed(b"".join(built), row), links=(*links, Link(bounce, None)))

    def _signed(self, octets: bytes, row: Row) -> bytes:
        return sign(octets, self._dkim_keys, now=row["created"] // 1000) + octets

    def _ident(self, row: Row) -> str:
        return f"<d{row['id']}@{self._settings.domain}>"

    def _bounces(self, row: Row) -> tuple[str, LinkRow]:
        token = self._keeper.bounce(row["id"])
        return self._local("b+", token.token), token.row

    def _local(self, kind: str, token: str) -> str:
        return f"{kind}{token}@{self._settings.domain}"

    def _url(self, path: str) -> str:
        return self._base_url() + path

    def _host(self) -> str:
        return urlsplit(self._base_url()).netloc

    def _leave(self, row: Row) -> Leaving:
        """Ask the keeper for the content key of a delivery that carries content."""
        if row["queue_wrap"] is None:
            raise Moot("its key was destroyed when it was cancelled")
        epoch = deliveries.epoch(self._engine, row["queue_epoch"])
        return self._keeper.queue(
            QueueGrant(
                row["org"],
                row["message"],
                row["id"],
                row["recipient_address"],
                row["form"] or row["kind"],
                EpochRow(epoch["id"], epoch["pair"], epoch["suite"], epoch["owner"], epoch["holder"], epoch["sealed"]),
                row["queue_wrap"],
            )
        )

    def _raw(self, row: Row, key: bytes) -> Iterator[bytes]:
        """Yield the message; a damaged end breaks the transfer, so nothing partial counts as a message."""
        rests = mailing.content(self._engine, row["org"], row["message"], "raw")
        if rests is None:
            raise Moot("the message is gone")
        chunks = self._vault.open(Stored(rests["body"], rests["blob_key"]))
        return open_stream(key, row["message"], "raw", chunks)


def _split(chunks: Iterator[bytes]) -> tuple[bytes, bytes]:
    """Read *chunks* up to the end of the header block; return it with its empty line, and what came along behind."""
    held = b""
    for chunk in chunks:
        held += chunk
        end = held.find(b"\r\n\r\n")
        if end >= 0:
            return held[: end + 4], held[end + 4 :]
        if len(held) > HEADER_MOST:
            raise Refusal("The header of this message is too long to be sent on.")
    end = header_end(held)
    return held[:end] + b"\r\n", held[end:].removeprefix(b"\r\n")


def _with_links(letter: Letter, *more: Link) -> Letter:
    return Letter(letter.reverse_path, letter.recipient, letter.octets, letter.tls_class, (*letter.links, *more))


def _name(author: Row) -> str:
    """Return the name that stands for the author in mails: the profile's if it is fit, else the address."""
    return safe_display_name(author["name"]) or str(author["address"])


def _newcomer(address: str, code: Code | None) -> dict[str, Any]:
    if code is None or code.code is None or code.expires is None:
        return {"address": address, "code": "", "until": "", "tries": 0}
    half = len(code.code) // 2
    spoken = f"{code.code[:half]} {code.code[half:]}"
    return {"address": address, "code": spoken, "until": moment(code.expires), "tries": code.tries_left}
