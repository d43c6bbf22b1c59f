"""What an organisation may look like: colours that everyone can read, pictures that do nothing, words without links."""

from __future__ import annotations

import struct
import zlib
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core import colour, logo, look, svg
from cryptnsend.core.errors import Denied

SPACE = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


# -- colours ----------------------------------------------------------------------------------------------------------


def test_contrast_is_as_the_guidelines_count_it() -> None:
    assert colour.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert colour.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert colour.contrast("#0b5c73", "#0b5c73") == pytest.approx(1)


@settings(max_examples=150, deadline=None)
@given(COLOURS)
def test_the_nearest_shade_of_any_colour_is_read_on_paper_and_its_sister_on_dark(given_colour: str) -> None:
    shade = colour.nearest(given_colour)
    reading = colour.read(shade)
    assert reading.passes
    assert reading.sister_on_dark >= colour.LEAST
    assert colour.nearest(shade) == shade
    for shades, grounds in ((colour.on_light(shade), colour.PAPER), (colour.on_dark(shade), colour.NIGHT)):
        assert min(colour.contrast(shades.ink, each) for each in (*grounds, shades.tint)) >= colour.LEAST
        assert colour.contrast(shades.on, shades.ink) >= colour.LEAST
        assert all(map(colour.is_colour, (shades.ink, shades.down, shades.on, shades.tint)))


def test_a_colour_that_passes_stays_and_one_that_does_not_is_answered_with_a_darker_one_of_its_hue() -> None:
    assert colour.nearest("#8a2b6b") == "#8a2b6b"
    with pytest.raises(look.TooPale, match=r"1\.3 to 1.*#846800") as pale:
        look.parse("accent", "#fc0")
    assert pale.value.nearest == "#846800"
    assert look.parse("accent", " 0B5C73 ") == "#0b5c73"
    for typed in ("red", "#12", "#0b5c7g", "url(x)", "#0b5c73;}"):
        with pytest.raises(Denied, match="six characters"):
            look.parse("accent", typed)


def test_the_grounds_are_those_of_the_style_sheet() -> None:
    from cryptnsend.config import web_root

    sheet = (web_root() / "static" / "cryptnsend.css").read_text("utf-8")
    light, dark = sheet.split("@media screen and (prefers-color-scheme: dark)", 1)
    for grounds, where in ((colour.PAPER, light), (colour.NIGHT, dark)):
        for name, value in zip(("ground", "sheet", "sunk"), grounds, strict=True):
            assert f"--{name}: {value};" in where
    assert f"--on-accent: {colour.ON_DARK};" in dark


# -- drawings ---------------------------------------------------------------------------------------------------------

HOSTILE = {
    "a script": "<script>alert(1)</script>",
    "a script of another space": '<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
    "an event": '<rect width="9" height="9" onload="alert(1)" onclick="alert(1)"/>',
    "a foreign object": '<foreignObject><b xmlns="http://www.w3.org/1999/xhtml"><img src="x:"/></b></foreignObject>',
    "a link": '<a xlink:href="javascript:alert(1)"><rect width="9" height="9"/></a>',
    "a picture from elsewhere": '<image href="https://evil.example/p.png" width="9" height="9"/>',
    "a picture in itself": '<image href="data:image/svg+xml;base64,PHN2Zy8+" width="9" height="9"/>',
    "a part of another file": '<use href="https://evil.example/x.svg#a"/>',
    "parts that multiply": '<g id="a"><path d="M0 0"/></g><use href="#a"/>',
    "a fill from elsewhere": '<rect fill="url(https://evil.example/#a)" width="9" height="9"/>',
    "a fill from elsewhere, quoted": '<rect fill="url( \'https://evil.example/#a\')" width="9" height="9"/>',
    "a style with an address": '<rect style="fill:url(//evil.example/a#b);background:url(x)" width="9" height="9"/>',
    "a style that imports": "<style>@import url(https://evil.example/x.css); .a{fill:red}</style>",
    "a style with a picture": "<style>.a{background-image:url(https://evil.example)} rect{fill:url(data:x)}</style>",
    "a movement": '<rect width="9" height="9"><set attributeName="href" to="javascript:alert(1)"/></rect>',
    "a movement of colours": '<animate attributeName="fill" values="url(https://evil.example)"/>',
    "a filter with a picture": '<filter id="f"><feImage href="https://evil.example/x"/></filter>',
    "a filter": '<rect filter="url(https://evil.example/#f)" width="9" height="9"/>',
    "a mark from elsewhere": '<path marker-start="url(https://evil.example/#m)" d="M0 0"/>',
    "a cursor": '<rect cursor="url(https://evil.example/c.cur)" width="9" height="9"/>',
    "a gradient from elsewhere": '<linearGradient id="g" xlink:href="https://evil.example/#g"/>',
    "a handler of another space": '<handler xmlns="http://www.w3.org/2001/xml-events" type="x">alert(1)</handler>',
    "a font": "<style>@font-face{font-family:x;src:url(https://evil.example)}</style>",
    "a base": '<rect xml:base="https://evil.example/" width="9" height="9"/>',
    "a drawing in the drawing": '<svg onload="alert(1)"><script>1</script></svg>',
    "an escape": '<rect fill="&#x75;rl(https://evil.example/#a)" width="9" height="9"/>',
    "an instruction": '<?xml-stylesheet href="https://evil.example/x.css"?>',
    "words in CDATA": "<text><![CDATA[</text><script>alert(1)</script>]]></text>",
    "a comment": "<!-- <script>alert(1)</script> -->",
}


def drawn(inside: str, head: str = 'viewBox="0 0 40 20"', before: str = "") -> bytes:
    return f"{before}<svg {SPACE} {head}>{inside}</svg>".encode()


@pytest.mark.parametrize("inside", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_that_acts_or_comes_from_elsewhere_is_left_of_a_drawing(inside: str) -> None:
    kept = '<rect class="a" fill="#0b5c73" width="9" height="9"/>'
    cleaned = svg.clean(drawn(inside + kept))
    tree = ElementTree.fromstring(cleaned.octets)
    names = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert names <= {"svg", "g", "rect", "path", "text", "linearGradient"}
    for element in tree.iter():
        for name, value in element.attrib.items():
            assert not name.lower().startswith("on")
            assert name not in ("style", "class", "filter", "cursor", "marker-start")
            assert not any(each in value for each in ("evil", "javascript", "data:", "//"))
    assert b"fill=" in cleaned.octets, "what draws is still there"
    assert svg.clean(cleaned.octets).octets == cleaned.octets


@pytest.mark.parametrize(
    "octets",
    [
        drawn("<text>&b;</text>", before='<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'),
        drawn("<text>&x;</text>", before='<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        drawn("", before='<!DOCTYPE svg [<!ATTLIST rect onload CDATA "alert(1)">]>'),
        drawn("<text>&nowhere;</text>"),
        drawn("<g>" * 40 + "</g>" * 40),
        drawn("<g/>" * 5000),
        drawn("<rect"),
        drawn("", head='width="100%" height="100%"'),
        drawn("", head='viewBox="0 0 0 20"'),
        drawn("", head='viewBox="0 0 nan 20"'),
        drawn("", head='viewBox="0 0 inf 20"'),
        drawn("", head='viewBox="0 0 400 20"'),
        b"<html><svg/></html>",
        b'<svg viewBox="0 0 1 1"/>',
        b"<svg",
        b"<?xml version='1.0' encoding='utf-7'?><svg/>",
    ],
)
def test_a_drawing_that_declares_breaks_or_has_no_end_is_refused(octets: bytes) -> None:
    with pytest.raises(Denied):
        logo.take(octets)


def test_what_drawing_programs_write_still_draws() -> None:
    before = '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/x.dtd">'
    inside = (
        "<metadata>secret</metadata><defs><style>.cls-1,.cls-2{fill:#f00}.cls-2{stroke:#00f;stroke-width:2px}</style>"
        '<linearGradient id="g"><stop offset="0" style="stop-color:#fff;stop-opacity:.5"/></linearGradient>'
        '<linearGradient id="h" xlink:href="#g" gradientTransform="rotate(45 1 1)"/></defs>'
        '<path class="cls-2" d="M1-2.5e-3l.5.5A1 1 0 0 1 3,3z"/><g transform="translate(1,2) scale(2)">'
        '<circle style="fill:url(#h)" cx="5" cy="5" r="4"/></g><text x="1" font-family="Arial">A &amp; B</text>'
    )
    drawing = svg.clean(drawn(inside, before=before))
    for part in (
        b'fill="#f00"', b'stroke="#00f"', b'stroke-width="2px"', b'fill="url(#h)"', b'href="#g"', b"A &amp; B",
        b'd="M1-2.5e-3l.5.5A1 1 0 0 1 3,3z"', b'transform="translate(1,2) scale(2)"', b'stop-color="#fff"',
    ):  # fmt: skip
        assert part in drawing.octets
    assert b"secret" not in drawing.octets
    assert (drawing.width, drawing.height, drawing.left_out) == (40, 20, ())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: drawn(text)))
def test_whatever_is_brought_is_taken_the_same_again_or_refused(octets: bytes) -> None:
    try:
        found = logo.take(octets)
    except Denied:
        return
    assert logo.take(found.octets).mark == found.mark


# -- pictures ---------------------------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int = 40, height: int = 20, *more: bytes, rows: int | None = None, colours: int = 6) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0))
    row = b"\0" + b"\x0b\x5c\x73\xff"[: {6: 4, 2: 3, 0: 1}[colours]] * width
    pixels = zlib.compress(row * (height if rows is None else rows))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def jpeg(width: int = 40, height: int = 20, *more: bytes, colours: int = 3) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, colours) + b"\x01\x11\x00" * colours
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
    tables = segment(0xDB, bytes(65)) + segment(0xC4, bytes(17))
    return b"\xff\xd8" + b"".join(more) + tables + segment(0xC0, frame) + scan + b"\xff\xd9"


def webp(*pieces: tuple[bytes, bytes]) -> bytes:
    inside = b"".join(kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2) for kind, body in pieces)
    return b"RIFF" + struct.pack("<I", 4 + len(inside)) + b"WEBP" + inside


LOSSLESS = (b"VP8L", b"\x2f" + struct.pack("<I", 39 | 19 << 14) + b"\x88\x88")
LOSSY = (b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 40, 20) + b"\0\0\0")
EXIF = b"Exif\0\0 51.5N 0.1W secret"


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (png(40, 20, chunk(b"tEXt", b"Author\0secret"), chunk(b"eXIf", EXIF)) + b"<script>secret", "png"),
        (png(colours=2), "png"),
        (jpeg(40, 20, segment(0xE1, EXIF), segment(0xFE, b"secret"), segment(0xE2, b"ICC secret")) + b"secret", "jpg"),
        (jpeg(40, 20, segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\x01\x01secret")), "jpg"),
        (webp(LOSSLESS, (b"EXIF", EXIF), (b"XMP ", b"secret")) + b"secret", "webp"),
        (webp((b"VP8X", bytes(10)), (b"ICCP", b"secret"), (b"ALPH", b"\0\1"), LOSSY), "webp"),
    ],
)
def test_a_picture_keeps_what_draws_and_nothing_that_tells(octets: bytes, kind: str) -> None:
    found = logo.take(octets)
    assert (found.kind, found.width, found.height) == (kind, 40, 20)
    assert b"secret" not in found.octets
    assert logo.take(found.octets) == found
    assert logo.is_mark(found.mark)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"GIF89a" + bytes(40),
        b"%PDF-1.4",
        b"hello",
        png()[:-6],
        png().replace(b"IDAT", b"IDAX"),
        png(40, 20, rows=2000),
        png(40, 20, rows=3),
        png(8, 8),
        png(5000, 20),
        png(400, 20),
        png(40, 20, chunk(b"ABCD", b"")),
        jpeg(40, 20)[:-2],
        jpeg(40, 20, colours=4),
        jpeg(9000, 9000),
        jpeg(40, 20, b"oops"),
        webp((b"VP8X", bytes(10)), (b"ANIM", bytes(6)), (b"ANMF", bytes(20))),
        webp(LOSSY, LOSSLESS),
        webp(LOSSLESS)[:-4],
        webp((b"VP8L", b"\x2e1234")),
        b"\x89PNG\r\n\x1a\n" + bytes(logo.MOST_OCTETS),
    ],
)
def test_what_is_no_picture_or_too_large_or_too_long_is_refused(octets: bytes) -> None:
    with pytest.raises(Denied):
        logo.take(octets)


def test_a_picture_that_unpacks_to_more_than_it_says_is_never_unpacked() -> None:
    bomb = zlib.compress(bytes(60_000_000), 9)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 20, 8, 6, 0, 0, 0))
    with pytest.raises(Denied, match="damaged"):
        logo.take(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", bomb) + chunk(b"IEND", b""))


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("banner_en", "Read https://evil.example"),
        ("footer_en", "Write to ann@evil.example"),
        ("footer_es", "<b>Clinic</b>"),
        ("banner_es", "x" * 301),
        ("footer_en", "a\u202eb"),
        ("host", "clinic"),
        ("host", "clinic.example"),
        ("host", "10.0.0.1"),
        ("host", "mail.clinic.example/evil"),
        ("host", "mail.clinic.example:8443"),
        ("host", "user@mail.clinic.example"),
        ("host", "*.clinic.example"),
        ("logo", "../../etc/passwd"),
        ("logo", "a" * 64 + ".html"),
        ("script", "x"),
    ],
)
def test_what_may_not_be_said_is_refused(name: str, typed: str) -> None:
    with pytest.raises(Denied):
        look.parse(name, typed)


def test_a_look_is_read_as_it_was_written_and_nothing_else_is_read() -> None:
    mark = "a" * 64 + ".svg"
    said = look.check(
        {"accent": "#8A2B6B", "logo": mark, "banner_en": " Closed\n today ", "host": "Mail.Clinic.Example"}
    )
    assert said == {"accent": "#8a2b6b", "logo": mark, "banner_en": "Closed today", "host": "mail.clinic.example"}
    assert look.read(look.write(said)) == said
    assert look.digest(look.write(said)) != look.digest(look.write({"accent": "#8a2b6b"})) != look.digest("{}") == b""
    worn = look.of(said)
    assert (worn.banner("es"), worn.footer("en")) == ("Closed today", "")
    for text in ('{"host":"evil"}', '{"accent":"#fff"}', "[]", "oops", '{"logo":1}', '{"logo_dark":"' + mark + '"}'):
        assert look.read(text) == {}
