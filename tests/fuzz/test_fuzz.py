"""Each target of `make fuzz` over its seeds, and over everything that it once stumbled over."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import pytest

from tests.fuzz.table import FOUND, TARGETS, seeds, target


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_what_was_once_stumbled_over_pass(name: str) -> None:
    run, octets = target(name), seeds(name)
    assert octets
    for each in octets:
        run(each)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_cut_and_turned_pass(name: str) -> None:
    run, chance = target(name), random.Random(name)
    octets = [each for each in seeds(name) if len(each) < 20_000]
    for _ in range(20):
        changed = bytearray(chance.choice(octets) + chance.choice(octets)[: chance.randrange(200)])
        for _ in range(chance.randrange(8)):
            if changed:
                changed[chance.randrange(len(changed))] = chance.randrange(256)
        run(bytes(changed[chance.randrange(10) :][: chance.randrange(1, 5000)]))


@pytest.mark.parametrize(
    ("name", "broken", "instead"),
    [
        ("token", "cryptnsend.core.tokens.verify", lambda *_: True),
        ("header", "tests.fuzz.mail.restore_bcc", lambda kept, _: kept),
        ("sealed", "cryptnsend.core.seal.open_stream", lambda *_: iter([b"what was never sealed"])),
        ("bounce", "tests.fuzz.mail.one_line", lambda *_: "other words"),
        ("names", "tests.fuzz.files.safe_filename", lambda name: f"../{name}"),
        ("data", "tests.fuzz.wire.by_pieces", lambda octets, _: (octets, b"")),
    ],
)
def test_a_target_fails_where_what_it_looks_at_is_broken(
    name: str, broken: str, instead: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control: the two tests above say something."""
    run = target(name)
    monkeypatch.setattr(broken, instead)
    with pytest.raises(AssertionError):
        deque(map(run, seeds(name)), 0)


def test_every_vector_belongs_to_a_target() -> None:
    assert {path.name for path in FOUND.iterdir() if path.is_dir()} <= set(TARGETS)
