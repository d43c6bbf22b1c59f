"""`device`: passwords for single mail programs."""

from __future__ import annotations

from collections.abc import Iterable

import click

from cryptnsend.cli.options import (
    Commands,
    home_option,
    json_option,
    moment,
    password_option,
    read_password,
    show_json,
    show_table,
    tell,
)
from cryptnsend.cli.owner import opened, owned
from cryptnsend.config import Config
from cryptnsend.core.contracts import Row

SCOPES = {"send": "submit", "read": "read", "mail": "mail"}  # as people say it → as it rests
SHOWN = {"submit": "sending", "read": "reading", "mail": "sending, reading"}
COLUMNS = {"id": "device", "name": "name", "scope": "for", "created": "made", "used": "last used"}


@click.group(cls=Commands)
def device() -> None:
    """Device passwords: one per mail program, to be revoked one by one."""


@device.command()
@click.argument("address")
@click.option("--name", required=True, help="What it is for, as 'Outlook at the office'.")
@click.option(
    "--scope",
    type=click.Choice(list(SCOPES)),
    default="send",
    show_default=True,
    help="Sending (SMTP), reading (IMAP and POP), or both (mail).",
)
@password_option
@home_option
@json_option
def add(config: Config, address: str, name: str, scope: str, from_stdin: bool, as_json: bool) -> None:
    """Make a device password for ADDRESS, whose account password is asked for. It is shown this once."""
    with opened(config) as app:
        app.owner.show(address)  # nobody types a password for an address that is wrong
    password = read_password(from_stdin, f"Password of {address}")
    with owned(config) as app:
        made = app.owner.add_device(address, password, name, SCOPES[scope])
    answer = {"id": made.id, "name": made.name, "password": made.password}
    tell(as_json, answer, f"Device {made.id}, {made.name}. Its password, shown this once:\n{made.password}")


@device.command("list")
@click.argument("address")
@home_option
@json_option
def list_(config: Config, address: str, as_json: bool) -> None:
    """List the devices of ADDRESS."""
    with opened(config) as app:
        rows = app.owner.devices(address)
    if as_json:
        show_json(as_asked(rows))
        return
    show_devices(rows, empty=f"{address} has no device password.")


@device.command()
@click.argument("named", metavar="[ADDRESS] DEVICE", nargs=-1, required=True)
@home_option
@json_option
def revoke(config: Config, named: tuple[str, ...], as_json: bool) -> None:
    """
    Revoke DEVICE: its password fails at the next use.

    DEVICE is a number as `device list` shows it, or, behind the ADDRESS of its account, a number or a name.
    """
    if len(named) > 2:
        raise click.UsageError("Name one device. A name with spaces stands in quotes: 'Outlook at the office'.")
    *address, which = named
    number = None if address else _number(which)  # before anything is opened
    with owned(config) as app:
        device_id = app.owner.device(address[0], which) if number is None else number
        revoked = app.owner.revoke_device(device_id)
    tell(as_json, {"id": device_id, "revoked": revoked}, f"Device {device_id} is revoked.")


def _number(which: str) -> int:
    """Return the number of a device that is named without its account."""
    if which.isascii() and which.isdigit() and int(which) < 1 << 63:
        return int(which)
    raise click.UsageError(
        f"{which!r} alone names no device. Say whose it is: cryptnsend device revoke ADDRESS NAME,"
        " or give the number that cryptnsend device list ADDRESS shows."
    )


def as_asked(rows: Iterable[Row]) -> list[Row]:
    """Return devices with their scope in the words that `--scope` takes."""
    words = {scope: word for word, scope in SCOPES.items()}
    return [{**row, "scope": words[row["scope"]]} for row in rows]


def show_devices(rows: Iterable[Row], *, empty: str) -> None:
    """Print devices side by side, or the sentence *empty*."""
    shown = [
        {
            **row,
            "scope": SHOWN[row["scope"]],
            "created": moment(row["created"]),
            "used": moment(row["used"]) or "never",
        }
        for row in rows
    ]
    show_table(shown, COLUMNS, empty=empty)
