"""`domain`: which domains are an organisation's, by a TXT record."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cryptnsend.cli.options import Commands, home_option, json_option, moment, show_json, show_table, tell
from cryptnsend.cli.owner import owned
from cryptnsend.config import Config
from cryptnsend.core.errors import Denied

if TYPE_CHECKING:
    from cryptnsend.app import App

organisation_option = click.option("--organisation", metavar="NAME", help="Whose; needed where there are several.")


@click.group(cls=Commands)
def domain() -> None:
    """Domains of organisations, each proven by a TXT record."""


@domain.command("list")
@organisation_option
@home_option
@json_option
def list_(config: Config, organisation: str | None, as_json: bool) -> None:
    """List an organisation's domains with the record that proves each."""
    with owned(config) as app:
        found = app.domains.of(_organisation(app, organisation))
    if as_json:
        show_json([asdict(each) for each in found])
        return
    rows = [
        {**asdict(each), "proven": "yes" if each.proven else "no", "checked": moment(each.checked)} for each in found
    ]
    columns = {"name": "domain", "proven": "proven", "record": "TXT record", "value": "its text", "checked": "looked"}
    show_table(rows, columns, empty="There is none yet.")


@domain.command()
@click.argument("name", metavar="DOMAIN")
@organisation_option
@home_option
@json_option
def add(config: Config, name: str, organisation: str | None, as_json: bool) -> None:
    """Begin to prove DOMAIN: say which TXT record has to be published."""
    with owned(config) as app:
        asked = app.domains.ask(_organisation(app, organisation), name, "owner", app.typist)
    words = [
        "Publish this TXT record, then run `cryptnsend domain check`:",
        f'{asked.record}. TXT "{asked.value}"',
    ]
    tell(as_json, asdict(asked), "\n".join(words))


@domain.command()
@click.argument("name", metavar="DOMAIN")
@organisation_option
@home_option
@json_option
def check(config: Config, name: str, organisation: str | None, as_json: bool) -> None:
    """Look for the record of DOMAIN. Exit code 1 if it is not there."""
    with owned(config) as app:
        proven = app.domains.check(_organisation(app, organisation), name, "owner", app.typist)
    words = f"{name} is proven." if proven else f"The record of {name} is not there yet. A new one can take some hours."
    tell(as_json, {"domain": name, "proven": proven}, words)
    if not proven:
        raise SystemExit(1)


@domain.command()
@click.argument("name", metavar="DOMAIN")
@organisation_option
@home_option
@json_option
def drop(config: Config, name: str, organisation: str | None, as_json: bool) -> None:
    """Take DOMAIN from its organisation."""
    with owned(config) as app:
        app.domains.drop(_organisation(app, organisation), name, "owner", app.typist)
    tell(as_json, {"domain": name}, f"{name} is not this organisation's any more.")


def _organisation(app: App, name: str | None) -> int:
    org = app.owner.organisation(name)
    if org is None:
        raise Denied("There is no organisation yet. `cryptnsend init --officer` makes one.")
    return org
