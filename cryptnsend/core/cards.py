"""Did the keeper say this? Cards and contact statements, as octets under its Ed25519 signature (RFC 8032).

Signing happens in the keeper only; here is what everybody checks with, and the octets that are signed, so that both
sides agree.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cryptnsend.core.errors import SealBroken
from cryptnsend.core.model import Card, ContactStatement, Signed

SIGNATURE = 64  # octets
CARD, CONTACT = "card", "contact"

_encoder = msgspec.json.Encoder(order="sorted")
_cards = msgspec.json.Decoder(Card, strict=True)
_statements = msgspec.json.Decoder(ContactStatement, strict=True)


def body_of(said: Card | ContactStatement) -> bytes:
    """Return the octets that stand for *said*: JSON with sorted keys, octets as base64."""
    return _encoder.encode(said)


def signed_octets(label: str, body: bytes) -> bytes:
    """Return what the signature covers. The label keeps a statement of one kind from passing for another."""
    return b"cryptnsend/v1 " + label.encode() + b"\0" + body


def read_card(signed: Signed, card_key: bytes) -> Card:
    """Return the card if the keeper with this public key signed it; raise `SealBroken`."""
    card: Card = _read(_cards, CARD, signed, card_key)
    return card


def read_statement(statement: bytes, card_key: bytes) -> ContactStatement:
    """Return what a contact's statement says, if the keeper signed it; raise `SealBroken`."""
    said: ContactStatement = _read(_statements, CONTACT, unpacked(statement), card_key)
    return said


def packed(signed: Signed) -> bytes:
    """Return signature and body as one string of octets, as a contact's row holds them."""
    return signed.signature + signed.body


def unpacked(octets: bytes) -> Signed:
    """Return what `packed` put together."""
    return Signed(octets[SIGNATURE:], octets[:SIGNATURE])


def _read(decoder: Any, label: str, signed: Signed, card_key: bytes) -> Any:
    try:
        _public(card_key).verify(signed.signature, signed_octets(label, signed.body))
        return decoder.decode(signed.body)
    except (InvalidSignature, ValueError):  # ValueError: a key, or JSON, of another form
        raise SealBroken(f"A {label} was not signed by this server's keeper.") from None


@lru_cache(maxsize=8)
def _public(card_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(card_key)
