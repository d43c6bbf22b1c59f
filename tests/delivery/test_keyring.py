"""How signing keys take turns: announced, used once they can be seen, published until the last mail has arrived."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from cryptnsend.core.errors import ConfigError, Denied
from cryptnsend.delivery import dkim
from cryptnsend.delivery.dns import DnsTrouble
from cryptnsend.delivery.keyring import DAY, SETTLES, STATE_FILE, KeyRing, is_published, selectors
from cryptnsend.delivery.signers import Signers
from tests.support.house import HandClock

DOMAIN = "our.test"
GIVE_UP = 32 * 3_600_000
FIRST = (dkim.generate_key("rsa1", DOMAIN), dkim.generate_key("ed1", DOMAIN, dkim.ED25519))


class Zone(dict[str, list[str]]):
    """TXT records by name."""

    down = False  # nobody answers
    asked = 0

    def __call__(self, name: str) -> list[str]:
        self.asked += 1
        if self.down:
            raise DnsTrouble("no answer")
        return self.get(name, [])

    def publish(self, *keys: dkim.DkimKey | None) -> None:
        for key in keys:
            assert key is not None
            self[dkim.dns_name(key)] = [dkim.dns_record(key)]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ring(tmp_path: Path, clock: HandClock) -> KeyRing:
    for key in FIRST:
        (tmp_path / f"{key.selector}.pem").write_bytes(dkim.to_pem(key))
    return KeyRing(tmp_path, DOMAIN, clock, give_up=GIVE_UP)


def states(ring: KeyRing) -> Mapping[str, str]:
    return {each.selector: each.state for each in ring.held()}


def signing(ring: KeyRing) -> list[str]:
    return [key.selector for key in ring.signing()]


def test_the_keys_of_a_new_home_sign(ring: KeyRing) -> None:
    assert signing(ring) == ["ed1", "rsa1"]


def test_new_keys_are_announced_and_sign_nothing(ring: KeyRing) -> None:
    made = ring.rotate()
    assert [(each.selector, each.algorithm) for each in made] == [("rsa2", dkim.RSA), ("ed2", dkim.ED25519)]
    assert states(ring) == {"ed1": "signing", "ed2": "announced", "rsa1": "signing", "rsa2": "announced"}
    assert signing(ring) == ["ed1", "rsa1"]


def test_a_new_key_signs_a_day_after_it_can_be_seen(ring: KeyRing, clock: HandClock) -> None:
    zone = Zone()
    made = ring.rotate()
    clock.forward(30 * DAY)
    assert ring.look(zone) == (), "nobody sees it"
    zone.publish(*(each.key for each in made))
    ring.look(zone)
    clock.forward(SETTLES - 1)
    ring.look(zone)
    assert signing(ring) == ["ed1", "rsa1"]
    clock.forward(1)
    ring.look(zone)
    assert signing(ring) == ["ed2", "rsa2"]
    assert states(ring) == {"ed1": "retired", "ed2": "signing", "rsa1": "retired", "rsa2": "signing"}


def test_a_record_that_goes_away_meanwhile_begins_its_day_anew(ring: KeyRing, clock: HandClock) -> None:
    zone = Zone()
    zone.publish(*(each.key for each in ring.rotate()))
    ring.look(zone)
    clock.forward(SETTLES // 2)
    ring.look(Zone())
    clock.forward(SETTLES)
    ring.look(zone)
    assert signing(ring) == ["ed1", "rsa1"]


def test_each_kind_turns_by_itself(ring: KeyRing, clock: HandClock) -> None:
    """A provider whose form takes no Ed25519 record keeps nobody from a new RSA key."""
    zone = Zone()
    zone.publish(ring.rotate()[0].key)
    ring.look(zone)
    clock.forward(SETTLES)
    ring.look(zone)
    assert signing(ring) == ["ed1", "rsa2"]


def test_name_servers_that_do_not_answer_change_nothing(ring: KeyRing, clock: HandClock) -> None:
    zone = Zone()
    zone.publish(*(each.key for each in ring.rotate()))
    ring.look(zone)
    clock.forward(SETTLES)
    zone.down = True
    with pytest.raises(DnsTrouble):
        ring.look(zone)
    assert signing(ring) == ["ed1", "rsa1"]


def test_somebodys_word_is_enough(ring: KeyRing) -> None:
    ring.rotate()
    assert sorted(each.selector for each in ring.activate()) == ["ed2", "rsa2"]
    assert signing(ring) == ["ed2", "rsa2"]
    with pytest.raises(Denied, match="No new key is announced"):
        ring.activate()


def test_one_rotation_at_a_time(ring: KeyRing) -> None:
    ring.rotate()
    with pytest.raises(Denied, match="announced already"):
        ring.rotate()


def test_a_retired_key_stays_until_the_last_mail_has_arrived(ring: KeyRing, clock: HandClock, tmp_path: Path) -> None:
    ring.rotate()
    ring.activate()
    old = next(each for each in ring.held() if each.selector == "rsa1")
    assert ring.may_go(old) == clock.now() + GIVE_UP + 5 * DAY
    with pytest.raises(Denied, match=r"may still be on its way until 2026-11-24 19:06 UTC"):
        ring.rotate()
    clock.forward(GIVE_UP + 5 * DAY - 1)
    ring.look(Zone())
    assert states(ring)["rsa1"] == "retired"
    clock.forward(1)
    ring.look(Zone())
    assert states(ring) == {"ed1": "over", "ed2": "signing", "rsa1": "over", "rsa2": "signing"}
    assert not (tmp_path / "rsa1.pem").exists(), "what signs nothing any more cannot be stolen either"


def test_selectors_take_turns(ring: KeyRing, clock: HandClock) -> None:
    """Domains that delegate point at both, once and for all."""
    for _ in range(4):
        ring.rotate()
        ring.activate()
        clock.forward(GIVE_UP + 5 * DAY)
    assert set(states(ring)) == set(selectors()) == {"rsa1", "rsa2", "ed1", "ed2"}


def test_another_process_sees_it_without_a_restart(ring: KeyRing, clock: HandClock, tmp_path: Path) -> None:
    courier = KeyRing(tmp_path, DOMAIN, clock, give_up=GIVE_UP)
    assert signing(courier) == ["ed1", "rsa1"]
    ring.rotate()
    ring.activate()
    assert signing(courier) == ["ed2", "rsa2"]


def test_files_are_for_their_owner_only(ring: KeyRing, tmp_path: Path) -> None:
    ring.rotate()
    made = [tmp_path / name for name in ("rsa2.pem", "ed2.pem", STATE_FILE, "lock")]
    assert [file.stat().st_mode & 0o777 for file in made] == [0o600] * 4
    assert "PRIVATE" not in (tmp_path / STATE_FILE).read_text()


@pytest.mark.parametrize("text", ["", "[]", '{"rsa1": {}}', '{"rsa1": {"state": "lost", "algorithm": "", "since": 0}}'])
def test_a_state_that_cannot_be_read_is_told(ring: KeyRing, tmp_path: Path, text: str) -> None:
    (tmp_path / STATE_FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"keys\.json"):
        ring.held()


def test_the_state_of_a_key_without_a_file_is_forgotten(ring: KeyRing, tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_text(
        json.dumps({"rsa9": {"algorithm": dkim.RSA, "state": "signing", "since": 1, "seen": 0}})
    )
    assert signing(ring) == ["ed1", "rsa1"]


# -- what is published ------------------------------------------------------------------------------------------------

RECORD = dkim.dns_record(FIRST[0])


@pytest.mark.parametrize(
    ("records", "there"),
    [
        ([RECORD], True),
        ([RECORD.replace("v=DKIM1; ", "")], True),  # RFC 6376 §3.6.1: both have a default
        ([RECORD.replace("p=", "t=s; p=")], True),
        ([RECORD.replace("k=rsa; p=", "p= ")], True),
        ([], False),
        ([RECORD, RECORD], False),  # §3.6.2.2: what several mean is not defined
        (["v=DKIM1; k=rsa; p="], False),  # revoked
        ([RECORD.replace("p=", "t=y; p=")], False),  # only a test
        ([RECORD.replace("p=", "h=sha1; p=")], False),
        ([RECORD[:-8]], False),
        ([dkim.dns_record(FIRST[1])], False),
        ([dkim.dns_record(dkim.generate_key("rsa1", DOMAIN))], False),
        (["v=spf1 -all"], False),
        (["\ufffd" * 300], False),
    ],
)
def test_a_key_is_published_if_verifiers_take_what_it_signs(records: list[str], there: bool) -> None:
    assert is_published(FIRST[0], lambda name: records) is there


# -- domains that delegate --------------------------------------------------------------------------------------------


def signers(zone: Zone, clock: HandClock | None = None) -> Signers:
    return Signers(lambda: FIRST, zone, (clock or HandClock()).monotonic)


def theirs(key: dkim.DkimKey, domain: str = "clinic.test") -> dkim.DkimKey:
    return dkim.DkimKey(key.selector, domain, key.private)


def test_a_domain_that_shows_our_keys_lets_us_sign(clock: HandClock) -> None:
    zone = Zone()
    zone.publish(*map(theirs, FIRST))
    assert [(key.selector, key.domain) for key in signers(zone).of("clinic.test")] == [
        ("rsa1", "clinic.test"), ("ed1", "clinic.test"),
    ]  # fmt: skip


def test_without_the_rsa_key_it_does_not() -> None:
    """Receivers that know no Ed25519 would see no signature of the author's domain at all."""
    zone = Zone()
    zone.publish(theirs(FIRST[1]))
    assert signers(zone).of("clinic.test") == ()


def test_the_rsa_key_is_enough() -> None:
    zone = Zone()
    zone.publish(theirs(FIRST[0]))
    assert [key.selector for key in signers(zone).of("clinic.test")] == ["rsa1"]


def test_a_domain_speaks_for_itself_only() -> None:
    zone = Zone()
    zone.publish(*map(theirs, FIRST))
    for other in ("gmail.test", "mail.clinic.test", "test", "", "-", "clinic.test.evil.test"):
        assert signers(zone).of(other) == (), other


def test_what_was_delegated_and_is_no_more_counts_for_nothing() -> None:
    zone = Zone()
    zone.publish(*map(theirs, FIRST))
    assert signers(zone).of("clinic.test")
    zone.clear()
    assert signers(zone).of("clinic.test") == ()


def test_what_cannot_be_looked_up_counts_for_nothing(clock: HandClock) -> None:
    """And is not asked for again with the next mail: each question to dead name servers takes seconds."""
    zone = Zone()
    zone.publish(*map(theirs, FIRST))
    zone.down = True
    found = signers(zone, clock)
    assert found.of("clinic.test") == found.of("other.test") == ()
    assert zone.asked == 1
    zone.down = False
    clock.forward(29_000)
    assert found.of("clinic.test") == ()
    clock.forward(1_000)
    assert len(found.of("clinic.test")) == 2


def test_somebody_elses_key_under_our_selector_counts_for_nothing() -> None:
    zone = Zone()
    zone.publish(dkim.generate_key("rsa1", "clinic.test"))
    assert signers(zone).of("clinic.test") == ()
