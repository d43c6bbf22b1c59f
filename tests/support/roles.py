"""Roles of one home as processes of their own, which can be killed and started again at any moment."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptnsend.config import Config
from cryptnsend.home import Home

START_SECONDS = 120.0


class Roles:
    """The roles of one home, each a process of its own that can be killed and started again."""

    def __init__(
        self,
        config: Config,
        environments: Mapping[str, Mapping[str, str]] | None = None,
        programs: Mapping[str, Sequence[str]] | None = None,
    ):
        """
        *environments* has, by role, what its environment has besides ours.

        *programs*: by role, what Python runs instead of our command line, such as `-m tests.crash.weakened FLAW`.
        """
        self.environments, self.programs = environments or {}, programs or {}
        self.config, self.home = config, Home(config.server.home)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lines: dict[str, socket.socket] = {}
        self._log = (config.server.home.parent / "roles.log").open("ab")

    def start(self, role: str) -> None:
        """Start a role and return once it says that it is ready."""
        ours, theirs = socket.socketpair()
        with ours:
            program = self.programs.get(role, ("-m", "cryptnsend"))
            command = [sys.executable, *program, "serve", role, "--home", str(self.home.path)]
            self.processes[role] = subprocess.Popen(
                [*command, "--supervised", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdout=self._log,
                stderr=self._log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environments.get(role, {})},
            )
            theirs.close()
            ours.settimeout(START_SECONDS)
            # A role ends when its supervisor is gone, so the line stays open for as long as the role shall live.
            self._lines[role] = ours.dup()
            try:
                is_ready = bool(ours.recv(64))
            except TimeoutError:
                is_ready = False
            assert is_ready, f"{role} did not start:\n{self.log_end()}"

    def kill(self, role: str) -> None:
        """End a role at once, as a power cut of its process would."""
        process = self.processes.pop(role)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self._lines.pop(role).close()

    def stop(self) -> None:
        """End all roles in order."""
        for role in sorted(self.processes, key="keeper".__eq__):  # the keeper last, since the others ask it
            process = self.processes.pop(role)
            process.terminate()
            process.wait(120)
            self._lines.pop(role).close()
        self._log.close()

    def log_end(self) -> str:
        """Return the last lines that the roles wrote."""
        return "\n".join(Path(self._log.name).read_text(errors="replace").splitlines()[-30:])
