"""What does a delivery status notification look like? RFC 3464 for programs, plain words for people.

A report never carries content, subject or file names: what it returns of the message is its Message-ID and date
(RFC 3461 §4.3 lets RET=HDRS be the most; here it is less).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Row
from cryptnsend.core.mime_build import quoted_printable, rfc_date
from cryptnsend.core.mime_words import encode_field, encode_ids, encode_mailboxes, encode_token
from cryptnsend.flow.mailwords import Faces, moment

ACTIONS = {"failed": "failed", "delayed": "delayed", "relayed": "relayed"}  # RFC 3464 §2.3.3


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `about` is a row of `mailing.reported`; times are UTC milliseconds."""

    what: str  # failed, delayed, relayed
    about: Row
    to: str
    message_id: str  # of the mail it is about
    ident: str  # its own Message-ID
    sent: int
    now: int
    give_up: int
    link: str
    author: Mailbox
    hostname: str


def build_report(report: Report, faces: Faces, words: Callable[[str], str], language: str) -> bytes:
    """Return the whole report as octets."""
    about = report.about
    notice = about["kind"] != "relay"
    subject = {
        "failed": words("Not delivered: your message to %(address)s"),
        "delayed": words("Delayed: your message to %(address)s"),
        "relayed": words("Delivered: your message to %(address)s"),
    }[report.what] % {"address": about["address"]}
    values = {
        "what": report.what,
        "notice": notice,
        "about": about["address"],
        "reply": about["reply"],
        "advice": _advice(_status(about), words),
        "attempts": about["attempts"],
        "since": moment(about["created"]),
        "until": moment(about["created"] + report.give_up),
        "when": moment(report.now),
        "sent": moment(report.sent),
        "link": report.link,
    }
    text, _ = faces.render("report", language, subject, values)
    boundary = "=_r" + report.ident.strip("<>").partition("@")[0]
    head = [
        encode_field("Date", rfc_date(report.now)),
        encode_mailboxes("From", [report.author]),
        encode_mailboxes("To", [Mailbox("", report.to)]),
        encode_field("Subject", subject),
        encode_ids("Message-ID", [report.ident]),
        encode_ids("In-Reply-To", [report.message_id]),
        encode_ids("References", [report.message_id]),
        encode_field("Auto-Submitted", "auto-replied"),
        b"MIME-Version: 1.0\r\n",
        encode_token("Content-Type", "multipart/report", {"report-type": "delivery-status", "boundary": boundary}),
    ]
    parts = [
        encode_token("Content-Type", "text/plain", {"charset": "utf-8"})
        + encode_token("Content-Transfer-Encoding", "quoted-printable")
        + b"\r\n"
        + quoted_printable(text),
        encode_token("Content-Type", "message/delivery-status") + b"\r\n" + _status_fields(report),
        encode_token("Content-Type", "text/rfc822-headers")
        + b"\r\n"
        + encode_ids("Message-ID", [report.message_id])
        + encode_field("Date", rfc_date(report.sent)),
    ]
    line = f"\r\n--{boundary}\r\n".encode()
    return b"".join(head) + b"".join(line + part for part in parts) + f"\r\n--{boundary}--\r\n".encode()


def _status_fields(report: Report) -> bytes:
    """Return the machine's half: fields of the message, then of the recipient (RFC 3464 §2.2, §2.3)."""
    about = report.about
    asked = msgspec.json.decode(about["dsn"], type=dict[str, str])
    outcome = _outcome(about)
    message = [
        encode_field("Reporting-MTA", f"dns; {report.hostname}"),
        encode_field("Arrival-Date", rfc_date(report.sent)),
    ]
    if asked.get("envid"):
        message.insert(0, encode_field("Original-Envelope-Id", asked["envid"]))
    recipient = []
    if asked.get("orcpt"):
        recipient.append(encode_field("Original-Recipient", asked["orcpt"]))
    recipient += [
        encode_field("Final-Recipient", f"rfc822; {about['address']}"),
        encode_field("Action", ACTIONS[report.what]),
        encode_field("Status", _status(about) if report.what != "relayed" else "2.0.0"),
    ]
    if outcome.get("host"):
        recipient.append(encode_field("Remote-MTA", f"dns; {outcome['host']}"))
    if about["reply"] and report.what != "relayed":
        recipient.append(encode_field("Diagnostic-Code", f"smtp; {about['reply']}"))
    if report.what == "delayed":
        recipient.append(encode_field("Will-Retry-Until", rfc_date(about["created"] + report.give_up)))
    return b"".join(message) + b"\r\n" + b"".join(recipient)


def _outcome(about: Row) -> dict[str, str]:
    return msgspec.json.decode(about["outcome"], type=dict[str, str]) if about["outcome"] else {}


def _status(about: Row) -> str:
    return _outcome(about).get("status") or ("5.0.0" if about["state"] == "failed" else "4.0.0")


def _advice(status: str, words: Callable[[str], str]) -> str:
    """Return what the sender can do about an enhanced status code (RFC 3463 §3)."""
    subject, _, detail = status[2:].partition(".")
    if subject == "1":
        return words("The address does not seem to exist. Check it with the recipient, and send again.")
    if subject == "2" and detail == "2":
        return words("Their mailbox is full. Tell them by phone, and send again.")
    if subject == "2":
        return words("Their mailbox takes no mail at the moment. Ask them for another address.")
    if subject in ("3", "4"):
        return words("Their mail server could not be reached. Try again later, or ask for another address.")
    if subject == "7":
        return words("Their mail server does not accept mail from us. Ask them to allow it, or for another address.")
    return words("Try again later, or ask them for another address.")
