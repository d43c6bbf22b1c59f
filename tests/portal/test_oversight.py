"""Officers' pages over the real flows: what they show and do, and that they are nobody else's."""

from __future__ import annotations

import json
import re

import pytest

from cryptnsend.core import checkpoints
from cryptnsend.portal import Portal
from tests.portal.conftest import Visitor
from tests.portal.real import first_visit, portal, signed_in, text
from tests.support.house import PASSWORD, SOURCE, House

ANN, BOB, PAT, EVE = "ann@clinic.example", "bob@clinic.example", "pat@yahoo.example", "eve@other.example"
OLIVE, OTTO, MONA = "officer@clinic.example", "otto@clinic.example", "mona@clinic.example"
WHY = "Ann is ill and a patient asks."
SECRET = "the canary sings at dawn"


@pytest.fixture
def clinic(house: House) -> int:
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    house.add_subscriber(MONA, organisation=org, name="Mona", roles=("subscriber", "manager"))
    house.add_subscriber(EVE, name="Eve")
    return org


@pytest.fixture
def app(house: House, clinic: int, monkeypatch: pytest.MonkeyPatch) -> Portal:
    # The officers here have their second step; what is said to those without one has a test of its own.
    monkeypatch.setattr(house.portal.organisations, "is_ready", lambda session: True)
    return portal(house)


def test_an_officer_without_a_second_step_is_led_to_setting_one_up(house: House, clinic: int) -> None:
    olive = signed_in(portal(house), OLIVE)
    for page in PAGES:
        assert olive.get(page).status_code == 403, page
        assert "/account/number" in text(olive) or "number" in text(olive)


@pytest.fixture
def message(house: House, clinic: int) -> int:
    return house.submit(ANN, [PAT], house.mail("Lab result", SECRET, author=ANN))


def proven(house: House) -> dict[str, str]:
    """Return the fields by which the officer shows again who she is."""
    if not house.number(OLIVE):
        house.second(OLIVE)  # whoever signed in before stays so
    return {"sure": "yes", "password": PASSWORD, "code": house.number(OLIVE)}


def break_glass(visitor: Visitor, house: House, mailbox: str = ANN, **more: object) -> str:
    if not house.number(OLIVE):
        house.second(OLIVE)  # whoever signed in before stays so
    visitor.get("/organisation/glass")
    code = house.number(OLIVE)
    form = {"mailbox": mailbox, "reason": WHY, "minutes": "15", "password": PASSWORD, "code": code} | more
    assert visitor.post("/organisation/glass", form).status_code == 303, text(visitor)
    assert visitor.page is not None
    place: str = visitor.page.location
    visitor.follow()
    return place


def test_an_officer_breaks_the_glass_reads_and_ends_it(app: Portal, house: House, message: int) -> None:
    olive = signed_in(app, OLIVE)
    place = break_glass(olive, house)
    assert "Lab result" in text(olive)
    assert "Whatever you open stands in the audit trail." in text(olive)
    assert SECRET in olive.get(f"{place}/messages/{message}").text
    saved = olive.get(f"{place}/messages/{message}/eml")
    assert SECRET.encode() in saved.data
    assert "attachment" in saved.headers["Content-Disposition"]
    olive.get(place)
    olive.post(f"{place}/end")
    assert "This glass break is over" in olive.get(place).text
    assert olive.get(f"{place}/messages/{message}").status_code in (403, 404, 410)


def test_a_wrong_password_and_a_missing_reason_open_nothing(app: Portal, house: House, message: int) -> None:
    olive = signed_in(app, OLIVE)
    for more in ({"password": "no"}, {"reason": ""}, {"reason": "short"}, {"minutes": "100000"}, {"mailbox": "nobody"}):
        olive.get("/organisation/glass")
        form = {"mailbox": ANN, "reason": WHY, "minutes": "15", "password": PASSWORD} | more
        assert olive.post("/organisation/glass", form).status_code in (400, 422), more
        assert 'role="alert"' in text(olive) or 'class="error"' in text(olive)
    assert house.engine.query("SELECT * FROM glass_breaks") == []


def test_the_officer_who_was_named_finds_the_question_and_agrees(
    app: Portal, house: House, clinic: int, message: int
) -> None:
    house.add_subscriber(OTTO, organisation=clinic, name="Otto", roles=("officer",))
    olive = signed_in(app, OLIVE)
    if not house.number(OLIVE):
        house.second(OLIVE)
    house.portal.organisations.set_roles(
        house.session(OLIVE), house.account(OTTO), ["officer"], PASSWORD, SOURCE, house.number(OLIVE)
    )
    otto = signed_in(app, OTTO)
    house.second(OTTO)  # whoever signed in before stays so
    house.keeper("owner").glass_rule(clinic, True)
    assert OTTO in olive.get("/organisation/glass").text
    form = {"mailbox": ANN, "reason": WHY, "minutes": "15", "password": PASSWORD}
    unnamed = olive.post("/organisation/glass", {**form, "code": house.number(OLIVE)})
    assert (unnamed.status_code, "Name the officer" in unnamed.text) == (422, True)
    place = break_glass(olive, house, second=OTTO)
    assert f"{OTTO} has to agree first" in text(olive)
    assert "Waits for your yes" in otto.get("/organisation/glass").text
    assert "I agree" in otto.get(place).text
    yes = {"password": PASSWORD, "code": house.number(OTTO), "agree": "yes"}
    assert otto.post(place, yes).status_code == 303
    assert "I agree" not in otto.follow().text
    assert "Open it here" in olive.get(place).text
    assert olive.post(place, {"password": PASSWORD, "code": house.number(OLIVE)}).status_code == 303
    assert "Lab result" in olive.follow().text


def test_an_export_leaves_as_a_locked_file(app: Portal, house: House, message: int) -> None:
    olive = signed_in(app, OLIVE)
    place = break_glass(olive, house)
    page = olive.get(f"{place}/export").text
    proof = re.search(r'name="proof" value="([^"]+)"', page)
    assert proof
    answer = olive.post(f"{place}/export", {"proof": proof[1]})
    assert answer.data[:4] == b"PK\x03\x04"
    assert SECRET.encode() not in answer.data
    olive.get(f"{place}/export")
    assert olive.post(f"{place}/export", {"proof": "forged"}).status_code == 303


def test_the_audit_trail_is_shown_filtered_and_checked(app: Portal, house: House, clinic: int, message: int) -> None:
    olive = signed_in(app, OLIVE)
    assert "message.sealed" in olive.get("/organisation/audit").text
    olive.post("/organisation/audit", {"about": ANN})
    assert f"Only what concerns {ANN}." in olive.follow().text
    olive.post("/organisation/audit", {"about": str(message)})
    assert len(re.findall(r"message\.sealed", olive.follow().text)) == 1
    assert "Nobody of this organisation" in olive.post("/organisation/audit", {"about": EVE}).text
    olive.get("/organisation/audit")
    olive.post("/organisation/audit/check")
    assert "are as they were written" in olive.follow().text
    house.tamper("UPDATE audit SET actor = 'x' WHERE org = :org AND seq = 2", org=clinic)
    olive.post("/organisation/audit/check")
    assert "entry 2 was edited" in olive.follow().text


def test_a_leak_is_looked_at_and_then_taken_back(app: Portal, house: House, message: int) -> None:
    pat = first_visit(app, house, message, author=ANN)
    olive = signed_in(app, OLIVE)
    olive.get("/organisation/recall")
    assert "1 message fits" in olive.post("/organisation/recall", {"message": str(message)}).text
    assert pat.get(f"/messages/{message}").status_code == 200  # looking takes nothing back
    form = {"message": str(message), "reason": WHY, "sure": "yes"}
    assert "1 message was taken back." in olive.post("/organisation/recall", form).text
    assert f"{PAT}<small>Opened" in text(olive)
    assert pat.get(f"/messages/{message}").status_code == 410
    undo = f"/organisation/recall/{message}/undo"
    assert "can open it again" in olive.post(undo).text
    assert olive.post(undo, proven(house) | {"password": "wrong horse battery"}).status_code == 422
    assert pat.get(f"/messages/{message}").status_code == 410  # neither the button nor a guess gives it back
    assert "can be opened again." in olive.post(undo, proven(house)).text
    olive.post(undo)
    assert "nothing to give back" in olive.post(undo, proven(house)).text
    assert pat.get(f"/messages/{message}").status_code == 200
    olive.get("/organisation/recall")
    assert "Name a message" in olive.post("/organisation/recall", {}).text
    assert "has no such message" in olive.post("/organisation/recall", {"author": EVE}).text


def test_a_case_is_placed_found_and_ended(app: Portal, house: House, message: int) -> None:
    olive = signed_in(app, OLIVE)
    olive.get("/organisation/archive")
    assert olive.post("/organisation/archive/hold", {"name": "Smith", "what": ANN, "reason": WHY}).status_code == 303
    assert f"all of {ANN}" in olive.follow().text
    assert "for a case" in olive.post("/organisation/archive", {"case": "Smith"}).text
    assert "has no such message" in olive.post("/organisation/archive", {"address": EVE}).text
    assert "no account with the address" in olive.post(
        "/organisation/archive/hold", {"name": "S", "what": EVE, "reason": WHY}
    ).text  # fmt: skip
    olive.get("/organisation/archive")
    assert "cannot be undone" in olive.post("/organisation/archive/release", {"name": "Smith"}).text
    sure = {"name": "Smith", "sure": "yes"}
    assert olive.post("/organisation/archive/release", sure | proven(house) | {"code": "000000"}).status_code == 422
    assert house.engine.query("SELECT count(*) AS n FROM legal_holds WHERE ended IS NULL")[0]["n"] > 0
    assert olive.post("/organisation/archive/release", sure | proven(house)).status_code == 303
    assert "No case keeps anything." in olive.follow().text


def test_a_trail_is_carried_away_as_lines_as_a_table_and_as_a_checkpoint(
    app: Portal, house: House, clinic: int, message: int
) -> None:
    olive = signed_in(app, OLIVE)
    olive.get("/organisation/audit")
    answer = olive.post("/organisation/audit/export", {"jsonl": "yes"})
    entries = [json.loads(line) for line in answer.text.splitlines()]
    assert [each["seq"] for each in entries] == list(range(1, len(entries) + 1))
    assert {each["organisation"] for each in entries} == {str(clinic)}
    assert "message.sealed" in {each["action"] for each in entries}
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="audit.jsonl"')
    olive.get("/organisation/audit")
    table = olive.post("/organisation/audit/export", {"csv": "yes"}).text.splitlines()
    assert table[0].startswith("organisation,seq,at,")
    assert len(table) == len(entries) + 1
    olive.get("/organisation/audit")
    sheet = checkpoints.read(olive.post("/organisation/audit/checkpoint").text)
    assert {each.organisation for each in sheet.checkpoints} == {clinic}
    assert not house.owner.auditing.verify(clinic, sheet).problem


def test_an_archive_is_compared_on_its_page_and_says_what_is_missing(
    app: Portal, house: House, clinic: int, message: int
) -> None:
    olive = signed_in(app, OLIVE)
    house.clock.forward(26 * 3_600_000)
    house.owner.archiving.list_yesterday()
    olive = signed_in(app, OLIVE)
    olive.get("/organisation/archive")
    assert olive.post("/organisation/archive/check").status_code == 303
    shown = olive.follow().text
    assert "All 1 messages are as they were listed. 1 of them" in shown, re.findall(r"<p>.*?</p>", shown)
    house.tamper("UPDATE messages SET size = size + 1 WHERE id = :id", id=message)
    olive.post("/organisation/archive/check")
    assert f"message {message}: its envelope changed" in olive.follow().text


def test_an_officer_lets_the_archive_take_two_and_no_officer_ends_that(app: Portal, house: House, clinic: int) -> None:
    house.add_subscriber(OTTO, organisation=clinic, name="Otto", roles=("subscriber", "officer"))
    olive = signed_in(app, OLIVE)
    olive.get("/organisation/glass")
    assert "Let it take two" in text(olive)
    assert "No officer can end that" in olive.post("/organisation/glass/two").text
    assert olive.post("/organisation/glass/two", {"sure": "yes", "password": "wrong horse"}).status_code == 422
    assert not house.keeper("portal").glass_takes_two(house.session(OLIVE).ticket)
    assert olive.post("/organisation/glass/two", proven(house)).status_code == 303
    assert "Only who runs the server can end that" in olive.follow().text
    told = {who for who, template in house.alerts() if template == "glass-rule-changed"}
    assert told == {OLIVE, OTTO}
    refused = olive.post("/organisation/glass", proven(house) | {"mailbox": ANN, "reason": WHY, "minutes": "15"})
    assert "Name the officer who is to agree" in refused.text


PAGES = ("/organisation/audit", "/organisation/recall", "/organisation/archive", "/organisation/glass")
FORMS = (
    *PAGES, "/organisation/audit/check", "/organisation/archive/hold", "/organisation/archive/release",
    "/organisation/audit/export", "/organisation/audit/checkpoint", "/organisation/archive/check",
    "/organisation/glass/two", "/organisation/recall/1/undo",
)  # fmt: skip


@pytest.mark.parametrize("who", ["subscriber", "manager", "recipient"])
def test_to_everybody_else_no_such_page_exists(app: Portal, house: House, message: int, who: str) -> None:
    """A subscriber of the organisation, a manager who is no officer, a recipient: addresses and forms typed by hand."""
    olive = signed_in(app, OLIVE)
    place = break_glass(olive, house)
    if who == "recipient":
        visitor = first_visit(app, house, message, author=ANN)
    else:
        visitor = signed_in(app, MONA if who == "manager" else ANN)
    visitor.get("/account")
    token = visitor.form_token()
    for page in (*PAGES, place, f"{place}/messages/{message}", f"{place}/messages/{message}/eml", f"{place}/export"):
        assert visitor.get(page).status_code == 404, page
    form = {"csrf_token": token, "password": PASSWORD, "reason": WHY, "message": str(message), "sure": "yes",
            "mailbox": ANN, "minutes": "15", "agree": "yes", "name": "Smith", "what": ANN}  # fmt: skip
    for page in (*FORMS, place, f"{place}/end", f"{place}/export"):
        answer = visitor.client.post(page, base_url="https://open.cryptnsend.example", data=form)
        assert answer.status_code == 404, page
    assert "Lab result" in olive.get(place).text  # nothing was ended


def test_an_officer_of_another_organisation_finds_nothing_of_this_one(app: Portal, house: House, message: int) -> None:
    place = break_glass(signed_in(app, OLIVE), house)
    eve = signed_in(app, EVE)
    for page in (place, f"{place}/messages/{message}", f"{place}/export"):
        assert eve.get(page).status_code in (403, 404), page
    assert str(message) not in eve.get("/organisation/audit").text
    assert "message.sealed" not in eve.get(f"/organisation/audit?about={message}").text
    eve.get("/organisation/recall")
    assert "has no such message" in eve.post("/organisation/recall", {"message": str(message)}).text
    form = {"message": str(message), "reason": WHY, "sure": "yes"}
    assert "no such message" in eve.post("/organisation/recall", form).text
    eve.get("/organisation/archive")
    answer = eve.post("/organisation/archive/hold", {"name": "S", "what": str(message), "reason": WHY})
    assert "The archive has no message" in answer.text
    assert ANN not in eve.post("/organisation/archive", {}).text
    eve.get("/organisation/glass")
    assert eve.post(f"{place}/end").status_code in (403, 404)


def test_forms_without_their_token_and_head_requests_do_nothing(app: Portal, house: House, message: int) -> None:
    olive = signed_in(app, OLIVE)
    place = break_glass(olive, house)
    before = house.engine.query("SELECT count(*) AS n FROM audit")[0]["n"]
    base = "https://open.cryptnsend.example"
    assert olive.client.head(f"{place}/messages/{message}", base_url=base).data == b""
    for page in (f"{place}/end", "/organisation/recall", "/organisation/archive/hold", "/organisation/glass"):
        assert olive.client.post(page, base_url=base, data={"sure": "yes"}).status_code in (400, 403), page
    assert house.engine.query("SELECT count(*) AS n FROM audit")[0]["n"] == before


def test_a_session_that_ended_leads_to_signing_in(app: Portal, house: House, message: int) -> None:
    for page in PAGES:
        assert Visitor(app).get(page).status_code == 303
