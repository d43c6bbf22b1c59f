"""How far has an audit chain come, on the keeper's word? Two signatures, and the file that keeps them elsewhere.

The chain shows that a row was changed; only what lies out of reach shows that all of it was written anew. A checkpoint
is signed with Ed25519 (RFC 8032), and with ML-DSA-65 (FIPS 204) beside it, so that it still counts when the first of
them does not.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

from cryptnsend.core.errors import SealBroken
from cryptnsend.core.seal import framed

FORMAT = "cryptnsend checkpoints 1"
HASH = 32  # octets


@dataclass(frozen=True, slots=True)
class Keys:
    """The public halves of the keys that sign: Ed25519 and ML-DSA-65, raw."""

    ed25519: bytes
    ml_dsa: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The keeper's word on one chain: at this moment its entry *seq* was its last, with this hash."""

    organisation: int
    seq: int
    hash: bytes
    at: int  # UTC milliseconds
    ed25519: bytes
    ml_dsa: bytes


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a file of checkpoints says: who signed, and what."""

    keys: Keys
    checkpoints: tuple[Checkpoint, ...]


def signed_octets(label: str, organisation: int, seq: int, digest: bytes, at: int) -> bytes:
    """Return what both signatures cover; *label* keeps a word about one kind of chain from passing for another."""
    return b"cryptnsend/v1 " + label.encode() + b"\0" + framed("checkpoint", organisation, seq, digest, at)


def check(point: Checkpoint, keys: Keys, label: str = "checkpoint") -> None:
    """Raise `SealBroken` unless both signatures of *point* are by these *keys*."""
    covered = signed_octets(label, point.organisation, point.seq, point.hash, point.at)
    try:
        Ed25519PublicKey.from_public_bytes(keys.ed25519).verify(point.ed25519, covered)
        MLDSA65PublicKey.from_public_bytes(keys.ml_dsa).verify(point.ml_dsa, covered)
    except (InvalidSignature, ValueError):  # ValueError: a key or a signature of another form
        raise SealBroken(f"The checkpoint of entry {point.seq} was not signed by this key.") from None


def written(keys: Keys, points: Iterable[Checkpoint]) -> str:
    """Return checkpoints as the text of a file, to be kept away from the server."""
    said = {
        "format": FORMAT,
        "keys": {"ed25519": _text(keys.ed25519), "ml-dsa-65": _text(keys.ml_dsa)},
        "checkpoints": [
            {
                "organisation": str(point.organisation),  # 63 bits: more than a number in JSON keeps everywhere
                "entry": point.seq,
                "hash": point.hash.hex(),
                "at": point.at,
                "ed25519": _text(point.ed25519),
                "ml-dsa-65": _text(point.ml_dsa),
            }
            for point in points
        ],
    }
    return json.dumps(said, indent=1) + "\n"


def read(text: str) -> Sheet:
    """Return what a file of checkpoints says, each of them checked. Raise `SealBroken` if it is damaged or none."""
    try:
        said = json.loads(text)
        if said["format"] != FORMAT:
            raise ValueError
        keys = Keys(_octets(said["keys"]["ed25519"]), _octets(said["keys"]["ml-dsa-65"]))
        points = tuple(map(_point, said["checkpoints"]))
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error, RecursionError):
        raise SealBroken("This is not a file of checkpoints, or it is damaged.") from None
    for point in points:
        check(point, keys)
    return Sheet(keys, points)


def of(sheet: Sheet, organisation: int) -> Sequence[Checkpoint]:
    """Return the checkpoints of one organisation's chain, the earliest first."""
    return sorted((each for each in sheet.checkpoints if each.organisation == organisation), key=lambda each: each.seq)


def _point(said: dict[str, Any]) -> Checkpoint:
    digest = bytes.fromhex(said["hash"])
    seq, at = int(said["entry"]), int(said["at"])
    if len(digest) != HASH or seq < 0:
        raise ValueError
    return Checkpoint(int(said["organisation"]), seq, digest, at, _octets(said["ed25519"]), _octets(said["ml-dsa-65"]))


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _octets(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
