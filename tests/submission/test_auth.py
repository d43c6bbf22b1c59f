"""Who gets in: decoding, remembering, waiting, and telling a fault from a wrong password."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.errors import Ended, KeeperGone, Refusal, StoreBroken, Temporary, Throttled, WrongSecret
from cryptnsend.submission import auth
from cryptnsend.submission.auth import Credentials, Turnstile
from cryptnsend.submission.limits import Limits
from tests.submission.doubles import PASSWORD, USER, Ann, Gate

RIGHT, WRONG = Credentials(USER, PASSWORD), Credentials(USER, "wrong")


class Bench:
    """A turnstile, its gatekeeper, and what it logged."""

    def __init__(self, **limits: Any):
        self.gate, self.events = Gate(), []
        log = structlog.wrap_logger(None, processors=[self._record])
        self.turnstile = Turnstile(self.gate, replace(Limits(auth_delay=0.05), **limits), log)

    def _record(self, logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        self.events.append(event)
        raise structlog.DropEvent

    def check(self, credentials: Credentials, source: str = "192.0.2.1") -> Coroutine[Any, Any, Any]:
        return self.turnstile.check(lambda: credentials, source)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        async def alone() -> Any:
            # Debug mode would make asyncio complain about a future whose exception nobody looked at.
            asyncio.get_running_loop().set_exception_handler(lambda _, context: self.events.append(context))
            try:
                return await work
            finally:
                self.turnstile.close()

        return asyncio.run(alone())


@given(st.binary(max_size=60))
def test_decode_returns_octets_or_refuses(octets: bytes) -> None:
    assert auth.decode(base64.b64encode(octets) or b"=") == octets
    answer: bytes | int
    try:
        answer = auth.decode(octets)
    except Refusal as refusal:
        answer = refusal.code
    assert isinstance(answer, bytes) or answer == 501


@given(st.binary(max_size=60))
def test_any_plain_message_is_credentials_or_refused(octets: bytes) -> None:
    try:
        found = auth.plain(octets)
    except (Refusal, WrongSecret):
        return
    assert octets.count(b"\0") == 2
    assert found.username == found.username.strip()


def test_blanks_belong_to_passwords_and_not_to_names() -> None:
    assert auth.plain(b"\0 ann@gmail.example \0 secret ") == (USER, " secret ")
    assert auth.plain(b"ANN@gmail.example\0ann@gmail.example\0x") == (USER, "x")
    with pytest.raises(WrongSecret):
        auth.plain(b"bob\0ann@gmail.example\0x")


def test_success_is_remembered_and_looked_up_again_each_time() -> None:
    bench = Bench()

    async def story() -> None:
        assert await bench.check(RIGHT) == Ann()
        assert await bench.check(RIGHT) == Ann()
        assert len(bench.gate.asked) == 1
        bench.gate.revoked = True
        with pytest.raises(WrongSecret):
            await bench.check(RIGHT)
        assert len(bench.gate.asked) == 2

    bench.run(story())


def test_memory_holds_no_password_and_forgets_in_time() -> None:
    memory = auth.Memory(600.0)
    place = memory.place(RIGHT)
    memory.put(place, Ann(), 1000.0)
    assert memory.get(place, 1599.0) == Ann()
    assert memory.get(place, 1600.0) is None
    assert PASSWORD not in repr(vars(memory))
    assert memory.place(Credentials("a", "b")) != memory.place(Credentials("a\0b", ""))
    assert memory.place(Credentials("a\0b", "c")) != memory.place(Credentials("a", "b\0c"))
    assert auth.Memory(600.0).place(RIGHT) != place


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_REMEMBERED", 3)
    memory = auth.Memory(600.0)
    for number in range(5):
        memory.put(bytes([number]), Ann(), 0.0)
    assert [memory.get(bytes([number]), 1.0) is not None for number in range(5)] == [False, False, True, True, True]


def test_wrong_answers_take_the_same_time_whatever_was_wrong() -> None:
    bench = Bench(auth_delay=0.2)
    bad = lambda: auth.plain(b"bob\0ann\0x")  # noqa: E731 - what a session passes
    for trouble, read in ((None, lambda: WRONG), (Ended("disabled"), lambda: RIGHT), (None, bad)):
        bench = Bench(auth_delay=0.2)
        bench.gate.trouble = trouble
        begun = time.monotonic()
        with pytest.raises(WrongSecret, match="user name or password is wrong"):
            bench.run(bench.turnstile.check(read, "192.0.2.1"))
        assert 0.2 <= time.monotonic() - begun < 20


@pytest.mark.parametrize("trouble", [KeeperGone("gone"), StoreBroken("broken"), RuntimeError(PASSWORD)])
def test_a_fault_of_ours_is_never_a_wrong_password(trouble: Exception) -> None:
    bench = Bench()
    bench.gate.trouble = trouble
    with pytest.raises(Temporary) as problem:
        bench.run(bench.check(RIGHT))
    assert PASSWORD not in str(problem.value)
    assert PASSWORD not in str(bench.events)
    assert USER not in str(bench.events)


def test_throttled_is_passed_on_at_once() -> None:
    bench = Bench(auth_delay=60.0)
    with pytest.raises(Throttled):
        bench.run(bench.check(Credentials("tired@gmail.example", "x")))


def test_failures_are_logged_without_name_and_password() -> None:
    bench = Bench()
    with pytest.raises(WrongSecret):
        bench.run(bench.check(Credentials("a secret typed into the wrong field", "wrong"), "192.0.2.9"))
    assert bench.events == [{"event": "sign-in refused", "source": "192.0.2.9", "reason": "WrongSecret"}]


def test_the_same_question_at_once_is_asked_once() -> None:
    """A wrong password in five connections of one mail client is one failure."""
    bench = Bench()

    async def story() -> list[Any]:
        bench.gate.pause = threading.Event()
        asked = [asyncio.create_task(bench.check(WRONG)) for _ in range(5)]
        asked.append(asyncio.create_task(bench.check(WRONG, "198.51.100.1")))
        await asyncio.sleep(0)
        bench.gate.pause.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = bench.run(story())
    assert [type(answer) for answer in answers] == [WrongSecret] * 6
    assert len(bench.gate.asked) == 2


def test_more_sign_ins_than_may_wait_are_put_off() -> None:
    bench = Bench(auth_waiting=2)

    async def story() -> list[Any]:
        bench.gate.pause = threading.Event()
        asked = [asyncio.create_task(bench.check(Credentials(USER, str(number)))) for number in range(4)]
        await asyncio.sleep(0.01)
        bench.gate.pause.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    kinds = [type(answer) for answer in bench.run(story())]
    assert kinds == [WrongSecret, WrongSecret, Temporary, Temporary]


def test_at_most_two_passwords_are_checked_at_once() -> None:
    bench = Bench()
    bench.gate.pause = threading.Event()

    async def story() -> int:
        asked = [asyncio.create_task(bench.check(Credentials(USER, str(number)))) for number in range(6)]
        for _ in range(200):
            await asyncio.sleep(0.005)
            if len(bench.gate.asked) >= 2:
                break
        running = len(bench.gate.asked)
        bench.gate.pause.set()
        await asyncio.gather(*asked, return_exceptions=True)
        return running

    assert bench.run(story()) == 2
    assert len(bench.gate.asked) == 6


def test_an_asker_who_goes_away_takes_the_answer_from_nobody() -> None:
    bench = Bench()

    async def story() -> Any:
        bench.gate.pause = threading.Event()
        first, second = (asyncio.create_task(bench.check(RIGHT)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        bench.gate.pause.set()
        return await second

    assert bench.run(story()) == Ann()
