"""`backup`, `restore`, `recover`: all but the master key copied and put back; the master key from its file.

The keys that sign mail are among it, sealed by the keeper: with new ones every DNS record would have to be published
anew, and until then receivers would take our mail for a forgery.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from cryptnsend import rights
from cryptnsend.cli.options import Progress, home_option, json_option, password_option, read_password, tell
from cryptnsend.cli.owner import is_served, keeper_running, opened, owned
from cryptnsend.config import Config
from cryptnsend.core.errors import ConfigError, Denied, KeeperGone
from cryptnsend.delivery.keyring import STATE_FILE
from cryptnsend.home import Home, sync_folder, write_private
from cryptnsend.store import backup as backups

if TYPE_CHECKING:
    from cryptnsend.keeper.client import Keeper

SIGNING_KEYS = "signing-keys"  # a file of the backup
IS_THERE = "{}: there is a master key here already, and none is ever overwritten. Nothing was changed."
_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")


def databases(home: Home) -> dict[str, Path]:
    """Return which databases a backup has, by their names in it."""
    return {backups.MAIN: home.main_db, "ledger.db": home.ledger}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@home_option
@json_option
def backup(config: Config, folder: Path, as_json: bool) -> None:
    """
    Copy everything but the master key to FOLDER, which must not exist yet, and check the copy.

    The server may run meanwhile. What is in the copy is as sealed as in the vault, the keys that sign mail too; without
    the master key nobody opens it, and neither do you: keep the recovery files elsewhere.
    """
    home = Home(config.server.home)
    with opened(config) as app, Progress() as progress:
        app.engine.query("SELECT 1")
        files = _sealed_files(config, app.keeper)
        entries = backups.create(
            folder,
            databases(home),
            app.blobs,
            files=files,
            hold=home.deletions_lock,
            at=app.clock.now(),
            progress=progress,
        )
        if problems := backups.check(folder, progress=progress):
            raise ConfigError(f"{folder}: this backup is damaged: {problems[0]}")
    octets = sum(entry.size for entry in entries)
    answer = {"folder": str(folder), "files": len(entries), "bytes": octets, "signing_keys": SIGNING_KEYS in files}
    words = f"{folder} holds {len(entries)} files, {octets:,} bytes, checked. The master key is not in it."
    tell(as_json, answer, words)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@home_option
@json_option
def restore(config: Config, folder: Path, as_json: bool) -> None:
    """
    Put the backup in FOLDER back into a home that has its configuration and master key, but no data yet.

    What was ended since the backup stays ended, everybody has to sign in again, and codes given out before stop
    working. The keys that sign mail come back, so that what is published in the DNS still holds.
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
    rights.renew(config, deep=True)
    with owned(config, restoring=True) as app:
        app.keeper.restored()
        app.upkeep.restored()
        app.owner.note_restore()
        selectors = _restore_keys(home, app.keeper, backups.file(folder, SIGNING_KEYS))
    rights.renew(config)
    home.restoring.unlink()
    sync_folder(home.restoring.parent)
    if selectors:
        signing = f"Mail is signed with the keys of before ({', '.join(selectors)}); their DNS records still hold."
    else:
        signing = "The backup has no signing keys, so this home has new ones: publish what `cryptnsend dns` prints."
    words = f"{folder} is restored to {home.path}. Sessions and codes from before have ended.\n{signing}"
    tell(as_json, {"folder": str(folder), "home": str(home.path), "signing_keys": selectors}, words)


def _sealed_files(config: Config, keeper: Keeper) -> dict[str, bytes]:
    """
    Return the keys that sign mail and how they stand, each sealed by the keeper and bound to its name.

    Nothing without a keeper.
    """
    folder = Home(config.server.home).dkim
    found = {file.stem: file for file in folder.glob("*.pem")}
    if (folder / STATE_FILE).exists():
        found[STATE_FILE] = folder / STATE_FILE
    try:
        with keeper_running(config):
            sealed = {
                name: keeper.seal_file(f"dkim/{file.name}", file.read_bytes()) for name, file in sorted(found.items())
            }
    except KeeperGone as gone:  # everything else can be copied, and is worth more
        click.echo(f"The keys that sign mail are not in this backup. {gone}", err=True)
        return {}
    return {SIGNING_KEYS: msgspec.msgpack.encode(sealed)}


def _restore_keys(home: Home, keeper: Keeper, backed_up: bytes | None) -> list[str]:
    """Put the signing keys of a backup in the place of those that `init` made; return their selectors."""
    sealed = msgspec.msgpack.decode(backed_up, type=dict[str, bytes]) if backed_up else {}
    stated = sealed.pop(STATE_FILE, None)
    files = {f"{selector}.pem": octets for selector, octets in sealed.items()}
    if not all(map(_SELECTOR.fullmatch, sealed)):
        raise ConfigError("This backup cannot be used: it has a signing key without a proper name.")
    if stated is not None:
        files[STATE_FILE] = stated
    opened_files = {name: keeper.open_file(f"dkim/{name}", octets) for name, octets in files.items()}
    if sealed:
        for made in home.dkim.glob("*.pem"):  # by `init`, and published by nobody
            made.unlink()
    for name, octets in opened_files.items():
        write_private(home.dkim / name, octets)
    return sorted(sealed)


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
@json_option
def recover(config: Config, file: Path, from_stdin: bool, as_json: bool) -> None:
    """
    Put the master key back from FILE, the installation's recovery file. Its code is asked for.

    A master key that is there is never overwritten.
    """
    from cryptnsend.keeper import providers, recovery

    place = config.keeper.key_file
    if config.keeper.provider != "file":
        raise ConfigError(
            f"{config.source}: [keeper] provider = {config.keeper.provider}: `recover` writes files only."
        )
    if place.exists():
        raise Denied(IS_THERE.format(place))
    try:
        sheet = recovery.sheet(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise Denied(f"{file} cannot be read as a recovery file.") from None
    if sheet.kind != recovery.MASTER:
        raise Denied(f"{file} is the recovery file of an organisation's archive; the installation's is needed.")
    recovered = sheet.opened(read_password(from_stdin, "Code of the recovery file"))
    try:
        providers.make_master_key(place, os.urandom, recovered.key)
    except FileExistsError:
        raise Denied(IS_THERE.format(place)) from None
    rights.renew(config)
    if Home(config.server.home).ledger.exists():
        with owned(config, restoring=True) as app:
            health = app.keeper.health()
        if not health.ok:
            place.unlink()
            raise Denied(f"This master key does not open the ledger of this home: {health.why}")
    tell(as_json, {"master_key": str(place)}, f"The master key is in {place}.")
