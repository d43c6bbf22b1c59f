"""What if two things happen at once, or a process dies between the keeper's answer and its own rows?"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cryptnsend.app import App
from cryptnsend.core.errors import Denied, Ended, NoGrant, WrongSecret
from cryptnsend.flow.admit import Draft
from cryptnsend.flow.granting import Addressee, Author, Envelope
from tests.support.house import AGENT, OTHER, PASSWORD, SOURCE, House

ANN, PAT, BOB = "ann@gmail.example", "pat@yahoo.example", "bob@outlook.example"


@pytest.fixture
def ann(house: House) -> int:
    return house.add_subscriber(ANN)


def sealed_elsewhere(house: House, app: App, recipient: str = PAT) -> Draft:
    """Seal a message in another process, up to its commit."""
    row = house.engine.query("SELECT c.id, c.org FROM accounts c JOIN addresses a ON a.account = c.id"
                             " WHERE a.canonical = :ann", ann=ANN)[0]  # fmt: skip
    author = Author(row["id"], row["org"], ANN, frozenset({ANN}), True)
    draft = app.admission.begin(author, Envelope(ANN, (Addressee(recipient),)), "smtp")
    octets = house.mail()
    end = octets.index(b"\r\n\r\n") + 4
    draft.header(octets[:end])
    draft.body(octets[end:])
    return draft


@pytest.fixture
def elsewhere(house: House) -> Any:
    """Another process at the SMTP door."""
    app = house.process("submission")
    yield app
    app.keeper.close()


def test_who_registers_between_seal_and_commit_reads_the_message(house: House, ann: int, elsewhere: App) -> None:
    draft = sealed_elsewhere(house, elsewhere)
    pat = house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    assert house.pickup.show(pat, draft.commit_now().message).subject == "Results"


def test_who_proves_the_contact_after_a_message_was_committed_elsewhere_reads_it(
    house: House, ann: int, elsewhere: App
) -> None:
    first = house.submit(ANN, [PAT], house.mail())
    later = sealed_elsewhere(house, elsewhere).commit_now().message
    assert house.pickup.show(house.register(PAT, first), later).subject == "Results"


def test_a_pair_that_changed_between_seal_and_commit_is_not_sealed_to(house: House, ann: int, elsewhere: App) -> None:
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    warm = sealed_elsewhere(house, elsewhere).commit_now().message
    draft = sealed_elsewhere(house, elsewhere)
    weak = house.reset(PAT)
    message = draft.commit_now().message
    with pytest.raises(NoGrant):
        house.pickup.show(weak, message)
    house.prove(weak, PAT, message)
    again = house.session(PAT, OTHER)
    assert house.pickup.show(again, message).subject == house.pickup.show(again, warm).subject == "Results"


def test_two_processes_bring_the_same_messages_at_once(house: House, ann: int) -> None:
    house.add_subscriber(BOB)
    pat = house.register(PAT, house.submit(BOB, [PAT], house.mail(author=BOB)))
    messages = [house.submit(ANN, [PAT], house.mail()) for _ in range(30)]
    others = [house.process() for _ in range(4)]
    token, code = house.link(messages[0], PAT), house.code(ANN, PAT)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda app: app.pickup.prove_as(pat, token, code, SOURCE), others))
        list(pool.map(lambda app: app.pickup.adopt(pat), others))
    assert [house.pickup.show(pat, each).subject for each in messages] == ["Results"] * 30
    held = house.engine.query("SELECT message FROM grants WHERE role = 'recipient' AND holder LIKE 'address:%'")
    assert held == []
    for app in others:
        app.keeper.close()


def test_many_people_sign_in_at_once(house: House, ann: int) -> None:
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    with ThreadPoolExecutor(8) as pool:
        cookies = list(
            pool.map(lambda n: house.accounts.sign_in((ANN, PAT)[n % 2], PASSWORD, SOURCE, AGENT), range(24))
        )
    assert [house.found(cookie).address for cookie in cookies] == [ANN, PAT] * 12


def test_what_is_taken_back_while_it_is_brought_stays_taken_back(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    session, asked = house.session(ANN), house.portal.keeper.adopt

    def meanwhile(*args: Any) -> Any:
        given = asked(*args)
        house.pickup.expire(session, message)
        return given

    monkeypatch.setattr(house.portal.keeper, "adopt", meanwhile)
    pat = house.register(PAT, message)
    with pytest.raises(Ended):
        house.pickup.show(pat, message)


def die(*_: Any, **__: Any) -> None:
    raise RuntimeError("the process died here")


@pytest.mark.parametrize(
    "where",
    [
        "cryptnsend.flow.arrival.write_contact",
        "cryptnsend.flow.arrival.write_card",
        "cryptnsend.flow.adoption.grants.replace",
        "cryptnsend.flow.adoption.messages.add_epochs",
    ],
)
def test_a_proof_that_a_crash_interrupted_counts_at_the_next_sign_in(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    house.add_subscriber(BOB)
    pat = house.register(PAT, house.submit(BOB, [PAT], house.mail(author=BOB)))
    message = house.submit(ANN, [PAT], house.mail())
    with monkeypatch.context() as broken:
        broken.setattr(where, die)
        with pytest.raises(RuntimeError):
            house.prove(pat, PAT, message)
    again = house.session(PAT)
    assert house.pickup.show(again, message).subject == "Results"
    assert house.pickup.waiting(house.link(message, PAT)).state == "known"
    assert house.pickup.show(again, house.submit(ANN, [PAT], house.mail())).subject == "Results"


@pytest.mark.parametrize(
    "where",
    [
        "cryptnsend.flow.mainrows.write_opened",
        "cryptnsend.flow.adoption.grants.replace",
        "cryptnsend.flow.sessions.box",
    ],
)
def test_each_way_in_that_a_crash_interrupted_works_again(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Register, reset and change: the repeated request succeeds, or a sign-in with the new password does."""
    message = house.submit(ANN, [PAT], house.mail())
    token, ring = house.link(message, PAT), house.code(ANN, PAT)
    ticket = house.pickup.prove(token, ring, SOURCE).ticket

    def twice(step: Callable[[], Any]) -> Any:
        with monkeypatch.context() as broken:
            broken.setattr(where, die)
            with contextlib.suppress(RuntimeError):  # not every step comes by every place
                step()
        return step()

    pat = house.found(twice(lambda: house.accounts.register(ticket, PASSWORD, "", SOURCE, AGENT, "en")))
    assert house.pickup.show(pat, message).subject == "Results"
    started = house.accounts.start_reset(PAT, SOURCE)
    code = house.mailed_code()
    weak = house.found(twice(lambda: house.accounts.finish_reset(started.id, code, OTHER, SOURCE, AGENT)))
    assert weak.weak
    house.prove(weak, PAT, message)
    assert house.pickup.show(house.session(PAT, OTHER), message).subject == "Results"


def test_a_code_that_was_used_is_spent_for_everybody_else(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    token, code = house.link(message, PAT), house.code(ANN, PAT)
    tickets = [house.pickup.prove(token, code, SOURCE).ticket for _ in range(2)]
    house.accounts.register(tickets[0], PASSWORD, "", SOURCE, AGENT, "en")
    late = house.pickup.prove(token, code, SOURCE)
    assert not late.may_register
    for ticket in (tickets[1], late.ticket):
        with pytest.raises(Denied):
            house.accounts.register(ticket, OTHER, "", SOURCE, AGENT, "en")
    with pytest.raises(WrongSecret):
        house.session(PAT, OTHER)
    assert house.pickup.show(house.session(PAT), message).subject == "Results"


def test_known_and_unknown_addresses_take_the_same_time(house: House, ann: int) -> None:
    """Interleaved, so that whatever else the machine does falls on both."""
    took: dict[str, list[float]] = {ANN: [], "nobody@gmail.example": []}
    for number in range(60):
        for address, times in took.items():
            started = time.perf_counter()
            with pytest.raises(WrongSecret):
                house.accounts.sign_in(address, "the same wrong password", f"192.0.2.{number}", AGENT)
            times.append(time.perf_counter() - started)
    # The quicker quarter: what else the machine does makes the slower ones slow.
    known, unknown = (statistics.quantiles(times, n=4)[0] for times in took.values())
    assert abs(known - unknown) < 0.005
