"""How does somebody find a message among their own? By words of its subject, its people and the names of its files.

Only who is signed in can: what is searched rests sealed, and is opened line by line with the seeds of the session.
Nothing is kept of it, neither words nor an index, so a search looks at the newest messages only, and says how many.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptnsend.core.mime import Index
from cryptnsend.core.subject import peel
from cryptnsend.flow.rendering import files_of
from cryptnsend.flow.views import Entry, SentEntry

MOST = 1000  # messages looked at
SECONDS = 2.0  # for which they are looked at
SHOWN = 50
LONGEST = 100  # characters of what is looked for


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, newest first. `all`: every message was looked at, and nothing is left out."""

    entries: Sequence[Entry] | Sequence[SentEntry]
    looked_at: int
    all: bool


def wanted(typed: str) -> tuple[str, ...]:
    """Return the words that all have to stand in a message."""
    return tuple(plain(typed[:LONGEST]).split())


def matches(words: Sequence[str], *texts: str) -> bool:
    """Say whether each of *words* stands somewhere in *texts*."""
    heap = plain("\n".join(texts))
    return all(word in heap for word in words)


def plain(text: str) -> str:
    """Return *text* without case and accents, as people type it."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def texts_of(index: Index) -> Iterator[str]:
    """Yield what a message can be found by."""
    yield peel(index.subject).shown
    for each in (*((index.author,) if index.author else ()), *index.to, *index.cc):
        yield f"{each.name} {each.address}"
    for file in files_of(index):
        yield file.name
