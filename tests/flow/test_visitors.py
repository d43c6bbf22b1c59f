"""Strangers write to a subscriber first: whose conversation that is, what it lets nobody do, and where it stops."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from cryptnsend.core.errors import Denied, Ended, Enough, NoGrant, Refusal, Throttled, WrongSecret
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Writing
from cryptnsend.flow.visitors import Letter, Own, Page
from tests.flow.conftest import Post, faces, links_in
from tests.support.house import AGENT, DAY, OTHER, PASSWORD, SOURCE, House, MakeHouse

ANN, SOFIA, BOB = "ann@gmail.example", "sofia@yahoo.example", "bob@icloud.example"
OPEN = Own("dr-ruiz", True, True, "Welcome.\nI read letters at noon.", "Bienvenidos.")


def subscriber(house: House, address: str = ANN, own: Own | None = OPEN) -> Session:
    house.add_subscriber(address, name="Ann Ruiz")
    session = signed_in(house, address)
    if own is not None:
        house.portal.visitors.save(session, own)
    return session


def signed_in(house: House, address: str, password: str = PASSWORD) -> Session:
    found = house.accounts.session(house.accounts.sign_in(address, password, SOURCE, AGENT))
    assert found is not None
    return found


def visitor(house: House, address: str = SOFIA, name: str = "Sofia Grant", source: str = SOURCE) -> Session:
    """Prove an address by the mailed code, and choose a password."""
    started = house.portal.visitors.start("dr-ruiz", address, source, "en", worked=True)
    return house.found(house.portal.visitors.finish(started.id, house.mailed_code(), OTHER, name, source, AGENT, "en"))


def write(
    house: House, session: Session, subject: str = "My records", text: str = "May I send them?", **more: object
) -> int:
    house.clock.forward(1)
    nonce = more.pop("nonce", os.urandom(16))
    return house.portal.visitors.send(session, "dr-ruiz", Letter(subject, text), nonce=nonce, source=SOURCE, **more)  # type: ignore[arg-type]


# -- the letter -------------------------------------------------------------------------------------------------------


def test_a_letter_is_the_subscribers_conversation_and_its_answer_needs_the_subscribers_code(house: House) -> None:
    ann = subscriber(house)
    sofia = visitor(house)
    letter = write(house, sofia)

    row = house.engine.query(
        "SELECT m.org, m.origin, t.subscriber, r.decision, r.form FROM messages m JOIN threads t ON t.id = m.thread"
        " JOIN recipients r ON r.message = m.id WHERE m.id = :id", id=letter,
    )[0]  # fmt: skip
    assert row == {
        "org": ann.organisation, "origin": "visitor", "subscriber": ann.account, "decision": "handoff", "form": "zip"
    }  # fmt: skip
    holders = {each["role"] for each in house.engine.query("SELECT role FROM grants WHERE message = :id", id=letter)}
    assert holders == {"author", "recipient", "archive"}
    shown = house.pickup.show(ann, letter)
    assert (shown.subject, shown.text, shown.sender_address) == ("My records", "May I send them?\n", SOFIA)
    assert house.pickup.show(sofia, letter).mine
    assert [each.message for each in house.portal.visitors.letters(sofia)] == [letter]

    answer = house.replies.send(ann, letter, everybody=False, text="Gladly.", files=(), nonce=os.urandom(16))
    with pytest.raises(NoGrant):  # the mailbox was proven, and that opens nothing
        house.pickup.show(sofia, answer)
    house.prove(sofia, SOFIA, answer)
    sofia = signed_in(house, SOFIA, OTHER)
    assert house.pickup.show(sofia, answer).text == "Gladly.\n"
    assert [each.message for each in house.pickup.thread(sofia, answer)] == [letter, answer]
    again = house.replies.send(sofia, answer, everybody=False, text="Thank you.", files=(), nonce=os.urandom(16))
    assert house.pickup.show(ann, again).text == "Thank you.\n"


def test_a_letter_comes_to_the_original_inbox_locked_and_a_receipt_without_content_to_its_writer(post: Post) -> None:
    house = post.house
    subscriber(house)
    house.portal.visitors.start("dr-ruiz", "pat@yahoo.example", SOURCE, "en", worked=True)
    post.deliver()
    assert "wants to write a letter here" in faces(post.last("pat@yahoo.example"))[0]
    house.clock.forward(1)
    sofia = visitor(house)
    letter = write(house, sofia, "My secret subject", "My secret words")
    post.deliver()

    locked = post.last(ANN)
    assert str(next(part.get_filename() for part in locked.iter_attachments())).endswith(".zip")
    receipt = post.last(SOFIA)
    text = faces(receipt)[0]
    assert "What you wrote to Ann Ruiz" in text
    assert links_in(text)[0].endswith(f"/messages/{letter}")
    for octets in (locked.as_bytes(), receipt.as_bytes()):
        assert b"secret" not in octets
    assert "Sofia" not in faces(locked)[0]


def test_a_form_that_is_sent_twice_makes_one_letter_and_one_receipt(house: House) -> None:
    subscriber(house)
    sofia, nonce = visitor(house), os.urandom(16)
    assert write(house, sofia, nonce=nonce) == write(house, sofia, nonce=nonce)
    assert [template for _, template in house.alerts()].count("visitor-receipt") == 1


def test_words_that_ask_for_plain_mail_count_for_nothing_in_a_visitors_letter(house: House) -> None:
    subscriber(house)
    letter = write(house, visitor(house), ":: plain please")
    assert (
        house.engine.query("SELECT decision FROM recipients WHERE message = :id", id=letter)[0]["decision"] == "handoff"
    )


def test_a_letter_with_what_was_kept_of_it_takes_its_draft_along(house: House) -> None:
    subscriber(house)
    sofia, nonce = visitor(house), os.urandom(16)
    draft = house.portal.drafts.save(sofia, Writing("May I", "My records", visits="dr-ruiz"), nonce=nonce)
    assert house.portal.drafts.draft(sofia, draft).writing.visits == "dr-ruiz"
    write(house, sofia, nonce=nonce, draft=draft)
    assert house.portal.drafts.listing(sofia) == []


def test_nobody_else_is_addressed_whatever_rows_say_of_the_page(house: House) -> None:
    subscriber(house)
    house.add_subscriber(BOB, name="Bob")
    sofia = visitor(house)
    house.tamper("UPDATE addresses SET account = NULL WHERE canonical = :a", a=ANN)
    house.tamper("UPDATE addresses SET account = (SELECT account FROM visitor_pages) WHERE canonical = :a", a=BOB)
    with pytest.raises(Refusal, match="takes no letters"):
        write(house, sofia)
    assert house.engine.query("SELECT id FROM messages") == []


# -- who may ----------------------------------------------------------------------------------------------------------


def test_a_page_is_there_only_where_its_subscriber_opened_it(house: House, make_house: MakeHouse) -> None:
    ann = subscriber(house, own=None)
    pages = house.portal.visitors
    for handle in ("dr-ruiz", "nobody-at-all", "..", "DR-RUIZ", "x" * 90):
        with pytest.raises(NoGrant, match="no such page"):
            pages.page(handle)
    assert pages.own(ann) == Own()
    pages.save(ann, OPEN)
    assert pages.page("dr-ruiz") == Page(
        "dr-ruiz", ann.account, "Ann Ruiz", "", "", {"en": OPEN.greeting_en, "es": OPEN.greeting_es}
    )
    sofia = visitor(house)
    pages.save(ann, replace(OPEN, is_open=False))
    with pytest.raises(NoGrant, match="no such page"):
        pages.page("dr-ruiz")
    with pytest.raises(NoGrant):
        pages.start("dr-ruiz", SOFIA, SOURCE, "en", worked=True)
    with pytest.raises(Refusal, match="takes no letters"):
        write(house, sofia)


def test_server_and_organisation_may_forbid_pages(make_house: MakeHouse) -> None:
    house = make_house()
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    ann = signed_in(house, ANN)
    pages = house.portal.visitors
    pages.save(ann, OPEN)
    sofia = visitor(house)
    house.owner.owner.set_rules(org, {"visitor_pages": False}, "as agreed")
    with pytest.raises(NoGrant):
        pages.page("dr-ruiz")
    with pytest.raises(Refusal):
        write(house, sofia)
    with pytest.raises(Refusal, match="do not let you"):
        pages.save(ann, OPEN)
    assert not pages.own(ann).allowed

    other = make_house(visitors={"pages": False})
    with pytest.raises(Refusal, match="do not let you"):
        other.portal.visitors.save(subscriber(other, own=None), OPEN)


def test_a_closed_account_has_no_page_and_its_name_leads_to_nobody_ever_again(house: House) -> None:
    ann = subscriber(house)
    bob = subscriber(house, BOB, own=None)
    pages = house.portal.visitors
    house.owner.owner.disable(ANN)
    with pytest.raises(NoGrant):
        pages.page("dr-ruiz")
    for handle in ("dr-ruiz", "drruiz", "dr-ru1z", "DR-RUIZ"):
        with pytest.raises(Refusal, match="taken"):
            pages.save(bob, replace(OPEN, handle=handle))
    assert ann


def test_a_handle_can_be_changed_and_taken_back_but_not_for_ever(house: House) -> None:
    ann = subscriber(house)
    pages = house.portal.visitors
    for handle in ("ann-ruiz", "ruiz-family", "dr-ruiz"):
        assert pages.save(ann, replace(OPEN, handle=handle)).handle == handle
    with pytest.raises(NoGrant):
        pages.page("ann-ruiz")
    with pytest.raises(Refusal, match="three names"):
        pages.save(ann, replace(OPEN, handle="one-more-name"))
    assert pages.own(ann).handle == "dr-ruiz"


def test_a_search_finds_exact_addresses_of_those_who_want_to_be_found(house: House) -> None:
    ann = subscriber(house)
    pages = house.portal.visitors
    found = pages.find(" Ann@GMAIL.example ".strip(), SOURCE)
    assert found is not None
    assert found.handle == "dr-ruiz"
    assert pages.find("ann@", SOURCE) is None
    assert pages.find("an@gmail.example", SOURCE) is None
    pages.save(ann, replace(OPEN, findable=False))
    assert pages.find(ANN, SOURCE) is None
    for _ in range(16):
        pages.find(ANN, SOURCE)
    with pytest.raises(Throttled):
        pages.find(ANN, SOURCE)


# -- proving an address -----------------------------------------------------------------------------------------------


def test_an_address_that_has_an_account_gets_the_same_answer_and_no_code(house: House) -> None:
    subscriber(house)
    house.add_subscriber(BOB)
    started = house.portal.visitors.start("dr-ruiz", BOB, SOURCE, "en", worked=True)
    assert house.mailed_code() == ""
    with pytest.raises((WrongSecret, Denied)):
        house.portal.visitors.finish(started.id, "000000", OTHER, "Bob", SOURCE, AGENT, "en")
    bob = signed_in(house, BOB)
    assert house.pickup.show(signed_in(house, ANN), write(house, bob)).sender_address == BOB


def test_wrong_codes_end_and_a_visitors_code_is_good_for_nothing_else(house: House) -> None:
    subscriber(house)
    pages = house.portal.visitors
    started = pages.start("dr-ruiz", SOFIA, SOURCE, "en", worked=True)
    code = house.mailed_code()
    with pytest.raises((WrongSecret, Denied)):
        house.accounts.finish_signup(started.id, code, OTHER, "Sofia", SOURCE, AGENT, "en")
    for _ in range(5):
        with pytest.raises((Ended, WrongSecret)):
            pages.finish(started.id, "000000", OTHER, "Sofia", SOURCE, AGENT, "en")
    with pytest.raises(Ended):
        pages.finish(started.id, code, OTHER, "Sofia", SOURCE, AGENT, "en")


def test_without_a_proof_of_work_a_network_gets_far_fewer_codes(house: House) -> None:
    subscriber(house)
    pages = house.portal.visitors
    for number in range(3):
        pages.start("dr-ruiz", f"s{number}@yahoo.example", "198.51.100.9", "en", worked=False)
    with pytest.raises(Throttled):
        pages.start("dr-ruiz", "s4@yahoo.example", "198.51.100.77", "en", worked=False)
    pages.start("dr-ruiz", "worked@yahoo.example", "198.51.100.77", "en", worked=True)
    pages.start("dr-ruiz", "elsewhere@yahoo.example", "203.0.113.9", "en", worked=False)


def test_a_proof_of_work_counts_once(house: House) -> None:
    pages, ends = house.portal.visitors, house.clock.now() + 1000
    assert pages.use(b"one", ends)
    assert not pages.use(b"one", ends)
    house.clock.forward(2000)
    assert pages.use(b"two", ends + 9000)
    assert house.engine.query("SELECT count(*) AS n FROM visitor_sums")[0]["n"] == 1


# -- limits, and whom a page takes nothing from -----------------------------------------------------------------------


def test_a_visitor_sends_so_many_letters_a_day_and_new_people_so_many_together(make_house: MakeHouse) -> None:
    house = make_house(visitors={"letters_per_day": 2, "newcomers_per_day": 2})
    ann = subscriber(house)
    sofia = visitor(house)
    write(house, sofia)
    write(house, sofia)
    with pytest.raises(Enough, match="as it does in a day"):
        write(house, sofia)
    write(house, visitor(house, "two@yahoo.example"))
    three = visitor(house, "three@yahoo.example")
    with pytest.raises(Enough, match="from new people"):
        write(house, three)
    house.clock.forward(DAY)
    sofia, three = signed_in(house, SOFIA, OTHER), signed_in(house, "three@yahoo.example", OTHER)
    write(house, sofia)  # who has written before is shut out by nobody
    write(house, three)
    assert len(house.engine.query("SELECT id FROM messages")) == 5
    assert ann


def test_a_blocked_visitor_hears_so_and_neither_letters_nor_answers_come(house: House) -> None:
    ann = subscriber(house)
    sofia = visitor(house)
    letter = write(house, sofia)
    answer = house.replies.send(ann, letter, everybody=False, text="Gladly.", files=(), nonce=os.urandom(16))
    house.prove(sofia, SOFIA, answer)
    pages = house.portal.visitors
    wrote = pages.wrote(ann, letter)
    assert wrote is not None
    assert (wrote.address, wrote.blocked) == (SOFIA, None)
    assert pages.wrote(ann, answer) is None
    pages.block(ann, wrote.id)
    sofia = signed_in(house, SOFIA, OTHER)
    for attempt in (
        lambda: write(house, sofia),
        lambda: pages.check(sofia, "dr-ruiz"),
        lambda: house.replies.send(sofia, answer, everybody=False, text="No!", files=(), nonce=os.urandom(16)),
    ):
        with pytest.raises(Refusal, match="takes no messages from you here"):
            attempt()
    assert [each.address for each in pages.blocked(ann)] == [SOFIA]
    pages.unblock(ann, wrote.id)
    assert pages.blocked(ann) == []
    write(house, sofia)


def test_nobody_blocks_visitors_of_others(house: House) -> None:
    ann, bob = subscriber(house), subscriber(house, BOB, own=None)
    letter = write(house, visitor(house))
    wrote = house.portal.visitors.wrote(ann, letter)
    assert wrote is not None
    assert house.portal.visitors.wrote(bob, letter) is None
    with pytest.raises(NoGrant):
        house.portal.visitors.block(bob, wrote.id)
    with pytest.raises(NoGrant):
        house.portal.visitors.block(ann, 12345)
    with pytest.raises(Refusal, match="your own page"):
        house.portal.visitors.check(ann, "dr-ruiz")
