"""A reader can do nothing but read: each of these is tried from inside, and refused by the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFINED = """
import ctypes, os, resource, signal, socket, subprocess, sys, tempfile, threading
from cryptnsend.confined.confine import confine
confine(memory=1 << 30, cpu=20, programs={programs}, **{more})
def main():
{body}
try:
    main()
except BaseException as error:
    print(type(error).__name__)
else:
    print("done")
"""


def confined(body: str, *, programs: bool = False, **more: bool) -> str:
    """Run *body* in a confined process; return "done", or what it raised."""
    script = CONFINED.format(programs=programs, more=more, body="\n".join(f"    {line}" for line in body.splitlines()))
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )
    return ran.stdout.strip() or f"signal {-ran.returncode}"


REFUSED = {
    "a socket of the network": "socket.socket(socket.AF_INET)",
    "a socket of this machine": "socket.socket(socket.AF_UNIX)",
    "a pair of sockets": "socket.socketpair()",
    "a file to write": "open('/tmp/cryptnsend-never', 'w')",
    "a file to read": "open('/etc/passwd')",
    "a temporary file": "tempfile.TemporaryFile()",
    "a nameless file": "os.memfd_create('x')",
    "a folder": "os.mkdir('/tmp/cryptnsend-never')",
    "a program": "subprocess.run(['/bin/true'])",
    "memory beyond the limit": "bytearray(2 << 30)",
    "a higher limit": "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))",
    "another name space": "if ctypes.CDLL(None).unshare(0x10000000): raise PermissionError",
    "another process": "os.fork()",
    "another thread": "threading.Thread(target=print).start()",
    "a group of its own": "os.setpgid(0, 0)",
    "signals": "os.kill(os.getpid(), 0)",
    "signals to threads": "signal.pthread_kill(threading.get_ident(), signal.SIGCHLD)",
    "limits of others": "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (9, 9))",
    "the memory of others": "if ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0): raise PermissionError",
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_a_reader_gets_no(what: str) -> None:
    said = confined(REFUSED[what])
    assert said in ("PermissionError", "MemoryError", "OSError", "ValueError", "FileNotFoundError", "RuntimeError")
    assert not Path("/tmp/cryptnsend-never").exists()


def test_a_reader_started_as_root_is_nobody_and_stays_that() -> None:
    said = confined(
        "assert os.getuid() == os.geteuid() != 0\nassert os.getgroups() in ([], [os.getgid()])\nos.setuid(0)"
    )
    assert said in ("PermissionError", "AssertionError")
    assert said == "PermissionError" or os.geteuid() != 0


def test_time_has_an_end() -> None:
    assert confined("resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass") in ("signal 24", "signal 9")


def test_with_ocr_programs_start_and_still_write_nothing_and_reach_nobody() -> None:
    assert confined("subprocess.run(['/bin/true'], check=True)", programs=True) == "done"
    assert confined("open('/tmp/cryptnsend-never', 'w')", programs=True) == "PermissionError"
    assert confined("socket.socket()", programs=True) == "PermissionError"
    script = "subprocess.run(['/bin/bash', '-c', 'exec 3<>/dev/udp/127.0.0.1/9'], check=True, capture_output=True)"
    assert confined(script, programs=True) == "CalledProcessError"
    assert confined("os.setpgid(0, 0)", programs=True) == "PermissionError"
    assert confined("os.kill(os.getpid(), 0)", programs=True) == "PermissionError"


def test_who_needs_files_reads_them_and_does_nothing_else() -> None:
    assert confined("open('/etc/passwd').read()", files=True) == "done"
    for what in ("a file to write", "a temporary file", "a program", "another process", "a socket of this machine"):
        assert confined(REFUSED[what], files=True) in ("PermissionError", "FileNotFoundError", "OSError"), what


def test_who_needs_threads_starts_no_process() -> None:
    script = "one = threading.Thread(target=print)\none.start()\none.join()"
    assert confined(script, threads=True) == "done"
    for what in ("a program", "another process", "a file to read", "signals", "a pair of sockets"):
        assert confined(REFUSED[what], threads=True) in ("PermissionError", "OSError", "FileNotFoundError"), what


OUTLIVING = """
import os, signal
import msgspec
from cryptnsend.confined import confine, nursery
held, mark = os.pipe()
confine.confine = lambda **limits: None
def work(job, octets):
    if os.fork() == 0:
        for each in os.listdir("/proc/self/fd"):
            if int(each) > 2 and int(each) != mark:
                try:
                    os.close(int(each))
                except OSError:
                    pass
        signal.alarm(40)
        signal.pause()
    return b""
incoming, into = os.pipe()
out, outgoing = os.pipe()
head = msgspec.msgpack.encode(nursery.Order())
os.write(into, len(head).to_bytes(4, "big") + head)
os.close(into)
nursery.watch(incoming, outgoing, work)
os.close(mark)
print(os.read(held, 1))  # ends when nobody has the other end any more
"""


def test_what_a_reader_started_ends_with_it() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", OUTLIVING],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )
    assert ran.stdout.strip() == "b''"
