"""Whose look has a document? The organisation's: its name, its accent, its logo."""

from __future__ import annotations

import re
from dataclasses import dataclass

ACCENT = "#0b5c73"
_HEX = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Look:
    """How an organisation shows itself on paper. `logo` is a data: address of a picture, "" for none."""

    name: str
    accent: str = ACCENT
    logo: str = ""

    def __post_init__(self) -> None:
        if not _HEX.fullmatch(self.accent):
            raise ValueError("an accent is written as #rrggbb")


def look_of(organisation: int, name: str) -> Look:
    """Return the look of an organisation (its id) that goes by *name*."""
    return Look(name)
