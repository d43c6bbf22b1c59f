"""What do the SMTP doors need from the rest of the house? The interfaces they are handed, and the envelope they fill.

The doors know no flow, store or keeper: `app` passes a `Gatekeeper` and an `Intake` to `serve`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Literal, Protocol


class Subscriber(Protocol):
    """Who signed in. `address` and `aliases` are canonical: local part case-folded, domain as lower-case A-label."""

    @property
    def account(self) -> int: ...

    @property
    def organisation(self) -> int: ...

    @property
    def address(self) -> str: ...

    @property
    def aliases(self) -> frozenset[str]: ...

    @property
    def credential_version(self) -> int: ...

    @property
    def device(self) -> int | None:
        """Return the device whose password was used, or None for the main password."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a message came from, for the trace and the audit; nothing here is trusted."""

    source: str  # IP address of the client
    ehlo: str  # the EHLO argument, printable ASCII, at most 255 characters
    tls: str  # e.g. "TLSv1.3"; empty without TLS


@dataclass(frozen=True, slots=True)
class Rcpt:
    """One RCPT command (RFC 5321 §4.1.1.3) with its DSN parameters (RFC 3461 §4)."""

    address: str  # as the client wrote it, without angle brackets or source route
    notify: frozenset[str] | None = None  # of "SUCCESS", "FAILURE", "DELAY"; empty means NEVER; None: not given
    orcpt: str | None = None  # "addr-type;address", xtext decoded, printable


@dataclass(frozen=True, slots=True)
class Envelope:
    """The envelope of one submission (RFC 5321 §2.3.1)."""

    reverse_path: str  # empty for the null sender
    recipients: tuple[Rcpt, ...]
    received_from: Peer
    size: int | None = None  # octets as declared by SIZE (RFC 1870)
    ret: Literal["FULL", "HDRS"] | None = None
    envid: str | None = None  # xtext decoded, printable
    body_8bit: bool = False  # BODY=8BITMIME was declared (RFC 6152)
    smtputf8: bool = False  # RFC 6531
    requiretls: bool = False  # RFC 8689


class Gatekeeper(Protocol):
    """Says who signs in. Told apart by exception, so that a fault of ours never looks like a wrong password."""

    def authenticate(self, username: str, password: str, source: str) -> Subscriber:
        """
        Return whose password this is. Blocks (Argon2id); called in a thread of a small pool.

        Raises `WrongSecret` (or any other `Denied`), doing the same work for unknown names; `Throttled` when this
        name and source failed too often; `Temporary` when it cannot be decided now.
        """

    def still_valid(self, subscriber: Subscriber) -> bool:
        """
        Say whether a remembered success still holds: re-read `credential_version`. Cheap; called on the loop.

        Raises `Temporary` when the row cannot be read.
        """


class Submission(Protocol):
    """One message being taken in. Every method runs on the loop thread and is called in the order given here."""

    def header(self, octets: bytes) -> None:
        """
        Take the whole header block, blank line included if there was one (RFC 5322 §2.1); empty for an empty message.

        Raises `Refusal` when the author is not the subscriber, or policy says so.
        """

    def body(self, octets: bytes) -> Awaitable[None] | None:
        """Take the next octets, dots unstuffed. An awaitable is awaited before more is read: back-pressure."""

    async def commit(self) -> str:
        """Return the text of the message's id once everything is durable; raise `Refusal` or `Temporary`."""

    def abort(self) -> None:
        """Keep nothing. Called once after any failure, one of `commit` included; never after its success."""


class Intake(Protocol):
    """Takes messages in; one per process, used from the loop thread only."""

    def begin(self, subscriber: Subscriber, envelope: Envelope) -> Submission:
        """Start a message: called at DATA, before the 354. Cheap. Raises `Refusal` or `Temporary`."""

    def enter_transaction(self) -> None:
        """Count one more session between MAIL and the reply to its message: worth a moment's wait when committing."""

    def leave_transaction(self) -> None:
        """Take that session off the count again, whatever became of its message."""
