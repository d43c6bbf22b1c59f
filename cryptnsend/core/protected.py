"""How does a message leave that only its reader's own key opens? PGP/MIME, S/MIME, and a header that says nothing.

What servers and lists see is the outer header, with words that say nothing. The true one stands inside, as RFC 9788
has it: the payload's Content-Type says `hp="cipher"`, and HP-Outer fields say what stood outside. Older programs look
for `protected-headers="v1"`, which stands there, too. Nothing here encrypts: that is done elsewhere, between `payload`
and `pgp_mime` or `smime`.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Sequence

from cryptnsend.core.mime_words import encode_token

KINDS = ("smime", "openpgp")
NAMES = {"smime": "S/MIME", "openpgp": "OpenPGP"}
_MIME = b"MIME-Version: 1.0\r\n"
_LINE = 57  # octets that make a base64 line of 76 digits
_ARMOR = re.compile(rb"-----BEGIN PGP MESSAGE-----\n[\x20-\x7e\n]*-----END PGP MESSAGE-----\n*")


def payload(inner: Sequence[bytes], outer: Sequence[bytes], boundary: str, parts: Iterable[bytes]) -> bytes:
    """
    Return what is to be encrypted: a multipart/mixed of *parts* under the header fields of *inner* (RFC 9788 §2).

    Each field and part ends in CRLF, and a part has its own header. *outer* are the fields that everybody will see.
    """
    kind = {"boundary": boundary, "hp": "cipher", "protected-headers": "v1"}
    pieces = [*inner, *(b"HP-Outer: " + field for field in outer), _MIME]
    pieces.append(encode_token("Content-Type", "multipart/mixed", kind))
    for part in parts:
        pieces += [f"\r\n--{boundary}\r\n".encode(), part]
    return b"".join((*pieces, f"\r\n--{boundary}--\r\n".encode()))


def pgp_mime(outer: Sequence[bytes], armored: bytes, boundary: str) -> bytes:
    """
    Return a message of two parts (RFC 3156 §4) with an encrypted payload in ASCII armor.

    Raises ValueError for what is no armor: its lines go into the message as they are.
    """
    text = armored.replace(b"\r\n", b"\n")
    if not _ARMOR.fullmatch(text):
        raise ValueError("This is no OpenPGP message in ASCII armor.")
    kind = {"protocol": "application/pgp-encrypted", "boundary": boundary}
    return b"".join(
        (
            *outer,
            _MIME,
            encode_token("Content-Type", "multipart/encrypted", kind),
            f"\r\n--{boundary}\r\n".encode(),
            encode_token("Content-Type", "application/pgp-encrypted"),
            b"\r\nVersion: 1\r\n",
            f"\r\n--{boundary}\r\n".encode(),
            encode_token("Content-Type", "application/octet-stream", {"name": "encrypted.asc"}),
            encode_token("Content-Disposition", "inline", {"filename": "encrypted.asc"}),
            b"\r\n",
            text.rstrip(b"\n").replace(b"\n", b"\r\n"),
            f"\r\n\r\n--{boundary}--\r\n".encode(),
        )
    )


def smime(outer: Sequence[bytes], enveloped: bytes) -> bytes:
    """Return a message that is one application/pkcs7-mime part (RFC 8551 §3.3); *enveloped* is CMS in DER."""
    kind = {"smime-type": "enveloped-data", "name": "smime.p7m"}
    lines = (
        binascii.b2a_base64(enveloped[at : at + _LINE], newline=False) + b"\r\n"
        for at in range(0, len(enveloped), _LINE)
    )
    return b"".join(
        (
            *outer,
            _MIME,
            encode_token("Content-Type", "application/pkcs7-mime", kind),
            encode_token("Content-Disposition", "attachment", {"filename": "smime.p7m"}),
            encode_token("Content-Transfer-Encoding", "base64"),
            b"\r\n",
            *lines,
        )
    )
