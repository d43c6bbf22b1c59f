"""What is written in a PDF? Its pages, forms, notes, properties and files; pages that are pictures, where OCR is."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any

import pypdfium2
import pypdfium2.raw as raw

from cryptnsend.dlp import pictures
from cryptnsend.dlp.budget import Budget, Encrypted, NotRead, TooMuch

Inside = Callable[[bytes, str], None]
_LONGEST = 1 << 20  # octets of one note or field
_WIDTH = 1700  # pixels of a page that is read by OCR
_GOOD_PART = 0.3  # of a page; a letterhead and a signature are less
_ANNOTATIONS = 5000  # of one page


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
        _read(document, where, budget, inside)
    except pypdfium2.PdfiumError:
        raise NotRead("PDF") from None
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
    has_words = False
    for at in range(len(document)):
        page = document[at]
        words = page.get_textpage()
        text = words.get_text_bounded()
        budget.add(where, text.replace("\ufffe", "-"))
        words.close()
        _read_notes(document, page, where, budget)
        if _has_picture(page) if not text.strip() else _is_covered(page):
            _read_picture(page, where, budget)
            has_words = True
        has_words = has_words or bool(text.strip())
        page.close()
    if not has_words:
        raise NotRead("no words on any page")  # what was damaged looks the same as what is empty
    for at in range(document.count_attachments()):
        attached = document.get_attachment(at)
        inside(bytes(attached.get_data()), attached.get_name())


def _read_notes(document: Any, page: Any, where: str, budget: Budget) -> None:
    form = document.formenv
    said = []
    for at in range(min(raw.FPDFPage_GetAnnotCount(page), _ANNOTATIONS)):
        note = raw.FPDFPage_GetAnnot(page, at)
        if not note:
            continue
        for key in (b"Contents", b"T", b"TU", b"V"):
            said.append(_wide(partial(raw.FPDFAnnot_GetStringValue, note, key)))
        if form:
            said.append(_wide(partial(raw.FPDFAnnot_GetFormFieldValue, form, note)))
        raw.FPDFPage_CloseAnnot(note)
    budget.add(where, "\n".join(filter(None, said)))


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
    from cryptnsend.dlp.markup import text_of_html

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
