"""What does a passkey open by itself? The seeds that were sealed to a pair which grows from its PRF output.

An authenticator gives the same 32 octets for the same input each time, to nobody but this host's pages, and only after
it recognised its owner. With the keeper's salt for this passkey they are the seed of a pair, whose public half the
keeper knows, as that of a reading device (devices.py): pairs made later can be added while the passkey is elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptnsend.core import keys
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import SealBroken
from cryptnsend.core.model import account_holder
from cryptnsend.core.passwords import PRF_OUTPUT, passkey_key
from cryptnsend.core.seal import framed
from cryptnsend.keeper import devices, ledger, passkey_rows
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.rows import Passkey


def public_of(output: bytes, salt: bytes) -> bytes | None:
    """Return the public half of the pair that grows from an output, None without one."""
    return keys.public_of(passkey_key(output, salt)) if len(output) == PRF_OUTPUT else None


def open_seeds(context: Context, reads: ledger.Reads, passkey: Passkey, output: bytes) -> dict[int, bytes]:
    """Return the seeds that are sealed to a passkey; none without the output that its pair grew from."""
    if passkey.public is None or public_of(output, passkey.salt) != passkey.public:
        return {}
    holder, seeds = account_holder(passkey.account), {}
    publics = {pair.id: pair.public for pair in ledger.pairs(reads, holder)}
    own = keys.Pair(passkey_key(output, passkey.salt))
    for pair, boxed in passkey_rows.seeds(reads, passkey.id).items():
        sealed = keys.unbox(context.secrets.key("outer"), boxed, _place(passkey.id, pair))
        seeds[pair] = own.open(sealed, label="passkey", owner=holder, holder=f"passkey:{passkey.id}", ref=pair)
        if not keys.is_seed_of(seeds[pair], publics.get(pair, b"")):
            raise SealBroken("A seed does not belong to its pair.")
    return seeds


def reseal(context: Context, rows: Rows, account: int, seeds: Mapping[int, bytes]) -> None:
    """Seal these seeds, which are the account's, to its passkeys and reading devices of each pair's line."""
    devices.reseal(context, rows, account, seeds)
    opening = [each for each in passkey_rows.of(rows, account) if each.public is not None]
    lines = {pair.id: pair.line for pair in ledger.pairs(rows, account_holder(account))} if opening else {}
    for passkey in opening:
        known = passkey_rows.seeds(rows, passkey.id)
        for pair, seed in seeds.items():
            if pair not in known and lines.get(pair) == passkey.line:
                passkey_rows.add_seed(rows, passkey.id, pair, _sealed(context, passkey, pair, seed))


def catch_up(context: Context, account: int, seeds: Mapping[int, bytes]) -> None:
    """Seal what an account's passkeys and reading devices lack, where somebody who just signed in has it open."""
    if devices.lacks(context.reads, account, seeds) or _lacks(context.reads, account, seeds):
        context.commit(lambda rows: reseal(context, rows, account, seeds))


def _lacks(reads: ledger.Reads, account: int, seeds: Mapping[int, bytes]) -> bool:
    opening = [each for each in passkey_rows.of(reads, account) if each.public is not None]
    if not opening:
        return False
    lines = {pair.id: pair.line for pair in ledger.pairs(reads, account_holder(account))}
    return any(
        lines.get(pair) == passkey.line
        for passkey in opening
        for pair in seeds.keys() - passkey_rows.seeds(reads, passkey.id).keys()
    )


def _sealed(context: Context, passkey: Passkey, pair: int, seed: bytes) -> bytes:
    holder = account_holder(passkey.account)
    sealed = keys.seal_to(
        passkey.public or b"", seed, label="passkey", owner=holder, holder=f"passkey:{passkey.id}", ref=pair
    )
    return keys.box(context.secrets.key("outer"), sealed, _place(passkey.id, pair), context.rng)


def _place(passkey: int, pair: int) -> bytes:
    return framed("passkey seed", passkey, pair)
