"""What an archive has cannot be edited or deleted before its time: not by a command, an ending, or upkeep."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cryptnsend.core.errors import CryptnSendError, Denied, KeeperGone, NoGrant
from cryptnsend.core.model import archive_holder
from cryptnsend.flow.archiving import Wanted
from cryptnsend.flow.sessions import Session
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Witnessed
from tests.support.house import DAY, HOUR, PASSWORD, SOURCE, House, MakeHouse
from tests.support.terminal import Operator

ANN, PAT, BOB, EVE = "ann@clinic.example", "pat@yahoo.example", "bob@clinic.example", "eve@other.example"
WHY = "The lawyers of case 17 asked for it."


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """A clinic that keeps mail for sixty days."""
    made = make_house(life={"retention_days": 60})
    clinic = made.organisation("Clinic")
    made.add_subscriber(ANN, organisation=clinic)
    made.add_subscriber(BOB, organisation=clinic, name="Bob")
    made.add_subscriber(EVE, name="Eve")
    return made


@pytest.fixture
def clinic(house: House) -> int:
    return house.session(ANN).organisation


def rests(house: House, message: int, org: int) -> list[object]:
    """Return everything that an archive needs of a message, as it rests."""
    grant = house.engine.query(
        "SELECT id, org, message, holder, role, contact, custody, epoch, wrap FROM grants"
        " WHERE message = :message AND holder = :holder",
        message=message,
        holder=archive_holder(org),
    )
    contents = house.engine.query("SELECT * FROM contents WHERE message = :message ORDER BY part", message=message)
    blobs = [b"".join(house.portal.blobs.open(row["blob_key"])) for row in contents if row["blob_key"]]
    epochs = house.engine.query(
        "SELECT e.* FROM epochs e JOIN grants g ON g.epoch = e.id WHERE g.message = :message AND g.holder = :holder",
        message=message,
        holder=archive_holder(org),
    )
    people = house.engine.query("SELECT address FROM recipients WHERE message = :m ORDER BY address", m=message)
    return [grant, contents, blobs, epochs, people]


def pass_days(house: House, days: float) -> None:
    """Let time pass as a server that runs sees it."""
    for _ in range(int(days)):
        house.clock.forward(DAY)
        house.upkeep.once()


def verified(house: House, org: int) -> tuple[str, ...]:
    return house.owner.archiving.verify(org).problems


# -- nothing deletes it before the end --------------------------------------------------------------------------------


def closes(house: House, address: str) -> None:
    house.accounts.close(house.session(address), PASSWORD, SOURCE)


ENDINGS: dict[str, Callable[[House, int, Session], object]] = {
    "take back": lambda house, message, ann: house.pickup.expire(ann, message),
    "delete for good": lambda house, message, ann: house.pickup.shred(ann, message),
    "trash": lambda house, message, ann: house.portal.folders.throw_away(ann, message, "author"),
    "close the author": lambda house, message, ann: closes(house, ANN),
    "close the recipient": lambda house, message, ann: closes(house, PAT),
    "close everybody": lambda house, message, ann: (closes(house, ANN), closes(house, PAT), closes(house, BOB)),
    "reset": lambda house, message, ann: (house.reset(ANN), house.reset(PAT)),
    "disable": lambda house, message, ann: house.owner.owner.disable(ANN),
    "expire": lambda house, message, ann: pass_days(house, 31),
    "block": lambda house, message, ann: house.accounts.block(house.session(PAT), message, report=True),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("octets", [100, 100_000], ids=["in its row", "in a blob"])
def test_no_ending_takes_anything_from_the_archive_before_the_retention(
    house: House, clinic: int, ending: str, octets: int
) -> None:
    message = house.submit(ANN, [PAT, BOB], house.mail(text="x" * octets, author=ANN, to=[PAT, BOB]))
    house.register(PAT, message)
    before = rests(house, message, clinic)
    assert before[0]
    ENDINGS[ending](house, message, house.session(ANN) if ending not in ("disable",) else house.session(BOB))
    pass_days(house, 20)  # longer than what can be undone
    assert rests(house, message, clinic) == before
    assert verified(house, clinic) == ()


COMMANDS = {
    "message expire": ("message", "expire", "MESSAGE"),
    "subscriber disable": ("subscriber", "disable", ANN),
    "subscriber passwd": ("subscriber", "passwd", ANN, "--forgotten"),
    "queue drop": ("queue", "drop", "DELIVERY"),
    "policy default": ("policy", "default", "plain", "--organisation", "Clinic", "--why", "x"),
    "vault verify": ("vault", "verify"),
    "audit verify": ("audit", "verify"),
    "archive verify": ("archive", "verify"),
    "archive release": ("archive", "release", "Smith", "--organisation", "Clinic"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_takes_anything_from_the_archive(
    house: House, clinic: int, operator: Operator, command: str
) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    delivery = house.queued("notice")[-1]["id"]
    before = rests(house, message, clinic)
    house.owner.archiving.hold_message(clinic, "Smith", message, WHY, "owner", {})
    words = [{"MESSAGE": message, "DELIVERY": delivery}.get(each, each) for each in COMMANDS[command]]
    operator.run(*words, passwords=("another long pass phrase here",) if "passwd" in command else (), code=None)
    house.upkeep.once()
    assert rests(house, message, clinic) == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM grants WHERE message = :message",
        "DELETE FROM grants WHERE message = :message AND role = 'archive'",
        "UPDATE grants SET wrap = x'00' WHERE message = :message",
        "UPDATE grants SET holder = 'account:1' WHERE message = :message AND role = 'archive'",
        "DELETE FROM contents WHERE message = :message",
        "UPDATE contents SET body = x'00' WHERE message = :message",
        "DELETE FROM recipients WHERE message = :message",
        "DELETE FROM messages WHERE id = :message",
    ],
)
def test_the_store_itself_refuses_statements_that_would(house: House, clinic: int, statement: str) -> None:
    """So that a mistake in any command, today's or tomorrow's, ends in an error and not in a loss."""
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    before = rests(house, message, clinic)
    with pytest.raises(Exception, match=r"the archive keeps this message|FOREIGN KEY"):
        house.tamper(statement, message=message)
    assert rests(house, message, clinic) == before


def test_a_journal_that_somebody_wrote_into_takes_nothing_from_the_archive_at_a_restore(
    house: House, clinic: int
) -> None:
    """Every role may write endings into the journal; one that was taken over would write those of archives."""
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    before = rests(house, message, clinic)
    ids = [row["id"] for row in house.engine.query("SELECT id FROM grants WHERE message = :m", m=message)]
    house.keeper("submission").ended("suspend", ids)
    house.keeper("submission").ended("shred", ids)
    house.upkeep.restored()
    pass_days(house, 20)
    assert rests(house, message, clinic) == before


def test_what_is_older_than_the_retention_goes_and_the_manifest_still_fits(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    pass_days(house, 69)
    assert rests(house, message, clinic)[0] == []
    assert verified(house, clinic) == ()


# -- legal holds ------------------------------------------------------------------------------------------------------


def test_a_case_keeps_a_message_whatever_its_age_until_it_is_released(house: House, clinic: int) -> None:
    kept = house.submit(ANN, [PAT], house.mail(author=ANN))
    other = house.submit(ANN, [PAT], house.mail(author=ANN))
    before = rests(house, kept, clinic)
    archiving = house.owner.archiving
    archiving.hold_message(clinic, "Smith", kept, WHY, "owner", {})
    pass_days(house, 80)
    assert rests(house, kept, clinic) == before
    assert rests(house, other, clinic)[0] == []
    house.tamper("UPDATE grants SET state = 'suspended' WHERE message = :m", m=kept)
    with pytest.raises(Exception, match="the archive keeps"):
        house.tamper("DELETE FROM grants WHERE message = :m", m=kept)
    house.tamper("UPDATE grants SET state = 'active' WHERE message = :m", m=kept)
    assert archiving.release(clinic, "Smith", "owner", {}) == 1
    pass_days(house, 9)
    assert rests(house, kept, clinic)[0] == []


@pytest.mark.parametrize("whose", [ANN, BOB], ids=["its author's", "its recipient's"])
def test_a_case_about_an_account_keeps_all_it_sent_and_got_though_it_is_closed(
    house: House, clinic: int, whose: str
) -> None:
    message = house.submit(ANN, [BOB], house.mail(author=ANN, to=[BOB]))
    house.owner.archiving.hold_account(clinic, "Smith", whose, WHY, "owner", {})
    closes(house, whose)
    before = rests(house, message, clinic)
    pass_days(house, 80)
    assert rests(house, message, clinic) == before
    assert [row["held"] for row in house.owner.archiving.search(clinic, Wanted())] == [1]


def test_a_case_that_comes_when_the_retention_is_just_over_still_keeps(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    before = rests(house, message, clinic)
    pass_days(house, 63)
    house.owner.archiving.hold_message(clinic, "Smith", message, WHY, "owner", {})
    pass_days(house, 20)
    assert rests(house, message, clinic) == before


def test_two_cases_keep_until_both_are_released(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    before = rests(house, message, clinic)
    for case in ("Smith", "Jones"):
        house.owner.archiving.hold_message(clinic, case, message, WHY, "owner", {})
    house.owner.archiving.release(clinic, "Smith", "owner", {})
    pass_days(house, 80)
    assert rests(house, message, clinic) == before


def test_a_hold_needs_a_name_a_reason_and_something_of_the_organisation(house: House, clinic: int) -> None:
    archiving = house.owner.archiving
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    theirs = house.submit(EVE, [PAT], house.mail(author=EVE))
    attempts: list[tuple[Callable[[], object], type[CryptnSendError]]] = [
        (lambda: archiving.hold_message(clinic, "", message, WHY, "owner", {}), Denied),
        (lambda: archiving.hold_message(clinic, "x" * 81, message, WHY, "owner", {}), Denied),
        (lambda: archiving.hold_message(clinic, "a\nb", message, WHY, "owner", {}), Denied),
        (lambda: archiving.hold_message(clinic, "Smith", message, "why", "owner", {}), Denied),
        (lambda: archiving.hold_message(clinic, "Smith", theirs, WHY, "owner", {}), NoGrant),
        (lambda: archiving.hold_account(clinic, "Smith", EVE, WHY, "owner", {}), NoGrant),
        (lambda: archiving.release(clinic, "Nobody", "owner", {}), NoGrant),
    ]
    for attempt, error in attempts:
        with pytest.raises(error):
            attempt()
    assert archiving.holds(clinic) == []


def test_holds_are_in_the_audit_trail(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    house.owner.archiving.hold_message(clinic, "Smith", message, WHY, "account:7", {})
    house.owner.archiving.release(clinic, "Smith", "account:7", {})
    assert [each for each in house.audited(clinic) if each[1].startswith("hold.")] == [
        ("account:7", "hold.placed"),
        ("account:7", "hold.released"),
    ]


# -- the manifest -----------------------------------------------------------------------------------------------------


def test_each_days_mail_is_listed_and_signed_the_next_day(house: House, clinic: int) -> None:
    sent = [house.submit(ANN, [PAT], house.mail(author=ANN)) for _ in range(3)]
    house.upkeep.once()
    assert house.owner.archiving.verify(clinic).entries == 0
    house.clock.forward(DAY)
    house.upkeep.once()
    found = house.owner.archiving.verify(clinic)
    assert (found.entries, found.signed, found.problems) == (3, 3, ())
    listed = house.engine.query("SELECT message FROM archived WHERE org = :org ORDER BY seq", org=clinic)
    assert [row["message"] for row in listed] == sent
    assert ("upkeep", "archive.signed") in house.audited(clinic)
    house.submit(ANN, [PAT], house.mail(author=ANN))
    pass_days(house, 1)
    assert house.owner.archiving.verify(clinic).signed == 4


def test_nothing_is_listed_in_the_first_hour_of_a_day(house: House, clinic: int) -> None:
    house.submit(ANN, [PAT], house.mail(author=ANN))
    house.clock.forward(DAY - house.clock.now() % DAY + HOUR // 2)
    assert house.owner.archiving.list_yesterday() == 0
    house.clock.forward(HOUR)
    assert house.owner.archiving.list_yesterday() > 0
    assert house.owner.archiving.list_yesterday() == 0


TAMPERINGS = {
    "edited content": (
        "UPDATE contents SET body = zeroblob(length(body)) WHERE message = :m AND part = 'raw'", "content changed",
    ),
    "cut content": ("UPDATE contents SET body = x'00' WHERE message = :m AND part = 'raw'", "or its content is"),
    "edited size": ("UPDATE messages SET size = size + 1 WHERE id = :m", "envelope changed"),
    "edited author": (
        "UPDATE messages SET author_address = (SELECT max(id) FROM addresses) WHERE id = :m", "envelope changed",
    ),
    "edited recipients": ("DELETE FROM recipients WHERE message = :m", "envelope changed"),
    "edited time": ("UPDATE messages SET created = created - 5 WHERE id = :m", "time changed"),
    "removed grant": ("DELETE FROM grants WHERE message = :m AND role = 'archive'", "is missing"),
    "edited entry": ("UPDATE archived SET at = at + 1 WHERE message = :m", "entry 2 of the manifest"),
    "removed entry": ("DELETE FROM archived WHERE message = :m", "entry 2 of the manifest"),
    "cut off": ("DELETE FROM archived WHERE seq >= 2", "not those that were signed"),
    "forged signature": ("UPDATE manifests SET ed25519 = zeroblob(64)", "not signed by this server's keeper"),
    "removed signature and end": ("DELETE FROM manifests", ""),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERINGS)
def test_each_way_of_changing_an_archive_behind_everybodys_back_is_found(house: House, clinic: int, how: str) -> None:
    sent = [house.submit(ANN, [PAT], house.mail(author=ANN)) for _ in range(3)]
    pass_days(house, 1)
    assert verified(house, clinic) == ()
    for trigger in house.engine.query("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        house.tamper(f"DROP TRIGGER {trigger['name']}")
    statement, said = TAMPERINGS[how]
    house.tamper(statement, **({"m": sent[1]} if ":m" in statement else {}))
    if how == "removed signature and end":
        house.tamper("DELETE FROM archived WHERE seq >= 2")
        said = "missing or were changed"  # the keeper remembers how far it had come
    assert any(said in problem for problem in verified(house, clinic)), verified(house, clinic)


def test_a_blob_that_was_changed_on_the_disk_is_found(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN, text="x" * 100_000))
    pass_days(house, 1)
    key = house.engine.query("SELECT blob_key FROM contents WHERE message = :m AND part = 'raw'", m=message)[0]
    found = next(path for path in house.home.blobs.rglob("*") if path.name == key["blob_key"])
    octets = bytearray(found.read_bytes())
    octets[5000] ^= 1
    found.chmod(0o600)
    found.write_bytes(octets)
    assert verified(house, clinic) == (f"message {message}: its content changed",)


def blob_of(house: House, message: int) -> Path:
    """Return where the content of a message rests on the disk."""
    key = house.engine.query("SELECT blob_key FROM contents WHERE message = :m AND part = 'raw'", m=message)[0]
    return next(path for path in house.home.blobs.rglob("*") if path.name == key["blob_key"])


@pytest.mark.parametrize("how", ["unlinked", "cut short"])
def test_one_missing_blob_is_listed_as_that_and_keeps_nobody_from_a_signed_manifest(
    house: House, clinic: int, how: str
) -> None:
    sent = [house.submit(ANN, [PAT], house.mail(author=ANN, text="x" * 100_000)) for _ in range(3)]
    eves = house.session(EVE).organisation
    house.submit(EVE, [PAT], house.mail(author=EVE))
    blob = blob_of(house, sent[1])
    blob.chmod(0o600)
    if how == "unlinked":
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes()[:50_000])
    litter = house.home.blobs / ("ab" * 20)
    litter.write_bytes(b"nobody names this")
    os.utime(litter, (1, 1))
    pass_days(house, 1)
    found, others = (house.owner.archiving.verify(org) for org in (clinic, eves))
    assert found.problems == (f"message {sent[1]}: its content was missing when it was listed",)
    assert (found.entries, found.signed) == (3, 3)
    assert (others.entries, others.signed, others.problems) == (1, 1, ())
    assert not litter.exists()


def test_a_manifest_that_the_keeper_does_not_sign_keeps_nobody_from_theirs(
    house: House, clinic: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign, eves = Keeper.manifest, house.session(EVE).organisation

    def manifest(keeper: Keeper, org: int, seq: int, digest: bytes) -> Witnessed:
        if org == min(clinic, eves):
            raise KeeperGone("The keeper is busy.")
        return sign(keeper, org, seq, digest)

    for author in (ANN, EVE):
        house.submit(author, [PAT], house.mail(author=author))
    with monkeypatch.context() as patched:
        patched.setattr(Keeper, "manifest", manifest)
        pass_days(house, 1)
    signed = {org: house.owner.archiving.verify(org).signed for org in (clinic, eves)}
    assert signed == {min(clinic, eves): 0, max(clinic, eves): 1}


def test_a_message_that_nobody_listed_in_two_days_is_told(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    house.clock.forward(DAY)
    assert verified(house, clinic) == ()
    house.clock.forward(DAY + HOUR)
    assert verified(house, clinic) == (f"message {message} is in no manifest, though it is older than two days",)


# -- finding ----------------------------------------------------------------------------------------------------------


def test_an_archive_is_searched_by_metadata(house: House, clinic: int) -> None:
    first = house.submit(ANN, [PAT], house.mail(author=ANN))
    start = house.clock.now()
    house.clock.forward(HOUR)
    second = house.submit(BOB, [PAT, ANN], house.mail(author=BOB, to=[PAT], bcc=[ANN]))
    house.submit(EVE, [PAT], house.mail(author=EVE))
    house.owner.archiving.hold_message(clinic, "Smith", first, WHY, "owner", {})

    def found(**wanted: object) -> list[int]:
        return [row["id"] for row in house.owner.archiving.search(clinic, Wanted(**wanted))]  # type: ignore[arg-type]

    assert found() == [second, first]
    assert found(author=ANN) == [first]
    assert found(recipient=PAT) == [second, first]
    assert found(address=ANN) == [second, first]
    assert found(since=start + 1) == [second]
    assert found(until=start) == []
    assert found(case="Smith") == [first]
    name = house.engine.query("SELECT message_id FROM messages WHERE id = :m", m=second)[0]["message_id"]
    assert found(message_id=name) == [second]


def test_a_search_does_not_tell_whom_another_organisations_author_wrote_to_in_secret(house: House, clinic: int) -> None:
    """Ann of the clinic got Eve's mail; that Pat got it too stood in Bcc."""
    house.prove(house.session(ANN), ANN, house.submit(EVE, [ANN], house.mail(author=EVE, to=[ANN])))
    message = house.submit(EVE, [ANN, PAT], house.mail(author=EVE, to=[ANN], bcc=[PAT]))
    archiving, eve = house.owner.archiving, house.session(EVE).organisation
    assert message in [row["id"] for row in archiving.search(clinic, Wanted(address=ANN))]
    assert archiving.search(clinic, Wanted(recipient=PAT)) == []
    assert archiving.search(clinic, Wanted(address=PAT)) == []
    assert [row["id"] for row in archiving.search(eve, Wanted(recipient=PAT))] == [message]
    assert {row["recipients"] for row in archiving.search(clinic, Wanted(author=EVE))} == {1}
