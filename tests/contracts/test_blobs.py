"""What every `Blobs` promises. The harness `place` is in conftest.py."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptnsend.core.contracts import Blobs
from cryptnsend.core.errors import StoreBroken, StoreFull

KEY, OTHER = "a1" * 20, "b2" * 20


@pytest.fixture
def blobs(place: Any) -> Blobs:
    opened: Blobs = place.blobs()
    return opened


def read(blobs: Blobs, key: str, start: int = 0) -> bytes:
    return b"".join(blobs.open(key, start))


def held(blobs: Blobs) -> list[str]:
    return sorted(key for key, _ in blobs.keys())  # noqa: SIM118


def test_what_was_put_is_there_for_whoever_opens_the_place_next(place: Any, blobs: Blobs) -> None:
    assert blobs.put(KEY, [b"sealed ", b"", b"octets"]) == 13
    blobs.settle([KEY])
    again = place.blobs()
    assert read(again, KEY) == b"sealed octets"
    assert again.size(KEY) == 13


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(chunks=st.lists(st.binary(max_size=5000)), start=st.integers(0, 6000))
def test_octets_come_back_from_any_start(blobs: Blobs, chunks: list[bytes], start: int) -> None:
    whole = b"".join(chunks)
    blobs.delete(KEY)
    assert blobs.put(KEY, chunks) == len(whole)
    assert read(blobs, KEY, start) == whole[start:]


def test_large_blobs_come_in_pieces(blobs: Blobs) -> None:
    octets = os.urandom(3_000_001)
    blobs.put(KEY, [octets])
    pieces = list(blobs.open(KEY, 1))
    assert b"".join(pieces) == octets[1:]
    assert max(map(len, pieces)) <= 1 << 20


def test_an_absent_blob_says_so_at_once(blobs: Blobs) -> None:
    with pytest.raises(KeyError):
        blobs.open(KEY)
    with pytest.raises(KeyError):
        blobs.size(KEY)
    blobs.delete(KEY)
    assert held(blobs) == []


@pytest.mark.parametrize(
    "key",
    ["", ".", "..", "../../etc/passwd", "/etc/passwd", "a/b/c/d/e/f", ".hidden-file", "-rf-everything", "a" * 200],
)
def test_only_keys_are_names(blobs: Blobs, key: str) -> None:
    for call in (blobs.writer, blobs.open, blobs.size, blobs.delete):
        with pytest.raises(ValueError, match="key"):
            call(key)
    with pytest.raises(ValueError, match="key"):
        blobs.put(key, [b"x"])


def test_a_key_is_never_used_twice(blobs: Blobs) -> None:
    blobs.put(KEY, [b"first"])
    with pytest.raises(StoreBroken):
        blobs.put(KEY, [b"second"])
    assert read(blobs, KEY) == b"first"


def test_deleted_is_gone(blobs: Blobs) -> None:
    blobs.put(KEY, [b"x"])
    blobs.put(OTHER, [b"y"])
    blobs.delete(KEY)
    blobs.delete(KEY)
    assert held(blobs) == [OTHER]
    with pytest.raises(KeyError):
        blobs.open(KEY)


def test_a_reader_finishes_though_the_blob_is_deleted(blobs: Blobs) -> None:
    octets = os.urandom(600_000)
    blobs.put(KEY, [octets])
    pieces = blobs.open(KEY)
    first = next(pieces)
    blobs.delete(KEY)
    assert first + b"".join(pieces) == octets


def test_written_in_pieces_and_closed_it_stays_even_if_aborted_later(blobs: Blobs) -> None:
    writer = blobs.writer(KEY)
    writer.write(b"one ")
    writer.write(b"two")
    assert writer.close() == 7
    writer.abort()
    blobs.settle([KEY])
    assert read(blobs, KEY) == b"one two"


def test_aborted_leaves_nothing(blobs: Blobs) -> None:
    writer = blobs.writer(KEY)
    writer.write(b"secret")
    writer.abort()
    writer.abort()
    assert held(blobs) == []
    with pytest.raises(StoreBroken):
        writer.close()
    blobs.put(KEY, [b"the key is free again"])


def test_octets_whose_flush_is_left_to_settling_are_there_for_whoever_opens_the_place_next(
    place: Any, blobs: Blobs
) -> None:
    for key in (KEY, OTHER):
        writer = blobs.writer(key)
        writer.write(b"sealed " + key.encode())
        assert writer.close(flush=False) == 47
    blobs.settle([KEY, OTHER])
    writer.abort()
    blobs.settle([KEY, OTHER])
    assert read(place.blobs(), OTHER) == b"sealed " + OTHER.encode()


def test_what_was_given_up_before_it_was_flushed_is_settled_no_more(blobs: Blobs) -> None:
    writer = blobs.writer(KEY)
    writer.write(b"sealed")
    writer.close(flush=False)
    writer.abort()
    with pytest.raises(StoreBroken):
        blobs.settle([KEY])
    blobs.delete(KEY)
    assert held(blobs) == []
    blobs.put(KEY, [b"the key is free again"])
    blobs.settle([KEY])


def test_chunks_that_fail_leave_nothing(blobs: Blobs) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the client went away")

    with pytest.raises(OSError, match="went away"):
        blobs.put(KEY, chunks())
    assert held(blobs) == []


def test_settling_what_is_not_there_is_refused(blobs: Blobs) -> None:
    blobs.put(KEY, [b"x"])
    with pytest.raises(StoreBroken):
        blobs.settle([KEY, OTHER])
    blobs.settle([KEY])
    blobs.settle([])


def test_keys_come_with_the_time_of_their_last_change(blobs: Blobs) -> None:
    before = time.time_ns() // 1_000_000 - 50  # file systems stamp with the tick before
    blobs.put(KEY, [b"x"])
    blobs.put(OTHER, [b"y"])
    found = dict(blobs.keys())
    assert set(found) == {KEY, OTHER}
    assert all(before <= changed <= time.time_ns() // 1_000_000 + 50 for changed in found.values())


def test_many_threads_put_and_settle(blobs: Blobs) -> None:
    def work(number: int) -> None:
        for n in range(10):
            key = f"{number:04x}{n:04x}" * 4
            blobs.put(key, [key.encode()] * 100)
            blobs.settle([key])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(held(blobs)) == 80
    assert all(read(blobs, key) == key.encode() * 100 for key in held(blobs))


def test_a_full_disk_is_told_and_leaves_nothing(place: Any, tiny_disk: Path | None) -> None:
    if tiny_disk is None:
        assert os.geteuid() != 0, "root should be able to mount a tmpfs"
        return
    blobs: Blobs = place.blobs_in(tiny_disk / "blobs")
    with pytest.raises(StoreFull) as full:
        blobs.put(KEY, [bytes(100_000)] * 50)
    assert full.value.code == 452
    assert held(blobs) == []
    assert blobs.put(KEY, [b"room again"]) == 10
    place.close()
