"""What does the sender ask for in the first characters of the subject?

`::` asks for plain mail, `secure/` for the vault, `encrypt/` for an encrypted PDF; only at the start, behind Re: and
Fw: prefixes. Reading leans to one side: `::` counts only where it cannot mean anything else, the other two also where
they are spelt carelessly, because a request for protection that is overlooked is a leak.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from cryptnsend.core.charsets import decode_words, guess_text, one_line
from cryptnsend.core.mime_headers import header_end
from cryptnsend.core.mime_words import encode_field

Token = Literal["plain", "secure", "pdf"]
PROTECTING = frozenset({"secure", "pdf"})

_MARKS = r"re|res|aw|antw|antwort|sv|vs|odp|rif|ref|ynt|ang|bls|fw|fwd|wg|rv|tr|enc|doorst|vl|pd|i|r"
_PREFIX = re.compile(rf"\s*(?:{_MARKS})(?:\[\d{{1,3}}\]|\(\d{{1,3}}\))?[ ]?:(?!:)\s*", re.IGNORECASE)
# For requests of protection also other languages' prefixes, wide colons, repeated colons and list tags are passed over.
_LOOSE_PREFIX = re.compile(r"\s*(?:[^\W\d_]{0,10}(?:\[\d{1,3}\]|\(\d{1,3}\))?\s?[:：]+|\[[^\]\[]{1,40}\])\s*")
_PLAIN = re.compile(r"::(?![:：])(?:\s+|\Z|(?=[^\s:：]*(?:\s|\Z)))")
_PROTECT = re.compile(r"(secure|encrypt)\s?[/／]\s*", re.IGNORECASE)
_HEX_WORD = re.compile(r"[0-9a-fA-F.%/]*(?:\s|\Z)")


class Peeled(NamedTuple):
    """A subject taken apart: `prefixes + rest` is the subject as others shall see it."""

    prefixes: str
    token: Token | None
    rest: str

    @property
    def shown(self) -> str:
        """The subject without its token."""
        return (self.prefixes + self.rest).strip()


def peel(subject: str) -> Peeled:
    """
    Take a decoded subject apart into reply prefixes, token and rest; never raises.

    Of several tokens the most protective counts, `secure/` before `encrypt/` before `::`, and all of them go, with the
    prefixes between them.
    """
    strict = _run(_PREFIX, subject, len(subject) - len(subject.lstrip()))
    at, tokens = strict, set[Token]()
    while True:
        found = _token(subject, at) or _token(subject, _run(_PREFIX, subject, at))
        if found is None:
            loose = _PROTECT.match(subject, _run(_LOOSE_PREFIX, subject, at))
            if loose is None:
                break
            if not tokens:
                strict = loose.start()
            found = (_NAMES[loose[1].lower()], loose.end())
        tokens.add(found[0])
        at = found[1]
    for token in ("secure", "pdf", "plain"):
        if token in tokens:
            return Peeled(subject[:strict], token, subject[at:])
    return Peeled(subject[:strict], None, subject[strict:])


def asked_for(subject: str) -> Token | None:
    """Return the token of a decoded subject; the quick way for the many that have none."""
    if "::" in subject or "/" in subject or "／" in subject:
        return peel(subject).token
    return None


def has_mark(subject: str, marks: Sequence[str]) -> bool:
    """
    Say whether a decoded subject begins with one of an organisation's own *marks* (case-folded), behind any prefixes.

    A mark asks for protection and stays where it is: it says nothing that others may not know.
    """
    if not marks:
        return False
    folded, at = subject.casefold(), 0
    for _ in range(20):
        rest = folded[at:].lstrip()
        if any(rest.startswith(mark) for mark in marks):
            return True
        match = _LOOSE_PREFIX.match(folded, at)
        if match is None or match.end() == at:
            return False
        at = match.end()
    return False


_NAMES: dict[str, Token] = {"secure": "secure", "encrypt": "pdf"}


def _token(subject: str, at: int) -> tuple[Token, int] | None:
    protect = _PROTECT.match(subject, at)
    if protect:
        return _NAMES[protect[1].lower()], protect.end()
    plain = _PLAIN.match(subject, at)
    if plain and (plain[0] != "::" or plain.end() == len(subject) or not _HEX_WORD.match(subject, plain.end())):
        return "plain", plain.end()
    return None


def _run(prefix: re.Pattern[str], subject: str, at: int) -> int:
    """Return where the prefixes that begin at *at* end; at most twenty, more are no subject any more."""
    for _ in range(20):
        match = prefix.match(subject, at)
        if match is None or match.end() == at:
            break
        at = match.end()
    return at


_SUBJECT = re.compile(rb"(?<=\n)subject[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)(?:\r\n|\Z)", re.IGNORECASE)


def strip_token(header: bytes) -> bytes:
    """
    Return the header block with tokens removed from its subject, however that is encoded or folded.

    Without a token the octets stay as they are; with one the field is written anew.
    """
    end = header_end(header)

    def replace(match: re.Match[bytes]) -> bytes:
        text = one_line(decode_words(guess_text(match[1].replace(b"\r\n", b""))), 1000)
        peeled = peel(text)
        return match[0] if peeled.token is None else encode_field("Subject", peeled.shown)

    return _SUBJECT.sub(replace, b"\n" + header[:end])[1:] + header[end:]
