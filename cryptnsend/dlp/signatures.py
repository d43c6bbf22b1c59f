"""Is this a signature or a key, in which nobody has written anything? What only says that it is one is read."""

from __future__ import annotations

import binascii
import re

_DER = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_ARMOURED = frozenset({"application/pgp-signature", "application/pgp-keys"})
_MOST = 64 << 10  # octets
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
# A signature beside its content names the content's kind and has none of it (RFC 5652 §5.2).
_DETACHED = (bytes.fromhex("300b06092a864886f70d010701"), bytes.fromhex("308006092a864886f70d0107010000"))
_BLOCK = re.compile(
    rb"-----BEGIN PGP (SIGNATURE|PUBLIC KEY BLOCK)-----\n(?:(?:Version|Hash|Charset|MessageID): [\x20-\x7e]{0,60}\n)*\n"
    rb"([A-Za-z0-9+/=\n]+)\n-----END PGP \1-----\n*"
)
_CHECKSUM = re.compile(rb"\n=[A-Za-z0-9+/]{4}$")


def is_signature(media_type: str, octets: bytes) -> bool:
    """Say whether a part of a signature's type is one: DER of RFC 5652, or ASCII armour of RFC 9580 §6.2, whole."""
    if len(octets) > _MOST:
        return False
    if media_type in _DER:
        return _is_whole(octets) and _SIGNED_DATA in octets[:20] and any(each in octets[:200] for each in _DETACHED)
    return media_type in _ARMOURED and _is_armoured(octets)


def _is_whole(octets: bytes) -> bool:
    """Say whether this is one SEQUENCE from its first octet to its last."""
    if len(octets) < 2 or octets[0] != 0x30:
        return False
    if octets[1] == 0x80:
        return octets.endswith(b"\0\0")
    more = octets[1] & 0x7F if octets[1] & 0x80 else 0
    size = int.from_bytes(octets[2 : 2 + more], "big") if more else octets[1]
    return more <= 4 and len(octets) == 2 + more + size


def _is_armoured(octets: bytes) -> bool:
    text = b"\n".join(line.rstrip() for line in octets.strip().splitlines())
    found = _BLOCK.fullmatch(text)
    if found is None:
        return False
    try:
        packets = binascii.a2b_base64(_CHECKSUM.sub(b"", found[2]).replace(b"\n", b""), strict_mode=True)
    except binascii.Error:
        return False
    return bool(packets) and packets[0] >= 0x80  # every packet begins with that bit (RFC 9580 §4.2)
