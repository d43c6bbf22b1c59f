"""Is there a connection to this host that still listens, or did it not answer a moment ago? What is known of peers.

A connection is kept under everything that decided how it was protected, so that none is ever used for mail of a class
it was not opened for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from cryptnsend.delivery.outcome import Outcome
from cryptnsend.delivery.protection import Demand
from cryptnsend.delivery.session import Session

Key = tuple[str, int, str, Demand]  # host, port, TLS class, and what the connection had to show


class Pool:
    """
    Sessions between two messages; safe for many threads.

    *reuse* is how many messages one carries, *idle* how many seconds it waits. A thread of its own closes what waited
    too long, so that peers do not have to.
    """

    def __init__(self, monotonic: Callable[[], float], *, reuse: int, idle: float):
        self._monotonic = monotonic
        self._reuse = reuse
        self._idle = idle
        self._waiting: dict[Key, list[Session]] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._sweeper: threading.Thread | None = None

    def take(self, key: Key) -> Session | None:
        """Return a session that may be used for another message, or None."""
        while True:
            with self._changed:
                sessions = self._waiting.get(key)
                if not sessions:
                    return None
                session = sessions.pop()
                if not sessions:
                    del self._waiting[key]
            if session.last_used + self._idle > self._monotonic() and session.listens():
                return session
            session.close()

    def give(self, key: Key, session: Session) -> None:
        """Keep a session for the next message, or end it if it has carried enough."""
        session.uses += 1
        session.last_used = self._monotonic()
        if session.sock is None:
            return
        with self._changed:
            keep = not self._closed and session.uses < self._reuse
            if keep:
                is_first = not self._waiting
                self._waiting.setdefault(key, []).append(session)
                if self._sweeper is None:
                    self._sweeper = threading.Thread(target=self._sweep, name="courier-idle", daemon=True)
                    self._sweeper.start()
                if is_first:  # else the sweeper will look in time for an older one anyway
                    self._changed.notify_all()
        if not keep:
            session.leave()

    def close(self) -> None:
        """End all sessions that wait, and keep none from now on."""
        with self._changed:
            self._closed = True
            sessions = [session for waiting in self._waiting.values() for session in waiting]
            self._waiting.clear()
            self._changed.notify_all()
            sweeper = self._sweeper
        for session in sessions:
            session.leave()
        if sweeper is not None:
            sweeper.join()

    def _sweep(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                oldest = min((s.last_used for waiting in self._waiting.values() for s in waiting), default=None)
                if oldest is None or oldest + self._idle > self._monotonic():
                    self._changed.wait(None if oldest is None else max(oldest + self._idle - self._monotonic(), 0.05))
                    continue
                stale = [
                    (key, session)
                    for key, waiting in self._waiting.items()
                    for session in waiting
                    if session.last_used + self._idle <= self._monotonic()
                ]
                for key, session in stale:
                    self._waiting[key].remove(session)
                    if not self._waiting[key]:
                        del self._waiting[key]
            for _, session in stale:
                session.leave()


class Resting:
    """
    Addresses that did not answer a moment ago, and what came of it; safe for many threads.

    Without it every message for a host that swallows connections would hold a thread for minutes.
    """

    def __init__(self, monotonic: Callable[[], float], seconds: float):
        self._monotonic, self._seconds = monotonic, seconds
        self._until: dict[tuple[str, int], tuple[float, Outcome]] = {}
        self._lock = threading.Lock()

    def put(self, place: tuple[str, int], outcome: Outcome) -> None:
        """Leave *place* alone for a while."""
        now = self._monotonic()
        with self._lock:
            self._until = {key: value for key, value in self._until.items() if value[0] > now}
            self._until[place] = (now + self._seconds, outcome)

    def get(self, place: tuple[str, int]) -> Outcome | None:
        """Return what came of the last try if *place* still rests."""
        with self._lock:
            until, outcome = self._until.get(place, (0.0, None))
        return outcome if until > self._monotonic() else None
