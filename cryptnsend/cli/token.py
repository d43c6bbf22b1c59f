"""`token`: what programs send by, to be listed and revoked. Subscribers make them on their page."""

from __future__ import annotations

import click

from cryptnsend.cli.options import Commands, home_option, json_option, moment, show_json, show_table, tell
from cryptnsend.cli.owner import opened, owned
from cryptnsend.config import Config

COLUMNS = {"id": "token", "name": "name", "scopes": "for", "created": "made", "ends": "ends", "used": "last used"}
MOST = 1 << 63


@click.group(cls=Commands)
def token() -> None:
    """Tokens by which programs send for a subscriber."""


@token.command("list")
@click.argument("address")
@home_option
@json_option
def list_(config: Config, address: str, as_json: bool) -> None:
    """List the tokens of ADDRESS."""
    with opened(config) as app:
        rows = app.owner.tokens(address)
    if as_json:
        show_json([{**row, "scopes": row["scopes"].split()} for row in rows])
        return
    shown = [
        {
            **row,
            "scopes": row["scopes"].replace(" ", ", "),
            "created": moment(row["created"]),
            "ends": moment(row["ends"]),
            "used": moment(row["used"]) or "never",
        }
        for row in rows
    ]
    show_table(shown, COLUMNS, empty=f"{address} has no token.")


@token.command()
@click.argument("number", metavar="TOKEN", type=click.IntRange(1, MOST - 1))
@home_option
@json_option
def revoke(config: Config, number: int, as_json: bool) -> None:
    """Revoke TOKEN, a number as `token list` shows it: it fails at the next use."""
    with owned(config) as app:
        revoked = app.owner.revoke_token(number)
    tell(as_json, {"id": number, "revoked": revoked}, f"Token {number} is revoked.")
