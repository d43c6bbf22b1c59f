"""What does a mail program show where a message cannot be opened now? A notice in its place that says why.

A notice says what the rows say, never anything of the content. Its octets are kept, because what once was served under
a UID never changes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from email.utils import formatdate

from cryptnsend.core.contracts import Row
from cryptnsend.core.mime_words import encode_field
from cryptnsend.flow.arrival import is_over

EXPIRED, SUSPENDED, CODE, WAITING, LOCKED = "expired", "suspended", "code", "waiting", "locked"


def _told(words: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    """Return subject and text of each kind of notice, `%(author)s` standing for who wrote."""
    return {
        EXPIRED: (
            words("A secure message has expired"),
            words(
                "The time of this message from %(author)s is over, so it can no longer be opened. Ask the sender to"
                " send it again."
            ),
        ),
        SUSPENDED: (
            words("A secure message was taken back"),
            words("This message from %(author)s was taken back, so it cannot be opened now."),
        ),
        CODE: (
            words("A secure message waits for its code"),
            words(
                "This message from %(author)s opens with a code that its sender tells you. Open the link in the mail"
                " that told you of it, or sign in on the page, and type the code there. The message then takes the"
                " place of this note."
            ),
        ),
        WAITING: (
            words("A secure message waits for you to confirm who you are"),
            words(
                "The password of this account was reset by mail. Confirm on the page that it is you; this message from"
                " %(author)s then takes the place of this note."
            ),
        ),
        LOCKED: (
            words("A secure message is locked"),
            words(
                "This message from %(author)s was sealed before the password of this account was reset. Show on the"
                " page that it is you, with the old password, the recovery code or a device password; the message then"
                " takes the place of this note."
            ),
        ),
    }


def why(grant: Row | None, message: Row, now: int) -> str:
    """
    Return why a notice stands in for a message, "" if none is needed.

    *grant* is that of its holder, None where it is gone; *message* tells when its time is over.
    """
    if grant is None:
        return EXPIRED
    if grant["state"] != "active":
        return EXPIRED if is_over(message, now) else SUSPENDED
    if grant["pair_role"] != "account":
        return CODE if grant["contact"] else WAITING
    return LOCKED if grant["pair_state"] in ("withheld", "locked") else ""


def notice(kind: str, message: Row, domain: str, words: Callable[[str], str]) -> bytes:
    """Return the octets of a notice about *message*, a row of `listing.message`, in the language of *words*."""
    author = str(message["display"])
    subject, text = _told(words)[kind]
    lines = textwrap.fill(text % {"author": author}, 72, break_long_words=False, break_on_hyphens=False)
    fields = [
        f"From: <{author}>",
        f"Date: {formatdate(message['created'] / 1000)}",
        encode_field("Subject", subject).decode("ascii").rstrip("\r\n"),
        f"Message-ID: <{kind}.{message['id']}@{domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    ]
    return "\r\n".join([*fields, "", *lines.splitlines(), ""]).encode()
