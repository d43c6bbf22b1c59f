"""What came in from the client and was not read yet? Octets, by line for commands and in bulk for DATA."""

from __future__ import annotations


class LineTooLong(Exception):
    """The line had more octets than allowed; all of it has been skipped."""


class Inbox:
    """
    Octets in the order they came.

    `line` and `take` never wait: None or no octets means that more has to arrive first. A line that is too long is
    skipped as it arrives, so that it never costs more memory than one piece of input.
    """

    def __init__(self) -> None:
        self._whole = b""  # a piece that found nothing waiting, as it came: most are taken like that, and never copied
        self._octets = bytearray()  # more than one piece, or the rest of one
        self._searched = 0  # no LF before this offset
        self._skipping = False

    def __len__(self) -> int:
        return len(self._whole) or len(self._octets)

    def feed(self, octets: bytes) -> None:
        """Append what arrived."""
        if self._whole or self._octets:
            self._gathered().extend(octets)
        else:
            self._whole = octets

    def unread(self, octets: bytes) -> None:
        """Put back, in front, what was taken too much."""
        self._gathered()[:0] = octets
        self._searched = 0

    def clear(self) -> None:
        """Forget everything (RFC 3207 §4.2)."""
        self._whole = b""
        self._octets.clear()
        self._searched, self._skipping = 0, False

    def line(self, limit: int) -> bytes | None:
        """
        Return the next line with its end, up to LF and whatever is before it, or None if there is none yet.

        Raises `LineTooLong` once the end of a line of more than *limit* octets was seen.
        """
        if self._whole and self._whole.find(b"\n") == len(self._whole) - 1:  # a command, and nothing behind it
            line, self._whole = self._whole, b""
        else:
            octets = self._gathered()
            end = octets.find(b"\n", self._searched) + 1
            if not end:
                if len(octets) > limit:
                    self._skipping = True
                    octets.clear()
                self._searched = len(octets)
                return None
            line = bytes(octets[:end])
            del octets[:end]
            self._searched = 0
        if self._skipping or len(line) > limit:
            self._skipping = False
            raise LineTooLong
        return line

    def take(self) -> bytes:
        """Return everything that is here."""
        octets = self._whole or bytes(self._octets)
        self._whole = b""
        self._octets.clear()
        self._searched = 0
        return octets

    def _gathered(self) -> bytearray:
        if self._whole:
            self._octets += self._whole
            self._whole = b""
        return self._octets
