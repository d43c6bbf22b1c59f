"""Who may open an archive: an officer who shows everything again, with another's yes where two are needed."""

from __future__ import annotations

import os
from typing import Any

import pytest

from cryptnsend.core import keys
from cryptnsend.core.errors import CryptnSendError, Denied, Ended, WrongSecret
from cryptnsend.core.model import archive_holder
from cryptnsend.keeper import archives
from cryptnsend.keeper.glass import WAITS

from .conftest import PARAMS, Person, Running, subscriber
from .test_second import number

ANN, WHY = "ann@clinic.example", "A court asked for it, case 17."
Clinic = tuple[int, Person, Person]


@pytest.fixture
def clinic(keeper: Running) -> Clinic:
    """An organisation with two officers, both of whom open its archive."""
    made = keeper.owner.organisation_add("Clinic", "managed", "")
    first = subscriber(keeper, "olive@clinic.example", made.id, "officer")
    second = subscriber(keeper, "otto@clinic.example", made.id, "officer")
    phone(keeper, first)
    keeper.portal.set_roles(first.ticket, first.k, second.address, ["officer"], shown(keeper, first))
    phone(keeper, second)
    return made.id, first, second


PHONES: dict[tuple[int, str], bytes] = {}  # by keeper and address


def phone(keeper: Running, who: Person) -> None:
    """Let somebody have a second step."""
    PHONES[id(keeper), who.address] = secret = keeper.portal.second_begin(who.ticket, who.k).secret
    keeper.portal.second_begun(who.ticket, number(keeper, secret))


def shown(keeper: Running, who: Person) -> str:
    """Return a number that was not shown yet, half a minute later; "" for somebody without a phone."""
    secret = PHONES.get((id(keeper), who.address))
    if secret is None:
        return ""
    keeper.clock.forward(minutes=0.5)
    return number(keeper, secret)


def public(keeper: Running, org: int) -> bytes:
    found = keeper.engine.query("SELECT public FROM pairs WHERE holder = :holder", holder=archive_holder(org))
    octets: bytes = found[0]["public"]
    return octets


def ask(
    keeper: Running, who: Person, reason: str = WHY, minutes: int = 30, k: bytes = b"", code: str = "", second: str = ""
):
    return keeper.portal.glass_ask(who.ticket, k or who.k, code or shown(keeper, who), ANN, reason, minutes, second)


def test_one_officer_opens_the_archive_where_one_is_enough(keeper: Running, clinic: Clinic) -> None:
    org, first, _ = clinic
    opened = ask(keeper, first)
    assert [keys.public_of(seed) for seed in opened.seeds.values()] == [public(keeper, org)]
    assert opened.glass.ends == keeper.clock.now() + 30 * 60_000
    assert (opened.glass.officer, opened.glass.mailbox) == (first.account, ANN)


def test_two_officers_are_needed_where_the_organisation_says_so(keeper: Running, clinic: Clinic) -> None:
    org, first, second = clinic
    keeper.owner.glass_rule(org, True)
    asked = ask(keeper, first, second=second.address)
    assert asked.seeds == {}
    assert (asked.glass.opened, asked.glass.second) == (None, second.account)
    with pytest.raises(Denied, match="Another officer has to agree first"):
        keeper.portal.glass_open(first.ticket, first.k, shown(keeper, first), asked.glass.id)
    with pytest.raises(Denied, match="not the one who asks"):
        keeper.portal.glass_agree(first.ticket, first.k, shown(keeper, first), asked.glass.id)
    assert (
        keeper.portal.glass_agree(second.ticket, second.k, shown(keeper, second), asked.glass.id).agreed_by
        == second.account
    )
    with pytest.raises(Denied, match="Only the officer who asked"):
        keeper.portal.glass_open(second.ticket, second.k, shown(keeper, second), asked.glass.id)
    opened = keeper.portal.glass_open(first.ticket, first.k, shown(keeper, first), asked.glass.id)
    assert [keys.public_of(seed) for seed in opened.seeds.values()] == [public(keeper, org)]
    assert keeper.portal.glass_running(first.ticket, asked.glass.id).ends == keeper.clock.now() + 30 * 60_000


def third_officer(keeper: Running, clinic: Clinic, address: str = "olga@clinic.example") -> Person:
    """Make one more officer, who has a second step and opens the archive."""
    org, first, _ = clinic
    made = subscriber(keeper, address, org, "officer")
    keeper.portal.set_roles(first.ticket, first.k, address, ["officer"], shown(keeper, first))
    phone(keeper, made)
    return made


def test_nobody_but_the_officer_who_was_named_agrees(keeper: Running, clinic: Clinic) -> None:
    org, first, second = clinic
    third = third_officer(keeper, clinic)
    keeper.owner.glass_rule(org, True)
    asked = ask(keeper, first, second=second.address)
    with pytest.raises(Denied, match="Another officer was named"):
        keeper.portal.glass_agree(third.ticket, third.k, shown(keeper, third), asked.glass.id)
    with pytest.raises(WrongSecret):
        keeper.portal.glass_agree(second.ticket, second.k, "000000", asked.glass.id)
    agreed = keeper.portal.glass_agree(second.ticket, second.k, shown(keeper, second), asked.glass.id)
    assert (agreed.second, agreed.agreed_by, agreed.opened) == (second.account, second.account, None)


def test_who_is_to_agree_is_named_and_is_somebody_else_who_can(keeper: Running, clinic: Clinic) -> None:
    org, first, _ = clinic
    keeper.owner.glass_rule(org, True)
    subscriber(keeper, "max@clinic.example", org, "manager")
    bare = subscriber(keeper, "bare@clinic.example", org, "officer")
    elsewhere = keeper.owner.organisation_add("Other", "managed", "")
    subscriber(keeper, "eve@other.example", elsewhere.id, "officer")
    for named, why in (
        ("", "Name the officer"),
        (first.address, "not the one who asks"),
        ("nobody@clinic.example", "has to be an officer of your organisation"),
        ("max@clinic.example", "has to be an officer of your organisation"),
        ("eve@other.example", "has to be an officer of your organisation"),
        (bare.address, "cannot agree yet"),
    ):
        with pytest.raises(Denied, match=why):
            ask(keeper, first, second=named)
    phone(keeper, bare)  # but nobody shared the archive with them
    with pytest.raises(Denied, match="cannot agree yet"):
        ask(keeper, first, second=bare.address)
    assert keeper.engine.query("SELECT * FROM glass_breaks") == []


def test_nobody_agrees_to_their_own_by_an_account_at_the_same_mailbox(keeper: Running, clinic: Clinic) -> None:
    org, first, second = clinic
    keeper.owner.glass_rule(org, True)
    twin = third_officer(keeper, clinic, "olive+2@clinic.example")
    with pytest.raises(Denied, match="not the one who asks"):
        ask(keeper, first, second=twin.address)
    asked = ask(keeper, first, second=second.address)
    keeper.engine.write(
        lambda rows: rows.execute(
            "INSERT INTO addresses VALUES ('olive+3@clinic.example', :otto, 'mail', 1)", {"otto": second.account}
        )
    ).result()  # an alias that came after the question
    with pytest.raises(Denied, match="not the one who asks"):
        keeper.portal.glass_agree(second.ticket, second.k, shown(keeper, second), asked.glass.id)


def test_an_officers_word_lets_one_open_the_archive_whom_the_server_made_an_officer(
    keeper: Running, clinic: Clinic
) -> None:
    org, _, _ = clinic
    made = subscriber(keeper, "olga@clinic.example", org, "officer")
    phone(keeper, made)
    with pytest.raises(Denied, match="does not open the archive"):
        ask(keeper, made)
    third = third_officer(keeper, clinic, "odin@clinic.example")
    assert [keys.public_of(seed) for seed in ask(keeper, third).seeds.values()] == [public(keeper, org)]


def test_the_rule_of_two_needs_a_second_officer(keeper: Running) -> None:
    made = keeper.owner.organisation_add("Small", "managed", "")
    subscriber(keeper, "only@small.example", made.id, "officer")
    with pytest.raises(Denied, match="no second officer"):
        keeper.owner.glass_rule(made.id, True)
    with pytest.raises(Denied, match="no such organisation"):
        keeper.owner.glass_rule(0, True)


def test_it_ends_by_itself_and_by_any_officers_word(keeper: Running, clinic: Clinic) -> None:
    _, first, second = clinic
    opened = ask(keeper, first, minutes=5)
    keeper.clock.forward(minutes=4)
    assert keeper.portal.glass_running(first.ticket, opened.glass.id).id == opened.glass.id
    keeper.clock.forward(minutes=1)
    for attempt in (keeper.portal.glass_running, lambda t, i: keeper.portal.glass_open(t, first.k, "", i)):
        with pytest.raises(Ended):
            attempt(first.ticket, opened.glass.id)
    again = ask(keeper, first)
    keeper.portal.glass_end(second.ticket, again.glass.id)
    with pytest.raises(Ended):
        keeper.portal.glass_running(first.ticket, again.glass.id)
    with pytest.raises(Ended):
        keeper.portal.glass_export(first.ticket, again.glass.id, 1, bytes(32))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts SET roles = 'subscriber' WHERE id = :id",
        "UPDATE accounts SET credential_version = credential_version + 1 WHERE id = :id",
    ],
)
def test_a_role_that_is_taken_while_the_password_is_looked_at_counts_already(
    keeper: Running, clinic: Clinic, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    """Requests are answered side by side: what another one commits in the middle of this one decides."""
    _, first, _ = clinic
    before = archives.opened

    def overtaken(*given: Any) -> Any:
        found = before(*given)
        keeper.engine.write(lambda rows: rows.execute(statement, {"id": first.opened.account})).result()
        return found

    asked = ask(keeper, first, minutes=480)
    monkeypatch.setattr(archives, "opened", overtaken)
    with pytest.raises(Denied):
        keeper.portal.glass_open(first.ticket, first.k, shown(keeper, first), asked.glass.id)
    monkeypatch.undo()
    keeper.engine.write(lambda rows: rows.execute("UPDATE accounts SET roles = 'subscriber,officer'")).result()
    known = keeper.engine.query("SELECT count(*) AS n FROM glass_breaks")[0]["n"]
    first.opened = keeper.portal.open_second(keeper.portal.hold(first.address, first.k), shown(keeper, first))
    monkeypatch.setattr(archives, "opened", overtaken)
    with pytest.raises(Denied):
        ask(keeper, first)
    assert keeper.engine.query("SELECT count(*) AS n FROM glass_breaks")[0]["n"] == known == 1


def test_a_question_nobody_answers_is_over_after_a_day(keeper: Running, clinic: Clinic) -> None:
    org, first, second = clinic
    keeper.owner.glass_rule(org, True)
    asked = ask(keeper, first, second=second.address)
    keeper.clock.forward(hours=WAITS / 3_600_000)
    second.opened = keeper.portal.open_second(keeper.portal.hold(second.address, second.k), shown(keeper, second))
    with pytest.raises(Ended):
        keeper.portal.glass_agree(second.ticket, second.k, shown(keeper, second), asked.glass.id)


def test_an_officer_without_a_reason_is_refused(keeper: Running, clinic: Clinic) -> None:
    _, first, _ = clinic
    for reason in ("", "   ", "audit", " " * 40):
        with pytest.raises(Denied, match="Say in a sentence"):
            ask(keeper, first, reason)
    for minutes in (0, 4, 481, 10_000):
        with pytest.raises(Denied, match="between"):
            ask(keeper, first, minutes=minutes)


def test_an_officers_ticket_alone_opens_nothing(keeper: Running, clinic: Clinic) -> None:
    """A browser left open, or a stolen session, does not have the password."""
    org, first, second = clinic
    with pytest.raises(WrongSecret):
        ask(keeper, first, k=os.urandom(32))
    opened = ask(keeper, first)
    with pytest.raises(WrongSecret):
        keeper.portal.glass_open(first.ticket, os.urandom(32), "", opened.glass.id)
    keeper.owner.glass_rule(org, True)
    asked = ask(keeper, first, second=second.address)
    with pytest.raises(WrongSecret):
        keeper.portal.glass_agree(second.ticket, os.urandom(32), shown(keeper, second), asked.glass.id)


def test_an_officers_second_step_is_asked_for_and_there_has_to_be_one(keeper: Running, clinic: Clinic) -> None:
    org, first, _ = clinic
    with pytest.raises(WrongSecret):
        ask(keeper, first, code="000000")
    assert ask(keeper, first).seeds
    third = subscriber(keeper, "new@clinic.example", org, "officer")
    with pytest.raises(Denied, match="second step"):
        ask(keeper, third)
    alone = subscriber(keeper, "carl@home.example")  # what they open is their own mail
    assert ask(keeper, alone).seeds


@pytest.mark.parametrize("roles", [("subscriber",), ("manager",), ("subscriber", "manager")])
def test_whoever_is_no_officer_is_refused(keeper: Running, clinic: Clinic, roles: tuple[str, ...]) -> None:
    org, first, _ = clinic
    other = subscriber(keeper, "max@clinic.example", org, *roles)
    opened = ask(keeper, first)
    attempts = (
        lambda: ask(keeper, other),
        lambda: keeper.portal.glass_agree(other.ticket, other.k, "", opened.glass.id),
        lambda: keeper.portal.glass_open(other.ticket, other.k, "", opened.glass.id),
        lambda: keeper.portal.glass_end(other.ticket, opened.glass.id),
        lambda: keeper.portal.glass_running(other.ticket, opened.glass.id),
        lambda: keeper.portal.glass_export(other.ticket, opened.glass.id, 1, bytes(32)),
    )
    for attempt in attempts:
        with pytest.raises(Denied, match="Only officers"):
            attempt()


def test_an_officer_of_another_organisation_finds_no_such_glass_break(keeper: Running, clinic: Clinic) -> None:
    _, first, _ = clinic
    made = keeper.owner.organisation_add("Other", "managed", "")
    other = subscriber(keeper, "eve@other.example", made.id, "officer")
    phone(keeper, other)
    opened = ask(keeper, first)
    attempts = (
        lambda: keeper.portal.glass_agree(other.ticket, other.k, "", opened.glass.id),
        lambda: keeper.portal.glass_open(other.ticket, other.k, "", opened.glass.id),
        lambda: keeper.portal.glass_end(other.ticket, opened.glass.id),
        lambda: keeper.portal.glass_running(other.ticket, opened.glass.id),
    )
    for attempt in attempts:
        with pytest.raises(Denied, match="no such glass break"):
            attempt()
    theirs = ask(keeper, other)
    assert public(keeper, clinic[0]) not in {keys.public_of(seed) for seed in theirs.seeds.values()}


def test_an_officer_whose_password_was_reset_by_mail_opens_no_archive(keeper: Running, clinic: Clinic) -> None:
    _, first, _ = clinic
    weak = Person(first.address)
    weak.opened = keeper.owner.passwd(first.address, os.urandom(16), PARAMS, weak.k)
    with pytest.raises(CryptnSendError):
        ask(keeper, weak)


def test_an_officer_with_whom_nobody_shared_the_archive_cannot_open_it_or_agree(
    keeper: Running, clinic: Clinic
) -> None:
    org, first, _ = clinic
    third = subscriber(keeper, "new@clinic.example", org, "officer")
    phone(keeper, third)
    opened = ask(keeper, first)
    with pytest.raises(Denied, match="does not open the archive"):
        ask(keeper, third)
    with pytest.raises(Denied, match="Another officer was named"):
        keeper.portal.glass_agree(third.ticket, third.k, shown(keeper, third), opened.glass.id)


def test_only_pages_and_commands_may_ask(keeper: Running, clinic: Clinic) -> None:
    for role in ("submission", "inbound", "mailbox", "courier"):
        for name in ("glass_ask", "glass_agree", "glass_open", "glass_end", "glass_running", "glass_export"):
            with pytest.raises(Denied, match="no such request"):
                keeper.role(role)._ask(type(None), name)


def test_a_manifest_never_goes_backwards_or_changes(keeper: Running, clinic: Clinic) -> None:
    org, _, _ = clinic
    signed = keeper.courier.manifest(org, 5, b"a" * 32)
    assert (signed.seq, signed.hash) == (5, b"a" * 32)
    assert keeper.courier.manifest(org, 5, b"a" * 32).seq == 5
    assert keeper.courier.manifest(org, 6, b"b" * 32).seq == 6
    for seq, head in ((5, b"a" * 32), (6, b"c" * 32), (7, b"short")):
        with pytest.raises(Denied):
            keeper.courier.manifest(org, seq, head)
    with pytest.raises(Denied):
        keeper.courier.manifest(77, 1, b"a" * 32)


def test_one_officer_makes_no_recovery_file_where_the_archive_takes_two(keeper: Running, clinic: Clinic) -> None:
    """The file opens the archive without a reason, a time or anybody's yes: it would get round the rule."""
    org, first, second = clinic
    assert keeper.portal.archive_recovery(first.ticket, first.k, shown(keeper, first)).text
    keeper.owner.glass_rule(org, True)
    for officer in (first, second):
        with pytest.raises(Denied, match="archive rule one"):
            keeper.portal.archive_recovery(officer.ticket, officer.k, shown(keeper, officer))
    keeper.owner.glass_rule(org, False)
    assert keeper.portal.archive_recovery(first.ticket, first.k, shown(keeper, first)).text


def test_a_recovery_file_asks_for_the_second_step_too(keeper: Running, clinic: Clinic) -> None:
    _, first, _ = clinic
    for code in ("", "000000"):
        with pytest.raises(WrongSecret):
            keeper.portal.archive_recovery(first.ticket, first.k, code)
    assert keeper.portal.archive_recovery(first.ticket, first.k, shown(keeper, first)).text
