"""Did a program write this mail, or has it gone in circles? RFC 3834 §2 and §5, and the marks older programs leave.

Answering a program's answer is how loops begin, so whatever bears one of these marks is taken and never answered. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_HOPS = 50  # Received fields after which a mail is taken to go in circles (RFC 5321 §6.3 asks for 100 at most)

_COMMENT = re.compile(r"\([^()]*\)")
_ALWAYS = frozenset({b"x-autoreply", b"x-autorespond", b"x-autoresponder", b"x-auto-reply", b"x-mail-autoreply"})
_LISTS = frozenset({b"list-id", b"list-post", b"list-unsubscribe"})
_PRECEDENCES = {"auto_reply": "auto-replied", "bulk": "bulk", "junk": "bulk", "list": "bulk"}


def automatic(header: bytes, *, null_sender: bool = False) -> str:
    """
    Return which kind of program wrote a mail, or "" if a person may have.

    "auto-replied" (an absence note, a receipt), "auto-generated" (any other program), "auto-notified", "bulk" (a list),
    or "bounce" for a mail with a null reverse-path that bears no other mark. Never raises, whatever the octets.
    """
    bulk = ""
    for name, value in _fields(header):
        if name == b"auto-submitted":
            word = _COMMENT.sub(" ", value).partition(";")[0].strip().lower()
            if word != "no":
                return word if word in ("auto-replied", "auto-generated", "auto-notified") else "auto-generated"
        elif name in _ALWAYS and value.strip().lower() != "no":
            return "auto-replied"
        elif name == b"precedence":
            found = _PRECEDENCES.get(value.strip().lower(), "")
            if found == "auto-replied":
                return found
            bulk = bulk or found
        elif name in _LISTS:
            bulk = bulk or "bulk"
    return bulk or ("bounce" if null_sender else "")


def hops(header: bytes) -> int:
    """Return through how many servers a mail came, by its Received fields (RFC 5321 §4.4)."""
    return sum(1 for name, _ in _fields(header) if name == b"received")


def _fields(header: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield (lower-case name, value) of each field; what is no field is passed over."""
    for line in header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            yield name.rstrip(b" \t").lower(), value.decode("latin-1")
