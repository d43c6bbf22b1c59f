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
    out: list[str] = []
    waiting = bytearray()  # octets of the document's own charset
    aside = bytearray()  # what stands where programs look
    charset, hidden, skip = "cp1252", _SHOWN, 0
    has_pictures = has_objects = False
    stack: list[tuple[int, int]] = []
    unicode_skip, important, at = 1, True, 0

    def flush() -> None:
        if waiting:
            out.append(decode_text(bytes(waiting), charset))
            waiting.clear()

    while at < len(octets):
        found = _TOKEN.match(octets, at)
        if found is None:
            at += 1
            continue
        at = found.end()
        if brace := found["brace"]:
            skip = 0
            if brace == b"{":
                stack.append((hidden, unicode_skip))
            elif stack:
                if hidden == _ASIDE and stack[-1][0] == _SHOWN:
                    aside += b"\n"
                hidden, unicode_skip = stack.pop()
            important = True
        elif (word := found["word"]) is not None:
            number = int(found["number"]) if found["number"] else None
            if word == b"bin" and number and number > 0:
                at += number
                has_objects = has_objects or not hidden  # in a picture, octets are the picture
            elif word == b"pict":
                hidden, has_pictures = _NOTHING, True
            elif word == b"objdata":
                hidden, has_objects = _NOTHING, True
            elif word in _UNSEEN:
                hidden = _NOTHING
            elif word == b"fldinst" or (not important and word not in _SEEN):
                hidden = max(hidden, _ASIDE)
            elif word == b"ansicpg" and number:
                charset = f"cp{number}"
            elif word == b"uc" and number is not None:
                unicode_skip = min(max(number, 0), 10)
            elif word == b"u" and number is not None and hidden == _ASIDE:
                aside += _character(number).encode("utf-8", "replace")
                skip = unicode_skip
            elif word == b"u" and number is not None and not hidden:
                flush()
                out.append(_character(number))
                skip = unicode_skip
            elif word in _SIGNS and not hidden:
                flush()
                out.append(_SIGNS[word])
            important = True
        elif found["hex"] is not None:
            if skip:
                skip -= 1
            elif hidden != _NOTHING:
                (aside if hidden else waiting).extend(bytes.fromhex(found["hex"].decode()))
        elif (sign := found["sign"]) is not None:
            if sign == b"*":
                important = False
            elif not hidden and sign in b"\\{}_~-":
                waiting += {b"_": b"-", b"~": b" ", b"-": b""}.get(sign, sign)
        elif (text := found["text"]) is not None and hidden != _NOTHING:
            (aside if hidden else waiting).extend(text[skip:])
            skip = max(0, skip - len(text))
    flush()
    return Rich(_paired("".join(out)), decode_text(bytes(aside), charset), has_pictures, has_objects)


def _character(number: int) -> str:
    code = number & 0xFFFF if number < 0 else number
    return chr(code) if code <= 0x10FFFF else ""


def _paired(text: str) -> str:
    """Join halves of characters that were written as two."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
