"""What does the process do that looks into a mail? It reads the mail within its limits, and says what it found.

Where it comes from, and what it cannot do, is in cryptnsend/confined.
"""

from __future__ import annotations

import contextlib
import sys
from typing import BinaryIO

import msgspec

from cryptnsend.confined import nursery
from cryptnsend.core.dlp.detect import RULES, Finding, detect
from cryptnsend.core.dlp.own import Own
from cryptnsend.dlp import pdf
from cryptnsend.dlp.budget import Budget, Limits, NotRead, TooMuch
from cryptnsend.dlp.mail import read_mail

MOST_FINDINGS = 100
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

    def order(self) -> nursery.Order:
        """Return what a worker is given for this job."""
        limits = self.limits
        return nursery.Order(
            msgspec.msgpack.encode(self), limits.memory, limits.cpu, limits.wall, programs=bool(self.ocr)
        )


class Answer(msgspec.Struct, frozen=True):
    """What a reader found."""

    findings: tuple[Finding, ...]


def warm_up() -> None:
    """Do once what would load something later, when nothing can be opened any more."""
    for name in _CHARSETS.split():
        "".encode(name)
    budget = Budget(Limits())
    read_mail(b"Subject: =?utf-8?q?x?=\r\nContent-Type: text/html\r\n\r\n<p>x</p>", "", budget)
    detect(budget.pieces)
    with contextlib.suppress(NotRead):
        pdf.read(b"%PDF-1.4\n%%EOF", "", Budget(Limits()), lambda octets, name: None)


def work(encoded: bytes, mail: BinaryIO) -> bytes:
    """Read a mail, and return the answer."""
    job = msgspec.msgpack.decode(encoded, type=Job)
    try:
        found = look(mail.read(job.limits.message + 1), job)
    except MemoryError:
        found = [Finding(TooMuch.rule, "", "")]
    return msgspec.msgpack.encode(Answer(tuple(found[:MOST_FINDINGS])))


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
    nursery.serve(int(sys.argv[1]), warm_up, work)
