"""`role`: who looks after an organisation, and who gives or takes that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from cryptnsend.cli.options import (
    Commands,
    home_option,
    json_option,
    password_option,
    read_password,
    show_json,
    show_table,
    tell,
)
from cryptnsend.cli.owner import opened, owned
from cryptnsend.config import Config
from cryptnsend.core.errors import Denied

if TYPE_CHECKING:
    from cryptnsend.app import App
    from cryptnsend.flow.sessions import Session

ROLES = ("subscriber", "officer", "manager")
SOURCE = "command line"
COLUMNS = {"address": "address", "name": "name", "organisation": "organisation", "roles": "roles", "state": "state"}


def officer_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add `--officer`; the command gets *officer* and hands it to `signed_in`."""
    return click.option(
        "--officer",
        required=True,
        metavar="ADDRESS",
        help="The officer who orders it; their password and the number from their phone are asked for.",
    )(command)


def proof_of(officer: str, from_stdin: bool) -> tuple[str, str]:
    """Return password and number of an officer as they are typed."""
    return read_password(from_stdin, f"Password of {officer}"), read_password(from_stdin, f"Number of {officer}")


def signed_in(app: App, officer: str, password: str) -> Session:
    """Return the session of an officer, which ends with the command. Raises WrongSecret, Denied."""
    session = app.exporting.sign_in(officer, password)
    if "officer" not in session.roles:
        raise Denied(f"{officer} is no officer.")
    return session


@click.group(cls=Commands)
def role() -> None:
    """Roles: officers set rules, read the audit trail and break glass; managers look after people and the look."""


@role.command("list")
@click.option("--organisation", metavar="NAME", help="Only this organisation's.")
@home_option
@json_option
def list_(config: Config, organisation: str | None, as_json: bool) -> None:
    """List officers and managers."""
    with opened(config) as app:
        if organisation is not None:
            app.owner.organisation(organisation)  # raises for one that there is not
        rows = [row for row in app.owner.subscribers() if {"officer", "manager"} & set(row["roles"])]
    rows = [row for row in rows if organisation is None or _is_called(row["organisation"], organisation)]
    if as_json:
        show_json(rows)
        return
    shown = [{**row, "roles": ", ".join(row["roles"]), "organisation": row["organisation"] or "(own)"} for row in rows]
    show_table(shown, COLUMNS, empty="Nobody looks after an organisation yet.")


@role.command()
@click.argument("address")
@click.argument("name", metavar="ROLE", type=click.Choice(ROLES))
@officer_option
@password_option
@home_option
@json_option
def grant(config: Config, address: str, name: str, officer: str, from_stdin: bool, as_json: bool) -> None:
    """
    Give ADDRESS a ROLE in their organisation: subscriber, officer or manager.

    A new officer may open the archive, so an officer has to say so. All officers are told.
    """
    changed = _change(config, address, officer, from_stdin, lambda had: had | {name})
    tell(as_json, changed, f"{address} is {name} now: {', '.join(changed['roles'])}. Their sessions have ended.")


@role.command()
@click.argument("address")
@click.argument("name", metavar="ROLE", type=click.Choice(ROLES))
@officer_option
@password_option
@home_option
@json_option
def revoke(config: Config, address: str, name: str, officer: str, from_stdin: bool, as_json: bool) -> None:
    """Take a ROLE from ADDRESS. One officer stays, and one role; `subscriber disable` stops somebody for good."""
    changed = _change(config, address, officer, from_stdin, lambda had: had - {name})
    tell(as_json, changed, f"{address} is {name} no more: {', '.join(changed['roles'])}. Their sessions have ended.")


def _is_called(name: str | None, said: str) -> bool:
    return (name or "").casefold() == said.casefold()


def _change(
    config: Config, address: str, officer: str, from_stdin: bool, change: Callable[[set[str]], set[str]]
) -> dict[str, Any]:
    with opened(config) as app:
        had = {each for each in app.owner.show(address)["roles"] if each in ROLES}
        app.owner.show(officer)  # nobody types passwords for an address that is wrong
    wanted = [each for each in ROLES if each in change(had)]
    if set(wanted) == had:
        raise Denied(f"{address} has these roles already: {', '.join(wanted) or 'none'}.")
    password, number = proof_of(officer, from_stdin)
    with owned(config) as app:
        session = signed_in(app, officer, password)
        ident = int(app.owner.show(address)["account"])
        app.organisations.set_roles(session, ident, wanted, password, SOURCE, number)
        row = app.owner.show(address)
    return {name: row[name] for name in ("account", "address", "roles", "state")}
