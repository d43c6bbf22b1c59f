"""Can this message go over the wire at all, and what must a peer be able to do for it? Looked at before connecting.

A message with a bare CR or LF means one thing to us and another to some peer ("SMTP smuggling"), so it is never sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptnsend.core.errors import Malformed
from cryptnsend.delivery.outcome import Envelope, Outcome
from cryptnsend.delivery.route import Unroutable, a_label

Message = bytes | Callable[[], Iterator[bytes]]  # a callable gives the same octets each time, in pieces

# RFC 5321 §4.1.2 with RFC 6531's UTF-8: a dot-string, here generous about dots, or a quoted string.
_LOCAL_PART = re.compile(
    r"""(?:[^\x00-\x20\x7f-\x9f\ud800-\udfff<>()\[\]\\,;:@"]+|"(?:[^\x00-\x1f\x7f-\x9f\ud800-\udfff"\\]|\\[\x20-\x7e])*")\Z"""
)
_NOTIFY = re.compile(r"(?:NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2})\Z")
_XTEXT = r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+"  # RFC 3461 §4
_ORCPT = re.compile(rf"(?=.{{1,500}}\Z)[A-Za-z0-9-]+;{_XTEXT}\Z")
_ENVID = re.compile(rf"(?=.{{1,100}}\Z){_XTEXT}\Z")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An envelope and a message that have been looked through; `size` is octets on the wire before dot-stuffing."""

    envelope: Envelope
    message: Message
    reverse_path: str  # with the domain as A-label
    recipient: str
    domain: str  # of the recipient, A-label
    size: int
    eight_bit: bool
    smtputf8: bool

    @classmethod
    def of(cls, envelope: Envelope, message: Message) -> Outgoing:
        """
        Look everything through.

        Raises `Malformed` for a message or DSN options that may not be sent, `Unroutable` for an address.
        """
        recipient, domain = _path(envelope.recipient, "5.1.3", "the recipient's")
        reverse_path = _path(envelope.reverse_path, "5.1.7", "the sender's")[0] if envelope.reverse_path else ""
        options = ((envelope.notify, _NOTIFY), (envelope.orcpt, _ORCPT), (envelope.envid, _ENVID))
        if any(value is not None and not rule.match(value) for value, rule in options) or (
            envelope.ret not in (None, "FULL", "HDRS")
        ):
            raise Malformed("The delivery options are not as RFC 3461 has them.", status="5.5.4")
        size, eight_bit = survey(pieces(message))
        smtputf8 = envelope.smtputf8 or not (recipient.isascii() and reverse_path.isascii())
        return cls(envelope, message, reverse_path, recipient, domain, size, eight_bit, smtputf8)

    def mail_options(self, offers: Callable[[str], bool]) -> str:
        """Return the parameters of MAIL for a peer that offers these extensions, with a space in front of each."""
        options = ""
        if offers("size"):
            options += f" SIZE={self.size}"
        if self.eight_bit and offers("8bitmime"):
            options += " BODY=8BITMIME"
        if self.smtputf8:
            options += " SMTPUTF8"
        if offers("dsn"):
            options += f" RET={self.envelope.ret}" if self.envelope.ret else ""
            options += f" ENVID={self.envelope.envid}" if self.envelope.envid else ""
        return options

    def rcpt_options(self, offers: Callable[[str], bool]) -> str:
        """Return the parameters of RCPT, likewise."""
        if not offers("dsn"):
            return ""
        options = f" NOTIFY={self.envelope.notify}" if self.envelope.notify else ""
        return options + (f" ORCPT={self.envelope.orcpt}" if self.envelope.orcpt else "")


def pieces(message: Message) -> Iterator[bytes]:
    """Return the octets of a message from the start, in pieces."""
    return iter((message,)) if isinstance(message, bytes) else message()


def survey(chunks: Iterator[bytes]) -> tuple[int, bool]:
    """
    Return the size on the wire, and whether any octet has its eighth bit set.

    Raises `Malformed` for a bare CR, a bare LF or a NUL. A missing last CRLF is counted: it will be added.
    """
    size, eight_bit = 0, False
    last = b""  # the end of what was seen: up to two octets
    for chunk in chunks:
        # A CR at the end waits for what follows; each CR and each LF must be half of a CRLF.
        joined = b"\r" + chunk if last.endswith(b"\r") else chunk
        whole = joined[:-1] if joined.endswith(b"\r") else joined
        pairs = whole.count(b"\r\n")
        if pairs != whole.count(b"\r") or pairs != whole.count(b"\n") or b"\0" in whole:
            raise Malformed("The message has a bare CR, a bare LF or a NUL, which mail may not contain.")
        size += len(chunk)
        eight_bit = eight_bit or not chunk.isascii()
        last = (last + chunk)[-2:]
    if last.endswith(b"\r"):
        raise Malformed("The message has a bare CR, a bare LF or a NUL, which mail may not contain.")
    return size + (2 if size and last != b"\r\n" else 0), eight_bit


def _path(address: str, status: str, whose: str) -> tuple[str, str]:
    """Return the address as it goes between <>, and its domain. Raises `Unroutable`."""
    local, _, domain = address.rpartition("@")
    if not _LOCAL_PART.match(local) or len(local.encode()) > 64:
        raise Unroutable(Outcome("failed", None, status, f"{whose} address is not one that mail can be sent to"))
    name = a_label(domain)
    return f"{local}@{name}", name
