"""What can a process still do that reads strangers' files? Read what it was given, compute within limits, and answer.

It opens no socket, writes no file, starts no program and no process (but for OCR), signals nobody and gets no rights
back. The kernel sees to that (seccomp, RLIMIT), so it holds whatever code runs in there. Where that cannot be had,
nothing is read.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Sequence

NOBODY = 65534
FILES = 64  # descriptors
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_LOAD, _JUMP_EQUAL, _JUMP_FROM, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # 1 is EPERM
_UNKNOWN = 0x00050000 | 38  # ENOSYS, at which the C library takes the older call
_CLONE_THREAD = 0x10000
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND, _THIRD = 0, 4, 16, 24, 32  # in struct seccomp_data; arguments' low halves
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | 0o20000000  # and O_TMPFILE
_FOREIGN = 0x40000000  # numbers of x86-64's other calling convention begin here

# System calls that are refused; by machine, since each has its own numbers.
_Groups = dict[str, tuple[int, ...]]
_REFUSED: dict[str, tuple[int, _Groups, _Groups, dict[int, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "sockets": (41, 42, 43, 49, 50, 53, 288),
            "other processes": (101, 310, 311, 438, 298, 323, 321, 272, 308, 165, 304, 250, 29, 68),
            # kill, tkill, tgkill, those with a value or a descriptor; setpgid and setsid, since the group is killed.
            "signals": (62, 200, 234, 129, 297, 424, 109, 112),
            "files": (85, 83, 258, 87, 263, 84, 82, 264, 316, 86, 265, 88, 266, 76, 77, 90, 91, 268, 92, 93, 260, 133),
            "device files": (259,),
            "other ways": (425, 426, 427, 437, 319, 434),  # io_uring, openat2, memfd_create, pidfd_open
        },
        {"programs": (59, 322), "processes": (56, 57, 58, 435)},
        {2: _SECOND, 257: _THIRD},  # open, openat: where their flags are
    ),
    "aarch64": (
        0xC00000B7,
        {
            "sockets": (198, 199, 200, 201, 202, 203, 242),
            "other processes": (117, 270, 271, 438, 241, 282, 280, 97, 268, 40, 265, 219, 194, 186),
            "signals": (129, 130, 131, 138, 240, 424, 154, 157),
            "files": (34, 35, 38, 276, 37, 36, 45, 46, 52, 53, 54, 55, 33),
            "other ways": (425, 426, 427, 437, 279, 434),
        },
        {"programs": (221, 281), "processes": (220, 435)},
        {56: _THIRD},
    ),
}  # fmt: skip
_LIMITING = {"x86_64": 302, "aarch64": 261}  # prlimit64
_CLONE, _CLONE3 = {"x86_64": 56, "aarch64": 220}, 435


class NotConfined(OSError):
    """This machine cannot confine a process as it has to be."""


def confine(*, memory: int, cpu: int, programs: bool, files: bool = False, threads: bool = False) -> None:
    """
    Take away what reading does not need; *memory* is octets of address space, *cpu* seconds.

    With *files* the machine's files may be opened to read, as whoever sets type needs its fonts; with *threads* it may
    start some of its own, but no process; with *programs* others may be started, and files be read, under the same
    limits. Raises NotConfined.
    """
    for what, soft in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, FILES),
        # The kernel counts a user's processes and threads, of which others may have some: there is no telling how many.
        *(() if programs or threads else ((resource.RLIMIT_NPROC, 0),)),
    ):
        hard = resource.getrlimit(what)[1]
        most = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(what, (most, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing gets an error instead
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    _prctl(_PR_SET_DUMPABLE, 0)
    die_with_parent()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _refuse(programs=programs, files=files or programs, threads=threads)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends; to be called again after a change of user."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _refuse(*, programs: bool, files: bool, threads: bool) -> None:
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _REFUSED:
        raise NotConfined(f"there is no list of system calls for {sys.platform} on {machine}")
    architecture, always, without_programs, opening = _REFUSED[machine]
    numbers = [number for group in always.values() for number in group]
    if not programs:
        numbers += [number for group in without_programs.values() for number in group]
    if threads and not programs:
        numbers = [number for number in numbers if number not in (_CLONE[machine], _CLONE3)]
    if not files:
        numbers += list(opening)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_FROM, 0, 1, _FOREIGN),
        (_RETURN, 0, 0, _KILL),
    ]
    for number in numbers:
        steps += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    if threads and not programs:  # the newer call has its flags where nobody can look at them
        steps += [(_JUMP_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _UNKNOWN)]
        steps += [
            (_JUMP_EQUAL, 0, 4, _CLONE[machine]),
            (_LOAD, 0, 0, _FIRST),
            (_JUMP_ANY_BIT, 1, 0, _CLONE_THREAD),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        ]
    # Limits of its own it may read and lower, which libraries do; those of others are none of its business.
    steps += [
        (_JUMP_EQUAL, 0, 4, _LIMITING[machine]),
        (_LOAD, 0, 0, _FIRST),
        (_JUMP_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    for number, flags in opening.items():
        steps += [
            (_JUMP_EQUAL, 0, 4, number),
            (_LOAD, 0, 0, flags),
            (_JUMP_ANY_BIT, 0, 1, _WRITES),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        ]
    steps.append((_RETURN, 0, 0, _ALLOW))
    _install(steps)


def _install(steps: Sequence[tuple[int, int, int, int]]) -> None:
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    holder = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(program)))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(holder))


def _prctl(option: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(ctypes.c_int(option), *values) != 0:
        raise NotConfined(ctypes.get_errno(), f"prctl {option} was refused")
