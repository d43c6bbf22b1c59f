"""Out into an Internet of real programs: which way each recipient's mail took, and what proved it.

The table at the end is the one of docs/delivery.md. Zones are signed by Knot and judged by Unbound; the mail hosts are
Postfix's: one with DANE, one with MTA-STS, one without TLS, one that says "come back later".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from cryptnsend.__main__ import main
from cryptnsend.delivery.courier import Courier, CourierSettings
from cryptnsend.delivery.dns import DnsResolver
from cryptnsend.flow.promises import Promises
from cryptnsend.flow.tlsreports import TlsReports
from tests.delivery.peers import QUICK
from tests.support.house import DAY, PASSWORD, House, MakeHouse
from tests.support.peers import World, real_world

ANN = "ann@gmail.example"
DOCS = Path(__file__).parents[2] / "docs" / "delivery.md"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with real_world(tmp_path_factory.mktemp("world")) as made:
        yield made


@dataclass
class Office:
    """A house whose organisation sends by proven TLS or seals, in that world."""

    house: House
    world: World

    def start(self) -> None:
        """Start the courier; what a process remembers is gone."""
        app = self.house.process("courier")
        vars(app)["courier"] = Courier(
            DnsResolver([self.world.zones.resolver]),
            CourierSettings(
                hostname=self.house.config.server.hostname,
                timeouts=QUICK,
                mx_port=self.world.hosts.port,
                https_port=self.world.policies.port,
                allow_private=True,
                ca_file=self.world.ca_file,
                rest=0.0,
            ),
            self.house.clock,
            shelf=Promises(self.house.engine),
        )
        self.app = app

    def send(self, recipient: str, subject: str = "Results") -> int:
        """Submit a mail and make every attempt that is due; return the message."""
        message = self.house.submit(ANN, [recipient], self.house.mail(subject, to=[recipient]))
        self.app.deliver.once()
        return message

    def row(self, message: int) -> dict[str, object]:
        """Return what `queue show` says of the delivery to the recipient."""
        ident = self.house.engine.query(
            "SELECT max(id) AS id FROM deliveries WHERE message = :message AND kind IN ('notice', 'relay')",
            message=message,
        )[0]["id"]
        words = ["queue", "show", str(ident), "--json", "--home", str(self.house.home.path)]
        found: dict[str, object] = json.loads(CliRunner().invoke(main, words).output)
        return found


@pytest.fixture
def office(make_house: MakeHouse, world: World) -> Iterator[Office]:
    made = Office(make_house(policy={"default": "tls-or-vault"}), world)
    made.house.add_subscriber(ANN)
    made.start()
    # Ann's own inbox is nowhere in this world: what she is told stays in the queue.
    yield made
    made.app.deliver.close()


TABLE = [
    # recipient, kind that left, state, route, proof, TLS
    ("pat@dane.test", "relay", "delivered", "mx", "dane", "TLSv1.3"),
    ("pat@sts.test", "relay", "delivered", "mx", "mta-sts", "TLSv1.3"),
    ("pat@clear.test", "notice", "delivered", "mx", "none", "none"),
    ("pat@busy.test", "notice", "delayed", "mx", "none", "none"),
    ("pat@wrong.test", "notice", "delayed", "mx", "none", "none"),
    ("pat@bogus.test", "relay", "delayed", "", "none", "none"),
    ("pat@null.test", "relay", "failed", "", "none", "none"),
]


@pytest.mark.parametrize(("recipient", "kind", "state", "route", "proof", "tls"), TABLE)
def test_each_recipient_has_a_way_and_a_proof(
    office: Office, recipient: str, kind: str, state: str, route: str, proof: str, tls: str
) -> None:
    row = office.row(office.send(recipient))
    found = (row["kind"], row["state"], row["route"], row["proof"], str(row["tls"]).partition(",")[0])
    assert found == (kind, state, route, proof, tls), row
    assert DOCS.read_text().count(f"| {recipient} |") == 1, "the table of the page has this line"


def test_content_leaves_only_where_the_host_is_proven(office: Office) -> None:
    before = set(office.world.hosts.held())
    for recipient in ("pat@dane.test", "pat@sts.test", "pat@clear.test", "pat@busy.test", "pat@wrong.test"):
        office.send(recipient)
    mails = [each for each in office.world.hosts.held() if each not in before]
    with_content = sorted(
        mail.partition("original_recipient: ")[2].split("\n")[0] for mail in mails if "All is well." in mail
    )
    assert with_content == ["pat@dane.test", "pat@sts.test"]
    assert len(mails) == 3, "clear.test has its notice, the others wait"


@pytest.mark.parametrize(
    ("inbox", "form", "proof"),
    [("eva@dane.test", "tls", "dane"), ("eva@sts.test", "tls", "mta-sts"), ("eva@clear.test", "link", "none")],
)
def test_replies_arrive_readable_only_where_the_host_is_proven(
    office: Office, inbox: str, form: str, proof: str
) -> None:
    house, pat = office.house, "pat@dane.test"
    house.add_subscriber(inbox, name="Eva")
    session = house.session(inbox)
    house.accounts.set_profile(session, name="Eva", phone="", form="tls", password=PASSWORD, source="192.0.2.1")
    message = house.submit(inbox, [pat], house.mail("secure/ Results", author=inbox, to=[pat]))
    reader = house.register(pat, message)
    house.replies.send(reader, message, everybody=False, text="private words", files=[], nonce=b"1" * 16)
    before = set(office.world.hosts.held())
    office.app.deliver.once()
    (row,) = house.queued("handoff")
    outcome = json.loads(row["outcome"])
    assert (row["state"], row["form"], outcome["proof"]) == ("delivered", form, proof)
    mails = [each for each in office.world.hosts.held() if each not in before]
    assert any("private words" in each for each in mails) is (form == "tls")
    assert any("nothing proves that the way to your mail server" in " ".join(each.split()) for each in mails) is (
        form == "link"
    )


def test_what_a_domain_promised_outlives_a_restart(office: Office) -> None:
    """RFC 8461 §3.3: its web server is not asked again before it is time."""
    assert office.row(office.send("pat@sts.test"))["proof"] == "mta-sts"
    office.app.deliver.close()
    asked = office.world.policies.connections
    office.start()
    assert office.row(office.send("pat@sts.test"))["proof"] == "mta-sts"
    assert office.world.policies.connections == asked


def test_domains_that_ask_get_their_report(office: Office) -> None:
    office.send("pat@dane.test")
    office.house.clock.forward(DAY)
    reports = TlsReports(
        engine=office.house.engine,
        resolver=DnsResolver([office.world.zones.resolver]),
        clock=office.house.clock,
        random=lambda size: b"\7" * size,
    )
    reports._delay = 0
    assert reports.once() == 1
    before = set(office.world.hosts.held())
    office.app.deliver.once()
    (mail,) = [each for each in set(office.world.hosts.held()) - before if "TLS-Report-Domain: dane.test" in each]
    assert "application/tlsrpt+gzip" in mail
    assert "DKIM-Signature" in mail
