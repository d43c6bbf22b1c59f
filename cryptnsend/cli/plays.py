"""What does the process of each role do, once it is started: which pieces does it ask for, and where does it open?"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from cryptnsend import logs, metrics
from cryptnsend.config import Config
from cryptnsend.core.errors import ConfigError
from cryptnsend.hardening import harden
from cryptnsend.home import Home, bind
from cryptnsend.supervisor import alone

if TYPE_CHECKING:
    from cryptnsend.app import App
    from cryptnsend.portal.flows import Pieces

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
        bound = inherited.get(name) or bound_to(config, name)
        doors.append(server.Door(bound, implicit))
        ports[name] = bound.getsockname()[1]

    def opened() -> None:
        if not inherited:
            home.announce(ports)
        ready()

    # What is a limit of the machine's is shared out among the processes, of which each sees only its own clients.
    figures, processes = config.limits, config.submission.processes
    # What waits for a scanner waits longer than what waits for a disk; so there are more who may.
    pool = None if built.scanning.is_idle else ThreadPoolExecutor(max(1, SCANS // processes), "submission")
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
            connections=-(-figures.connections // processes),
            per_source=figures.connections_per_ip,
            idle=figures.idle_seconds,
            auth_threads=max(1, limits.Limits().auth_threads // processes),
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
    bound = inherited.get("inbound") or bound_to(config, "inbound")
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
    doors = {name: server.Door(inherited.get(name) or bound_to(config, name), True) for name in DOORS["mailbox"]}
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
    held = inherited.get("portal") or bound_to(config, "portal")
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

    harden()  # a new program, and so a new decision
    logs.configure(config.log.level, config.log.file, "portal")
    count(config, "portal")
    home, built = Home(config.server.home), _build(config, "portal")
    return create_app(pieces(built), config, secret=secret, ports=home.ports, spool=home.spool)


def pieces(built: App) -> Pieces:
    """Return what the portal's pages call."""
    from cryptnsend.portal.flows import Pieces
    from cryptnsend.portal.flows_programs import Api
    from cryptnsend.portal.governing import Officers

    return Pieces(
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


def count(config: Config, role: str, *, alone: bool = False) -> None:
    """Let this process count, if somebody reads it; *alone*, it begins at zero."""
    if not config.metrics.listen:
        return
    home = Home(config.server.home)
    if alone:
        forget_counts(home, role)
    home.metrics.mkdir(mode=0o700, exist_ok=True)  # a home of an earlier version
    metrics.start(role, home.metrics / role)


def forget_counts(home: Home, role: str = "*") -> None:
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


def bound_to(config: Config, name: str) -> socket.socket:
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
