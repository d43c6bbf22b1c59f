"""Commands about people: a list that is brought, a leaver's addresses, roles. Officers order, and show who they are."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from cryptnsend.__main__ import main
from cryptnsend.core.model import account_holder
from cryptnsend.store.records import members
from tests.support.house import PASSWORD, House

OLIVE, CARL, DORA = "officer@clinic.example", "carl@clinic.example", "dora@clinic.example"
EVE = "officer@rival.example"


@pytest.fixture
def clinic(house: House) -> int:
    """An organisation with people beside another one; its officer has a second step."""
    org = house.organisation("Clinic")
    house.organisation("Rival")
    for address, name in ((CARL, "Carl"), (DORA, "Dora")):
        house.add_subscriber(address, organisation=org, name=name)
    house.second(OLIVE)
    return org


def run(house: House, *words: str, typed: str | bytes = "") -> Result:
    return CliRunner().invoke(main, [*words, "--home", str(house.home.path)], input=typed)


def bring(house: House, octets: bytes, *more: str) -> Result:
    return run(house, "subscriber", "import", "-", "--organisation", "Clinic", "--json", *more, typed=octets)


def reports(result: Result) -> list[str]:
    return [each["report"] for each in json.loads(result.stdout)["lines"]]


def ordered(house: House, *words: str, officer: str = OLIVE, password: str = PASSWORD, number: str = "") -> Result:
    typed = f"{password}\n{number or house.number(officer) or '000000'}\n"
    return run(house, *words, "--officer", officer, "--password-stdin", "--json", typed=typed)


def roles(house: House, clinic: int, address: str) -> str:
    row = members.one(house.engine, clinic, house.account(address))
    assert row is not None
    return str(row["roles"])


# -- a list -----------------------------------------------------------------------------------------------------------


def test_a_list_invites_whoever_is_new_and_leaves_whoever_is_there(house: House, clinic: int) -> None:
    first = bring(house, b"Address,Name\r\nnew@x.example,Ana N\r\n" + CARL.encode() + b",Carl\r\n")
    assert first.exit_code == 0, first.output
    assert reports(first) == ["invited", "is a subscriber already"]
    again = bring(house, "new@x.example;Ana\nlater@x.example;Núñez\n".encode())
    assert reports(again) == ["was invited already", "invited"]
    assert json.loads(again.stdout)["invited"] == 1
    asked = house.engine.query("SELECT address, name, org FROM invitations ORDER BY address")
    assert [tuple(row.values()) for row in asked] == [
        ("later@x.example", "Núñez", clinic),
        ("new@x.example", "Ana N", clinic),
    ]
    assert len(house.queued("code")) == 2
    assert [action for _, action in house.audited(clinic)].count("account.invited") == 2


def test_with_one_bad_line_nobody_is_invited_and_each_line_is_reported(house: House, clinic: int) -> None:
    listed = f"ok@x.example,Ok\noops\n{EVE},Eve\nok@x.example,Twice\n{DORA},Dora\n"
    result = bring(house, listed.encode())
    assert result.exit_code == 1
    assert reports(result) == [
        "can be invited", "is no mail address", "cannot be invited", "stands in this list already",
        "is a subscriber already",
    ]  # fmt: skip
    assert house.queued("code") == []
    assert house.engine.query("SELECT id FROM invitations") == []
    words = run(house, "subscriber", "import", "-", "--organisation", "Clinic", typed=listed)
    assert words.exit_code == 1
    assert "Nobody was invited. 3 lines have to be put right first." in words.stdout


def test_what_fails_half_way_leaves_nobody_half_invited(
    house: House, clinic: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper knows of somebody whom no row names: whoever stood before them in the list gets no mail either."""
    house.tamper("DELETE FROM addresses WHERE canonical = :who", who=CARL)
    result = bring(house, f"first@x.example\n{CARL}\nlast@x.example\n".encode())
    assert result.exit_code == 4, result.output
    assert house.queued("code") == []
    assert house.engine.query("SELECT id FROM invitations") == []


FORMULAS = ("=HYPERLINK a", "+1 Ana", "-Ana", "@SUM", "'=1+1", "=2+5+cmd|' /C calc'!A0", "\t=Ana", " =Ana")
NO_LISTS = (
    b"", b"Address,Name\n", b"a@x.example\0,Ana\n", b"\xff\xfea", b'"a', b"a@x.example\n" * 501, b"x" * 300_000,
)  # fmt: skip


def test_a_list_is_read_in_whatever_encoding_and_never_run_by_a_spreadsheet(house: House, clinic: int) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        result = bring(house, "E-Mail;Name\r\nnew@x.example;Ana Núñez\r\n".encode(encoding), "--check")
        assert result.exit_code == 0, result.output
        assert [each["name"] for each in json.loads(result.stdout)["lines"]] == ["Ana Núñez"], encoding
    for cell in FORMULAS:
        result = bring(house, f'new@x.example,"{cell}"\n'.encode(), "--check")
        assert (result.exit_code, reports(result)) == (1, ["begins like a formula of a spreadsheet"]), cell
    for octets in NO_LISTS:
        result = bring(house, octets)
        assert result.exit_code == 4, octets[:20]
        assert "list" in result.stderr, octets[:20]
    words = ("subscriber", "import", "-", "--organisation", "Clinic", "--check")
    assert "\x1b" not in run(house, *words, typed=b"new@x.example,A\x1b[2Jna\n").output
    assert house.queued("code") == []


# -- a leaver ---------------------------------------------------------------------------------------------------------


def test_a_leavers_addresses_are_handed_over_by_an_officer_to_a_colleague(house: House, clinic: int) -> None:
    for to in (EVE, CARL):
        result = ordered(house, "subscriber", "hand-over", CARL, "--to", to)
        assert result.exit_code == 4, result.output
        assert house.session(CARL).address == CARL
    result = ordered(house, "subscriber", "hand-over", CARL, "--to", DORA)
    assert result.exit_code == 0, result.output
    assert house.account(CARL) == house.account(DORA)
    holder = account_holder(house.account(OLIVE))
    assert {(holder, "account.handed-over"), (holder, "account.took-over")} <= set(house.audited(clinic))
    row = house.engine.query("SELECT detail FROM audit WHERE action = 'account.handed-over'")[0]
    assert json.loads(row["detail"]).keys() > {"to"}, "the trail says besides who sat at the machine"


# -- roles ------------------------------------------------------------------------------------------------------------


def test_an_officer_gives_and_takes_roles_and_stands_in_the_audit_trail(house: House, clinic: int) -> None:
    assert ordered(house, "role", "grant", CARL, "officer").exit_code == 0
    assert roles(house, clinic, CARL) == "subscriber,officer"
    assert ordered(house, "role", "grant", DORA, "manager").exit_code == 0
    listed = run(house, "role", "list", "--organisation", "clinic", "--json")
    assert {row["address"]: row["roles"] for row in json.loads(listed.stdout)} == {
        OLIVE: ["officer"], CARL: ["subscriber", "officer"], DORA: ["subscriber", "manager"],
    }  # fmt: skip
    assert ordered(house, "role", "revoke", CARL, "officer").exit_code == 0
    assert roles(house, clinic, CARL) == "subscriber"
    holder = account_holder(house.account(OLIVE))
    assert house.audited(clinic).count((holder, "account.roles-changed")) == 3
    assert (OLIVE, "officers-changed") in house.alerts()


REFUSED = (
    ("grant", OLIVE, "subscriber"),  # nobody to themselves
    ("revoke", OLIVE, "officer"),
    ("grant", CARL, "subscriber"),  # nothing to change
    ("revoke", CARL, "subscriber"),  # nothing left
    ("grant", EVE, "manager"),  # of another organisation
    ("grant", "nobody@x.example", "manager"),
)


def test_a_role_that_cannot_be_given_or_taken_is_refused(house: House, clinic: int) -> None:
    before = house.engine.query("SELECT id, roles FROM accounts ORDER BY id")
    for words in REFUSED:
        result = ordered(house, "role", *words)
        assert result.exit_code == 4, result.output
    assert house.engine.query("SELECT id, roles FROM accounts ORDER BY id") == before
    # Nobody types a password for an address that is wrong.
    result = run(house, "role", "grant", "typo@clinic.example", "officer", "--officer", OLIVE, "--password-stdin")
    assert (result.exit_code, "standard input" in result.stderr) == (4, False)


def test_only_an_officer_who_shows_password_and_number_orders_anything(house: House, clinic: int) -> None:
    before = house.engine.query("SELECT id, roles, state FROM accounts ORDER BY id")
    lacking = (
        {"password": "not the password"},
        {"number": "000000"},
        {"officer": DORA},
        {"officer": EVE},  # of another organisation, and without a second step
    )
    for more in lacking:
        for words in (("role", "grant", CARL, "officer"), ("subscriber", "hand-over", CARL, "--to", DORA)):
            result = ordered(house, *words, **more)
            assert result.exit_code == 4, result.output
    house.second(EVE)
    assert ordered(house, "role", "grant", CARL, "officer", officer=EVE).exit_code == 4
    assert house.engine.query("SELECT id, roles, state FROM accounts ORDER BY id") == before
