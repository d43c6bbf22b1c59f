"""The benchmark of accepting still runs, and opens what was stored to compare it with what was sent."""

from __future__ import annotations

import re

import pytest

from tests.benchmarks.programs import result

KINDS = ("4k-8", "4k-1", "1m-4", "4k-8-to50")
LITTLE = ("--rounds", "1", "--scale", "0.02", "--people", "20", *(word for kind in KINDS for word in ("--load", kind)))
PEERS = ("postfix", "exim", "aiosmtpd")


@pytest.mark.long
def test_a_little_of_every_kind_is_measured_beside_its_peers_and_found_as_it_was_sent() -> None:
    said = result("Postfix", "accept", *LITTLE, *(word for peer in PEERS for word in ("--beside", peer)))
    if not said:
        return
    rows = re.findall(r"^\| (\S+) \| [\d.]+ \(", said, re.M)
    assert rows == list(KINDS), said
    measured = re.findall(r"^\| (\S+) \| (\w+) \| [\d.]+ \|", said, re.M)
    assert measured == [(kind, who) for kind in KINDS for who in ("CryptnSend", "Postfix", "Exim", "aiosmtpd")], said
    ours = re.search(r"^Verified: (\d+) rows for \1 yeses; opened and compared: (.*); \d+ audit chains", said, re.M)
    assert ours, said
    assert int(ours[1]) > 100
    assert {"the author", "the archive"} <= set(re.findall(r"\d+ through ([\w ]+)", ours[2])), ours[2]
