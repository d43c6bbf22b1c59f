"""Sealing as admission does it, for tests of what the keeper releases."""

from __future__ import annotations

import os

from cryptnsend.core import keys
from cryptnsend.core.model import PairCard, account_holder, new_id
from cryptnsend.keeper import requests as q


def sealed_to(
    now: int, pair: PairCard, account: int, contact: str, custody: str, sender: q.Opened | None, role: str = "recipient"
) -> tuple[q.SealedGrant, bytes]:
    """Return a grant sealed to an account's own pair, and its content key."""
    organisation, holder = sender.organisation if sender else 0, account_holder(account)
    message, ident = new_id(now, os.urandom), new_id(now, os.urandom)
    epoch_key, content = os.urandom(32), os.urandom(32)
    sealed = keys.seal_to(pair.public, epoch_key, label="epoch", owner=holder, holder=holder, ref=ident)
    epoch = q.EpochRow(ident, pair.id, pair.suite, holder, holder, sealed)
    binding = keys.GrantBinding(organisation, message, holder, role, contact, custody)
    wrap = keys.wrap_content(epoch_key, content, binding, os.urandom)
    return q.SealedGrant(organisation, message, holder, role, contact, custody, epoch, wrap), content


def queued(now: int, pair: PairCard, recipient: str, form: str, organisation: int = 1) -> tuple[q.QueueGrant, bytes]:
    """Return the grant of mail that waits to leave, and its content key."""
    message, delivery, ident = (new_id(now, os.urandom) for _ in range(3))
    epoch_key, content = os.urandom(32), os.urandom(32)
    sealed = keys.seal_to(pair.public, epoch_key, label="epoch", owner="keeper", holder="queue", ref=ident)
    epoch = q.EpochRow(ident, pair.id, pair.suite, "keeper", "queue", sealed)
    binding = keys.QueueBinding(organisation, message, delivery, recipient, form)
    wrap = keys.wrap_content(epoch_key, content, binding, os.urandom)
    return q.QueueGrant(organisation, message, delivery, recipient, form, epoch, wrap), content
