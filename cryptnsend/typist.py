"""Who types a command? The user that it runs as and, where the system knows it, who signed in to the machine."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

COMMAND_LINE = "command line"  # the source of what a command does, as the audit trail has it
NOBODY = (1 << 32) - 1  # what the kernel says of processes that nobody's sign-in started


def typist() -> Mapping[str, object]:
    """
    Return what the audit trail says of who acts by a command: source, uid, user and, if it is another, login.

    `login` is the user of the sign-in that this process comes from (audit(8)), which `su` and `sudo` do not change.
    """
    uid, login = os.getuid(), _login()
    found: dict[str, object] = {"source": COMMAND_LINE, "uid": uid, "user": _name(uid)}
    return found if login in (None, uid) else found | {"login": _name(login)}


def _login() -> int | None:
    try:
        uid = int(Path("/proc/self/loginuid").read_text("ascii"))
    except (OSError, ValueError):
        return None
    return None if uid == NOBODY else uid


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid).pw_name if uid is not None else ""
    except KeyError:
        return str(uid)
