"""What is asked of the process that reads people's keys, and what does it answer?

Times are UTC milliseconds. `wrong` is a word for what is wrong with a key; which words there are, and what they mean
to people, is in flow/ownkeys.py.
"""

from __future__ import annotations

import msgspec

MOST_INPUT = 160 << 10  # octets that somebody may paste or upload
MOST_KEY = 96 << 10  # octets of a key without its armor
MOST_NAMES = 32  # user ids, or names in a certificate
NAME = 200  # characters of one that are kept
LEAST_RSA, MOST_RSA = 2048, 8192  # bits
DAY = 86_400_000


class Read(msgspec.Struct, frozen=True, tag="read"):
    """Read a key; its octets follow. *now* is what time it is."""

    now: int


class Lock(msgspec.Struct, frozen=True, tag="lock"):
    """Encrypt what follows behind the key; *key* is one that was read before, of that kind."""

    kind: str  # smime, openpgp
    key: bytes
    now: int
    size: int  # octets of content


Job = Read | Lock


class OwnKey(msgspec.Struct, frozen=True):
    """A key that mail can be encrypted to."""

    kind: str  # smime, openpgp
    octets: bytes  # as it is kept: DER, or OpenPGP packets without armor
    fingerprint: str  # lower-case hexadecimal digits: OpenPGP's own, or SHA-256 of a certificate
    names: tuple[str, ...]  # user ids, or what a certificate says of its holder
    addresses: tuple[str, ...]  # canonical, those that it says it is for
    algorithm: str
    starts: int
    ends: int | None


class Answer(msgspec.Struct, frozen=True):
    """What came of a job: a key, or encrypted octets, or a word for what is wrong."""

    wrong: str = ""
    fingerprint: str = ""  # of the key that is wrong, where that matters
    key: OwnKey | None = None
    locked: bytes = b""


class Unusable(Exception):
    """The key cannot be used; *word* says why, and *fingerprint* which it is, where that matters."""

    def __init__(self, word: str, fingerprint: str = ""):
        super().__init__(word)
        self.word, self.fingerprint = word, fingerprint


def check_time(starts: int, ends: int | None, now: int) -> None:
    """Raise Unusable outside a key's time. Clocks of those who make keys differ, by a day at most."""
    if starts > now + DAY:
        raise Unusable("not-yet")
    if ends is not None and ends <= now:
        raise Unusable("expired")
