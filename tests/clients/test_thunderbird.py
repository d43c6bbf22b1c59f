"""Thunderbird, as it comes with Debian, set up by hand with our values."""

from __future__ import annotations

from pathlib import Path

import pytest

from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Internet
from tests.clients.conftest import MakeDesk
from tests.clients.desk import SECRET, Desk
from tests.clients.thunderbird import Thunderbird
from tests.clients.web import Web
from tests.support.served import CHEAP, certified
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long


def test_thunderbird_sends_ten_with_a_file_finds_its_copies_and_reads_the_reply(make_desk: MakeDesk) -> None:
    desk = make_desk("thunderbird")
    scan = desk.folder / "scan.bin"
    scan.write_bytes(f"{SECRET}\n".encode() * 5000)
    with Thunderbird(desk.folder / "thunderbird", desk.authority) as program:
        program.set_up(desk.ann, desk.device, desk.ports)
        for subject, text in desk.letters(10):
            program.send([desk.pat], subject, text, [scan])
        # Its list fills while it fetches the headers, some at a time.
        wait_for(lambda: sorted(program.subjects("SentMail")) == sorted(desk.written), "a copy of each", step=1.0)
        text, files = program.read("SentMail", desk.written[0])
        assert f"The sign of {desk.written[0]} is clear." in text
        assert files == ["scan.bin"]
        desk.check_all_is_sealed_and_kept_once()
        subject = desk.reply("Thank you, I am relieved.")
        text, files = program.read("Inbox", subject)
        assert "Thank you, I am relieved." in text
        assert files == ["note.txt"]
        # It says so in its own time, and not at all once it was closed.
        wait_for(lambda: desk.flags("INBOX") == [{"\\Seen"}], "the reply to count as seen", step=0.5)


def wait_for_one_draft(desk: Desk, subject: str) -> None:
    """Wait until the draft is there once; if it never is, say what is there instead, and how it is flagged."""
    try:
        wait_for(lambda: desk.subjects("Drafts") == [subject], "one draft")
    except AssertionError as problem:
        raise AssertionError(f"{problem}: {desk.subjects('Drafts')}, {desk.flags('Drafts')}") from None


def test_thunderbirds_drafts_are_saved_over_sealed_and_gone_once_sent(make_desk: MakeDesk) -> None:
    desk = make_desk("thunderbird-drafts")
    with Thunderbird(desk.folder / "thunderbird", desk.authority) as program:
        program.set_up(desk.ann, desk.device, desk.ports)
        ((subject, text),) = desk.letters(1)
        program.write([desk.pat], subject, text)
        for _ in range(3):
            program.save(f"One more word on {SECRET}.\n")
            wait_for_one_draft(desk, subject)
        assert program.read("Drafts", subject)[0].count("One more word") == 3
        program.press_send()
        wait_for(lambda: desk.subjects("Drafts") == [], "no draft is left")
        desk.check_all_is_sealed_and_kept_once()
        program.delete("SentMail", subject)
        wait_for(lambda: desk.subjects("Trash") == [subject], "what was deleted lies in Trash")
        assert program.subjects("SentMail") == []


def test_thunderbird_fetches_by_pop_and_sends_by_starttls(make_desk: MakeDesk) -> None:
    desk = make_desk("thunderbird-pop")
    with Thunderbird(desk.folder / "thunderbird", desk.authority) as program:
        program.set_up_pop(desk.ann, desk.device, desk.ports)
        ((subject, text),) = desk.letters(1)
        program.send([desk.pat], subject, text)
        desk.check_all_is_sealed_and_kept_once()
        reply = desk.reply("Thank you, I am relieved.")
        program.get_messages()
        text, files = program.read("Inbox", reply)
        assert "Thank you, I am relieved." in text
        assert files == ["note.txt"]
        # Unless it is told to leave mail at the server it deletes what it has; here that is put away and not destroyed.
        wait_for(lambda: desk.subjects("Trash") == [reply], "the reply lies in Trash")
    assert desk.subjects("INBOX") == []
    assert desk.flags("Trash") == [{"\\Seen"}]


def test_thunderbird_finds_our_servers_by_an_address_of_an_organisations_own_domain(
    served_authority: Path, tmp_path: Path
) -> None:
    """The domain has a name that leads to us, as `dns` says; nothing else that Thunderbird asks answers."""
    name = "autoconfig.hospital.example"
    values = {
        **CHEAP,
        "tls": certified(tmp_path, name),
        "programs": {"domains": ["hospital.example"]},
    }
    with Internet() as internet, House(internet, values=values) as house:
        desk = Desk.opened(house, served_authority, tmp_path, "found", "hospital.example")
        with Web({name}, desk.ports["portal"]) as web:
            proxy = {"network.proxy.http_port": web.port, "network.proxy.ssl_port": web.port}
            with Thunderbird(tmp_path / "thunderbird", desk.authority, proxy) as program:
                source, incoming, outgoing = program.find(desk.ann, desk.device)
                assert source == "xml-from-isp-https"
                assert incoming == ["imap", "localhost", desk.ports["imaps"], desk.ann]
                assert outgoing == ["smtp", "localhost", desk.ports["submissions"], desk.ann]
                ((subject, text),) = desk.letters(1)
                program.send([desk.pat], subject, text)
                assert program.subjects("SentMail") == [subject]
                desk.check_all_is_sealed_and_kept_once()
        assert name in web.asked
