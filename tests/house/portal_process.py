"""A portal with three pages, for test_portal_server.py: python portal_process.py HOME"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cryptnsend import logs
from cryptnsend.home import bind
from cryptnsend.portal.server import serve


def pages(folder: Path) -> Callable[[dict[str, Any], Callable[..., Any]], list[bytes]]:
    """Return an application that is slow or broken when asked to be, and else says which process it is."""
    logs.configure(role="portal")

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            (folder / "slow").touch()
            threading.Event().wait(1.0)
        if environ["PATH_INFO"] == "/broken":
            raise ValueError("kumquat-4711")
        if environ["PATH_INFO"] == "/body":
            while environ["wsgi.input"].read(65536):
                pass
        start("200 OK", [("content-type", "text/plain")])
        return [str(os.getpid()).encode()]

    return app


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
