"""Which answers by ordinary mail are kept apart, for whom, and who is told?"""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import NoGrant
from cryptnsend.core.model import account_holder
from cryptnsend.flow.adoption import NEWEST
from cryptnsend.store.records import grants
from tests.flow.conftest import Desk
from tests.flow.talks import ANN, EVE, PAT, SECRET, Talk
from tests.support.domains import GOOD_HOST, OTHER_HOST, signed
from tests.support.house import DAY


@pytest.fixture
def talk(desk: Desk) -> Talk:
    return Talk(desk)


# -- what is kept apart -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "source", "sign"),
    [
        (PAT, OTHER_HOST, False),  # a host that may not send for Yahoo
        (EVE, GOOD_HOST, False),  # a host that may send, for somebody else
        ("", OTHER_HOST, False),
    ],
)
def test_a_forged_answer_is_kept_apart_and_never_in_the_conversation(
    talk: Talk, sender: str, source: str, sign: bool
) -> None:
    to = talk.to_ann()
    assert (
        talk.door.bring(talk.answer(to, sign=sign), to, sender=sender or "x@evil.example", source=source) == "250 2.0.0"
    )
    assert talk.door.kept() == [("unproven", talk.message)]
    assert len(talk.messages()) == 1
    ann = talk.house.session(ANN)
    assert [each.message for each in talk.house.pickup.list(ann)] == []
    assert [each.message for each in talk.house.pickup.sent(ann)] == [talk.message]
    assert SECRET in talk.kept_text()
    assert talk.mailed(PAT) == []  # nothing goes to an address that somebody made up
    told = talk.mailed(ANN)
    assert len(told) == 1
    assert "is really from the address it names" in " ".join(told[0].replace("=\r\n", "").split())
    assert SECRET not in told[0]


def test_a_signature_of_another_domain_proves_nothing(talk: Talk) -> None:
    octets = signed(talk.answer(talk.to_ann(), sign=False), "evil.example", talk.house.clock.now())
    talk.door.bring(octets, talk.to_ann(), sender=EVE, source=OTHER_HOST)
    assert talk.door.kept() == [("unproven", talk.message)]


def test_a_signed_answer_that_was_changed_is_kept_apart(talk: Talk) -> None:
    octets = talk.answer(talk.to_ann()).replace(SECRET.encode(), b"Send money")
    talk.door.bring(octets, talk.to_ann(), source=OTHER_HOST)
    assert talk.door.kept() == [("unproven", talk.message)]


def test_a_domain_without_policy_needs_a_signature(talk: Talk) -> None:
    talk.door.domains.bare.add("yahoo.example")
    talk.door.bring(talk.answer(talk.to_ann(), sign=False), talk.to_ann())
    assert talk.door.kept() == [("unproven", talk.message)]


def test_two_authors_are_none(talk: Talk) -> None:
    octets = talk.answer(talk.to_ann(), sign=False)
    for change in (b"From: eve@evil.example\r\nFrom:", b"From: eve@evil.example,"):
        talk.door.bring(octets.replace(b"From:", change, 1), talk.to_ann())
    assert [reason for reason, _ in talk.door.kept()] == ["no-author", "no-author"]
    shown = talk.house.pickup.kept.list(talk.house.session(ANN))
    assert [each.author for each in shown] == ["", ""], "not Ann herself, to whom it was written"


def test_mail_that_is_brought_again_is_kept_apart_once(talk: Talk) -> None:
    """The other server lost our 250, and does what it must (RFC 5321 §6.1)."""
    to = talk.to_ann()
    octets = talk.answer(to, sign=False)
    for _ in range(3):
        assert talk.door.bring(octets, to, source=OTHER_HOST) == "250 2.0.0"
    talk.house.clock.forward(DAY)
    assert talk.door.bring(octets, to, source=OTHER_HOST) == "250 2.0.0"
    assert talk.door.kept() == [("unproven", talk.message)]
    org = talk.house.session(ANN).organisation
    assert [action for _, action in talk.house.audited(org)].count("message.kept") == 1
    talk.door.bring(octets.replace(b"Subject:", b"X-Other: 1\r\nSubject:", 1), to, source=OTHER_HOST)
    assert len(talk.door.kept()) == 2, "another mail is another mail"


def test_a_large_mail_that_is_brought_again_leaves_nothing_on_the_disk(talk: Talk) -> None:
    to = talk.to_ann()
    octets = talk.answer(to, sign=False) + b"0123456789abcdef\r\n" * 60_000
    talk.door.bring(octets, to, source=OTHER_HOST)
    blobs = sorted(path for path in (talk.house.home.path / "data" / "blobs").rglob("*") if path.is_file())
    assert blobs
    talk.door.bring(octets, to, source=OTHER_HOST)
    assert sorted(p for p in (talk.house.home.path / "data" / "blobs").rglob("*") if p.is_file()) == blobs


def test_one_mail_to_postmaster_and_abuse_is_kept_for_both(talk: Talk) -> None:
    octets = talk.answer("abuse@x.example", sign=False)
    for name in ("postmaster", "abuse", "abuse"):
        to = f"{name}@{talk.house.config.server.domain}"
        assert talk.door.bring(octets, to, source=OTHER_HOST) == "250 2.0.0"
    assert [reason for reason, _ in talk.door.kept()] == ["postmaster", "abuse"]


def test_who_has_not_shown_the_code_is_kept_apart_and_told_how_to_go_on(desk: Desk) -> None:
    talk = Talk(desk)
    message = talk.house.submit(ANN, ["bob@yahoo.example"], talk.house.mail("Other", to=["bob@yahoo.example"]))
    to = talk.house.reply_token(message, ANN)
    talk.mailed(ANN)
    assert talk.door.bring(talk.answer(to, "bob@yahoo.example"), to, sender="bob@yahoo.example") == "250 2.0.0"
    assert talk.door.kept() == [("stranger", message)]
    told = talk.mailed("bob@yahoo.example")[-1].replace("=\r\n", "")
    assert "kept, and not delivered yet" in told
    assert SECRET not in told


def test_a_stranger_with_somebody_s_token_is_kept_apart_and_told_nothing(talk: Talk) -> None:
    """The notice was forwarded; whoever has its token is no recipient for that."""
    to = talk.to_ann()
    assert talk.door.bring(talk.answer(to, EVE), to, sender=EVE) == "250 2.0.0"
    assert talk.door.kept() == [("stranger", talk.message)]
    assert talk.mailed(EVE) == []


def test_a_subscriber_elsewhere_has_no_part_in_the_conversation(talk: Talk) -> None:
    talk.house.add_subscriber(EVE, organisation=talk.house.organisation("Other practice"))
    to = talk.to_ann()
    talk.door.bring(talk.answer(to, EVE), to, sender=EVE)
    assert talk.door.kept() == [("no-code", talk.message)]


def test_who_reset_by_mail_is_kept_apart_until_a_new_code(talk: Talk) -> None:
    talk.house.reset(PAT)
    talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann())
    assert talk.door.kept() == [("weak", talk.message)]


def test_an_answer_to_what_was_taken_back_is_kept_apart(talk: Talk) -> None:
    talk.house.pickup.expire(talk.house.session(ANN), talk.message)
    talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann())
    assert talk.door.kept() == [("ended", talk.message)]


def test_a_recipient_who_blocks_the_subscriber_gets_no_answer_of_theirs(talk: Talk) -> None:
    talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann())
    to_pat = talk.house.reply_token(talk.messages()[-1], PAT)
    talk.house.tamper("UPDATE contacts SET state = 'blocked'")
    before = talk.messages()
    assert talk.door.bring(talk.answer(to_pat, ANN), to_pat, sender=ANN) == "250 2.0.0"
    assert [reason for reason, _ in talk.door.kept()] == ["refused"]
    assert talk.messages() == before


def test_nothing_is_kept_for_an_account_that_is_closed_or_disabled(talk: Talk) -> None:
    to = talk.to_ann()
    talk.house.tamper("UPDATE accounts SET state = 'disabled'")
    assert talk.door.bring(talk.answer(to, sign=False), to, source=OTHER_HOST).startswith("550 5.1.1")
    assert talk.door.kept() == []


def test_rows_that_were_changed_turn_no_answer_elsewhere(talk: Talk) -> None:
    """Somebody who edits rows puts Pat's message into a thread of Eve's; the token still says that it is Ann's."""
    house = talk.house
    eve = house.add_subscriber(EVE)
    other = house.submit(EVE, ["bob@yahoo.example"], house.mail("x", author=EVE, to=["bob@yahoo.example"]))
    thread = house.engine.query("SELECT thread FROM messages WHERE id = :id", id=other)[0]["thread"]
    to = talk.to_ann()
    house.tamper("UPDATE messages SET thread = :thread WHERE id = :id", thread=thread, id=talk.message)
    talk.door.bring(talk.answer(to), to)
    assert talk.door.kept() == [("ended", talk.message)]
    held = grants.page(house.engine, account_holder(eve), "kept", NEWEST, 5)
    assert held == []


def test_its_owner_reads_it_as_words_saves_it_and_throws_it_away(talk: Talk) -> None:
    to = talk.to_ann()
    talk.door.bring(talk.answer(to, sign=False), to, source=OTHER_HOST)
    ann, kept = talk.house.session(ANN), talk.house.pickup.kept
    (entry,) = kept.list(ann)
    assert (entry.reason, entry.author, entry.answered) == ("unproven", PAT, talk.message)
    assert SECRET in (kept.show(ann, entry.message).text or "")
    assert SECRET.encode() in b"".join(kept.eml(ann, entry.message).chunks)
    for flow in (talk.house.pickup.show, talk.house.pickup.eml, talk.house.pickup.answering):
        with pytest.raises(NoGrant):
            flow(ann, entry.message)
    for stranger in (talk.pat, talk.house.session(PAT)):
        with pytest.raises(NoGrant):
            kept.show(stranger, entry.message)
        with pytest.raises(NoGrant):
            kept.delete(stranger, entry.message)
    kept.delete(ann, entry.message)
    assert not kept.any(ann)
    with pytest.raises(NoGrant):
        kept.show(ann, entry.message)
    archive = talk.house.engine.query("SELECT role FROM grants WHERE message = :id", id=entry.message)
    assert [row["role"] for row in archive] == ["archive"]


def test_a_message_that_came_by_mail_says_so(talk: Talk) -> None:
    talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann())
    assert talk.house.pickup.show(talk.house.session(ANN), talk.messages()[-1]).by_mail
    assert not talk.house.pickup.show(talk.pat, talk.message).by_mail


# -- programs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", ["Auto-Submitted: auto-replied\r\n", "X-Autoreply: yes\r\n", "Precedence: bulk\r\n"])
def test_an_automatic_answer_is_kept_shown_as_such_and_never_answered(talk: Talk, more: str) -> None:
    assert talk.door.bring(talk.answer(talk.to_ann(), more=more), talk.to_ann()) == "250 2.0.0"
    assert talk.door.kept() == [("automatic", talk.message)]
    assert len(talk.messages()) == 1
    assert talk.mailed(PAT) == []
    told = talk.mailed(ANN)
    assert len(told) == 1
    assert "A program wrote it" in " ".join(told[0].replace("=\r\n", "").split())


def test_two_programs_do_not_write_to_each_other_for_ever(talk: Talk) -> None:
    """Pat's absence note comes to Ann's address, and Ann's own to what we tell her about it; then it is quiet."""
    auto = "Auto-Submitted: auto-replied\r\n"
    talk.door.bring(talk.answer(talk.to_ann(), more=auto), talk.to_ann(), sender="")
    told = talk.mailed(ANN)
    assert len(told) == 1
    bounce = talk.door.bounce_address("alert")
    note = talk.answer(bounce, ANN, more=auto)
    assert talk.door.bring(note, bounce, sender="") == "250 2.0.0"
    assert talk.door.bring(note, f"notice@{talk.domain}", sender="").startswith("550 5.7.1")
    assert len(talk.mailed(ANN)) == 1
    assert talk.mailed(PAT) == []


def test_a_flood_of_kept_mail_is_told_of_once_and_ends_at_a_limit(talk: Talk) -> None:
    most = talk.house.config.inbound.kept_per_day
    to = talk.to_ann()
    for n in range(most):
        octets = talk.answer(to, sign=False, text=f"{n}")
        assert talk.door.bring(octets, to, source=OTHER_HOST) == "250 2.0.0"
    assert talk.door.bring(talk.answer(to, sign=False), to, source=OTHER_HOST).startswith("450 4.7.1")
    assert len(talk.mailed(ANN)) == 1
    talk.house.clock.forward(DAY)
    assert talk.door.bring(talk.answer(to, sign=False), to, source=OTHER_HOST) == "250 2.0.0"
