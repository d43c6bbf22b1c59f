"""What does a mail program show where a message cannot be opened now? A notice in its place that says why.

A notice says what the rows say, never anything of the content. Its octets are kept, because what once was served under
a UID never changes.
"""

from __future__ import annotations

import textwrap
from email.utils import formatdate

from cryptnsend.core.contracts import Row
from cryptnsend.flow.arrival import is_over

EXPIRED, SUSPENDED, CODE, WAITING, LOCKED = "expired", "suspended", "code", "waiting", "locked"

_SUBJECTS = {
    EXPIRED: "A secure message has expired",
    SUSPENDED: "A secure message was taken back",
    CODE: "A secure message waits for its code",
    WAITING: "A secure message waits for you to confirm who you are",
    LOCKED: "A secure message is locked",
}
_WORDS = {
    EXPIRED: "The time of this message from {author} is over, so it can no longer be opened. Ask the sender to send it"
    " again.",
    SUSPENDED: "This message from {author} was taken back, so it cannot be opened now.",
    CODE: "This message from {author} opens with a code that its sender tells you. Open the link in the mail that told"
    " you of it, or sign in on the page, and type the code there. The message then takes the place of this note.",
    WAITING: "The password of this account was reset by mail. Confirm on the page that it is you; this message from"
    " {author} then takes the place of this note.",
    LOCKED: "This message from {author} was sealed before the password of this account was reset. Show on the page that"
    " it is you, with the old password, the recovery code or a device password; the message then takes the place of"
    " this note.",
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


def notice(kind: str, message: Row, domain: str) -> bytes:
    """Return the octets of a notice about *message*, a row of `listing.message`."""
    author = str(message["display"])
    words = textwrap.fill(_WORDS[kind].format(author=author), 72, break_long_words=False, break_on_hyphens=False)
    fields = [
        f"From: <{author}>",
        f"Date: {formatdate(message['created'] / 1000)}",
        f"Subject: {_SUBJECTS[kind]}",
        f"Message-ID: <{kind}.{message['id']}@{domain}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    ]
    return "\r\n".join([*fields, "", *words.splitlines(), ""]).encode()
