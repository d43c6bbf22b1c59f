"""Fixtures of the attacks: worlds to attack, and thieves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cryptnsend.portal import Portal
from tests.support.house import House, MakeHouse

from .browser import portal
from .thief import Thief
from .world import ANN, BOB, EVE, PAT, World

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(make_house: MakeHouse) -> MakeWorld:
    """Build a world; *custody* is what threads are kept under."""

    def make(custody: str = "managed", **values: dict[str, Any]) -> World:
        house = make_house(policy={"custody": custody}, signup={"mode": "open"}, **values)
        world = World(house, house.organisation("The Clinic"))
        world.people[ANN] = house.add_subscriber(ANN, organisation=world.clinic)
        world.people[BOB] = house.add_subscriber(BOB, organisation=world.clinic, name="Bob Stone")
        world.people[EVE] = house.add_subscriber(EVE, name="Eve Black")
        hello = world.write(ANN, PAT, text="hello", subject="hello")
        world.people[PAT] = house.register(PAT, hello).account
        house.prove(house.session(EVE), EVE, world.write(ANN, EVE, text="hello", subject="hello"))
        return world

    return make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


@pytest.fixture
def pages(world: World) -> Portal:
    return portal(world.house)


Steal = Callable[..., Thief]


@pytest.fixture
def steal(tmp_path: Path) -> Iterator[Steal]:
    """Steal a house's database, blobs, ledger and journal; the master key too if asked."""
    made: list[Thief] = []

    def take(house: House, *, with_master_key: bool = False, from_backup: bool = False) -> Thief:
        folder = tmp_path / f"booty{len(made)}"
        thief = Thief(house, folder, with_master_key=with_master_key, from_backup=from_backup)
        made.append(thief)
        return thief

    yield take
    for each in made:
        each.close()
