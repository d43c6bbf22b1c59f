"""`hold`: mail that was to leave plain, and in which something was found."""

from __future__ import annotations

from dataclasses import asdict
from typing import IO

import click

from cryptnsend.cli.options import NUMBER, Commands, home_option, json_option, moment, show_json, show_table, tell
from cryptnsend.cli.owner import opened, organisation_of, owned
from cryptnsend.config import Config

COLUMNS = {
    "message": "message",
    "author": "author",
    "rules": "found",
    "recipients": "recipients",
    "at": "held",
    "until": "encrypted at",
    "state": "state",
    "decided_by": "decided by",
    "reason": "reason",
}


@click.group(cls=Commands)
def hold() -> None:
    """Mail that was to leave plain, and in which something was found. Only its author lets it leave as it is."""


@hold.command("list")
@click.option("--organisation", metavar="NAME", help="Only of this organisation's people, by its name or number.")
@click.option("--all", "everything", is_flag=True, help="Also what was decided, and how.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="List at most so many.")
@home_option
@json_option
def list_(config: Config, organisation: str | None, everything: bool, limit: int, as_json: bool) -> None:
    """List held mail, the newest first: whose, by which rules, until when. Nothing of its content is shown."""
    with opened(config) as app:
        house = None if organisation is None else organisation_of(app, organisation)
        rows = [asdict(each) for each in app.holding.all_held(house, waiting=not everything, limit=limit)]
    if as_json:
        show_json(rows)
        return
    for row in rows:
        row |= {"at": moment(row["at"]), "until": moment(row["until"]), "rules": ", ".join(row["rules"])}
    show_table(rows, COLUMNS, empty="Nothing is held.")


@hold.command()
@click.argument("message", type=NUMBER)
@home_option
@json_option
def encrypt(config: Config, message: int, as_json: bool) -> None:
    """Have a held MESSAGE sent encrypted now, for instance because its author has left."""
    with owned(config) as app:
        app.holding.encrypt(message, dict(app.typist))
    tell(as_json, {"message": message, "state": "encrypt"}, f"Message {message} is sent encrypted.")


@hold.command()
@click.argument("file", type=click.File("rb"))
@click.option("--organisation", metavar="NAME", help="By whose rules; needed where there are several.")
@home_option
@json_option
def check(config: Config, file: IO[bytes], organisation: str | None, as_json: bool) -> None:
    """
    Say what would be found in the mail in FILE (- is standard input), with its header. Nothing of it is kept.

    Exit code 1 if it would be held.
    """
    from cryptnsend.dlp.inspector import Inspector
    from cryptnsend.flow.inspecting import job_of

    octets = file.read()
    with owned(config) as app:
        org = app.owner.organisation(organisation)
        held = app.policies.installation if org is None else app.policies.now(org)
    inspector = Inspector()
    try:
        found = inspector.inspect((octets,), job_of(held, Inspector.ocr() if config.dlp.ocr else ""))
    finally:
        inspector.close()
    rows = [{"rule": each.rule, "masked": each.masked, "where": each.where or "the whole mail"} for each in found]
    if as_json:
        show_json(rows)
    else:
        show_table(rows, {"rule": "rule", "masked": "value", "where": "where"}, empty="Nothing is found; it may leave.")
    raise SystemExit(1 if found else 0)
