"""How does a stranger's HTML become something that can be shown?

First style sheets and everything that holds raw text are taken out, then the rest is weighed; what is too heavy is
shown as its text. nh3 keeps listed elements, attributes and addresses only; safe style rules are written into the
elements, and nh3 has the last word. The result is meant for a sandboxed frame all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import css_inline
import nh3

from cryptnsend.core.css import safe_style, take_sheets
from cryptnsend.core.html_text import printable, without_tags
from cryptnsend.core.html_text import text_to_html as text_to_html
from cryptnsend.core.html_text import to_text as to_text
from cryptnsend.core.html_weight import MAX_OCTETS, beginning, too_heavy

_MAX_DECLARED = 6_000_000  # style declarations times elements
_MAX_TEXT = 500_000  # characters shown of what is too heavy; the original can be downloaded
_MAX_DATA_IMAGE = 1024 * 1024

_TAGS = {
    "a", "abbr", "acronym", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption",
    "center", "cite", "code", "col", "colgroup", "dd", "del", "details", "dfn", "dir", "div", "dl", "dt", "em",
    "figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins",
    "kbd", "li", "main", "mark", "nav", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "samp", "section", "small",
    "span", "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr",
    "tt", "u", "ul", "var", "wbr",
}  # fmt: skip
_ANY = {"align", "bgcolor", "dir", "height", "lang", "style", "title", "valign", "width", "border"}
_ATTRIBUTES = {
    "*": _ANY,
    "a": {"href"},
    "img": {"src", "alt"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type", "reversed"},
    "ul": {"type"},
    "li": {"value", "type"},
    "table": {"cellpadding", "cellspacing", "summary", "rules", "frame"},
    "td": {"colspan", "rowspan", "headers", "scope", "abbr", "nowrap"},
    "th": {"colspan", "rowspan", "headers", "scope", "abbr", "nowrap"},
    "col": {"span"},
    "colgroup": {"span"},
    "blockquote": {"type"},
    "details": {"open"},
    "time": {"datetime"},
}
_FIRST_PASS = {**_ATTRIBUTES, "*": _ANY | {"class", "id"}}
_DROPPED = {
    "script",
    "style",
    "title",
    "noscript",
    "template",
    "iframe",
    "object",
    "noembed",
    "noframes",
    "svg",
    "math",
}
_HREF = re.compile(r"(?:https?://|mailto:|tel:)[^\s\x00-\x20<>\"`\\]+", re.IGNORECASE)
_DATA_IMAGE = re.compile(r"data:image/(?:png|gif|jpe?g|webp);base64,[A-Za-z0-9+/=\s]+", re.IGNORECASE)
_REMOTE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
_REMOTE_STYLE = re.compile(r"url\(\s*['\"]?\s*(?:https?:)?//|@import", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sanitized:
    """HTML that may be shown in a sandboxed frame, and what was found while cleaning it."""

    html: str
    blocked_remote: int = 0  # pictures and styles that would have been fetched
    links: list[str] = field(default_factory=list)  # where its links lead, without doubles
    as_text: bool = False  # it was too large or too deep: this is its text


def sanitize(html: str, *, cid: Callable[[str], str | None]) -> Sanitized:
    """
    Return *html* without anything that runs, fetches, covers or leaves the frame; never raises.

    *cid* turns the content id of an inline picture into an address to show it from, or None. Links open in a new
    window without a referrer. Style sheets are inlined as far as their rules are safe.
    """
    html = beginning(html)
    body, sheet = take_sheets(printable(html))
    if too_heavy(body):
        return Sanitized(text_to_html(without_tags(body)[:_MAX_TEXT]), as_text=True)
    work = _Work(cid)
    work.blocked = len(_REMOTE_STYLE.findall(html))
    if sheet and sheet.count(":") * body.count("<") <= _MAX_DECLARED:
        cleaned = work.clean(body, _FIRST_PASS)
        return work.done(work.clean(_inlined(cleaned, sheet), _ATTRIBUTES))
    return work.done(work.clean(body, _ATTRIBUTES))


def plain_text(html: str) -> str:
    """Return the text of HTML by taking out its tags, for what is too much to be laid out; never raises."""
    return without_tags(take_sheets(beginning(html))[0])


def _inlined(html: str, sheet: str) -> str:
    inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, inline_style_tags=True)
    try:
        inlined = inliner.inline(f"<style>{sheet}</style>{html}")
    except (css_inline.InlineError, ValueError):
        return html
    return inlined if len(inlined) <= 2 * MAX_OCTETS else html


class _Work:
    """One message's cleaning: what was blocked, which links and pictures it has."""

    def __init__(self, cid: Callable[[str], str | None]):
        self._cid = cid
        self._shown: set[str] = set()  # picture addresses that this cleaning made
        self.blocked = 0
        self.links: dict[str, None] = {}

    def clean(self, html: str, attributes: dict[str, set[str]]) -> str:
        return nh3.Cleaner(
            tags=_TAGS,
            clean_content_tags=_DROPPED,
            attributes=attributes,
            attribute_filter=self._attribute,
            url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
            link_rel="noopener noreferrer nofollow",
            set_tag_attribute_values={"a": {"target": "_blank"}},
        ).clean(html)

    def _attribute(self, tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return safe_style(value) or None
        if name == "href":
            return self._link(value)
        if name == "src":
            return self._picture(value)
        return value[:300]

    def _link(self, value: str) -> str | None:
        value = value.strip()
        if len(value) > 8000 or not _HREF.fullmatch(value):
            return None
        try:
            urlsplit(value)
        except ValueError:
            return None
        self.links.setdefault(value)
        return value

    def _picture(self, value: str) -> str | None:
        value = value.strip()
        if value in self._shown:
            return value
        shown: str | None = None
        if value[:4].lower() == "cid:":
            shown = self._cid(unquote(value[4:]).strip().strip("<>"))
        elif len(value) <= _MAX_DATA_IMAGE and _DATA_IMAGE.fullmatch(value):
            shown = value
        elif _REMOTE.match(value):
            self.blocked += 1
        if shown is not None:
            self._shown.add(shown)
        return shown

    def done(self, html: str) -> Sanitized:
        return Sanitized(html, self.blocked, list(self.links))


# What people write on a page: words with a little form, and nothing that hides or fetches.
_WRITTEN = {"p", "div", "br", "b", "strong", "i", "em", "u", "ul", "ol", "li", "blockquote", "a"}


def tidy(html: str) -> str:
    """Return what somebody wrote with a page's own tools as small, plain HTML, "" if no word is in it; never raises."""
    if too_heavy(html[:MAX_OCTETS]):
        return text_to_html(to_text(html)[:_MAX_TEXT])
    cleaned = nh3.Cleaner(
        tags=_WRITTEN,
        clean_content_tags=_DROPPED,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        # "//host" and "https:host" lead away, though one has no scheme to look at and the other no host.
        attribute_filter=lambda _, name, value: value if name != "href" or _HREF.fullmatch(value) else None,
        link_rel="noopener noreferrer nofollow",
    ).clean(printable(html[:MAX_OCTETS]))
    return cleaned.strip() if to_text(cleaned).strip() else ""
