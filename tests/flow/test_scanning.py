"""Is everything looked at that should be, is what was found kept from everybody, and is silence never a yes?"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cryptnsend import metrics
from cryptnsend.core.errors import Infected, Refusal, ScannerGone
from cryptnsend.flow import scanning
from cryptnsend.flow.granting import Addressee, Author
from cryptnsend.flow.granting import Envelope as Intended
from cryptnsend.flow.intake import SmtpIntake
from cryptnsend.submission.contract import Envelope, Peer, Rcpt
from tests.flow.admitting import submit
from tests.flow.conftest import DELIVERED, Desk, faces
from tests.flow.rows import count
from tests.flow.talks import Talk
from tests.support.house import DAY, HOUR, MINUTE, PASSWORD, House, MakeHouse
from tests.support.scanners import DOUBTFUL, EICAR, PHRASE, SPAM, STREAM_MAX, Clam, FalseScanner, nowhere

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
_FOUND = "SELECT detail FROM audit WHERE action = 'scan.found' ORDER BY at"
MULTIPART = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n'


def infected(**fields: Any) -> bytes:
    """Return a mail with the test file attached."""
    attached = (
        "--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n"
        "--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        f"{base64.b64encode(EICAR).decode()}\r\n--b--"
    )
    return House.mail(text=attached, more=MULTIPART, **fields)


def all_at_the_door(house: House, *mails: bytes) -> list[str | BaseException]:
    """Submit mails side by side as sessions do, awaiting what has to be awaited; return ids and refusals."""
    who = house.gate.authenticate(ANN, PASSWORD, "192.0.2.7")
    envelope = Envelope(ANN, (Rcpt(PAT),), Peer("192.0.2.7", "laptop.example", "TLSv1.3"))

    async def send(intake: SmtpIntake, octets: bytes) -> str:
        draft = intake.begin(who, envelope)
        try:
            end = octets.index(b"\r\n\r\n") + 4
            draft.header(octets[:end])
            for at in range(end, len(octets), 50_000):
                waiting = draft.body(octets[at : at + 50_000])
                if waiting is not None:
                    await waiting
            return await draft.commit()
        except BaseException:
            draft.abort()
            raise

    async def run() -> list[str | BaseException]:
        loop = asyncio.get_running_loop()
        batcher = house.door.engine.batcher(loop)

        def in_thread(fn: Callable[[], None]) -> Awaitable[None]:
            return loop.run_in_executor(None, fn)

        intake = SmtpIntake(house.door.admission, batcher, in_thread)
        try:
            return await asyncio.gather(*(send(intake, each) for each in mails), return_exceptions=True)
        finally:
            batcher.close()

    return asyncio.run(run())


def at_the_door(house: House, octets: bytes) -> str:
    """Submit one mail; return its id, or raise what refuses it."""
    (said,) = all_at_the_door(house, octets)
    if isinstance(said, BaseException):
        raise said
    return said


def found(house: House) -> list[dict[str, str]]:
    """Return what the audit trails say of findings."""
    return [json.loads(row["detail"]) for row in house.engine.query(_FOUND)]


@pytest.fixture
def scanned(make_house: MakeHouse, clamd: Clam) -> House:
    """A house with a virus scanner, in which Ann writes."""
    house = make_house(scan={"clamav": clamd.path})
    house.add_subscriber(ANN)
    return house


# -- what people submit -----------------------------------------------------------------------------------------------


def test_a_mail_in_order_is_taken(scanned: House) -> None:
    message = at_the_door(scanned, House.mail(text="x" * 300_000))
    assert [row["id"] for row in scanned.engine.query("SELECT id FROM messages")] == [int(message)]
    assert found(scanned) == []


def test_what_is_found_is_refused_by_its_name_and_nothing_is_kept(scanned: House) -> None:
    with pytest.raises(Infected) as refused:
        at_the_door(scanned, infected())
    assert (refused.value.code, refused.value.status) == (554, "5.7.1")
    assert str(refused.value).startswith("The virus scanner found Test.Eicar.UNOFFICIAL in this message")
    assert count(scanned, "messages") == count(scanned, "deliveries") == count(scanned, "contents") == 0


@pytest.mark.parametrize("door", ["smtp", "page", "reply", "visitor"])
def test_whatever_begins_a_message_has_it_looked_at(scanned: House, door: str) -> None:
    account = scanned.engine.query("SELECT id, org FROM accounts WHERE id = :id", id=scanned.account(ANN))[0]
    author = Author(account["id"], account["org"], ANN, frozenset({ANN}), True)
    draft = scanned.door.admission.begin(author, Intended(ANN, (Addressee(PAT),)), door)
    octets = infected()
    end = octets.index(b"\r\n\r\n") + 4
    draft.header(octets[:end])
    draft.body(octets[end:])
    with pytest.raises(Infected):
        draft.commit_now()
    assert [each["where"] for each in found(scanned)] == [door]
    assert count(scanned, "messages") == 0


def test_a_finding_stands_in_the_audit_trail_of_whoever_sent_without_content(scanned: House) -> None:
    with pytest.raises(Infected):
        at_the_door(scanned, infected(subject="Canaryvale"))
    account = scanned.account(ANN)
    row = scanned.engine.query("SELECT org, actor, detail FROM audit WHERE action = 'scan.found'")[0]
    assert row["actor"] == f"account:{account}"
    assert row["org"] == scanned.engine.query("SELECT org FROM accounts WHERE id = :a", a=account)[0]["org"]
    assert json.loads(row["detail"]) == {"finding": "Test.Eicar.UNOFFICIAL", "scanner": "clamav", "where": "smtp"}


def test_a_large_mail_is_looked_at_to_its_end_and_leaves_no_blob(scanned: House) -> None:
    with pytest.raises(Infected):
        at_the_door(scanned, House.mail(text="x" * 1_000_000 + PHRASE))
    assert count(scanned, "messages") == 0
    assert list(scanned.portal.blobs.keys()) == []


def test_many_sessions_at_once_get_the_answer_about_their_own_mail(scanned: House) -> None:
    mails = [House.mail(text="x" * (400_000 if n % 3 else 10) + (PHRASE if n % 2 else "")) for n in range(24)]
    said = all_at_the_door(scanned, *mails)
    assert [type(each) for each in said] == [Infected if n % 2 else str for n in range(24)]
    assert count(scanned, "messages") == 12
    assert len(list(scanned.portal.blobs.keys())) == 8


def test_a_mail_larger_than_the_scanner_takes_is_refused_as_too_large(scanned: House) -> None:
    with pytest.raises(Refusal) as refused:
        at_the_door(scanned, House.mail(text="x" * (STREAM_MAX + 1) * 1_048_576))
    assert (refused.value.code, refused.value.status) == (552, "5.3.4")
    assert list(scanned.portal.blobs.keys()) == []


def test_a_mail_that_is_sent_again_is_still_the_same_mail(scanned: House) -> None:
    octets = House.mail(text="x" * 200_000)
    first = at_the_door(scanned, octets)
    assert at_the_door(scanned, octets) == first
    assert count(scanned, "messages") == 1


def test_without_an_answer_of_the_scanner_the_mail_is_put_off(make_house: MakeHouse, clamd: Clam) -> None:
    house = make_house(scan={"clamav": nowhere()})
    house.add_subscriber(ANN)
    for octets in (House.mail(), House.mail(text="x" * 500_000)):
        with pytest.raises(ScannerGone) as gone:
            at_the_door(house, octets)
        assert (gone.value.code, gone.value.status) == (451, "4.7.1")
    assert count(house, "messages") == 0
    assert list(house.portal.blobs.keys()) == []


def test_nobody_waits_again_for_a_scanner_that_was_waited_for_in_vain(make_house: MakeHouse) -> None:
    with FalseScanner(lambda scanner, line: scanner.over.wait(120) and None) as silent:
        house = make_house(scan={"clamav": silent.place, "seconds": 1})
        house.add_subscriber(ANN)
        for _ in range(3):
            with pytest.raises(ScannerGone):
                at_the_door(house, House.mail())
        assert silent.connections == 1
        house.clock.forward(int(scanning.REST * 1000) + 1)
        with pytest.raises(ScannerGone):
            at_the_door(house, House.mail())
        assert silent.connections == 2
    assert count(house, "messages") == 0


def test_a_client_that_goes_in_the_middle_leaves_no_connection(make_house: MakeHouse) -> None:
    ended: list[bytes] = []

    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        while line.recv(65_536):
            pass
        ended.append(b"")
        scanner.over.set()

    with FalseScanner(behave) as scanner:
        house = make_house(scan={"clamav": scanner.place})
        house.add_subscriber(ANN)
        who = house.gate.authenticate(ANN, PASSWORD, "192.0.2.7")
        draft = SmtpIntake(house.door.admission, None, None).begin(  # type: ignore[arg-type]
            who, Envelope(ANN, (Rcpt(PAT),), Peer("192.0.2.7", "x", ""))
        )
        draft._draft.header(House.mail()[:-20])
        draft._draft.body(b"x" * 100_000)
        draft.abort()
        assert scanner.over.wait(60)
    assert ended == [b""]


def test_what_is_sealed_is_none_of_the_spam_filters_business(make_house: MakeHouse) -> None:
    house = make_house(scan={"rspamd": nowhere()})
    house.add_subscriber(ANN)
    assert at_the_door(house, House.mail(text=SPAM))


def test_where_nobody_is_configured_nobody_is_begun(house: House) -> None:
    house.add_subscriber(ANN)
    assert house.door.scanning.is_idle
    assert house.door.scanning.begin(scanning.Case(1, "x", "1", "smtp"), in_the_open=True) is None
    assert at_the_door(house, infected())


def test_the_audit_trail_has_the_first_findings_of_a_day_only(scanned: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "AUDITED", 2)
    for _ in range(4):
        with pytest.raises(Infected):
            submit(scanned, infected())
    assert len(found(scanned)) == 2
    scanned.clock.forward(DAY)
    with pytest.raises(Infected):
        submit(scanned, infected())
    assert len(found(scanned)) == 3


def test_each_mail_counts_once_by_its_way_and_what_came_of_it(scanned: House) -> None:
    metrics.start("submission")
    try:
        at_the_door(scanned, House.mail(text="x" * 300_000))
        for octets in (infected(), House.mail(text="x" * 300_000 + PHRASE)):
            with pytest.raises(Infected):
                at_the_door(scanned, octets)
        told = {labels: value for (name, labels), value in metrics.counted().items() if name == "scans"}
    finally:
        metrics.stop()
    assert told == {("smtp", "clean"): 1, ("smtp", "virus"): 2}


# -- what other servers bring -----------------------------------------------------------------------------------------


def talk(make_house: MakeHouse, **scan: str | int) -> Talk:
    return Talk(Desk(make_house(scan=scan)))


def test_an_answer_in_order_joins_its_conversation(make_house: MakeHouse, clamd: Clam, rspamd: str) -> None:
    talking = talk(make_house, clamav=clamd.path, rspamd=rspamd)
    to = talking.to_ann()
    assert talking.door.bring(talking.answer(to), to) == "250 2.0.0"
    assert talking.door.bring(talking.answer(to, text="y" * 200_000), to) == "250 2.0.0"
    assert len(talking.messages()) == 3


@pytest.mark.parametrize(("text", "reply"), [(PHRASE, "Test.Phrase.UNOFFICIAL"), (SPAM, "spam filter is sure")])
def test_an_answer_with_a_finding_is_refused_in_the_session(
    make_house: MakeHouse, clamd: Clam, rspamd: str, text: str, reply: str
) -> None:
    talking = talk(make_house, clamav=clamd.path, rspamd=rspamd)
    to, before = talking.to_ann(), talking.house.rings
    said = talking.door.bring(talking.answer(to, text=text), to)
    assert said.startswith("554 5.7.1 ")
    assert reply in said
    assert (len(talking.messages()), talking.door.kept()) == (1, [])
    assert [each["where"] for each in found(talking.house)] == ["inbound"]
    assert talking.mailed(PAT) == []
    assert talking.house.rings == before


def test_an_answer_that_only_looks_like_spam_is_kept_apart(make_house: MakeHouse, rspamd: str) -> None:
    talking = talk(make_house, rspamd=rspamd)
    to = talking.to_ann()
    assert talking.door.bring(talking.answer(to, text=DOUBTFUL), to) == "250 2.0.0"
    assert talking.door.kept() == [("spam", talking.message)]
    assert len(talking.messages()) == 1
    mail = talking.mailed(ANN)[-1]
    assert "spam filter finds it suspicious" in " ".join(mail.replace("=\r\n", "").split())
    assert talking.mailed(PAT) == []


@pytest.mark.parametrize("scanner", ["clamav", "rspamd"])
def test_other_servers_come_again_while_a_scanner_is_silent(make_house: MakeHouse, scanner: str) -> None:
    talking = talk(make_house)
    talking.door.flow.scanning = make_house(scan={scanner: nowhere()}).inbound.scanning
    to = talking.to_ann()
    for text in ("Thank you.", "x" * 200_000):
        assert talking.door.bring(talking.answer(to, text=text), to).startswith("451 4.7.1 ")
    assert (len(talking.messages()), talking.door.kept()) == (1, [])
    talking.door.flow.scanning = talking.house.inbound.scanning
    assert talking.door.bring(talking.answer(to), to) == "250 2.0.0"


def test_what_the_spam_filter_wants_to_see_again_is_asked_for_again(make_house: MakeHouse) -> None:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear(line, b"all is well.\r\n")
        body = b'{"action": "soft reject", "score": 1}'
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with FalseScanner(behave) as scanner:
        talking = talk(make_house, rspamd=scanner.place)
        to = talking.to_ann()
        assert talking.door.bring(talking.answer(to), to).startswith("451 4.7.1 The spam filter wants to see")
        told = bytes(scanner.got).partition(b"\r\n\r\n")[0].decode()
    assert talking.door.kept() == []
    # It keeps a log, in which our tokens have no business.
    assert f"Rcpt: reply@{talking.domain}\r\n" in told
    assert to.partition("@")[0].removeprefix("r+") not in told
    assert "From: pat@yahoo.example\r\n" in told


def test_abuse_hears_of_spam_and_gets_no_viruses(make_house: MakeHouse, clamd: Clam, rspamd: str) -> None:
    talking = talk(make_house, clamav=clamd.path, rspamd=rspamd)
    talking.house.organisation("Ruiz")
    to = f"abuse@{talking.domain}"
    assert talking.door.bring(talking.answer(to, text=SPAM), to) == "250 2.0.0"
    assert talking.door.bring(talking.answer(to, text=PHRASE), to).startswith("554 5.7.1 ")
    assert [reason for reason, _ in talking.door.kept()] == ["abuse"]


def test_an_absence_note_is_looked_at_before_it_is_kept(make_house: MakeHouse, clamd: Clam) -> None:
    talking = talk(make_house, clamav=clamd.path)
    to = talking.door.bounce_address()
    note = talking.answer(to, more="Auto-Submitted: auto-replied\r\n", text=PHRASE)
    assert talking.door.bring(note, to, sender="").startswith("554 5.7.1 ")
    assert talking.door.kept() == []
    note = talking.answer(to, more="Auto-Submitted: auto-replied\r\n", text="I am away.")
    assert talking.door.bring(note, to, sender="") == "250 2.0.0"
    assert talking.door.kept() == [("automatic", talking.message)]


# -- what leaves in plain ---------------------------------------------------------------------------------------------


def plain(make_house: MakeHouse, text: str, **scan: str | int) -> Desk:
    """Return a house in which a plain mail is due."""
    desk = Desk(make_house(scan=scan))
    desk.house.add_subscriber(ANN)
    desk.house.submit(ANN, [PAT], House.mail(":: hello", text))
    return desk


def test_spam_does_not_leave_in_plain_and_its_author_is_told(make_house: MakeHouse, rspamd: str) -> None:
    desk = plain(make_house, SPAM, rspamd=rspamd)
    desk.deliver()
    assert desk.answers.mails(PAT) == []
    row = desk.row("relay")
    assert (row["state"], row["queue_wrap"]) == ("failed", None)
    report = desk.answers.mails(ANN)[-1]
    text = " ".join(faces(report)[0].split())
    assert "A scanner of this server looked at it before it left, and stopped it." in text
    assert "What the scanner said: The spam filter is sure that this message is spam" in text
    assert "Their mail server" not in text
    assert "Diagnostic-Code: x-scanner; 5.7.1 The spam filter" in report.as_string()
    assert [(each["scanner"], each["where"]) for each in found(desk.house)] == [("rspamd", "relay")]


def test_a_virus_that_nobody_knew_when_it_was_taken_does_not_leave(make_house: MakeHouse, clamd: Clam) -> None:
    desk = plain(make_house, PHRASE)
    knowing = make_house(scan={"clamav": clamd.path})
    vars(desk.house.courier)["scanning"] = scanning.Scanning(
        everything=knowing.courier.scanning._everything,
        in_the_open=(),
        engine=desk.house.engine,
        clock=desk.house.clock,
    )
    desk.deliver()
    assert desk.answers.mails(PAT) == []
    assert desk.row("relay")["state"] == "failed"
    assert "Test.Phrase.UNOFFICIAL" in desk.answers.mails(ANN)[-1].as_string()


def test_plain_mail_in_order_or_only_doubtful_leaves(make_house: MakeHouse, clamd: Clam, rspamd: str) -> None:
    for text in ("All is well.", DOUBTFUL):
        desk = plain(make_house, text, clamav=clamd.path, rspamd=rspamd)
        desk.deliver()
        assert len(desk.answers.mails(PAT)) == 1
        assert desk.row("relay")["state"] == "delivered"


def test_plain_mail_waits_for_a_scanner_and_its_author_hears_of_it(make_house: MakeHouse, rspamd: str) -> None:
    desk = plain(make_house, "All is well.", rspamd=nowhere())
    house = desk.house
    desk.deliver()
    row = desk.row("relay")
    assert (row["state"], row["attempts"]) == ("delayed", 1)
    assert row["due"] - house.clock.now() <= MINUTE
    house.clock.forward(2 * HOUR)
    desk.deliver()
    house.clock.forward(MINUTE)  # a report waits for what is tried within a minute
    desk.deliver()
    assert desk.answers.mails(PAT) == []
    text = " ".join(faces(desk.answers.mails(ANN)[-1])[0].split())
    assert "A scanner of this server has to look at it before it leaves, and could not yet." in text
    assert "Their mail server" not in text

    healthy = make_house(scan={"rspamd": rspamd})
    house.courier.deliver._scanning = healthy.courier.scanning
    house.clock.forward(MINUTE)
    desk.say(DELIVERED)
    desk.deliver()
    assert len(desk.answers.mails(PAT)) == 1


def test_plain_mail_that_no_scanner_ever_sees_fails_in_the_end(make_house: MakeHouse) -> None:
    desk = plain(make_house, "All is well.", clamav="")
    vars(desk.house.courier)["scanning"] = make_house(scan={"clamav": nowhere()}).courier.scanning
    while desk.row("relay")["state"] != "failed":
        desk.house.clock.forward(9 * HOUR)
        assert desk.deliver()
    assert desk.answers.mails(PAT) == []
    text = " ".join(faces(desk.answers.mails(ANN)[-1])[0].split())
    assert "gave no answer in all that time. Tell the people who run this server" in text


def test_notices_are_not_looked_at(make_house: MakeHouse) -> None:
    house = make_house()
    desk = Desk(house)
    house.add_subscriber(ANN)
    vars(house.courier)["scanning"] = make_house(scan={"clamav": nowhere(), "rspamd": nowhere()}).courier.scanning
    house.submit(ANN, [PAT], House.mail("Results"))
    desk.deliver()
    assert len(desk.answers.mails(PAT)) == 1
