"""`passkey`: how people sign in without their password. They are made on the pages alone."""

from __future__ import annotations

import click
import msgspec

from cryptnsend.cli.options import Commands, home_option, json_option, moment, show_json, show_table, tell
from cryptnsend.cli.owner import owned
from cryptnsend.config import Config

KEPT = {"device": "in one device", "synced": "may be copied", "backed-up": "copied"}
COLUMNS = {
    "id": "passkey",
    "name": "name",
    "opens": "opens",
    "kept": "kept",
    "created": "made",
    "used": "last used",
    "copied": "counted backwards",
}


@click.group(cls=Commands)
def passkey() -> None:
    """Passkeys: how people sign in without their password, to be removed one by one."""


@passkey.command("list")
@click.argument("address")
@home_option
@json_option
def list_(config: Config, address: str, as_json: bool) -> None:
    """
    List the passkeys of ADDRESS.

    One that opens nothing by itself signs in, and what its owner's organisation keeps away from this server opens with
    the password. One that counted backwards may have been copied.
    """
    with owned(config) as app:
        found = [msgspec.structs.asdict(each) for each in app.owner.passkeys(address)]
    if as_json:
        show_json(found)
        return
    shown = [
        {
            **row,
            "opens": "all" if row["opens"] else "what the server can",
            "kept": KEPT[row["kept"]],
            "created": moment(row["created"]),
            "used": moment(row["used"]) or "never",
            "copied": moment(row["copied"]) or "no",
        }
        for row in found
    ]
    show_table(shown, COLUMNS, empty=f"{address} has no passkey.")


@passkey.command()
@click.argument("address")
@click.argument("which", metavar="PASSKEY")
@home_option
@json_option
def revoke(config: Config, address: str, which: str, as_json: bool) -> None:
    """
    Remove PASSKEY of ADDRESS, a number or a name as `passkey list` shows it: it opens nothing from its next use on.

    With the last one, the account asks for no passkey after the password any more. Its owner is told by mail.
    """
    with owned(config) as app:
        found = app.owner.passkey(address, which)
        app.owner.revoke_passkey(address, found)
    tell(as_json, {"id": found, "address": address}, f"Passkey {found} of {address} is removed.")
