"""What do the tokens in links and addresses say, and the codes that senders tell? docs/vault-format.md §8.

A token is a key id, a random id and a MAC over whom and what it is for; nothing of that stands in the token itself, and
no secret is stored for it. Having a token is never enough to open anything.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b32decode, b32encode
from binascii import Error as NotBase32
from dataclasses import dataclass

from cryptnsend.core.seal import framed

KEY_ID = 2  # octets
RANDOM_ID = 10  # octets
LINK_MAC, LOCAL_PART_MAC = 16, 12  # octets; the shorter one leaves room in a local part (RFC 5321 §4.5.3.1.1)

# Digits and capitals without I, L, O and U: nothing looks like something else, and no words arise.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TWO = [first + second for first in ALPHABET for second in ALPHABET]  # ten bits each: every message gets some


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token stands for. All of it enters the MAC; none of it can be read from the token."""

    purpose: str
    address: str  # canonical
    subscriber: int  # account id, 0 if none
    message: int  # 0 if none


def mint(key: bytes, key_id: int, random_id: bytes, claims: Claims, mac_octets: int = LINK_MAC) -> str:
    """
    Return a token as lower-case base32 without padding: 45 characters, or 39 with *mac_octets* = 12.

    *key_id* has 16 bits; *random_id* has 10 octets and names the row that says what the claims are.
    """
    if len(random_id) != RANDOM_ID or mac_octets not in (LINK_MAC, LOCAL_PART_MAC):
        raise ValueError(f"a token has a random id of {RANDOM_ID} octets and a MAC of {LINK_MAC} or {LOCAL_PART_MAC}")
    octets = key_id.to_bytes(KEY_ID, "big") + random_id + _mac(key, key_id, random_id, claims, mac_octets)
    return b32encode(octets).decode().rstrip("=").lower()


def split(token: str) -> tuple[int, bytes, bytes] | None:
    """
    Return key id, random id and MAC of a token, or None if it is not one.

    Capitals are taken too, since some mail systems change the case of local parts. Every token has one spelling apart
    from that: left-over bits that are not zero are refused.
    """
    if len(token) > 64 or not token.isascii():
        return None
    spelled = token.upper()
    try:
        octets = b32decode(spelled + "=" * (-len(spelled) % 8))
    except NotBase32:
        return None
    if len(octets) - KEY_ID - RANDOM_ID not in (LINK_MAC, LOCAL_PART_MAC):
        return None
    if b32encode(octets).decode().rstrip("=") != spelled:
        return None
    return int.from_bytes(octets[:KEY_ID], "big"), octets[KEY_ID : KEY_ID + RANDOM_ID], octets[KEY_ID + RANDOM_ID :]


def verify(key: bytes, token: str, claims: Claims) -> bool:
    """Say, in constant time, whether *token* was minted under *key* for exactly these claims."""
    parts = split(token)
    if parts is None:
        return False
    key_id, random_id, mac = parts
    return hmac.compare_digest(mac, _mac(key, key_id, random_id, claims, len(mac)))


def _mac(key: bytes, key_id: int, random_id: bytes, claims: Claims, octets: int) -> bytes:
    # The MAC's own length goes in, so that a long one cut short is not a short one.
    covered = framed(
        "token", octets, key_id, random_id, claims.purpose, claims.address, claims.subscriber, claims.message
    )
    return hmac.digest(key, covered, "sha256")[:octets]


def display_id(octets: bytes) -> str:
    """
    Return a short number for mails and pages, like "7Q2K-9H3M": 40 bits, for people to compare.

    It is drawn from a hash of *octets*, so that it shows nothing of them even if they also stand in a link.
    """
    short = int.from_bytes(hashlib.sha256(framed("display id", octets)).digest()[:5], "big")
    return f"{_TWO[short >> 30]}{_TWO[short >> 20 & 1023]}-{_TWO[short >> 10 & 1023]}{_TWO[short & 1023]}"


def code(key: bytes, era: int, address: str, subscriber: int, generation: int, digits: int) -> str:
    """
    Return the code that proves one contact: *digits* decimal digits, computed and never stored.

    It is a truncated HMAC. A value past the largest multiple of 10^digits is replaced by the next, because taking it
    modulo would make some codes likelier than others.
    """
    if not 4 <= digits <= 12:
        raise ValueError("a code has 4 to 12 digits")
    codes = 10**digits
    attempt = 0
    while True:
        covered = framed("code", era, address, subscriber, generation, digits, attempt)
        value = int.from_bytes(hmac.digest(key, covered, "sha256")[:8], "big")
        if value < 2**64 - 2**64 % codes:
            return f"{value % codes:0{digits}d}"
        attempt += 1
