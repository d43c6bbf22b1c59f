"""`audit`: is the trail whole, and what does it say?"""

from __future__ import annotations

import json
from functools import partial

import click

from cryptnsend.cli.options import (
    NUMBER,
    Commands,
    Progress,
    for_scripts,
    home_option,
    json_option,
    printable,
    show_json,
)
from cryptnsend.cli.owner import opened, organisation_of, owned
from cryptnsend.config import Config
from cryptnsend.core.contracts import Row
from cryptnsend.core.errors import Denied, SealBroken
from cryptnsend.core.model import INSTALLATION
from cryptnsend.store.records import audit as trail
from cryptnsend.store.records import operator


@click.group(cls=Commands)
def audit() -> None:
    """The audit trail: one chain per organisation, which only grows."""


@audit.command()
@home_option
@json_option
@click.pass_context
def verify(ctx: click.Context, config: Config, as_json: bool) -> None:
    """
    Walk every chain, and compare its end with the one that the keeper has signed.

    Finds any entry that was edited, removed, inserted or moved, and any end that was cut off. Exit code 1 if so.
    """
    answers = []
    with owned(config) as app, Progress() as progress:
        for row in operator.chains(app.engine):
            organisation = row["id"]
            until = partial(progress, printable(_name(row)), total=trail.head(app.engine, organisation).seq)
            found = trail.verify(app.engine, organisation, until)
            problem = "" if found.broken is None else f"entry {found.broken} does not fit the one before it"
            if not problem:
                try:
                    app.keeper.checkpoint(organisation, found.head.seq, found.head.hash)
                except (Denied, SealBroken) as error:
                    problem = str(error)
            answer = {"organisation": organisation, "name": _name(row), "entries": found.rows, "problem": problem}
            answers.append(answer)
    if as_json:
        show_json(answers)
    else:
        for answer in answers:
            said = answer["problem"] or "whole"
            click.echo(f"{printable(answer['name'])} ({answer['organisation']}): {answer['entries']} entries, {said}")
    if any(answer["problem"] for answer in answers):
        ctx.exit(1)


@audit.command()
@click.option(
    "--organisation",
    metavar="NAME",
    help="Only this organisation's chain, by its name or number; 0 is the installation.",
)
@click.option("--after", type=NUMBER, default=0, show_default=True, help="Only entries behind this one.")
@home_option
def export(config: Config, organisation: str | None, after: int) -> None:
    """
    Write the entries as JSON, one a line, with their hashes: enough to check the chain elsewhere.

    Ids are text, as with --json; `stored` is the text of `detail` that went into the hash.
    """
    with opened(config) as app:
        every = [row["id"] for row in operator.chains(app.engine)]
        chosen = every if organisation is None else [organisation_of(app, organisation)]
        for org in chosen:
            for row in trail.entries(app.engine, org, after):
                entry = {"organisation": org, **row, "detail": json.loads(row["detail"]), "stored": row["detail"]}
                click.echo(json.dumps(for_scripts(entry | {"hash": row["hash"].hex()}), ensure_ascii=False))


def _name(row: Row) -> str:
    """Return what people call an organisation of `operator.chains`."""
    if row["id"] == INSTALLATION:
        return "the installation"
    return str(row["address"] or "an organisation of one") if row["single"] else str(row["name"])
