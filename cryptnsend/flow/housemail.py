"""What does the house itself write? Receipts, codes, alerts and reports, to the people who have an account here.

Codes and addresses come from the keeper; the row's recipient is not believed for these.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptnsend.core import hooks as hook
from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Row
from cryptnsend.core.names import safe_display_name
from cryptnsend.delivery.tlsrpt import mailbox, web
from cryptnsend.flow.composing import US, Letter, Link
from cryptnsend.flow.heldmail import HeldMail
from cryptnsend.flow.inspecting import TEMPLATE as HELD
from cryptnsend.flow.mailwords import moment
from cryptnsend.flow.parcels import Moot
from cryptnsend.flow.reports import Report, build_report
from cryptnsend.flow.tlsreports import report_file, report_mail
from cryptnsend.keeper.requests import Code
from cryptnsend.store.records import accounts, deliveries, hooks, kept, listing, mailing, reports, transport


class HouseMail(HeldMail):
    """The mails of the house to its own people, each by the row of its delivery."""

    def _receipt(self, row: Row) -> Letter:
        """Tell a subscriber which codes to pass on; without anybody's link, subject, file names or counts."""
        waiting = deliveries.newcomers(self._engine, row["org"], row["message"])
        told = self._keeper.receipt(row["subscriber"], waiting)
        codes = {code.address: code for code in told.codes}
        people = [
            _newcomer(address, codes.get(address), row["language"])
            for address in waiting
            if told.on_portal or (address in codes and codes[address].state not in ("proven", "waived"))
        ]
        if not people:
            raise Moot("nobody needs a code any more")
        words = self._words(row)
        values = {
            "people": people,
            "when": moment(row["message_created"], row["language"]),
            "recipient": told.address,
            "link": self._url(row, f"/sent/{row['message']}"),
            "host": self._host(row),
        }
        subject = words("Your message is sent. One code to tell.")
        if len(people) > 1:
            subject = words("Your message is sent. Some codes to tell.")
        return self._own(row, "receipt", told.address, subject, values)

    def _code(self, row: Row) -> Letter:
        words = self._words(row)
        if row["template"] == "invitation":
            invited = self._keeper.invitation(row["subject_id"])
            values = {
                "organisation": safe_display_name(invited.organisation_name) if invited.organisation else "",
                "recipient": invited.address,
                "link": self._url(row, f"/invite/{invited.token}"),
                "code": invited.code,
                "until": moment(invited.expires, row["language"]),
            }
            letter = self._own(row, "invitation", invited.address, words("You are invited to send secure mail"), values)
            return replace(letter, links=(*letter.links, Link(invited.row, invited.expires)))
        told = self._keeper.mail_code(row["subject_id"])
        if told.code and told.expires <= self._clock.now():
            raise Moot("the code ended before it could leave")
        if not told.code:
            row = self._for_owner(row, told.address)
        words = self._words(row)
        values = {
            "purpose": told.purpose,
            "code": told.code,  # to be copied, not said
            "until": moment(told.expires, row["language"]),
            "when": moment(row["created"], row["language"]),
            "recipient": told.address,
            "host": self._host(row),
        }
        subject = words("Your CryptnSend code") if told.code else words("About your CryptnSend account")
        return self._own(row, "code", told.address, subject, values)

    def _for_owner(self, row: Row, address: str) -> Row:
        """Return the row of a mail in the language of who has the address: it may be a stranger who asked."""
        owner = accounts.by_address(self._engine, address)
        return {**row, "language": owner["locale"] or row["language"]} if owner else row

    def _alert(self, row: Row) -> Letter:
        if row["template"] == "kept":
            return self._kept(row)
        if row["template"] in ("by-mail", "by-mail-kept"):
            return self._by_mail(row)
        if row["template"] == "reported":
            return self._reported(row)
        if row["template"] == HELD:
            return self._held(row)
        if row["template"] == "opened":
            return self._opened(row)
        if row["template"] == "visitor-receipt":
            return self._visited(row)
        if row["template"] in ("asked-code", "asked-again", "asked-own", "code-failed"):
            return self._asked(row)
        # A closed account has no address any more: the keeper remembers it for this one mail.
        is_last = row["template"] == "account-closed"
        to = self._last_address(row["subject_id"]) if is_last else self._keeper.alert(row["subject_id"])
        values = {
            "template": row["template"],
            "when": moment(row["created"], row["language"]),
            "recipient": to,
            "host": self._host(row),
            "link": "",
        }
        words = self._words(row)
        subject = words("About your CryptnSend account")
        if row["template"] != "reset-waiting":
            return self._own(row, "alert", to, subject, values)
        # The one warning with a link: by it an owner who can no longer sign in stops the waiting.
        told = self._keeper.warning(row["subject_id"])
        values["link"] = self._url(row, f"/answer/{told.link.token}")
        letter = self._own(row, "alert", to, subject, values)
        return replace(letter, links=(*letter.links, Link(told.link.row, None)))

    def _reported(self, row: Row) -> Letter:
        """Tell who answers for a sender that a recipient reported a message: who sent it and when, nothing of it."""
        about = listing.message(self._engine, row["message"])
        if about is None:
            raise Moot("the message is gone")
        to = self._keeper.alert(row["subject_id"])
        values = {
            "sender": about["display"],
            "sent": moment(about["created"], row["language"]),
            "when": moment(row["created"], row["language"]),
            "message": str(row["message"]),
            "recipient": to,
        }
        words = self._words(row)
        return self._own(row, "reported", to, words("A message was reported"), values)

    def _opened(self, row: Row) -> Letter:
        """Tell an author who asked for it that a recipient has opened a message; not who, and nothing of it."""
        about = listing.message(self._engine, row["message"])
        if about is None:
            raise Moot("the message is gone")
        to = self._keeper.alert(row["subject_id"])
        values = {
            "sent": moment(about["created"], row["language"]),
            "when": moment(row["created"], row["language"]),
            "link": self._url(row, f"/sent/{row['message']}"),
            "recipient": to,
        }
        words = self._words(row)
        return self._own(row, "opened", to, words("A secure message of yours was opened"), values)

    def _visited(self, row: Row) -> Letter:
        """Tell a visitor that their letter is with the subscriber; nothing of it."""
        about = listing.message(self._engine, row["message"])
        if about is None:
            raise Moot("the message is gone")
        subscriber = mailing.subscriber(self._engine, about["org"], row["message"])
        to = self._keeper.alert(row["subject_id"])
        values = {
            "name": safe_display_name(subscriber["name"]) or subscriber["address"],
            "sent": moment(about["created"], row["language"]),
            "when": moment(row["created"], row["language"]),
            "link": self._url(row, f"/messages/{row['message']}"),
            "recipient": to,
        }
        words = self._words(row)
        return self._own(row, "visited", to, words("Your secure letter has arrived"), values)

    def _asked(self, row: Row) -> Letter:
        """Tell an author that a recipient of theirs asks for a code, or to get a message again; nothing of it."""
        about = listing.message(self._engine, row["message"])
        if about is None:
            raise Moot("the message is gone")
        to = self._keeper.alert(row["author"])
        values = {
            "wants_code": row["template"] in ("asked-code", "code-failed"),
            "wants_own": row["template"] == "asked-own",
            "has_failed": row["template"] == "code-failed",
            "who": row["recipient_address"],
            "sent": moment(about["created"], row["language"]),
            "when": moment(row["created"], row["language"]),
            "link": self._url(row, f"/sent/{row['message']}" if row["author"] == row["subscriber"] else "/messages"),
            "recipient": to,
        }
        words = self._words(row)
        return self._own(row, "asked", to, words("Somebody cannot open your message yet"), values)

    def _last_address(self, subject: int) -> str:
        told = self._keeper.mail_code(subject)
        if told.purpose != "closed":
            raise Moot("this is no word about a closed account")
        return told.address

    def _kept(self, row: Row) -> Letter:
        """Tell somebody that mail came for them which is kept apart; not who says they wrote it."""
        about = kept.one(self._engine, row["subject_id"], row["message"])
        if about is None:
            raise Moot("deleted before its owner was told")
        to = self._keeper.alert(row["subject_id"])
        values = {
            "reason": about["reason"],
            "when": moment(about["created"], row["language"]),
            "link": self._url(row, f"/kept/{row['message']}"),
            "recipient": to,
        }
        words = self._words(row)
        return self._own(row, "kept", to, words("Mail is kept apart for you"), values)

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
        values = {
            "is_kept": is_kept,
            "when": moment(row["created"], row["language"]),
            "link": self._url(row, place),
            "recipient": to,
        }
        words = self._words(row)
        subject = words("About your answer by ordinary mail")
        letter = self._own(row, "by-mail", to, subject, values)
        return replace(letter, links=(*letter.links, *links))

    def _report(self, row: Row) -> Letter:
        """Report on deliveries (RFC 3464) to the author's original inbox, in plain words and without content."""
        about = reports.entries(self._engine, row["org"], row["message"], row["id"])
        if not about:
            raise Moot("what it is about is gone")
        to = self._keeper.alert(row["author"])
        is_answer = row["author"] != row["subscriber"]
        report = Report(
            about=tuple(about),
            to=to,
            message_id=row["message_id"],
            ident=self._ident(row),
            sent=row["message_created"],
            now=row["created"],
            give_up=self._settings.give_up,
            link=self._url(row, f"/{'messages' if is_answer else 'sent'}/{row['message']}"),
            is_answer=is_answer,
            author=Mailbox(US, f"notice@{self._settings.domain}"),
            hostname=self._settings.hostname,
        )
        octets = build_report(report, self._faces, row["language"])
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

    def _hook(self, row: Row) -> Letter:
        """Tell a program of an event; where, whose events, and by which secret they are signed, the keeper says."""
        about = hooks.event(self._engine, row["subject_id"])
        if about is None or not self._policies.now(about["org"]).api:
            raise Moot("its webhook has ended, or the rules allow none any more")
        place = self._keeper.hook(about["hook"])
        whose = (about["account"], about["of"] if about["whole"] else None)
        if whose != (place.account, place.organisation):
            raise Moot("its row is not the webhook that the keeper knows")
        octets = hook.body(about["event"], about["message"], about["created"])
        signed = hook.headers(place.secrets, about["id"], octets, self._clock.now())
        return Letter(
            "", place.url, octets, "report", is_posted=True, posted={**signed, "Content-Type": hook.MEDIA_TYPE}
        )


def _newcomer(address: str, code: Code | None, language: str) -> dict[str, Any]:
    if code is None or code.code is None or code.expires is None:
        return {"address": address, "code": "", "until": "", "tries": 0}
    return {
        "address": address,
        "code": _spaced(code.code),
        "until": moment(code.expires, language),
        "tries": code.tries_left,
    }


def _spaced(code: str) -> str:
    """Return a code in two halves, as people say it."""
    half = len(code) // 2
    return f"{code[:half]} {code[half:]}".strip()
