"""How does a command work on a home: with the keeper that runs, or with one started for the length of the command?"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import html
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from cryptnsend import rights
from cryptnsend.config import Config
from cryptnsend.core import qr
from cryptnsend.core.errors import ConfigError, Denied, KeeperGone, NoGrant, SealBroken
from cryptnsend.core.model import INSTALLATION
from cryptnsend.home import Home, locked, write_private

if TYPE_CHECKING:
    from cryptnsend.app import App
    from cryptnsend.keeper.requests import RecoveryFile

ROLE = "owner"
LONGEST = 150  # characters of a file's name
PATIENCE = 20.0  # seconds that a keeper may take to start


@contextlib.contextmanager
def opened(config: Config, *, restoring: bool = False) -> Iterator[App]:
    """Yield the pieces of this home for reading and writing rows; no keeper is started. Raises ConfigError."""
    if not restoring:
        must_be_restored(Home(config.server.home))
    # The pieces bring the whole server with them; commands that need none of it start without.
    from cryptnsend import app

    built = app.build(config, ROLE)
    # What root's command makes in a folder that the roles share must be theirs to use.
    before = os.umask(rights.UMASK_SHARED if rights.is_apart(built.home) else rights.UMASK_PRIVATE)
    try:
        yield built
    finally:
        built.close()
        os.umask(before)


@contextlib.contextmanager
def owned(config: Config, *, restoring: bool = False) -> Iterator[App]:
    """Yield the pieces of this home with a keeper that answers. Raises ConfigError, KeeperGone."""
    with keeper_running(config), opened(config, restoring=restoring) as built:
        yield built
        if not restoring:
            _note_heads(built)


def _note_heads(built: App) -> None:
    """Let the keeper note how far each audit chain has come, so that cutting off what a command wrote shows at once."""
    from cryptnsend.store.records import audit

    for organisation, head in audit.heads(built.engine).items():
        # A chain that is not the one the keeper knows is what `audit verify` is for; it must not end other commands.
        with contextlib.suppress(Denied, SealBroken):
            built.keeper.checkpoint(organisation, head.seq, head.hash)


def must_be_restored(home: Home) -> None:
    """Raise ConfigError if a restore of this home was broken off, so that what it has to end has not ended yet."""
    if home.restoring.exists():
        raise ConfigError(f"{home.path}: a restore was broken off here. Repeat `cryptnsend restore`.")


@contextlib.contextmanager
def keeper_running(config: Config) -> Iterator[None]:
    """Start a keeper if none runs on this home, and stop it again at the end. Raises KeeperGone."""
    home = Home(config.server.home)
    if is_served(home):
        _wait_for_keeper(home)
        yield
        return
    with locked(home.run / "command.lock"):  # or one command would stop the keeper that another one uses
        if _answers(home):
            yield
            return
        with _own_keeper(config):
            yield


@contextlib.contextmanager
def _own_keeper(config: Config) -> Iterator[None]:
    rights.renew(config)
    ours, theirs = socket.socketpair()
    # The keeper may not open the log's file itself, if it is a user of its own.
    with ours, theirs, open(config.log.file or os.devnull, "ab") as log:
        process = subprocess.Popen(
            [*serve_command(config, "keeper"), "--supervised", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env=os.environ | {"CRYPTNSEND_LOG_FILE": ""},
            **rights.keeper_launch(Home(config.server.home)),
        )
        theirs.close()
        try:
            ours.settimeout(PATIENCE)
            try:
                is_ready = bool(ours.recv(64))
            except TimeoutError:
                is_ready = False
            if not is_ready:
                raise KeeperGone("The keeper does not start. `cryptnsend serve keeper` says why.")
            yield
        finally:
            process.terminate()
            process.wait()


def _wait_for_keeper(home: Home) -> None:
    """Wait for the keeper of a server that runs, because it may have started a moment ago. Raises KeeperGone."""
    deadline = time.monotonic() + PATIENCE
    while not _answers(home):
        if time.monotonic() > deadline:
            raise KeeperGone("The server runs, but its keeper does not answer. Its log says why.")
        time.sleep(0.1)


class Kept(NamedTuple):
    """A recovery file that was written, the same as a sheet to print, and its code, which is told this once."""

    file: str
    sheet: str
    code: str

    def __str__(self) -> str:
        return (
            f"A recovery file is {self.file}; to print, with a QR code: {self.sheet}.\n"
            "Carry it to a safe place away from this machine, then delete both here.\n"
            f"Its code, shown this once, belongs in another place: {self.code}"
        )


def organisation_of(app: App, said: str) -> int:
    """Return the organisation that is called so, by its name or number. Raises Denied, NoGrant."""
    from cryptnsend.store.records import operator

    if not said.isdecimal():
        return app.owner.organisation(said) or INSTALLATION
    if not any(row["id"] == int(said) for row in operator.chains(app.engine)):
        raise NoGrant(f"There is no organisation {said}.")
    return int(said)


def keep_recovery(config: Config, name: str, recovery: RecoveryFile | None) -> list[Kept]:
    """
    Write a recovery file to recovery/ of the home, if there is one, and return what was written.

    File and code are told apart on purpose: together they open everything, so they must not lie in one place.
    """
    if recovery is None:
        return []
    # An address may have a slash in it, and be longer than a file's name.
    file = quote(name, safe="@+")
    if len(file) > LONGEST:
        file = f"{file[:LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    folder = Home(config.server.home).recovery
    place, paper = folder / f"{file}.txt", folder / f"{file}.html"
    write_private(place, recovery.text.encode())
    write_private(paper, printable_sheet(recovery.text).encode())
    return [Kept(str(place), str(paper), recovery.code)]


def printable_sheet(text: str) -> str:
    """
    Return a recovery file as one page of HTML that any browser prints on one sheet, and that fetches nothing.

    The QR code has the very text but for the advice, so that what a phone reads, saved, is the file again.
    """
    from cryptnsend.keeper.recovery import without_hints

    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Recovery file</title>\n'
        "<style>\n"
        "body { font: 12pt/1.4 sans-serif; max-width: 17cm; margin: 1.5cm auto; color: #000; background: #fff }\n"
        "pre { font: 11pt/1.5 monospace; white-space: pre-wrap; overflow-wrap: anywhere }\n"
        "</style></head><body>\n"
        f"<pre>{html.escape(text)}</pre>\n{qr.svg(without_hints(text))}\n"
        "<p>A phone reads the square as the text above.\n"
        "Saved as a file, or typed by hand, the text is the recovery file.</p>\n"
        "</body></html>\n"
    )


def serve_command(config: Config, role: str) -> list[str]:
    """Return the command line that plays one role on this home."""
    return [sys.executable, "-m", "cryptnsend", "serve", role, "--home", str(config.source)]


def is_served(home: Home) -> bool:
    """Say whether a server runs on this home."""
    try:
        descriptor = os.open(home.serve_lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _answers(home: Home) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(home.keeper_socket(ROLE)))
        except OSError:
            return False
    return True
