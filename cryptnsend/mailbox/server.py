"""How do the IMAP and POP doors open? Like the SMTP doors (submission/server.py), with other sessions behind them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from cryptnsend.core.contracts import Clock
from cryptnsend.flow.mailgate import MailGate
from cryptnsend.mailbox.connection import House, Rooms
from cryptnsend.mailbox.imap import ImapSession
from cryptnsend.mailbox.limits import Limits
from cryptnsend.mailbox.pop import PopSession
from cryptnsend.submission import server
from cryptnsend.submission.auth import Turnstile

SESSIONS: dict[str, type[ImapSession] | type[PopSession]] = {"imaps": ImapSession, "pop3s": PopSession}


def mailbox_server(
    doors: dict[str, server.Door],
    *,
    gate: MailGate,
    rooms: Rooms,
    pool: ThreadPoolExecutor,
    clock: Clock,
    certificate: server.Renewable,
    hostname: str,
    message_octets: int,
    log: structlog.typing.FilteringBoundLogger,
    limits: Limits | None = None,
) -> server.Doorkeeper:
    """Return the doors, `imaps` and `pop3s` by their names, to be started."""
    limits = limits or Limits()
    log = log.bind()
    house = House(
        hostname=hostname,
        limits=limits,
        turnstile=Turnstile(gate, limits, log),
        rooms=rooms,
        pool=pool,
        log=log,
        clock=clock,
        message_octets=message_octets,
    )
    opened = [server.Door(door.socket, True, SESSIONS[name]) for name, door in doors.items()]
    return server.Doorkeeper(opened, house=house, certificate=certificate, log=log, session=ImapSession)


def serve_mailbox(make: Callable[[ThreadPoolExecutor], server.Doorkeeper], ready: Callable[[], None]) -> None:
    """Keep the doors that *make* returns open until SIGTERM or SIGINT; call in the main thread."""
    with ThreadPoolExecutor(Limits().threads, "mailbox") as pool:
        server.run(server.until_stopped(lambda _loop: make(pool), ready))
