"""Does what we send pass at those who look? Every kind of mail, for authors whom DMARC treats differently.

The zones are Knot's, with what `cryptnsend dns` prints loaded as it is; the judges are pyspf, dkimpy and `dmarc`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from cryptnsend.__main__ import main
from cryptnsend.delivery.dns import Answer, DnsResolver
from cryptnsend.delivery.keyring import SETTLES
from tests.flow.conftest import DELIVERED, REFUSED, Desk, parsed
from tests.support.house import House
from tests.support.judges import Judgement, judge, judges
from tests.support.waiting import wait_for
from tests.support.zones import Zones

HOST, DOMAIN = "mx.our-house.com", "secure.our-house.com"
SOURCE, OTHER_SOURCE = "127.0.0.1", "127.0.0.66"
PAT = "pat@recipient.com"
GMAIL, YAHOO = "ann@gmail.com", "ann@yahoo.com"
LETS, LETS_NOT, LEAVES = "ann@lets-us.com", "ann@lets-not.com", "ann@leaves.com"

AUTHORS = (GMAIL, YAHOO, LETS, LETS_NOT)

REJECTS = '_dmarc TXT "v=DMARC1; p=reject; adkim=s; aspf=s"\n@ TXT "v=spf1 -all"\n'


def command(house: House, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, [*words, "--home", str(house.home.path)])
    assert done.exit_code == code, done.output
    return done.output


class Forgetful:
    """A resolver that asks anew each time it is told to forget."""

    def __init__(self, place: tuple[str, int]):
        self._place = place
        self.forget()

    def forget(self) -> None:
        self._resolver = DnsResolver([self._place])

    def texts(self, name: str) -> Answer[str]:
        return self._resolver.texts(name)


@dataclass
class Office:
    """A house in a world with names, and what left for each author."""

    house: House
    desk: Desk
    zones: Zones
    names: Forgetful
    mails: dict[tuple[str, str], tuple[bytes, str]] = field(default_factory=dict)

    def sent(self, kind: str) -> tuple[bytes, str]:
        """Let everything leave that is due; return the newest mail of a kind and its envelope sender."""
        before = len(self.desk.answers.sent)
        self.desk.deliver()
        (found,) = [
            (octets, envelope.reverse_path)
            for envelope, _, octets in self.desk.answers.sent[before:]
            if kind_of(octets, envelope.recipient) == kind
        ]
        return found

    def plain(self, author: str) -> tuple[bytes, str]:
        more = "Reply-To: desk@elsewhere.com\r\n"
        self.house.submit(author, [PAT], self.house.mail(":: Lunch?", author=author, to=[PAT], more=more))
        return self.sent("plain")

    def collect(self, author: str) -> None:
        """Let one author send and get one mail of each kind."""
        house, desk = self.house, self.desk
        house.add_subscriber(author, name="Dr. Ann Ruiz")
        self.mails[author, "plain"] = self.plain(author)
        message = house.submit(author, [PAT], house.mail(author=author, to=[PAT]))
        self.mails[author, "notice"] = self.sent("notice")
        if author == GMAIL:
            house.register(PAT, message)
        session = house.session(PAT)
        if author != GMAIL:
            house.prove(session, PAT, message)
        house.replies.send(session, message, everybody=False, text="Thank you.", files=[], nonce=author.encode()[:16])
        self.mails[author, "handoff"] = self.sent("handoff")
        house.submit(author, ["nobody@recipient.com"], house.mail(author=author, to=["nobody@recipient.com"]))
        desk.say(REFUSED, DELIVERED)
        self.mails[author, "report"] = self.sent("report")


def kind_of(octets: bytes, recipient: str) -> str:
    mail = parsed(octets)
    if mail.get_content_type() == "multipart/report":
        return "report"
    if recipient == PAT:
        return "notice" if mail["Auto-Submitted"] else "plain"
    return "handoff" if mail["In-Reply-To"] else "other"


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    folder = Path(tempfile.mkdtemp(prefix="cs-"))
    house = House(folder, {"server": {"hostname": HOST, "domain": DOMAIN}})
    # Lines of one second, so that nobody has to wait long for what changes.
    delegates = command(house, "dns", "--zone", "--for", "leaves.com").replace(" 3600 IN ", " 1 IN ")
    texts = {
        "com.": "",
        "our-house.com.": command(house, "dns", "--zone", "--address", SOURCE),
        "gmail.com.": '_dmarc TXT "v=DMARC1; p=none; sp=quarantine"\n@ TXT "v=spf1 -all"\n',
        "yahoo.com.": '_dmarc TXT "v=DMARC1; p=reject; pct=100"\n@ TXT "v=spf1 -all"\n',
        "lets-us.com.": command(house, "dns", "--zone", "--for", "lets-us.com") + REJECTS,
        "lets-not.com.": REJECTS,
        "leaves.com.": delegates + REJECTS,
    }
    try:
        with Zones(texts) as zones, judges(zones.resolver):
            names = Forgetful(zones.resolver)
            vars(house.courier)["resolver"] = names
            made = Office(house, Desk(house), zones, names)
            for author in AUTHORS:
                made.collect(author)
            yield made
            made.desk.courier.close()
    finally:
        house.close()
        shutil.rmtree(folder)


def verdict(mail: tuple[bytes, str], source: str = SOURCE) -> Judgement:
    return judge(mail[0], source=source, reverse_path=mail[1], hello=HOST)


OURS, THEIRS = frozenset({"spf", "dkim"}), frozenset({"dkim"})
TABLE = [
    # author, kind, domain in From, what speaks for it
    *((author, kind, DOMAIN, OURS) for author in AUTHORS for kind in ("notice", "handoff", "report")),
    (GMAIL, "plain", DOMAIN, OURS),
    (YAHOO, "plain", DOMAIN, OURS),
    (LETS_NOT, "plain", DOMAIN, OURS),
    (LETS, "plain", "lets-us.com", THEIRS),
]  # fmt: skip


@pytest.mark.parametrize(("author", "kind", "domain", "aligned"), TABLE)
def test_each_kind_of_mail_passes_aligned_for_each_author(
    office: Office, author: str, kind: str, domain: str, aligned: frozenset[str]
) -> None:
    found = verdict(office.mails[author, kind])
    assert (found.author, found.dmarc, found.aligned) == (domain, "pass", aligned)
    # The host may send for the envelope sender, ours; a report has none, so that the host's own name counts.
    assert found.spf == ("pass", HOST if kind == "report" else DOMAIN)
    assert sorted(found.signatures) == [
        (domain, "ed1", "ed25519-sha256", True),
        (domain, "rsa1", "rsa-sha256", True),
    ]


def test_the_author_stays_where_the_domain_lets_us_sign(office: Office) -> None:
    kept = parsed(office.mails[LETS, "plain"][0])
    assert str(kept["From"]) == f"Ann Ruiz <{LETS}>"
    assert str(kept["Reply-To"]) == "desk@elsewhere.com"
    assert str(kept["Subject"]) == "Lunch?"


@pytest.mark.parametrize("author", [GMAIL, YAHOO, LETS_NOT])
def test_elsewhere_the_author_stands_behind_an_address_of_ours(office: Office, author: str) -> None:
    mail = parsed(office.mails[author, "plain"][0])
    assert mail["From"].addresses[0].addr_spec.startswith("u-")
    assert mail["From"].addresses[0].domain == DOMAIN
    assert str(mail["Reply-To"]) == f'"Dr. Ann Ruiz" <{author}>'


@pytest.mark.parametrize("author", [GMAIL, LETS])
def test_the_judges_see_a_forgery(office: Office, author: str) -> None:
    octets, path = office.mails[author, "plain"]
    assert verdict((octets, path), OTHER_SOURCE).spf[0] == "fail"
    assert verdict((octets, path), OTHER_SOURCE).dmarc == "pass", "the signature alone carries it"
    changed = octets.replace(b"All is well.", b"All is lost.")
    assert verdict((changed, path), OTHER_SOURCE).dmarc == "fail"
    second = octets.replace(b"Subject: ", b"Subject: Win\r\nSubject: ", 1)
    assert not any(holds for *_, holds in verdict((second, path)).signatures)


@pytest.mark.parametrize("author", [GMAIL, YAHOO, LETS_NOT])
def test_the_authors_own_address_would_fail_where_the_domain_does_not_let_us(office: Office, author: str) -> None:
    octets, path = office.mails[author, "notice"]
    ours = parsed(octets)["From"].addresses[0].addr_spec.encode()
    assert verdict((octets.replace(ours, author.encode(), 1), path)).dmarc == "fail"


def test_somebody_who_delegates_can_be_checked(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    host, port = office.zones.resolver
    monkeypatch.setenv("CRYPTNSEND_DELIVERY_NAMESERVERS", f"{host}:{port}")
    assert "keeps its author; it is signed by rsa1, ed1" in command(office.house, "dkim", "check", "lets-us.com")
    said = command(office.house, "dkim", "check", "Lets-Not.com", code=1)
    assert f"rsa2._domainkey.lets-not.com. 3600 IN CNAME rsa2._domainkey.{DOMAIN}." in said


def test_delegation_that_was_lost_puts_ours_in_front_again(office: Office) -> None:
    office.house.add_subscriber(LEAVES)
    mail = office.plain(LEAVES)
    assert (verdict(mail).author, verdict(mail).dmarc) == ("leaves.com", "pass")
    office.zones.change("leaves.com.", REJECTS)
    # Not asked to forget: the answer of before lasts as long as its TTL, one second.
    wait_for(lambda: verdict(office.plain(LEAVES)).author == DOMAIN, "the answer of before is over", seconds=60)
    assert verdict(office.plain(LEAVES)).dmarc == "pass"


def test_new_keys_sign_once_the_zone_shows_them(office: Office) -> None:
    house, zones = office.house, office.zones
    ring = house.courier.keyring
    assert "rsa2" in command(house, "dkim", "rotate")
    assert ring.look(office.names.texts) == (), "nobody published them"
    assert {selector for _, selector, *_ in verdict(office.plain(GMAIL)).signatures} == {"rsa1", "ed1"}
    # What the command prints is loaded as it is, with the keys of before still in it.
    zones.change("our-house.com.", command(house, "dns", "--zone", "--address", SOURCE))

    def both_seen() -> bool:
        office.names.forget()
        ring.look(office.names.texts)
        return sum(each.seen > 0 for each in ring.held()) == 2

    wait_for(both_seen, "the resolver finds the new keys", seconds=60)
    house.clock.forward(SETTLES)
    ring.look(office.names.texts)
    office.names.forget()
    for author, domain in ((GMAIL, DOMAIN), (LETS, "lets-us.com")):
        found = verdict(office.plain(author))
        assert (found.author, found.dmarc) == (domain, "pass"), "who delegates has nothing to change"
        assert sorted((selector, holds) for _, selector, _, holds in found.signatures) == [
            ("ed2", True),
            ("rsa2", True),
        ]
    old = verdict(office.mails[GMAIL, "plain"])
    assert all(holds for *_, holds in old.signatures), "mail that is still on its way can be checked"
    house.clock.forward(ring.published_after)
    ring.look(office.names.texts)
    printed = command(house, "dns", "--zone")
    assert f"; remove rsa1._domainkey.{DOMAIN}. IN TXT" in printed
    assert f"\nrsa1._domainkey.{DOMAIN}. 3600 IN TXT" not in printed
