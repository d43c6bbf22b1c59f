"""What failing flushes and a power cut may do: nothing acknowledged is lost, nothing refused comes back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cryptnsend.store.files import FileBlobs
from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine
from cryptnsend.store.vault import Stored, Vault

from .pourer import octets

HERE = Path(__file__)
Note = Callable[[str, object], None]


def pourer(folder: Path, count: int, synchronous: str = "FULL", *before: str) -> subprocess.Popen[str]:
    """Start pourer.py on *folder*, under a program named *before* if there is one."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    command = [*before, sys.executable, str(HERE.with_name("pourer.py")), str(folder), str(count), synchronous]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def heard(process: subprocess.Popen[str], until: str) -> dict[int, str]:
    """Read what became of each message until a line that begins so."""
    assert process.stdout is not None
    found: dict[int, str] = {}
    for line in process.stdout:
        number, _, what = line.strip().partition(" ")
        if what:
            found[int(number)] = what
        if line.startswith(until):
            return found
    raise AssertionError(f"the pourer ended early, after {found}")


def kept(folder: Path) -> set[int]:
    """Open what is there and return which messages it has; each is compared to the last octet."""
    blobs = FileBlobs(folder / "blobs")
    engine = SqliteEngine(folder / "main.db", settle=blobs.settle)
    engine.migrate(STEPS)
    vault = Vault(blobs, os.urandom, folder / "hold")
    try:
        assert engine.query("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert [what for what, _ in vault.verify(engine) if what != "litter"] == []
        rows = engine.query("SELECT message, body, blob_key FROM contents")
        for row in rows:
            assert b"".join(vault.open(Stored(row["body"], row["blob_key"]))) == octets(row["message"])
        return {row["message"] for row in rows}
    finally:
        engine.close()
        blobs.close()


@pytest.mark.parametrize(
    "fault", ["fsync:error=EIO:when=12+3", "fdatasync:error=EIO:when=12+3", "pwrite64:error=ENOSPC:when=60+37"]
)
def test_a_disk_that_fails_now_and_then_costs_only_what_was_refused(
    fault: str, tmp_path: Path, record_property: Note
) -> None:
    if shutil.which("strace") is None:
        record_property("not run", "failing system calls need strace; on Debian: apt-get install strace")
        return
    with pourer(tmp_path, 0) as process:  # what is to fail later must not fail while the store is made
        heard(process, "done")
        process.kill()
    tracing = ["strace", "-f", "-qq", "-e", "trace=" + fault.partition(":")[0], "-e", f"inject={fault}"]
    with pourer(tmp_path, 40, "FULL", *tracing, "-o", str(tmp_path / "trace")) as process:
        found = heard(process, "done")
        there = kept(tmp_path)
        process.kill()
    refused = {number for number, what in found.items() if what != "ok"}
    assert set(found.values()) <= {"ok", "451", "452"}
    if "INJECTED" not in (tmp_path / "trace").read_text(errors="replace"):
        record_property("not run", "strace may not trace here")
        return
    assert refused
    assert there == set(found) - refused
    assert there <= kept(tmp_path)  # after the kill as well


@pytest.fixture
def disk(tmp_path: Path, record_property: Note) -> Iterator[tuple[Path, Path] | None]:
    """A file system of its own in an image on memory: (image, where it is mounted), or None if that is impossible."""
    image = Path("/dev/shm") / f"cryptnsend-disk-{os.getpid()}"
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        with image.open("wb") as file:
            file.truncate(64 << 20)
        for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, folder]):
            path = os.environ["PATH"] + ":/usr/sbin:/sbin"
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": path})
            if done.returncode:
                record_property("not run", f"a power cut needs a mounted disk image: {done.stderr.strip()}")
                yield None
                return
        yield image, folder
        subprocess.run(["umount", folder], check=True, capture_output=True)
    finally:
        image.unlink(missing_ok=True)


def after_a_power_cut(disk: tuple[Path, Path], synchronous: str, aftermath: Path) -> tuple[set[int], set[int]]:
    """Pour, take the disk's octets without any flush, mount them; return what was acknowledged and what is there."""
    image, folder = disk
    with pourer(folder, 150, synchronous) as process:
        found = heard(process, "100 ")  # it goes on pouring while the octets are taken
        copy = image.with_name(image.name + "-copy")
        subprocess.run(["cp", "--sparse=always", image, copy], check=True)
        process.kill()
    aftermath.mkdir()
    try:
        subprocess.run(["mount", "-o", "loop", copy, aftermath], check=True, capture_output=True)
        try:
            return {number for number, what in found.items() if what == "ok"}, kept(aftermath)
        finally:
            subprocess.run(["umount", aftermath], check=True, capture_output=True)
    finally:
        copy.unlink(missing_ok=True)


def test_a_power_cut_loses_nothing_that_was_acknowledged(disk: tuple[Path, Path] | None, tmp_path: Path) -> None:
    if disk is None:
        return
    acknowledged, there = after_a_power_cut(disk, "FULL", tmp_path / "aftermath")
    assert len(acknowledged) == 100
    assert acknowledged <= there


def test_control_with_lesser_settings_a_power_cut_loses_acknowledged_rows(
    disk: tuple[Path, Path] | None, tmp_path: Path
) -> None:
    """Otherwise the test above would prove nothing. The kernel may happen to flush in time, but not each time."""
    if disk is None:
        return
    lost = 0
    for number in range(3):
        acknowledged, there = after_a_power_cut(disk, "NORMAL", tmp_path / f"aftermath{number}")
        assert len(acknowledged) == 100
        lost += len(acknowledged - there)
        if lost:
            break
        for path in disk[1].iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert lost
