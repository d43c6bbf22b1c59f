"""Which mail do the big providers refuse? Their rules as far as they are known, for the demo's Internet. Pure.

Gmail, Yahoo and their like want a DKIM signature that is valid and aligned with From, whatever the domain's own DMARC
policy says; everybody obeys a policy of reject. Gmail looks into archives: what it cannot look into must not hide more.
"""

from __future__ import annotations

import email
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from email.message import Message
from email.utils import getaddresses
from typing import Any

import dkim

WANTS_SIGNATURES = frozenset({"gmail.example", "yahoo.example", "aol.example", "outlook.example", "icloud.example"})
LOOKS_INSIDE = frozenset({"gmail.example"})
GREYLISTS = frozenset({"outlook.example"})

_PROGRAMS = re.compile(
    r"a(de|dp|pk|ppx)|bat|c(ab|hm|md|om|pl)|d(ll|mg)|exe|hta|i(mg|ns|so|sp)|j(ar|s|se)|l(ib|nk)|m(de|js|sc|si|sp|st)"
    r"|nsh|p(if|s1)|s(cr|ct|hb|ys)|v(b|be|bs|hd|xd)|w(sc|sf|sh)|xll"
)
_ARCHIVES = re.compile(r"7z|ace|arj|bz2|cab|gz|lha|lzh|rar|t(ar|bz|gz|xz)|xz|z|zip|zst")
_MAX_NESTING = 5


class Zone:
    """The TXT records of this Internet by lower-case name without final dot."""

    def __init__(self) -> None:
        self.txt: dict[str, str] = {
            "_dmarc.gmail.example": "v=DMARC1; p=none; sp=quarantine",
            "_dmarc.outlook.example": "v=DMARC1; p=none",
            "_dmarc.icloud.example": "v=DMARC1; p=quarantine",
            "_dmarc.yahoo.example": "v=DMARC1; p=reject",
            "_dmarc.aol.example": "v=DMARC1; p=reject",
        }

    def look_up(self, name: bytes | str, timeout: float = 0) -> bytes | None:
        """Answer as dkimpy's `dnsfunc`: the record's octets, None if there is none."""
        text = name.decode("ascii", "replace") if isinstance(name, bytes) else name
        found = self.txt.get(text.rstrip(".").lower())
        return found.encode() if found is not None else None

    def dmarc(self, domain: str) -> str:
        """Return the DMARC policy for mail from *domain*, by its own record or its organisation's (RFC 7489 §6.6.3)."""
        for name in (domain, organisational(domain)):
            record = self.txt.get(f"_dmarc.{name}")
            if record is not None:
                policy = re.search(r"(?:^|;)\s*p=(\w+)", record)
                return policy[1] if policy else "none"
        return "none"


def judge_recipient(address: str, first_seen: Callable[[], bool]) -> str:
    """Return the reply that refuses this recipient, "" if it is taken. *first_seen* is asked for greylisting only."""
    domain = address.rpartition("@")[2].lower()
    if domain != "example" and not domain.endswith(".example"):
        return "550 5.7.1 This host relays for nobody"
    if domain == "nowhere.example":
        return "550 5.1.1 There is no such person here"
    if domain == "down.example":
        return "421 4.3.2 This host is going down"
    if domain in GREYLISTS and first_seen():
        return "451 4.7.1 Greylisted, come again later"
    return ""


def judge_message(octets: bytes, recipients: Sequence[str], zone: Zone) -> str:
    """Return the reply that refuses this message for the first recipient who would, "" if all take it."""
    if re.search(rb"\r(?!\n)|(?<!\r)\n|\0", octets):
        return "550 5.5.2 Bare CR, bare LF or NUL in the message"
    domains = {recipient.rpartition("@")[2].lower() for recipient in recipients}
    message = email.message_from_bytes(octets)
    senders = [address for _, address in getaddresses([str(text) for text in message.get_all("From", [])])]
    if len(message.get_all("From", [])) != 1 or len(senders) != 1:
        return "550 5.7.1 A message has one From field with one address"
    author = senders[0].rpartition("@")[2].lower()
    wanted = domains & WANTS_SIGNATURES
    if (wanted or zone.dmarc(author) == "reject") and not is_aligned(author, signers(octets, zone)):
        return _unauthenticated(sorted(domains)[0], author)
    for part_name, content in attachments(message) if domains & LOOKS_INSIDE else ():
        if is_blocked(part_name, content):
            return "552 5.7.0 This message was blocked because its content is a possible danger"
    return ""


def _unauthenticated(domain: str, author: str) -> str:
    if domain in ("yahoo.example", "aol.example"):
        return f"554 5.7.9 Message not taken for policy reasons: From {author} is not authenticated"
    if domain == "outlook.example":
        return f"550 5.7.509 Access denied, sending domain {author} does not pass DMARC verification"
    return f"550 5.7.26 Unauthenticated mail from {author}: no valid DKIM signature is aligned with From"


def signers(octets: bytes, zone: Zone) -> set[str]:
    """Return the domains that have signed this message with a valid signature."""
    found = set()
    count = len(re.findall(rb"^dkim-signature[ \t]*:", octets.partition(b"\r\n\r\n")[0], re.IGNORECASE | re.MULTILINE))
    for index in range(min(count, 10)):
        try:
            verifier: Any = dkim.DKIM(octets)  # type: ignore[no-untyped-call]
            if verifier.verify(index, dnsfunc=zone.look_up):
                found.add(verifier.domain.decode("ascii", "replace").lower())
        except (dkim.DKIMException, ValueError, TypeError, KeyError, IndexError):
            # A signature that cannot be read, or is of a kind that this verifier lacks, counts as none (RFC 6376 §6.1).
            continue
    return found


def is_aligned(author: str, domains: set[str]) -> bool:
    """Say whether one of *domains* belongs to the same organisation as *author* (relaxed, RFC 7489 §3.1.1)."""
    return any(organisational(domain) == organisational(author) for domain in domains)


def organisational(domain: str) -> str:
    """Return the organisational domain; under .example every second level is one."""
    return ".".join(domain.split(".")[-2:])


def attachments(message: Message) -> Iterator[tuple[str, bytes]]:
    """Yield name and octets of every leaf part, those of attached messages among them."""
    for part in message.walk():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            yield part.get_filename() or "", content


def is_blocked(name: str, content: bytes, depth: int = 0) -> bool:
    """Say whether Gmail would refuse this file, by its name or by what an archive says it holds."""
    if _PROGRAMS.fullmatch(_kind(name)):
        return True
    if not content.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return any(_is_blocked_entry(archive, entry, depth) for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError, RuntimeError):
        return True  # an archive that cannot be read is not let through


def _is_blocked_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, depth: int) -> bool:
    kind = _kind(entry.filename)
    if entry.flag_bits & 1:  # encrypted: only the name can be seen
        return bool(_PROGRAMS.fullmatch(kind) or _ARCHIVES.fullmatch(kind))
    if not _ARCHIVES.fullmatch(kind):
        return bool(_PROGRAMS.fullmatch(kind))
    too_much = depth >= _MAX_NESTING or entry.file_size > 64 * 1024 * 1024
    return too_much or is_blocked(entry.filename, archive.read(entry), depth + 1)


def _kind(name: str) -> str:
    return name.rpartition(".")[2].lower() if "." in name else ""
