"""The web as a program behind a proxy sees it: a few names that lead to one port of this machine, and no others."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import threading
from collections.abc import Collection


class Web:
    """An HTTP proxy (RFC 9110 §9.3.6) for TLS to *names*. Use as a context manager."""

    def __init__(self, names: Collection[str], port: int):
        self.asked: list[str] = []  # every name that somebody wanted to reach

        class Handler(socketserver.StreamRequestHandler):
            timeout = 60

            def handle(handler) -> None:
                method, target, *_ = handler.rfile.readline(8192).decode("latin-1").split()
                while handler.rfile.readline(8192).strip():
                    pass
                name = target.rpartition(":")[0] if method == "CONNECT" else target
                self.asked.append(name)
                if name not in names:
                    handler.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    return
                with socket.create_connection(("127.0.0.1", port), timeout=60) as there:
                    handler.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                    with contextlib.suppress(OSError):  # either end may leave as it likes
                        _pass_on(handler.connection, there)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="web")

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Web:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Pass octets both ways until one end has no more."""
    while True:
        for ready in select.select([one, other], [], [], 60)[0]:
            octets = ready.recv(65536)
            if not octets:
                return
            (other if ready is one else one).sendall(octets)
