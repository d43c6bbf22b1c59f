"""Many deliveries through a real courier: none is lost, and none is sent twice unless the peer leaves us guessing."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.flood.queue import flood
from tests.support.sinks import Breaking, smtp_sink, taken


def check_each_arrives_once(folder: Path, sink_folder: Path, count: int) -> str:
    """Send *count* deliveries or more and return how many came, in words."""
    with smtp_sink(sink_folder) as host:
        worked = flood(folder, host, count)
    assert sum(worked.expected.values()) >= count
    assert worked.states == Counter(delivered=worked.tries)
    arrived = Counter(taken(sink_folder))
    assert arrived == worked.expected
    return f"{arrived.total()} mails, each once, in {worked.seconds:.0f} s"


def check_a_reset_doubles_at_most(folder: Path, count: int) -> None:
    """A mail whose answer was lost goes again; what arrives twice is the same mail, and no more often than that."""
    with Breaking(0.05) as peer:
        worked = flood(folder, peer.route, count, first_retry_seconds=1)
    arrived = Counter(peer.taken)
    assert peer.resets > count // 40
    assert worked.states == Counter(delivered=sum(worked.expected.values()))
    assert worked.tries == sum(worked.expected.values()) + peer.resets
    assert set(arrived) == set(worked.expected), (
        "a mail was lost, or sent to somebody else, or under another Message-ID"
    )
    assert 0 < arrived.total() - len(arrived) <= peer.resets


def test_three_hundred_deliveries_arrive_once_each(short_folder: Path, sink_folder: Path) -> None:
    check_each_arrives_once(short_folder, sink_folder, 300)


@pytest.mark.long
def test_resets_after_the_dot_lose_nothing(short_folder: Path) -> None:
    check_a_reset_doubles_at_most(short_folder, 200)


@pytest.mark.long
def test_ten_thousand_deliveries_arrive_once_each(short_folder: Path, sink_folder: Path) -> None:
    check_each_arrives_once(short_folder, sink_folder, 10_000)


@pytest.mark.long
def test_resets_after_the_dot_lose_none_of_ten_thousand(short_folder: Path) -> None:
    check_a_reset_doubles_at_most(short_folder, 10_000)


@pytest.mark.torture
def test_a_hundred_thousand_deliveries_arrive_once_each(short_folder: Path, sink_folder: Path) -> None:
    print(check_each_arrives_once(short_folder, sink_folder, int(os.environ.get("MAILS", "100000"))))
