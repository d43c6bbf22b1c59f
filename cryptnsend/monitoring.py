"""Where does a monitoring program read the figures of all roles? One page, in the format of OpenMetrics.

The courier serves it, because what waits to leave is its business; the counts of the other roles it reads from their
files. It listens on this machine only. The page has no name or address of anybody: see metrics.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from cryptnsend.core.contracts import Clock, Engine
from cryptnsend.core.errors import ConfigError, Temporary
from cryptnsend.home import Home, file_mode
from cryptnsend.logs import logger
from cryptnsend.metrics import COUNTERS, METRICS, PREFIX
from cryptnsend.store.records import deliveries

PATH = "/metrics"
PATIENCE = 5.0  # seconds for a reader to say what it wants
UNIX = "unix:"
MOST = 16 * 1024 * 1024  # octets of one role's file of counts; it has one or two
MOST_COUNTED = 2.0**53  # beyond it a double does not count any more
LONGEST = 4096  # octets of a key
_LENGTH, _VALUE = struct.Struct("i"), struct.Struct("d")
_LABEL = re.compile(r"[A-Za-z0-9_.?-]{0,40}")
_SHOWN = {metric.shown: metric for metric in COUNTERS.values()}
# What reading a file of counts raises that is half written, or that somebody made up.
_BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error)

log = logger(__name__)


class Figures:
    """What stands on the page; collected anew each time it is asked for."""

    def __init__(self, home: Home, engine: Engine, clock: Clock):
        self._home, self._engine, self._clock = home, engine, clock

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of `metrics.METRICS`; gauges are left out while the store does not answer."""
        with contextlib.suppress(Temporary):
            yield from self._gauges()
        yield from self._counters()

    def text(self) -> bytes:
        """Return the page."""
        return bytes(generate_latest(self))  # type: ignore[no-untyped-call, unused-ignore]

    def _gauges(self) -> Iterator[Metric]:
        now, found = self._clock.now(), {metric.name: _gauge(metric) for metric in METRICS if metric.kind == "gauge"}
        for row in deliveries.depths(self._engine):
            found["queue_deliveries"].add_metric([row["state"], row["kind"]], row["count"])
        due, oldest = deliveries.oldest(self._engine)
        found["queue_oldest_due_seconds"].add_metric([], _seconds(now, due))
        found["queue_oldest_seconds"].add_metric([], _seconds(now, oldest))
        found["disk_free_bytes"].add_metric([], shutil.disk_usage(self._home.path).free)
        yield from found.values()

    def _counters(self) -> Iterator[Metric]:
        """Add up the files of all processes, those that have ended too: a counter does not fall when a role dies."""
        sums: dict[str, dict[tuple[str, ...], float]] = {}
        for file in sorted(self._home.metrics.glob("*/counter_*.db")):
            try:
                if not 0 < file.stat().st_size <= MOST:
                    continue  # nothing was counted yet; or this is not what a role of ours wrote
                for name, labels, value in _entries(file.read_bytes()):
                    of = sums.setdefault(name, {})
                    of[labels] = of.get(labels, 0.0) + value
            except _BROKEN as trouble:
                log.warning("counts cannot be read", role=file.parent.name, error=type(trouble).__name__)
        for metric in METRICS:
            if metric.kind == "counter":
                family = CounterMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
                for labels, value in sorted(sums.get(metric.name, {}).items()):
                    family.add_metric(labels, value)
                yield family


def _entries(octets: bytes) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """
    Yield what a file of the library's has of our counters: name, label values in their order, value.

    The file is a used length, then entries of a key in JSON, padded to eight octets, and two doubles. The library reads
    it too, but for ever if a length is negative, and a role that was taken over may have written anything.
    """
    (used,) = _LENGTH.unpack_from(octets)
    place, end = 8, min(used, len(octets))
    while place < end:
        (length,) = _LENGTH.unpack_from(octets, place)
        if not 0 < length <= LONGEST:
            raise ValueError("no key is so long")
        key = json.loads(octets[place + 4 : place + 4 + length])
        place += 4 + length + (8 - (length + 4) % 8)
        (value,) = _VALUE.unpack_from(octets, place)
        place += 16
        metric = _SHOWN.get(key[1])
        if metric is None or set(key[2]) != set(metric.labels) or not 0 <= value < MOST_COUNTED:
            continue
        labels = tuple(key[2][label] for label in metric.labels)
        if all(isinstance(label, str) and _LABEL.fullmatch(label) for label in labels):
            yield metric.name, labels, value


def _gauge(metric: Any) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)


def _seconds(now: int, since: int | None) -> float:
    return 0.0 if since is None else max(0, now - since) / 1000


class _Page(BaseHTTPRequestHandler):
    """Answers one reader."""

    timeout = PATIENCE
    server: _Listener

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != PATH:
            self.send_error(404)
            return
        octets = self.server.text()
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def version_string(self) -> str:
        return "CryptnSend"

    def address_string(self) -> str:
        return "reader"  # a unix socket's peer has none

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: readers come every few seconds."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, held: socket.socket, text: Callable[[], bytes]):
        self.address_family = held.family
        super().__init__(held.getsockname(), _Page, bind_and_activate=False)
        self.socket.close()
        self.socket, self.text = held, text

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note what broke; a reader that went away is nothing to note."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            log.error("a reader of the figures got no page", exc_info=error)


@contextlib.contextmanager
def exposed(listen: str, home: Home, text: Callable[[], bytes]) -> Iterator[socket.socket]:
    """
    Serve what *text* returns at *listen* ("ip:port", or "unix:" and a path below the home) while the context lasts.

    Yields the listening socket. Raises ConfigError if nobody can listen there.
    """
    path = home.path / listen.removeprefix(UNIX) if listen.startswith(UNIX) else None
    held = _bound(listen, path)
    listener = _Listener(held, text)
    thread = threading.Thread(target=listener.serve_forever, args=(0.2,), name="metrics", daemon=True)
    thread.start()
    try:
        yield held
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
        if path is not None:
            path.unlink(missing_ok=True)


def _bound(listen: str, path: Path | None) -> socket.socket:
    """Return a socket that listens there."""
    host, _, port = listen.rpartition(":")
    family = socket.AF_UNIX if path else socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        if path is not None:
            path.unlink(missing_ok=True)
            before = os.umask(0o777 & ~file_mode(path.parent))
            try:
                held.bind(str(path))
            finally:
                os.umask(before)
        else:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((host.strip("[]"), int(port)))
        held.listen(16)
    except OSError as error:
        held.close()
        raise ConfigError(f"[metrics] listen = {listen!r}: nobody can listen there: {error.strerror}.") from error
    return held
