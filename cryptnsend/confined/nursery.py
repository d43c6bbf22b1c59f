"""Where do the processes come from that work on what strangers made? One that has all ready, and does none of it.

Whoever needs one starts a nursery once and hands it two descriptors for each piece of work: one to read the order and
the octets from, one to answer on. For each it forks a watcher, which forks the worker. The worker confines itself
before it reads an octet; the watcher passes its answer on, no more than fits, with how it ended, and kills it when its
time is over. Nothing of what it works on is in a file, and what a worker does to itself ends with it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import BinaryIO

import msgspec

from cryptnsend.confined import confine

ENDED, CONFINED = 0, 3  # exit statuses: as it should, and because this machine cannot confine it
Work = Callable[[bytes, BinaryIO], bytes]  # (the job, the octets to read) -> the answer


class Order(msgspec.Struct, frozen=True):
    """What stands before the octets: what the worker may have, and its job, of which only it knows the form."""

    job: bytes = b""
    memory: int = 1536 << 20  # octets of address space
    cpu: int = 60  # seconds
    wall: int = 120  # seconds
    answer: int = 256 << 10  # octets of its answer
    files: bool = False  # whether it may open the machine's files, to read
    threads: bool = False  # whether it may start some of its own
    programs: bool = False  # whether it may start others


class Ending(msgspec.Struct, frozen=True):
    """How a worker ended, and its answer as it came: `status` is its exit status, `signal` what killed it."""

    status: int
    signal: int
    is_late: bool
    answer: bytes


def serve(descriptor: int, warm_up: Callable[[], None], work: Work) -> None:
    """Serve whoever is at the other end of *descriptor* until they hang up; *warm_up* loads what *work* needs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # watchers are nobody's to wait for
    confine.die_with_parent()
    warm_up()
    with socket.socket(fileno=descriptor) as line:
        line.sendall(b"ready")
        while True:
            word, descriptors, _, _ = socket.recv_fds(line, 1, 2)
            if not word:
                return
            if len(descriptors) == 2 and os.fork() == 0:
                line.close()
                os._exit(watch(descriptors[0], descriptors[1], work))
            for each in descriptors:
                os.close(each)


def watch(incoming: int, outgoing: int, work: Work) -> int:
    """Run one worker, and pass on what it says and how it ended; return an exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    confine.die_with_parent()
    order = _order(incoming)
    if order is None:
        return 1
    ours, theirs = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.close(ours)
        os.close(outgoing)
        os.setpgid(0, 0)  # whatever it starts is killed with it
        os._exit(_be(order, incoming, theirs, work))
    os.close(incoming)
    os.close(theirs)
    answer, is_late = _listen(ours, time.monotonic() + order.wall, order.answer)
    if is_late:
        _kill(worker)
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)  # while it is not waited for, its group's number is its own
    _kill(worker)
    _, status = os.waitpid(worker, 0)
    code = os.waitstatus_to_exitcode(status)
    ending = Ending(max(code, 0), max(-code, 0), is_late, answer)
    with contextlib.suppress(BrokenPipeError), os.fdopen(outgoing, "wb") as out:
        out.write(msgspec.msgpack.encode(ending))
    return 0


def _kill(worker: int) -> None:
    """Kill a worker and all that it started, which cannot leave its group."""
    with contextlib.suppress(ProcessLookupError):  # it has not come so far as to have a group
        os.killpg(worker, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)


def _order(incoming: int) -> Order | None:
    """Read the order that stands before the octets: its length in four octets, then itself."""
    size = int.from_bytes(_exactly(incoming, 4), "big")
    try:
        return msgspec.msgpack.decode(_exactly(incoming, size), type=Order)
    except msgspec.MsgspecError:
        return None  # whoever gave it has gone in the middle


def _exactly(incoming: int, size: int) -> bytes:
    found = bytearray()
    while len(found) < size and (piece := os.read(incoming, min(size - len(found), 1 << 20))):
        found += piece
    return bytes(found)


def _listen(incoming: int, until: float, most: int) -> tuple[bytes, bool]:
    """Return what a worker says until its end, *most* octets or little more, and whether its time was over before."""
    said, poll = bytearray(), select.poll()
    poll.register(incoming, select.POLLIN)
    while True:
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            return bytes(said), True
        piece = os.read(incoming, 65_536)
        if not piece or len(said) > most:
            os.close(incoming)
            return bytes(said), False
        said += piece


def _be(order: Order, incoming: int, outgoing: int, work: Work) -> int:
    """Be the worker: confine this process, do the work, answer. Returns an exit status."""
    try:
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = int(used.ru_utime + used.ru_stime) + order.cpu
        confine.confine(memory=order.memory, cpu=cpu, programs=order.programs, files=order.files, threads=order.threads)
    except (OSError, ValueError):
        return CONFINED
    with os.fdopen(incoming, "rb") as octets:
        answer = work(order.job, octets)
    with os.fdopen(outgoing, "wb") as out:
        out.write(answer)
    return ENDED
