"""The courier against a program that is not ours: Postfix's smtp-sink, which speaks as Postfix does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.delivery.peers import ENVELOPE, MESSAGE, courier
from tests.support.sinks import dumped, smtp_sink
from tests.support.waiting import wait_for


def test_messages_arrive_as_they_were(sink_folder: Path) -> None:
    with smtp_sink(sink_folder) as route:
        made = courier(routes={"peer.example": route})
        outcomes = [made.send(ENVELOPE, "opportunistic", MESSAGE) for _ in range(5)]
        made.close()
        assert [outcome.kind for outcome in outcomes] == ["delivered"] * 5
        wait_for(lambda: len(dumped(sink_folder)) == 5, "five messages in the folder")
    for octets in dumped(sink_folder):
        # smtp-sink ends lines with LF, and one more at the end; it puts the envelope in front.
        assert octets.rstrip(b"\n").endswith(MESSAGE.replace(b"\r\n", b"\n").rstrip(b"\n"))
        assert b"pat@peer.example" in octets


def test_25_megabytes_arrive_whole(sink_folder: Path) -> None:
    line = b"x" * 76 + b"\r\n"
    content = [MESSAGE, *[line * 800] * 420]
    with smtp_sink(sink_folder) as route:
        made = courier(routes={"peer.example": route})
        outcome = made.send(ENVELOPE, "opportunistic", lambda: iter(content))
        made.close()
        assert outcome.kind == "delivered"
        wait_for(lambda: len(dumped(sink_folder)) == 1, "the message in the folder")
    assert dumped(sink_folder)[0].count(b"x" * 76) == 336_000


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (("-f", "RCPT"), "failed"),
        (("-f", "."), "failed"),
        (("-r", "RCPT"), "delayed"),
        (("-r", "."), "delayed"),
        (("-q", "MAIL"), "delayed"),
        (("-q", "."), "delayed"),
        (("-e",), "delivered"),
    ],
)
def test_postfix_ways_of_saying_no_become_outcomes(sink_folder: Path, options: tuple[str, ...], kind: str) -> None:
    with smtp_sink(sink_folder, *options) as route:
        made = courier(routes={"peer.example": route})
        assert made.send(ENVELOPE, "opportunistic", MESSAGE).kind == kind
        made.close()
