"""What happens between an SMTP door and the admission: many sessions at once, slow keepers, lost connections?"""

from __future__ import annotations

import asyncio
import threading
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from cryptnsend.core.errors import KeeperGone, Refusal, StoreBroken, Temporary
from cryptnsend.flow.intake import SmtpDraft, SmtpIntake
from cryptnsend.store.records import messages
from cryptnsend.submission.contract import Envelope, Peer, Rcpt
from tests.flow.rows import count, deliveries, everything, recipients
from tests.support.house import PASSWORD, House

ANN, PAT, CARL = "ann@gmail.example", "pat@yahoo.example", "carl@mail.example"
PEER = Peer("192.0.2.7", "laptop.example", "TLSv1.3")


@dataclass
class Door:
    """A door's side of the intake: what it does for each message, without the sockets."""

    house: House
    intake: SmtpIntake

    def begin(self, *to: str | Rcpt, **envelope: Any) -> SmtpDraft:
        who = self.house.gate.authenticate(ANN, PASSWORD, PEER.source)
        rcpts = tuple(each if isinstance(each, Rcpt) else Rcpt(each) for each in to or (PAT,))
        return self.intake.begin(who, Envelope(envelope.pop("reverse_path", ANN), rcpts, PEER, **envelope))

    async def send(self, octets: bytes, *to: str | Rcpt, **envelope: Any) -> str:
        """Send one message as a session does, with its bookkeeping."""
        self.intake.enter_transaction()
        draft = self.begin(*to, **envelope)
        try:
            end = octets.index(b"\r\n\r\n") + 4
            draft.header(octets[:end])
            for at in range(end, len(octets), 65536):
                draft.body(octets[at : at + 65536])
            return await draft.commit()
        except BaseException:
            draft.abort()
            raise
        finally:
            self.intake.leave_transaction()


def through(house: House, story: Callable[[Door], Coroutine[Any, Any, Any]]) -> Any:
    """Run a story inside an event loop of its own, with threads for what waits."""

    async def run() -> Any:
        loop = asyncio.get_running_loop()
        batcher = house.door.engine.batcher(loop)

        def in_thread(fn: Callable[[], None]) -> Awaitable[None]:
            return loop.run_in_executor(None, fn)

        try:
            return await story(Door(house, SmtpIntake(house.door.admission, batcher, in_thread)))
        finally:
            batcher.close()

    return asyncio.run(run())


def test_a_message_is_answered_with_its_id_once_it_is_durable(house: House, ann: int) -> None:
    said = through(house, lambda door: door.send(house.mail()))
    assert [row["id"] for row in house.engine.query("SELECT id FROM messages")] == [int(said)]


def test_many_sessions_share_commits_and_each_gets_its_own_message(house: House, ann: int) -> None:
    async def story(door: Door) -> list[str]:
        return await asyncio.gather(*(door.send(house.mail(f"number {n}")) for n in range(40)))

    said = through(house, story)
    assert len(set(said)) == 40
    pat = house.register(PAT, int(said[0]))
    assert {house.pickup.show(pat, int(each)).subject for each in said} == {f"number {n}" for n in range(40)}


def test_a_refused_message_in_a_batch_leaves_the_others_alone(house: House, ann: int) -> None:
    async def story(door: Door) -> list[object]:
        sends = [
            door.send(house.mail(text="x" * 50_000), PAT if n % 2 else f"nobody@{house.config.server.domain}")
            for n in range(10)
        ]
        return list(await asyncio.gather(*sends, return_exceptions=True))

    said = through(house, story)
    assert [isinstance(each, Refusal) for each in said] == [n % 2 == 0 for n in range(10)]
    assert count(house, "messages") == len(list(house.portal.blobs.keys())) == 5
    good = [int(str(each)) for each in said if isinstance(each, str)]
    assert house.pickup.show(house.register(PAT, good[0]), good[-1]).subject == "Results"


def test_the_same_mail_on_two_connections_at_once_is_one_message(house: House, ann: int) -> None:
    octets = house.mail()

    async def story(door: Door) -> list[str]:
        return await asyncio.gather(*(door.send(octets) for _ in range(5)))

    assert len(set(through(house, story))) == count(house, "messages") == 1


def test_a_lost_connection_leaves_nothing(house: House, ann: int) -> None:
    before = everything(house)

    async def story(door: Door) -> None:
        draft = door.begin()
        draft.header(house.mail())
        for _ in range(20):
            draft.body(b"x" * 65536)
        draft.abort()
        draft.abort()

    through(house, story)
    assert everything(house) == before


def test_a_refusal_on_the_loop_leaves_no_blob(house: House, ann: int) -> None:
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    house.tamper("UPDATE contacts SET state = 'blocked'")
    before = everything(house)
    with pytest.raises(Refusal):
        through(house, lambda door: door.send(house.mail(text="x" * 200_000)))
    assert everything(house) == before


def test_who_stops_waiting_does_not_undo_what_is_being_committed(house: House, ann: int) -> None:
    """A session that is gone may leave a message behind, but never a row without its blob."""

    async def story(door: Door) -> None:
        sending = asyncio.ensure_future(door.send(house.mail(text="x" * 200_000)))
        while not sending.done() and not list(house.portal.blobs.keys()):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await door.send(house.mail("after"))

    through(house, story)
    assert "missing" not in {what for what, _ in house.vault.verify(house.engine)}
    assert count(house, "messages") in (1, 2)


def test_a_store_that_breaks_answers_later_and_the_next_message_is_fine(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StoreBroken("the disk")

    monkeypatch.setattr(messages, "add_deliveries", broken)
    with pytest.raises(Temporary):
        through(house, lambda door: door.send(house.mail()))
    monkeypatch.undo()
    said = through(house, lambda door: door.send(house.mail("after")))
    assert house.pickup.show(house.register(PAT, int(said)), int(said)).subject == "after"


def test_a_keeper_that_is_gone_is_waited_for_in_a_thread(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop serves the other sessions meanwhile."""
    asked: list[str] = []
    ticks = 0

    def gone() -> None:
        asked.append(threading.current_thread().name)
        pause.wait(5)
        raise KeeperGone("The keeper does not answer in time.")

    pause = threading.Event()
    monkeypatch.setattr(house.door.admission, "warm", gone)

    async def story(door: Door) -> None:
        nonlocal ticks
        sending = asyncio.ensure_future(door.send(house.mail()))
        while not asked or ticks < 100:
            ticks += 1
            await asyncio.sleep(0)
        pause.set()
        with pytest.raises(KeeperGone):
            await sending

    through(house, story)
    assert ticks >= 100
    assert asked
    assert asked[0] != threading.main_thread().name
    assert count(house, "messages") == 0


def test_memory_does_not_grow_with_the_message(house: House, ann: int) -> None:
    block = b"x" * 998 + b"\r\n"

    async def story(door: Door) -> int:
        await door.send(house.mail("warm"))
        draft = door.begin()
        draft.header(house.mail("large"))
        chunk = block * 64
        tracemalloc.start()
        try:
            for _ in range(400):  # 25 MiB
                draft.body(chunk)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        await draft.commit()
        return peak

    assert through(house, story) < 3 * 1024 * 1024
    assert house.engine.query("SELECT max(size) AS n FROM contents")[0]["n"] > 25_000_000


@pytest.mark.parametrize(
    ("notify", "kept"),
    [
        (None, "{}"),
        (frozenset(), '{"notify":"NEVER"}'),
        (frozenset({"SUCCESS", "FAILURE"}), '{"notify":"FAILURE,SUCCESS"}'),
    ],
)
def test_what_a_client_asks_to_be_told_is_kept(
    house: House, ann: int, notify: frozenset[str] | None, kept: str
) -> None:
    through(house, lambda door: door.send(house.mail(), Rcpt(PAT, notify)))
    assert house.queued("notice")[-1]["dsn"] == kept


def test_the_options_of_an_envelope_are_kept_per_recipient(house: House, ann: int) -> None:
    sent = Rcpt(PAT, frozenset({"DELAY"}), "rfc822;p at@old.example")
    through(house, lambda door: door.send(house.mail(), sent, CARL, ret="HDRS", envid="QQ314159"))
    kept = {row["dsn"] for row in house.queued("notice")}
    assert kept == {
        '{"notify":"DELAY","orcpt":"rfc822;p at@old.example","ret":"HDRS","envid":"QQ314159"}',
        '{"ret":"HDRS","envid":"QQ314159"}',
    }


@pytest.mark.parametrize(("smtputf8", "kind"), [(False, "ESMTPSA"), (True, "UTF8SMTPSA")])
def test_the_trace_names_the_protocol(house: House, ann: int, smtputf8: bool, kind: str) -> None:
    through(house, lambda door: door.send(house.mail(), smtputf8=smtputf8))
    assert f"with {kind} id".encode() in house.engine.query("SELECT received FROM messages")[0]["received"]


@pytest.mark.parametrize("address", ["päule@straße.example", "PAT+tag@MÜNCHEN.example", '"odd one"@mail.example'])
def test_international_and_quoted_addresses_are_kept_in_one_form(house: House, ann: int, address: str) -> None:
    said = through(house, lambda door: door.send(house.mail(), address, smtputf8=True))
    (kept,) = recipients(house, int(said))
    assert kept.rpartition("@")[2].isascii()
    assert deliveries(house, int(said))[0][2] == kept


def test_an_empty_message_is_one_too(house: House, ann: int) -> None:
    async def story(door: Door) -> str:
        draft = door.begin()
        draft.header(f"From: {ANN}\r\n".encode())
        return await draft.commit()

    said = through(house, story)
    own = house.pickup.eml(house.session(ANN), int(said))
    assert b"".join(own.chunks) == f"From: {ANN}\r\n".encode()
