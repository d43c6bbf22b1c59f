"""To which pair is sealed what somebody keeps for themselves? Their current one, by the keeper's word.

What answers a message rests in the custody of its conversation. Keeping needs the signed card only, so it works for
somebody whose session has just ended; while the keeper is away, the seeds of who is signed in say it as well.
"""

from __future__ import annotations

from typing import Protocol

from cryptnsend.core import keys
from cryptnsend.core.cards import read_card
from cryptnsend.core.contracts import Engine
from cryptnsend.core.errors import KeeperGone, NoGrant, SealBroken
from cryptnsend.core.model import PairCard, account_holder
from cryptnsend.flow.sessions import Session
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import drafts, grants


class Writer(Protocol):
    """Whose it is: somebody who is signed in, or was until a moment ago."""

    @property
    def account(self) -> int: ...
    @property
    def organisation(self) -> int: ...


def own_pair(engine: Engine, keeper: Keeper, writer: Writer, parent: int = 0) -> PairCard:
    """
    Return the writer's current pair; for what answers the message *parent*, of the custody of that conversation.

    Raises NoGrant for a *parent* that is not theirs, KeeperGone, SealBroken.
    """
    holder, custody = account_holder(writer.account), ""
    if parent:
        held = grants.held(engine, holder, parent)
        if not held:
            raise NoGrant("There is nothing here to answer.")
        custody = held[0]["custody"]
    try:
        signed, card_key = keeper.card(holder), keeper.anchors().card_key
    except KeeperGone:
        own = _by_seeds(engine, writer, holder, custody)
        if own is None:
            raise
        return own
    if signed is None:
        raise NoGrant("There is no such account.")
    card = read_card(signed, card_key)
    if card.holder != holder:
        raise SealBroken("The keeper answered with another holder's card.")
    return card.pair(custody or card.custody)


def _by_seeds(engine: Engine, writer: Writer, holder: str, custody: str) -> PairCard | None:
    """Return the pair without the keeper: from the seed of who is signed in, so that no row can say another."""
    row = drafts.current_pair(engine, holder, custody)
    seed = writer.seeds.get(row["id"]) if row and isinstance(writer, Session) else None
    return PairCard(row["id"], custody, row["suite"], keys.public_of(seed)) if row and seed else None
