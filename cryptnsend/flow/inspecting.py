"""May this mail leave plain? What is found in it holds it back until its author decides, or until time does.

The courier asks before it sends, and not the door while a mail program waits: reading files may take a minute, and a
mail that nobody looked at does not leave anyway. One look is enough for a message, however many it goes to. Whoever
could not look says so (`ScannerGone`), and the mail is put off; it never leaves unread.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

import msgspec
import structlog

from cryptnsend import metrics
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.dlp.detect import RULES, Finding
from cryptnsend.core.dlp.own import Own
from cryptnsend.core.errors import ScannerGone
from cryptnsend.core.model import INSTALLATION, KEEPER, Random, new_id
from cryptnsend.core.organisation import Policy
from cryptnsend.core.seal import seal
from cryptnsend.dlp.nursery import Job
from cryptnsend.flow import hooking
from cryptnsend.flow.parcels import Moot
from cryptnsend.flow.policies import Policies
from cryptnsend.store.records import accounts, audit, holds, journals, messages

PART = "findings"  # of a message, sealed under its key
TEMPLATE = "held"
BY_TIME = "time"
HOUR = 3_600_000  # milliseconds
DAY = 24 * HOUR
FAILURES = 3  # looks in a row that came to nothing, before officers hear of it
UNREAD = "mail-unread"  # what they hear
AT_ONCE = 100  # messages whose time is over, in one transaction
Verdict = Literal["leave", "held", "seal"]

log = structlog.get_logger("cryptnsend.dlp")


class Looks(Protocol):
    """What looks into a mail (`cryptnsend.dlp.inspector`)."""

    def inspect(self, octets: Iterable[bytes], job: Job) -> list[Finding]:
        """Return what was found; raise ScannerGone."""

    def cut(self) -> None:
        """Wait for nobody any more."""

    def close(self) -> None:
        """End what was started."""


class Inspecting:
    """Says of each mail that is to leave plain whether it may. Thread-safe; one per process."""

    def __init__(self, *, engine: Engine, policies: Policies, looks: Looks, ocr: str, clock: Clock, random: Random):
        """*ocr* is the program that reads pictures, "" for none."""
        self._engine, self._policies, self._looks, self._ocr = engine, policies, looks, ocr
        self._clock, self._random = clock, random
        self._looked_at = Counter[int]()  # messages that threads look at now, or wait for
        self._locks: dict[int, threading.Lock] = {}
        self._guard = threading.Lock()
        self._failures = 0  # looks in a row that nobody could take

    def verdict(self, row: Row, key: bytes | None, octets: Callable[[], Iterator[bytes]]) -> Verdict:
        """
        Say whether a claimed delivery leaves, rests, or goes as a sealed message instead.

        *octets* is the mail as it would leave, *key* its content key. Raises ScannerGone if nobody can look at it now,
        Moot if its author has thrown it away, and what *octets* raises.
        """
        if row["form"] == "tls":
            return self._arriving(row, octets)
        if row["kind"] != "relay" or key is None:
            return "leave"
        known = holds.of(self._engine, row["org"], row["message"])
        if known is None:
            house = accounts.organisation_of(self._engine, row["author"])
            held = self._policies.now(house)
            if not is_looked_at(held, row["tls_class"]):
                return "leave"
            with self._alone(row["message"]):
                known = holds.of(self._engine, row["org"], row["message"])
                if known is None:
                    self._look(row, key, octets, house, held)
                    known = holds.of(self._engine, row["org"], row["message"])
        return _what(known)

    def let_go(self) -> int:
        """Send encrypted what nobody decided in time; return how many messages that were."""
        now = self._clock.now()
        late = holds.overdue(self._engine, now, AT_ONCE)

        def write(rows: Rows) -> None:
            for each in late:
                if holds.decide(rows, each["org"], each["message"], "encrypt", BY_TIME, "", now):
                    woken = holds.wake(rows, each["org"], each["message"], now)
                    detail: dict[str, object] = {"choice": "encrypt", "by": BY_TIME, "deliveries": woken}
                    audit.append(rows, each["house"], now, KEEPER, "hold.decided", str(each["message"]), detail)

        if late:
            self._engine.write(write).result()
        return len(late)

    def give_up(self) -> None:
        """Wait for no look any more: the process ends, and what is still looked at is put off."""
        self._looks.cut()

    def close(self) -> None:
        """End what looks were made with."""
        self._looks.close()

    def _arriving(self, row: Row, octets: Callable[[], Iterator[bytes]]) -> Verdict:
        """
        Say whether what was sealed may arrive readable, over a proven way, in the inbox of somebody who wants that.

        Where an organisation has even such mail looked at, its author's or its reader's, what is found in it makes it
        arrive locked or as a link. Nobody is asked: nothing is held back by that.
        """
        reader = accounts.by_address(self._engine, row["recipient_address"])
        houses = [accounts.organisation_of(self._engine, row["author"]), reader["org"] if reader else INSTALLATION]
        for house in dict.fromkeys(houses):
            held = self._policies.now(house)
            if not is_looked_at(held, "proven"):
                continue
            rules = list(dict.fromkeys(each.rule for each in self.found(octets, house, held)))
            log.info("looked at", message=row["message"], rules=rules)
            if rules:
                detail: dict[str, object] = {"rules": rules, "delivery": row["id"]}
                now, about = self._clock.now(), str(row["message"])
                self._engine.write(
                    lambda rows: audit.append(rows, house, now, KEEPER, "handoff.locked", about, detail)  # noqa: B023
                ).result()
                return "seal"
        return "leave"

    def found(self, octets: Callable[[], Iterator[bytes]], house: int, held: Policy) -> list[Finding]:
        """Look into a mail by what an organisation looks for; raise ScannerGone, of which officers hear in time."""
        try:
            found = self._looks.inspect(octets(), job_of(held, self._ocr))
        except ScannerGone:
            metrics.count("mail_looked_at", found="unavailable")
            self._fails(house)
            raise
        self._failures = 0
        metrics.count("mail_looked_at", found="yes" if found else "no")
        return found

    def _fails(self, house: int) -> None:
        """Let an organisation's officers hear, once a day, that its mail waits because nothing can read it."""
        self._failures += 1
        if self._failures < FAILURES:
            return
        log.error("nothing reads mail that is to leave plain", failures=self._failures, organisation=house)
        now = self._clock.now()

        def tell(rows: Rows) -> None:
            untold = journals.untold(rows, house, UNREAD, now - DAY)
            if not untold:
                return
            audit.append(rows, house, now, KEEPER, "dlp.unavailable", str(house), {"failures": self._failures})
            messages.add_deliveries(
                rows,
                [
                    messages.Delivery(
                        new_id(now, self._random), INSTALLATION, "alert", "", None, None, each, UNREAD,
                        "", "{}", "opportunistic", now, None, None, now,
                    )
                    for each in untold
                ],
            )  # fmt: skip

        self._engine.write(tell).result()

    def _look(self, row: Row, key: bytes, octets: Callable[[], Iterator[bytes]], house: int, held: Policy) -> None:
        found = self.found(octets, house, held)
        rules = list(dict.fromkeys(each.rule for each in found))
        log.info("looked at", message=row["message"], rules=rules)
        now = self._clock.now()
        until = now + held.hold_hours * HOUR
        sealed = seal(key, row["message"], PART, msgspec.json.encode(found)) if found else b""

        def write(rows: Rows) -> None:
            if holds.is_known(rows, row["message"]):
                return  # another process was quicker
            holds.add(
                rows,
                org=row["org"],
                message=row["message"],
                author=row["author"],
                house=house,
                rules=rules,
                sealed=sealed,
                until=until,
                now=now,
            )
            if rules:
                self._tell(rows, row, now)
                hooking.ring(rows, row["author"], "held", row["message"], now, self._random)
                detail: dict[str, object] = {"rules": rules, "until": until}
                audit.append(rows, house, now, KEEPER, "message.held", str(row["message"]), detail)

        self._engine.write(write).result()

    def _tell(self, rows: Rows, row: Row, now: int) -> None:
        """Let the author hear of it, at once."""
        told = messages.Delivery(
            new_id(now, self._random), INSTALLATION, "alert", "", row["message"], None, row["author"], TEMPLATE,
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip
        messages.add_deliveries(rows, [told])

    @contextmanager
    def _alone(self, message: int) -> Iterator[None]:
        """Let one thread look at a message, and the others of this process wait for what it finds."""
        with self._guard:
            self._looked_at[message] += 1
            lock = self._locks.setdefault(message, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._guard:
                self._looked_at[message] -= 1
                if not self._looked_at[message]:
                    del self._looked_at[message], self._locks[message]


def is_looked_at(held: Policy, tls_class: str) -> bool:
    """Say whether mail of that class is looked at: what is sent over proven TLS only where that is asked for."""
    return not held.dlp_off and (tls_class != "proven" or held.dlp_proven)


def job_of(held: Policy, ocr: str) -> Job:
    """Return what is looked for in the mail of an organisation."""
    rules = tuple(each for each in RULES if each not in held.dlp_ignored)
    return Job(Own(held.dlp_mrn, held.dlp_words, held.dlp_patterns), rules, ocr, held.dlp_pictures)


def _what(known: Row | None) -> Verdict:
    if known is None:
        raise RuntimeError("a message was looked at, and nothing says so")
    if known["state"] == "discarded":
        raise Moot("its author had it thrown away")
    verdicts: dict[str, Verdict] = {"clear": "leave", "plain": "leave", "encrypt": "seal"}
    return verdicts.get(known["state"], "held")
