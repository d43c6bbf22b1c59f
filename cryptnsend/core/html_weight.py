"""How much work would this HTML be, told without parsing it?

HTML parsers that follow the standard, and the serialisers behind them, have inputs for which a megabyte means minutes:
deep nesting, formatting elements left open (they are opened again in every block), content that tables push out,
thousands of attributes, long text full of characters that must be escaped. All were measured on the libraries that we
use. One linear pass counts them; what is over a bound is shown as its text.
"""

from __future__ import annotations

import re

MAX_OCTETS = 2 * 1024 * 1024
MAX_DEPTH = 200
_MAX_TAGS = 60_000
_MAX_SIGNS = 4 * _MAX_TAGS
_MAX_REOPENED = 200_000  # formatting elements open, summed over all tags
_MAX_FOSTERED = 3_000  # pieces between the rows and cells of tables
_MAX_ESCAPES = 3_000_000_000  # characters to escape times length, summed over runs of text
_MAX_ATTRIBUTE_PAIRS = 100_000_000  # squares of the number of attributes, summed over tags
_MAX_ROOTS = 20  # <html> and <body> tags: each later one is merged into the first

_TAG = re.compile(r"<(?:(/?)([a-zA-Z][^\s/>]{0,200})|[!?/])")
# The standard's tokenizer, as one expression that cannot backtrack.
_ATTRIBUTES = re.compile(
    r"""(?:[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+)*+[\s/]*+>?"""
)
_ATTRIBUTE = re.compile(r"""[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+""")
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_STRUCTURE = {"table", "tbody", "thead", "tfoot", "tr", "colgroup"}
_CELLS = {"td", "th", "caption"}
_SELF_CLOSING = {
    "p",
    "li",
    "td",
    "th",
    "tr",
    "tbody",
    "thead",
    "tfoot",
    "dd",
    "dt",
    "option",
    "optgroup",
    "colgroup",
    "rt",
    "rp",
    "html",
    "head",
    "body",
}
_FORMATTING = {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}
# Start tags that a parser may ignore: text before and after them becomes one run.
_IGNORED = _STRUCTURE | _CELLS | {"html", "head", "body", "frame", "frameset", "col"}


def beginning(html: str) -> str:
    """Return as much of *html* as is looked at: each `<` may begin a tag, and is tried as one by whoever reads on."""
    html = html[: 2 * MAX_OCTETS]
    if html.count("<") > _MAX_SIGNS:
        html = "<".join(html.split("<", _MAX_SIGNS)[:_MAX_SIGNS])
    return html


def too_heavy(html: str) -> bool:
    """
    Tell whether *html* is over one of the bounds.

    *html* has no comments and no elements of raw text left: `css.take_sheets` took them out.
    """
    if len(html) > MAX_OCTETS or len(html.encode("utf-8", "replace")) > MAX_OCTETS:
        return True
    scale = _Scale()
    at = run = 0
    while not scale.over and (match := _TAG.search(html, at)):
        text, begin = html[at : match.start()], match.start()
        if text:
            scale.text(text)
        if match[2] is None:
            at = html.find(">", match.end()) + 1 or len(html)
            continue
        name = match[2].lower()
        attributes = _ATTRIBUTES.match(html, match.end())
        at = attributes.end() if attributes else match.end()
        if not match[1] and name not in _IGNORED:
            scale.run(html[run:begin])
            run = begin
        scale.tag(name, closes=bool(match[1]))
        if at - begin > 500:
            scale.attributes(len(_ATTRIBUTE.findall(html, match.end(), at)))
    scale.run(html[run:])
    return scale.over


class _Scale:
    """The counts of one document."""

    def __init__(self) -> None:
        self._depth = self._unclosed = self._reopened = self._tags = self._roots = self._fostered = 0
        self._escapes = self._pairs = 0
        self._between = False  # inside a table, outside its cells

    @property
    def over(self) -> bool:
        """Whether any bound is passed."""
        return (
            self._depth + self._unclosed > MAX_DEPTH
            or self._tags > _MAX_TAGS
            or self._reopened > _MAX_REOPENED
            or self._fostered > _MAX_FOSTERED
            or self._roots > _MAX_ROOTS
            or self._escapes > _MAX_ESCAPES
            or self._pairs > _MAX_ATTRIBUTE_PAIRS
        )

    def text(self, text: str) -> None:
        """Count text: what is not blank between cells is pushed out of the table."""
        if self._between and not text.isspace():
            self._fostered += 1

    def run(self, run: str) -> None:
        """Count what ends up as one piece of text, at worst."""
        if len(run) > 1000:
            self._escapes += (run.count("&") + run.count("\u00a0")) * len(run)

    def attributes(self, count: int) -> None:
        """Count the attributes of one tag."""
        self._pairs += count * count

    def tag(self, name: str, *, closes: bool) -> None:
        """Count a tag."""
        self._tags += 1
        step = -1 if closes else 1
        if name in _FORMATTING:
            self._unclosed = max(self._unclosed + step, 0)
        elif name not in _VOID and name not in _SELF_CLOSING:
            self._depth = max(self._depth + step, 0)
        self._reopened += self._unclosed
        self._roots += name in {"html", "body"} and not closes
        if name in _STRUCTURE:
            self._between = not (closes and name == "table")
        elif name in _CELLS:
            self._between = closes
        elif self._between:
            self._fostered += 1
