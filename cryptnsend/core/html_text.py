"""How do HTML and plain text become each other?"""

from __future__ import annotations

import re
from html import escape, unescape

import inscriptis

from cryptnsend.core.css import take_sheets
from cryptnsend.core.html_weight import MAX_OCTETS, beginning, too_heavy

_MAX_WORK = 20_000_000  # lines times characters: what padding table cells can add up to
_MAX_TAGS = 20_000
_MAX_LAID_OUT = 1024 * 1024  # characters
_BLOCK = re.compile(r"<(?:/?(?:p|div|tr|table|ul|ol|h[1-6]|blockquote|pre|hr|dt|dd)|br|li)\b[^<>]*+>?", re.IGNORECASE)
_CELL = re.compile(r"</t[dh]\s*+>?", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*+>?")


def to_text(html: str) -> str:
    """Return the text of *html*, tables laid out where they are of a bearable size; never raises."""
    body, _ = take_sheets(beginning(html))
    plain = without_tags(body)
    if (
        len(body) > _MAX_LAID_OUT
        or body.count("<") > _MAX_TAGS
        or too_heavy(body)
        or (plain.count("\n") + 1) * len(plain) > _MAX_WORK
    ):
        return plain
    try:
        text: str = inscriptis.get_text(f"<html><body>{printable(body)}</body></html>")
    except (ValueError, TypeError, AttributeError, LookupError, SyntaxError, RecursionError):
        return plain  # lxml's errors are SyntaxErrors
    return _trimmed(text) or plain


def without_tags(html: str) -> str:
    """Return the text of HTML of any size and shape that has no sheets left, by taking out its tags; never raises."""
    html = _BLOCK.sub("\n", _CELL.sub("  ", html.replace("\r", " ").replace("\n", " ")))
    return _trimmed(printable(unescape(_ANY_TAG.sub("", html))))


_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """Return *text* without the characters that no document may contain (XML 1.0 §2.2)."""
    return _UNPRINTABLE.sub("", text)


def _trimmed(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


# --- text to HTML --------------------------------------------------------------------------------------------------

_LINK = re.compile(
    r"\bhttps?://[^\s<>\"'`]{1,2000}|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", re.ASCII
)
_QUOTE = re.compile(r"(?:>[ ]?){1,20}")
_ANCHOR = '<a href="{}" rel="noopener noreferrer nofollow" target="_blank">{}</a>'


def text_to_html(text: str, *, flowed: bool = False, delsp: bool = False) -> str:
    """
    Return plain text as safe HTML: escaped, links made, quoted lines in nested blockquotes.

    *flowed* joins the lines that a sender broke for transport (RFC 3676 §4), with *delsp* dropping the space at the
    join.
    """
    lines = _quoted_lines(text[: 2 * MAX_OCTETS])
    if flowed:
        lines = _unflowed(lines, delsp=delsp)
    out, depth = ['<div class="text">'], 0
    for level, line in lines:
        if level != depth:
            out.append("<blockquote>" * (level - depth) + "</blockquote>" * (depth - level))
            depth = level
        out.append(f"{linked(line)}<br>\n")
    out.append("</blockquote>" * depth + "</div>")
    return "".join(out)


def _quoted_lines(text: str) -> list[tuple[int, str]]:
    lines = []
    for line in re.split(r"\r\n|\r|\n", printable(text)):
        quote = _QUOTE.match(line)
        lines.append((quote[0].count(">"), line[quote.end() :]) if quote else (0, line))
    return lines


def _unflowed(lines: list[tuple[int, str]], *, delsp: bool) -> list[tuple[int, str]]:
    joined: list[tuple[int, list[str]]] = []
    flowing = False
    for level, stuffed in lines:
        line = stuffed.removeprefix(" ")
        signature = line == "-- "
        if flowing and not signature and joined[-1][0] == level:
            joined[-1][1].append(line)
        else:
            joined.append((level, [line]))
        flowing = line.endswith(" ") and not signature
        if flowing and delsp:
            joined[-1][1][-1] = line[:-1]
    return [(level, "".join(pieces)) for level, pieces in joined]


def linked(line: str) -> str:
    """Return one line of plain text as safe HTML, with links where addresses stand."""
    if "@" not in line and "://" not in line:
        return _spaced(line)
    out: list[str] = []
    at = 0
    for match in _LINK.finditer(line):
        link = match[0].rstrip(".,;:!?)]}")
        target = link if "://" in link else f"mailto:{link}"
        out += (_spaced(line[at : match.start()]), _ANCHOR.format(escape(target), escape(link)))
        at = match.start() + len(link)
    out.append(_spaced(line[at:]))
    return "".join(out)


def _spaced(text: str) -> str:
    return escape(text).replace("  ", "\u00a0 ").replace("\t", "\u00a0\u00a0\u00a0 ")
