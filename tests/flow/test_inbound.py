"""An answer by ordinary mail joins its conversation, sealed, or is kept apart; what is in clear goes nowhere."""

from __future__ import annotations

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptnsend.core.model import account_holder
from cryptnsend.flow.adoption import NEWEST
from cryptnsend.keeper.roles import REQUESTS
from cryptnsend.store.records import grants
from tests.flow.conftest import Desk, parsed
from tests.flow.inbound_door import Door
from tests.flow.talks import ANN, EVE, PAT, QUOTED, SECRET, Talk
from tests.support.domains import GOOD_HOST, OTHER_HOST, signed
from tests.support.house import DAY, House


@pytest.fixture
def talk(desk: Desk) -> Talk:
    return Talk(desk)


# -- what joins its conversation --------------------------------------------------------------------------------------


def test_a_proven_answer_is_sealed_and_forwarded_like_one_from_the_page(talk: Talk) -> None:
    assert talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann()) == "250 2.0.0"
    house = talk.house
    assert talk.door.kept() == []
    reply = talk.messages()[-1]
    row = house.engine.query("SELECT * FROM messages WHERE id = :id", id=reply)[0]
    assert (row["parent"], row["origin"]) == (talk.message, "mail")
    assert b"with ESMTPS id" in row["received"]
    letter = house.pickup.show(house.session(ANN), reply)
    assert SECRET in (letter.text or "")
    assert QUOTED in (letter.text or "")
    assert letter.sender_address == PAT
    forwarded = talk.mailed(ANN)
    assert len(forwarded) == 1
    assert "secure-reply.zip" in forwarded[0]


def test_nothing_of_it_leaves_in_clear_and_nothing_rests_in_clear(talk: Talk) -> None:
    talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann())
    mails = [*talk.mailed(ANN), *talk.mailed(PAT)]
    assert len(mails) == 2
    for mail in mails:
        assert SECRET not in mail
        assert "Canaryvale" not in mail
    for path in talk.house.home.path.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_its_author_is_told_kindly_with_the_link_and_once_a_day(talk: Talk) -> None:
    talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann())
    talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann())
    told = talk.mailed(PAT)
    assert len(told) == 1
    mail = parsed(told[0].encode("latin-1"))
    assert str(mail["Auto-Submitted"]) == "auto-generated"
    body = mail.get_body(("plain",))
    assert body is not None
    words = " ".join(body.get_content().split())
    assert "answered a secure message by ordinary mail" in words
    link = next(word for word in words.split() if word.startswith("https://"))
    token = link.rpartition("/m/")[2]
    assert talk.house.pickup.waiting(token).message == talk.message
    talk.house.clock.forward(DAY + 1)
    talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann())
    assert len(talk.mailed(PAT)) == 2


def test_the_subscriber_s_own_answer_goes_the_same_way_to_the_recipient(talk: Talk) -> None:
    """Ann answers the forwarded reply from Gmail: Pat gets a notice, and nothing in clear."""
    talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann())
    reply = talk.messages()[-1]
    talk.mailed(PAT)
    to_pat = talk.house.reply_token(reply, PAT)
    own = talk.answer(to_pat, ANN, text="Puffinote")
    assert talk.door.bring(own, to_pat, sender=ANN) == "250 2.0.0"
    newest = talk.messages()[-1]
    assert "Puffinote" in (talk.house.pickup.show(talk.pat, newest).text or "")
    to_pat_mails = talk.mailed(PAT)
    assert "sent you a secure message" in to_pat_mails[-1]
    assert not any("Puffinote" in mail or "Canaryvale" in mail for mail in to_pat_mails)
    told = talk.mailed(ANN)[-1]
    assert f"/sent/{newest}" in told.replace("=\r\n", "")


def test_a_mail_without_tls_is_taken_and_says_so(talk: Talk) -> None:
    assert talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann(), tls="") == "250 2.0.0"
    row = talk.house.engine.query("SELECT received FROM messages ORDER BY id DESC LIMIT 1")[0]
    assert b"with ESMTP id" in row["received"]


def test_spf_alone_proves_it_where_the_domain_has_a_policy(talk: Talk) -> None:
    assert talk.door.bring(talk.answer(talk.to_ann(), sign=False), talk.to_ann(), source=GOOD_HOST) == "250 2.0.0"
    assert talk.door.kept() == []


def test_the_address_of_plain_mail_stands_for_its_author_too(talk: Talk) -> None:
    address = "u-" + talk.to_ann().removeprefix("r+")
    assert talk.door.bring(talk.answer(address), address) == "250 2.0.0"
    assert talk.door.kept() == []


def test_the_same_mail_brought_again_makes_no_second_reply(talk: Talk) -> None:
    octets = talk.answer(talk.to_ann())
    for _ in range(3):
        assert talk.door.bring(octets, talk.to_ann()) == "250 2.0.0"
    assert len(talk.messages()) == 2
    assert len(talk.mailed(ANN)) == 1


def test_a_large_answer_streams_through(talk: Talk) -> None:
    lines = ("x" * 76 + "\r\n") * 30_000
    octets = talk.answer(talk.to_ann(), text=lines)
    assert talk.door.bring(octets, talk.to_ann(), piece=1 << 16) == "250 2.0.0"
    assert talk.door.kept() == []
    blobs = talk.house.engine.query("SELECT count(*) AS n FROM contents WHERE blob_key IS NOT NULL")
    assert blobs[0]["n"] == 1
    assert len(list(talk.house.portal.blobs.keys())) == 1


def test_too_large_is_too_large(talk: Talk) -> None:
    most = talk.house.config.limits.message_octets
    octets = talk.answer(talk.to_ann(), sign=False, text="x" * most)
    assert talk.door.bring(octets, talk.to_ann(), piece=1 << 20).startswith("552 5.3.4")
    assert len(talk.messages()) == 1


def test_an_empty_answer_is_an_answer(talk: Talk) -> None:
    head = f"From: {PAT}\r\nTo: {talk.to_ann()}\r\n\r\n".encode()
    assert talk.door.bring(signed(head, "yahoo.example", talk.house.clock.now()), talk.to_ann()) == "250 2.0.0"
    assert talk.door.kept() == []


# -- what is not taken ------------------------------------------------------------------------------------------------


def test_names_that_do_not_answer_defer_the_mail_and_keep_nothing(talk: Talk) -> None:
    talk.door.domains.broken.add("yahoo.example")
    assert talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann()).startswith("451 4.3.0")
    assert talk.door.kept() == []
    assert len(talk.messages()) == 1
    talk.door.domains.broken.clear()
    assert talk.door.bring(talk.answer(talk.to_ann()), talk.to_ann()) == "250 2.0.0"


def test_a_keeper_that_is_gone_defers_the_mail(talk: Talk) -> None:
    to, octets = talk.to_ann(), talk.answer(talk.to_ann())
    talk.house.stop_keeper()
    assert talk.door.bring(octets, to).startswith("451 4.3.0")
    talk.house.start_keeper()
    assert talk.door.bring(octets, to) == "250 2.0.0"


def test_our_own_domain_writes_to_nobody_here(talk: Talk) -> None:
    octets = talk.answer(talk.to_ann(), f"notice@{talk.domain}")
    assert talk.door.bring(octets, talk.to_ann()).startswith("550 5.7.1 Nobody writes from this domain")


def test_mail_to_notice_is_kept_if_it_answers_a_notice_and_is_proven(talk: Talk) -> None:
    notice = talk.house.queued("notice")[0]["id"]
    more = f"In-Reply-To: <d{notice}@{talk.domain}>\r\n"
    to = f"notice@{talk.domain}"
    assert talk.door.bring(talk.answer(to, more=more), to) == "250 2.0.0"
    assert talk.door.kept() == [("no-token", talk.message)]


@pytest.mark.parametrize("author", [PAT, EVE])
def test_other_mail_to_notice_is_refused_with_words_that_help(talk: Talk, author: str) -> None:
    notice = talk.house.queued("notice")[0]["id"]
    to = f"notice@{talk.domain}"
    for more in ("", f"In-Reply-To: <d{notice + 1}@{talk.domain}>\r\n"):
        said = talk.door.bring(talk.answer(to, author, more=more), to, sender=author)
        assert said.startswith("550 5.7.1 Nobody reads this address. Answer with the Reply button")
    forged = talk.answer(to, sign=False, more=f"In-Reply-To: <d{notice}@{talk.domain}>\r\n")
    assert talk.door.bring(forged, to, source=OTHER_HOST).startswith("550 5.7.1")
    assert talk.door.kept() == []


def test_postmaster_and_abuse_reach_whoever_runs_this(talk: Talk) -> None:
    for name in ("postmaster", "abuse", "Postmaster"):
        to = f"{name}@{talk.domain}"
        assert talk.door.bring(talk.answer(to, EVE, sign=False), to, sender=EVE, source=OTHER_HOST) == "250 2.0.0"
    assert [reason for reason, _ in talk.door.kept()] == ["postmaster", "abuse", "postmaster"]
    assert SECRET in talk.kept_text()  # Ann, the only one there is
    assert talk.mailed(EVE) == []


def test_an_officer_comes_before_a_subscriber(desk: Desk) -> None:
    talk = Talk(desk)
    officer = "olive@clinic.example"
    talk.house.add_subscriber(officer, organisation=talk.house.organisation("Practice"), roles=("officer",))
    to = f"postmaster@{talk.domain}"
    talk.door.bring(talk.answer(to, EVE, sign=False), to, sender=EVE)
    assert not grants.page(
        talk.house.engine, account_holder(talk.house.account(ANN)), "kept", NEWEST, 5
    )  # an officer comes before a subscriber


def test_nobody_there_yet_is_a_matter_of_later(house: House) -> None:
    door = Door(house)
    assert door.bring(b"From: a@b.example\r\n\r\nx\r\n", f"postmaster@{house.config.server.domain}").startswith("451")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=st.text(alphabet=string.printable, max_size=200), body=st.binary(max_size=200))
def test_whatever_strangers_write_is_kept_or_refused_and_never_joins(talk: Talk, header: str, body: bytes) -> None:
    to = talk.to_ann()
    octets = header.replace("\r", "").replace("\n", "\r\n").replace("\r\n\r\n", "\r\n").encode()
    octets = octets.lstrip(b"\r\n") + b"\r\n\r\n" + body
    if b"\r\n\r\n" not in octets:
        return
    said = talk.door.bring(octets, to, sender=EVE, source=OTHER_HOST)
    assert said[0] in "245"
    assert len(talk.messages()) == 1


def test_the_role_has_no_request_that_opens_anything(talk: Talk) -> None:
    """The process can check tokens and seal; what it sealed ten minutes ago it opens no more."""
    everyone = {"anchors", "card", "vouch", "checkpoint", "witness_keys", "ended"}
    assert set(REQUESTS["inbound"]) == everyone | {"link", "resend_keys"}
