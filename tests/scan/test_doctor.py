"""What does `doctor` say about scanners that answer, and about those that do not?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from cryptnsend.cli.doctor import scanners
from cryptnsend.config import Config
from cryptnsend.scan.line import is_local
from cryptnsend.settings import Limits
from cryptnsend.settings_post import Scan
from tests.support.scanners import STREAM_MAX, Clam, nowhere


def said(most: int = 1 << 20, **values: str | int) -> list[tuple[str, str]]:
    config = replace(Config(), scan=Scan(**values), limits=Limits(message_octets=most))  # type: ignore[arg-type]
    return [(each.level, each.words) for each in scanners(config)]


def test_scanners_that_answer_are_named(clamd: Clam, rspamd: str) -> None:
    assert [level for level, _ in said(clamav=clamd.path, rspamd=rspamd)] == ["ok", "ok"]
    assert said() == []


def test_a_scanner_that_does_not_answer_is_an_error_with_its_place() -> None:
    for name in ("clamav", "rspamd"):
        place = nowhere()
        ((level, words),) = said(**{name: place})
        assert level == "error"
        assert f"{name} at {place}: " in words
        assert "mail is put off" in words


@pytest.mark.parametrize("way", ["path", "port"])
def test_a_scanner_that_takes_less_than_we_do_is_a_warning(clamd: Clam, way: str) -> None:
    place, most = getattr(clamd, way), STREAM_MAX << 20
    assert [level for level, _ in said(most - 4096, clamav=place)] == ["ok"]
    ((level, words),) = said(most + 1, clamav=place)
    assert level == "warning"
    assert "no mail as large as [limits] message_octets" in words


@pytest.mark.parametrize("place", ["/run/clamd.sock", "127.0.0.1:3310", "[::1]:3310", "localhost:3310"])
def test_mail_to_this_machine_travels_over_no_network(place: str) -> None:
    assert is_local(place)


@pytest.mark.parametrize("place", ["192.0.2.1:3310", "clamd.example:3310", "[2001:db8::1]:3310"])
def test_mail_to_another_machine_does(place: str) -> None:
    assert not is_local(place)
