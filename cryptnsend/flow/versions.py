"""Who said what for an organisation, when and why? A book of versions, of its rules or of its look.

What was said rests as text, one version after the other; it counts as far as the keeper vouches for the newest, which
whoever reads it sees to. A change is one for the keeper first; then one transaction writes the version, the cards that
changed with it and the audit row. Nothing is ever forgotten: what holds again is a version of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from cryptnsend.core.cards import read_card
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import Denied, Ended, NoGrant, Sentence
from cryptnsend.core.names import legible
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import PolicyTaken
from cryptnsend.store.records import accounts, audit
from cryptnsend.store.records.versions import Versions

S = TypeVar("S")  # what is said: names to values
D = TypeVar("D")  # one difference between two of them
NEWEST = 2**62
LONGEST_REASON = 300  # characters


@dataclass(frozen=True)
class Version(Generic[S, D]):
    """What an organisation said at one time, and how that differs from the version before."""

    number: int
    at: int
    actor: str  # as in the audit trail
    why: str
    said: S
    changes: Sequence[D]


@dataclass(frozen=True)
class Kind(Generic[S, D]):
    """What a book is of: where its rows are, how its texts are read, and in which words it speaks."""

    rows: Versions
    read: Callable[[str], S]
    write: Callable[[S], str]
    differences: Callable[[S, S], Sequence[D]]
    spelt: Callable[[D], tuple[str, list[str]]]  # the name of what differs, and [before, after] for the audit trail
    add: Callable[[Rows, int, S, str, int, str, str], int]  # organisation, what is said, text, time, actor, reason
    action: str  # in the audit trail
    none_such: Callable[[], NoGrant]
    overtaken: Callable[[], Ended]


class Book(Generic[S, D]):
    """The versions of all organisations, read and added to. Thread-safe; keeps nothing itself."""

    def __init__(self, kind: Kind[S, D], *, engine: Engine, keeper: Keeper, clock: Clock):
        self._kind, self._engine, self._keeper, self._clock = kind, engine, keeper, clock

    def newest(self, org: int) -> tuple[int, S]:
        """Return the number of the newest version, 0 before the first, and what it says."""
        found = self._kind.rows.newest(self._engine, org)
        return (found["version"], self._kind.read(found["text"])) if found else (0, self._kind.read("{}"))

    def history(self, org: int, before: int = NEWEST, limit: int = 50) -> Sequence[Version[S, D]]:
        """Return versions older than *before*, the newest first, each with what it changed."""
        kind, rows = self._kind, self._kind.rows.history(self._engine, org, before, limit + 1)
        texts = [*(kind.read(row["text"]) for row in rows), kind.read("{}")]
        return [
            Version(row["version"], row["at"], row["actor"], row["why"], said, kind.differences(earlier, said))
            for row, said, earlier in zip(rows[:limit], texts[:limit], texts[1 : limit + 1], strict=False)
        ]

    def said_in(self, org: int, number: int) -> S:
        """Return what a version said; nothing in 0, before the first. Raises NoGrant."""
        row = self._kind.rows.version(self._engine, org, number) if number else None
        if number and row is None:
            raise self._kind.none_such()
        return self._kind.read(row["text"] if row else "{}")

    def compare(self, org: int, earlier: int, later: int) -> Sequence[D]:
        """Return what two versions say differently; 0 is the time before the first. Raises NoGrant."""
        return self._kind.differences(self.said_in(org, earlier), self.said_in(org, later))

    def check_not_overtaken(self, number: int, based_on: int | None) -> None:
        """Raise Ended if the newest version, *number*, is not the one that was looked at; None looked at none."""
        if based_on is not None and based_on != number:
            raise self._kind.overtaken()

    def differ(self, before: S, after: S) -> bool:
        """Say whether two say different things."""
        return self._kind.write(before) != self._kind.write(after)

    def add(
        self,
        org: int,
        before: S,
        said: S,
        *,
        why: str,
        actor: str,
        take: Callable[[str], PolicyTaken],
        detail: Mapping[str, object],
    ) -> None:
        """
        Let an organisation say this from now on; *take* hands the text to the keeper, and what it raises is raised.

        *why* has been looked at by `reason`.
        """
        kind, text = self._kind, self._kind.write(said)
        taken, key, now = take(text), self._keeper.anchors().card_key, self._clock.now()
        changes = dict(kind.spelt(each) for each in kind.differences(before, said))

        def write(rows: Rows) -> None:
            number = kind.add(rows, org, said, text, now, actor, why)
            for signed in taken.cards:
                card = read_card(signed, key)
                accounts.put_card(rows, card.organisation, card.holder, card.version, signed.body, signed.signature)
            about = {"version": number, "changes": changes, **({"reason": why} if why else {}), **detail}
            audit.append(rows, org, now, actor, kind.action, str(org), about)

        self._engine.write(write).result()


def reason(why: str) -> str:
    """Return a reason as it stands in a history; raise Denied for what cannot stand there."""
    shown = " ".join(why.split())
    if len(shown) > LONGEST_REASON or not shown.isprintable():
        raise Denied(Sentence("A reason has at most %(most)s characters, none of them invisible.", most=LONGEST_REASON))
    return shown


def needed(why: str) -> str:
    """Return a reason as it stands in a history; raise Denied as `reason` does, and where there is none to read."""
    if not legible(why):
        raise Denied("Say why the rules change. It stands in their history and in the audit trail.")
    return reason(why)
