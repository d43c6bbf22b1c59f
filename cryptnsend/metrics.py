"""How much of what happens here? Counters that every process keeps in a file of its own, for one page of them all.

The page is monitoring.py's; docs/operations.md lists what stands on it. Labels are words of ours, never an address, a
domain or anything else that somebody outside chose. Where nothing was started, counting does nothing and costs nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptnsend.core.errors import Denied, SecondStep, Throttled

if TYPE_CHECKING:
    from prometheus_client import Counter

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # by which the library is told to count in files
PREFIX = "cryptnsend_"
# RFC 3463 §3 knows subjects 0 to 7; more of them, which peers could make up, would be a label each.
_STATUS = re.compile(r"([245])\.([0-7])(?:\.\d{1,3})?\Z")


@dataclass(frozen=True, slots=True)
class Metric:
    """One counter or gauge: its name without prefix and suffix, its labels, and what it says."""

    name: str
    kind: str  # counter or gauge
    labels: tuple[str, ...]
    help: str

    @property
    def shown(self) -> str:
        """Return the name of its samples (OpenMetrics: those of counters end in _total)."""
        return PREFIX + self.name + ("_total" if self.kind == "counter" else "")


METRICS = (
    Metric("messages_accepted", "counter", ("origin",), "Messages sealed and durable, by the door they came through."),
    Metric("messages_repeated", "counter", ("origin",), "Messages that were accepted before, and not stored again."),
    Metric("smtp_refusals", "counter", ("role", "code", "status"), "Replies 4yz and 5yz of the SMTP doors."),
    Metric("delivery_attempts", "counter", ("kind", "outcome", "status"), "Attempts to deliver, by how they ended."),
    Metric("mail_looked_at", "counter", ("found",), "Looks of data-loss prevention into mail, by what came of them."),
    Metric("file_links", "counter", ("result",), "Links for anyone: opened, wrong, throttled, damaged."),
    Metric("delivery_tls", "counter", ("kind", "tls", "proof"), "Mail that left, by TLS and by what proved the host."),
    Metric("keeper_requests", "counter", ("caller", "request", "result"), "What the keeper was asked."),
    Metric("scans", "counter", ("where", "result"), "Mail that scanners looked at, by its way and what came of it."),
    Metric("portal_responses", "counter", ("method", "status"), "Answers of the portal, by class of their status."),
    Metric("sign_ins", "counter", ("role", "result"), "Passwords shown at a door or on the pages, by what came of it."),
    Metric("mailbox_commands", "counter", ("protocol", "command", "result"), "What mail programs that read asked for."),
    Metric("role_starts", "counter", ("role",), "Starts of each role; more than it has processes are restarts."),
    Metric("queue_deliveries", "gauge", ("state", "kind"), "Deliveries that are not settled."),
    Metric("queue_oldest_due_seconds", "gauge", (), "How long the delivery that is due for longest has been due."),
    Metric("queue_oldest_seconds", "gauge", (), "Age of the oldest delivery that is not settled."),
    Metric("disk_free_bytes", "gauge", (), "Room on the disk that the vault is on."),
)
COUNTERS = {metric.name: metric for metric in METRICS if metric.kind == "counter"}

_counting: dict[str, Counter] = {}
_role = ""


def start(role: str, folder: Path | None = None) -> None:
    """
    Count in this process, which plays *role*, from now on; in *folder*, where `monitoring` finds it.

    Each process has a file of its own there, which others may read and not write: what is mapped into memory must not
    be cut short by somebody else. Without a folder the counts stay in this process.
    """
    global _role
    if folder is not None:
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"counter_{os.getpid()}.db"
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o640))
        os.environ[VARIABLE] = str(folder)
    from prometheus_client import Counter  # it looks at the variable once, when it is brought in

    _role = role
    for metric in COUNTERS.values():
        _counting[metric.name] = Counter(PREFIX + metric.name, metric.help, metric.labels, registry=None)


def stop() -> None:
    """Count no more, and forget what was counted in this process."""
    _counting.clear()
    os.environ.pop(VARIABLE, None)


def count(name: str, **labels: str) -> None:
    """Count one event of the counter *name*; a label `role` is known already."""
    counter = _counting.get(name)
    if counter is None:
        return
    if "role" in COUNTERS[name].labels:
        labels["role"] = _role
    counter.labels(**labels).inc()


@contextmanager
def signing_in() -> Iterator[None]:
    """Count one sign-in by how the context ends: ok, wrong, throttled or unavailable."""
    try:
        yield
    except SecondStep:
        raise  # it is counted when the number comes
    except Throttled:
        count("sign_ins", result="throttled")
        raise
    except Denied:
        count("sign_ins", result="wrong")
        raise
    except Exception:
        count("sign_ins", result="unavailable")
        raise
    count("sign_ins", result="ok")


def status_class(status: str) -> str:
    """Return class and subject of an enhanced code (RFC 3463 §2), as 4.7; "" for anything else."""
    found = _STATUS.match(status)
    return f"{found[1]}.{found[2]}" if found else ""


def counted() -> Mapping[tuple[str, tuple[str, ...]], float]:
    """Return what this process counted, by name and label values in their order."""
    return {
        (name, tuple(sample.labels[label] for label in COUNTERS[name].labels)): sample.value
        for name, counter in _counting.items()
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }
