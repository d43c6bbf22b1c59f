"""What does accepting a message cost, compared with Postfix that merely queues it?

Both servers run at the same time on this machine and take the same messages in turn, load by load and round by round,
so that whatever else the machine does hits both alike. Server CPU is that of the whole process tree: keeper and doors
here, Postfix and Dovecot's auth there. Ratios are made per round; what is printed is their median and range. Stored
mail is opened and compared at the end, and the run fails if a single message is not as it was sent.

    make bench                              all loads, five rounds
    make bench ARGS="--rounds 2 --load 4k-8 --load 4k-32"
    make bench ARGS=--memory                one hundred submissions of 25 MiB at once, ours only
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import flushes
import processes
import verify
from generator import KIB, MIB, Failed, Generator, Load, Taken
from measuring import conditions, note, spread, work_folder
from postfix import Postfix
from server import Server, colleague, outsider

LOADS = (
    Load("4k-8", 4 * KIB, sessions=8, messages=1200, target=0.5),
    Load("4k-32", 4 * KIB, sessions=32, messages=1600, target=0.35),
    Load("4k-8-new", 4 * KIB, sessions=8, messages=1200, fresh=True, target=0.65),
    Load("4k-200", 4 * KIB, sessions=8, messages=1600, per_connection=8, fresh=True, subscribers=200, target=0.65),
    Load("4k-1", 4 * KIB, sessions=8, messages=400, per_connection=1, target=0.7),
    Load("100k-8", 100 * KIB, sessions=8, messages=400, target=0.7),
    Load("1m-4", MIB, sessions=4, messages=60, target=0.65, sampled=10),
    Load("25m-2", 25 * MIB, sessions=2, messages=6, target=0.5, sampled=2),
)
MEMORY = Load("memory", 25 * MIB, sessions=100, messages=100, sampled=2)
MEMORY_TARGET = 300 * MIB
PEOPLE = 200
SETTLE = 0.2  # seconds after the last goodbye, in which servers put connections away
WARM_UP = 4  # messages per session before a load counts
FLUSH_MESSAGES = 800


@dataclass(frozen=True, slots=True)
class Figures:
    """One load on one server in one round; times are seconds, sizes octets, all but memory and rate per message."""

    cpu: float
    rate: float  # messages per second
    memory: int  # peak PSS
    written: float
    median: float  # from MAIL to the last reply
    slow: float  # the same, 99th percentile
    client: float


@dataclass
class Numbers:
    """Hands out numbers for messages and for people nobody has written to; no two of a run are alike."""

    message: int = field(default_factory=lambda: int(time.time()) % 10**7 * 10**5)
    person: int = 0

    def messages(self, count: int) -> int:
        self.message += count
        return self.message - count

    def people(self, load: Load, people: int) -> list[str]:
        """Return the recipients of one run: newcomers, or for each session a colleague or one and the same outsider."""
        if load.fresh:
            self.person += load.messages
            return [outsider(self.person - each) for each in range(load.messages)]
        return [outsider(9_000_000 + at) if at % 2 else colleague(at, people) for at in range(load.people)]


class Bench:
    """One run: both servers, the client, and what was measured so far."""

    def __init__(self, folder: Path, *, with_postfix: bool, people: int):
        self.generator = Generator(folder)
        self.server = Server(folder / "home")
        print(f"Making a home with {people} subscribers ...", flush=True)
        self.server.make(people)
        tls = self.server.config.tls
        self.postfix = Postfix(folder / "postfix", tls.certificate, tls.key, self.server.senders)
        self.servers: list[Server | Postfix] = [self.server, *([self.postfix] if with_postfix else [])]
        self.numbers = Numbers()
        self.batches: list[verify.Batch] = []
        self.measured: dict[tuple[str, str], list[Figures]] = {}

    @contextmanager
    def running(self, servers: Sequence[Server | Postfix], wrap: Sequence[str] = ()) -> Iterator[None]:
        """Keep servers running; at the end everything that Postfix took must be on hold."""
        before = len(self.batches)
        try:
            for each in servers:
                each.start(wrap)
            yield
            if self.postfix in servers:
                promised = sum(len(batch.taken) for batch in self.batches[before:] if batch.name.startswith("Postfix"))
                if self.postfix.held() != promised:
                    raise Failed(f"Postfix promised {promised} messages and holds {self.postfix.held()}.")
        finally:
            for each in servers:
                each.stop()

    def round(self, loads: Sequence[Load], turn: int) -> None:
        """Run every load once on each server; who comes first changes."""
        with self.running(self.servers):
            for at, load in enumerate(loads):
                order = self.servers if (turn + at) % 2 else self.servers[::-1]
                for server in order:
                    figures = self.measure(server, load)
                    self.measured.setdefault((server.name, load.name), []).append(figures)
                    print(f"  round {turn + 1}  {load.name:9} {server.name:10} {_line(figures)}", flush=True)

    def measure(self, server: Server | Postfix, load: Load) -> Figures:
        """Run one load on one server."""
        warm_up = replace(load, messages=load.sessions * WARM_UP, sampled=2)
        self.submit(server, warm_up, lambda _: None)
        marks: list[tuple[processes.Used, float]] = []

        def mark(word: str) -> None:
            ended = time.monotonic()
            if word == "done" and load.per_connection:
                time.sleep(SETTLE)
            marks.append((processes.used(server.roots), ended))

        with processes.Peak(server.roots) as peak:
            taken = self.submit(server, load, mark)
        (begun, start), (ended, end) = marks
        cost, count = ended - begun, len(taken)
        seconds = sorted(each.seconds for each in taken)
        if isinstance(server, Server) and cost.written < load.size * count:
            raise Failed(f"{load.name}: fewer octets were written than accepted.")
        return Figures(
            cost.cpu / count,
            count / (end - start),
            peak.proportional,
            cost.written / count,
            statistics.median(seconds),
            seconds[int(len(seconds) * 0.99)],
            self.generator.client / count,
        )

    def submit(self, server: Server | Postfix, load: Load, mark: Callable[[str], None]) -> list[Taken]:
        """Run the client once and remember what was promised to it."""
        recipients = self.numbers.people(load, len(self.server.senders))
        first = self.numbers.messages(load.messages)
        taken = self.generator.run(load, server.port, self.server.senders, recipients, first, mark)
        name = f"{server.name} {load.name}"
        self.batches.append(verify.Batch(name, self.generator.message(load), taken, load.sampled))
        return taken

    def flushes(self, scale: float) -> dict[str, float]:
        """Return flushes per message of the first load, counted under strace, which is too slow to time."""
        load = replace(LOADS[0], messages=max(LOADS[0].sessions, int(FLUSH_MESSAGES * scale)))
        found = {}
        for server in self.servers:
            with (
                flushes.Count(Path(self.server.home.path).parent / "strace") as count,
                self.running([server], count.wrap),
            ):
                before = 0

                def mark(word: str, count: flushes.Count = count) -> None:
                    nonlocal before
                    before = count.so_far() - (before if word == "done" else 0)

                self.submit(server, load, mark)
            found[server.name] = before / load.messages
        return found

    def check(self) -> verify.Report:
        """Open samples of what our server took, and count all of it."""
        return verify.verify(
            self.server,
            [batch for batch in self.batches if batch.name.startswith(Server.name)],
            random.Random(self.numbers.message),
        )


def _line(figures: Figures) -> str:
    return (
        f"{figures.cpu * 1e3:8.3f} ms CPU  {figures.rate:7.1f}/s  PSS {figures.memory / MIB:4.0f} MiB"
        f"  written {figures.written / KIB:8.1f} KiB  p50 {figures.median * 1e3:.1f} p99 {figures.slow * 1e3:.1f} ms"
        f"  client {figures.client * 1e3:.2f} ms"
    )


def table(bench: Bench, loads: Sequence[Load]) -> list[str]:
    """Return the results as a Markdown table: ratios per round, medians and ranges."""
    lines = [
        "| load | CPU ratio | target | CPU ms per message, ours | Postfix | rate ratio | peak PSS MiB, ours | Postfix"
        " | KiB written, ours | Postfix |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for load in loads:
        ours = bench.measured[Server.name, load.name]
        theirs = bench.measured.get((Postfix.name, load.name), [])
        cpu = ratios(bench, load)
        rate = [one.rate / other.rate for one, other in zip(ours, theirs, strict=False)]
        cells = [
            load.name,
            spread(cpu),
            f"{load.target:.2f}",
            spread([each.cpu * 1e3 for each in ours]),
            spread([each.cpu * 1e3 for each in theirs]),
            spread(rate),
            f"{max(each.memory for each in ours) / MIB:.0f}",
            f"{max((each.memory for each in theirs), default=0) / MIB:.0f}",
            spread([each.written / KIB for each in ours]),
            spread([each.written / KIB for each in theirs]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def ratios(bench: Bench, load: Load) -> list[float]:
    """Return the ratio of CPU of each round."""
    pairs = zip(bench.measured[Server.name, load.name], bench.measured.get((Postfix.name, load.name), []), strict=False)
    return [one.cpu / other.cpu for one, other in pairs]


def missed(bench: Bench, loads: Sequence[Load]) -> list[str]:
    """Return what to tell about loads whose median ratio is over its target."""
    said = []
    for load in loads:
        ratio = statistics.median(ratios(bench, load))
        if ratio > load.target:
            said.append(f"{load.name}: {ratio:.2f}, the target is {load.target:.2f}")
    return said


def memory(bench: Bench, sessions: int) -> bool:
    """Submit 25 MiB on all sessions at once; print the server's memory and say whether it keeps its target."""
    load = replace(MEMORY, sessions=sessions, messages=sessions)
    with bench.running([bench.server]):
        idle = processes.resident(bench.server.roots)
        with processes.Peak(bench.server.roots) as peak:
            bench.submit(bench.server, load, lambda _: None)
    print(
        f"{sessions} submissions of {load.size // MIB} MiB at once: RSS at most {peak.resident / MIB:.0f} MiB"
        f" (idle {idle / MIB:.0f}, PSS at most {peak.proportional / MIB:.0f}; the target is {MEMORY_TARGET // MIB})"
    )
    return peak.resident <= MEMORY_TARGET


def main() -> int:
    """Run what the command line asks for; 1 if something was lost or wrong, or with --check a target missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--load", action="append", choices=[load.name for load in LOADS], help="only these; repeatable")
    parser.add_argument("--scale", type=float, default=1.0, help="so much of each load's messages")
    parser.add_argument("--without-postfix", action="store_true", help="measure and verify ours alone")
    parser.add_argument("--people", type=int, default=PEOPLE, help="subscribers, a multiple of twenty")
    parser.add_argument("--memory", nargs="?", type=int, const=MEMORY.sessions, metavar="SESSIONS")
    parser.add_argument("--check", action="store_true", help="fail if a median is over its target")
    parser.add_argument("--folder", type=Path, help="where to work, on the disk to be measured; default: under /tmp")
    parser.add_argument("--figures", type=Path, help="write the ratios of CPU to this file, as JSON")
    asked = parser.parse_args()
    loads = [
        replace(load, messages=max(load.sessions, int(load.messages * asked.scale)))
        for load in LOADS
        if asked.load is None or load.name in asked.load
    ]
    folder = work_folder(asked.folder)
    good = True
    try:
        bench = Bench(folder, with_postfix=not asked.without_postfix, people=asked.people)
        if asked.memory is not None:
            good = memory(bench, asked.memory)
        else:
            for turn in range(asked.rounds):
                bench.round(loads, turn)
            counted = bench.flushes(min(1.0, asked.scale)) if flushes.possible() else {}
            print(f"\n{conditions(asked.rounds)}\n")
            print("\n".join(table(bench, loads)))
            found = {load.name: ratios(bench, load) for load in loads}
            note(asked.figures, found, {load.name: load.target for load in loads})
            told = ", ".join(f"{name} {count:.2f}" for name, count in counted.items())
            print(f"\nFlushes per message, {LOADS[0].name}: {told or 'not counted, strace is missing'}")
            if bench.postfix in bench.servers:
                over = missed(bench, loads)
                print("Over target: " + "; ".join(over) if over else "All medians keep their targets.")
                good = not (over and asked.check)
        print(f"Verified: {bench.check()}")
        print(f"Again: python {' '.join(sys.argv)}")
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
