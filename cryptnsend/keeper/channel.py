"""How does a request get to the keeper, and its answer back? One connection per thread, remade where that is safe."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cryptnsend.core.errors import KeeperGone, Temporary
from cryptnsend.keeper import wire

T = TypeVar("T")
_answers = msgspec.msgpack.Decoder(wire.Answer)


class Channel:
    """
    Connections to one of the keeper's sockets. Thread-safe.

    *once* names the requests that make something new at each call; `connected` counts how often a connection was made,
    after which another keeper may be listening.
    """

    def __init__(self, path: Path, timeout: float, once: frozenset[str]):
        self.path, self.timeout, self._once = path, timeout, once
        self.connected = 0
        self._threads = threading.local()
        self._guard = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._closed = False

    def close(self) -> None:
        """Close every connection; safe to call twice."""
        with self._guard:
            self._closed = True
            for peer in self._open.values():
                peer.close()
            self._open.clear()

    def _ask(self, kind: type[T], request: str, /, **values: Any) -> T:
        frame = wire.request(request, values)
        for attempt in (1, 2):
            peer, fresh = self._connection()
            sent = False
            try:
                peer.sendall(frame)
                sent = True
                body = wire.receive(peer, self.timeout)
                if body is None:
                    raise ConnectionResetError("the keeper closed the connection")
                said = _answers.decode(body)
                if said.error:
                    raise wire.raised(said)
                return msgspec.msgpack.decode(said.ok, type=kind)
            except TimeoutError:
                self._drop(peer)
                raise KeeperGone("The keeper does not answer in time.") from None
            except (OSError, wire.FrameTooLong, msgspec.MsgspecError):
                self._drop(peer)
                # A connection that idled is closed by a keeper that restarted: that is worth a second try. Where the
                # request may have been heard, it is repeated only if repeating it changes nothing.
                if fresh or attempt == 2 or (sent and request in self._once):
                    raise KeeperGone("The keeper does not answer.") from None
        raise Temporary("The keeper does not answer.")

    def _connection(self) -> tuple[socket.socket, bool]:
        """Return this thread's connection, and whether it was made just now."""
        peer: socket.socket | None = getattr(self._threads, "peer", None)
        # After a fork both processes have the same socket; the child leaves it to its parent.
        if peer is not None and peer.fileno() >= 0 and self._threads.process == os.getpid():
            return peer, False
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(self.timeout)
        try:
            peer.connect(str(self.path))
        except OSError:
            peer.close()
            raise KeeperGone("The keeper is not running.") from None
        with self._guard:
            if self._closed:
                peer.close()
                raise KeeperGone("The connection to the keeper is closed.")
            for thread in [thread for thread in self._open if not thread.is_alive()]:
                self._open.pop(thread).close()
            self._open[threading.current_thread()] = peer
            self.connected += 1
        self._threads.peer, self._threads.process = peer, os.getpid()
        return peer, True

    def _drop(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            peer.close()
        self._threads.peer = None
        with self._guard:
            self._open.pop(threading.current_thread(), None)
