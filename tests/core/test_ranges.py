"""Range requests as RFC 9110 §14 has them: one range or all, and lies about places are found out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.ranges import Range, Unsatisfiable, wanted

TAG = '"abc"'


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("bytes=0-0", Range(0, 1)),
        ("bytes=0-", Range(0, 10)),
        ("bytes=9-", Range(9, 10)),
        ("bytes=3-99", Range(3, 10)),
        ("bytes=-3", Range(7, 10)),
        ("bytes=-99", Range(0, 10)),
        ("Bytes = 2-4 ", Range(2, 5)),
        (None, None),
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=4-2", None),
        ("bytes=0-1,3-4", None),
        ("bytes=0-1,0-1,0-1,0-1,0-1,0-1", None),
        ("items=0-1", None),
        ("bytes=+1-2", None),
        ("bytes=1_0-", None),
        ("bytes=\u0661-", None),
        ("bytes=0x1-2", None),
        ("bytes=0-\r\nX: y", None),
        ("bytes=" + "9" * 200 + "-", None),
    ],
)
def test_one_range_is_understood_and_whatever_else_means_all(asked: str | None, found: Range | None) -> None:
    assert wanted(asked, 10) == found


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-11", "bytes=-0", f"bytes={10**17}-"])
def test_a_range_behind_the_end_is_told_apart(asked: str) -> None:
    with pytest.raises(Unsatisfiable):
        wanted(asked, 10)


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=-1"])
def test_nothing_has_no_range(asked: str) -> None:
    with pytest.raises(Unsatisfiable):
        wanted(asked, 0)


@pytest.mark.parametrize(
    ("if_range", "goes_on"),
    [(TAG, True), (f" {TAG} ", True), ('"abd"', False), (f"W/{TAG}", False), ("Sat, 01 Jan 2022 00:00:00 GMT", False)],
)
def test_only_the_same_file_goes_on(if_range: str, goes_on: bool) -> None:
    """RFC 9110 §13.1.5."""
    assert (wanted("bytes=5-", 10, if_range=if_range, tag=TAG) is not None) is goes_on


@given(st.text(max_size=120), st.integers(0, 1 << 40))
def test_no_header_gets_octets_that_are_not_there(asked: str, size: int) -> None:
    try:
        found = wanted(asked, size)
    except Unsatisfiable:
        return
    assert found is None or 0 <= found.start < found.end <= size


@given(st.integers(1, 1 << 41), st.integers(0, 1 << 41), st.integers(0, 1 << 41))
def test_a_range_within_is_given_as_asked(size: int, one: int, other: int) -> None:
    start, last = sorted((one % size, other % size))
    found = wanted(f"bytes={start}-{last}", size)
    assert found == Range(start, last + 1)
    assert found.told(size) == f"bytes {start}-{last}/{size}"
