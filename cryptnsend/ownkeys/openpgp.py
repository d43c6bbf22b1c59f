"""What does an OpenPGP key say, and how is mail encrypted to it? RFC 9580, by way of Sequoia.

Sequoia has a policy of its own, which leaves out names and keys that rest on broken algorithms. Packets are looked at
one by one before: there is one key, no private part, and nothing that unpacks into something larger.
"""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from datetime import timedelta

import pysequoia
from pysequoia.packet import Packet, PacketPile, SignatureType, Tag

from cryptnsend.core.addresses import canonical
from cryptnsend.ownkeys.reading import (
    LEAST_RSA,
    MOST_KEY,
    MOST_NAMES,
    MOST_RSA,
    NAME,
    OwnKey,
    Unusable,
    check_time,
)

_BLOCK = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\r?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL
)
_TAGS = (Tag.PublicKey, Tag.PublicSubkey, Tag.UserID, Tag.UserAttribute, Tag.Signature)
_PRIVATE = (Tag.SecretKey, Tag.SecretSubkey)
_MOST_PACKETS, _MOST_SUBKEYS = 600, 40
_RSA = (1, 2, 3)  # RFC 9580 §9.1


def blocks(octets: bytes) -> list[bytes]:
    """Return the armored keys that stand in *octets*, without their armor; raise Unusable for a broken one."""
    return [_dearmored(each) for each in _BLOCK.findall(octets)]


def read(octets: bytes, now: int) -> OwnKey:
    """Return what a key says, armored or not; raise Unusable."""
    found = blocks(octets)
    if len(found) > 1:
        raise Unusable("several")
    octets = found[0] if found else octets
    if len(octets) > MOST_KEY:
        raise Unusable("too-large")
    packets = _packets(octets)
    try:
        cert = pysequoia.Cert.from_bytes(octets)
    except Exception:  # Sequoia has one kind of error for everything
        raise Unusable("no-key") from None
    algorithm = _checked(packets)
    try:
        if cert.is_revoked:
            raise Unusable("revoked", cert.fingerprint.lower())
        names = tuple(str(each)[:NAME] for each in cert.user_ids)
        ends = _ends(cert, packets)
    except RuntimeError:  # its policy wants nothing of it
        raise Unusable("weak") from None
    starts = int(packets[0].key_created.timestamp() * 1000) if packets[0].key_created else 0
    check_time(starts, ends, now)
    _encrypted(cert, b"")
    return OwnKey(
        "openpgp", octets, cert.fingerprint.lower(), names, _addresses(packets, names), algorithm, starts, ends
    )


def lock(key: bytes, content: bytes, now: int) -> bytes:
    """Return *content* as an OpenPGP message in ASCII armor; raise Unusable."""
    read(key, now)
    return _encrypted(pysequoia.Cert.from_bytes(key), content)


def sample() -> bytes:
    """Return a key that nobody has the other half of."""
    return bytes(pysequoia.Tsk.generate("Nobody <nobody@example.com>").extract_certificate())


def _encrypted(cert: pysequoia.Cert, content: bytes) -> bytes:
    try:
        return bytes(pysequoia.encrypt(content, recipients=[cert]))
    except RuntimeError:
        raise Unusable("no-encryption") from None


def _dearmored(body: bytes) -> bytes:
    """Return the octets of an armored block (RFC 9580 §6.2): header lines, an empty line, base64, a checksum."""
    _, empty, digits = body.replace(b"\r\n", b"\n").partition(b"\n\n")
    digits = digits if empty else body
    lines = [line.strip() for line in digits.split(b"\n")]
    try:
        return base64.b64decode(b"".join(line for line in lines if line and not line.startswith(b"=")), validate=True)
    except binascii.Error:
        raise Unusable("no-key") from None


def _packets(octets: bytes) -> list[Packet]:
    """Return the packets; raise Unusable where there is something besides one public key and what belongs to it."""
    # Looked at before Sequoia does: a packet of another kind may have packets inside, packed a thousand times smaller.
    if not octets or octets[0] & 0x80 == 0:
        raise Unusable("no-key")
    first = octets[0] & 0x3F if octets[0] & 0x40 else octets[0] >> 2 & 0x0F
    if first == 5:  # RFC 9580 §5: a private key
        raise Unusable("private")
    if first != 6:
        raise Unusable("no-key")
    try:
        packets = list(PacketPile.from_bytes(octets))
    except Exception:  # Sequoia has one kind of error for everything
        raise Unusable("no-key") from None
    tags = [each.tag for each in packets]
    if any(tag in _PRIVATE for tag in tags):
        raise Unusable("private")
    if tags.count(Tag.PublicKey) != 1:
        raise Unusable("several")
    if any(tag not in _TAGS for tag in tags):
        raise Unusable("no-key")
    if tags.count(Tag.UserID) + tags.count(Tag.UserAttribute) > MOST_NAMES:
        raise Unusable("many-names")
    if len(tags) > _MOST_PACKETS or tags.count(Tag.PublicSubkey) > _MOST_SUBKEYS:
        raise Unusable("too-large")
    return packets


def _checked(packets: list[Packet]) -> str:
    """Return the algorithm of the first key in words; raise Unusable for one that is too short or too long."""
    said = ""
    for packet in packets:
        if packet.tag not in (Tag.PublicKey, Tag.PublicSubkey):
            continue
        body = packet.body
        bits = 0
        if len(body) > 8 and body[0] == 4 and body[5] in _RSA:
            bits = int.from_bytes(body[6:8], "big")
            if bits < LEAST_RSA:
                raise Unusable("weak")
            if bits > MOST_RSA:
                raise Unusable("too-large")
        said = said or (f"RSA {bits}" if bits else str(packet.key_algorithm).rpartition(".")[2])
    return said


def _ends(cert: pysequoia.Cert, packets: list[Packet]) -> int | None:
    """Return when the key, or the last of its parts that encrypts, ends by itself; None for never."""
    whole = int(cert.expiration.timestamp() * 1000) if cert.expiration else None
    parts: dict[bytes, int | None] = {}
    subkey: Packet | None = None
    for packet in packets:
        if packet.tag in (Tag.PublicKey, Tag.PublicSubkey):
            subkey = packet if packet.tag == Tag.PublicSubkey else None
        elif subkey is not None and packet.signature_type == SignatureType.SubkeyBinding and _encrypts(packet):
            valid: timedelta | None = packet.key_validity_period
            made = subkey.key_created
            parts[subkey.body] = int((made + valid).timestamp() * 1000) if valid and made else None
    if not parts or None in parts.values():
        return whole
    last = max(each for each in parts.values() if each is not None)
    return last if whole is None else min(last, whole)


def _encrypts(packet: Packet) -> bool:
    said = str(packet.key_flags)
    return "transport_encryption" in said or "storage_encryption" in said


def _addresses(packets: list[Packet], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses of those user ids that count."""
    found = []
    for packet in packets:
        if packet.tag == Tag.UserID and packet.user_id and packet.user_id[:NAME] in names:
            with suppress(ValueError, TypeError, RuntimeError):
                found.append(canonical(packet.user_id_email or ""))
    return tuple(dict.fromkeys(found))
