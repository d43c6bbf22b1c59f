"""Glass break as the house does it: who may, what is seen, that it is told and stands in the trail, and its end."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable

import pytest
import pyzipper

from cryptnsend.core import checkpoints
from cryptnsend.core.checkpoints import Checkpoint, Keys
from cryptnsend.core.errors import CryptnSendError, Denied, Ended, NoGrant, Throttled, WrongSecret
from cryptnsend.flow.glass import Broken, GlassBreaks
from cryptnsend.flow.sessions import Session
from tests.support.house import DAY, PASSWORD, SOURCE, House

ANN, BOB, PAT, EVE = "ann@clinic.example", "bob@clinic.example", "pat@yahoo.example", "eve@other.example"
OLIVE, OTTO = "officer@clinic.example", "otto@clinic.example"
WHY = "Ann is ill and a patient asks for what she wrote."
SECRET = "the canary sings at dawn"


@pytest.fixture
def clinic(house: House) -> int:
    """A clinic with two officers, Ann and Bob; mail of Ann's to Pat with Carl in secret, and of Bob's."""
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    house.add_subscriber(BOB, organisation=org, name="Bob")
    house.add_subscriber(OTTO, organisation=org, name="Otto", roles=("officer",))
    house.add_subscriber(EVE, name="Eve")
    house.second(OLIVE)
    olive, number = house.session(OLIVE), house.number(OLIVE)
    house.portal.organisations.set_roles(olive, house.account(OTTO), ["officer"], PASSWORD, SOURCE, number)
    house.second(OTTO)
    return org


@pytest.fixture
def message(house: House, clinic: int) -> int:
    return house.submit(
        ANN, [PAT, "carl@x.example"], house.mail("Lab", SECRET, author=ANN, to=[PAT], bcc=["carl@x.example"])
    )


def glass(house: House) -> GlassBreaks:
    return house.portal.glass


def ask(
    house: House, session: Session, mailbox: str = ANN, reason: str = WHY, minutes: int = 30, second: str = ""
) -> int:
    return glass(house).ask(session, PASSWORD, house.number(session.address), mailbox, reason, minutes, SOURCE, second)


def opened(house: House, mailbox: str = ANN) -> Broken:
    olive = house.session(OLIVE)
    return glass(house).broken(olive, ask(house, olive, mailbox))


def test_an_officer_reads_one_mailbox_and_no_other(house: House, clinic: int, message: int) -> None:
    bobs = house.submit(BOB, [PAT], house.mail("Other", SECRET, author=BOB))
    broken = opened(house)
    assert [(row["id"], subject) for row, subject in glass(house).mails(broken)] == [(message, "Lab")]
    shown = glass(house).show(broken, message)
    assert SECRET in (shown.body.text or "")
    assert ([each.address for each in shown.to], [each.address for each in shown.bcc]) == ([PAT], ["carl@x.example"])
    assert b"Bcc: carl@x.example" in b"".join(glass(house).eml(broken, message).chunks)
    for attempt in (glass(house).show, glass(house).eml, glass(house).index):
        with pytest.raises(NoGrant):
            attempt(broken, bobs)


def test_every_opened_message_is_in_the_audit_trail_before_it_is_seen(house: House, clinic: int, message: int) -> None:
    broken = opened(house)
    glass(house).show(broken, message)
    glass(house).eml(broken, message)
    rows = house.engine.query(
        "SELECT actor, action, object, detail FROM audit WHERE org = :org AND (action LIKE 'glass.%' OR action LIKE"
        " 'archive.%') ORDER BY seq",
        org=clinic,
    )
    holder = f"account:{house.account(OLIVE)}"
    assert [(row["actor"], row["action"]) for row in rows] == [
        (holder, "glass.asked"), (holder, "glass.opened"), (holder, "archive.opened"), (holder, "archive.exported"),
    ]  # fmt: skip
    assert json.loads(rows[0]["detail"]) == {"mailbox": ANN, "reason": WHY, "minutes": 30}
    assert {row["object"] for row in rows[2:]} == {str(message)}
    assert json.loads(rows[2]["detail"])["glass"] == str(broken.id)


def test_officers_and_whose_mail_it_is_are_told_at_once(house: House, clinic: int, message: int) -> None:
    before, rings = len(house.alerts()), house.rings
    opened(house)
    assert sorted(house.alerts()[before:]) == sorted(
        [(OLIVE, "glass-opened"), (OTTO, "glass-opened"), (ANN, "glass-opened-yours")]
    )
    assert house.rings > rings


def test_with_two_officers_the_other_one_is_asked_and_has_to_agree(house: House, clinic: int, message: int) -> None:
    house.keeper("owner").glass_rule(clinic, True)
    olive, otto, before = house.session(OLIVE), house.session(OTTO), len(house.alerts())
    with pytest.raises(Denied, match="Name the officer"):
        ask(house, olive)
    assert glass(house).others(olive) == [OTTO]
    ident = ask(house, olive, second=" Otto@Clinic.example".strip())
    assert sorted(house.alerts()[before:]) == sorted(
        [(OTTO, "glass-asked"), (OLIVE, "glass-asked-other"), (ANN, "glass-asked-yours")]
    )
    (row,) = house.engine.query("SELECT detail FROM audit WHERE action = 'glass.asked'")
    assert json.loads(row["detail"])["second"] == f"account:{house.account(OTTO)}"
    waiting = glass(house).listing(otto)[0]
    assert (waiting["named"], waiting["agreed"], waiting["second"]) == (OTTO, None, house.account(OTTO))
    with pytest.raises(Denied):
        glass(house).broken(olive, ident)
    with pytest.raises(Denied):
        glass(house).open(olive, PASSWORD, house.number(olive.address), ident, SOURCE)
    glass(house).agree(otto, PASSWORD, house.number(otto.address), ident, SOURCE)
    glass(house).open(olive, PASSWORD, house.number(olive.address), ident, SOURCE)
    assert SECRET in (glass(house).show(glass(house).broken(olive, ident), message).body.text or "")
    listed = glass(house).listing(otto)[0]
    assert (listed["asker"], listed["agreer"], listed["reason"]) == (OLIVE, OTTO, WHY)


def test_it_ends_by_itself_and_what_opened_it_is_forgotten(house: House, clinic: int, message: int) -> None:
    broken = opened(house)
    olive = house.session(OLIVE)
    house.clock.forward(30 * 60_000)
    with pytest.raises(Ended):
        glass(house).broken(olive, broken.id)
    house.upkeep.once()
    row = house.engine.query("SELECT session, sealed, ended FROM glass_breaks")[0]
    assert (row["session"], row["sealed"]) == (None, None)
    assert ("upkeep", "glass.ended") in house.audited(clinic)
    house.upkeep.once()
    assert house.audited(clinic).count(("upkeep", "glass.ended")) == 1


def test_a_row_that_says_it_lasts_longer_makes_it_last_no_longer(house: House, clinic: int, message: int) -> None:
    """Whoever can write rows keeps a glass break open for ever otherwise."""
    olive = house.session(OLIVE)
    ident = ask(house, olive)
    house.tamper("UPDATE glass_breaks SET ends = ends + :more", more=DAY)
    house.clock.forward(30 * 60_000)
    with pytest.raises(Ended):
        glass(house).broken(olive, ident)


def test_any_officer_ends_it_before_its_time(house: House, clinic: int, message: int) -> None:
    olive = house.session(OLIVE)
    ident = ask(house, olive)
    glass(house).end(house.session(OTTO), ident)
    with pytest.raises(Ended):
        glass(house).broken(olive, ident)


@pytest.mark.parametrize("how", ["roles", "disable", "hand-over", "owner"])
def test_it_ends_for_good_with_the_role_of_who_asked(house: House, clinic: int, message: int, how: str) -> None:
    """A role that is given back later, within the time that was asked for, opens nothing again."""
    broken = opened(house)
    otto, olive, people = house.session(OTTO), house.account(OLIVE), house.portal.organisations
    if how == "roles":
        people.set_roles(otto, olive, ["subscriber"], PASSWORD, SOURCE)
        people.set_roles(otto, olive, ["subscriber", "officer"], PASSWORD, SOURCE)
    elif how == "disable":
        people.disable(otto, olive, PASSWORD, SOURCE)
        people.enable(otto, olive, PASSWORD, SOURCE)
    elif how == "hand-over":
        people.hand_over(otto, olive, BOB, PASSWORD, SOURCE)
    else:
        house.owner.owner.disable(OLIVE)
        house.owner.owner.enable(OLIVE)
    row = house.engine.query("SELECT session, sealed, ended FROM glass_breaks")[0]
    assert (row["session"], row["sealed"], row["ended"]) == (None, None, house.clock.now())
    assert house.audited(clinic).count(("keeper", "glass.ended")) == 1
    known = house._ledger.query("SELECT ends FROM glass_breaks")[0]
    assert known["ends"] <= house.clock.now()
    if how != "hand-over":
        with pytest.raises(Ended):
            glass(house).open(house.session(OLIVE), PASSWORD, house.number(OLIVE), broken.id, SOURCE)


def test_it_is_open_in_the_browser_that_asked_and_in_no_other(house: House, clinic: int, message: int) -> None:
    ident = ask(house, house.session(OLIVE))
    again = house.session(OLIVE)
    with pytest.raises(Denied, match="another browser"):
        glass(house).broken(again, ident)
    glass(house).open(again, PASSWORD, house.number(again.address), ident, SOURCE)
    assert glass(house).broken(again, ident).mailbox == ANN


def test_wrong_passwords_are_counted_like_those_of_a_sign_in(house: House, clinic: int) -> None:
    olive = house.session(OLIVE)
    for number in range(house.config.limits.sign_in_failures):
        with pytest.raises((WrongSecret, Throttled)):
            glass(house).ask(olive, f"wrong {number} password", "", ANN, WHY, 30, SOURCE)
    with pytest.raises(Throttled):
        ask(house, olive)


def test_an_officer_without_a_reason_is_refused_and_leaves_no_row(house: House, clinic: int) -> None:
    olive = house.session(OLIVE)
    for reason in ("", " \n ", "because"):
        with pytest.raises(Denied, match="Say in a sentence"):
            ask(house, olive, reason=reason)
    assert house.engine.query("SELECT * FROM glass_breaks") == []


def test_an_officer_without_a_second_step_opens_nothing(house: House) -> None:
    house.organisation("Clinic")
    with pytest.raises(Denied, match="second step"):
        ask(house, house.session(OLIVE))


def test_naming_somebody_outside_tells_those_who_wrote_with_them(house: House, clinic: int, message: int) -> None:
    opened(house, PAT)
    told = house.alerts()
    assert (ANN, "glass-opened-between") in told
    assert BOB not in [address for address, _ in told]


Attempt = Callable[[House, Session, int], object]
ATTEMPTS: dict[str, Attempt] = {
    "ask": lambda house, session, ident: ask(house, session),
    "agree": lambda house, session, ident: glass(house).agree(
        session, PASSWORD, house.number(session.address), ident, SOURCE
    ),
    "open": lambda house, session, ident: glass(house).open(
        session, PASSWORD, house.number(session.address), ident, SOURCE
    ),
    "read": lambda house, session, ident: glass(house).broken(session, ident),
    "end": lambda house, session, ident: glass(house).end(session, ident),
    "list": lambda house, session, ident: glass(house).listing(session),
}


@pytest.mark.parametrize("who", ["subscriber", "manager", "recipient"])
def test_nobody_else_asks_agrees_opens_reads_ends_or_lists(house: House, clinic: int, message: int, who: str) -> None:
    ident = ask(house, house.session(OLIVE))
    if who == "subscriber":
        session = house.session(BOB)
    elif who == "manager":
        house.add_subscriber("mona@clinic.example", organisation=clinic, name="Mona", roles=("subscriber", "manager"))
        session = house.session("mona@clinic.example")
    else:
        session = house.register(PAT, message)
    for attempt in ATTEMPTS.values():
        with pytest.raises(Denied):
            attempt(house, session, ident)
    assert glass(house).broken  # the house still stands


def test_an_officer_of_another_organisation_does_none_of_it_to_this_one(
    house: House, clinic: int, message: int
) -> None:
    ident, eve = ask(house, house.session(OLIVE)), house.session(EVE)
    for name in ("agree", "open", "read", "end"):
        with pytest.raises(Denied):
            ATTEMPTS[name](house, eve, ident)
    assert glass(house).listing(eve) == []
    assert glass(house).mails(glass(house).broken(eve, ask(house, eve))) == []  # of an archive of their own


def test_another_organisations_officer_reads_nothing_even_with_everything_the_rows_say(
    house: House, clinic: int, message: int
) -> None:
    """Eve's own glass break, moved by an UPDATE to the clinic and its mailbox."""
    eve = house.session(EVE)
    ident = ask(house, eve, EVE)
    house.tamper("UPDATE glass_breaks SET mailbox = :ann WHERE id = :id", ann=ANN, id=ident)
    assert glass(house).broken(eve, ident).mailbox == EVE  # the keeper says whose
    house.tamper("UPDATE glass_breaks SET org = :org WHERE id = :id", org=clinic, id=ident)
    with pytest.raises(Denied):
        glass(house).broken(eve, ident)
    house.tamper("UPDATE accounts SET org = :org WHERE id = :id", org=clinic, id=eve.account)
    moved = house.session(EVE)
    with pytest.raises(CryptnSendError):
        glass(house).show(glass(house).broken(moved, ident), message)


# -- export for a case ------------------------------------------------------------------------------------------------


def unzipped(octets: bytes, password: str) -> dict[str, bytes]:
    with pyzipper.AESZipFile(io.BytesIO(octets)) as file:
        file.setpassword(password.encode())
        return {name: file.read(name) for name in file.namelist()}


def test_a_case_goes_out_as_mail_files_with_a_signed_list(house: House, clinic: int, message: int) -> None:
    house.submit(ANN, [PAT], house.mail("Other", "of no case", author=ANN))
    house.owner.archiving.hold_message(clinic, "Smith", message, WHY, "owner", {})
    house.clock.forward(DAY)
    house.upkeep.once()
    broken = opened(house)
    files = unzipped(b"".join(house.portal.casework.export(broken, "pass phrase", "Smith")), "pass phrase")
    assert set(files) == {f"mail/{message}.eml", "manifest.json", "manifest.sig.json"}
    assert SECRET.encode() in files[f"mail/{message}.eml"]
    said = json.loads(files["manifest.json"])
    (one,) = said["messages"]
    assert one["sha256"] == hashlib.sha256(files[one["file"]]).hexdigest()
    assert (said["mailbox"], said["case"], said["reason"]) == (ANN, "Smith", WHY)
    assert one["entry"]["number"] == 1
    assert said["manifests"][0]["entry"] == 2
    # A stranger checks it: the list under both signatures, and the archive's own manifest too.
    import base64

    def octets(text: str) -> bytes:
        return base64.b64decode(text)

    signed = json.loads(files["manifest.sig.json"])
    keys = Keys(octets(signed["keys"]["ed25519"]), octets(signed["keys"]["ml-dsa-65"]))
    assert bytes.fromhex(signed["sha256"]) == hashlib.sha256(files["manifest.json"]).digest()
    for label, each, seq, digest in (
        ("export", signed, signed["entries"], signed["sha256"]),
        ("manifest", said["manifests"][0], said["manifests"][0]["entry"], said["manifests"][0]["hash"]),
    ):
        point = Checkpoint(
            clinic, seq, bytes.fromhex(digest), each["at"], octets(each["ed25519"]), octets(each["ml-dsa-65"])
        )
        checkpoints.check(point, keys, label)
    exported = [row for row in house.audited(clinic) if row[1] == "archive.exported"]
    assert len(exported) == 1


def test_an_export_without_a_case_has_the_whole_mailbox_and_an_empty_one_is_refused(
    house: House, clinic: int, message: int
) -> None:
    other = house.submit(BOB, [ANN], house.mail("To Ann", author=BOB, to=[ANN]))
    broken = opened(house)
    assert [row["id"] for row in house.portal.casework.found(broken)] == [message, other]
    with pytest.raises(Denied, match="nothing of this mailbox and case"):
        house.portal.casework.export(broken, "x", "Nobody")


def test_an_export_under_way_when_the_time_ends_gets_no_signature(house: House, clinic: int, message: int) -> None:
    pieces = house.portal.casework.export(opened(house), "x")
    house.clock.forward(30 * 60_000)
    with pytest.raises(Ended):
        b"".join(pieces)


def test_a_recovery_file_is_told_to_all_officers_and_stands_in_the_trail(house: House, clinic: int) -> None:
    olive = house.session(OLIVE)
    assert house.accounts.recovery_file(olive, PASSWORD, house.number(olive.address), SOURCE).text
    assert {(OLIVE, "recovery-file-made"), (OTTO, "recovery-file-made-by-officer")} <= set(house.alerts())
    assert (f"account:{olive.account}", "recovery.made") in house.audited(clinic)
