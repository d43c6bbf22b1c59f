"""Does the frame of a letter have about the height of what stands in it?"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser

from cryptnsend.config import web_root
from cryptnsend.core.html import sanitize
from cryptnsend.portal.frames import TALL, heights
from cryptnsend.portal.framing import CLOSED, FOLDED, FRAMED, SHELL

WORDS = "Your blood values have improved a great deal since the spring, and I am glad to say so. "
LINE = '<p style="margin:0;font-size:11pt">'
PICTURE = "data:image/png;base64,iVBORw0KGgo="
LETTERS = {
    "one line": '<div dir="ltr">Thanks!</div>',
    "short": "<p>Hello Pat,</p><p>all is well.</p><p>Ann</p>",
    "Gmail": f"<div>Hi Pat,</div><div><br></div><div>{WORDS * 2}</div><div><br></div><div>Ann</div>",
    "Outlook": f"{LINE}Hello Pat,</p>{LINE}&nbsp;</p>{LINE}{WORDS}</p>{LINE}&nbsp;</p>{LINE}Kind regards</p>",
    "signature": f'<p>See you.</p><table><tr><td><img src="{PICTURE}" width="96" height="96"></td>'
    "<td><b>Dr. Ann Ruiz</b><br>Cardiology<br>+1 555 0100<br>12 Main Street</td></tr></table>",
    "newsletter": '<table width="600" cellpadding="0"><tr><td style="padding:24px"><h1>News</h1>'
    f"<p>{WORDS * 4}</p></td></tr><tr><td><table><tr><td>{WORDS * 2}</td><td>{WORDS * 2}</td></tr></table>"
    "</td></tr></table>",
    "values": "<table border=1>" + "<tr><td>Iron</td><td>14.2</td><td>g/dl</td></tr>" * 14 + "</table>",
    "list": "<ul>" + "<li>One more thing to take care of</li>" * 12 + "</ul>",
    "answer": f"<p>Yes.</p><blockquote><p>{WORDS}</p><blockquote><p>{WORDS * 2}</p></blockquote></blockquote>",
    "long": f"<p>{WORDS * 4}</p>" * 8,
    "headings": f"<h1>Title</h1><h2>Below</h2><p>x</p><h3>Third</h3><p>{WORDS}</p><hr><p>End</p>",
    "as typed": "<pre>" + "a line as it was typed\n" * 20 + "</pre>",
    "empty boxes": "<div>" * 40 + "<p>x</p>" + "</div>" * 40,
}


def shown(html: str) -> str:
    """Return a letter as the reading page gets it."""
    return sanitize(html, cid=lambda ident: None).html


@pytest.mark.parametrize(("window", "which"), [(590, 0), (324, 1)])
def test_a_frame_has_room_for_its_letter_and_little_more(browser: Browser, window: int, which: int) -> None:
    page, wrong = browser.new_page(viewport={"width": window, "height": 20}), []
    folded = f'<p>Yes.</p><details class="quoted"><summary>Earlier message</summary><p>{WORDS}</p></details><p>Ann</p>'
    for name, letter in [*((name, shown(html)) for name, html in LETTERS.items()), ("folded", folded)]:
        page.set_content(SHELL.format(title="x", style=FRAMED, body=letter))
        real = page.evaluate("document.documentElement.scrollHeight")
        frame = heights(FOLDED.sub(CLOSED, letter))[which]
        if not real <= frame <= real * 1.4 + 64:
            wrong.append(f"{name}: {real} px in a frame of {frame}")
    page.close()
    assert wrong == []


def test_every_height_has_its_class() -> None:
    sheet = (web_root() / "static" / "cryptnsend.css").read_text("utf-8")
    for window in ("wide", "narrow"):
        found = re.findall(rf"\.letter-frame\.{window}-(\d+) {{ height: (\d+)px; }}", sheet)
        assert found == [(str(height), str(height)) for height in TALL]


def test_the_tallest_frame_ends_somewhere() -> None:
    assert heights("<p>x</p>" * 100_000) == (TALL[-1], TALL[-1])
    assert heights("") == (TALL[0], TALL[0])


def test_what_a_picture_is_made_of_is_not_its_height() -> None:
    small = f'<img src="{PICTURE}{"A" * 100_000}" width="40" height="40"><p>x</p>'
    assert heights(small)[0] <= 160


PIECES = [
    *("<p>", "</p>", "<td>", "</td>", "<tr>", "</tr>", "<table>", "</table>", "text ", "<br>", "<", '"', "<img "),
    *('<p style="', '<div style="margin:1e9px;height:-3%;font-size:0;line-height:0">', 'src="x">', "<pre>\n"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_whatever_stands_in_a_letter_its_frame_has_a_height(html: str) -> None:
    assert set(heights(html)) <= set(TALL)
