"""Recipients of one message have outcomes of their own, and a host that says "come back later" is taken at its word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme

from cryptnsend.flow.deliver import Deliver
from tests.delivery.peers import EHLO, Peer, Wire, courier, server_context
from tests.flow.rows import recipients
from tests.support.house import MINUTE, House

ANN = "ann@gmail.example"
PEOPLE = {"taken@peer.example": "250 ok", "later@peer.example": "451 4.2.1 full", "never@peer.example": "550 5.1.1 no"}


@pytest.fixture
def ann(house: House) -> int:
    return house.add_subscriber(ANN)


@contextmanager
def delivering(house: House, peer: Peer, **others: Peer) -> Iterator[Deliver]:
    """Let a courier that knows *peer* work for the house; *others* are those of names below .example."""
    app, routes = house.process("courier"), {f"{name}.example": each.route for name, each in others.items()}
    vars(app)["courier"] = courier(peer, routes={"example": peer.route, ".example": peer.route} | routes)
    yield app.deliver
    app.deliver.close()


def notices(house: House) -> dict[str, tuple[str, int]]:
    """Return (state, tries) of each notice by its recipient."""
    rows = house.engine.query(
        "SELECT a.canonical AS address, d.state, d.attempts FROM deliveries d"
        " JOIN addresses a ON a.id = d.recipient WHERE d.kind = 'notice'"
    )
    return {row["address"]: (row["state"], row["attempts"]) for row in rows}


def test_each_recipient_of_a_message_has_an_outcome_of_their_own(house: House, ann: int) -> None:
    def serve(wire: Wire) -> None:
        wire.say("220 peer.example")
        said = "250 ok"
        while line := wire.line():
            if line.startswith("RCPT"):
                said = PEOPLE.get(line.partition("<")[2].partition(">")[0], "250 ok")
            if line == "DATA" and said.startswith("250"):
                wire.say("354 go on")
                wire.body()
            wire.say(
                "250-peer.example\r\n250 PIPELINING"
                if line.startswith("EHLO")
                else said
                if line.startswith("RCPT")
                else "554 5.5.1 no valid recipients"
                if line == "DATA" and not said.startswith("250")
                else "250 2.0.0 ok"
            )

    message = house.submit(ANN, list(PEOPLE), house.mail(to=list(PEOPLE)))
    with Peer(serve=serve) as peer, delivering(house, peer) as worker:
        worker.once()
        assert peer.connections == 1, "what is refused costs no connection"
    assert notices(house) == {
        "taken@peer.example": ("delivered", 1),
        "later@peer.example": ("delayed", 1),
        "never@peer.example": ("failed", 1),
    }
    reports = house.queued("dsn")
    assert [(row["template"], row["message"]) for row in reports] == [("failed", message)]


class Greylisting:
    """A host that knows whoever comes only if they came before, five minutes ago or more (RFC 6647 §2.2)."""

    def __init__(self, house: House):
        self._house = house
        self._first: dict[tuple[str, str, str], int] = {}
        self.refused, self.idents = Counter[str](), list[str]()

    def serve(self, wire: Wire) -> None:
        source, sender = wire.sock.getpeername()[0], ""
        wire.say("220 peer.example")
        while line := wire.line():
            said = "250-peer.example\r\n250 PIPELINING" if line.startswith("EHLO") else "250 2.0.0 ok"
            if line.startswith("MAIL"):
                sender = line.split()[1]
            elif line.startswith("RCPT"):
                now = self._house.clock.now()
                welcome = now - self._first.setdefault((source, sender, line), now) >= 5 * MINUTE
                self.refused[line] += not welcome
                said = "250 ok" if welcome else "451 4.7.1 Greylisted, please come back in five minutes"
            elif line == "DATA":
                wire.say("354 go on" if welcome else "554 5.5.1 no valid recipients")
                if not welcome:
                    continue
                body = wire.body().decode()
                self.idents.append(next(each for each in body.split("\r\n") if each.lower().startswith("message-id:")))
            wire.say(said)


def test_a_greylisting_host_takes_the_mail_at_the_second_try(house: House, ann: int) -> None:
    """It must know the mail again, so address, envelope sender and recipient are the same at each try."""
    house.submit(ANN, ["pat@peer.example"], house.mail(to=["pat@peer.example"]))
    host = Greylisting(house)
    with Peer(serve=host.serve) as peer, delivering(house, peer) as worker:
        worker.once()
        assert notices(house) == {"pat@peer.example": ("delayed", 1)}
        assert "Greylisted" in house.queued("notice")[-1]["reply"]
        assert not house.queued("dsn"), "nobody is told of a wait of minutes"
        house.clock.forward(9 * MINUTE)
        worker.once()
    assert notices(house) == {"pat@peer.example": ("delivered", 2)}
    assert len(host.idents) == 2, "the notice and the receipt, each once"
    assert set(host.refused.values()) == {1}


def test_who_has_room_gets_a_large_plain_mail_and_everybody_else_a_link_to_it(house: House, ann: int) -> None:
    """Nothing comes back: what a server has no room for waits sealed, for its own recipient only."""
    roomy, narrow = "pat@roomy.example", "eva@narrow.example"
    message = house.submit(ANN, [roomy, narrow], house.mail(":: A scan", text="scanned lines\r\n" * 20_000))
    context = server_context(trustme.CA(), "127.0.0.1")
    small = EHLO.replace("SIZE 10000000", "SIZE 200000")
    little = Peer({"EHLO": small}, context=context)
    with Peer(context=context) as large, little, delivering(house, large, narrow=little) as worker:
        worker.once()
    assert sum(b"scanned lines" in each for each in large.bodies) == 1
    assert len(little.bodies) == 1
    assert b"scanned" not in little.bodies[0]
    found = recipients(house, message)
    assert [found[each]["decision"] for each in (roomy, narrow)] == ["relay", "vault"]
    assert found[narrow]["reason"].startswith("too-large: the message has ")
    assert not house.queued("dsn")
    assert house.pickup.show(house.register(narrow, message), message).subject == "A scan"
