"""What do edited rows change about who gets which key? Nothing that opens."""

from __future__ import annotations

from contextlib import closing

import pytest

from cryptnsend.core import keys
from cryptnsend.core.errors import CryptnSendError, NoGrant, Refusal, SealBroken, Temporary
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.store.records import accounts
from tests.flow.answering import answer, message_id, reply
from tests.flow.rows import count, deliveries, grants, recipients, thread_of
from tests.support.house import HOUR, House, MakeHouse

ANN, PAT, BOB, EVE = "ann@gmail.example", "pat@yahoo.example", "bob@clinic.example", "eve@mail.example"


def sealed_for(house: House, message: int, role: str = "recipient") -> set[str]:
    return {holder for holder, each in grants(house, message) if each == role}


@pytest.fixture
def known(house: House, ann: int) -> int:
    """Pat is proven to Ann, and Eve is somebody else here."""
    message = house.submit(ANN, [PAT, EVE], house.mail(to=[PAT, EVE]))
    house.register(EVE, message)
    return house.register(PAT, message).account


def test_an_address_row_that_names_somebody_else_turns_no_mail_to_them(house: House, ann: int, known: int) -> None:
    house.tamper("UPDATE addresses SET account = :eve WHERE canonical = :pat", eve=house.account(EVE), pat=PAT)
    message = house.submit(ANN, [PAT], house.mail())
    assert sealed_for(house, message) == {f"address:{PAT}"}
    with pytest.raises(NoGrant):
        house.pickup.show(house.session(EVE), message)


@pytest.mark.parametrize("column", ["body", "signature", "version"])
def test_an_edited_card_stops_mail_to_its_holder(house: House, ann: int, known: int, column: str) -> None:
    house.submit(ANN, [PAT], house.mail())
    eve = house.account(EVE)
    house.tamper(
        f"UPDATE cards SET {column} = (SELECT {column} FROM cards WHERE holder = :eve ORDER BY version DESC LIMIT 1)"  # noqa: S608
        + (" + 40" if column == "version" else "")
        + " WHERE holder = :pat",
        eve=f"account:{eve}",
        pat=f"account:{known}",
    )
    other = house.process("submission")  # a process that has not seen the card yet
    with closing(other.keeper), pytest.raises((SealBroken, Temporary)):
        _submit_through(house, other.admission)
    assert count(house, "messages") == 2


@pytest.mark.parametrize("change", ["state", "statement", "account", "subscriber"])
def test_an_edited_contact_lets_nobody_past_the_code(house: House, ann: int, known: int, change: str) -> None:
    house.add_subscriber(BOB, name="Bob")
    house.submit(BOB, [PAT], house.mail(author=BOB))
    bob = house.account(BOB)
    if change == "state":
        house.tamper("UPDATE contacts SET state = 'proven' WHERE subscriber = :bob", bob=bob)
    elif change == "statement":
        house.tamper(
            "UPDATE contacts SET state = 'proven', statement = (SELECT c.statement FROM contacts c JOIN addresses a"
            " ON a.id = c.address WHERE c.subscriber = :ann AND a.canonical = :pat) WHERE subscriber = :bob",
            ann=ann, bob=bob, pat=PAT,
        )  # fmt: skip
    elif change == "account":
        house.tamper("UPDATE contacts SET state = 'proven', account = :pat WHERE subscriber = :bob", pat=known, bob=bob)
    else:
        house.tamper("DELETE FROM contacts WHERE subscriber = :bob", bob=bob)
        house.tamper("UPDATE contacts SET subscriber = :bob WHERE subscriber = :ann", bob=bob, ann=ann)
    message = house.submit(BOB, [PAT], house.mail(author=BOB))
    assert sealed_for(house, message) == {f"address:{PAT}"}


def test_an_edited_thread_gives_a_reply_to_nobody_else(house: House, ann: int, known: int) -> None:
    house.add_subscriber(BOB, name="Bob")
    message = house.submit(ANN, [PAT], house.mail())
    house.pickup.show(house.session(PAT), message)
    bob = house.session(BOB)
    house.tamper("UPDATE threads SET subscriber = :bob, org = :org", bob=bob.account, org=bob.organisation)
    with pytest.raises(Refusal):
        reply(house, PAT, message)
    mine = answer(house, ANN, [PAT], message_id(house, message))
    assert thread_of(house, mine)["subscriber"] == ann
    assert not any(holder.endswith(str(bob.organisation)) for holder, _ in grants(house, mine))


def test_an_edited_thread_does_not_weaken_its_custody(make_house: MakeHouse) -> None:
    house = make_house(policy={"custody": "strict"})
    house.add_subscriber(ANN)
    first = house.submit(ANN, [PAT], house.mail())
    house.tamper("UPDATE threads SET custody = 'managed'")
    second = answer(house, ANN, [PAT], message_id(house, first))
    assert {row["custody"] for row in grants(house, second).values()} == {"strict"}


def test_an_edited_form_or_reply_address_is_not_what_a_handoff_goes_by(house: House, ann: int, known: int) -> None:
    """Both stand on the signed card and nowhere else; the key that leaves is bound to them."""
    message = house.submit(ANN, [PAT], house.mail())
    replied = reply(house, PAT, message)
    due = house.queued("handoff")[-1]
    row = house.engine.query("SELECT id FROM addresses WHERE canonical = :eve", eve=EVE)[0]
    house.tamper("UPDATE deliveries SET recipient = :eve WHERE id = :id", eve=row["id"], id=due["id"])
    assert deliveries(house, replied) == [("handoff", "zip", EVE)]
    epoch = house.engine.query("SELECT * FROM epochs WHERE id = :id", id=due["queue_epoch"])[0]
    from cryptnsend.keeper.requests import EpochRow, QueueGrant

    rests = EpochRow(epoch["id"], epoch["pair"], epoch["suite"], epoch["owner"], epoch["holder"], epoch["sealed"])
    courier = house.keeper("courier")
    with pytest.raises(SealBroken):
        courier.queue(QueueGrant(due["org"], replied, due["id"], EVE, "zip", rests, due["queue_wrap"]))
    with pytest.raises(SealBroken):
        courier.queue(QueueGrant(due["org"], replied, due["id"], ANN, "relay", rests, due["queue_wrap"]))
    right = courier.queue(QueueGrant(due["org"], replied, due["id"], ANN, "zip", rests, due["queue_wrap"]))
    assert right.recipient == ANN


def test_a_policy_row_can_be_edited_and_changes_what_is_plain_only(house: House, ann: int) -> None:
    """An organisation's rules rest in the main database: whoever writes there can make the default plain, and the
    sealed conversations stay sealed all the same."""
    first = house.submit(ANN, [PAT], house.mail())
    house.tamper('UPDATE organisations SET policy = \'{"default": "plain"}\' WHERE id <> 0')
    second = answer(house, ANN, [PAT], message_id(house, first))
    assert recipients(house, second)[PAT]["decision"] == "vault"


def _submit_through(house: House, admission: object) -> None:
    row = accounts.by_address(house.engine, ANN)
    assert row is not None
    draft = admission.begin(  # type: ignore[attr-defined]
        Author(row["id"], row["org"], ANN, frozenset({ANN}), True), Envelope(ANN, (Addressee(PAT),)), "smtp"
    )
    draft.header(house.mail())
    draft.commit_now()


def test_whoever_has_no_pair_any_more_gets_a_later(house: House, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptnsend.core.model import Card

    monkeypatch.setattr(Card, "pair", lambda *_: (_ for _ in ()).throw(LookupError("none")))
    with pytest.raises(Temporary) as later:
        house.submit(ANN, [PAT], house.mail())
    assert later.value.code == 451


def test_wraps_of_one_message_open_in_no_other_place(house: House, ann: int, known: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    held = grants(house, message)[f"account:{known}", "recipient"]
    seeds = house.session(PAT).seeds
    epoch = house.engine.query("SELECT * FROM epochs WHERE id = :id", id=held["epoch"])[0]
    key = keys.open_with(
        seeds[epoch["pair"]],
        epoch["sealed"],
        label="epoch",
        owner=epoch["owner"],
        holder=epoch["holder"],
        ref=epoch["id"],
    )
    right = (held["org"], message, held["holder"], "recipient", held["contact"], held["custody"])
    assert len(keys.unwrap_content(key, held["wrap"], keys.GrantBinding(*right))) == 32
    for at, other in enumerate((1, message + 1, "account:1", "author", f"{PAT}|1", "strict")):
        moved = (*right[:at], other, *right[at + 1 :])
        with pytest.raises(CryptnSendError):
            keys.unwrap_content(key, held["wrap"], keys.GrantBinding(*moved))


def test_a_grant_ends_with_its_message_and_the_clock_is_ours(house: House, ann: int) -> None:
    row = accounts.by_address(house.engine, ANN)
    assert row is not None
    draft = house.door.admission.begin(
        Author(row["id"], row["org"], ANN, frozenset({ANN}), True), Envelope(ANN, (Addressee(PAT),)), "page",
        life=6 * HOUR,
    )  # fmt: skip
    draft.header(house.mail())
    message = draft.commit_now().message
    assert grants(house, message)[f"address:{PAT}", "recipient"]["ends"] == house.clock.now() + 6 * HOUR
