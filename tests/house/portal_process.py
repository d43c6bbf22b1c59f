"""A portal with three pages, for test_portal_server.py: python portal_process.py HOME"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cryptnsend import logs
from cryptnsend.home import bind
from cryptnsend.portal.server import serve


def pages(folder: Path) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Return an application that is slow or broken when asked to be, and else says which process it is."""
    logs.configure(role="portal")

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            (folder / "slow").touch()
            threading.Event().wait(1.0)
        if environ["PATH_INFO"] == "/broken":
            raise ValueError("kumquat-4711")
        if environ["PATH_INFO"] == "/body":
            while environ["wsgi.input"].read(65536):
                pass
        if environ["PATH_INFO"] == "/digest":
            digest, size = hashlib.sha256(), 0
            while block := environ["wsgi.input"].read(65536):
                digest.update(block)
                size += len(block)
            start("200 OK", [("content-type", "text/plain")])
            return [f"{size} {digest.hexdigest()}".encode()]
        if environ["PATH_INFO"] in ("/large", "/large/breaks", "/large/counted"):
            start("200 OK", [("content-type", "application/octet-stream"), ("content-length", str(512 * 65536))])
            return large(folder, environ["PATH_INFO"].rpartition("/")[2])
        if environ["PATH_INFO"] == "/fields":
            start("200 OK", [("content-type", "application/json"), ("set-cookie", "a=1"), ("set-cookie", "b=2")])
            return [json.dumps({name: value for name, value in environ.items() if isinstance(value, str)}).encode()]
        start("200 OK", [("content-type", "text/plain")])
        return [str(os.getpid()).encode()]

    return app


def large(folder: Path, kind: str) -> Iterator[bytes]:
    """Give 32 MiB, or break after half, or leave a dot in a file for each block; another file says it was closed."""
    try:
        for count in range(512):
            if kind == "breaks" and count == 256:
                raise ValueError("kumquat-4712")
            if kind == "counted":
                with open(folder / "made", "ab") as made:
                    made.write(b".")
            yield bytes([count % 256]) * 65536
    finally:
        (folder / "closed").touch()


def main(folder: Path) -> None:
    logs.configure(role="portal")
    held = bind("127.0.0.1", 0)
    port = str(held.getsockname()[1])
    serve(
        partial(pages, folder),
        held,
        certificate=folder / "tls" / "certificate.pem",
        key=folder / "tls" / "key.pem",
        threads=4,
        ready=lambda: (folder / "port").write_text(port),
        renew=0.1,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
