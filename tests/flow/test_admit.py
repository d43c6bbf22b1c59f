"""What becomes of a message that is taken, and what is left of one that is not?"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import NotAuthor, Refusal, StoreBroken, Temporary, TooBig
from cryptnsend.flow.admit import Admitted
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.store.records import accounts, messages
from tests.flow.rows import count, deliveries, everything, grants, recipients, thread_of
from tests.support.house import DAY, HOUR, MINUTE, House, MakeHouse

ANN, PAT, BOB, CARL, EVE = (
    "ann@gmail.example", "pat@yahoo.example", "bob@clinic.example", "carl@mail.example", "eve@mail.example",
)  # fmt: skip


@pytest.fixture
def ann(house: House) -> int:
    return house.add_subscriber(ANN)


def submit(
    house: House,
    octets: bytes,
    to: Sequence[str | Addressee] = (PAT,),
    *,
    author: str = ANN,
    reverse_path: str | None = None,
    nonce: bytes | None = None,
    origin: str = "smtp",
    process: str = "door",
) -> Admitted:
    """Admit a mail with everything that `House.submit` does not ask for."""
    row = accounts.by_address(house.engine, author)
    assert row is not None
    own = frozenset(accounts.addresses(house.engine, row["id"]))
    draft = getattr(house, process).admission.begin(
        Author(row["id"], row["org"], author, own, True),
        Envelope(
            author if reverse_path is None else reverse_path,
            tuple(each if isinstance(each, Addressee) else Addressee(each) for each in to),
        ),
        origin,
        nonce=nonce,
    )
    end = octets.index(b"\r\n\r\n") + 4
    try:
        draft.header(octets[:end])
        for at in range(end, len(octets), 65536):
            draft.body(octets[at : at + 65536])
    except BaseException:
        draft.abort()
        raise
    return draft.commit_now()


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


# -- the same again ---------------------------------------------------------------------------------------------------


def test_the_same_mail_again_gets_the_same_id_and_makes_nothing(house: House, ann: int) -> None:
    octets = house.mail()
    first = submit(house, octets)
    before = everything(house)
    house.clock.forward(23 * HOUR)
    again = submit(house, octets)
    assert (again.message, again.repeated, first.repeated) == (first.message, True, False)
    assert everything(house) == before


def test_a_repeated_large_mail_leaves_no_blob_behind(house: House, ann: int) -> None:
    octets = house.mail(text="x" * 100_000)
    submit(house, octets)
    assert submit(house, octets).repeated
    assert len(list(house.portal.blobs.keys())) == 1


def test_a_mail_is_known_again_over_midnight(house: House, ann: int) -> None:
    octets = house.mail()
    house.clock.forward(DAY - house.clock.now() % DAY - MINUTE)
    first = submit(house, octets)
    house.clock.forward(2 * MINUTE)
    assert submit(house, octets).message == first.message
    house.clock.forward(23 * HOUR)
    assert submit(house, octets).message == first.message


@pytest.mark.parametrize("change", ["octets", "recipient", "reverse path", "author", "time"])
def test_whatever_differs_is_another_message(house: House, ann: int, change: str) -> None:
    house.add_subscriber(BOB, name="Bob")
    octets = house.mail()
    first = submit(house, octets)
    if change == "octets":
        again = submit(house, octets + b"\r\n")
    elif change == "recipient":
        again = submit(house, octets, [PAT, CARL])
    elif change == "reverse path":
        again = submit(house, octets, reverse_path="")
    elif change == "author":
        again = submit(house, octets.replace(ANN.encode(), BOB.encode()), author=BOB)
    else:
        house.clock.forward(DAY + MINUTE)
        again = submit(house, octets)
    assert again.message != first.message
    assert not again.repeated


def test_the_order_of_recipients_makes_no_other_message(house: House, ann: int) -> None:
    octets = house.mail()
    first = submit(house, octets, [PAT, CARL])
    assert submit(house, octets, [CARL, PAT, "Pat@Yahoo.example"]).message == first.message


def test_a_mail_that_was_taken_back_can_be_sent_again(house: House, ann: int) -> None:
    octets = house.mail()
    first = submit(house, octets)
    house.pickup.expire(house.session(ANN), first.message)
    again = submit(house, octets)
    assert again.message != first.message
    assert house.pickup.show(house.register(PAT, again.message), again.message).subject == "Results"


def test_a_mail_whose_grant_was_shredded_can_be_sent_again(house: House, ann: int) -> None:
    octets = house.mail()
    first = submit(house, octets, [PAT, CARL])
    house.tamper("DELETE FROM grants WHERE message = :m AND holder = :h", m=first.message, h=f"address:{PAT}")
    assert submit(house, octets, [PAT, CARL]).message != first.message


def test_a_mail_is_known_again_after_its_recipient_registered(house: House, ann: int) -> None:
    octets = house.mail()
    first = submit(house, octets)
    house.register(PAT, first.message)
    assert submit(house, octets).message == first.message


def test_a_form_sent_twice_makes_one_message(house: House, ann: int) -> None:
    nonce = os.urandom(16)
    first = submit(house, house.mail(), origin="page", nonce=nonce)
    again = submit(house, house.mail("Another text"), origin="page", nonce=nonce)
    assert (again.message, again.repeated) == (first.message, True)
    assert submit(house, house.mail(), origin="page", nonce=os.urandom(16)).message != first.message
    assert count(house, "messages") == 2


def test_a_nonce_of_somebody_else_is_none_of_mine(house: House, ann: int) -> None:
    house.add_subscriber(BOB, name="Bob")
    nonce = os.urandom(16)
    first = submit(house, house.mail(), origin="page", nonce=nonce)
    other = submit(house, house.mail(author=BOB), author=BOB, origin="page", nonce=nonce)
    assert other.message != first.message


# -- tokens of ours ---------------------------------------------------------------------------------------------------


@pytest.fixture
def replied(house: House, ann: int) -> tuple[int, str]:
    """Ann's message, and the address of ours by which she answers Pat."""
    message = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, message)
    return message, house.reply_token(message, PAT)


@pytest.mark.parametrize("kind", ["r+", "u-"])
def test_an_address_of_ours_stands_for_the_person_behind_it(house: House, replied: tuple[int, str], kind: str) -> None:
    address = kind + replied[1].removeprefix("r+")
    message = house.submit(ANN, [address], house.mail(to=[address]))
    row = recipients(house, message)[PAT]
    assert (row["decision"], row["disclosed"]) == ("vault", 1)
    assert deliveries(house, message) == [("notice", "", PAT)]


def test_an_address_of_ours_in_capitals_still_stands_for_them(house: House, replied: tuple[int, str]) -> None:
    message = house.submit(ANN, [replied[1].upper()], house.mail())
    assert set(recipients(house, message)) == {PAT}


def test_a_person_and_their_token_are_one_recipient(house: House, replied: tuple[int, str]) -> None:
    message = house.submit(ANN, [replied[1], PAT], house.mail(to=[replied[1], PAT]))
    assert deliveries(house, message) == [("notice", "", PAT)]


def test_addresses_of_ours_that_stand_for_nobody_look_alike(house: House, replied: tuple[int, str]) -> None:
    domain = house.config.server.domain
    token = replied[1].removeprefix("r+").partition("@")[0]
    forged = ("a" if token[-2] != "a" else "b").join((token[:-2], token[-1]))
    unknown = "aaaa" + token[4:]
    bounce = house.keeper("courier").bounce(1).token
    refusals = set()
    for local in (
        f"r+{forged}",
        f"r+{unknown}",
        f"r+{bounce}",
        f"b+{bounce}",
        "r+",
        "notice",
        "postmaster",
        f"x+{token}",
        token,
    ):
        before = everything(house)
        with pytest.raises(Refusal) as refused:
            house.submit(ANN, [PAT, f"{local}@{domain}"], house.mail())
        assert everything(house) == before
        refusals.add((refused.value.code, refused.value.status, str(refused.value).replace(f"{local}@{domain}", "…")))
    assert len(refusals) == 1
    assert next(iter(refusals))[:2] == (550, "5.1.1")


def test_an_expired_token_stands_for_nobody(house: House, replied: tuple[int, str]) -> None:
    house.tamper("UPDATE links SET expires = :at", at=house.clock.now())
    with pytest.raises(Refusal, match="Nobody can be reached"):
        house.submit(ANN, [replied[1]], house.mail())


@pytest.mark.parametrize("column", ["address", "subscriber", "message", "purpose"])
def test_an_edited_link_row_turns_no_mail_to_somebody_else(house: House, replied: tuple[int, str], column: str) -> None:
    value = {"address": EVE, "subscriber": 1, "message": 1, "purpose": "open"}[column]
    house.tamper(f"UPDATE links SET {column} = :value WHERE purpose = 'reply'", value=value)  # noqa: S608
    with pytest.raises(Refusal):
        house.submit(ANN, [replied[1]], house.mail())


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
    with pytest.raises(Refusal, match="does not accept"):
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
