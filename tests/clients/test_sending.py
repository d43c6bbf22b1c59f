"""Ten secure mails from each program that sends: nobody outside reads a word of them, and Sent has each once."""

from __future__ import annotations

import pytest

from tests.clients.conftest import MakeDesk
from tests.clients.desk import SECRET
from tests.clients.programs import Curl, Msmtp, Neomutt, Swaks

TEN = 10


@pytest.mark.parametrize("kind", [Msmtp, Swaks])
def test_programs_that_only_send_leave_the_copy_to_the_house(make_desk: MakeDesk, kind: type[Msmtp | Swaks]) -> None:
    desk = make_desk(kind.__name__.lower())
    program = kind(desk)
    for mail in desk.mails(TEN):
        program.send(mail)
    desk.check_all_is_sealed_and_kept_once()


def test_curl_sends_and_files_its_copies_before_and_after(make_desk: MakeDesk) -> None:
    desk = make_desk("curl")
    program = Curl(desk)
    for number, mail in enumerate(desk.mails(TEN)):
        steps = [lambda mail=mail: program.send(mail), lambda mail=mail: program.file(mail, "Sent")]
        for step in reversed(steps) if number % 2 else steps:
            step()
    desk.check_all_is_sealed_and_kept_once()


def test_neomutt_sends_and_files_its_copies_before_and_after(make_desk: MakeDesk) -> None:
    desk = make_desk("neomutt")
    program = Neomutt(desk)
    scan = desk.folder / "scan.bin"
    scan.write_bytes(f"{SECRET}\n".encode() * 99)
    for number, (subject, text) in enumerate(desk.letters(TEN)):
        program.send(subject, text, scan, copy_first=bool(number % 2))
    desk.check_all_is_sealed_and_kept_once()
    with desk.imap() as client:  # each copy that was first had a place of its own, until its message took it
        assert client.status("Sent", "(UIDNEXT)")[1] == [b'"Sent" (UIDNEXT %d)' % (1 + TEN + TEN // 2)]


def test_a_script_of_pythons_sends_ten_in_one_session_and_files_copies_with_bcc(make_desk: MakeDesk) -> None:
    desk = make_desk("python")
    with desk.smtp() as sends, desk.imap() as files:
        for number, mail in enumerate(desk.mails(TEN)):
            copy = b"Bcc: kim-python@gmail.example\r\nX-Mozilla-Status: 0001\r\n" + mail
            if number % 2:
                files.append("Sent", "\\Seen", None, copy)
            sends.sendmail(desk.ann, [desk.pat, "kim-python@gmail.example"], mail)
            if not number % 2:
                files.append("Sent", "\\Seen", None, copy)
    desk.check_all_is_sealed_and_kept_once()
    assert desk.flags("Sent") == [{"\\Seen"}] * TEN
