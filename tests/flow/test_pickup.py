"""How does a recipient come to read, and how does nobody else?"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import pytest
import pyzipper

from cryptnsend.core.errors import CryptnSendError, Denied, Ended, NoGrant, SealBroken, Throttled, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import deliveries
from tests.support.house import DAY, HOUR, OTHER, PASSWORD, SOURCE, House, MakeHouse

ANN, PAT, BOB, CARL = "ann@gmail.example", "pat@yahoo.example", "bob@outlook.example", "carl@mail.example"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
LETTER = (
    "From: Ann Ruiz <ann@gmail.example>\r\nTo: Pat Lee <pat@yahoo.example>\r\nSubject: =?utf-8?q?R=C3=A9sultats?=\r\n"
    'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="m"\r\n\r\n'
    '--m\r\nContent-Type: multipart/related; boundary="r"\r\n\r\n'
    '--r\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
    "--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nAll is well.\r\n"
    "--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>All is <b>well</b>.</p><script>alert(1)</script>"
    '<img src="cid:logo"><img src="https://evil.example/beacon.gif">\r\n--a--\r\n'
    "--r\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Disposition: inline\r\n"
    f"Content-Transfer-Encoding: base64\r\n\r\n{base64.b64encode(PICTURE).decode()}\r\n--r--\r\n"
    '--m\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="../lab.pdf"\r\n'
    f"Content-Transfer-Encoding: base64\r\n\r\n{base64.b64encode(b'%PDF ' + bytes(range(256)) * 40).decode()}\r\n"
    "--m--\r\n"
).encode()


@pytest.fixture
def ann(house: House) -> int:
    return house.add_subscriber(ANN)


def sent(house: House, to: Sequence[str] = (PAT,), author: str = ANN, **header: str) -> int:
    return house.submit(author, to, house.mail(author=author, to=to, **header))


# -- the link ---------------------------------------------------------------------------------------------------------


def test_a_link_says_what_the_notice_said_and_changes_nothing(house: House, ann: int) -> None:
    message = sent(house)
    token = house.link(message, PAT)
    before = list(house.rows())
    for _ in range(50):
        waiting = house.pickup.waiting(token)
    assert (waiting.message, waiting.to, waiting.state, waiting.has_account) == (message, PAT, "new", False)
    assert (waiting.sender_name, waiting.sender_address) == ("Ann Ruiz", ANN)
    assert list(house.rows()) == before


def test_unknown_forged_and_edited_links_look_alike(house: House, ann: int) -> None:
    message = sent(house)
    token = house.link(message, PAT)
    other = sent(house, [BOB])
    flipped = token[:-2] + ("aa" if token[-2:] != "aa" else "ba")
    answers = set()
    for wrong in ("", "x", "a" * 45, flipped, token[:30], "ü" * 45, token + "a"):
        with pytest.raises(Ended) as refused:
            house.pickup.waiting(wrong)
        answers.add(str(refused.value))
    house.tamper("UPDATE links SET message = :other WHERE purpose = 'open'", other=other)
    with pytest.raises(Ended) as refused:
        house.pickup.waiting(token)
    assert answers == {str(refused.value)}


def test_a_reply_token_is_no_link(house: House, ann: int) -> None:
    local = house.reply_token(sent(house), ANN).partition("@")[0].removeprefix("r+")
    with pytest.raises(Ended):
        house.pickup.waiting(local)


def test_a_link_in_capitals_still_works(house: House, ann: int) -> None:
    assert house.pickup.waiting(house.link(sent(house), PAT).upper()).to == PAT


def test_a_proven_contact_is_known_from_the_next_message_on(house: House, ann: int) -> None:
    house.register(PAT, sent(house))
    waiting = house.pickup.waiting(house.link(sent(house), PAT))
    assert (waiting.state, waiting.has_account) == ("known", True)


def test_without_its_code_a_link_opens_nothing(house: House, ann: int) -> None:
    token = house.link(sent(house), PAT)
    house.code(ANN, PAT)
    for wrong, left in (("000000", 4), ("", 4), ("1" * 100, 4), ("٠٠٠٠٠٠", 4), ("111111", 3)):
        with pytest.raises(WrongSecret) as refused:
            house.pickup.prove(token, wrong, SOURCE)
        assert refused.value.tries_left == left  # what cannot be a code is no try
    assert [action for _, action in house.audited(house.engine.query("SELECT org FROM messages")[0]["org"])].count(
        "code.wrong"
    ) == 5
    assert house.pickup.prove(token, house.code(ANN, PAT), SOURCE).may_register


def test_five_wrong_codes_use_the_code_up_and_lose_nothing(house: House, ann: int) -> None:
    message = sent(house)
    token, code = house.link(message, PAT), house.code(ANN, PAT)
    for _ in range(4):
        with pytest.raises(WrongSecret):
            house.pickup.prove(token, "000000", SOURCE)
    for used_up in ("000000", code):
        with pytest.raises(Ended):
            house.pickup.prove(token, used_up, SOURCE)
    assert house.pickup.waiting(token).digits == len(code) == 6
    fresh = house.accounts.next_code(house.session(ANN), PAT).code
    assert house.pickup.waiting(token).digits == len(fresh or "") == 8
    proof = house.pickup.prove(token, fresh or "", SOURCE)
    pat = house.found(house.accounts.register(proof.ticket, PASSWORD, "", SOURCE, "", "en"))
    assert house.pickup.show(pat, message).subject == "Results"


def test_guessing_codes_pauses_the_source(house: House, ann: int) -> None:
    token = house.link(sent(house), PAT)
    house.code(ANN, PAT)
    for number in range(9):
        with pytest.raises(WrongSecret):
            house.pickup.prove(token, f"guess {number}", "198.51.100.9")
    for _ in range(2):
        with pytest.raises(Throttled):
            house.pickup.prove(token, "guess 9", "198.51.100.9")
    assert house.pickup.prove(token, house.code(ANN, PAT), SOURCE).may_register


# -- reading ----------------------------------------------------------------------------------------------------------


def test_opened_means_shown_to_who_proved_the_contact(house: House, ann: int) -> None:
    message = sent(house)
    pat = house.register(PAT, message)
    state = "SELECT first_opened FROM recipients"
    house.pickup.list(pat)
    house.pickup.waiting(house.link(message, PAT))
    assert house.engine.query(state)[0]["first_opened"] is None
    first = house.clock.now()
    house.pickup.show(pat, message)
    house.clock.forward(HOUR // 6)
    house.pickup.show(pat, message)
    assert house.engine.query(state)[0]["first_opened"] == first
    org = house.session(ANN).organisation
    assert house.audited(org).count((account_holder(pat.account), "message.opened")) == 1


def test_a_letter_is_shown_safe_and_whole(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], LETTER)
    letter = house.pickup.show(house.register(PAT, message), message)
    assert letter.subject == "Résultats"
    assert letter.text == "All is well."
    assert letter.html is not None
    assert "<b>well</b>" in letter.html
    assert f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}" in letter.html
    assert "script" not in letter.html
    assert "evil" not in letter.html
    assert [(each.name, each.media_type) for each in letter.files] == [("lab.pdf", "application/pdf")]
    assert letter.to == ("Pat Lee <pat@yahoo.example>",)
    assert not letter.mine


def test_an_attachment_comes_out_as_it_went_in_with_its_exact_size(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], LETTER)
    pat = house.register(PAT, message)
    file = house.pickup.show(pat, message).files[0]
    part = house.pickup.part(pat, message, file.part)
    octets = b"".join(part.chunks)
    assert octets == b"%PDF " + bytes(range(256)) * 40
    assert (part.name, part.size) == ("lab.pdf", len(octets))
    for missing in ("", "9", "1.1.1", "../x", "raw"):
        with pytest.raises(NoGrant):
            house.pickup.part(pat, message, missing)


def test_everything_comes_as_one_zip_under_its_password(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], LETTER)
    pat = house.register(PAT, message)
    octets = b"".join(house.pickup.zip(pat, message, "gravel-sunny"))
    with pyzipper.AESZipFile(io.BytesIO(octets)) as archive:
        assert archive.namelist() == ["message.eml", "image-1-2.png", "lab.pdf"]
        with pytest.raises(RuntimeError):
            archive.read("message.eml", pwd=b"wrong")
        archive.setpassword(b"gravel-sunny")
        assert archive.read("message.eml") == LETTER
        assert archive.read("lab.pdf") == b"%PDF " + bytes(range(256)) * 40
        assert all(each.wz_aes_strength == 3 for each in archive.infolist())  # AES-256


def test_the_authors_mail_file_is_what_was_submitted_and_the_recipients_has_no_bcc(house: House, ann: int) -> None:
    octets = house.mail(bcc=[CARL, BOB], more="bCC: x@secret.example,\r\n y@secret.example\r\nX-After: 1\r\n")
    message = house.submit(ANN, [PAT, CARL, BOB], octets)
    pat, carl = house.register(PAT, message), house.register(CARL, message)
    own = house.pickup.eml(house.session(ANN), message)
    assert b"".join(own.chunks) == octets
    assert own.size == len(octets)
    for reader in (pat, carl):
        part = house.pickup.eml(reader, message)
        seen = b"".join(part.chunks)
        assert part.size == len(seen)
        assert b"bcc" not in seen.lower()
        assert b"secret.example" not in seen
        assert CARL.encode() not in seen
        assert part.name == "Results.eml"


def test_who_also_wrote_to_themselves_saves_what_they_submitted(house: House, ann: int) -> None:
    octets = house.mail(to=[PAT, ANN], bcc=["bob@icloud.example"])
    message = house.submit(ANN, [PAT, ANN, "bob@icloud.example"], octets)
    assert b"".join(house.pickup.eml(house.session(ANN), message).chunks) == octets
    saved = b"".join(house.pickup.eml(house.register(PAT, message), message).chunks)
    assert b"bob@icloud.example" not in saved


def test_a_large_message_streams_and_stays_whole(house: House, ann: int) -> None:
    body = base64.encodebytes(bytes(range(256)) * 8192).replace(b"\n", b"\r\n")
    octets = house.mail(
        text="", more='MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name="scan.bin"\r\n'
        "Content-Transfer-Encoding: base64\r\n",
    ) + body  # fmt: skip
    message = house.submit(ANN, [PAT], octets)
    assert house.engine.query("SELECT blob_key FROM contents WHERE part = 'raw'")[0]["blob_key"] is not None
    pat = house.register(PAT, message)
    letter = house.pickup.show(pat, message)
    assert [each.name for each in letter.files] == ["scan.bin"]
    part = house.pickup.part(pat, message, letter.files[0].part)
    assert b"".join(part.chunks) == bytes(range(256)) * 8192
    assert part.size == 256 * 8192
    assert b"".join(house.pickup.eml(pat, message).chunks) == octets


@pytest.mark.parametrize(
    "odd",
    [
        b"\r\n",
        b"no header at all",
        b"From: Ann <ann@gmail.example>\r\n\r\n",
        b"From: ann@gmail.example\r\nContent-Type: text/html; charset=klingon\r\n\r\n<p>x" + bytes(range(128, 256)),
        b"From: ann@gmail.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x",
        b"From: ann@gmail.example\r\nSubject: " + b"\xff" * 2000 + b"\r\n\r\n\xfe",
    ],
)
def test_whatever_was_taken_can_be_shown_or_at_least_saved(house: House, ann: int, odd: bytes) -> None:
    end = odd.find(b"\r\n\r\n") + 4
    row = house.engine.query("SELECT id, org FROM accounts")[0]
    draft = house.door.admission.begin(
        Author(row["id"], row["org"], ANN, frozenset({ANN}), True), Envelope(ANN, (Addressee(PAT),)), "page"
    )
    draft.header(odd[:end] if end > 3 else odd)
    draft.body(odd[end:] if end > 3 else b"")
    message = draft.commit_now().message
    pat = house.register(PAT, message)
    assert house.pickup.show(pat, message).message == message
    assert house.pickup.list(pat)[0].state == "open"
    assert b"".join(house.pickup.eml(pat, message).chunks) == odd


def test_a_message_that_cannot_be_parsed_is_only_saved(house: House, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    message = sent(house)
    pat = house.register(PAT, message)
    monkeypatch.setattr("cryptnsend.flow.opening.Index.from_octets", lambda _: int("not an index"))
    letter = house.pickup.show(pat, message)
    assert (letter.text, letter.html, letter.files) == (None, None, ())
    assert house.pickup.eml(pat, message).name == "message.eml"
    assert house.pickup.list(pat)[0].subject == ""


@pytest.mark.parametrize("part", ["raw", "index"])
def test_damaged_octets_are_never_shown(house: House, ann: int, part: str) -> None:
    message = sent(house)
    pat = house.register(PAT, message)
    body = house.engine.query("SELECT body FROM contents WHERE part = :part", part=part)[0]["body"]
    damaged = body[:-1] + bytes([body[-1] ^ 1])
    house.tamper("UPDATE contents SET body = :body WHERE part = :part", body=damaged, part=part)
    with pytest.raises(SealBroken):
        house.pickup.show(pat, message)
    assert [(each.subject, each.state) for each in house.pickup.list(pat)] == [
        ("Results" if part == "raw" else "", "open")
    ]
    if part == "raw":
        for saving in (house.pickup.eml, lambda *who: house.pickup.zip(*who, "x")):
            with pytest.raises(SealBroken):
                saving(pat, message)
    assert house.engine.query("SELECT first_opened FROM recipients")[0]["first_opened"] is None


def test_a_truncated_blob_breaks_before_the_first_octet(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(text="word " * 40_000))
    pat = house.register(PAT, message)
    key = house.engine.query("SELECT blob_key FROM contents WHERE part = 'raw'")[0]["blob_key"]
    file = next(path for path in house.home.blobs.rglob("*") if path.name.endswith(key) or key.endswith(path.name))
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[: 56 + 2 * 16400])  # at the border of two chunks
    for reading in (house.pickup.show, house.pickup.eml):
        with pytest.raises(SealBroken):
            reading(pat, message)


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
    shown = house.pickup.waiting(token).phrase
    pat = house.found(house.accounts.register(proof.ticket, PASSWORD, "", SOURCE, "", "en"))
    assert pat.account != intruder.account
    assert house.pickup.waiting(token).phrase == shown != known


# -- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_comes_in_pages_newest_first(house: House, ann: int) -> None:
    messages = [house.submit(ANN, [PAT], house.mail(f"Number {number}")) for number in range(7)]
    pat = house.register(PAT, messages[0])
    first = house.pickup.list(pat, limit=3)
    second = house.pickup.list(pat, before=first[-1].message, limit=3)
    third = house.pickup.list(pat, before=second[-1].message, limit=3)
    assert [each.message for each in (*first, *second, *third)] == messages[::-1]
    assert first[0].subject == "Number 6"


def test_the_list_opens_no_message(house: House, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    message = house.submit(ANN, [PAT], LETTER)
    pat = house.register(PAT, message)
    house.tamper("DELETE FROM contents WHERE part = 'raw'")
    entry = house.pickup.list(pat)[0]
    assert (entry.subject, entry.attachments, entry.opened) == ("Résultats", 1, False)


def test_tokens_of_the_subject_are_for_us_and_not_for_readers(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail("secure/ Results"))
    pat = house.register(PAT, message)
    assert house.pickup.list(pat)[0].subject == house.pickup.show(pat, message).subject == "Results"


# -- resets, and intruders --------------------------------------------------------------------------------------------


def test_after_a_reset_each_sender_brings_their_mail_back(house: House, ann: int) -> None:
    house.add_subscriber(BOB)
    from_ann, from_bob = sent(house), sent(house, [PAT], BOB)
    pat = house.register(PAT, from_ann)
    house.prove(pat, PAT, from_bob)
    weak = house.reset(PAT)
    later = sent(house)
    assert [each.state for each in house.pickup.list(weak)] == ["code", "code", "code"]
    assert house.pickup.waiting(house.link(from_ann, PAT)).state == "new"
    for message in (from_ann, from_bob, later):
        with pytest.raises(NoGrant):
            house.pickup.show(weak, message)
    house.prove(weak, PAT, from_ann)
    again = house.session(PAT, OTHER)
    assert house.pickup.show(again, from_ann).subject == house.pickup.show(again, later).subject == "Results"
    with pytest.raises(NoGrant):
        house.pickup.show(again, from_bob)
    house.prove(again, PAT, from_bob)
    assert house.pickup.show(again, from_bob).sender_address == BOB


def test_strict_mail_stays_locked_after_a_reset_until_the_old_password(make_house: MakeHouse) -> None:
    house = make_house(policy={"custody": "strict"})
    house.add_subscriber(ANN)
    message = sent(house)
    house.register(PAT, message)
    weak = house.reset(PAT)
    house.prove(weak, PAT, message)
    session = house.session(PAT, OTHER)
    assert [each.state for each in house.pickup.list(session)] == ["locked"]
    with pytest.raises(NoGrant):
        house.pickup.show(session, message)
    house.accounts.unlock(session, "password", PASSWORD, OTHER, SOURCE)
    assert house.pickup.show(house.session(PAT, OTHER), message).subject == "Results"


def opens_nothing(house: House, session: Session, messages: Sequence[int]) -> bool:
    for message in messages:
        for reading in (house.pickup.show, house.pickup.eml):
            with pytest.raises(CryptnSendError):
                reading(session, message)
    return all(each.subject is None for each in house.pickup.list(session))


def test_who_reads_pats_mailbox_and_subscribes_as_pat_reads_nothing_of_anns(make_house: MakeHouse) -> None:
    """The intruder signs up with Pat's address, writes to it as somebody else, and tells themselves that code."""
    house = make_house(signup={"mode": "open"})
    house.add_subscriber(ANN)
    before = sent(house)
    started = house.accounts.start_signup(PAT, SOURCE)
    entered = house.accounts.finish_signup(started.id, house.mailed_code(), OTHER, "Eve", SOURCE, "", "en")
    intruder = house.found(entered)
    house.add_subscriber("eve@evil.example", OTHER, name="Eve")
    theirs = house.submit("eve@evil.example", [PAT], house.mail(author="eve@evil.example"))
    house.prove(intruder, PAT, theirs)
    intruder = house.session(PAT, OTHER)
    after = sent(house)
    house.pickup.adopt(intruder)
    for message in (before, after):
        with pytest.raises(CryptnSendError):
            house.pickup.show(intruder, message)
    states = {each.message: each.state for each in house.pickup.list(intruder)}
    assert states == {before: "code", after: "code", theirs: "open"}


def test_who_resets_pats_password_by_mail_reads_nothing_of_before_or_after(house: House, ann: int) -> None:
    before = sent(house)
    pat = house.register(PAT, before)
    reply = house.replies.send(pat, before, everybody=False, text="Thanks", files=[], nonce=b"n" * 16)
    intruder = house.reset(PAT)
    after = sent(house)
    house.pickup.adopt(intruder)
    assert opens_nothing(house, intruder, [before, after, reply])


def test_who_resets_anns_password_by_mail_reads_nothing_and_is_told_to_ann(house: House, ann: int) -> None:
    message = sent(house)
    pat = house.register(PAT, message)
    before = house.replies.send(pat, message, everybody=False, text="Secret", files=[], nonce=b"1" * 16)
    intruder = house.reset(ANN)
    after = house.replies.send(pat, message, everybody=False, text="Secret too", files=[], nonce=b"2" * 16)
    house.pickup.adopt(intruder)
    assert opens_nothing(house, intruder, [message, before, after])
    assert all(each.subject == "" for each in house.pickup.sent(intruder))
    assert (ANN, "password-reset") in house.alerts()
    with pytest.raises(Denied):
        house.accounts.add_device(intruder, "evil", "submit")
    with pytest.raises(Denied):
        house.accounts.passphrases(intruder, OTHER, SOURCE)
    # Ann comes back with her old password: nothing is lost, the reply from meanwhile is there too.
    house.accounts.unlock(intruder, "password", PASSWORD, OTHER, SOURCE)
    session = house.session(ANN, OTHER)
    assert [house.pickup.show(session, each).text for each in (before, after)] == ["Secret\n", "Secret too\n"]


def test_a_senders_code_takes_an_address_back_from_who_only_read_its_mail(make_house: MakeHouse) -> None:
    house = make_house(signup={"mode": "open"})
    house.add_subscriber(ANN)
    started = house.accounts.start_signup(PAT, SOURCE)
    cookie = house.accounts.finish_signup(started.id, house.mailed_code(), OTHER, "Eve", SOURCE, "", "en").cookie
    intruder = house.found(cookie)
    message = sent(house)
    pat = house.register(PAT, message)
    assert pat.account != intruder.account
    assert house.pickup.show(pat, message).subject == "Results"
    with pytest.raises(CryptnSendError):
        house.pickup.show(intruder, message)
    with pytest.raises(CryptnSendError):
        house.session(PAT, OTHER)


# -- what became of it ------------------------------------------------------------------------------------------------


def deliver(house: House, message: int, kind: str, state: str, reply: str = "") -> None:
    house.tamper(
        "UPDATE deliveries SET state = :state, reply = :reply, settled = :now"
        " WHERE message = :message AND kind = :kind",
        state=state, reply=reply, now=house.clock.now(), message=message, kind=kind,
    )  # fmt: skip


def test_the_author_sees_each_recipients_state(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(to=["Pat Lee <pat@yahoo.example>"], bcc=[CARL]))
    session = house.session(ANN)

    def states() -> list[tuple[str, str, bool]]:
        return [
            (each.address, each.state, each.needs_code) for each in house.pickup.status(session, message).recipients
        ]

    assert states() == [(PAT, "waiting", True), (CARL, "waiting", True)]
    assert house.pickup.status(session, message).recipients[0].name == "Pat Lee"
    deliver(house, message, "notice", "delayed", "450 4.2.1 later")
    assert [each.reply for each in house.pickup.status(session, message).recipients] == ["450 4.2.1 later"] * 2
    deliver(house, message, "notice", "delivered")
    assert states() == [(PAT, "notified", True), (CARL, "notified", True)]
    pat = house.register(PAT, message)
    assert states() == [(PAT, "notified", False), (CARL, "notified", True)]
    house.pickup.show(pat, message)
    assert states() == [(PAT, "opened", False), (CARL, "notified", True)]
    deliver(house, message, "notice", "failed", "550 5.1.1 no such user")
    assert states() == [(PAT, "opened", False), (CARL, "bounced", True)]
    entry = house.pickup.sent(session)[0]
    assert (entry.subject, entry.message, entry.taken_back) == ("Results", message, False)


def test_nobody_but_the_author_sees_who_was_written_to_in_secret(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(bcc=[CARL]))
    pat, carl = house.register(PAT, message), house.register(CARL, message)
    for reader in (pat, carl):
        letter = house.pickup.show(reader, message)
        assert CARL not in str((letter.to, letter.others, letter.text, letter.html))
        assert letter.to == (PAT,)
        with pytest.raises(NoGrant):
            house.pickup.status(reader, message)
        assert house.pickup.sent(reader) == []


def test_a_recall_counts_at_once_and_can_be_undone_for_a_week(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(to=[PAT, CARL]))
    pat, carl, session = house.register(PAT, message), house.register(CARL, message), house.session(ANN)
    when = house.clock.now()
    house.pickup.expire(session, message)
    house.pickup.expire(session, message)
    for reader in (pat, carl):
        for reading in (house.pickup.show, house.pickup.eml):
            with pytest.raises(Ended):
                reading(reader, message)
        assert [each.state for each in house.pickup.list(reader)] == ["suspended"]
    status = house.pickup.status(session, message)
    assert (status.taken_back, status.undo_until) == (when, when + 7 * DAY)
    assert house.pickup.sent(session)[0].taken_back
    waiting = house.pickup.waiting(house.link(message, PAT))
    assert (waiting.state, waiting.ended) == ("suspended", when)
    assert house.pickup.show(session, message).mine
    house.pickup.restore(session, message)
    assert house.pickup.show(pat, message).ends == status.ends
    assert house.pickup.status(session, message).taken_back is None
    with pytest.raises(Denied):
        house.pickup.restore(session, message)
    org = session.organisation
    assert [action for _, action in house.audited(org)].count("grant.suspended") == 1


def test_a_recall_from_one_leaves_the_others(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(to=[PAT, CARL]))
    pat, carl, session = house.register(PAT, message), house.register(CARL, message), house.session(ANN)
    house.pickup.expire(session, message, PAT)
    with pytest.raises(Ended):
        house.pickup.show(pat, message)
    assert house.pickup.show(carl, message).subject == "Results"
    status = house.pickup.status(session, message)
    assert [(each.address, each.suspended) for each in status.recipients] == [(CARL, False), (PAT, True)]
    assert status.taken_back is None
    house.pickup.restore(session, message, PAT)
    assert house.pickup.show(pat, message).subject == "Results"


def test_a_recall_keeps_what_has_not_left_from_leaving_and_undoing_sends_it(house: House, ann: int) -> None:
    message, session = sent(house), house.session(ANN)
    house.pickup.expire(session, message)
    assert [row["state"] for row in house.queued("notice")] == ["cancelled"]
    rings = house.rings
    house.pickup.restore(session, message)
    assert [row["state"] for row in house.queued("notice")] == ["due"]
    assert house.rings == rings + 1
    assert house.pickup.show(house.register(PAT, message), message).subject == "Results"


def test_plain_mail_that_is_recalled_loses_its_key(house: House, ann: int) -> None:
    message, session = house.submit(ANN, [PAT], house.mail(":: Lunch")), house.session(ANN)
    row = house.queued("relay")[0]
    assert row["queue_wrap"] is not None
    house.pickup.expire(session, message)
    row = house.queued("relay")[0]
    assert (row["state"], row["queue_wrap"], row["queue_epoch"]) == ("cancelled", None, None)


def test_a_recall_reaches_a_recipient_who_registers_after_it(house: House, ann: int) -> None:
    message = sent(house)
    other = sent(house)
    house.pickup.expire(house.session(ANN), message)
    pat = house.register(PAT, other)
    with pytest.raises(Ended):
        house.pickup.show(pat, message)
    house.pickup.restore(house.session(ANN), message)
    assert house.pickup.show(pat, message).subject == "Results"


def test_only_the_author_recalls(house: House, ann: int) -> None:
    house.add_subscriber(BOB)
    message = house.submit(ANN, [PAT, BOB], house.mail(to=[PAT, BOB]))
    for somebody in (house.register(PAT, message), house.session(BOB)):
        for acting in (house.pickup.expire, house.pickup.restore, house.pickup.status):
            with pytest.raises(NoGrant):
                acting(somebody, message)


def test_the_journal_hears_of_a_recall_before_it_counts(house: House, ann: int) -> None:
    message, session = sent(house), house.session(ANN)
    pat = house.register(PAT, message)
    house.stop_keeper()
    with pytest.raises(CryptnSendError):
        house.pickup.expire(session, message)
    house.start_keeper()
    assert house.pickup.show(pat, message).subject == "Results"
    house.pickup.expire(session, message)
    kinds = [line.split('"kind":"')[1].split('"')[0] for line in house.home.journal.read_text().splitlines()]
    assert kinds == ["suspend", "cancel"]
