"""A stranger writes by the pages: what they see, what they cannot learn, and what a robot runs into."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
import io
import json
import os
import re
import socket
from html import unescape
from typing import Any

import pytest

from cryptnsend.flow.visitors import Own
from cryptnsend.portal import Portal
from tests.portal.conftest import BASE, Visitor
from tests.portal.real import nonce, portal, signed_in, text
from tests.portal.test_answers import multipart
from tests.support.house import AGENT, OTHER, PASSWORD, SOURCE, House, MakeHouse
from tests.support.scanners import EICAR, SPAM, Clam, FalseScanner, nowhere

ANN, SOFIA = "ann@gmail.example", "sofia@yahoo.example"
OPEN = Own("dr-ruiz", True, True, "Welcome. <b>I read</b> letters at noon.", "Bienvenidos.")
WORDS = "May I send you my old records?"


@pytest.fixture
def house(make_house: MakeHouse, clamd: Clam) -> House:
    return furnished(
        make_house(scan={"clamav": clamd.path}, visitors={"sum_size": 1000}, limits={"reply_octets": 300_000})
    )


def furnished(house: House) -> House:
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    ann = house.accounts.session(house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT))
    assert ann is not None
    house.portal.visitors.save(ann, OPEN)
    return house


@pytest.fixture
def app(house: House) -> Portal:
    return portal(house)


def solved(page: str, **changes: Any) -> str:
    """Solve the sum of a page as its script does."""
    found = re.search(r'data-challenge="([^"]+)"', page)
    assert found
    asked = json.loads(unescape(found[1]))
    number = next(
        n
        for n in range(asked["maxNumber"] + 1)
        if hashlib.sha256(f"{asked['salt']}{n}".encode()).hexdigest() == asked["challenge"]
    )
    answer = {name: asked[name] for name in ("algorithm", "challenge", "salt", "signature")} | {"number": number}
    return base64.b64encode(json.dumps(answer | changes).encode()).decode()


def begin(app: Portal, address: str = SOFIA, **more: Any) -> Visitor:
    """Ask for a code on the page."""
    visitor = Visitor(app)
    page = visitor.get("/to/dr-ruiz").text
    visitor.post("/to/dr-ruiz", {"name": "Sofia Grant", "address": address, "sum": solved(page)} | more)
    return visitor


def proven(app: Portal, house: House, address: str = SOFIA) -> Visitor:
    """Prove an address, choose a password, and stand before the empty letter."""
    visitor = begin(app, address)
    visitor.follow()
    assert visitor.post("/to/dr-ruiz/code", {"code": house.mailed_code(), "password": OTHER}).status_code == 303
    visitor.follow()
    return visitor


def letter(visitor: Visitor, **more: Any) -> dict[str, Any]:
    return {"subject": "My records", "text": WORDS, "nonce": nonce(visitor)} | more


def letters(house: House) -> int:
    return len(house.engine.query("SELECT id FROM messages"))


def test_a_visitor_writes_with_a_file_and_the_subscriber_reads_answers_and_blocks(app: Portal, house: House) -> None:
    sofia = Visitor(app)
    first = sofia.get("/to/dr-ruiz").text
    assert "Write to Dr. Ann Ruiz" in first
    assert "Welcome. &lt;b&gt;I read&lt;/b&gt; letters at noon." in first
    sofia = proven(app, house)
    files = (io.BytesIO(b"four vaccinations"), "record.txt")
    answer = sofia.post("/to/dr-ruiz/write", letter(sofia, files=files, phone="(555) 010-0177"))
    assert answer.status_code == 303, answer.text
    done = sofia.follow().text
    assert "Your letter is with Dr. Ann Ruiz" in done
    assert "record.txt" in done
    assert "(555) 010-0177" in done
    assert "Letters you wrote first" in sofia.get("/messages").text

    ann = signed_in(app, ANN)
    message = house.engine.query("SELECT id FROM messages")[0]["id"]
    read = ann.get(f"/messages/{message}").text
    assert WORDS in read
    assert "Phone: (555) 010-0177" in read
    assert "record.txt" in read
    ann.post(f"/messages/{message}/reply", {"text": "Gladly.", "nonce": nonce(ann)})
    assert ann.page is not None
    assert ann.page.status_code == 303
    assert "Nobody is there" not in ann.get(f"/messages/{message}/block-visitor").text
    ann.post(f"/messages/{message}/block-visitor")
    assert SOFIA in ann.follow().text
    refused = sofia.get("/to/dr-ruiz/write")
    assert refused.status_code == 403
    assert "takes no messages from you here" in refused.text
    found = re.search(r"/account/visitors/(\d+)/unblock", text(ann))
    assert found
    ann.post(found[0])
    assert sofia.get("/to/dr-ruiz/write").status_code == 200


def test_pages_that_are_closed_forbidden_or_never_were_look_alike(app: Portal, house: House) -> None:
    visitor = Visitor(app)
    answers = [visitor.get(f"/to/{handle}") for handle in ("nobody-here", "x", "Dr-Ruiz", "%2e%2e")]
    ann = signed_in(app, ANN)
    ann.get("/account/visitors")
    ann.post("/account/visitors", {"handle": "dr-ruiz"})
    assert "Your page is closed." in ann.follow().text
    answers.append(visitor.get("/to/dr-ruiz"))
    assert {each.status_code for each in answers} == {404}
    assert len({re.sub(r"nonce-?=?\"?[\w-]+|value=\"[^\"]+\"", "", each.text) for each in answers}) == 1


def test_known_and_unknown_addresses_get_the_same_pages(app: Portal, house: House) -> None:
    pages = []
    for address in (ANN, "nobody@yahoo.example"):
        visitor = begin(app, address)
        page = visitor.follow()
        pages.append((page.status_code, re.sub(r'data-challenge="[^"]+"|nonce="[^"]+"|value="[^"]+"', "", page.text)))
        wrong = visitor.post("/to/dr-ruiz/code", {"code": "000000", "password": OTHER})
        pages[-1] += (wrong.status_code, "This is not the code." in wrong.text)
    (one, other) = [
        tuple(str(each).replace(ANN, "A").replace("nobody@yahoo.example", "A") for each in p) for p in pages
    ]
    assert one == other


def test_a_search_says_yes_only_of_those_who_want_to_be_found(app: Portal, house: House) -> None:
    house.add_subscriber("bob@icloud.example")
    visitor = Visitor(app)
    visitor.get("/to")
    assert visitor.post("/to", {"address": ANN}).location == "/to/dr-ruiz"
    said = set()
    for address in ("bob@icloud.example", "nobody@yahoo.example", "ann@", "' OR 1=1 --"):
        visitor.get("/to")
        answer = visitor.post("/to", {"address": address})
        assert answer.status_code == 422
        said.add(re.sub(r'value="[^"]*"|nonce="[^"]*"', "", answer.text))
    assert len(said) == 1


def test_sums_that_are_wrong_used_over_or_anothers_count_for_nothing(app: Portal, house: House) -> None:
    """Then there are three codes from one network, as without a script."""
    page = Visitor(app).get("/to/dr-ruiz").text
    good = solved(page)
    other = solved(portal(house).test_client().get("/to/dr-ruiz", base_url=BASE).text)
    late = Visitor(app).get("/to/dr-ruiz").text
    house.clock.forward(3_600_001)
    tries = [
        "", "x" * 3000, "not base64", base64.b64encode(b"[]").decode(), base64.b64encode(b'{"number": 1}').decode(),
        good, solved(late), other,
    ]  # fmt: skip
    fresh = Visitor(app).get("/to/dr-ruiz").text
    tries += [
        solved(fresh, number=-1),
        solved(fresh, salt="00?expires=99999999999&"),
        solved(fresh, signature="0" * 64),
    ]
    from cryptnsend.portal import work

    visitor = Visitor(app)
    with app.test_request_context("/to/dr-ruiz", base_url=BASE):
        assert not any(work.is_done(each) for each in tries)
        right = solved(fresh)
        assert work.is_done(right)
        assert not work.is_done(right)
    for number in range(3):
        visitor = begin(app, f"s{number}@yahoo.example", sum="")
        assert visitor.page is not None
        assert visitor.page.status_code == 303
    visitor = begin(app, "s9@yahoo.example", sum="")
    assert visitor.page is not None
    assert visitor.page.status_code == 429
    visitor = begin(app, "s9@yahoo.example")
    assert visitor.page is not None
    assert visitor.page.status_code == 303


def test_a_form_from_elsewhere_and_a_letter_without_a_session_do_nothing(app: Portal, house: House) -> None:
    visitor = Visitor(app)
    visitor.get("/to/dr-ruiz")
    assert visitor.post("/to/dr-ruiz", {"csrf_token": "no", "name": "S", "address": SOFIA}).status_code == 400
    assert visitor.post("/to/dr-ruiz/write", {"subject": "x", "text": "y"}).status_code in (303, 400)
    assert visitor.get("/to/dr-ruiz/write").location == "/sign-in"
    assert visitor.get("/to/dr-ruiz/code").location == "/to/dr-ruiz"
    assert visitor.get("/account/visitors").location == "/sign-in"
    assert letters(house) == 0
    assert house.queued("code") == []
    sofia = proven(app, house)
    for path in ("/account/visitors", "/messages/1/block-visitor"):
        assert sofia.get(path).status_code == 404  # a recipient has no such pages
    sofia.get("/to/dr-ruiz/write")
    form = {"csrf_token": sofia.form_token(), "subject": "x", "text": "y"}
    huge = sofia.client.post("/to/dr-ruiz/write", **multipart(form, bytes(2_000_000)))
    assert huge.status_code == 413
    assert letters(house) == 0


def test_a_virus_does_not_leave_and_everything_else_is_kept(app: Portal, house: House) -> None:
    sofia = proven(app, house)
    files = [(io.BytesIO(EICAR), "holiday.bin"), (io.BytesIO(os.urandom(90_000)), "x.jpg")]
    answer = sofia.post("/to/dr-ruiz/write", letter(sofia, files=files))
    assert answer.status_code == 422
    assert "The virus scanner found Test.Eicar.UNOFFICIAL" in answer.text
    assert WORDS in answer.text
    assert letters(house) == 0
    draft = re.search(r'name="draft" value="(\d+)"', answer.text)
    second = re.findall(r'name="kept" value="(\d+)"', answer.text)[1]
    assert draft
    sent = sofia.post("/to/dr-ruiz/write", letter(sofia, draft=draft[1], keeps="1", kept=second))
    assert sent.status_code == 303
    assert "x.jpg" in sofia.follow().text
    assert sofia.get("/drafts").text.count("x.jpg") == 0
    gone = sofia.get(f"/to/dr-ruiz/write?draft={draft[1]}")
    assert (gone.status_code, "This draft is not here" in gone.text) == (404, True)


def test_the_spam_filter_sees_a_letter_as_the_mail_it_becomes_with_where_its_writer_is(make_house: MakeHouse) -> None:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear(line, b"--\r\n")  # the end of a mail with a file
        body = b'{"action": "add header", "score": 6}'
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with FalseScanner(behave) as scanner:
        house = furnished(
            make_house(scan={"rspamd": scanner.place, "rspamd_octets": 8192}, visitors={"sum_size": 1000})
        )
        sofia = proven(portal(house), house)
        file = (io.BytesIO(b"see the marmot"), "marmot.txt", "text/plain")
        assert sofia.post("/to/dr-ruiz/write", letter(sofia, files=file)).status_code == 303
        asked, _, shown = bytes(scanner.got).decode().partition("\r\n\r\n")
    assert letters(house) == 1  # doubtful is not spam
    assert asked.startswith("POST /checkv2 ")
    told = dict(line.split(": ", 1) for line in asked.splitlines()[1:])
    assert told.pop("Content-Length") == str(len(shown))
    assert told == {"Host": "localhost", "IP": "127.0.0.1", "From": SOFIA, "Rcpt": ANN}
    seen = email.message_from_string(shown, policy=email.policy.default)
    assert (seen["From"], seen["To"]) == (f"Sofia Grant <{SOFIA}>", f'"Dr. Ann Ruiz" <{ANN}>')
    assert seen["Subject"] == "My records"
    body, attached = seen.get_body(("plain",)), next(iter(seen.iter_attachments()))
    assert body is not None
    assert body.get_content().strip() == WORDS
    assert attached.get_content().strip() == "see the marmot"


def test_what_the_spam_filter_is_sure_of_is_not_sent_and_stays_on_the_page(make_house: MakeHouse, rspamd: str) -> None:
    house = furnished(make_house(scan={"rspamd": rspamd}, visitors={"sum_size": 1000}))
    sofia = proven(portal(house), house)
    file = (io.BytesIO(os.urandom(90_000)), "x.jpg")
    answer = sofia.post("/to/dr-ruiz/write", letter(sofia, text=f"{WORDS} {SPAM}", files=file))
    assert answer.status_code == 422
    assert "takes this letter for spam, so it was not sent. What you wrote is kept" in text(sofia)
    assert "If that does not help, call Dr. Ann Ruiz." in text(sofia)
    assert WORDS in answer.text
    assert "x.jpg" in answer.text
    assert letters(house) == 0
    trail = house.engine.query(
        "SELECT x.org, x.detail FROM audit x JOIN visitor_pages v ON v.org = x.org WHERE x.action = 'scan.found'"
    )
    assert [json.loads(each["detail"])["where"] for each in trail] == ["visitor"]

    draft = re.search(r'name="draft" value="(\d+)"', answer.text)
    kept = re.search(r'name="kept" value="(\d+)"', answer.text)
    assert draft
    assert kept
    again = letter(sofia, draft=draft[1], keeps="1", kept=kept[1])
    assert sofia.post("/to/dr-ruiz/write", again).status_code == 303
    assert "x.jpg" in sofia.follow().text
    assert letters(house) == 1


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("soft reject", "wants to see this letter again later. It is kept; send it again in some minutes"),
        ("whatever", "cannot be sent at this moment. It is kept; try again in a minute"),
        ("", "cannot be sent at this moment. It is kept; try again in a minute"),
    ],
)
def test_a_letter_waits_as_a_draft_while_the_spam_filter_gives_no_clear_answer(
    make_house: MakeHouse, action: str, said: str
) -> None:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear(line, WORDS.encode())
        body = json.dumps({"action": action}).encode()
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with FalseScanner(behave) as scanner:
        place = scanner.place if action else nowhere()
        house = furnished(make_house(scan={"rspamd": place}, visitors={"sum_size": 1000}))
        sofia = proven(portal(house), house)
        answer = sofia.post("/to/dr-ruiz/write", letter(sofia))
    assert answer.status_code == 503
    assert said in text(sofia)
    assert WORDS in answer.text
    assert letters(house) == 0
    assert "/to/dr-ruiz/write?draft=" in sofia.get("/drafts").text


def test_answers_in_a_visitors_conversation_are_not_shown_to_the_spam_filter(make_house: MakeHouse) -> None:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear(line, WORDS.encode())
        body = b'{"action": "no action"}'
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with FalseScanner(behave) as scanner:
        house = furnished(make_house(scan={"rspamd": scanner.place}, visitors={"sum_size": 1000}))
        app = portal(house)
        sofia = proven(app, house)
        assert sofia.post("/to/dr-ruiz/write", letter(sofia)).status_code == 303
        message = house.engine.query("SELECT id FROM messages")[0]["id"]
        ann = signed_in(app, ANN)
        page = f"/messages/{message}"
        ann.get(page)
        assert ann.post(f"{page}/reply", {"text": "Gladly.", "nonce": nonce(ann)}).status_code == 303
        assert scanner.connections == 1


def test_a_letter_is_kept_as_a_draft_and_found_again(app: Portal, house: House) -> None:
    sofia = proven(app, house)
    assert sofia.post("/to/dr-ruiz/draft", letter(sofia)).status_code == 303
    assert WORDS in sofia.follow().text
    listed = sofia.get("/drafts").text
    found = re.search(r'href="(/to/dr-ruiz/write\?draft=\d+)"', listed)
    assert found
    assert WORDS in sofia.get(found[1]).text


def test_the_pages_speak_spanish(app: Portal, house: House) -> None:
    page = Visitor(app).get("/to/dr-ruiz", headers={"Accept-Language": "es"}).text
    assert "Escribir a Dr. Ann Ruiz" in page
    assert "Bienvenidos." in page


def test_what_is_wrong_with_ones_own_page_is_said_beside_what_was_typed(app: Portal, house: House) -> None:
    ann = signed_in(app, ANN)
    ann.get("/account/visitors")
    answer = ann.post("/account/visitors", {"handle": "paypal", "open": "1", "greeting_en": "Hello there"})
    assert answer.status_code == 422
    assert "could be mistaken for this server" in answer.text
    assert "Hello there" in answer.text
    assert Visitor(app).get("/to/dr-ruiz").status_code == 200
    assert ann.get("/to/dr-ruiz/write").status_code == 403
