"""How does a recipient come to read, and how does nobody else?"""

from __future__ import annotations

import base64
import io

import pytest
import pyzipper

from cryptnsend.core.errors import Ended, NoGrant, SealBroken, Throttled, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.flow.views import Wishes, Writing
from tests.flow.admitting import sent
from tests.support.house import DAY, HOUR, PASSWORD, SOURCE, House

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


def test_a_message_whose_time_is_over_does_not_open_while_upkeep_is_late(house: House, ann: int) -> None:
    message = sent(house)
    pat = house.register(PAT, message)
    assert house.pickup.show(pat, message)
    house.clock.forward(366 * DAY)
    again = house.session(PAT)
    for opens in (house.pickup.show, house.pickup.eml):
        with pytest.raises(Ended):
            opens(again, message)
    assert [each.state for each in house.pickup.list(again)] == ["expired"]


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


def test_the_same_wrong_code_for_ever_fills_no_audit_trail(house: House, ann: int) -> None:
    message = sent(house)
    token, org = house.link(message, PAT), house.session(ANN).organisation
    for _ in range(9):
        with pytest.raises(WrongSecret):
            house.pickup.prove(token, "1", "198.51.100.9")
    for _ in range(20):
        with pytest.raises(Throttled):
            house.pickup.prove(token, "1", "198.51.100.9")
    assert [action for _, action in house.audited(org)].count("code.wrong") == 10
    assert house.register(PAT, message)


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
    assert letter.left_out == 1
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
        assert b"\nbcc:" not in b"\n" + seen.lower()
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
    house.spoil("UPDATE contents SET body = :body WHERE part = :part", body=damaged, part=part)
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
    house.spoil("UPDATE contents SET body = X'00' WHERE part = 'raw'")
    entry = house.pickup.list(pat)[0]
    assert (entry.subject, entry.attachments, entry.opened) == ("Résultats", 1, False)


def test_tokens_of_the_subject_are_for_us_and_not_for_readers(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail("secure/ Results"))
    pat = house.register(PAT, message)
    assert house.pickup.list(pat)[0].subject == house.pickup.show(pat, message).subject == "Results"


def test_a_conversation_shows_what_its_reader_may_open_and_nothing_else(house: House, ann: int) -> None:
    """Pat sees what Pat got and wrote; what Bob wrote to Ann alone is not there."""
    message = house.submit(ANN, [PAT, BOB], house.mail(to=[PAT, BOB]))
    pat, bob = house.register(PAT, message), house.register(BOB, message)
    assert len(house.pickup.thread(pat, message)) == 1
    answer = house.replies.send(pat, message, everybody=False, text="Thank you", files=(), nonce=b"p" * 16)
    aside = house.replies.send(bob, message, everybody=False, text="Between us", files=(), nonce=b"b" * 16)
    house.pickup.show(pat, message)
    turns = house.pickup.thread(pat, message)
    assert [(turn.message, turn.mine, turn.opened) for turn in turns] == [(message, False, True), (answer, True, True)]
    author = house.session(ANN)
    house.pickup.show(author, answer)
    turns = house.pickup.thread(author, answer)
    assert [turn.message for turn in turns] == [message, answer, aside]
    assert [(turn.mine, turn.opened) for turn in turns] == [(True, True), (False, True), (False, False)]


def test_a_conversation_does_not_show_what_has_not_left_yet(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat, author = house.register(PAT, message), house.session(ANN)
    writing = Writing("Come at once.", "More", (PAT,), about=message, wishes=Wishes(later=60))
    later = house.portal.newmail.send(author, writing, nonce=b"l" * 16)
    assert [turn.message for turn in house.pickup.thread(author, message)] == [message, later]
    assert [turn.message for turn in house.pickup.thread(pat, message)] == [message]
    house.clock.forward(HOUR)
    assert [turn.message for turn in house.pickup.thread(pat, message)] == [message, later]


def test_a_file_that_can_run_something_is_told(house: House, ann: int) -> None:
    more = 'MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name="run.exe"\r\n'
    message = house.submit(ANN, [PAT], house.mail(more=more))
    letter = house.pickup.show(house.register(PAT, message), message)
    assert [(file.name, file.dangerous) for file in letter.files] == [("run.exe", True)]


def test_a_search_finds_by_subject_people_and_files_without_case_and_accents(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], LETTER)
    pat = house.register(PAT, message)
    other = house.submit(ANN, [PAT], house.mail("Iron tablets"))
    for words in ("resultats", "ANN resultats", "lab.PDF", "pat lee"):
        assert [each.message for each in house.pickup.search(pat, words).entries] == [message]
    assert [each.message for each in house.pickup.search(pat, "ann").entries] == [other, message]
    for words in ("evil.example", "resultats iron", "well", ""):  # what it says inside is not searched
        assert not house.pickup.search(pat, words).entries
    assert house.pickup.search(pat, "nothing").all


def test_a_search_shows_nothing_of_what_needs_a_code_and_nothing_of_others(house: House, ann: int) -> None:
    pat = house.register(PAT, sent(house))
    holm = house.add_subscriber("holm@cardio.example", name="Henrik Holm")
    assert holm
    waits = house.submit("holm@cardio.example", [PAT], house.mail("Echo", author="holm@cardio.example"))
    house.submit(ANN, [BOB], house.mail("For Bob", to=[BOB]))
    assert not house.pickup.search(pat, "echo").entries
    assert [each.message for each in house.pickup.search(pat, "holm").entries] == [waits]
    assert not house.pickup.search(pat, "bob").entries


def test_a_search_looks_at_the_newest_and_says_so(house: House, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptnsend.flow.searching.MOST", 2)
    monkeypatch.setattr("cryptnsend.flow.received.PAGE", 1)
    pat = house.register(PAT, sent(house))
    for subject in ("two", "three"):
        house.submit(ANN, [PAT], house.mail(subject))
    found = house.pickup.search(pat, "results")
    assert (len(found.entries), found.looked_at, found.all) == (0, 2, False)
