"""Messages made to hurt whoever sets them: each ends within its limits, as a document that fetched nothing."""

from __future__ import annotations

import base64
import io
import socket
import threading
from collections.abc import Iterator

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, Stream, String

from cryptnsend.pdf.press import Limits, NotMade, Press
from tests.pdf.papers import PASSWORD, blank_pdf, made, mail, opened, picture, text_of

SECRET = "root:x:0:0"


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[str, list[int]]]:
    """Return the address of a web server, and whom it heard."""
    heard: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hear() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                heard.append(1)
                peer.close()

        thread = threading.Thread(target=hear)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", heard
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_nothing_is_fetched(press: Press, listener: tuple[str, list[int]]) -> None:
    host, heard = listener
    html = (
        f"<style>@import url(http://{host}/a.css); @font-face{{font-family:x;src:url(http://{host}/f)}}"
        f"p{{background:url(http://{host}/b);font-family:x}}</style><link rel=stylesheet href=http://{host}/c>"
        f'<p style="background-image:url(file:///etc/passwd)">seen</p><img src="http://{host}/d"><img src="file:///etc/passwd">'
        f'<object data="file:///etc/passwd"></object><iframe src="file:///etc/passwd"></iframe>'
        f'<link rel=attachment href="file:///etc/passwd"><a rel=attachment href="file:///etc/passwd">x</a>'
        f'<img src="data:image/svg+xml;base64,{base64.b64encode(b"<svg/>").decode()}"><svg><image href="http://{host}/s"/></svg>'
    )
    document = made(press, mail("x", html))
    words = text_of(document)
    assert "seen" in words
    assert SECRET not in words
    assert not heard
    assert SECRET.encode() not in document


def svg_bomb() -> str:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE svg [<!ENTITY l0 "ha">{entities}]><svg><text>&l9;</text></svg><p>seen</p>'


HOSTILE = {
    "nested tables": "<table><tr><td>" * 10_000 + "seen",
    "a nest under the bounds of the pages": "<div>" * 90 + "<table><tr><td>" * 60 + "seen",
    "cells": "<table>" + "<tr><td>seen" * 4000 + "</table>",
    "a bomb of entities": svg_bomb(),
    "sizes": '<div style="height:99999999px;width:99999999px;padding-top:9999999px;font-size:99999px">seen</div>',
    "one long word": "<p>seen " + "x" * 150_000,
    "columns": "<p>seen<table><tr>" + '<td colspan="1000">x</td>' * 900,
    "lists": "<p>seen" + "<ul><li>" * 100,
    "floats": "<p>seen" + '<div style="float:left">x</div>' * 3000,
    "flex": "<p>seen" + '<div style="display:flex"><div style="display:grid">' * 40,
}


QUICK = ("nested tables", "sizes", "a bomb of entities")


@pytest.mark.parametrize(
    "name", [each if each in QUICK else pytest.param(each, marks=pytest.mark.long) for each in HOSTILE]
)
def test_what_is_made_to_hurt_is_set_all_the_same(press: Press, name: str) -> None:
    assert "seen" in text_of(made(press, mail("seen in plain", HOSTILE[name]))) or name == "sizes"


def test_pictures_that_lie_are_left_out(press: Press) -> None:
    huge = bytearray(picture())
    huge[16:24] = (60_000).to_bytes(4, "big") * 2  # the size that it says it has
    html = "".join(f'<p>seen<img src="cid:{number}@x">' for number in range(3))
    message = mail("x", html)
    related = message.get_payload()[1]
    for number, octets in enumerate((bytes(huge), b"GIF89a nonsense", b"<svg xmlns='http://www.w3.org/2000/svg'/>")):
        related.add_related(octets, "image", "png", cid=f"<{number}@x>")  # type: ignore[union-attr]
    assert "seen" in text_of(made(press, message))


def test_a_picture_within_itself_ends(press: Press) -> None:
    message = mail("x", '<p>seen<img src="cid:loop@x">')
    related = message.get_payload()[1]
    related.add_related(b'<img src="cid:loop@x">', "image", "png", cid="<loop@x>")  # type: ignore[union-attr]
    assert "seen" in text_of(made(press, message))


@pytest.mark.parametrize("octets", [b"%PDF-1.7 nonsense", b"", blank_pdf()[:200], b"%PDF-" + b"[" * 200_000])
def test_a_file_that_is_no_pdf_stays_an_attachment(press: Press, octets: bytes) -> None:
    message = mail("seen")
    message.add_attachment(octets, maintype="application", subtype="pdf", filename="a.pdf")
    document = made(press, message)
    assert len(opened(document)) == 1
    assert "seen" in text_of(document)


def test_what_runs_in_an_appended_pdf_or_leads_elsewhere_does_not_come_along(press: Press) -> None:
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        page = pdf.pages[0].obj
        action = Dictionary(S=Name.JavaScript, JS=String("app.alert(1)"))
        pdf.Root.OpenAction = action
        pdf.Root.Names = Dictionary(JavaScript=Dictionary(Names=Array([String("x"), action])))
        page.AA, page.Trans, page.Dur = Dictionary(O=action), Dictionary(S=Name.Fly), 1
        link = Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=Array([0, 0, 9, 9]), A=action)
        page.Annots = pdf.make_indirect(Array([link]))
        page.AF = Array([pdf.make_indirect(Dictionary(Type=Name.Filespec, F=String("http://evil.example/af")))])
        away = Dictionary(Type=Name.Filespec, FS=Name.URL, F=String("http://evil.example/picture"))
        shown = Stream(pdf, b"", Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, 9, 9]), F=away)
        shown.Ref = Dictionary(F=away, Page=0)
        page.Resources = Dictionary(XObject=Dictionary(X=shown))
        page.Contents = pdf.make_stream(b"q /X Do Q")
        out = io.BytesIO()
        pdf.save(out)
    message = mail()
    message.add_attachment(out.getvalue(), maintype="application", subtype="pdf", filename="a.pdf")
    with pikepdf.open(io.BytesIO(made(press, message)), password=PASSWORD) as pdf:
        assert len(pdf.pages) == 2
        assert "/XObject" in pdf.pages[1].resources, "what it shows came along"
        assert not {"/AA", "/Annots", "/AF", "/Trans", "/Dur"} & set(pdf.pages[1].obj.keys())
        del pdf.attachments["a.pdf"]
        out = io.BytesIO()
        pdf.save(out, encryption=False, qdf=True)
    assert b"app.alert" not in out.getvalue()
    assert b"evil.example" not in out.getvalue()


def test_where_no_process_starts_there_is_no_document() -> None:
    press = Press(Limits(), module="cryptnsend.no.such.module")
    with pytest.raises(NotMade):
        made(press, mail())
    press.close()


def test_what_no_time_is_enough_for_is_not_made() -> None:
    press = Press(Limits(memory=32 << 20))
    with pytest.raises(NotMade):
        made(press, mail())
    press.close()
