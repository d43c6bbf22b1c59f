"""What of somebody's drawing may be shown on our pages? Shapes, colours and words, written anew; nothing that acts.

Only what stands on a list is kept: elements that draw, attributes that place and colour them, values of the form that
each takes. A script, a link, a file from elsewhere, an event, a style with an address in it, an animation, a foreign
document has no place in what comes out. Entities of its own, and drawings that are larger or deeper than a logo, are
refused. Cleaning what was cleaned changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from cryptnsend.core.errors import Denied

MOST_ELEMENTS, MOST_DEPTH, MOST_ATTRIBUTES = 4000, 32, 60
NAMESPACE, LINKS = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"

_SHAPES = {"path", "rect", "circle", "ellipse", "line", "polyline", "polygon"}
_WORDS = {"text", "tspan"}
_PAINTS = {"linearGradient", "radialGradient", "stop"}
_GROUPS = {"svg", "g", "defs", "clipPath", "mask"}
_ELEMENTS = _SHAPES | _WORDS | _PAINTS | _GROUPS
_DROPPED_IN_SILENCE = {"title", "desc", "metadata", "style", "namedview"}  # no loss to who looks at it

_NUMBERS = re.compile(r"[-+0-9.,%\s]*(?:(?:e|px|pt|em|cm|mm|in)[-+0-9.,%\s]*)*", re.ASCII)
_PATH = re.compile(r"[-+0-9.,\sMmZzLlHhVvCcSsQqTtAaEe]*", re.ASCII)
_TRANSFORM = re.compile(r"(?:(?:matrix|translate|scale|rotate|skewX|skewY)\([-+0-9.,eE\s]*\)[\s,]*)*", re.ASCII)
_IDENT = re.compile(r"[A-Za-z_][\w.-]{0,99}", re.ASCII)
_WORD = re.compile(r"[A-Za-z][A-Za-z-]{0,39}", re.ASCII)
_INSIDE = r"url\(\s*['\"]?#[A-Za-z_][\w.-]{0,99}['\"]?\s*\)"  # a part of the same drawing, and of no other
_PAINT = re.compile(
    rf"#[0-9A-Fa-f]{{3,8}}|[A-Za-z]{{1,30}}|rgba?\([0-9.,%\s/]{{1,60}}\)|hsla?\([0-9.,%\s/a-z]{{1,60}}\)|{_INSIDE}",
    re.ASCII,
)
_REFERENCE = re.compile(rf"none|{_INSIDE}", re.ASCII)
_FONT = re.compile(r"[\w '\",.-]{1,200}")
_ANY_BOX = re.compile(r"[A-Za-z ]{1,40}", re.ASCII)

_PRESENTED: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(("fill", "stroke", "color", "stop-color"), _PAINT),
    **dict.fromkeys(
        ("fill-opacity", "stroke-opacity", "opacity", "stop-opacity", "stroke-width", "stroke-miterlimit",
         "stroke-dasharray", "stroke-dashoffset", "font-size", "letter-spacing", "word-spacing"),
        _NUMBERS,
    ),
    **dict.fromkeys(
        ("fill-rule", "clip-rule", "stroke-linecap", "stroke-linejoin", "text-anchor", "dominant-baseline",
         "font-style", "font-variant", "visibility", "display", "paint-order"),
        _WORD,
    ),
    "font-weight": re.compile(r"[a-z0-9]{1,10}"),
    "font-family": _FONT,
    "clip-path": _REFERENCE,
    "mask": _REFERENCE,
}  # fmt: skip
_PLACED: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(
        ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "fx", "fy", "fr", "dx", "dy", "width", "height",
         "points", "offset", "viewBox", "pathLength", "textLength", "rotate"),
        _NUMBERS,
    ),
    "d": _PATH,
    "transform": _TRANSFORM,
    "gradientTransform": _TRANSFORM,
    "id": _IDENT,
    "preserveAspectRatio": _ANY_BOX,
    **dict.fromkeys(
        ("gradientUnits", "spreadMethod", "clipPathUnits", "maskUnits", "maskContentUnits", "lengthAdjust"), _WORD
    ),
}  # fmt: skip
_RULE = re.compile(r"([^{}]*)\{([^{}]*)\}")
_CLASS = re.compile(r"\.([A-Za-z_][\w-]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing as it may be shown: its octets, its width and height, and what was taken out of it, in words."""

    octets: bytes
    width: float
    height: float
    left_out: tuple[str, ...]


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    inside: list[_Element | str] = field(default_factory=list)


def clean(octets: bytes) -> Drawing:
    """Return what may be shown of an SVG drawing; raise Denied with what is wrong with it."""
    reader = _Reader()
    try:
        reader.read(octets)
    except (expat.ExpatError, ValueError, LookupError):  # of an encoding that is none, or not for XML
        raise Denied("This drawing is damaged: it is no well-formed SVG.") from None
    root = reader.root
    if root is None:
        raise Denied("This is no SVG drawing.")
    classes = _classes("".join(reader.styles))
    left_out = dict.fromkeys(reader.left_out)
    _settle(root, classes, left_out)
    x, y, width, height = _box(root)
    root.attributes = {
        name: value for name, value in root.attributes.items() if name in _PRESENTED or name == "preserveAspectRatio"
    }
    root.attributes |= {"viewBox": " ".join(map(_short, (x, y, width, height)))}
    root.attributes |= {"width": _short(width), "height": _short(height)}
    return Drawing(_written(root, True).encode(), width, height, tuple(left_out))


class _Reader:
    """Reads a drawing into elements of the list; whatever stands inside another is passed over with it."""

    def __init__(self) -> None:
        self.root: _Element | None = None
        self.styles: list[str] = []
        self.left_out: list[str] = []
        self._open: list[_Element] = []
        self._skipped, self._in_style, self._count, self._depth = 0, False, 0, 0

    def read(self, octets: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._entity
        parser.StartDoctypeDeclHandler = self._doctype
        parser.ExternalEntityRefHandler = self._elsewhere
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.Parse(octets, True)

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: int) -> None:
        if has_subset:
            raise Denied("This drawing has declarations of its own. Save it as plain SVG.")

    def _entity(self, *_: object) -> None:
        raise Denied("This drawing has declarations of its own. Save it as plain SVG.")

    def _elsewhere(self, *_: object) -> int:
        raise Denied("This drawing asks for another file. Save it as plain SVG.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        self._count, self._depth = self._count + 1, self._depth + 1
        if self._count > MOST_ELEMENTS or self._depth > MOST_DEPTH or len(attributes) > MOST_ATTRIBUTES:
            raise Denied("This drawing is too large for a logo. Simplify it, or bring it as PNG.")
        if self._depth == 1 and (space != NAMESPACE or local != "svg"):
            raise Denied("This is no SVG drawing.")
        if self._skipped or space != NAMESPACE or local not in _ELEMENTS or (local == "svg" and self._depth > 1):
            if not self._skipped:
                self._in_style = space == NAMESPACE and local == "style"
                if space == NAMESPACE and local not in _DROPPED_IN_SILENCE:
                    self.left_out.append(f"<{local[:40]}>")
            self._skipped += 1
            return
        made = _Element(local, attributes)
        if self._open:
            self._open[-1].inside.append(made)
        else:
            self.root = made
        self._open.append(made)

    def _end(self, _name: str) -> None:
        self._depth -= 1
        if self._skipped:
            self._skipped -= 1
            self._in_style = self._in_style and self._skipped > 0
        else:
            self._open.pop()

    def _text(self, text: str) -> None:
        if self._in_style and self._skipped == 1:
            self.styles.append(text)
        elif not self._skipped and self._open and self._open[-1].name in _WORDS:
            self._open[-1].inside.append("".join(each for each in text if each.isprintable() or each in "\n\t "))


def _settle(element: _Element, classes: Mapping[str, Mapping[str, str]], left_out: dict[str, None]) -> None:
    """Leave each element what is on the list; styles become attributes, which can do no more than colour and place."""
    found: dict[str, str] = {}
    styled: dict[str, str] = {}
    for name, value in element.attributes.items():
        space, _, local = name.rpartition(" ")
        if local == "class" and not space:
            for each in value.split()[:20]:
                styled.update(classes.get(each, {}))
        elif space == LINKS or local == "href":
            if local == "href" and element.name in ("linearGradient", "radialGradient") and _is_inside(value):
                found["href"] = value
            elif local == "href":
                left_out.setdefault(f"{element.name} href")
        elif space or local == "style" or local == "version":
            continue
        else:
            _keep(local, value, found, left_out, _PRESENTED, _PLACED)
    styled = styled | _declared(element.attributes.get("style", ""), left_out)
    element.attributes = found | styled
    for inner in element.inside:
        if isinstance(inner, _Element):
            _settle(inner, classes, left_out)


def _keep(
    name: str, value: str, found: dict[str, str], left_out: dict[str, None], *lists: Mapping[str, re.Pattern[str]]
) -> None:
    value = value.strip()
    for each in lists:
        if name in each:
            if value and each[name].fullmatch(value):
                found[name] = value
            elif value:
                left_out.setdefault(f"{name}={value[:30]}")
            return
    if name.lower().startswith("on") or name == "href":
        left_out.setdefault(name[:40])


def _is_inside(value: str) -> bool:
    return value.startswith("#") and _IDENT.fullmatch(value[1:]) is not None


def _declared(text: str, left_out: dict[str, None]) -> dict[str, str]:
    """Return those declarations of a style that an attribute could say as well."""
    found: dict[str, str] = {}
    for each in re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL).split(";"):
        name, mark, value = each.partition(":")
        if mark:
            _keep(name.strip().lower(), value.replace("!important", ""), found, left_out, _PRESENTED)
    return found


def _classes(styles: str) -> dict[str, dict[str, str]]:
    """Return what each class says in the drawing's own style sheet; other selectors say nothing here."""
    found: dict[str, dict[str, str]] = {}
    for selectors, body in _RULE.findall(re.sub(r"/\*.*?\*/", " ", styles, flags=re.DOTALL)):
        declared = _declared(body, {})
        for selector in selectors.rpartition(";")[2].split(","):
            if named := _CLASS.fullmatch(selector.strip()):
                found[named[1]] = found.get(named[1], {}) | declared
    return found


def _box(root: _Element) -> tuple[float, float, float, float]:
    """Return x, y, width and height of what is to be seen; raise Denied where nobody can tell."""
    try:
        if "viewBox" in root.attributes:
            x, y, width, height = map(float, re.split(r"[\s,]+", root.attributes["viewBox"].strip()))
        else:
            x = y = 0.0
            width, height = (float(root.attributes[name].removesuffix("px")) for name in ("width", "height"))
    except (ValueError, KeyError):
        raise Denied("This drawing does not say how large it is. Save it with a viewBox.") from None
    if not (0 < width < 1e6 and 0 < height < 1e6 and abs(x) < 1e6 and abs(y) < 1e6):
        raise Denied("This drawing does not say how large it is. Save it with a viewBox.")
    return x, y, width, height


def _short(number: float) -> str:
    return f"{number:.4f}".rstrip("0").rstrip(".") or "0"


def _written(element: _Element, is_root: bool = False) -> str:
    space = f' xmlns="{NAMESPACE}"' if is_root else ""
    named = "".join(f" {name}={quoteattr(value)}" for name, value in sorted(element.attributes.items()))
    inside = "".join(escape(each) if isinstance(each, str) else _written(each) for each in element.inside)
    return f"<{element.name}{space}{named}>{inside}</{element.name}>" if inside else f"<{element.name}{space}{named}/>"
