"""What does a file say, and the files in it? Each by what it is, whatever it is called.

What cannot be read is noted with the reason and its place; what passes a limit ends the reading (`TooMuch`). Nothing is
passed over in silence but parts of formats that carry no words of their author.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from lzma import LZMAError

from cryptnsend.core.charsets import decode_text
from cryptnsend.core.mime_names import safe_filename
from cryptnsend.dlp import office, pictures, sheets
from cryptnsend.dlp.budget import Budget, Encrypted, NotRead, TooMuch
from cryptnsend.dlp.enclosed import TooMany, enclosed, unfolded
from cryptnsend.dlp.kinds import is_honest, kind_of
from cryptnsend.dlp.markup import has_tags, text_of_html
from cryptnsend.dlp.readings import readings
from cryptnsend.dlp.rtf import text_of_rtf
from cryptnsend.dlp.tnef import rich_text, unpack

_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)  # fmt: skip
PART = " > "  # between a file and what is in it
LONGEST_PLACE = 160  # characters
# What cannot be unpacked says so in many ways.
BROKEN = (zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


def read_file(octets: bytes, name: str, where: str, budget: Budget, depth: int = 0, media_type: str = "") -> None:
    """Read one file into the budget's pieces. Raises TooMuch; whatever else stops it is noted."""
    budget.enter(depth)
    kind = kind_of(octets)
    try:
        _read(kind, octets, name, where, budget, depth, media_type)
    except TooMuch:
        raise
    except NotRead as reason:
        budget.notes.append((reason.rule, where))
    except MemoryError:
        raise TooMuch("memory") from None
    except Exception:  # whatever a reader stumbles over, the file was not read
        budget.notes.append((NotRead.rule, where))
        return
    if not is_honest(kind, name, media_type):
        budget.notes.append((NotRead.rule, where))


def _read(kind: str, octets: bytes, name: str, where: str, budget: Budget, depth: int, media_type: str) -> None:
    match kind:
        case "empty":
            return
        case "pdf":
            from cryptnsend.dlp import pdf

            pdf.read(octets, where, budget, lambda inner, called: _inside(inner, called, where, budget, depth))
            _read_behind(octets[max(0, octets.rfind(b"%%EOF")) :], where, budget, depth)
        case "zip":
            _read_zip(octets, where, budget, depth)
        case "rtf":
            _read_rtf(octets, where, budget)
        case "tnef":
            _read_tnef(octets, where, budget, depth)
        case "ole":
            raise Encrypted if "EncryptedPackage".encode("utf-16-le") in octets else NotRead
        case "picture":
            pictures.read(octets, where, budget)
            _read_behind(octets, where, budget, depth)
        case "pgp":
            raise Encrypted
        case "html":
            text = text_of(octets)
            budget.add(where, text_of_html(text))
            _read_hidden(text, where, budget, depth)
            if not name.casefold().endswith((".htm", ".html", ".xhtml")) and media_type != "text/html":
                budget.add(where, text)  # shown as it is, also what would be hidden in HTML
        case "text" if name.casefold().endswith(".eml") or media_type == "message/rfc822":
            from cryptnsend.dlp.mail import read_mail

            read_mail(octets, where, budget, depth + 1)
        case "text":
            _read_text(text_of(octets), name, where, budget, depth)
        case _:
            raise NotRead


def text_of(octets: bytes, charset: str = "") -> str:
    """Decode text by the mark that it begins with, else as its label says or it looks."""
    for mark, codec in _MARKS:
        if octets.startswith(mark):
            return octets.decode(codec, "replace")
    return decode_text(octets, charset)


def read_enclosed(text: str, where: str, budget: Budget, depth: int) -> None:
    """Read what is encoded in a text, and what it says when it is read otherwise. Raises TooMuch."""
    for said in readings(text):
        budget.add(where, said)
    try:
        for name, inner in enclosed(text):
            _inside(inner, name, where, budget, depth)
    except TooMany:
        raise TooMuch("encoded") from None


def _read_text(text: str, name: str, where: str, budget: Budget, depth: int) -> None:
    budget.add(where, text)
    if has_tags(text):
        budget.add(where, text_of_html(text))  # without tags, since one may part a number
    if name.casefold().endswith((".ics", ".ifb", ".vcf", ".vcard")) or text[:200].lstrip().upper().startswith(
        "BEGIN:V"
    ):
        budget.add(where, unfolded(text))
    _read_hidden(text, where, budget, depth)


def _read_hidden(text: str, where: str, budget: Budget, depth: int) -> None:
    read_enclosed(text, where, budget, depth)
    if "<!ENTITY" in text:
        raise NotRead("entities")  # words stand elsewhere than where they are shown


def _read_behind(octets: bytes, where: str, budget: Budget, depth: int) -> None:
    """Read a ZIP file that hides behind a file of another kind: both programs open what they know."""
    if zipfile.is_zipfile(io.BytesIO(octets)):
        _read_zip(octets, where, budget, depth)


def place(where: str, name: str) -> str:
    """Return in words where a file in a file is."""
    return f"{where}{PART if where else ''}{safe_filename(name)}"[:LONGEST_PLACE]


def _inside(octets: bytes, name: str, where: str, budget: Budget, depth: int) -> None:
    budget.unpack(len(octets))
    budget.add(where, name)
    read_file(octets, name, place(where, name) if name else where, budget, depth + 1)


def _read_zip(octets: bytes, where: str, budget: Budget, depth: int) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            listed = archive.infolist()
            if len(listed) > budget.limits.files:
                raise TooMuch("files")
            said = [archive.comment, *(each.comment for each in listed)]
            budget.add(
                where, "\n".join((*map(decode_text, said), *(each.filename for each in listed if each.is_dir())))
            )
            members = [each for each in listed if not each.is_dir() or each.file_size]
            names = {each.filename for each in members}
            if any(each.flag_bits & 1 for each in members):
                raise Encrypted
            if office.is_package(names):
                if len(names) < len(members):
                    raise NotRead("two parts of one name")  # which of them is shown, each program says for itself
                unpacked = office.Package({each.filename: each for each in members}, archive, budget)
                if "xl/workbook.xml" in names or any(each.startswith("xl/worksheets/") for each in names):
                    sheets.read(unpacked, where, budget)
                for name, inner in office.read(unpacked, where, budget):
                    _inside(inner, name, where, budget, depth)
                return
            for each in members:
                inner = office.member(archive, each, budget)
                budget.add(where, each.filename)
                read_file(inner, each.filename, place(where, each.filename), budget, depth + 1)
    except BROKEN:
        raise NotRead from None


def _read_rtf(octets: bytes, where: str, budget: Budget) -> None:
    rich = text_of_rtf(octets)
    budget.add(where, rich.text)
    budget.add(where, rich.unseen)
    if rich.has_pictures:
        budget.pictures.append(where)
    if rich.has_objects:
        budget.notes.append((NotRead.rule, where))


def _read_tnef(octets: bytes, where: str, budget: Budget, depth: int) -> None:
    unpacked = unpack(octets)
    for kind, words, is_wide in unpacked.texts:
        if kind == "rtf":
            _read_rtf(rich_text(words, budget.limits.one), where, budget)
        else:
            text = words.decode("utf-16-le", "replace") if is_wide else decode_text(words)
            budget.add(where, text_of_html(text) if kind == "html" else text.rstrip("\0"))
            read_enclosed(text, where, budget, depth)
    for file in unpacked.files:
        if file.octets or file.name:
            name = file.name or "attachment"
            inner = file.octets
            _inside(inner, "message" if file.is_message else name, where, budget, depth)
