"""A connection that breaks when a test wants it to: octets pass through here on their way to a server on loopback."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from types import TracebackType

BLOCK = 65536


class Relay:
    """
    Passes connections on to *port*, and back.

    After `cut_after` so many octets have gone up, all connections break, and new ones do too until `mend`.
    """

    def __init__(self, port: int):
        self._target, self._lock = port, threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.up = 0  # octets that went up to the server
        self._left: int | None = None
        self.broke = threading.Event()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._threads = [threading.Thread(target=self._accept, name="relay")]

    def __enter__(self) -> Relay:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._break()
        for each in self._threads:
            each.join(30)

    def cut_after(self, octets: int) -> None:
        """Break everything once so many more octets have gone up."""
        with self._lock:
            self._left = octets

    def mend(self) -> None:
        """Let connections live again."""
        with self._lock:
            self._left = None
            self.broke.clear()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            if self.broke.is_set():
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._pairs.add((here, there))
            passing = threading.Thread(target=self._pass, args=(here, there), name="relayed")
            self._threads.append(passing)
            passing.start()

    def _pass(self, here: socket.socket, there: socket.socket) -> None:
        with selectors.DefaultSelector() as ready, contextlib.suppress(OSError):
            ready.register(here, selectors.EVENT_READ, there)
            ready.register(there, selectors.EVENT_READ, here)
            while True:
                for key, _ in ready.select():
                    assert isinstance(key.fileobj, socket.socket)
                    octets = key.fileobj.recv(BLOCK)
                    if not octets or (key.fileobj is here and self._counts(len(octets))):
                        raise ConnectionResetError
                    key.data.sendall(octets)
        with self._lock:
            self._pairs.discard((here, there))
        here.close()
        there.close()

    def _counts(self, octets: int) -> bool:
        """Count what goes up; say whether it breaks now."""
        with self._lock:
            self.up += octets
            if self._left is not None:
                self._left -= octets
                if self._left < 0:
                    self.broke.set()
        if self.broke.is_set():
            self._break()
        return self.broke.is_set()

    def _break(self) -> None:
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for each in pair:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
