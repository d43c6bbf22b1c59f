"""What becomes of a message that is taken, and what is left of one that is not?"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import NotAuthor
from tests.flow.admitting import submit
from tests.flow.rows import deliveries, grants, recipients, thread_of
from tests.support.house import DAY, House, MakeHouse

ANN, PAT, BOB, CARL, EVE = (
    "ann@gmail.example", "pat@yahoo.example", "bob@clinic.example", "carl@mail.example", "eve@mail.example",
)  # fmt: skip


# -- one decision at a time -------------------------------------------------------------------------------------------


def test_a_stranger_gets_a_notice_and_a_grant_that_waits_for_the_code(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    row = recipients(house, message)[PAT]
    assert (row["decision"], row["reason"], row["disclosed"]) == ("vault", "default-vault", 1)
    grant = grants(house, message)[f"address:{PAT}", "recipient"]
    assert (grant["sealed_to"], grant["sealed_for"]) == ("keeper", "pending")
    assert (grant["contact"], grant["state"]) == (f"{PAT}|{ann}", "active")
    assert grant["ends"] == house.clock.now() + house.config.life.days * DAY
    assert deliveries(house, message) == [("notice", "", PAT), ("receipt", "", ANN)]


def test_author_and_archive_hold_both_keys_and_the_recipient_one(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    held = grants(house, message)
    org = thread_of(house, message)["org"]
    lengths = {(holder.partition(":")[0], role): len(row["wrap"]) for (holder, role), row in held.items()}
    assert lengths == {("account", "author"): 92, ("archive", "archive"): 92, ("address", "recipient"): 60}
    assert held[f"archive:{org}", "archive"]["ends"] is None
    assert held[f"account:{ann}", "author"]["ends"] is None


def test_a_proven_contact_is_sealed_to_the_recipients_own_pair(house: House, ann: int) -> None:
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    message = house.submit(ANN, [PAT], house.mail("Again"))
    pat = house.account(PAT)
    grant = grants(house, message)[f"account:{pat}", "recipient"]
    assert (grant["sealed_to"], grant["contact"]) == (f"account:{pat}", f"{PAT}|{ann}")
    assert deliveries(house, message) == [("notice", "", PAT)]  # nobody needs a code, so nobody is told one


def test_a_waived_contact_waits_with_the_keeper_until_it_is_adopted(make_house: MakeHouse) -> None:
    house = make_house(codes={"rule": "never"})
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT], house.mail())
    assert grants(house, message)[f"address:{PAT}", "recipient"]["sealed_for"] == "pending"


def test_a_weak_account_gets_nothing_sealed_to_it(house: House, ann: int) -> None:
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    house.reset(PAT)
    message = house.submit(ANN, [PAT], house.mail("Again"))
    assert grants(house, message)[f"address:{PAT}", "recipient"]["sealed_for"] == "pending"
    assert ("receipt", "", ANN) in deliveries(house, message)  # Pat needs a new code


def test_who_writes_to_themselves_needs_no_code(house: House, ann: int) -> None:
    message = house.submit(ANN, [ANN], house.mail(to=[ANN]))
    row = recipients(house, message)[ANN]
    assert (row["decision"], row["reason"]) == ("vault", "self")
    grant = grants(house, message)[f"account:{ann}", "recipient"]
    assert (grant["sealed_to"], grant["contact"], grant["ends"]) == (f"account:{ann}", "", None)
    assert deliveries(house, message) == [("notice", "", ANN)]


def test_who_is_weak_and_writes_to_themselves_reads_it_when_they_are_not_any_more(house: House, ann: int) -> None:
    house.reset(ANN)
    message = house.submit(ANN, [ANN], house.mail(to=[ANN]))
    grant = grants(house, message)[f"account:{ann}", "recipient"]
    assert (grant["sealed_for"], grant["contact"]) == ("pending", "")


def test_members_get_their_own_handoff_form_and_no_code(house: House) -> None:
    clinic = house.organisation("Clinic")
    ann = house.add_subscriber(ANN, organisation=clinic)
    bob = house.add_subscriber(BOB, organisation=clinic, name="Bob")
    message = house.submit(ANN, [BOB], house.mail(to=[BOB]))
    row = recipients(house, message)[BOB]
    assert (row["decision"], row["form"], row["reason"]) == ("handoff", "zip", "member")
    assert grants(house, message)[f"account:{bob}", "recipient"]["contact"] == f"{BOB}|{ann}"
    assert deliveries(house, message) == [("handoff", "zip", BOB)]
    due = house.queued("handoff")[-1]
    assert due["queue_wrap"] is not None  # the courier may open this one delivery


def test_a_subscriber_of_another_house_is_a_member_once_the_contact_is_proven(house: House, ann: int) -> None:
    house.add_subscriber(BOB, name="Bob")
    first = house.submit(ANN, [BOB], house.mail(to=[BOB]))
    assert recipients(house, first)[BOB]["decision"] == "vault"
    house.prove(house.session(BOB), BOB, first)
    second = house.submit(ANN, [BOB], house.mail("More", to=[BOB]))
    assert recipients(house, second)[BOB]["decision"] == "handoff"


def test_declared_plain_mail_leaves_without_a_grant(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(":: We moved"))
    row = recipients(house, message)[PAT]
    assert (row["decision"], row["reason"]) == ("relay", "plain-token")
    assert [role for _, role in grants(house, message)] == ["author", "archive"] or len(grants(house, message)) == 2
    due = house.queued("relay")[-1]
    assert (due["tls_class"], due["queue_wrap"] is None) == ("declared", False)
    assert deliveries(house, message) == [("relay", "", PAT)]


def test_one_message_may_be_decided_otherwise_for_each(house: House) -> None:
    clinic = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=clinic)
    house.add_subscriber(BOB, organisation=clinic, name="Bob")
    admitted = submit(house, house.mail(":: We moved", to=[PAT, BOB, ANN]), [PAT, BOB, ANN])
    assert {who: type(each).__name__ for who, each in admitted.decisions.items()} == {
        PAT: "Relay", BOB: "Handoff", ANN: "Vault",
    }  # fmt: skip


def test_two_addresses_of_one_account_get_one_grant_and_a_notice_each(house: House, ann: int) -> None:
    other = "pat@work.example"
    pat = house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    house.prove(pat, other, house.submit(ANN, [other], house.mail("For work", to=[other])))
    message = house.submit(ANN, [PAT, other], house.mail("Both", to=[PAT, other]))
    holders = [holder for holder, role in grants(house, message) if role == "recipient"]
    assert holders == [f"account:{pat.account}"]
    assert deliveries(house, message) == [("notice", "", other), ("notice", "", PAT)]
    assert house.pickup.show(house.session(PAT), message).subject == "Both"
    reached = house.pickup.status(house.session(ANN), message).recipients
    assert [(each.suspended, each.needs_code) for each in reached] == [(False, False), (False, False)]


def test_who_stands_in_no_header_is_not_disclosed(house: House, ann: int) -> None:
    octets = house.mail(to=[PAT], cc=[CARL], bcc=[BOB])
    message = house.submit(ANN, [PAT, CARL, BOB, EVE], octets)
    assert {who: row["disclosed"] for who, row in recipients(house, message).items()} == {
        PAT: 1,
        CARL: 1,
        BOB: 0,
        EVE: 0,
    }


def test_spelling_does_not_hide_who_stands_in_a_header(house: House, ann: int) -> None:
    message = house.submit(ANN, ["Pat@YAHOO.example"], house.mail(to=["PAT@yahoo.EXAMPLE"]))
    assert recipients(house, message)[PAT]["disclosed"] == 1


@pytest.mark.parametrize("custody", ["managed", "strict"])
def test_the_custody_of_the_thread_decides_which_pair_is_sealed_to(make_house: MakeHouse, custody: str) -> None:
    house = make_house(policy={"custody": custody})
    house.add_subscriber(ANN)
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    message = house.submit(ANN, [PAT], house.mail("Again"))
    held = {role: (row["custody"], row["pair_custody"]) for (_, role), row in grants(house, message).items()}
    assert held["author"] == held["recipient"] == (custody, custody)


def test_each_recipient_has_a_number_of_their_own(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(to=[PAT, CARL]))
    numbers = {row["display_id"] for row in recipients(house, message).values()}
    assert len(numbers) == 2
    assert all(number not in house.link(message, PAT).upper() for number in numbers)


# -- whatever arrives rests whole -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"\x00\xff8-bit \xe4\xf6\xfc without a word about it\r\n",
        b"x" * 40_000,
        os.urandom(1_300_000).replace(b"\r", b"").replace(b"\n", b""),
        b".\r\n..\r\n.",
    ],
    ids=["empty", "8-bit", "past the row", "past a mebibyte", "dots"],
)  # fmt: skip
@pytest.mark.parametrize("more", ["", "".join(f"X-Field-{n}: {'y' * 90}\r\n" for n in range(10_000))], ids=["", "huge"])
def test_what_is_opened_is_what_was_submitted(house: House, ann: int, rest: bytes, more: str) -> None:
    octets = house.mail(more=more, text="", bcc=[CARL])[:-2] + rest
    message = submit(house, octets, [PAT, CARL]).message
    own = house.pickup.eml(house.session(ANN), message)
    assert b"".join(own.chunks) == octets
    theirs = house.pickup.eml(house.register(PAT, message), message)
    assert b"".join(theirs.chunks) == octets.replace(f"Bcc: {CARL}\r\n".encode(), b"")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(header=st.binary(max_size=200), body=st.binary(max_size=500))
def test_whatever_strangers_send_rests_octet_for_octet_or_is_refused(
    house: House, ann: int, header: bytes, body: bytes
) -> None:
    octets = f"From: {ANN}\r\n".encode() + header.replace(b"\r\n\r\n", b"") + b"\r\n\r\n" + body
    try:
        message = submit(house, octets).message
    except NotAuthor:
        return
    assert b"".join(house.pickup.eml(house.session(ANN), message).chunks) == octets


def test_small_bodies_rest_in_their_row_and_large_ones_in_a_blob(house: House, ann: int) -> None:
    small, large = house.submit(ANN, [PAT], house.mail()), house.submit(ANN, [PAT], house.mail(text="x" * 40_000))
    rests = {
        row["message"]: (row["body"] is None, row["blob_key"] is None)
        for row in house.engine.query("SELECT * FROM contents WHERE part = 'raw'")
    }
    assert rests == {small: (False, True), large: (True, False)}


def test_nothing_that_rests_shows_what_was_written(house: House, ann: int) -> None:
    word = "Haemochromatosis"
    house.submit(ANN, [PAT], house.mail(f"{word} results", text=word * 3000, bcc=[f"{word}@mail.example"]))
    house.engine.checkpoint()
    for path in house.home.path.rglob("*"):
        if path.is_file():
            assert word.encode() not in path.read_bytes(), path


def test_the_trace_says_when_and_how_but_not_from_where(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    received = house.engine.query("SELECT received FROM messages")[0]["received"].decode()
    assert received.startswith(
        f"Received: by {house.config.server.hostname} (CryptnSend) with ESMTPSA id {message};\r\n "
    )
    assert received.endswith(" +0000\r\n") or received.endswith(" -0000\r\n")


def test_every_message_is_in_the_audit_trail(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail("Secret subject"))
    row = house.engine.query("SELECT * FROM audit WHERE action = 'message.sealed'")[-1]
    assert (row["actor"], row["object"]) == (f"account:{ann}", str(message))
    assert "Secret" not in row["detail"]
    assert PAT not in row["detail"]
