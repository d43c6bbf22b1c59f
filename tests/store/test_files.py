"""Blobs as files: what a failing disk may do to them, and what strangers find in the folder."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from cryptnsend.core.errors import StoreBroken, StoreFull
from cryptnsend.store import files
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


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(files, "os", made)
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
        writer.write(b"x")
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
