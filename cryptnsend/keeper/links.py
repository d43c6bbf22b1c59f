"""Which tokens stand in our mails, and are they ours? Minted from the ledger's words, the same at each try.

The random part is computed too, so that a courier that starts again after a crash renders the same mail.
"""

from __future__ import annotations

import hmac

from cryptnsend.core import tokens
from cryptnsend.core.seal import framed
from cryptnsend.core.tokens import LINK_MAC, LOCAL_PART_MAC, Claims
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import LinkRow, Token

# What each purpose is keyed with, and how many octets of MAC there is room for.
_LABELS = {"open": "link", "invite": "link", "answer": "link", "reply": "reply", "bounce": "bounce"}
_OCTETS = {"open": LINK_MAC, "invite": LINK_MAC, "answer": LINK_MAC, "reply": LOCAL_PART_MAC, "bounce": LOCAL_PART_MAC}


def mint(context: Context, purpose: str, address: str, subscriber: int, message: int) -> Token:
    """Return the token for these claims and the row that goes with it."""
    label = _LABELS[purpose]
    key_id = context.secrets.key_id(label)
    key = context.secrets.key(label, key_id)
    named = framed("token id", purpose, address, subscriber, message)
    random_id = hmac.digest(key, named, "sha256")[: tokens.RANDOM_ID]
    claims = Claims(purpose, address, subscriber, message)
    token = tokens.mint(key, key_id, random_id, claims, _OCTETS[purpose])
    return Token(token, LinkRow(random_id, purpose, key_id, address, subscriber, message))


def is_ours(context: Context, token: str, claims: Claims) -> bool:
    """Say whether we minted *token* for exactly these claims."""
    parts, label = tokens.split(token), _LABELS.get(claims.purpose)
    if parts is None or label is None or len(parts[2]) != _OCTETS[claims.purpose]:
        return False
    try:
        key = context.secrets.key(label, parts[0])
    except LookupError:
        return False
    return tokens.verify(key, token, claims)
