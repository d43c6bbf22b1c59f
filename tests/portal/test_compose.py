"""Writing a new message on the page: the guard, what is kept, what is never lost, undoing."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from cryptnsend import settings
from cryptnsend.core.errors import KeeperGone, NoGrant, Refusal
from cryptnsend.flow.views import Checked
from cryptnsend.portal import Portal
from tests.portal.conftest import Visitor, config
from tests.portal.fakes import FakePickup
from tests.portal.fakes_accounts import FakeAccounts
from tests.portal.fakes_sent import FakeNewMail
from tests.portal.world import DAY, PAT, World

KNOWN = {"to": PAT, "subject": "Results", "text": "All is well."}


def fields(page: str, name: str) -> list[str]:
    return re.findall(rf'name="{name}" value="([^"]*)"', page)


def fill(somebody: Visitor, values: dict[str, Any], url: str = "/write/send", **more: Any) -> TestResponse:
    """Send the form as it stands, with these values typed."""
    page = somebody.page.text if somebody.page else ""
    carried = {name: fields(page, name) for name in ("nonce", "draft", "about", "keeps", "kept", "shown", "sure")}
    return somebody.post(url, {**carried, **values}, **more)


def test_a_message_to_somebody_known_leaves_with_one_button(ann: Visitor, world: World) -> None:
    ann.get("/write")
    answer = fill(ann, KNOWN | {"cc": "maria@outlook.example", "days": "7", "tell": "1"})
    assert answer.status_code == 303
    sent = world.mails[0]["writing"]
    assert (sent.to, sent.cc, sent.subject, sent.text) == (
        (PAT,),
        ("maria@outlook.example",),
        "Results",
        "All is well.",
    )
    assert (sent.wishes.days, sent.wishes.tell, sent.wishes.plain) == (7, True, False)
    page = ann.follow().text
    assert "It leaves in 15 seconds." in page
    assert "Undo: do not send it" in page


def test_the_code_of_somebody_new_is_shown_before_anything_is_sent(ann: Visitor, world: World) -> None:
    ann.get("/write")
    answer = fill(ann, KNOWN | {"to": "Walter Lindgren <walter@lindgren.example>"})
    assert answer.status_code == 422
    assert world.mails == []
    assert "<b>Walter Lindgren</b> gets secure mail from you for the first time." in answer.text
    assert "482 913" in answer.text
    assert "All is well.</textarea>" in answer.text
    assert fill(ann, KNOWN | {"to": "Walter Lindgren <walter@lindgren.example>"}).status_code == 303
    assert len(world.mails) == 1


def test_an_address_that_looks_like_a_known_one_needs_a_word(ann: Visitor, world: World) -> None:
    typed = KNOWN | {"to": "j.okafor@okafor-lind.co"}
    ann.get("/write")
    for _ in range(2):  # however often the button is pressed
        page = fill(ann, typed).text
        assert "Did you mean <b>okafor-lind.com</b>?" in page
        assert world.mails == []
    assert fill(ann, typed | {"right": "j.okafor@okafor-lind.co"}, "/write").status_code == 200
    assert fill(ann, typed).status_code == 303
    assert world.mails[0]["writing"].to == ("j.okafor@okafor-lind.co",)


def test_a_mistake_is_corrected_with_one_button(ann: Visitor, world: World) -> None:
    ann.get("/write")
    page = fill(ann, KNOWN | {"to": "j.okafor@okafor-lind.co"}).text
    fix = fields(page, "fix")
    assert fix == ["j.okafor@okafor-lind.co j.okafor@okafor-lind.com"]
    corrected = fill(ann, KNOWN | {"to": "j.okafor@okafor-lind.co", "fix": fix[0]}, "/write").text
    assert 'value="j.okafor@okafor-lind.com"' in corrected
    assert "Did you mean" not in corrected


def test_a_correction_changes_whole_addresses_only(ann: Visitor) -> None:
    """What looks like a mistake may stand inside the address of somebody else, who must not get the message."""
    ann.get("/write")
    typed = {"to": "joann@clinic.example, ANN@clinic.example", "cc": "Ann <ann@clinic.example>, ann@clinic.example.net"}
    page = fill(ann, typed | {"fix": "ann@clinic.example anne@clinic.example"}, "/write").text
    assert 'value="joann@clinic.example, anne@clinic.example"' in page
    assert 'value="Ann &lt;anne@clinic.example&gt;, ann@clinic.example.net"' in page


def test_people_are_added_with_a_button(ann: Visitor) -> None:
    page = ann.get("/write").text
    assert "Pat Lee &lt;pat@yahoo.example&gt;" in page
    added = fill(ann, {"to": "maria@outlook.example", "add": f"Pat Lee <{PAT}>"}, "/write").text
    assert f'value="maria@outlook.example, Pat Lee &lt;{PAT}&gt;"' in added


def test_what_is_no_address_is_named_and_nothing_is_lost(ann: Visitor, world: World) -> None:
    ann.get("/write")
    values = KNOWN | {"to": f"{PAT}, pat lee", "files": (io.BytesIO(b"%PDF"), "labs.pdf", "application/pdf")}
    page = fill(ann, values)
    assert page.status_code == 422
    assert "“pat lee” is no address" in page.text
    assert "All is well.</textarea>" in page.text
    assert "labs.pdf" in page.text
    assert fill(ann, KNOWN).status_code == 303
    assert world.mails[0]["files"] == [("labs.pdf", b"%PDF")]


def test_files_are_kept_whichever_button_is_pressed(ann: Visitor, world: World) -> None:
    ann.get("/write")
    page = fill(ann, KNOWN | {"files": (io.BytesIO(b"%PDF"), "labs.pdf", "application/pdf")}, "/write").text
    assert "labs.pdf" in page
    assert fill(ann, KNOWN).status_code == 303
    assert world.mails[0]["files"] == [("labs.pdf", b"%PDF")]


@pytest.mark.parametrize(
    ("trouble", "status"), [(Refusal("Not to them."), 422), (NoGrant("None of yours."), 422), (KeeperGone(""), 503)]
)
def test_nothing_is_lost_when_people_cannot_be_looked_at(
    ann: Visitor, monkeypatch: pytest.MonkeyPatch, trouble: Exception, status: int
) -> None:
    def fails(*args: Any) -> Checked:
        raise trouble

    monkeypatch.setattr(FakeNewMail, "check", fails)
    for url in ("/write", "/write/send"):
        ann.get("/write")
        page = fill(ann, KNOWN, url)
        assert page.status_code == status
        assert "All is well.</textarea>" in page.text
        assert (str(trouble) or "try again in a minute") in page.text


def test_what_was_sent_is_never_said_to_be_waiting(ann: Visitor, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: Any) -> Any:
        raise KeeperGone("The keeper does not answer.")

    ann.get("/write")
    monkeypatch.setattr(FakeAccounts, "codes", gone)
    monkeypatch.setattr(FakePickup, "status", gone)
    assert fill(ann, KNOWN).status_code == 303
    assert len(world.mails) == 1


@pytest.mark.parametrize("at", ["not a time", "2020-01-01T09:30", "tomorrow"])
def test_a_time_that_is_none_or_over_sends_nothing(ann: Visitor, world: World, at: str) -> None:
    ann.get("/write")
    page = fill(ann, KNOWN | {"at": at, "zone": "x"})
    assert page.status_code == 422
    assert "The time at which it is to leave is over" in page.text
    assert world.mails == []


def test_a_text_is_never_cut(ann: Visitor, world: World) -> None:
    ann.get("/write")
    page = fill(ann, KNOWN | {"text": "a" * 500_000 + "Stop the pills."})
    assert page.status_code == 422
    assert "The text is too long." in page.text
    assert "Stop the pills.</textarea>" in page.text
    assert world.mails == []


@pytest.mark.parametrize("values", [{"to": "", "text": "words"}, {"to": PAT, "text": "", "subject": "only"}])
def test_a_message_without_people_or_words_is_not_sent(ann: Visitor, world: World, values: dict[str, str]) -> None:
    ann.get("/write")
    assert fill(ann, values).status_code == 422
    assert world.mails == []


def test_what_cannot_be_sent_now_is_kept_with_its_files(ann: Visitor, world: World, monkeypatch: Any) -> None:
    def gone(*args: Any, **values: Any) -> int:
        raise KeeperGone("The keeper does not answer.")

    monkeypatch.setattr(FakeNewMail, "send", gone)
    ann.get("/write")
    page = fill(ann, KNOWN | {"files": (io.BytesIO(b"%PDF"), "labs.pdf", "application/pdf")})
    assert page.status_code == 503
    assert "It is kept; try again in a minute." in page.text
    assert [each.name for draft in world.drafts.values() for each in draft.files] == ["labs.pdf"]


def test_a_draft_is_kept_and_gone_on_with(ann: Visitor, world: World) -> None:
    ann.get("/write")
    fill(ann, KNOWN | {"way": "plain", "later": "1440"}, "/write/draft")
    page = ann.follow().text
    assert "Your draft is saved." in page
    assert "All is well.</textarea>" in page
    assert re.search(r'name="way" value="plain" checked', page)
    assert re.search(r'<option value="1440" selected>', page)
    fill(ann, KNOWN | {"text": "More."}, "/write/draft")
    assert [each.writing.text for each in world.drafts.values()] == ["More."]
    listed = ann.get("/drafts").text
    assert "Results" in listed
    assert f"To {PAT}" in listed


def test_the_script_keeps_a_draft_and_hears_its_id_and_files(ann: Visitor, world: World) -> None:
    ann.get("/write")
    values = KNOWN | {"files": (io.BytesIO(b"%PDF"), "labs.pdf", "application/pdf")}
    answer = fill(ann, values, "/write/draft", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert int(answer.json["draft"]) in {each.id for each in world.drafts.values()}
    assert [each["name"] for each in answer.json["files"]] == ["labs.pdf"]
    ann.get("/write")
    kept = fill(ann, KNOWN | {"draft": answer.json["draft"]}, "/write/draft", headers={"Accept": "text/plain"})
    assert kept.text == answer.json["draft"]
    ann.get("/write")
    assert fill(ann, {"typed": "okafor"}, "/write/people").json == [
        {"address": "j.okafor@okafor-lind.com", "name": "Okafor & Lind"}
    ]


def test_files_beyond_the_limit_are_refused_and_the_words_kept(make_app: Callable[..., Portal], world: World) -> None:
    app = make_app(config(limits=settings.Limits(message_octets=1_500_000, file_octets=0)))
    ann = Visitor(app)
    ann.carry(world.sign_in("ann@gmail.example", roles=("subscriber",)))
    ann.get("/write")
    page = fill(ann, KNOWN | {"files": (io.BytesIO(b"x" * 400_000), "large.bin", "application/octet-stream")})
    assert page.status_code == 422
    assert "The files are too large together." in page.text
    assert "All is well.</textarea>" in page.text
    assert world.mails == []


def test_what_comes_after_the_session_is_kept(ann: Visitor, world: World) -> None:
    ann.get("/write")
    cookie = next(name for name, each in world.sessions.items() if "subscriber" in each.roles)
    world.away[cookie] = world.sessions.pop(cookie)
    assert fill(ann, KNOWN).location == "/sign-in"
    assert [each.writing.text for each in world.drafts.values()] == ["All is well."]
    assert "What you wrote is kept" in ann.follow().text


def test_a_message_that_has_not_left_comes_back_as_a_draft(ann: Visitor, world: World) -> None:
    ann.get("/write")
    fill(ann, KNOWN)
    ann.follow()
    assert ann.post("/sent/40/unsend").status_code == 303
    page = ann.follow().text
    assert "It was not sent." in page
    assert "All is well.</textarea>" in page
    ann.get("/sent/21")
    ann.post("/sent/21/unsend")
    assert "It had left already." in ann.follow().text


def test_a_message_is_passed_on(ann: Visitor) -> None:
    ann.get("/messages/11")
    ann.post("/messages/11/forward")
    page = ann.follow().text
    assert 'value="Fwd: Your blood test from Tuesday"' in page
    assert fields(page, "about") == ["11"]


def test_ordinary_mail_is_offered_only_where_the_rules_allow_it(ann: Visitor, world: World) -> None:
    assert "As ordinary mail" in ann.get("/write").text
    world.may_plain = False
    assert "As ordinary mail" not in ann.get("/write").text


def test_a_locked_pdf_is_offered_only_where_the_rules_allow_it(ann: Visitor, world: World) -> None:
    assert 'value="pdf"' in ann.get("/write").text
    world.may_pdf = False
    page = fill(ann, {"to": PAT, "subject": "Results", "text": "x", "way": "pdf"}, "/write").text
    assert 'value="pdf"' not in page
    assert 'value="locked" checked' in page


def test_only_subscribers_write(pat: Visitor, visitor: Visitor) -> None:
    assert pat.get("/write").status_code == 404
    assert visitor.get("/write").location == "/sign-in"
    pat.get("/messages")
    assert pat.post("/write/people", {"typed": "a"}).status_code == 404
    pat.get("/messages")
    assert pat.post("/write/send", KNOWN).status_code == 404
    assert visitor.client.post("/write/send", base_url="https://open.cryptnsend.example").location == "/sign-in"


def test_what_is_typed_into_fields_never_becomes_markup(ann: Visitor) -> None:
    ann.get("/write")
    evil = '"><script>alert(1)</script>'
    page = fill(
        ann, {"to": evil, "subject": evil, "text": f"</textarea>{evil}", "html": f"<p>x{evil}</p>"}, "/write"
    ).text
    assert "<script>alert" not in page


def test_later_is_a_time_in_the_zone_of_the_reader(ann: Visitor, world: World) -> None:
    ann.get("/write")
    fill(ann, KNOWN | {"at": "2026-11-20T09:30", "zone": "420"})
    assert world.mails[0]["writing"].wishes.at == 1_795_192_200_000
    world.pause = DAY
    ann.get("/write")
    fill(ann, KNOWN | {"at": "", "zone": "x"})
    assert world.mails[1]["writing"].wishes.at == 0
    assert "It leaves on" in ann.follow().text


# ---- what was sent ----------------------------------------------------------------------------------------------


def test_notices_go_again_to_one_or_to_all(ann: Visitor, world: World) -> None:
    ann.get("/sent/21")
    ann.post("/sent/21/remind")
    assert "The notice is on its way again." in ann.follow().text
    ann.post("/sent/21/remind", {"address": PAT})
    ann.follow()
    assert {"remind all", f"remind {PAT}"} <= set(world.calls)
    world.refuse = "The last notice left a moment ago."
    assert "The last notice left a moment ago." in ann.post("/sent/21/remind").text
    assert ann.post("/sent/21/remind", {"address": "eve@evil.example"}).status_code == 404


def test_another_day_is_chosen_for_the_end(ann: Visitor, world: World) -> None:
    ann.get("/sent/21")
    assert ann.post("/sent/21/extend", {"until": "2027-01-31"}).status_code == 303
    assert "extend all 1801439999999" in world.calls
    ann.get("/sent/21")
    for wrong in ("", "31.1.2027", "2020-01-01"):
        answer = ann.post("/sent/21/extend", {"until": wrong})
        assert answer.status_code == 422
        assert "Choose a day to come." in answer.text


def test_deleting_for_good_asks_once_more(ann: Visitor, world: World) -> None:
    ann.get("/sent/21")
    page = ann.post("/sent/21/delete", {"address": PAT}).text
    assert "This cannot be undone" in page
    assert not [each for each in world.calls if each.startswith("shred")]
    ann.post("/sent/21/delete", {"address": PAT, "sure": "yes"})
    assert f"shred {PAT}" in world.calls
    assert "It is deleted for good." in ann.follow().text


def test_who_comes_back_to_a_draft_that_was_sent_reads_where_it_is_now(ann: Visitor) -> None:
    answer = ann.get("/write/987654")
    assert answer.status_code == 404
    assert "stands under “Sent”" in answer.text


def test_the_proof_says_who_opened_it_and_who_did_not(ann: Visitor) -> None:
    page = ann.get("/sent/21/proof").text
    assert "entry 412 of the audit trail" in page
    assert page.count("Not opened here") == 2
    assert "the trail had 420 entries" in page
    assert "Their mail server took the notice" in page
    assert "<code>" not in page  # words for everything, no names of a program's own
    assert ann.get("/sent/99/proof").status_code == 404


def test_looking_at_sent_mail_changes_nothing(ann: Visitor, world: World) -> None:
    world.calls.clear()
    for url in ("/write", "/sent", "/sent/21", "/sent/21/proof", "/drafts"):
        assert ann.get(url).status_code == 200
    for url in ("/sent/21/unsend", "/sent/21/expire", "/sent/21/restore"):
        assert ann.get(url).status_code == 405
    for url in ("/sent/21/delete", "/sent/21/remind", "/sent/21/extend"):
        assert ann.get(url).location == "/sent/21"
    assert ann.get("/write/send").location == "/drafts"
    assert world.calls == []


# ---- Trash ------------------------------------------------------------------------------------------------------


def test_a_message_goes_to_trash_and_back(pat: Visitor, world: World) -> None:
    pat.get("/messages/11")
    pat.post("/messages/11/trash")
    assert "Moved to Trash." in pat.follow().text
    assert "Your blood test from Tuesday" in pat.get("/trash").text
    assert "Put back" in pat.get("/messages/11").text
    pat.get("/trash")
    pat.post("/messages/11/put-back")
    assert "It is back where it was." in pat.follow().text
    assert world.trash == set()


def test_what_was_sent_goes_to_trash_and_back(ann: Visitor, world: World) -> None:
    ann.get("/sent/21")
    ann.post("/messages/21/trash", {"role": "author"})
    assert "Moved to Trash." in ann.follow().text
    assert world.trash == {(21, "author")}
    ann.post("/messages/21/put-back", {"role": "author"})
    assert world.trash == set()


def test_a_message_is_kept_as_unread(pat: Visitor, world: World) -> None:
    pat.get("/messages/11")
    assert pat.post("/messages/11/unread").location == "/messages"
    assert "mark_unread 11" in world.calls
    pat.get("/messages/11")
    assert pat.post("/messages/99/trash").status_code == 404


def test_what_was_sent_is_found_by_words_that_stand_in_no_address(ann: Visitor) -> None:
    ann.get("/sent")
    page = ann.post("/sent/search", {"words": "vaccination"}).text
    assert "1 message found." in page
    assert "Vaccination record for school" in page
    assert "Answer about your dosage" not in page
    assert "No message has these words" in ann.post("/sent/search", {"words": "nothing like it"}).text
    assert ann.post("/sent/search", {"words": " "}).location == "/sent"
    assert ann.get("/sent/search").location == "/sent"
