"""A message becomes a document that each reader opens with its key, and nobody without."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pikepdf
import pypdfium2
import pytest

from cryptnsend.core.document_key import document_key, said, without_hyphens
from cryptnsend.pdf.press import NotMade, Press
from tests.pdf.papers import (
    KEY,
    MESSAGE,
    PASSWORD,
    PAT,
    Plain,
    blank_pdf,
    copy,
    documents,
    made,
    mail,
    noise,
    opened,
    picture,
    run,
    text_of,
)

OCTETS = noise(40_000)
HTML = (
    "<p>Dear Pat, <b>Haemochromatosis</b> is excluded.</p><table><tr><td>Ferritin</td><td>48</td></tr></table>"
    '<p><img src="cid:pic@x"></p>'
)


@pytest.fixture(scope="module")
def paper(press: Press) -> bytes:
    """Return a document with everything in it."""
    message = mail("plain words", HTML)
    related = message.get_payload()[1]
    related.add_related(picture(), "image", "png", cid="<pic@x>")  # type: ignore[union-attr]
    message.add_attachment(blank_pdf(2), maintype="application", subtype="pdf", filename="Scan über.pdf")
    message.add_attachment(OCTETS, maintype="application", subtype="octet-stream", filename="canaryfile.docx")
    message.add_attachment(b"MZ", maintype="application", subtype="octet-stream", filename="setup.exe")
    return made(press, message)


def test_the_key_is_of_one_document_and_one_recipient() -> None:
    assert document_key(KEY, MESSAGE, PAT) == PASSWORD
    others = {document_key(KEY, MESSAGE, "sam@x.example"), document_key(KEY, 8, PAT), document_key(bytes(32), 7, PAT)}
    assert len(others | {PASSWORD}) == 4
    groups = PASSWORD.split("-")
    assert [len(each) for each in groups] == [4] * 5
    assert not set(PASSWORD) & set("ilouABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert said("k7m2-0x9a") == ["Kilo 7 Mike 2", "0 X-ray 9 Alfa"]


def test_what_stands_on_the_pages(paper: bytes) -> None:
    words = " ".join(text_of(paper).split())
    for each in ("Canaryvale results", "Dr. Ann Ruiz", "Pat Lee", "Haemochromatosis", "Ferritin", "Harbour Clinic"):
        assert each in words
    for each in (
        "3 attachments",
        "Scan über.pdf",
        "also set behind this message",
        "only on the page",
        "Phones show none",
    ):
        assert each in words
    assert "Reply securely" in words


def test_links_lead_to_the_page_and_nowhere_else_of_ours(paper: bytes) -> None:
    with pikepdf.open(io.BytesIO(paper), password=PASSWORD) as pdf:
        links = {
            str(each.A.URI)
            for page in pdf.pages
            for each in page.obj.get("/Annots", [])
            if "/URI" in each.get("/A", {})
        }
    assert {f"https://secure.example/messages/7{end}" for end in ("", "#reply")} <= links
    assert {each.rpartition("/")[0] for each in links if "/files/" in each} == {
        "https://secure.example/messages/7/files"
    }


def test_files_are_inside_and_pdf_is_appended(paper: bytes, tmp_path: Path) -> None:
    with pikepdf.open(io.BytesIO(paper), password=PASSWORD) as pdf:
        assert sorted(pdf.attachments) == ["Scan über.pdf", "canaryfile.docx"]
        assert pdf.attachments["canaryfile.docx"].get_file().read_bytes() == OCTETS
        sizes = [tuple(round(float(each)) for each in page.mediabox[2:]) for page in pdf.pages]
        assert sizes[-2:] == [(400, 500)] * 2
        assert any("/XObject" in page.resources and page.resources.XObject for page in pdf.pages)
        with pdf.open_outline() as outline:
            assert [each.title for each in outline.root][-1] == "Scan über.pdf"


def test_it_is_tagged_and_in_a_language(press: Press) -> None:
    with pikepdf.open(io.BytesIO(made(press, mail(), language="es")), password=PASSWORD) as pdf:
        assert pdf.Root.MarkInfo.Marked
        assert str(pdf.Root.Lang) == "es"
        assert "/StructTreeRoot" in pdf.Root
        assert pdf.open_metadata()["pdfuaid:part"] == "1"
    assert "Responder" in text_of(made(press, mail(), language="es"))


def test_nothing_is_told_outside_the_lock(paper: bytes) -> None:
    with pikepdf.open(io.BytesIO(paper), password=PASSWORD) as pdf:
        about = {str(value) for value in pdf.docinfo.values()} | {str(pdf.open_metadata())}
        assert str(pdf.docinfo.Title) == "Secure message"
        assert pdf.encryption.R == 6
        assert pdf.encryption.bits == 256
    for secret in (
        PASSWORD,
        without_hyphens(PASSWORD),
        "Canaryvale",
        "Ann Ruiz",
        "Pat Lee",
        "canaryfile",
        "Haemochroma",
    ):
        assert not [each for each in about if secret in each]
        assert secret.encode() not in paper
        assert secret.encode("utf-16-be") not in paper


def test_every_reader_opens_it_with_its_key_only(paper: bytes, tmp_path: Path) -> None:
    file = tmp_path / "secure-message.pdf"
    file.write_bytes(paper)
    wrong = document_key(KEY, MESSAGE, "sam@x.example")
    assert len(opened(paper)) == len(opened(paper, without_hyphens(PASSWORD))) >= 3
    with pytest.raises(pypdfium2.PdfiumError):
        opened(paper, wrong)
    assert run("qpdf", f"--password={PASSWORD}", "--check", file).returncode == 0
    assert run("qpdf", f"--password={wrong}", "--check", file).returncode == 2
    assert b"Haemochromatosis" in run("pdftotext", "-upw", PASSWORD, file, "-").stdout
    assert b"Incorrect password" in run("pdftotext", "-upw", wrong, file, "-").stderr
    assert b"canaryfile.docx" in run("pdfdetach", "-upw", PASSWORD, "-list", file).stdout
    assert b"Haemochromatosis" in run("mutool", "draw", "-F", "txt", "-p", PASSWORD, file).stdout
    assert run("mutool", "draw", "-F", "txt", "-p", wrong, file).returncode != 0


def seen_by_firefox(paper: bytes, password: str, folder: Path) -> dict[str, Any]:
    """Return what pdf.js sees."""
    place = Path(sys.prefix) / "pdfjs"
    assert place.is_dir(), f"{place} is missing: run make .venv/pdfjs"
    file = folder / "secure-message.pdf"
    file.write_bytes(paper)
    script = Path(__file__).with_name("read.mjs")
    found = json.loads(run("node", script, place, file, input=password.encode()).stdout)
    assert isinstance(found, dict)
    return found


def test_the_reader_of_firefox_opens_it_reads_it_in_order_and_shows_its_files_and_links(
    paper: bytes, tmp_path: Path
) -> None:
    seen = seen_by_firefox(paper, PASSWORD, tmp_path)
    assert "error" not in seen
    assert len(seen["pages"]) == 3
    words = seen["pages"][0]
    places = [words.index(each) for each in ("Canaryvale results", "Dr. Ann Ruiz", "Pat Lee", "3 attachments")]
    places += [words.index(each) for each in ("Phones show none", "Haemochromatosis", "Ferritin", "Reply securely")]
    assert places == sorted(places)
    assert dict(seen["files"]) == {"Scan über.pdf": len(blank_pdf(2)), "canaryfile.docx": len(OCTETS)}
    here = "https://secure.example/messages/7"
    assert set(seen["links"]) == {here, f"{here}#reply", *(f"{here}/files/{part}" for part in (2, 3, 4))}
    assert (seen["title"], seen["language"], seen["tagged"], seen["scripts"]) == ("Secure message", "en", True, None)
    assert {"Document", "H1", "H2", "P", "Table", "TH", "TD", "L", "LI", "Link", "Figure"} <= set(seen["roles"])
    assert seen["outline"] == ["Canaryvale results", "Scan über.pdf"]
    for secret in (PASSWORD, without_hyphens(PASSWORD), "Canaryvale", "Ruiz", "Pat Lee", PAT, "canaryfile"):
        assert secret not in seen["about"]
    for other in (document_key(KEY, MESSAGE, "sam@x.example"), ""):
        assert seen_by_firefox(paper, other, tmp_path)["error"] == "PasswordException"


WATCHED = """
import os, sys
from tests.pdf.papers import blank_pdf, made, mail, noise, picture, text_of
from cryptnsend.pdf.press import Press
press = Press()
made(press, mail())  # what is loaded once is loaded
message = mail("plain", "<p>Haemochromatosis <img src='cid:pic@x'></p>")
message.get_payload()[1].add_related(picture(), "image", "png", cid="<pic@x>")
message.add_attachment(blank_pdf(2), maintype="application", subtype="pdf", filename="canary.pdf")
message.add_attachment(noise(3_000_000), maintype="application", subtype="zip", filename="canary.zip")
os.stat(sys.argv[1])
octets = made(press, message)
os.stat(sys.argv[2])
assert "Haemochromatosis" in text_of(octets)
press.close()
"""
ASKED = "open,openat,openat2,creat,memfd_create,mkdir,mkdirat,link,linkat,symlink,symlinkat,rename,renameat,renameat2"


@pytest.mark.long
def test_no_file_is_written_while_a_document_is_made_neither_here_nor_by_who_makes_it(tmp_path: Path) -> None:
    told, begin, end = tmp_path / "calls", tmp_path / "begins", tmp_path / "ends"
    begin.touch()
    end.touch()
    calls = f"{ASKED},stat,newfstatat,statx"  # -z: those that were not refused
    watch = ("strace", "-f", "-z", "-qq", "-e", f"trace={calls}", "-e", "signal=none", "-o", told)
    ran = run(*watch, sys.executable, "-c", WATCHED, begin, end)
    assert ran.returncode == 0, ran.stderr.decode()
    lines = told.read_text("utf-8", "replace").splitlines()
    first, last = (next(n for n, line in enumerate(lines) if str(each) in line) for each in (begin, end))
    while_made = lines[first:last]
    assert len({line.split()[0] for line in while_made}) > 1, "whoever makes it was watched, too"
    writing = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE|\b(creat|memfd_create|mkdir|link|symlink|rename)\w*\(")
    assert [line for line in while_made if writing.search(line) and "/dev/null" not in line] == []


def test_appended_pages_are_left_out_before_the_whole_is_too_large(press: Press) -> None:
    message = mail()
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.pages[0].obj.Contents = pdf.make_stream(b"% " + noise(150_000).hex().encode())
        out = io.BytesIO()
        pdf.save(out, compress_streams=False)
    message.add_attachment(out.getvalue(), maintype="application", subtype="pdf", filename="large.pdf")
    octets = message.as_bytes().replace(b"\n", b"\r\n")
    from cryptnsend.core.mime import index_message

    index, raw = index_message(octets), Plain(octets)
    both = documents(press, 900_000).make(copy(), index, raw, KEY)  # type: ignore[arg-type]
    one = documents(press, 320_000).make(copy(), index, raw, KEY)  # type: ignore[arg-type]
    assert (len(opened(both)), len(opened(one))) == (2, 1)
    with pytest.raises(NotMade, match="too large"):
        documents(press, 1000).make(copy(), index, raw, KEY)  # type: ignore[arg-type]


DRAWING = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><defs><linearGradient id="g"><stop offset="0"'
    b' stop-color="#8a2b6b"/><stop offset="1" stop-color="#0b5c73"/></linearGradient></defs>'
    b'<path d="M0 0h40v20z" fill="url(#g)"/></svg>'
)


@pytest.mark.parametrize(
    "logo", [None, ("image/svg+xml", DRAWING), ("image/png", picture())], ids=["none", "svg", "png"]
)
def test_an_organisation_has_its_look(press: Press, logo: tuple[str, bytes] | None) -> None:
    worn = {"name": "Harbour Clinic", "accent": "#7a1f5c", "logo": logo, "banner": "Closed today", "footer": "Alder St"}
    octets = made(press, mail(html="<p>Hello <b>Pat</b></p>"), worn)
    with pikepdf.open(io.BytesIO(octets), password=PASSWORD) as pdf:
        content = pdf.pages[0].Contents.read_bytes()
        alts = [str(each.Alt) for each in pdf.objects if isinstance(each, pikepdf.Dictionary) and "/Alt" in each]
        forms = "/XObject" in pdf.pages[0].resources and len(pdf.pages[0].resources.XObject) > 0
        shades = any("/ShadingType" in each for each in pdf.objects if isinstance(each, pikepdf.Dictionary))
    assert b"0.478431 0.121569 0.360784 rg" in content  # #7a1f5c
    words = text_of(octets)
    assert ("Closed today" in words, "Alder St" in words) == (True, True)
    assert ("Harbour Clinic" in words) is (logo is None), "whose name is the logo's where there is one"
    assert alts == (["Harbour Clinic"] if logo else [])
    assert forms or shades or logo is None


def test_a_logo_that_cannot_be_set_takes_no_message_away(press: Press) -> None:
    for broken in (("image/svg+xml", b"<svg"), ("image/png", b"no picture")):
        words = text_of(made(press, mail(text="Ferritin"), {"name": "Harbour Clinic", "logo": broken}))
        assert "Ferritin" in words
        assert "Harbour Clinic" in words


def test_a_strangers_mail_cannot_borrow_the_logo(press: Press) -> None:
    stranger = mail(html='<p>Hello</p><img alt="mark" src="cryptnsend:logo">')
    worn = {"name": "Harbour Clinic", "logo": ("image/png", picture())}
    with pikepdf.open(io.BytesIO(made(press, stranger, worn)), password=PASSWORD) as pdf:
        uses = pdf.pages[0].Contents.read_bytes().count(b" Do")
    assert uses == 1
