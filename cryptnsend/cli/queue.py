"""`queue`: what waits to leave."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

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
from cryptnsend.cli.owner import opened, organisation_of, owned
from cryptnsend.config import Config
from cryptnsend.core.errors import NoGrant
from cryptnsend.store.records import deliveries

if TYPE_CHECKING:
    from cryptnsend.app import App
    from cryptnsend.flow.owner import Owner

F = TypeVar("F", bound=Callable[..., Any])
NOTHING, NOTHING_LIKE_IT = "Nothing waits to leave.", "No delivery is like that."

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
    "organisation": "organisation",
    "domain": "domain",
    "kind": "kind",
    "state": "state",
    "status": "status",
    "count": "deliveries",
    "oldest": "oldest",
    "example": "last reply",
}
COUNTED_BY = ("domain", "state", "status")
STATES = ["checking", "due", "held", "leased", "delayed", "parked", "delivered", "failed", "cancelled"]
KINDS = ["notice", "relay", "handoff", "journal", "receipt", "dsn", "code", "alert", "tls-report"]
EVERYTHING = 1_000_000  # deliveries that are counted or steered at most
UNITS = {"s": 1000, "m": 60_000, "h": 3600_000, "d": 86_400_000}  # milliseconds


class Age(click.ParamType):  # type: ignore[type-arg]  # generic in later versions of click only
    """A length of time such as 90m, 2h or 3d; the command gets milliseconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return milliseconds."""
        text = str(value).lower()
        if text[:-1].isascii() and text[:-1].isdecimal() and text[-1:] in UNITS and len(text) < 10:
            return int(text[:-1]) * UNITS[text[-1]]
        self.fail(f"{value!r} is no length of time: allowed are 90m, 2h or 3d.", param, ctx)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries a command is about; None is any."""

    state: str | None
    kind: str | None
    domain: str | None
    organisation: str | None
    reason: str | None
    older: int | None
    newer: int | None

    def __bool__(self) -> bool:
        return any(value is not None for value in astuple(self))

    def rows(self, app: App, limit: int, states: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return their rows, the newest first; without a chosen state those in *states*, or all that is unsettled."""
        now = app.clock.now()
        found: list[dict[str, Any]] = []
        for state in [self.state] if self.state or not states else states:
            found += deliveries.listing(
                app.engine,
                state,
                limit,
                kind=self.kind,
                domain=self.domain.lower().removeprefix("@") if self.domain else None,
                org=self._number(app),
                reason=self.reason,
                before=now - self.older if self.older is not None else None,
                since=now - self.newer if self.newer is not None else None,
            )
        return found

    def _number(self, app: App) -> int | None:
        return None if self.organisation is None else organisation_of(app, self.organisation)


def filters(command: F) -> F:
    """Add the options that say which deliveries are meant; the command gets them as *wanted*."""

    @wraps(command)
    def with_wanted(*arguments: Any, **values: Any) -> Any:
        wanted = Wanted(**{field.name: values.pop(field.name) for field in fields(Wanted)})
        return command(*arguments, wanted=wanted, **values)

    for option in reversed(
        (
            click.option("--state", type=click.Choice(STATES), help="Only these; else all that are not settled."),
            click.option("--kind", type=click.Choice(KINDS), help="Only these."),
            click.option("--domain", help="Only for recipients of this domain."),
            click.option("--organisation", metavar="NAME", help="Only this organisation's, by its name or number."),
            click.option("--reason", help="Only where the last status begins so (4.7), or the reply has these words."),
            click.option("--older", type=Age(), help="Only those made longer ago than this, such as 2h or 3d."),
            click.option("--newer", type=Age(), help="Only those made since then."),
        )
    ):
        with_wanted = option(with_wanted)
    return with_wanted  # type: ignore[return-value]


@click.group(cls=Commands)
def queue() -> None:
    """See and steer what waits to leave: notices, replies, receipts, plain mail."""


@queue.command("list")
@filters
@click.option("--counts", is_flag=True, help="Count by domain, state and status instead, as `queue count` does.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="List at most so many.")
@home_option
@json_option
def list_(config: Config, wanted: Wanted, counts: bool, limit: int, as_json: bool) -> None:
    """List deliveries, the newest first."""
    if counts:
        _count(config, wanted, COUNTED_BY, as_json)
        return
    with opened(config) as app:
        rows = wanted.rows(app, limit)
    if as_json:
        for row in rows:
            row["outcome"] = msgspec.json.decode(row["outcome"] or "{}")
        show_json(rows)
        return
    for row in rows:
        row["due"] = moment(row["due"])
    show_table(rows, COLUMNS, empty=NOTHING_LIKE_IT if wanted else NOTHING)


@queue.command()
@filters
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(["organisation", "domain", "kind", "state", "status"]),
    help="What to count by, may be repeated; domain, state and status if not given.",
)
@home_option
@json_option
def count(config: Config, wanted: Wanted, by: tuple[str, ...], as_json: bool) -> None:
    """Count deliveries by domain and reason, or by what is chosen; the largest heap first."""
    _count(config, wanted, by or COUNTED_BY, as_json)


def _count(config: Config, wanted: Wanted, by: Sequence[str], as_json: bool) -> None:
    from cryptnsend.flow.ways import heaps

    columns = {name: title for name, title in HEAPS.items() if name in by or name in ("count", "oldest", "example")}
    with opened(config) as app:
        found = heaps(wanted.rows(app, EVERYTHING), tuple(dict.fromkeys(by)))
    rows = [{name: getattr(heap, name) for name in columns} for heap in found]
    if as_json:
        show_json(rows)
        return
    for row in rows:
        row["oldest"] = moment(row["oldest"])
    show_table(rows, columns, empty=NOTHING_LIKE_IT if wanted else NOTHING)


@queue.command()
@click.argument("delivery", type=NUMBER)
@home_option
@json_option
def show(config: Config, delivery: int, as_json: bool) -> None:
    """Show why DELIVERY went as it did: decision, way, proof, tries, and the peer's words or what was found."""
    from cryptnsend.flow.ways import PROOFS, ROUTES, way_of

    with opened(config) as app:
        row = deliveries.shown(app.engine, delivery)
    if row is None:
        raise NoGrant(f"There is no delivery {delivery}.")
    way = way_of(row)
    if as_json:
        names = ("id", "org", "kind", "form", "message", "recipient", "tls_class", "state", "created", "settled")
        found = ("why", "route", "host", "address", "tls", "cipher", "proof", "tries", "code", "status", "reply")
        later = ("is_ours", "due", "late_at", "late_by", "late", "automatic_at")
        show_json({name: row[name] for name in names} | {name: getattr(way, name) for name in (*found, *later)})
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
        "found" if way.is_ours else "peer's words": way.told,
        "delayed": f"{moment(way.late_at)} by {way.late_by or 'the next host'}: {way.late}" if way.late_at else "",
        "answered": f"{moment(way.automatic_at)} by a program" if way.automatic_at else "",
    }
    for name, value in facts.items():
        if value not in (None, ""):
            click.echo(f"{name + ':':<14}{printable(value)}")


def chosen(command: F) -> F:
    """Let the command be about deliveries by number, or about all that the filters find."""
    numbers = click.argument("numbers", metavar="[DELIVERY]...", nargs=-1, type=NUMBER)
    return numbers(filters(home_option(json_option(command))))


@queue.command()
@chosen
def retry(config: Config, wanted: Wanted, numbers: tuple[int, ...], as_json: bool) -> None:
    """Try deliveries again now, also one that failed or was parked. Filters choose among those that wait."""
    _steer(config, wanted, numbers, ("due", "delayed"), lambda owner, one: owner.retry(one), "is due now", as_json)


@queue.command()
@chosen
def hold(config: Config, wanted: Wanted, numbers: tuple[int, ...], as_json: bool) -> None:
    """Keep deliveries from being tried until they are released. Their days to give up go on."""
    _steer(config, wanted, numbers, ("due", "delayed"), lambda owner, one: owner.hold(one), "is held", as_json)


@queue.command()
@chosen
def release(config: Config, wanted: Wanted, numbers: tuple[int, ...], as_json: bool) -> None:
    """Let deliveries that were held be tried now."""
    _steer(config, wanted, numbers, ("held",), lambda owner, one: owner.release(one), "is due now", as_json)


@queue.command()
@click.option("--yes", is_flag=True, help="Do not ask before what the filters find is cancelled.")
@chosen
def drop(config: Config, wanted: Wanted, numbers: tuple[int, ...], yes: bool, as_json: bool) -> None:
    """Cancel deliveries: they will not leave. What is in the vault stays there."""
    ask = "" if yes else "Cancel {} for good?"
    states = deliveries.NOT_LEFT
    _steer(config, wanted, numbers, states, lambda owner, one: owner.drop(one), "is cancelled", as_json, ask)


def _steer(
    config: Config,
    wanted: Wanted,
    numbers: Sequence[int],
    states: Sequence[str],
    act: Callable[[Owner, int], str],
    words: str,
    as_json: bool,
    ask: str = "",
) -> None:
    """Do *act* with each delivery that is named, or that the filters find among those in *states*."""
    if bool(numbers) == bool(wanted):
        raise click.UsageError("Name deliveries by their numbers, or choose them by filters such as --domain.")
    with owned(config) as app:
        if len(numbers) == 1:
            (one,) = numbers
            tell(as_json, {"id": one, "state": act(app.owner, one)}, f"Delivery {one} {words}.")
            return
        found = numbers or [row["id"] for row in wanted.rows(app, EVERYTHING, states)]
        if ask and not numbers and found:
            click.confirm(
                ask.format("1 delivery" if len(found) == 1 else f"{len(found)} deliveries"), abort=True, err=True
            )
        done = []
        for one in found:
            # One that has gone on meanwhile is not what was asked for any more; one that was named has to be told of.
            with contextlib.nullcontext() if numbers else contextlib.suppress(NoGrant):
                done.append({"id": one, "state": act(app.owner, one)})
                if not as_json:
                    click.echo(f"Delivery {one} {words}.")
    if as_json:
        show_json(done)
    elif not done:
        click.echo("None was found.")
