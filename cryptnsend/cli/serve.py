"""`serve`: all roles under one supervisor, or one role, in this process or, as a user of its own, under one too."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from cryptnsend import logs, metrics, rights
from cryptnsend.cli.options import home_option
from cryptnsend.cli.owner import is_served, must_be_restored, serve_command
from cryptnsend.config import Config
from cryptnsend.core.errors import ConfigError, CryptnSendError
from cryptnsend.hardening import harden
from cryptnsend.home import Home, bind
from cryptnsend.lending import Lending
from cryptnsend.supervisor import Line, Supervisor, alone

if TYPE_CHECKING:
    from cryptnsend.app import App

ROLES = rights.ROLES
DOORS = {  # by role, the ports it answers at
    "submission": ("submissions", "submission"),
    "inbound": ("inbound",),
    "mailbox": ("imaps", "pop3s"),
    "portal": ("portal",),
}
HEADER = 262_144  # octets of another server's header block; it is looked through while others wait
JUNK = 20  # commands of another server that lead nowhere, unknown recipients among them, before it is sent away
SCANS = 32  # messages before a scanner, or on their way to it, at the same time
Doors = Mapping[str, socket.socket]


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
        if role is None or people is not None:
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
            _count(config, role, alone=line is None)
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
        _forget_counts(home)
    lending = None if people is None else Lending(config, people, roles)
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(open(config.log.file, "ab", buffering=0)) if config.log.file else None
        if lending is not None:
            stack.callback(lending.end)
        return Supervisor(
            home,
            {role: serve_command(config, role) for role in roles},
            environs={role: _environ(config, role) | (lending.environ(role) if lending else {}) for role in roles},
            launches={} if people is None else {role: people.launch(role) for role in roles},
            doors=lambda role: {name: _bound(config, name) for name in DOORS.get(role, ())},
            tend=lending.renew if lending else lambda: None,
            output=output,
            lock=None if only is None else home.run / f"{only}.lock",
            on_ready=tell if only is None else lambda: None,
        ).run()


def _environ(config: Config, role: str) -> dict[str, str]:
    """Return the environment of a role: the master key is for the keeper only, and its log goes where we say."""
    environ = {name: value for name, value in os.environ.items() if name != config.keeper.key_variable}
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


def _keeper(config: Config, ready: Callable[[], None], _doors: Doors) -> None:
    """Serve the keeper's sockets. Without a master key it starts all the same, and answers that it has none."""
    from cryptnsend import app
    from cryptnsend.keeper.providers import make_master_key

    home, key = Home(config.server.home), config.keeper.key_file
    with alone(home.keeper_sockets / "keeper.lock", home.path):
        if config.keeper.provider == "file" and not key.exists() and not home.ledger.exists():
            make_master_key(key, os.urandom)  # nothing was ever wrapped here, so a new key loses nothing
        app.serve_keeper(config, until_stopped(), ready)


def _submission(config: Config, ready: Callable[[], None], inherited: Doors) -> None:
    """Open the SMTP doors."""
    from concurrent.futures import ThreadPoolExecutor

    from cryptnsend.flow import scanning
    from cryptnsend.flow.intake import SmtpIntake
    from cryptnsend.submission import limits, server, tls

    built, home, log = _build(config, "submission"), Home(config.server.home), logs.logger("cryptnsend.submission")
    certificate = tls.Certificate(config.tls.certificate, config.tls.key, log)
    doors, ports = [], {}
    for name, implicit in (("submissions", True), ("submission", False)):
        bound = inherited.get(name) or _bound(config, name)
        doors.append(server.Door(bound, implicit))
        ports[name] = bound.getsockname()[1]

    def opened() -> None:
        if not inherited:
            home.announce(ports)
        ready()

    figures = config.limits
    # What waits for a scanner waits longer than what waits for a disk; so there are more who may.
    pool = None if built.scanning.is_idle else ThreadPoolExecutor(SCANS, "submission")
    server.serve(
        doors,
        gatekeeper=built.gate,
        intake=lambda loop: SmtpIntake(
            built.admission, built.engine.batcher(loop), lambda wait: loop.run_in_executor(pool, wait)
        ),
        certificate=certificate,
        hostname=config.server.hostname,
        log=log,
        limits=limits.Limits(
            size=figures.message_octets,
            recipients=figures.recipients,
            header=figures.header_octets,
            connections=figures.connections,
            per_source=figures.connections_per_ip,
            idle=figures.idle_seconds,
        ),
        help_url=lambda topic: f"{home.base_url(config)}/help/{topic}",
        ready=opened,
        hurry=(scanning.PATIENCE, built.scanning.give_up),
    )
    if pool is not None:
        pool.shutdown()
    built.close()


def _inbound(config: Config, ready: Callable[[], None], inherited: Doors) -> None:
    """Open the door for other servers."""
    from concurrent.futures import ThreadPoolExecutor

    from cryptnsend.flow import scanning
    from cryptnsend.submission import inbound, limits, server, tls

    built, home, log = _build(config, "inbound"), Home(config.server.home), logs.logger("cryptnsend.inbound")
    certificate = tls.Certificate(config.tls.certificate, config.tls.key, log)
    bound = inherited.get("inbound") or _bound(config, "inbound")
    figures = config.inbound

    def make(pool: ThreadPoolExecutor) -> server.Server:
        return inbound.inbound_server(
            [server.Door(bound, implicit_tls=False)],
            reception=built.inbound,
            pool=pool,
            certificate=certificate,
            hostname=config.server.hostname,
            log=log,
            limits=limits.Limits(
                size=config.limits.message_octets,
                recipients=figures.recipients,
                header=min(config.limits.header_octets, HEADER),
                connections=figures.connections,
                per_source=figures.connections_per_ip,
                idle=config.limits.idle_seconds,
                junk=JUNK,
            ),
            help_url=lambda topic: f"{home.base_url(config)}/help/{topic}",
        )

    def opened() -> None:
        if not inherited:
            home.announce({"inbound": bound.getsockname()[1]})
        ready()

    inbound.serve_inbound(make, opened, (scanning.PATIENCE, built.scanning.give_up))
    built.close()


def _mailbox(config: Config, ready: Callable[[], None], inherited: Doors) -> None:
    """Open the IMAP and POP doors."""
    from concurrent.futures import ThreadPoolExecutor

    from cryptnsend.mailbox import connection, limits
    from cryptnsend.mailbox import server as mailbox
    from cryptnsend.submission import server, tls

    built, home, log = _build(config, "mailbox"), Home(config.server.home), logs.logger("cryptnsend.mailbox")
    certificate = tls.Certificate(config.tls.certificate, config.tls.key, log)
    doors = {name: server.Door(inherited.get(name) or _bound(config, name), True) for name in DOORS["mailbox"]}
    ports = {name: door.socket.getsockname()[1] for name, door in doors.items()}
    figures = config.mailbox

    def make(pool: ThreadPoolExecutor) -> server.Doorkeeper:
        return mailbox.mailbox_server(
            doors,
            gate=built.mail_gate,
            rooms=connection.Rooms(built.mailboxes, built.shelf, built.filing),
            pool=pool,
            clock=built.clock,
            certificate=certificate,
            hostname=config.server.hostname,
            message_octets=config.limits.message_octets,
            log=log,
            limits=limits.Limits(
                connections=figures.connections,
                per_source=config.limits.connections_per_ip,
                per_account=figures.connections_per_account,
                idle=figures.idle_minutes * 60.0,
            ),
        )

    def opened() -> None:
        if not inherited:
            home.announce(ports)
        ready()

    mailbox.serve_mailbox(make, opened)
    built.close()


def _portal(config: Config, ready: Callable[[], None], inherited: Doors) -> None:
    """Open the portal."""
    from cryptnsend.portal import server

    home = Home(config.server.home)
    held = inherited.get("portal") or _bound(config, "portal")
    port = held.getsockname()[1]

    def opened() -> None:
        if not inherited:
            home.announce({"portal": port})
        ready()

    server.serve(
        partial(pages, config, os.urandom(32)),
        held,
        certificate=config.tls.certificate,
        key=config.tls.key,
        threads=config.portal.threads,
        ready=opened,
    )


def pages(config: Config, secret: bytes) -> Any:
    """Make the portal's pages, in its worker process; *secret* signs the form cookie in each worker that follows."""
    from cryptnsend.portal import create_app
    from cryptnsend.portal.flows import Pieces
    from cryptnsend.portal.flows_programs import Api
    from cryptnsend.portal.governing import Officers

    harden()  # a new program, and so a new decision
    logs.configure(config.log.level, config.log.file, "portal")
    _count(config, "portal")
    home, built = Home(config.server.home), _build(config, "portal")
    pieces = Pieces(
        accounts=built.accounts,
        pickup=built.pickup,
        replies=built.replies,
        drafts=built.drafts,
        uploads=built.uploads,
        begun=built.begun,
        now=built.clock.now,
        random=os.urandom,
        newmail=built.newmail,
        following=built.following,
        folders=built.folders,
        policies=built.policies,
        organisations=built.organisations,
        holding=built.holding,
        downloads=built.downloads,
        ownkeys=built.ownkeys,
        trials=built.trials,
        filelinks=built.filelinks,
        library=built.library,
        looks=built.looks,
        visitors=built.visitors,
        visitforms=built.visitforms,
        officers=Officers(
            built.auditing, built.archiving, built.glass, built.casework, built.recalling, built.archivedfiles
        ),
        api=Api(built.api_tokens, built.api_mail, built.webhooks, built.organisation_webhooks),
    )
    return create_app(pieces, config, secret=secret, ports=home.ports, spool=home.spool)


def _courier(config: Config, ready: Callable[[], None], _doors: Doors) -> None:
    """Deliver what is due, and end what is over."""
    stop, home = until_stopped(), Home(config.server.home)
    # Links carry the portal's port; one that is free is known when the portal has bound it.
    while not config.ports.portal and "portal" not in home.ports():
        if stop.wait(0.1):
            return
    built = _build(config, "courier")
    beside = [
        threading.Thread(target=built.upkeep.run, args=(stop,), name="upkeep"),
        threading.Thread(target=built.keyring.run, args=(stop, built.resolver.texts), name="signing-keys"),
    ]
    if config.delivery.tls_reports and not config.delivery.smarthost:  # a relay's TLS is nobody's news
        beside.append(threading.Thread(target=built.tls_reports.run, args=(stop,), name="tls-reports"))
    for thread in beside:
        thread.start()
    with _figures(built):
        ready()
        built.deliver.run(stop)
    for thread in beside:
        thread.join()
    built.close()


PLAYS = {
    "keeper": _keeper,
    "submission": _submission,
    "inbound": _inbound,
    "mailbox": _mailbox,
    "portal": _portal,
    "courier": _courier,
}


def _count(config: Config, role: str, *, alone: bool = False) -> None:
    """Let this process count, if somebody reads it; *alone*, it begins at zero."""
    if not config.metrics.listen:
        return
    home = Home(config.server.home)
    if alone:
        _forget_counts(home, role)
    home.metrics.mkdir(mode=0o700, exist_ok=True)  # a home of an earlier version
    metrics.start(role, home.metrics / role)


def _forget_counts(home: Home, role: str = "*") -> None:
    """Remove what earlier processes counted: a server begins at zero, a role that is started again goes on."""
    for file in home.metrics.glob(f"{role}/counter_*.db"):
        file.unlink(missing_ok=True)


@contextlib.contextmanager
def _figures(built: App) -> Iterator[None]:
    """Serve the page of figures while the context lasts, if it is wanted."""
    listen = built.config.metrics.listen
    if not listen:
        yield
        return
    from cryptnsend.monitoring import Figures, exposed

    with exposed(listen, built.home, Figures(built.home, built.engine, built.clock).text) as held:
        logs.logger(__name__).info("the figures are open", place=listen, family=held.family.name)
        yield


def until_stopped() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def _bound(config: Config, name: str) -> socket.socket:
    """
    Bind the port called *name*.

    A free port is the one that this server had before, if it is still free, because links with it are on their way.
    """
    wanted: int = getattr(config.ports, name)
    if not wanted and (earlier := Home(config.server.home).ports().get(name)):
        try:
            return bind(config.ports.bind, earlier)
        except OSError:
            logs.logger(__name__).warning("the port from before is taken", door=name, port=earlier)
    try:
        return bind(config.ports.bind, wanted)
    except OSError as error:
        raise ConfigError(
            f"{config.source}: [ports] {name} = {wanted}: cannot listen there on {config.ports.bind}: {error.strerror}."
            " Allowed is a port that nobody else uses; ports below 1024 need root or CAP_NET_BIND_SERVICE."
        ) from error


def _build(config: Config, role: str) -> App:
    # A role brings in what it plays; the supervisor, which only starts processes, brings in none of it.
    from cryptnsend import app

    return app.build(config, role)
