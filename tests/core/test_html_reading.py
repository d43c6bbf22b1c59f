"""Marks in what is read: links say where they lead, quotes are folded, and nothing else of the letter changes."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.html import sanitize
from cryptnsend.core.html_reading import annotate, leads_to, quoted_tail
from cryptnsend.core.links import target
from tests.core.attacks import ATTACKS

OWN = "<p>Thank you, the tablets work well.</p>"
LONG = "<p>" + "What you wrote before. " * 10 + "</p>"
FOLD = ("<details>", "</details>")


def marked(html: str) -> str:
    def lead(url: str, words: str) -> str:
        found = target(url, words)
        return leads_to(found, words, found.odd)

    return annotate(sanitize(html, cid=lambda _: None).html, lead=lead, fold=lambda: FOLD)


def test_a_link_is_followed_by_where_it_leads() -> None:
    made = marked('<p><a href="https://portal.clinic.example/x?y=1" title="a &gt; b">the <b>portal</b></a></p>')
    assert made.endswith('</a><small class="leads"> → portal.clinic.example</small></p>')


def test_words_that_say_it_already_are_not_repeated() -> None:
    made = marked(
        '<a href="https://clinic.example/">https://CLINIC.example/</a> <a href="mailto:a@b.example">a@b.example</a>'
    )
    assert "leads" not in made


def test_a_link_that_lies_says_so() -> None:
    made = marked('<a href="https://evil.example/">https://clinic.example/</a>')
    assert '<small class="leads odd"> → evil.example (elsewhere)</small>' in made


@pytest.mark.parametrize(
    "html",
    [
        OWN + f"<blockquote>{LONG}</blockquote>",
        f"<div><blockquote>{LONG}<blockquote>{LONG}</blockquote></blockquote>{OWN}</div>",
        OWN
        + f'<div style="border-top:solid #e1e1e1 1pt"><p><b>From:</b> Ann</p><p><b>Sent:</b> Monday</p></div>{LONG}',
        OWN + f"<hr><div><b>From:</b> Ann<br><b>Sent:</b> Monday<br>{LONG}</div>",
    ],
)
def test_what_is_quoted_is_folded_once(html: str) -> None:
    made = marked(html)
    before, _, rest = made.partition("<details>")
    inside, _, behind = rest.partition("</details>")
    assert made.count("<details>") == made.count("</details>") == 1
    assert "What you wrote before" in inside
    assert "What you wrote before" not in before + behind
    assert "tablets" in before + behind


@pytest.mark.parametrize(
    "html",
    [
        f"<blockquote>{LONG}</blockquote><p>FYI</p>",  # the quote is the message
        OWN + "<blockquote>What about iron?</blockquote>",
        OWN + "<hr>" + LONG,
        OWN + f"<p>From: here on all is well.</p>{LONG}",
    ],
)
def test_what_is_the_message_itself_stays_open(html: str) -> None:
    assert "<details>" not in marked(html)


@pytest.mark.parametrize(
    ("text", "own"),
    [
        (
            "Thank you, that is what I need.\n\n-----Original Message-----\nFrom: Ann\n",
            "Thank you, that is what I need.",
        ),
        (
            "Thank you, that is what I need.\n\nFrom: Ann <a@b>\nSent: Monday\nTo: Pat\n",
            "Thank you, that is what I need.",
        ),
        ("Gracias, es lo que necesito.\n\nDe: Ana\nEnviado el: lunes\nPara: Pat\n", "Gracias, es lo que necesito."),
    ],
)
def test_an_earlier_message_at_the_end_of_a_text_is_found(text: str, own: str) -> None:
    place = quoted_tail(text)
    assert place is not None
    assert text[:place].strip() == own


def test_a_forwarded_message_is_not_taken_for_a_quote() -> None:
    assert quoted_tail("FYI\n\n-----Original Message-----\nFrom: Ann\n") is None


TAG = re.compile(r'<(/?)([a-z0-9]+)(?:[^<>"]|"[^"]*")*>')


def balanced(html: str) -> bool:
    open_now: list[str] = []
    for closes, name in TAG.findall(html):
        if name in ("br", "hr", "img", "col", "wbr"):
            continue
        if not closes:
            open_now.append(name)
        elif not open_now or open_now.pop() != name:
            return False
    return not open_now


PIECES = st.lists(
    st.sampled_from(
        ["<blockquote>", "</blockquote>", "<div>", "</div>", "<p>", "<hr>", "<table><tr><td>", "</td></tr></table>",
         '<a href="https://x.example/">', "</a>", "From: Ann Sent: Monday ", LONG, OWN, "<br>", "<ul><li>", "</ul>"]
    )
)  # fmt: skip


@given(PIECES)
def test_marks_never_tear_what_they_stand_in(pieces: list[str]) -> None:
    html = "".join(pieces)
    made = marked(html)
    assert balanced(made)
    bare = re.sub(r"</?details>|<small.*?</small>", "", made)
    assert bare == sanitize(html, cid=lambda _: None).html


@pytest.mark.parametrize("attack", ATTACKS)
def test_marks_open_no_way_for_an_attack(attack: str) -> None:
    again = sanitize(marked(OWN + attack), cid=lambda _: None).html
    assert "<script" not in again
    assert re.sub(r"</?(?:details|small)[^>]*>", "", again) == re.sub(
        r"</?(?:details|small)[^>]*>", "", sanitize(again, cid=lambda _: None).html
    )


@pytest.mark.parametrize(
    "html", ["<hr>From:" * 20_000, "<blockquote>" * 90 + LONG * 300, '<a href="https://x.example">' * 9000]
)
def test_marking_takes_no_longer_than_reading(html: str) -> None:
    clean = sanitize(html, cid=lambda _: None).html
    began = time.perf_counter()
    annotate(clean, lead=lambda url, words: words, fold=lambda: FOLD)
    assert time.perf_counter() - began < 5
