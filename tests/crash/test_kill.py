"""Nothing that was acknowledged is lost, doubled or unreadable, whichever process dies at whichever moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from cryptnsend.config import Config
from tests.crash.house import ANN, PASSWORD, Found, torment
from tests.support.homes import make_home

# Every mail has a recipient of its own, so the daily caps have to be out of the way.
UNCAPPED = {"limits": {"messages_per_day": 1_000_000, "new_recipients_per_day": 1_000_000}}


def add_ann(config: Config) -> str:
    """Make Ann a subscriber and return a device password of hers."""
    from cryptnsend.cli.owner import owned

    with owned(config) as app:
        app.owner.add(ANN, PASSWORD, organisation=None, roles=("subscriber",), name="Ann Ruiz")
        return app.owner.add_device(ANN, PASSWORD, "crash test", "submit").password


def check(acknowledged: dict[str, str], found: Found) -> None:
    """Compare what the mail programs were told with what the server has."""
    lost = {tag for tag, ident in acknowledged.items() if int(ident) not in found.ids.get(tag, [])}
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged messages are gone"
    doubled = {tag for tag, ids in found.ids.items() if len(ids) > 1}
    assert not doubled, "a resend was taken for a new message"
    assert not found.unreadable
    assert not found.without_delivery, "a message would never be told of, or twice"


def test_fifty_kills_under_load_lose_and_double_nothing(short_folder: Path):
    config = make_home(short_folder / "home", UNCAPPED)
    acknowledged, found = torment(config, add_ann(config), 50)
    assert len(acknowledged) > 50
    check(acknowledged, found)


@pytest.mark.torture
def test_a_thousand_kills_under_load_lose_and_double_nothing(short_folder: Path):
    config = make_home(short_folder / "torture", UNCAPPED)
    acknowledged, found = torment(config, add_ann(config), 1000, senders=10, seed=7)
    print(f"{len(acknowledged)} acknowledged, {len(found.ids)} found")
    check(acknowledged, found)
