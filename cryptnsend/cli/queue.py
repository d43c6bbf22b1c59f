"""`queue`: what waits to leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from cryptnsend.cli.options import (
    NUMBER,
    Commands,
    home_option,
    json_option,
    moment,
    printable,
    show_json,
    show_table,
    tell,
)
from cryptnsend.cli.owner import opened, owned
from cryptnsend.config import Config
from cryptnsend.core.errors import NoGrant
from cryptnsend.store.records import deliveries

if TYPE_CHECKING:
    from cryptnsend.flow.owner import Owner

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
HEAPS = {
    "domain": "domain",
    "state": "state",
    "status": "status",
    "count": "deliveries",
    "oldest": "oldest",
    "example": "last reply",
}
STATES = ["checking", "due", "held", "leased", "delayed", "parked", "delivered", "failed", "cancelled"]
KINDS = ["notice", "relay", "handoff", "receipt", "dsn", "code", "alert", "tls-report"]
EVERYTHING = 1_000_000  # deliveries that are counted at most


@click.group(cls=Commands)
def queue() -> None:
    """See and steer what waits to leave: notices, replies, receipts, plain mail."""


@queue.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only these; without it, everything that is not settled.")
@click.option("--kind", type=click.Choice(KINDS), help="Only these.")
@click.option("--domain", help="Only for recipients of this domain.")
@click.option("--counts", is_flag=True, help="Count by domain, state and status instead of listing.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="List at most so many.")
@home_option
@json_option
def list_(
    config: Config,
    state: str | None,
    kind: str | None,
    domain: str | None,
    counts: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List deliveries, the newest first, or count them by domain and reason."""
    domain = domain.lower().removeprefix("@") if domain else None
    with opened(config) as app:
        most = EVERYTHING if counts else limit
        rows = deliveries.listing(app.engine, state, most, kind=kind, domain=domain)
    columns = COLUMNS
    if counts:
        rows, columns = _counted(rows), HEAPS
    if as_json:
        for row in rows:
            if "outcome" in row:
                row["outcome"] = msgspec.json.decode(row["outcome"] or "{}")
        show_json(rows)
        return
    for row in rows:
        row.update({name: moment(row[name]) for name in ("due", "oldest") if name in row})
    show_table(rows, columns, empty="Nothing waits to leave.")


@queue.command()
@click.argument("delivery", type=NUMBER)
@home_option
@json_option
def show(config: Config, delivery: int, as_json: bool) -> None:
    """Show why DELIVERY went as it did: decision, way, proof, tries, and the peer's words."""
    from cryptnsend.flow.ways import PROOFS, ROUTES, way_of

    with opened(config) as app:
        row = deliveries.shown(app.engine, delivery)
    if row is None:
        raise NoGrant(f"There is no delivery {delivery}.")
    way = way_of(row)
    if as_json:
        names = ("id", "org", "kind", "form", "message", "recipient", "tls_class", "state", "created", "settled")
        found = ("why", "route", "host", "address", "tls", "cipher", "proof", "tries", "code", "status", "reply", "due")
        show_json({name: row[name] for name in names} | {name: getattr(way, name) for name in found})
        return
    host = f"{way.host} [{way.address}]" if way.address and way.address != way.host else way.host
    facts = {
        "delivery": f"{row['id']}, a {row['kind']}" + (f" as {row['form']}" if row["form"] else ""),
        "message": row["message"],
        "recipient": row["recipient"],
        "state": way.state + (f" since {moment(row['settled'])}" if row["settled"] else ""),
        "decision": way.why,
        "asks for": {"proven": "proven TLS", "declared": "TLS"}.get(row["tls_class"], "TLS where it is offered"),
        "way": ROUTES.get(way.route, way.route),
        "host": host,
        "protection": ", ".join(filter(None, (way.tls, way.cipher))),
        "proof": PROOFS.get(way.proof, way.proof),
        "tries": way.tries,
        "next try": moment(way.due),
        "peer's words": way.told,
    }
    for name, value in facts.items():
        if value not in (None, ""):
            click.echo(f"{name + ':':<14}{printable(value)}")


@queue.command()
@click.argument("delivery", type=NUMBER)
@home_option
@json_option
def retry(config: Config, delivery: int, as_json: bool) -> None:
    """Try DELIVERY again now, also one that failed or was parked."""
    _steer(config, delivery, lambda owner: owner.retry(delivery), "is due now", as_json)


@queue.command()
@click.argument("delivery", type=NUMBER)
@home_option
@json_option
def hold(config: Config, delivery: int, as_json: bool) -> None:
    """Keep DELIVERY from being tried until it is released. Its days to give up go on."""
    _steer(config, delivery, lambda owner: owner.hold(delivery), "is held", as_json)


@queue.command()
@click.argument("delivery", type=NUMBER)
@home_option
@json_option
def release(config: Config, delivery: int, as_json: bool) -> None:
    """Let DELIVERY, which was held, be tried now."""
    _steer(config, delivery, lambda owner: owner.release(delivery), "is due now", as_json)


@queue.command()
@click.argument("delivery", type=NUMBER)
@home_option
@json_option
def drop(config: Config, delivery: int, as_json: bool) -> None:
    """Cancel DELIVERY: it will not leave. What is in the vault stays there."""
    _steer(config, delivery, lambda owner: owner.drop(delivery), "is cancelled", as_json)


def _steer(config: Config, delivery: int, act: Callable[[Owner], str], words: str, as_json: bool) -> None:
    with owned(config) as app:
        state = act(app.owner)
    tell(as_json, {"id": delivery, "state": state}, f"Delivery {delivery} {words}.")


def _counted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from cryptnsend.flow.ways import heaps

    return [{name: getattr(heap, name) for name in HEAPS} for heap in heaps(rows)]
