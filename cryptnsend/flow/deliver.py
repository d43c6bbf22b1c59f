"""How does what is due leave? Threads claim deliveries by lease, compose the mail, send it, and write how it ended.

The claim is committed before the attempt, and so are the tokens that a mail carries, before anybody can follow them. A
delivery may be attempted twice, never not at all; a repeat carries the same Message-ID and the same links.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random, SystemRandom

import msgspec
import structlog

from cryptnsend.core import keys
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import CryptnSendError, Temporary
from cryptnsend.core.model import INSTALLATION, KEEPER, address_holder, contact_name, new_id
from cryptnsend.core.model import Random as Octets
from cryptnsend.delivery.courier import Courier, Envelope, Outcome
from cryptnsend.delivery.retry import Schedule, delay_is_due, next_try
from cryptnsend.flow.holders import Holders
from cryptnsend.flow.letters import Letter, Letters, Moot, TooLargeToHandOver
from cryptnsend.store.records import audit, deliveries, links, messages

LEASE = 20 * 60_000  # longer than the slowest dialogue that RFC 5321 §4.5.3.2 allows for a message of usual size
PAUSE = 30_000  # how long a delivery rests when the fault is ours (keeper or store gone)
POLL = 0.5  # seconds; a wake-up comes sooner
TELLING = frozenset({"notice", "relay", "handoff"})  # kinds whose failure the sender is told of
FOR_PEOPLE = frozenset({"FAILURE", "DELAY"})

log = structlog.get_logger("courier")


class Deliver:
    """The courier's threads. One object per process; several processes on one store share the work."""

    def __init__(
        self,
        *,
        engine: Engine,
        letters: Letters,
        courier: Courier,
        holders: Holders,
        epochs: keys.Epochs,
        clock: Clock,
        random: Octets,
        schedule: Schedule,
        threads: int,
        wake_socket: Path,
        cleartext: bool = False,
        rng: Random | None = None,
    ):
        self._engine, self._letters, self._courier = engine, letters, courier
        self._holders, self._epochs, self._clock, self._random = holders, epochs, clock, random
        self._schedule, self._threads, self._cleartext = schedule, threads, cleartext
        self._rng = rng or SystemRandom()
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._wake = Wake(wake_socket)

    def run(self, stop: threading.Event) -> None:
        """Deliver until *stop* is set, then let the attempts under way end."""
        workers = [threading.Thread(target=self._work, args=(stop,), name=f"courier-{n}") for n in range(self._threads)]
        for worker in workers:
            worker.start()
        while not stop.is_set():
            self._wake.listen(POLL)
        self._wake.notify_all()
        for worker in workers:
            worker.join()
        self._wake.close()
        self._courier.close()

    def once(self) -> int:
        """Try everything that is due now, one after the other; return how many attempts were made."""
        made = 0
        while (row := self._claim()) is not None:
            self._attempt(row)
            made += 1
        return made

    def _work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                row = self._claim()
                if row is None:
                    self._wake.wait(POLL)
                    continue
                self._attempt(row)
            except Temporary as trouble:
                log.warning("store unavailable", error=type(trouble).__name__)
                self._wake.wait(POLL)

    def _claim(self) -> Row | None:
        now = self._clock.now()
        due = deliveries.next_due(self._engine)
        if due is None or due > now:
            return None  # looking costs no flush, claiming does
        claimed = self._engine.write(lambda rows: deliveries.claim(rows, self._owner, now, LEASE, 1)).result()
        return claimed[0] if claimed else None

    def _attempt(self, row: Row) -> None:
        ident, fence = row["id"], row["fence"]
        try:
            letter = self._letters.compose(row)
            self._write(lambda rows: self._add_links(rows, row, letter))
            envelope = _envelope(row, letter)
            outcome = self._courier.send(envelope, letter.tls_class, letter.octets, cleartext=self._cleartext)
        except Moot as moot:
            why = str(moot)
            self._write(lambda rows: self._settle(rows, row, "cancelled", "", why))
            return
        except TooLargeToHandOver:
            self._write(
                lambda rows: deliveries.become(rows, ident, fence, "handoff", "link", "opportunistic", row["due"])
            )
            self._wake.notify_all()
            return
        except Temporary as trouble:  # ours, not the peer's: the attempt does not count
            log.warning("delivery waits", delivery=ident, error=type(trouble).__name__)
            due = self._clock.now() + PAUSE
            self._write(lambda rows: deliveries.untouched(rows, ident, fence, due))
            return
        except CryptnSendError as broken:  # damaged or tampered rows: parked for the operator, others go on
            log.error("delivery parked", delivery=ident, error=type(broken).__name__)
            why = str(broken)
            self._write(lambda rows: self._settle(rows, row, "parked", "", why))
            return
        log.info(
            "delivery", delivery=ident, kind=row["kind"], outcome=outcome.kind, status=outcome.status, host=outcome.host
        )
        self._write(lambda rows: self._ended(rows, row, letter, outcome))

    def _write(self, fn: Callable[[Rows], object]) -> None:
        self._engine.write(fn).result()

    def _add_links(self, rows: Rows, row: Row, letter: Letter) -> None:
        for each in letter.links:
            links.add(
                rows,
                each.row.id,
                row["org"],
                each.row.purpose,
                each.row.key_id,
                each.row.message,
                each.row.address,
                each.row.subscriber,
                row["id"],
                each.expires,
            )

    def _ended(self, rows: Rows, row: Row, letter: Letter, outcome: Outcome) -> None:
        """Write one attempt's outcome and what follows from it."""
        now, ident, fence = self._clock.now(), row["id"], row["fence"]
        how = msgspec.json.encode({"host": outcome.host, "tls": outcome.tls, "status": outcome.status}).decode()
        if outcome.kind == "delivered":
            if self._settle(rows, row, "delivered", how, outcome.reply):
                self._delivered(rows, row, now)
        elif outcome.kind == "delayed":
            self._delayed(rows, row, outcome, how, now)
        elif outcome.reason in (Outcome.TOO_LARGE, Outcome.CONTENT) and _can_be_link(row):
            deliveries.become(rows, ident, fence, "handoff", "link", "opportunistic", now)
            self._wake.notify_all()
        elif outcome.reason in (Outcome.PROOF_MISSING, Outcome.TLS_MISSING) and row["kind"] == "relay":
            self._into_vault(rows, row, letter, now)
        elif self._settle(rows, row, "failed", how, outcome.reply):
            self._failed(rows, row, now)

    def _settle(self, rows: Rows, row: Row, state: str, how: str, reply: str) -> bool:
        return deliveries.settle(rows, row["id"], row["fence"], state, how, reply, self._clock.now())

    def _delivered(self, rows: Rows, row: Row, now: int) -> None:
        if row["kind"] in TELLING and row["message"] is not None and row["recipient"] is not None:
            deliveries.notified(rows, row["org"], row["message"], row["recipient"], now)
            audit.append(
                rows, row["org"], now, KEEPER, f"{row['kind']}.sent", str(row["message"]), {"delivery": row["id"]}
            )
        if row["kind"] in TELLING and "SUCCESS" in _asked(row):
            # RFC 3461 §5.2.2: what happens behind the vault is not ours to report, so a vaulted mail is "relayed".
            self._tell(rows, row, "relayed", now)

    def _delayed(self, rows: Rows, row: Row, outcome: Outcome, how: str, now: int) -> None:
        if outcome.reason == Outcome.BUSY:
            deliveries.untouched(rows, row["id"], row["fence"], now + 1000)
            return
        due = next_try(row["attempts"], row["created"], now, self._rng, self._schedule)
        if due is None:
            if self._settle(rows, row, "failed", how, outcome.reply):
                self._failed(rows, row, now)
            return
        if not deliveries.delay(rows, row["id"], row["fence"], due, how, outcome.reply):
            return
        asked = _asked(row) or FOR_PEOPLE
        late = row["delayed_told"] is None and delay_is_due(row["created"], now, self._schedule)
        if late and row["kind"] in TELLING and "DELAY" in asked:
            deliveries.told_of_delay(rows, row["id"], now)
            self._tell(rows, row, "delayed", now)

    def _failed(self, rows: Rows, row: Row, now: int) -> None:
        if row["kind"] not in TELLING:
            log.error("own mail failed", delivery=row["id"], kind=row["kind"])
            return
        audit.append(rows, row["org"], now, KEEPER, "delivery.failed", str(row["message"]), {"delivery": row["id"]})
        if "FAILURE" in (_asked(row) or FOR_PEOPLE):
            self._tell(rows, row, "failed", now)

    def _tell(self, rows: Rows, row: Row, what: str, now: int) -> None:
        """Queue a report to the author's original inbox about one delivery; who that is, the keeper says."""
        report = messages.Delivery(
            new_id(now, self._random), row["org"], "dsn", "", row["message"], row["author_address"], row["id"], what,
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip
        messages.add_deliveries(rows, [report])
        self._wake.notify_all()

    def _into_vault(self, rows: Rows, row: Row, letter: Letter, now: int) -> None:
        """
        Keep for the recipient what could not leave protected, and send a notice instead.

        The grant is made under the keeper's pending key before the queue key is let go of.
        """
        if letter.content_key is None:
            raise RuntimeError("a relay without its content key")
        anchored = self._holders.anchored()
        epoch = self._epochs.current(anchored.pending.id, anchored.pending.public, KEEPER, "pending")
        pair = anchored.pending
        messages.add_pair(
            rows, pair.id, INSTALLATION, KEEPER, "pending", pair.custody, pair.suite, pair.public, "current"
        )
        messages.add_epochs(
            rows, [messages.EpochRow(epoch.id, INSTALLATION, pair.id, pair.suite, KEEPER, "pending", epoch.sealed)]
        )
        address = row["recipient_address"]
        contact, holder = contact_name(address, row["subscriber"]), address_holder(address)
        binding = keys.GrantBinding(row["org"], row["message"], holder, "recipient", contact, row["custody"])
        wrap = keys.wrap_content(epoch.key, letter.content_key, binding, self._random)
        messages.add_grants(
            rows,
            [
                messages.Grant(
                    new_id(now, self._random), row["org"], row["message"], holder, "recipient", contact,
                    row["custody"], epoch.id, wrap, "active", row["expires"],
                )
            ],
        )  # fmt: skip
        deliveries.decided(rows, row["org"], row["message"], row["recipient"], "vault", "no protected way to this host")
        deliveries.become(rows, row["id"], row["fence"], "notice", "", "opportunistic", now)
        self._wake.notify_all()


def _can_be_link(row: Row) -> bool:
    """Say whether there is a smaller and plainer way to tell the same person."""
    return bool(row["kind"] == "handoff" and row["form"] != "link")


def _asked(row: Row) -> frozenset[str]:
    """Return what the author asked to be told (RFC 3461 §4.1): empty if they said nothing."""
    asked = msgspec.json.decode(row["dsn"], type=dict[str, str]).get("notify", "")
    return frozenset(asked.split(",")) - {""}


def _envelope(row: Row, letter: Letter) -> Envelope:
    """Return where one mail goes. DSN options go on with relayed mail only: reports on vaulted mail are made here."""
    if row["kind"] != "relay":
        return Envelope(letter.reverse_path, letter.recipient)
    asked = msgspec.json.decode(row["dsn"], type=dict[str, str])
    return Envelope(
        letter.reverse_path,
        letter.recipient,
        orcpt=asked.get("orcpt"),
        ret=asked.get("ret"),
        envid=asked.get("envid"),
    )


class Wake:
    """
    A doorbell: a datagram on a Unix socket, so that what was just admitted leaves at once.

    Missing a ring costs half a second, since the threads also look by themselves.
    """

    def __init__(self, path: Path):
        self._path = path
        self._bell = threading.Condition()
        self._rings = 0
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        os.chmod(path, 0o600)

    def listen(self, seconds: float) -> None:
        """Wait for a ring from another process, at most so long, and pass it on to the threads."""
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(16)
        except TimeoutError:
            return
        self.notify_all()

    def notify_all(self) -> None:
        """Wake every thread that waits here."""
        with self._bell:
            self._rings += 1
            self._bell.notify_all()

    def wait(self, seconds: float) -> None:
        """Rest until a ring, at most so long."""
        with self._bell:
            seen = self._rings
            self._bell.wait_for(lambda: self._rings != seen, timeout=seconds)

    def close(self) -> None:
        """Take the bell down."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


class Ringer:
    """Rings the courier's bell; nobody there is fine, since the queue is durable."""

    def __init__(self, path: Path):
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __call__(self) -> None:
        """Ring, without waiting."""
        try:
            self._socket.sendto(b"!", self._path)
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
            return  # no courier is up, or its bell rings already

    def __del__(self) -> None:
        self._socket.close()
