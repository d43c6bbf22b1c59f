"""Starting the doors as a process, and looking at it from outside."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import trustme

from tests.submission.doubles import HOST
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]


class Process:
    """`standalone.py`, running. Has what `Client` needs to know of doors."""

    def __init__(self, authority: trustme.CA, folder: Path, **options: float):
        self.folder, self.authority = folder, authority
        self.new_certificate()
        self.trust_file = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.trust_file))
        self.trust = ssl.create_default_context(cafile=str(self.trust_file))
        self.errors = folder / f"errors-{len(list(folder.glob('errors-*')))}"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.submission.standalone", str(folder), json.dumps(options)],
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
            )
        assert self.process.stdout is not None
        self.implicit, self.starttls = json.loads(self.process.stdout.readline())

    def new_certificate(self) -> None:
        """Write a fresh certificate and key, as a renewal does."""
        issued = self.authority.issue_cert(HOST, "127.0.0.1", key_type=trustme.KeyType.ECDSA)
        for name, octets in (
            ("key.pem", issued.private_key_pem.bytes()),
            ("chain.pem", issued.cert_chain_pems[0].bytes()),
        ):
            (self.folder / f"{name}.new").write_bytes(octets)
            (self.folder / f"{name}.new").replace(self.folder / name)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return what was logged under that name so far."""
        lines = [json.loads(line) for line in self.errors.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def finish(self, *, seconds: float = 20) -> dict[str, Any]:
        """Wait for the end of the process and return what it kept."""
        assert self.process.stdout is not None
        last = self.process.stdout.read()
        assert self.process.wait(seconds) == 0, self.errors.read_text()
        # Whatever is not a log line is a traceback or a warning.
        assert [line for line in self.errors.read_text().splitlines() if not line.startswith("{")] == []
        found: dict[str, Any] = json.loads(last)
        return found

    def stop(self) -> dict[str, Any]:
        self.signal(signal.SIGTERM)
        return self.finish()

    def memory(self, field: str = "VmRSS") -> int:
        """Return that many octets (proc_pid_status(5))."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{field}:"))) * 1024

    def reset_peak(self) -> None:
        """Start counting the peak (VmHWM) anew (proc_pid_clear_refs(5))."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def wait_until_logged(self, event: str, count: int = 1) -> None:
        wait_for(lambda: len(self.logged(event)) >= count, event)
