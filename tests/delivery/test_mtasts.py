"""MTA-STS: records, policies, and what is kept of them (RFC 8461)."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.delivery.dns import DnsTrouble
from cryptnsend.delivery.https import HttpsTrouble
from cryptnsend.delivery.mtasts import (
    AGAIN,
    MAX_AGE,
    MAX_POLICY,
    Found,
    Kept,
    MemoryShelf,
    Policies,
    PolicyInvalid,
    StsPolicy,
    parse,
    record_id,
)
from tests.delivery.peers import Names
from tests.support.house import HandClock

ENFORCE = b"version: STSv1\r\nmode: enforce\r\nmx: mx.peer.example\r\nmx: *.peer.example\r\nmax_age: 604800\r\n"
DAY = 86_400_000


@pytest.mark.parametrize(
    ("texts", "ident"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1; other=x; id=1; more=y;"], "1"),
        (["v=spf1 -all", "v=STSv1; id=1;"], "1"),
        ([], None),
        (["v=spf1 -all"], None),
        (["v=STSv1; id=1;", "v=STSv1; id=1;"], None),
        (["v=STSv2; id=1;"], None),
        (["id=1; v=STSv1;"], None),
        (["v=STSv1; id=;"], None),
        (["v=STSv1; id=under_score;"], None),
        (["v=STSv1; id=" + "1" * 33], None),
        (["v=STSv1; id=1; id=2"], None),
        (["v=STSv1"], None),
    ],
)
def test_a_domain_has_a_policy_if_exactly_one_record_says_so(texts: list[str], ident: str | None) -> None:
    """RFC 8461 §3.1."""
    assert record_id(texts) == ident


def test_a_policy_is_read() -> None:
    assert parse(ENFORCE) == StsPolicy("enforce", 604800, ("mx.peer.example", "*.peer.example"))


def test_unknown_fields_and_line_ends_and_order_do_not_matter() -> None:
    text = b"mx:MX.Peer.example\nmax_age:60\nnew: thing\nmode:testing\nmode:none\nversion:STSv1"
    assert parse(text) == StsPolicy("testing", 60, ("mx.peer.example",))


def test_mode_none_needs_no_hosts() -> None:
    assert parse(b"version: STSv1\nmode: none\nmax_age: 60\n") == StsPolicy("none", 60, ())


def test_a_policy_lasts_a_year_at_most() -> None:
    assert parse(ENFORCE.replace(b"604800", b"9999999999")).max_age == MAX_AGE


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "empty"),
        (ENFORCE.replace(b"STSv1", b"STSv2"), "version"),
        (ENFORCE.replace(b"version: STSv1\r\n", b""), "no version"),
        (ENFORCE.replace(b"enforce", b"sometimes"), "mode"),
        (ENFORCE.replace(b"mode: enforce\r\n", b""), "no mode"),
        (ENFORCE.replace(b"604800", b"-1"), "negative age"),
        (ENFORCE.replace(b"604800", b"1 week"), "age in words"),
        (ENFORCE.replace(b"max_age: 604800\r\n", b""), "no age"),
        (b"version: STSv1\nmode: enforce\nmax_age: 60\n", "no hosts"),
        (ENFORCE.replace(b"*.peer", b"mx.*.peer"), "star inside"),
        (ENFORCE.replace(b"*.peer.example", b"*"), "star alone"),
        (ENFORCE.replace(b"mx.peer.example", b"mx..example"), "empty label"),
        (ENFORCE.replace(b"mx.peer.example", b"<script>"), "no host name"),
        (ENFORCE + b"nonsense\r\n", "line without colon"),
        (ENFORCE + b"note: \xff\r\n", "not ASCII"),
        (ENFORCE + b"mx: a.example\r\n" * 500, "too many hosts"),
        (b"<!doctype html><title>404</title>", "a web page"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_policy_is_refused(octets: bytes, why: str) -> None:
    with pytest.raises(PolicyInvalid):
        parse(octets)


@given(st.one_of(st.binary(max_size=500), st.text(max_size=500).map(str.encode)))
def test_whatever_a_web_server_says_is_a_policy_or_refused(octets: bytes) -> None:
    with suppress(PolicyInvalid):
        assert parse(octets).mode in ("enforce", "testing", "none")


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mx.peer.example", True),
        ("mx9.peer.example", True),
        ("peer.example", False),
        ("a.b.peer.example", False),
        ("mx.peer.example.evil.example", False),
        ("evilpeer.example", False),
    ],
)
def test_a_star_stands_for_one_label(host: str, allowed: bool) -> None:
    """RFC 8461 §4.1."""
    assert StsPolicy("enforce", 60, ("*.peer.example",)).allows(host) is allowed


# -- what is kept -----------------------------------------------------------------------------------------------------


@dataclass
class Web:
    """An Https that gives what it is told."""

    answer: Any = ENFORCE
    asked: list[str] = field(default_factory=list)

    def get(self, host: str, path: str, *, media_type: str, most: int) -> bytes:
        assert (media_type, most) == ("text/plain", MAX_POLICY)
        self.asked.append(f"{host}{path}")
        if isinstance(self.answer, Exception):
            raise self.answer
        octets: bytes = self.answer
        return octets


class Domain:
    """One domain, its web server and what is kept of it."""

    def __init__(self) -> None:
        self.names, self.web, self.shelf, self.time = Names(), Web(), MemoryShelf(), HandClock()
        self.start()

    def start(self) -> None:
        """Start the courier, also again."""
        self.policies = Policies(self.names, self.web, self.shelf, self.time)  # type: ignore[arg-type]

    def says(self, *texts: str) -> None:
        self.names.text_records["_mta-sts.peer.example"] = list(texts)

    def has_trouble(self) -> None:
        self.names.text_records["_mta-sts.peer.example"] = DnsTrouble("no answer")

    @property
    def found(self) -> Found:
        return self.policies.of("peer.example")

    @property
    def mode(self) -> str:
        policy = self.found.policy
        return policy.mode if policy else ""


@pytest.fixture
def domain() -> Domain:
    made = Domain()
    made.says("v=STSv1; id=1;")
    return made


def test_a_policy_is_fetched_once_and_kept_by_its_id(domain: Domain) -> None:
    assert [domain.mode for _ in range(3)] == ["enforce"] * 3
    assert domain.web.asked == ["mta-sts.peer.example/.well-known/mta-sts.txt"]
    domain.says("v=STSv1; id=2;")
    domain.web.answer = ENFORCE.replace(b"enforce", b"none")
    assert domain.mode == "none"
    assert len(domain.web.asked) == 2


def test_a_policy_outlives_a_restart(domain: Domain) -> None:
    assert domain.mode == "enforce"
    domain.start()
    domain.web.answer = HttpsTrouble("gone")
    assert domain.mode == "enforce"
    assert len(domain.web.asked) == 1


@pytest.mark.parametrize("texts", [(), ("v=spf1 -all",), ("v=STSv1; id=1;", "v=STSv1; id=2;")])
def test_a_kept_policy_holds_though_dns_no_longer_speaks_of_it(domain: Domain, texts: tuple[str, ...]) -> None:
    """RFC 8461 §5.1: whoever can forge DNS for a while must not switch it off."""
    assert domain.mode == "enforce"
    domain.says(*texts)
    assert domain.mode == "enforce"
    domain.has_trouble()
    assert domain.found == Found(parse(ENFORCE))


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (HttpsTrouble("down"), "sts-policy-fetch-error"),
        (HttpsTrouble("forged", is_certificate=True), "sts-webpki-invalid"),
        (b"nonsense", "sts-policy-invalid"),
    ],
)
def test_a_new_policy_that_cannot_be_had_leaves_the_kept_one_in_force(
    domain: Domain, answer: object, trouble: str
) -> None:
    assert domain.mode == "enforce"
    domain.says("v=STSv1; id=2;")
    domain.web.answer = answer
    assert domain.found == Found(parse(ENFORCE), trouble)


def test_a_kept_policy_ends_with_its_age(domain: Domain) -> None:
    assert domain.mode == "enforce"
    domain.web.answer = HttpsTrouble("down")
    domain.time.forward(604_800_000 - 1)
    assert domain.mode == "enforce"
    domain.time.forward(2)
    assert domain.found == Found(None, "sts-policy-fetch-error")


def test_without_a_record_nothing_is_fetched(domain: Domain) -> None:
    domain.says()
    assert domain.found == Found(None)
    domain.has_trouble()
    assert domain.found == Found(None)
    assert domain.web.asked == []


def test_a_fetch_that_failed_rests_for_a_while(domain: Domain) -> None:
    """RFC 8461 §3.3: no more than once in five minutes."""
    domain.web.answer = HttpsTrouble("down")
    assert [domain.found.trouble for _ in range(3)] == ["sts-policy-fetch-error"] * 3
    assert len(domain.web.asked) == 1
    domain.time.forward(int(AGAIN * 1000) + 1)
    domain.web.answer = ENFORCE
    assert domain.mode == "enforce"


def test_a_new_id_does_not_wait_for_an_old_failure(domain: Domain) -> None:
    domain.web.answer = HttpsTrouble("down")
    assert domain.mode == ""
    domain.web.answer = ENFORCE
    domain.says("v=STSv1; id=2;")
    assert domain.mode == "enforce"


def test_a_policy_is_refreshed_every_day_without_being_given_up(domain: Domain) -> None:
    """RFC 8461 §10.2: else it would end although the domain still has it."""
    assert domain.mode == "enforce"
    domain.time.forward(DAY)
    assert domain.mode == "enforce"
    assert len(domain.web.asked) == 2
    domain.web.answer = HttpsTrouble("down")
    domain.time.forward(DAY)
    assert domain.mode == "enforce"
    domain.web.answer = ENFORCE
    domain.time.forward(DAY)
    kept = domain.shelf.load("peer.example")
    assert domain.mode == "enforce"
    assert kept is not None


def test_what_was_kept_damaged_counts_for_nothing(domain: Domain) -> None:
    domain.says()
    domain.shelf.keep("peer.example", Kept("1", "nonsense", domain.time.at, domain.time.at + DAY))
    assert domain.found == Found(None)


def test_many_threads_wait_for_one_fetch(domain: Domain) -> None:
    arrived = threading.Barrier(8)

    def ask() -> None:
        arrived.wait(10)
        modes.append(domain.mode)

    modes: list[str] = []
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert modes == ["enforce"] * 8
    assert len(domain.web.asked) == 1
