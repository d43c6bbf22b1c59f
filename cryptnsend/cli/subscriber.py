"""`subscriber`: who may send."""

from __future__ import annotations

import click

from cryptnsend.cli.device import as_asked, show_devices
from cryptnsend.cli.options import (
    Commands,
    home_option,
    json_option,
    password_option,
    printable,
    read_password,
    show_json,
    show_table,
    tell,
)
from cryptnsend.cli.owner import keep_recovery, opened, owned
from cryptnsend.config import Config
from cryptnsend.core.contracts import Row

COLUMNS = {"address": "address", "name": "name", "organisation": "organisation", "roles": "roles", "state": "state"}
OWN = "(own)"  # stands for an organisation of one
WITH_OLD = "; other sessions have ended, devices stay."
WITHOUT_OLD = """, set without the old one. Sessions have ended, devices stay.
Mail from before stays closed, and new mail waits for its senders' codes, until they show who they are:
with the old password, the recovery code, a device password, or an officer's word. Nothing is lost."""


@click.group(cls=Commands)
def subscriber() -> None:
    """People who may send through this server."""


def _organisation_options(command: click.decorators.FC) -> click.decorators.FC:
    command = click.option("--own", is_flag=True, help="Give them an organisation of one.")(command)
    return click.option(
        "--organisation",
        metavar="NAME",
        help="Their organisation; the only one there is if not given, else an organisation of one.",
    )(command)


@subscriber.command()
@click.argument("address")
@click.option("--name", default="", help="Their name as recipients see it.")
@_organisation_options
@password_option
@home_option
@json_option
def add(
    config: Config, address: str, name: str, organisation: str | None, own: bool, from_stdin: bool, as_json: bool
) -> None:
    """
    Make ADDRESS a subscriber with a password that you hand over.

    A subscriber with an organisation of one gets a recovery file for its archive, in recovery/ of the home.
    """
    _check_options(organisation, own)
    with opened(config) as app:
        org = None if own else app.owner.organisation(organisation)
        app.owner.newcomer(address)
    password = read_password(from_stdin, f"Password for {address}", new=True)
    with owned(config) as app:
        made = app.owner.add(address, password, organisation=org, roles=("subscriber",), name=name)
    kept = keep_recovery(config, f"archive-{made.addresses[0]}", made.recovery)
    answer = {"account": made.account, "address": made.addresses[0], "recovery": kept[0]._asdict() if kept else None}
    words = f"{made.addresses[0]} may send now: user name {made.addresses[0]}, and the password you gave."
    tell(as_json, answer, "\n".join([words, *map(str, kept)]))


@subscriber.command()
@click.argument("address")
@click.option("--name", default="", help="Their name, for the invitation.")
@_organisation_options
@home_option
@json_option
def invite(config: Config, address: str, name: str, organisation: str | None, own: bool, as_json: bool) -> None:
    """Mail ADDRESS an invitation; they choose their own password."""
    _check_options(organisation, own)
    with owned(config) as app:
        org = None if own else app.owner.organisation(organisation)
        invited = app.owner.invite(address, org, name)
    answer = {"invitation": invited, "address": address, "organisation": org}
    tell(as_json, answer, f"An invitation to {address} waits to leave.")


@subscriber.command("list")
@home_option
@json_option
def list_(config: Config, as_json: bool) -> None:
    """List the subscribers."""
    with opened(config) as app:
        rows = app.owner.subscribers()
    if as_json:
        show_json(rows)
        return
    shown = [{**row, "roles": ", ".join(row["roles"]), "organisation": row["organisation"] or OWN} for row in rows]
    show_table(shown, COLUMNS, empty="There is no subscriber yet.")


@subscriber.command()
@click.argument("address")
@home_option
@json_option
def show(config: Config, address: str, as_json: bool) -> None:
    """Show one subscriber and their devices."""
    with opened(config) as app:
        row = app.owner.show(address)
    devices = row.pop("devices")
    if as_json:
        show_json({**row, "devices": as_asked(devices)})
        return
    row["organisation"] = row["organisation"] or OWN
    for key, value in row.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        click.echo(f"{key + ':':14}{printable(shown)}".rstrip())
    click.echo()
    show_devices(devices, empty="No device passwords.")


@subscriber.command()
@click.argument("address")
@click.option("--enable", is_flag=True, help="Let them sign in again.")
@home_option
@json_option
def disable(config: Config, address: str, enable: bool, as_json: bool) -> None:
    """Stop ADDRESS from signing in anywhere, at once. Nothing of theirs is lost."""
    with owned(config) as app:
        if enable:
            app.owner.enable(address)
        else:
            app.owner.disable(address)
        answer = _standing(app.owner.show(address))
    tell(as_json, answer, f"{address} {'may sign in again' if enable else 'is disabled'}.")


@subscriber.command()
@click.argument("address")
@click.option("--forgotten", is_flag=True, help="Do without the old password: a weak reset.")
@password_option
@home_option
@json_option
def passwd(config: Config, address: str, forgotten: bool, from_stdin: bool, as_json: bool) -> None:
    """
    Change the password of ADDRESS: the old one is asked for, then the new one.

    Without the old one (--forgotten) nothing is lost, but mail from before stays closed until they show that they are
    who they say: with the old password, the recovery code, a device password, or an officer's word.
    """
    with opened(config) as app:
        app.owner.show(address)  # nobody types passwords for an address that is wrong
    old = None if forgotten else read_password(from_stdin, "Old password")
    new = read_password(from_stdin, "New password", new=True)
    with owned(config) as app:
        app.owner.set_password(address, new, old)
        answer = _standing(app.owner.show(address))
    tell(as_json, answer, f"{address} has a new password{WITHOUT_OLD if forgotten else WITH_OLD}")


def _standing(row: Row) -> Row:
    return {name: row[name] for name in ("account", "address", "state")}


def _check_options(organisation: str | None, own: bool) -> None:
    if organisation is not None and own:
        raise click.UsageError("--organisation and --own exclude each other.")
