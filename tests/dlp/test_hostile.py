"""Files made to hurt whoever reads them: each ends within its limits, as something that is held."""

from __future__ import annotations

import io
import os
import threading
import zipfile
import zlib
from collections.abc import Iterator

import msgspec
import pytest

from cryptnsend.confined.nursery import Ending
from cryptnsend.confined.workers import Gone
from cryptnsend.core.dlp.detect import Finding
from cryptnsend.core.errors import ScannerGone
from cryptnsend.dlp.budget import Limits
from cryptnsend.dlp.inspector import Inspector, _findings
from cryptnsend.dlp.nursery import Answer, Job, look
from tests.dlp.documents import TYPES, docx, mail, pdf, zipped

LIMITS = Limits(unpacked=64 << 20, one=32 << 20, text=4_000_000, memory=1 << 30, cpu=10, wall=15)


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    """An inspector with small limits, and one nursery for all tests."""
    made = Inspector(LIMITS)
    yield made
    made.close()


def zip_bomb() -> bytes:
    """Return a ZIP file of 64 KiB that unpacks to 64 MiB."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.txt", "w") as member:
        for _ in range(64):
            member.write(b"\0" * (1 << 20))
    return out.getvalue()


def overlapping_bomb() -> bytes:
    """Return a ZIP file whose 2,000 members are all the same octets."""
    one = zipped({"a.txt": b"x" * (1 << 20)})
    start = one.index(b"PK\x01\x02")
    entry, end = one[start : one.rindex(b"PK\x05\x06")], one[one.rindex(b"PK\x05\x06") :]
    tail = end[:8] + (2000).to_bytes(2, "little") * 2 + (len(entry) * 2000).to_bytes(4, "little")
    return one[:start] + entry * 2000 + tail + start.to_bytes(4, "little") + b"\0\0"


def nested(levels: int) -> bytes:
    """Return a ZIP in a ZIP in a ZIP."""
    inner = b"SSN 219-44-1234"
    for level in range(levels):
        inner = zipped({f"{level}.zip" if level else "a.txt": inner}, zipfile.ZIP_STORED)
    return inner


def xml_bomb() -> str:
    """Return XML whose entities grow by ten each time (a billion laughs)."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    head = f'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY l0 "ha">{entities}]>'
    return f'{head}<w:document xmlns:w="u"><w:t>&l9;</w:t></w:document>'


def pdf_bomb() -> bytes:
    """Return a PDF with a page whose content unpacks to 66 MiB, packed twice."""
    packed = zlib.compress(zlib.compress(b"BT ET " * (11 << 20), 9), 9)
    content = b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n" % len(packed) + packed
    made = pdf("x")
    start, end = made.index(b"<< /Length"), made.index(b"\nendstream")
    return made[:start] + content + made[end:]


def deep_mail(levels: int) -> bytes:
    """Return a mail with multiparts in multiparts."""
    out = b""
    for level in range(levels):
        out += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    return out + b"\r\nSSN 219-44-1234\r\n"


def mails_in_mail(levels: int) -> bytes:
    """Return a mail in a mail in a mail."""
    return b"Content-Type: message/rfc822\r\n\r\n" * levels + b"Subject: x\r\n\r\nSSN 219-44-1234\r\n"


HOSTILE = {
    "zip bomb": mail(files={"a.zip": zip_bomb()}),
    "zip bomb in a docx": mail(files={"a.docx": docx("x", **{"word__a.xml": "<a>" + " " * (40 << 20) + "</a>"})}),
    "overlapping zip": mail(files={"a.zip": overlapping_bomb()}),
    "hundred levels of zip": mail(files={"a.zip": nested(100)}),
    "hundred levels of mail": mails_in_mail(100),
    "hundred levels of multipart": deep_mail(101),
    "xml bomb": mail(files={"a.docx": zipped({"[Content_Types].xml": TYPES, "word/document.xml": xml_bomb()})}),
    "xml bomb in odt": mail(
        files={"a.odt": zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": xml_bomb()})}
    ),
    "xml bomb in strings": mail(
        files={
            "a.xlsx": zipped(
                {"[Content_Types].xml": TYPES, "xl/workbook.xml": "<a/>", "xl/sharedStrings.xml": xml_bomb()}
            )
        }
    ),
    "deep xml": mail(files={"a.docx": docx("x", **{"word__a.xml": "<a>" * 50_000 + "</a>" * 50_000})}),
    "outside entity": mail(
        files={
            "a.docx": docx(
                "x", **{"word__a.xml": '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>'}
            )
        }
    ),
    "many members": mail(files={"a.zip": zipped({f"{n}.txt": "x" for n in range(2500)})}),
    "many pages": mail(files={"a.pdf": pdf(*["x"] * 3100)}),
    "pdf bomb": mail(files={"a.pdf": pdf_bomb()}),
    "much text": mail("word " * 900_000),
    "wide sheet": mail(
        files={
            "a.xlsx": zipped(
                {
                    "[Content_Types].xml": TYPES,
                    "xl/workbook.xml": "<a/>",
                    "xl/worksheets/sheet1.xml": "<s>" + '<row><c r="XFD1"><v>1</v></c></row>' * 60_000 + "</s>",
                }
            )
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(HOSTILE))
def test_what_is_made_to_hurt_is_held_within_the_limits(inspector: Inspector, name: str) -> None:
    found = inspector.inspect((HOSTILE[name],), Job())
    assert {each.rule for each in found} & {"too-much", "unreadable"}


def test_the_next_mail_is_read_as_ever(inspector: Inspector) -> None:
    inspector.ping()
    assert [each.rule for each in inspector.inspect((mail("SSN 219-44-1234"),), Job())] == ["ssn"]


def test_a_mail_longer_than_may_be_read_is_held() -> None:
    small = Limits(message=1000)
    assert look(mail("x" * 2000), Job(limits=small)) == [Finding("too-much", "", "")]


def test_a_reader_that_takes_too_long_is_ended() -> None:
    inspector = Inspector(Limits(cpu=1, wall=3))
    try:
        # Each of these numbers asks for what stands around it.
        found = inspector.inspect((mail("\n".join("E11.9 metformin, 03/04/1961;" for _ in range(200_000))),), Job())
        assert found == [Finding("too-much", "", "")]
    finally:
        inspector.close()


def test_a_mail_of_which_no_end_comes_is_no_hold() -> None:
    inspector = Inspector(Limits(wall=1))

    def broken() -> Iterator[bytes]:
        yield b"Subject: x\r\n"
        raise ConnectionError("the blob is gone")

    try:
        with pytest.raises(ConnectionError):
            inspector.inspect(broken(), Job())
        inspector.ping()
    finally:
        inspector.close()


def test_a_nursery_that_died_is_replaced() -> None:
    inspector = Inspector()
    try:
        inspector.ping()
        first = inspector.process
        assert first is not None
        first.kill()
        first.wait()
        inspector.ping()
        assert inspector.process is not first
    finally:
        inspector.close()


def test_who_is_to_stop_waits_for_nobody() -> None:
    inspector = Inspector()
    inspector.ping()
    inspector.cut()
    with pytest.raises(ScannerGone) as gone:
        inspector.inspect((b"x",), Job())
    assert "ends" in gone.value.why


def test_no_process_stays_behind() -> None:
    inspector = Inspector()
    inspector.ping()
    assert inspector.process is not None
    pid = inspector.process.pid
    inspector.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_nothing_can_be_read_where_no_interpreter_starts() -> None:
    inspector = Inspector(python="/bin/false")
    with pytest.raises(ScannerGone):
        inspector.inspect((b"x",), Job())
    inspector.close()


@pytest.mark.parametrize(
    ("ending", "rule"),
    [
        (Ending(0, 11, False, b""), "unreadable"),  # it crashed
        (Ending(1, 0, False, b""), "unreadable"),
        (Ending(0, 0, False, b"nonsense"), "unreadable"),
        (Ending(0, 0, True, b""), "too-much"),
        (Ending(0, 24, False, b""), "too-much"),  # SIGXCPU
    ],
)
def test_whatever_does_not_end_as_it_should_is_held(ending: Ending, rule: str) -> None:
    assert _findings(msgspec.msgpack.encode(ending)) == [Finding(rule, "", "")]


def test_a_reader_that_was_taken_over_says_no_more_than_it_may() -> None:
    said = Answer((Finding("secret-key", "x" * 9999, "y"), Finding("ssn", "a\r\nb" * 900, "c\nd")))
    found = _findings(msgspec.msgpack.encode(Ending(0, 0, False, msgspec.msgpack.encode(said))))
    assert found[0] == Finding("unreadable", "", "")
    assert len(found[1].masked) <= 200
    assert "\n" not in found[1].masked + found[1].where


def test_a_machine_that_cannot_confine_puts_mail_off() -> None:
    with pytest.raises(Gone) as gone:
        _findings(msgspec.msgpack.encode(Ending(3, 0, False, b"")))
    assert "confine" in gone.value.why
    with pytest.raises(Gone):
        _findings(b"")


def test_mails_at_the_same_time_are_read_apart(inspector: Inspector) -> None:
    found: dict[int, list[Finding]] = {}

    def read(number: int) -> None:
        text = f"SSN 219-44-12{number:02d}" if number % 2 else "nothing"
        found[number] = inspector.inspect((mail(text),), Job())

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: bool(each) for number, each in found.items()} == {number: bool(number % 2) for number in range(8)}
