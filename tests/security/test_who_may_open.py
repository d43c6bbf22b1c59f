"""DESIGN's table "Who may open what", cell by cell: attempts with exactly the stolen things.

Every "no" is an attempt that has to fail, every "yes" one that has to work, so that the attempts are known to be good
ones. The keeper's own cells, request by request, stand in tests/keeper/test_roles.py; here the whole house is attacked.

Cells about what is not built yet, and therefore not here: the mailbox process; link finders ("anyone with the link"
files); replies that arrive in clear (`tls`); roles as users of their own on the machine (the last test of
test_roles_and_officers.py holds `serve` and `doctor` to saying so).
"""

from __future__ import annotations

from functools import partial

import pytest

from cryptnsend.core import keys
from cryptnsend.core.errors import CryptnSendError
from cryptnsend.store.records import deliveries
from tests.support.house import DAY, OTHER, PASSWORD, SOURCE

from .attempts import deliveries_of, refused, reply
from .conftest import MakeWorld, Steal
from .thief import every_form
from .world import ANN, BOB, EVE, OFFICER, PAT, SECRET

CUSTODIES = ("managed", "strict")
STRANGER = "new@aol.example"  # nobody has proven anything for this address


# -- thief of database, blobs or backup -------------------------------------------------------------------------------


@pytest.mark.parametrize("from_backup", [False, True], ids=["files", "backup"])
@pytest.mark.parametrize("custody", CUSTODIES)
def test_a_thief_of_database_blobs_or_backup_opens_nothing(
    make_world: MakeWorld, steal: Steal, custody: str, from_backup: bool
) -> None:
    """All four cells: managed, strict, archive, waiting to leave. Knowing the right password does not help."""
    world = make_world(custody)
    house = world.house
    sent = [world.write(ANN, PAT), world.write(ANN, STRANGER), world.write(ANN, PAT, text=SECRET * 20_000)]
    back = reply(world, house.session(PAT), sent[0])
    thief = steal(house, from_backup=from_backup)
    assert thief.secrets() is None
    assert thief.seeds() == {}
    assert [thief.opens(message) for message in (*sent, back)] == [""] * 4
    assert thief.archives() == []
    assert thief.waiting_to_leave() == []
    assert not thief.passwords_fit(PASSWORD)


def test_the_booty_has_no_secret_in_any_encoding(make_world: MakeWorld, steal: Steal) -> None:
    """Content, seeds, content keys, cookies, tickets, codes, device passwords, the master key."""
    world = make_world()
    house = world.house
    ann, pat = house.session(ANN), house.session(PAT)
    message = world.write(ANN, PAT, STRANGER)
    device = house.accounts.add_device(ann, "Front desk", "submit")
    row = house.portal.opener.grant(pat, message)
    hidden = [SECRET.encode(), *ann.seeds.values(), *pat.seeds.values(), ann.secret, ann.ticket, PASSWORD.encode()]
    hidden += [house.portal.opener.keys(pat, row), device.password.encode()]
    hidden += [
        house.config.keeper.key_file.read_bytes()[:32],
        house.accounts.recovery_code(ann, PASSWORD, SOURCE).encode(),
    ]
    hidden += [words.encode() for _, words in house.accounts.passphrases(ann, PASSWORD, SOURCE)]
    stolen = steal(house).octets()
    assert PAT.encode() in stolen  # the search itself works
    assert [secret[:8] for secret in hidden if any(form in stolen for form in every_form(secret))] == []


def test_a_thief_sees_addresses_names_and_times(make_world: MakeWorld, steal: Steal) -> None:
    """What the table admits to."""
    world = make_world()
    stolen = steal(world.house).octets()
    assert all(each in stolen for each in (PAT.encode(), b"Bob Stone", b"client.example"))


# -- the same with ledger and master key ------------------------------------------------------------------------------


def test_a_thief_with_ledger_and_master_key_opens_managed_mail(make_world: MakeWorld, steal: Steal) -> None:
    """The yes, for mail that was opened and for mail that still waits for its code."""
    world = make_world()
    sent = [world.write(ANN, PAT), world.write(ANN, STRANGER), world.write(ANN, PAT, text=SECRET * 20_000)]
    thief = steal(world.house, with_master_key=True)
    assert all(SECRET in thief.opens(message) for message in sent)


def test_a_thief_with_ledger_and_master_key_opens_no_strict_mail_once_the_contact_is_proven(
    make_world: MakeWorld, steal: Steal
) -> None:
    """The no, and the yes before that proof. What was pending is re-sealed by the proof."""
    world = make_world("strict")
    house = world.house
    proven, pending = world.write(ANN, PAT), world.write(ANN, STRANGER)
    thief = steal(house, with_master_key=True)
    assert thief.opens(proven) == ""
    assert SECRET in thief.opens(pending, ("recipient",))
    house.register(STRANGER, pending)
    assert steal(house, with_master_key=True).opens(pending) == ""


def test_a_thief_with_ledger_and_master_key_opens_no_archive(make_world: MakeWorld, steal: Steal) -> None:
    world = make_world()
    message = world.write(ANN, PAT)
    thief = steal(world.house, with_master_key=True)
    assert thief.seeds()
    assert thief.archives() == []
    assert thief.opens(message, ("archive",)) == ""


def test_the_server_alone_opens_no_archive_before_while_and_after_an_officer_does(
    make_world: MakeWorld, steal: Steal
) -> None:
    """Database, blobs, ledger and master key: it opens by an officer's password, and then by that browser's cookie."""
    world = make_world()
    house, message = world.house, world.write(ANN, PAT)
    thieves = [steal(house, with_master_key=True)]
    house.second(OFFICER)
    officer = house.session(OFFICER)
    ident = house.portal.glass.ask(officer, PASSWORD, house.number(OFFICER), ANN, "A judge asked for it.", 30, SOURCE)
    broken = house.portal.glass.broken(officer, ident)
    assert SECRET in (house.portal.glass.show(broken, message).body.text or "")  # the yes
    thieves.append(steal(house, with_master_key=True))
    house.clock.forward(30 * 60_000)
    house.upkeep.once()
    thieves.append(steal(house, with_master_key=True))
    seeds = {seed for pair, seed in broken.session.seeds.items() if pair not in officer.seeds}
    assert len(seeds) == 1
    for thief in thieves:
        assert thief.archives() == []
        assert thief.opens(message, ("archive",)) == ""
        assert not [form for seed in seeds for form in every_form(seed[:8]) if form in thief.octets()]


def test_a_thief_with_ledger_and_master_key_opens_what_waits_to_leave(make_world: MakeWorld, steal: Steal) -> None:
    """The yes."""
    world = make_world("strict")
    reply(world, world.house.session(PAT), world.write(ANN, PAT))
    assert [SECRET in text for text in steal(world.house, with_master_key=True).waiting_to_leave()] == [True]


def test_what_has_left_waits_no_more(make_world: MakeWorld, steal: Steal) -> None:
    """The queue key is destroyed when a delivery settles or is cancelled."""
    world = make_world("strict")
    house = world.house
    reply(world, house.session(PAT), world.write(ANN, PAT))
    row = house.queued("handoff")[0]
    now = house.clock.now()
    claimed = house.engine.write(lambda rows: deliveries.claim(rows, "w", now, 60_000, 100)).result()
    fence = next(each["fence"] for each in claimed if each["id"] == row["id"])
    house.engine.write(lambda rows: deliveries.settle(rows, row["id"], fence, "delivered", "", "", now)).result()
    assert house.queued("handoff")[0]["queue_wrap"] is None


# -- mailbox intruder at the recipient's ------------------------------------------------------------------------------


@pytest.mark.parametrize("custody", CUSTODIES)
def test_an_intruder_at_the_recipients_mailbox_opens_nothing_by_links_and_resets(
    make_world: MakeWorld, custody: str
) -> None:
    """They have every link that was mailed to Pat, and get the mailed code of a reset. No code of Ann's."""
    world = make_world(custody)
    house = world.house
    before = world.write(ANN, PAT)
    assert world.reads(house.session(PAT), before)  # the attempt is a good one
    intruder = house.reset(PAT)
    after = world.write(ANN, PAT)
    for message in (before, after):
        assert not world.reads(intruder, message)
        token = house.link(message, PAT)
        assert SECRET not in repr(house.pickup.waiting(token))
        assert refused(partial(house.pickup.prove_as, intruder, token, "000000", "203.0.113.9"))
    assert house.pickup.adopt(intruder) == 0
    assert SECRET not in world.lists(intruder)


@pytest.mark.parametrize("custody", CUSTODIES)
def test_an_intruder_at_the_recipients_mailbox_with_a_subscription_opens_nothing(
    make_world: MakeWorld, custody: str
) -> None:
    """Eve writes to Pat's address herself, and so gets a password there with her own code."""
    world = make_world(custody)
    house = world.house
    waits = world.write(ANN, STRANGER)
    lure = world.write(EVE, STRANGER, text="lure", subject="lure")
    intruder = house.register(STRANGER, lure, OTHER)
    assert house.pickup.show(intruder, lure).subject == "lure"
    assert not world.reads(intruder, waits)
    assert not world.reads(intruder, world.write(ANN, STRANGER))
    assert SECRET not in world.lists(intruder)
    eve = house.session(EVE)
    assert refused(lambda: house.pickup.prove_as(eve, house.link(waits, STRANGER), house.code(EVE, PAT), SOURCE))


def test_the_true_recipient_gets_an_address_back_with_the_senders_code(make_world: MakeWorld) -> None:
    """The yes, whatever somebody did in their mailbox before: here a whole account, proven by Eve's own code."""
    world = make_world()
    house = world.house
    waits = world.write(ANN, STRANGER)
    intruder = house.register(STRANGER, world.write(EVE, STRANGER, text="lure", subject="lure"))
    owner = house.reset(STRANGER)
    assert not world.reads(owner, waits)
    house.prove(owner, STRANGER, waits)
    assert world.reads(owner, waits)
    assert not world.reads(intruder, waits)


@pytest.mark.parametrize("kind", ["recovery", "password"])
def test_what_an_intruder_left_in_an_account_opens_nothing_later(make_world: MakeWorld, kind: str) -> None:
    """A recovery code or a password from their time in the account, used after the owner proved Ann's contact."""
    world = make_world()
    house = world.house
    waits = world.write(ANN, STRANGER)
    intruder = house.register(STRANGER, world.write(EVE, STRANGER, text="lure", subject="lure"))
    kept = house.accounts.recovery_code(intruder, PASSWORD, SOURCE)
    owner = house.reset(STRANGER)
    house.prove(owner, STRANGER, waits)
    assert world.reads(owner, waits)
    again = house.reset(STRANGER)
    house.accounts.unlock(again, kind, kept if kind == "recovery" else PASSWORD, OTHER, SOURCE)
    again = house.session(STRANGER, OTHER)
    house.pickup.adopt(again)
    assert not world.reads(again, waits)
    assert not world.reads(again, world.write(ANN, STRANGER))
    assert SECRET not in world.lists(again)


def test_an_intruder_at_the_recipients_sees_that_a_message_waits_and_from_whom(make_world: MakeWorld) -> None:
    """What the table admits to."""
    world = make_world()
    seen = world.house.pickup.waiting(world.house.link(world.write(ANN, PAT), PAT))
    assert (seen.sender_name, seen.sender_address, seen.state) == ("Ann Ruiz", ANN, "known")


# -- mailbox intruder at the subscriber's -----------------------------------------------------------------------------


@pytest.mark.parametrize("custody", CUSTODIES)
def test_an_intruder_at_the_subscribers_mailbox_opens_nothing_by_a_reset(
    make_world: MakeWorld, steal: Steal, custody: str
) -> None:
    """Managed and strict: what she sent, what was answered, what comes later. Archive: none of its seed."""
    world = make_world(custody)
    house = world.house
    sent = world.write(ANN, PAT)
    back = reply(world, house.session(PAT), sent)
    ann = house.session(ANN)
    assert world.reads(ann, sent)
    assert world.reads(ann, back)
    intruder = house.reset(ANN)
    later = reply(world, house.session(PAT), sent)
    from_bob = world.write(BOB, ANN)
    house.pickup.adopt(intruder)
    assert [world.reads(intruder, each) for each in (sent, back, later, from_bob)] == [False] * 4
    assert not set(intruder.seeds) & set(ann.seeds)
    for kind, secret in (("recovery", "AAAA-" * 8 + "AAAA"), ("password", OTHER), ("device", "aaaaa-" * 7 + "aaaaa")):
        assert refused(partial(house.accounts.unlock, intruder, kind, secret, OTHER, SOURCE))


def test_an_intruder_at_the_subscribers_mailbox_gets_no_reply_that_can_be_read(make_world: MakeWorld) -> None:
    """Waiting to leave: no. What is mailed to Ann is a ZIP whose passphrase the intruder is not shown."""
    world = make_world()
    house = world.house
    reply(world, house.session(PAT), world.write(ANN, PAT))
    row = deliveries_of(house, "handoff")[0]
    letter = house.courier.letters.compose(row)
    assert isinstance(letter.octets, bytes)
    assert not any(form in letter.octets for form in every_form(SECRET.encode()))
    intruder = house.reset(ANN)
    assert refused(lambda: house.accounts.passphrases(intruder, OTHER, SOURCE)) == "Denied"
    assert refused(lambda: house.accounts.new_passphrase(intruder, OTHER, SOURCE)) == "Denied"


def test_a_reset_of_the_subscriber_does_not_open_by_waiting_where_somebody_answers(make_world: MakeWorld) -> None:
    """Bob's and Ann's organisation is not of one: no waiting opens anything there."""
    world = make_world()
    house = world.house
    sent = world.write(ANN, PAT)
    intruder = house.reset(ANN)
    house.clock.forward(8 * DAY)
    house.upkeep.once()
    again = house.session(ANN, OTHER)
    assert not world.reads(again, sent)
    assert not set(again.seeds) - set(intruder.seeds)


def test_an_intruder_cannot_take_away_what_keeps_waiting_from_opening(make_world: MakeWorld) -> None:
    """Eve has a device, so seven days of silence open nothing of hers; also not after the intruder revoked it."""
    world = make_world()
    house = world.house
    sent = world.write(EVE, PAT)
    eve = house.session(EVE)
    device = house.accounts.add_device(eve, "Front desk", "submit")
    intruder = house.reset(EVE)
    try:
        house.accounts.revoke_device(intruder, device.id)
    except CryptnSendError:
        assert house.sign_in_smtp(EVE, device.password).device == device.id
    house.clock.forward(8 * DAY)
    again = house.session(EVE, OTHER)  # the first sign-in after the time would end the weakness
    assert again.weak
    assert refused(partial(house.accounts.unlock, again, "waited", "", OTHER, SOURCE)) == "Denied"
    assert not world.reads(again, sent)


def test_seven_unanswered_days_open_the_account_of_who_has_nothing_else(make_world: MakeWorld) -> None:
    """The yes that the table admits: an organisation of one without second factor, recovery code or device."""
    world = make_world()
    house = world.house
    sent = world.write(EVE, PAT)
    house.reset(EVE)
    house.clock.forward(8 * DAY)
    assert world.reads(house.session(EVE, OTHER), sent)


def test_an_intruder_at_the_subscribers_mailbox_destroys_nothing(make_world: MakeWorld) -> None:
    """No recall, no closing: after Ann is back with her old password, all is as it was, for her and for Pat."""
    world = make_world("strict")
    house = world.house
    sent = world.write(ANN, PAT)
    back = reply(world, house.session(PAT), sent)
    intruder = house.reset(ANN)
    weak = house.keeper("portal").open(ANN, house.accounts._k(ANN, OTHER))
    assert refused(partial(house.pickup.expire, intruder, sent)) in ("Denied", "NoGrant")
    assert (
        refused(partial(house.keeper("portal").close_account, weak.ticket, house.accounts._k(ANN, OTHER))) == "Denied"
    )
    house.clock.forward(8 * DAY)
    house.upkeep.once()
    assert world.reads(house.session(PAT), sent)
    ann = house.session(ANN, OTHER)
    house.accounts.unlock(ann, "password", PASSWORD, OTHER, SOURCE)
    ann = house.session(ANN, OTHER)
    assert world.reads(ann, sent)
    assert world.reads(ann, back)
    house.pickup.expire(ann, sent)  # the yes: who has shown who they are may
    assert not world.reads(house.session(PAT), sent)


# -- another recipient, another subscriber ----------------------------------------------------------------------------


@pytest.mark.parametrize("custody", CUSTODIES)
def test_another_recipient_or_subscriber_opens_own_mail_only(make_world: MakeWorld, custody: str) -> None:
    """The yes for what was sent to Eve, the no for all else: mails to Pat, and Pat's answers."""
    world = make_world(custody)
    house = world.house
    hers, others = world.write(ANN, EVE), world.write(ANN, PAT)
    back = reply(world, house.session(PAT), others)
    eve, bob = house.session(EVE), house.session(BOB)
    assert world.reads(eve, hers)
    for who in (eve, bob):
        assert [world.reads(who, each) for each in (others, back)] == [False, False]
        house.pickup.adopt(who)
        assert [world.reads(who, each) for each in (others, back)] == [False, False]
    assert SECRET not in world.lists(bob)


def test_nobody_is_told_of_a_bcc(make_world: MakeWorld) -> None:
    """Three people, one of them in secret; neither page nor file nor reply to all knows of Bob."""
    world = make_world()
    house = world.house
    mail = house.mail("Results", "All is well.", author=ANN, to=[PAT], cc=[EVE], bcc=[BOB])
    message = house.submit(ANN, [PAT, EVE, BOB], mail)
    pat, eve, bob = (house.session(each) for each in (PAT, EVE, BOB))
    for who in (pat, eve, bob):
        letter = house.pickup.show(who, message)
        if who is not bob:
            assert BOB not in repr(letter)
        assert set(letter.others) == {PAT, EVE} - set(who.addresses)
        whole = b"".join(house.pickup.eml(who, message).chunks)
        assert BOB.encode() not in whole
        assert b"\nbcc:" not in b"\n" + whole.lower()
        assert refused(partial(house.pickup.status, who, message)) == "NoGrant"
        row = house.portal.opener.grant(who, message)
        assert refused(partial(keys.author_key, house.portal.opener.keys(who, row))) == "NoGrant"
    answer = house.replies.send(pat, message, everybody=True, text="thanks", files=(), nonce=b"n" * 16)
    assert not house.engine.query(
        "SELECT 1 FROM grants WHERE message = :m AND holder = :h", m=answer, h=f"account:{world.people[BOB]}"
    )
    ann = house.session(ANN)
    assert BOB.encode() in b"".join(house.pickup.eml(ann, message).chunks)  # the author's own copy has it
