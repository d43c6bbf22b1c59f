"""What opens an account's seeds beside its password? Pairs that grow from what its owner has.

That is the secret of a reading device, or what a passkey's PRF gives: the same 32 octets for the same input each time,
to nobody but this host's pages, and only after the authenticator recognised its owner; with the keeper's salt for this
passkey they are the seed of a pair.

The keeper knows the public half, so that the seeds of pairs made later are sealed to it while the other half is
elsewhere. What belongs to another line of the account (see weakness.py) is not: it comes when its holder has shown that
the two lines are theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptnsend.core import keys
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import SealBroken
from cryptnsend.core.model import account_holder
from cryptnsend.core.passwords import PRF_OUTPUT, device_key, passkey_key
from cryptnsend.core.seal import framed
from cryptnsend.keeper import ledger, passkey_rows
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.rows import Passkey

DEVICE, PASSKEY = "device", "passkey"
_SEEDS = {DEVICE: ledger.device_seeds, PASSKEY: passkey_rows.seeds}
_ADD = {DEVICE: ledger.add_device_seed, PASSKEY: passkey_rows.add_seed}


@dataclass(frozen=True, slots=True)
class Opener:
    """One of them; `kind` is DEVICE or PASSKEY, `public` the half of its pair that the keeper knows."""

    kind: str
    id: int
    line: int
    public: bytes


def all_of(reads: ledger.Reads, account: int) -> list[Opener]:
    """Return an account's reading devices that are not revoked, and its passkeys that open by themselves."""
    devices = [each for each in ledger.devices(reads, account) if each.revoked is None]
    return [
        Opener(kind, each.id, each.line, each.public)
        for kind, found in ((DEVICE, devices), (PASSKEY, passkey_rows.of(reads, account)))
        for each in found
        if each.public is not None
    ]


def of_device(context: Context, reads: ledger.Reads, account: int, device: int, secret: bytes) -> dict[int, bytes]:
    """Return the seeds that are sealed to a device whose secret was checked; none for one that only submits."""
    return _opened(context, reads, account, DEVICE, device, keys.Pair(device_key(secret)))


def of_passkey(context: Context, reads: ledger.Reads, passkey: Passkey, output: bytes) -> dict[int, bytes]:
    """Return the seeds that are sealed to a passkey; none without the output that its pair grew from."""
    if passkey.public is None or passkey_public(output, passkey.salt) != passkey.public:
        return {}
    own = keys.Pair(passkey_key(output, passkey.salt))
    return _opened(context, reads, passkey.account, PASSKEY, passkey.id, own)


def passkey_public(output: bytes, salt: bytes) -> bytes | None:
    """Return the public half of the pair that grows from an output, None without one."""
    return keys.public_of(passkey_key(output, salt)) if len(output) == PRF_OUTPUT else None


def _opened(
    context: Context, reads: ledger.Reads, account: int, kind: str, ident: int, own: keys.Pair
) -> dict[int, bytes]:
    """Return what is sealed to the pair *own* of one of them; raise `SealBroken` for a damaged ledger."""
    holder, seeds = account_holder(account), {}
    publics = {pair.id: pair.public for pair in ledger.pairs(reads, holder)}
    for pair, boxed in _SEEDS[kind](reads, ident).items():
        sealed = keys.unbox(context.secrets.key("outer"), boxed, _place(kind, ident, pair))
        seeds[pair] = own.open(sealed, label=kind, owner=holder, holder=f"{kind}:{ident}", ref=pair)
        if not keys.is_seed_of(seeds[pair], publics.get(pair, b"")):
            raise SealBroken("A seed does not belong to its pair.")
    return seeds


def reseal(context: Context, rows: Rows, account: int, seeds: Mapping[int, bytes]) -> None:
    """Seal these seeds, which are the account's, to those of its openers that are of a pair's line."""
    holder = account_holder(account)
    for each, pair in _lacking(rows, account, seeds, all_of(rows, account)):
        sealed = keys.seal_to(
            each.public, seeds[pair], label=each.kind, owner=holder, holder=f"{each.kind}:{each.id}", ref=pair
        )
        boxed = keys.box(context.secrets.key("outer"), sealed, _place(each.kind, each.id, pair), context.rng)
        _ADD[each.kind](rows, each.id, pair, boxed)


def catch_up(context: Context, account: int, seeds: Mapping[int, bytes]) -> None:
    """Seal what an account's openers lack, where somebody who just signed in has it open."""
    if any(_lacking(context.reads, account, seeds, all_of(context.reads, account))):
        context.commit(lambda rows: reseal(context, rows, account, seeds))


def _lacking(
    reads: ledger.Reads, account: int, seeds: Mapping[int, bytes], openers: Sequence[Opener]
) -> Iterator[tuple[Opener, int]]:
    """Yield each opener with a pair of its line, among those of *seeds*, that it has nothing of."""
    if not openers:
        return
    lines = {pair.id: pair.line for pair in ledger.pairs(reads, account_holder(account))}
    for each in openers:
        missing = seeds.keys() - _SEEDS[each.kind](reads, each.id).keys()
        yield from ((each, pair) for pair in seeds if pair in missing and lines.get(pair) == each.line)


def _place(kind: str, ident: int, pair: int) -> bytes:
    return framed(f"{kind} seed", ident, pair)
