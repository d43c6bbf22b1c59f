"""What stands in the mails that leave, and what never does?"""

from __future__ import annotations

import inspect
import io
import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import dkim
import pytest
import pyzipper

from cryptnsend.core.errors import Refusal
from cryptnsend.core.passwords import Argon, derive
from cryptnsend.flow import account, belongings, estate, oversight, upkeep
from cryptnsend.flow.granting import Addressee
from cryptnsend.flow.parcels import HEADER_MOST, Moot, split_header
from cryptnsend.flow.views import Upload
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Code, Receipt
from tests.flow.conftest import Desk, Post, faces, links_in, parsed
from tests.flow.rows import recipients
from tests.flow.test_intake import through
from tests.support.house import DAY, PASSWORD, House

ANN, PAT, BOB, CARL, EVE = (
    "ann@gmail.example", "pat@yahoo.example", "bob@icloud.example", "carl@aol.example", "eve@hospital.example",
)  # fmt: skip
DOMAIN = "mail.clinic.example"
CANARIES = ("Haemochroma", "Canarysubject", "Canaryfile", "Canarydisplay")


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN, name="Dr. Ann Ruiz")


def upload(name: str, octets: bytes, kind: str = "application/pdf") -> Upload:
    def chunks() -> Iterator[bytes]:
        yield from (octets[at : at + 4096] for at in range(0, len(octets), 4096))

    return Upload(name, kind, len(octets), chunks)


def sent(desk: Desk, address: str) -> EmailMessage:
    """Let everything leave, and return the newest mail to an address."""
    desk.deliver()
    return desk.answers.mails(address)[-1]


def words(mail: EmailMessage) -> str:
    """Return the plain text on one line."""
    return " ".join(faces(mail)[0].split())


def envelope(desk: Desk, mail: EmailMessage) -> str:
    """Return the reverse-path under which a mail left."""
    ident = mail["Message-ID"]
    return next(each.reverse_path for each, _, octets in desk.answers.sent if parsed(octets)["Message-ID"] == ident)


def passphrase(house: House, address: str = ANN) -> bytes:
    keeper = house.keeper("portal")
    salt = keeper.salt(address)
    k = derive(PASSWORD, salt.salt, Argon.decode(salt.params))
    return keeper.passphrase(house.session(address).ticket, k)[0].words.encode()


# -- the notice -------------------------------------------------------------------------------------------------------


def test_a_notice_says_who_when_and_where_and_nothing_else(desk: Desk, ann: int) -> None:
    desk.house.tamper("UPDATE accounts SET phone = '+1 555 010 0142' WHERE id = :ann", ann=ann)
    message = desk.house.submit(ANN, [PAT], desk.house.mail())
    mail = sent(desk, PAT)
    assert str(mail["From"]) == f'"Dr. Ann Ruiz via CryptnSend" <notice@{DOMAIN}>'
    assert (str(mail["To"]), str(mail["Subject"])) == (PAT, "Dr. Ann Ruiz sent you a secure message")
    assert (str(mail["Auto-Submitted"]), mail["Sender"]) == ("auto-generated", None)
    assert mail.get_content_type() == "multipart/alternative"
    said = words(mail)
    number = recipients(desk.house, message)[PAT]["display_id"]
    for piece in (
        f"Dr. Ann Ruiz ({ANN}) wrote to you on Wednesday 18 November 2026 at 11:06 UTC.",
        "kept for you until 18 December 2026",
        f"Message number {number}",
        "Dr. Ann Ruiz has it, and tells it to you by phone or in person.",
        "+1 555 010 0142",
        "this mail has no attachment",
    ):
        assert piece in said, piece
    assert links_in(faces(mail)[0]) == [f"https://{DOMAIN}/m/{desk.house.link(message, PAT)}"]


def test_the_number_of_a_message_stands_in_no_link(desk: Desk, ann: int) -> None:
    message = desk.house.submit(ANN, [PAT], desk.house.mail())
    number = recipients(desk.house, message)[PAT]["display_id"]
    (link,) = links_in(faces(sent(desk, PAT))[0])
    assert number not in link.upper()
    assert number.replace("-", "") not in link.upper()


def test_answers_to_a_notice_come_to_an_address_of_ours_that_stands_for_the_author(desk: Desk, ann: int) -> None:
    desk.house.submit(ANN, [PAT], desk.house.mail())
    reply_to = str(sent(desk, PAT)["Reply-To"])
    assert re.fullmatch(rf"r\+[a-z2-7]{{39}}@{re.escape(DOMAIN)}", reply_to)
    assert len(reply_to.partition("@")[0]) <= 48
    resolved = desk.house.door.admission.addressees.resolve([Addressee(reply_to)])
    assert list(resolved) == [ANN]


def test_failures_of_a_notice_come_back_to_an_address_of_its_own(desk: Desk, ann: int) -> None:
    desk.house.submit(ANN, [PAT, BOB], desk.house.mail())
    desk.deliver()
    paths = {envelope(desk, desk.answers.mails(who)[-1]) for who in (PAT, BOB, ANN)}
    assert len(paths) == 3
    assert all(re.fullmatch(rf"b\+[a-z2-7]{{39}}@{re.escape(DOMAIN)}", path) for path in paths)
    ends = {row["expires"] for row in desk.house.engine.query("SELECT expires FROM links WHERE purpose = 'bounce'")}
    assert all(0 < end - desk.house.clock.now() <= 30 * DAY for end in ends)


def test_a_known_recipient_is_shown_the_check_phrase_and_no_word_of_a_code(desk: Desk, ann: int) -> None:
    house = desk.house
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    house.tamper("UPDATE contacts SET phrase = 'green canoe'")
    message = house.submit(ANN, [PAT], house.mail())
    said = words(sent(desk, PAT))
    assert "Your check phrase: green canoe" in said
    assert "code" not in said.lower()
    assert f"Type {DOMAIN} in your browser and sign in" in said
    assert recipients(house, message)[PAT]["display_id"] in said


def test_a_second_senders_first_notice_has_the_phrase_and_speaks_of_a_code(desk: Desk, ann: int) -> None:
    house = desk.house
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    house.tamper("UPDATE contacts SET phrase = 'green canoe'")
    house.add_subscriber(BOB, name="Bob Okafor")
    house.submit(BOB, [PAT], house.mail(author=BOB))
    said = words(sent(desk, PAT))
    assert "Your check phrase: green canoe" in said
    assert "If the page asks for a code: Bob Okafor has it" in said


def test_a_stranger_has_no_check_phrase(desk: Desk, ann: int) -> None:
    desk.house.register(PAT, desk.house.submit(ANN, [PAT], desk.house.mail()))
    desk.house.tamper("UPDATE contacts SET phrase = 'green canoe'")
    desk.house.submit(ANN, [EVE], desk.house.mail(to=[EVE]))
    assert "canoe" not in words(sent(desk, EVE))


def test_in_a_thread_of_several_the_notice_names_whose_code_it_is(desk: Desk, ann: int) -> None:
    house = desk.house
    house.add_subscriber(BOB, name="Bob Okafor")
    first = house.submit(ANN, [BOB, PAT], house.mail(to=[BOB, PAT]))
    house.prove(house.session(BOB), BOB, first)
    house.replies.send(house.session(BOB), first, everybody=True, text="x", files=[], nonce=b"1" * 16)
    mail = sent(desk, PAT)
    assert str(mail["Subject"]) == "Bob Okafor sent you a secure message"
    assert "Dr. Ann Ruiz has it" in words(mail)


def test_an_organisation_of_several_is_named_below(desk: Desk) -> None:
    house = desk.house
    house.add_subscriber(ANN, organisation=house.organisation("Ruiz Family Practice"))
    house.submit(ANN, [PAT], house.mail())
    assert f"Sent by CryptnSend for Ruiz Family Practice to {PAT}." in words(sent(desk, PAT))


@pytest.mark.parametrize(
    "name",
    [
        "", "PayPal", "ann@gmail.example", "https://evil.example", "Call 0800 12345", "IT Support", "Аnn",
        "Ann\r\nBcc: eve@hospital.example", "\u202eann", "x" * 500,
    ],
)  # fmt: skip
def test_a_name_that_must_not_stand_there_does_not(desk: Desk, ann: int, name: str) -> None:
    desk.house.tamper("UPDATE accounts SET name = :name WHERE id = :ann", name=name, ann=ann)
    desk.house.submit(ANN, [PAT], desk.house.mail())
    mail = sent(desk, PAT)
    shown = mail["From"].addresses[0].display_name
    assert mail["From"].addresses[0].addr_spec == f"notice@{DOMAIN}"
    assert "@" not in shown
    assert len(shown) <= 80
    assert "\u202e" not in shown + str(mail["Subject"])
    assert mail["Bcc"] is None
    if not name or name[0] not in "A\u202ex":
        assert (shown, str(mail["Subject"])) == ("Secure message via CryptnSend", "You have a secure message")
        assert f"{ANN} wrote to you" in words(mail)


@pytest.mark.parametrize(
    "phone",
    [
        "call https://evil.example",
        "0800\r\nBcc: eve@hospital.example",
        "<b>0800 1234</b>",
        "1",
        "+1 555 <script>",
        "9" * 60,
    ],
)
def test_a_number_that_is_none_does_not_stand_there(desk: Desk, ann: int, phone: str) -> None:
    desk.house.tamper("UPDATE accounts SET phone = :phone WHERE id = :ann", phone=phone, ann=ann)
    desk.house.submit(ANN, [PAT], desk.house.mail())
    mail = sent(desk, PAT)
    text, html = faces(mail)
    assert mail["Bcc"] is None
    assert "The number they gave us" not in text
    assert not any(piece in text + html for piece in ("evil", "0800", "555", "9999"))


def test_what_people_wrote_is_escaped_in_html(desk: Desk, ann: int) -> None:
    house = desk.house
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    house.tamper("UPDATE contacts SET phrase = :p", p='<img src=x onerror=alert(1)> & "canoe"')
    house.submit(ANN, [PAT], house.mail())
    text, html = faces(sent(desk, PAT))
    assert '<img src=x onerror=alert(1)> & "canoe"' in text
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; &#34;canoe&#34;" in html


@pytest.mark.parametrize(
    "address",
    ['"a\\"b<c>"@mail.example', "päule@mail.example", "o'neil+x=y@mail.example", "pat@xn--mnchen-3ya.example"],
)
def test_odd_addresses_get_their_notice(desk: Desk, ann: int, address: str) -> None:
    desk.house.submit(ANN, [address], desk.house.mail())
    desk.deliver()
    to = next(each.recipient for each, _, _ in desk.answers.sent if each.recipient != ANN)
    mail = desk.answers.mails(to)[-1]
    assert mail["From"].addresses[0].addr_spec == f"notice@{DOMAIN}"
    assert links_in(faces(mail)[0])


# -- everything that leaves -------------------------------------------------------------------------------------------


def test_each_mail_is_signed_aligned_and_taken_by_those_who_look(post: Post) -> None:
    """The other end refuses what is not signed for the domain in From, and dkimpy agrees about both keys."""
    house = post.house
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    message = house.submit(ANN, [PAT, BOB, EVE, "x@nowhere.example"], house.mail())
    house.submit(ANN, [CARL], house.mail(":: hello"))
    house.replies.send(house.register(PAT, message), message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    post.deliver()
    assert [reply for _, reply in post.internet.refusals()] == ["550 5.1.1 There is no such person here"]
    mails = [mail for address in post.internet.addresses() for mail in post.mails(address)]
    assert len(mails) == 7  # three notices, plain mail, receipt, report, locked reply
    for mail in mails:
        assert mail.octets.count(b"DKIM-Signature: ") == 2  # dkimpy alone cannot check the Ed25519 one
        verifier = dkim.DKIM(mail.octets)
        assert verifier.verify(1, dnsfunc=post.internet.zone.look_up)
        assert verifier.domain == DOMAIN.encode()
        sender = mail.parsed["From"].addresses[0].addr_spec
        assert sender.endswith(f"@{DOMAIN}")
        assert len(mail.parsed.get_all("From")) == 1
        assert mail.parsed["Message-ID"]
        assert all(len(line) <= 998 for line in mail.octets.split(b"\r\n"))


def test_no_mail_about_sealed_mail_has_a_word_of_it(desk: Desk, ann: int) -> None:
    house = desk.house
    octets = house.mail(
        "Canarysubject", "Haemochromatosis", to=[f"Canarydisplay <{PAT}>"], cc=[EVE], bcc=[f"Canarydisplay <{BOB}>"],
        more='X-Note: Haemochroma\r\nContent-Type: text/plain; name="Canaryfile.txt"\r\n',
    )  # fmt: skip
    message = house.submit(ANN, [PAT, EVE, BOB, "x@nowhere.example"], octets)
    desk.deliver()
    house.register(PAT, message)
    file = upload("Canaryfile.pdf", b"Haemochroma" * 100)
    house.replies.send(house.session(PAT), message, everybody=True, text="Haemochroma", files=[file], nonce=b"1" * 16)
    desk.deliver()
    house.reset(PAT)
    desk.deliver()
    assert len(desk.answers.sent) >= 8
    for _, _, octets in desk.answers.sent:
        mail = parsed(octets)
        texts = [octets] + [
            part.get_payload(decode=True) or b"" for part in mail.walk() if part.get_content_maintype() == "text"
        ]
        for canary in CANARIES:
            assert not any(canary.encode() in each for each in texts), canary
        if str(mail["To"]) not in (ANN, BOB):
            assert not any(BOB.encode() in each for each in texts)


def test_html_fetches_presses_and_hides_nothing(desk: Desk, ann: int) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT, "x@nowhere.example"], house.mail())
    desk.deliver()
    house.replies.send(house.register(PAT, message), message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    house.reset(ANN)
    desk.deliver()
    assert len(desk.answers.sent) == 5
    for _, _, octets in desk.answers.sent:
        text, html = faces(parsed(octets))
        assert not re.search(r"\bsrc=|url\(|@import|<script|<form|<button|<input|<link\b|<img|display:\s*none", html)
        hosts = set(re.findall(r"https?://([^/\s\"'<]+)", html + text))
        assert hosts <= {DOMAIN}
        assert links_in(text) == list(dict.fromkeys(re.findall(r'href="([^"]+)"', html)))


# -- receipts ---------------------------------------------------------------------------------------------------------


def test_a_receipt_tells_the_codes_to_who_has_to_tell_them(desk: Desk, ann: int) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT, BOB], house.mail(to=[PAT], bcc=[BOB]))
    mail = sent(desk, ANN)
    assert str(mail["From"]) == f"CryptnSend <notice@{DOMAIN}>"
    assert str(mail["Subject"]) == "Your message is sent. Some codes to tell."
    said = words(mail)
    for who in (PAT, BOB):
        code = house.code(ANN, who)
        assert f"{who} needs a code from you to open it. Call them and read them this: {code[:3]} {code[3:]}" in said
    assert "by phone or in person, never by e-mail" in said
    assert links_in(faces(mail)[0]) == [f"https://{DOMAIN}/sent/{message}"]


def test_a_receipt_carries_nothing_that_opens(desk: Desk, ann: int) -> None:
    message = desk.house.submit(ANN, [PAT], desk.house.mail("Quarterly"))
    mail = sent(desk, ANN)
    whole = mail.as_bytes().decode() + "".join(faces(mail))
    assert desk.house.link(message, PAT) not in whole
    assert recipients(desk.house, message)[PAT]["display_id"] not in whole
    assert "/m/" not in whole
    assert "Quarterly" not in whole


def test_where_nobody_is_new_there_is_no_receipt(desk: Desk, ann: int) -> None:
    house = desk.house
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    desk.deliver()
    house.submit(ANN, [PAT, ANN], house.mail())
    desk.deliver()
    assert [row["state"] for row in house.queued("receipt")] == ["cancelled"]  # Pat had registered before it left
    assert all("code" not in str(mail["Subject"]) for mail in desk.answers.mails(ANN))


def test_a_code_that_was_used_up_waits_on_the_page(desk: Desk, ann: int) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail())
    token = house.link(message, PAT)
    house.code(ANN, PAT)
    for n in range(5):
        with pytest.raises(Exception, match=r"code"):
            house.pickup.prove(token, f"{n}" * 6, f"192.0.2.{n}")
    said = words(sent(desk, ANN))
    assert f"{PAT} needs a code from you to open it. It waits for you on the page below." in said
    assert not re.search(r"\d{3} \d{3}", said)


def test_a_policy_that_keeps_codes_on_the_page_keeps_them_out_of_mail(
    desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Keeper, "receipt", lambda *_: Receipt(ANN, (), True))
    desk.house.submit(ANN, [PAT], desk.house.mail())
    assert "It waits for you on the page below." in words(sent(desk, ANN))


def test_a_waived_contact_is_no_code_to_tell(desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = (Code(PAT, None, 6, 0, None, "waived"), Code(BOB, "123456", 6, 1, desk.house.clock.now(), "live"))
    monkeypatch.setattr(Keeper, "receipt", lambda *_: Receipt(ANN, codes, False))
    desk.house.submit(ANN, [PAT, BOB], desk.house.mail())
    mail = sent(desk, ANN)
    assert PAT not in words(mail)
    assert "for one more try" in words(mail)
    assert str(mail["Subject"]) == "Your message is sent. One code to tell."


# -- replies to the original inbox ------------------------------------------------------------------------------------


def replied(desk: Desk, text: str = "Thank you.", *files: Upload, author: str = PAT) -> EmailMessage:
    house = desk.house
    message = house.submit(ANN, [author], house.mail(to=[author]))
    desk.deliver()
    session = house.register(author, message)
    house.replies.send(session, message, everybody=False, text=text, files=files, nonce=b"1" * 16)
    return sent(desk, ANN)


def test_a_reply_arrives_locked_threaded_and_without_its_writers_name(desk: Desk, ann: int) -> None:
    mail = replied(desk)
    assert re.fullmatch(rf"Secure reply via CryptnSend <r\+[a-z2-7]{{39}}@{re.escape(DOMAIN)}>", str(mail["From"]))
    assert str(mail["Subject"]) == "You have a secure reply"
    first = desk.house.engine.query("SELECT message_id FROM messages ORDER BY id")[0]["message_id"]
    assert (str(mail["In-Reply-To"]), str(mail["References"])) == (first, first)
    assert mail["Reply-To"] is None
    assert PAT.encode() not in mail.as_bytes()
    assert PAT not in "".join(faces(mail))
    (link,) = links_in(faces(mail)[0])
    assert link.startswith(f"https://{DOMAIN}/m/")


def test_the_locked_file_has_one_entry_that_says_nothing_and_holds_everything(desk: Desk, ann: int) -> None:
    octets = bytes(range(256)) * 400
    files = (upload("Scan über.pdf", octets), upload("archive.zip", b"PK\x03\x04" + octets, "application/zip"))
    mail = replied(desk, "Grüße\r\nPat", *files)
    (part,) = mail.iter_attachments()
    assert (part.get_filename(), part.get_content_type()) == ("secure-reply.zip", "application/zip")
    with pyzipper.AESZipFile(io.BytesIO(part.get_content())) as archive:
        (entry,) = archive.infolist()
        assert (entry.filename, entry.wz_aes_strength, entry.comment, archive.comment) == ("message.eml", 3, b"", b"")
        with pytest.raises(RuntimeError, match="password"):
            archive.read("message.eml")
        archive.setpassword(passphrase(desk.house))
        whole = archive.read("message.eml")
    inside = parsed(whole)
    body = inside.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == "Grüße\nPat\n"
    kept = {each.get_filename(): each.get_payload(decode=True) for each in inside.iter_attachments()}
    assert list(kept.values()) == [octets, b"PK\x03\x04" + octets]
    assert whole.startswith(b"Received: by mail.clinic.example (CryptnSend) with HTTPS id ")
    assert passphrase(desk.house) not in mail.as_bytes()


def test_the_attachment_of_a_handoff_is_what_the_page_saves(desk: Desk, ann: int) -> None:
    house = desk.house
    mail = replied(desk, "x", upload("a.bin", b"\x00\r\n.\r\n" * 1000, "application/octet-stream"))
    (part,) = mail.iter_attachments()
    with pyzipper.AESZipFile(io.BytesIO(part.get_content())) as archive:
        archive.setpassword(passphrase(house))
        locked = archive.read("message.eml")
    message = house.engine.query("SELECT id FROM messages ORDER BY id DESC")[0]["id"]
    saved = b"".join(house.pickup.eml(house.session(ANN), message).chunks)
    assert locked.partition(b"\r\n")[2].endswith(saved)


def test_who_wants_links_gets_a_link_from_the_start(desk: Desk, ann: int) -> None:
    house = desk.house
    opened = house.keeper("portal").profile(house.session(ANN).ticket, form="link")
    assert opened
    house.session(ANN)  # the next sign-in brings the new card
    mail = replied(desk)
    assert mail.get_content_type() == "multipart/alternative"
    assert "did not take" not in words(mail)
    assert desk.row("handoff")["queue_wrap"] is None


def test_a_reply_goes_to_the_original_inbox_whichever_address_was_answered(desk: Desk, ann: int) -> None:
    house, alias = desk.house, "ann@work.example"
    started = house.keeper("portal").mail_proof(alias, "alias")
    house.keeper("portal").alias(
        house.session(ANN).ticket, started.id, house.keeper("courier").mail_code(started.id).code
    )
    house.session(ANN)
    message = house.submit(alias, [PAT], house.mail(author=alias))
    desk.deliver()
    session = house.register(PAT, message)
    house.replies.send(session, message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    mail = sent(desk, ANN)
    assert str(mail["Subject"]) == "You have a secure reply"
    assert list(recipients(house, desk.row("handoff")["message"])) == [alias]
    assert desk.answers.mails(alias) == []
    (link,) = links_in(faces(mail)[0])
    assert house.pickup.waiting(link.rpartition("/")[2]).to == alias


def test_an_odd_message_id_threads_nothing_and_stops_nothing(desk: Desk, ann: int) -> None:
    house = desk.house
    octets = house.mail().replace(b"@client.example>", "ü@client.example>".encode())
    message = house.submit(ANN, [PAT], octets)
    session = house.register(PAT, message)
    house.replies.send(session, message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    mail = sent(desk, ANN)
    assert (str(mail["Subject"]), mail["In-Reply-To"]) == ("You have a secure reply", None)


def test_members_get_new_messages_locked_too(desk: Desk) -> None:
    house = desk.house
    clinic = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=clinic)
    house.add_subscriber(BOB, organisation=clinic, name="Bob")
    house.submit(BOB, [ANN], house.mail("Canarysubject", author=BOB, to=[ANN]))
    mail = sent(desk, ANN)
    assert (str(mail["Subject"]), mail["In-Reply-To"]) == ("You have a secure message", None)
    assert [part.get_filename() for part in mail.iter_attachments()] == ["secure-message.zip"]
    assert BOB.encode() not in mail.as_bytes()


# -- plain mail -------------------------------------------------------------------------------------------------------


def test_plain_mail_leaves_under_an_address_of_ours_and_answers_go_to_its_author(post: Post) -> None:
    house = post.house
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    octets = house.mail(
        ":: We moved", "Füße\r\n.\r\n" + "x" * 100_000, to=[f"Pat <{PAT}>"], cc=[BOB], bcc=[CARL],
        more="Received: from laptop\r\nDKIM-Signature: v=1; d=gmail.example; b=abc\r\nSender: ann@gmail.example\r\n"
        "X-Originating-IP: 192.0.2.1\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n",
    )  # fmt: skip
    house.submit(ANN, [PAT], octets)
    post.deliver()
    raw, mail = post.mails(PAT)[-1].octets, post.last(PAT)
    author = mail["From"].addresses[0]
    assert author.display_name == "Dr. Ann Ruiz"
    assert re.fullmatch(rf"u-[a-z2-7]{{39}}@{re.escape(DOMAIN)}", author.addr_spec)
    assert str(mail["Reply-To"]) == f'"Dr. Ann Ruiz" <{ANN}>'
    assert (str(mail["Subject"]), str(mail["To"])) == ("We moved", f"Pat <{PAT}>")
    assert (mail["Bcc"], mail["Sender"], mail["X-Originating-IP"]) == (None, None, None)
    assert CARL.encode() not in raw
    assert len(mail.get_all("Received")) == 1
    assert raw.partition(b"\r\n\r\n")[2] == octets.partition(b"\r\n\r\n")[2]
    assert b"client.example" in raw  # the Message-ID is the client's own, so that it threads at both ends
    assert mail["Auto-Submitted"] is None


def test_an_international_header_asks_for_a_host_that_knows_it(desk: Desk, ann: int) -> None:
    octets = desk.house.mail(":: Grüße", to=["päule@mail.example"])
    through(desk.house, lambda door: door.send(octets, EVE, smtputf8=True))
    through(desk.house, lambda door: door.send(octets, CARL))
    desk.deliver()
    assert {each.recipient: each.smtputf8 for each, _, _ in desk.answers.sent} == {EVE: True, CARL: False}


def test_the_answer_to_plain_mail_through_us_reaches_its_author(desk: Desk, ann: int) -> None:
    """The address in From stands for Ann, should somebody here write to it."""
    house = desk.house
    house.add_subscriber(BOB, name="Bob")
    house.submit(ANN, [BOB], house.mail(":: hello", to=[BOB]))
    desk.deliver()
    author = desk.answers.mails(BOB)[-1]["From"].addresses[0].addr_spec
    message = house.submit(BOB, [author], house.mail(author=BOB, to=[author]))
    assert list(recipients(house, message)) == [ANN]


@pytest.mark.parametrize(
    ("whole", "header", "rest"),
    [
        (b"A: b\r\n\r\nbody", b"A: b\r\n\r\n", b"body"),
        (b"A: b\r\n\r\n", b"A: b\r\n\r\n", b""),
        (b"A: b\r\n", b"A: b\r\n\r\n", b""),
        (b"\r\nbody\r\n\r\nmore", b"\r\n", b"body\r\n\r\nmore"),
        (b"", b"\r\n", b""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_header_block_is_found_wherever_pieces_end(whole: bytes, header: bytes, rest: bytes, size: int) -> None:
    chunks = iter([whole[at : at + size] for at in range(0, len(whole), size)])
    found, begun = split_header(chunks)
    assert (found, begun + b"".join(chunks)) == (header, rest)


def test_a_header_block_without_end_is_refused() -> None:
    with pytest.raises(Refusal):
        split_header(iter([b"X: " + b"y" * HEADER_MOST, b"\r\nX: y"]))


# -- mail about accounts ----------------------------------------------------------------------------------------------


def test_a_mailed_code_goes_to_the_address_it_proves_and_is_not_for_telling(desk: Desk, ann: int) -> None:
    desk.house.accounts.start_reset(ANN, "192.0.2.1")
    mail = sent(desk, ANN)
    code = desk.house.keeper("courier").mail_code(desk.row("code")["subject_id"]).code
    assert re.search(rf"^ {{4}}{code}$", faces(mail)[0], re.MULTILINE)
    assert "Tell it to nobody, us neither." in words(mail)
    assert code not in str(mail["Subject"])
    assert links_in(faces(mail)[0]) == []


def test_a_code_that_is_over_is_not_mailed(desk: Desk, ann: int) -> None:
    desk.house.accounts.start_reset(ANN, "192.0.2.1")
    desk.house.clock.forward(24 * 3_600_000)
    desk.deliver()
    assert desk.row("code")["state"] == "cancelled"
    assert desk.answers.sent == []


def test_an_unknown_address_gets_no_mail(desk: Desk, ann: int) -> None:
    desk.house.accounts.start_reset(EVE, "192.0.2.1")
    desk.deliver()
    assert desk.answers.sent == []


def test_an_invitation_has_link_and_code_and_goes_to_the_invited_only(desk: Desk) -> None:
    house = desk.house
    clinic = house.organisation("Ruiz Family Practice")
    house.owner.owner.invite(EVE, organisation=clinic, name="Eve")
    mail = sent(desk, EVE)
    assert str(mail["Subject"]) == "You are invited to send secure mail"
    assert "There is a place for you at Ruiz Family Practice now" in words(mail)
    (link,) = links_in(faces(mail)[0])
    assert link.startswith(f"https://{DOMAIN}/invite/")
    assert re.search(r"^ {4}\d{8}$", faces(mail)[0], re.MULTILINE)
    (row,) = house.engine.query("SELECT * FROM links WHERE purpose = 'invite'")
    assert row["address"] == EVE
    assert row["expires"] > house.clock.now()


def test_every_alert_has_its_words_and_no_link_but_the_one_to_object_by(desk: Desk, ann: int) -> None:
    """Each template that a flow names is there; a warning with a link is what tricksters send."""
    named = set()
    for each in (account, belongings, estate, oversight, upkeep):
        named |= set(re.findall(r'_alert\([^)]*?"([a-z-]+)"\)', inspect.getsource(each)))
        named |= set(re.findall(r'account\["id"\], "([a-z-]+)"', inspect.getsource(each)))
    assert {"new-device", "password-reset", "contact-reset", "reset-waiting"} <= named
    letters, row = desk.house.courier.letters, {"id": 1, "subject_id": ann, "created": 0, "kind": "alert"}
    for template in named:
        mail = parsed(_octets(letters.compose({**row, "template": template})))
        text, html = faces(mail)
        if template == "reset-waiting":  # whoever reads it cannot sign in any more
            (link,) = links_in(text)
            assert re.fullmatch(rf"https://{DOMAIN}/answer/[a-z2-7]+", link)
            assert html.count("href") == 1
            assert "asks for no password, and opens nothing" in words(mail)
            continue
        assert links_in(text) == []
        assert "href" not in html
        assert "no link in this mail on purpose" in words(mail)


def _octets(letter: object) -> bytes:
    octets = letter.octets  # type: ignore[attr-defined]
    assert isinstance(octets, bytes)
    return octets


@pytest.mark.parametrize("kind", ["notice", "handoff", "relay"])
def test_what_is_over_is_moot(desk: Desk, ann: int, kind: str) -> None:
    house = desk.house
    subject = ":: x" if kind == "relay" else "x"
    message = house.submit(ANN, [PAT], house.mail(subject))
    if kind == "handoff":
        desk.deliver()
        session = house.register(PAT, message)
        house.replies.send(session, message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    row = next(row for row in _claimed(desk) if row["kind"] == kind)
    if kind == "notice":
        house.pickup.expire(house.session(ANN), message)
    elif kind == "handoff":
        house.tamper("UPDATE addresses SET account = NULL WHERE canonical = :ann", ann=ANN)
        row = {**row, "recipient_account": None}
    else:
        row = {**row, "queue_wrap": None}
    with pytest.raises(Moot):
        house.courier.letters.compose(row)


def _claimed(desk: Desk) -> Iterator[dict[str, object]]:
    claim: Callable[[], dict[str, object] | None] = desk.courier._claim
    while (row := claim()) is not None:
        yield row
