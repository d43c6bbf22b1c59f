"""What are the words of one IMAP command? A scanner over its text and literals (RFC 3501 §9).

A command comes as parts: text, literal, text, literal, …, text. Each text but the last ends in the literal's header,
`{12}`, `{12+}` or `~{12}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from cryptnsend.core.imap_text import BadCommand, decode_mailbox

T = TypeVar("T")

_ATOM = re.compile(rb"[^\x00-\x20\x7f(){%*\"\\\]]+")
_ASTRING = re.compile(rb"[^\x00-\x20\x7f(){%*\"\\]+")
_LIST_ATOM = re.compile(rb"[^\x00-\x20\x7f(){\"\\]+")
_FLAG = re.compile(rb"\\?[^\x00-\x20\x7f(){%*\"\\\]]+")
_SET = re.compile(rb"[0-9*:,$]+")
_NUMBER = re.compile(rb"[0-9]{1,20}")
_QUOTED = re.compile(rb'"((?:[^"\\\x00\r\n]|\\[^\x00\r\n])*+)"')
_ESCAPE = re.compile(rb"\\(.)")
_LITERAL = re.compile(rb"~?\{[0-9]{1,20}\+?\}")
_SPACES = re.compile(rb" +")
_MAX_LIST = 10_000  # elements of one parenthesised list
LARGEST_64 = 2**63 - 1


class Scanner:
    """Reads a command word by word. Everything raises BadCommand, without a tag, at what it cannot read."""

    def __init__(self, parts: Sequence[bytes], *, utf8: bool = False):
        self.parts, self.utf8 = parts, utf8
        self._part = self._at = 0
        self.text = parts[0]

    # --- looking ---

    def at_end(self) -> bool:
        """Say whether everything was read; trailing blanks do not count."""
        return self._part == len(self.parts) - 1 and not self.text[self._at :].strip(b" ")

    def sees(self, octets: bytes) -> bool:
        """Say whether *octets* come next."""
        return self.text.startswith(octets, self._at)

    def sees_literal(self) -> bool:
        """Say whether a literal comes next."""
        return self._part < len(self.parts) - 1 and bool(_LITERAL.fullmatch(self.text, self._at))

    def rest(self) -> bytes:
        """Return what is left of the text up to the next literal, without taking it."""
        return self.text[self._at :]

    # --- taking ---

    def match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        """Take what *pattern* matches here."""
        found = pattern.match(self.text, self._at)
        if found is None:
            raise BadCommand(f"Expected {what} here.")
        self._at = found.end()
        return found

    def skip(self, octets: bytes) -> bool:
        """Take *octets* if they come next, in this very case; say whether they did."""
        if self.sees(octets):
            self._at += len(octets)
            return True
        return False

    def expect(self, octets: bytes) -> None:
        """Take *octets*."""
        if not self.skip(octets):
            raise BadCommand(f"Expected {octets.decode()} here.")

    def space(self) -> None:
        """Take the blank between two arguments; more than one is forgiven."""
        if self.at_end():
            raise BadCommand("This command ends too early.")
        self.match(_SPACES, "a space")

    def more(self) -> bool:
        """Take blanks; say whether something follows."""
        blanks = _SPACES.match(self.text, self._at)
        if self.at_end():
            return False
        if blanks is None:
            raise BadCommand("Expected a space here.")
        self._at = blanks.end()
        return True

    def end(self) -> None:
        """Expect the end of the command."""
        if not self.at_end():
            raise BadCommand("There is something behind the end of this command.")

    # --- words ---

    def atom(self) -> bytes:
        """Take an atom."""
        return self.match(_ATOM, "a word")[0]

    def word(self) -> str:
        """Take an atom that is a keyword of the protocol, in capitals."""
        return self.atom().decode("ascii", "replace").upper()

    def number(self, largest: int = 2**32 - 1) -> int:
        """Take a number."""
        number = int(self.match(_NUMBER, "a number")[0])
        if number > largest:
            raise BadCommand(f"This number may be at most {largest}.")
        return number

    def set(self) -> bytes:
        """Take the octets of a sequence set."""
        return self.match(_SET, "a set of messages")[0]

    def flag(self) -> bytes:
        """Take a flag."""
        return self.match(_FLAG, "a flag")[0]

    def string(self) -> bytes:
        """Take a quoted string or a literal."""
        if self.sees_literal():
            return self._literal()
        if not self.sees(b'"'):
            raise BadCommand("Expected a string here.")
        inside = self.match(_QUOTED, "the end of a quoted string")[1]
        return _ESCAPE.sub(rb"\1", inside) if b"\\" in inside else inside

    def astring(self) -> bytes:
        """Take an atom or a string."""
        return self.string() if self.sees(b'"') or self.sees_literal() else self.match(_ASTRING, "a string")[0]

    def nstring(self) -> bytes | None:
        """Take a string, or NIL as None."""
        if self.sees(b'"') or self.sees_literal():
            return self.string()
        if self.atom().upper() != b"NIL":
            raise BadCommand("Expected a string or NIL here.")
        return None

    def mailbox(self) -> str:
        """Take the name of a mailbox."""
        return decode_mailbox(self.astring(), utf8=self.utf8)

    def list_mailbox(self) -> bytes:
        """Take a name in which % and * may stand bare."""
        return self.string() if self.sees(b'"') or self.sees_literal() else self.match(_LIST_ATOM, "a pattern")[0]

    def list_of(self, take: Callable[[], T]) -> list[T]:
        """Take a parenthesised list, which may be empty, of what *take* takes."""
        self.expect(b"(")
        found: list[T] = []
        blanks = _SPACES.match(self.text, self._at)
        self._at = blanks.end() if blanks else self._at
        while not self.skip(b")"):
            if found and not self._between():
                break
            if len(found) >= _MAX_LIST:
                raise BadCommand("This list is too long.")
            found.append(take())
        return found

    def _between(self) -> bool:
        """Take the blanks between two elements; return False if the list ended behind them."""
        self.space()
        return not self.skip(b")")

    def _literal(self) -> bytes:
        octets = self.parts[self._part + 1]
        self._part += 2
        self.text, self._at = self.parts[self._part], 0
        return octets
