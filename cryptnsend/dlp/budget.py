"""How much may be read of one mail, and what stops it? Whatever passes a limit ends the whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptnsend.core.dlp.detect import Piece


class NotRead(Exception):
    """A file that cannot be looked into; `rule` is the reason, of core.dlp.detect.REASONS."""

    rule = "unreadable"


class Encrypted(NotRead):
    """It needs a password or a key."""

    rule = "encrypted"


class TooMuch(NotRead):
    """It unpacks to more than is read, or is nested too deep: nothing more of the mail is read."""

    rule = "too-much"


@dataclass(frozen=True, slots=True)
class Limits:
    """Octets and counts for one mail; seconds of its process."""

    message: int = 128 << 20
    unpacked: int = 256 << 20  # octets, of all files in files
    one: int = 96 << 20  # octets of one of these
    text: int = 24_000_000  # characters
    files: int = 2000
    depth: int = 8  # files in files
    pages: int = 3000
    memory: int = 1536 << 20
    cpu: int = 60
    wall: int = 120


@dataclass(slots=True)
class Budget:
    """What is left for one mail, and what was read."""

    limits: Limits
    ocr: str = ""  # the program, "" without
    pieces: list[Piece] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)  # (reason, where)
    pictures: list[str] = field(default_factory=list)  # where there were pictures that nobody read
    _unpacked: int = 0
    _text: int = 0
    _files: int = 0

    def add(self, where: str, text: str) -> None:
        """Take a piece of text."""
        if text and not text.isspace():
            self._text += len(text)
            if self._text > self.limits.text:
                raise TooMuch("text")
            self.pieces.append(Piece(where, text))

    def unpack(self, octets: int) -> None:
        """Count octets that came out of a file; raise TooMuch."""
        self._unpacked += octets
        if octets > self.limits.one or self._unpacked > self.limits.unpacked:
            raise TooMuch("unpacked")

    def enter(self, depth: int) -> None:
        """Count a file that is looked into; raise TooMuch."""
        self._files += 1
        if depth > self.limits.depth or self._files > self.limits.files:
            raise TooMuch("files")

    def most(self) -> int:
        """Return how many octets may come out of the next file, and one: whoever gets that many stops."""
        return min(self.limits.one, self.limits.unpacked - self._unpacked) + 1
