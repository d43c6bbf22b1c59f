"""Where do the tests' files lie? In memory, where there is room: each commit of a store waits for its disk.

What tests show is not less for it: they end processes, not machines. TESTS_AT names another folder, a disk's,
say; it must exist, and be short, for sockets have paths of at most 107 octets.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 6 << 30  # octets; the largest file of a test has 2 GiB, and rests twice for a moment


def settle() -> None:
    """Let all temporary files, of this process and of those that it starts, be made there."""
    chosen = os.environ.get("TESTS_AT", "")
    if not chosen and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM:
        chosen = str(MEMORY)
    if chosen:
        os.environ["TMPDIR"] = chosen
        tempfile.tempdir = None  # asked again
