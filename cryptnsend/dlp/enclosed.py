"""What is encoded in a text, so that nobody reads it there, and a program or a patient reader can?

The source of a mail that was pasted or saved (MHTML, mbox), files by uuencode, data in links, and files in base64 that
nothing announces.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from itertools import chain
from urllib.parse import unquote_to_bytes

from cryptnsend.core.charsets import lenient_base64

_ENCODED = re.compile(
    r"^content-transfer-encoding:[ \t]{0,9}\"?(base64|quoted-printable)\b[^\n]*+\n", re.IGNORECASE | re.MULTILINE
)
_END = re.compile(r"^(?:--|From )[^\n]", re.MULTILINE)
_UUENCODED = re.compile(r"^begin [0-7]{3,4} ([^\n]{1,200})\n((?:[ -`]{1,64}+\n)++)end[ \t]*$", re.MULTILINE)
_DATA = re.compile(r"\bdata:[a-z0-9.+/-]{0,80}(?:;[a-z0-9=_.\"-]{1,80}){0,4},([^\s\"'<>)]++)", re.IGNORECASE)
# PDF, ZIP, RTF, old Office, winmail.dat: how each begins in base64. Words are found by `readings`.
_BARE = re.compile(
    r"(?<![A-Za-z0-9+/])(?:JVBERi0|UEsDB|e1xydG|0M8R4KGx|eJ8\+I)[A-Za-z0-9+/]{20,}+(?:\n[A-Za-z0-9+/]++)*+"
)
_FOLD = re.compile(r"\r?\n[ \t]")
MOST = 500  # of each kind in one text; who has more is not read to the end


class TooMany(Exception):
    """More is encoded in a text than is looked at."""


def enclosed(text: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name or "", octets) of what is encoded in a text; raise TooMany."""
    text = text.replace("\r\n", "\n")
    for count, each in enumerate(chain(_of_mail(text), _uuencoded(text), _data(text), _bare(text))):
        if count >= MOST:
            raise TooMany
        if each[1].strip():
            yield each


def unfolded(text: str) -> str:
    """Return the lines of a calendar or a card as they were before they were folded (RFC 5545 and 6350, §3.1, §3.2)."""
    text = _FOLD.sub("", text)
    if "QUOTED-PRINTABLE" in text.upper():
        text += "\n" + binascii.a2b_qp(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    return text


def _of_mail(text: str) -> Iterator[tuple[str, bytes]]:
    if "-encoding" not in text.casefold():
        return
    for found in _ENCODED.finditer(text):
        start = text.find("\n\n", found.end() - 1, found.end() + 4000)
        if start < 0:  # a word about such a field, with no body behind it
            continue
        end = _END.search(text, start + 2)
        body = text[start + 2 : end.start() if end else len(text)]
        if found[1].casefold() == "base64":
            yield "", lenient_base64(body.strip().partition("\n\n")[0].encode("ascii", "replace"))
        else:
            yield "", binascii.a2b_qp(body.encode("utf-8", "replace"))


def _uuencoded(text: str) -> Iterator[tuple[str, bytes]]:
    for found in _UUENCODED.finditer(text):
        out = bytearray()
        for line in found[2].splitlines():
            size = (ord(line[0]) - 32) & 63
            want = 1 + (size + 2) // 3 * 4
            try:
                out += binascii.a2b_uu(line[:want].ljust(want, " ").encode("ascii", "replace"))
            except binascii.Error:
                continue
        yield found[1].strip(), bytes(out)


def _bare(text: str) -> Iterator[tuple[str, bytes]]:
    for found in _BARE.finditer(text):
        yield "", lenient_base64(found[0].encode())


def _data(text: str) -> Iterator[tuple[str, bytes]]:
    if "data:" not in text.casefold():
        return
    for found in _DATA.finditer(text):
        octets = unquote_to_bytes(found[1])
        yield "", lenient_base64(octets) if ";base64," in found[0][:500].casefold() else octets
