"""`webhook`: where programs are told what happened to mail, to be listed and ended. People make them on their pages."""

from __future__ import annotations

import click

from cryptnsend.cli.options import Commands, home_option, json_option, moment, show_json, show_table, tell
from cryptnsend.cli.owner import opened, owned
from cryptnsend.config import Config

COLUMNS = {
    "id": "webhook", "url": "goes to", "events": "is told of", "by": "made by", "created": "made",
    "tried": "last told", "state": "how it went",
}  # fmt: skip
MOST = 1 << 63


@click.group(cls=Commands)
def webhook() -> None:
    """Where programs are told what happened to mail: a subscriber's own, and an organisation's."""


@webhook.command("list")
@click.argument("address", required=False)
@click.option("--organisation", metavar="NAME", help="List those that hear of everybody's mail in this organisation.")
@home_option
@json_option
def list_(config: Config, address: str | None, organisation: str | None, as_json: bool) -> None:
    """List the webhooks of ADDRESS, or of an organisation."""
    if (address is None) == (organisation is None):
        raise click.UsageError("Say whose: an ADDRESS, or --organisation NAME.")
    with opened(config) as app:
        if organisation is not None:
            org = app.owner.organisation(organisation)
            rows = app.owner.hooks_of_all(org) if org is not None else []
        else:
            rows = app.owner.hooks(address or "")
    for row in rows:
        row.pop("account")
    if as_json:
        show_json([{**row, "events": row["events"].split()} for row in rows])
        return
    shown = [
        {
            **row,
            "events": row["events"].replace(" ", ", "),
            "created": moment(row["created"]),
            "tried": moment(row["tried"]) or "never",
        }
        for row in rows
    ]
    show_table(shown, COLUMNS, empty=f"{organisation or address} has no webhook.")


@webhook.command()
@click.argument("number", metavar="WEBHOOK", type=click.IntRange(1, MOST - 1))
@home_option
@json_option
def end(config: Config, number: int, as_json: bool) -> None:
    """End WEBHOOK, a number as `webhook list` shows it: it is told nothing more, and its secret is forgotten."""
    with owned(config) as app:
        ended = app.owner.end_hook(number)
    tell(as_json, {"id": number, "ended": ended}, f"Webhook {number} has ended.")
