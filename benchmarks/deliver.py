"""What does delivering a mail cost, compared with Postfix that delivers the same mails to the same host?

Messages are submitted first and wait; then, round by round, each server lets its mails go to one smtp-sink on this
machine, over as many connections as the other. Ours opens the queue, writes each notice or receipt, asks the keeper for
its links, signs it twice and notes what came of it in the audit; Postfix passes on the very mails that ours had
composed in a round before. Server CPU is that of the whole process tree, from the release to the last outcome. Each
mail has to arrive exactly once, and what Postfix delivers has to be what it was given.

    python benchmarks/deliver.py                              five rounds of 2,000 mails
    python benchmarks/deliver.py --rounds 2 --messages 200    a quick look
    python benchmarks/deliver.py --vault 1000000              with a million messages in the vault
"""

from __future__ import annotations

import argparse
import shutil
import smtplib
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import copying
import processes
import publishing
from generator import KIB, Failed, Generator, Load
from measuring import conditions, note, spread, summary, work_folder
from postfix import Relay
from server import ORGANISATIONS, Server, outsider
from sink import Arrived, Sink

from cryptnsend import app as composition
from cryptnsend.flow.wake import Ringer
from cryptnsend.store.records import deliveries

MESSAGES = 1000  # each to somebody new, so that a notice and a receipt leave for it
PARALLEL = 10  # connections
PEOPLE = ORGANISATIONS + 1
PATIENCE = 900.0  # seconds for one round
SETTLE = 0.5  # seconds after the last outcome, in which servers put connections away
WAITS = "SELECT count(*) AS n FROM deliveries WHERE state IN ('due', 'leased', 'delayed')"


@dataclass(frozen=True, slots=True)
class Figures:
    """One round of one server: seconds of CPU per mail, mails per second, octets written per mail."""

    cpu: float
    rate: float
    written: float


class Ours:
    """Our keeper and courier, with all mails on hold."""

    name = Server.name

    def __init__(self, folder: Path, sink: Sink, stack: ExitStack, *, messages: int, batches: int, vault: int):
        self.server = Server(
            folder / "home",
            CRYPTNSEND_DELIVERY_SMARTHOST=f"smtp://127.0.0.1:{sink.port}",
            CRYPTNSEND_DELIVERY_THREADS=str(PARALLEL),
        )
        self.server.make(PEOPLE)
        if vault:
            copying.grow(self.server, vault)
        load = Load("deliver", 4 * KIB, sessions=8, messages=messages * batches, fresh=True)
        self.server.start()
        try:
            recipients = [outsider(number) for number in range(load.messages)]
            Generator(folder).run(load, self.server.port, self.server.senders, recipients, 1, lambda _: None)
        finally:
            self.server.stop()
        app = composition.build(self.server.config, "owner")
        self._engine = app.engine
        stack.callback(app.blobs.close)
        stack.callback(app.engine.close)
        rows = self._engine.query("SELECT id, message FROM deliveries WHERE state = 'due' ORDER BY id")
        self._turn([row["id"] for row in rows], deliveries.hold)
        idents = [row["id"] for row in rows if row["message"] > self.server.filled]
        size = len(idents) // batches
        self._batches = [idents[at * size : (at + 1) * size] for at in range(batches)]
        self._ringer = Ringer(self.server.home.courier_wake)
        self.server.roles = ("keeper", "courier")

    @property
    def roots(self) -> list[int]:
        """The processes whose trees are the server."""
        return self.server.roots

    def start(self) -> None:
        """Start keeper and courier."""
        self.server.start()

    def stop(self) -> None:
        """End them."""
        self.server.stop()

    def prepare(self, _mails: Sequence[Arrived]) -> int:
        """Return how many mails the next release brings."""
        return len(self._batches[0])

    def release(self) -> None:
        """Let a batch leave."""
        self._turn(self._batches.pop(0), deliveries.release)
        self._ringer()

    def waiting(self) -> int:
        """Return how many mails have not left."""
        count: int = self._engine.query(WAITS)[0]["n"]
        return count

    def _turn(self, idents: Sequence[int], change: Callable[..., object]) -> None:
        now = time.time_ns() // 1_000_000
        done = self._engine.write(lambda rows: [change(rows, ident, now) for ident in idents]).result()
        if not all(done):
            raise Failed("Not every delivery could be held or released.")


class Theirs(Relay):
    """Postfix, which is given the mails before each round."""

    def prepare(self, mails: Sequence[Arrived]) -> int:
        """Hand it the mails, which it puts on hold; return how many."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as client:
            for mail in mails:
                client.sendmail(
                    mail.reverse_path, [mail.recipient], mail.octets.replace(b"\n", b"\r\n"), ["BODY=8BITMIME"]
                )
        return len(mails)


def measure(server: Ours | Theirs, sink: Sink, mails: Sequence[Arrived]) -> tuple[Figures, list[Arrived]]:
    """Release a batch, wait until all of it has left and arrived, and check that each mail came once."""
    count = server.prepare(mails)
    before, start = processes.used(server.roots), time.monotonic()
    server.release()
    deadline = start + PATIENCE
    while sink.count() < count or server.waiting():
        if time.monotonic() > deadline:
            raise Failed(f"{server.name}: {sink.count()} of {count} mails arrived.")
        time.sleep(0.02)
    seconds = time.monotonic() - start
    time.sleep(SETTLE)
    used = processes.used(server.roots) - before
    arrived = sink.empty()
    if len({each.ident for each in arrived}) != count or len(arrived) != count:
        raise Failed(f"{server.name}: of {count} mails {len(arrived)} arrived, some of them twice.")
    if isinstance(server, Theirs) and set(arrived) != set(mails):
        raise Failed("Postfix delivered something else than it was given.")
    return Figures(used.cpu / count, count / seconds, used.written / count), arrived


def main() -> int:
    """Run what the command line asks for; 1 if a mail was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=MESSAGES, help="messages per round; each makes two mails")
    parser.add_argument("--vault", type=int, default=0, metavar="N", help="messages that are in the vault before")
    parser.add_argument("--folder", type=Path, help="where to work, on the disk to be measured; default: under /tmp")
    parser.add_argument("--figures", type=Path, help="write the ratio of CPU to this file, as JSON")
    publishing.offer(parser, "deliver")
    asked = parser.parse_args()
    folder = work_folder(asked.folder)
    measured: dict[str, list[Figures]] = {Ours.name: [], Theirs.name: []}
    try:
        publishing.check(asked.publish)
        with ExitStack() as stack:
            sink = Sink(folder / "sink")
            stack.callback(sink.close)
            print(f"Submitting {asked.messages * (asked.rounds + 1)} messages ...", flush=True)
            ours = Ours(folder, sink, stack, messages=asked.messages, batches=asked.rounds + 1, vault=asked.vault)
            tls = ours.server.config.tls
            theirs = Theirs(folder / "postfix", tls.certificate, tls.key, to=sink.port, parallel=PARALLEL)
            for server in (ours, theirs):
                stack.callback(server.stop)
                server.start()
            # The first batch warms ours up, and is what Postfix delivers in every round.
            _, mails = measure(ours, sink, ())
            for turn in range(asked.rounds):
                for server in (ours, theirs) if turn % 2 else (theirs, ours):
                    figures, _ = measure(server, sink, mails)
                    measured[server.name].append(figures)
                    print(
                        f"  round {turn + 1}  {server.name:10} {figures.cpu * 1e3:7.3f} ms CPU  {figures.rate:7.1f}/s"
                        f"  written {figures.written / KIB:7.1f} KiB",
                        flush=True,
                    )
        print(f"\n{conditions(asked.rounds)}\n")
        said = table(measured[Ours.name], measured[Theirs.name])
        print("\n".join(said))
        pairs = zip(measured[Ours.name], measured[Theirs.name], strict=True)
        note(asked.figures, {"a mail": [one.cpu / other.cpu for one, other in pairs]}, {})
        total = len(mails) * (2 * asked.rounds + 1)
        verified = f"Verified: {total} mails arrived, each once; what Postfix delivered is what it was given."
        print(f"\n{verified}")
        costs = {side: [each.cpu * 1e3 for each in found] for side, found in measured.items()}
        drawn = publishing.bars("CPU of delivering a mail", summary(costs, {}), "ms")
        alt = "Milliseconds of CPU for each mail"
        publishing.publish(asked.publish, drawn, alt, said, rounds=asked.rounds, peer="Postfix", ends=verified)
        print(f"Again: python {' '.join(sys.argv)}")
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def table(ours: Sequence[Figures], theirs: Sequence[Figures]) -> list[str]:
    """Return the results as a Markdown table: ratios per round, medians and ranges."""
    rows = [
        ("CPU ms per mail", [each.cpu * 1e3 for each in ours], [each.cpu * 1e3 for each in theirs]),
        ("mails per second", [each.rate for each in ours], [each.rate for each in theirs]),
        ("KiB written per mail", [each.written / KIB for each in ours], [each.written / KIB for each in theirs]),
    ]
    lines = ["| what | ratio | ours | Postfix |", "|---|---|---|---|"]
    for what, mine, other in rows:
        ratios = [one / two for one, two in zip(mine, other, strict=True) if two]
        lines.append(f"| {what} | {spread(ratios)} | {spread(mine)} | {spread(other)} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
