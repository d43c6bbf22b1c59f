"""How does the portal open its port, and how does it close? granian around the Flask application.

The process that calls `serve` holds the port and watches the certificate; the pages are made in a worker process. A new
certificate gets a new worker, which takes over while the old one finishes its requests; both accept from the one socket
that listens, so nobody who knocks meanwhile is lost. Workers are started afresh, not forked: a fork of a process with
threads inherits whatever lock one of them holds at that moment, and hangs. A worker ends with the process that started
it, however that ends: an orphan would take connections beside the next portal until it found out, and break them off.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server.mp import MPServer

from cryptnsend.confined.confine import die_with_parent
from cryptnsend.core.errors import ConfigError
from cryptnsend.logs import logger
from cryptnsend.portal.front import Front

RENEW = 30.0  # seconds between two looks at the certificate's files
DRAIN = 20  # seconds that open requests get when the server stops
OVERLAP = 10.0  # seconds that the old worker goes on beside the new one, which has to come up first
BACKLOG = 1024  # connections that wait until a worker takes them
PROBE = 0.05  # seconds between two tries to reach the worker
ANSWER = 30.0  # seconds that a worker may take to come up and answer

log = logger(__name__)


class Holding(MPServer):
    """
    A server on a socket that is there already, which may be on a port that this process could not open.

    granian on Linux opens a socket in each worker; where it shares one, as on other systems, this is the one.
    """

    def __init__(self, held: socket.socket, **options: Any):
        address, port = held.getsockname()[:2]
        super().__init__("cryptnsend portal", address=address, port=port, **options)
        if certificate := options.get("ssl_cert"):
            # granian follows links once and for all. Programs that renew certificates set theirs anew, so that each new
            # worker has to follow them again.
            chain, key = (str(each.absolute()) for each in (certificate, options["ssl_key"]))
            vars(self).update(ssl_ctx=(self.ssl_ctx[0], chain, key, *self.ssl_ctx[3:]))
        self._held = held

    def _init_shared_socket(self) -> None:
        # Head and body of an answer leave by two writes; the second waits for no acknowledgement of the first, which
        # a browser may hold back for 40 ms. Connections inherit this from the socket that listens.
        self._held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held.listen(BACKLOG)
        self._held.setblocking(False)
        self._held.set_inheritable(True)
        holder: Any = SocketHolder  # its stub does not tell what it is made of
        fd = self._held.fileno()
        vars(self).update(_ssp=None, _sso=self._held, _sfd=fd, _shd=holder(fd, False, BACKLOG))


def serve(
    make_app: Callable[[], Any],
    held: socket.socket,
    *,
    certificate: Path,
    key: Path,
    threads: int,
    ready: Callable[[], None],
    renew: float = RENEW,
) -> None:
    """
    Serve the WSGI application of *make_app* on the bound socket *held* until SIGTERM or SIGINT, and close it then.

    Call it in the main thread. *make_app* runs in the worker: a function that can be pickled, with its arguments by
    `functools.partial`. *ready* is called here when connections are taken. Raises ConfigError if the certificate cannot
    be used, SystemExit if the worker died.
    """
    address, port = held.getsockname()[:2]
    if problem := _problem(certificate, key):
        raise ConfigError(f"[tls] certificate = {certificate}, key = {key}: cannot be used: {problem}.")
    granian = Holding(
        held,
        interface=Interfaces.RSGI,
        websockets=False,
        # Where an upload breaks off over HTTP/2, granian's body never ends, and a thread waits for the rest for good.
        http=HTTPModes.http1,
        ssl_cert=certificate,
        ssl_key=key,
        ssl_protocol_min=SSLProtocols.tls12,
        # Its own handlers would write to the terminal; incremental leaves ours in place.
        log_dictconfig={"incremental": True, "handlers": {}, "loggers": {}},
        log_level=LogLevels.error,
        workers_kill_timeout=DRAIN,
        respawn_interval=OVERLAP,
    )
    multiprocessing.set_start_method("spawn", force=True)  # how granian starts its worker
    ended = threading.Event()
    for name, watch in (
        ("portal ready", partial(_tell, (address, port), ready, ended)),
        ("certificate", partial(_renew, certificate, key, renew, ended)),
    ):
        threading.Thread(target=watch, name=name, daemon=True).start()
    try:
        granian.serve(target_loader=partial(_load, make_app, threads, os.getpid()))
    finally:
        ended.set()
        held.close()


def _load(make_app: Callable[[], Any], threads: int, parent: int, _target: str) -> Any:
    die_with_parent()
    if os.getppid() != parent:  # it ended before this was said
        raise SystemExit(1)
    try:
        return Front(make_app(), threads)
    except Exception as error:
        # The worker would print the exception with its text, which may quote what it tripped over.
        log.critical("the pages cannot be made", exc_info=error)
        raise SystemExit(1) from None


def _tell(place: tuple[str, int], ready: Callable[[], None], ended: threading.Event) -> None:
    """Call *ready* as soon as the worker answers; that somebody may knock says only that the port is ours."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place[0], place[0])  # noqa: S104 - compared, not bound
    while not ended.wait(PROBE):
        try:
            with socket.create_connection((host, place[1]), ANSWER) as knocking, context.wrap_socket(knocking):
                pass
        except OSError:
            continue
        log.info("the portal is open", port=place[1])
        ready()
        return


def _renew(certificate: Path, key: Path, every: float, ended: threading.Event) -> None:
    """Ask granian for a new worker when the certificate's files change and belong together."""
    seen = _marks(certificate, key)
    while not ended.wait(every):
        marks = _marks(certificate, key)
        if marks == seen or marks is None:
            continue
        if problem := _problem(certificate, key):
            # Half written, perhaps: the marks stay, so that the next look tries again.
            log.warning("certificate not reloaded", problem=problem)
            continue
        seen = marks
        log.info("certificate reloaded")
        os.kill(os.getpid(), signal.SIGHUP)


def _marks(*files: Path) -> tuple[tuple[int, int, int], ...] | None:
    try:
        stats = [file.stat() for file in files]
    except OSError:
        return None
    return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in stats)


def _problem(certificate: Path, key: Path) -> str:
    """Return why chain and key cannot be used together, or the empty string."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
        return str(reason or type(error).__name__)
    return ""
