"""What somebody at the terminal sees of the signing keys: `dkim` and what `dns` says about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cryptnsend.__main__ import main
from cryptnsend.cli.backup import SIGNING_KEYS, _restore_keys
from cryptnsend.cli.dns import Record, records
from cryptnsend.config import Config
from cryptnsend.delivery import keyring
from cryptnsend.delivery.dns import DnsTrouble
from cryptnsend.home import Home
from cryptnsend.making import make_dkim_keys
from tests.support.homes import make_home
from tests.support.house import House


def run(home: Home, *words: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, [*words, "--home", str(home.path)])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def listed(home: Home) -> dict[str, dict[str, Any]]:
    return {row["selector"]: row for row in json.loads(run(home, "dkim", "list", "--json"))}


def published(config: Config) -> dict[str, Record]:
    return {record.name.partition(".")[0]: record for record in records(config) if "_domainkey" in record.name}


def test_a_new_home_signs_with_both_its_keys(home: Home) -> None:
    assert {name: (row["algorithm"], row["state"]) for name, row in listed(home).items()} == {
        "ed1": ("ed25519-sha256", "signing"), "rsa1": ("rsa-sha256", "signing"),
    }  # fmt: skip


def test_rotating_prints_what_to_publish_and_changes_no_signature(config: Config, home: Home) -> None:
    said = run(home, "dkim", "rotate")
    lines = [line.split()[0] for line in said.splitlines() if " IN TXT " in line]
    assert sorted(lines) == ["ed2._domainkey.mail.clinic.example.", "rsa2._domainkey.mail.clinic.example."]
    assert {name: row["state"] for name, row in listed(home).items()} == {
        "ed1": "signing", "ed2": "announced", "rsa1": "signing", "rsa2": "announced",
    }  # fmt: skip
    assert set(published(config)) == {"ed1", "ed2", "rsa1", "rsa2"}
    assert "publish it now" in published(config)["rsa2"].why


def test_a_word_activates_and_the_old_records_stay_with_a_date(config: Config, home: Home) -> None:
    run(home, "dkim", "rotate")
    shown = json.loads(run(home, "dkim", "rotate", "--activate", "--unseen", "--json"))
    assert {row["selector"]: row["state"] for row in shown} == {"rsa2": "signing", "ed2": "signing"}
    old = listed(home)["rsa1"]
    assert (old["state"], old["may_go"] - old["since"]) == ("retired", (32 * 3600 + 5 * 86_400) * 1000)
    assert published(config)["rsa1"].action == "keep"
    assert "keep it until" in published(config)["rsa1"].why
    assert "Rotate again after that" in run(home, "dkim", "rotate", code=4)


def test_keys_that_nobody_finds_are_activated_on_a_second_word_only(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(home, "dkim", "rotate")
    monkeypatch.setattr(keyring, "is_published", lambda key, texts: False)
    said = run(home, "dkim", "rotate", "--activate", code=4)
    assert "_domainkey.mail.clinic.example does not show the new key" in said
    assert listed(home)["rsa2"]["state"] == "announced"
    monkeypatch.setattr(keyring, "is_published", lambda key, texts: True)
    run(home, "dkim", "rotate", "--activate")
    assert listed(home)["rsa2"]["state"] == "signing"


def test_where_dns_gives_no_answer_the_word_counts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(key: object, texts: object) -> bool:
        raise DnsTrouble("no answer")

    run(home, "dkim", "rotate")
    monkeypatch.setattr(keyring, "is_published", silent)
    run(home, "dkim", "rotate", "--activate")
    assert listed(home)["rsa2"]["state"] == "signing"
    assert "--unseen says" in CliRunner().invoke(main, ["dkim", "rotate", "--unseen", "--home", str(home.path)]).output


def test_nothing_can_be_activated_that_was_not_announced(home: Home) -> None:
    assert "`cryptnsend dkim rotate` makes them" in run(home, "dkim", "rotate", "--activate", code=4)


def test_domains_of_others_point_at_every_selector_there_will_ever_be(home: Home) -> None:
    lines = [
        line for line in run(home, "dns", "--zone", "--for", "Praxis-Müller.example").splitlines() if line[0] != ";"
    ]
    assert lines == [
        f"{selector}._domainkey.xn--praxis-mller-klb.example. 3600 IN CNAME {selector}._domainkey.mail.clinic.example."
        for selector in ("rsa1", "rsa2", "ed1", "ed2")
    ]


@pytest.mark.parametrize("name", ["", "not a name", "a..b", "@", "x" * 300])
def test_what_is_no_domain_gets_no_records(home: Home, name: str) -> None:
    done = CliRunner().invoke(main, ["dns", "--for", name, "--home", str(home.path)])
    assert done.exit_code == 4, done.output


def test_a_host_of_another_name_is_named_for_reports(short_folder: Path) -> None:
    """RFC 7208 §2.4: a mail without an envelope sender is judged by the name in EHLO."""
    config = make_home(
        short_folder / "home", {"server": {"hostname": "mx.clinic.example", "domain": "m.clinic.example"}}
    )
    assert ("mx.clinic.example", "TXT", "v=spf1 a:mx.clinic.example -all") in [record[:3] for record in records(config)]


def test_a_backup_brings_back_how_the_keys_stand(house: House, tmp_path: Path) -> None:
    home = house.home
    run(home, "dkim", "rotate")
    run(home, "dkim", "rotate", "--activate", "--unseen")
    run(home, "backup", str(tmp_path / "backup"))
    before = listed(home)
    for file in home.dkim.iterdir():
        file.unlink()
    make_dkim_keys(home)  # as `init` does, so that there is another rsa1
    selectors = _restore_keys(home, house.keeper("owner"), (tmp_path / "backup" / SIGNING_KEYS).read_bytes())
    assert selectors == ["ed1", "ed2", "rsa1", "rsa2"]
    assert listed(home) == before
