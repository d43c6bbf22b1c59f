"""Whom does a reply reach, and what becomes of it?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cryptnsend.core.errors import Ended, Enough, NoGrant, TooBig
from cryptnsend.core.mime import index_message
from cryptnsend.flow.views import Upload
from tests.support.house import DAY, House, MakeHouse

ANN, PAT, CARL, DORA, EVE = (
    "ann@gmail.example", "pat@yahoo.example", "carl@mail.example", "dora@mail.example", "eve@mail.example",
)  # fmt: skip
LIST = "list@groups.example"
ABSENT = "absent@mail.example"


@pytest.fixture
def ann(house: House) -> int:
    return house.add_subscriber(ANN)


def upload(name: str, octets: bytes, media_type: str = "application/pdf") -> Upload:
    def chunks() -> Iterator[bytes]:
        for at in range(0, len(octets), 1000):
            yield octets[at : at + 1000]

    return Upload(name, media_type, len(octets), chunks)


def reached(house: House, message: int) -> set[str]:
    rows = house.engine.query(
        "SELECT a.canonical FROM recipients r JOIN addresses a ON a.id = r.address WHERE r.message = :m", m=message
    )
    return {row["canonical"] for row in rows}


def wide(house: House) -> int:
    """A message with everybody: To, Cc, Bcc, a list, one who stands in the header only."""
    octets = house.mail(to=[f"Pat Lee <{PAT}>", f"Not There <{ABSENT}>"], cc=[f"Carl <{CARL}>", LIST], bcc=[DORA])
    return house.submit(ANN, [PAT, CARL, LIST, DORA, EVE], octets)


def test_a_reply_reaches_its_author_and_opens_there_without_a_code(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    reply = house.replies.send(pat, message, everybody=False, text="Thank you.", files=[], nonce=b"1" * 16)
    assert reached(house, reply) == {ANN}
    letter = house.pickup.show(house.session(ANN), reply)
    assert (letter.subject, letter.text, letter.sender_address) == ("Re: Results", "Thank you.\n", PAT)
    assert letter.ends is None
    own = house.pickup.show(house.session(PAT), reply)
    assert (own.mine, own.can_reply) == (True, False)


@pytest.mark.parametrize(
    ("reader", "everybody", "expected"),
    [
        (PAT, False, {ANN}),
        (PAT, True, {ANN, CARL, LIST}),
        (CARL, True, {ANN, PAT, LIST}),
        (DORA, False, {ANN}),
        (DORA, True, {ANN, PAT, CARL, LIST}),
        (EVE, True, {ANN, PAT, CARL, LIST}),
    ],
)
def test_reply_all_reaches_who_stands_in_to_or_cc_and_was_in_the_envelope(
    house: House, ann: int, reader: str, everybody: bool, expected: set[str]
) -> None:
    message = wide(house)
    session = house.register(reader, message)
    letter = house.pickup.show(session, message)
    assert set(letter.others) == {PAT, CARL, LIST} - {reader}
    shown = str((letter.to, letter.others))
    assert DORA not in shown
    assert EVE not in shown
    reply = house.replies.send(session, message, everybody=everybody, text="x", files=[], nonce=b"1" * 16)
    assert reached(house, reply) == expected
    raw = b"".join(house.pickup.eml(house.session(ANN), reply).chunks).decode()
    for secret in {DORA, EVE} - {reader}:
        assert secret not in raw
    assert ABSENT not in raw


def test_a_reply_threads_in_every_program(house: House, ann: int) -> None:
    octets = house.mail(more="References: <a@x.example>\r\n <b@x.example>\r\nIn-Reply-To: <b@x.example>\r\n")
    message = house.submit(ANN, [PAT], octets)
    pat = house.register(PAT, message)
    reply = house.replies.send(pat, message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    index = index_message(b"".join(house.pickup.eml(pat, reply).chunks))
    parent = house.engine.query("SELECT message_id FROM messages WHERE id = :m", m=message)[0]["message_id"]
    assert index.in_reply_to == [parent]
    assert index.references == ["<a@x.example>", "<b@x.example>", parent]
    assert index.message_id == f"<m{reply}@{house.config.server.domain}>"
    assert index.author is not None
    assert index.author.address == PAT
    rows = house.engine.query("SELECT id, thread, parent FROM messages ORDER BY id")
    assert rows[0]["thread"] == rows[1]["thread"]
    assert rows[1]["parent"] == message


@pytest.mark.parametrize("subject", ["Re: Results", "RE: re: Aw: Results", "secure/ Results"])
def test_the_subject_says_re_once(house: House, ann: int, subject: str) -> None:
    message = house.submit(ANN, [PAT], house.mail(subject))
    pat = house.register(PAT, message)
    reply = house.replies.send(pat, message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    assert house.pickup.show(house.session(ANN), reply).subject == "Re: Results"


@pytest.mark.parametrize("subject", [":: Lunch", "", "encrypt/ x", "=?utf-8?q?=0D=0ABcc:_x@y.example?="])
def test_what_stands_in_a_subject_neither_lets_a_reply_leave_plain_nor_breaks_its_header(
    house: House, ann: int, subject: str
) -> None:
    message = house.submit(ANN, [PAT], house.mail("Hello"))
    pat = house.register(PAT, message)
    odd = house.submit(ANN, [PAT], house.mail(f"secure/ {subject}"))
    reply = house.replies.send(pat, odd, everybody=False, text="x", files=[], nonce=b"1" * 16)
    assert reached(house, reply) == {ANN}
    decisions = house.engine.query("SELECT decision FROM recipients WHERE message = :m", m=reply)
    assert {row["decision"] for row in decisions} == {"handoff"}
    assert b"x@y.example" not in b"".join(house.pickup.eml(pat, reply).chunks).partition(b"\r\n\r\n")[2]


def test_attachments_of_a_reply_arrive_octet_for_octet(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    octets = bytes(range(256)) * 700
    files = [upload("scan.pdf", octets), upload("../odd\u202ename.exe", b"x", "text/html"), upload("empty.bin", b"")]
    reply = house.replies.send(pat, message, everybody=False, text="Two files.", files=files, nonce=b"1" * 16)
    session = house.session(ANN)
    letter = house.pickup.show(session, reply)
    assert [each.name for each in letter.files] == ["scan.pdf", "oddname.exe", "empty.bin"]
    assert b"".join(house.pickup.part(session, reply, letter.files[0].part).chunks) == octets
    assert b"".join(house.pickup.part(session, reply, letter.files[1].part).chunks) == b"x"


def test_a_form_sent_twice_makes_one_reply(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    first = house.replies.send(pat, message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    again = house.replies.send(pat, message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    other = house.replies.send(pat, message, everybody=False, text="x", files=[], nonce=b"2" * 16)
    assert first == again != other
    assert len(house.queued("handoff")) == 2


def test_what_is_written_anew_on_a_page_that_was_sent_already_is_sent_too(house: House, ann: int) -> None:
    """A phone goes back to a page as it was: the form still has the nonce of what was sent from it."""
    message = house.submit(ANN, [PAT, CARL], house.mail(to=[PAT, CARL]))
    pat, nonce = house.register(PAT, message), b"1" * 16
    letter = upload("a.pdf", b"a")
    ways = [
        (False, "Thank you.", []),
        (False, "Thank you. But my chest hurts.", []),
        (True, "Thank you.", []),
        (False, "Thank you.", [letter]),
        (False, "Thank you.", [upload("a.pdf", b"b")]),
        (False, "Thank you.", [letter, letter]),
    ]
    made = [
        [house.replies.send(pat, message, everybody=all_, text=text, files=files, nonce=nonce) for _ in range(2)]
        for all_, text, files in ways
    ]
    assert all(first == again for first, again in made)
    assert len({first for first, _ in made}) == len(ways)
    texts = [house.pickup.show(house.session(ANN), first).text or "" for first, _ in made]
    assert [text.strip() for text in texts] == [text for _, text, _ in ways]


def test_answers_of_who_only_receives_have_a_daily_limit(make_house: MakeHouse) -> None:
    house = make_house(limits={"replies_per_day": 2, "messages_per_day": 3})
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    for number in range(2):
        house.replies.send(pat, message, everybody=False, text="Yes", files=(), nonce=bytes([number]) * 16)
    with pytest.raises(Enough, match="2 messages today"):
        house.replies.send(pat, message, everybody=False, text="And", files=(), nonce=b"3" * 16)
    house.clock.forward(DAY)
    assert house.replies.send(house.session(PAT), message, everybody=False, text="And", files=(), nonce=b"3" * 16)


def test_a_reply_that_is_too_large_leaves_nothing(make_house: MakeHouse) -> None:
    house = make_house(limits={"message_octets": 65_536})
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    with pytest.raises(TooBig):
        house.replies.send(pat, message, everybody=False, text="x", files=[upload("a", b"a" * 60_000)], nonce=b"1" * 16)
    assert len(house.engine.query("SELECT id FROM messages")) == 1
    assert list(house.portal.blobs.keys()) == []


def test_a_file_that_breaks_off_leaves_nothing(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)

    def broken() -> Iterator[bytes]:
        yield b"a" * 100_000
        raise OSError("the upload broke off")

    with pytest.raises(OSError, match="broke off"):
        house.replies.send(
            pat, message, everybody=False, text="x", files=[Upload("a", "b/c", 9, broken)], nonce=b"1" * 16
        )
    assert len(house.engine.query("SELECT id FROM messages")) == 1
    assert list(house.portal.blobs.keys()) == []


def test_what_cannot_be_read_cannot_be_answered(house: House, ann: int) -> None:
    message, other = house.submit(ANN, [PAT], house.mail()), house.submit(ANN, [CARL], house.mail())
    pat = house.register(PAT, message)
    reply = house.replies.send(pat, message, everybody=False, text="x", files=[], nonce=b"0" * 16)
    for unreadable in (other, 12345, reply):
        with pytest.raises(NoGrant):
            house.replies.send(pat, unreadable, everybody=False, text="x", files=[], nonce=b"1" * 16)
    house.pickup.expire(house.session(ANN), message)
    with pytest.raises(Ended):
        house.replies.send(pat, message, everybody=False, text="x", files=[], nonce=b"2" * 16)


def test_a_subscriber_answers_a_reply_and_the_recipient_needs_no_new_code(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    reply = house.replies.send(pat, message, everybody=False, text="A question.", files=[], nonce=b"1" * 16)
    answer = house.replies.send(house.session(ANN), reply, everybody=True, text="An answer.", files=[], nonce=b"2" * 16)
    assert reached(house, answer) == {PAT}
    assert house.pickup.show(pat, answer).text == "An answer.\n"
    assert [each.state for each in house.pickup.list(pat)] == ["open", "open"]


def test_a_reply_is_from_the_address_that_was_written_to(house: House, ann: int) -> None:
    pat = house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    work = house.submit(ANN, ["pat@work.example"], house.mail(to=["pat@work.example"]))
    house.prove(pat, "pat@work.example", work)
    pat = house.session(PAT)
    reply = house.replies.send(pat, work, everybody=False, text="x", files=[], nonce=b"1" * 16)
    assert house.pickup.show(house.session(ANN), reply).sender_address == "pat@work.example"


def test_a_reply_to_all_needs_a_code_where_the_contact_is_new(house: House, ann: int) -> None:
    """Carl has never shown Ann's code: Pat's reply waits for him like Ann's own message does."""
    message = house.submit(ANN, [PAT, CARL], house.mail(to=[PAT, CARL]))
    pat = house.register(PAT, message)
    reply = house.replies.send(pat, message, everybody=True, text="x", files=[], nonce=b"1" * 16)
    carl = house.register(CARL, message)
    assert house.pickup.show(carl, reply).sender_address == PAT
