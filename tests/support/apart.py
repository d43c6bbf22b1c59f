"""A server whose roles are users of their own. It takes root, and code that other users can read."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cryptnsend.config import Config
from cryptnsend.home import Home, bind
from cryptnsend.rights import People
from tests.support.homes import make_home

# Numbers that no account has: nothing has to be made on this machine.
PEOPLE = People(
    {"keeper": 61001, "submission": 61002, "portal": 61003, "courier": 61004, "inbound": 61005, "mailbox": 61006}, 61000
)
USERS = {"group": str(PEOPLE.gid)} | {role: str(uid) for role, uid in PEOPLE.uids.items()}
CHECKOUT = Path(__file__).parents[2]
START_SECONDS, STOP_SECONDS = 120.0, 60.0
Note = Callable[[str, object], None]  # `record_property`
PRIVILEGED = range(700, 1024)  # ports that only root may open, and that no service has


class Apart:
    """A server on a home in *folder*, one of its ports such as only root may open. Nothing runs before `start`."""

    def __init__(self, folder: Path, python: str, environ: Mapping[str, str], **values: Mapping[str, Any]):
        self.folder, self.python, self.environ = folder, python, dict(environ)
        settings: dict[str, Mapping[str, Any]] = {
            "server": {"hostname": "localhost"},
            "ports": {"bind": "127.0.0.1", "submissions": 0, "submission": 0, "imaps": 0, "pop3s": 0, "portal": 0},
            "users": USERS,
            "delivery": {"smarthost": "smtp://127.0.0.1:1"},  # nobody is there, so everything waits
        }
        self.config: Config = make_home(folder / "home", settings | values)
        self.home = Home(self.config.server.home)
        self.under: list[str] = []  # commands that start the server as the last of their arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def command(self, *arguments: str, stdin: str = "", home: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of ours as root."""
        return subprocess.run(
            [self.python, "-m", "cryptnsend", *arguments, "--home", str(home or self.home.path)],
            input=stdin,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def done(self, *arguments: str, stdin: str = "") -> str:
        """Run a command that must succeed, and return what it printed."""
        ended = self.command(*arguments, stdin=stdin)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def start(self) -> None:
        """Start all roles, and return when all of them are ready."""
        while not self._start(_privileged()):
            continue  # somebody else has taken the port since

    def _start(self, port: int) -> bool:
        self.environ["CRYPTNSEND_PORTS_SUBMISSIONS"] = str(port)
        before = len(self.log) if (self.folder / "log").exists() else 0
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.under, self.python, "-m", "cryptnsend", "serve", "--home", str(self.home.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environ,
            )
        deadline = time.monotonic() + START_SECONDS
        while "all roles are ready" not in self.log[before:]:
            if self._process.poll() is not None and f"submissions = {port}: cannot listen" in self.log[before:]:
                return False
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            try:
                self._process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        return True

    def stop(self) -> None:
        """Stop the server; harmless if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(STOP_SECONDS) == 0, self.log

    def pids(self) -> dict[str, int]:
        """Return the latest process of each role, and that of the supervisor as root's."""
        assert self._process is not None
        entries = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return {entry["name"]: entry["pid"] for entry in entries if entry["event"] == "a role starts"} | {
            "supervisor": self._process.pid
        }

    def run_as(self, role: str, program: Path, *arguments: str) -> str:
        """Run a program of Python as the user who plays *role*, with no other rights; return what it prints."""
        ended = subprocess.run(
            [self.python, str(program), *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            **PEOPLE.launch(role),
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.config.tls.certificate))


MakeApart = Callable[..., Apart]


@pytest.fixture(scope="session")
def _makings() -> Iterator[tuple[Path, str, dict[str, str]] | str]:
    """A folder that everybody may enter, an interpreter there if need be, and its environment; or why not."""
    if os.geteuid() != 0:
        yield "starting roles as users of their own needs root"
        return
    folder = Path(tempfile.mkdtemp(prefix="cs-"))
    try:
        folder.chmod(0o711)
        packages = sysconfig.get_path("purelib")
        environ = os.environ | {"PYTHONPATH": f"{CHECKOUT}:{packages}", "CRYPTNSEND_USERS_SEPARATE": "always"}
        python = sys.executable
        if not _may_run(python, environ):
            # Some interpreters live in a home folder that is closed to others.
            python = _copy_of_python(folder / "python")
            environ["LD_LIBRARY_PATH"] = str(folder / "python" / "lib")
        if _may_run(python, environ):
            yield folder, python, environ
        else:
            yield f"no other user can read {CHECKOUT} and {packages}"
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def make_apart(
    _makings: tuple[Path, str, dict[str, str]] | str, record_property: Callable[[str, object], None]
) -> Iterator[MakeApart | None]:
    """Make servers whose roles are users of their own; None, and a loud word at the end of the run, if impossible."""
    if isinstance(_makings, str):
        record_property("not run", _makings)
        yield None
        return
    folder, python, environ = _makings
    made: list[Apart] = []

    def make(**values: Mapping[str, Any]) -> Apart:
        place = Path(tempfile.mkdtemp(dir=folder))
        place.chmod(0o711)
        made.append(Apart(place, python, environ, **values))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture(scope="session")
def _shared(_makings: tuple[Path, str, dict[str, str]] | str) -> Iterator[Apart | None]:
    if isinstance(_makings, str):
        yield None
        return
    folder, python, environ = _makings
    place = folder / "shared"
    place.mkdir(mode=0o711)
    server = Apart(place, python, environ)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def apart(
    _makings: tuple[Path, str, dict[str, str]] | str,
    _shared: Apart | None,
    record_property: Callable[[str, object], None],
) -> Apart | None:
    """A running server that tests share, whose roles are users of their own; None, loudly, if impossible here."""
    if isinstance(_makings, str):
        record_property("not run", _makings)
    return _shared


def _may_run(python: str, environ: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(
            [python, "-c", "import cryptnsend.app"], env=environ, capture_output=True, **PEOPLE.launch("portal")
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _copy_of_python(folder: Path) -> str:
    """Copy the interpreter that runs the tests, without its packages, and return its path."""
    library = Path(sysconfig.get_path("stdlib"))
    left_out = shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "config-*")
    shutil.copytree(library, folder / "lib" / library.name, ignore=left_out)
    for shared in Path(sysconfig.get_config_var("LIBDIR") or library).glob("libpython*.so*"):
        shutil.copy(shared, folder / "lib")
    (folder / "bin").mkdir()
    return str(shutil.copy(os.path.realpath(sys.executable), folder / "bin" / "python3"))


def _privileged() -> int:
    for port in random.sample(PRIVILEGED, len(PRIVILEGED)):
        try:
            with bind("127.0.0.1", port) as free:
                free.listen()
                return port
        except OSError:
            continue
    raise AssertionError("no port below 1024 is free")


@pytest.fixture
def as_root(record_property: Note) -> bool:
    """Whether files can be given to other users; said loudly if not."""
    if os.geteuid() != 0:
        record_property("not run", "giving files to other users needs root")
    return os.geteuid() == 0


def with_users(config: Config, **values: str) -> Config:
    return dataclasses.replace(
        config, users=dataclasses.replace(config.users, **({"separate": "auto"} | USERS | values))
    )


def modes(config: Config) -> dict[str, tuple[int, int, str]]:
    """Return uid, gid and mode of everything in a home."""
    home = config.server.home
    found = {str(path.relative_to(home)): path.lstat() for path in (home, *home.rglob("*"))}
    return {name: (each.st_uid, each.st_gid, f"{stat.S_IMODE(each.st_mode):o}") for name, each in found.items()}
