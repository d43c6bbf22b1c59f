"""Who can open an organisation's archive? Its officers, each by their strict pair, and a recovery file.

The keeper makes the archive's seed, seals it to the first officer and forgets it: without an officer's password or the
file nothing here opens an archive.

An archive's pair can be replaced by a new one, for when somebody who had its seed should have it no more. The seed of
the earlier one is sealed to the new one, so that whoever opens the archive opens all of it, and whoever only knows the
earlier seed opens nothing of what comes after.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptnsend.core import keys
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant, SealBroken
from cryptnsend.core.model import STRICT, account_holder, archive_holder, new_id
from cryptnsend.keeper import accounts, cards, ledger, recovery, wraps
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.recovery import chain
from cryptnsend.keeper.requests import Earlier, RecoveryFile
from cryptnsend.keeper.rows import Account, Organisation, Pair, Wrap

NOT_OFFICER = "Only officers of the organisation may do this."


def make_organisation(
    context: Context, rows: Rows, name: str, *, single: bool, custody: str, code_rule: str
) -> Organisation:
    """Make an organisation; its archive comes with its first officer."""
    ident = new_id(context.clock.now(), context.rng)
    while ledger.organisation(rows, ident) is not None:
        ident += 1
    made = Organisation(ident, name[: accounts.NAME], int(single), custody, code_rule, 0, b"")
    ledger.insert(rows, "organisations", made)
    return made


def welcome_officer(context: Context, rows: Rows, account: Account) -> None:
    """Make the organisation's archive if this is its first officer; others get their share from an officer."""
    holder = archive_holder(account.org)
    if ledger.pairs(rows, holder):
        return
    pair, seed = wraps.make_pair(context, rows, org=account.org, holder=holder, role="archive", custody=STRICT, line=0)
    _seal(rows, pair, seed, account)
    cards.renew(context, rows, holder)


def share(context: Context, rows: Rows, seed: bytes, account: Account) -> None:
    """Let another officer open the archive too."""
    _seal(rows, accounts.current_pair(rows, archive_holder(account.org), STRICT), seed, account)


def unshare(rows: Rows, account: Account) -> None:
    """Let an account that is no officer any more open the archive no more; its pair has seen the seed all the same."""
    own = {pair.id for pair in ledger.pairs(rows, account_holder(account.id))}
    for wrap in ledger.wraps(rows, archive_holder(account.org)):
        if wrap.kind == wraps.OFFICER and wrap.ref in own:
            ledger.drop_wrap(rows, wrap)


def is_shared(reads: ledger.Reads, account: Account) -> bool:
    """Say whether an officer opens the archive: it is sealed to a pair of theirs that is current."""
    own = {pair.id for pair in ledger.pairs(reads, account_holder(account.id)) if pair.state == "current"}
    return any(
        wrap.kind == wraps.OFFICER and wrap.ref in own for wrap in ledger.wraps(reads, archive_holder(account.org))
    )


def reshare(context: Context, rows: Rows, account: Account, seeds: Mapping[int, bytes]) -> None:
    """Seal the archive to the officer's current pair, if one of *seeds*, from before a reset, opens it."""
    if not account.has("officer"):
        return
    try:
        pair, seed = opened(rows, account, seeds)
    except NoGrant:
        return
    _seal(rows, pair, seed, account)


def opened(reads: ledger.Reads, account: Account, seeds: Mapping[int, bytes]) -> tuple[Pair, bytes]:
    """Return the archive's pair and seed, opened by an officer's own seeds; raise `NoGrant`, `Denied`, `SealBroken`."""
    if not account.has("officer") or not account.org:
        raise Denied(NOT_OFFICER)
    holder = archive_holder(account.org)
    pairs = {pair.id: pair for pair in ledger.pairs(reads, holder) if pair.state == "current"}
    for wrap in ledger.wraps(reads, holder):
        if wrap.kind == wraps.OFFICER and wrap.ref in seeds and wrap.pair in pairs:
            seed = keys.open_with(
                seeds[wrap.ref],
                wrap.wrap,
                label="archive",
                owner=account_holder(account.id),
                holder=holder,
                ref=wrap.pair,
            )
            if keys.public_of(seed) != pairs[wrap.pair].public:
                raise SealBroken("The archive's seed does not belong to its pair.")
            return pairs[wrap.pair], seed
    raise NoGrant("Your password does not open the archive. Another officer can share it with you.")


def replace(context: Context, rows: Rows, account: Account, seeds: Mapping[int, bytes]) -> dict[int, bytes]:
    """
    Give the archive a new pair, opened by every officer who opened the one before; return its id and seed.

    Nothing is sealed to the earlier pair from now on. Recovery files of before open nothing here any more. An officer
    who may not sign in is left out, and another officer lets them in when they may again.
    """
    pair, seed = opened(rows, account, seeds)
    ledger.set_pair(rows, pair.id, state="retired")
    made, fresh = wraps.make_pair(
        context, rows, org=account.org, holder=pair.holder, role="archive", custody=STRICT, line=0
    )
    chained = keys.seal_to(made.public, seed, label="archive", owner=pair.holder, holder=pair.holder, ref=pair.id)
    for wrap in ledger.wraps(rows, pair.holder):
        if wrap.kind != wraps.OFFICER or wrap.pair != pair.id:
            continue
        # To the officer's pair that had it before, current or not: who is on the way back after a reset finds it there.
        own = ledger.pair(rows, wrap.ref)
        officer = accounts.row(rows, int(own.holder.removeprefix("account:"))) if own is not None else None
        if own is not None and officer is not None and _may_open(officer, account.org):
            _seal_to(rows, made, fresh, own)
        ledger.drop_wrap(rows, wrap)
    ledger.set_wrap(rows, Wrap(pair.id, wraps.SUCCESSOR, made.id, b"", "", chained))
    cards.renew(context, rows, pair.holder)
    return {made.id: fresh}


def _may_open(officer: Account, org: int) -> bool:
    return officer.org == org and officer.has("officer") and officer.state not in ("disabled", "closed")


def whole(reads: ledger.Reads, pair: Pair, seed: bytes) -> dict[int, bytes]:
    """Return the seeds of an archive's pair and of all before it, by their ids; raise `SealBroken`."""
    return chain(pair.id, seed, earlier(reads, pair.holder))


def earlier(reads: ledger.Reads, holder: str) -> list[Earlier]:
    """Return what the seeds of an archive's earlier pairs are sealed in; nothing of it is a secret."""
    publics = {pair.id: pair for pair in ledger.pairs(reads, holder)}
    return [
        Earlier(wrap.pair, wrap.ref, holder, publics[wrap.pair].public, wrap.wrap)
        for wrap in ledger.wraps(reads, holder)
        if wrap.kind == wraps.SUCCESSOR
    ]


def file(context: Context, reads: ledger.Reads, account: Account, seeds: Mapping[int, bytes]) -> RecoveryFile:
    """Return a new recovery file of the archive."""
    pair, seed = opened(reads, account, seeds)
    return file_of(context, reads, account, {pair.id: seed})


def file_of(context: Context, reads: ledger.Reads, account: Account, newest: Mapping[int, bytes]) -> RecoveryFile:
    """Return a recovery file that holds the seed of an archive's newest pair, given by its id."""
    ((pair, seed),) = newest.items()
    organisation = ledger.organisation(reads, account.org)
    name = organisation.name if organisation else ""
    return recovery.archive_file(account.org, name, pair, seed, context.clock.now(), context.rng)


def _seal(rows: Rows, pair: Pair, seed: bytes, account: Account) -> None:
    _seal_to(rows, pair, seed, accounts.current_pair(rows, account_holder(account.id), STRICT))


def _seal_to(rows: Rows, pair: Pair, seed: bytes, own: Pair) -> None:
    sealed = keys.seal_to(own.public, seed, label="archive", owner=own.holder, holder=pair.holder, ref=pair.id)
    ledger.set_wrap(rows, Wrap(pair.id, wraps.OFFICER, own.id, b"", "", sealed))
