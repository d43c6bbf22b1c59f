"""What takes minutes says so, ends with the connection or the server, and loses nothing by that."""

from __future__ import annotations

import imaplib
import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from cryptnsend.core.model import first_id
from cryptnsend.flow import placing
from cryptnsend.flow.placing import Placer
from cryptnsend.flow.serving import Shelf
from cryptnsend.mailbox.imap import ImapSession
from cryptnsend.store.records import mailboxes
from tests.mailbox.conftest import ANN, MailDoors, reply
from tests.support.house import PASSWORD, House

MANY = 3


class Held:
    """A step that waits until it is let go."""

    def __init__(self) -> None:
        self.begun, self.free = threading.Event(), threading.Event()

    def hold(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        """Let a method wait whenever it is called, but for its work, which is done before."""
        step = getattr(owner, name)

        def held(*given: object, **named: object) -> object:
            done = step(*given, **named)
            self.begun.set()
            assert self.free.wait(60)
            return done

        monkeypatch.setattr(owner, name, held)


@pytest.fixture
def held() -> Iterator[Held]:
    made = Held()
    yield made
    made.free.set()


@pytest.fixture
def _in_pages_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "PAGE", 1)


def signed_in(doors: MailDoors) -> imaplib.IMAP4_SSL:
    client = doors.imap()
    client.login(ANN, PASSWORD)
    return client


def placed(house: House) -> list[int]:
    """Return the messages that lie in a mailbox, in the order of their UIDs."""
    rows = house.engine.query("SELECT message FROM placed WHERE role = 'recipient' ORDER BY uid")
    return [row["message"] for row in rows]


@pytest.mark.parametrize(
    ("owner", "step", "command", "answer"),
    [
        (Placer, "_place", b"SELECT INBOX", b"* 1 EXISTS\r\n"),
        (Placer, "_place", b"STATUS INBOX (MESSAGES)", b'* STATUS "INBOX" (MESSAGES 1)\r\n'),
        (Shelf, "finished", b"SEARCH SUBJECT results", b"* SEARCH 1\r\n"),
    ],
    ids=["select", "status", "search"],
)
def test_a_command_that_takes_long_gives_signs_of_life_until_it_is_answered(
    house: House,
    open_doors: Callable[..., MailDoors],
    ann: str,
    held: Held,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    step: str,
    command: bytes,
    answer: bytes,
) -> None:
    reply(house)
    client = signed_in(open_doors(reassure=0.05))
    if command.startswith(b"SEARCH"):
        client.select("INBOX")
    held.hold(monkeypatch, owner, step)
    client.send(b"a1 " + command + b"\r\n")
    for _ in range(2):
        assert client.readline() == b"* OK Still at it: 0 messages so far.\r\n"
    held.free.set()
    lines = [client.readline()]
    while not lines[-1].startswith(b"a1 "):
        lines.append(client.readline())
    assert lines[-1].startswith(b"a1 OK")
    assert answer in lines
    client.shutdown()


@pytest.mark.usefixtures("_in_pages_of_one")
def test_a_server_that_stops_while_it_places_many_messages_stops_at_once_and_goes_on_later(
    house: House, open_doors: Callable[..., MailDoors], ann: str, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [reply(house, f"Number {number}.") for number in range(MANY)]
    doors, told = open_doors(), threading.Event()
    client = signed_in(doors)
    with monkeypatch.context() as patch:
        held.hold(patch, Placer, "_place")
        drain = ImapSession.drain
        patch.setattr(ImapSession, "drain", lambda session: (drain(session), told.set()))
        client.send(b"a1 SELECT INBOX\r\n")
        assert held.begun.wait(60)
        stopping = threading.Thread(target=doors.stop)
        stopping.start()
        assert told.wait(60)
        held.free.set()
        stopping.join(60)
        assert not stopping.is_alive()
    assert client.readline() == b"* BYE The server is stopping; come back in a moment.\r\n"
    assert placed(house) == messages[:1]
    client.shutdown()
    client = signed_in(open_doors())
    assert client.select("INBOX")[1] == [b"3"]
    assert placed(house) == messages
    client.logout()


@pytest.mark.usefixtures("_in_pages_of_one")
def test_old_mail_of_an_address_that_came_later_is_all_placed_though_the_first_look_breaks_off(
    house: House, ann: str
) -> None:
    reader = house.mailbox.mail_gate.authenticate(ANN, PASSWORD, "127.0.0.1")
    boxes = house.mailbox.mailboxes
    messages = [reply(house, f"Number {number}.") for number in range(MANY)]
    box = boxes.named(reader.session, "INBOX")
    # As after a look at the mail of another address only, which was a year later.
    later = first_id(house.clock.now() + 365 * 86_400_000)
    house.engine.write(lambda rows: mailboxes.looked(rows, box.id, later, "other")).result()

    def break_off(done: int) -> None:
        raise ConnectionResetError(done)

    with pytest.raises(ConnectionResetError):
        boxes.look(reader.session, box, break_off)
    assert placed(house) == messages[:1]
    assert boxes.look(reader.session, box).messages == MANY
    assert placed(house) == messages


@pytest.mark.usefixtures("_in_pages_of_one")
def test_a_pop_program_that_gave_up_finds_more_the_next_time(
    house: House, open_doors: Callable[..., MailDoors], ann: str, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [reply(house, f"Number {number}.") for number in range(MANY)]
    doors = open_doors()
    with monkeypatch.context() as patch:
        held.hold(patch, Placer, "_place")
        client = doors.pop()
        client.user(ANN)
        client.sock.sendall(f"PASS {PASSWORD}\r\n".encode())
        assert held.begun.wait(60)
        lost = threading.Event()
        left = doors.server.house.connections.leave
        patch.setattr(doors.server.house.connections, "leave", lambda *given: (left(*given), lost.set()))
        client.close()
        assert lost.wait(60)
        held.free.set()
        assert len(placed(house)) == 1
    client = doors.pop()
    client.user(ANN)
    client.pass_(PASSWORD)
    assert client.stat()[0] == MANY
    assert placed(house) == messages
    client.quit()


@pytest.mark.parametrize("key", ["TEXT", "SUBJECT"])
def test_a_search_of_hundreds_of_keys_ends_in_time_within_one_message(
    house: House, open_doors: Callable[..., MailDoors], ann: str, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    reply(house)
    monkeypatch.setattr(house.clock, "monotonic", itertools.count().__next__)  # a second at each look at it
    client = open_doors(search_seconds=20, search_headers_seconds=20).imap()
    client.login(ann, PASSWORD)
    client.select("INBOX")
    few, many = (" ".join(f'NOT {key} "nowhere{number}"' for number in range(keys)) for keys in (3, 30))
    assert client.search(None, few) == ("OK", [b"1"])
    kind, (text,) = client.search(None, many)
    assert (kind, text[:7]) == ("NO", b"[LIMIT]")
    opened = house.engine.query("SELECT count(*) AS n FROM audit WHERE action = 'mailbox.searched'")[0]["n"]
    assert opened == (2 if key == "TEXT" else 0), "a text that was looked through stands in the trail, given up or not"
    client.logout()
