"""Whom does admission turn away, and what does it keep then?"""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import NotAuthor, Refusal, StoreBroken, Temporary, TooBig
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.store.records import accounts, messages
from tests.flow.admitting import submit
from tests.flow.rows import count, everything
from tests.support.house import DAY, House, MakeHouse

ANN, PAT, CARL, EVE = "ann@gmail.example", "pat@yahoo.example", "carl@mail.example", "eve@mail.example"


# -- who may speak ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        f"From: {EVE}\r\n",
        f"From: {ANN}\r\nFrom: {ANN}\r\n",
        f"From: {ANN}, {EVE}\r\n",
        f"From: friends: {ANN};\r\n",
        "Subject: nobody\r\n",
        f"From: =?utf-8?q?{ANN}?= <{EVE}>\r\n",
        f"From: {EVE} ({ANN})\r\n",
    ],
)  # fmt: skip
def test_a_message_speaks_for_its_author_only(house: House, ann: int, header: str) -> None:
    before = everything(house)
    with pytest.raises(NotAuthor) as refused:
        submit(house, (header + "To: x@y.example\r\n\r\nHello\r\n").encode())
    assert (refused.value.code, refused.value.status) == (550, "5.7.1")
    assert everything(house) == before


def test_the_envelope_speaks_for_its_author_too(house: House, ann: int) -> None:
    with pytest.raises(NotAuthor, match="MAIL FROM"):
        submit(house, house.mail(), reverse_path=EVE)


def test_a_null_reverse_path_is_fine(house: House, ann: int) -> None:
    assert not submit(house, house.mail(), reverse_path="").repeated


def test_an_alias_row_of_a_thief_makes_nobody_an_author(house: House, ann: int) -> None:
    """The main database says whose an address is; the card says whether it is true."""
    house.add_subscriber(EVE, name="Eve")
    house.tamper("UPDATE addresses SET account = :eve WHERE canonical = :ann", eve=house.account(EVE), ann=ANN)
    with pytest.raises(Temporary):
        submit(house, house.mail(), author=ANN)


# -- limits -----------------------------------------------------------------------------------------------------------


def test_the_daily_number_of_messages_is_a_limit_until_tomorrow(make_house: MakeHouse) -> None:
    house = make_house(limits={"messages_per_day": 2})
    house.add_subscriber(ANN)
    house.submit(ANN, [PAT], house.mail())
    house.submit(ANN, [PAT], house.mail())
    before = everything(house)
    with pytest.raises(Temporary, match="2 messages today") as over:
        house.submit(ANN, [PAT], house.mail())
    assert (over.value.code, over.value.status) == (450, "4.7.1")
    assert everything(house) == before
    house.clock.forward(DAY)
    assert house.submit(ANN, [PAT], house.mail())


def test_a_repeated_mail_counts_once(make_house: MakeHouse) -> None:
    house = make_house(limits={"messages_per_day": 2})
    house.add_subscriber(ANN)
    octets = house.mail()
    assert len({submit(house, octets).message for _ in range(5)}) == 1


def test_new_recipients_have_a_daily_limit_and_known_ones_have_none(make_house: MakeHouse) -> None:
    house = make_house(limits={"new_recipients_per_day": 2})
    house.add_subscriber(ANN)
    house.submit(ANN, [PAT, CARL], house.mail())
    with pytest.raises(Temporary, match="2 new people today"):
        house.submit(ANN, [PAT, EVE], house.mail())
    assert "eve@mail.example" not in {row["canonical"] for row in house.engine.query("SELECT canonical FROM addresses")}
    assert house.submit(ANN, [PAT, CARL, ANN], house.mail())


def test_a_message_past_the_limit_leaves_nothing(make_house: MakeHouse) -> None:
    house = make_house(limits={"message_octets": 100_000})
    house.add_subscriber(ANN)
    before = everything(house)
    with pytest.raises(TooBig) as refused:
        submit(house, house.mail(text="x" * 200_000))
    assert (refused.value.code, refused.value.status, refused.value.limit) == (552, "5.3.4", 100_000)
    assert everything(house) == before


# -- what is refused leaves nothing -----------------------------------------------------------------------------------


def test_a_recipient_who_blocked_the_sender_refuses_the_whole_message(house: House, ann: int) -> None:
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    house.tamper("UPDATE contacts SET state = 'blocked'")
    before = everything(house)
    with pytest.raises(Refusal, match=f"does not accept messages from this sender: {PAT}\\.$"):
        house.submit(ANN, [CARL, PAT, EVE], house.mail(text="x" * 100_000))
    assert everything(house) == before  # not even the blob, nor a row about Carl


def test_an_address_that_is_none_is_named_in_the_refusal(house: House, ann: int) -> None:
    with pytest.raises(Refusal, match="cannot be used") as refused:
        house.submit(ANN, ["pat@[192.0.2.1]"], house.mail())
    assert (refused.value.code, refused.value.status) == (553, "5.1.3")


def test_a_broken_commit_keeps_the_blob_for_upkeep_to_judge(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows may have become durable although the commit seemed to fail; then they must find their blob."""
    monkeypatch.setattr(messages, "add_deliveries", lambda *_: (_ for _ in ()).throw(StoreBroken("no room")))
    with pytest.raises(StoreBroken):
        house.submit(ANN, [PAT], house.mail(text="x" * 100_000))
    monkeypatch.undo()
    assert count(house, "messages") == 0
    assert [what for what, _ in house.vault.verify(house.engine)] == ["litter"]
    assert house.vault.sweep(house.engine, 2 * house.clock.now()) == 1


def test_without_the_keeper_nothing_is_taken_and_nothing_kept(make_house: MakeHouse) -> None:
    house = make_house()
    house.add_subscriber(ANN)
    before = everything(house)
    house.stop_keeper()
    with pytest.raises(Temporary) as gone:
        house.submit(ANN, [PAT], house.mail(text="x" * 100_000))
    assert gone.value.code == 451
    assert everything(house) == before
    house.start_keeper()
    assert house.submit(ANN, [PAT], house.mail())


def test_explaining_keeps_nothing(house: House, ann: int) -> None:
    row = accounts.by_address(house.engine, ANN)
    assert row is not None
    before = everything(house)
    draft = house.door.admission.begin(
        Author(row["id"], row["org"], ANN, frozenset({ANN}), True), Envelope(ANN, (Addressee(PAT),)), "page"
    )
    draft.header(house.mail(":: hello"))
    assert {who: type(each).__name__ for who, each in draft.explain().items()} == {PAT: "Relay"}
    assert everything(house) == before
