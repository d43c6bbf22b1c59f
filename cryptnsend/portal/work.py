"""How does a robot pay for a mail that it wants us to send? By a small sum that takes a browser a second.

The challenge is ALTCHA's: find the number that, behind a given text, has a given SHA-256. It is signed, so nothing is
kept until it is solved; it ends, and each counts once. People see and solve nothing. Without a script there is no sum,
and far fewer mails: that is for the flow to say.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import parse_qs

import msgspec
from altcha.v1 import ChallengeOptions, Payload, create_challenge, verify_solution
from flask import current_app

from cryptnsend.portal.desk import desk

LIFE = 3_600_000  # milliseconds for which a challenge can be solved
LONGEST = 2048  # characters of a solution


class _Solved(msgspec.Struct, forbid_unknown_fields=True):
    algorithm: str
    challenge: str
    number: int
    salt: str
    signature: str
    took: float = 0


def challenge() -> str:
    """Return a new challenge as JSON, for the script of the page."""
    options = ChallengeOptions(
        algorithm="SHA-256",
        max_number=desk().config.visitors.sum_size,
        hmac_key=_key(),
        expires=datetime.fromtimestamp((desk().now() + LIFE) / 1000, UTC),
    )
    made = create_challenge(options)
    return json.dumps(made.to_dict())


def is_done(typed: str) -> bool:
    """Say whether a form carries a solution of a challenge of ours that is neither over nor used; use it up."""
    if not typed or len(typed) > LONGEST:
        return False
    try:
        solved = msgspec.json.decode(base64.b64decode(typed, validate=True), type=_Solved)
        ends = 1000 * int(parse_qs(solved.salt.partition("?")[2].rstrip("&"), strict_parsing=True)["expires"][0])
    except (binascii.Error, msgspec.MsgspecError, ValueError, KeyError):
        return False
    # The end is ours to judge, by our clock; the number is none beyond what was asked for.
    now = desk().now()
    if not now < ends <= now + LIFE or not 0 <= solved.number <= desk().config.visitors.sum_size:
        return False
    if solved.algorithm != "SHA-256" or not solved.salt.endswith("&"):
        return False
    payload = Payload("SHA-256", solved.challenge, solved.number, solved.salt, solved.signature)
    is_right, _ = verify_solution(payload, _key(), check_expires=False)
    if not is_right:
        return False
    return desk().visitors.use(hashlib.sha256(solved.challenge.encode()).digest(), ends)


def _key() -> bytes:
    secret = current_app.secret_key
    octets = secret if isinstance(secret, bytes) else str(secret).encode()
    return hmac.digest(octets, b"cryptnsend/v1 visitors' sums", "sha256")
