"""How tall must the frame of a stranger's letter be?

The frame may run nothing and has no origin, so that it cannot tell, and its page may not look. So the server lays the
letter out roughly, as a browser would: lines of text by their length, blocks with their margins, cells side by side.
It knows neither the reader's fonts nor their window; what it guesses too low scrolls in the frame, what it guesses too
high leaves some white below.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from dataclasses import dataclass, field, replace

TALL = (
    *(64, 96, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512, 576, 640, 768, 896, 1024),
    *(1280, 1536, 1792, 2048, 2560, 3072, 3840),
)  # px; a class each in web/static/cryptnsend.css
WIDE, NARROW = 570, 314  # px that a letter has in a window of a desk and on a phone
SPARE = 1.02  # of what was guessed
SIZE, LEADING, CHARACTER = 17.0, 1.6, 0.5  # px; of the size: a line, and a character on average, rather too wide
IMAGE = (160.0, 160.0)  # px of an image that does not say

LOOKED_AT = 60_000  # characters, which are more than the tallest frame has room for; images not counted
DEPTH = 250  # elements within each other; the sanitiser lets fewer stand

_DATA = re.compile(r'"data:[^"]*"')
# The sanitiser writes all attributes in double quotes.
_TOKEN = re.compile(r"""<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:[^<>"]|"[^"]*")*+)>|([^<]+|<)""")
_ATTRIBUTE = re.compile(r"""\s(width|height|style|src)="([^"]*)\"""", re.IGNORECASE)
_LENGTH = re.compile(r"\s*(-?[0-9]+(?:\.[0-9]+)?|-?\.[0-9]+)\s*(px|pt|em|rem|%|)", re.I)
_WIDE_CHARACTER = re.compile("[\u2e80-\uffdc]")  # the scripts of East Asia
_UNITS = {"px": 1.0, "": 1.0, "pt": 4 / 3, "rem": 16.0}
_LINE = {"br", "hr", "img"}
_VOID = _LINE | {"wbr", "col"}
# As browsers' own style sheets have it: margin above and below in em of its own size, size in em, indent in px.
_BLOCKS = {
    "p": (1.0, 1.0, 0), "h1": (0.67, 2.0, 0), "h2": (0.83, 1.5, 0), "h3": (1.0, 1.17, 0), "h4": (1.33, 1.0, 0),
    "h5": (1.67, 0.83, 0), "h6": (2.33, 0.67, 0), "ul": (1.0, 1.0, 40), "ol": (1.0, 1.0, 40), "dl": (1.0, 1.0, 0),
    "dd": (0.0, 1.0, 40), "blockquote": (1.0, 1.0, 80), "figure": (1.0, 1.0, 80), "pre": (1.0, 1.0, 0),
    "hr": (0.5, 1.0, 0),
    **dict.fromkeys(
        ("div", "li", "dt", "table", "tr", "td", "th", "caption", "center", "address", "article", "aside", "section",
         "header", "footer", "main", "nav", "details", "summary", "figcaption"),
        (0.0, 1.0, 0),
    ),
}  # fmt: skip


@dataclass(slots=True)
class _Style:
    """What an element hands down to its text."""

    size: float = SIZE
    leading: float = LEADING
    is_pre: bool = False


@dataclass(slots=True)
class _Box:
    """A column of text: how wide it is, how far down it is filled, and what stands in its last line."""

    width: float
    y: float = 0.0
    margin: float = 0.0  # below the last block; the next one's is not added to it
    line: float = 0.0
    height: float = 0.0  # of the last line

    def put(self, width: float, height: float) -> None:
        """Put text or an image into the last line."""
        self.line += width
        self.height = max(self.height, height)

    def end_line(self) -> None:
        if self.height:
            self.y += self.margin + self.height * max(1, math.ceil(self.line / max(self.width, 20.0)))
            self.margin = self.line = self.height = 0.0

    def space(self, margin: float) -> None:
        self.end_line()
        self.margin = max(self.margin, margin)


@dataclass(slots=True)
class _Element:
    """An element that is open: what it does when it ends."""

    tag: str
    style: _Style
    below: float = 0.0  # margin
    padding: float = 0.0  # below
    indent: float = 0.0
    least: float = 0.0  # where it ends at the earliest
    cells: list[float] = field(default_factory=list)  # of a row: how wide they want to be
    count: int = 0  # of a row: cells so far
    bottom: float = 0.0  # of a row: where its tallest cell ends
    outer: _Box | None = None  # of a cell: where its row stands


def heights(html: str) -> tuple[int, int]:
    """Return how tall the frame of a sanitised letter should be, in a wide and in a narrow window: two of TALL."""
    tokens = [
        (match[1], match[2], match[3], match[4]) for match in _TOKEN.finditer(_DATA.sub('"data:"', html)[:LOOKED_AT])
    ]
    wanted = _cells(tokens)
    wide, narrow = (_Layout(width, wanted).height(tokens) * SPARE for width in (WIDE, NARROW))
    return tuple(TALL[min(bisect_left(TALL, each), len(TALL) - 1)] for each in (wide, narrow))  # type: ignore[return-value]


_Tokens = list[tuple[str, str, str, str]]


def _cells(tokens: _Tokens) -> list[list[float]]:
    """Return for each row, in the order in which they begin, how much text each of its cells has, in px."""
    rows: list[list[float]] = []
    open_rows: list[list[float]] = []
    for closing, name, _attributes, text in tokens:
        tag = name.lower() if name else ""
        if text and open_rows and open_rows[-1]:
            open_rows[-1][-1] += len(text) * SIZE * CHARACTER
        elif tag == "tr" and not closing:
            rows.append([])
            open_rows.append(rows[-1])
        elif tag == "tr" and open_rows:
            ended = sum(open_rows.pop())
            if open_rows and open_rows[-1]:
                open_rows[-1][-1] = max(open_rows[-1][-1], ended)
        elif tag in ("td", "th") and not closing and open_rows:
            open_rows[-1].append(0.0)
    return rows


class _Layout:
    """One pass over a letter, for one width."""

    def __init__(self, width: float, cells: list[list[float]]):
        self._box = _Box(width)
        self._open = [_Element("body", _Style())]
        self._rows = iter(cells)

    def height(self, tokens: _Tokens) -> float:
        for closing, name, attributes, text in tokens:
            if self._box.y > TALL[-1]:
                break
            if text:
                self._text(text)
            elif closing:
                self._end(name.lower())
            else:
                self._begin(name.lower(), attributes)
        while len(self._open) > 1:
            self._close()
        self._box.end_line()
        return self._box.y + self._box.margin + 8  # the body's padding

    def _text(self, text: str) -> None:
        style, box = self._open[-1].style, self._box
        pieces = text.split("\n") if style.is_pre else [" ".join(text.split())]
        for at, piece in enumerate(pieces):
            if at:
                box.put(0, style.size * style.leading)
                box.end_line()
            if piece:
                width = len(piece) + len(_WIDE_CHARACTER.findall(piece))
                box.put(width * style.size * CHARACTER, style.size * style.leading)

    def _begin(self, tag: str, attributes: str) -> None:
        style = self._open[-1].style
        own = {found[1].lower(): found[2] for found in _ATTRIBUTE.finditer(attributes)}
        if tag == "br":
            self._box.put(0, style.size * style.leading)
            self._box.end_line()
        elif tag == "img":
            self._image(own, style)
        elif tag == "hr":
            self._box.space(style.size / 2)
            self._box.put(0, 2)
            self._box.space(style.size / 2)
        elif tag not in _VOID and len(self._open) < DEPTH:
            self._element(tag, own, style)

    def _image(self, own: dict[str, str], style: _Style) -> None:
        declared = _declared(own.get("style", ""))
        width = _length(declared.get("width") or own.get("width"), style.size, self._box.width)
        height = _length(declared.get("height") or own.get("height"), style.size, 0)
        if not own.get("src"):
            return
        if width is None or height is None:
            width, height = (width or height or IMAGE[0]), (height or width or IMAGE[1])
        if width > self._box.width:
            width, height = self._box.width, height * self._box.width / width
        self._box.put(width, height)

    def _element(self, tag: str, own: dict[str, str], outer: _Style) -> None:
        declared, box = _declared(own.get("style", "")), self._box
        around, scale, indent = _BLOCKS.get(tag, (0.0, 1.0, 0))
        style = replace(outer, size=outer.size * scale, is_pre=outer.is_pre or tag == "pre")
        style.size = _length(declared.get("font-size"), outer.size, outer.size) or style.size
        style.leading = _leading(declared.get("line-height"), style)
        element = _Element(tag, style)
        if tag in _BLOCKS:
            above = below = around * style.size
            box.space(_edge(declared, "margin", 0, above, style.size))
            element.below = _edge(declared, "margin", 2, below, style.size)
            top = _edge(declared, "padding", 0, 0.0, style.size)
            element.padding = _edge(declared, "padding", 2, 0.0, style.size)
            if top or tag in ("tr", "table"):
                box.y, box.margin = box.y + box.margin + top, 0.0
            element.least = box.y + (_length(declared.get("height") or own.get("height"), style.size, 0) or 0.0)
            sides = sum(_edge(declared, name, at, 0.0, style.size) for name in ("margin", "padding") for at in (1, 3))
            element.indent = min(indent + max(sides, 0.0), max(box.width - 40, 0.0))
            box.width -= element.indent
        if tag == "tr":
            element.cells, element.bottom = next(self._rows, []), box.y
        elif tag in ("td", "th") and self._open[-1].tag == "tr":
            element.outer = box
            self._box = _Box(self._cell(self._open[-1], box.width), box.y)
        self._open.append(element)

    def _cell(self, row: _Element, width: float) -> float:
        """Return how wide the next cell of a row is: as wide as it wants if all have room, else its share."""
        wanted = [max(each, 24.0) for each in row.cells] or [width]
        mine = wanted[min(row.count, len(wanted) - 1)]
        row.count += 1
        return width * mine / sum(wanted)

    def _end(self, tag: str) -> None:
        if any(each.tag == tag for each in self._open[1:]):
            while self._close() != tag:
                pass

    def _close(self) -> str:
        element = self._open.pop()
        box = self._box
        if element.tag in _BLOCKS:
            box.end_line()
            if element.padding or box.y < element.least:
                box.y = max(box.y + box.margin + element.padding, element.least)
                box.margin = 0.0
            box.margin = max(box.margin, element.below)
            box.width += element.indent
        if element.outer is not None:
            self._box = element.outer
            self._open[-1].bottom = max(self._open[-1].bottom, box.y + box.margin + 4)  # spacing and padding
        elif element.tag == "tr":
            box.y, box.margin = max(box.y, element.bottom), 0.0
        return element.tag


def _declared(style: str) -> dict[str, str]:
    pairs = (each.partition(":") for each in style.split(";") if ":" in each)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _length(value: str | None, em: float, whole: float) -> float | None:
    """Return a length in px, None for what is none; *whole* is what per cents are of."""
    found = _LENGTH.match(value) if value else None
    if found is None:
        return None
    number, unit = float(found[1]), found[2].lower()
    return number * whole / 100 or None if unit == "%" else number * (em if unit == "em" else _UNITS[unit])


def _leading(value: str | None, style: _Style) -> float:
    """Return the height of a line, in sizes."""
    found = _LENGTH.match(value) if value else None
    if found is None:
        return LEADING if value == "normal" else style.leading
    number = float(found[1])
    sizes = {"": number, "em": number, "%": number / 100}.get(found[2].lower())
    return sizes if sizes is not None else (_length(value, style.size, 0) or 0.0) / max(style.size, 1.0)


def _edge(declared: dict[str, str], name: str, side: int, usual: float, em: float) -> float:
    """Return a margin or padding in px; *side* counts from above to the left, as style sheets do."""
    one = declared.get(f"{name}-{('top', 'right', 'bottom', 'left')[side]}")
    if one is None and name in declared:
        four = declared[name].split()
        one = four[
            (0, 1, 2, 3)[side] if len(four) == 4 else {1: 0, 2: side % 2, 3: (0, 1, 2, 1)[side]}.get(len(four), 0)
        ]
    found = _length(one, em, 0)
    return usual if found is None and one is None else found or 0.0
