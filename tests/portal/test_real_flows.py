"""The pages over the real flows, rows and keeper: the stories of Pat, who reads, and of Ann, who sends."""

from __future__ import annotations

import io
import os
import re
import zipfile
from html import unescape
from typing import Any

import pytest
import pyzipper

from cryptnsend.portal import Portal
from tests.portal.conftest import Visitor
from tests.portal.real import ANN, HOLM, JUNE, PAT, first_visit, nonce, portal, signed_in, text
from tests.support.house import DAY, OTHER, PASSWORD, SOURCE, House, MakeHouse


@pytest.fixture
def app(house: House) -> Portal:
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    return portal(house)


MULTIPART = (
    'Content-Type: multipart/mixed; boundary="b"\r\nMIME-Version: 1.0\r\n',
    '--b\r\nContent-Type: multipart/related; boundary="r"\r\n\r\n'
    "--r\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    '<p onclick="x()">Dear Pat, <b>all is well</b>.</p><img src="cid:pic"><img src="https://track.example/x.gif">'
    "<script>alert(1)</script>\r\n"
    "--r\r\nContent-Type: image/png\r\nContent-ID: <pic>\r\nContent-Disposition: inline\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--r--\r\n"
    '--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename="Lab results.pdf"\r\n'
    "Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjcKbGFi\r\n--b--",
)


def test_pat_reads_saves_and_answers(app: Portal, house: House) -> None:
    mail = house.mail("Your blood test", MULTIPART[1], more=MULTIPART[0])
    message = house.submit(ANN, [PAT], mail)
    pat = first_visit(app, house, message)
    assert "Your blood test" in text(pat)
    assert "Lab results.pdf" in text(pat)
    letter = pat.get(f"/messages/{message}/letter").text
    assert "<b>all is well</b>" in letter
    assert "data:image/png;base64," in letter
    assert "track.example" not in letter
    assert "<script" not in letter
    assert "onclick" not in letter
    page = pat.get(f"/messages/{message}").text
    link = re.search(rf'href="(/messages/{message}/files/[^"/]+)"', page)
    assert link
    assert pat.get(link[1]).data == b"%PDF-1.7\nlab"
    assert b"Subject: Your blood test" in pat.get(f"/messages/{message}/eml").data
    page = pat.get(f"/messages/{message}/zip").text
    words, proof = re.search(r'id="zip-words"[^>]*>([^<]+)<', page), re.search(r'name="proof" value="([^"]+)"', page)
    assert words
    assert proof
    packed = pat.post(f"/messages/{message}/zip", {"proof": unescape(proof[1])}).data
    with pyzipper.AESZipFile(io.BytesIO(packed)) as archive:
        assert all(each.flag_bits & 1 for each in archive.infolist())
        archive.setpassword(words[1].encode())
        assert any(b"lab" in archive.read(name) for name in archive.namelist())
    with pytest.raises(Exception, match=r"(?i)password|encrypt"), zipfile.ZipFile(io.BytesIO(packed)) as plain:
        plain.read(plain.namelist()[0])

    pat.get(f"/messages/{message}")
    picture = os.urandom(150_000)
    form = {
        "text": "Thank you.",
        "nonce": nonce(pat),
        "files": (io.BytesIO(picture), "Blood pressure.jpg", "image/jpeg"),
    }
    pat.post(f"/messages/{message}/reply", form)
    assert "Your reply is with Dr. Ruiz" in pat.follow().text

    ann = signed_in(app, ANN)
    received = ann.get("/messages").text
    assert "Re: Your blood test" in received
    answer = re.search(r'href="(/messages/\d+)"', received)
    assert answer
    page = ann.get(answer[1]).text
    assert "Thank you." in page
    part = re.search(r'href="(/messages/\d+/files/[^"/]+)"', page)
    assert part
    assert ann.get(part[1]).data == picture
    assert "Opened" in ann.get(f"/sent/{message}").text


def test_reply_all_reaches_the_disclosed_and_nobody_else(app: Portal, house: House) -> None:
    mail = house.mail(cc=[JUNE], bcc=["secret@hidden.example"])
    message = house.submit(ANN, [PAT, JUNE, "secret@hidden.example"], mail)
    pat = first_visit(app, house, message)
    page = pat.get(f"/messages/{message}").text
    assert JUNE in page
    assert "hidden.example" not in page
    assert b"hidden.example" not in pat.get(f"/messages/{message}/eml").data
    pat.get(f"/messages/{message}")
    pat.post(f"/messages/{message}/reply", {"text": "To all.", "nonce": nonce(pat), "to": "all"})
    told = {
        row["canonical"]
        for row in house.engine.query(
            "SELECT a.canonical FROM recipients r JOIN addresses a ON a.id = r.address WHERE r.message != :m", m=message
        )
    }
    assert told == {ANN, JUNE}


def test_a_second_sender_needs_a_code_of_their_own(app: Portal, house: House) -> None:
    house.add_subscriber(HOLM, name="Dr. Henrik Holm")
    pat = first_visit(app, house, house.submit(ANN, [PAT], house.mail()))
    second = house.submit(HOLM, [PAT], house.mail("Echo", author=HOLM))
    page = pat.get("/messages").text
    assert "Needs a code" in page
    assert "Echo" not in page
    assert pat.get(f"/messages/{second}").location == f"/messages/{second}/code"
    token = house.link(second, PAT)
    assert "Type the code Dr. Holm gave you" in pat.get(f"/m/{token}").text
    assert pat.post(f"/m/{token}/code", {"code": house.code(HOLM, PAT)}).status_code == 303
    assert "Echo" in pat.follow().text


def test_five_wrong_codes_lose_nothing(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    token, right = house.link(message, PAT), house.code(ANN, PAT)
    wrong = "000000" if right != "000000" else "111111"
    visitor = Visitor(app)
    visitor.get(f"/m/{token}")
    pages = [visitor.post(f"/m/{token}/code", {"code": wrong}) for _ in range(5)]
    assert "You have 4 tries left" in pages[0].text
    assert (
        "your message is safe" in pages[-1].text
        or "your message is safe" in visitor.post(f"/m/{token}/code", {"code": wrong}).text
    )
    visitor.get(f"/m/{token}")
    assert visitor.post(f"/m/{token}/code", {"code": right}).status_code != 303
    ann = signed_in(app, ANN)
    ann.get(f"/sent/{message}")
    ann.post(f"/sent/{message}/next-code", {"address": PAT})
    shown = ann.follow().text
    code = re.search(r'class="spoken-code">([\d ]+)<', shown)
    assert code
    visitor.get(f"/m/{token}")
    assert visitor.post(f"/m/{token}/code", {"code": code[1]}).status_code == 303


def test_a_message_taken_back_opens_for_nobody_until_it_is_given_back(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail("Results"))
    pat = first_visit(app, house, message)
    ann = signed_in(app, ANN)
    ann.get(f"/sent/{message}")
    ann.post(f"/sent/{message}/expire")
    assert "Undo: give it back" in ann.follow().text
    token = house.link(message, PAT)
    assert "took this message back" in Visitor(app).get(f"/m/{token}").text
    assert "took this message back" in pat.get(f"/messages/{message}").text
    assert "Taken back" in pat.get("/messages").text
    ann.post(f"/sent/{message}/restore")
    ann.follow()
    assert "Results" in pat.get(f"/messages/{message}").text


def test_what_ran_out_says_so(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    token = house.link(message, PAT)
    house.clock.forward(31 * DAY)
    house.upkeep.once()
    page = Visitor(app).get(f"/m/{token}")
    assert page.status_code == 410
    assert "This message was kept until" in page.text


def test_its_author_reads_that_its_time_is_up_and_not_that_they_took_it_back(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    house.clock.forward(31 * DAY)
    house.upkeep.once()
    page = signed_in(app, ANN).get(f"/sent/{message}").text
    assert "Time is up" in page
    assert "Taken back" not in page


def test_what_was_called_off_before_it_left_is_not_called_sent(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    ann = signed_in(app, ANN)
    ann.get(f"/sent/{message}")
    ann.post(f"/sent/{message}/expire")
    page = ann.get(f"/sent/{message}").text
    assert "Not sent" in page
    assert "Give it back" in page  # it would leave after all
    assert not re.search(r">Taken back<|Sent (?:today|\d)", page)
    assert "Not sent" in ann.get("/sent").text
    house.pickup.shred(house.session(ANN), message)
    house.upkeep.once()
    page = ann.get(f"/sent/{message}").text
    assert "Nobody got it or was told of it" in page
    assert "Give it back" not in page


@pytest.mark.parametrize("is_opened", [True, False])
def test_who_closes_an_account_does_not_read_that_its_sender_took_a_message_back(
    app: Portal, house: House, is_opened: bool
) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    first_visit(app, house, message)
    if not is_opened:
        message = house.submit(ANN, [PAT], house.mail())
    token = house.link(message, PAT)
    house.accounts.close(house.session(PAT), PASSWORD, SOURCE)
    for _ in range(2):  # at once, and when its keys are gone
        page = Visitor(app).get(f"/m/{token}")
        assert page.status_code == 410
        assert "The account that could open this is closed" in page.text
        assert "Ask Dr. Ruiz to send it again" in page.text
        house.upkeep.once()
    status = signed_in(app, ANN).get(f"/sent/{message}").text
    assert "Taken back" not in status
    assert ("Opened" if is_opened else "Their account is closed") in status
    assert Visitor(app).get(f"/m/{token}/ask").status_code == 200


def test_after_a_reset_by_mail_what_was_sent_is_called_locked_and_not_without_a_subject(
    app: Portal, house: House
) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    house.reset(ANN, OTHER)
    ann = signed_in(app, ANN, OTHER)
    for page in ("/sent", f"/sent/{message}"):
        shown = ann.get(page).text
        assert "(locked)" in shown
        assert "(no subject)" not in shown
    assert 'href="/account/unlock"' in shown
    # What can be done to a message is for who shows that it is theirs: nothing leads to a page that refuses.
    assert re.findall(r'(?:action|href)="(/(?:sent|messages)/\d[^"]*)"', shown) == []


def test_a_number_that_no_row_can_have_is_no_number(app: Portal, house: House) -> None:
    house.submit(ANN, [PAT], house.mail())
    ann = signed_in(app, ANN)
    for typed in (str(10**30), "-1", str(1 << 63), "x", ""):
        for page in ("/messages", "/sent", "/trash", "/kept", "/account/log"):
            assert ann.get(f"{page}?before={typed}").status_code == 200, page


def test_an_idle_session_ends_and_says_so(app: Portal, house: House) -> None:
    pat = first_visit(app, house, house.submit(ANN, [PAT], house.mail()))
    house.clock.forward(16 * 60_000)
    pat.get("/messages")
    assert "You were away for a while" in pat.follow().text


def test_a_scanner_leaves_no_trace_and_the_human_gets_in(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    token = house.link(message, PAT)
    before = house.engine.query("SELECT count(*) AS n FROM audit")
    for _ in range(10):
        for method in ("GET", "HEAD"):
            Visitor(app).client.open(f"/m/{token}", method=method, base_url="https://x.example")
    assert house.engine.query("SELECT count(*) AS n FROM audit") == before
    assert house.engine.query("SELECT first_opened FROM recipients") == [{"first_opened": None}]
    first_visit(app, house, message)
    assert house.engine.query("SELECT first_opened FROM recipients")[0]["first_opened"] is not None


def test_ann_signs_up_sets_up_and_removes_a_device(make_house: MakeHouse) -> None:
    house = make_house(signup={"mode": "open"})
    app = portal(house)
    ann = Visitor(app)
    ann.get("/sign-up")
    ann.post("/sign-up", {"name": "Dr. Ann Ruiz", "address": ANN})
    ann.follow()
    page = ann.post("/sign-up/code", {"code": house.mailed_code(), "password": PASSWORD})
    assert "Your account is ready. Keep this file" in page.text
    assert ">Sign in<" not in page.text  # Ann is signed in by this very answer
    assert ann.post("/account/recovery-file/safe", {"first": "1"}).location == "/setup"
    ann.get("/setup")
    page = ann.post("/setup/devices", {"name": "Front desk"})
    shown = re.search(r'id="v-password"[^>]*>([^<]+)<', page.text)
    assert shown
    assert house.sign_in_smtp(ANN, shown[1]).account == house.account(ANN)
    device = re.search(r'action="(/setup/devices/\d+/revoke)"', page.text)
    assert device
    ann.post(device[1])
    assert "None yet." in ann.follow().text


def test_the_profile_and_the_passphrase_are_kept(app: Portal, house: House) -> None:
    ann = signed_in(app, ANN)
    ann.get("/account/profile")
    ann.post("/account/profile", {"name": "Dr. Ann B. Ruiz", "phone": "(555) 010-0142"})
    assert "Dr. Ann B. Ruiz · (555) 010-0142" in ann.follow().text
    ann.get("/account/profile")
    refused: Any = ann.post("/account/profile", {"name": "PayPal Support", "phone": "", "form": "zip"})
    assert refused.status_code == 422
    ann.get("/account/passphrase")
    first = re.search(r'id="now-key"[^>]*>([^<]+)<', ann.post("/account/passphrase", {"password": PASSWORD}).text)
    house.clock.forward(10 * 60_000)
    page = ann.post("/account/passphrase", {"password": PASSWORD, "new": "1"}).text
    assert first
    assert first[1] in page
    assert first[1] not in re.findall(r'id="now-key"[^>]*>([^<]+)<', page)


def test_nobody_opens_what_is_somebody_elses(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail("Results"))
    june = first_visit(app, house, house.submit(ANN, [JUNE], house.mail(to=[JUNE])), JUNE)
    for path in ("", "/letter", "/eml", "/zip", "/files/1", "/code"):
        assert june.get(f"/messages/{message}{path}", follow_redirects=True).status_code == 404, path
    assert june.get(f"/sent/{message}").status_code == 404
    ann = signed_in(app, ANN)
    assert ann.get(f"/sent/{message}").status_code == 200
    token = house.link(message, PAT)
    assert june.get(f"/m/{token}").status_code == 403


def test_a_recipient_who_is_invited_sends_from_the_account_they_have(make_house: MakeHouse) -> None:
    house = make_house()
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    app, org = portal(house), house.organisation("Ruiz Family Practice")
    message = house.submit(ANN, [PAT], house.mail())
    first_visit(app, house, message)
    house.owner.owner.invite(PAT, org, "Pat")
    told = house.keeper("courier").invitation(house.queued("code")[-1]["subject_id"])
    house.keep(told.row, org)
    pat = signed_in(app, PAT)
    pat.get(f"/invite/{told.token}")
    assert "Type the code from the mail" in pat.follow().text
    assert pat.post("/subscribe", {"code": told.code, "password": "wrong"}).status_code == 422
    assert pat.post("/subscribe", {"code": "00000000", "password": PASSWORD}).status_code == 422
    pat.post("/subscribe", {"code": told.code, "password": PASSWORD})
    assert "Outlook" in pat.follow().text
    assert "Results" in pat.get("/messages").text


def test_signing_out_everywhere_ends_other_browsers_too(app: Portal, house: House) -> None:
    one, other = signed_in(app, ANN), signed_in(app, ANN)
    one.get("/account")
    assert one.post("/account/sign-out-everywhere").status_code == 303
    assert other.get("/messages").status_code == 303
