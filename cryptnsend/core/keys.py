"""Who can open a content key? Pairs, epochs, grants. docs/vault-format.md §4-§6 specifies the octets.

A pair is a 32-octet X-Wing seed (draft-connolly-cfrg-xwing-kem) and the 1216-octet public key that grows from it. An
epoch is an AES-256 key sealed once to a pair by HPKE (RFC 9180) and then used for many messages: wrapping a content
key under it costs some microseconds, sealing to the pair a hundred. A grant is one such wrap. All that decides who may
open what stands in the associated data, so that a grant moved to another row opens nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cryptnsend.core.errors import NoGrant, SealBroken
from cryptnsend.core.model import Random, new_id
from cryptnsend.core.seal import framed

SUITE = 1  # X-Wing, HKDF-SHA256, AES-256-GCM; every row that holds a sealed key says which suite it is
SEED = 32
PUBLIC = 1216  # 1184 octets of ML-KEM-768, 32 of X25519
NONCE = 12
TAG = 16
SEALED_OVERHEAD = 1120 + TAG  # the encapsulated key and the tag of one HPKE box

_MLKEM_PUBLIC = PUBLIC - 32
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_ROLES = frozenset({"author", "recipient", "archive", "kept"})


def new_seed(random: Random) -> bytes:
    """Return the seed of a new pair."""
    return random(SEED)


def new_key(random: Random) -> bytes:
    """Return a new content key."""
    return random(32)


class Pair:
    """A pair that can open: grown from its *seed* once, for callers that open many things in a row."""

    def __init__(self, seed: bytes):
        if len(seed) != SEED:
            raise ValueError(f"a seed has {SEED} octets")
        grown = hashlib.shake_256(seed).digest(96)
        self._mlkem = MLKEM768PrivateKey.from_seed_bytes(grown[:64])
        self._x25519 = X25519PrivateKey.from_private_bytes(grown[64:])
        self._private = MLKEM768X25519PrivateKey(self._mlkem, self._x25519)

    @cached_property
    def public(self) -> bytes:
        """Return the 1216-octet public key, which whoever only opens does not need."""
        halves = (self._mlkem.public_key(), self._x25519.public_key())
        return b"".join(each.public_bytes(Encoding.Raw, PublicFormat.Raw) for each in halves)

    def open(self, sealed: bytes, *, label: str, owner: str, holder: str, ref: int) -> bytes:
        """Return the secret that `seal_to` sealed to this pair in this place; raise `SealBroken`."""
        try:
            return _SUITE.decrypt(sealed, self._private, info=framed("hpke", label, owner, holder, ref))
        except (InvalidTag, ValueError):
            raise SealBroken("A sealed key does not fit its pair and place.") from None


def public_of(seed: bytes) -> bytes:
    """Return the 1216-octet public key of the pair with this seed."""
    return Pair(seed).public


def is_seed_of(seed: bytes, public: bytes) -> bool:
    """
    Tell whether a seed is that of a pair with this public key, at a fifth of what growing the pair costs.

    The X25519 part of the key tells: it comes from the same hash of the seed as the other, and no other seed has it.
    """
    if len(seed) != SEED or len(public) != PUBLIC:
        return False
    x25519 = X25519PrivateKey.from_private_bytes(hashlib.shake_256(seed).digest(96)[64:])
    return x25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) == public[_MLKEM_PUBLIC:]


@lru_cache(maxsize=1024)
def _decoded(public: bytes) -> MLKEM768X25519PublicKey:
    """Decode a public key; remembered, because it costs a fifth of a seal and senders come again."""
    if len(public) != PUBLIC:
        raise SealBroken(f"A public key of suite {SUITE} has {PUBLIC} octets.")
    try:
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC]),
            X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC:]),
        )
    except ValueError:
        raise SealBroken("A public key is damaged.") from None


def seal_to(public: bytes, secret: bytes, *, label: str, owner: str, holder: str, ref: int) -> bytes:
    """
    Seal *secret* to a pair by HPKE base mode (RFC 9180 §5.1.1); 32 octets become 1168.

    *label* says what the secret is, *owner* whose pair it is sealed to, *holder* for whom, *ref* which row. All four
    enter HPKE's `info`, since the library's single-shot form takes no associated data (RFC 9180 §8.1).
    """
    info = framed("hpke", label, owner, holder, ref)
    try:
        return _SUITE.encrypt(secret, _decoded(public), info=info)
    except ValueError:  # an X25519 part of small order, which no honest pair has
        raise SealBroken("A public key is damaged.") from None


def open_with(seed: bytes, sealed: bytes, *, label: str, owner: str, holder: str, ref: int) -> bytes:
    """Return the secret that `seal_to` sealed to the pair with this seed in this place; raise `SealBroken`."""
    return Pair(seed).open(sealed, label=label, owner=owner, holder=holder, ref=ref)


def box(key: bytes, plain: bytes, aad: bytes, rng: Random) -> bytes:
    """Encrypt something small by AES-256-GCM: a random nonce of 12 octets, then ciphertext and tag."""
    nonce = rng(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, aad)


def unbox(key: bytes, boxed: bytes, aad: bytes) -> bytes:
    """Return what `box` encrypted; raise `SealBroken` if key, associated data or octets do not fit together."""
    if len(boxed) < NONCE + TAG:
        raise SealBroken("A wrapped key is cut short.")
    try:
        return AESGCM(key).decrypt(boxed[:NONCE], boxed[NONCE:], aad)
    except InvalidTag:
        raise SealBroken("A wrapped key does not fit its place.") from None


class Binding(Protocol):
    """What a wrapped content key is bound to."""

    def aad(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class GrantBinding:
    """
    What one grant is: it opens in this row and nowhere else.

    *holder* is `account:<id>`, `archive:<organisation>`, or `address:<canonical>` while a recipient's contact is not
    proven. *contact* is `<canonical recipient address>|<subscriber's account>`, empty for authors and archives.
    """

    organisation: int
    message: int
    holder: str
    role: str  # author, recipient, archive, kept
    contact: str
    custody: str  # managed, strict

    def __post_init__(self) -> None:
        if self.role not in _ROLES:
            raise ValueError(f"no grant has the role {self.role!r}")

    def aad(self) -> bytes:
        """Return the associated data of the wrap."""
        return grant_aad(self.organisation, self.message, self.holder, self.role, self.contact, self.custody)


def grant_aad(organisation: int, message: int, holder: str, role: str, contact: str, custody: str) -> bytes:
    """Return what `GrantBinding.aad` does, for many messages of one contact in a row."""
    before, behind = _around(organisation, holder, role, contact, custody)
    digits = b"%d" % message
    return b"%b%b%b%b" % (before, len(digits).to_bytes(4, "big"), digits, behind)


@lru_cache(maxsize=1024)
def _around(organisation: int, holder: str, role: str, contact: str, custody: str) -> tuple[bytes, bytes]:
    """Return what stands before and behind the message in the associated data of a grant."""
    whole = framed("grant", organisation, "", holder, role, contact, custody)
    at = len(framed("grant", organisation))
    return whole[:at], whole[at + 4 :]


class Unwrapper:
    """Unwraps content keys of grants under one epoch key, for callers that open many in a row."""

    __slots__ = ("_cipher",)

    def __init__(self, epoch_key: bytes):
        self._cipher = AESGCM(epoch_key)

    def unwrap(self, wrap: bytes, aad: bytes) -> bytes:
        """Return what `unwrap_content` does, the binding given as its associated data; raise `SealBroken`."""
        if len(wrap) < NONCE + TAG:
            raise SealBroken("A wrapped key is cut short.")
        try:
            return self._cipher.decrypt(wrap[:NONCE], wrap[NONCE:], aad)
        except InvalidTag:
            raise SealBroken("A wrapped key does not fit its place.") from None


@dataclass(frozen=True, slots=True)
class QueueBinding:
    """
    What the content key of mail that waits to leave is bound to: one delivery, to one recipient, in one form.

    The form says as well how the way has to be protected, so that no changed row lowers that: see `queue_form`.
    """

    organisation: int
    message: int
    delivery: int
    recipient: str  # canonical address
    form: str

    def aad(self) -> bytes:
        """Return the associated data of the wrap."""
        return framed("queue", self.organisation, self.message, self.delivery, self.recipient, self.form)


def queue_form(kind: str, form: str, tls_class: str, *, requiretls: bool = False) -> str:
    """
    Return the form that a queue key is bound to: "zip", "tls", "relay", "relay-proven", "relay-cleartext-requiretls".

    What leaves locked is not bound to a way: any will do.
    """
    name = form or kind
    if kind == "relay" and tls_class in ("proven", "cleartext"):
        name += f"-{tls_class}"
    return f"{name}-requiretls" if requiretls and (kind == "relay" or form == "tls") else name


def wrap_content(epoch_key: bytes, keys: bytes, binding: Binding, rng: Random) -> bytes:
    """
    Wrap the content key under an epoch key: 60 octets.

    Authors and archives get 64 octets of *keys*, the second half opening the author's index: 92 octets.
    """
    if len(keys) not in (32, 64):
        raise ValueError("a grant wraps one content key or two")
    return box(epoch_key, keys, binding.aad(), rng)


def unwrap_content(epoch_key: bytes, wrap: bytes, binding: Binding) -> bytes:
    """
    Return the 32 or 64 octets that `wrap_content` wrapped.

    Raise `SealBroken`, never `NoGrant`: a wrap that does not fit its row is damage or tampering. That there is no
    grant is known before, from there being no row or from its having 32 octets where two keys are wanted.
    """
    return unbox(epoch_key, wrap, binding.aad())


def author_key(content_keys: bytes) -> bytes:
    """Return the key of the author's index, the second of two; raise `NoGrant` for a recipient's one."""
    if len(content_keys) != 64:
        raise NoGrant("Only the author and the archive may see this.")
    return content_keys[32:]


@dataclass(frozen=True, slots=True)
class Epoch:
    """A key used for many grants to one pair. Its row must be committed with, or before, the first of them."""

    id: int  # 63 bits, of time and chance
    pair: int
    key: bytes = field(repr=False)  # never in a log line or a traceback
    sealed: bytes = field(repr=False)  # the key, sealed to the pair


_Place = tuple[int, str, str, bytes]  # pair, owner, holder, public key


@dataclass(slots=True)
class _Live:
    place: _Place
    epoch: Epoch
    made: int
    uses: int = 0
    confirmed: bool = False


class Epochs:
    """
    The epochs that one process seals under, each replaced after *max_uses* grants or *max_age_ms*.

    Thread-safe. At most *capacity* pairs are remembered; the one unused for the longest goes first. Rows of epochs are
    written with *every* grant until `confirm`, because a transaction that is undone takes the row with it while later
    grants already point at it.
    """

    def __init__(
        self,
        rng: Random,
        now: Callable[[], int],
        max_uses: int = 1000,
        max_age_ms: int = 600_000,
        capacity: int = 4096,
    ) -> None:
        self._rng, self._now = rng, now
        self._max_uses, self._max_age, self._capacity = max_uses, max_age_ms, capacity
        self._lock = threading.Lock()
        self._live: OrderedDict[_Place, _Live] = OrderedDict()  # least recently used first
        self._by_id: dict[int, _Live] = {}
        self._last_id = 0

    def current(self, pair_id: int, public: bytes, owner: str, holder: str) -> Epoch:
        """Return the epoch for the next grant to this pair, and count one use of it."""
        place = (pair_id, owner, holder, public)
        now = self._now()
        with self._lock:
            live = self._usable(place, now)
            if live is not None:
                return live.epoch
            ident = self._last_id = max(new_id(now, self._rng), self._last_id + 1)
        # Outside the lock: other threads need not wait a tenth of a millisecond for a pair that is not theirs.
        key = self._rng(32)
        sealed = seal_to(public, key, label="epoch", owner=owner, holder=holder, ref=ident)
        with self._lock:
            live = self._usable(place, now)
            if live is None:
                live = self._remember(_Live(place, Epoch(ident, pair_id, key, sealed), now, uses=1))
            return live.epoch

    def needs_row(self, epoch_id: int) -> bool:
        """Say whether a grant under this epoch must carry the epoch's row; also true for epochs no longer known."""
        with self._lock:
            live = self._by_id.get(epoch_id)
            return live is None or not live.confirmed

    def confirm(self, epoch_ids: Iterable[int]) -> None:
        """Note that rows of these epochs are durable: call after the COMMIT that had them."""
        with self._lock:
            for each in epoch_ids:
                if each in self._by_id:
                    self._by_id[each].confirmed = True

    def forget(self, epoch_ids: Iterable[int]) -> None:
        """Use these epochs for nothing more: call when a batch that had their rows failed."""
        with self._lock:
            for each in epoch_ids:
                live = self._by_id.pop(each, None)
                if live is not None:
                    del self._live[live.place]

    def _usable(self, place: _Place, now: int) -> _Live | None:
        """Return the live epoch of *place* with one more use counted, or None if it needs a new one."""
        live = self._live.get(place)
        if live is None:
            return None
        # A clock that was set back would otherwise lend an epoch a longer life.
        if live.uses >= self._max_uses or not 0 <= now - live.made < self._max_age:
            return None
        live.uses += 1
        self._live.move_to_end(place)
        return live

    def _remember(self, live: _Live) -> _Live:
        replaced = self._live.pop(live.place, None)
        if replaced is not None:
            self._by_id.pop(replaced.epoch.id, None)
        self._live[live.place] = live
        self._by_id[live.epoch.id] = live
        while len(self._live) > self._capacity:
            _, oldest = self._live.popitem(last=False)
            self._by_id.pop(oldest.epoch.id, None)
        return live
