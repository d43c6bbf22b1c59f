"""A token of SoftHSM, for tests of keys that stay in one."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "483920"


@functools.cache
def _made() -> Path:
    """Make the token of this process: the library reads where it is but once."""
    folder = Path(tempfile.mkdtemp(prefix="cs-token-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "here").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'here'}\nobjectstore.backend = file\n")
    (folder / "pin").write_text(PIN + "\n")
    (folder / "pin").chmod(0o600)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "cryptnsend", "--pin", PIN, "--so-pin", "12345678"],
        env=os.environ | {"SOFTHSM2_CONF": str(folder / "softhsm2.conf")},
        check=True,
        capture_output=True,
        timeout=60,
    )
    return folder


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a token in it and, in the file `pin`, its PIN."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(_made() / "softhsm2.conf"))
    return _made()
