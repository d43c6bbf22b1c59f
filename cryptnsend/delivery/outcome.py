"""What are we asked to deliver, and how did it end? Envelope (RFC 5321 §2.3.1) and Outcome (RFC 3464 §2.3.3).

A peer's words reach people in DSNs and on pages, so they are cleaned here, once, at the door.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import ClassVar, Literal

Kind = Literal["delivered", "delayed", "failed"]

REPLY_SHOWN = 512  # characters of a peer's reply that we keep

# RFC 3463 §2: class "." subject "." detail.
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Envelope:
    """
    Whom one copy of a message is for, and where its bounces go.

    `reverse_path` is "" for the null sender. `notify`, `orcpt`, `ret` and `envid` are RFC 3461 values as they stand on
    the wire (xtext already applied); they are sent only to peers that offer DSN. `smtputf8` says that the header
    section needs RFC 6532; addresses are looked at besides. `requiretls` is RFC 8689: proven TLS on the whole way.
    `tls_optional` is its opposite, the header field "TLS-Required: No": what the recipient's domain promises about TLS
    need not hold. It counts for class "plain" only, and not beside `requiretls`.
    """

    reverse_path: str
    recipient: str
    smtputf8: bool = False
    notify: str | None = None
    orcpt: str | None = None
    ret: str | None = None
    envid: str | None = None
    requiretls: bool = False
    tls_optional: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What one connection to one mail host showed about a domain's TLS policy (RFC 8460 §4).

    `policy_type` is tlsa, sts or no-policy-found; `policy` its text line by line; `hosts` the policy's mx names;
    `result` one of RFC 8460 §4.3, "" for success.
    """

    domain: str
    policy_type: str
    policy: tuple[str, ...]
    hosts: tuple[str, ...]
    result: str
    host: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    How one attempt for one recipient ended.

    `code` is the peer's reply code, None when no peer spoke; `status` an enhanced code (RFC 3463), ours if the peer
    gave none; `reply` one printable line; `host` who answered; `tls` in words for people ("none" in clear); `final`
    says that another attempt is pointless. `reason` is for callers that can do something else instead, `peer_size`
    the SIZE that the peer announced (octets, None if it named no limit).

    The way taken: `route` is mx, implicit-mx, route or smarthost, or scan for what never left; `address` and `cipher`
    are of the last connection; `proof` says what showed that the host is the recipient's (dane, mta-sts, operator,
    none). `seen` is what each TLS
    handshake of the attempt came to, for reports.
    """

    PROOF_MISSING: ClassVar[str] = "proof-missing"  # protected mail, and nobody vouches for the peer: send a notice
    TLS_MISSING: ClassVar[str] = "tls-missing"  # the peer has no TLS and clear text is not allowed
    TOO_LARGE: ClassVar[str] = "too-large"  # larger than the peer or we allow: send a link
    CONTENT: ClassVar[str] = "content"  # the peer saw the content and refuses it: send a link
    NOT_ASCII: ClassVar[str] = "not-ascii"  # the peer cannot take 8-bit content or addresses
    BUSY: ClassVar[str] = "busy"  # all connections to this domain are in use; nothing was tried
    SCAN: ClassVar[str] = "scan"  # a scanner of ours has to look at it first; as a route: it had the last word

    kind: Kind
    code: int | None = None
    status: str = ""
    reply: str = ""
    host: str = ""
    tls: str = "none"
    final: bool = False
    reason: str = ""
    peer_size: int | None = None
    route: str = ""
    address: str = ""
    cipher: str = ""
    proof: str = "none"
    seen: tuple[Seen, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.kind != "delayed":
            object.__setattr__(self, "final", True)


def outcome_of(
    code: int, text: bytes, *, host: str, tls: str, reason: str = "", peer_size: int | None = None
) -> Outcome:
    """Read a peer's reply: 2yz is delivered, 5yz failed, anything else (also nonsense) delayed (RFC 5321 §4.2.1)."""
    kind: Kind = "delivered" if 200 <= code < 300 else "failed" if 500 <= code < 600 else "delayed"
    status, words = split_status(code, text)
    return Outcome(kind, code, status, words, host, tls, reason=reason, peer_size=peer_size)


def split_status(code: int, text: bytes) -> tuple[str, str]:
    """
    Split a reply's text into its enhanced code and one line of words.

    Peers repeat the enhanced code on each line; it is kept once. A code whose class contradicts the reply code
    (RFC 3463 §2: it must not) is replaced by the general one of the right class.
    """
    lines = [one_line(line) for line in text[: 64 * 1024].split(b"\n")]
    found = _ENHANCED.match(lines[0])
    digit = code // 100 if code // 100 in (2, 4, 5) else 4
    if found is None or found[1] != str(digit):
        return f"{digit}.0.0", one_line(" ".join(lines).encode())
    repeated = found[0]
    words = [line[len(repeated) :].strip() if line.startswith(repeated) else line for line in lines]
    return repeated, one_line(" ".join(words).encode())


def one_line(text: bytes | str) -> str:
    """
    Make one printable line of at most 512 characters out of whatever a stranger sent.

    Control, format (bidirectional overrides among them) and unassigned characters become spaces.
    """
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    shown = "".join(c if not unicodedata.category(c).startswith(("C", "Zl", "Zp")) else " " for c in words[:65536])
    shown = " ".join(shown.split())
    return shown if len(shown) <= REPLY_SHOWN else shown[: REPLY_SHOWN - 1] + "…"
