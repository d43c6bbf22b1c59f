"""What things are: ids, holders, cards, contacts. Words as DESIGN's glossary has them; nothing here acts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

Random = Callable[[int], bytes]  # a source of that many random octets
INSTALLATION = 0  # the organisation that stands for the server itself
MANAGED, STRICT = "managed", "strict"


def new_id(now: int, random: Random) -> int:
    """Return a 63-bit id: *now* in UTC milliseconds, then 22 random bits, so that later ids are larger."""
    return (now << 22) | (int.from_bytes(random(3), "big") & 0x3FFFFF)


class Ids:
    """
    Makes ids of which no two are alike in one process: for rows that come by the thousand in a second.

    Chance alone makes two of ten ids in the same millisecond equal once in 90,000 milliseconds. Thread-safe.
    """

    def __init__(self, random: Random):
        self._random, self._last, self._lock = random, 0, threading.Lock()

    def new(self, now: int) -> int:
        """Return an id for *now* (UTC milliseconds) that is larger than all that were made before."""
        with self._lock:
            # Behind the first of a millisecond they follow one another, also if the clock was set back.
            self._last = self._last + 1 if now << 22 <= self._last else new_id(now, self._random)
            return self._last


def time_of(ident: int) -> int:
    """Return the UTC milliseconds that `new_id` put into *ident*."""
    return ident >> 22


def first_id(time: int) -> int:
    """Return the smallest id of that moment (UTC milliseconds): what is older has a smaller one."""
    return max(time, 0) << 22


def account_holder(account: int) -> str:
    """Name an account as the holder of grants and pairs."""
    return f"account:{account}"


def address_holder(canonical: str) -> str:
    """Name an address that waits for its owner: its grants rest under the keeper's pending key."""
    return f"address:{canonical}"


def archive_holder(organisation: int) -> str:
    """Name the archive of an organisation."""
    return f"archive:{organisation}"


KEEPER = "keeper"  # holder of the pending and the queue pair


def contact_name(address: str, subscriber: int) -> str:
    """Name the pair (recipient address, subscriber) as it stands in grants and statements."""
    return f"{address}|{subscriber}"


class PairCard(msgspec.Struct, frozen=True):
    """One public key on a card."""

    id: int
    custody: str  # managed, strict
    suite: int
    public: bytes


class KeyMark(msgspec.Struct, frozen=True):
    """Which key somebody's mail may be encrypted to: its kind (smime, openpgp) and the SHA-256 of its octets."""

    kind: str
    mark: bytes
    address: str = ""  # canonical, whose key it is; "" for the holder's own


class Card(msgspec.Struct, frozen=True):
    """
    What the keeper vouches for about one holder. A sealer uses nothing about a holder that is not on its card.

    `generation` rises with each weak reset: contact statements of an earlier generation count for nothing.
    """

    holder: str
    version: int
    organisation: int
    account: int  # 0 for archives and the keeper
    addresses: tuple[str, ...]  # canonical, the first is the original address
    roles: tuple[str, ...]
    custody: str  # of threads this holder starts
    pairs: tuple[PairCard, ...]  # current ones
    reply_address: str
    form: str  # handoff form of replies: zip, pdf, link, tls, smime, openpgp
    weak: bool
    generation: int
    open_since: int = 0  # UTC milliseconds: when they became a subscriber on nobody's word; 0 for the others
    policy: bytes = b""  # of an archive: fingerprint of what its organisation said of its rules; empty for nothing
    look: bytes = b""  # the same of its look
    friends: tuple[str, ...] = ()  # canonical addresses to which this subscriber's mail may go as ordinary mail
    own_keys: tuple[KeyMark, ...] = ()  # by which this subscriber wants mail, one of a kind
    known_keys: tuple[KeyMark, ...] = ()  # of people whom this subscriber writes to, who compared their fingerprints

    def own_key(self, kind: str) -> bytes | None:
        """Return the mark of the holder's own key of that kind, None without one."""
        return next((each.mark for each in self.own_keys if each.kind == kind), None)

    def known_key(self, address: str) -> KeyMark | None:
        """Return which key of somebody else this subscriber knows, None without one."""
        return next((each for each in self.known_keys if each.address == address), None)

    def pair(self, custody: str) -> PairCard:
        """Return the current pair of that custody; raise LookupError if the holder has none."""
        for pair in self.pairs:
            if pair.custody == custody:
                return pair
        raise LookupError(f"{self.holder} has no {custody} pair")


class ContactStatement(msgspec.Struct, frozen=True):
    """The keeper's word that a contact is proven or waived, for one account and generation of it."""

    address: str
    subscriber: int
    account: int
    generation: int
    state: str  # proven, waived


@dataclass(frozen=True, slots=True)
class Signed:
    """Octets and the keeper's Ed25519 signature over them."""

    body: bytes
    signature: bytes
