"""The benchmark of the mailbox still runs, and both servers give the same answers about the same mails."""

from __future__ import annotations

import re

import pytest

from tests.benchmarks.programs import result


@pytest.mark.long
def test_a_small_mailbox_is_read_beside_dovecot_and_answers_are_the_same() -> None:
    said = result("Dovecot", "mailbox", "--rounds", "1", "--size", "120")
    if not said:
        return
    rows = re.findall(r"^\| 120 \| ([\w ,]+) \| [\d.]+ \(", said, re.M)
    assert {"FLAGS", "ENVELOPE, cold", "BODYSTRUCTURE, warm", "bodies", "first sync"} <= set(rows), said
    verified = re.search(r"^Verified: ([\d,]+) answers of ours say what Dovecot's say", said, re.M)
    assert verified, said
    assert int(verified[1].replace(",", "")) > 1_000
