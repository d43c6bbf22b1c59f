"""What waits for a scanner can be woken, because a process that is to end waits for nobody."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import threading
import time
from collections.abc import Callable

import pytest

from cryptnsend.core.contracts import Carried, Scanner
from cryptnsend.core.errors import ScannerGone
from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Internet
from cryptnsend.scan.clamd import Clamd
from cryptnsend.scan.rspamd import Rspamd
from tests.support.scanners import FalseScanner
from tests.support.served import CHEAP
from tests.support.waiting import wait_for

MAIL = b"From: pat@yahoo.example\r\n\r\nHello\r\n"
SCANNERS: list[Callable[[str], Scanner]] = [lambda place: Clamd(place, 600), lambda place: Rspamd(place, 600, 4096)]


def silent(scanner: FalseScanner, line: socket.socket) -> None:
    scanner.over.wait(120)


@pytest.mark.parametrize("make", SCANNERS, ids=["clamav", "rspamd"])
def test_whoever_waits_for_a_scanner_that_is_cut_hears_that_it_is_gone(make: Callable[[str], Scanner]) -> None:
    with FalseScanner(silent) as false:
        scanner = make(false.place)
        heard: list[str] = []

        def wait() -> None:
            scan = scanner.begin(Carried())
            try:
                scan.feed(MAIL)
                scan.verdict()
            except ScannerGone as gone:
                heard.append(gone.why)
            finally:
                scan.close()

        threads = [threading.Thread(target=wait) for _ in range(3)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 60
        while any(thread.is_alive() for thread in threads) and time.monotonic() < until:
            scanner.cut()  # also those that come to it a moment later
            threads[0].join(0.05)
        assert [thread.is_alive() for thread in threads] == [False] * 3
        assert len(heard) == 3


@pytest.mark.parametrize("make", SCANNERS, ids=["clamav", "rspamd"])
def test_nobody_is_asked_after_the_cut(make: Callable[[str], Scanner]) -> None:
    with FalseScanner(silent) as false:
        scanner = make(false.place)
        scanner.cut()
        with pytest.raises(ScannerGone):
            scanner.ping()


@pytest.mark.long
def test_a_server_with_a_scanner_that_hangs_stops_in_time_and_keeps_nothing() -> None:
    """Whoever waits is told to come again, and no role has to be killed for it."""
    password, author = "harbour violet tractor ninety", "house@gmail.example"
    said: list[int] = []
    with FalseScanner(silent) as false, Internet() as internet:
        scan = {"clamav": false.place, "seconds": 600}
        with House(internet, values=CHEAP | {"scan": scan}) as house:
            house.run("subscriber", "add", author, "--password-stdin", stdin=password + "\n")

            def submit() -> None:
                port = house.home.ports()["submissions"]
                # What the server says after its answer is that it stops.
                with (
                    contextlib.suppress(smtplib.SMTPException),
                    smtplib.SMTP_SSL("localhost", port, context=house.context(), timeout=120) as client,
                ):
                    client.login(author, password)
                    client.mail(author)
                    client.rcpt("pat@yahoo.example")
                    said.append(client.data(f"From: {author}\r\nSubject: x\r\n\r\nHello\r\n".encode())[0])

            thread = threading.Thread(target=submit)
            thread.start()
            wait_for(lambda: false.connections > 0, "the scanner is asked", seconds=60)
            begun = time.monotonic()
            house.stop()
            assert time.monotonic() - begun < 29
            thread.join(60)
            assert said == [451]
            assert '"killed":false' in house.log.read_text().replace(" ", "")
