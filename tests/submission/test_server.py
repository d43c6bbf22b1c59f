"""Opening, closing, signals, certificates and memory of the doors as a process."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
import trustme

from cryptnsend.home import bind
from cryptnsend.submission.tls import Certificate, server_context
from tests.submission.doubles import HOST, Client, Doors
from tests.submission.processes import Process
from tests.support.waiting import wait_for

MIB = 1024 * 1024
MESSAGE = b"From: ann@gmail.example\r\n\r\nHow are you?\r\n"


@pytest.fixture
def start(authority: trustme.CA, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def starter(**options: float) -> Process:
        started.append(Process(authority, tmp_path, **options))
        return started[-1]

    yield starter
    for process in started:
        process.kill()


def test_sigterm_lets_a_transaction_finish_and_sends_the_others_away(start: Callable[..., Process]) -> None:
    process = start(hold=0.3)
    with Client(process) as idle, Client(process) as busy, Client(process) as fresh:
        idle.sign_in()
        busy.sign_in().envelope().data()
        assert fresh.reply()[:3] == "220"
        process.signal(signal.SIGTERM)
        for client in (idle, fresh):
            assert client.reply() == "421 4.3.2 The server is stopping; try again in a moment."
            assert client.closed()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", process.implicit), 5)
        busy.send(MESSAGE + b".\r\n")
        assert busy.reply() == "250 2.0.0 Sealed as m0"
        assert busy.reply()[:10] == "421 4.3.2 "
        assert busy.closed()
    ended = process.finish()
    assert [each["digest"] for each in ended["kept"]] == [hashlib.sha256(MESSAGE).hexdigest()]
    assert (ended["aborted"], ended["inside"]) == (0, 0)


def test_a_transaction_that_does_not_end_is_cut_and_keeps_nothing(start: Callable[..., Process]) -> None:
    process = start(drain=0.3, linger=0.3)
    with Client(process) as stuck:
        stuck.sign_in().envelope().data()
        stuck.send(b"From: ann@gmail.example\r\n\r\nhalf")
        process.signal(signal.SIGTERM)
        assert stuck.reply()[:10] == "421 4.3.2 "
        assert stuck.closed()
        assert process.finish() == {"kept": [], "aborted": 1, "inside": 0}


def test_second_sigterm_does_not_wait(start: Callable[..., Process]) -> None:
    process = start(drain=60.0)
    with Client(process) as stuck:
        stuck.sign_in().envelope().data()
        process.signal(signal.SIGTERM)
        wait_for(lambda: _refuses(process.implicit), "the doors to close")
        begun = time.monotonic()
        process.signal(signal.SIGTERM)
        assert process.finish()["kept"] == []
        assert time.monotonic() - begun < 50


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return True
    return False


def test_sighup_takes_up_a_new_certificate_and_open_sessions_stay(start: Callable[..., Process]) -> None:
    process = start()
    with Client(process) as before:
        before.sign_in()
        process.new_certificate()
        process.signal(signal.SIGHUP)
        process.wait_until_logged("certificate reloaded")
        with Client(process) as after:
            renewed = after.socket.getpeercert(True)
            assert renewed != before.socket.getpeercert(True)
            after.sign_in()
        with Client(process, tls=False) as upgraded:
            assert upgraded.reply()[:3] == "220"
            assert upgraded.say("STARTTLS")[:3] == "220"
            upgraded.upgrade()
            assert upgraded.socket.getpeercert(True) == renewed
        before.envelope()
        (process.folder / "key.pem").write_bytes(b"half a key")
        process.signal(signal.SIGHUP)
        process.wait_until_logged("certificate not reloaded")
        with Client(process) as still:
            still.sign_in()
    process.stop()


def test_out_of_file_descriptors_is_logged_and_passes(start: Callable[..., Process]) -> None:
    process = start(files=40, per_source=1000)
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(socket.create_connection(("127.0.0.1", process.starttls), 60))
        process.wait_until_logged("cannot accept connections")
    with Client(process) as client:
        client.sign_in()
        assert client.say("NOOP")[:3] == "250"
    process.stop()


def test_ipv6_door_takes_ipv4_too() -> None:
    with bind("::", 0) as both:
        both.listen()
        with socket.create_connection(("127.0.0.1", both.getsockname()[1]), 60) as client:
            accepted, address = both.accept()
            accepted.close()
            assert address[0] == f"::ffff:{client.getsockname()[0]}"


def test_eight_large_messages_at_once_leave_memory_flat(start: Callable[..., Process]) -> None:
    """Held whole, as by a server that buffers DATA, these would be 192 MiB."""
    process = start(only_hash=1)
    line = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWkFCQ0RF\r\n"
    block = line * (MIB // len(line))
    problems: list[str] = []

    def send(count: int) -> None:
        with Client(process, timeout=120) as client:
            client.sign_in().envelope().data()
            client.send(b"From: ann@gmail.example\r\n\r\n")
            for _ in range(count):
                client.send(block)
            client.send(b".\r\n")
            answer = client.reply()
            if answer[:3] != "250":
                problems.append(answer)

    def at_once(count: int) -> None:
        threads = [threading.Thread(target=send, args=(count,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)

    at_once(1)
    process.reset_peak()
    before = process.memory("VmHWM")
    at_once(24)
    growth = process.memory("VmHWM") - before
    ended = process.stop()
    assert problems == []
    assert len({each["digest"] for each in ended["kept"]}) == 2
    assert len(ended["kept"]) == 16
    assert growth < 24 * MIB, f"grew by {growth / MIB:.1f} MiB"


# --- certificates -----------------------------------------------------------------------------------------------------


def test_certificate_is_looked_at_again_when_its_files_change(authority: trustme.CA, tmp_path: Path) -> None:
    def write() -> None:
        issued = authority.issue_cert(HOST)
        issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
        issued.cert_chain_pems[0].write_to_path(str(tmp_path / "chain.pem"))

    write()
    events: list[str] = []
    log = structlog.wrap_logger(None, processors=[lambda *event: events.append(event[2]["event"]) or _drop()])
    certificate = Certificate(tmp_path / "chain.pem", tmp_path / "key.pem", log)
    first = certificate.context
    assert not certificate.renew()
    assert certificate.context is first
    write()
    assert certificate.renew()
    second = certificate.context
    assert second is not first
    (tmp_path / "key.pem").unlink()
    assert not certificate.renew()
    assert certificate.context is second
    write()
    assert certificate.renew()
    assert events == ["certificate reloaded", "certificate not reloaded", "certificate reloaded"]


def _drop() -> dict[str, str]:
    raise structlog.DropEvent


def test_old_tls_versions_and_weak_ciphers_are_not_spoken(doors: Doors) -> None:
    """RFC 9325."""
    context = server_context()
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert all("ECDHE" in each["name"] or each["protocol"] == "TLSv1.3" for each in context.get_ciphers())
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("AES256-SHA256")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", doors.implicit), 60) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain)
    doors.settle()
