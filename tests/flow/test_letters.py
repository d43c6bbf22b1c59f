"""What stands in the mails that leave, and what never does?"""

from __future__ import annotations

import re

import dkim
import pytest

from cryptnsend.flow.granting import Addressee
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Code, Receipt
from tests.flow.conftest import Desk, Post, faces, links_in, parsed
from tests.flow.letters import envelope, sent, upload, words
from tests.flow.rows import recipients
from tests.support.house import DAY

ANN, PAT, BOB, CARL, EVE = (
    "ann@gmail.example", "pat@yahoo.example", "bob@icloud.example", "carl@aol.example", "eve@hospital.example",
)  # fmt: skip
DOMAIN = "mail.clinic.example"
CANARIES = ("Haemochroma", "Canarysubject", "Canaryfile", "Canarydisplay")


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN, name="Dr. Ann Ruiz")


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
    desk.deliver()
    (receipt,) = [each for each in desk.answers.mails(ANN) if "Your message is sent" in str(each["Subject"])]
    said = words(receipt)  # besides a mail that says what became of the code
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
