"""What attacks are made of: a try that has to be refused, an answer on the page, rows as the courier claims them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cryptnsend.core.errors import CryptnSendError
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import deliveries
from tests.support.house import House

from .world import SECRET, World


def refused(attempt: Callable[[], Any]) -> str:
    """Run an attack that has to be refused; return the name of the refusal."""
    with pytest.raises(CryptnSendError) as error:
        attempt()
    return type(error.value).__name__


def reply(world: World, who: Session, message: int) -> int:
    """Answer a message on the page with the secret; return the reply's id."""
    return world.house.replies.send(who, message, everybody=False, text=SECRET, files=(), nonce=b"n" * 16)


def deliveries_of(house: House, kind: str) -> list[dict[str, Any]]:
    """Return claimed rows of a kind, as the courier's threads get them."""
    now = house.clock.now()
    claimed = house.engine.write(lambda rows: deliveries.claim(rows, "w", now, 60_000, 100)).result()
    return [each for each in claimed if each["kind"] == kind]
