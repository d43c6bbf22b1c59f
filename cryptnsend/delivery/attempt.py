"""How does one mail get to one of its domain's hosts? Host after host, address after address, until one has an answer.

One `Attempt` is one try to deliver one message to one recipient; what it shares with others stands in its `Gear`.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from cryptnsend.core.contracts import Clock
from cryptnsend.delivery import dane
from cryptnsend.delivery.outcome import Outcome, Seen, one_line, outcome_of
from cryptnsend.delivery.outgoing import Outgoing
from cryptnsend.delivery.pool import Key, Pool, Resting
from cryptnsend.delivery.protection import Barred, Demand, Promise, Protection, Wanted
from cryptnsend.delivery.route import Hop, Route, Router, Unroutable, is_loopback
from cryptnsend.delivery.session import Reply, Session, SessionLost, Timeouts
from cryptnsend.delivery.tls import checked_context, peer_chain, unchecked_context
from cryptnsend.delivery.verdicts import (
    answer,
    handshake_result,
    judged,
    looped,
    obstacle,
    out_of_place,
    tls_failed,
    tls_not_offered,
)

Refused = (ssl.SSLError, dane.NotProven)  # what a TLS connection that is not good enough raises


@dataclass
class Gear:
    """What all attempts of a courier share."""

    hostname: str
    timeouts: Timeouts
    clock: Clock
    router: Router
    protection: Protection
    pool: Pool
    resting: Resting
    password_file: Path | None
    ca_file: Path | None

    @cached_property
    def checked(self) -> ssl.SSLContext:
        """The context that wants a certificate for the host's name."""
        return checked_context(self.ca_file)

    @cached_property
    def unchecked(self) -> ssl.SSLContext:
        """The context that takes any certificate, which may be looked at afterwards."""
        return unchecked_context()


class _TryNext(Exception):
    """This host or address does not work out, for a reason that another one may not share."""

    def __init__(self, outcome: Outcome):
        super().__init__(outcome.reply)
        self.outcome = outcome


class Attempt:
    """One try. `run` it once."""

    def __init__(self, gear: Gear, outgoing: Outgoing, route: Route, wanted: Wanted):
        self._gear, self._outgoing, self._route, self._wanted = gear, outgoing, route, wanted
        self._seen: list[Seen] = []

    def run(self) -> Outcome:
        """Try host after host; a refusal for now counts more than one for good, since another try may find better."""
        return replace(self._best(), route=self._route.how, seen=tuple(self._seen))

    def _best(self) -> Outcome:
        until = self._gear.clock.monotonic() + self._gear.timeouts.hosts
        kept: Outcome | None = None
        for outcome in self._outcomes():
            if isinstance(outcome, Outcome):
                return outcome
            if kept is None or (kept.final and not outcome.outcome.final):
                kept = outcome.outcome
            if self._gear.clock.monotonic() > until:
                break
        return kept or Outcome("delayed", None, "4.4.1", f"no mail host of {self._outgoing.domain} can be reached")

    def _outcomes(self) -> Iterator[Outcome | _TryNext]:
        """Yield what each connection came to: an Outcome is the end, a `_TryNext` is not."""
        found = self._gear.protection.promised(self._route, self._wanted)
        if found.trouble:
            self._seen.append(Promise(self._route.domain, "sts").seen(found.trouble, ""))
        for hop in self._route.hops:
            try:
                demand = self._gear.protection.demand(self._route, hop, found, self._wanted)
            except Barred as barred:
                self._seen += [barred.seen] if barred.seen is not None else []
                yield _TryNext(barred.outcome)
                continue
            key: Key = (hop.host, hop.port, self._wanted.tls_class, demand)
            waiting = self._gear.pool.take(key)
            if waiting is not None:
                try:
                    yield self._transact(waiting, key)
                except _TryNext as error:
                    # It may have waited too long for the peer's taste; a new connection is the fair try.
                    yield error
            yield from self._fresh(hop, key, demand)

    def _fresh(self, hop: Hop, key: Key, demand: Demand) -> Iterator[Outcome | _TryNext]:
        """Yield what new connections to the host's addresses come to."""
        try:
            addresses = self._gear.router.addresses(hop)
        except Unroutable as error:
            yield _TryNext(error.outcome)
            return
        for address in addresses:
            local = hop.chosen and is_loopback(address) and not demand.strict  # the octets do not leave this machine
            try:
                session = self._connect(hop, address, Demand(False, name=demand.name) if local else demand)
                yield self._transact(session, key)
            except _TryNext as error:
                yield error

    # -- connecting ---------------------------------------------------------------------------------------------------

    def _connect(self, hop: Hop, address: str, demand: Demand) -> Session:
        """Return a session that shows what is demanded, past EHLO and AUTH. Raises `_TryNext`."""
        if (tired := self._gear.resting.get((address, hop.port))) is not None:
            raise _TryNext(replace(tired, host=hop.host))
        failed: Exception | None = None
        for step, context in self._steps(hop, demand):
            try:
                return self._session(hop, address, step, context)
            except SessionLost as error:
                outcome = Outcome("delayed", None, "4.4.1", one_line(str(error)), hop.host, address=address)
                if not hop.chosen:
                    self._gear.resting.put((address, hop.port), outcome)
                raise _TryNext(outcome) from None
            except Refused as error:
                failed = error
                self._note(step, handshake_result(error), hop, address)
        if demand.encrypted:
            verdict = tls_failed(failed, hop, proof=demand.proof, strict=demand.strict)
        else:
            verdict = Outcome("delayed", None, "4.4.1", "TLS does not come about", hop.host)
        raise _TryNext(replace(verdict, address=address))

    def _steps(self, hop: Hop, demand: Demand) -> list[tuple[Demand, ssl.SSLContext | None]]:
        """Return what to try one after the other when TLS fails, best first; None is clear text."""
        if demand.proof in ("operator", "mta-sts"):
            return [(demand, self._gear.checked)]
        steps: list[tuple[Demand, ssl.SSLContext | None]] = []
        bare = replace(demand, trial=False, flaw="", promise=None)
        if demand.trial:
            # The policy is only being tested, so that its failure is told and nothing more.
            steps.append((demand, self._gear.checked))
        steps.append((bare if steps else demand, self._gear.unchecked))
        if not demand.encrypted and not hop.implicit_tls:
            # Opportunistic means that clear text is no worse than not trying at all (RFC 7435 §3).
            steps.append((bare, None))
        return steps

    def _session(self, hop: Hop, address: str, demand: Demand, context: ssl.SSLContext | None) -> Session:
        """Open one connection. Raises `_TryNext`, `SessionLost`, and `Refused` when TLS is not good enough."""
        session = Session(self._gear.hostname, self._gear.timeouts, self._gear.clock.monotonic)
        session.proof = demand.proof
        if demand.proof == "dane":
            now = self._gear.clock.now
            session.check = lambda sock: dane.verify(demand.records, peer_chain(sock), demand.names, now())
        try:
            self._open(session, hop, address, context, demand)
            if not hop.chosen and session.peer_name == self._gear.hostname.lower():
                raise _TryNext(looped(session, hop))
            if hop.user:
                self._log_in(session, hop)
        except _TryNext as error:
            error.outcome = _stamped(error.outcome, session)
            session.leave()
            raise
        except BaseException:
            session.close()
            raise
        if context is not None:
            self._note(demand, demand.flaw or ("" if session.cipher else "starttls-not-supported"), hop, address)
        return session

    def _open(self, session: Session, hop: Hop, address: str, context: ssl.SSLContext | None, demand: Demand) -> None:
        """Connect and get through greeting, EHLO and STARTTLS. Without a *context* TLS is not tried."""
        name = demand.name or hop.host
        code, text = session.open(address, hop.port, context if hop.implicit_tls else None, name)
        if code != 220:
            raise _TryNext(answer(session, hop, (code, text)))
        self._hello(session, hop)
        if hop.implicit_tls:
            return
        if context is not None and session.offers("starttls"):
            code, text = session.start_tls(context, name)
            if code == 220:
                self._hello(session, hop)
                return
            if demand.encrypted:
                self._note(demand, "starttls-not-supported", hop, address)
                raise _TryNext(replace(answer(session, hop, (code, text)), kind="delayed", final=False))
        elif demand.encrypted:
            self._note(demand, "starttls-not-supported", hop, address)
            content = self._wanted.tls_class == "plain"
            raise _TryNext(tls_not_offered(session, hop, proof=demand.proof, strict=demand.strict, content=content))

    def _hello(self, session: Session, hop: Hop) -> None:
        code, text = session.hello()
        if code != 250:
            raise _TryNext(answer(session, hop, (code, text)))

    def _log_in(self, session: Session, hop: Hop) -> None:
        """Authenticate to the operator's relay. Whatever goes wrong is for the operator to mend, while mail waits."""
        try:
            if self._gear.password_file is None:
                raise OSError
            password = self._gear.password_file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeError):
            text = "the password file of the relay cannot be read"
            raise _TryNext(Outcome("delayed", None, "4.3.5", text, hop.host, session.tls)) from None
        try:
            session.login(hop.user, password)
        except (smtplib.SMTPException, ValueError):
            text = f"the relay {hop.host} does not let us sign in"
            raise _TryNext(Outcome("delayed", None, "4.7.8", text, hop.host, session.tls)) from None

    def _note(self, demand: Demand, result: str, hop: Hop, address: str = "") -> None:
        """Remember for the domain's report what a connection came to; "" is success."""
        if demand.promise is not None:
            self._seen.append(demand.promise.seen(result, hop.host, address))

    # -- the dialogue -------------------------------------------------------------------------------------------------

    def _transact(self, session: Session, key: Key) -> Outcome:
        """Run one transaction and give the session back or away. Raises `_TryNext` while no content has left."""
        try:
            outcome = _stamped(self._dialogue(session, key[0]), session)
        except _TryNext as error:
            session.close()
            error.outcome = _stamped(error.outcome, session)
            raise
        except BaseException:
            session.close()
            raise
        self._gear.pool.give(key, session)
        return outcome

    def _dialogue(self, session: Session, host: str) -> Outcome:
        outgoing = self._outgoing
        in_the_way = obstacle(session, host, outgoing)
        if in_the_way is not None:
            return in_the_way
        try:
            session.begin()
            refusal = session.envelope(
                f"MAIL FROM:<{outgoing.reverse_path}>{outgoing.mail_options(session.offers)}",
                f"RCPT TO:<{outgoing.recipient}>{outgoing.rcpt_options(session.offers)}",
            )
            if refusal is not None:
                return self._refused(session, host, refusal)
        except SessionLost as error:
            raise _TryNext(Outcome("delayed", None, "4.4.2", one_line(str(error)), host, session.tls)) from None
        tls = session.tls
        try:
            reply = session.body(outgoing.pieces())
        except SessionLost as error:
            # The peer may or may not have it. It gets it again with the same Message-ID: twice rather than never.
            return Outcome("delayed", None, "4.4.2", one_line(str(error)), host, tls)
        return judged(outcome_of(*reply, host=host, tls=tls, peer_size=session.size_limit))

    def _refused(self, session: Session, host: str, reply: Reply) -> Outcome:
        """Judge a refusal before any content left; 421 means that the host, not the mail, has a problem."""
        outcome = judged(outcome_of(*reply, host=host, tls=session.tls, peer_size=session.size_limit), content=False)
        if outcome.kind == "delivered":  # a 2yz where 354 belongs
            outcome = out_of_place(outcome)
        if outcome.code == 421:
            raise _TryNext(outcome)
        return outcome


def _stamped(outcome: Outcome, session: Session) -> Outcome:
    """Add how the connection was protected. The proof counts once the handshake is through."""
    proof = session.proof if session.cipher else "none"
    return replace(outcome, address=session.peer_address, tls=session.tls, cipher=session.cipher, proof=proof)
