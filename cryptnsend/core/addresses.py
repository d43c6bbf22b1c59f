"""Which mailbox does this text mean, and is it the same as that one?

`canonical` is the one form in which addresses are compared and stored; what people typed is kept beside it for display.
`parse_mailboxes` reads what strangers put into header fields and never raises; `single_author` is the strict reader
behind the author check. Nothing here recurses, and every loop is linear in the length of the field.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import idna

from cryptnsend.core.charsets import decode_words, guess_text, one_line
from cryptnsend.core.errors import Denied, NotAuthor, Sentence
from cryptnsend.core.names import UNSEEN
from cryptnsend.core.names import safe_display_name as safe_display_name

# RFC 5321 §4.5.3.1: octets of a local part, a domain, and a path without its angle brackets.
_LOCAL, _DOMAIN, _PATH = 64, 253, 254
_ATEXT = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_DOMAIN_NAME = rf"(?:{_LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?"  # no all-numeric last label (RFC 3696 §2)
_FAST = re.compile(
    rf"(?=.{{3,254}}\Z)(?=[^@]{{1,64}}@){_ATEXT}(?:\.{_ATEXT})*@{_DOMAIN_NAME}", re.ASCII | re.IGNORECASE
)
_ASCII_DOMAIN = re.compile(_DOMAIN_NAME, re.ASCII)
_ANY_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"  # RFC 6531 §3.3
_DOT_ATOM = re.compile(rf"{_ANY_ATEXT}(?:\.{_ANY_ATEXT})*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)


class Mailbox(NamedTuple):
    """A display name (decoded, may be empty) and an address as it was written."""

    name: str
    address: str


def fast_path(address: str) -> str | None:
    """Return the canonical form of an ordinary ASCII address, or None if it needs `canonical`."""
    return address.lower() if _FAST.fullmatch(address) else None


def canonical(address: str) -> str:
    """
    Return the one form in which *address* is compared and stored; raise ValueError with a plain sentence.

    Domain: lower-case A-labels by IDNA 2008 with the UTS 46 mapping (the `idna` package; the standard library's codec
    is IDNA 2003 and turns straße.de into another domain). Local part: NFC and case-folded one character for one, so
    that straße@ and strasse@ stay two mailboxes; dots and plus are kept, needless quotes go (RFC 5321 §4.1.2,
    RFC 6531 §3.3).
    """
    # Remembered, since the same few people are looked up several times for every message; nothing long is.
    return _canonical(address) if len(address) > _PATH else _remembered(address)


def _canonical(address: str) -> str:
    fast = fast_path(address)
    if fast is not None:
        return fast
    address = address.strip()
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise ValueError("An address needs a name, an @ and a domain.")
    local, domain = _local(local), _domain(domain)
    if len(local.encode()) > _LOCAL:
        raise ValueError(f"The part of an address before the @ may have at most {_LOCAL} bytes.")
    if len(local.encode()) + 1 + len(domain) > _PATH:
        raise ValueError(f"An address may have at most {_PATH} bytes.")
    return f"{local}@{domain}"


_remembered = lru_cache(maxsize=8192)(_canonical)


def is_address(text: str) -> bool:
    """Tell whether *text* is one address that `canonical` accepts."""
    try:
        canonical(text)
    except ValueError:
        return False
    return True


def check_elsewhere(address: str, domain: str) -> None:
    """
    Raise `Denied` for a canonical address at *domain*, the server's own: whoever held it would get our mail.

    It would stand for nobody's mailbox besides, since the mail of that domain comes to this server.
    """
    if domain and address.rpartition("@")[2] == domain:
        raise Denied(
            Sentence(
                "%(address)s is at %(domain)s, the domain of this server's own addresses, where nobody has a mailbox."
                " Take the address at which mail is read.",
                address=address,
                domain=domain,
            )
        )


def display_domain(domain: str) -> str:
    """Return a domain for people to read: always its A-label form, so that look-alike letters show (RFC 5890)."""
    try:
        return _domain(domain)
    except ValueError:
        return domain.encode("ascii", "backslashreplace").decode()


def _local(local: str) -> str:
    if len(local) > 4 * _LOCAL:
        raise ValueError(f"The part of an address before the @ may have at most {_LOCAL} bytes.")
    quoted = _QUOTED.fullmatch(local)
    if quoted:
        local = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
    local = unicodedata.normalize("NFC", "".join(map(_fold, unicodedata.normalize("NFC", local))))
    if not local or any(unicodedata.category(c) in UNSEEN for c in local):
        raise ValueError("The part of an address before the @ may not have control or invisible characters.")
    if _DOT_ATOM.fullmatch(local):
        return local
    if not quoted:
        raise ValueError("The part of an address before the @ has characters that are not allowed there.")
    escaped = local.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _fold(char: str) -> str:
    """
    Fold one character into one.

    A folding into two characters, or from beyond ASCII into ASCII (ſ, K), would make mailboxes equal that a provider
    may have given to two people.
    """
    for folded in (char.casefold(), char.lower()):
        if len(folded) == 1 and (char.isascii() or not folded.isascii()):
            return folded
    return char


def _domain(domain: str) -> str:
    if domain.startswith("["):
        raise ValueError("Addresses with an IP number in place of a domain cannot be used.")
    if len(domain) > 4 * _DOMAIN:
        raise ValueError(f"The domain of an address may have at most {_DOMAIN} bytes.")
    ascii_form = domain.lower()
    if not domain.isascii():
        try:
            ascii_form = idna.encode(domain, uts46=True, std3_rules=True, transitional=False).decode()
        except (UnicodeError, ValueError, IndexError) as error:
            raise ValueError("The domain of the address is not a valid international domain name.") from error
    if len(ascii_form) > _DOMAIN or not _ASCII_DOMAIN.fullmatch(ascii_form):
        raise ValueError("The domain of the address is not a valid domain name.")
    return ascii_form


# --- header fields -------------------------------------------------------------------------------------------------

_NEXT = re.compile(r"""[\s]+|[(),:;<"]|[^\s(),:;<"]+""")
_SPECIAL = re.compile(r"""["\\();:=\[\x00-\x1f]|[^\x00-\x7e]""")
# What most clients write for one person; a quoted name with nothing in it that could be read in two ways.
_QUOTED_NAME = re.compile(r'"([^"\\\x00-\x1f\x7f-\U0010ffff]*)" ?<([^<>"\s]+)>')
_ANGLE = re.compile(r'<((?:"(?:[^"\\]|\\.)*+"|[^">])*+)>', re.DOTALL)
_PARENS = re.compile(r"[()]|\\.", re.DOTALL)
_BARE_ANGLE = re.compile(r"<[^,;<>]*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse_mailboxes(value: str) -> list[Mailbox]:
    """
    Read an unfolded address list field (RFC 5322 §3.4, §4.4) as well as it can be read; never raises.

    Groups are flattened, comments serve as names where there is no other, encoded-words are decoded after the field
    was cut up (so an encoded comma cuts nothing), routes are dropped. Entries without a usable address are left out.
    """
    if (one := _QUOTED_NAME.fullmatch(value)) and "=?" not in value and fast_path(one[2]):
        return [Mailbox(one_line(one[1].strip(), 250), one[2])]
    if not _SPECIAL.search(value):
        found = []
        for entry in value.split(","):
            name, angle, address = entry.rpartition("<")
            address = address.strip()
            if angle and not address.endswith(">"):
                break
            if not fast_path(address := address.removesuffix(">") if angle else address):
                break
            found.append(Mailbox(" ".join(name.split())[:250], address))
        else:
            return found
    return AddressReader(value).read()


class AddressReader:
    """
    One pass over one field. A delimiter that never closes is looked for once and from then on taken as text.

    What it finds is a flat list of mailboxes; a reader that also shows groups and routes overrides three methods.
    """

    def __init__(self, value: str):
        self.value = value
        self.found: list[Mailbox] = []
        self.open_ended: set[str] = set()
        self.clear()

    def clear(self) -> None:
        """Begin a new entry."""
        self.words: list[str] = []  # text of the phrase or bare address, blanks as " "
        self.comment = ""
        self.angle: str | None = None

    def read(self) -> list[Mailbox]:
        """Read to the end of the field."""
        at, value = 0, self.value
        while at < len(value):
            token = _NEXT.match(value, at)
            if token is None:  # cannot happen: the alternatives cover every character
                break
            text, at = token[0], token.end()
            if text in {",", ";"}:
                self.finish()
                if text == ";":
                    self.end_group()
            elif text == ":":
                self.group()
            elif text == '"':
                at = self._quoted(at - 1)
            elif text == "(":
                at = self._commented(at - 1)
            elif text == "<":
                at = self._angled(at - 1)
            else:
                self.words.append(" " if text.isspace() else text)
        self.finish()
        return self.found

    def _quoted(self, at: int) -> int:
        match = None if '"' in self.open_ended else _QUOTED.match(self.value, at)
        if match is None:
            self.open_ended.add('"')
            return at + 1
        following = self.value[match.end() : match.end() + 1]
        # "a b"@example.org is an address, and its quotes belong to it.
        self.words.append(match[0] if following == "@" else _ESCAPE.sub(r"\1", match[1]))
        return match.end()

    def _commented(self, at: int) -> int:
        depth, end = 0, at
        if "(" not in self.open_ended:
            for paren in _PARENS.finditer(self.value, at):
                depth += {"(": 1, ")": -1}.get(paren[0], 0)
                if depth == 0:
                    end = paren.end()
                    break
        if end == at:
            self.open_ended.add("(")
            return at + 1
        self.comment = self.comment or _ESCAPE.sub(r"\1", self.value[at + 1 : end - 1])
        return end

    def _angled(self, at: int) -> int:
        match = None if "<" in self.open_ended else _ANGLE.match(self.value, at)
        if match is None:
            self.open_ended.add("<")
            match = _BARE_ANGLE.match(self.value, at)
        inner, end = (match[0].strip("<>"), match.end()) if match else ("", at + 1)
        if self.angle is None:
            self.angle = inner
        return end

    def group(self) -> None:
        """Forget what came before a colon: it was the name of a group, or a "mailto"."""
        self.clear()

    def end_group(self) -> None:
        """Pass over the semicolon that ends a group."""

    def finish(self) -> None:
        """Keep the entry that has been read, if it is an address."""
        words, address = "".join(self.words).strip(), self.angle
        if address is None:
            words, address = self.bare(words)
        elif address.startswith("@") and ":" in address:
            address = address.rpartition(":")[2]  # RFC 5322 §4.4: a source route
        address = "".join(address.split()) if '"' not in address else address.strip()
        name = one_line(decode_words(words) or decode_words(self.comment), 250)
        if "@" in address and is_address(address):
            self.found.append(Mailbox(name, address))
        self.clear()

    @staticmethod
    def bare(words: str) -> tuple[str, str]:
        """Split text without angle brackets into a name and what can be an address in it."""
        if is_address(words) or not any(c.isspace() for c in words):
            return "", words
        parts = words.split()
        for at, part in enumerate(parts):
            if "@" in part[1:-1]:
                return " ".join(parts[:at] + parts[at + 1 :]), part
        return "", words


# --- the author ----------------------------------------------------------------------------------------------------

# Blanks and even folds before the colon were allowed once (RFC 5322 §4.5), and some readers still take them.
_FROM = re.compile(rb"[\r\n]from[\x00-\x20]*:([^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*)", re.IGNORECASE)
_FOLD = re.compile(rb"(?:\r\n|\r|\n)(?=[ \t])")
# What nearly every client sends: a name without anything that could be read twice, and an address.
_PLAIN = re.compile(r'("[^"\\@<>]*+"|[^"\\(),:;<>@\[\]]*+) ?<([^\s<>"]+)>')
_STRICT = re.compile(
    r"""\s+ | "(?P<quoted>(?:[^"\\]|\\.)*+)" | <(?P<angle>[^<>"\s]*+ | "(?:[^"\\<>]|\\.)*+"@[^<>"\s]*+)>
      | (?P<special>[()<>,;:"\\\[\]]) | (?P<atom>[^\s()<>,;:"\\\[\]]+)""",
    re.VERBOSE | re.DOTALL,
)


def single_author(header: bytes) -> Mailbox:
    """
    Return the one author of a header block; raise `NotAuthor` unless there is exactly one From field with one mailbox.

    Strict on purpose (RFC 5322 §3.6.2, RFC 7489 §6.6.1): where two readers could find two authors, there is none. A
    group, a second mailbox, an unbalanced quote or an address that only appears after decoding is refused.
    """
    values = _FROM.findall((b"\r\n" + header).partition(b"\r\n\r\n")[0])
    if not values:
        raise NotAuthor("The message has no From field.")
    if len(values) > 1:
        raise NotAuthor("The message has more than one From field.")
    return _author(values[0]) if len(values[0]) > _PATH else _usual_author(values[0])


def _author(field: bytes) -> Mailbox:
    value = guess_text(_FOLD.sub(b"", field)).strip()
    plain = _PLAIN.fullmatch(value)
    if plain and fast_path(plain[2]):
        return Mailbox(one_line(decode_words(plain[1].strip(' "')), 250), plain[2])
    if len(value) > 2000:
        raise NotAuthor("The From field is too long.")
    return _one_mailbox(value)


_usual_author = lru_cache(maxsize=1024)(_author)  # people send more than one message


def _one_mailbox(value: str) -> Mailbox:
    words: list[str] = []
    angle: str | None = None
    at, unclear = 0, NotAuthor("The From field must have exactly one address, like: Ann Ruiz <ann@example.org>.")
    while at < len(value):
        if value[at] == "(":
            at = _comment_end(value, at, unclear)
            continue
        token = _STRICT.match(value, at)
        if token is None or token["special"] or (angle is not None and not token[0].isspace()):
            raise unclear
        at = token.end()
        if token["angle"] is not None:
            angle = token["angle"]
        elif token["quoted"] is not None and value[at : at + 1] != "@":
            words.append(_ESCAPE.sub(r"\1", token["quoted"]))
        elif "@" in token[0] and value.find("<", at) >= 0:
            # An unquoted address in the name: some readers would take this one for the author.
            raise unclear
        else:
            words.append(token[0])
    text = "".join(words).strip()
    if angle is None:
        angle, text = text, ""
    if not is_address(angle):
        raise unclear
    return Mailbox(one_line(decode_words(text), 250), angle)


def _comment_end(value: str, at: int, unclear: NotAuthor) -> int:
    depth = 0
    for paren in _PARENS.finditer(value, at):
        depth += {"(": 1, ")": -1}.get(paren[0], 0)
        if depth == 0:
            return paren.end()
    raise unclear
