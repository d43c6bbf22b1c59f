"""Blobs as files: what a failing disk may do to them, and what strangers find in the folder."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import StoreBroken, StoreFull
from cryptnsend.store import bundles, files
from cryptnsend.store.files import FileBlobs

KEY, OTHER, THIRD = "a1" * 20, "b2" * 20, "c3" * 20


class Disk:
    """Stands in for `os` where the file store uses it, and fails when told to."""

    def __init__(self) -> None:
        self.fsync_fails: set[str] = set()  # "file", "folder"
        self.write_fails: int | None = None
        self.write_at_most: int | None = None
        self.flushed: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, fd: int) -> None:
        what = "folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file"
        if what in self.fsync_fails:
            self.fsync_fails.discard(what)  # the kernel tells once
            raise OSError(errno.EIO, "Input/output error")
        os.fsync(fd)
        self.flushed.append(what)

    def write(self, fd: int, octets: memoryview) -> int:
        if self.write_fails is not None:
            raise OSError(self.write_fails, os.strerror(self.write_fails))
        return os.write(fd, octets[: self.write_at_most])

    def writev(self, fd: int, pieces: list[bytes]) -> int:
        return self.write(fd, memoryview(b"".join(pieces)))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(files, "os", made)
    monkeypatch.setattr(bundles, "os", made)
    return made


@pytest.fixture
def blobs(tmp_path: Path, disk: Disk) -> Any:
    opened = FileBlobs(tmp_path / "blobs")
    yield opened
    opened.close()


def test_octets_are_flushed_on_close_and_the_folder_once_per_settle(blobs: FileBlobs, disk: Disk) -> None:
    for key in (KEY, OTHER, THIRD):
        blobs.put(key, [b"x"])
    assert disk.flushed == ["file"] * 3
    blobs.settle([KEY, OTHER, THIRD])
    assert disk.flushed == ["file"] * 3 + ["folder"]


def unflushed(blobs: FileBlobs, *keys: str) -> None:
    for key in keys:
        writer = blobs.writer(key)
        writer.write(bytes(files.ALONE + 1))  # a file of its own
        writer.close(flush=False)


def test_flushes_that_are_left_to_settling_come_before_that_of_the_folder(blobs: FileBlobs, disk: Disk) -> None:
    unflushed(blobs, KEY, OTHER, THIRD)
    assert disk.flushed == []
    blobs.settle([KEY, OTHER])
    assert disk.flushed == ["file", "file", "folder"]
    blobs.settle([KEY, THIRD])
    assert disk.flushed == ["file", "file", "folder", "file", "folder"]


def test_a_failed_flush_while_settling_is_fatal_for_all_that_it_should_have_settled(
    blobs: FileBlobs, disk: Disk
) -> None:
    unflushed(blobs, KEY, OTHER, THIRD)
    disk.fsync_fails.add("file")
    with pytest.raises(StoreBroken) as broken:
        blobs.settle([KEY, OTHER])
    assert broken.value.code == 451
    for key in (KEY, OTHER):
        with pytest.raises(StoreBroken):
            blobs.settle([key])
    assert disk.flushed == []
    blobs.settle([THIRD])
    assert disk.flushed == ["file", "folder"]


def test_no_file_stays_open_whatever_becomes_of_it(blobs: FileBlobs, disk: Disk) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for key in (KEY, OTHER):
        unflushed(blobs, key)
    disk.fsync_fails.add("file")
    with pytest.raises(StoreBroken):
        blobs.settle([KEY, OTHER])
    writer = blobs.writer(THIRD)
    writer.close(flush=False)
    writer.abort()
    unflushed(blobs, "d4" * 20)
    blobs.delete("d4" * 20)
    assert set(os.listdir("/proc/self/fd")) == before


def test_short_writes_are_continued(blobs: FileBlobs, disk: Disk) -> None:
    disk.write_at_most = 3
    assert blobs.put(KEY, [b"0123456789"]) == 10
    assert b"".join(blobs.open(KEY)) == b"0123456789"


def test_a_failed_flush_is_fatal_for_that_blob(blobs: FileBlobs, disk: Disk) -> None:
    disk.fsync_fails.add("file")
    writer = blobs.writer(KEY)
    writer.write(b"x")
    with pytest.raises(StoreBroken) as broken:
        writer.close()
    assert broken.value.code == 451
    with pytest.raises(StoreBroken):
        writer.close()  # the second flush would have succeeded, and proved nothing
    assert list(blobs.keys()) == []


def test_a_failed_flush_of_the_folder_is_fatal_for_all_blobs_it_should_have_settled(
    blobs: FileBlobs, disk: Disk
) -> None:
    blobs.put(KEY, [b"x"])
    blobs.put(OTHER, [b"y"])
    disk.fsync_fails.add("folder")
    with pytest.raises(StoreBroken):
        blobs.settle([KEY])
    for key in (KEY, OTHER):
        with pytest.raises(StoreBroken):
            blobs.settle([key])
    blobs.put(THIRD, [b"z"])
    blobs.settle([THIRD])
    blobs.delete(KEY)
    blobs.put(KEY, [b"anew"])
    blobs.settle([KEY])


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EIO, StoreBroken)]
)
def test_a_failed_write_says_what_is_wrong_and_leaves_nothing(
    blobs: FileBlobs, disk: Disk, number: int, error: type[StoreBroken]
) -> None:
    disk.write_fails = number
    with pytest.raises(StoreBroken) as failed:
        blobs.put(KEY, [b"x"])
    assert type(failed.value) is error
    assert "Errno" not in str(failed.value)
    assert list(blobs.keys()) == []


def test_files_are_for_their_owner_only(blobs: FileBlobs, tmp_path: Path) -> None:
    blobs.put(KEY, [b"x"])
    assert stat.S_IMODE((tmp_path / "blobs" / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "blobs").stat().st_mode) == 0o700


def test_links_in_the_folder_are_not_followed(blobs: FileBlobs, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"elsewhere")
    (tmp_path / "blobs" / KEY).symlink_to(tmp_path / "secret")
    with pytest.raises(StoreBroken):
        blobs.open(KEY)
    with pytest.raises(StoreBroken):
        blobs.put(KEY, [b"overwritten"])
    assert (tmp_path / "secret").read_bytes() == b"elsewhere"


def test_other_peoples_files_in_the_folder_are_not_blobs(blobs: FileBlobs, tmp_path: Path) -> None:
    (tmp_path / "blobs" / "lost+found").mkdir()
    (tmp_path / "blobs" / ".nfs0001").write_bytes(b"")
    blobs.put(KEY, [b"x"])
    assert [key for key, _ in blobs.keys()] == [KEY]  # noqa: SIM118


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreBroken):
        FileBlobs(tmp_path / "file" / "blobs")


def test_an_opened_blob_that_nobody_reads_does_not_stay_open(blobs: FileBlobs) -> None:
    blobs.put(KEY, [b"x" * 10])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        blobs.open(KEY)
    assert len(os.listdir("/proc/self/fd")) == before


def laid_down(blobs: FileBlobs, sizes: dict[str, int]) -> dict[str, bytes]:
    """Settle blobs of these sizes together, and return what each of them is."""
    octets = {key: os.urandom(size) for key, size in sizes.items()}
    for key, each in octets.items():
        writer = blobs.writer(key)
        writer.write(each[: len(each) // 3])
        writer.write(each[len(each) // 3 :])
        assert writer.close(flush=False) == len(each)
    blobs.settle(list(sizes))
    return octets


def files_of(tmp_path: Path) -> dict[int, set[str]]:
    """Return the names of each file."""
    found: dict[int, set[str]] = {}
    for path in (tmp_path / "blobs").iterdir():
        found.setdefault(path.stat().st_ino, set()).add(path.name)
    return found


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=70), start=st.integers(0, 3100))
def test_blobs_that_are_settled_together_come_back_from_any_start(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], start: int
) -> None:
    folder = tmp_path_factory.mktemp("together") / "blobs"
    blobs = FileBlobs(folder)
    octets = laid_down(blobs, {f"{number:08x}" * 5: size for number, size in enumerate(sizes)})
    for key, each in octets.items():
        assert b"".join(blobs.open(key, start)) == each[start:]
        assert blobs.size(key) == len(each)
    assert sorted(key for key, _ in blobs.keys()) == sorted(octets)  # noqa: SIM118
    assert len({path.stat().st_ino for path in folder.iterdir()}) == -(-len(sizes) // bundles.MOST)
    for key in octets:
        blobs.delete(key)
    assert list(folder.iterdir()) == []
    blobs.close()


def test_each_blob_of_a_shared_file_can_be_deleted_while_the_others_stay(
    blobs: FileBlobs, disk: Disk, tmp_path: Path
) -> None:
    octets = laid_down(blobs, {KEY: 50_000, OTHER: 60_000, THIRD: files.ALONE + 1})
    assert disk.flushed == ["file", "file", "folder"]  # the large one, the shared one, the names
    assert sorted(files_of(tmp_path).values(), key=len) == [{THIRD}, {f"{KEY}~", f"{OTHER}~"}]
    reading = blobs.open(OTHER)
    for gone, left in ((KEY, OTHER), (OTHER, THIRD)):
        blobs.delete(gone)
        with pytest.raises(KeyError):
            blobs.open(gone)
        assert b"".join(blobs.open(left)) == octets[left]
    assert b"".join(reading) == octets[OTHER]
    blobs.delete(THIRD)
    assert files_of(tmp_path) == {}


def test_a_blob_that_is_settled_alone_is_a_file_of_nothing_else(blobs: FileBlobs, tmp_path: Path) -> None:
    octets = laid_down(blobs, {KEY: 50_000})
    assert (tmp_path / "blobs" / KEY).read_bytes() == octets[KEY]


def test_more_than_may_be_held_in_memory_has_files_of_its_own(
    blobs: FileBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_HELD", 100_000)
    few = FileBlobs(tmp_path / "few")
    for key in (KEY, OTHER, THIRD):
        writer = few.writer(key)
        writer.write(key.encode() * 1000)
        writer.close(flush=False)
    assert [path.name for path in (tmp_path / "few").iterdir()] == [THIRD]
    few.settle([KEY, OTHER, THIRD])
    assert all(b"".join(few.open(key)) == key.encode() * 1000 for key in (KEY, OTHER, THIRD))
    few.delete(KEY)
    few.delete(OTHER)
    # What was held can be held again, also after a failure and by whoever gives up.
    for attempt in range(5):
        writer = few.writer(f"{attempt:08}" * 5)
        writer.write(bytes(90_000))
        writer.abort()
        given_up = few.writer(f"{attempt:08x}" * 4)
        given_up.write(bytes(90_000))
        given_up.close(flush=False)
        given_up.abort()
        kept = few.writer(f"{attempt:08x}" * 3)
        kept.write(bytes(90_000))
        kept.close(flush=False)
        few.delete(f"{attempt:08x}" * 3)
    assert [path.name for path in (tmp_path / "few").iterdir()] == [THIRD]
    few.close()


@pytest.mark.parametrize("what", ["write", "flush", "name"])
def test_a_failure_on_a_shared_file_is_fatal_for_all_in_it_and_leaves_nothing(
    blobs: FileBlobs, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    for key in (KEY, OTHER):
        writer = blobs.writer(key)
        writer.write(b"x" * 50_000)
        writer.close(flush=False)
    if what == "flush":
        disk.fsync_fails.add("file")
    elif what == "write":
        disk.write_fails = errno.ENOSPC
    else:
        (tmp_path / "blobs" / f"{OTHER}~").write_bytes(b"somebody else's")
    with pytest.raises(StoreFull if what == "write" else StoreBroken):
        blobs.settle([KEY, OTHER])
    disk.write_fails = None
    assert {path.name for path in (tmp_path / "blobs").iterdir()} == ({f"{OTHER}~"} if what == "name" else set())
    for key in (KEY, OTHER):
        with pytest.raises(StoreBroken):
            blobs.settle([key])
        blobs.delete(key)
    assert set(laid_down(blobs, {KEY: 50_000, OTHER: 50_000})) == {KEY, OTHER}


def test_a_shared_file_whose_table_is_damaged_has_no_blobs_and_one_cut_short_has_what_is_left(
    blobs: FileBlobs, tmp_path: Path
) -> None:
    octets = laid_down(blobs, {KEY: 50_000, OTHER: 60_000})
    shared = tmp_path / "blobs" / f"{KEY}~"
    whole = shared.read_bytes()
    os.truncate(shared, len(whole) - 70_000)
    assert (blobs.size(KEY), blobs.size(OTHER)) == (40_000, 0)
    assert b"".join(blobs.open(KEY)) == octets[KEY][:40_000]
    assert b"".join(blobs.open(OTHER)) == b""
    for damaged in (b"", whole[:7], whole[:30], b"X" + whole[1:], whole[:10] + b"\xff" * 60 + whole[70:]):
        shared.write_bytes(damaged)
        for key in (KEY, OTHER):
            with pytest.raises(KeyError):
                blobs.open(key)
            with pytest.raises(KeyError):
                blobs.size(key)


def test_a_blob_that_is_put_back_by_hand_counts_before_the_damaged_one(blobs: FileBlobs, tmp_path: Path) -> None:
    octets = laid_down(blobs, {KEY: 50_000, OTHER: 60_000})
    (tmp_path / "blobs" / f"{KEY}~").write_bytes(b"damaged")
    (tmp_path / "blobs" / KEY).write_bytes(octets[KEY])
    assert b"".join(blobs.open(KEY)) == octets[KEY]
    blobs.delete(KEY)
    assert {path.name for path in (tmp_path / "blobs").iterdir()} == {f"{OTHER}~"}
