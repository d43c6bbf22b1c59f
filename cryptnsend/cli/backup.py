"""`backup`, `restore`, `recover`: all but the master key copied and put back; the master key from its file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from cryptnsend.cli.options import home_option, password_option, read_password
from cryptnsend.cli.owner import is_served, opened, owned
from cryptnsend.config import Config
from cryptnsend.core.errors import ConfigError, Denied
from cryptnsend.home import Home, sync_folder, write_private
from cryptnsend.store import backup as backups


def databases(home: Home) -> dict[str, Path]:
    """Return which databases a backup has, by their names in it."""
    return {backups.MAIN: home.main_db, "ledger.db": home.ledger}


class Progress:
    """Progress bars on standard error, one for each thing that is copied or checked; none where nobody watches."""

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def __enter__(self) -> Progress:
        return self

    def __call__(self, what: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            return
        bar = self._bars.get(what)
        if bar is None:
            bar = self._bars[what] = click.progressbar(length=total, label=what, file=sys.stderr)
            bar.__enter__()
        bar.update(done - bar.pos)

    def __exit__(self, *_: object) -> None:
        for bar in self._bars.values():
            bar.__exit__(None, None, None)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@home_option
def backup(config: Config, folder: Path) -> None:
    """
    Copy everything but the master key to FOLDER, which must not exist yet, and check the copy.

    The server may run meanwhile. What is in the copy is as sealed as in the vault; without the master key nobody opens
    it, and neither do you: keep the recovery files elsewhere.
    """
    home = Home(config.server.home)
    with opened(config) as app, Progress() as progress:
        app.engine.query("SELECT 1")
        entries = backups.create(
            folder,
            databases(home),
            app.blobs,
            hold=home.run / "deletions.lock",
            at=app.clock.now(),
            progress=progress,
        )
        if problems := backups.check(folder, progress=progress):
            raise ConfigError(f"{folder}: this backup is damaged: {problems[0]}")
    octets = sum(entry.size for entry in entries)
    click.echo(f"{folder} holds {len(entries)} files, {octets:,} bytes, checked. The master key is not in it.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@home_option
def restore(config: Config, folder: Path) -> None:
    """
    Put the backup in FOLDER back into a home that has its configuration and master key, but no data yet.

    What was ended since the backup stays ended, everybody has to sign in again, and codes given out before stop
    working.
    """
    home = Home(config.server.home)
    if is_served(home):
        raise ConfigError(f"{home.path}: a server runs on this home. Stop it first.")
    if config.keeper.provider == "file" and not config.keeper.key_file.exists():
        raise ConfigError(f"{config.keeper.key_file}: there is no master key yet. `cryptnsend recover` comes first.")
    if home.restoring.exists():
        _clear(home)
    with Progress() as progress:
        backups.restore(
            folder, databases(home), home.blobs, begin=lambda: write_private(home.restoring, b""), progress=progress
        )
    with owned(config, restoring=True) as app:
        app.keeper.restored()
        app.upkeep.restored()
    home.restoring.unlink()
    sync_folder(home.restoring.parent)
    click.echo(f"{folder} is restored to {home.path}. Sessions and codes from before have ended.")


def _clear(home: Home) -> None:
    """Remove what a restore that was broken off has left: copies, in a home that had no data when it began."""
    for place in databases(home).values():
        for end in ("", "-wal", "-shm", "-journal"):
            place.with_name(place.name + end).unlink(missing_ok=True)
    for blob in home.blobs.glob("*"):
        blob.unlink()


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@password_option
@home_option
def recover(config: Config, file: Path, from_stdin: bool) -> None:
    """
    Put the master key back from FILE, the installation's recovery file. Its code is asked for.

    A master key that is there is never overwritten.
    """
    from cryptnsend.keeper import providers, recovery

    if config.keeper.provider != "file":
        raise ConfigError(
            f"{config.source}: [keeper] provider = {config.keeper.provider}: `recover` writes files only."
        )
    try:
        recovered = recovery.read(file.read_text("utf-8"), read_password(from_stdin, "Code of the recovery file"))
    except (OSError, UnicodeDecodeError):
        raise Denied(f"{file} cannot be read as a recovery file.") from None
    if recovered.kind != recovery.MASTER:
        raise Denied(f"{file} is the recovery file of an organisation's archive; the installation's is needed.")
    place = config.keeper.key_file
    try:
        providers.make_master_key(place, os.urandom, recovered.key)
    except FileExistsError:
        raise Denied(f"{place}: there is a master key here already.") from None
    if Home(config.server.home).ledger.exists():
        with owned(config, restoring=True) as app:
            health = app.keeper.health()
        if not health.ok:
            place.unlink()
            raise Denied(f"This master key does not open the ledger of this home: {health.why}")
    click.echo(f"The master key is in {place}.")
