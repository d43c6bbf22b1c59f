"""What opens a pair's seed? A password or a recovery code, each with the keeper's own wrap around it; or the keeper.

The keeper's wrap around a password's wrap means that who steals the ledger cannot guess passwords without the master
key. It also tells damage from a wrong password: what the keeper's wrap lets through is whole.
"""

from __future__ import annotations

from cryptnsend.core import keys, passwords
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import SealBroken, WrongSecret
from cryptnsend.core.model import MANAGED, Random, account_holder, new_id
from cryptnsend.core.seal import framed
from cryptnsend.keeper import ledger
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.rows import Account, Pair, Wrap

# Kinds as the ledger has them, and what the wrap itself is bound to: an earlier password is a password.
PASSWORD, EARLIER, RECOVERY, OFFICER = "password", "earlier", "recovery", "officer"
SUCCESSOR = "successor"  # of an archive's pair: sealed to the one that came after it
_BOUND = {PASSWORD: "password", EARLIER: "password", RECOVERY: "recovery"}
WRONG_PASSWORD = "The address or the password is not right."  # noqa: S105


def make_pair(
    context: Context, rows: Rows, *, org: int, holder: str, role: str, custody: str, line: int
) -> tuple[Pair, bytes]:
    """Make a current pair and return it with its seed; that of an account's managed pair is also kept for recovery."""
    seed = keys.new_seed(context.rng)
    now = context.clock.now()
    ident = new_id(now, context.rng)
    while ledger.pair(rows, ident) is not None:
        ident += 1
    kept = None
    if role == "account" and custody == MANAGED:
        kept = keys.box(context.secrets.key("recovery"), seed, framed("recovery", ident, holder), context.rng)
    public = keys.public_of(seed)
    pair = Pair(ident, org, holder, role, custody, keys.SUITE, public, kept, "current", line, now)
    ledger.insert(rows, "pairs", pair)
    return pair, seed


def recovered(context: Context, pair: Pair) -> bytes:
    """Return the seed of a managed pair; raise `SealBroken` if the ledger has none that fits."""
    if pair.recovery_wrap is None or pair.custody != MANAGED:
        raise SealBroken("This pair is not kept for recovery.")
    return unwrapped(context, pair.recovery_wrap, framed("recovery", pair.id, pair.holder))


def unwrapped(context: Context, boxed: bytes, place: bytes) -> bytes:
    """Return what is under a recovery key, the newest or, while it is replaced, one before; raise `SealBroken`."""
    for key_id in (context.secrets.key_id("recovery"), *context.secrets.older("recovery")):
        try:
            return keys.unbox(context.secrets.key("recovery", key_id), boxed, place)
        except (SealBroken, LookupError):
            continue
    raise SealBroken("A wrapped key does not fit its place.")


def wrap(context: Context, pair: int, kind: str, k: bytes, seed: bytes) -> Wrap:
    """Wrap a seed under K, and that under the keeper's own key."""
    inner = passwords.wrap_seed(k, seed, pair=pair, kind=_BOUND[kind], rng=context.rng)
    return Wrap(pair, kind, 0, b"", "", keys.box(context.secrets.key("outer"), inner, _outer(pair, kind), context.rng))


def unwrap(context: Context, found: Wrap, k: bytes) -> bytes:
    """Return the seed; raise `WrongSecret` if K is not the one, `SealBroken` if the wrap is damaged."""
    inner = keys.unbox(context.secrets.key("outer"), found.wrap, _outer(found.pair, found.kind))
    return passwords.unwrap_seed(k, inner, pair=found.pair, kind=_BOUND[found.kind])


def make_decoy(outer_key: bytes, rng: Random) -> bytes:
    """Return a wrap that nothing opens."""
    inner = passwords.wrap_seed(rng(32), rng(32), pair=0, kind="password", rng=rng)
    return keys.box(outer_key, inner, _outer(0, PASSWORD), rng)


def seeds(context: Context, reads: ledger.Reads, account: Account | None, k: bytes) -> dict[int, bytes]:
    """
    Return the seeds that K opens as today's password of *account*: this is the password check.

    Without an account it does the same work and raises `WrongSecret` like for a wrong password. Raise `SealBroken` if
    a wrap is damaged, or does not fit the pair it is said to open.
    """
    holder = account_holder(account.id if account else 0)
    pairs = {pair.id: pair for pair in ledger.pairs(reads, holder)}
    found = [each for each in ledger.wraps(reads, holder) if each.kind == PASSWORD]
    decoy = Wrap(0, PASSWORD, 0, b"", "", context.decoy)
    opened: dict[int, bytes] = {}
    for each in found or [decoy]:
        try:
            seed = unwrap(context, each, k)
        except WrongSecret:
            if opened:
                raise SealBroken("A wrapped seed is not under the same password as the others.") from None
            raise WrongSecret(WRONG_PASSWORD) from None
        if keys.public_of(seed) != pairs[each.pair].public:
            raise SealBroken("A seed does not belong to its pair.")
        opened[each.pair] = seed
    return opened


def _outer(pair: int, kind: str) -> bytes:
    return framed("outer", pair, _BOUND[kind])
