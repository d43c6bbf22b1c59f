"""The portal's server: tells its port, drains, takes up a new certificate, and keeps the old one if that is broken."""

from __future__ import annotations

import http.client
import os
import resource
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from granian.constants import Interfaces

from cryptnsend.config import Config
from cryptnsend.home import Home, bind
from cryptnsend.making import make_certificate
from cryptnsend.portal.server import Holding
from tests.support.homes import make_home
from tests.support.waiting import wait_for

PROCESS = Path(__file__).with_name("portal_process.py")


class Portal:
    def __init__(self, folder: Path):
        self.folder = folder
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, str(PROCESS), str(folder)], stdout=self.log, stderr=subprocess.STDOUT
        )
        file = folder / "port"
        self.port = int(wait_for(lambda: file.exists() and file.read_text(), f"the portal: {self.said()}"))

    def said(self) -> str:
        return (self.folder / "log").read_text()

    def ask(self, path: str) -> tuple[int, bytes]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def certificate(self) -> str:
        return ssl.get_server_certificate(("127.0.0.1", self.port), timeout=60)


@pytest.fixture
def portal(short_folder: Path) -> Iterator[Portal]:
    make_home(short_folder / "home")
    running = Portal(short_folder / "home")
    yield running
    if running.process.poll() is None:
        running.process.terminate()
        running.process.wait(60)
    running.log.close()


def test_it_is_ready_when_it_says_so_and_ends_when_told(portal):
    assert portal.ask("/")[0] == 200
    portal.process.terminate()
    assert portal.process.wait(60) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", portal.port), 5)


def test_an_answer_waits_for_no_acknowledgement_of_its_head():
    with bind("127.0.0.1", 0) as held:
        Holding(held, interface=Interfaces.WSGI)._init_shared_socket()
        held.setblocking(True)
        with socket.create_connection(held.getsockname(), 60), held.accept()[0] as taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_uploads_that_break_off_hold_no_thread(portal):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])  # as browsers offer them
    for _ in range(6):  # there are four threads
        plain = socket.create_connection(("127.0.0.1", portal.port), 60)
        with plain, context.wrap_socket(plain) as sending:
            assert sending.selected_alpn_protocol() != "h2"
            sending.sendall(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 100_000)
    assert portal.ask("/")[0] == 200


@pytest.mark.long  # hundreds of handshakes
def test_a_thousand_who_say_half_of_something_keep_nobody_waiting(portal):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    halves = (
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\nx",
        b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 100_000,
    )
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # ours, not the portal's
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (most, hard))
        for number in range(1000):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", portal.port), 60))
            if number % 2:  # the others do not even begin a handshake
                sending = stack.enter_context(context.wrap_socket(connection))
                sending.sendall(halves[number // 2 % len(halves)])
        for _ in range(20):  # there are four threads
            assert portal.ask("/")[0] == 200
    assert portal.ask("/")[0] == 200


def test_a_request_under_way_is_finished_before_it_ends(portal):
    answers: list[tuple[int, bytes]] = []
    asking = threading.Thread(target=lambda: answers.append(portal.ask("/slow")))
    asking.start()
    wait_for((portal.folder / "slow").exists, "the request to arrive")
    portal.process.terminate()
    asking.join(60)
    assert [status for status, _ in answers] == [200]
    assert portal.process.wait(60) == 0


def test_an_exception_of_the_application_keeps_its_text_to_itself(portal):
    assert portal.ask("/broken") == (500, b"")
    wait_for(lambda: "a page broke" in portal.said(), "the line about it")
    assert "kumquat" not in portal.said()


def test_a_new_certificate_is_taken_up_without_a_gap_and_a_broken_one_is_not(portal):
    first = portal.certificate()
    home = Home(portal.folder)
    (home.tls / "certificate.pem").write_text("broken")
    wait_for(lambda: "certificate not reloaded" in portal.said(), "the refusal")
    assert portal.certificate() == first
    make_certificate(Config.load(portal.folder, {}))

    def is_new() -> bool:
        assert portal.ask("/")[0] == 200
        return portal.certificate() != first

    wait_for(is_new, "the new certificate")


def test_links_that_are_set_anew_are_followed_as_certbot_has_them(short_folder):
    config = make_home(short_folder / "home")
    tls = Home(config.server.home).tls

    def linked(number: int) -> None:
        for name in ("certificate", "key"):
            (tls / f"{name}.pem").rename(tls / f"{name}{number}.pem")
            (tls / f"{name}.pem").symlink_to(f"{name}{number}.pem")

    linked(1)
    running = Portal(config.server.home)
    try:
        first = running.certificate()
        for name in ("certificate", "key"):
            (tls / f"{name}.pem").unlink()
        make_certificate(config)
        linked(2)
        wait_for(lambda: running.certificate() != first, "the new certificate")
    finally:
        running.process.terminate()
        running.process.wait(60)
        running.log.close()


def test_it_ends_with_an_error_when_its_worker_dies(portal):
    worker = int(portal.ask("/")[1])
    assert worker != portal.process.pid
    os.kill(worker, signal.SIGKILL)
    assert portal.process.wait(60) == 1


def test_its_worker_ends_with_it_however_that_ends(portal):
    """By the kernel, and not when it finds out: until then it would take connections beside the next portal."""
    worker = os.pidfd_open(int(portal.ask("/")[1]))
    try:
        portal.process.kill()
        portal.process.wait(60)
        ended = select.poll()
        ended.register(worker, select.POLLIN)
        assert ended.poll(60_000)
    finally:
        os.close(worker)
