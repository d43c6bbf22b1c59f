"""How does what is due leave? Threads claim deliveries by lease, compose the mail, send it, and write how it ended.

The claim is committed before the attempt, in one transaction with what came of the attempt before; and so are the
tokens that a mail carries, before anybody can follow them. A
delivery may be attempted twice, never not at all; a repeat carries the same Message-ID and the same links. What an
attempt leads to is in flow/outcomes.py.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from cryptnsend import metrics
from cryptnsend.core.contracts import Carried, Clock, Engine, Row, Rows
from cryptnsend.core.errors import CryptnSendError, NotYet, Refusal, ScannerGone, Temporary
from cryptnsend.core.model import KEEPER, Random
from cryptnsend.delivery.courier import Courier, Outcome
from cryptnsend.delivery.tlsrpt import MEDIA_TYPE
from cryptnsend.flow import hooking
from cryptnsend.flow.composing import Letter
from cryptnsend.flow.inspecting import Inspecting, Verdict
from cryptnsend.flow.letters import Letters
from cryptnsend.flow.outcomes import Outcomes, envelope_of, replaces
from cryptnsend.flow.parcels import Moot, TooLargeToHandOver
from cryptnsend.flow.scanning import PATIENCE, Case, Scanning
from cryptnsend.flow.turns import Turns
from cryptnsend.flow.wake import Ringer, Wake
from cryptnsend.store.records import deliveries, links, mailing

__all__ = ["Deliver", "Ringer"]

LEASE = 5 * 60_000  # a worker that is alive renews its lease; one that died is noticed after so long
RENEWED = LEASE // 3
PAUSE = 30_000  # how long a delivery rests when the fault is ours (keeper or store gone, a defect)
POLL = 0.5  # seconds; a wake-up comes sooner

Octets = bytes | Callable[[], Iterator[bytes]]

log = structlog.get_logger("cryptnsend.courier")


class Deliver:
    """The courier's threads. One object per process; several processes on one store share the work."""

    def __init__(
        self,
        *,
        engine: Engine,
        letters: Letters,
        courier: Courier,
        outcomes: Outcomes,
        scanning: Scanning,
        inspecting: Inspecting,
        clock: Clock,
        random: Random,
        threads: int,
        wake_socket: Path,
    ):
        self._engine, self._letters, self._courier, self._outcomes = engine, letters, courier, outcomes
        self._scanning, self._inspecting = scanning, inspecting
        self._clock, self._threads = clock, threads
        self._machine = f"{socket.gethostname()}:"
        self._owner = f"{self._machine}{os.getpid()}:{random(4).hex()}"
        self._wake = Wake(wake_socket)
        self._turns = Turns(courier.room)
        self._stop = threading.Event()
        self._held: dict[tuple[int, int], int] = {}  # (delivery, fence): when to renew the lease
        self._guard = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        """Deliver until *stop* is set, then let the attempts under way end."""
        self._stop = stop
        self._bury_the_dead()
        workers = [threading.Thread(target=self._work, name=f"courier-{n}") for n in range(self._threads)]
        for worker in workers:
            worker.start()
        while not stop.is_set():
            self._wake.listen(POLL)
            self._renew()
            self._let_go()
        self._wake.notify_all()
        hurried = self._clock.monotonic() + PATIENCE
        for worker in workers:
            while worker.is_alive():
                worker.join(POLL)
                self._renew()
                if self._clock.monotonic() >= hurried:
                    self._scanning.give_up()
                    self._inspecting.give_up()
                    self._letters.give_up()
        self.close()

    def once(self) -> int:
        """Try everything that is due now, one after the other; return how many attempts were made."""
        made = 0
        self._let_go()
        row = self._claim()
        while row is not None:
            row = self._attempt(row) or self._claim()
            made += 1
        return made

    def close(self) -> None:
        """End the connections that wait, and take the bell down; `run` does so by itself."""
        self._wake.close()
        self._courier.close()
        self._inspecting.close()
        self._letters.close()

    def _work(self) -> None:
        row: Row | None = None
        while row is not None or not self._stop.is_set():
            seen = self._wake.rings
            if row is None:
                row = self._claim_if_it_can()
            if row is None:
                self._wake.wait(POLL, seen)
            else:
                row = self._attempt(row)

    def _claim_if_it_can(self) -> Row | None:
        try:
            return self._claim()
        except Temporary as trouble:
            log.warning("store unavailable", error=type(trouble).__name__)
            return None

    def _claim(self) -> Row | None:
        """Take up what is due first, of those domains that have a turn free."""
        due = deliveries.next_due(self._engine)
        if due is None or due > self._clock.now():
            return None  # looking costs no flush, claiming does
        return self._claiming(lambda rows: None, "")[1]

    def _claiming(self, fn: Callable[[Rows], object], leaving: str) -> tuple[object, Row | None]:
        """Run *fn* and claim a delivery in one transaction; *leaving* is the domain whose turn ends with *fn*."""
        now = self._clock.now()
        taken: list[str] = []

        def write(rows: Rows) -> tuple[object, list[Row], list[Row]]:
            if taken:  # the transaction is run again, since another item spoiled it
                self._turns.leave(taken.pop())
            done = fn(rows)
            if self._stop.is_set():
                return done, [], []
            parked = deliveries.reap(rows, now)
            for row in parked:
                self._outcomes.tell_parked(rows, row)
            claimed = deliveries.claim(rows, self._owner, now, LEASE, 1, self._turns.crowded(leaving))
            for row in claimed:
                # Counted here, so that the next item of the same batch knows.
                self._turns.take(row["domain"])
                taken.append(row["domain"])
            return done, parked, claimed

        try:
            done, parked, claimed = self._engine.write(write).result()
        except BaseException:
            if taken:
                self._turns.leave(taken.pop())
            raise
        for row in parked:
            log.error("delivery parked", delivery=row["id"], error="three crashes")
        return done, claimed[0] if claimed else None

    def _attempt(self, row: Row) -> Row | None:
        """
        Make one attempt, write what came of it, and return what was claimed next with that.

        Whatever happens stays inside: the thread is needed again.
        """
        try:
            with self._holding(row):
                return self._try(row)
        except Temporary as trouble:  # ours, not the peer's: the attempt does not count
            log.warning("delivery waits", delivery=row["id"], error=type(trouble).__name__)
            due = self._clock.now() + PAUSE
            self._afterwards(row, lambda rows: deliveries.untouched(rows, row["id"], row["fence"], due))
        except Exception as defect:
            # A mail that breaks the program is like one that kills it: counted, tried again, parked at the third.
            log.error("delivery broke its worker", delivery=row["id"], exc_info=defect)
            self._afterwards(row, lambda rows: self._outcomes.crashed(rows, row, PAUSE))
        return None

    def _try(self, row: Row) -> Row | None:
        try:
            letter = self._letters.compose(row)
            self._keep_links(row, letter)
            envelope = envelope_of(row, letter)
            octets = self._while_it_may(row, letter.octets)
            stopped = self._stopped(row, letter, octets)
            verdict = self._inspected(row, letter, octets) if stopped is None else "leave"
            if isinstance(verdict, Outcome):
                outcome = verdict
            elif verdict == "held":
                return self._ended(row, lambda rows: self._outcomes.rest(rows, row))[1]
            elif verdict == "seal":
                more, following = self._ended(row, lambda rows: self._outcomes.sealed_instead(rows, row, letter))
                if more:
                    self._wake.notify_all()
                return following
            elif stopped is not None:
                outcome = stopped
            elif letter.is_posted:
                fields = {"Content-Type": MEDIA_TYPE, **letter.posted}
                patient = row["kind"] == hooking.KIND
                outcome = self._courier.post(letter.recipient, b"".join(octets()), fields, patient=patient)
            else:
                outcome = self._courier.send(envelope, letter.tls_class, octets, cleartext=letter.cleartext)
        except Moot as moot:
            why = str(moot)
            return self._ended(row, lambda rows: self._outcomes.settle(rows, row, "cancelled", why))[1]
        except TooLargeToHandOver:
            following = self._ended(row, lambda rows: self._outcomes.as_link(rows, row))[1]
            self._wake.notify_all()
            return following
        except Refusal as refusal:  # it can never leave as it is; its sender has to know
            letter, outcome = Letter("", "", b""), Outcome("failed", None, refusal.status, str(refusal))
        except Temporary:
            raise
        except CryptnSendError as broken:  # damaged or tampered rows: parked for the operator, others go on
            log.error("delivery parked", delivery=row["id"], error=type(broken).__name__)
            why = str(broken)
            return self._ended(row, lambda rows: self._outcomes.park(rows, row, why))[1]
        _count(row, outcome)
        log.info(
            "delivery",
            delivery=row["id"],
            kind=row["kind"],
            outcome=outcome.kind,
            status=outcome.status,
            host=outcome.host,
        )
        more, following = self._ended(row, lambda rows: self._outcomes.write(rows, row, letter, outcome))
        if more:
            self._wake.notify_all()
        return following

    def _ended(self, row: Row, fn: Callable[[Rows], object]) -> tuple[object, Row | None]:
        """Write what an attempt came to, and claim the next delivery at no further cost."""
        return self._claiming(fn, row["domain"])

    def _stopped(self, row: Row, letter: Letter, octets: Callable[[], Iterator[bytes]]) -> Outcome | None:
        """
        Return how an attempt ends before it begins because of what a scanner says, None if the mail may leave.

        Only mail that leaves in plain is looked at, each time anew: what nobody knew yesterday may be known today.
        """
        if letter.content_key is None or self._scanning.is_idle:
            return None
        author = mailing.author(self._engine, row["org"], row["message"])["address"]
        case = Case(row["author"], KEEPER, str(row["message"]), "relay")
        carried = Carried(author, (letter.recipient,), user=author)
        try:
            self._scanning.check(case, octets, carried, in_the_open=True)
        except ScannerGone as gone:
            return Outcome("delayed", None, gone.status, str(gone), route=Outcome.SCAN, reason=Outcome.SCAN)
        except NotYet as later:
            return Outcome("delayed", None, later.status, str(later), route=Outcome.SCAN)
        except Refusal as refusal:
            return Outcome("failed", None, refusal.status, str(refusal), route=Outcome.SCAN)
        return None

    def _inspected(self, row: Row, letter: Letter, octets: Callable[[], Iterator[bytes]]) -> Verdict | Outcome:
        """Return what becomes of mail that is to leave plain; an outcome where nobody could look into it yet."""
        try:
            return self._inspecting.verdict(row, letter.content_key, octets)
        except ScannerGone as gone:
            log.warning("mail was not looked at", delivery=row["id"], error=gone.why)
            return Outcome("delayed", None, gone.status, str(gone), route=Outcome.SCAN, reason=Outcome.SCAN)

    def _let_go(self) -> None:
        """Let leave, encrypted, what was held until now."""
        try:
            if self._inspecting.let_go():
                self._wake.notify_all()
        except Temporary as trouble:
            log.warning("store unavailable", error=type(trouble).__name__)

    def _while_it_may(self, row: Row, octets: Octets) -> Callable[[], Iterator[bytes]]:
        """
        Return the octets, looking before the first and before the end of data whether they may leave still.

        An attempt takes as long as the peer likes. What is taken back meanwhile ends in the middle, which is no mail
        to the peer; so does what another worker has taken up since.
        """

        def checked() -> Iterator[bytes]:
            self._check(row)
            yield from (octets,) if isinstance(octets, bytes) else octets()
            self._check(row)

        return checked

    def _check(self, row: Row) -> None:
        """Raise Moot if the delivery is not this worker's any more, or was taken back since it was claimed."""
        held = deliveries.held(self._engine, row["id"], row["fence"])
        if held is None:
            raise Moot("another worker has taken it up")
        if row["kind"] in ("notice", "handoff") and not mailing.still_waits(
            self._engine, row["org"], row["message"], row["recipient"]
        ):
            raise Moot("taken back while it was leaving")
        if row["queue_wrap"] is not None and not held["has_key"]:
            if row["kind"] in ("handoff", "notice"):  # taken back and given back again: the recipient has to hear of it
                raise TooLargeToHandOver("its key was destroyed while it was leaving")
            raise Moot("taken back while it was leaving")

    def _keep_links(self, row: Row, letter: Letter) -> None:
        """Make durable what the tokens of a mail stand for; a repeated mail carries the same ones."""
        new = [each for each in letter.links if links.link(self._engine, each.row.id) is None]
        if not new:
            return

        def add(rows: Rows) -> None:
            for each in new:
                token = each.row
                links.add(
                    rows,
                    token.id,
                    row["org"],
                    token.purpose,
                    token.key_id,
                    token.message,
                    token.address,
                    token.subscriber,
                    row["id"],
                    each.expires,
                )

        self._write(add)

    def _write(self, fn: Callable[[Rows], object]) -> object:
        return self._engine.write(fn).result()

    def _afterwards(self, row: Row, fn: Callable[[Rows], object]) -> None:
        """Write what became of a failed attempt; if even that fails, the lease runs out and says it."""
        try:
            self._write(fn)
        except Temporary as trouble:
            log.warning("store unavailable", delivery=row["id"], error=type(trouble).__name__)

    # -- leases -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _holding(self, row: Row) -> Iterator[None]:
        lease = row["id"], row["fence"]
        with self._guard:
            self._held[lease] = self._clock.now() + RENEWED
        try:
            yield
        finally:
            with self._guard:
                del self._held[lease]
            self._turns.leave(row["domain"])

    def _renew(self) -> None:
        """Prolong the leases of attempts that take long, as large mail to slow hosts does."""
        now = self._clock.now()
        with self._guard:
            due = [lease for lease, when in self._held.items() if when <= now]
            self._held.update(dict.fromkeys(due, now + RENEWED))
        if due:

            def renew(rows: Rows) -> None:
                for ident, fence in due:
                    deliveries.renew(rows, ident, fence, now + LEASE)

            try:
                self._write(renew)
            except Temporary as trouble:
                log.warning("store unavailable", error=type(trouble).__name__)

    def _bury_the_dead(self) -> None:
        """Take back at once what workers of this machine held that are no more, instead of waiting for their leases."""
        now = self._clock.now()
        dead = [row for row in deliveries.leased_by(self._engine, self._machine) if self._is_dead(row["lease_owner"])]
        if dead:

            def give_up(rows: Rows) -> None:
                for row in dead:
                    deliveries.give_up(rows, row["id"], row["fence"], now)

            self._write(give_up)

    def _is_dead(self, owner: str) -> bool:
        pid = owner.removeprefix(self._machine).partition(":")[0]
        if not pid.isdecimal() or owner == self._owner:
            return False
        if int(pid) == os.getpid():
            return True  # an earlier process with our number
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


def _count(row: Row, outcome: Outcome) -> None:
    """Count an attempt, and how what left was protected."""
    if outcome.reason == Outcome.BUSY:
        return  # nothing was tried
    kind: str = row["kind"]
    came_to = "replaced" if replaces(row, outcome) else outcome.kind
    metrics.count("delivery_attempts", kind=kind, outcome=came_to, status=metrics.status_class(outcome.status))
    if outcome.kind == "delivered":
        metrics.count("delivery_tls", kind=kind, tls=outcome.tls.partition(",")[0], proof=outcome.proof)
