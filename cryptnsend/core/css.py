"""Which style rules of a stranger may reach the page?

Both style attributes and style sheets are cut down to listed properties with checked values: nothing that loads
(`url()`), nothing that leaves its place (position, negative margins), no escapes. The sheet is cut down *before*
css-inline sees it: one rule with ten thousand made-up properties keeps that library busy for minutes.
"""

from __future__ import annotations

import re

_PROPERTIES = frozenset(
    {
        "background-color", "border", "border-bottom", "border-bottom-color", "border-bottom-style",
        "border-bottom-width", "border-collapse", "border-color", "border-left", "border-left-color",
        "border-left-style", "border-left-width", "border-radius", "border-right", "border-right-color",
        "border-right-style", "border-right-width", "border-spacing", "border-style", "border-top", "border-top-color",
        "border-top-style", "border-top-width", "border-width", "clear", "color", "direction", "display", "float",
        "font", "font-family", "font-size", "font-style", "font-variant", "font-weight", "height", "letter-spacing",
        "line-height", "margin", "margin-bottom", "margin-left", "margin-right", "margin-top", "max-height",
        "max-width", "min-height", "min-width", "overflow-wrap", "padding", "padding-bottom", "padding-left",
        "padding-right", "padding-top", "table-layout", "text-align", "text-decoration", "text-indent",
        "text-transform", "unicode-bidi", "vertical-align", "white-space", "width", "word-break", "word-spacing",
        "word-wrap",
    }
)  # fmt: skip
# No "(" but in the listed functions, no backslash, no minus before a number: those pull boxes over their neighbours.
_VALUE = re.compile(
    r"(?:(?:rgba?|hsla?)\([\d\s.,%/]*\)|[^\W\d_][\w-]*+|[+]?[\d.]++[\w%]*+|#[0-9a-f]{3,8}|[\s,/'\"]|![ ]?important)+",
    re.IGNORECASE,
)
_MAX_VALUE = 200
_MAX_STYLE = 4000
_MAX_SHEET = 256 * 1024
_MAX_RULES = 1500
_SELECTOR = re.compile(r"[\w\s.#*>+~,\[\]=\"'|^$:-]{1,300}")
_COMBINATORS = re.compile(r"[\s>+~]+")


def safe_style(text: str) -> str:
    """Return the declarations of *text* that may stay; the last one of a name counts."""
    kept: dict[str, str] = {}
    for declaration in text[:_MAX_STYLE].split(";"):
        name, _, value = declaration.partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "background":
            name = "background-color"  # a bare colour survives the check below, a picture does not
        if name in _PROPERTIES and len(value) <= _MAX_VALUE and _VALUE.fullmatch(value):
            kept[name] = value
    return ";".join(f"{name}:{value}" for name, value in kept.items())


def take_sheets(html: str) -> tuple[str, str]:
    """
    Return *html* without comments and elements of raw text, and the safe rules of its style sheets as one sheet.

    At-rules are left out: a frame for reading has no other media.
    """
    html = _without(html, "<!--", "-->")[0]
    html, sheets = _without_raw(html)
    rules: list[str] = []
    for sheet in sheets:
        css = _without(sheet[:_MAX_SHEET], "/*", "*/")[0].replace("<!--", " ").replace("-->", " ")
        rules += _rules(css, _MAX_RULES - len(rules))
    return html, "".join(rules)


def _without(text: str, begin: str, end: str) -> tuple[str, list[str]]:
    """Take out what stands between *begin* and *end* (an unclosed one runs to the end), in one pass."""
    kept, taken, at = [], [], 0
    while (start := text.find(begin, at)) >= 0:
        kept.append(text[at:start])
        stop = text.find(end, start + len(begin))
        stop = len(text) if stop < 0 else stop
        taken.append(text[start + len(begin) : stop])
        at = stop + len(end)
    kept.append(text[at:])
    return "".join(kept), taken


# Elements whose content a parser takes for text, or in which it follows other rules; none of it is shown.
_TO_THE_END = ("script", "style", "title", "iframe", "noembed", "noframes", "textarea", "xmp", "plaintext")
_OTHERS = ("noscript", "template", "object", "svg", "math", "select", "listing", "frameset")
_RAW = re.compile(rf"<({'|'.join(_TO_THE_END + _OTHERS)})(?=[\s/>])[^>]*+>?", re.IGNORECASE)
_CLOSE = {name: re.compile(rf"</{name}(?=[\s/>])[^>]*+>?", re.IGNORECASE) for name in _TO_THE_END + _OTHERS}


def _without_raw(html: str) -> tuple[str, list[str]]:
    """Take out elements of raw text, each for a blank; return the rest and the contents of style elements."""
    kept, sheets, at = [], [], 0
    unclosed: set[str] = set()  # names whose end was looked for in vain
    while match := _RAW.search(html, at):
        kept.append(html[at : match.start()])
        name, at = match[1].lower(), match.end()
        close = None if name in unclosed else _CLOSE[name].search(html, at)
        if close is None:
            unclosed.add(name)
        if close or name in _TO_THE_END:
            if name == "style":
                sheets.append(html[at : close.start() if close else len(html)])
            at = close.end() if close else len(html)
    kept.append(html[at:])
    return " ".join(kept), sheets


def _rules(css: str, room: int) -> list[str]:
    rules: list[str] = []
    at = 0
    while len(rules) < room and (brace := css.find("{", at)) >= 0:
        prelude = css[at:brace].rpartition(";")[2].rpartition("}")[2].strip()
        if prelude.startswith("@"):
            at = _block_end(css, brace)
            continue
        end = css.find("}", brace)
        end = len(css) if end < 0 else end
        selectors = [s.strip() for s in prelude.split(",")]
        safe = [s for s in selectors if _SELECTOR.fullmatch(s) and len(_COMBINATORS.findall(s)) <= 8][:50]
        style = safe_style(css[brace + 1 : end])
        if safe and style:
            rules.append(f"{','.join(safe)}{{{style}}}")
        at = end + 1
    return rules


_BRACE = re.compile(r"[{}]")


def _block_end(css: str, brace: int) -> int:
    depth = 0
    for match in _BRACE.finditer(css, brace):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.end()
    return len(css)
