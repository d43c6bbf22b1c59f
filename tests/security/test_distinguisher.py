"""
Does the time of an answer tell a stranger what its words do not: who has an account, which links were ever made?

A distinguisher sees one time and says "known" or "unknown"; the area under its curve is 0.5 for one that guesses. A
thousand of each kind, in turn, so that whatever else the machine does falls on both; by chance alone the area is within
0.5 ± 0.04 in all but one of a thousand runs. Each try comes from a network of its own, as nobody could afford it.
"""

from __future__ import annotations

import itertools
import os
import random
import statistics
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from cryptnsend.core.errors import CryptnSendError
from cryptnsend.flow.visitors import Own
from cryptnsend.portal import Portal
from tests.support.house import AGENT, HOUR, OTHER, House

from .browser import Browser
from .conftest import MakeWorld
from .world import ANN, EVE, PAT, World

TRIES = int(os.environ.get("TRIES", "1000"))
IN_EARNEST = {"memory_kib": 65536, "iterations": 3, "lanes": 4}  # as servers have it; tests have it cheaper
NOBODY = "nob@nowhere.example"


def area(known: Sequence[float], unknown: Sequence[float]) -> float:
    """Return the area under the curve of the best that looks at one time: 0.5 to 1."""
    ordered = sorted(unknown)
    wins = sum(bisect_left(ordered, each) + bisect_right(ordered, each) for each in known) / 2
    found = wins / (len(known) * len(unknown))
    return max(found, 1 - found)


def measured(
    known: Callable[[int], object], unknown: Callable[[int], object], between: Callable[[int], object] = abs
) -> float:
    """Time both in turn, *between* before each, and say how well they can be told apart."""
    times: dict[bool, list[float]] = {True: [], False: []}
    order = random.Random(TRIES)
    for number in range(TRIES + 20):
        first = order.random() < 0.5  # no rhythm of the machine falls on one of them alone
        for is_known in (first, not first):
            between(1)
            began = time.perf_counter()
            with suppress(CryptnSendError):
                (known if is_known else unknown)(number * 2 + is_known)
            if number >= 20:  # the first are slower, whichever they are
                times[is_known].append(time.perf_counter() - began)
    medians = [f"{1000 * statistics.median(times[kind]):.2f}" for kind in (True, False)]
    print(f"medians {' and '.join(medians)} ms")
    return area(times[True], times[False])


def network(number: int) -> str:
    return f"{20 + number % 150}.{number // 150 % 200}.{number % 7}.9"


def told_apart(house: House, known: Callable[[int], object], unknown: Callable[[int], object]) -> float:
    """As `measured`, with an hour between tries: so much later there is one more code for any address."""
    return measured(known, unknown, lambda _: house.clock.forward(HOUR))


@pytest.mark.torture
@pytest.mark.parametrize("who", [ANN, PAT])
def test_time_does_not_tell_who_has_an_account(make_world: MakeWorld, who: str) -> None:
    house = make_world(argon2=IN_EARNEST).house
    accounts, wrong = house.accounts, "the same wrong password"
    asked: dict[str, int] = {}
    places = itertools.count()

    def each_anew(_: int) -> None:
        """Ask for codes before the watch starts, so that each guess is at one of which none was wrong yet."""
        house.clock.forward(HOUR)
        asked.update({each: accounts.start_reset(each, network(next(places))).id for each in (who, NOBODY)})

    def guess(address: str, n: int) -> None:
        accounts.finish_reset(asked[address], "000000", OTHER, network(n), AGENT, address)

    found = {
        "sign-in page": measured(
            lambda n: accounts.sign_in(who, wrong, network(n), AGENT),
            lambda n: accounts.sign_in(NOBODY, wrong, network(n), AGENT),
        ),
        "program that sends": measured(
            lambda n: house.sign_in_smtp(who, wrong, network(n)),
            lambda n: house.sign_in_smtp(NOBODY, wrong, network(n)),
        ),
        "program that reads": measured(
            lambda n: house.mailbox.mail_gate.authenticate(who, wrong, network(n)),
            lambda n: house.mailbox.mail_gate.authenticate(NOBODY, wrong, network(n)),
        ),
        "mailed code": measured(lambda n: guess(who, n), lambda n: guess(NOBODY, n), each_anew),
    }
    print({kind: round(each, 3) for kind, each in found.items()})
    assert all(each < 0.55 for each in found.values()), found


@pytest.mark.torture
@pytest.mark.parametrize("who", [ANN, PAT])
def test_time_does_not_tell_whose_address_was_typed(make_world: MakeWorld, who: str) -> None:
    house = make_world().house
    accounts, visitors = house.accounts, house.portal.visitors
    visitors.save(house.session(EVE), Own(handle="dr-eve", is_open=True, findable=True))
    found = {
        "password forgotten": told_apart(
            house,
            lambda n: accounts.start_reset(who, network(n)),
            lambda n: accounts.start_reset(NOBODY, network(n)),
        ),
        "sign-up": told_apart(
            house,
            lambda n: accounts.start_signup(who, network(n)),
            lambda n: accounts.start_signup(NOBODY, network(n)),
        ),
        "letter by a page": told_apart(
            house,
            lambda n: visitors.start("dr-eve", who, network(n), "en", worked=True),
            lambda n: visitors.start("dr-eve", NOBODY, network(n), "en", worked=True),
        ),
        "page looked for": measured(
            lambda n: visitors.find(who, network(n)), lambda n: visitors.find(NOBODY, network(n))
        ),
    }
    print({kind: round(each, 3) for kind, each in found.items()})
    assert all(each < 0.55 for each in found.values()), found


@pytest.mark.torture
def test_time_does_not_tell_a_link_that_was_made_from_one_that_was_not(world: World, pages: Portal) -> None:
    token = world.house.link(world.write(ANN, "new@aol.example"), "new@aol.example")
    near = token[:-4] + ("aaaa" if token[-4:] != "aaaa" else "eeee")
    far = ("b" if token[8] != "b" else "c").join((token[:8], token[9:]))
    browser = Browser(pages)
    found = measured(lambda _: browser.get(f"/m/{near}"), lambda _: browser.get(f"/m/{far}"))
    print({"link": round(found, 3)})
    assert found < 0.55


def test_who_can_be_told_apart_is_told_apart() -> None:
    assert area([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == 0.5
    assert area([2.0, 3.0], [0.0, 1.0]) == area([0.0, 1.0], [2.0, 3.0]) == 1.0
