"""Mail that a program wrote is recognised by the marks that programs leave, and by nothing else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.automatic import automatic, hops


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        (b"Auto-Submitted: auto-replied\r\n", "auto-replied"),
        (b"auto-submitted:  Auto-Replied (vacation); x=y\r\n", "auto-replied"),
        (b"Auto-Submitted: auto-generated\r\n", "auto-generated"),
        (b"Auto-Submitted: something-new\r\n", "auto-generated"),
        (b"Auto-Submitted: no\r\n", ""),
        (b"Auto-Submitted: no (really)\r\n", ""),
        (b"X-Autoreply: yes\r\n", "auto-replied"),
        (b"X-Autorespond: Out of office\r\n", "auto-replied"),
        (b"Precedence: auto_reply\r\n", "auto-replied"),
        (b"Precedence: bulk\r\n", "bulk"),
        (b"Precedence: first-class\r\n", ""),
        (b"List-Id: <news.example>\r\n", "bulk"),
        (b"List-Unsubscribe:\r\n <https://news.example>\r\nAuto-Submitted: auto-generated\r\n", "auto-generated"),
        (b"Subject: Out of office\r\n", ""),  # people write that, too
        (b"Subject: x\r\n Auto-Submitted: auto-replied\r\n", ""),  # a folded line is no field
    ],
)
def test_a_field_says_which_kind_of_program_wrote(field: bytes, kind: str) -> None:
    assert automatic(b"From: pat@yahoo.example\r\n" + field + b"\r\n") == kind


def test_a_null_sender_is_a_program_s() -> None:
    assert automatic(b"From: a@b.example\r\n\r\n", null_sender=True) == "bounce"
    assert automatic(b"Auto-Submitted: auto-replied\r\n\r\n", null_sender=True) == "auto-replied"


def test_hops_are_counted() -> None:
    assert hops(b"Received: a\r\n b\r\nreceived: c\r\nSubject: Received: x\r\n\r\n") == 2


@given(header=st.binary(max_size=300), null=st.booleans())
def test_no_octets_make_it_raise(header: bytes, null: bool) -> None:
    kinds = {"", "auto-replied", "auto-generated", "auto-notified", "bulk"}
    assert automatic(header, null_sender=null) in kinds | ({"bounce"} if null else set())
    assert automatic(b"X-Autoreply: yes\r\nX: \r\n" + header) == "auto-replied"  # whatever follows
    assert hops(b"Received: x\r\nX: \r\n" + header) == hops(b"X: \r\n" + header) + 1
    assert hops(header) <= header.lower().count(b"received")


def test_a_hostile_header_costs_no_time() -> None:
    for octets in (b"Subject: " + b"\r\n " * 80_000, b"x" * 250_000, b"a:\r\n" * 60_000, b"\r\n" * 120_000):
        begun = time.process_time()
        automatic(octets)
        hops(octets)
        assert time.process_time() - begun < 2
