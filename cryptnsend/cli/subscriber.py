"""`subscriber`: who may send."""

from __future__ import annotations

from typing import BinaryIO

import click

from cryptnsend.cli.device import as_asked, show_devices
from cryptnsend.cli.options import (
    Commands,
    home_option,
    json_option,
    password_option,
    printable,
    read_password,
    show_json,
    show_table,
    tell,
)
from cryptnsend.cli.owner import keep_recovery, opened, owned
from cryptnsend.cli.role import SOURCE, officer_option, proof_of, signed_in
from cryptnsend.config import Config
from cryptnsend.core.contracts import Row
from cryptnsend.core.errors import Denied

REPORT = {"line": "line", "address": "address", "name": "name", "report": "report"}
COLUMNS = {"address": "address", "name": "name", "organisation": "organisation", "roles": "roles", "state": "state"}
OWN = "(own)"  # stands for an organisation of one
WITH_OLD = "; other sessions have ended, devices stay."
WITHOUT_OLD = """, set without the old one. Sessions have ended, devices stay.
Mail from before stays closed, and new mail waits for its senders' codes, until they show who they are:
with the old password, the recovery code, a device password, or an officer's word. Nothing is lost."""


@click.group(cls=Commands)
def subscriber() -> None:
    """People who may send through this server."""


def _organisation_options(command: click.decorators.FC) -> click.decorators.FC:
    command = click.option("--own", is_flag=True, help="Give them an organisation of one.")(command)
    return click.option(
        "--organisation",
        metavar="NAME",
        help="Their organisation; the only one there is if not given, else an organisation of one.",
    )(command)


@subscriber.command()
@click.argument("address")
@click.option("--name", default="", help="Their name as recipients see it.")
@_organisation_options
@password_option
@home_option
@json_option
def add(
    config: Config, address: str, name: str, organisation: str | None, own: bool, from_stdin: bool, as_json: bool
) -> None:
    """
    Make ADDRESS a subscriber with a password that you hand over.

    A subscriber with an organisation of one gets a recovery file for its archive, in recovery/ of the home.
    """
    _check_options(organisation, own)
    with opened(config) as app:
        org = None if own else app.owner.organisation(organisation)
        app.owner.newcomer(address)
    password = read_password(from_stdin, f"Password for {address}", new=True)
    with owned(config) as app:
        made = app.owner.add(address, password, organisation=org, roles=("subscriber",), name=name)
    kept = keep_recovery(config, f"archive-{made.addresses[0]}", made.recovery)
    answer = {"account": made.account, "address": made.addresses[0], "recovery": kept[0]._asdict() if kept else None}
    words = f"{made.addresses[0]} may send now: user name {made.addresses[0]}, and the password you gave."
    tell(as_json, answer, "\n".join([words, *map(str, kept)]))


@subscriber.command()
@click.argument("address")
@click.option("--name", default="", help="Their name, for the invitation.")
@_organisation_options
@home_option
@json_option
def invite(config: Config, address: str, name: str, organisation: str | None, own: bool, as_json: bool) -> None:
    """Mail ADDRESS an invitation; they choose their own password."""
    _check_options(organisation, own)
    with owned(config) as app:
        org = None if own else app.owner.organisation(organisation)
        invited = app.owner.invite(address, org, name)
    answer = {"invitation": invited, "address": address, "organisation": org}
    tell(as_json, answer, f"An invitation to {address} waits to leave.")


@subscriber.command("import")
@click.argument("file", metavar="FILE", type=click.File("rb"))
@click.option("--organisation", metavar="NAME", help="Their organisation; needed where there are several.")
@click.option("--check", "only_check", is_flag=True, help="Say what would happen, and invite nobody.")
@home_option
@json_option
@click.pass_context
def import_(
    ctx: click.Context, config: Config, file: BinaryIO, organisation: str | None, only_check: bool, as_json: bool
) -> None:
    """
    Invite everybody of FILE, a CSV list with an address and a name a line; "-" is standard input.

    Each line is reported. Whoever is there or was invited already stays as they are, so that a list may come again.
    With one line that is wrong nobody is invited: exit code 1.
    """
    from cryptnsend.flow.roster import MOST_OCTETS

    octets = file.read(MOST_OCTETS + 1)
    with (opened if only_check else owned)(config) as app:
        org = app.owner.organisation(organisation)
        if org is None:
            raise Denied("There is no organisation yet. `cryptnsend init --officer` makes one.")
        found, there = app.owner.read_list(org, octets)
        wrong = [each for each in found if each.wrong]
        is_done = bool(found) and not wrong and not only_check
        if is_done:
            app.owner.invite_all(org, found)
    good = "invited" if is_done else "can be invited"
    rows = [
        {"line": each.number, "address": each.address, "name": each.name, "report": each.wrong or good}
        for each in sorted([*found, *there], key=lambda each: each.number)
    ]
    if as_json:
        show_json({"invited": len(found) if is_done else 0, "wrong": len(wrong), "lines": rows})
    else:
        show_table(rows, REPORT, empty="")
        said = f"{len(found)} invitations wait to leave." if is_done else "Nobody was invited."
        click.echo(f"{said} {len(wrong)} lines have to be put right first." if wrong else said)
    if wrong:
        ctx.exit(1)


@subscriber.command("hand-over")
@click.argument("address")
@click.option("--to", "successor", required=True, metavar="ADDRESS", help="Their colleague who takes this over.")
@officer_option
@password_option
@home_option
@json_option
def hand_over(config: Config, address: str, successor: str, officer: str, from_stdin: bool, as_json: bool) -> None:
    """
    Give the addresses of ADDRESS, who leaves, to a colleague, and stop ADDRESS from signing in.

    What arrives from now on is the colleague's. What was sealed for who leaves stays sealed for them: an officer opens
    it from the archive, by a glass break or `archive export`, in everybody's sight.
    """
    with opened(config) as app:
        for each in (address, successor, officer):
            app.owner.show(each)  # nobody types passwords for an address that is wrong
    password, number = proof_of(officer, from_stdin)
    with owned(config) as app:
        session = signed_in(app, officer, password)
        ident = int(app.owner.show(address)["account"])
        app.organisations.hand_over(session, ident, successor, password, SOURCE, number)
        heir = app.owner.show(successor)
    answer = {"account": ident, "address": heir["address"], "from": address}
    tell(as_json, answer, f"{heir['address']} has what arrives for {address} from now on. {address} is disabled.")


@subscriber.command("list")
@home_option
@json_option
def list_(config: Config, as_json: bool) -> None:
    """List the subscribers."""
    with opened(config) as app:
        rows = app.owner.subscribers()
    if as_json:
        show_json(rows)
        return
    shown = [{**row, "roles": ", ".join(row["roles"]), "organisation": row["organisation"] or OWN} for row in rows]
    show_table(shown, COLUMNS, empty="There is no subscriber yet.")


@subscriber.command()
@click.argument("address")
@home_option
@json_option
def show(config: Config, address: str, as_json: bool) -> None:
    """Show one subscriber and their devices."""
    with opened(config) as app:
        row = app.owner.show(address)
    devices = row.pop("devices")
    if as_json:
        show_json({**row, "devices": as_asked(devices)})
        return
    row["organisation"] = row["organisation"] or OWN
    for key, value in row.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        click.echo(f"{key + ':':14}{printable(shown)}".rstrip())
    click.echo()
    show_devices(devices, empty="No device passwords.")


@subscriber.command()
@click.argument("address")
@click.option("--enable", is_flag=True, help="Let them sign in again.")
@home_option
@json_option
def disable(config: Config, address: str, enable: bool, as_json: bool) -> None:
    """Stop ADDRESS from signing in anywhere, at once. Nothing of theirs is lost."""
    with owned(config) as app:
        if enable:
            app.owner.enable(address)
        else:
            app.owner.disable(address)
        answer = _standing(app.owner.show(address))
    tell(as_json, answer, f"{address} {'may sign in again' if enable else 'is disabled'}.")


@subscriber.command()
@click.argument("address")
@click.option("--forgotten", is_flag=True, help="Do without the old password: a weak reset.")
@password_option
@home_option
@json_option
def passwd(config: Config, address: str, forgotten: bool, from_stdin: bool, as_json: bool) -> None:
    """
    Change the password of ADDRESS: the old one is asked for, then the new one.

    Without the old one (--forgotten) nothing is lost, but mail from before stays closed until they show that they are
    who they say: with the old password, the recovery code, a device password, or an officer's word.
    """
    with opened(config) as app:
        app.owner.show(address)  # nobody types passwords for an address that is wrong
    old = None if forgotten else read_password(from_stdin, "Old password")
    new = read_password(from_stdin, "New password", new=True)
    with owned(config) as app:
        app.owner.set_password(address, new, old)
        answer = _standing(app.owner.show(address))
    tell(as_json, answer, f"{address} has a new password{WITHOUT_OLD if forgotten else WITH_OLD}")


def _standing(row: Row) -> Row:
    return {name: row[name] for name in ("account", "address", "state")}


def _check_options(organisation: str | None, own: bool) -> None:
    if organisation is not None and own:
        raise click.UsageError("--organisation and --own exclude each other.")
