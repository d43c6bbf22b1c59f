"""How does a process that holds keys or passwords keep its memory to itself, also when it dies?

Every program of ours asks for it before it reads anything: the roles, the commands, and `cryptnsend-open`, which has to
run on machines without a server, too, and does there what the system knows.
"""

from __future__ import annotations

import ctypes
import sys

if sys.platform != "win32":
    import resource

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38  # prctl(2)


def harden() -> None:
    """
    Let this process leave no core dump, be read by no other of its user, and never gain rights by starting a program.

    Core files of size 0 do not suffice, as they do not bind a program that the kernel pipes them to (core(5)).
    """
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        for option, value in ((_PR_SET_DUMPABLE, 0), (_PR_SET_NO_NEW_PRIVS, 1)):
            if libc.prctl(option, value, 0, 0, 0):
                raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
