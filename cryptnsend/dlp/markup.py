"""What does a reader see of HTML or of the XML in an office file? Its text, with what parts lines and cells."""

from __future__ import annotations

import re
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
_SAID = re.compile(r"\b(?:alt|title|value|content|placeholder)\s*+=\s*+(?:\"([^\"<>]*+)\"|'([^'<>]*+)')", re.IGNORECASE)
_LINK = re.compile(r"\bhref\s*+=\s*+(?:\"([^\"<>]*+)\"|'([^'<>]*+)'|([^\s\"'<>]++))", re.IGNORECASE)
_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*+>?")


def text_of_html(html: str) -> str:
    """Return the words of HTML of any size and shape, in time in proportion to it: no tags, cells parted by tabs."""
    html, comments = _without_hidden(html)
    words = [_words_of(html)]
    words += [_words_of(_without_hidden(each)[0]) for each in comments]
    return "\n".join(words)


def _words_of(html: str) -> str:
    links = "\n".join(unquote(unescape(one or other or bare)) for one, other, bare in _LINK.findall(html))
    said = "\n".join(one or other for one, other in _SAID.findall(html))
    html = _BLOCK.sub("\n", _CELL.sub("\t", html.replace("\r", " ").replace("\n", " ")))
    return f"{unescape(_TAG.sub('', html))}\n{unescape(said)}\n{links}"


def _without_hidden(html: str) -> tuple[str, list[str]]:
    """Cut out scripts, styles and comments, and return the comments: nobody sees them, but somebody wrote them.

    A script or a style without an end hides the rest, as it does in a browser.
    """
    kept: list[str] = []
    comments: list[str] = []
    at = 0
    while found := _HIDDEN.search(html, at):
        kept.append(html[at : found.start()])
        if found[1] is None:
            end = html.find("-->", found.end())
            comments.append(html[found.end() : end if end >= 0 else len(html)])
            at = end + 3 if end >= 0 else len(html)
            continue
        kept.append(" ")
        end_tag = _ENDS[found[1].lower()].search(html, found.end())
        if end_tag is None:
            return "".join(kept), comments
        at = end_tag.start()
    return "".join((*kept, html[at:])), comments


BREAKS = frozenset({"p", "h", "br", "cr", "line-break", "tr", "row", "table-row", "si", "comment", "txBody", "li"})
TABS = frozenset({"tab", "tc", "table-cell", "covered-table-cell", "ptab"})
CELLS = TABS - {"tab", "ptab"}
PARTED = frozenset({"s", "noBreakHyphen"})
QUIET = frozenset({"t", "span", "r", "a", "hlinkClick", "v", "instrText", "delText", "fldSimple", "ins", "del"})


def text_of_xml(octets: bytes, most: int) -> str:
    """
    Return the text of an XML document with what parts its lines and cells, as office files name these.

    Raises NotRead for what is no XML or declares entities, and TooMuch above *most* characters.
    """
    reader = _Reader(most)
    reader.read(octets)
    return "".join(reader.out)


class _Reader:
    """Gathers text from expat's events; runs of one paragraph are one word."""

    def __init__(self, most: int):
        self.out: list[str] = []
        self._left, self._cells, self._open = most, 0, 0

    def read(self, octets: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._say
        parser.EntityDeclHandler = _refuse
        try:
            parser.Parse(octets, True)
        except expat.ExpatError:
            raise NotRead("no XML") from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._open += 1
        if self._open > 1000:
            raise TooMuch("nested")
        local = name.rpartition(" ")[2]
        if local in CELLS:
            self._cells += 1
        if local == "s":
            self._say(" ")
        if local == "Relationship" and attributes.get("TargetMode") == "External":
            self._say(f"\n{unquote(attributes.get('Target', ''))}\n")
        for key, value in attributes.items():
            if key.rpartition(" ")[2] in ("descr", "title", "string-value", "name") and len(value) > 3:
                self._say(f"\n{value}\n" if not self._cells else f" {value} ")

    def _end(self, name: str) -> None:
        self._open -= 1
        local = name.rpartition(" ")[2]
        if local in TABS:
            self._cells -= local in CELLS
            self._say("\t")
        elif local in BREAKS:
            self._say(" " if self._cells and local not in ("tr", "table-row") else "\n")
        elif local == "noBreakHyphen":
            self._say("-")
        elif local not in QUIET and local not in PARTED:
            self._say(" ")

    def _say(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise TooMuch("text")
        self.out.append(text)


def _refuse(*_: object) -> None:
    raise NotRead("entities")
