"""How do the SMTP doors reach the admission? The `Intake` of submission/contract.py on top of `Admission`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from cryptnsend.core.contracts import Rows
from cryptnsend.flow.admit import Admission, Admitted, Draft, InThread
from cryptnsend.flow.granting import Addressee, Author, Envelope


class SignedIn(Protocol):
    """Who submits, as the gate let them in."""

    @property
    def account(self) -> int: ...
    @property
    def organisation(self) -> int: ...
    @property
    def address(self) -> str: ...
    @property
    def aliases(self) -> frozenset[str]: ...


class Rcpt(Protocol):
    """One RCPT command with its DSN parameters (RFC 3461 §4)."""

    @property
    def address(self) -> str: ...
    @property
    def notify(self) -> frozenset[str] | None: ...
    @property
    def orcpt(self) -> str | None: ...


class Peer(Protocol):
    """The client, of which only the protocol variant is kept."""

    @property
    def tls(self) -> str: ...


class Submitted(Protocol):
    """An SMTP envelope as the doors hand it over."""

    @property
    def reverse_path(self) -> str: ...
    @property
    def recipients(self) -> Sequence[Rcpt]: ...
    @property
    def ret(self) -> str | None: ...
    @property
    def envid(self) -> str | None: ...
    @property
    def smtputf8(self) -> bool: ...
    @property
    def requiretls(self) -> bool: ...


class Expected(Protocol):
    """A session that will soon have a complete message."""

    def leave(self) -> None: ...


class Batcher(Protocol):
    """The group commit of one event loop."""

    def enter(self) -> Expected: ...
    async def submit(
        self,
        fn: Callable[[Rows], Admitted],
        *,
        blobs: Sequence[str],
        expected: Expected | None,
        ready: Callable[[], None] | None,
    ) -> Admitted: ...


class SmtpIntake:
    """Takes messages from the SMTP doors of one process; used from the loop's thread only."""

    def __init__(self, admission: Admission, batcher: Batcher, in_thread: InThread):
        self.admission, self.batcher, self.in_thread = admission, batcher, in_thread
        self._expected: list[Expected] = []
        self._submitted = 0  # sessions that have submitted and not left: their place is given up already

    def begin(self, subscriber: SignedIn, envelope: Submitted) -> SmtpDraft:
        """Start a message of this subscriber."""
        author = Author(subscriber.account, subscriber.organisation, subscriber.address, subscriber.aliases, True)
        taken = Envelope(
            envelope.reverse_path,
            tuple(Addressee(each.address, _notify(each.notify), each.orcpt or "") for each in envelope.recipients),
            envelope.ret or "",
            envelope.envid or "",
            "UTF8SMTPSA" if envelope.smtputf8 else "ESMTPSA",  # RFC 6531 §4.3, RFC 3848
            envelope.requiretls,
        )
        return SmtpDraft(self, self.admission.begin(author, taken, "smtp"))

    def enter_transaction(self) -> None:
        """Count a session between MAIL and the reply to its message: a batch waits for it, at most a millisecond."""
        self._expected.append(self.batcher.enter())

    def leave_transaction(self) -> None:
        """Take the session off the count, unless its submission already did."""
        if self._submitted:
            self._submitted -= 1
        elif self._expected:
            self._expected.pop().leave()

    async def submit(
        self, fill: Callable[[Rows], Admitted], blobs: Sequence[str], ready: Callable[[], None] | None
    ) -> Admitted:
        """Commit with whoever else is ready, and resolve once durable."""
        expected = self._expected.pop() if self._expected else None
        if expected is not None:
            self._submitted += 1
        return await self.batcher.submit(fill, blobs=blobs, expected=expected, ready=ready)


class SmtpDraft:
    """One message of a mail client; see submission/contract.py's `Submission`."""

    def __init__(self, intake: SmtpIntake, draft: Draft):
        self._intake, self._draft = intake, draft

    def header(self, octets: bytes) -> None:
        """Take the header block; raises NotAuthor."""
        self._draft.header(octets)

    def body(self, octets: bytes) -> Awaitable[None] | None:
        """Take octets of the body; raises TooBig. What is returned hands them to a scanner, which may take a moment."""
        wait = self._draft.feed(octets)
        return None if wait is None else self._intake.in_thread(wait)

    async def commit(self) -> str:
        """Return the message's id once it is durable."""
        admitted = await self._draft.commit(self._intake.submit, self._intake.in_thread)
        return str(admitted.message)

    def abort(self) -> None:
        """Keep nothing."""
        self._draft.abort()


def _notify(asked: frozenset[str] | None) -> str:
    """Return NOTIFY as it stands on the wire: empty if it was not given (RFC 3461 §4.1)."""
    if asked is None:
        return ""
    return ",".join(sorted(asked)) or "NEVER"
