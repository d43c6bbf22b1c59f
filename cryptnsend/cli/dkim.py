"""`dkim`: the keys that sign mail, and how they are replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cryptnsend import rights
from cryptnsend.cli.dns import delegation, signing_records, zone_line
from cryptnsend.cli.options import Commands, home_option, json_option, moment, show_json, show_table
from cryptnsend.cli.owner import opened
from cryptnsend.config import Config
from cryptnsend.core.errors import Denied, Temporary

if TYPE_CHECKING:
    from cryptnsend.app import App
    from cryptnsend.delivery.keyring import Held, KeyRing

COLUMNS = {"selector": "selector", "algorithm": "kind", "state": "state", "since": "since", "next": "what comes next"}


@click.group(cls=Commands)
def dkim() -> None:
    """The keys that sign mail: which there are, and how they are replaced."""


@dkim.command("list")
@home_option
@json_option
def list_(config: Config, as_json: bool) -> None:
    """List the signing keys: announced, signing, retired, or over."""
    with opened(config) as app:
        _show(app.keyring, app.keyring.held(), as_json)


@dkim.command()
@click.option("--activate", is_flag=True, help="Sign with the announced keys at once.")
@click.option("--unseen", is_flag=True, help="With --activate: also where DNS does not show them from here.")
@home_option
@json_option
def rotate(config: Config, activate: bool, unseen: bool, as_json: bool) -> None:
    """
    Replace the signing keys, in two steps.

    The first time it makes new keys and prints the records to publish. The server uses them a day after it can see
    them in DNS, or after --activate; called again meanwhile, this command looks and says how they stand. The records
    of the keys before have to stay until `dns` says that they may be removed.
    """
    if unseen and not activate:
        raise click.UsageError("--unseen says something about --activate only.")
    with opened(config) as app:
        ring = app.keyring
        waiting = [each for each in ring.held() if each.state == "announced"]
        try:
            if activate:
                if not unseen:
                    _refuse_unpublished(app, waiting)
                shown = ring.activate()
            elif waiting:
                _look(app)
                shown = tuple(each for each in ring.held() if each.selector in {one.selector for one in waiting})
            else:
                shown = ring.rotate()
        finally:
            rights.renew(config)
        _show(ring, shown, as_json)
        if as_json:
            return
        names = {f"{each.selector}._domainkey.{config.server.domain}" for each in shown if each.state == "announced"}
        for record in signing_records(config):
            if record.name in names:
                click.echo(zone_line(record))


@dkim.command()
@click.argument("domain")
@home_option
@json_option
@click.pass_context
def check(ctx: click.Context, config: Config, domain: str, as_json: bool) -> None:
    """Say whether plain mail of DOMAIN's people keeps its author: whether DOMAIN's records let us sign for it."""
    wanted = list(delegation(config, domain))
    theirs = wanted[0].name.partition("._domainkey.")[2]
    with opened(config) as app:
        found = [key.selector for key in app.signers.of(theirs)]
    if as_json:
        show_json({"domain": theirs, "keeps_author": bool(found), "selectors": found})
    elif found:
        click.echo(f"Plain mail of people at {theirs} keeps its author; it is signed by {', '.join(found)}.")
    else:
        click.echo(f"Plain mail of people at {theirs} leaves under an address of ours. To change that, publish there:")
        for record in wanted:
            click.echo(zone_line(record))
    if not found:
        ctx.exit(1)


def _refuse_unpublished(app: App, waiting: list[Held]) -> None:
    """Raise Denied where DNS shows that nobody finds a key; where it gives no answer, the operator's word counts."""
    from cryptnsend.delivery import dkim as keys
    from cryptnsend.delivery import keyring
    from cryptnsend.delivery.dns import DnsTrouble

    for each in waiting:
        if each.key is None:
            continue
        try:
            is_there = keyring.is_published(each.key, app.resolver.texts)
        except DnsTrouble:
            continue
        if not is_there:
            raise Denied(
                f"{keys.dns_name(each.key)} does not show the new key, so nobody could check what it signs. Publish it"
                " first; --unseen activates all the same."
            )


def _look(app: App) -> None:
    from cryptnsend.delivery.dns import DnsTrouble

    try:
        app.keyring.look(app.resolver.texts)
    except DnsTrouble as trouble:
        raise Temporary(f"It cannot be seen whether the new keys are published: {trouble}.") from None


def _show(ring: KeyRing, held: tuple[Held, ...], as_json: bool) -> None:
    rows = [_row(ring, each) for each in held]
    if as_json:
        show_json(rows)
        return
    for row in rows:
        row["since"] = moment(row["since"] or None)
    show_table(rows, COLUMNS, empty="There is no signing key. `cryptnsend dkim rotate` makes them.")


def _row(ring: KeyRing, held: Held) -> dict[str, Any]:
    """Return what is said of a key; times are UTC milliseconds."""
    signs_from = ring.signs_from(held) if held.state == "announced" else None
    may_go = ring.may_go(held) if held.state == "retired" else None
    if held.state == "announced":
        comes = f"signs from {moment(signs_from)}" if signs_from else "signs a day after its record can be seen"
    elif held.state == "retired":
        comes = f"keep its record until {moment(may_go)}"
    else:
        comes = {"signing": "", "over": "its record may be removed"}[held.state]
    return {
        "selector": held.selector,
        "algorithm": held.algorithm,
        "state": held.state,
        "since": held.since,
        "seen": held.seen,
        "signs_from": signs_from,
        "may_go": may_go,
        "next": comes,
    }
