"""What does accepting a message cost, compared with Postfix, Exim and aiosmtpd that merely queue it?

The servers run at the same time on this machine and take the same messages in turn, load by load and round by round,
so that whatever else the machine does hits all alike. Server CPU is that of the whole process tree: keeper and doors
here, Postfix and Dovecot's auth there. Ratios are made per round; what is printed is their median and range. Stored
mail is opened and compared at the end, and the run fails if a single message is not as it was sent.

    make bench                              beside Postfix alone: all loads, five rounds
    make bench ARGS="--beside postfix --beside exim --beside aiosmtpd"
    make bench ARGS="--rounds 2 --load 4k-8 --load 4k-32"
    make bench ARGS="--processes 2"         with so many processes for submission, side by side
    make bench ARGS="--beside nobody --load 4k-8 --vault 1000 --vault 1000000"    beside a million messages
    make bench ARGS=--memory                one hundred submissions of 25 MiB at once, ours only
    make bench ARGS=--publish               all loads; table and picture are written into README.md
"""

from __future__ import annotations

import argparse
import math
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

import copying
import flushes
import processes
import publishing
import verify
from exim import Exim
from generator import KIB, MIB, Failed, Generator, Load, Taken
from measuring import conditions, note, spread, summary, work_folder
from plain_aiosmtpd import Plain
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
    Load("4k-one", 4 * KIB, sessions=1, messages=300),
    Load("4k-100", 4 * KIB, sessions=100, messages=2000),
    Load("4k-8-to50", 4 * KIB, sessions=8, messages=160, recipients=50),
    Load("100k-32", 100 * KIB, sessions=32, messages=400),
)
PEERS = {"postfix": Postfix, "exim": Exim, "aiosmtpd": Plain}
Peer = Postfix | Exim | Plain
MEMORY = Load("memory", 25 * MIB, sessions=100, messages=100, sampled=2)
MEMORY_TARGET = 300 * MIB
PEOPLE = 200
SETTLE = 0.2  # seconds after the last goodbye, in which servers put connections away
WARM_UP = 4  # messages per session before a load counts
FLUSH_MESSAGES = 200


@dataclass(frozen=True, slots=True)
class Figures:
    """One load on one server in one round; times are seconds, sizes octets, all but memory and rate per message."""

    cpu: float
    rate: float  # messages per second
    memory: int  # peak PSS
    written: float
    median: float  # from the last octet of data to the reply
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
        each = load.recipients
        if load.fresh:
            self.person += load.messages * each
            return [outsider(self.person - at) for at in range(load.messages * each)]
        return [
            outsider(9_000_000 + at) if at % each or at // each % 2 else colleague(at // each, people)
            for at in range(load.people * each)
        ]


class Bench:
    """
    One run: our server and its peers, the client, and what was measured so far.

    For each of *vaults* there is one more server of ours, with so many messages in it from the start.
    """

    def __init__(self, folder: Path, *, beside: Sequence[str], people: int, processes: int, vaults: Sequence[int]):
        self.generator = Generator(folder)
        self.server = Server(folder / "home", CRYPTNSEND_SUBMISSION_PROCESSES=str(processes))
        self.filled = [Server(folder / f"home-{size}") for size in vaults]
        for server, size in zip((self.server, *self.filled), (0, *vaults), strict=True):
            print(f"Making a home with {people} subscribers ...", flush=True)
            server.make(people)
            if size:
                server.name = f"{Server.name}, {size:,} messages"
                copying.grow(server, size)
        tls = self.server.config.tls
        self.peers = [PEERS[each](folder / each, tls.certificate, tls.key, self.server.senders) for each in beside]
        self.servers: list[Server | Peer] = [self.server, *self.filled, *self.peers]
        self.numbers = Numbers()
        self.batches: list[verify.Batch] = []
        self.measured: dict[tuple[str, str], list[Figures]] = {}
        self.flushed: dict[tuple[str, str], float] = {}

    @contextmanager
    def running(self, servers: Sequence[Server | Peer], wrap: Sequence[str] = ()) -> Iterator[None]:
        """Keep servers running; at the end peers must hold everything they took."""
        before = len(self.batches)
        try:
            for each in servers:
                each.start(wrap)
            yield
            for peer in self.peers:
                ran = [batch for batch in self.batches[before:] if batch.name.startswith(peer.name)]
                promised = sum(len(batch.taken) for batch in ran)
                if peer in servers and peer.held() != promised:
                    raise Failed(f"{peer.name} promised {promised} messages and holds {peer.held()}.")
        finally:
            for each in servers:
                each.stop()

    def round(self, loads: Sequence[Load], turn: int) -> None:
        """Run every load once on each server; who comes first changes."""
        with self.running(self.servers):
            for at, load in enumerate(loads):
                first = (turn + at) % len(self.servers)
                order = self.servers[first:] + self.servers[:first]
                for server in order:
                    figures = self.measure(server, load)
                    self.measured.setdefault((server.name, load.name), []).append(figures)
                    print(f"  round {turn + 1}  {load.name:9} {server.name:10} {_line(figures)}", flush=True)

    def measure(self, server: Server | Peer, load: Load) -> Figures:
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

    def submit(self, server: Server | Peer, load: Load, mark: Callable[[str], None]) -> list[Taken]:
        """Run the client once and remember what was promised to it."""
        # Peers have the passwords of the first.
        senders = (server if isinstance(server, Server) else self.server).senders
        recipients = self.numbers.people(load, len(senders))
        first = self.numbers.messages(load.messages)
        taken = self.generator.run(load, server.port, senders, recipients, first, mark)
        name = f"{server.name} {load.name}"
        self.batches.append(verify.Batch(name, self.generator.message(load), taken, load.sampled))
        return taken

    def flushes(self, loads: Sequence[Load]) -> None:
        """Count flushes per message of all *loads*, in small, under strace, which is too slow to time."""
        for server in self.servers:
            with (
                flushes.Count(Path(self.server.home.path).parent / "strace") as count,
                self.running([server], count.wrap),
            ):
                for load in loads:
                    few = replace(
                        load, messages=min(load.messages, max(FLUSH_MESSAGES // load.sessions, 2) * load.sessions)
                    )
                    so_far: list[int] = []
                    self.submit(server, few, lambda _, so_far=so_far: so_far.append(count.so_far()))
                    self.flushed[server.name, load.name] = (so_far[1] - so_far[0]) / few.messages

    def check(self) -> str:
        """Open samples of what each server of ours took, count all of it, and say what was found."""
        said = []
        for server in (self.server, *self.filled):
            batches = [batch for batch in self.batches if batch.name.startswith(f"{server.name} ")]
            said.append(str(verify.verify(server, batches, random.Random(self.numbers.message))))
        return "; ".join(said)


def _line(figures: Figures) -> str:
    return (
        f"{figures.cpu * 1e3:8.3f} ms CPU  {figures.rate:7.1f}/s  PSS {figures.memory / MIB:4.0f} MiB"
        f"  written {figures.written / KIB:8.1f} KiB  p50 {figures.median * 1e3:.1f} p99 {figures.slow * 1e3:.1f} ms"
        f"  client {figures.client * 1e3:.2f} ms, busy {figures.client * figures.rate:.0%}"
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
            f"{load.target:.2f}" if load.target else "",
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


def everything(bench: Bench, loads: Sequence[Load]) -> list[str]:
    """Return all figures of all servers as a Markdown table, a line for each load and server: medians, and peaks."""
    lines = [
        "| load | server | CPU ms | ours is | messages/s | MB/s | p50 ms | p99 ms | peak PSS MiB | KiB written"
        " | flushes | client's CPU ms | client busy |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for load in loads:
        for server in bench.servers:
            found = bench.measured[server.name, load.name]

            def middle(value: Callable[[Figures], float], found: Sequence[Figures] = found) -> float:
                return statistics.median(value(each) for each in found)

            cells = [
                load.name,
                server.name,
                f"{middle(lambda each: each.cpu) * 1e3:.2f}",
                "" if server is bench.server else spread(ratios(bench, load, server.name)),
                f"{middle(lambda each: each.rate):.0f}",
                f"{middle(lambda each: each.rate) * load.size / 1e6:.1f}",
                f"{middle(lambda each: each.median) * 1e3:.1f}",
                f"{middle(lambda each: each.slow) * 1e3:.1f}",
                f"{max(each.memory for each in found) / MIB:.0f}",
                f"{middle(lambda each: each.written) / KIB:.1f}",
                f"{bench.flushed.get((server.name, load.name), math.nan):.2f}",
                f"{middle(lambda each: each.client) * 1e3:.2f}",
                f"{middle(lambda each: each.client * each.rate):.0%}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def ratios(bench: Bench, load: Load, peer: str = Postfix.name, ours: str = Server.name) -> list[float]:
    """Return the ratio of CPU of each round."""
    pairs = zip(bench.measured[ours, load.name], bench.measured.get((peer, load.name), []), strict=False)
    return [one.cpu / other.cpu for one, other in pairs]


def growths(bench: Bench, loads: Sequence[Load]) -> list[str]:
    """Return, as a Markdown table, what a message costs in each fuller vault by what it costs in the first of them."""
    first, *fuller = [each.name for each in bench.filled]
    lines = [f"| load | CPU by that of {first} | {' | '.join(fuller)} |", "|---" * (2 + len(fuller)) + "|"]
    for load in loads:
        cells = [spread(ratios(bench, load, first, each)) for each in fuller]
        lines.append(f"| {load.name} | 1 | {' | '.join(cells)} |")
    return lines


def missed(bench: Bench, loads: Sequence[Load]) -> list[str]:
    """Return what to tell about loads whose median ratio is over its target."""
    said = []
    for load in loads:
        ratio = statistics.median(ratios(bench, load))
        if load.target is not None and ratio > load.target:
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
    parser.add_argument("--beside", action="append", choices=[*PEERS, "nobody"], help="repeatable; default: postfix")
    parser.add_argument("--people", type=int, default=PEOPLE, help="subscribers, a multiple of twenty")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="of ours, for submission; default: 1")
    parser.add_argument(
        "--vault", type=int, action="append", default=[], metavar="N",
        help="one more server of ours, with N messages in it; repeatable, the fewest first",
    )  # fmt: skip
    parser.add_argument("--memory", nargs="?", type=int, const=MEMORY.sessions, metavar="SESSIONS")
    parser.add_argument("--check", action="store_true", help="fail if a median is over its target")
    parser.add_argument("--folder", type=Path, help="where to work, on the disk to be measured; default: under /tmp")
    parser.add_argument("--figures", type=Path, help="write the ratios of CPU to this file, as JSON")
    publishing.offer(parser, "accept")
    asked = parser.parse_args()
    loads = [
        replace(load, messages=max(load.sessions, int(load.messages * asked.scale)))
        for load in LOADS
        if asked.load is None or load.name in asked.load
    ]
    folder = work_folder(asked.folder)
    good = True
    try:
        publishing.check(asked.publish)
        beside = [each for each in asked.beside or ["postfix"] if each != "nobody"]
        bench = Bench(folder, beside=beside, people=asked.people, processes=asked.processes, vaults=sorted(asked.vault))
        if asked.memory is not None:
            good = memory(bench, asked.memory)
        else:
            for turn in range(asked.rounds):
                bench.round(loads, turn)
            if flushes.possible():
                bench.flushes(loads)
            else:
                print("strace is missing: flushes are not counted.")
            print(f"\n{conditions(asked.rounds)}\n")
            found = {load.name: ratios(bench, load) for load in loads}
            said = everything(bench, loads)
            if any(found.values()):
                said = [*table(bench, loads), "", *said]
            if len(bench.filled) > 1:
                said = [*said, "", *growths(bench, loads)]
            print("\n".join(said))
            targets = {load.name: load.target for load in loads if load.target is not None}
            note(asked.figures, found, targets)
            if any(found.values()):
                over = missed(bench, loads)
                print("Over target: " + "; ".join(over) if over else "All medians keep their targets.")
                good = not (over and asked.check)
        verified = f"Verified: {bench.check()}"
        print(verified)
        if asked.publish and asked.memory is None:
            drawn = publishing.bars("CPU of accepting a message, Postfix = 1", summary(found, targets))
            alt = "Ratios of CPU by load"
            publishing.publish(asked.publish, drawn, alt, said, rounds=asked.rounds, peer="Postfix", ends=verified)
        print(f"Again: python {' '.join(sys.argv)}")
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
