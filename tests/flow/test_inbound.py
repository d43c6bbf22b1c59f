"""An answer by ordinary mail joins its conversation, sealed, or is kept apart; what is in clear goes nowhere."""

from __future__ import annotations

import string
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import NoGrant
from cryptnsend.core.model import account_holder
from cryptnsend.core.seal import open_sealed
from cryptnsend.flow.adoption import NEWEST
from cryptnsend.keeper.roles import REQUESTS
from cryptnsend.store.records import grants, listing
from tests.flow.conftest import Desk, parsed
from tests.flow.inbound_door import Door
from tests.support.domains import GOOD_HOST, OTHER_HOST, signed
from tests.support.house import DAY, House

ANN, PAT, EVE = "ann@gmail.example", "pat@yahoo.example", "eve@evil.example"
SECRET = "Walrusine"
QUOTED = "> Canaryvale: all is well."


class Talk:
    """Ann wrote to Pat, who opened it; both have mail programs, and a house in between."""

    def __init__(self, desk: Desk):
        self.desk, self.house, self.door = desk, desk.house, Door(desk.house)
        self.house.add_subscriber(ANN)
        self.message = self.house.submit(ANN, [PAT], self.house.mail("Results", "Canaryvale: all is well."))
        self.pat = self.house.register(PAT, self.message)
        desk.deliver()
        self.before = len(desk.answers.sent)

    @property
    def domain(self) -> str:
        return self.house.config.server.domain

    def mailed(self, recipient: str) -> Sequence[str]:
        """Deliver, and return every mail to *recipient* since the start, whole."""
        self.desk.deliver()
        sent = self.desk.answers.sent[self.before :]
        return [octets.decode("latin-1") for envelope, _, octets in sent if envelope.recipient == recipient]

    def to_ann(self) -> str:
        """Return the address by which Pat answers Ann's message."""
        return self.house.reply_token(self.message, ANN)

    def answer(self, to: str, author: str = PAT, *, sign: bool = True, more: str = "", text: str = SECRET) -> bytes:
        """Return an answer as a mail program and its provider send it."""
        octets = self.house.mail(
            "Re: Ann sent you a secure message", f"{text}\r\n\r\n{QUOTED}", author=author, to=[to], more=more
        )
        return signed(octets, author.rpartition("@")[2], self.house.clock.now()) if sign else octets

    def messages(self, state: str = "sealed") -> list[int]:
        rows = self.house.engine.query("SELECT id FROM messages WHERE state = :state ORDER BY id", state=state)
        return [row["id"] for row in rows]

    def kept_text(self, account: str = ANN) -> str:
        """Return the newest mail that is kept for somebody, opened with their own seeds."""
        house, session = self.house, self.house.session(account)
        row = grants.page(house.engine, account_holder(session.account), "kept", NEWEST, 1)[0]
        content = house.portal.opener.keys(session, row)
        found = listing.content(house.engine, row["org"], row["message"], "raw")
        assert found is not None
        return open_sealed(content, row["message"], "raw", found["body"]).decode()


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
    assert set(REQUESTS["inbound"]) == {"anchors", "card", "vouch", "checkpoint", "ended", "link", "resend_keys"}
