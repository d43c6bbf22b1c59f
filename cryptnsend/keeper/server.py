"""The keeper's process: one socket for each role, one thread for each connection.

Who may connect is decided by the kernel's word about the peer (SO_PEERCRED), what may be asked by the socket. Without
a master key, or with a ledger that cannot be used, it runs and says why; every request then answers `KeeperGone`, and
the next one tries again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from cryptnsend import metrics
from cryptnsend.core.contracts import Clock, Engine
from cryptnsend.core.errors import ConfigError, CryptnSendError, Denied, KeeperGone, StoreBroken, Temporary
from cryptnsend.core.model import Random
from cryptnsend.hardening import harden
from cryptnsend.keeper import ledger, schema, secrets, wire, wraps
from cryptnsend.keeper.context import Context, Settings
from cryptnsend.keeper.journal import Journal
from cryptnsend.keeper.providers import Provider
from cryptnsend.keeper.requests import Health
from cryptnsend.keeper.roles import REQUESTS, ROLES

RETRY = 2.0  # seconds between two looks for a master key that was missing
DRAIN = 10.0  # seconds for requests under way to finish
_PEER = struct.Struct("3i")  # pid, uid, gid
_requests = msgspec.msgpack.Decoder(wire.Request)


class Desk:
    """Answers requests. Whatever is missing at the start is looked for again until it is there."""

    def __init__(
        self,
        engine: Engine,
        provider: Provider,
        clock: Clock,
        rng: Random,
        settings: Settings,
        log: structlog.typing.FilteringBoundLogger,
    ):
        self._engine, self._provider, self._clock, self._rng = engine, provider, clock, rng
        self._settings, self._log = settings, log
        self._boot = rng(16)
        self._lock = threading.Lock()
        self._context: Context | None = None
        self._why, self._look_again = "", 0.0

    def context(self) -> Context:
        """Return what requests work with; raise `KeeperGone` with the reason why there is nothing yet."""
        if self._context is not None:
            return self._context
        with self._lock:
            if self._context is None and self._clock.monotonic() >= self._look_again:
                self._look_again = self._clock.monotonic() + RETRY
                self._context = self._load()
            if self._context is None:
                raise KeeperGone("The keeper cannot work at present; the operator's log says why.")
            return self._context

    def health(self) -> Health:
        """Say whether requests can be answered, and why not."""
        try:
            return Health(True, "", ledger.era(self.context().reads), self._boot)
        except CryptnSendError as error:
            return Health(False, self._why or str(error), 0, self._boot)

    def answer(self, role: str, body: bytes) -> bytes:
        """Return the frame that answers a request's body. Nothing of an unforeseen exception leaves this process."""
        name, result = "?", "failed"
        try:
            asked = _requests.decode(body)
            if asked.r == "health":
                name, result = "health", "ok"
                return wire.answer(self.health())
            request = REQUESTS[role].get(asked.r)
            if request is None:
                self._log.warning("keeper.refused", caller=role, reason="not a request of this role")
                raise Denied("There is no such request here.")
            name = asked.r
            frame = wire.answer(request.answer(self.context(), asked.a))
            result = "ok"
            return frame
        except CryptnSendError as error:
            if isinstance(error, Denied):
                result = "denied"
            else:
                self._log.warning("keeper.failed", caller=role, request=name, error=type(error).__name__)
            return wire.refusal(error)
        except msgspec.MsgspecError:
            result = "denied"
            return wire.refusal(Denied("This request is not well formed."))
        except wire.FrameTooLong:
            return wire.refusal(Denied("The answer would be too long; ask for less at a time."))
        except Exception as error:
            # Neither the text of an exception nor the values around it: both may quote what must not be written.
            places = [
                f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
            ]
            self._log.error("keeper.defect", caller=role, request=name, error=type(error).__name__, places=places)
            return wire.refusal(Temporary("The keeper could not do this. Try again later."))
        finally:
            metrics.count("keeper_requests", caller=role, request=name, result=result)

    def close(self) -> None:
        """Release the journal; the engine is its owner's to close."""
        if self._context is not None:
            self._context.journal.close()

    def _load(self) -> Context | None:
        try:
            self._engine.migrate(schema.STEPS)
            found = secrets.load(self._engine, self._provider, self._clock, self._rng)
            journal = Journal(self._settings.journal)
        except (KeeperGone, StoreBroken, ConfigError) as error:
            if str(error) != self._why:
                self._why = str(error)
                self._log.error("keeper.cannot-work", reason=self._why)
            return None
        self._why = ""
        return Context(
            engine=self._engine,
            secrets=found,
            provider=self._provider,
            journal=journal,
            clock=self._clock,
            rng=self._rng,
            settings=self._settings,
            log=self._log,
            boot=self._boot,
            decoy=wraps.make_decoy(found.key("outer"), self._rng),
        )


class Server:
    """The sockets, and the threads behind them."""

    def __init__(self, desk: Desk, run_dir: Path, settings: Settings, log: structlog.typing.FilteringBoundLogger):
        self._desk, self._run_dir, self._settings, self._log = desk, run_dir, settings, log
        self._listeners: dict[str, socket.socket] = {}
        self._guard = threading.Lock()
        self._peers: dict[socket.socket, threading.Thread] = {}
        self._busy: set[socket.socket] = set()
        self._stopping = threading.Event()
        self._accepting: list[threading.Thread] = []

    def start(self) -> None:
        """Listen on every role's socket; returns when all of them do."""
        for role in ROLES:
            path = self._run_dir / f"keeper-{role}.sock"
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(path))
            uids = self._settings.uids.get(role, frozenset())
            # With a uid for each role the sockets' folder is open to them all, and the kernel's word decides.
            path.chmod(0o600 if not uids else 0o666)
            listener.listen(64)
            self._listeners[role] = listener
        for role, listener in self._listeners.items():
            thread = threading.Thread(target=self._accept, args=(role, listener), name=f"keeper {role}", daemon=True)
            thread.start()
            self._accepting.append(thread)

    def stop(self) -> None:
        """Accept nobody more, let requests under way finish, close everything; safe to call twice."""
        self._stopping.set()
        for listener in self._listeners.values():
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        deadline = time.monotonic() + DRAIN
        for thread in self._accepting:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._guard:
            threads = list(self._peers.values())
            for peer in self._peers:
                if peer not in self._busy:
                    with contextlib.suppress(OSError):
                        peer.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for role in self._listeners:
            with contextlib.suppress(FileNotFoundError):
                (self._run_dir / f"keeper-{role}.sock").unlink()
        self._listeners.clear()

    def _accept(self, role: str, listener: socket.socket) -> None:
        uids = self._settings.uids.get(role, frozenset()) | {os.geteuid()}
        room = threading.BoundedSemaphore(self._settings.connections)
        while not self._stopping.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                if self._stopping.is_set():
                    return
                # Out of descriptors: the connections that are there go on, and free some.
                self._log.error("keeper.accept-failed", caller=role)
                self._stopping.wait(0.2)
                continue
            uid = uid_of(peer)
            if uid not in uids:
                self._log.warning("keeper.stranger", caller=role, uid=uid)
                peer.close()
            elif not room.acquire(blocking=False):
                self._log.warning("keeper.full", caller=role)
                peer.close()
            else:
                thread = threading.Thread(
                    target=self._converse, args=(role, peer, room), name=f"keeper for {role}", daemon=True
                )
                with self._guard:
                    self._peers[peer] = thread
                thread.start()

    def _converse(self, role: str, peer: socket.socket, room: threading.BoundedSemaphore) -> None:
        """Answer one connection's requests until it ends. It may idle as long as it likes, but not inside a frame."""
        try:
            while not self._stopping.is_set():
                body = wire.receive(peer, self._settings.frame_seconds)
                if body is None:
                    return
                with self._guard:
                    self._busy.add(peer)
                frame = self._desk.answer(role, body)
                peer.settimeout(self._settings.frame_seconds)
                peer.sendall(frame)
                peer.settimeout(None)
                with self._guard:
                    self._busy.discard(peer)
        except wire.FrameTooLong:
            self._log.warning("keeper.frame-too-long", caller=role)
        except OSError:
            pass  # the other side went away or stalled; it will connect again
        finally:
            with self._guard:
                self._busy.discard(peer)
                del self._peers[peer]
            peer.close()
            room.release()


def serve(
    ledger_engine: Engine,
    provider: Provider,
    run_dir: Path,
    clock: Clock,
    rng: Random,
    settings: Settings,
    log: structlog.typing.FilteringBoundLogger,
    ready: Callable[[], Any],
    stop: threading.Event | None = None,
) -> None:
    """
    Run the keeper until *stop* is set, by default by SIGTERM or SIGINT; *ready* is called once the sockets listen.

    In a process of its own it keeps others from reading its memory.
    """
    stopped = stop or threading.Event()
    if stop is None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: stopped.set())
    if threading.current_thread() is threading.main_thread():
        harden()
    desk = Desk(ledger_engine, provider, clock, rng, settings, log)
    server = Server(desk, run_dir, settings, log)
    server.start()
    health = desk.health()
    log.info("keeper.ready", ok=health.ok, era=health.era)
    try:
        ready()
        stopped.wait()
    finally:
        server.stop()
        desk.close()
        log.info("keeper.stopped")


def uid_of(peer: socket.socket) -> int:
    """Return the uid of the process at the other end, as the kernel noted it at connect."""
    octets = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(octets)[1])
