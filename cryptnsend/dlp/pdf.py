"""What is written in a PDF? Its pages, forms, notes, properties and files; pages that are pictures, where OCR is."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote

import pypdfium2
import pypdfium2.raw as raw

from cryptnsend.dlp import pictures
from cryptnsend.dlp.budget import Budget, Encrypted, NotRead, TooMuch
from cryptnsend.dlp.markup import text_of_html

Inside = Callable[[bytes, str], None]
_LONGEST = 1 << 20  # octets of one note or field
_WIDTH = 1700  # pixels of a page that is read by OCR
_GOOD_PART = 0.3  # of a page; a letterhead and a signature are less
_ANNOTATIONS = 5000  # of one page
_SAVED = re.compile(rb"%%EOF\s")
_REVISIONS = 20
_NAMELESS = 8  # letters of a page whose font does not say which they are: a bullet or two, no number


def read(octets: bytes, where: str, budget: Budget, inside: Inside) -> None:
    """Read a PDF into the budget's pieces; *inside* is given each file in it. Raises NotRead, Encrypted, TooMuch."""
    try:
        document = pypdfium2.PdfDocument(octets)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD or "password" in str(error).casefold():
            raise Encrypted from None
        if getattr(error, "err_code", None) == raw.FPDF_ERR_SECURITY or "security" in str(error).casefold():
            raise Encrypted from None
        raise NotRead("PDF") from None
    try:
        budget.add(where, _described(octets))
        _read(document, where, budget, inside)
        _read_earlier(octets, where, budget)
    except pypdfium2.PdfiumError:
        raise NotRead("PDF") from None
    finally:
        document.close()


def _described(octets: bytes) -> str:
    """Return what the description in XML (XMP) says, which readers show as the document's properties."""
    start = octets.find(b"<x:xmpmeta")
    end = octets.find(b"</x:xmpmeta>", start)
    return text_of_html(octets[start:end].decode("utf-8", "replace")) if 0 <= start < end else ""


def _read_earlier(octets: bytes, where: str, budget: Budget) -> None:
    """Read the pages as they were before they were saved again: a change is written behind what was there."""
    ends = [found.end() for found in _SAVED.finditer(octets)][:-1]
    if len(ends) > _REVISIONS:
        raise TooMuch("revisions")
    for end in ends:
        try:
            document = pypdfium2.PdfDocument(octets[:end])
        except pypdfium2.PdfiumError:
            continue  # the first part of a file for the web, which is none by itself
        try:
            for page in document:
                budget.add(where, _words_of(page)[0])
                page.close()
        except pypdfium2.PdfiumError:
            continue
        finally:
            document.close()


def _read(document: Any, where: str, budget: Budget, inside: Inside) -> None:
    if len(document) > budget.limits.pages:
        raise TooMuch("pages")
    if len(document) == 0:
        raise NotRead("no pages")
    budget.add(where, "\n".join(document.get_metadata_dict(skip_empty=True).values()))
    if raw.FPDF_GetFormType(document) != raw.FORMTYPE_NONE:
        document.init_forms()
        _read_xfa(document, where, budget)
    budget.add(where, _beside_pages(document))
    has_words = False
    for at in range(len(document)):
        has_words = _read_page(document, at, where, budget, inside) or has_words
    if not has_words:
        raise NotRead("no words on any page")  # what was damaged looks the same as what is empty
    for at in range(document.count_attachments()):
        attached = document.get_attachment(at)
        inside(bytes(attached.get_data()), attached.get_name())


def _read_page(document: Any, at: int, where: str, budget: Budget, inside: Inside) -> bool:
    """Read one page, and say whether there were words on it."""
    page = document[at]
    text, is_legible = _words_of(page)
    budget.add(where, text)
    if _read_notes(document, page, where, budget, inside) and raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY) == 1:
        page.close()
        page = document[at]  # what notes and stamps draw is now part of it
        drawn, drawn_legible = _words_of(page)
        is_legible = is_legible and drawn_legible
        if drawn != text:
            budget.add(where, drawn)
    if not is_legible or (_has_picture(page) if not text.strip() else _is_covered(page)):
        _read_picture(page, where, budget)
        text = text or "picture"
    page.close()
    return bool(text.strip())


def _words_of(page: Any) -> tuple[str, bool]:
    """Return the text of a page, also beyond its edges, and whether its fonts say which letters they draw."""
    words = page.get_textpage()
    shown, whole = words.get_text_bounded(), words.get_text_range()
    count = words.count_chars()
    nameless = 0
    for at in range(count):
        nameless += raw.FPDFText_HasUnicodeMapError(words, at) == 1
        if nameless > _NAMELESS:
            break
    words.close()
    text = shown if shown == whole else f"{shown}\n{whole}"
    return text.replace("\ufffe", "-").replace("\x02", "-"), nameless <= _NAMELESS


def _beside_pages(document: Any) -> str:
    """Return what readers show beside the pages, and what runs: bookmarks and scripts."""
    said = [each.get_title() for each in document.get_toc()]
    for at in range(min(max(0, raw.FPDFDoc_GetJavaScriptActionCount(document)), _ANNOTATIONS)):
        action = raw.FPDFDoc_GetJavaScriptAction(document, at)
        if action:
            said.append(_wide(partial(raw.FPDFJavaScriptAction_GetScript, action)))
            raw.FPDFDoc_CloseJavaScriptAction(action)
    return "\n".join(filter(None, said))


def _read_notes(document: Any, page: Any, where: str, budget: Budget, inside: Inside) -> bool:
    """Read notes, fields, the ends of links, and files that hang on a page; say whether there was any of them."""
    form = document.formenv
    said = []
    count = raw.FPDFPage_GetAnnotCount(page)
    if count > _ANNOTATIONS:
        raise TooMuch("notes")
    for at in range(count):
        note = raw.FPDFPage_GetAnnot(page, at)
        if not note:
            continue
        for key in (b"Contents", b"T", b"TU", b"V", b"DV", b"Subj", b"NM", b"Alt"):
            said.append(_wide(partial(raw.FPDFAnnot_GetStringValue, note, key)))
        said.append(text_of_html(_wide(partial(raw.FPDFAnnot_GetStringValue, note, b"RC"))))
        said.append(_target(document, note))
        if form:
            said.append(_wide(partial(raw.FPDFAnnot_GetFormFieldValue, form, note)))
        if attached := raw.FPDFAnnot_GetFileAttachment(note):
            file = pypdfium2.PdfAttachment(attached, document)
            inside(bytes(file.get_data()), file.get_name())
        raw.FPDFPage_CloseAnnot(note)
    budget.add(where, "\n".join(filter(None, said)))
    return bool(count)


def _target(document: Any, note: Any) -> str:
    """Return where a link leads; "" if it is none."""
    link = raw.FPDFAnnot_GetLink(note)
    action = raw.FPDFLink_GetAction(link) if link else None
    size = raw.FPDFAction_GetURIPath(document, action, None, 0) if action else 0
    if not 1 < size <= _LONGEST:
        return ""
    into = ctypes.create_string_buffer(size)
    raw.FPDFAction_GetURIPath(document, action, into, size)
    return unquote(into.value.decode("utf-8", "replace"))


def _wide(get: Callable[[Any, int], int]) -> str:
    """Return a text that pdfium hands out as UTF-16, in a buffer of the length that it asks for."""
    size = get(None, 0)
    if not 2 < size <= _LONGEST:
        if size > _LONGEST:
            raise TooMuch("text")
        return ""
    into = (ctypes.c_ushort * (size // 2 + 1))()
    get(into, size)
    return bytes(into)[:size].decode("utf-16-le", "replace").rstrip("\0")


def _read_xfa(document: Any, where: str, budget: Budget) -> None:
    for at in range(max(0, raw.FPDF_GetXFAPacketCount(document))):
        size = ctypes.c_ulong()
        raw.FPDF_GetXFAPacketContent(document, at, None, 0, ctypes.byref(size))
        budget.unpack(size.value)
        into = ctypes.create_string_buffer(size.value)
        raw.FPDF_GetXFAPacketContent(document, at, into, size.value, ctypes.byref(size))
        budget.add(where, text_of_html(into.raw.decode("utf-8", "replace")))


def _has_picture(page: Any) -> bool:
    return any(True for _ in page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_PATH), max_depth=3))


def _is_covered(page: Any) -> bool:
    """Say whether pictures cover a good part of a page: its few words may be a stamp upon what was scanned."""
    left, bottom, right, top = page.get_bbox()
    whole, covered = (right - left) * (top - bottom), 0.0
    for image in page.get_objects(filter=(raw.FPDF_PAGEOBJ_IMAGE,), max_depth=8):
        x1, y1, x2, y2 = image.get_bounds()
        covered += max(0.0, min(x2, right) - max(x1, left)) * max(0.0, min(y2, top) - max(y1, bottom))
    return bool(covered > whole * _GOOD_PART)


def _read_picture(page: Any, where: str, budget: Budget) -> None:
    """Read a page that is a picture of one; without OCR nobody can say what is on it."""
    if not budget.ocr:
        raise NotRead("a page without text")
    width = max(page.get_width(), 1.0)
    bitmap = page.render(scale=min(_WIDTH / width, 4.0), grayscale=True)
    height, wide, stride = bitmap.height, bitmap.width, bitmap.stride
    octets = bytes(bitmap.buffer)
    rows = b"".join(octets[at * stride : at * stride + wide] for at in range(height))
    bitmap.close()
    budget.add(where, pictures.words_of(b"P5 %d %d 255\n" % (wide, height) + rows, budget))
