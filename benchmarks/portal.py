"""What does a page cost the server, and does it stay the same when a mailbox grows?

A vault is filled with a mailbox that grows: one subscriber has written that many messages to another of the same
organisation. The newest of them (1,000, or `--real`) were sealed and granted as the SMTP doors do it, and every page
that is measured shows only those; what is older was multiplied row by row (`copying.py`). At each size both sign in, as
browsers do, over TLS on one connection each, and look at their pages in turn, round by round. Time is from the request
to the last octet of the answer, CPU that of portal and keeper with their children. The pages are looked at, too: what
has to stand on them does, or the run fails.

    python benchmarks/portal.py                              1,000, 100,000 and 1,000,000 messages, 100 looks
    python benchmarks/portal.py --size 200 --rounds 10       a quick look
    python benchmarks/portal.py --real 100000 --size 1000 --size 100000    no copies
    python benchmarks/portal.py --publish                    table and picture are written into README.md
"""

from __future__ import annotations

import argparse
import http.client
import re
import shutil
import ssl
import statistics
import sys
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parent))

import copying
import processes
import publishing
from generator import Failed
from measuring import conditions, note, spread, summary, work_folder
from server import ORGANISATIONS, PASSWORD, Server, sender_address

SIZES = (1_000, 100_000, 1_000_000)
REAL = 1_000
ROUNDS = 100
TARGET = 50.0  # milliseconds of server time at the median
FLAT = 1.2  # times the CPU that it takes with the fewest messages
PAGES = (
    "list of received", "an older page of it", "one message", "list of sent", "state of one message", "account", "help",
)  # fmt: skip


class Browser:
    """One browser: one connection that is kept, its cookies, and the form token of the last page."""

    def __init__(self, port: int, host: str):
        self._headers = {"Host": host, "User-Agent": "benchmark", "Accept-Encoding": "identity"}
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # of a certificate made a minute ago
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
        self._cookies: dict[str, str] = {}
        self.page = ""
        self.octets = 0
        self.location = ""  # where the last answer leads, as a path

    def get(self, path: str) -> int:
        """Look at a page; return the answer's status."""
        return self._ask("GET", path)

    def post(self, path: str, **fields: str) -> int:
        """Send the form of the page that is open."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.page)
        body = urllib.parse.urlencode({"csrf_token": found[1] if found else "", **fields})
        return self._ask("POST", path, body)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def headers(self) -> dict[str, str]:
        """Return what goes with each request."""
        return {**self._headers, "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}

    def _ask(self, method: str, path: str, body: str | None = None) -> int:
        headers = self.headers()
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        octets = answer.read()
        self.page, self.octets = octets.decode("utf-8", "replace"), len(octets)
        self.location = urllib.parse.urlsplit(answer.getheader("Location") or "").path
        for said in answer.msg.get_all("Set-Cookie") or []:
            name, _, value = said.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status


B = TypeVar("B", bound=Browser)


def sign_in(server: Server, address: str, kind: type[B] = Browser) -> B:  # type: ignore[assignment]
    """Return a browser in which *address* is signed in."""
    browser = kind(server.home.ports()["portal"], server.config.server.hostname)
    if browser.get("/sign-in") != 200 or browser.post("/sign-in", address=address, password=PASSWORD) != 303:
        raise Failed(f"{address} could not sign in: {browser.page[:300]}")
    return browser


def pages(reader: Browser, writer: Browser) -> Iterator[tuple[str, Browser, str, str]]:
    """Yield (name, who looks, path, what has to stand there) of each page that is measured."""
    reader.get("/messages")
    links = re.findall(r'href="/messages/(\d+)"', reader.page)
    older = re.findall(r'href="(/messages\?[^"]*before=\d+[^"]*)"', reader.page)
    writer.get("/sent")
    sent = re.findall(r'href="/sent/(\d+)"', writer.page)
    if not links or not sent:
        raise Failed("The lists show no message.")
    yield "list of received", reader, "/messages", f'href="/messages/{links[0]}"'
    if older:
        yield "an older page of it", reader, older[0].replace("&amp;", "&"), 'href="/messages/'
    yield "one message", reader, f"/messages/{links[0]}", "<iframe"
    yield "list of sent", writer, "/sent", f'href="/sent/{sent[0]}"'
    yield "state of one message", writer, f"/sent/{sent[0]}", sender_address(ORGANISATIONS)
    yield "account", reader, "/account", "</html>"
    yield "help", writer, "/help", "</html>"


def measure(server: Server, size: int, rounds: int) -> dict[str, tuple[list[float], list[float], int]]:
    """Return (milliseconds, CPU milliseconds per round, octets) of each page, for a mailbox of *size*."""
    reader, writer = sign_in(server, sender_address(ORGANISATIONS)), sign_in(server, sender_address(0))
    found: dict[str, tuple[list[float], list[float], int]] = {}
    looked = list(pages(reader, writer))
    for _ in range(rounds):
        for name, browser, path, mark in looked:
            before = processes.used(server.roots).cpu
            began = time.perf_counter()
            status = browser.get(path)
            took = time.perf_counter() - began
            cpu = processes.used(server.roots).cpu - before
            if status != 200 or mark not in browser.page:
                raise Failed(f"{name} with {size} messages: {status}, and {mark!r} is missing")
            times, costs, _ = found.setdefault(name, ([], [], 0))
            times.append(took * 1000)
            costs.append(cpu * 1000)
            found[name] = times, costs, browser.octets
    reader.close()
    writer.close()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, action="append", help="messages in the mailbox; may be repeated")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="looks at each page")
    parser.add_argument("--on", type=Path, help="a folder on the disk to measure on")
    parser.add_argument("--real", type=int, default=REAL, help="so many messages are sealed, further ones are copies")
    parser.add_argument("--check", action="store_true", help="fail if a page misses a target or grows")
    parser.add_argument("--figures", type=Path, help="write what each page grows by to this file, as JSON")
    publishing.offer(parser, "portal")
    asked = parser.parse_args(arguments)
    folder = work_folder(asked.on)
    server = Server(folder / "home")
    results = {}
    try:
        publishing.check(asked.publish)
        server.make(ORGANISATIONS + 1)
        have = 0
        for size in sorted(asked.size or SIZES):
            have = copying.grow(server, size, have=have, real=asked.real)
            server.roles = ("keeper", "portal")
            server.start()
            results[size] = measure(server, size, asked.rounds)
            server.stop()
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        return 1
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(conditions(asked.rounds).partition("; ratio")[0])
    said, bad = report(results)
    verdict = " ".join(bad) or f"Each page keeps {TARGET:.0f} ms, and none grows by more than a fifth."
    print("\n".join([*said, verdict]))
    grown = growths(results)
    note(asked.figures, grown, dict.fromkeys(grown, FLAT))
    medians = {f"{name}, {size:,}": each[0] for size, found in results.items() for name, each in found.items()}
    drawn = publishing.bars(
        "Server time of a page, by messages in the mailbox",
        summary(dict(sorted(medians.items(), key=_place)), dict.fromkeys(medians, TARGET)),
        "ms",
    )
    alt = "Milliseconds for each page, by messages in the mailbox"
    publishing.publish(asked.publish, drawn, alt, said, rounds=asked.rounds, ends=verdict)
    return int(bool(bad) and asked.check)


def growths(results: dict[int, dict[str, tuple[list[float], list[float], int]]]) -> dict[str, list[float]]:
    """Return, look by look, the CPU of each page with most messages, by that with the fewest."""
    few, most = results[min(results)], results[max(results)]
    both = [name for name in PAGES if name in few and name in most]
    return {name: [late / early for early, late in zip(few[name][1], most[name][1], strict=True)] for name in both}


def _place(named: tuple[str, object]) -> tuple[int, int]:
    """Return where in the picture a page with so many messages stands."""
    page, _, size = named[0].rpartition(", ")
    return list(PAGES).index(page), int(size.replace(",", ""))


def report(results: dict[int, dict[str, tuple[list[float], list[float], int]]]) -> tuple[list[str], list[str]]:
    """Return what was found as a Markdown table, and what to tell of pages that miss a target."""
    smallest = min(results)
    bad = []
    lines = ["| page | messages | ms | CPU ms | KiB | CPU by that of the fewest |", "|---|---|---|---|---|---|"]
    for name in PAGES:
        for size, found in results.items():
            if name not in found:
                continue
            times, costs, octets = found[name]
            first = results[smallest].get(name)
            middle = statistics.median(times)
            # By CPU, which says more than time where other programs run.
            growth = statistics.median(costs) / statistics.median(first[1]) if first else 1.0
            lines.append(
                f"| {name} | {size:,} | {spread(times)} | {spread(costs)} | {octets / 1024:.1f} | {growth:.2f} |"
            )
            if middle > TARGET:
                bad.append(f"{name} with {size:,} messages takes over {TARGET:.0f} ms.")
            if growth > FLAT:
                bad.append(f"{name} with {size:,} messages takes {growth:.2f} times the CPU.")
    return lines, bad


if __name__ == "__main__":
    sys.exit(main())
