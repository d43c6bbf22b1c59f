"""Is this address one that somebody mistyped, or that is made to look like another?

Compared with the addresses that a person has written to before, and with the names of large mailbox providers. A
warning costs one press of a button; a message to a stranger cannot be taken back once it was read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import idna

from cryptnsend.core.names import fold_looks

# fmt: off
PROVIDERS = frozenset((
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "ymail.com",
    "aol.com", "icloud.com", "me.com", "mac.com", "proton.me", "protonmail.com", "gmx.com", "gmx.net", "gmx.de",
    "mail.com", "web.de", "fastmail.com", "zoho.com", "comcast.net", "verizon.net", "att.net",
))
# fmt: on
_SHORT, _LONG = 5, 9  # letters: from here on one, or two, may differ
_SWAPPED = 3  # letters: from here on two neighbours may have changed places
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("nn", "m"))


@dataclass(frozen=True, slots=True)
class Lookalike:
    """An address that was probably meant: of which the domain, or the part before the @, differs a little."""

    address: str
    what: Literal["domain", "local"]


def closest(address: str, known: Collection[str]) -> Lookalike | None:
    """
    Return which of the *known* canonical addresses, or what at a large provider, this canonical one is close to.

    None for one that is known itself, and where nothing is close.
    """
    if address in known:
        return None
    local, _, domain = address.rpartition("@")
    theirs: dict[str, list[str]] = {}
    for each in known:
        at = each.rpartition("@")
        theirs.setdefault(at[2], []).append(at[0])
    if domain in theirs:
        near = _nearest(local, theirs[domain])
        return Lookalike(f"{near}@{domain}", "local") if near is not None else None
    if domain in PROVIDERS:
        return None
    # Somebody's own people first, then the providers that everybody writes to.
    near = _nearest_domain(domain, theirs) or next((each for each in sorted(PROVIDERS) if is_slip(domain, each)), None)
    return Lookalike(f"{local}@{near}", "domain") if near is not None else None


def _nearest(word: str, others: Iterable[str]) -> str | None:
    return min((each for each in others if is_close(word, each)), default=None, key=lambda each: _distance(word, each))


def _nearest_domain(domain: str, others: Iterable[str]) -> str | None:
    name, _, top = domain.rpartition(".")
    for each in others:
        if each in PROVIDERS:  # whose domains of other countries are no mistakes
            if is_slip(domain, each):
                return each
            continue
        if is_close(domain, each):
            return each
        other, _, other_top = each.rpartition(".")
        if name == other and top != other_top and len(name) >= _SHORT:
            return each
    return None


def is_slip(one: str, other: str) -> bool:
    """Say whether two different words look the same at a glance, or differ in one letter."""
    if one == other or abs(len(one) - len(other)) > 2:
        return False
    return skeleton(one) == skeleton(other) or _distance(one, other, 1) <= 1


def is_close(one: str, other: str) -> bool:
    """
    Say whether two different words look alike, or are a slip of the finger apart.

    Of short ones only neighbours that changed places: other letters make other names, such as Tim and Tom.
    """
    if one == other or abs(len(one) - len(other)) > 2:
        return False
    if skeleton(one) == skeleton(other):
        return True
    shorter = min(len(one), len(other))
    if _SWAPPED <= shorter < _SHORT and sorted(one) == sorted(other):
        return _distance(one, other, 1) <= 1
    allowed = 0 if shorter < _SHORT else 1 if shorter < _LONG else 2
    return _distance(one, other, allowed) <= allowed


@lru_cache(maxsize=65_536)
def skeleton(word: str) -> str:
    """Return what a word looks like at a glance: A-labels read, accents gone, letters that look alike the same."""
    if "xn--" in word:
        try:
            word = idna.decode(word)
        except (UnicodeError, ValueError, IndexError):
            return word
    plain = "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))
    plain = fold_looks(plain)
    for pair, single in _PAIRS:
        plain = plain.replace(pair, single)
    return plain


def _distance(one: str, other: str, most: int = 3) -> int:
    """Return how many letters are added, missing, changed or swapped with their neighbour; at most *most* + 1."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        line = [at]
        for to, theirs in enumerate(other, 1):
            cost = min(last[to] + 1, line[to - 1] + 1, last[to - 1] + (letter != theirs))
            if at > 1 and to > 1 and letter == other[to - 2] and one[at - 2] == theirs:
                cost = min(cost, before[to - 2] + 1)
            line.append(cost)
        if min(line) > most:
            return most + 1
        before, last = last, line
    return last[-1]
