"""What is written in other signs, parted by what nobody sees, or kept where no reader looks is found all the same."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import struct
import zipfile
from collections.abc import Callable

import pypdf
import pytest
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    NumberObject,
    TextStringObject,
)

from cryptnsend.dlp.nursery import Job, look
from tests.dlp.documents import S as SHEET
from tests.dlp.documents import W, docx, mail, odt, pdf, tnef, xlsx, zipped

SSN = "219-44-1234"
TOLD = f"Her SSN is {SSN}."
BASE64 = "Content-Transfer-Encoding: base64\r\n"


def rules(octets: bytes) -> set[str]:
    """Return the rules by which something is found in a mail."""
    return {each.rule for each in look(octets, Job())}


def typed(media_type: str, body: str | bytes, fields: str = "") -> bytes:
    """Return a mail that is one part of this type."""
    return f"Content-Type: {media_type}\r\n{fields}\r\n".encode() + (body.encode() if isinstance(body, str) else body)


def encoded(text: str, charset: str = "utf-8") -> bytes:
    """Return text in base64."""
    return base64.b64encode(text.encode(charset))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("ssn", "SSN: 219 - 44 - 1234"), ("ssn", "SSN 219-441234"), ("ssn", "SSN 219/44/1234"),
        ("ssn", "SSN no. 219_44_1234"), ("ssn", "Social Security: 2 1 9 4 4 1 2 3 4"), ("ssn", "SSN219-44-1234"),
        ("ssn", "SSN219441234"), ("ssn", "doe_219-44-1234.pdf"), ("ssn", "219-44-1234_doe"),
        ("ssn", "SSN 219\t44\t1234"),
        ("ssn", "SSN 219\u202244\u20221234"), ("ssn", "SSN \u0662\u0661\u0669-\u0664\u0664-\u0661\u0662\u0663\u0664"),
        ("ssn", "219\ufe0f-44-1234"), ("ssn", "21\U000e00419-44-1234"), ("ssn", "219\u3164-44-1234"),
        ("ssn", "2\u03321\u03329\u0332-\u03324\u03324-1234"), ("ssn", "2\ufe0f\u20e31\ufe0f\u20e39-44-1234"),
        ("ssn", "219\x08-44-1234"), ("ssn", "219\u204344\u20431234"), ("itin", "ITIN 900 - 70 - 1234"),
        ("card", "card 4111 - 1111 - 1111 - 1111"), ("card", "card 4111-1111 1111-1111"),
        ("card", "visa_4111111111111111"), ("card", "Visa4111111111111111"),
        ("card", "card " + " ".join("4111111111111111")),
        ("npi", "NPI1234567893"), ("mbi", "MBI 1EG4 TE5 MK73"), ("birth-date", "DOB: 19700503"),
        ("birth-date", "DOB 3-May-70"), ("birth-date", "born May 3, '70"),
    ],
)  # fmt: skip
def test_a_number_is_found_however_its_digits_are_written_and_parted(rule: str, text: str) -> None:
    assert rules(mail(text)) == {rule}


@pytest.mark.parametrize(
    "text",
    [
        "Ask for the SSN. Call 555 010 01234 today", "The SSN of 62704-1234 is on file", "SSN: see order 219 44 12345",
        "He paid 4111 in May, 1111 in June, 1111 in July, 1111 in August", "seats 219 - 44 - 1234",
        "IMG_20261122_101500",
        "SSN 000-44-1234", "version 2_1_9_44_1234", "cards 4 1 1 1",
    ],
)  # fmt: skip
def test_digits_that_only_stand_near_a_word_are_left_alone(text: str) -> None:
    assert rules(mail(text)) == set()


@pytest.mark.parametrize(
    "html",
    [
        '<p>2<b x=">">19-44-1234</b>', f'<p data-ssn="{SSN}">x</p>', f'<p aria-label="{SSN}">x</p>',
        f"<input value={SSN}>", f'<p>x</p><script>var a = "{SSN}"</script>',
        f"<p>x</p><style><!-- {SSN} --></style>", '<p>21<span style="display: none">x</span>9-44-1234</p>',
        '<p>21<span style="font-size:0px">x</span>9-44-1234</p>', "<p>2&zwnj;1&#57;&shy;&#x2d;44&#8203;-1234</p>",
        "<table><tr><td>SSN</td><td>219</td><td>44</td><td>1234</td></tr></table>",
        f'<a href="data:text/plain;base64,{encoded(TOLD).decode()}">x</a>', '<a href="data:,219-44%2d1234">x</a>',
    ],
)  # fmt: skip
def test_a_number_is_found_whatever_html_puts_around_and_between(html: str) -> None:
    assert rules(mail(html=html)) == {"ssn"}


BASE64_OF_ALL = encoded(f"Dear Pat, your number is {SSN}. Yours, Ann").decode()


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"\\u{ord(each):04x}" for each in SSN), "".join(f"\\x{ord(each):02X}" for each in SSN),
        "".join(f"\\u{{{ord(each):x}}}" for each in SSN), "".join(f"%{ord(each):02x}" for each in SSN),
        "".join(f"&#{ord(each)};" for each in SSN), "".join(f"&#x{ord(each):X};" for each in SSN),
        f"Call \u202e{SSN[::-1]}\u202c today", f"\u202e{SSN[::-1]}",
        BASE64_OF_ALL, f"see {BASE64_OF_ALL} please", encoded(SSN).decode(),
        encoded(f"{SSN} is hers", "utf-16-le").decode(),
        "\r\n".join(re.findall(".{1,30}", BASE64_OF_ALL)) + "\r\nRegards\r\n",
        base64.urlsafe_b64encode(f"\u00bf\u00ff\u00ff {SSN} \u00bf\u00bf".encode()).decode().rstrip("="),
        encoded(TOLD).decode().rstrip("="),
        base64.encodebytes(pdf(TOLD)).decode(), base64.b64encode(zipped({"a.txt": TOLD.encode()})).decode(),
    ],
)  # fmt: skip
def test_a_number_is_found_in_every_reading_of_a_text(text: str) -> None:
    assert rules(mail(text)) == {"ssn"}
    assert rules(mail(files={"notes.txt": text.encode()})) == {"ssn"}


def test_long_names_and_numbers_that_are_no_words_in_base64_are_left_alone() -> None:
    text = "\n".join(
        f"{hashlib.sha256(bytes([each])).hexdigest()} /usr/share/doc/package-{each}/examples/configuration "
        f"Donaudampfschifffahrtsgesellschaft%20{each}"
        for each in range(256)
    )
    assert rules(mail(text)) == set()


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n(219-) show (44-1234) show\n"), ("a.ps", b"(219-) show (44-1234) show\n"),
        ("notes.txt", b"%!PS\n(219-) show (44-1234) show\n"), ("a", b"\xc5\xd0\xd3\xc6" + bytes(28) + b"%!PS-Adobe\n"),
        ("a", b"\x1b%-12345X@PJL ENTER LANGUAGE = POSTSCRIPT\r\n%!PS\n"),
    ],
)  # fmt: skip
def test_a_program_that_draws_is_not_read_and_so_is_held(name: str, octets: bytes) -> None:
    assert rules(mail(files={name: octets})) == {"unreadable"}


UUENCODED = b"begin 644 a.txt\r\n" + binascii.b2a_uu(TOLD.encode()).rstrip() + b"\r\n`\r\nend\r\n"
INNER = typed("text/html", encoded(f"<p>{TOLD}</p>"), BASE64)


@pytest.mark.parametrize(
    "octets",
    [
        typed("text/enriched", "<bold>219</bold>-44-1234"),
        typed("text/plain; format=flowed; delsp=yes", "219-44 \r\n-1234"),
        typed("text/plain", encoded(TOLD, "utf-16"), BASE64),
        typed("text/plain; charset=utf-16", TOLD),
        typed("text/plain; charset=cp037", TOLD),
        typed("text/plain", b"Hello\r\n\r\n" + UUENCODED),
        typed("text/plain", f"{TOLD}\r\nbegin 644 a\r\n`\r\nend\r\n", "Content-Transfer-Encoding: x-uue\r\n"),
        typed(f'text/plain; name="{SSN}.txt"', "x", 'Content-Disposition: attachment; filename="a.txt"\r\n'),
        typed("text/plain", b"Somebody wrote:\r\n\r\n" + INNER),
        b"Subject: x\r\n" + b"X-A: y\r\n" * 300 + b"\n" + TOLD.encode(),
        mail(files={"page.mht": INNER}),
        mail(files={"all.mbox": b"From ann@x.example Mon\r\n" + INNER}),
        mail(files={"a.txt": TOLD.encode("utf-32")}),
        mail(files={"a.ics": b"BEGIN:VCALENDAR\r\nDESCRIPTION:219-44\r\n -1234\r\n"}),
        mail(files={"a.vcf": b"BEGIN:VCARD\r\nNOTE;ENCODING=QUOTED-PRINTABLE:219=2D44=2D1234\r\n"}),
        mail(files={"a.fodt": b'<?xml version="1.0"?><text:q>219<text:span>-44</text:span>-1234</text:q>'}),
        mail(files={"a.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 4000 + b"tEXtComment\0" + TOLD.encode() + b"\0"}),
        mail(files={"a.emf": b"\1\0\0\0" + b"\0" * 36 + b" EMF" + TOLD.encode("utf-16-le")}),
        mail(files={"a.png": b"\x89PNG\r\n\x1a\n" + zipped({"a.txt": TOLD})}),
        mail(files={"a.pdf": pdf("Hello") + zipped({"a.txt": TOLD})}),
    ],
)  # fmt: skip
def test_a_number_is_found_in_whatever_it_is_encoded_or_wrapped(octets: bytes) -> None:
    assert rules(octets) == {"ssn"}


@pytest.mark.parametrize(
    "octets",
    [
        typed("message/partial; id=1; number=1; total=2", INNER),
        typed("text/plain", encoded("Hello"), f"Content-Transfer-Encoding: 7bit\r\n{BASE64}"),
        mail(files={"a.xml": b'<!DOCTYPE p [<!ENTITY a "219">]><p>&a;-44-1234</p>'}),
    ],
)
def test_what_programs_read_in_different_ways_was_not_read(octets: bytes) -> None:
    assert "unreadable" in rules(octets)


def archive(fill: Callable[[zipfile.ZipFile], object]) -> bytes:
    """Return a ZIP file as *fill* writes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        fill(made)
    return out.getvalue()


def _remarked(made: zipfile.ZipFile) -> None:
    info = zipfile.ZipInfo("a.txt")
    info.comment = TOLD.encode()
    made.writestr(info, "x")


@pytest.mark.parametrize(
    "octets",
    [
        archive(lambda made: setattr(made, "comment", TOLD.encode())),
        archive(_remarked),
        archive(lambda made: made.writestr(f"{SSN}/", "")),
        archive(lambda made: made.writestr("a/", TOLD)),
    ],
)
def test_remarks_and_folders_of_an_archive_are_read(octets: bytes) -> None:
    assert rules(mail(files={"a.zip": octets})) == {"ssn"}


FORMATTED = '<w:r><w:rPr><w:b/><w:sz w:val="2400"/></w:rPr><w:t>{}</w:t></w:r>'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("word__footer1.xml", FORMATTED.format("219") + FORMATTED.format("-44-1234")),
        ("word__header.xml", '<w:t>219-</w:t><w:bookmarkStart w:name="_GoBack"/><w:r><w:t>44-1234</w:t></w:r>'),
        ("word__footer1.xml", "<w:r><w:t>219-</w:t><w:lastRenderedPageBreak/><w:t>44-1234</w:t></w:r>"),
        ("word__footer1.xml", "<w:smartTag><w:r><w:t>219-</w:t></w:r></w:smartTag><w:r><w:t>44-1234</w:t></w:r>"),
        ("word__footer1.xml", '<w:r><w:t>219</w:t><w:sym w:char="F02D"/><w:t>44-1234</w:t></w:r>'),
        ("word__footer1.xml", f'<w:fldSimple w:instr="AUTHOR {TOLD}"/>'),
        ("word__footer1.xml", f'<w:sdt><w:sdtPr><w:alias w:val="{TOLD}"/></w:sdtPr></w:sdt>'),
        ("word__settings.xml", f'<w:docVars><w:docVar w:name="n" w:val="{TOLD}"/></w:docVars>'),
        ("word__doc.foo", "<w:r><w:t>219</w:t></w:r><w:r><w:t>-44-1234</w:t></w:r>"),
    ],
)  # fmt: skip
def test_a_number_is_found_in_each_way_that_word_keeps_it(name: str, content: str) -> None:
    part = f'<w:p xmlns:w="{W}">{content}</w:p>'
    assert rules(mail(files={"a.docx": docx("x", **{name: part})})) == {"ssn"}


def test_files_under_the_names_of_fonts_and_saved_web_pages_in_a_document_are_read() -> None:
    assert rules(mail(files={"a.docx": docx("x", **{"word__fonts__a.ttf": zipped({"a.txt": TOLD})})})) == {"ssn"}
    assert rules(mail(files={"a.docx": docx("x", **{"word__afchunk.mht": INNER})})) == {"ssn"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_document_with_two_parts_of_one_name_was_not_read() -> None:
    octets = io.BytesIO(docx("x"))
    with zipfile.ZipFile(octets, "a") as made:
        made.writestr("word/document.xml", "<a/>")
    assert rules(mail(files={"a.docx": octets.getvalue()})) == {"unreadable"}


def sheet(cells: str = "", behind: str = "") -> str:
    """Return the XML of a sheet with one row, and what stands behind its rows."""
    return f'<worksheet xmlns="{SHEET}"><sheetData><row r="1">{cells}</row></sheetData>{behind}</worksheet>'


SOCIAL = (
    r'<numFmts><numFmt numFmtId="170" formatCode="000\-00\-0000"/></numFmts><cellXfs><xf numFmtId="170"/></cellXfs>'
)


@pytest.mark.parametrize(
    "parts",
    [
        {"xl/sharedStrings.xml": f"<sst><si><t>{TOLD}</t></si></sst>"},
        {"xl/worksheets/sheet1.xml": sheet(f'<c r="A1"><f>"{TOLD}"</f></c>')},
        {"xl/worksheets/sheet1.xml": sheet("", f'<x><dataValidation prompt="{TOLD}"/></x>')},
        {"xl/worksheets/sheet1.xml": sheet("", f"<x><formula1>{SSN},b</formula1></x>")},
        {"xl/worksheets/sheet1.xml": sheet("", f'<x><hyperlink ref="A1" tooltip="{TOLD}"/></x>')},
        {"xl/workbook.xml": f'<workbook><definedName name="x">"{TOLD}"</definedName></workbook>'},
        {"xl/pivotCache/pivotCacheRecords1.xml": f'<records><r><s v="Pat"/><s v="{SSN}"/></r></records>'},
        {"xl/pivotCache/d.xml": '<d><f name="SSN"><items><n v="219441234"/></items></f></d>'},
        {"xl/styles.xml": f"<s>{SOCIAL}</s>", "xl/worksheets/sheet1.xml": sheet('<c r="A1" s="0"><v>12441234</v></c>')},
    ],
)  # fmt: skip
def test_a_number_is_found_in_each_way_that_a_workbook_keeps_it(parts: dict[str, str]) -> None:
    with zipfile.ZipFile(io.BytesIO(xlsx([["a", "b"]]))) as made:
        kept = {name: made.read(name) for name in made.namelist()}
    assert rules(mail(files={"a.xlsx": zipped({**kept, **parts})})) == {"ssn"}


@pytest.mark.parametrize(
    "inside",
    [
        r"{\*\docvar {n}{TOLD}}", r'{\field{\*\fldinst HYPERLINK "mailto:a@b.c?body=TOLD"}{\fldrslt y}}',
        r"{\*\userprops{\propname x}{\staticval TOLD}}", r"{\*\unheard Her SSN is \'32\u49?9-44-1234}",
    ],
)  # fmt: skip
def test_a_number_is_found_where_only_programs_look_into_rich_text(inside: str) -> None:
    made = r"{\rtf1 Hello " + inside.replace("TOLD", TOLD) + "}"
    assert rules(mail(files={"a.rtf": made.encode()})) == {"ssn"}


def test_every_text_of_a_winmail_is_read() -> None:
    octets = TOLD.encode("utf-16-le") + b"\0\0"
    kept = struct.pack("<IHHII", 1, 0x1F, 0x3001, 1, len(octets)) + octets + b"\0" * (-len(octets) % 4)
    attribute = struct.pack("<BHHI", 1, 0x9003, 6, len(kept)) + kept + struct.pack("<H", sum(kept) & 0xFFFF)
    assert rules(mail(files={"winmail.dat": tnef("x") + attribute})) == {"ssn"}


def test_a_number_in_a_span_of_opendocument_is_one() -> None:
    assert rules(mail(files={"a.odt": odt("219<text:span>-44</text:span><text:soft-page-break/>-1234")})) == {"ssn"}


def dictionary(**values: object) -> DictionaryObject:
    """Return a dictionary of PDF; texts that begin with / are names."""
    named = {key: NameObject(each) if str(each).startswith("/") else each for key, each in values.items()}
    return DictionaryObject(
        {NameObject(f"/{key}"): TextStringObject(each) if type(each) is str else each for key, each in named.items()}
    )


def stream(octets: bytes, **values: object) -> DecodedStreamObject:
    """Return a stream of PDF."""
    made = DecodedStreamObject()
    made.set_data(octets)
    made.update(dictionary(**values))
    return made


def numbers(*values: int) -> ArrayObject:
    """Return an array of PDF."""
    return ArrayObject([NumberObject(each) for each in values])


def changed(change: Callable[[pypdf.PdfWriter], None], *, text: str = "Hello", incremental: bool = False) -> bytes:
    """Return a mail with a PDF that *change* was made to."""
    made = io.BytesIO(pdf(text))
    writer = pypdf.PdfWriter(made, incremental=True) if incremental else pypdf.PdfWriter(clone_from=made)
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return mail(files={"a.pdf": out.getvalue()})


def drawn(writer: pypdf.PdfWriter, content: bytes) -> None:
    writer.pages[0][NameObject("/Contents")] = writer._add_object(stream(content))


def noted(writer: pypdf.PdfWriter, **values: object) -> None:
    note = dictionary(Type="/Annot", Rect=numbers(0, 0, 200, 20), **values)
    writer.pages[0][NameObject("/Annots")] = ArrayObject([writer._add_object(note)])


def outside(writer: pypdf.PdfWriter) -> None:
    drawn(writer, b"BT /F1 12 Tf 72 1700 Td (%s) Tj ET BT /F1 12 Tf 10 20 Td (Hello) Tj ET" % SSN.encode())


def bookmarked(writer: pypdf.PdfWriter) -> None:
    writer.add_outline_item(title=TOLD, page_number=0)


def scripted(writer: pypdf.PdfWriter) -> None:
    script = dictionary(S="/JavaScript", JS=TOLD)
    names = dictionary(JavaScript=dictionary(Names=ArrayObject([TextStringObject("a"), script])))
    writer.root_object[NameObject("/Names")] = names


def attached(writer: pypdf.PdfWriter) -> None:
    inner = writer._add_object(stream(TOLD.encode(), Type="/EmbeddedFile"))
    noted(writer, Subtype="/FileAttachment", FS=dictionary(Type="/Filespec", F="a.txt", EF=dictionary(F=inner)))


def stamped(writer: pypdf.PdfWriter) -> None:
    content, box = b"BT /F1 12 Tf 0 0 Td (%s) Tj ET" % TOLD.encode(), numbers(0, 0, 200, 20)
    form = stream(content, Type="/XObject", Subtype="/Form", BBox=box, Resources=writer.pages[0]["/Resources"])
    noted(writer, Subtype="/Stamp", AP=dictionary(N=writer._add_object(form)))


def described(writer: pypdf.PdfWriter) -> None:
    octets = f"<x:xmpmeta><d>{TOLD}</d></x:xmpmeta>".encode()
    writer.root_object[NameObject("/Metadata")] = writer._add_object(stream(octets, Type="/Metadata", Subtype="/XML"))


@pytest.mark.parametrize(
    "change",
    [
        outside, bookmarked, scripted, attached, stamped, described,
        lambda writer: noted(writer, Subtype="/FreeText", RC=f"<p>{TOLD}</p>"),
        lambda writer: noted(writer, Subtype="/Link", A=dictionary(S="/URI", URI=f"https://x.example/?q={TOLD}")),
    ],
)  # fmt: skip
def test_a_number_is_found_wherever_a_pdf_keeps_it(change: Callable[[pypdf.PdfWriter], None]) -> None:
    assert rules(changed(change)) == {"ssn"}


def test_what_was_on_a_page_before_a_pdf_was_saved_again_is_read() -> None:
    again = changed(lambda writer: drawn(writer, b"BT /F1 12 Tf 72 700 Td (Hello) Tj ET"), text=TOLD, incremental=True)
    assert rules(again) == {"ssn"}


def nameless(writer: pypdf.PdfWriter, signs: int) -> None:
    differences = ArrayObject([NumberObject(1), *(NameObject(f"/g{each}") for each in range(11))])
    encoding = dictionary(Type="/Encoding", Differences=differences)
    font = dictionary(
        Type="/Font", Subtype="/Type1", BaseFont="/ABCDEF+Odd", FirstChar=NumberObject(1), LastChar=NumberObject(11),
        Widths=numbers(*(500,) * 11), Encoding=encoding,
    )  # fmt: skip
    writer.pages[0]["/Resources"]["/Font"][NameObject("/F2")] = writer._add_object(font)
    drawn(writer, b"BT /F1 12 Tf 72 700 Td (Her SSN is) Tj /F2 12 Tf 0 -20 Td <%s> Tj ET" % (b"03" * signs))


def test_a_page_whose_font_does_not_say_its_letters_was_not_read() -> None:
    assert rules(changed(lambda writer: nameless(writer, 9))) == {"unreadable"}
    assert rules(changed(lambda writer: nameless(writer, 2))) == set()
