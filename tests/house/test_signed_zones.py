"""What does `doctor` say of TLSA records where there is none, or none that counts? Knot signs, Unbound judges."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cryptnsend.cli import published
from cryptnsend.cli.dns import key_digest
from cryptnsend.cli.findings import Finding
from cryptnsend.cli.published import Outside, compare
from cryptnsend.config import Config
from cryptnsend.delivery.https import Https
from cryptnsend.delivery.names import DnsNames
from tests.support.homes import make_home
from tests.support.zones import Zones

THERE = "@ MX 10 mail\nmail A 127.0.0.1\n"
# What each zone has beside the host and the mail exchanger.
EMPTY = {
    "nothing.test.": "",  # no such name as _25._tcp.mail
    "other.test.": '_25._tcp.mail TXT "there is the name, but no TLSA record"\n',
    "above.test.": '_x._25._tcp.mail TXT "the name is there only as one above another (RFC 8020)"\n',
}


@dataclass
class World:
    zones: Zones
    config: Config

    def ask(self, host: str, domain: str = "") -> Outside:
        """Return the server of a host, as Unbound sees it."""
        server = replace(self.config.server, hostname=f"mail.{host}", domain=domain or host)
        names = DnsNames([self.zones.resolver])
        return Outside(replace(self.config, server=server), names, Https(names))

    def tlsa(self, host: str, domain: str = "") -> Finding:
        (told,) = published.tlsa(self.ask(host, domain))
        return told


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    path = Path(tempfile.gettempdir(), f"cs-signed-{time.monotonic_ns()}")
    config = make_home(path, {"delivery": {"allow_private": True}})
    ours = f"_25._tcp.mail TLSA 3 1 1 {key_digest(config)}\n"
    other = f"_25._tcp.mail TLSA 3 1 1 {'ab' * 32}\n"
    texts = {
        "test.": "",
        **{name: THERE + text for name, text in EMPTY.items()},
        "fits.test.": THERE + ours,
        "bare.test.": THERE,
        "plain.test.": THERE + ours + "away MX 10 mail.fits.test.\n",
        "forged.test.": THERE + other,
    }
    with Zones(texts, unsigned=["bare.test.", "plain.test."], bogus=["forged.test."]) as zones:
        yield World(zones, config)
    shutil.rmtree(path)


@pytest.mark.parametrize("name", [each.rstrip(".") for each in EMPTY])
def test_a_signed_zone_without_tlsa_records_is_a_chance_missed(world: World, name: str) -> None:
    """Whether nobody has the name or only the record is missing: Unbound vouches for both."""
    answer = world.ask(name).names.tlsa(f"_25._tcp.mail.{name}")
    assert (list(answer), answer.secure) == ([], True)
    told = world.tlsa(name)
    assert (told.level, "signed, but says nothing" in told.words, bool(told.remedy)) == ("warning", True, True)


def test_an_unsigned_zone_without_tlsa_records_misses_nothing(world: World) -> None:
    told = world.tlsa("bare.test")
    assert (told.level, "none would count" in told.words) == ("ok", True)


def test_records_of_an_unsigned_zone_do_not_count(world: World) -> None:
    told = world.tlsa("plain.test")
    assert (told.level, "do not count" in told.words, told.remedy) == ("warning", True, "Sign the zone (DNSSEC).")


def test_records_do_not_count_if_anybody_may_lead_mail_elsewhere(world: World) -> None:
    """RFC 7672 §2.2.1: where the MX record is not proven, nobody asks for the host's TLSA records."""
    assert world.tlsa("fits.test").level == "ok"
    told = world.tlsa("fits.test", "away.plain.test")
    assert (told.level, "as away.plain.test is not signed" in told.words) == ("warning", True)
    told = world.tlsa("nothing.test", "away.plain.test")
    assert (told.level, "none would count" in told.words) == ("ok", True)


@pytest.mark.parametrize(("host", "domain"), [("forged.test", "forged.test"), ("fits.test", "forged.test")])
def test_signatures_that_are_wrong_are_named_as_that(world: World, host: str, domain: str) -> None:
    """Unbound keeps the answer to itself; that is no dead name server, and says nothing about the other checks."""
    found = list(compare(world.ask(host, domain)))
    told = found[-1]
    assert (told.check, told.level, "signed wrongly" in told.words) == ("DNSSEC", "error", True), found
    assert "DS record" in told.remedy
    assert {each.level for each in found[:-1]} <= {"ok"}


def test_what_is_proven_or_not_signed_is_not_held_back(world: World) -> None:
    names = world.ask("fits.test").names
    held = [each for each in ("mail.fits.test", "plain.test", "none.such.test") if names.is_held_back(each)]
    assert held == []
    assert names.is_held_back("mail.forged.test")
