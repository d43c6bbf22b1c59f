"""The benchmark of delivering still runs, and finds each mail once at the other end."""

from __future__ import annotations

import re

import pytest

from tests.benchmarks.programs import result


@pytest.mark.long
def test_a_few_mails_are_delivered_beside_postfix_and_arrive_once_each() -> None:
    said = result("Postfix", "deliver", "--rounds", "1", "--messages", "40")
    if not said:
        return
    assert re.findall(r"^\| (CPU ms|mails per second)", said, re.M) == ["CPU ms", "mails per second"]
    assert re.search(r"^Verified: 240 mails arrived, each once", said, re.M), said
