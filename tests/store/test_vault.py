"""The vault: where parts rest, and what a crash between two steps may leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import StoreBroken
from cryptnsend.store.vault import INLINE, LITTER_AGE, Stored, Vault, hold_deletions

from .conftest import House

BIG = [b"s" * 20_000] * 4
LATER = 1 << 45  # milliseconds; everything is old by then


def keys(house: House) -> list[str]:
    return sorted(key for key, _ in house.blobs.keys())  # noqa: SIM118


@pytest.mark.parametrize(
    ("size", "inline"), [(0, True), (1, True), (INLINE, True), (INLINE + 1, False), (10**6, False)]
)
def test_small_parts_rest_in_their_row_and_larger_ones_in_a_blob(house: House, size: int, inline: bool) -> None:
    octets = os.urandom(size)
    stored = house.vault.put([octets])
    assert (stored.blob_key is None) is inline is (stored.body is not None)
    assert b"".join(house.vault.open(stored)) == octets
    assert house.vault.size(stored) == size


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sizes=st.lists(st.integers(0, 20_000), max_size=8), start=st.integers(0, 170_000))
def test_octets_come_back_from_any_start_however_they_came_in(house: House, sizes: list[int], start: int) -> None:
    chunks = [os.urandom(size) for size in sizes]
    stored = house.vault.put(chunks)
    assert b"".join(house.vault.open(stored, start)) == b"".join(chunks)[start:]


def test_a_writer_says_when_closing_will_wait_for_a_disk(house: House) -> None:
    writer = house.vault.writer()
    writer.write(b"x" * INLINE)
    assert not writer.spilled
    writer.write(b"x")
    assert writer.spilled
    writer.abort()
    writer.abort()
    assert keys(house) == []


def test_chunks_that_fail_leave_nothing(house: House) -> None:
    def chunks():  # type: ignore[no-untyped-def]
        yield from BIG
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        house.vault.put(chunks())
    assert keys(house) == []


def test_a_finished_blob_stays_when_its_writer_is_aborted_for_a_row_may_name_it(house: House) -> None:
    writer = house.vault.writer()
    writer.write(b"".join(BIG))
    stored = writer.close()
    house.add(1, stored)
    writer.abort()  # as after a commit whose answer got lost
    assert list(house.vault.verify(house.engine)) == []
    assert b"".join(house.vault.open(stored)) == b"".join(BIG)


def test_a_row_cannot_be_written_for_a_blob_that_is_not_there(house: House) -> None:
    with pytest.raises(StoreBroken):
        house.add(1, Stored(None, "f0" * 20))
    assert house.engine.query("SELECT id FROM messages") == []


def test_litter_is_swept_once_it_is_old_and_named_blobs_never(house: House) -> None:
    named, litter = house.vault.put(BIG), house.vault.put(BIG)
    house.add(1, named)
    changed = max(dict(house.blobs.keys()).values())
    assert list(house.vault.verify(house.engine)) == [("litter", litter.blob_key)]
    assert house.vault.sweep(house.engine, changed + LITTER_AGE - 1000) == 0
    assert house.vault.sweep(house.engine, changed + LITTER_AGE) == 1
    assert keys(house) == [named.blob_key]
    assert house.vault.sweep(house.engine, LATER) == 0
    assert list(house.vault.verify(house.engine)) == []


def test_sweeping_looks_at_more_blobs_than_one_page(house: House) -> None:
    named = house.vault.put(BIG)
    house.add(1, named)
    for number in range(1100):
        house.blobs.put(f"{number:040x}", [b"x"])
    assert house.vault.sweep(house.engine, LATER) == 1100
    assert keys(house) == [named.blob_key]


def test_nothing_is_deleted_while_a_backup_holds_deletions(house: House) -> None:
    litter = house.vault.put(BIG)
    assert litter.blob_key is not None
    with hold_deletions(house.folder / "hold") as held:
        assert held
        assert house.vault.sweep(house.engine, LATER) == 0
        house.vault.discard(litter.blob_key)
        assert keys(house) == [litter.blob_key]
    house.vault.discard(litter.blob_key)
    assert keys(house) == []


def test_verify_tells_of_rows_without_blob_and_of_empty_ones(house: House) -> None:
    stored = [house.vault.put(BIG) for _ in range(3)]
    for number, each in enumerate(stored, 1):
        house.add(number, each)
    assert stored[0].blob_key
    assert stored[1].blob_key
    house.blobs.delete(stored[0].blob_key)
    (house.folder / "blobs" / stored[1].blob_key).write_bytes(b"")
    assert sorted(house.vault.verify(house.engine)) == sorted(
        [("missing", stored[0].blob_key), ("missing", stored[1].blob_key)]
    )
    with pytest.raises(StoreBroken):
        house.vault.open(stored[0])
    with pytest.raises(StoreBroken):
        house.vault.size(stored[0])


CRASH = """
import os, sys
from pathlib import Path
from cryptnsend.store.files import FileBlobs
from cryptnsend.store.sqlite import SqliteEngine
from cryptnsend.store.vault import Vault
from store.conftest import a_message

def here(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), 9)

class Blobs(FileBlobs):
    def settle(self, keys):
        here("blob finished, its name not yet durable")
        super().settle(keys)
        here("name durable, no row")

folder = Path(sys.argv[1])
blobs = Blobs(folder / "blobs")
engine = SqliteEngine(folder / "main.db", settle=blobs.settle)
writer = Vault(blobs, os.urandom, folder / "hold").writer()
writer.write(b"s" * 500_000)
here("blob half written")
stored = writer.close()

def fill(rows):
    a_message(1, stored, None)(rows)
    here("rows filled, not committed")

engine.write(fill, blobs=[stored.blob_key]).result(30)
print("acknowledged", flush=True)
here("committed and acknowledged")
engine.close()
print("closed", flush=True)
"""


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ("blob half written", False),
        ("blob finished, its name not yet durable", False),
        ("name durable, no row", False),
        ("rows filled, not committed", False),
        ("committed and acknowledged", True),
        ("never", True),
    ],
)
def test_a_crash_between_two_steps_leaves_litter_at_most(house: House, step: str, kept: bool) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", CRASH, str(house.folder), step]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == (0 if step == "never" else -signal.SIGKILL), done.stderr
    assert ("acknowledged" in done.stdout) is kept
    assert bool(house.engine.query("SELECT id FROM messages WHERE id = 1")) is kept
    problems = list(house.vault.verify(house.engine))
    assert [what for what, _ in problems] == ([] if kept else ["litter"])
    assert house.vault.sweep(house.engine, LATER) == len(problems)
    assert list(house.vault.verify(house.engine)) == []
    if kept:
        stored = Stored(**house.engine.query("SELECT body, blob_key FROM contents WHERE message = 1")[0])
        assert b"".join(house.vault.open(stored)) == b"s" * 500_000


def test_keys_are_random_and_fit_for_a_file_name(house: House) -> None:
    fixed = Vault(house.blobs, lambda n: bytes(range(n)), house.folder / "hold")
    assert fixed.put(BIG).blob_key == bytes(range(20)).hex()
