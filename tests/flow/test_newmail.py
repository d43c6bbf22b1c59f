"""What becomes of a message that is written on a page: whom it reaches, when it leaves, how it is had back."""

from __future__ import annotations

import email
from dataclasses import replace

import pytest

from cryptnsend.core.errors import Ended, NoGrant, Refusal, Temporary
from cryptnsend.flow.newmail import NewMail
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Upload, Wishes, Writing
from tests.flow.conftest import Desk
from tests.flow.test_replies import upload
from tests.support.house import DAY, HOUR, MINUTE, SOURCE, House, MakeHouse

ANN, PAT, JUNE, DORA = "ann@gmail.example", "pat@yahoo.example", "june@example.org", "dora@mail.example"
N = b"n" * 16


@pytest.fixture
def ann(house: House) -> Session:
    house.add_subscriber(ANN, name="Ann Ruiz")
    return house.session(ANN)


def new(house: House) -> NewMail:
    house.clock.forward(1)  # ids follow the clock
    return house.portal.newmail


def letter(*to: str, cc: str = "", bcc: str = "", **values: object) -> Writing:
    fields = {"subject": "Results", "text": "All is well."} | values
    return Writing(to=(", ".join(to),), cc=(cc,), bcc=(bcc,), **fields)  # type: ignore[arg-type]


def test_a_message_goes_to_everybody_and_bcc_shows_to_its_author_alone(house: House, ann: Session) -> None:
    files = [upload("labs.pdf", b"%PDF labs" * 3000)]
    message = new(house).send(ann, letter(f"Pat Lee <{PAT}>", cc=JUNE, bcc=DORA), files=files, nonce=N)
    house.clock.forward(MINUTE)
    own = house.pickup.show(ann, message)
    assert (own.subject, own.text, [each.name for each in own.files]) == ("Results", "All is well.\n", ["labs.pdf"])
    assert {each.address for each in house.pickup.status(ann, message).recipients} == {PAT, JUNE, DORA}
    assert DORA in b"".join(house.pickup.eml(ann, message).chunks).decode()
    pat = house.register(PAT, message)
    theirs = house.pickup.show(pat, message)
    assert theirs.to == (f"Pat Lee <{PAT}>", JUNE)
    assert DORA not in b"".join(house.pickup.eml(pat, message).chunks).decode()
    assert b"".join(house.pickup.part(pat, message, theirs.files[0].part).chunks) == b"%PDF labs" * 3000


def test_what_goes_wrong_after_the_last_octet_leaves_nothing_of_the_message(
    house: House, ann: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise Temporary("The store is busy.")

    before = sorted(house.portal.blobs.keys())
    files = [upload("scan.pdf", b"%PDF labs" * 100_000)]  # more than rests inside the database
    with monkeypatch.context() as broken:
        broken.setattr(type(house.portal.drafts), "sending", fail)
        with pytest.raises(Temporary):
            new(house).send(ann, letter(PAT), files=files, nonce=N)
    assert sorted(house.portal.blobs.keys()) == before
    assert new(house).send(ann, letter(PAT), files=files, nonce=N)
    assert len(list(house.portal.blobs.keys())) == len(before) + 1


def test_a_message_is_nobodys_but_its_authors_until_it_leaves(desk: Desk) -> None:
    house = desk.house
    house.add_subscriber(ANN)
    ann = house.session(ANN)
    first = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, first)
    desk.deliver()
    message = new(house).send(ann, letter(PAT), nonce=N)
    desk.answers.sent.clear()
    assert desk.deliver() == 0
    assert [each.message for each in house.pickup.list(pat)] == [first]
    assert house.pickup.search(pat, "results").entries == house.pickup.list(pat)
    with pytest.raises(NoGrant):
        house.pickup.show(pat, message)
    box = house.portal.mailboxes.named(pat, "INBOX")
    assert house.portal.mailboxes.look(pat, box).messages == 1
    house.clock.forward(15_000)
    assert desk.deliver() > 0
    assert [each.message for each in house.pickup.list(pat)] == [message, first]
    assert house.pickup.show(pat, message).subject == "Results"
    assert house.portal.mailboxes.look(pat, box).messages == 2


def test_what_has_not_left_is_had_back_as_a_draft_with_everything(desk: Desk) -> None:
    house = desk.house
    house.add_subscriber(ANN)
    ann = house.session(ANN)
    writing = letter(
        PAT, cc=JUNE, bcc=DORA, html="<p>All is <b>well</b>.</p>", wishes=Wishes(plain=True, days=7, tell=True)
    )
    message = new(house).send(ann, writing, files=[upload("a.pdf", b"pdf")], nonce=N)
    house.clock.forward(14_000)
    draft = house.portal.newmail.take_up(ann, message)
    kept = house.portal.drafts.draft(ann, draft)
    assert (kept.writing.to, kept.writing.cc, kept.writing.bcc) == ((PAT,), (JUNE,), (DORA,))
    assert (kept.writing.subject, kept.writing.html) == ("Results", "<p>All is <b>well</b>.</p>")
    assert kept.writing.wishes == Wishes(plain=True, days=7, tell=True, way="code")
    assert [each.name for each in kept.files] == ["a.pdf"]
    house.clock.forward(HOUR)
    assert desk.deliver() == 0
    house.upkeep.once()
    assert not house.engine.query("SELECT 1 FROM grants WHERE role = 'recipient'")
    again = new(house).send(ann, kept.writing, draft=draft, nonce=b"m" * 16)
    assert [each.name for each in house.pickup.show(ann, again).files] == ["a.pdf"]
    assert house.portal.drafts.count(ann) == 0


def test_what_has_begun_to_leave_is_not_had_back(house: House, ann: Session) -> None:
    message = new(house).send(ann, letter(PAT), nonce=N)
    house.clock.forward(15_000)
    with pytest.raises(Ended, match="It has left already"):
        house.portal.newmail.take_up(ann, message)
    assert house.portal.drafts.count(ann) == 0


def test_nobody_has_back_what_somebody_else_wrote(house: House, ann: Session) -> None:
    house.add_subscriber("eve@mail.example")
    message = new(house).send(ann, letter(PAT, "eve@mail.example"), nonce=N)
    with pytest.raises(NoGrant):
        house.portal.newmail.take_up(house.session("eve@mail.example"), message)


def test_a_message_leaves_when_its_author_said_and_has_that_time(desk: Desk) -> None:
    house = desk.house
    house.add_subscriber(ANN)
    ann = house.session(ANN)
    message = new(house).send(ann, letter(PAT, wishes=Wishes(later=24 * 60, days=2)), nonce=N)
    other = house.submit(ANN, [PAT], house.mail())
    status = house.pickup.status(ann, message)
    assert status.at == house.clock.now() - 1 + DAY
    assert status.ends == status.at + 2 * DAY
    assert message > other  # it stands above in every list
    desk.deliver()
    desk.answers.sent.clear()
    house.clock.forward(DAY)
    desk.deliver()
    assert [envelope.recipient for envelope, _, _ in desk.answers.sent if envelope.recipient == PAT] == [PAT]
    with pytest.raises(Refusal, match="a year from now"):
        new(house).send(ann, letter(PAT, wishes=Wishes(at=house.clock.now() + 400 * DAY)), nonce=b"o" * 16)


def test_a_form_sent_twice_makes_one_message_and_takes_the_draft_away(house: House, ann: Session) -> None:
    draft = house.portal.drafts.save(ann, letter(PAT), files=[upload("a.pdf", b"a")], nonce=N)
    made = {new(house).send(ann, letter(PAT), draft=draft, nonce=N) for _ in range(2)}
    assert len(made) == 1
    assert house.portal.drafts.count(ann) == 0
    with pytest.raises(Ended):
        house.portal.drafts.save(ann, letter(PAT), nonce=N)


def test_what_is_written_anew_on_a_page_that_was_sent_already_is_sent_too(house: House, ann: Session) -> None:
    """A phone goes back to a page as it was: the form still has the nonce of what was sent from it."""
    ways = [
        (letter(PAT), []),
        (letter(PAT, text="All is well. But come at once."), []),
        (letter(JUNE), []),
        (letter(PAT, subject="Other results"), []),
        (letter(PAT), [upload("a.pdf", b"a")]),
        (letter(PAT), [upload("a.pdf", b"b")]),
    ]
    made = [[new(house).send(ann, writing, files=files, nonce=N) for _ in range(2)] for writing, files in ways]
    assert [first for first, _ in made] == [again for _, again in made]
    assert len({first for first, _ in made}) == len(ways)


def test_nobody_hears_that_a_message_is_on_its_way_that_they_had_back(make_house: MakeHouse) -> None:
    for plain in (False, True):
        house = make_house(policy={"plain_token": True})
        house.add_subscriber(ANN)
        ann = house.session(ANN)
        writing = letter(PAT, JUNE, wishes=Wishes(plain=plain))
        message = new(house).send(ann, writing, nonce=N)
        house.portal.newmail.take_up(ann, message)
        with pytest.raises(Ended, match="from your drafts"):
            new(house).send(ann, writing, nonce=N)


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\u2028", "\x85", "\v", "\0"], ids=ascii)
def test_no_line_break_typed_into_a_form_reaches_a_header(house: House, ann: Session, line_break: str) -> None:
    bad = f"x{line_break}Reply-To: {DORA}{line_break}{line_break}body"
    for field in ("to", "cc", "bcc"):
        fields = {"to": (PAT,), "cc": (), "bcc": ()} | {field: (f'"{bad}" <{JUNE}>',)}
        try:
            message = new(house).send(
                ann, Writing(text=bad, subject=bad, html=f"<p>{bad}</p>", **fields),
                files=[Upload(f"{bad}.txt", f"text/plain{line_break}X-Evil: 1", 1, lambda: iter([b"f"]))],
                nonce=field.encode(),
            )  # fmt: skip
        except Refusal:
            continue
        octets = b"".join(house.pickup.eml(ann, message).chunks)
        assert b"\n" not in octets.replace(b"\r\n", b"")
        made = email.message_from_bytes(octets)
        names = {name.lower() for part in made.walk() for name, _ in part.items()}
        assert not names & {"reply-to", "x-evil"}
        assert {each.address for each in house.pickup.status(ann, message).recipients} <= {PAT, JUNE}


def test_a_message_does_not_leave_without_a_file_that_was_thrown_away_meanwhile(house: House, ann: Session) -> None:
    draft = house.portal.drafts.save(ann, letter(PAT), files=[upload("a.pdf", b"a")])
    [kept] = house.portal.drafts.draft(ann, draft).files
    house.portal.drafts.save(ann, letter(PAT), draft=draft, keep=())
    with pytest.raises(Refusal, match="not here any more"):
        new(house).send(ann, letter(PAT), draft=draft, keep=[kept.id], nonce=N)
    assert new(house).send(ann, letter(PAT), draft=draft, keep=(), nonce=N)


def test_what_is_had_back_keeps_its_sender_and_what_it_passes_on(make_house: MakeHouse) -> None:
    house = make_house(policy={"plain_token": True})
    house.add_subscriber(ANN)
    started = house.accounts.start_alias(house.session(ANN), "office@gmail.example", SOURCE)
    house.accounts.finish_alias(house.session(ANN), started.id, house.mailed_code())
    first = house.submit(ANN, [PAT], house.mail())
    ann = house.session(ANN)
    draft = house.portal.newmail.pass_on(ann, first)
    passed = house.portal.drafts.draft(ann, draft).writing
    writing = replace(passed, to=(JUNE,), sender="office@gmail.example")
    message = new(house).send(ann, writing, draft=draft, nonce=N)
    back = house.portal.newmail.take_up(ann, message)
    kept = house.portal.drafts.draft(ann, back).writing
    assert (kept.sender, kept.about) == ("office@gmail.example", first)
    again = new(house).send(ann, replace(kept, wishes=Wishes(plain=True)), draft=back, nonce=b"m" * 16)
    decided = house.engine.query("SELECT decision, reason FROM recipients WHERE message = :m", m=again)
    assert decided == [{"decision": "vault", "reason": "thread-vaulted"}]


def test_ordinary_mail_leaves_plain_where_the_rules_allow_it_and_sealed_where_not(make_house: MakeHouse) -> None:
    for allowed, way in ((True, "relay"), (False, "vault")):
        house = make_house(policy={"plain_token": allowed})
        house.add_subscriber(ANN)
        ann, writing = house.session(ANN), letter(PAT, wishes=Wishes(plain=True))
        assert house.portal.newmail.may_plain(ann) is allowed
        assert [each.way for each in new(house).check(ann, writing).people] == [way]
        message = new(house).send(ann, writing, nonce=N)
        decided = house.engine.query("SELECT decision FROM recipients WHERE message = :m", m=message)
        assert decided == [{"decision": way}]
        assert house.pickup.status(ann, message).subject == "Results"


def test_the_guard_knows_new_people_and_addresses_that_look_like_known_ones(house: House, ann: Session) -> None:
    first = house.submit(ANN, ["j.okafor@okafor-lind.example", JUNE], house.mail())
    house.register(JUNE, first)
    found = new(house).check(ann, letter("j.okafor@okafor-lind.org", JUNE, PAT, ANN, "nobody at all"))
    assert found.wrong == ("nobody at all",)
    people = {each.address: each for each in found.people}
    assert people["j.okafor@okafor-lind.org"].meant == "j.okafor@okafor-lind.example"
    assert (people[PAT].is_new, people[PAT].needs_code, people[PAT].meant) == (True, True, "")
    assert (people[JUNE].is_new, people[JUNE].needs_code) == (False, False)
    assert (people[ANN].is_new, people[ANN].needs_code, people[ANN].way) == (False, False, "vault")
    counted = house.engine.query("SELECT count(*) AS n FROM contacts")
    assert counted == [{"n": 2}]  # asking keeps nothing


def test_people_are_found_by_how_their_name_or_address_begins(house: House, ann: Session) -> None:
    house.submit(ANN, [PAT, JUNE, "walter.lindgren@yahoo.example"], house.mail())
    assert [each.address for each in new(house).known(ann, "lind")] == ["walter.lindgren@yahoo.example"]
    assert {each.address for each in new(house).known(ann, "yahoo")} == {PAT, "walter.lindgren@yahoo.example"}
    assert len(new(house).known(ann)) == 3
    house.add_subscriber("eve@mail.example")
    assert new(house).known(house.session("eve@mail.example"), "p") == []


@pytest.mark.parametrize(
    ("writing", "why"),
    [
        (letter(), "Type the address"),
        (letter("pat"), "no address: pat"),
        (letter("nobody@notes.cryptnsend.example"), "cannot be used|Nobody can be reached|no address"),
        (letter(*(f"p{number}@example.org" for number in range(101))), "100 recipients at most"),
    ],
)
def test_what_cannot_be_sent_says_why(house: House, ann: Session, writing: Writing, why: str) -> None:
    if "notes" in writing.to[0]:
        writing = letter(f"nobody@{house.config.server.domain}")
    with pytest.raises(Refusal, match=why):
        new(house).send(ann, writing, nonce=N)


def test_an_author_who_asked_for_it_hears_of_each_first_opening(desk: Desk) -> None:
    house = desk.house
    house.add_subscriber(ANN)
    ann = house.session(ANN)
    message = new(house).send(ann, letter(PAT, wishes=Wishes(tell=True)), nonce=N)
    house.clock.forward(MINUTE)
    desk.deliver()
    desk.answers.sent.clear()
    pat = house.register(PAT, message)
    for _ in range(2):
        house.pickup.show(pat, message)
    desk.deliver()
    told = [mail for mail in desk.answers.mails(ANN) if "was opened" in str(mail["Subject"])]
    assert len(told) == 1
    octets = told[0].as_bytes()
    assert PAT.encode() not in octets
    assert b"Results" not in octets
    assert f"/sent/{message}" in str(told[0].get_body(("plain",)).get_content())  # type: ignore[union-attr]


def test_a_message_is_passed_on_with_its_files_and_stays_protected(house: House, ann: Session) -> None:
    first = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, first)
    files = [upload("scan.pdf", b"%PDF" * 10)]
    reply = house.replies.send(pat, first, everybody=False, text="My scan.", files=files, nonce=N)
    draft = house.portal.newmail.pass_on(house.session(ANN), reply)
    ann = house.session(ANN)
    kept = house.portal.drafts.draft(ann, draft)
    assert kept.writing.subject == "Fwd: Re: Results"
    assert "My scan." in kept.writing.text
    assert [each.name for each in kept.files] == ["scan.pdf"]
    plain = Writing(
        kept.writing.text, kept.writing.subject, (JUNE,), about=kept.writing.about, wishes=Wishes(plain=True)
    )
    message = new(house).send(ann, plain, draft=draft, nonce=b"o" * 16)
    decided = house.engine.query("SELECT decision, reason FROM recipients WHERE message = :m", m=message)
    assert decided == [{"decision": "vault", "reason": "thread-vaulted"}]
    assert [each.name for each in house.pickup.show(ann, message).files] == ["scan.pdf"]


def test_what_a_script_made_of_the_words_is_cleaned(house: House, ann: Session) -> None:
    html = '<p>All is <b onclick="x()">well</b><script>alert(1)</script><img src="https://t.example/x"></p><ul><li>one</ul>'
    message = new(house).send(ann, letter(PAT, html=html), nonce=N)
    raw = b"".join(house.pickup.eml(ann, message).chunks).decode()
    assert "<b>well</b>" in raw
    for gone in ("onclick", "script", "img", "t.example"):
        assert gone not in raw
    shown = house.pickup.show(ann, message)
    assert shown.text is not None
    assert "All is well" in shown.text


def test_a_draft_kept_past_the_end_of_a_session_goes_on_with_the_one_before(house: House, ann: Session) -> None:
    drafts = house.portal.drafts
    first = drafts.save(ann, letter(PAT), files=[upload("a.pdf", b"a"), upload("b.pdf", b"b")])
    files = drafts.draft(ann, first).files
    late = drafts.save_for_later(
        ann, letter(PAT, text="later words"), draft=first, keep=[files[0].id], files=[upload("c.pdf", b"c")]
    )
    assert [each.id for each in drafts.listing(ann)] == [late]
    found = drafts.draft(ann, late)
    assert (found.writing.text, [each.name for each in found.files]) == ("later words", ["a.pdf", "c.pdf"])
    keep = [each.id for each in found.files]
    message = new(house).send(ann, found.writing, draft=late, keep=keep, nonce=N)
    assert [each.name for each in house.pickup.show(ann, message).files] == ["a.pdf", "c.pdf"]
    assert drafts.count(ann) == 0


def test_a_conversation_does_not_tell_of_what_has_not_left(house: House, ann: Session) -> None:
    first = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, first)
    reply = house.replies.send(pat, first, everybody=False, text="My scan.", files=(), nonce=N)
    on = house.portal.newmail.pass_on(house.session(ANN), reply)
    kept = house.portal.drafts.draft(house.session(ANN), on).writing
    later = Writing(kept.text, kept.subject, (PAT,), about=reply, wishes=Wishes(later=60))
    waiting = new(house).send(house.session(ANN), later, draft=on, nonce=b"o" * 16)
    assert waiting in [each.message for each in house.pickup.thread(house.session(ANN), first)]
    assert [each.message for each in house.pickup.thread(pat, first)] == [first, reply]
