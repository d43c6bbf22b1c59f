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
        found = survey(message)
        smtputf8 = envelope.smtputf8 or not (recipient.isascii() and reverse_path.isascii())
        return cls(envelope, message, reverse_path, recipient, domain, found.size, found.eight_bit, smtputf8)

    def pieces(self) -> Iterator[bytes]:
        """
        Give the octets for sending, looked through a second time: they may be read or rendered anew.

        Raises `Malformed` before the end if they are not the same as the first time, so that nothing is sent whole
        that was not looked at, and nothing short passes for the message.
        """
        again = Survey()
        yield from again.watch(_pieces(self.message))
        if again.size != self.size:
            raise Malformed("The message was not the same when it was read again.")

    def mail_options(self, offers: Callable[[str], bool]) -> str:
        """Return the parameters of MAIL for a peer that offers these extensions, with a space in front of each."""
        options = ""
        if offers("size"):
            options += f" SIZE={self.size}"
        if self.eight_bit and offers("8bitmime"):
            options += " BODY=8BITMIME"
        if self.smtputf8:
            options += " SMTPUTF8"
        if self.envelope.requiretls:
            options += " REQUIRETLS"  # a peer that does not offer it is not spoken to
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


class Survey:
    """
    Looks through a message as its pieces pass by.

    `size` is octets on the wire before dot-stuffing: a missing last CRLF is counted, since it will be added.
    """

    def __init__(self) -> None:
        self.eight_bit = False
        self._seen = 0
        self._last = b""  # the end of what was seen: up to two octets

    @property
    def size(self) -> int:
        return self._seen + (2 if self._seen and self._last != b"\r\n" else 0)

    def watch(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass the pieces on. Raises `Malformed` before a piece in which a bare CR, a bare LF or a NUL shows."""
        for chunk in chunks:
            # A CR at the end waits for what follows; each CR and each LF must be half of a CRLF.
            joined = b"\r" + chunk if self._last.endswith(b"\r") else chunk
            whole = joined[:-1] if joined.endswith(b"\r") else joined
            pairs = whole.count(b"\r\n")
            if pairs != whole.count(b"\r") or pairs != whole.count(b"\n") or b"\0" in whole:
                raise _bare()
            self._seen += len(chunk)
            self._last = (self._last + chunk)[-2:]
            self.eight_bit = self.eight_bit or not chunk.isascii()
            yield chunk
        if self._last.endswith(b"\r"):
            raise _bare()


def survey(message: Message) -> Survey:
    """Look a whole message through. Raises `Malformed`."""
    found = Survey()
    for _ in found.watch(_pieces(message)):
        pass
    return found


def _pieces(message: Message) -> Iterator[bytes]:
    return iter((message,)) if isinstance(message, bytes) else message()


def _bare() -> Malformed:
    return Malformed("The message has a bare CR, a bare LF or a NUL, which mail may not contain.")


def _path(address: str, status: str, whose: str) -> tuple[str, str]:
    """Return the address as it goes between <>, and its domain. Raises `Unroutable`."""
    local, _, domain = address.rpartition("@")
    if not _LOCAL_PART.match(local) or len(local.encode()) > 64:
        raise Unroutable(Outcome("failed", None, status, f"{whose} address is not one that mail can be sent to"))
    name = a_label(domain)
    return f"{local}@{name}", name
