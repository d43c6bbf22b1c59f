"""Several commands in one write (RFC 2920): each reply counts for its own command, whatever a peer says to others."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.delivery.courier import Outcome
from tests.delivery.peers import ENVELOPE, MESSAGE, PLAIN_EHLO, QUICK, Peer, Wire, courier, server_context
from tests.support.mailhosts import MailHost, MailHosts

NO = (421, 450, 452, 550, 552, 354, 250)


@dataclass(frozen=True)
class Answers:
    """What a host says to the commands of one message."""

    mail: int = 250
    rcpt: int = 250
    data: int = 354
    dot: int = 250

    def of(self, verb: str) -> int:
        return {"MAIL": self.mail, "RCPT": self.rcpt, "DATA": self.data, ".": self.dot}[verb]

    @property
    def decisive(self) -> str:
        """The first command whose answer is not the one that lets us go on."""
        for verb, good in (("MAIL", 2), ("RCPT", 2)):
            if self.of(verb) // 100 != good:
                return verb
        return "." if self.data == 354 else "DATA"


class Scripted:
    """
    A host that answers message n as `answers[n]` says, whatever was refused before and names the command.

    With *whole* it answers everything that it has read in one write, else octet by octet.
    """

    def __init__(self, answers: list[Answers], *, pipelining: bool, whole: bool):
        self.answers, self.whole, self.kept = answers, whole, list[int]()
        self.ehlo = PLAIN_EHLO.replace("250-DSN", "250-PIPELINING\r\n250-DSN") if pipelining else PLAIN_EHLO

    def serve(self, wire: Wire) -> None:
        wire.say("220 peer.example")
        number = 0
        while line := wire.line():
            verb = line.partition(" ")[0]
            if verb not in ("MAIL", "RCPT", "DATA"):
                wire.say(self.ehlo if verb == "EHLO" else "250 2.0.0 of course")
                continue
            if found := re.match(r"MAIL FROM:<m(\d+)@", line):
                number = int(found[1])
            if not self._answer(wire, number, verb):
                return
            if verb == "DATA" and self.answers[number].data == 354:
                body = wire.body()
                if not body and wire.is_over:
                    return
                if body and self.answers[number].dot // 100 == 2:
                    self.kept.append(number)
                if not self._answer(wire, number, "."):
                    return

    def _answer(self, wire: Wire, number: int, verb: str) -> bool:
        code = self.answers[number].of(verb)
        octets = f"{code}-answer to\r\n{code} {verb} of message {number}\r\n".encode()
        for piece in [octets] if self.whole else [octets[at : at + 7] for at in range(0, len(octets), 7)]:
            wire.sock.sendall(piece)
        return code != 421


ANSWERS = st.builds(
    Answers,
    mail=st.sampled_from((250, 250, 250, *NO)),
    rcpt=st.sampled_from((250, 250, 250, *NO)),
    data=st.sampled_from((354, 354, 354, *NO)),
    dot=st.sampled_from((250, 250, 421, 451, 554)),
)


def play(answers: list[Answers], *, pipelining: bool, whole: bool) -> tuple[list[Outcome], list[int]]:
    """Send one mail for each of the answers, over one connection as far as it lasts."""
    host = Scripted(answers, pipelining=pipelining, whole=whole)
    with Peer(serve=host.serve) as peer:
        made = courier(peer)
        outcomes = [
            made.send(replace(ENVELOPE, reverse_path=f"m{number}@our.test"), "opportunistic", MESSAGE)
            for number in range(len(answers))
        ]
        made.close()
    return outcomes, host.kept


@settings(max_examples=80)
@given(st.lists(ANSWERS, min_size=1, max_size=4), st.booleans())
def test_each_reply_counts_for_its_own_command(answers: list[Answers], whole: bool) -> None:
    outcomes, kept = play(answers, pipelining=True, whole=whole)
    for number, (said, outcome) in enumerate(zip(answers, outcomes, strict=True)):
        code = said.of(said.decisive)
        # A yes that does not belong there is no yes, and a 3yz is no refusal for good.
        expected = {2: "delivered" if said.decisive == "." else "delayed", 5: "failed"}.get(code // 100, "delayed")
        assert (outcome.kind, outcome.code) == (expected, code)
        misplaced = "an answer that means nothing there: " if code // 100 == 2 and said.decisive != "." else ""
        assert outcome.reply == f"{misplaced}answer to {said.decisive} of message {number}"
    assert kept == [number for number, outcome in enumerate(outcomes) if outcome.kind == "delivered"]


@settings(max_examples=25)
@given(st.lists(ANSWERS, min_size=1, max_size=3))
def test_with_and_without_pipelining_the_outcomes_are_the_same(answers: list[Answers]) -> None:
    together, kept = play(answers, pipelining=True, whole=True)
    one_by_one, also_kept = play(answers, pipelining=False, whole=True)
    assert [(each.kind, each.code, each.status, each.reply) for each in together] == [
        (each.kind, each.code, each.status, each.reply) for each in one_by_one
    ]
    assert kept == also_kept


def test_the_envelope_leaves_in_one_write_and_the_next_one_with_its_reset() -> None:
    reads: list[bytes] = []

    def serve(wire: Wire) -> None:
        wire.say("220 peer.example")
        wire.line()
        wire.say("250-peer.example\r\n250 PIPELINING")
        for lines in (3, 4):
            octets = b""
            while octets.count(b"\r\n") < lines:
                octets += wire.sock.recv(65536)
            reads.append(octets)
            wire.say("250 2.0.0 ok\r\n" * (lines - 1) + "354 go on")
            wire.body()
            wire.say("250 2.0.0 kept")

    with Peer(serve=serve) as host:
        made = courier(host)
        assert [made.send(ENVELOPE, "opportunistic", MESSAGE).kind for _ in range(2)] == ["delivered"] * 2
        made.close()
    envelope = b"MAIL FROM:<b+1@our.test>\r\nRCPT TO:<pat@peer.example>\r\nDATA\r\n"
    assert reads == [envelope, b"RSET\r\n" + envelope]


def test_a_host_that_wants_a_body_after_its_refusal_gets_a_lone_dot_and_the_next_mail() -> None:
    """RFC 2920 §3.1."""
    with Peer({"RCPT": ["550 5.1.1 nobody", "250 ok"], "DATA": "354 go on"}) as host:
        made = courier(host)
        outcomes = [made.send(ENVELOPE, "opportunistic", MESSAGE) for _ in range(2)]
        made.close()
    assert [(each.kind, each.reply) for each in outcomes] == [("failed", "nobody"), ("delivered", "kept")]
    assert len(host.bodies) == 1
    assert host.connections == 1


def test_a_refusal_counts_even_if_the_host_hangs_up_behind_it() -> None:
    with Peer({"RCPT": "550 5.1.1 nobody", "DATA": "drop"}) as host:
        made = courier(host)
        outcome = made.send(ENVELOPE, "opportunistic", MESSAGE)
        made.close()
    assert (outcome.kind, outcome.status, outcome.reply) == ("failed", "5.1.1", "nobody")


@pytest.mark.parametrize("silent", ["MAIL", "RCPT", "DATA"])
def test_a_host_that_answers_a_part_only_is_a_delay_and_gets_no_body(silent: str) -> None:
    timeouts = replace(QUICK, command=0.3, data=0.3)
    bodies: list[bytes] = []

    def serve(wire: Wire) -> None:
        wire.say("220 peer.example")
        wire.line()
        wire.say("250-peer.example\r\n250 PIPELINING")
        for verb in ("MAIL", "RCPT", "DATA"):
            if verb == silent:
                bodies.append(wire.body())
                return
            wire.line()
            wire.say("250 2.0.0 ok")

    with Peer(serve=serve) as host:
        made = courier(host, timeouts=timeouts)
        outcome = made.send(ENVELOPE, "opportunistic", MESSAGE)
        made.close()
    assert (outcome.kind, outcome.status) == ("delayed", "4.4.2")
    assert not any(b"A line." in body for body in bodies)


def test_a_reply_too_many_ends_the_connection_and_never_counts_for_the_next_mail() -> None:
    with Peer({".": ["250 2.0.0 kept\r\n250 2.0.0 and once more", "550 5.7.1 not this one"]}) as host:
        made = courier(host)
        outcomes = [made.send(ENVELOPE, "opportunistic", MESSAGE) for _ in range(2)]
        made.close()
    assert [each.kind for each in outcomes] == ["delivered", "failed"]
    assert host.connections == 2


def test_nothing_is_sent_together_with_starttls() -> None:
    """What follows it in the clear would be read, or forged, as if it had come protected (RFC 3207 §6)."""
    authority = trustme.CA()
    after: list[bytes] = []

    def serve(wire: Wire) -> None:
        wire.say("220 peer.example")
        wire.line()
        wire.say("250-peer.example\r\n250-PIPELINING\r\n250 STARTTLS")
        octets = b""
        while not octets.endswith(b"\r\n"):
            octets += wire.sock.recv(65536)
        after.append(octets)
        wire.say("220 go on")
        wire.start_tls(server_context(authority, "peer.example"))
        while line := wire.line():
            wire.say("250 PIPELINING" if line.startswith("EHLO") else "354 go" if line == "DATA" else "250 ok")
            if line == "DATA":
                wire.body()
                wire.say("250 kept")

    with Peer(serve=serve) as host:
        made = courier(host)
        outcome = made.send(ENVELOPE, "plain", MESSAGE)
        made.close()
    assert after == [b"STARTTLS\r\n"]
    assert outcome.kind == "delivered"
    assert outcome.tls.startswith("TLS")


def test_postfix_finds_nothing_wrong_with_envelopes_in_one_write() -> None:
    """It refuses commands that come before their turn, and sorts out a recipient that it does not take."""
    recipients = ["pat@clear.test", "pat@elsewhere.test", "kim@clear.test"]
    with MailHosts([MailHost("127.0.0.31", "mx.clear.test")], ["clear.test"]) as hosts:
        made = courier(routes=dict.fromkeys(("clear.test", "elsewhere.test"), f"127.0.0.31:{hosts.port}"))
        outcomes = [made.send(replace(ENVELOPE, recipient=each), "opportunistic", MESSAGE) for each in recipients]
        made.close()
        held = hosts.held()
    assert [(each.kind, each.status[:3]) for each in outcomes] == [
        ("delivered", "2.0"), ("failed", "5.7"), ("delivered", "2.0"),
    ]  # fmt: skip
    assert "Relay access denied" in outcomes[1].reply
    assert len(held) == 2
    assert all("A line." in each for each in held)
