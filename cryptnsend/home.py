"""Where does a server keep its things, who may read them, and at which ports does it answer?

A home is one folder. Everything in it is made for our eyes only (folders 0700, files 0600); where each role has a user
of its own, rights.py says what is whose:

    cryptnsend.toml   the configuration
    keeper/           master key, ledger, journal: the keeper's own, no other role opens it
    data/             main.db and blobs/, sealed
    tls/ dkim/        certificate and signing keys
    recovery/         files that their owner has to carry away
    run/              locks and ports.json of the running server, and a folder for each role's sockets
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptnsend.config import FILE_NAME, Config
from cryptnsend.core.discovery import Servers, Service

FOLDERS = (
    *("keeper", "data", "data/blobs", "tls", "dkim", "recovery", "run"),
    *("run/keeper", "run/submission", "run/inbound", "run/mailbox", "run/portal", "run/courier", "run/tls"),
    *("run/metrics", "run/metrics/keeper", "run/metrics/submission", "run/metrics/inbound", "run/metrics/mailbox"),
    *("run/metrics/portal", "run/metrics/courier"),
)
PORT_NAMES = ("submissions", "submission", "inbound", "imaps", "pop3s", "portal")


@dataclass(frozen=True, slots=True)
class Home:
    """The places inside one home. Nothing is made or read by naming them."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / FILE_NAME

    @property
    def main_db(self) -> Path:
        return self.path / "data" / "main.db"

    @property
    def blobs(self) -> Path:
        return self.path / "data" / "blobs"

    @property
    def keeper(self) -> Path:
        return self.path / "keeper"

    @property
    def ledger(self) -> Path:
        return self.keeper / "ledger.db"

    @property
    def journal(self) -> Path:
        return self.keeper / "journal.log"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def tls(self) -> Path:
        return self.path / "tls"

    @property
    def dkim(self) -> Path:
        return self.path / "dkim"

    @property
    def recovery(self) -> Path:
        return self.path / "recovery"

    @property
    def restoring(self) -> Path:
        """Mark of a restore that has begun: until it ends, sessions and codes of before would still count."""
        return self.keeper / "restoring"

    @property
    def serve_lock(self) -> Path:
        return self.run / "serve.lock"

    @property
    def ports_file(self) -> Path:
        return self.run / "ports.json"

    @property
    def deletions_lock(self) -> Path:
        """Return what a backup holds, so that nobody deletes blobs meanwhile."""
        return self.run / "deletions.lock"

    @property
    def courier_wake(self) -> Path:
        return self.run / "courier" / "courier.wake"

    @property
    def spool(self) -> Path:
        """Return where the portal keeps uploads, sealed, while they arrive."""
        return self.run / "portal"

    @property
    def metrics(self) -> Path:
        """Return where each role counts, in a folder of its own."""
        return self.run / "metrics"

    @property
    def keeper_sockets(self) -> Path:
        """Return the keeper's own folder of sockets: whoever could put one there could pass for the keeper."""
        return self.run / "keeper"

    def keeper_socket(self, role: str) -> Path:
        """Return where the keeper listens for *role* and for nobody else."""
        return self.keeper_sockets / f"keeper-{role}.sock"

    def door_tls(self, role: str) -> tuple[Path, Path]:
        """Return where a door's own copies of certificate and key lie, if it is not the user who owns them."""
        return self.run / "tls" / f"{role}.certificate.pem", self.run / "tls" / f"{role}.key.pem"

    def ports(self) -> dict[str, int]:
        """Return the ports in use by name, of `PORT_NAMES`; empty if nothing runs."""
        try:
            return {str(name): int(port) for name, port in json.loads(self.ports_file.read_text()).items()}
        except FileNotFoundError:
            return {}

    def announce(self, ports: Mapping[str, int]) -> None:
        """Add *ports* to ports.json; processes that announce at the same time lose nothing of each other's."""
        with locked(self.run / "ports.lock"):
            octets = json.dumps(self.ports() | dict(ports), indent=1).encode() + b"\n"
            write_private(self.ports_file, octets, mode=file_mode(self.run) & 0o640)

    def forget_ports(self) -> None:
        """Empty ports.json, so that nobody takes an earlier run's ports for this one's."""
        with locked(self.run / "ports.lock"):
            self.ports_file.unlink(missing_ok=True)

    def base_url(self, config: Config) -> str:
        """Return what every link starts with: the configured URL, else host name and port of the portal."""
        if config.portal.base_url:
            return config.portal.base_url
        port = config.ports.portal or self.ports().get("portal", 443)
        return f"https://{config.server.hostname}" + ("" if port == 443 else f":{port}")

    def servers(self, config: Config, ports: Mapping[str, int]) -> Servers:
        """Return what mail programs have to know of this server; *ports* are those in use, where anything runs."""
        wanted = config.ports
        reading = [("imap", "imaps", wanted.imaps), ("pop3", "pop3s", wanted.pop3s)] if config.mailbox.enabled else []
        sending = [("smtp", "submissions", wanted.submissions), ("smtp", "submission", wanted.submission)]
        services = [
            Service(kind, port, starttls=name == "submission")
            for kind, name, configured in (*reading, *sending)
            if (port := ports.get(name, configured))
        ]
        return Servers(config.server.hostname, tuple(services), self.base_url(config))


def file_mode(folder: Path) -> int:
    """
    Return the mode of a new file in *folder*: for us only, or for the roles' group too.

    The folder's setgid bit tells which: rights.py sets it where several users work on the same files.
    """
    return 0o660 if folder.stat().st_mode & stat.S_ISGID else 0o600


def write_private(path: Path, octets: bytes, *, mode: int = 0o600, owner: int | None = None) -> None:
    """
    Write *octets* to *path*, durable; a reader sees the old file or the new one, never a part.

    It is for us only, unless *mode* says otherwise, or another *owner* (a uid).
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(octets)
        stream.flush()
        if owner is not None:
            os.fchown(stream.fileno(), owner, -1)
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    draft.rename(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file *path* against other processes, waiting for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def bind(address: str, port: int) -> socket.socket:
    """Return a bound TCP socket; port 0 takes a free one, `::` takes IPv4 too. Raises OSError if the port is taken."""
    return _bind(address, port, shared=False)


def bind_beside(bound: socket.socket) -> socket.socket:
    """
    Return another socket on the port of *bound*, for one more process: the system spreads connections over them.

    Call it before anybody listens. The first of them is bound as if alone, so a port that another server has, even one
    that would share it, is taken; only from then on it is shared (SO_REUSEPORT), and with our own user alone.
    """
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    address, port = bound.getsockname()[:2]
    return _bind(address, port, shared=True)


def _bind(address: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound
