"""How else may a text be read, by a program or by a person who turns it round? Each reading is looked at like the text.

Escapes of programs undone, words in base64 without a label, and letters in the order in which they are shown where
marks of direction turn them. Every reading takes time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

from cryptnsend.core.charsets import lenient_base64

_ESCAPED = re.compile(
    r"\\u\{([0-9a-f]{1,6})\}|\\u([0-9a-f]{4})|\\x([0-9a-f]{2})|%u([0-9a-f]{4})|%([0-9a-f]{2})", re.IGNORECASE
)
_ENTITY = re.compile(r"&#(?:[0-9]{2,7}|x[0-9a-f]{2,6});", re.IGNORECASE)
# An override, up to what ends it or the line (UAX #9 §3.3.2); right-to-left embeddings leave digits as they are.
_TURNED = re.compile("\u202e([^\u202c\u202e\n]++)")
# Fifteen digits hold eleven octets, which is the shortest number that is looked for. Lines that follow belong to it.
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{15,}+(?:\r?\n[A-Za-z0-9+/_-]{4,}+)*+={0,2}")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_PADDING = b"===="
_SAFE = str.maketrans("-_", "+/")  # RFC 4648 §5
_PLAIN = 0.75  # of the octets have to be words; the last line may have been no base64


def readings(text: str) -> Iterator[str]:
    """Yield what a text says when it is read otherwise, as far as it can be."""
    if _ESCAPED.search(text):
        yield _ESCAPED.sub(_unescaped, text)
    if _ENTITY.search(text):
        yield unescape(text)
    if "\u202e" in text:
        yield _TURNED.sub(lambda found: found[1][::-1], text)
    if words := "\n".join(filter(None, (_words(found[0]) for found in _BASE64.finditer(text)))):
        yield words


def _unescaped(found: re.Match[str]) -> str:
    number = int(next(filter(None, found.groups())), 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else " "


def _words(digits: str) -> str:
    """Return what base64 says in words, "" where it says none, as most long names and numbers do."""
    octets = lenient_base64(digits.translate(_SAFE).encode() + _PADDING).replace(b"\0", b"")
    words = _CONTROLS.sub("", octets.decode("utf-8", "ignore"))
    return words if octets and len(words.encode()) >= _PLAIN * len(octets) else ""
