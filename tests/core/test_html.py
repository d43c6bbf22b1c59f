"""Does a stranger's HTML run, fetch, cover or leave nothing, and cost no more than it should?"""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.css import safe_style, take_sheets
from cryptnsend.core.html import sanitize, text_to_html, to_text
from cryptnsend.core.html_weight import too_heavy
from tests.core.attacks import ATTACKS
from tests.support.harmless import harmless


def no_picture(_: str) -> None:
    return None


def clean(html: str) -> str:
    return sanitize(html, cid=no_picture).html


@pytest.mark.parametrize("html", ATTACKS)
def test_nothing_runs_fetches_or_leaves(html):
    harmless(clean(html))
    harmless(clean(f"<style>p,img,a{{color:red}}</style>{html}"))


markup = st.lists(
    st.sampled_from(
        [
            "<",
            ">",
            "</",
            "'",
            '"',
            "=",
            " ",
            "/",
            "a",
            "p",
            "img",
            "svg",
            "math",
            "style",
            "script",
            "select",
            "title",
            "<!--",
            "-->",
            "<style>",
            "</style>",
            "p{",
            "}",
            "color:red",
            "url(",
            ")",
            "src=",
            "href=",
            "style=",
            "javascript:",
            "https://x/",
            "onerror=x",
            "&#",
            ";",
            "<p>",
            "<b>",
            "</p>",
            "<table>",
            "<td>",
            "\x00",
            "&lt;",
            "<a href=",
            "<img src=",
            "cid:x",
            "data:image/png;base64,AA",
        ]
    )
    | st.text(max_size=3),
    max_size=30,
).map("".join)


@settings(max_examples=400)
@given(markup)
def test_no_markup_gets_through_or_raises(html):
    harmless(sanitize(html, cid=lambda _: "/cid/1").html)
    assert isinstance(to_text(html), str)
    harmless(text_to_html(html).removeprefix('<div class="text">'))


@given(st.text(max_size=300))
def test_any_text_is_taken_and_plain_text_keeps_its_words(text):
    harmless(clean(text))
    to_text(text).encode()
    for html in (text_to_html(text), text_to_html(text, flowed=True, delsp=True)):
        html.encode()
        assert all(word in html for word in re.findall("[A-Za-z0-9]+", text))


def test_pictures_are_shown_from_where_the_caller_says_and_others_are_counted():
    html = (
        "<style>p{color:red} div{background:url(https://t.example/1)}</style><p>"
        "<img src='cid:logo%40x.example' alt=Logo>"
        "<img src=CID:unknown><img src='https://t.example/pixel.gif' width=1><img src=//t.example/2>"
        "<img src='data:image/png;base64,AAAA'>"
    )
    found = sanitize(html, cid=lambda ident: "/cid/7" if ident == "logo@x.example" else None)
    assert '<img src="/cid/7" alt="Logo">' in found.html
    assert "t.example" not in found.html
    assert '<img src="data:image/png;base64,AAAA">' in found.html
    assert found.blocked_remote == 3
    assert 'style="color:red' in found.html.replace("color: red", "color:red")
    assert not found.as_text


def test_links_are_listed_once_and_open_without_a_referrer():
    found = sanitize(
        "<a href=https://x.example/a?b=1&amp;c>1</a><a href=https://x.example/a?b=1&amp;c>2</a><a href='mailto:a@b'>3",
        cid=no_picture,
    )
    assert found.links == ["https://x.example/a?b=1&c", "mailto:a@b"]
    assert (
        found.html.count('rel="noopener noreferrer nofollow" target="_blank"') == 3
        or found.html.count("noreferrer") == 3
    )


def test_style_sheets_are_written_into_the_elements():
    html = "<html><head><title>T</title><style type=text/css>/* c */ .k, td > b { COLOR: #f00; margin: -5px } "
    html += "@media print{.k{color:blue}}"
    html += "</style></head><body><p class=k>a<table><tr><td><b>c</b></table></body></html>"
    found = clean(html).replace(": ", ":").replace(";", "")
    assert '<p style="color:#f00">a' in found
    assert '<b style="color:#f00">c</b>' in found
    assert "blue" not in found
    assert "T<" not in found


STYLES = [
    ("color:red", "color:red"),
    ("COLOR : Red ; font-size:12px", "color:Red;font-size:12px"),
    ("color:rgb(1, 2, 3);background:#fff", "color:rgb(1, 2, 3);background-color:#fff"),
    ("font:bold 12px/1.5 'Arial', sans-serif !important", "font:bold 12px/1.5 'Arial', sans-serif !important"),
    ("margin:0 auto;margin-left:-5px", "margin:0 auto"),
    ("position:absolute;top:0;z-index:9;opacity:0", ""),
    ("background:url(x) red", ""),
    ("color:expression(x)", ""),
    ("color:r\\65 d", ""),
    ("color:var(--x);--x:red", ""),
    ("width:calc(100% - 1px)", ""),
    ("color:red;color:blue", "color:blue"),
    ("color", ""),
    (";;:;", ""),
    ("color:" + "a" * 300, ""),
]


@pytest.mark.parametrize(("style", "kept"), STYLES)
def test_declarations_are_kept_by_name_and_value(style, kept):
    assert safe_style(style) == kept


@given(st.text(alphabet="{}@/*<!->;:,. apu#12()'\"\\\n", max_size=80))
def test_sheets_are_cut_down_without_raising(css):
    body, sheet = take_sheets(f"<style>{css}</style><p>x</p>")
    assert "<style" not in body
    assert not re.search(r"@|\\|<|/\*|url\(", sheet)


HEAVY = {
    "nested": "<div>" * 40_000,
    "formatting left open": "".join(f"<b id={n}><p>" for n in range(5000)),
    "formatting opened again": "<p>" + "".join(f"<i id={n}>" for n in range(190)) + "</p>" + "<p>x" * 30_000,
    "attributes": "<p " + " ".join(f"a{n}=1" for n in range(200_000)) + ">x",
    "ampersands": "&" * 1_000_000,
    "ampersands between ignored tags": "&&&&&&&&&&</x>" * 60_000,
    "blanks": "&nbsp;" * 300_000,
    "pushed out of a table": "<table>" + "<p>x" * 30_000,
    "roots": "".join(f"<html a{n}=1>" for n in range(20_000)),
    "large": "<p>x</p>" * 400_000,
    "never closed tags": '<p a="' * 300_000,
    "slashes": "<p" + "/" * 1_500_000,
    "raw text": "<svg>" * 200_000,
    "comments": "<!--" * 400_000,
    "declarations": "<style>p{" + "".join(f"x{n}:1;" for n in range(20_000)) + "}</style>" + "<p>x</p>" * 1000,
    "rules": "<style>" + "*{color:red;width:1px;margin:1px}" * 3000 + "</style>" + "<p>x</p>" * 5000,
    "selectors": "<style>" + "* * * * * * * q p{color:red}" * 1400 + "</style>" + "<div>" * 190 + "<p>x</p>" * 1000,
    "braces": "<style>" + "@x{" * 300_000 + "</style>",
    "inline style": "<p style='" + "color:red;" * 150_000 + "'>",
    "wide cells": "<table><tr><td>" + "x<br>" * 8000 + "</td><td>" + "y" * 100_000 + "</td></tr></table>",
    "line ends": "<br>" * 59_000,
    "links": "<a href=https://x.example/>y</a>" * 12_000,
}


@pytest.mark.parametrize("name", HEAVY)
def test_heavy_markup_costs_little_and_stays_bounded(name):
    started = time.process_time()
    found = sanitize(HEAVY[name], cid=no_picture)
    text = to_text(HEAVY[name])
    assert time.process_time() - started < 30
    assert len(found.html) < 12_000_000
    assert len(text) < 8_000_000


def test_what_is_too_heavy_is_shown_as_its_text():
    found = sanitize("<div>" * 500 + "<p>Read <b>me</b></p><script>x</script>", cid=no_picture)
    assert found.as_text
    assert "Read me" in found.html
    assert "script" not in found.html


def test_an_ordinary_newsletter_is_not_too_heavy():
    row = "<tr><td style='padding:4px' width=100><font color=#333>Price&nbsp;&amp; more</font></td><td><a href=https://x.example>go</a></td></tr>"
    html = (
        "<html><body><table>"
        + "<tr><td><table>" * 12
        + row * 1500
        + "</table></td></tr>" * 12
        + "</table></body></html>"
    )
    assert not too_heavy(html)
    assert not sanitize(html, cid=no_picture).as_text


TEXTS = [
    ("<p>One</p><p>Two</p>", ["One", "Two"]),
    ("<table><tr><td>a</td><td>b</td></tr></table>", ["a", "b"]),
    ("a<br>b", ["a", "b"]),
    ("<script>no</script><style>no</style><title>no</title>yes<!-- no -->", ["yes"]),
    ("1 &lt; 2 &amp; 3 &eacute;", ["1 < 2 & 3 é"]),
    ("<?xml version='1.0' encoding='latin-1'?><html><body>ä</body></html>", ["ä"]),
    ("", []),
]


@pytest.mark.parametrize(("html", "pieces"), TEXTS)
def test_the_text_of_markup_keeps_its_words(html, pieces):
    text = to_text(html)
    assert all(piece in text for piece in pieces)
    assert "no" not in text.split()


def test_plain_text_becomes_safe_markup_with_links_and_quotes():
    html = text_to_html("See https://x.example/a?b=1&c, or <ann@x.example>.\r\n> quoted\r\n>> twice\r\nend\t.")
    assert '<a href="https://x.example/a?b=1&amp;c" rel="noopener noreferrer nofollow" target="_blank">' in html
    assert '&lt;<a href="mailto:ann@x.example"' in html
    assert "<blockquote>quoted<br>\n<blockquote>twice<br>\n</blockquote></blockquote>end" in html
    assert html.count("<blockquote>") == html.count("</blockquote>") == 2


def test_flowed_lines_are_joined_as_the_sender_meant():
    flowed = "A long \r\nline.\r\n> quoted \r\n> too\r\n -- stuffed\r\n-- \r\nsignature"
    html = text_to_html(flowed, flowed=True)
    assert "A long line.<br>" in html
    assert "quoted too<br>" in html
    assert "-- stuffed<br>" in html
    assert "-- <br>\nsignature" in html
    assert "Along<br>" in text_to_html("A \r\nlong", flowed=True, delsp=True)
