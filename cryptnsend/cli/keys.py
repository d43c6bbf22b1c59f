"""`keys`: which keys the server has, and how each is replaced while everything from before still opens."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cryptnsend import rights
from cryptnsend.cli.options import Commands, home_option, json_option, moment, show_json, show_table, tell
from cryptnsend.cli.owner import Kept, is_served, keep_recovery, must_be_restored, opened, owned
from cryptnsend.clock import SystemClock
from cryptnsend.config import NEXT, Config
from cryptnsend.core.errors import ConfigError, Denied
from cryptnsend.home import Home, locked, sync_folder
from cryptnsend.store.sqlite import SqliteEngine

if TYPE_CHECKING:
    from cryptnsend.keeper.providers import Provider
    from cryptnsend.keeper.requests import OwnKey, RecoveryFile

ROTATED = ("link", "recovery", "queue", "pending")
COLUMNS = {"name": "key", "number": "number", "made": "made", "in_use": "in use"}
COMING = ".next"  # ends the name of a master key that is on its way into its place


@click.group(cls=Commands)
def keys() -> None:
    """The keys of the server: which there are, and how each is replaced while old mail still opens."""


@keys.command("list")
@home_option
@json_option
def list_(config: Config, as_json: bool) -> None:
    """List the keeper's own keys, each with its age; never a key itself. Those that sign mail: `dkim list`."""
    with owned(config) as app:
        found = app.owner.keys()
    _show(found, as_json)


@keys.command()
@click.argument("name", type=click.Choice(ROTATED))
@home_option
@json_option
def rotate(config: Config, name: str, as_json: bool) -> None:
    """
    Make a new key of the keeper's. The server may run.

    link: of links and reply addresses in mails. queue: to which mail is sealed that waits to leave. pending: to which
    mail is sealed whose recipient has not shown the code yet. Of these three the old keys stay for what was made with
    them. recovery: under which the keeper can open managed mail after a lost password; all of it is put under the new
    key, and the old one is destroyed.
    """
    with owned(config) as app:
        made = app.owner.rotate(name)
    _show(made, as_json)


@keys.command()
@click.argument("address", required=False)
@click.option("--all", "everybody", is_flag=True, help="Everybody who may sign in.")
@home_option
@json_option
def renew(config: Config, address: str | None, everybody: bool, as_json: bool) -> None:
    """
    Let the account at ADDRESS get new keys when its owner next types the password on a page.

    Mail from before still opens; devices and passkeys go on, other browsers sign in again. A recovery code opens
    earlier mail only from then on, so a mail asks its owner to make a new one.
    """
    if everybody == (address is not None):
        raise click.UsageError("Name an ADDRESS, or everybody with --all.")
    with owned(config) as app:
        count = app.owner.order_keys(address or "")
    tell(as_json, {"accounts": count}, f"{count} accounts get new keys at their next sign-in.")


@keys.command()
@click.option(
    "--to",
    "provider",
    type=click.Choice(("file", "env", "pkcs11")),
    help="Where the new master key is kept, if elsewhere than now.",
)
@home_option
@json_option
def master(config: Config, provider: str | None, as_json: bool) -> None:
    """
    Replace the master key. The server has to be stopped.

    What the old one wraps is put under the new one, nothing else changes, and there is a new recovery file. Backups of
    before open with the old recovery file only: keep it, marked as old, for as long as you keep them. One that moves
    is used when [keeper] provider says so; that of a token has no recovery file. For env the new key is what the
    variable holds whose name is that of [keeper] key_variable with _NEXT behind it.
    """
    from cryptnsend.keeper import recovery

    wanted = provider or config.keeper.provider
    if (config.keeper.provider, wanted) != ("file", "file"):
        with _alone(config) as engine:
            after = _moved(config, engine, wanted)
        # The keeper that these settings would start has the key of before.
        sheet = None if wanted == "pkcs11" else recovery.master_file(after, SystemClock().now(), os.urandom)
        kept = _kept(config, sheet)
        with opened(config) as app:
            app.owner.note_rotation("master")
            if sheet:
                app.owner.note_recovery()
        words = [_what_comes_next(config, wanted), *map(str, kept)]
        tell(as_json, {"provider": wanted, "recovery": [each._asdict() for each in kept]}, "\n".join(words))
        return
    with _alone(config) as engine:
        place = _replaced(config, engine)
    with owned(config) as app:
        sheet = app.owner.recovery_file()
        app.owner.note_rotation("master")
    kept = _kept(config, sheet)
    words = [f"The new master key is in {place}.", *map(str, kept)]
    tell(as_json, {"master_key": str(place), "recovery": [each._asdict() for each in kept]}, "\n".join(words))


def _kept(config: Config, sheet: RecoveryFile | None) -> list[Kept]:
    return keep_recovery(config, f"installation-{datetime.now(UTC):%Y-%m-%d-%H%M%S}", sheet)


@contextlib.contextmanager
def _alone(config: Config) -> Iterator[SqliteEngine]:
    """Yield the ledger of a home on which no server runs and no other command has a keeper."""
    home = Home(config.server.home)
    must_be_restored(home)
    if is_served(home):
        raise ConfigError(f"{home.path}: a server runs on this home. Stop it first.")
    with locked(home.run / "command.lock"):
        engine = SqliteEngine(home.ledger)
        try:
            yield engine
        finally:
            engine.close()
            rights.renew(config)


def _moved(config: Config, engine: SqliteEngine, wanted: str) -> Provider:
    """Put the ledger under a new master key in another place than now, and return who has it."""
    from cryptnsend.app.strongroom import provider, token
    from cryptnsend.keeper import providers, secrets

    place, variable = config.keeper.key_file, config.keeper.key_variable
    if wanted == "pkcs11" == config.keeper.provider:
        raise Denied(
            "A key in a token is not replaced by another in it at once: move it to a file, which makes a new one, name "
            "another [keeper] pkcs11_key, and move it back."
        )
    if os.environ.get(variable) == os.environ.get(variable + NEXT) and wanted == "env" == config.keeper.provider:
        raise Denied(f"{variable}{NEXT} has to hold a new key, 32 octets as base64, which {variable} does not hold.")
    before = provider(config)
    if wanted == "env":
        after: Provider = providers.EnvProvider(variable + NEXT, os.environ, os.urandom)
        if secrets.opens(engine, after):
            return after  # an earlier try got as far as that
    elif wanted == "pkcs11":
        after = token(config)
        token(config).make()
    else:
        if place.exists():
            raise Denied(f"{place}: there is a master key here already. Move it away first.")
        after = providers.FileProvider(place, os.urandom)
        providers.make_master_key(place, os.urandom)
    secrets.rewrap(engine, before, after)
    return after


def _what_comes_next(config: Config, wanted: str) -> str:
    """Tell whoever moved a master key what to do before the server starts."""
    old = "the key of before opens nothing but backups of before."
    variable = config.keeper.key_variable
    if wanted == "env":
        setting = f'set [keeper] provider = "env" in {config.source}'
        return f"Now start the server with what {variable}{NEXT} holds in {variable}, and {setting}; {old}"
    return f'Now set [keeper] provider = "{wanted}" in {config.source}; {old}'


def _replaced(config: Config, engine: SqliteEngine) -> Path:
    """
    Put the ledger under a new master key in a file, and that file in its place; go on where an earlier try ended.

    The new key is durable before anything is wrapped under it, and takes the old one's name only after that.
    """
    from cryptnsend.keeper import providers, secrets

    place = config.keeper.key_file
    coming = place.with_name(place.name + COMING)
    before, after = (providers.FileProvider(each, os.urandom) for each in (place, coming))
    if coming.exists() and secrets.opens(engine, after):
        pass  # the ledger is under the new key already; only its name is missing
    else:
        if not secrets.opens(engine, before):
            raise ConfigError(f"{place} is not the master key of this ledger. Nothing was changed.")
        coming.unlink(missing_ok=True)  # of a try that ended before anything was under it
        providers.make_master_key(coming, os.urandom)
        secrets.rewrap(engine, before, after)
    coming.replace(place)
    sync_folder(place.parent)
    return place


def _show(found: list[OwnKey], as_json: bool) -> None:
    if as_json:
        show_json(
            [{"name": key.label, "number": str(key.key_id), "made": key.made, "in_use": key.is_newest} for key in found]
        )
        return
    rows = [
        {
            "name": key.label,
            "number": str(key.key_id),
            "made": moment(key.made),
            "in_use": "yes" if key.is_newest else "for what is old",
        }
        for key in found
    ]
    show_table(rows, COLUMNS, empty="The keeper has no keys yet.")
