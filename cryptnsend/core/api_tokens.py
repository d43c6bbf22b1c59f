"""What does a token of the interface for programs look like, and what may one be for?

A token carries its id and 128 bits of chance, as a device password does: it needs no slow hash, and nobody guesses one.
Its prefix lets people and scanners of source code see what it is.
"""

from __future__ import annotations

from collections.abc import Collection

from cryptnsend.core.passwords import format_device_password, parse_device_password

PREFIX = "cns_"
SCOPES = ("send", "status", "expire", "list")
MOST = 20  # live tokens of one account
LONGEST = 366  # days that a token may live
USUAL = 365
_LONGEST_TEXT = 64  # characters


def format_token(ident: int, secret: bytes) -> str:
    """Return the token that carries this id and this secret of 16 octets."""
    return PREFIX + format_device_password(ident, secret).replace("-", "")


def parse_token(text: str) -> tuple[int, bytes] | None:
    """Return id and secret of a token, or None if *text* is none."""
    if not text.startswith(PREFIX) or len(text) > _LONGEST_TEXT or not text.isascii():
        return None
    return parse_device_password(text[len(PREFIX) :])


def write_scopes(scopes: Collection[str]) -> str:
    """Return scopes as one text in their usual order; what is none of SCOPES is left out."""
    return " ".join(each for each in SCOPES if each in scopes)
