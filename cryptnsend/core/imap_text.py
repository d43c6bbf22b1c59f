"""How do strings, names, dates and flags look on an IMAP line? RFC 3501 §4, §5.1.3, §9; RFC 9051 §5.1.

Out: the shortest form that every client reads. In: what the grammar allows and a little more, each with one clear
error. Nothing here knows the time; points in time are milliseconds since 1970, UTC.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from datetime import UTC, date, datetime

MAX_NAME = 500  # characters of a mailbox name
MAX_FLAG = 100  # characters of a keyword

SYSTEM_FLAGS = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
SPECIAL_USES = ("\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash", "\\Important")
_SYSTEM = {flag.casefold(): flag for flag in SYSTEM_FLAGS}
_USES = {use.casefold(): use for use in SPECIAL_USES}


class BadCommand(ValueError):
    """
    What the client sent cannot be done as it stands; `answer()` is the tagged line that says so.

    *status* is BAD for what breaks the grammar and NO for what is well-formed and refused, *code* a response code
    without its brackets, e.g. b"TOOBIG". The text is for people and never repeats what was sent.
    """

    def __init__(self, text: str, *, tag: bytes = b"*", status: str = "BAD", code: bytes = b""):
        super().__init__(text)
        self.tag, self.status, self.code = tag, status, code

    def answer(self) -> bytes:
        """Return the response line with its CRLF."""
        code = b"[" + self.code + b"] " if self.code else b""
        return self.tag + b" " + self.status.encode() + b" " + code + str(self).encode("ascii", "replace") + b"\r\n"


# --- strings -------------------------------------------------------------------------------------------------------

_UNQUOTABLE = re.compile(rb"[\x00\r\n\x80-\xff]")
_UNQUOTABLE_UTF8 = re.compile(rb"[\x00\r\n]")
_ESCAPED = re.compile(rb'["\\]')
_ASTRING = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
_LONGEST_QUOTED = 4096  # octets; some clients read a line into a buffer of a fixed size


def quoted(octets: bytes) -> bytes:
    """Return *octets* between quotes; the caller knows that there is no CR, LF, NUL or 8-bit octet in them."""
    if b'"' in octets or b"\\" in octets:
        octets = _ESCAPED.sub(rb"\\\g<0>", octets)
    return b'"' + octets + b'"'


def literal(octets: bytes) -> bytes:
    """Return *octets* behind their length; as a literal8 if there is a NUL in them (RFC 3516 §4.2)."""
    return (b"~{%d}\r\n" if b"\0" in octets else b"{%d}\r\n") % len(octets) + octets


def string(octets: bytes, *, utf8: bool = False) -> bytes:
    """Return *octets* as a quoted string where that can hold them, else as a literal (RFC 3501 §4.3)."""
    unquotable = _UNQUOTABLE_UTF8 if utf8 and _is_utf8(octets) else _UNQUOTABLE
    if len(octets) > _LONGEST_QUOTED or unquotable.search(octets):
        return literal(octets)
    return quoted(octets)


def nstring(octets: bytes | None) -> bytes:
    """Return `string`, or NIL for None."""
    return b"NIL" if octets is None else string(octets)


def astring(octets: bytes) -> bytes:
    """Return *octets* bare if they are an atom, else as a string."""
    return octets if _ASTRING.fullmatch(octets) and octets.upper() != b"NIL" else string(octets)


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


# --- mailbox names -------------------------------------------------------------------------------------------------

_RUN = re.compile(r"[^\x20-\x7e]+")
_SHIFT = re.compile(rb"&([^-]*)(-?)")


def encode_utf7(name: str) -> bytes:
    """Return *name* in modified UTF-7 (RFC 3501 §5.1.3); lone surrogates become U+FFFD."""
    return _RUN.sub(_shifted, name.replace("&", "&-")).encode()


def _shifted(run: re.Match[str]) -> str:
    octets = run[0].encode("utf-16-be", "replace")
    return "&" + binascii.b2a_base64(octets, newline=False).decode().rstrip("=").replace("/", ",") + "-"


def decode_utf7(octets: bytes) -> str:
    """Return the name behind modified UTF-7; raise BadCommand for what is none."""
    try:
        return _SHIFT.sub(_unshifted, octets).decode()
    except (UnicodeError, binascii.Error):
        raise BadCommand("This mailbox name is not valid modified UTF-7.") from None


def _unshifted(shift: re.Match[bytes]) -> bytes:
    digits, end = shift[1], shift[2]
    if not end or not digits:
        if end:
            return b"&"
        raise binascii.Error
    if b"/" in digits or b"=" in digits:
        raise binascii.Error
    padded = digits.replace(b",", b"/") + b"=" * (-len(digits) % 4)
    return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be").encode()


def encode_mailbox(name: str, *, utf8: bool = False) -> bytes:
    """Return a mailbox name as it stands on a response line; *utf8* once the client enabled IMAP4rev2 or UTF8."""
    return string(name.encode("utf-8", "replace"), utf8=True) if utf8 else string(encode_utf7(name))


def decode_mailbox(octets: bytes, *, utf8: bool = False) -> str:
    """
    Return the mailbox name that a client sent: INBOX in capitals, the rest in NFC; raise BadCommand for what is none.

    Octets beyond ASCII are taken as UTF-8 also from a client that did not ask for it: nothing else can be meant.
    """
    name = _decoded(octets, utf8)
    if not name:
        raise BadCommand("A mailbox needs a name.")
    return "INBOX" if name.upper() == "INBOX" else name


def decode_pattern(octets: bytes, *, utf8: bool = False) -> str:
    """Return a reference or pattern of LIST, which may be empty; raise BadCommand for what is none."""
    name = _decoded(octets, utf8)
    return "INBOX" if name.upper() == "INBOX" else name


def _decoded(octets: bytes, utf8: bool) -> str:
    if len(octets) > MAX_NAME * 12:
        raise BadCommand(f"A mailbox name may have at most {MAX_NAME} characters.")
    if utf8 or not octets.isascii():
        try:
            name = octets.decode()
        except UnicodeDecodeError:
            raise BadCommand("This mailbox name is not valid UTF-8.") from None
    else:
        name = decode_utf7(octets) if b"&" in octets else octets.decode()
    name = unicodedata.normalize("NFC", name)
    if any(unicodedata.category(char) in {"Cc", "Zl", "Zp", "Cs"} for char in name):
        raise BadCommand("A mailbox name may not have control characters.")
    if len(name) > MAX_NAME:
        raise BadCommand(f"A mailbox name may have at most {MAX_NAME} characters.")
    return name


class Pattern:
    """A pattern of LIST: "*" stands for anything, "%" for anything but the delimiter (RFC 3501 §6.3.8)."""

    def __init__(self, pattern: str, delimiter: str = "/"):
        self._delimiter = delimiter
        # Bit i of a state says that the first i elements have matched. Wildcards side by side are one, so that one step
        # of closure is enough, and no pattern takes more than one pass over a name.
        elements = re.findall(r"[*%]+|[^*%]", pattern)
        self._final = 1 << len(elements)
        self._any = sum(1 << i for i, element in enumerate(elements) if "*" in element)
        self._level = sum(1 << i for i, element in enumerate(elements) if set(element) == {"%"})
        self._chars: dict[str, int] = {}
        for i, element in enumerate(elements):
            if not set(element) <= {"*", "%"}:
                self._chars[element] = self._chars.get(element, 0) | 1 << i

    def matches(self, name: str) -> bool:
        """Say whether the whole *name* fits."""
        wild = self._any | self._level
        states = 1 | (1 & wild) << 1
        for char in name:
            stay = self._any if char == self._delimiter else wild
            states = (states & self._chars.get(char, 0)) << 1 | (states & stay)
            states |= (states & wild) << 1
        return bool(states & self._final)


# --- dates ---------------------------------------------------------------------------------------------------------

_NAMES = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTHS = {name.lower(): n for n, name in enumerate(_NAMES) if name}
_DATE = re.compile(rb'"?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})"?')
_DATE_TIME = re.compile(
    rb" ?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)


def parse_date(octets: bytes) -> date:
    """Read a date of SEARCH like 1-Feb-2026, with or without quotes; raise BadCommand for what is none."""
    match = _DATE.fullmatch(octets)
    try:
        if match:
            return date(int(match[3]), MONTHS[match[2].decode().lower()], int(match[1]))
    except (KeyError, ValueError):
        pass
    raise BadCommand("A date has the form 1-Feb-2026.")


def parse_date_time(octets: bytes) -> int:
    """Read the inside of a quoted date-time; return milliseconds since 1970, UTC; raise BadCommand for what is none."""
    match = _DATE_TIME.fullmatch(octets)
    try:
        if match:
            day = date(int(match[3]), MONTHS[match[2].decode().lower()], int(match[1]))
            hour, minute, second = (int(match[n]) for n in (4, 5, 6))
            zone = (int(match[8]) * 60 + int(match[9])) * (-1 if match[7] == b"-" else 1)
            if hour < 24 and minute < 60 and second <= 60 and int(match[9]) < 60:
                days = day.toordinal() - date(1970, 1, 1).toordinal()
                return (((days * 24 + hour) * 60 + minute - zone) * 60 + second) * 1000
    except (KeyError, ValueError):
        pass
    raise BadCommand('A point in time has the form "01-Feb-2026 12:30:00 +0100".')


def date_time(milliseconds: int) -> bytes:
    """Return a point in time as INTERNALDATE has it, with its quotes, in UTC (RFC 3501 §9, date-time)."""
    at = datetime.fromtimestamp(milliseconds // 1000, UTC)
    clock = b"%02d:%02d:%02d" % (at.hour, at.minute, at.second)
    return b'"%02d-%s-%04d %s +0000"' % (at.day, _NAMES[at.month].encode(), at.year, clock)


# --- flags ---------------------------------------------------------------------------------------------------------

_KEYWORD = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")


def canonical_flag(octets: bytes) -> str:
    r"""
    Return a flag as we write it: system flags in their usual case, keywords as sent.

    Raises BadCommand for what is none. Keywords that differ in case only are one (RFC 9051 §2.3.2): compare folded.
    """
    if octets.startswith(b"\\"):
        flag = _SYSTEM.get(octets.decode("ascii", "replace").casefold())
        if flag is None:
            raise BadCommand("The system flags are " + " ".join(SYSTEM_FLAGS) + ".")
        return flag
    if len(octets) > MAX_FLAG or not _KEYWORD.fullmatch(octets):
        raise BadCommand(f"A keyword is a word of at most {MAX_FLAG} plain characters.")
    return octets.decode()


def canonical_use(octets: bytes) -> str:
    r"""Return a special use like \Sent as we write it (RFC 6154 §2); raise BadCommand for one that is not known."""
    use = _USES.get(octets.decode("ascii", "replace").casefold())
    if use is None:
        raise BadCommand("This special use is not known here.", status="NO", code=b"USEATTR")
    return use
