"""What can a thief read of what they took? Our own format, without our processes."""

from __future__ import annotations

import base64
import os
import shutil
import sqlite3
from pathlib import Path

from cryptnsend.core import keys
from cryptnsend.core.errors import CryptnSendError, SealBroken
from cryptnsend.core.passwords import Argon, derive, unwrap_seed
from cryptnsend.core.seal import framed, open_sealed, open_stream
from cryptnsend.keeper.providers import FileProvider, NoMasterKey
from cryptnsend.keeper.secrets import Secrets, load
from cryptnsend.store import backup
from cryptnsend.store.sqlite import SqliteEngine
from tests.support.house import House


class Thief:
    """Reads what was stolen, with our own format and without our processes."""

    def __init__(self, house: House, folder: Path, *, with_master_key: bool, from_backup: bool = False):
        folder.mkdir()
        if from_backup:
            databases = {"main.db": house.home.main_db, "ledger.db": house.home.ledger}
            hold = house.home.run / "deletions.lock"
            backup.create(folder / "data", databases, house.portal.blobs, hold=hold, at=house.clock.now())
        else:
            shutil.copytree(house.home.main_db.parent, folder / "data")
            for path in house.home.keeper.iterdir():
                if path.name != house.config.keeper.key_file.name:
                    shutil.copy(path, folder / "data" / path.name)
        if with_master_key:
            shutil.copy(house.config.keeper.key_file, folder / "master.key")
        self.folder, self._clock = folder, house.clock
        self.main = sqlite3.connect(folder / "data" / "main.db")
        self.ledger = sqlite3.connect(folder / "data" / "ledger.db")
        for each in (self.main, self.ledger):
            each.row_factory = sqlite3.Row

    def close(self) -> None:
        self.main.close()
        self.ledger.close()

    def octets(self) -> bytes:
        """Return every octet of the booty, and of what stands base64-encoded in it."""
        return b"\0".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())

    def secrets(self) -> Secrets | None:
        """Return the keeper's secrets, if the booty has what unwraps them."""
        engine = SqliteEngine(self.folder / "data" / "ledger.db")
        try:
            return load(engine, FileProvider(self.folder / "master.key", os.urandom), self._clock, os.urandom)
        except NoMasterKey:
            return None
        finally:
            engine.close()

    def seeds(self) -> dict[int, bytes]:
        """Return every pair's seed that can be had."""
        secrets, found = self.secrets(), {}
        if secrets is None:
            return {}
        for row in self.ledger.execute("SELECT * FROM pairs"):
            if row["recovery_wrap"] is not None:
                aad = framed("recovery", row["id"], row["holder"])
                found[row["id"]] = keys.unbox(secrets.key("recovery"), row["recovery_wrap"], aad)
        for row in self.ledger.execute("SELECT * FROM secrets WHERE label IN ('pending', 'queue')"):
            found[row["key_id"]] = secrets.key(row["label"], row["key_id"])
        return found

    def passwords_fit(self, password: str) -> bool:
        """Say whether a guessed password can be told from a wrong one with what was stolen."""
        rows = self.ledger.execute(
            "SELECT w.pair, w.wrap, a.salt, a.params FROM wraps w JOIN pairs p ON p.id = w.pair"
            " JOIN accounts a ON p.holder = 'account:' || a.id WHERE w.kind = 'password'"
        ).fetchall()
        assert rows
        secrets = self.secrets()
        for row in rows:
            wrap = row["wrap"]
            try:
                if secrets is not None:
                    wrap = keys.unbox(secrets.key("outer"), wrap, framed("outer", row["pair"], "password"))
                k = derive(password, row["salt"], Argon.decode(row["params"]))
                unwrap_seed(k, wrap, pair=row["pair"], kind="password")
            except CryptnSendError:
                continue
            return True
        return False

    def archives(self) -> list[bytes]:
        """Return the seeds of archives that can be had by any seed there is."""
        found = []
        for row in self.ledger.execute("SELECT * FROM wraps WHERE kind = 'officer'"):
            holder = self.ledger.execute("SELECT holder FROM pairs WHERE id = ?", (row["pair"],)).fetchone()[0]
            owners = [each[0] for each in self.ledger.execute("SELECT 'account:' || id FROM accounts")]
            for seed in self.seeds().values():
                for owner in owners:
                    try:
                        found.append(
                            keys.open_with(
                                seed, row["wrap"], label="archive", owner=owner, holder=holder, ref=row["pair"]
                            )
                        )
                    except SealBroken:
                        continue
        return found

    def opens(self, message: int, roles: tuple[str, ...] = ("author", "recipient", "archive")) -> str:
        """Return the text of a message, opened by whatever grant of these roles opens, or nothing."""
        seeds = self.seeds()
        rows = self.main.execute(
            "SELECT g.*, e.pair, e.owner, e.holder AS epoch_holder, e.sealed FROM grants g"
            " JOIN epochs e ON e.id = g.epoch WHERE g.message = ?",
            (message,),
        ).fetchall()
        assert rows
        for row in rows:
            if row["role"] not in roles or row["pair"] not in seeds:
                continue
            epoch = keys.open_with(
                seeds[row["pair"]],
                row["sealed"],
                label="epoch",
                owner=row["owner"],
                holder=row["epoch_holder"],
                ref=row["epoch"],
            )
            binding = keys.GrantBinding(
                row["org"], row["message"], row["holder"], row["role"], row["contact"], row["custody"]
            )
            return self._text(message, keys.unwrap_content(epoch, row["wrap"], binding)[:32])
        return ""

    def waiting_to_leave(self) -> list[str]:
        """Return the texts of what waits to leave, as far as they can be had."""
        seeds, found = self.seeds(), []
        rows = self.main.execute(
            "SELECT d.*, a.canonical, e.pair, e.sealed FROM deliveries d JOIN addresses a ON a.id = d.recipient"
            " JOIN epochs e ON e.id = d.queue_epoch WHERE d.queue_wrap IS NOT NULL"
        ).fetchall()
        assert rows
        for row in rows:
            if row["pair"] in seeds:
                epoch = keys.open_with(
                    seeds[row["pair"]],
                    row["sealed"],
                    label="epoch",
                    owner="keeper",
                    holder="queue",
                    ref=row["queue_epoch"],
                )
                binding = keys.QueueBinding(
                    row["org"], row["message"], row["id"], row["canonical"], row["form"] or row["kind"]
                )
                found.append(self._text(row["message"], keys.unwrap_content(epoch, row["queue_wrap"], binding)))
        return found

    def _text(self, message: int, key: bytes) -> str:
        row = self.main.execute("SELECT * FROM contents WHERE message = ? AND part = 'raw'", (message,)).fetchone()
        if row["blob_key"] is None:
            return open_sealed(key, message, "raw", row["body"]).decode("latin-1")
        blob = (self.folder / "data" / "blobs" / row["blob_key"]).read_bytes()
        return b"".join(open_stream(key, message, "raw", [blob])).decode("latin-1")


def every_form(secret: bytes) -> list[bytes]:
    """Return how *secret* would look at rest if somebody forgot to seal it: raw, hex, and base64 at each offset."""
    forms = [secret, secret.hex().encode(), secret.hex().upper().encode(), secret.decode("latin-1").encode("utf-16-le")]
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + secret)
        # The first and last groups also depend on the neighbours, so only what lies between them is looked for.
        forms.append(encoded[(offset * 8 + 5) // 6 : len(encoded) - 4])
    forms += [each.replace(b"+", b"-").replace(b"/", b"_") for each in forms[4:]]
    return [each for each in forms if len(each) >= 6]
