"""How does text get into a header field, so that no reader takes it for anything else?

Every field that we write ourselves comes from here: printable ASCII as it is, everything else as encoded-words
(RFC 2047), folded at 76 columns (RFC 5322 §2.1.1). A CR, LF or NUL in a value is refused, never cleaned away.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from urllib.parse import quote

from cryptnsend.core.addresses import Mailbox, canonical

_FOLD_AT = 76
_WORD_OCTETS = 39  # 64 characters as an encoded-word, so that one fits behind a field name (RFC 2047 §2)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


def check_line(text: str) -> str:
    """Return *text*; raise ValueError if it could end a header line or a message."""
    if any(c in text for c in "\r\n\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"):
        raise ValueError("A header field may not contain line breaks.")
    return text


def encode_field(name: str, text: str) -> bytes:
    """Return an unstructured field with its CRLF (Subject and the like); raise ValueError for line breaks in it."""
    return _field(name, _text_words(check_line(text)))


def encode_text(text: str) -> str:
    """Return *text* as the value of an unstructured field, unfolded; raise ValueError for line breaks in it."""
    return " ".join(_text_words(check_line(text)))


def encode_mailboxes(name: str, mailboxes: Sequence[Mailbox]) -> bytes:
    """Return an address field with its CRLF; raise ValueError for line breaks or what is no address."""
    words: list[str] = []
    for at, mailbox in enumerate(mailboxes, 1):
        comma = "," if at < len(mailboxes) else ""
        address = mailbox.address.strip()
        canonical(check_line(address))
        if mailbox.name:
            words += [*_phrase(check_line(mailbox.name)), f"<{address}>{comma}"]
        else:
            words.append(f"{address}{comma}")
    return _field(name, words)


def encode_ids(name: str, idents: Sequence[str]) -> bytes:
    """Return a field of message ids with its CRLF; raise ValueError for what is none."""
    for ident in idents:
        if not re.fullmatch(r"<[^<>\s\x00-\x1f\x7f]{1,990}>", ident):
            raise ValueError("A message id has the form <left@right>.")
    return _field(name, idents)


def encode_token(name: str, value: str, params: dict[str, str] | None = None) -> bytes:
    """
    Return a structured field with parameters and its CRLF, like Content-Type.

    *value* is a bare token; parameter values are quoted, or if they are long or not ASCII in the form of RFC 2231.
    """
    if not re.fullmatch(r"[!#$%&'*+./0-9A-Z^_`a-z{|}~-]+", value):
        raise ValueError("A media type or disposition has characters that are not allowed there.")
    words = [value]
    for key, text in (params or {}).items():
        words[-1] += ";"
        words += _parameter(key, check_line(text))
    return _field(name, words)


def _field(name: str, words: Sequence[str]) -> bytes:
    """Fold words at blanks. A word that is too long for a line stays whole."""
    if not _NAME.fullmatch(name):
        raise ValueError("A field name has letters, digits and hyphens only.")
    lines, line = [], f"{name}:"
    for word in words:
        if len(line) + 1 + len(word) > _FOLD_AT and line.strip() and not line.endswith(":"):
            lines.append(line)
            line = ""
        line += f" {word}"
    lines.append(line)
    return "\r\n".join(lines).encode() + b"\r\n"


def _text_words(text: str) -> list[str]:
    plain = text.isascii() and text.isprintable() and "=?" not in text
    # Leading, trailing and double blanks would not survive folding; a word of 900 characters fits no line.
    if plain and text == " ".join(text.split()) and all(len(word) < 900 for word in text.split()):
        return text.split(" ")
    return _encoded_words(text)


def _phrase(name: str) -> list[str]:
    if not name.isascii() or not name.isprintable() or "=?" in name or len(name) > 250:
        return _encoded_words(name)
    if _ATOMS.fullmatch(name) and name == " ".join(name.split()):
        return name.split(" ")
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']


def _encoded_words(text: str) -> list[str]:
    words, octets = [], b""
    for char in text:
        more = char.encode("utf-8", "replace")
        if len(octets) + len(more) > _WORD_OCTETS:
            words.append(octets)
            octets = b""
        octets += more
    words.append(octets)
    return [f"=?utf-8?b?{binascii.b2a_base64(word, newline=False).decode()}?=" for word in words if word]


def _parameter(key: str, text: str) -> list[str]:
    if text.isascii() and text.isprintable() and len(text) <= 60:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return [f'{key}="{escaped}"']
    encoded = "utf-8''" + quote(text.encode("utf-8", "replace"), safe="!#$&+-.^_`|~")
    if len(encoded) <= 60:
        return [f"{key}*={encoded}"]
    pieces: list[str] = []
    at = 0
    while at < len(encoded):
        end = min(at + 60, len(encoded))
        end -= next((n for n in (1, 2) if encoded[end - n] == "%" and end < len(encoded)), 0)  # cut no %XX in two
        pieces.append(f"{key}*{len(pieces)}*={encoded[at:end]};")
        at = end
    pieces[-1] = pieces[-1].removesuffix(";")
    return pieces
