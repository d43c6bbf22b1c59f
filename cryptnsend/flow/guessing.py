"""How often may a password of a link be guessed? So seldom that it is not found, and so that no stranger shuts it.

Three counts, and none of them is a lock to which a stranger has the key:

- Each source, and each network, has some wrong passwords a day, then pauses that grow.
- Once a link was guessed at MANY times, wherever that came from, each network that never opened it has a FEW.
- In its whole life a link stands MOST wrong passwords: about one chance in a hundred thousand for the weakest password
  that is taken. Then it opens only where it was opened before, and its author makes another one.

Whoever has opened a link goes on having it from their network: what is typed elsewhere counts for nothing there. Its
author hears of MANY, and of MOST.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from cryptnsend import metrics
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Throttled
from cryptnsend.core.model import INSTALLATION, Random, new_id
from cryptnsend.flow.throttling import Throttle, network_of
from cryptnsend.store.records import audit, filelinks, messages, oversight

MANY = 100  # wrong passwords for one link after which strangers have few
FEW = 3  # that a network then has in a day
MOST = 1000  # in the life of a link
IN_NETWORK = 30  # wrong passwords a day of one network
DAY = 86_400  # seconds
TOLD = {MANY: "link-guessed", MOST: "link-closed"}  # what its author hears


class Shut(Throttled):
    """So many wrong passwords were typed for a link that it opens where it was opened before, and nowhere else."""

    def __init__(self, text: str):
        super().__init__(text, retry_after=DAY)


class Guesses:
    """Counts wrong passwords of links. Shared by all requests of a process; thread-safe."""

    def __init__(self, *, engine: Engine, throttle: Throttle, clock: Clock, random: Random, wake: Callable[[], None]):
        self._engine, self._throttle, self._clock, self._random, self._wake = engine, throttle, clock, random, wake

    def check(self, row: Row, source: str) -> None:
        """Raise Throttled where no password for a link is looked at now, not even the right one."""
        subject = subject_of(row)
        network = wide_network(source)
        self._throttle.check(subject, source)
        self._throttle.check(f"{subject}, network", network)
        if self._throttle.knows(subject, source):
            return
        if row["guesses"] >= MANY:
            self._throttle.check(f"{subject}, guessed at", network)
        if row["guesses"] >= MOST:
            metrics.count("file_links", result="throttled")
            raise Shut("Too many wrong passwords were typed for this link. Ask who sent it for another one.")

    def right(self, row: Row, source: str) -> None:
        """Know a network as one that opened a link, and forget what was typed wrong there."""
        subject = subject_of(row)
        self._throttle.forgive(subject, source)
        self._throttle.welcome(subject, source)

    def wrong(self, row: Row, source: str) -> None:
        """Count a wrong password and tell the author where that is due; raise Throttled if it was one too many."""
        subject, network = subject_of(row), wide_network(source)
        metrics.count("file_links", result="wrong")
        if self._engine.write(lambda rows: self._count(rows, row, source)).result():
            self._wake()
        try:
            self._throttle.ask(f"{subject}, network", network, IN_NETWORK)
            if row["guesses"] >= MANY and not self._throttle.knows(subject, source):
                self._throttle.ask(f"{subject}, guessed at", network, FEW)
            self._throttle.failed(subject, source)
        except Throttled:
            self._engine.write(lambda rows: self._note(rows, row, "link.guessed", source)).result()
            metrics.count("file_links", result="throttled")
            raise

    # -- inside -------------------------------------------------------------------------------------------------------

    def _count(self, rows: Rows, row: Row, source: str) -> bool:
        """Count one wrong password; say whether its author is to be told."""
        template = TOLD.get(filelinks.guessed(rows, row["org"], row["id"]))
        about = oversight.author_of(rows, row["message"])
        if template is None or about is None:
            return False
        now = self._clock.now()
        mail = messages.Delivery(
            new_id(now, self._random), INSTALLATION, "alert", "", None, None, about, template,
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip
        messages.add_deliveries(rows, [mail])
        self._note(rows, row, "link.guessed", source)
        return True

    def _note(self, rows: Rows, row: Row, action: str, source: str) -> None:
        detail = {"network": network_of(source), "link": str(row["id"])}
        audit.append(rows, row["org"], self._clock.now(), f"link:{row['id']}", action, str(row["message"]), detail)


def subject_of(row: Row) -> str:
    """Return what is counted under for a link."""
    return f"file link {row['id']}"


def wide_network(source: str) -> str:
    """Return the network of a source: IPv4 by /24, IPv6 by /48, of which a customer of a provider has all."""
    network = network_of(source)
    if ":" not in network:
        return network or source
    return str(ipaddress.ip_network(network).supernet(new_prefix=48))
