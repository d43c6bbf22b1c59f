"""`queue`: what waits to leave."""

from __future__ import annotations

import click

from cryptnsend.cli.options import Commands, home_option, json_option, moment, show_json, show_table
from cryptnsend.cli.owner import opened, owned
from cryptnsend.config import Config
from cryptnsend.store.records import deliveries

COLUMNS = {
    "id": "delivery",
    "kind": "kind",
    "message": "message",
    "recipient": "recipient",
    "state": "state",
    "attempts": "tries",
    "due": "due",
    "reply": "last reply",
}
STATES = ["checking", "due", "held", "leased", "delayed", "parked", "delivered", "failed", "cancelled"]


@click.group(cls=Commands)
def queue() -> None:
    """See and steer what waits to leave: notices, replies, receipts, plain mail."""


@queue.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only these; without it, everything that is not settled.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@home_option
@json_option
def list_(config: Config, state: str | None, limit: int, as_json: bool) -> None:
    """List deliveries, the newest first."""
    with opened(config) as app:
        rows = deliveries.listing(app.engine, state, limit)
    if as_json:
        show_json(rows)
        return
    for row in rows:
        row["due"] = moment(row["due"])
    show_table(rows, COLUMNS, empty="Nothing waits to leave.")


@queue.command()
@click.argument("delivery", type=int)
@home_option
def retry(config: Config, delivery: int) -> None:
    """Try DELIVERY again now, also one that failed or was parked."""
    with owned(config) as app:
        app.owner.retry(delivery)
    click.echo(f"Delivery {delivery} is due now.")


@queue.command()
@click.argument("delivery", type=int)
@home_option
def drop(config: Config, delivery: int) -> None:
    """Cancel DELIVERY: it will not leave. What is in the vault stays there."""
    with owned(config) as app:
        app.owner.drop(delivery)
    click.echo(f"Delivery {delivery} is cancelled.")
