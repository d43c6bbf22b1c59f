"""Whose is a message, and what does a second sender ask of a recipient?"""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import CryptnSendError, Denied, NoGrant, SealBroken, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.core.words import LISTS
from cryptnsend.store.records import deliveries
from tests.flow.admitting import sent
from tests.support.house import DAY, OTHER, PASSWORD, SOURCE, House, MakeHouse

ANN, PAT, BOB, CARL = "ann@gmail.example", "pat@yahoo.example", "bob@outlook.example", "carl@mail.example"


# -- whose it is ------------------------------------------------------------------------------------------------------


def test_each_recipient_opens_their_own_and_nothing_else(house: House, ann: int) -> None:
    first, second = sent(house), sent(house, [BOB])
    pat, bob = house.register(PAT, first), house.register(BOB, second)
    for somebody, message in ((pat, second), (bob, first)):
        for reading in (house.pickup.show, house.pickup.eml, house.pickup.status, house.pickup.expire):
            with pytest.raises(NoGrant):
                reading(somebody, message)
    assert [each.message for each in house.pickup.list(pat)] == [first]
    assert [each.message for each in house.pickup.list(bob)] == [second]
    with pytest.raises(NoGrant):
        house.pickup.show(pat, 12345)


def test_a_recipient_has_no_key_to_the_authors_index(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(bcc=[CARL]))
    pat = house.register(PAT, message)
    opener = house.portal.opener
    row = opener.grant(pat, message)
    with pytest.raises(NoGrant):
        opener.cuts(row, opener.keys(pat, row))


@pytest.mark.parametrize(
    "moved",
    [
        "UPDATE grants SET holder = :pat WHERE role = 'recipient' AND message = :theirs",
        "UPDATE grants SET message = :theirs WHERE holder = :pat",
        "UPDATE grants SET epoch = (SELECT epoch FROM grants WHERE holder = :pat), holder = :pat"
        " WHERE role = 'recipient' AND message = :theirs",
        "UPDATE grants SET wrap = (SELECT wrap FROM grants WHERE holder = :pat), holder = :pat,"
        " epoch = (SELECT epoch FROM grants WHERE holder = :pat) WHERE role = 'recipient' AND message = :theirs",
        "UPDATE grants SET holder = :pat WHERE role = 'author' AND message = :theirs",
    ],
)
def test_a_grant_moved_by_a_thief_opens_nothing(house: House, ann: int, moved: str) -> None:
    mine, theirs = sent(house), sent(house, [BOB])
    pat = house.register(PAT, mine)
    house.register(BOB, theirs)
    house.tamper(moved + " AND :pat <> '' AND :theirs > 0", pat=account_holder(pat.account), theirs=theirs)
    with pytest.raises(CryptnSendError):
        house.pickup.show(pat, theirs)


@pytest.mark.parametrize(
    "changed",
    ["contact = ''", "contact = contact || '0'", "custody = 'strict'", "wrap = zeroblob(60)", "role = 'x'"],
)
def test_a_changed_grant_opens_nothing(house: House, ann: int, changed: str) -> None:
    message = sent(house)
    pat = house.register(PAT, message)
    house.tamper(f"UPDATE grants SET {changed} WHERE role = 'recipient'")  # noqa: S608 - from the list above
    with pytest.raises(CryptnSendError):
        house.pickup.show(pat, message)


def test_an_edited_address_row_gives_nobody_somebody_elses_mail(house: House, ann: int) -> None:
    """A thief with the main database makes Pat's address Mallory's own."""
    house.add_subscriber("mallory@evil.example")
    mallory = house.session("mallory@evil.example")
    waiting = sent(house)
    house.tamper("UPDATE addresses SET account = :mallory WHERE canonical = :pat", mallory=mallory.account, pat=PAT)
    mallory = house.session("mallory@evil.example")
    later = sent(house)
    for message in (waiting, later):
        with pytest.raises(NoGrant):
            house.pickup.show(mallory, message)
    house.pickup.adopt(mallory)
    assert {each.state for each in house.pickup.list(mallory)} <= {"code"}
    pat = house.register(PAT, waiting)  # nothing was lost for whom it was meant
    assert house.pickup.show(pat, waiting).subject == "Results"
    house.pickup.adopt(pat)
    assert house.pickup.show(pat, later).subject == "Results"


@pytest.mark.parametrize("column", ["body", "signature"])
def test_an_edited_card_stops_mail_and_turns_none_of_it(house: House, ann: int, column: str) -> None:
    house.register(PAT, sent(house))
    house.add_subscriber("mallory@evil.example")
    pat, mallory = house.account(PAT), house.account("mallory@evil.example")
    if column == "body":
        house.tamper(
            "UPDATE cards SET body = CAST(replace(CAST(body AS TEXT), 'pat@yahoo', 'eve@yahoo') AS BLOB)"
            " WHERE holder = :holder",
            holder=account_holder(pat),
        )
    else:
        house.tamper(
            "UPDATE cards SET body = (SELECT body FROM cards WHERE holder = :theirs), signature ="
            " (SELECT signature FROM cards WHERE holder = :theirs) WHERE holder = :mine",
            theirs=account_holder(mallory),
            mine=account_holder(pat),
        )
    fresh = house.process("submission")
    house.door.keeper.close()
    house.door = fresh
    with pytest.raises(SealBroken):
        sent(house)
    assert house.pickup.list(house.session("mallory@evil.example")) == []


def test_a_forged_contact_opens_nothing_and_seals_nothing_past_the_code(house: House, ann: int) -> None:
    """Carl has an account with Bob's code; a thief writes that his contact with Ann is proven too."""
    bob = house.add_subscriber(BOB)
    carl = house.register(CARL, sent(house, [CARL], BOB))
    first = sent(house, [CARL])
    house.tamper(
        "UPDATE contacts SET state = 'proven', account = :carl, statement ="
        " (SELECT statement FROM contacts WHERE subscriber = :bob) WHERE subscriber = :ann",
        carl=carl.account,
        bob=bob,
        ann=ann,
    )
    second = sent(house, [CARL])
    house.pickup.adopt(carl)
    for message in (first, second):
        with pytest.raises(NoGrant):
            house.pickup.show(carl, message)
    house.prove(carl, CARL, first)
    assert house.pickup.show(carl, second).subject == "Results"


# -- a second sender --------------------------------------------------------------------------------------------------


def test_one_password_serves_all_senders_but_each_sender_has_a_code(house: House, ann: int) -> None:
    house.add_subscriber(BOB, name="Bob Holm")
    pat = house.register(PAT, sent(house))
    second = sent(house, [PAT], BOB)
    entries = house.pickup.list(pat)
    assert (entries[0].message, entries[0].state, entries[0].subject) == (second, "code", None)
    assert entries[0].sender_name == "Bob Holm"
    with pytest.raises(NoGrant):
        house.pickup.show(pat, second)
    token = house.link(second, PAT)
    with pytest.raises(WrongSecret):
        house.pickup.prove_as(pat, token, "000000", SOURCE)
    house.pickup.prove_as(pat, token, house.code(BOB, PAT), SOURCE)
    assert house.pickup.show(pat, second).sender_address == BOB
    assert [each.state for each in house.pickup.list(pat)] == ["open", "open"]


def test_a_link_for_another_address_is_not_opened_by_who_is_signed_in(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, BOB], house.mail(to=[PAT, BOB]))
    pat, code = house.register(PAT, message), house.code(ANN, BOB)
    house.register(BOB, message)
    with pytest.raises(Denied):
        house.pickup.prove_as(pat, house.link(message, BOB), code, SOURCE)


def test_a_further_sender_is_proven_from_the_list_without_any_link(house: House, ann: int) -> None:
    house.add_subscriber("bob@gmail.example", name="Bob Bell")
    pat = house.register(PAT, sent(house))
    waits = house.submit("bob@gmail.example", [PAT], house.mail("Balance", author="bob@gmail.example"))
    assert house.pickup.list(pat)[0].state == "code"
    page = house.pickup.awaited(pat, waits)
    assert (page.sender_name, page.to, page.state, page.digits) == ("Bob Bell", PAT, "new", 6)
    code = house.code("bob@gmail.example", PAT)
    with pytest.raises(WrongSecret):
        house.pickup.prove_message(pat, waits, f"{(int(code) + 1) % 1_000_000:06d}", SOURCE)
    house.pickup.prove_message(pat, waits, code, SOURCE)
    assert house.pickup.show(pat, waits).subject == "Balance"
    for stranger in (house.session(ANN), house.session("bob@gmail.example")):
        with pytest.raises(NoGrant):
            house.pickup.awaited(stranger, waits)
        with pytest.raises(NoGrant):
            house.pickup.prove_message(stranger, waits, code, SOURCE)


def test_an_address_of_nobody_becomes_that_of_who_shows_its_code(house: House, ann: int) -> None:
    pat = house.register(PAT, sent(house))
    work = sent(house, ["pat@work.example"])
    house.prove(pat, "pat@work.example", work)
    again = house.session(PAT)
    assert again.addresses == (PAT, "pat@work.example")
    assert house.pickup.show(again, work).subject == "Results"
    assert house.pickup.waiting(house.link(sent(house, ["pat@work.example"]), "pat@work.example")).state == "known"


def test_members_of_one_organisation_need_no_code(house: House) -> None:
    org = house.organisation("Ruiz Family Practice")
    house.add_subscriber(ANN, organisation=org)
    house.add_subscriber(BOB, organisation=org, name="Bob")
    message = sent(house, [BOB])
    bob = house.session(BOB)
    assert house.pickup.show(bob, message).organisation == "Ruiz Family Practice"
    assert not house.pickup.status(house.session(ANN), message).recipients[0].needs_code


def test_what_waits_in_pages_all_comes(house: House, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptnsend.flow.adoption.PAGE", 3)
    waiting = [sent(house) for _ in range(10)]
    house.add_subscriber(BOB)
    pat = house.register(PAT, sent(house, [PAT], BOB))
    assert [each.state for each in house.pickup.list(pat)] == ["open"] + ["code"] * 10
    house.prove(pat, PAT, waiting[4])
    assert [house.pickup.show(pat, each).subject for each in waiting] == ["Results"] * 10


# -- the check phrase -------------------------------------------------------------------------------------------------


def notices(house: House) -> dict[int, str]:
    """Return the notices that wait to leave, by message, as the courier composes them."""
    found = {}
    for row in house.engine.write(lambda rows: deliveries.claim(rows, "t", house.clock.now(), DAY, 99)).result():
        if row["kind"] == "notice":
            octets = house.courier.letters.compose(row).octets
            assert isinstance(octets, bytes)
            found[row["message"]] = octets.decode()
    return found


def test_two_words_are_agreed_with_the_code_and_stand_in_every_senders_mail_from_then_on(
    house: House, ann: int
) -> None:
    house.add_subscriber(BOB, name="Bob Holm")
    first = sent(house)
    token = house.link(first, PAT)
    assert house.pickup.waiting(token).phrase == ""
    assert "check phrase" not in notices(house)[first]
    proof = house.pickup.prove(token, house.code(ANN, PAT), SOURCE)
    phrase = house.pickup.waiting(token).phrase
    assert len(phrase.split()) == 2
    pat = house.found(house.accounts.register(proof.ticket, PASSWORD, "", SOURCE, "", "en"))
    second, other = sent(house), sent(house, [PAT], BOB)
    for message, notice in notices(house).items():
        assert message in (second, other)
        assert house.pickup.waiting(house.link(message, PAT)).phrase == phrase
        assert phrase in notice
    house.prove(pat, PAT, other)
    assert house.pickup.waiting(house.link(sent(house, [PAT], BOB), PAT)).phrase == phrase


def test_who_gets_an_address_back_gets_words_that_the_intruder_does_not_know(make_house: MakeHouse) -> None:
    house = make_house(signup={"mode": "open"})
    house.add_subscriber(ANN)
    house.add_subscriber("eve@evil.example", OTHER, name="Eve")
    started = house.accounts.start_signup(PAT, SOURCE)
    cookie = house.accounts.finish_signup(started.id, house.mailed_code(), OTHER, "Eve", SOURCE, "", "en").cookie
    intruder, message = house.found(cookie), sent(house)
    known = house.pickup.waiting(house.link(message, PAT)).phrase
    token = house.link(message, PAT)
    proof = house.pickup.prove(token, house.code(ANN, PAT), SOURCE)
    house.pickup.agree(token)
    shown = house.pickup.waiting(token).phrase
    pat = house.found(house.accounts.register(proof.ticket, PASSWORD, "", SOURCE, "", "en"))
    assert pat.account != intruder.account
    assert house.pickup.waiting(token).phrase == shown != known


def test_check_words_are_of_the_language_of_who_reads_them(house: House, ann: int) -> None:
    message = sent(house, [PAT])
    token = house.link(message, PAT)
    house.pickup.prove(token, house.code(ANN, PAT), SOURCE, "es")
    agreed = house.pickup.waiting(token).phrase
    assert set(agreed.split()) <= set(LISTS["es"])


def test_check_words_stay_when_their_reader_chooses_another_language(house: House, ann: int) -> None:
    message = sent(house, [PAT])
    pat = house.register(PAT, message)
    agreed = house.pickup.waiting(house.link(message, PAT)).phrase
    house.accounts.set_language(pat, "es")
    house.add_subscriber(BOB, name="Bob Holm")
    house.prove(pat, PAT, sent(house, [PAT], BOB))
    assert house.pickup.waiting(house.link(sent(house, [PAT], BOB), PAT)).phrase == agreed
    assert house.pickup.waiting(house.link(message, PAT)).phrase == agreed
