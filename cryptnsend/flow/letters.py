"""What leaves for one delivery? Notices, handoffs, relayed mail, receipts, codes, alerts and reports.

Links, codes and passphrases come from the keeper together with the only address they may go to; the row's recipient is
not believed for these. Nothing here writes. The same delivery composed twice is the same mail, but for the salt of an
encrypted file: same Message-ID, date, links and words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Clock, Engine, Row
from cryptnsend.core.errors import Denied
from cryptnsend.core.mime import Enclosure, Outgoing, build_message, relay_header
from cryptnsend.core.names import safe_display_name
from cryptnsend.delivery.courier import TlsClass
from cryptnsend.delivery.dkim import DkimKey, sign
from cryptnsend.delivery.tlsrpt import mailbox, web
from cryptnsend.flow.mailwords import Faces, day, moment, one_line, phone_number, usable_ids
from cryptnsend.flow.parcels import Moot, Parcels, split_header
from cryptnsend.flow.reports import Report, build_report
from cryptnsend.flow.tlsreports import report_file, report_mail
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Code, LinkRow
from cryptnsend.store.records import deliveries, kept, mailing, transport

AUTO = (("Auto-Submitted", "auto-generated"),)  # RFC 3834 §5
LANGUAGE = "en"
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
    is_posted: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """What letters need of the configuration; `give_up` is milliseconds."""

    domain: str
    hostname: str
    give_up: int


class Letters:
    """Composes the mail of one claimed delivery. Thread-safe; keeps nothing."""

    def __init__(
        self,
        *,
        engine: Engine,
        parcels: Parcels,
        keeper: Keeper,
        clock: Clock,
        dkim_keys: Sequence[DkimKey],
        settings: Settings,
        web: Path,
        base_url: Callable[[], str],
    ):
        self._engine, self._parcels, self._keeper = engine, parcels, keeper
        self._clock, self._dkim_keys = clock, dkim_keys
        self._settings, self._base_url = settings, base_url
        self._faces = Faces(web / "mail", web / "translations")
        self._words = self._faces.words(LANGUAGE).gettext

    def compose(self, row: Row) -> Letter:
        """
        Return the mail of a claimed delivery (a row of `deliveries.claim`).

        Raises Moot when there is nothing to send any more, TooLargeToHandOver when it has to go as a link, Refusal
        when it can never leave, Temporary when keeper or store are out of reach, and SealBroken when rows were damaged
        or tampered with.
        """
        kinds = {
            "notice": self._notice,
            "handoff": self._handoff,
            "relay": self._relay,
            "receipt": self._receipt,
            "code": self._code,
            "alert": self._alert,
            "dsn": self._report,
            "tls-report": self._tls_report,
        }
        try:
            return kinds[row["kind"]](row)
        except Denied as gone:  # the keeper knows no such account, code or invitation any more
            raise Moot(str(gone)) from None

    # -- to recipients ------------------------------------------------------------------------------------------------

    def _notice(self, row: Row) -> Letter:
        """Say that a secure message waits, and nothing of it."""
        org, message, address = row["org"], row["message"], row["recipient"]
        if not mailing.still_waits(self._engine, org, message, address):
            raise Moot("taken back or expired before the notice left")
        author = mailing.author(self._engine, org, message)
        teller = mailing.subscriber(self._engine, org, message)  # whose code it is, in a thread with several authors
        told = self._keeper.notice(row["recipient_address"], row["subscriber"], message, author["address"])
        known, phrase = mailing.contact(self._engine, org, address, row["subscriber"])
        name = safe_display_name(author["name"])
        words = self._words
        values = {
            "sender": name or author["address"],
            "sender_address": author["address"],
            "phone": phone_number(author["phone"]),
            "teller": safe_display_name(teller["name"]) or teller["address"],
            "organisation": safe_display_name(author["organisation"]),
            "recipient": told.address,
            "when": moment(row["message_created"]),
            "until": day(row["expires"]),
            "is_known": known,
            "phrase": one_line(phrase),
            "has_account": row["recipient_account"] is not None,
            "link": self._url(f"/m/{told.link.token}"),
            "host": self._host(),
            "number": row["display_id"],
        }
        # An address in a display name is what spam filters look for, so there is a sentence without a name, too.
        return self._mail(
            row,
            "notice",
            author=Mailbox(
                words("%(name)s via CryptnSend") % {"name": name} if name else words("Secure message via CryptnSend"),
                f"notice@{self._settings.domain}",
            ),
            to=told.address,
            subject=(
                words("%(name)s sent you a secure message") % {"name": name}
                if name
                else words("You have a secure message")
            ),
            values=values,
            reply_to=self._local("r+", told.reply.token),
            links=(Link(told.link.row, None), Link(told.reply.row, None)),
        )

    def _handoff(self, row: Row) -> Letter:
        """Bring a message encrypted to an original inbox, or tell that it waits; never who wrote it."""
        org, message, words = row["org"], row["message"], self._words
        if not mailing.still_waits(self._engine, org, message, row["recipient"]):
            raise Moot("taken back before it left")
        to = self._parcels.inbox(row)
        enclosures: tuple[Enclosure, ...] = ()
        answered = mailing.answered(self._engine, org, message)
        file = "secure-reply.zip" if answered is not None else "secure-message.zip"
        if row["form"] == "zip":
            to, octets = self._parcels.locked(row, to)
            enclosures = (Enclosure(file, "application/zip", (octets,)),)
        author = mailing.author(self._engine, org, message)
        told = self._keeper.notice(row["recipient_address"], row["subscriber"], message, author["address"])
        values = {
            "is_reply": answered is not None,
            "is_locked": bool(enclosures),
            "is_instead": row["form"] == "link" and row["decided_form"] != "link",
            "file": file,
            "when": moment(row["message_created"]),
            "link": self._url(f"/m/{told.link.token}"),
            "recipient": to,
            "number": row["display_id"],
        }
        threaded = usable_ids([answered] if answered else [])
        name = words("Secure reply via CryptnSend") if values["is_reply"] else words("Secure message via CryptnSend")
        return self._mail(
            row,
            "reply",
            author=Mailbox(name, self._local("r+", told.reply.token)),
            to=to,
            subject=words("You have a secure reply") if values["is_reply"] else words("You have a secure message"),
            values=values,
            in_reply_to=threaded,
            links=(Link(told.link.row, None), Link(told.reply.row, None)),
            enclosures=enclosures,
        )

    def _relay(self, row: Row) -> Letter:
        """Pass a plain mail on under an address of ours, so that the author's own domain is never pretended."""
        leaving = self._parcels.plain(row)
        key = leaving.keys[:32]
        author = mailing.author(self._engine, row["org"], row["message"])
        token = self._keeper.reply_token(author["address"], row["subscriber"], row["message"])
        name = safe_display_name(author["name"]) or safe_display_name(author["address"].partition("@")[0])
        chunks = self._parcels.raw(row, key)
        header, rest = split_header(chunks)
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
            again = self._parcels.raw(row, key)
            _, begun = split_header(again)
            return chain((row["received"], signature, ours, begun), again)

        path, bounce = self._bounces(row)
        # Other 8-bit headers are old mistakes, which nobody's server declares and most take as they are.
        international = not ours.isascii() and b"with UTF8SMTP" in row["received"]
        links = (Link(token.row, None), bounce)
        tls_class: TlsClass = "proven" if row["tls_class"] == "proven" else "plain"
        return Letter(path, leaving.recipient, octets, tls_class, links, key, international)

    # -- to the people of this house ----------------------------------------------------------------------------------

    def _receipt(self, row: Row) -> Letter:
        """Tell a subscriber which codes to pass on; without anybody's link, subject, file names or counts."""
        waiting = deliveries.newcomers(self._engine, row["org"], row["message"])
        told = self._keeper.receipt(row["subscriber"], waiting)
        codes = {code.address: code for code in told.codes}
        people = [
            _newcomer(address, codes.get(address))
            for address in waiting
            if told.on_portal or (address in codes and codes[address].state not in ("proven", "waived"))
        ]
        if not people:
            raise Moot("nobody needs a code any more")
        words = self._words
        values = {
            "people": people,
            "when": moment(row["message_created"]),
            "recipient": told.address,
            "link": self._url(f"/sent/{row['message']}"),
            "host": self._host(),
        }
        subject = words("Your message is sent. One code to tell.")
        if len(people) > 1:
            subject = words("Your message is sent. Some codes to tell.")
        return self._own(row, "receipt", told.address, subject, values)

    def _code(self, row: Row) -> Letter:
        words = self._words
        if row["template"] == "invitation":
            invited = self._keeper.invitation(row["subject_id"])
            values = {
                "organisation": safe_display_name(invited.organisation_name) if invited.organisation else "",
                "recipient": invited.address,
                "link": self._url(f"/invite/{invited.token}"),
                "code": invited.code,
                "until": moment(invited.expires),
            }
            letter = self._own(row, "invitation", invited.address, words("You are invited to send secure mail"), values)
            return replace(letter, links=(*letter.links, Link(invited.row, invited.expires)))
        told = self._keeper.mail_code(row["subject_id"])
        if told.expires <= self._clock.now() and told.purpose != "exists":
            raise Moot("the code ended before it could leave")
        values = {
            "purpose": told.purpose,
            "code": told.code,  # to be copied, not said
            "until": moment(told.expires),
            "when": moment(row["created"]),
            "recipient": told.address,
            "host": self._host(),
        }
        return self._own(row, "code", told.address, words("Your CryptnSend code"), values)

    def _alert(self, row: Row) -> Letter:
        if row["template"] == "kept":
            return self._kept(row)
        if row["template"] in ("by-mail", "by-mail-kept"):
            return self._by_mail(row)
        to = self._keeper.alert(row["subject_id"])
        values = {
            "template": row["template"],
            "when": moment(row["created"]),
            "recipient": to,
            "host": self._host(),
            "link": "",
        }
        subject = self._words("About your CryptnSend account")
        if row["template"] != "reset-waiting":
            return self._own(row, "alert", to, subject, values)
        # The one warning with a link: by it an owner who can no longer sign in stops the waiting.
        told = self._keeper.warning(row["subject_id"])
        values["link"] = self._url(f"/answer/{told.link.token}")
        letter = self._own(row, "alert", to, subject, values)
        return replace(letter, links=(*letter.links, Link(told.link.row, None)))

    def _kept(self, row: Row) -> Letter:
        """Tell somebody that mail came for them which is kept apart; not who says they wrote it."""
        about = kept.one(self._engine, row["subject_id"], row["message"])
        if about is None:
            raise Moot("deleted before its owner was told")
        to = self._keeper.alert(row["subject_id"])
        values = {
            "reason": about["reason"],
            "when": moment(about["created"]),
            "link": self._url(f"/kept/{row['message']}"),
            "recipient": to,
        }
        return self._own(row, "kept", to, self._words("Mail is kept apart for you"), values)

    def _by_mail(self, row: Row) -> Letter:
        """Tell whoever answered by ordinary mail what became of it, with the link to the page."""
        is_kept = row["template"] == "by-mail-kept"
        to, links = row["recipient_address"], tuple[Link, ...]()
        if row["recipient_account"] == row["subscriber"]:
            to, place = self._keeper.alert(row["subscriber"]), f"/sent/{row['message']}"
        else:
            # The link is good for this address only, and opens nothing without the subscriber's code.
            told = self._keeper.notice(to, row["subscriber"], row["message"] if is_kept else row["parent"])
            place, links = f"/m/{told.link.token}", (Link(told.link.row, None),)
        values = {"is_kept": is_kept, "when": moment(row["created"]), "link": self._url(place), "recipient": to}
        subject = self._words("About your answer by ordinary mail")
        letter = self._own(row, "by-mail", to, subject, values)
        return replace(letter, links=(*letter.links, *links))

    def _report(self, row: Row) -> Letter:
        """Report on one delivery (RFC 3464) to the author's original inbox, in plain words and without content."""
        about = mailing.reported(self._engine, row["org"], row["subject_id"])
        if about is None:
            raise Moot("what it is about is gone")
        to = self._keeper.alert(row["author"])
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
            author=Mailbox(US, f"notice@{self._settings.domain}"),
            hostname=self._settings.hostname,
        )
        octets = build_report(report, self._faces, LANGUAGE)
        # The null reverse-path, so that a report never bounces back (RFC 3464 §2).
        return Letter("", to, self._signed(octets, row))

    def _tls_report(self, row: Row) -> Letter:
        """Report a day's TLS to a domain that asks for it (RFC 8460), by mail or to its web server."""
        about = transport.report(self._engine, row["subject_id"])
        if about is None:
            raise Moot("what it is about is gone")
        ours = self._settings.domain
        name, octets = report_file(self._engine, about, submitter=ours, contact=f"postmaster@{ours}")
        if web(about["rua"]):
            return Letter("", about["rua"], octets, "report", is_posted=True)
        to, author = mailbox(about["rua"]), Mailbox(US, f"notice@{ours}")
        mail = report_mail(
            about, name, octets, to=to, submitter=ours, author=author, ident=self._ident(row), date=row["created"]
        )
        path, bounce = self._bounces(row)
        return Letter(path, to, self._signed(mail, row), "report", links=(bounce,))

    # -- the parts of a mail ------------------------------------------------------------------------------------------

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
                enclosures=enclosures,
                extra=AUTO,
            )
        )
        return Letter(path, to, self._signed(b"".join(built), row), links=(*links, bounce))

    def _signed(self, octets: bytes, row: Row) -> bytes:
        return sign(octets, self._dkim_keys, now=row["created"] // 1000) + octets

    def _ident(self, row: Row) -> str:
        return f"<d{row['id']}@{self._settings.domain}>"

    def _bounces(self, row: Row) -> tuple[str, Link]:
        """Return the envelope sender of a delivery, by which whatever comes back is known again."""
        token = self._keeper.bounce(row["id"])
        return self._local("b+", token.token), Link(token.row, row["created"] + BOUNCES)

    def _local(self, kind: str, token: str) -> str:
        return f"{kind}{token}@{self._settings.domain}"

    def _url(self, path: str) -> str:
        return self._base_url() + path

    def _host(self) -> str:
        return urlsplit(self._base_url()).netloc


def _newcomer(address: str, code: Code | None) -> dict[str, Any]:
    if code is None or code.code is None or code.expires is None:
        return {"address": address, "code": "", "until": "", "tries": 0}
    return {"address": address, "code": _spaced(code.code), "until": moment(code.expires), "tries": code.tries_left}


def _spaced(code: str) -> str:
    """Return a code in two halves, as people say it."""
    half = len(code) // 2
    return f"{code[:half]} {code[half:]}".strip()
