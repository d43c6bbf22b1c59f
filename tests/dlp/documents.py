"""Files that people attach, made here from their parts; each says the words it is given."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from email.message import EmailMessage

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
TYPES = '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'


def zipped(members: Mapping[str, str | bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a ZIP file of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def docx(*paragraphs: str, **parts: str | bytes) -> bytes:
    """Return a Word document, each paragraph in two runs as after an edit; names of other parts have __ for /."""
    body = "".join(
        f"<w:p><w:r><w:t>{each[: len(each) // 2]}</w:t></w:r><w:r><w:t>{each[len(each) // 2 :]}</w:t></w:r></w:p>"
        for each in paragraphs
    )
    document = f'<?xml version="1.0"?><w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'
    others = {name.replace("__", "/"): content for name, content in parts.items()}
    return zipped({"[Content_Types].xml": TYPES, "word/document.xml": document, **others})


def docx_table(rows: Sequence[Sequence[str]]) -> bytes:
    """Return a Word document with one table."""
    table = "".join(
        "<w:tr>" + "".join(f"<w:tc><w:p><w:r><w:t>{cell}</w:t></w:r></w:p></w:tc>" for cell in row) + "</w:tr>"
        for row in rows
    )
    document = f'<w:document xmlns:w="{W}"><w:body><w:tbl>{table}</w:tbl></w:body></w:document>'
    return zipped({"[Content_Types].xml": TYPES, "word/document.xml": document})


def xlsx(rows: Sequence[Sequence[str | int]], *, date_columns: Sequence[int] = ()) -> bytes:
    """Return an Excel sheet; texts stand among the shared strings, and numbers in date columns have a date's format."""
    strings: list[str] = []
    lines = []
    for y, row in enumerate(rows, 1):
        cells = ""
        for x, value in enumerate(row):
            where = f"{chr(65 + x)}{y}"
            if isinstance(value, int):
                cells += f'<c r="{where}" s="{int(x in date_columns)}"><v>{value}</v></c>'
            elif value:
                cells += f'<c r="{where}" t="s"><v>{len(strings)}</v></c>'
                strings.append(value)
        lines.append(f'<row r="{y}">{cells}</row>')
    shared = "".join(f"<si><t>{each}</t></si>" for each in strings)
    return zipped(
        {
            "[Content_Types].xml": TYPES,
            "xl/workbook.xml": f'<workbook xmlns="{S}"><sheets><sheet name="List" sheetId="1"/></sheets></workbook>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{S}"><sheetData>{"".join(lines)}</sheetData></worksheet>',
            "xl/sharedStrings.xml": f'<sst xmlns="{S}">{shared}</sst>',
            "xl/styles.xml": f'<styleSheet xmlns="{S}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
            "</styleSheet>",
        }
    )


def pptx(*lines: str, notes: str = "") -> bytes:
    """Return a presentation with one slide, and notes to it."""

    def slide(texts: Sequence[str]) -> str:
        said = "".join(f"<a:p><a:r><a:t>{each}</a:t></a:r></a:p>" for each in texts)
        return f'<p:sld xmlns:p="urn:p" xmlns:a="{A}"><p:txBody>{said}</p:txBody></p:sld>'

    return zipped(
        {
            "[Content_Types].xml": TYPES,
            "ppt/slides/slide1.xml": slide(lines),
            "ppt/notesSlides/notesSlide1.xml": slide([notes]),
        }
    )


def odt(*paragraphs: str, manifest: str = "<manifest/>") -> bytes:
    """Return a text of OpenDocument."""
    body = "".join(f"<text:p>{each}</text:p>" for each in paragraphs)
    content = f'<office:document-content xmlns:office="urn:o" xmlns:text="urn:t">{body}</office:document-content>'
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": content,
            "META-INF/manifest.xml": manifest,
        }
    )


def rtf(text: str) -> bytes:
    """Return Rich Text with fonts, a group, a line break inside a paragraph and what programs add."""
    escaped = "".join(each if each.isascii() else f"\\u{ord(each)}?" for each in text)
    return (
        r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial 123;}}{\colortbl;\red0\green0\blue0;}"
        r"{\*\generator Riched20 219-44-9999;}\pard\f0\fs20 {\b " + escaped + r"}\par }"
    ).encode("ascii")


def pdf(*pages: str, info: str = "", extra: Sequence[str] = (), annotations: str = "", catalog: str = "") -> bytes:
    """Return a PDF with a line of text on each page."""
    objects: list[bytes] = []

    def add(text: str | bytes) -> int:
        objects.append(text.encode("latin-1") if isinstance(text, str) else text)
        return len(objects)

    font = add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    kids, tree = [], len(objects) + 2 * len(pages) + 1
    for text in pages:
        drawn = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET" if text else "0 0 100 100 re f"
        stream = add(f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream")
        kids.append(
            add(
                f"<< /Type /Page /Parent {tree} 0 R /MediaBox [0 0 612 792] /Contents {stream} 0 R"
                f" /Resources << /Font << /F1 {font} 0 R >> >> {annotations} >>"
            )
        )
    add(f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{each} 0 R' for each in kids)}] >>")
    root = add(f"<< /Type /Catalog /Pages {tree} 0 R {catalog} >>")
    about = add(f"<< /Title ({info}) >>")
    for each in extra:
        add(each)
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root %d 0 R /Info %d 0 R >>\n" % (len(objects) + 1, root, about)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def tnef(body: str = "", files: Mapping[str, bytes] | None = None, *, html: str = "") -> bytes:
    """Return a winmail.dat: the text as a property or as HTML, files with long names."""

    def attribute(level: int, ident: int, kind: int, data: bytes) -> bytes:
        return struct.pack("<BHHI", level, ident, kind, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)

    def text(name: int, value: str) -> bytes:
        octets = value.encode("utf-16-le") + b"\0\0"
        return struct.pack("<HHII", 0x1F, name, 1, len(octets)) + octets + b"\0" * (-len(octets) % 4)

    def binary(name: int, octets: bytes) -> bytes:
        return struct.pack("<HHII", 0x102, name, 1, len(octets)) + octets + b"\0" * (-len(octets) % 4)

    out = struct.pack("<IH", 0x223E9F78, 1)
    out += attribute(1, 0x9006, 8, struct.pack("<I", 0x00010000)) + attribute(1, 0x9007, 6, struct.pack("<II", 1252, 0))
    properties = [text(0x1000, body)] * bool(body) + [binary(0x1013, html.encode())] * bool(html)
    if properties:
        out += attribute(1, 0x9003, 6, struct.pack("<I", len(properties)) + b"".join(properties))
    for name, octets in (files or {}).items():
        out += attribute(2, 0x9002, 6, struct.pack("<HIIHH", 1, 0, 0, 0, 0))
        out += attribute(2, 0x800F, 6, octets)
        out += attribute(2, 0x8010, 1, name.encode("ascii", "replace")[:8] + b"\0")
        out += attribute(2, 0x9005, 6, struct.pack("<I", 1) + text(0x3707, name))
    return out


def mail(
    text: str = "Hello",
    *,
    subject: str = "Hello",
    html: str = "",
    files: Mapping[str, bytes] | None = None,
    **fields: str,
) -> bytes:
    """Return a mail as a client writes it; files are of a type that says nothing."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "ann@clinic.example", "pat@mail.example", subject
    for name, value in fields.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    for name, octets in (files or {}).items():
        made.add_attachment(octets, maintype="application", subtype="octet-stream", filename=name)
    return made.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
