"""How do the roles of a server run as processes, and what happens when one of them dies or the server has to stop?

Each role is a child with a socket to us on descriptor `--supervised N`: it writes one line there when it is ready, and
reads the end of file when we are gone, so that no role outlives its supervisor for longer than it takes to drain.
The keeper starts first and stops last, because the others need it to finish what they have begun.

    starting → ready → stopped by a signal of ours
        ↘ died: wait (half a second, doubling to half a minute) → starting

We open the doors' ports, which may need root, and hand each role its own as descriptors `--door NAME=N`. So a role can
be another user from its first instruction on, and while it starts again whoever knocks waits instead of being refused.
Several processes may play one role side by side, each with a name of its own here and with sockets on the same ports.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from cryptnsend.core.errors import ConfigError
from cryptnsend.hardening import harden
from cryptnsend.home import Home
from cryptnsend.logs import logger

KEEPER = "keeper"
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between the death of a role and its next start
HEALTHY_AFTER = 60.0  # seconds of life after which a death counts as the first again
HANDOVER_PATIENCE = 30.0  # seconds that roles of a killed supervisor may take to drain
BACKLOG = 1024  # connections that wait at a door

log = logger(__name__)


@dataclass(slots=True)
class Role:
    """One role and the process that plays it at the moment."""

    name: str
    argv: Sequence[str]  # without --supervised and --door
    doors: Mapping[str, socket.socket] = field(default_factory=dict)  # by the names of their ports
    process: subprocess.Popen[bytes] | None = None
    line: socket.socket | None = None
    started: float = 0.0  # monotonic seconds
    wait: float = FIRST_WAIT
    due: float = 0.0  # when to start it, monotonic seconds
    is_ready: bool = False
    deaths: int = 0


@dataclass(slots=True)
class Supervisor:
    """
    Run *roles* (name to command line) until a signal says stop.

    SIGTERM and SIGINT drain: the doors and the courier get SIGTERM and *drain* seconds to finish, then the keeper.
    A second such signal kills what is left.
    """

    home: Home
    roles: Mapping[str, Sequence[str]]
    drain: float = 30.0
    patience: float = 10.0  # seconds to wait for the keeper; without one the doors still start, and answer 451
    on_ready: Callable[[], None] = lambda: None
    environs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by name; ours where none is given
    launches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by name, for Popen: user and groups
    # Binds the ports of a role, by their names; nobody listens before the last of them is bound.
    doors: Callable[[str], Mapping[str, socket.socket]] = lambda _role: {}
    tend: Callable[[], None] = lambda: None  # called at least twice a second
    output: IO[bytes] | None = None  # standard output of the roles, if it is not ours
    lock: Path | None = None  # what makes us the only one in our role; for a whole server the home's is all it takes
    _roles: dict[str, Role] = field(default_factory=dict)
    _stops: int = 0
    _locks: list[int] = field(default_factory=list)

    def run(self) -> int:
        """Return 0 after a clean stop, 1 if a role had to be killed. Raises ConfigError if a server runs here."""
        harden()
        with contextlib.ExitStack() as stack:
            self._locks = [stack.enter_context(alone(self.home.serve_lock, self.home.path, shared=bool(self.lock)))]
            if self.lock is not None:
                self._locks.append(stack.enter_context(alone(self.lock, self.home.path)))
            if self.lock is None:
                self.home.forget_ports()
            for name, argv in self.roles.items():
                self._roles[name] = Role(name, argv, self.doors(name))
                for door in self._roles[name].doors.values():
                    stack.callback(door.close)
            for role in self._roles.values():
                for door in role.doors.values():
                    door.listen(BACKLOG)
            self.tend()
            bell = stack.enter_context(_signals(self._stop))
            selector = stack.enter_context(selectors.DefaultSelector())
            selector.register(bell, selectors.EVENT_READ, None)
            try:
                self._serve(selector, bell)
            finally:
                killed = self._end(selector, bell)
            if self.lock is None:
                self.home.forget_ports()
        return 1 if killed else 0

    def _serve(self, selector: selectors.BaseSelector, bell: socket.socket) -> None:
        """Start everything, keep it alive, and return when a stop is asked for."""
        opened = time.monotonic()
        announced = False
        while not self._stops:
            now = time.monotonic()
            keeper = self._roles.get(KEEPER)
            is_keeper_settled = keeper is None or keeper.is_ready or now - opened > self.patience
            for role in self._roles.values():
                if role.process is None and now >= role.due and (role is keeper or is_keeper_settled):
                    self._start(role, selector)
            if not announced and all(role.is_ready for role in self._roles.values()):
                announced = True
                log.info("all roles are ready", seconds=round(now - opened, 2))
                self.on_ready()
            self._wait(selector, bell, 0.5)
            self._bury(selector)
            self.tend()

    def _start(self, role: Role, selector: selectors.BaseSelector) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            doors = {name: door.fileno() for name, door in role.doors.items()}
            role.process = subprocess.Popen(
                [
                    *role.argv,
                    *("--supervised", str(theirs.fileno())),
                    *(word for name, door in doors.items() for word in ("--door", f"{name}={door}")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                # With the locks' descriptors, the locks outlive us until the last role is gone.
                pass_fds=[theirs.fileno(), *self._locks, *doors.values()],
                start_new_session=True,  # a Ctrl-C at the terminal reaches us only; we drain in our order
                env=self.environs.get(role.name),
                **self.launches.get(role.name, {}),
            )
        finally:
            theirs.close()
        role.line, role.started, role.is_ready = ours, time.monotonic(), False
        selector.register(ours, selectors.EVENT_READ, role)
        log.info("a role starts", name=role.name, pid=role.process.pid, deaths=role.deaths)

    def _wait(self, selector: selectors.BaseSelector, bell: socket.socket, longest: float) -> None:
        """Sleep until a child speaks or dies, a signal comes, or *longest* seconds have passed."""
        for key, _ in selector.select(longest):
            role: Role | None = key.data
            if role is None:
                with contextlib.suppress(BlockingIOError):
                    bell.recv(4096)
                continue
            assert role.line is not None  # noqa: S101 - registered lines belong to running roles
            try:
                said = role.line.recv(64)
            except ConnectionError:
                said = b""
            if said:
                role.is_ready = True
                if role.doors:
                    self.home.announce({name: door.getsockname()[1] for name, door in role.doors.items()})
            else:
                # The line is closed but the process may still be ending: stop listening, `_bury` sees it die.
                selector.unregister(role.line)
                role.line.close()
                role.line = None

    def _bury(self, selector: selectors.BaseSelector) -> None:
        """Take note of roles that died, and of when to start them again."""
        for role in self._roles.values():
            if role.process is None or not _has_died(role.process):
                continue
            _kill_group(role.process)
            status, now = role.process.wait(), time.monotonic()
            if now - role.started > HEALTHY_AFTER:
                role.wait = FIRST_WAIT
            log.error("a role died", name=role.name, status=status, lived=round(now - role.started), again_in=role.wait)
            role.due, role.wait = now + role.wait, min(role.wait * 2, LONGEST_WAIT)
            role.deaths += 1
            role.process, role.is_ready = None, False
            if role.line is not None:
                selector.unregister(role.line)
                role.line.close()
                role.line = None

    def _stop(self) -> None:
        self._stops += 1

    def _end(self, selector: selectors.BaseSelector, bell: socket.socket) -> bool:
        """Drain the roles, the keeper last; say whether one had to be killed."""
        for role in self._roles.values():
            for door in role.doors.values():
                door.close()  # the role has it still; once that closes it too, whoever knocks is refused
            role.doors = {}  # it may be ready only now, and nobody is to look for its ports
        doors = [role for role in self._roles.values() if role.name != KEEPER]
        keepers = [role for role in self._roles.values() if role.name == KEEPER]
        killed = False
        for group in (doors, keepers):
            running = [role.process for role in group if role.process is not None]
            for process in running:
                if not _has_died(process):
                    process.terminate()
            deadline = time.monotonic() + self.drain
            while not all(_has_died(process) for process in running):
                if self._stops > 1 or time.monotonic() > deadline:
                    killed = True
                    break
                self._wait(selector, bell, 0.1)
            for process in running:
                _kill_group(process)
                process.wait()
        for role in self._roles.values():
            if role.line is not None:
                role.line.close()
        log.info("the server has stopped", killed=killed)
        return killed


def _has_died(process: subprocess.Popen[bytes]) -> bool:
    """Say whether *process* has ended, without taking its status: until then its number is nobody else's."""
    return process.returncode is not None or (
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    )


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the session that *process* led, such as a web server's workers; it is not yet waited for."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


class Line:
    """A role's end of the socket to its supervisor."""

    def __init__(self, descriptor: int):
        self._socket = socket.socket(fileno=descriptor)
        os.set_inheritable(descriptor, False)

    def ready(self) -> None:
        """Tell the supervisor that this role does its work now."""
        with contextlib.suppress(OSError):  # the supervisor has gone; `watch` deals with that
            self._socket.sendall(b"ready\n")

    def watch(self) -> None:
        """Ask this process to drain, as SIGTERM does, when the supervisor is gone."""

        def wait() -> None:
            with contextlib.suppress(OSError):
                while self._socket.recv(64):
                    continue
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait, name="supervisor watch", daemon=True).start()


@contextlib.contextmanager
def alone(lock: Path, home: Path, *, shared: bool = False) -> Iterator[int]:
    """
    Hold the lock that makes this the only server, or the only one in its role, on *home*, and yield its descriptor.

    A role that is served by itself holds the server's lock *shared*: beside other roles, but not beside a whole server.

    Raises ConfigError at once if another server runs. If that server was killed and its roles still drain, waits for
    them: their lock goes when the last of them is gone.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        deadline = time.monotonic() + HANDOVER_PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
            other = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            if _is_alive(other) or time.monotonic() > deadline:
                raise ConfigError(
                    f"{home}: a server runs on this home already (process {other or 'unknown'}). "
                    "Stop it first; two servers on one home are not allowed."
                )
            time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _is_alive(pid: str) -> bool:
    if not pid.isdecimal() or int(pid) == 0:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[socket.socket]:
    """Call *stop* on SIGTERM and SIGINT, and yield a socket that becomes readable on these and when a child dies."""
    bell, clapper = socket.socketpair()
    bell.setblocking(False)
    clapper.setblocking(False)

    def on_stop(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = signal.set_wakeup_fd(clapper.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, on_stop) for number in (signal.SIGTERM, signal.SIGINT)}
    handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    try:
        yield bell
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        bell.close()
        clapper.close()
