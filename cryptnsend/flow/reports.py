"""What does a delivery status notification look like? RFC 3464 for programs, plain words for people.

A report never carries content, subject or file names: what it returns of the message is its Message-ID and date
(RFC 3461 §4.3 lets RET=HDRS be the most; here it is less).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Row
from cryptnsend.core.mime_build import quoted_printable, rfc_date
from cryptnsend.core.mime_words import encode_field, encode_ids, encode_mailboxes, encode_token
from cryptnsend.delivery.outcome import Outcome
from cryptnsend.flow.mailwords import Faces, moment, usable_ids

ACTIONS = ("failed", "delayed", "relayed")  # of RFC 3464 §2.3.3, the worst first
_DSN = dict[str, str]
LONGEST = 900  # characters of a line without a space, which nothing can fold (RFC 5322 §2.1.1: 998)


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `about` has rows of `reports.entries`, at least one; times are UTC milliseconds."""

    about: tuple[Row, ...]
    to: str
    message_id: str  # of the mail it is about, as its author's program gave it
    ident: str  # its own Message-ID
    sent: int
    now: int
    give_up: int
    link: str
    is_answer: bool  # of a recipient, who has a page of the message and none of how it stands
    author: Mailbox
    hostname: str


def build_report(report: Report, faces: Faces, language: str) -> bytes:
    """Return the whole report as octets."""
    words = faces.words(language)
    # What is worst comes first, and gives the report its subject.
    about = sorted(report.about, key=lambda each: ACTIONS.index(each["action"]))
    what = about[0]["action"]
    subject = _subject(what, [each["address"] for each in about if each["action"] == what], words.ngettext)
    values = {
        "what": what,
        "each": [_shown(each, report.give_up, words.gettext, language) for each in about],
        "recipient": report.to,
        "sent": moment(report.sent, language),
        "link": report.link,
        "is_answer": report.is_answer,
    }
    text, html = faces.render("report" if len(about) == 1 else "report-of-several", language, subject, values)
    boundary = "=_r" + report.ident.strip("<>").partition("@")[0]
    original = usable_ids([report.message_id])
    head = [
        encode_field("Date", rfc_date(report.now)),
        encode_mailboxes("From", [report.author]),
        encode_mailboxes("To", [Mailbox("", report.to)]),
        encode_field("Subject", subject),
        encode_ids("Message-ID", [report.ident]),
        *(encode_ids(name, original) for name in ("In-Reply-To", "References") if original),
        encode_field("Auto-Submitted", "auto-replied"),
        b"MIME-Version: 1.0\r\n",
        encode_token("Content-Type", "multipart/report", {"report-type": "delivery-status", "boundary": boundary}),
        b"\r\n",
    ]
    parts = (
        _words(text, html, boundary + "_w"),
        encode_token("Content-Type", "message/delivery-status") + b"\r\n" + _status_fields(report),
        encode_token("Content-Type", "text/rfc822-headers")
        + b"\r\n"
        + b"".join(encode_ids("Message-ID", [each]) for each in original)
        + encode_field("Date", rfc_date(report.sent)),
    )
    return b"".join(head) + _joined(parts, boundary)


def _subject(what: str, addresses: Sequence[str], ngettext: Callable[[str, str, int], str]) -> str:
    many = len(addresses)
    return {
        "failed": ngettext(
            "Not delivered: your message to %(address)s", "Not delivered: your message to %(num)s people", many
        ),
        "delayed": ngettext("Delayed: your message to %(address)s", "Delayed: your message to %(num)s people", many),
        "relayed": ngettext(
            "Delivered: your message to %(address)s", "Delivered: your message to %(num)s people", many
        ),
    }[what] % {"address": addresses[0], "num": many}


def _shown(about: Row, give_up: int, words: Callable[[str], str], language: str) -> dict[str, Any]:
    """Return what people are told about one recipient."""
    status, stopped, parked = _status(about), _was_stopped(about), _is_parked(about)
    return {
        "what": about["action"],
        "notice": about["kind"] != "relay",
        "stopped": stopped,
        "parked": parked,
        "is_unseen": status.startswith("4"),
        "about": about["address"],
        "reply": (about["reply"] or _outcome(about).get("code", ""))
        if about["action"] != "relayed" and not parked
        else "",
        "is_ours": _is_ours(about),
        "advice": (
            _parked_advice(words) if parked else _stopped_advice(status, words) if stopped else _advice(status, words)
        ),
        "attempts": about["attempts"],
        "since": moment(about["created"], language),
        "until": moment(about["created"] + give_up, language),
    }


def _words(text: str, html: str, boundary: str) -> bytes:
    """Return the part for people, in both faces."""
    faces = [
        encode_token("Content-Type", kind, {"charset": "utf-8"})
        + encode_token("Content-Transfer-Encoding", "quoted-printable")
        + b"\r\n"
        + quoted_printable(face)
        for kind, face in (("text/plain", text), ("text/html", html))
    ]
    head = encode_token("Content-Type", "multipart/alternative", {"boundary": boundary})
    return head + b"\r\n" + _joined(faces, boundary)


def _joined(parts: Sequence[bytes], boundary: str) -> bytes:
    line = f"\r\n--{boundary}".encode()
    return b"".join(line + b"\r\n" + part for part in parts) + line + b"--\r\n"


def _status_fields(report: Report) -> bytes:
    """Return the machine's half: fields of the message, then of each recipient (RFC 3464 §2.2, §2.3)."""
    message = [
        encode_field("Reporting-MTA", f"dns; {report.hostname}"),
        encode_field("Arrival-Date", rfc_date(report.sent)),
    ]
    # Of the whole envelope, so that each recipient's row has the same.
    if envid := _asked(report.about[0]).get("envid"):
        message.insert(0, encode_field("Original-Envelope-Id", _ascii(envid)))
    return b"\r\n".join([b"".join(message), *(_recipient_fields(each, report.give_up) for each in report.about)])


def _recipient_fields(about: Row, give_up: int) -> bytes:
    asked, outcome, action, recipient = _asked(about), _outcome(about), about["action"], []
    if asked.get("orcpt"):
        kind, _, original = asked["orcpt"].partition(";")
        recipient.append(encode_field("Original-Recipient", f"{_ascii(kind)};{_ascii(original)}"))
    kind = "rfc822" if about["address"].isascii() else "utf-8"
    recipient += [
        encode_field("Final-Recipient", f"{kind};{_ascii(about['address'])}"),
        encode_field("Action", action),
        encode_field("Status", "2.0.0" if action == "relayed" else _status(about)),
    ]
    if host := outcome.get("returned_by") or outcome.get("host"):
        recipient.append(encode_field("Remote-MTA", f"dns; {host}"))
    if (about["reply"] or outcome.get("code")) and action != "relayed":
        said = " ".join(filter(None, (outcome.get("code"), outcome.get("status"), about["reply"])))
        # RFC 3464 §2.3.6: smtp is for what another server said. Programs read its code, so that nothing is encoded.
        kind = (
            "x-scanner" if _was_stopped(about) else "x-cryptnsend" if _is_ours(about) or _is_parked(about) else "smtp"
        )
        recipient.append(encode_field("Diagnostic-Code", f"{kind}; {_ascii(said)[:LONGEST]}"))
    if action == "delayed":
        recipient.append(encode_field("Will-Retry-Until", rfc_date(about["created"] + give_up)))
    return b"".join(recipient)


def _ascii(text: str) -> str:
    r"""Return *text* in ASCII, other characters as \x{…}, which is how a 7-bit report writes them (RFC 6533 §3)."""
    return re.sub(r"[^\x20-\x5b\x5d-\x7e]", lambda found: f"\\x{{{ord(found[0]):X}}}", text)


def _asked(about: Row) -> dict[str, str]:
    return msgspec.json.decode(about["dsn"], type=_DSN)


def _outcome(about: Row) -> dict[str, str]:
    return msgspec.json.decode(about["outcome"], type=_DSN) if about["outcome"] else {}


def _was_stopped(about: Row) -> bool:
    """Say whether a scanner of ours had the last word, and nobody else was asked."""
    return _outcome(about).get("route") == Outcome.SCAN


def _is_ours(about: Row) -> bool:
    """Say whether no other server spoke: the words are what we found out ourselves."""
    return bool(_outcome(about).get("ours"))


def _is_parked(about: Row) -> bool:
    """Say whether it did not leave by a fault of ours, and waits for the operator."""
    is_parked: bool = about["state"] == "parked"
    return is_parked


def _status(about: Row) -> str:
    if _is_parked(about):
        return "5.3.0"
    return _outcome(about).get("status") or ("5.0.0" if about["state"] == "failed" else "4.0.0")


def _parked_advice(words: Callable[[str], str]) -> str:
    return words(
        "You can send it again. If that fails too, tell the people who run this server, and the recipient another way."
    )


def _stopped_advice(status: str, words: Callable[[str], str]) -> str:
    if status.startswith("4"):
        return words("Tell the people who run this server, and send it again when they have seen to it.")
    return words("Send it again without what was found, or without :: in front, as a secure message.")


def _advice(status: str, words: Callable[[str], str]) -> str:
    """Return what the sender can do about an enhanced status code (RFC 3463 §3)."""
    subject, _, detail = status[2:].partition(".")
    if status == "5.1.10":  # null MX (RFC 7505 §4.1)
        return words("What stands after the @ takes no mail at all. Check the address with the recipient.")
    if subject == "1":
        return words("This address does not seem to exist. Check it with the recipient, and send again.")
    if subject == "2" and detail == "2":
        return words("Their mailbox is full. Tell them by phone, and send again.")
    if subject == "2":
        return words("Their mailbox takes no mail at the moment. Ask them for another address.")
    if subject in ("3", "4"):
        return words("Their mail server could not be reached. Try again later, or ask for another address.")
    if subject == "6":
        return words("Their mail server cannot take this kind of mail. Ask them for another address.")
    if subject == "7":
        return words("Their mail server does not accept mail from us. Ask them to allow it, or for another address.")
    return words("Try again later, or ask them for another address.")
