"""Which connection carries which mail, and what when a host does not do its part?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cryptnsend.core.errors import Malformed
from cryptnsend.delivery.courier import Courier, Outcome
from tests.delivery.peers import EHLO, ENVELOPE, MESSAGE, PLAIN_EHLO, Names, Peer, courier


def test_one_connection_carries_several_messages(peer: Peer, sender: Courier) -> None:
    for _ in range(3):
        assert sender.send(ENVELOPE, "opportunistic", MESSAGE).kind == "delivered"
    assert peer.connections == 1
    assert peer.verbs() == [
        "EHLO",
        "MAIL",
        "RCPT",
        "DATA",
        "RSET",
        "MAIL",
        "RCPT",
        "DATA",
        "RSET",
        "MAIL",
        "RCPT",
        "DATA",
    ]


def test_a_connection_is_reused_after_a_refused_recipient(sender: Courier, peer: Peer) -> None:
    peer._replies["RCPT"] = ["550 5.1.1 unknown", "250 ok"]
    assert sender.send(ENVELOPE, "opportunistic", MESSAGE).kind == "failed"
    assert sender.send(ENVELOPE, "opportunistic", MESSAGE).kind == "delivered"
    assert peer.connections == 1


def test_a_connection_ends_after_so_many_messages(peer: Peer) -> None:
    made = courier(peer, reuse=2)
    for _ in range(4):
        made.send(ENVELOPE, "opportunistic", MESSAGE)
    made.close()
    assert peer.connections == 2
    assert peer.verbs().count("QUIT") == 2


def test_close_says_quit(peer: Peer, sender: Courier) -> None:
    sender.send(ENVELOPE, "opportunistic", MESSAGE)
    sender.close()
    assert peer.verbs()[-1] == "QUIT"


@pytest.mark.parametrize("ehlo", [EHLO, PLAIN_EHLO], ids=["pipelining", "one by one"])
@pytest.mark.parametrize("answer", ["421 4.4.2 you waited", "drop", "500 what"])
def test_a_kept_connection_that_no_longer_listens_is_replaced(answer: str, ehlo: str) -> None:
    with Peer({"RSET": answer, "EHLO": ehlo}) as host:
        made = courier(host)
        assert [made.send(ENVELOPE, "opportunistic", MESSAGE).kind for _ in range(2)] == ["delivered"] * 2
        made.close()
    assert host.connections == 2


def test_a_kept_connection_that_ends_in_the_middle_gets_a_fresh_try() -> None:
    with Peer({"MAIL": ["250 ok", "drop", "250 ok"]}) as host:
        made = courier(host)
        assert [made.send(ENVELOPE, "opportunistic", MESSAGE).kind for _ in range(2)] == ["delivered"] * 2
        made.close()
    assert host.connections == 2


def test_idle_connections_are_closed_in_time(peer: Peer) -> None:
    made = courier(peer, idle=0.1)
    quit_seen = threading.Event()
    original = peer.reply
    peer.reply = lambda key, default: (quit_seen.set() if key == "QUIT" else None) or original(key, default)  # type: ignore[method-assign]
    made.send(ENVELOPE, "opportunistic", MESSAGE)
    assert quit_seen.wait(60)
    made.close()


def test_no_more_connections_to_a_domain_than_allowed() -> None:
    inside, peak, lock = 0, 0, threading.Lock()

    def count(step: int) -> None:
        nonlocal inside, peak
        with lock:
            inside += step
            peak = max(peak, inside)

    with Peer() as host:
        made = courier(host, per_relay=2, slot_wait=30.0)

        def message() -> Iterator[bytes]:
            count(+1)
            yield MESSAGE
            count(-1)

        with ThreadPoolExecutor(6) as pool:
            outcomes = list(pool.map(lambda _: made.send(ENVELOPE, "opportunistic", message), range(12)))
        made.close()
    assert {outcome.kind for outcome in outcomes} == {"delivered"}
    assert peak <= 2
    assert host.connections <= 2


def test_a_busy_domain_puts_the_delivery_back() -> None:
    release, reached = threading.Event(), threading.Event()

    def sending() -> Iterator[bytes]:
        reached.set()
        assert release.wait(60)
        yield MESSAGE

    turns = iter([iter([MESSAGE]), sending()])  # looked through before the connection, then sent
    with Peer() as host, ThreadPoolExecutor(1) as pool:
        made = courier(host, per_relay=1, slot_wait=0.01)
        first = pool.submit(made.send, ENVELOPE, "opportunistic", lambda: next(turns))
        assert reached.wait(60)
        second = made.send(ENVELOPE, "opportunistic", MESSAGE)
        release.set()
        assert first.result().kind == "delivered"
        made.close()
    assert (second.kind, second.status, second.reason) == ("delayed", "4.3.2", Outcome.BUSY)


HOSTS = {"a.example": ["127.0.0.1"], "b.example": ["127.0.0.2"]}


@pytest.mark.parametrize(
    "trouble",
    [{"greeting": "421 4.3.2 down"}, {"greeting": "554 no"}, {"EHLO": "drop"}, {"RCPT": "421 x"}, {"DATA": "drop"}],
)
def test_the_next_host_is_tried_when_one_has_trouble(trouble: dict[str, str | list[str]]) -> None:
    names = Names({"peer.example": [(20, "b.example"), (10, "a.example")]}, HOSTS)
    with Peer(trouble) as down, Peer(address=("127.0.0.2", down.port)) as up:
        made = courier(names=names, mx_port=down.port, allow_private=True)
        outcome = made.send(ENVELOPE, "opportunistic", MESSAGE)
        made.close()
    assert (outcome.kind, outcome.host) == ("delivered", "b.example")
    assert down.connections == 1
    assert len(up.bodies) == 1


@pytest.mark.parametrize(
    "answer", [{"RCPT": "450 4.2.0 later"}, {"RCPT": "550 5.1.1 no"}, {".": "451 later"}, {".": "drop"}]
)
def test_an_answer_about_the_mail_itself_is_the_answer(answer: dict[str, str | list[str]]) -> None:
    names = Names({"peer.example": [(20, "b.example"), (10, "a.example")]}, HOSTS)
    with Peer(answer) as first, Peer(address=("127.0.0.2", first.port)) as second:
        made = courier(names=names, mx_port=first.port, allow_private=True)
        outcome = made.send(ENVELOPE, "opportunistic", MESSAGE)
        made.close()
    assert (outcome.kind, outcome.host) != ("delivered", "b.example")
    assert second.connections == 0


def test_a_host_that_refuses_us_does_not_outweigh_one_that_is_down() -> None:
    names = Names({"peer.example": [(10, "a.example"), (20, "b.example")]}, HOSTS)
    with (
        Peer({"greeting": "554 5.7.1 never"}) as first,
        Peer({"greeting": "421 4.3.2 down"}, address=("127.0.0.2", first.port)),
    ):
        made = courier(names=names, mx_port=first.port, allow_private=True)
        assert made.send(ENVELOPE, "opportunistic", MESSAGE).status == "4.3.2"


def test_a_closed_port_is_a_delay() -> None:
    with Peer() as host:
        port = host.port
    outcome = courier(routes={"peer.example": f"127.0.0.1:{port}"}).send(ENVELOPE, "opportunistic", MESSAGE)
    assert (outcome.kind, outcome.status, outcome.code) == ("delayed", "4.4.1", None)


def test_a_message_that_breaks_off_leaves_nothing_at_the_peer(peer: Peer, sender: Courier) -> None:
    turns = iter([iter([MESSAGE]), None])

    def message() -> Iterator[bytes]:
        whole = next(turns)
        if whole is not None:
            yield from whole
        else:
            yield MESSAGE[:40]
            raise RuntimeError("the vault is gone")

    with pytest.raises(RuntimeError, match="the vault is gone"):
        sender.send(ENVELOPE, "opportunistic", message)
    sender.close()
    assert peer.verbs() == ["EHLO", "MAIL", "RCPT", "DATA"]
    assert not any(peer.bodies)


@pytest.mark.parametrize(
    "second", [MESSAGE[:-9], MESSAGE + b"more\r\n", MESSAGE.replace(b"\r\n.\r\n", b"\n.\r\n."), b""]
)
def test_a_message_that_reads_differently_the_second_time_is_not_sent(
    peer: Peer, sender: Courier, second: bytes
) -> None:
    turns = iter([MESSAGE, second])
    with pytest.raises(Malformed):
        sender.send(ENVELOPE, "opportunistic", lambda: iter([next(turns)]))
    sender.close()
    assert peer.verbs() == ["EHLO", "MAIL", "RCPT", "DATA"]
    assert peer.bodies == []


def test_an_address_that_did_not_answer_is_left_alone_for_a_while() -> None:
    names = Names({"peer.example": [(10, "a.example"), (20, "b.example")]}, HOSTS)
    with Peer({"greeting": "drop"}) as first, Peer(address=("127.0.0.2", first.port)) as second:
        made = courier(names=names, mx_port=first.port, allow_private=True, reuse=1)
        assert [made.send(ENVELOPE, "opportunistic", MESSAGE).host for _ in range(3)] == ["b.example"] * 3
        made.close()
        assert (first.connections, second.connections) == (1, 3)
        impatient = courier(names=names, mx_port=first.port, allow_private=True, reuse=1, rest=0.0)
        assert [impatient.send(ENVELOPE, "opportunistic", MESSAGE).host for _ in range(2)] == ["b.example"] * 2
        impatient.close()
        assert first.connections == 3


def test_a_relay_of_the_operator_is_never_left_alone() -> None:
    with Peer({"greeting": ["drop", "220 hello"]}) as host:
        made = courier(host)
        assert [made.send(ENVELOPE, "opportunistic", MESSAGE).kind for _ in range(2)] == ["delayed", "delivered"]
        made.close()


def test_a_host_that_refuses_us_hears_a_good_bye() -> None:
    """RFC 5321 §3.1: after a 554 greeting the client still sends QUIT."""
    with Peer({"greeting": "554 no"}) as host:
        made = courier(host)
        made.send(ENVELOPE, "opportunistic", MESSAGE)
    assert host.verbs() == ["QUIT"]


def test_ehlo_table_of_these_tests_offers_what_they_assume() -> None:
    assert {"SIZE", "8BITMIME", "SMTPUTF8", "DSN"} <= {line[4:].partition(" ")[0] for line in EHLO.split("\r\n")}
