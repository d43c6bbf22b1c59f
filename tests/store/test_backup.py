"""Backups: whole though the server runs, checked to the last octet, put back complete."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from cryptnsend.core.errors import ConfigError, StoreBroken
from cryptnsend.store import backup
from cryptnsend.store.files import FileBlobs
from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine
from cryptnsend.store.vault import Stored, Vault

from .conftest import House


def databases(house: House) -> dict[str, Path]:
    return {"ledger.db": house.folder / "ledger.db", "main.db": house.folder / "main.db"}


@pytest.fixture
def ledger(house: House) -> None:
    conn = sqlite3.connect(house.folder / "ledger.db")
    conn.execute("CREATE TABLE era(n INTEGER)")
    conn.execute("INSERT INTO era VALUES (4)")
    conn.commit()
    conn.close()


def made(house: House, name: str = "backup") -> Path:
    target = house.folder / name
    backup.create(target, databases(house), house.blobs, hold=house.folder / "hold", at=1)
    return target


def filled(house: House) -> dict[int, bytes]:
    whole = {number: os.urandom(size) for number, size in enumerate((10, 40_000, 2_000_000), 1)}
    for number, octets in whole.items():
        house.add(number, house.vault.put([octets]))
    return whole


@pytest.mark.usefixtures("ledger")
def test_what_was_backed_up_comes_back(house: House, tmp_path: Path) -> None:
    whole = filled(house)
    house.vault.put([b"litter " * 10_000])
    target = made(house)
    assert backup.check(target) == []
    assert sorted(each.name for each in target.iterdir()) == ["blobs", "ledger.db", "main.db", "manifest"]
    assert len(list((target / "blobs").iterdir())) == 2
    home = tmp_path / "new"
    words: list[tuple[str, int, int]] = []
    places = {name: home / "data" / name for name in ("main.db", "ledger.db")}
    backup.restore(target, places, home / "blobs", progress=lambda *said: words.append(said))
    assert words[-1] == ("restoring", 4, 4)
    blobs = FileBlobs(home / "blobs")
    engine = SqliteEngine(places["main.db"], settle=blobs.settle)
    engine.migrate(STEPS)
    vault = Vault(blobs, os.urandom, home / "hold")
    found = {row.pop("message"): Stored(**row) for row in engine.query("SELECT message, body, blob_key FROM contents")}
    assert {message: b"".join(vault.open(stored)) for message, stored in found.items()} == whole
    assert list(vault.verify(engine)) == []
    engine.close()
    blobs.close()


@pytest.mark.usefixtures("ledger")
def test_a_backup_made_while_mail_arrives_and_litter_is_swept_is_whole(house: House) -> None:
    stop, problems = threading.Event(), []

    def arrive() -> None:
        number = 1
        while not stop.is_set():
            house.add(number, house.vault.put([os.urandom(33_000)]))
            number += 1

    def clean() -> None:
        while not stop.is_set():
            house.vault.sweep(house.engine, 0)

    threads = [threading.Thread(target=arrive), threading.Thread(target=clean)]
    for thread in threads:
        thread.start()
    try:
        for number in range(4):
            problems += backup.check(made(house, f"backup{number}"))
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert problems == []
    counts = [len(list((house.folder / f"backup{number}" / "blobs").iterdir())) for number in range(4)]
    assert counts == sorted(counts)
    assert counts[-1] > 0


@pytest.mark.usefixtures("ledger")
def test_files_of_a_backup_are_for_their_owner_only(house: House) -> None:
    filled(house)
    target = made(house)
    for each in [target, *target.rglob("*")]:
        assert each.stat().st_mode & 0o777 == (0o700 if each.is_dir() else 0o600)


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("damage", "word"),
    [
        ("cut", "not what was backed up"),
        ("flip", "not what was backed up"),
        ("remove", "missing"),
        ("no manifest", "no finished backup"),
        ("cut manifest", "cut or damaged"),
        ("foreign path", "cut or damaged"),
    ],
)
def test_a_damaged_backup_is_found_out_and_not_restored(house: House, tmp_path: Path, damage: str, word: str) -> None:
    filled(house)
    target = made(house)
    blob = next((target / "blobs").iterdir())
    octets = blob.read_bytes()
    manifest = target / "manifest"
    if damage == "cut":
        blob.write_bytes(octets[:-1])
    elif damage == "flip":
        blob.write_bytes(bytes([octets[0] ^ 1]) + octets[1:])
    elif damage == "remove":
        blob.unlink()
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "cut manifest":
        manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))
    else:
        manifest.write_text(manifest.read_text().replace("blobs/", "blobs/../", 1))
    assert word in backup.check(target)[0]
    with pytest.raises(ConfigError, match="cannot be used"):
        backup.restore(target, {"main.db": tmp_path / "new.db"}, tmp_path / "new")
    assert not (tmp_path / "new.db").exists()


@pytest.mark.usefixtures("ledger")
def test_a_missing_blob_keeps_a_backup_from_being_made(house: House) -> None:
    filled(house)
    house.blobs.delete(next(iter(house.blobs.keys()))[0])
    with pytest.raises(StoreBroken, match="missing"):
        made(house)
    assert "no finished backup" in backup.check(house.folder / "backup")[0]


@pytest.mark.usefixtures("ledger")
def test_nothing_is_overwritten(house: House, tmp_path: Path) -> None:
    target = made(house)
    with pytest.raises(ConfigError, match="exists"):
        made(house)
    with pytest.raises(ConfigError, match="empty home"):
        backup.restore(target, databases(house), tmp_path / "new")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "something").write_bytes(b"")
    with pytest.raises(ConfigError, match="empty home"):
        backup.restore(target, {"main.db": tmp_path / "new.db"}, tmp_path / "new")


def test_a_database_that_is_not_in_the_backup_is_asked_for_in_vain(house: House, tmp_path: Path) -> None:
    target = house.folder / "backup"
    backup.create(target, {"main.db": house.folder / "main.db"}, house.blobs, hold=house.folder / "hold", at=1)
    with pytest.raises(ConfigError, match=r"no ledger\.db"):
        backup.restore(target, {"main.db": tmp_path / "a.db", "ledger.db": tmp_path / "b.db"}, tmp_path / "new")


@pytest.mark.usefixtures("ledger")
def test_files_beside_the_databases_are_checked_and_come_back(house: House) -> None:
    target = house.folder / "backup"
    backup.create(target, databases(house), house.blobs, files={"keys": b"sealed"}, hold=house.folder / "hold", at=1)
    assert backup.check(target) == []
    assert (backup.file(target, "keys"), backup.file(target, "others")) == (b"sealed", None)
    (target / "keys").write_bytes(b"sealeD")
    assert backup.check(target) == ["keys is not what was backed up."]
    with pytest.raises(ConfigError, match="not what was backed up"):
        backup.file(target, "keys")


Check = Literal["integrity_check", "quick_check"]


@pytest.mark.parametrize("check", ["integrity_check", "quick_check"])
def test_a_null_counts_only_where_there_is_one(tmp_path: Path, check: Check) -> None:
    """SQLite 3.40 says so of every row of a table such as this, whose first column is stored last."""
    path = tmp_path / "main.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE f(o INTEGER NOT NULL, a INTEGER NOT NULL, PRIMARY KEY(a)) STRICT, WITHOUT ROWID")
        db.execute("CREATE TABLE g(o INTEGER)")
        db.execute("INSERT INTO f VALUES (0, 1)")
        db.execute("INSERT INTO g VALUES (0)")
    assert looked_at(path, check) == []
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO g VALUES (NULL)")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE g(o INTEGER NOT NULL)' WHERE name = 'g'")
    assert looked_at(path, check) == ["NULL value in g.o"]


def looked_at(path: Path, check: Check) -> list[str]:
    rows = backup.Snapshot(path)
    try:
        return backup.damages(rows, check)
    finally:
        rows.close()
