"""How is a reply written? RFC 5321 §4.2, with an enhanced status code in every line (RFC 2034 §4)."""

from __future__ import annotations

import re

_LONGEST = 400  # octets of text per line; RFC 5321 §4.5.3.1.5 allows 512 with code, status and CRLF
_UNFIT = re.compile(r"[^\x20-\x7e]+")


def printable(text: str) -> str:
    """Return *text* in printable ASCII: whatever a stranger put into it, it stays one line and no control sequence."""
    return _UNFIT.sub("?", text) if not (text.isascii() and text.isprintable()) else text


def reply(code: int, status: str, text: str) -> bytes:
    """
    Write one reply, in several lines if *text* is long.

    *status* is the enhanced code (RFC 3463), empty only for those replies that have none: the greeting, EHLO, 334, 354.
    """
    lead = f"{status} " if status else ""
    text = printable(text)
    if len(text) <= _LONGEST:
        return f"{code} {lead}{text}\r\n".encode("ascii")
    lines = _wrap(text)
    *firsts, last = lines
    return "".join([*(f"{code}-{lead}{line}\r\n" for line in firsts), f"{code} {lead}{last}\r\n"]).encode("ascii")


def listing(code: int, lines: list[str]) -> bytes:
    """Write a reply whose lines are separate facts, such as the keywords of EHLO, in one piece."""
    *firsts, last = map(printable, lines)
    return "".join([*(f"{code}-{line}\r\n" for line in firsts), f"{code} {last}\r\n"]).encode("ascii")


def _wrap(text: str) -> list[str]:
    lines = []
    while len(text) > _LONGEST:
        cut = text.rfind(" ", 1, _LONGEST)
        cut = cut if cut > 0 else _LONGEST
        lines.append(text[:cut])
        text = text[cut:].lstrip(" ")
    return [*lines, text]
