"""A pair of doors for each test, and the certificate authority they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import trustme

from cryptnsend.submission.connection import no_page
from cryptnsend.submission.limits import Limits
from tests.submission.doubles import Doors
from tests.submission.inbound_doubles import InboundDoors

# As in service, but for the waits that would make every test slow.
QUICK = Limits(auth_delay=0.02, drain=5.0)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def open_doors(authority: trustme.CA) -> Iterator[Callable[..., Doors]]:
    """Return a function that opens doors with other limits; they are closed and checked for leaks after the test."""
    opened: list[Doors] = []

    def open_with(*, help_url: Callable[[str], str] = no_page, **limits: float) -> Doors:
        opened.append(Doors(authority, replace(QUICK, **limits), help_url=help_url).start())
        return opened[-1]

    yield open_with
    for doors in opened:
        doors.stop()
        assert doors.intake.inside == 0
        assert all(draft.aborted == 1 for draft in doors.intake.aborted)
        assert len(doors.intake.begun) == len(doors.intake.kept) + len(doors.intake.aborted)


@pytest.fixture
def open_inbound(authority: trustme.CA) -> Iterator[Callable[..., InboundDoors]]:
    """Return a function that opens the door for other servers with other limits; closed and checked like the others."""
    opened: list[InboundDoors] = []

    def open_with(**limits: float) -> InboundDoors:
        opened.append(InboundDoors(authority, replace(QUICK, **limits)))
        opened[-1].start()
        return opened[-1]

    yield open_with
    for doors in opened:
        doors.stop()
        assert all(draft.aborted == 1 for draft in doors.intake.aborted)
        assert len(doors.intake.begun) == len(doors.intake.kept) + len(doors.intake.aborted)


@pytest.fixture
def doors(open_doors: Callable[..., Doors]) -> Doors:
    return open_doors()
