"""Where do the processes come from that read strangers' files? One that has everything ready, and reads none itself.

The courier starts it once and hands it two descriptors for each mail: one to read the job and the mail from, one to
answer on. For each it forks a watcher, which forks the reader. The reader confines itself before it reads an octet;
the watcher passes its answer on, no more than fits, with how it ended, and kills it when its time is over. Nothing of a
mail is in a file, and what a reader does to itself ends with it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import sys
import time

import msgspec

from cryptnsend.core.dlp.detect import RULES, Finding, detect
from cryptnsend.core.dlp.own import Own
from cryptnsend.dlp import confine, pdf
from cryptnsend.dlp.budget import Budget, Limits, NotRead, TooMuch
from cryptnsend.dlp.mail import read_mail

ANSWER = 256 << 10  # octets of an answer
MOST_FINDINGS = 100
ENDED, CONFINED = 0, 3  # exit statuses: as it should, and because this machine cannot confine it
# Charsets that a reader may need, which it cannot load any more once it is confined.
_CHARSETS = """
ascii latin_1 utf_8 utf_8_sig utf_7 utf_16 utf_16_le utf_16_be utf_32 cp437 cp850 cp852 cp866 cp874 cp932 cp949 cp950
cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 big5 big5hkscs euc_jp euc_kr gb18030 gb2312 gbk hz
iso2022_jp iso2022_jp_ext iso2022_kr iso8859_1 iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7 iso8859_8
iso8859_9 iso8859_10 iso8859_11 iso8859_13 iso8859_14 iso8859_15 iso8859_16 koi8_r koi8_u mac_roman shift_jis
shift_jis_2004 tis_620 johab
"""


class Job(msgspec.Struct, frozen=True):
    """What a reader is told before the mail: the organisation's own rules, which rules count, and what may be used."""

    own: Own = Own()
    rules: tuple[str, ...] = RULES
    ocr: str = ""  # the program that reads pictures, "" without
    hold_pictures: bool = False  # whether a picture that nobody read counts as unreadable
    limits: Limits = Limits()


class Answer(msgspec.Struct, frozen=True):
    """What a reader found."""

    findings: tuple[Finding, ...]


class Ending(msgspec.Struct, frozen=True):
    """How a reader ended, and its answer as it came: `status` is its exit status, `signal` what killed it."""

    status: int
    signal: int
    is_late: bool
    answer: bytes


def main(descriptor: int) -> None:
    """Serve the courier at the other end of *descriptor* until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # watchers are nobody's to wait for
    confine.die_with_parent()
    for name in _CHARSETS.split():
        "".encode(name)
    warm_up()
    with socket.socket(fileno=descriptor) as line:
        line.sendall(b"ready")
        while True:
            word, descriptors, _, _ = socket.recv_fds(line, 1, 2)
            if not word:
                return
            if len(descriptors) == 2 and os.fork() == 0:
                line.close()
                os._exit(_watch(*descriptors))
            for each in descriptors:
                os.close(each)


def warm_up() -> None:
    """Do once what would load something later, when nothing can be opened any more."""
    budget = Budget(Limits())
    read_mail(b"Subject: =?utf-8?q?x?=\r\nContent-Type: text/html\r\n\r\n<p>x</p>", "", budget)
    detect(budget.pieces)
    with contextlib.suppress(NotRead):
        pdf.read(b"%PDF-1.4\n%%EOF", "", Budget(Limits()), lambda octets, name: None)


def _watch(incoming: int, outgoing: int) -> int:
    """Run one reader, and pass on what it says and how it ended; return an exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    confine.die_with_parent()
    job = _job(incoming)
    if job is None:
        return 1
    ours, theirs = os.pipe()
    reader = os.fork()
    if reader == 0:
        os.close(ours)
        os.close(outgoing)
        os.setpgid(0, 0)  # whatever it starts is killed with it
        os._exit(_read(job, incoming, theirs))
    os.close(incoming)
    os.close(theirs)
    answer, is_late = _listen(ours, time.monotonic() + job.limits.wall)
    if is_late:
        _kill(reader)
    os.waitid(os.P_PID, reader, os.WEXITED | os.WNOWAIT)  # while it is not waited for, its group's number is its own
    _kill(reader)
    _, status = os.waitpid(reader, 0)
    code = os.waitstatus_to_exitcode(status)
    ending = Ending(max(code, 0), max(-code, 0), is_late, answer)
    with contextlib.suppress(BrokenPipeError), os.fdopen(outgoing, "wb") as out:
        out.write(msgspec.msgpack.encode(ending))
    return 0


def _kill(reader: int) -> None:
    """Kill a reader and all that it started, which cannot leave its group."""
    with contextlib.suppress(ProcessLookupError):  # it has not come so far as to have a group
        os.killpg(reader, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(reader, signal.SIGKILL)


def _job(incoming: int) -> Job | None:
    """Read the job that stands before the mail: its length in four octets, then itself."""
    size = int.from_bytes(_exactly(incoming, 4), "big")
    try:
        return msgspec.msgpack.decode(_exactly(incoming, size), type=Job)
    except msgspec.MsgspecError:
        return None  # the courier has gone in the middle


def _exactly(incoming: int, size: int) -> bytes:
    found = b""
    while len(found) < size and (piece := os.read(incoming, size - len(found))):
        found += piece
    return found


def _listen(incoming: int, until: float) -> tuple[bytes, bool]:
    """Return what a reader says until its end, and whether its time was over before."""
    said, poll = b"", select.poll()
    poll.register(incoming, select.POLLIN)
    while True:
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            return said, True
        piece = os.read(incoming, 65_536)
        if not piece or len(said) > ANSWER:
            os.close(incoming)
            return said, False
        said += piece


def _read(job: Job, incoming: int, outgoing: int) -> int:
    """Be the reader: confine this process, read the mail, answer. Returns an exit status."""
    try:
        used = resource.getrusage(resource.RUSAGE_SELF)
        cpu = int(used.ru_utime + used.ru_stime) + job.limits.cpu
        confine.confine(memory=job.limits.memory, cpu=cpu, programs=bool(job.ocr))
    except (OSError, ValueError):
        return CONFINED
    try:
        with os.fdopen(incoming, "rb") as mail:
            octets = mail.read(job.limits.message + 1)
        found = look(octets, job)
    except MemoryError:
        found = [Finding(TooMuch.rule, "", "")]
    with os.fdopen(outgoing, "wb") as out:
        out.write(msgspec.msgpack.encode(Answer(tuple(found[:MOST_FINDINGS]))))
    return ENDED


def look(octets: bytes, job: Job) -> list[Finding]:
    """Return what is found in a mail, what could not be read first; of a mail that is too much only that."""
    budget = Budget(job.limits, job.ocr)
    try:
        if len(octets) > job.limits.message:
            raise TooMuch("message")
        read_mail(octets, "", budget)
    except TooMuch:
        return [Finding(TooMuch.rule, "", "")]
    if job.hold_pictures:
        budget.notes += [(NotRead.rule, where) for where in budget.pictures]
    unread = dict.fromkeys(Finding(rule, "", where) for rule, where in budget.notes)
    return [*unread, *detect(budget.pieces, job.own, job.rules)]


if __name__ == "__main__":
    main(int(sys.argv[1]))
