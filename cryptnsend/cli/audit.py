"""`audit`: is the trail whole, and what does it say?"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cryptnsend.cli.options import (
    NUMBER,
    Commands,
    Progress,
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
from cryptnsend.core import checkpoints
from cryptnsend.core.contracts import Row
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.model import INSTALLATION, account_holder
from cryptnsend.flow.trailfiles import exported
from cryptnsend.home import write_private
from cryptnsend.store.records import accounts, operator
from cryptnsend.store.records import audit as trail

if TYPE_CHECKING:
    from cryptnsend.app import App

COLUMNS = {"seq": "entry", "at": "when", "actor": "who", "action": "what", "object": "of what", "said": "more"}
ORGANISATION = click.option(
    "--organisation",
    metavar="NAME",
    help="Only this organisation's chain, by its name or number; 0 is the installation.",
)


@click.group(cls=Commands)
def audit() -> None:
    """The audit trail: one chain per organisation, which only grows."""


@audit.command()
@click.option(
    "--against",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compare with a file of `audit checkpoint`, too, that was kept away from this server.",
)
@home_option
@json_option
@click.pass_context
def verify(ctx: click.Context, config: Config, against: Path | None, as_json: bool) -> None:
    """
    Walk every chain, and compare it with what the keeper has signed.

    Names the first entry that was edited, removed, slipped in, put in another order or written under a clock that was
    moved, and says so if the end was cut off. With --against also finds that all was written anew. Exit code 1 if so.
    """
    sheet = None if against is None else checkpoints.read(against.read_text("utf-8", "replace"))
    answers = []
    with owned(config) as app, Progress() as progress:
        for row in operator.chains(app.engine):
            organisation = row["id"]
            until = partial(progress, printable(_name(row)), total=trail.head(app.engine, organisation).seq)
            found = app.auditing.verify(organisation, sheet, until)
            answers.append(
                {
                    "organisation": organisation,
                    "name": _name(row),
                    "entries": found.entries,
                    "broken": found.broken or None,
                    "how": found.how,
                    "problem": found.problem,
                }
            )
    if as_json:
        show_json(answers)
    else:
        for answer in answers:
            said = answer["problem"] or "whole"
            click.echo(f"{printable(answer['name'])} ({answer['organisation']}): {answer['entries']} entries, {said}")
    if any(answer["problem"] for answer in answers):
        ctx.exit(1)


@audit.command()
@ORGANISATION
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write them; carry the file away from this machine.",
)
@home_option
@json_option
def checkpoint(config: Config, organisation: str | None, out: Path, as_json: bool) -> None:
    """
    Write how far the chains have come, signed by the keeper, to FILE.

    Kept elsewhere, the file shows later with `audit verify --against` whether anything before it was written anew. It
    has hashes and times, nothing that anybody wrote.
    """
    with owned(config) as app:
        text = app.auditing.sheet(_chosen(app, organisation))
    _new(out, text)
    count = len(checkpoints.read(text).checkpoints)
    words = f"{count} checkpoints are in {out}. Keep it where nobody who runs this server can change it."
    tell(as_json, {"file": str(out), "checkpoints": count}, words)


@audit.command()
@ORGANISATION
@click.option("--after", type=NUMBER, default=0, show_default=True, help="Only entries behind this one.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="An entry a line as JSON, or a table for a spreadsheet.",
)
@home_option
def export(config: Config, organisation: str | None, after: int, form: str) -> None:
    """
    Write the entries as JSON, one a line, or as CSV, with their hashes: enough to check the chain elsewhere.

    Ids are text, as with --json; `stored` is the text of `detail` that went into the hash. In CSV a cell that a
    spreadsheet would calculate begins with an apostrophe that is not part of it.
    """
    with opened(config) as app:
        for line in exported(app.engine, _chosen(app, organisation), after, form):
            click.echo(line)


@audit.command()
@click.option("--message", "message_id", type=NUMBER, help="What happened to this message.")
@click.option("--account", metavar="ADDRESS", help="What this account did, and what was done to it.")
@home_option
@json_option
def show(config: Config, message_id: int | None, account: str | None, as_json: bool) -> None:
    """Show what the trail says of one message, or of one account."""
    if (message_id is None) == (account is None):
        raise click.UsageError("Name either a --message or an --account.")
    with opened(config) as app:
        if message_id is not None:
            row = operator.message(app.engine, message_id)
            found = None if row is None else (row["org"], str(message_id))
            if found is None:
                raise NoGrant(f"There is no message {message_id}.")
        else:
            whose = accounts.by_address(app.engine, str(account).strip().lower())
            if whose is None:
                raise NoGrant(f"There is no account with the address {account}.")
            found = whose["org"], account_holder(whose["id"])
        rows = list(app.auditing.told_about(*found))
    if as_json:
        show_json([{**each, "detail": json.loads(each["detail"]), "hash": each["hash"].hex()} for each in rows])
        return
    shown = [{**each, "at": moment(each["at"]), "said": _said(each["detail"])} for each in rows]
    show_table(shown, COLUMNS, empty="The trail says nothing of it.")


def _chosen(app: App, organisation: str | None) -> list[int]:
    every = [row["id"] for row in operator.chains(app.engine)]
    return every if organisation is None else [organisation_of(app, organisation)]


def _said(detail: str) -> str:
    return ", ".join(f"{name} {value}" for name, value in json.loads(detail).items())


def _new(place: Path, text: str) -> None:
    """Write a file that is not there yet."""
    if place.exists():
        raise Denied(f"{place} is there already. Name a new file with --out.")
    try:
        write_private(place, text.encode())
    except OSError as error:
        raise Denied(f"{place} cannot be written: {error.strerror}.") from error


def _name(row: Row) -> str:
    """Return what people call an organisation of `operator.chains`."""
    if row["id"] == INSTALLATION:
        return "the installation"
    return str(row["address"] or "an organisation of one") if row["single"] else str(row["name"])
