"""A whole server between a real virus scanner and a real spam filter: each way in, and the one way out in plain."""

from __future__ import annotations

import email.policy
import json
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Internet
from cryptnsend.demo.stage import ANN, EVE, PAT, Failed
from cryptnsend.demo.story import Story
from tests.support.scanners import EICAR, PHRASE, SPAM, Clam
from tests.support.served import CHEAP
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long  # tests/flow/test_scanning.py has each way by itself, without the server around it
NAME = "Test.Eicar.UNOFFICIAL"


@pytest.fixture(scope="module")
def story(clamd: Clam, rspamd: str) -> Iterator[Story]:
    """Ann has sent to Pat, and Pat has opened it."""
    scan = {"clamav": clamd.path, "rspamd": rspamd}
    with Internet() as internet, House(internet, values={**CHEAP, "scan": scan}) as house:
        told = Story(house)
        for step in (told.subscribe, told.make_device, told.submit, told.notice, told.receipt, told.open_first_time):
            step()
        yield told


def mail(subject: str, text: str, to: str = PAT) -> EmailMessage:
    made = EmailMessage(policy=email.policy.SMTP)
    made["From"], made["To"], made["Subject"] = ANN, to, subject
    made.set_content(text)
    return made


def results(story: Story, where: str) -> list[str]:
    """Return what the log says came of looking at mail that came by one way."""
    lines = (json.loads(line) for line in story.house.log.read_text().splitlines() if line.startswith("{"))
    return [each["result"] for each in lines if each["event"] == "scanned" and each["where"] == where]


def test_a_mail_program_hears_the_name_of_what_was_found_and_where_to_read_more(story: Story) -> None:
    carrying = mail("The file", "See below.\n")
    carrying.add_attachment(EICAR, maintype="application", subtype="octet-stream", filename="holiday.bin")
    carrying.add_attachment(b"y" * 900_000, maintype="application", subtype="octet-stream", filename="y.bin")
    with pytest.raises(Failed) as refused:
        story._smtp(ANN, [PAT], carrying.as_bytes())
    words = f"5.7.1 The virus scanner found {NAME} in this message, so it was not taken. "
    assert f"554 b'{words}{story.house.base_url}/help/virus'" in str(refused.value)
    assert results(story, "smtp")[-1] == "virus"


def test_the_session_goes_on_and_clean_mail_is_sealed(story: Story) -> None:
    for text in ("All is well.\n", "x" * 70 + "\n" * 40_000):
        reply = story._smtp(ANN, [PAT], mail("Later", text).as_bytes())
        assert reply.startswith("2.0.0 Sealed as ")
    assert results(story, "smtp")[-1] == "clean"


def test_a_page_says_what_was_found_and_keeps_the_words(story: Story) -> None:
    page = story.pat.get(story.read_page)
    form = page.form(with_field="text")
    files = [("files", "holiday.bin", "application/octet-stream", EICAR)]
    answer = story.pat.send(page, form, text="Dear doctor, the picture is below.", files=files)
    assert answer.status == 422
    assert f"The virus scanner found {NAME} in this reply" in answer.words
    assert "Dear doctor, the picture is below." in answer.html


def test_another_server_hears_it_before_it_has_left(story: Story) -> None:
    code, words = story._bring(PAT, story.reply_to, PAT, f"Look: {PHRASE}\n")
    assert code == 554
    assert "5.7.1 The virus scanner found Test.Phrase.UNOFFICIAL" in str(words)
    code, words = story._bring(PAT, story.reply_to, PAT, f"{SPAM}\n")
    assert (code, "5.7.1 The spam filter" in str(words)) == (554, True)
    assert story._bring(PAT, story.reply_to, PAT, "Thank you, doctor.\n")[0] == 250
    assert results(story, "inbound") == ["virus", "spam", "clean"]


def test_spam_does_not_leave_in_plain_and_its_author_reads_why(story: Story) -> None:
    story._smtp(ANN, [EVE], mail(":: Moved", f"{SPAM}\n", to=EVE).as_bytes())
    report = story.internet.wait_for(ANN, predicate=lambda one: "Not delivered" in str(one.parsed["Subject"]))
    assert "A scanner of this server looked at it before it left" in str(report.octets.replace(b"=\r\n", b""))
    assert story.internet.inbox(EVE) == []
    story._smtp(ANN, [EVE], mail(":: Moved", "To Pine Street.\n", to=EVE).as_bytes())
    assert story.internet.wait_for(EVE).parsed["Subject"] == "Moved"


def test_findings_are_audited_and_no_word_of_the_mail_is(story: Story) -> None:
    wait_for(lambda: len(findings(story)) >= 5, "the findings are audited")
    told = findings(story)
    assert {(each["scanner"], each["where"]) for each in told} == {
        ("clamav", "smtp"),
        ("clamav", "reply"),
        ("clamav", "inbound"),
        ("rspamd", "inbound"),
        ("rspamd", "relay"),
    }
    assert all(set(each) == {"scanner", "where", "finding"} for each in told)
    assert PHRASE not in story.house.log.read_text()


def findings(story: Story) -> list[dict[str, str]]:
    lines = story.house.run("audit", "export").splitlines()
    rows = [json.loads(line) for line in lines]
    return [each["detail"] for each in rows if each["action"] == "scan.found"]
