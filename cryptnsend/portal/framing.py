"""How does a stranger's letter look on our pages? The document of its frame, its plain words, and a page to print.

HTML stands in a document of its own under a policy that lets nothing run and fetches nothing. Where links lead and what
is quoted is marked here, in the reader's language.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from flask import Response, render_template
from flask_babel import gettext, lazy_gettext
from markupsafe import Markup, escape

from cryptnsend.core.html_reading import Fold, annotate, leads_to, quoted_tail
from cryptnsend.core.html_text import linked
from cryptnsend.core.links import target
from cryptnsend.flow.views import Letter
from cryptnsend.portal.frames import heights
from cryptnsend.portal.security import LETTER_POLICY
from cryptnsend.portal.wearing import host
from cryptnsend.portal.words import paragraphs

# Both documents stand under a policy of their own, in an origin of their own, where our style sheet cannot be fetched.
SHELL = """<!doctype html><html lang="en"><head><meta charset="utf-8"><base target="_blank">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>html{{background:#fff;color:#14242b}}img{{max-width:100%;height:auto}}table{{max-width:100%}}\
pre{{white-space:pre-wrap}}.leads{{font:14px/1.4 system-ui,sans-serif;color:#4b5f68}}\
.odd{{color:#b3261e;font-weight:600}}{style}</style></head><body>{body}</body></html>"""
FRAMED = (
    "body{margin:0;padding:4px;font:17px/1.6 system-ui,sans-serif;overflow-wrap:anywhere}"
    ".quoted>summary{display:inline-block;min-height:24px;margin:8px 0;padding:2px 12px;border:1px solid #6d828c;"
    "border-radius:8px;color:#0b5c73;cursor:pointer}"
)
PRINTED = (
    "body{max-width:48rem;margin:0 auto;padding:16px;font:16px/1.6 system-ui,sans-serif;overflow-wrap:anywhere}"
    "header{padding-bottom:16px;margin-bottom:16px;border-bottom:1px solid #14242b}"
    "h1{font-size:24px;line-height:1.2;margin:0 0 8px}header p,footer p{margin:0 0 4px;font-size:15px}"
    "footer{margin-top:24px;padding-top:12px;border-top:1px solid #14242b}"
    "blockquote{margin:1em 0;padding-left:16px;border-left:3px solid #6d828c}"
    ".how{padding:8px 12px;border-radius:8px;background:#e4eff3;font-size:15px}"
    "@media print{.how{display:none}body{padding:0}}"
)
FOLDED = re.compile(r'<details class="quoted">.*?</summary>.*?</details>', re.DOTALL)
CLOSED = '<div style="height:46px"></div>'  # what is folded, as tall as its button
ODD = {  # what is said of a link that is not what it seems
    "elsewhere": lazy_gettext("not what the link says"),
    "alike": lazy_gettext("looks like another address, and is not"),
    "foreign": lazy_gettext("has foreign letters in its name"),
    "number": lazy_gettext("a number instead of a name"),
    "login": lazy_gettext("hides behind another name"),
}


def document(letter: Letter) -> str:
    """Return the whole document of the frame in which a message's HTML is shown."""
    return _shell(gettext("The message"), FRAMED, marked(letter))


def framed(text: str) -> Response:
    """Return a document that may do nothing, for a frame of ours."""
    response = Response(text, mimetype="text/html")
    response.headers["Content-Security-Policy"] = LETTER_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def printed(letter: Letter) -> Response:
    """Return a message on a page of its own: nothing is folded, and every link says where it leads."""
    if letter.html is None:
        body = _plain(letter, lambda: ("", ""))
    else:
        body = Markup(annotate(letter.html, lead=_lead(letter), fold=lambda: ("", "")))  # noqa: S704 - sanitised
    page = render_template("letter-print.html", letter=letter, body=body)
    response = framed(_shell(letter.subject or gettext("(no subject)"), PRINTED, page))
    response.headers["Content-Security-Policy"] = LETTER_POLICY.replace("'self'", "'none'")
    response.headers["X-Frame-Options"] = "DENY"
    return response


def marked(letter: Letter) -> str:
    """Return a message's sanitised HTML with the marks of `core.html_reading`."""
    return annotate(letter.html or "", lead=_lead(letter), fold=_fold)


def plain_words(letter: Letter) -> Markup:
    """Return a message's plain text as paragraphs, with links, and what is quoted folded."""
    return _plain(letter, _fold)


def _shell(title: str, style: str, body: str) -> str:
    return SHELL.format(title=escape(title), style=style, body=body)


def _plain(letter: Letter, fold: Fold) -> Markup:
    text = (letter.text or "").replace("\r\n", "\n").replace("\r", "\n")
    tail = quoted_tail(text)
    own = text if tail is None else text[:tail]
    html = str(paragraphs(own, linked))
    if tail is not None:
        html += f"\n<blockquote>{paragraphs(text[tail:], linked)}</blockquote>"
    return Markup(annotate(html, lead=_lead(letter), fold=fold))  # noqa: S704 - everything in it was escaped


def heights_of(letter: Letter) -> tuple[int, int]:
    """Return how tall the frame of an HTML letter should be, in a wide and in a narrow window; one fits its class."""
    return heights(FOLDED.sub(CLOSED, marked(letter)))


def _lead(letter: Letter) -> Callable[[str, str], str]:
    """Return what marks the links of a letter: hosts that look like ours or its sender's are told apart from them."""
    known = (host(), letter.sender_address.rpartition("@")[2])
    return partial(_led, tuple(each for each in known if each))


def _led(known: tuple[str, ...], url: str, words: str) -> str:
    found = target(url, words, known)
    return leads_to(found, words, str(ODD[found.odd]) if found.odd else "")


def _fold() -> tuple[str, str]:
    return f'<details class="quoted"><summary>{gettext("Earlier message")}</summary>', "</details>"
