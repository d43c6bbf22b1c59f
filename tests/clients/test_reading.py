"""A reply that Pat wrote on the page is read by each program that reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cryptnsend.demo.house import House
from tests.clients.desk import Desk
from tests.clients.programs import Curl, Fetchmail, Getmail, Mbsync, Neomutt, OfflineImap

REPLY = "Thank you, I am relieved."
READERS = (Curl, Fetchmail, Getmail, Mbsync, Neomutt, OfflineImap)


@pytest.fixture(scope="module")
def answered(served: House, served_authority: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk at which one letter was written and answered."""
    desk = Desk.opened(served, served_authority, tmp_path_factory.mktemp("answered"), "readers")
    with desk.smtp() as client:
        for mail in desk.mails(1):
            client.sendmail(desk.ann, [desk.pat], mail)
    desk.reply(REPLY)
    return desk


@pytest.mark.parametrize("kind", READERS)
def test_programs_read_the_reply(answered: Desk, tmp_path: Path, kind: type[Curl]) -> None:
    desk = replace(answered, folder=tmp_path)
    read = kind(desk).read()
    assert REPLY in read
    assert f"Subject: Re: {desk.written[0]}" in read


def test_pythons_own_modules_read_it_and_say_so(answered: Desk) -> None:
    with answered.pop() as client:
        assert REPLY.encode() in client.retr(1)[1]
        assert client.top(1, 0)[1][-1] == b""
    with answered.imap() as mail:
        mail.select("INBOX")
        found = mail.fetch("1", "(BODY[1])")[1][0]
        assert isinstance(found, tuple)
        assert found[1] == f"{REPLY}\r\n".encode()
    assert answered.flags("INBOX") == [{"\\Seen"}]
