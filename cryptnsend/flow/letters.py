"""What leaves for one delivery? Notices, handoffs, relayed mail, receipts, codes, alerts and reports.

Links, codes and passphrases come from the keeper together with the only address they may go to; the row's recipient is
not believed for these. Nothing here writes. The same delivery composed twice is the same mail, but for the salt of an
encrypted file: same Message-ID, date, links and words.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Row
from cryptnsend.core.errors import Denied
from cryptnsend.core.mime import Enclosure
from cryptnsend.core.names import safe_display_name
from cryptnsend.core.protected import KINDS
from cryptnsend.flow.composing import Letter, Link
from cryptnsend.flow.documents import FILE as PDF
from cryptnsend.flow.documents import Copy
from cryptnsend.flow.encrypted import Encrypted, Faces
from cryptnsend.flow.housemail import HouseMail
from cryptnsend.flow.journalmail import JournalMail
from cryptnsend.flow.mailwords import day, moment, one_line, phone_number, usable_ids
from cryptnsend.flow.parcels import Moot, TooLargeToHandOver
from cryptnsend.flow.readable import Readable
from cryptnsend.flow.relayed import Relayed
from cryptnsend.keeper.requests import Notice
from cryptnsend.pdf.press import NotMade
from cryptnsend.store.records import mailing

KEY_FIRST = "?key"  # leads whoever follows a link to the key of the PDF that came with it


class Letters(HouseMail, Relayed, Readable, Encrypted, JournalMail):
    """Composes the mail of one claimed delivery. Thread-safe; keeps nothing."""

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
            "journal": self._journal,
            "receipt": self._receipt,
            "code": self._code,
            "alert": self._alert,
            "dsn": self._report,
            "tls-report": self._tls_report,
            "hook": self._hook,
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
        reminder = row["template"]
        if reminder and (row["first_opened"] is not None or row["fetched"] is not None):
            raise Moot("opened before the reminder left")
        author = mailing.author(self._engine, org, message)
        teller = mailing.subscriber(self._engine, org, message)  # whose code it is, in a thread with several authors
        known, phrase = mailing.contact(self._engine, org, address, row["subscriber"])
        if teller["state"] == "closed" and not known:
            raise Moot("its sender has closed the account, and nobody can tell the code for it any more")
        told = self._keeper.notice(row["recipient_address"], row["subscriber"], message, author["address"])
        name = safe_display_name(author["name"])
        words = self._words(row)
        if row["form"] in KINDS:
            return self._encrypted_notice(row, told, author)
        to, enclosures = told.address, tuple[Enclosure, ...]()
        if row["form"] == "pdf":
            to, octets = self._document(row, told.address, author)
            enclosures = (Enclosure(PDF, "application/pdf", (octets,)),)
        values = {
            "file": PDF if enclosures else "",
            "was_to_be_file": row["decided_form"] == "pdf" and not enclosures and not reminder,
            "sender": name or author["address"],
            "sender_address": author["address"],
            "phone": phone_number(author["phone"]),
            "teller": safe_display_name(teller["name"]) or teller["address"] or author["address"],
            "organisation": safe_display_name(author["organisation"]),
            "recipient": to,
            "when": moment(row["message_created"], row["language"]),
            "until": day(mailing.ends(self._engine, org, message, address) or row["expires"], row["language"]),
            "reminder": reminder,
            "is_known": known,
            "phrase": one_line(phrase),
            "has_account": row["recipient_account"] is not None,
            "link": self._url(row, f"/m/{told.link.token}{KEY_FIRST if enclosures else ''}"),
            "host": self._host(row),
            "number": row["display_id"],
            "note": self._policies.now(org).notice_words(row["language"]),
            "footer": self._worn(row).look.footer(row["language"]),
        }
        # An address in a display name is what spam filters look for, so there is a sentence without a name, too.
        return self._mail(
            row,
            "notice",
            author=Mailbox(
                words("%(name)s via CryptnSend") % {"name": name} if name else words("Secure message via CryptnSend"),
                f"notice@{self._settings.domain}",
            ),
            to=to,
            subject=_subject(words, name, reminder),
            values=values,
            reply_to=self._local("r+", told.reply.token),
            links=(Link(told.link.row, None), Link(told.reply.row, None)),
            enclosures=enclosures,
        )

    def _encrypted_notice(self, row: Row, told: Notice, author: Row) -> Letter:
        """Bring a message to somebody whose key its author knows."""
        name, words = safe_display_name(author["name"]), self._words(row)
        values = {
            "is_reply": False,
            "is_locked": False,
            "is_pdf": False,
            "is_readable": False,
            "is_encrypted": True,
            "instead_of": "",
            "file": "",
            "writer": name or author["address"],
            "when": moment(row["message_created"], row["language"]),
            "link": self._url(row, f"/m/{told.link.token}"),
            "recipient": told.address,
            "number": row["display_id"],
        }
        face = Mailbox(
            words("%(name)s via CryptnSend") % {"name": name} if name else words("Secure message via CryptnSend"),
            f"notice@{self._settings.domain}",
        )
        reply = self._local("r+", told.reply.token)
        faces = Faces(face, words("You have a secure message"), values["writer"], reply)
        return self._encrypted(
            row, told.address, faces, values, (), (Link(told.link.row, None), Link(told.reply.row, None))
        )

    def _handoff(self, row: Row) -> Letter:
        """Bring a message to an original inbox, or tell that it waits; who wrote it, only where it arrives readable."""
        org, message, words = row["org"], row["message"], self._words(row)
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
        if row["form"] == "pdf":
            file = PDF
            to, octets = self._document(row, to, author)
            enclosures = (Enclosure(file, "application/pdf", (octets,)),)
        told = self._keeper.notice(row["recipient_address"], row["subscriber"], message, author["address"])
        values = {
            "is_reply": answered is not None,
            "is_locked": row["form"] == "zip",
            "is_pdf": row["form"] == "pdf",
            "is_readable": row["form"] == "tls",
            "is_encrypted": row["form"] in KINDS,
            "instead_of": row["decided_form"] if row["form"] == "link" and row["decided_form"] != "link" else "",
            "file": file,
            "when": moment(row["message_created"], row["language"]),
            "link": self._url(row, f"/m/{told.link.token}{KEY_FIRST if row['form'] == 'pdf' else ''}"),
            "recipient": to,
            "number": row["display_id"],
        }
        threaded = usable_ids([answered] if answered else [])
        name = words("Secure reply via CryptnSend") if values["is_reply"] else words("Secure message via CryptnSend")
        subject = words("You have a secure reply") if values["is_reply"] else words("You have a secure message")
        face, links = Mailbox(name, self._local("r+", told.reply.token)), (told.link.row, told.reply.row)
        tokens = tuple(Link(each, None) for each in links)
        values["writer"] = safe_display_name(author["name"]) or author["address"]
        if row["form"] in KINDS:
            return self._encrypted(row, to, Faces(face, subject, values["writer"]), values, threaded, tokens)
        if row["form"] == "tls":
            return self._readable(row, face, to, subject, values, threaded, tokens)
        return self._mail(
            row,
            "reply",
            author=face,
            to=to,
            subject=subject,
            values=values,
            in_reply_to=threaded,
            links=tokens,
            enclosures=enclosures,
        )

    def _document(self, row: Row, inbox: str, author: Row) -> tuple[str, bytes]:
        """Return the one address that a message may go to as a PDF, and the PDF; raise TooLargeToHandOver."""
        to, index, raw, key = self._parcels.document(row, inbox)
        ends = mailing.ends(self._engine, row["org"], row["message"], row["recipient"])
        copy = Copy(
            message=row["message"],
            organisation=author["look_org"],
            organisation_name=safe_display_name(author["organisation"]) if author["look_org"] else "",
            recipient=row["recipient_address"],
            sender_name=safe_display_name(author["name"]) or author["address"],
            sender_address=author["address"],
            at=row["message_created"],
            until=ends,
            language=row["language"],
        )
        try:
            octets = self._documents.make(copy, index, raw, key)
        except NotMade as reason:
            raise TooLargeToHandOver(str(reason)) from None
        self._parcels.check_size(octets)
        return to, octets


def _subject(words: Callable[[str], str], name: str, reminder: str) -> str:
    if reminder:
        said = (
            words("Reminder: a secure message from %(name)s waits")
            if name
            else words("Reminder: a secure message waits")
        )
    else:
        said = words("%(name)s sent you a secure message") if name else words("You have a secure message")
    return said % {"name": name} if name else said
