"""Which words may name a page for visitors, and what two of them have in common that look alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core import handles

ANY = st.one_of(st.text(max_size=40), st.from_regex(r"[A-Za-z0-9 -]{0,40}", fullmatch=True))


@given(ANY)
def test_whatever_is_typed_is_a_handle_in_one_spelling_or_none(typed: str) -> None:
    handle = handles.read(typed)
    if not handle:
        assert not handles.is_one(typed)
        return
    assert handles.is_one(handle)
    assert handles.read(handle) == handle
    assert handle.isascii()
    assert handle == handle.lower()


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ab",
        "-ann",
        "ann-",
        "a--b",
        "admin",
        "adm1n",
        "paypal",
        "support",
        "ann ruiz",
        "änn",
        "1ann",
        "аnn",
        "a" * 33,
    ],
)
def test_what_is_no_name_or_could_be_taken_for_somebody_elses_has_no_page(typed: str) -> None:
    handle = handles.read(typed)
    assert not handle or handles.is_reserved(handle)


def test_handles_that_look_alike_are_one() -> None:
    assert handles.read(" Dr-Ruiz ") == "dr-ruiz"
    for other in ("drruiz", "dr-ru1z", "dr-rulz", "d-r-ruiz", "dr-rui2"):
        assert (handles.looks(other) == handles.looks("dr-ruiz")) == (other != "dr-rui2")
