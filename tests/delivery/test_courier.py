"""The courier against polite mail hosts: what it says, what it understands, what it refuses to send."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import Malformed
from cryptnsend.delivery.courier import Courier, Envelope, Outcome
from cryptnsend.delivery.outgoing import survey
from cryptnsend.delivery.session import stuffed
from tests.delivery.peers import EHLO, ENVELOPE, MESSAGE, PLAIN_EHLO, Names, Peer, courier


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as host:
        yield host


@pytest.fixture
def sender(peer: Peer) -> Iterator[Courier]:
    made = courier(peer)
    yield made
    made.close()


def send_to(replies: dict[str, str | list[str]], envelope: Envelope = ENVELOPE, message: bytes = MESSAGE) -> Outcome:
    """Send one message to a host with these replies."""
    with Peer(replies) as host:
        made = courier(host)
        outcome = made.send(envelope, "opportunistic", message)
        made.close()
    return outcome


def test_delivers_and_tells_what_the_peer_said(peer: Peer, sender: Courier) -> None:
    outcome = sender.send(ENVELOPE, "opportunistic", MESSAGE)
    assert outcome == Outcome(
        "delivered", 250, "2.0.0", "kept", "127.0.0.1", peer_size=10_000_000, route="route", address="127.0.0.1"
    )
    assert peer.commands == [
        "EHLO our.test",
        f"MAIL FROM:<b+1@our.test> SIZE={len(MESSAGE)}",
        "RCPT TO:<pat@peer.example>",
        "DATA",
    ]


def test_leading_dots_are_doubled_on_the_wire(peer: Peer, sender: Courier) -> None:
    sender.send(ENVELOPE, "opportunistic", MESSAGE)
    assert peer.bodies == [
        b"From: a@our.test\r\nTo: pat@peer.example\r\nSubject: hello\r\n\r\nA line.\r\n..\r\n...two\r\n"
    ]


def test_a_message_may_come_in_pieces(peer: Peer, sender: Courier) -> None:
    pieces = [MESSAGE[at : at + 1] for at in range(len(MESSAGE))]
    assert sender.send(ENVELOPE, "opportunistic", lambda: iter(pieces)).kind == "delivered"
    assert peer.bodies == [MESSAGE.replace(b"\r\n.", b"\r\n..")]


def test_a_missing_last_line_end_is_added(peer: Peer, sender: Courier) -> None:
    sender.send(ENVELOPE, "opportunistic", MESSAGE + b"the end")
    assert peer.bodies[0].endswith(b"\r\nthe end\r\n")
    assert f"SIZE={len(MESSAGE) + 9}" in peer.commands[1]


@pytest.mark.parametrize("damage", [b"a\nb", b"a\rb", b"\r\r\n", b"\n", b"\r", b"a\r\n.\n\r\n", b"\0", b"a\r\n.\r"])
@pytest.mark.parametrize("cut", [False, True])
def test_bare_line_ends_and_nul_never_reach_a_peer(peer: Peer, sender: Courier, damage: bytes, cut: bool) -> None:
    octets = MESSAGE + damage
    message: bytes | Callable[[], Iterator[bytes]] = octets
    if cut:
        message = lambda: iter([octets[at : at + 1] for at in range(len(octets))])  # noqa: E731
    with pytest.raises(Malformed):
        sender.send(ENVELOPE, "opportunistic", message)
    assert peer.connections == 0


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"x", b"\xc3"]), max_size=6).map(b"".join), max_size=6
    )
)
def test_survey_agrees_with_the_definition_whatever_the_cuts(pieces: list[bytes]) -> None:
    octets = b"".join(pieces)
    whole = octets.replace(b"\r\n", b"")
    if b"\r" in whole or b"\n" in whole:
        with pytest.raises(Malformed):
            survey(lambda: iter(pieces))
    else:
        end = 0 if not octets or octets.endswith(b"\r\n") else 2
        found = survey(lambda: iter(pieces))
        assert (found.size, found.eight_bit) == (len(octets) + end, not octets.isascii())


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(st.sampled_from([b"\r\n", b".", b"x"]), max_size=6).map(b"".join), max_size=6))
def test_unstuffing_gives_back_what_was_stuffed_whatever_the_cuts(pieces: list[bytes]) -> None:
    """RFC 5321 §4.5.2, read as a server does."""
    octets = b"".join(pieces)
    wire = b"".join(stuffed(pieces))
    lines = wire.split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert b"." not in lines[:-2]
    read = b"".join((line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[:-2])
    assert read == (octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n")


@pytest.mark.parametrize(
    ("key", "reply", "kind", "status"),
    [
        ("greeting", "554 5.7.1 go away", "failed", "5.7.1"),
        ("greeting", "421 later", "delayed", "4.0.0"),
        ("EHLO", "421 4.3.2 later", "delayed", "4.3.2"),
        ("MAIL", "451 4.3.0 later", "delayed", "4.3.0"),
        ("MAIL", "550 5.1.8 bad sender", "failed", "5.1.8"),
        ("RCPT", "550 5.1.1 unknown", "failed", "5.1.1"),
        ("RCPT", "450 4.2.0 greylisted", "delayed", "4.2.0"),
        ("RCPT", "421 4.7.0 too many", "delayed", "4.7.0"),
        ("DATA", "554 5.5.1 no valid recipients", "failed", "5.5.1"),
        ("DATA", "250 what", "delayed", "4.5.0"),
        (".", "451 4.7.0 later", "delayed", "4.7.0"),
        (".", "552 5.2.2 full", "failed", "5.2.2"),
        (".", "550 no enhanced code", "failed", "5.0.0"),
        (".", "550 2.0.0 contradiction", "failed", "5.0.0"),
    ],
)
def test_each_refusal_becomes_its_outcome(key: str, reply: str, kind: str, status: str) -> None:
    outcome = send_to({key: reply})
    assert (outcome.kind, outcome.status) == (kind, status)
    assert outcome.final is (kind != "delayed")
    assert outcome.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("552 5.7.0 blocked content", Outcome.CONTENT),
        ("554 spam, perhaps", Outcome.CONTENT),
        ("550 5.6.0 bad mime", Outcome.CONTENT),
        ("552 5.3.4 too large", Outcome.TOO_LARGE),
        ("550 5.7.26 not authenticated", ""),  # another form of the same mail fares no better
        ("550 5.7.509 not authenticated", ""),
        ("550 5.1.1 unknown after all", ""),
        ("451 4.7.0 later", ""),
    ],
)
def test_a_refusal_of_the_content_is_told_from_others(reply: str, reason: str) -> None:
    assert send_to({".": reply}).reason == reason


def test_a_policy_refusal_before_the_content_says_nothing_about_it() -> None:
    assert send_to({"RCPT": "550 5.7.1 not you"}).reason == ""


def test_what_the_peer_says_is_too_large_for_it_is_not_sent() -> None:
    with Peer({"EHLO": "250-x\r\n250 SIZE 50"}) as host:
        made = courier(host)
        outcome = made.send(ENVELOPE, "opportunistic", MESSAGE)
        made.close()
    assert (outcome.kind, outcome.status, outcome.reason, outcome.peer_size) == ("failed", "5.3.4", "too-large", 50)
    assert host.verbs() == ["EHLO", "QUIT"]


def test_what_is_too_large_for_us_is_not_sent(peer: Peer) -> None:
    outcome = courier(peer, max_size=50).send(ENVELOPE, "opportunistic", MESSAGE)
    assert (outcome.status, outcome.reason, peer.connections) == ("5.3.4", Outcome.TOO_LARGE, 0)


def test_size_zero_means_no_limit() -> None:
    """RFC 1870 §3."""
    assert send_to({"EHLO": "250-x\r\n250 SIZE 0"}).kind == "delivered"


def test_eight_bit_content_is_announced_or_fails_clearly(peer: Peer, sender: Courier) -> None:
    content = MESSAGE + "grüße\r\n".encode()
    assert sender.send(ENVELOPE, "opportunistic", content).kind == "delivered"
    assert peer.commands[1].endswith(" BODY=8BITMIME")
    outcome = send_to({"EHLO": "250 x"}, message=content)
    assert (outcome.kind, outcome.status, outcome.reason) == ("failed", "5.6.3", Outcome.NOT_ASCII)


@pytest.mark.parametrize(
    "envelope",
    [
        replace(ENVELOPE, recipient="дима@peer.example"),
        replace(ENVELOPE, reverse_path="дима@our.test"),
        replace(ENVELOPE, smtputf8=True),
    ],
)
def test_international_addresses_are_announced_or_fail_clearly(peer: Peer, sender: Courier, envelope: Envelope) -> None:
    """RFC 6531 §3.3."""
    assert sender.send(envelope, "opportunistic", MESSAGE).kind == "delivered"
    assert " SMTPUTF8" in peer.commands[1]
    assert peer.commands[2] == f"RCPT TO:<{envelope.recipient}>"
    assert send_to({"EHLO": "250 8BITMIME"}, envelope).status == "5.6.7"


def test_international_domains_go_as_a_labels(peer: Peer) -> None:
    made = courier(routes={"xn--bcher-kva.example": peer.route})
    outcome = made.send(replace(ENVELOPE, recipient="pat@Bücher.example"), "opportunistic", MESSAGE)
    made.close()
    assert outcome.kind == "delivered"
    assert peer.commands[2] == "RCPT TO:<pat@xn--bcher-kva.example>"
    assert "SMTPUTF8" not in peer.commands[1]


@pytest.mark.parametrize(
    "address",
    [
        "", "pat", "@peer.example", "pat@", "a b@peer.example", "a\r\nRSET@peer.example", "a@peer.example\r\nDATA",
        "<a@peer.example", "a>@peer.example", 'a"b@peer.example', "a@peer.example>", "a@[127.0.0.1]", "a@127.0.0.1",
        "a@-peer.example", "a@peer..example", "a@peer_x.example", "x" * 65 + "@peer.example", "a\0@peer.example",
        "a@" + "x" * 64 + ".example", "a@straße.example", "a,b@peer.example", "a\x85@peer.example",
        "\ud800@peer.example",
    ],
)  # fmt: skip
def test_what_is_no_address_fails_without_a_connection(peer: Peer, sender: Courier, address: str) -> None:
    outcome = sender.send(replace(ENVELOPE, recipient=address), "opportunistic", MESSAGE)
    assert outcome.kind == "failed"
    assert outcome.status in ("5.1.2", "5.1.3")
    assert peer.connections == 0


def test_the_null_reverse_path_and_quoted_local_parts_are_kept(peer: Peer, sender: Courier) -> None:
    envelope = Envelope("", '"a \\" b"@peer.example')
    assert sender.send(envelope, "opportunistic", MESSAGE).kind == "delivered"
    assert peer.commands[1].startswith("MAIL FROM:<> ")
    assert peer.commands[2] == 'RCPT TO:<"a \\" b"@peer.example>'


DSN = Envelope("b@our.test", "p@peer.example", False, "FAILURE,DELAY", "rfc822;p+2B@x.example", "HDRS", "m17")


def test_delivery_options_go_to_peers_that_know_them(peer: Peer, sender: Courier) -> None:
    """RFC 3461 §4, §5."""
    sender.send(DSN, "opportunistic", MESSAGE)
    assert peer.commands[1].endswith(" RET=HDRS ENVID=m17")
    assert peer.commands[2].endswith(" NOTIFY=FAILURE,DELAY ORCPT=rfc822;p+2B@x.example")
    with Peer({"EHLO": "250 x"}) as plain:
        other = courier(plain)
        other.send(DSN, "opportunistic", MESSAGE)
        other.close()
    assert plain.commands[1:3] == ["MAIL FROM:<b@our.test>", "RCPT TO:<p@peer.example>"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"notify": "NEVER,FAILURE"},
        {"notify": "x\r\nDATA"},
        {"orcpt": "rfc822;a b"},
        {"orcpt": "a@b"},
        {"ret": "ALL"},
        {"envid": "a=b"},
    ],
)
def test_wrong_delivery_options_are_refused_before_connecting(
    peer: Peer, sender: Courier, wrong: dict[str, str]
) -> None:
    with pytest.raises(Malformed):
        sender.send(replace(DSN, **wrong), "opportunistic", MESSAGE)
    assert peer.connections == 0


def test_helo_serves_peers_that_know_no_ehlo() -> None:
    """RFC 5321 §3.2."""
    assert send_to({"EHLO": "502 5.5.1 what"}).kind == "delivered"


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
