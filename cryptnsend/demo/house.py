"""How is the demo's server made? A throw-away home, every role as in earnest, and the demo's Internet around it."""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from cryptnsend.config import Config
from cryptnsend.delivery import dkim
from cryptnsend.demo.internet import Internet
from cryptnsend.home import PORT_NAMES, Home
from cryptnsend.making import create

DOMAIN = "cryptnsend.example"
START_SECONDS = 120.0
STOP_SECONDS = 30.0
NEEDED = PORT_NAMES


class DidNotStart(Exception):
    """The server did not come up; the text has the end of its log."""


class House:
    """A server on free loopback ports. Use as a context manager; leaving stops it and throws the home away."""

    def __init__(
        self, internet: Internet, *, values: dict[str, dict[str, Any]] | None = None, keep: Path | None = None
    ):
        self.internet, self._values, self._keep = internet, values or {}, keep
        self._folder = Path(tempfile.mkdtemp(prefix="cryptnsend-demo-")) if keep is None else keep
        self.path = self._folder / "home"
        self._process: subprocess.Popen[bytes] | None = None
        self.config: Config
        self.home: Home

    def __enter__(self) -> House:
        try:
            self._make()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    @property
    def log(self) -> Path:
        """Where the server's log lines go."""
        return self._folder / "server.log"

    @property
    def base_url(self) -> str:
        """What every link begins with."""
        return self.home.base_url(self.config)

    def context(self) -> ssl.SSLContext:
        """Return a context that trusts this server's certificate and nothing else."""
        return ssl.create_default_context(cafile=str(self.config.tls.certificate))

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run a command of ours on this home and return what it printed; raise with its words if it failed."""
        done = subprocess.run(
            [sys.executable, "-m", "cryptnsend", *arguments, "--home", str(self.path)],
            input=stdin.encode(),
            capture_output=True,
            timeout=180,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"cryptnsend {' '.join(arguments[:2])} failed: {done.stderr.decode().strip()}")
        return done.stdout.decode()

    def start(self) -> None:
        """Start all roles and return when the doors are open."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cryptnsend", "serve", "--home", str(self.path)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        deadline = time.monotonic() + START_SECONDS
        pause = threading.Event()
        while not all(self.home.ports().get(name) for name in NEEDED):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DidNotStart(f"The server did not start:\n{self._tail()}")
            pause.wait(0.05)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop the server by a signal and wait for its end."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Stop the server and throw the home away, unless it was to be kept."""
        self.stop()
        if self._keep is None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _make(self) -> None:
        values: dict[str, dict[str, Any]] = {
            "server": {"hostname": "localhost", "domain": DOMAIN},
            "ports": {"bind": "127.0.0.1"} | dict.fromkeys(PORT_NAMES, 0),
            "signup": {"mode": "open"},
            "users": {"separate": "never"},  # a demo leaves no users behind, and its home is closed to others
            "portal": {"style_page": True},
            # Nobody watches a demo for the minutes that a greylisted mail waits in earnest.
            "delivery": {
                "routes": self.internet.routes(DOMAIN),
                "nameservers": [self.internet.nameserver],
                "first_retry_seconds": 1,
            },
        }
        for section, body in self._values.items():
            values.setdefault(section, {}).update(body)
        self.config = create(self.path, values)
        self.home = Home(self.path)
        for file in sorted(self.home.dkim.glob("*.pem")):
            key = dkim.from_pem(file.stem, DOMAIN, file.read_bytes())
            self.internet.register_dkim(file.stem, DOMAIN, dkim.dns_record(key))
        self.internet.register_dmarc(DOMAIN, "reject")

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
