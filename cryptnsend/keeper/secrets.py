"""Which keys does the keeper have? Made at its first start, at rest only as the provider wraps them.

Each label has a purpose of its own, so that octets made for one never pass for another. The seeds of the pending and
the queue pair are secrets too; their key id is the pair's id.
"""

from __future__ import annotations

import threading

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cryptnsend.core import keys
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import SealBroken
from cryptnsend.core.model import INSTALLATION, KEEPER, MANAGED, PairCard, Random, new_id
from cryptnsend.keeper import ledger
from cryptnsend.keeper.providers import NoMasterKey, Provider
from cryptnsend.keeper.rows import Pair

# recovery: seeds of managed pairs · code: senders' codes and mailed ones · link, reply, bounce: tokens · form: salts ·
# device: verifiers · resend: day keys · signing: cards · outer: around what passwords wrap · ticket: who is signed in ·
# file: what goes into backups · witness: how far chains have come, beside signing
LABELS = (
    "recovery", "code", "link", "reply", "bounce", "form", "device", "resend", "signing", "outer", "ticket", "file",
    "witness",
)  # fmt: skip
PAIRS = ("pending", "queue")


class Secrets:
    """The keeper's keys, in memory. Nothing of it is ever shown."""

    def __init__(self, found: dict[tuple[str, int], bytes]):
        self._keys = found
        self._newest = {label: max(ident for name, ident in found if name == label) for label in (*LABELS, *PAIRS)}
        self.signing = Ed25519PrivateKey.from_private_bytes(self.key("signing"))
        self.card_key = self.signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.witness = MLDSA65PrivateKey.from_seed_bytes(self.key("witness"))
        self.witness_key = self.witness.public_key().public_bytes_raw()
        # Growing a pair costs as much as opening with it, so the keeper's own are grown once.
        self._pairs = {ident: keys.Pair(seed) for (name, ident), seed in found.items() if name in PAIRS}

        self.changing = threading.Lock()  # held by whoever gives a key a successor

    def __repr__(self) -> str:
        return "<Secrets>"

    def key(self, label: str, key_id: int | None = None) -> bytes:
        """Return a key, the newest without *key_id*; raise LookupError if there is none of that id."""
        return self._keys[label, self._newest[label] if key_id is None else key_id]

    def key_id(self, label: str) -> int:
        """Return the id of the newest key."""
        return self._newest[label]

    def older(self, label: str) -> list[int]:
        """Return the ids of the keys before the newest, the latest of them first."""
        return sorted((ident for name, ident in self._keys if name == label and ident != self._newest[label]))[::-1]

    def take(self, label: str, key_id: int, octets: bytes) -> None:
        """Let this be the newest key from now on; whoever reads meanwhile finds the one or the other."""
        if label in PAIRS:
            self._pairs = self._pairs | {key_id: keys.Pair(octets)}
        self._keys = self._keys | {(label, key_id): octets}
        self._newest = self._newest | {label: key_id}

    def forget(self, label: str, key_id: int) -> None:
        """Let go of a key that nothing is under any more."""
        self._keys = {place: octets for place, octets in self._keys.items() if place != (label, key_id)}

    def pair(self, label: str, ident: int | None = None) -> keys.Pair:
        """Return a pair of the keeper's own, the newest without *ident*; raise LookupError."""
        ident = self._newest[label] if ident is None else ident
        if (label, ident) not in self._keys:
            raise LookupError(label)
        return self._pairs[ident]

    def pair_card(self, label: str) -> PairCard:
        """Return the public half of the newest pair of the keeper's own."""
        return PairCard(self._newest[label], MANAGED, keys.SUITE, self.pair(label).public)


def load(engine: Engine, provider: Provider, clock: Clock, rng: Random) -> Secrets:
    """
    Unwrap every secret, making those that are missing; the first start makes all.

    Raise `NoMasterKey` if the provider has none, or another one than the ledger was made with.
    """
    known = _unwrapped(ledger.secrets(ledger.Committed(engine)), provider)
    missing = [label for label in (*LABELS, *PAIRS) if all(name != label for name, _ in known)]
    if missing:
        made = [(label, _first_id(label, clock, rng, place), rng(32)) for place, label in enumerate(missing)]
        wrapped = [(label, ident, provider.wrap(f"{label}/{ident}", octets)) for label, ident, octets in made]

        def add(rows: Rows) -> None:
            for label, ident, octets in wrapped:
                ledger.add_secret(rows, label, ident, octets, clock.now())
            for label, ident, seed in made:
                if label in PAIRS:
                    ledger.insert(rows, "pairs", _own_pair(label, ident, seed, clock.now()))

        engine.write(add).result()
        known |= {(label, ident): octets for label, ident, octets in made}
    return Secrets(known)


def add(engine: Engine, provider: Provider, known: Secrets, label: str, clock: Clock, rng: Random) -> None:
    """Make another key for *label*, which is the newest from then on. Raise `NoMasterKey`, `StoreBroken`."""
    ident = known.key_id(label) + 1  # the highest counts when all are loaded again
    if label in PAIRS:
        ident = max(ident, _first_id(label, clock, rng, 0))
    octets = rng(32)
    wrapped = provider.wrap(f"{label}/{ident}", octets)

    def write(rows: Rows) -> None:
        ledger.add_secret(rows, label, ident, wrapped, clock.now())
        if label in PAIRS:
            for pair in ledger.pairs(rows, KEEPER):
                if pair.role == label and pair.state == "current":
                    ledger.set_pair(rows, pair.id, state="retired")
            ledger.insert(rows, "pairs", _own_pair(label, ident, octets, clock.now()))

    engine.write(write).result()
    known.take(label, ident, octets)


def rewrap(engine: Engine, before: Provider, after: Provider) -> int:
    """
    Put everything that one master key wraps under another, in one transaction; return how much that is.

    Raise `NoMasterKey` if *before* is not the key that this ledger was made with.
    """
    found = _unwrapped(ledger.secrets(ledger.Committed(engine)), before)
    wrapped = {(label, ident): after.wrap(f"{label}/{ident}", octets) for (label, ident), octets in found.items()}

    def write(rows: Rows) -> None:
        for (label, ident), octets in wrapped.items():
            ledger.set_secret(rows, label, ident, octets)

    engine.write(write).result()
    engine.checkpoint()
    return len(wrapped)


def opens(engine: Engine, provider: Provider) -> bool:
    """Say whether a provider has the master key of this ledger."""
    try:
        _unwrapped(ledger.secrets(ledger.Committed(engine)), provider)
    except NoMasterKey:
        return False
    return True


def _unwrapped(found: list[tuple[str, int, bytes]], provider: Provider) -> dict[tuple[str, int], bytes]:
    try:
        return {(label, ident): provider.unwrap(f"{label}/{ident}", octets) for label, ident, octets in found}
    except SealBroken:
        raise NoMasterKey(
            "The master key is not the one this ledger was made with; put the right one back, or recover it with the "
            "installation's recovery file."
        ) from None


def _first_id(label: str, clock: Clock, rng: Random, place: int) -> int:
    """Return 1, or an id as pairs have it; *place* keeps two that are made in the same millisecond apart."""
    return new_id(clock.now() + place, rng) if label in PAIRS else 1


def _own_pair(label: str, ident: int, seed: bytes, now: int) -> Pair:
    return Pair(ident, INSTALLATION, KEEPER, label, MANAGED, keys.SUITE, keys.public_of(seed), None, "current", 0, now)
