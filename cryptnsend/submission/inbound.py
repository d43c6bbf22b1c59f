"""What is said at the door where other servers bring mail? Port 25: RFC 5321, for addresses of ours and nobody else's.

Everything is decided while the other server waits: who is not known is refused at RCPT, what cannot be taken is refused
at the end of DATA, and nothing is ever sent back later to an address that somebody may have made up. Nobody signs in
here and nothing is passed on. TLS is offered and, as between servers everywhere, not demanded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar, NoReturn, Protocol, TypeVar

import structlog

from cryptnsend.core.errors import Refusal, Temporary, WrongSecret
from cryptnsend.submission import server, syntax
from cryptnsend.submission.connection import House, no_page, recoded
from cryptnsend.submission.contract import Envelope, Peer, Submission, Subscriber
from cryptnsend.submission.limits import Limits
from cryptnsend.submission.listener import SubmissionSession
from cryptnsend.submission.replies import listing, reply

T = TypeVar("T")
InThread = Callable[[Callable[[], None]], Awaitable[None]]
THREADS = 16  # decisions that may wait for rows, the keeper or name servers at the same time


class Destination(Protocol):
    """What an address of ours stands for. Recipients of one message must belong to one group."""

    @property
    def group(self) -> Hashable: ...

    @property
    def kind(self) -> str:
        """Return a word for the log; never an address or a token."""


class Reception(Protocol):
    """Decides about mail from other servers."""

    def recipient(self, address: str) -> Any:
        """
        Return the `Destination` that *address* stands for. Blocks; called in a thread.

        Raises `Refusal`, alike in words and time for every address that is not one of ours, and `Temporary` when it
        cannot be decided now.
        """

    def begin(self, envelope: Envelope, destinations: Sequence[Any], in_thread: InThread) -> Submission:
        """
        Start a message: called at DATA, before the 354. Cheap. Raises `Refusal` or `Temporary`.

        *in_thread* runs what has to wait for something.
        """


class InboundSession(SubmissionSession):
    """The commands of the door for other servers."""

    needs_tls: ClassVar[bool] = False
    unoffered: ClassVar[frozenset[str]] = frozenset({"AUTH"})

    def __init__(self, house: House, *, reception: Reception, pool: ThreadPoolExecutor, **arrival: Any):
        super().__init__(house, **arrival)
        self._reception, self._pool = reception, pool
        self._destinations: list[Any] = []

    async def smtp_EHLO(self, argument: str | None) -> None:
        """Say what we can."""
        self._hello(argument, extended=True)
        house = self._house
        words = [house.hostname, f"SIZE {self._limits.size}", "8BITMIME", "SMTPUTF8", "PIPELINING"]
        self._outbox += listing(250, [*words, "ENHANCEDSTATUSCODES", *([] if self._tls else ["STARTTLS"]), "HELP"])

    async def smtp_AUTH(self, argument: str | None) -> None:
        """Send mail programs to their own door."""
        raise Refusal("Nobody signs in here. Mail programs use port 465 or 587.", code=502, status="5.5.1")

    async def smtp_MAIL(self, argument: str | None) -> None:
        """Begin a transaction. Who is named here is looked at when the message is there."""
        if self._ehlo is None:
            raise Refusal("Say EHLO first.", code=503, status="5.5.1")
        if self._mail is not None:
            raise Refusal("A message is already begun.", code=503, status="5.5.1")
        self._mail = syntax.read_mail(argument, limit=self._limits.size, extended=self._extended, tls=False)
        self._busy = True
        self._outbox += b"250 2.1.0 OK\r\n"

    async def smtp_RCPT(self, argument: str | None) -> None:
        """Take a recipient if the address is one of ours."""
        if self._mail is None:
            raise Refusal("Say MAIL first.", code=503, status="5.5.1")
        rcpt = syntax.read_rcpt(
            argument, hostname=self._house.hostname, extended=self._extended, smtputf8=self._mail.smtputf8
        )
        if len(self._recipients) >= self._limits.recipients:
            raise recoded(Temporary("Too many recipients."), 452, "4.5.3")
        destination = await self._waiting(partial(self._reception.recipient, rcpt.address))
        if self._destinations and destination.group != self._destinations[0].group:
            # Each kind has rules of its own, and one message can have only one answer.
            raise recoded(Temporary("One of these at a time; send to this one in a message of its own."), 452, "4.5.3")
        self._recipients.append(rcpt)
        self._destinations.append(destination)
        self._outbox += b"250 2.1.5 OK\r\n"

    async def smtp_DATA(self, argument: str | None) -> None:
        """Take the message; the 250 is said when all of it is done."""
        mail, destinations = self._mail, self._destinations
        if argument:
            raise Refusal("DATA takes no argument.", code=501, status="5.5.4")
        if mail is None or not destinations:
            raise Refusal("Say MAIL and RCPT first.", code=503, status="5.5.1")
        envelope = Envelope(
            reverse_path=mail.reverse_path,
            recipients=tuple(self._recipients),
            received_from=Peer(self._source, self._ehlo or "", self._tls),
            size=mail.size,
            body_8bit=mail.body_8bit,
            smtputf8=mail.smtputf8,
        )
        kind = destinations[0].kind
        begin = partial(self._reception.begin, envelope, destinations, self._in_thread)
        words, size = await self._taken(begin, "mail refused", kind=kind)
        self._outbox += reply(250, "2.0.0", words)
        self._house.log.info("mail taken", kind=kind, size=size, source=self._source, tls=self._tls)

    def _end_transaction(self) -> None:
        super()._end_transaction()
        self._destinations = []

    async def _waiting(self, work: Callable[[], T]) -> T:
        return await self.loop.run_in_executor(self._pool, work)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await self._waiting(work)


InboundSession.commands = SubmissionSession.commands | {
    name.removeprefix("smtp_"): method for name, method in vars(InboundSession).items() if name.startswith("smtp_")
}


class Nobody:
    """Stands where the other doors have a gatekeeper and an intake: here nobody signs in, and nothing is submitted."""

    def authenticate(self, username: str, password: str, source: str) -> Subscriber:
        """Refuse."""
        raise WrongSecret("Nobody signs in here.")

    def still_valid(self, subscriber: Subscriber) -> bool:
        """Say no."""
        return False

    def begin(self, subscriber: Subscriber, envelope: Envelope) -> NoReturn:
        """Refuse."""
        raise Refusal("Nothing is submitted here.")

    def enter_transaction(self) -> None:
        """Count nothing: a single message waits for no others."""

    def leave_transaction(self) -> None:
        """Count nothing."""


def inbound_server(
    doors: Sequence[server.Door],
    *,
    reception: Reception,
    pool: ThreadPoolExecutor,
    certificate: server.Renewable,
    hostname: str,
    log: structlog.typing.FilteringBoundLogger,
    limits: Limits,
    help_url: Callable[[str], str] = no_page,
) -> server.Server:
    """Return the server of the doors for other servers, not yet started. *pool* is where decisions wait."""
    nobody = Nobody()
    return server.Server(
        doors,
        gatekeeper=nobody,
        intake=nobody,
        certificate=certificate,
        hostname=hostname,
        log=log,
        limits=limits,
        help_url=help_url,
        session=partial(InboundSession, reception=reception, pool=pool),
    )


def serve_inbound(
    make: Callable[[ThreadPoolExecutor], server.Server], ready: Callable[[], None], hurry: server.Hurry | None = None
) -> None:
    """
    Keep the doors that *make* returns (`inbound_server`) open until SIGTERM or SIGINT; call in the main thread.

    *hurry* is as in `server.serve`.
    """
    with ThreadPoolExecutor(THREADS, "inbound") as pool:
        server.run(server.until_stopped(lambda _loop: make(pool), ready, hurry))
