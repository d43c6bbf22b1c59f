"""Who looks at which mail before it is taken or leaves, and what follows from what they say?

The virus scanner looks at everything: what people submit, what they send from pages, what other servers bring, what
leaves in plain. The spam filter looks only at what travels openly anyhow, and at what strangers write by a page for
visitors; mail of our own people that is sealed is none of its business.

A scanner that gives no clear answer is never taken for a yes: the mail is put off. What is found is refused, and
written to the audit trail by its name. The octets go to the scanners while they are sealed, in pieces, and stay nowhere
on our side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from cryptnsend import metrics
from cryptnsend.core.contracts import Carried, Clock, Engine, Finding, Rows, Scan, Scanner
from cryptnsend.core.errors import Infected, NotYet, Refusal, ScannerGone, Spam
from cryptnsend.store.records import audit, cards, messages

T = TypeVar("T")
Wait = Callable[[], None]

DAY = 86_400_000  # milliseconds
GATHERED = 65_536  # octets that are gathered before they go to the scanners: small mail goes in one piece
PATIENCE = 10.0  # seconds that scanners have to come to an end when the process is to stop
REST = 5.0  # seconds for which a scanner that was waited for in vain is not asked again
AUDITED = 100  # findings a day that the audit trail has for one account; the log has all
NOBODY = Carried()

log = structlog.get_logger("cryptnsend.scan")


@dataclass(frozen=True, slots=True)
class Case:
    """
    What a finding is written down about.

    *account* is whose organisation hears of it; *where* says in a word how the mail came: smtp, reply, visitor,
    inbound, relay and others.
    """

    account: int
    actor: str
    object: str
    where: str


class Scanning:
    """The scanners of one process; safe for many threads."""

    def __init__(self, *, everything: Sequence[Scanner], in_the_open: Sequence[Scanner], engine: Engine, clock: Clock):
        """*everything* are asked about all mail, *in_the_open* also about strangers' letters and mail in clear."""
        self._everything, self._in_the_open = tuple(everything), tuple(in_the_open)
        self._engine, self.clock = engine, clock
        self._rests: dict[str, float] = {}  # scanner: until when it is left alone

    @property
    def is_idle(self) -> bool:
        """Say whether nobody is configured to look at anything."""
        return not (self._everything or self._in_the_open)

    def begin(self, case: Case, carried: Carried = NOBODY, *, in_the_open: bool = False) -> Examination | None:
        """Start to examine a mail; None if nobody is configured to look at it."""
        scanners = (*self._everything, *self._in_the_open) if in_the_open else self._everything
        return Examination(self, case, [(each, each.begin(carried)) for each in scanners]) if scanners else None

    def check(
        self, case: Case, octets: Callable[[], Iterable[bytes]], carried: Carried = NOBODY, *, in_the_open: bool = False
    ) -> None:
        """Examine a mail as a whole, in a thread; raise as `Examination.finish`, and what *octets* raises."""
        examination = self.begin(case, carried, in_the_open=in_the_open)
        if examination is None:
            return
        try:
            for piece in octets():
                wait = examination.feed(piece)
                if wait is not None:
                    wait()
            examination.finish()
        finally:
            examination.close()

    def ask(self, scanner: Scanner, question: Callable[[], T]) -> T:
        """Put a question to a scanner, unless somebody has just waited for it in vain."""
        if self._rests.get(scanner.name, 0.0) > self.clock.monotonic():
            raise ScannerGone("it is left alone for some seconds")
        try:
            return question()
        except ScannerGone as gone:
            if gone.waited:
                self._rests[scanner.name] = self.clock.monotonic() + REST
            raise

    def give_up(self) -> None:
        """Wait for no scanner any more: the process ends, and what is still looked at is put off."""
        for scanner in {*self._everything, *self._in_the_open}:
            scanner.cut()

    def write_down(self, case: Case, scanner: Scanner, finding: Finding) -> None:
        """Make a finding durable in the audit trail of the organisation that it concerns."""

        def write(rows: Rows) -> None:
            now, known = self.clock.now(), cards.account_states(rows, case.account)
            if known is None:
                return
            org = known[0]
            if messages.count(rows, org, case.account, now // DAY, "found", 1) <= AUDITED:
                detail = {"scanner": scanner.name, "finding": finding.name, "where": case.where}
                audit.append(rows, org, now, case.actor, "scan.found", case.object, detail)

        self._engine.write(write).result()


class Examination:
    """One mail before the scanners: `feed` as often as there are octets, then `finish`, or `close` to give up."""

    def __init__(self, house: Scanning, case: Case, scans: Sequence[tuple[Scanner, Scan]]):
        self._house, self._case, self._scans = house, case, scans
        self._gathered: list[bytes] = []
        self._size = 0
        self._seconds = 0.0

    def feed(self, octets: bytes) -> Wait | None:
        """Take octets without waiting. What is returned has to be run, in a thread, before more is fed."""
        self._gathered.append(octets)
        self._size += len(octets)
        return self._push if self._size >= GATHERED else None

    def finish(self) -> Finding | None:
        """
        Hear what the scanners say, in a thread, and return what makes the mail doubtful; None for a mail in order.

        Raises Infected or Spam for what was found, once the audit trail has it; ScannerGone where a scanner gives no
        clear answer; NotYet where one wants to see the mail again later; another Refusal where one takes no such mail.
        """
        doubt = None
        try:
            self._push()
            for scanner, scan in self._scans:
                finding = self._ask(scanner, scan.verdict)
                if finding is not None and finding.kind == "doubtful":
                    doubt = doubt or finding
                elif finding is not None:
                    self._refuse(scanner, finding)
        finally:
            self.close()
        self._say("doubtful" if doubt else "clean")
        return doubt

    def close(self) -> None:
        """Let go of everything; safe at any time."""
        self._gathered, self._size = [], 0
        for _, scan in self._scans:
            scan.close()

    def _push(self) -> None:
        octets = b"".join(self._gathered)
        self._gathered, self._size = [], 0
        if octets:
            for scanner, scan in self._scans:
                self._ask(scanner, lambda scan=scan: scan.feed(octets))  # type: ignore[misc]

    def _ask(self, scanner: Scanner, question: Callable[[], T]) -> T:
        begun = time.perf_counter()
        try:
            return self._house.ask(scanner, question)
        except ScannerGone as gone:
            self._say("unavailable", scanner=scanner.name, error=gone.why)
            raise
        except Refusal as refusal:
            self._say("refused", scanner=scanner.name, status=refusal.status)
            raise
        finally:
            self._seconds += time.perf_counter() - begun

    def _refuse(self, scanner: Scanner, finding: Finding) -> None:
        self._say(finding.kind, scanner=scanner.name, finding=finding.name)
        if finding.kind == "later":
            raise NotYet("The spam filter wants to see this message again later. Try again in some minutes.")
        self._house.write_down(self._case, scanner, finding)
        if finding.kind == "virus":
            raise Infected(finding.name)
        raise Spam("The spam filter is sure that this message is spam, so it was not taken.")

    def _say(self, result: str, **facts: str) -> None:
        """Write one line and count one mail."""
        metrics.count("scans", where=self._case.where, result=result)
        write = log.info if result in ("clean", "doubtful", "later") else log.warning
        write("scanned", result=result, where=self._case.where, ms=round(self._seconds * 1000, 1), **facts)
