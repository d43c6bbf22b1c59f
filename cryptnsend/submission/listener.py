"""What is said in one session at a submission door? RFC 6409 over RFC 5321; 465 (RFC 8314) and 587 alike.

What follows DATA is in data.py, what MAIL and RCPT may look like in syntax.py, who may sign in is decided in auth.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from cryptnsend.core import topics
from cryptnsend.core.addresses import canonical
from cryptnsend.core.errors import Malformed, NotAuthor, Refusal, Temporary, Throttled, WrongSecret
from cryptnsend.submission import auth, syntax
from cryptnsend.submission.connection import Connection, Gone, HangUp, House, ours, recoded
from cryptnsend.submission.contract import Envelope, Gatekeeper, Intake, Peer, Rcpt, Submission, Subscriber
from cryptnsend.submission.data import receive
from cryptnsend.submission.replies import printable, reply

__all__ = ["Envelope", "Gatekeeper", "House", "Intake", "Peer", "Rcpt", "Submission", "SubmissionSession", "Subscriber"]


class SubmissionSession(Connection):
    """The commands of a submission door."""

    unoffered: ClassVar[frozenset[str]] = frozenset()  # commands that are known, to be refused

    def __init__(self, house: House, **arrival: Any):
        super().__init__(house, **arrival)
        self._ehlo: str | None = None
        self._extended = False
        self._checked = 0.0  # loop time at which the sign-in was last seen to hold
        self._failures = 0
        self._mail: syntax.Mail | None = None
        self._recipients: list[Rcpt] = []

    async def smtp_EHLO(self, argument: str | None) -> None:
        """Say what we can. Any argument will do: clients send whatever their machine is called."""
        self._hello(argument, extended=True)
        self._outbox += self._house.under_tls if self._tls else self._house.before_tls

    async def smtp_HELO(self, argument: str | None) -> None:
        """Greet a client of 1982; it cannot sign in, so it will not get far."""
        self._hello(argument, extended=False)
        self._outbox += reply(250, "", self._house.hostname)

    def _hello(self, argument: str | None, *, extended: bool) -> None:
        if not argument:
            raise Refusal("Say EHLO and the name of your machine.", code=501, status="5.5.4")
        self._end_transaction()
        if self._ehlo is not None:
            self._count_junk()
        self._ehlo, self._extended = printable(argument)[:255], extended

    async def smtp_STARTTLS(self, argument: str | None) -> None:
        """Go over to TLS and forget everything said before (RFC 3207 §4.2)."""
        if argument:
            raise Refusal("STARTTLS takes no argument.", code=501, status="5.5.4")
        if self._tls:
            raise Refusal("TLS is already in use.", code=503, status="5.5.1")
        self._outbox += reply(220, "2.0.0", "Ready to start TLS.")
        await self._flush()
        self._end_transaction()
        self._ehlo, self._extended, self._junk = None, False, 0
        # What the client sent after STARTTLS in clear, somebody else may have put there.
        self._inbox.clear()
        try:
            self.transport = await self.loop.start_tls(
                self.transport,
                self,
                self._house.certificate.context,
                server_side=True,
                ssl_handshake_timeout=self._limits.handshake,
                ssl_shutdown_timeout=self._limits.linger,
            )
        except (OSError, AttributeError) as error:  # AttributeError: the transport was lost while we flushed
            self._house.log.info("no TLS", source=self._source, error=type(error).__name__)
            raise Gone from error
        self._note_tls()

    async def smtp_AUTH(self, argument: str | None) -> None:
        """Sign in (RFC 4954 §4)."""
        if not self._extended:
            raise Refusal("Say EHLO first.", code=503, status="5.5.1")
        if self._subscriber is not None:
            raise Refusal("You are signed in already.", code=503, status="5.5.1")
        mechanism, _, initial = (argument or "").partition(" ")
        read = {"PLAIN": self._plain, "LOGIN": self._login}.get(mechanism.upper())
        if read is None:
            raise Refusal("Use AUTH PLAIN or AUTH LOGIN.", code=504, status="5.5.4")
        answers = await read(initial.strip().encode("utf-8", "surrogateescape") or None)
        try:
            subscriber = await self._house.turnstile.check(answers, self._source)
        except WrongSecret as wrong:
            self._failures += 1
            problem = Refusal(str(wrong), code=535, status="5.7.8")
            if self._failures >= self._limits.auth_failures:
                raise HangUp(problem) from wrong
            raise problem from wrong
        except Throttled as wait:
            raise HangUp(recoded(Temporary(str(wait)), 421, "4.7.0")) from wait
        except Temporary as problem:
            raise recoded(problem, 454, "4.7.0") from problem
        self._let_in(subscriber)
        self._outbox += reply(235, "2.7.0", "Welcome.")

    def _let_in(self, subscriber: Subscriber) -> None:
        if self._closing:
            raise Gone
        if not self._house.connections.sign_in(self._counted_as, subscriber.account):
            raise HangUp(recoded(Temporary("Too many connections of this account."), 421, "4.3.2"))
        self._subscriber, self._checked = subscriber, self.loop.time()
        self._house.log.info(
            "signed in", account=subscriber.account, device=subscriber.device, source=self._source, tls=self._tls
        )

    async def _plain(self, initial: bytes | None) -> Callable[[], auth.Credentials]:
        message = auth.decode(initial if initial is not None else await self._challenge(b""))
        return lambda: auth.plain(message)

    async def _login(self, initial: bytes | None) -> Callable[[], auth.Credentials]:
        # The prompts are compared octet for octet by Thunderbird and neomutt.
        username = auth.decode(initial if initial is not None else await self._challenge(b"VXNlcm5hbWU6"))
        password = auth.decode(await self._challenge(b"UGFzc3dvcmQ6"))
        return lambda: auth.login(username, password)

    async def _challenge(self, text: bytes) -> bytes:
        self._outbox += b"334 " + text + b"\r\n"  # the blank stays even when there is no text
        self.deadline = self.loop.time() + self._limits.idle
        line = await self._line(self._limits.auth_line)
        self.deadline = math.inf
        return line

    async def smtp_MAIL(self, argument: str | None) -> None:
        """Begin a transaction: only with an address of one's own, or the null sender of a read receipt."""
        subscriber = self._signed_in()
        if self._mail is not None:
            raise Refusal("A message is already begun.", code=503, status="5.5.1")
        mail = syntax.read_mail(argument, limit=self._limits.size, extended=self._extended, tls=bool(self._tls))
        author = mail.reverse_path and canonical(mail.reverse_path)
        if author and author != subscriber.address and author not in subscriber.aliases:
            raise NotAuthor(f"You signed in as {subscriber.address} and cannot send from {mail.reverse_path}.")
        self._recheck(subscriber)
        self._mail, self._busy = mail, True
        self._house.intake.enter_transaction()
        self._outbox += b"250 2.1.0 OK\r\n"

    def _signed_in(self) -> Subscriber:
        if self._subscriber is None:
            raise Refusal("Sign in first.", code=530, status="5.7.0")
        if self._ehlo is None:
            raise Refusal("Say EHLO first.", code=503, status="5.5.1")
        return self._subscriber

    def _recheck(self, subscriber: Subscriber) -> None:
        """A session may stay open for days; a revoked device must not go on sending through it."""
        now = self.loop.time()
        if now - self._checked >= self._limits.recheck:
            if not self._house.turnstile.still_valid(subscriber):
                raise HangUp(recoded(Temporary("This sign-in has ended; sign in again."), 421, "4.7.0"))
            self._checked = now

    async def smtp_RCPT(self, argument: str | None) -> None:
        """Take a recipient. Whether mail can reach them is told later: one refusal makes clients drop the message."""
        self._signed_in()
        if self._mail is None:
            raise Refusal("Say MAIL first.", code=503, status="5.5.1")
        rcpt = syntax.read_rcpt(
            argument, hostname=self._house.hostname, extended=self._extended, smtputf8=self._mail.smtputf8
        )
        if len(self._recipients) >= self._limits.recipients:
            many = f"A message can have at most {self._limits.recipients} recipients."
            raise recoded(Temporary(many), 452, "4.5.3")
        self._recipients.append(rcpt)
        self._outbox += b"250 2.1.5 OK\r\n"

    async def smtp_DATA(self, argument: str | None) -> None:
        """Take the message; the 250 is said when it is durable."""
        subscriber, mail = self._signed_in(), self._mail
        if argument:
            raise Refusal("DATA takes no argument.", code=501, status="5.5.4")
        if mail is None or not self._recipients:
            raise Refusal("Say MAIL and RCPT first.", code=503, status="5.5.1")
        envelope = Envelope(
            reverse_path=mail.reverse_path,
            recipients=tuple(self._recipients),
            received_from=Peer(self._source, self._ehlo or "", self._tls),
            size=mail.size,
            ret=mail.ret,
            envid=mail.envid,
            body_8bit=mail.body_8bit,
            smtputf8=mail.smtputf8,
            requiretls=mail.requiretls,
        )
        begin = partial(self._house.intake.begin, subscriber, envelope)
        name, size = await self._taken(begin, "message refused", account=subscriber.account)
        self._outbox += reply(250, "2.0.0", f"Sealed as {name}")
        self._house.log.info(
            "message taken", id=name, account=subscriber.account, size=size, recipients=len(envelope.recipients)
        )

    async def _taken(self, begin: Callable[[], Submission], refused: str, **facts: object) -> tuple[str, int]:
        """
        Take one message and end the transaction, whatever becomes of it; return the words about it and its octets.

        *refused* is what the log says of one that is not taken, with *facts*.
        """
        try:
            taken = await self._take(begin())
        except (Refusal, Temporary) as problem:
            self._house.log.info(refused, **facts, reply=problem.code, status=problem.status)
            if isinstance(problem, Malformed):
                raise HangUp(problem) from problem
            raise
        except Gone:
            raise
        except Exception as error:
            # We may have stopped reading before the end of data: what follows must not be taken for commands.
            self._log_failure(error)
            raise HangUp(ours()) from error
        finally:
            self._end_transaction()
        self._junk = 0
        return taken

    async def _take(self, submission: Submission) -> tuple[str, int]:
        self._outbox += b"354 End data with <CR><LF>.<CR><LF>\r\n"
        begun, taken = self.loop.time(), 0

        async def read() -> bytes:
            nonlocal taken
            limits = self._limits
            # A trickle keeps no session open: the whole has to come at a rate, each piece in time.
            self.deadline = min(
                self.loop.time() + limits.data_idle,
                begun + min(limits.data_total, limits.data_idle + taken / limits.data_rate),
            )
            while not self._inbox:
                await self._more()
            octets = self._inbox.take()
            taken += len(octets)
            self.deadline = math.inf
            return octets

        size = await receive(submission, read=read, unread=self._inbox.unread, limits=self._limits)
        try:
            return await submission.commit(), size
        except Exception:
            submission.abort()
            raise

    def _end_transaction(self) -> None:
        super()._end_transaction()
        self._mail = None
        self._recipients = []

    async def smtp_RSET(self, argument: str | None) -> None:
        """Drop the transaction."""
        self._end_transaction()
        self._count_junk()
        self._outbox += b"250 2.0.0 OK\r\n"

    async def smtp_NOOP(self, argument: str | None) -> None:
        """Do nothing, and count it."""
        self._count_junk()
        self._outbox += b"250 2.0.0 OK\r\n"

    async def smtp_VRFY(self, argument: str | None) -> None:
        """Tell nothing about any address (RFC 5321 §7.3)."""
        self._count_junk()
        self._outbox += reply(252, "2.5.0", "Addresses are not verified here; send the message.")

    async def smtp_EXPN(self, argument: str | None) -> None:
        """Tell nothing about any list."""
        raise Refusal("Lists are not expanded here.", code=502, status="5.5.1")

    async def smtp_HELP(self, argument: str | None) -> None:
        """Say which commands there are, whatever was asked."""
        self._count_junk()
        verbs = " ".join(verb for verb in self.commands if verb not in self.unoffered)
        self._outbox += reply(214, "2.0.0", f"{verbs} {self._house.help_url(topics.INDEX)}".rstrip())

    async def smtp_QUIT(self, argument: str | None) -> None:
        """Say goodbye."""
        self._outbox += reply(221, "2.0.0", "Bye.")
        await self._flush()
        raise Gone


SubmissionSession.commands = {
    name.removeprefix("smtp_"): method
    for name, method in sorted(vars(SubmissionSession).items())
    if name.startswith("smtp_")
}
