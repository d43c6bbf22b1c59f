"""What does a reader see of a Rich Text document? Its text, without fonts, styles and pictures."""

from __future__ import annotations

import re
from typing import NamedTuple

from cryptnsend.core.charsets import decode_text

_TOKEN = re.compile(
    rb"\\(?:'(?P<hex>[0-9a-fA-F]{2})|(?P<word>[a-zA-Z]{1,32})(?P<number>-?[0-9]{1,10})?[ ]?|(?P<sign>[^a-zA-Z]))"
    rb"|(?P<brace>[{}])|[\r\n]+|(?P<text>[^\\{}\r\n]+)",
    re.DOTALL,
)
_UNSEEN = frozenset(
    b"fonttbl colortbl stylesheet listtable listoverridetable rsidtbl generator themedata colorschememapping datastore"
    b" latentstyles xmlnstbl mmathPr pgptbl filetbl revtbl pict objdata".split()
)
_SEEN = frozenset(b"shptxt footnote fldrslt annotation shpinst".split())  # seen although marked as not important
_SIGNS = {
    b"par": "\n", b"line": "\n", b"sect": "\n", b"page": "\n", b"row": "\n", b"tab": "\t", b"cell": "\t",
    b"nestcell": "\t", b"nestrow": "\n", b"emdash": "-", b"endash": "-", b"enspace": " ", b"emspace": " ",
    b"bullet": "*", b"lquote": "'", b"rquote": "'", b"ldblquote": '"', b"rdblquote": '"',
}  # fmt: skip

_SHOWN, _ASIDE, _NOTHING = 0, 1, 2  # what becomes of the text of a group


class Rich(NamedTuple):
    """What a document says, and what is in it that nobody reads."""

    text: str
    unseen: str  # what stands where programs look: the ends of links, variables, notes of a program
    has_pictures: bool
    has_objects: bool  # embedded files, or octets that are no picture's


def text_of_rtf(octets: bytes) -> Rich:
    """Return the text, and whether there are pictures or embedded objects in it, which are not read."""
    reader = _Reader()
    at = 0
    while at < len(octets):
        found = _TOKEN.match(octets, at)
        at = at + 1 if found is None else found.end() + reader.take(found)
    return reader.whole()


class _Reader:
    """Takes a document's tokens, and keeps what a group begins with until it ends."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._waiting = bytearray()  # octets of the document's own charset
        self._aside = bytearray()  # what stands where programs look
        self._charset = "cp1252"
        self._hidden, self._unicode_skip = _SHOWN, 1
        self._groups: list[tuple[int, int]] = []  # what those two were outside
        self._skip = 0  # characters that stand for the one before, for programs without Unicode
        self._important = True  # whether the group that begins here does not say that it may be left out
        self._has_pictures = self._has_objects = False

    def take(self, found: re.Match[bytes]) -> int:
        """Take one token; return how many octets behind it are no text."""
        word, text = found["word"], found["text"]
        if found["brace"]:
            self._turn(found["brace"])
        elif word is not None:
            number = int(found["number"]) if found["number"] else None
            self._important, was_important = True, self._important
            if word == b"bin" and number and number > 0:
                self._has_objects = self._has_objects or not self._hidden  # in a picture, octets are the picture
                return number
            if not self._begins_group(word, was_important):
                self._say_word(word, number)
        elif found["hex"] is not None:
            if self._skip:
                self._skip -= 1
            else:
                self._add(bytes.fromhex(found["hex"].decode()))
        elif found["sign"] is not None:
            self._say_sign(found["sign"])
        elif text is not None and self._hidden != _NOTHING:
            self._add(text[self._skip :])
            self._skip = max(0, self._skip - len(text))
        return 0

    def whole(self) -> Rich:
        """Return what was read."""
        self._flush()
        aside = decode_text(bytes(self._aside), self._charset)
        return Rich(_paired("".join(self._out)), aside, self._has_pictures, self._has_objects)

    def _turn(self, brace: bytes) -> None:
        """Begin a group, or end one."""
        self._skip, self._important = 0, True
        if brace == b"{":
            self._groups.append((self._hidden, self._unicode_skip))
        elif self._groups:
            if self._hidden == _ASIDE and self._groups[-1][0] == _SHOWN:
                self._aside += b"\n"
            self._hidden, self._unicode_skip = self._groups.pop()

    def _begins_group(self, word: bytes, important: bool) -> bool:
        """Say whether a word tells what its group is, and keep what becomes of its text."""
        if word == b"pict":
            self._hidden, self._has_pictures = _NOTHING, True
        elif word == b"objdata":
            self._hidden, self._has_objects = _NOTHING, True
        elif word in _UNSEEN:
            self._hidden = _NOTHING
        elif word == b"fldinst" or (not important and word not in _SEEN):
            self._hidden = max(self._hidden, _ASIDE)
        else:
            return False
        return True

    def _say_word(self, word: bytes, number: int | None) -> None:
        if word == b"ansicpg" and number:
            self._charset = f"cp{number}"
        elif word == b"uc" and number is not None:
            self._unicode_skip = min(max(number, 0), 10)
        elif word == b"u" and number is not None and self._hidden != _NOTHING:
            if self._hidden == _ASIDE:
                self._aside += _character(number).encode("utf-8", "replace")
            else:
                self._flush()
                self._out.append(_character(number))
            self._skip = self._unicode_skip
        elif word in _SIGNS and not self._hidden:
            self._flush()
            self._out.append(_SIGNS[word])

    def _say_sign(self, sign: bytes) -> None:
        if sign == b"*":
            self._important = False
        elif not self._hidden and sign in b"\\{}_~-":
            self._waiting += {b"_": b"-", b"~": b" ", b"-": b""}.get(sign, sign)

    def _add(self, octets: bytes) -> None:
        if self._hidden != _NOTHING:
            (self._aside if self._hidden else self._waiting).extend(octets)

    def _flush(self) -> None:
        if self._waiting:
            self._out.append(decode_text(bytes(self._waiting), self._charset))
            self._waiting.clear()


def _character(number: int) -> str:
    code = number & 0xFFFF if number < 0 else number
    return chr(code) if code <= 0x10FFFF else ""


def _paired(text: str) -> str:
    """Join halves of characters that were written as two."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
