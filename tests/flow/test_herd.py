"""A domain that was away comes back to thousands of mails: it is not run over, and nobody else waits behind it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from cryptnsend.delivery.courier import Courier
from cryptnsend.flow.deliver import Deliver, Ringer
from tests.delivery.peers import Names, Peer, Wire, courier
from tests.support.house import MINUTE, House, MakeHouse
from tests.support.waiting import wait_for

ANN = "ann@gmail.example"
EACH = 100  # recipients of one message
THREADS, SHARE = 6, 3
FIRST_RETRY = 7.5 * MINUTE


class Hospital:
    """The mail hosts of two domains: big.example, which can be down or slow, and small.example."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.waiting, self.peak = 0, 0
        self.gate = threading.Event()  # big.example answers no body before this is set
        self._lock = threading.Lock()
        self.big = Peer(serve=self._big)
        self.small = Peer(address=("127.0.0.2", self.big.port))

    def close(self) -> None:
        self.gate.set()
        for peer in (self.big, self.small):
            peer.__exit__()

    def _big(self, wire: Wire) -> None:
        wire.say("220 mx.big.example")
        while line := wire.line():
            if line == "DATA":
                wire.say("354 go on")
                wire.body()
                self._count(+1)
                self.gate.wait(120)
                self._count(-1)
            elif line.startswith("RCPT"):
                with self._lock:
                    self.taken[line] += 1
            wire.say("250-mx.big.example\r\n250 PIPELINING" if line.startswith("EHLO") else "250 2.0.0 ok")

    def _count(self, step: int) -> None:
        with self._lock:
            self.waiting += step
            self.peak = max(self.peak, self.waiting)


def names(*, big: str) -> Names:
    """Both domains with their hosts; *big* is the address of big.example's."""
    return Names(
        {"big.example": [(10, "mx.big.example")], "small.example": [(10, "mx.small.example")]},
        {"mx.big.example": [big], "mx.small.example": ["127.0.0.2"]},
    )


@contextmanager
def sending(house: House, mail: Courier) -> Iterator[Deliver]:
    """Let the house's courier work with *mail*, in threads of its own."""
    stop = threading.Event()
    app = house.process("courier")
    vars(app)["courier"] = mail
    worker = app.deliver
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        yield worker
    finally:
        stop.set()
        Ringer(house.home.courier_wake)()
        thread.join(120)
        assert not thread.is_alive()
        app.keeper.close()


def states(house: House) -> Counter[tuple[str, str]]:
    rows = house.engine.query(
        "SELECT a.canonical AS address, d.state FROM deliveries d JOIN addresses a ON a.id = d.recipient"
        " WHERE d.kind = 'notice'"
    )
    return Counter((row["address"].rpartition("@")[2], row["state"]) for row in rows)


def check_a_herd(house: House, count: int) -> None:
    house.add_subscriber(ANN)
    for number in range(count // EACH):
        house.submit(ANN, [f"p{number}-{each}@big.example" for each in range(EACH)], house.mail())
    house.tamper("UPDATE deliveries SET state = 'cancelled' WHERE kind = 'receipt'")
    hospital = Hospital()
    settings = {"mx_port": hospital.big.port, "allow_private": True, "per_domain": SHARE, "slot_wait": 60.0}
    with closing(hospital):
        # Nobody listens at the host of big.example: one connection finds out, the others are spared.
        with closing(courier(names=names(big="127.0.0.3"), **settings)) as mail, sending(house, mail):
            wait_for(lambda: states(house)["big.example", "delayed"] == count, "all of them wait", seconds=600)
        tries = house.engine.query("SELECT due, created, attempts FROM deliveries WHERE state = 'delayed'")
        assert {row["attempts"] for row in tries} == {1}
        waits = [row["due"] - house.clock.now() for row in tries]
        assert FIRST_RETRY * 0.9 <= min(waits) < max(waits) <= FIRST_RETRY * 1.1
        assert max(Counter(wait // 10_000 for wait in waits).values()) < count // 4, "they come back at the same time"

        # All of them are due, then somebody writes to another domain.
        house.clock.forward(10 * MINUTE)
        house.submit(ANN, ["kim@small.example"], house.mail())
        with closing(courier(names=names(big="127.0.0.1"), **settings)) as mail, sending(house, mail):
            wait_for(lambda: states(house)["small.example", "delivered"] == 1, "the other domain's mail")
            assert states(house)["big.example", "delivered"] == 0, "it was to be stuck"
            hospital.gate.set()
            wait_for(lambda: states(house)["big.example", "delivered"] == count, "all mail gone", seconds=600)
    assert hospital.peak == SHARE, "as many at a time as one domain may have, and no more"
    assert set(hospital.taken.values()) == {1}
    assert len(hospital.taken) == count


@pytest.fixture
def house_with_threads(make_house: MakeHouse) -> House:
    return make_house(
        delivery={"threads": THREADS}, limits={"messages_per_day": 10**6, "new_recipients_per_day": 10**6}
    )


def test_two_hundred_mails_to_a_domain_that_comes_back(house_with_threads: House) -> None:
    check_a_herd(house_with_threads, 200)


@pytest.mark.long
def test_two_thousand_mails_to_a_domain_that_comes_back(house_with_threads: House) -> None:
    check_a_herd(house_with_threads, 2000)
