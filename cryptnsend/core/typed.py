"""Whom did somebody mean who typed addresses into a field? What can be read, and what cannot, word for word.

Header fields of strangers are read as well as they can be (`addresses.parse_mailboxes`); here the author is present and
can be asked, so that nothing is left out without a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptnsend.core.addresses import AddressReader, Mailbox, is_address

LONGEST = 50_000  # characters of one field
_LINES = re.compile(r"[\r\n\t]+")


@dataclass(frozen=True, slots=True)
class Typed:
    """The mailboxes in a field, and the pieces that are none."""

    people: tuple[Mailbox, ...]
    wrong: tuple[str, ...]


def read_people(text: str) -> Typed:
    """Read addresses with or without names, separated by commas, semicolons or line ends; never raises."""
    reader = _Reader(_LINES.sub(",", text[:LONGEST]))
    people = tuple(reader.read())
    return Typed(people, tuple(reader.wrong))


class _Reader(AddressReader):
    """Keeps what is no address, to be shown to who typed it."""

    def __init__(self, value: str):
        self.wrong: list[str] = []
        super().__init__(value)

    def finish(self) -> None:
        """Keep the entry that has been read, among the one or the other."""
        typed = " ".join(filter(None, ("".join(self.words).strip(), f"<{self.angle}>" if self.angle else "")))
        before = len(self.found)
        super().finish()
        if typed and len(self.found) == before:
            self.wrong.append(typed[:100])

    @staticmethod
    def bare(words: str) -> tuple[str, str]:
        """Split text without angle brackets; two addresses without a comma between them are not one with a name."""
        if sum("@" in part for part in words.split()) > 1 and not is_address(words):
            return "", ""
        return AddressReader.bare(words)
