"""A house whose mail really leaves, into the inboxes of a mail Internet on loopback."""

from __future__ import annotations

import email.policy
import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from cryptnsend.delivery.courier import Envelope, Outcome
from cryptnsend.delivery.dkim import dns_record
from cryptnsend.demo.internet import Internet, Mail
from cryptnsend.flow.deliver import Deliver
from tests.support.house import House, MakeHouse


class Post:
    """The courier of a house, with everybody's inboxes at the other end."""

    def __init__(self, house: House, internet: Internet):
        self.house, self.internet = house, internet
        for key in house.courier.keyring.signing():
            internet.register_dkim(key.selector, key.domain, dns_record(key))
        internet.register_dmarc(house.config.server.domain, "reject")

    @property
    def courier(self) -> Deliver:
        """The courier of the house's own process."""
        return self.house.courier.deliver

    def deliver(self) -> int:
        """Make every attempt that is due; return how many."""
        return self.courier.once()

    def mails(self, address: str) -> list[Mail]:
        """Return what lies in an inbox, oldest first."""
        return self.internet.inbox(address)

    def last(self, address: str) -> EmailMessage:
        """Return the newest mail of an inbox."""
        return self.mails(address)[-1].parsed

    def delivery(self, kind: str) -> dict[str, object]:
        """Return the newest delivery of a kind, as its row stands."""
        return self.house.queued(kind)[-1]


class Answers:
    """A courier that sends nothing: it notes what it was given, and answers with the outcomes it was told."""

    def __init__(self, *outcomes: Outcome | Exception):
        self.outcomes = list(outcomes)
        self.sent: list[tuple[Envelope, str, bytes]] = []

    def send(
        self, envelope: Envelope, tls_class: str, message: bytes | Callable[[], Iterator[bytes]], *, cleartext: bool
    ) -> Outcome:
        """Take one mail, and give the next outcome; the last one is given again and again."""
        octets = message if isinstance(message, bytes) else b"".join(message())
        self.sent.append((envelope, tls_class, octets))
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def room(self, domain: str) -> int:
        """Let every domain have as many deliveries under way as there are."""
        return 1000

    def close(self) -> None:
        """Do nothing: there are no connections."""

    def mails(self, recipient: str) -> list[EmailMessage]:
        """Return what was sent to an address, oldest first."""
        return [parsed(octets) for envelope, _, octets in self.sent if envelope.recipient == recipient]


DELIVERED = Outcome("delivered", 250, "2.0.0", "taken", "mx.example", "TLSv1.3, certificate not checked")
LATER = Outcome("delayed", 451, "4.7.1", "come again later", "mx.example")
REFUSED = Outcome("failed", 550, "5.1.1", "no such person", "mx.example")


class Desk:
    """A house whose courier gets the answers of a test instead of a network's."""

    def __init__(self, house: House):
        self.house = house
        self.answers = Answers(DELIVERED)
        vars(house.courier)["courier"] = self.answers

    @property
    def courier(self) -> Deliver:
        """The courier of the house's own process."""
        return self.house.courier.deliver

    def say(self, *outcomes: Outcome | Exception) -> None:
        """Answer the next mails like this, the last answer for good."""
        self.answers.outcomes = list(outcomes)

    def deliver(self) -> int:
        """Make every attempt that is due; return how many."""
        return self.courier.once()

    def row(self, kind: str = "notice") -> dict[str, Any]:
        """Return the newest delivery of a kind, as its row stands."""
        return self.house.queued(kind)[-1]


def faces(mail: EmailMessage) -> tuple[str, str]:
    """Return (plain text, HTML) of a mail."""
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    text, page = (str(each.get_content()).replace("\r\n", "\n") for each in (plain, html))
    return text, page


def links_in(text: str) -> list[str]:
    """Return the web addresses in a plain text."""
    return re.findall(r"https://\S+", text)


def parsed(octets: bytes) -> EmailMessage:
    """Return a message as the standard library reads it."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.fixture(scope="session")
def world() -> Iterator[Internet]:
    """Everybody's mail hosts, once for all tests: each test uses it through `internet`."""
    with Internet() as running:
        yield running


@pytest.fixture
def internet(world: Internet) -> Iterator[Internet]:
    """Everybody's mail hosts, with empty inboxes."""
    world.clear()
    yield world
    world.clear()


@pytest.fixture
def routes(internet: Internet) -> dict[str, object]:
    """Settings by which a house finds that Internet."""
    return {"routes": internet.routes(), "threads": 2}


@pytest.fixture
def desk(make_house: MakeHouse) -> Iterator[Desk]:
    """A house with a courier that is told how each mail ended."""
    made = Desk(make_house())
    yield made
    made.courier.close()


@pytest.fixture
def post(make_house: MakeHouse, internet: Internet, routes: dict[str, object]) -> Iterator[Post]:
    """A house with a courier."""
    made = Post(make_house(delivery=routes), internet)
    yield made
    made.courier.close()


@pytest.fixture
def ann(house: House) -> int:
    """The subscriber ann@gmail.example."""
    return house.add_subscriber("ann@gmail.example")
