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
from cryptnsend.dlp.kinds import is_honest, kind_of
from cryptnsend.dlp.markup import text_of_html
from cryptnsend.dlp.rtf import text_of_rtf
from cryptnsend.dlp.tnef import rich_text, unpack

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
        case "pgp":
            raise Encrypted
        case "html":
            text = decode_text(octets)
            budget.add(where, text_of_html(text))
            if not name.casefold().endswith((".htm", ".html", ".xhtml")) and media_type != "text/html":
                budget.add(where, text)  # shown as it is, also what would be hidden in HTML
        case "text" if name.casefold().endswith(".eml") or media_type == "message/rfc822":
            from cryptnsend.dlp.mail import read_mail

            read_mail(octets, where, budget, depth + 1)
        case "text":
            budget.add(where, plain_text(octets, name))
        case _:
            raise NotRead


def plain_text(octets: bytes, name: str) -> str:
    """Return a text file's text; markup without its tags as well, since a tag may part a number."""
    is_wide = octets.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = octets.decode("utf-16", "replace") if is_wide else decode_text(octets)
    if name.casefold().endswith((".xml", ".svg", ".xhtml", ".htm", ".html")):
        return f"{text_of_html(text)}\n{text}"
    return text


def place(where: str, name: str) -> str:
    """Return in words where a file in a file is."""
    return f"{where}{PART if where else ''}{safe_filename(name)}"[:LONGEST_PLACE]


def _inside(octets: bytes, name: str, where: str, budget: Budget, depth: int) -> None:
    budget.unpack(len(octets))
    budget.add(where, name)
    read_file(octets, name, place(where, name), budget, depth + 1)


def _read_zip(octets: bytes, where: str, budget: Budget, depth: int) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            if len(members) > budget.limits.files:
                raise TooMuch("files")
            names = {each.filename for each in members}
            if any(each.flag_bits & 1 for each in members):
                raise Encrypted
            if office.is_package(names):
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
    for file in unpacked.files:
        if file.octets or file.name:
            name = file.name or "attachment"
            inner = file.octets
            _inside(inner, "message" if file.is_message else name, where, budget, depth)
