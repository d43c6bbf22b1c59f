"""The courier against polite mail hosts: what it says, what it understands, what it refuses to send."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import Malformed
from cryptnsend.delivery.courier import Courier, Envelope, Outcome
from cryptnsend.delivery.outgoing import survey
from cryptnsend.delivery.session import stuffed
from tests.delivery.peers import ENVELOPE, MESSAGE, Peer, courier


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


def test_consent_where_it_means_nothing_is_told_as_that() -> None:
    """Or the operator reads "ok" beside a mail that waits."""
    assert send_to({"DATA": "250 ok"}).reply == "an answer that means nothing there: ok"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("552 5.7.0 blocked content", Outcome.CONTENT),
        ("554 spam, perhaps", Outcome.CONTENT),
        ("550 5.6.0 bad mime", Outcome.CONTENT),
        ("552 5.3.4 too large", Outcome.TOO_LARGE),
        ("552 message size exceeds fixed limit", Outcome.TOO_LARGE),
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
