"""What does a reader see of HTML or of the XML in an office file? Its text, with what parts lines and cells."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from urllib.parse import unquote
from xml.parsers import expat

from cryptnsend.dlp.budget import NotRead, TooMuch

_HIDDEN = re.compile(r"<(?:(script|style)\b|!--)", re.IGNORECASE | re.ASCII)
_ENDS = {each: re.compile(f"</{each}", re.IGNORECASE | re.ASCII) for each in ("script", "style")}
_CELL = re.compile(r"</t[dh]\s*+>|<td\b[^<>]*+>?", re.IGNORECASE)
_BLOCK = re.compile(
    r"<(?:/?(?:p|div|tr|table|ul|ol|h[1-6]|blockquote|pre|hr|dt|dd|section|article|option|title)|br|li)\b[^<>]*+>?",
    re.IGNORECASE,
)
# Attributes that are shown, read out, or kept for a program by somebody who had the words at hand.
_SAID = re.compile(
    r"\b(?:alt|title|value|content|placeholder|label|summary|abbr|aria-[a-z]{1,30}|data-[a-z0-9_-]{1,40})\s*+=\s*+"
    r"(?:\"([^\"<>]*+)\"|'([^'<>]*+)'|([^\s\"'<>]++))",
    re.IGNORECASE,
)
# What a browser does not show may part a number: a second reading goes without it.
_INVISIBLE = re.compile(
    r"<(span|div|font|p|td|b|i|a)\b[^<>]{0,300}?(?:display\s{0,3}:\s{0,3}none|visibility\s{0,3}:\s{0,3}hidden"
    r"|font-size\s{0,3}:\s{0,3}0(?![.\d])|mso-hide\s{0,3}:\s{0,3}all)[^<>]{0,300}>[^<]*+</\1\s{0,3}>",
    re.IGNORECASE,
)
_LINK = re.compile(r"\bhref\s*+=\s*+(?:\"([^\"<>]*+)\"|'([^'<>]*+)'|([^\s\"'<>]++))", re.IGNORECASE)
_TAG = re.compile(r"<[a-zA-Z/!?](?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+'|[\"'])*+>?")


def text_of_html(html: str) -> str:
    """
    Return the words of HTML of any size and shape, in time in proportion to it: no tags, cells parted by tabs.

    Below them stands what a browser does not show and travels all the same: comments, scripts, styles.
    """
    html, hidden = _without_hidden(html)
    words = [_words_of(html)]
    if _INVISIBLE.search(html):
        words.append(_words_of(_INVISIBLE.sub("", html)))
    words += [_words_of(each.replace("<!--", " ").replace("-->", " ")) for each in hidden]
    return "\n".join(words)


def has_tags(text: str) -> bool:
    """Say whether text is marked up, so that tags may part its words."""
    return "</" in text or "/>" in text


def _words_of(html: str) -> str:
    links = "\n".join(unquote(unescape(one or other or bare)) for one, other, bare in _LINK.findall(html))
    said = "\n".join(one or other or bare for one, other, bare in _SAID.findall(html))
    html = _BLOCK.sub("\n", _CELL.sub("\t", html.replace("\r", " ").replace("\n", " ")))
    return f"{unescape(_TAG.sub('', html))}\n{unescape(said)}\n{links}"


def _without_hidden(html: str) -> tuple[str, list[str]]:
    """Cut out scripts, styles and comments, and return them: nobody sees them, but somebody wrote them.

    A script or a style without an end hides the rest, as it does in a browser.
    """
    kept: list[str] = []
    hidden: list[str] = []
    at = 0
    while found := _HIDDEN.search(html, at):
        kept.append(html[at : found.start()])
        if found[1] is None:
            end = html.find("-->", found.end())
            hidden.append(html[found.end() : end if end >= 0 else len(html)])
            at = end + 3 if end >= 0 else len(html)
            continue
        kept.append(" ")
        end_tag = _ENDS[found[1].lower()].search(html, found.end())
        hidden.append(html[found.end() : end_tag.start() if end_tag else len(html)].removeprefix(">"))
        if end_tag is None:
            return "".join(kept), hidden
        at = end_tag.start()
    return "".join((*kept, html[at:])), hidden


BREAKS = frozenset({"p", "h", "br", "cr", "line-break", "tr", "row", "table-row", "si", "comment", "txBody", "li"})
TABS = frozenset({"tab", "tc", "table-cell", "covered-table-cell", "ptab"})
CELLS = TABS - {"tab", "ptab"}
PARTED = frozenset({"s", "noBreakHyphen"})
QUIET = frozenset({"t", "span", "r", "a", "hlinkClick", "v", "instrText", "delText", "fldSimple", "ins", "del"})
PARAGRAPHS = frozenset({"p", "h"})
# Attributes with words of somebody: names and texts of pictures, properties, hints, links, records of a pivot table.
_WORDS = frozenset(
    (
        "descr", "title", "string-value", "name", "v", "instr", "prompt", "promptTitle", "error", "errorTitle",
        "display", "tooltip", "caption", "text", "current-value", "label", "description", "formula",
    )
)  # fmt: skip
_OF_VALUE = frozenset({"docVar", "alias", "tag", "placeholder", "dataBinding", "property"})  # whose word is in val


def text_of_xml(octets: bytes, most: int) -> str:
    """
    Return the text of an XML document with what parts its lines and cells, as office files name these.

    Raises NotRead for what is no XML or declares entities, and TooMuch above *most* characters.
    """
    reader = _Reader(most)
    reader.read(octets)
    return "".join((*reader.out, "\n", *reader.aside))


def parse(
    octets: bytes,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    say: Callable[[str], None],
) -> None:
    """Tell what stands in XML, names as "namespace name"; raise NotRead for what is none, or declares entities."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, say
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(octets, True)
    except expat.ExpatError:
        raise NotRead("no XML") from None


def _refuse(*_: object) -> None:
    raise NotRead("entities")


class _Reader:
    """Gathers text from expat's events; runs of one paragraph are one word, whatever is noted between them."""

    def __init__(self, most: int):
        self.out: list[str] = []
        self.aside: list[str] = []  # what stands in attributes, and so beside the text
        self._left, self._cells, self._paragraphs, self._open = most, 0, 0, 0

    def read(self, octets: bytes) -> None:
        parse(octets, self._start, self._end, self._say)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._open += 1
        if self._open > 1000:
            raise TooMuch("nested")
        local = name.rpartition(" ")[2]
        self._cells += local in CELLS
        self._paragraphs += local in PARAGRAPHS
        if local == "s":
            self._say(" ")
        elif local == "sym":
            self._say(_sign(attributes))
        if local == "Relationship" and attributes.get("TargetMode") == "External":
            self._note(unquote(attributes.get("Target", "")))
        for key, value in attributes.items():
            word = key.rpartition(" ")[2]
            if word == "string-value" and self._cells:
                self._say(f" {value} ")
            elif len(value) > 2 and (word in _WORDS or (word == "val" and local in _OF_VALUE)):
                self._note(value)

    def _end(self, name: str) -> None:
        self._open -= 1
        local = name.rpartition(" ")[2]
        self._paragraphs -= local in PARAGRAPHS
        if local in TABS:
            self._cells -= local in CELLS
            self._say("\t")
        elif local in BREAKS:
            self._say(" " if self._cells and local not in ("tr", "table-row") else "\n")
        elif local == "noBreakHyphen":
            self._say("-")
        elif not self._paragraphs and local not in QUIET and local not in PARTED:
            self._say(" ")

    def _say(self, text: str) -> None:
        self._count(text)
        self.out.append(text)

    def _note(self, text: str) -> None:
        self._count(text)
        self.aside += (text, "\n")

    def _count(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise TooMuch("text")


def _sign(attributes: dict[str, str]) -> str:
    """Return the sign that Word took from a font of symbols, which stand at F000 and up."""
    for key, value in attributes.items():
        if key.rpartition(" ")[2] == "char" and len(value) == 4:
            try:
                return chr(int(value, 16) & 0xFF) if value[:2].upper() == "F0" else chr(int(value, 16))
            except ValueError:
                break
    return " "
