"""`serve`: all roles under one supervisor, or one role, in this process or, as a user of its own, under one too."""

from __future__ import annotations

import contextlib
import os
import socket

import click

from cryptnsend import logs, metrics, rights
from cryptnsend.cli.options import home_option
from cryptnsend.cli.owner import is_served, must_be_restored, serve_command
from cryptnsend.cli.plays import DOORS, PLAYS, Doors, bound_to, count, forget_counts
from cryptnsend.config import NEXT, Config
from cryptnsend.core.errors import CryptnSendError
from cryptnsend.hardening import harden
from cryptnsend.home import Home, bind_beside
from cryptnsend.lending import Lending
from cryptnsend.supervisor import Line, Supervisor, alone

ROLES = rights.ROLES


@click.command()
@click.argument("role", required=False, type=click.Choice(ROLES))
@click.option("--supervised", type=int, hidden=True)
@click.option("--door", "inherited", multiple=True, hidden=True)
@home_option
@click.pass_context
def serve(
    ctx: click.Context, config: Config, role: str | None, supervised: int | None, inherited: tuple[str, ...]
) -> None:
    """
    Run the server until SIGTERM or Ctrl-C: all roles as processes of their own, or only ROLE.

    Started as root, each role runs as a user of its own if there is one; docs/operations.md tells more. The first
    signal lets everybody finish what they have begun, a second one stops at once. Roles that die are started again. Log
    lines are JSON, on standard output or in the file that the configuration names.
    """
    os.umask(rights.UMASK_SHARED if rights.is_apart(Home(config.server.home)) else rights.UMASK_PRIVATE)
    harden()
    logs.configure(config.log.level, config.log.file, role or "supervisor")
    if supervised is None:
        home = Home(config.server.home)
        must_be_restored(home)
        others_run = is_served(home)
        # Nobody arranges a home anew under the feet of a server that runs on it.
        with alone(home.serve_lock, home.path, shared=role is not None):
            people = _people(config, others_run)
        if role is None or people is not None or len(_players(config, role)) > 1:
            ctx.exit(_supervise(config, people, role))
    assert role is not None  # noqa: S101 - a supervisor names it
    line = None if supervised is None else Line(supervised)
    if line is not None:
        line.watch()
    try:
        with contextlib.ExitStack() as stack:
            if line is None:
                home = Home(config.server.home)
                stack.enter_context(alone(home.serve_lock, home.path, shared=True))
                stack.enter_context(alone(home.run / f"{role}.lock", home.path))
            count(config, role, alone=line is None)
            metrics.count("role_starts")
            PLAYS[role](config, line.ready if line is not None else lambda: None, _inherited(inherited))
    except CryptnSendError as error:
        logs.logger(__name__).error("the role cannot go on", reason=str(error))
        raise


def _people(config: Config, others_run: bool) -> rights.People | None:
    """Return the users that play the roles, with the home arranged for them, or say loudly why one user plays all."""
    log = logs.logger(__name__)
    try:
        people = rights.apart(config, others_run=others_run)
    except rights.NotApart as reason:
        log.warning("one user plays all roles", uid=os.getuid(), reason=str(reason))
        click.echo(f"{reason.words} {reason.remedy}", err=True)
        return None
    log.info("each role has a user of its own", uids=dict(people.uids), gid=people.gid)
    return people


def _supervise(config: Config, people: rights.People | None, only: str | None) -> int:
    """Run all roles, or *only* one, as the users that play them."""
    home = Home(config.server.home)
    closed = {"inbound": not config.inbound.enabled, "mailbox": not config.mailbox.enabled}
    wanted = [role for role in ROLES if not closed.get(role)]
    roles = wanted if only is None else [only]
    parts = {player: role for role in roles for player in _players(config, role)}
    held: dict[str, Doors] = {}

    def doors(player: str) -> Doors:
        role = parts[player]
        if role in held:
            return {name: bind_beside(door) for name, door in held[role].items()}
        held[role] = {name: bound_to(config, name) for name in DOORS.get(role, ())}
        return held[role]

    def tell() -> None:
        ports = home.ports()
        host = config.server.hostname
        click.echo(f"The portal is at {home.base_url(config)}", err=True)
        click.echo(f"Mail clients submit to {host}, port {ports.get('submissions')} (TLS)", err=True)
        click.echo(f"  or port {ports.get('submission')} (STARTTLS).", err=True)
        if "imaps" in ports:
            click.echo(f"  and read at {host}, IMAP port {ports['imaps']}, POP port {ports['pop3s']} (TLS).", err=True)
        if "inbound" in ports:
            click.echo(f"Other mail servers bring bounces and answers to port {ports['inbound']}.", err=True)

    if only is None:
        forget_counts(home)
    lending = None if people is None else Lending(config, people, roles)
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(open(config.log.file, "ab", buffering=0)) if config.log.file else None
        if lending is not None:
            stack.callback(lending.end)
        return Supervisor(
            home,
            {player: serve_command(config, role) for player, role in parts.items()},
            environs={
                player: _environ(config, role) | (lending.environ(role) if lending else {})
                for player, role in parts.items()
            },
            launches={} if people is None else {player: people.launch(role) for player, role in parts.items()},
            doors=doors,
            tend=lending.renew if lending else lambda: None,
            output=output,
            lock=None if only is None else home.run / f"{only}.lock",
            on_ready=tell if only is None else lambda: None,
        ).run()


def _players(config: Config, role: str) -> list[str]:
    """Return the names of the processes that play *role*, as the supervisor and its log call them."""
    count = config.submission.processes if role == "submission" else 1
    return [role, *(f"{role}-{number}" for number in range(2, count + 1))]


def _environ(config: Config, role: str) -> dict[str, str]:
    """Return the environment of a role: the master key is for the keeper only, and its log goes where we say."""
    master = {config.keeper.key_variable, f"{config.keeper.key_variable}{NEXT}"}
    environ = {name: value for name, value in os.environ.items() if name not in master}
    if role == "keeper" and config.keeper.key_variable in os.environ:
        environ[config.keeper.key_variable] = os.environ[config.keeper.key_variable]
    # A role may not open the log's file; it writes to its standard output, which is that file.
    return environ | {"CRYPTNSEND_LOG_FILE": ""}


def _inherited(words: tuple[str, ...]) -> dict[str, socket.socket]:
    """Return the doors that the supervisor has opened for this role, by the names of their ports."""
    doors = {}
    for word in words:
        name, _, descriptor = word.partition("=")
        os.set_inheritable(int(descriptor), False)
        doors[name] = socket.socket(fileno=int(descriptor))
    return doors
