"""Is there a connection to this host that still listens? Connections that wait for the next message.

A connection is kept under everything that decided how it was protected, so that none is ever used for mail of a class
it was not opened for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from cryptnsend.delivery.session import Session, SessionLost

Key = tuple[str, int, str, bool]  # host, port, TLS class, whether clear text was allowed


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
        """Return a session that has just answered RSET, or None."""
        while True:
            with self._changed:
                sessions = self._waiting.get(key)
                if not sessions:
                    return None
                session = sessions.pop()
                if not sessions:
                    del self._waiting[key]
            session.begin()
            with suppress(SessionLost):
                if session.last_used + self._idle > self._monotonic() and session.command("RSET")[0] == 250:
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
                self._waiting.setdefault(key, []).append(session)
                if self._sweeper is None:
                    self._sweeper = threading.Thread(target=self._sweep, name="courier-idle", daemon=True)
                    self._sweeper.start()
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
