"""What a mail says is found wherever it stands, and what cannot be read is said."""

from __future__ import annotations

import base64
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable

import pypdf
import pypdfium2
import pytest
import pyzipper
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject, NumberObject, StreamObject
from tnefparse import TNEF

from cryptnsend.core.dlp.detect import Finding
from cryptnsend.core.dlp.own import Own
from cryptnsend.dlp import tnef as reader
from cryptnsend.dlp.inspector import Inspector
from cryptnsend.dlp.kinds import is_honest, kind_of
from cryptnsend.dlp.markup import text_of_html
from cryptnsend.dlp.nursery import Job, look
from cryptnsend.dlp.rtf import text_of_rtf
from tests.dlp.documents import docx, docx_table, mail, odt, pdf, pptx, rtf, tnef, xlsx, zipped

SSN = "219-44-1234"
TOLD = f"Her SSN is {SSN}."


DEEP = zipped({"b.zip": zipped({"c.zip": zipped({"d.docx": docx(TOLD)})})})
SHEET = xlsx([["SSN"], [219441234]])


def found(octets: bytes, **job: object) -> set[tuple[str, str]]:
    """Return (rule, where) of what is found in a mail."""
    return {(each.rule, each.where) for each in look(octets, Job(**job))}


@pytest.mark.parametrize(
    ("octets", "where"),
    [
        (mail(TOLD), "text"),
        (mail(subject=TOLD), "subject"),
        (mail(subject=f"Größe {SSN}"), "subject"),
        (mail(html="<p>Her <b>219</b>-44-<i>1234</i></p>"), "text"),
        (mail(html=f"<img alt='{SSN}'>"), "text"),
        (mail(X_Patient=TOLD), "header"),
        (mail(To_2=f'"{SSN}" <x@y.example>'), "header"),
        (mail(files={f"{SSN}.txt": b"nothing"}), "header"),
        (mail(files={"a.txt": TOLD.encode()}), "a.txt"),
        (mail(files={"a.txt": TOLD.encode("utf-16")}), "a.txt"),
        (mail(files={"a.csv": b"name;ssn\nPat Doe;219441234\n"}), "a.csv"),
        (mail(files={"a.html": b"<td>219<span>-44-1234</span>"}), "a.html"),
        (mail(files={"a.docx": docx("Dear Pat,", TOLD)}), "a.docx"),
        (mail(files={"a.docx": docx("x", **{"word__comments.xml": f"<c>{TOLD}</c>"})}), "a.docx"),
        (mail(files={"a.docx": docx_table([["Name", "SSN"], ["Pat", "219441234"]])}), "a.docx"),
        (mail(files={"a.xlsx": xlsx([["Name", "SSN"], ["Pat", 219441234]])}), "a.xlsx"),
        (mail(files={"a.pptx": pptx("Case", notes=TOLD)}), "a.pptx"),
        (mail(files={"a.odt": odt(TOLD)}), "a.odt"),
        (mail(files={"a.rtf": rtf(TOLD)}), "a.rtf"),
        (mail(files={"a.pdf": pdf("Dear Pat", TOLD)}), "a.pdf"),
        (mail(files={"a.pdf": pdf("Dear Pat", info=TOLD)}), "a.pdf"),
        (mail(files={"a.eml": mail(TOLD)}), "a.eml"),
        (mail(files={"winmail.dat": tnef(TOLD)}), "winmail.dat"),
        (mail(files={"winmail.dat": tnef(html=f"<p>{TOLD}</p>")}), "winmail.dat"),
        (mail(files={"winmail.dat": tnef("x", {"list.docx": docx(TOLD)})}), "winmail.dat > list.docx"),
        (mail(files={"a.zip": zipped({"b/c.txt": TOLD})}), "a.zip > c.txt"),
        (mail(files={"a.zip": DEEP}), "a.zip > b.zip > c.zip > d.docx"),
        (mail(files={"a.docx": docx("x", **{"word__embeddings__s.xlsx": SHEET})}), "a.docx > s.xlsx"),
    ],
)  # fmt: skip
def test_a_number_is_found_wherever_it_stands(octets: bytes, where: str) -> None:
    assert ("ssn", where) in found(octets)
    assert {rule for rule, _ in found(octets)} == {"ssn"}


LINK = f'<Relationship Id="r" Type="t" TargetMode="External" Target="mailto:a@b.c?subject={TOLD}"/>'
PUBLIC_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{}\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"
GAPS = (
    "Content-Type: multipart/mixed; boundary=x\r\n\r\n%s\r\n--x\r\n\r\nHello\r\n--x--\r\n%s\r\n"
    .replace("--x", "--x-219-44-9999").replace("=x", "=x-219-44-9999")
)  # fmt: skip


def typed(media_type: str, body: str) -> bytes:
    """Return a mail that is one part of this type."""
    return f"Content-Type: {media_type}\r\n\r\n{body}".replace("\n", "\r\n").replace("\r\r", "\r").encode()


@pytest.mark.parametrize(
    ("octets", "where"),
    [
        (mail(Thread_Topic=TOLD), "header"),
        (mail(References=f"<a@b.example> {TOLD} <c@d.example>"), "header"),
        (mail(html=f'<a href="mailto:a@b.c?subject={TOLD}">write</a>'), "text"),
        (mail(html=f"<a href='mailto:a@b.c?subject={TOLD.replace(' ', '%20')}'>write</a>"), "text"),
        (mail(html=f"<p>Hello</p><!-- {TOLD} -->"), "text"),
        (mail(html=f"<p>Hello</p><!-- <b>x</b> > {TOLD} "), "text"),
        (mail(f"<p>Hello <style>{TOLD}</style>"), "text"),
        (mail(f"<p>Hello <style>{TOLD}"), "text"),
        (mail(files={"a.txt": f"<p>Hello <style>{TOLD}</style>".encode()}), "a.txt"),
        (typed("application/pgp-keys", TOLD), "attachment"),
        (typed("application/pgp-keys", PUBLIC_KEY.format(TOLD)), "attachment"),
        (typed("application/pgp-signature", f"{PUBLIC_KEY.format('mQENBA==')}{TOLD}"), "attachment"),
        (typed("application/pkcs7-signature", TOLD), "attachment"),
        ((GAPS % (TOLD, "")).encode(), "text"),
        ((GAPS % ("", TOLD)).encode(), "text"),
        (mail(files={"a.docx": docx("x", **{"word___rels__document.xml.rels": f"<R>{LINK}</R>"})}), "a.docx"),
    ],
)  # fmt: skip
def test_a_number_is_found_where_mail_programs_show_nothing(octets: bytes, where: str) -> None:
    assert found(octets) == {("ssn", where)}


def test_names_of_mails_boundaries_and_true_keys_say_nothing() -> None:
    assert found(mail(References="<219-44-1234@b.example>", In_Reply_To="<219-44-1235@b.example>")) == set()
    assert found((GAPS % ("This is MIME.", "")).encode()) == set()
    assert found(typed("application/pgp-keys", PUBLIC_KEY.format("mQENBA=="))) == set()


def test_a_date_in_a_sheet_is_read_as_one() -> None:
    sheet = xlsx([["Name", "DOB", "Visits"], ["Pat", 22344, 22344]], date_columns=(1,))
    assert found(mail(files={"a.xlsx": sheet})) == {("birth-date", "a.xlsx")}


def test_a_form_and_a_note_of_a_pdf_are_read() -> None:
    field = "<< /Type /Annot /Subtype /Widget /FT /Tx /T (ssn) /V (219-44-1234) /Rect [0 0 10 10] >>"
    made = pdf("x", extra=[field], annotations="/Annots [7 0 R]", catalog="/AcroForm << /Fields [7 0 R] >>")
    assert found(mail(files={"a.pdf": made})) == {("ssn", "a.pdf")}
    note = "<< /Type /Annot /Subtype /Text /Contents (SSN 219-44-1234) /Rect [0 0 10 10] >>"
    assert found(mail(files={"a.pdf": pdf("x", extra=[note], annotations="/Annots [7 0 R]")})) == {("ssn", "a.pdf")}


def test_a_file_in_a_pdf_is_read() -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("x")))
    writer.add_attachment("list.docx", docx(TOLD))
    out = io.BytesIO()
    writer.write(out)
    assert found(mail(files={"a.pdf": out.getvalue()})) == {("ssn", "a.pdf > list.docx")}


def encrypted_pdf() -> bytes:
    """Return a PDF that asks for a password."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf(TOLD)))
    writer.encrypt("secret", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def encrypted_zip() -> bytes:
    """Return a ZIP file that asks for a password."""
    out = io.BytesIO()
    with pyzipper.AESZipFile(out, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(b"secret")
        archive.writestr("a.txt", TOLD)
    return out.getvalue()


OLE = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 504
DETACHED = bytes.fromhex("301a06092a864886f70d010702a00d300b06092a864886f70d010701")
PGP = b"-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----\r\n"


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (mail(files={"a.pdf": encrypted_pdf()}), ("encrypted", "a.pdf")),
        (mail(files={"a.zip": encrypted_zip()}), ("encrypted", "a.zip")),
        (mail(files={"b.zip": zipped({"a.zip": encrypted_zip()})}), ("encrypted", "b.zip > a.zip")),
        (mail(files={"a.docx": OLE + "EncryptedPackage".encode("utf-16-le")}), ("encrypted", "a.docx")),
        (mail(files={"a.odt": odt("x", manifest="<m><encryption-data/></m>")}), ("encrypted", "a.odt")),
        (mail(PGP.decode()), ("encrypted", "text")),
        (mail(files={"a.asc": PGP}), ("encrypted", "a.asc")),
        (b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\n\r\nMIIB", ("encrypted", "smime.p7m")),
        (mail(files={"a.doc": OLE}), ("unreadable", "a.doc")),
        (mail(files={"a.7z": b"7z\xbc\xaf\x27\x1c" + b"\0" * 40}), ("unreadable", "a.7z")),
        (mail(files={"a.mp3": b"ID3\x03\0" + bytes(range(256))}), ("unreadable", "a.mp3")),
        (mail(files={"a.exe": b"MZ\x90\0\x03\0\0\0"}), ("unreadable", "a.exe")),
        (mail(files={"a.pdf": b"%PDF-1.7\nnothing of the kind"}), ("unreadable", "a.pdf")),
        (mail(files={"a.pdf": pdf(TOLD)[:200]}), ("unreadable", "a.pdf")),
        (mail(files={"a.pdf": pdf("")}), ("unreadable", "a.pdf")),
        (mail(files={"a.zip": zipped({"a.txt": "x"})[:-30]}), ("unreadable", "a.zip")),
        (mail(files={"a.docx": docx(TOLD)[:-30]}), ("unreadable", "a.docx")),
        (mail(files={"a.docx": docx("x", **{"word__footer.xml": "<a><b></a>"})}), ("unreadable", "a.docx")),
        (mail(files={"winmail.dat": tnef(TOLD)[:-30]}), ("unreadable", "winmail.dat")),
        (mail(files={"invoice.pdf": docx("x")}), ("unreadable", "invoice.pdf")),
        (mail(files={"invoice.pdf": b"just text"}), ("unreadable", "invoice.pdf")),
        (mail(files={"photo.jpg": zipped({"a.txt": "x"})}), ("unreadable", "photo.jpg")),
        (mail(files={"list.docx": b"\x89PNG\r\n\x1a\n" + b"\0" * 99}), ("unreadable", "list.docx")),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-odd\r\n\r\nabc", ("unreadable", "text")),
        (b"Content-Type: multipart/mixed; boundary=x\r\n\r\nnothing of that kind", ("unreadable", "text")),
    ],
)
def test_what_cannot_be_read_is_said_with_its_reason(octets: bytes, reason: tuple[str, str]) -> None:
    assert reason in found(octets)


def test_signatures_and_layout_are_no_files_that_were_not_read() -> None:
    signed = (
        b"Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\nHello\r\n--x\r\n"
        b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode(DETACHED)
        + b"\r\n--x--\r\n"
    )
    assert found(signed) == set()
    parts = {"word__vbaProject.bin": OLE, "word__fontTable.xml": "<broken", "docProps__thumbnail.emf": b"\1\0\0\0"}
    assert found(mail(files={"a.docm": docx("x", **parts)})) == set()


def test_a_picture_counts_as_unread_where_that_is_asked_for() -> None:
    sent = mail(files={"scan.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 4000, "dot.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40})
    assert found(sent) == set()
    assert found(sent, hold_pictures=True) == {("unreadable", "scan.png")}


def stamped(width: int, height: int) -> bytes:
    """Return a PDF with a line of text and a picture of this size in points."""
    drawn = f"q {width} 0 0 {height} 0 0 cm /I Do Q"
    made = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("FAX 11/22/2026 p.1")))
    page = made.pages[0]
    picture = StreamObject()
    picture.update(
        {
            NameObject(f"/{key}"): NameObject(f"/{value}")
            for key, value in {"Type": "XObject", "Subtype": "Image", "ColorSpace": "DeviceGray"}.items()
        }
    )
    picture.update(
        {
            NameObject(f"/{key}"): NumberObject(value)
            for key, value in {"Width": 1, "Height": 1, "BitsPerComponent": 8}.items()
        }
    )
    picture.set_data(b"x")
    content = DecodedStreamObject()
    content.set_data(f"BT /F1 12 Tf 72 700 Td (FAX 11/22/2026 p.1) Tj ET\n{drawn}".encode())
    page[NameObject("/Contents")] = made._add_object(content)
    resources = DictionaryObject(page["/Resources"])
    resources[NameObject("/XObject")] = DictionaryObject({NameObject("/I"): made._add_object(picture)})
    page[NameObject("/Resources")] = resources
    out = io.BytesIO()
    made.write(out)
    return out.getvalue()


def test_a_stamp_on_a_scanned_page_does_not_make_it_read() -> None:
    assert found(mail(files={"a.pdf": stamped(612, 792)})) == {("unreadable", "a.pdf")}
    assert found(mail(files={"a.pdf": stamped(200, 90)})) == set()


def test_an_object_in_rich_text_was_not_read() -> None:
    made = rb"{\rtf1 Hello {\object\objemb{\*\objdata 01050000}{\result x}}{\pict\pngblip 89504e47}}"
    assert found(mail(files={"a.rtf": made})) == {("unreadable", "a.rtf")}
    assert found(mail(files={"a.rtf": rb"{\rtf1 Hello {\pict\pngblip\bin2 ab}}"})) == set()


def test_an_organisations_own_rules_are_looked_for_in_files() -> None:
    sent = mail(files={"a.docx": docx("About Project Heron")})
    assert look(sent, Job(own=Own(words=("project heron",)))) == [Finding("word", "P****** *****", "a.docx")]
    assert look(mail(TOLD), Job(rules=("card",))) == []


def test_winmail_of_ours_reads_the_same_elsewhere() -> None:
    made = tnef("Hello Pat", {"a long name.docx": docx(TOLD)})
    theirs, ours = TNEF(made), reader.unpack(made)
    assert [each.long_filename() for each in theirs.attachments] == [each.name for each in ours.files]
    assert [bytes(each.data) for each in theirs.attachments] == [each.octets for each in ours.files]
    assert theirs.body == "Hello Pat\0" or "Hello Pat" in str(theirs.body)


def test_compressed_rich_text_is_unpacked_as_its_specification_shows() -> None:
    # The example of MS-OXRTFCP §4.1.
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )
    plain = b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    assert reader.rich_text(packed, 1000) == plain
    assert text_of_rtf(plain)[0].strip() == "hello world"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p><p>b</p>", "a b"),
        ("21<b>9</b>", "219"),
        ("<td>a</td><td>b</td>", "a b"),
        ("a<script>x</script>b<style>y", "a b x y"),
        ("\u0130<STYLE>y</Style>b", "\u0130 b y"),
        ("a&nbsp;&#50;", "a\u00a02"),
        ("21<!-- x > y -->9", "219 x > y"),
        ("a<style><!-- x --></style>b", "a b x"),
        ('<a href="mailto:x@y?subject=a%20b">c</a>', "c mailto:x@y?subject=a b"),
        ("<a href=tel:219>c</a>", "c tel:219"),
    ],
)
def test_html_reads_as_a_browser_shows_it_and_behind_that_what_it_hides(html: str, text: str) -> None:
    assert " ".join(text_of_html(html).replace("\u00a0", "NB").split()) == text.replace("\u00a0", "NB")


def test_the_kind_of_a_file_is_told_by_its_octets() -> None:
    kinds = {"pdf": pdf("x"), "zip": docx("x"), "rtf": rtf("x"), "tnef": tnef("x"), "ole": OLE, "text": b"BM notes\n"}
    assert {kind: kind_of(octets) for kind, octets in kinds.items()} == {kind: kind for kind in kinds}
    assert kind_of("Ñandú".encode()) == "text"
    assert kind_of(b"a\0b") == "unknown"
    assert is_honest("pdf", "a.PDF", "")
    assert is_honest("zip", "odd.name", "application/octet-stream")
    assert not is_honest("zip", "a", "application/pdf")
    assert not is_honest("unknown", "a.txt", "")


names = st.text(max_size=40) | st.sampled_from(
    ["../../x.pdf", "a\r\nb: c.txt", "\u202etxt.exe", "\0", "CON", "a" * 300]
)


@given(names, st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_whatever_a_file_is_called_its_place_is_one_short_line(name: str, octets: bytes) -> None:
    inner = zipped({(name or "x").replace("\0", "_"): octets + b"\nSSN 219-44-1234\n"})
    for finding in look(mail(files={"a.zip": inner}), Job()):
        assert "\n" not in finding.where
        assert "\r" not in finding.where
        assert len(finding.where) <= 200


@given(
    st.sampled_from([pdf("SSN 1"), docx("x"), xlsx([["a"]]), rtf("x"), tnef("x", {"a": b"b"}), zipped({"a": "b"})]),
    st.data(),
)
@settings(max_examples=50, deadline=None)
def test_a_damaged_file_never_breaks_the_reading(octets: bytes, data: st.DataObject) -> None:
    damaged = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    for finding in look(mail(files={"a.bin": bytes(damaged[:cut])}), Job()):
        assert json.dumps([finding.rule, finding.masked, finding.where])


@given(st.binary(max_size=400))
@settings(max_examples=50, deadline=None)
def test_rich_text_and_winmail_of_any_octets_end(octets: bytes) -> None:
    text_of_rtf(b"{\\rtf1 " + octets)
    packed = b"\0\0\0\0" + (400).to_bytes(4, "little") + b"LZFu\0\0\0\0" + octets
    assert len(reader.rich_text(packed, 1000)) <= 400
    assert look(mail(files={"winmail.dat": reader.SIGNATURE + octets}), Job()) is not None


def test_a_member_that_says_it_is_small_is_measured_anyway() -> None:
    made = bytearray(zipped({"a.txt": "x" * 1000}))
    at = made.rindex(b"PK\x01\x02") + 24  # the size in the directory
    made[at : at + 4] = (5).to_bytes(4, "little")
    assert ("unreadable", "a.zip") in found(mail(files={"a.zip": bytes(made)}))
    assert zlib.crc32(b"x" * 1000)
    assert zipfile.is_zipfile(io.BytesIO(bytes(made)))


def png(width: int, rows: list[bytes]) -> bytes:
    """Return a grey picture."""

    def chunk(kind: bytes, octets: bytes) -> bytes:
        return struct.pack(">I", len(octets)) + kind + octets + struct.pack(">I", zlib.crc32(kind + octets))

    head = struct.pack(">IIBBBBB", width, len(rows), 8, 0, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_picture_and_a_scanned_page_are_read_where_tesseract_is(
    record_property: Callable[[str, object], None],
) -> None:
    if not Inspector.ocr():
        record_property("not run", "tesseract is not installed here")
    document = pypdfium2.PdfDocument(pdf(TOLD))
    page = document[0]
    drawn = page.render(scale=3, grayscale=True)
    octets, wide = bytes(drawn.buffer), drawn.stride
    rows = [octets[at * wide : at * wide + drawn.width] for at in range(drawn.height)]
    picture = png(drawn.width, rows)
    drawn.close()
    page.close()
    document.close()
    inspector = Inspector()
    try:
        sent = mail(files={"scan.png": picture})
        found = {each.rule for each in inspector.inspect((sent,), Job(ocr=Inspector.ocr(), hold_pictures=True))}
    finally:
        inspector.close()
    assert found == ({"ssn"} if Inspector.ocr() else {"unreadable"})
