"""What helps somebody who reads sanitised HTML? Where each link leads stands beside it, and what is quoted is folded.

Works on what `core.html` made, which is well-formed and has no classes: those that are written here are nobody else's.
The marks are elements, so they work without a script and inside the sandboxed frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape, unescape
from typing import NamedTuple

from cryptnsend.core.links import Target

MOST_TAGS = 50_000  # in what has more, nothing is marked
LEAST_QUOTED = 160  # characters: shorter quotes stay open
MOST_LINES, HEAD = 50, 4000  # ruled lines behind which an earlier message is looked for, and characters of each
LEAST_OWN = 20  # characters beside the quotes; with less, the quote is the message

_TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?:[^<>"]|"[^"]*")*+)>', re.IGNORECASE)
_HREF = re.compile(r'\shref="([^"]*)"', re.IGNORECASE)
_WRITTEN = (("&nbsp;", "\u00a0"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#x27;", "'"), ("&amp;", "&"))
_VOID = frozenset({"br", "hr", "img", "col", "wbr"})
# How Outlook begins what it quotes: a ruled box or line, then the head of the earlier message.
_HEAD = re.compile(
    r"\s*(?:From|Von|De|Da|Van)\s*:.{1,600}?(?:Sent|Date|Gesendet|Enviado|Fecha|Envoyé|Inviato)\s*:", re.DOTALL
)
_TAIL_OF_TEXT = re.compile(
    r"^(?:-{2,} ?(?:Original Message|Mensaje original|Ursprüngliche Nachricht|Message d'origine) ?-{2,}"
    r"|_{20,}\s*\n(?:From|De|Von): .+"
    r"|(?:From|De|Von): .+\n(?:Sent|Enviado|Gesendet)(?: el)?: .+\n(?:To|Para|An): )",
    re.MULTILINE | re.IGNORECASE,
)

Fold = Callable[[], tuple[str, str]]  # what stands before and behind a folded quote
Lead = Callable[[str, str], str]  # (address of a link, its words) → HTML to stand behind it, "" for none


class _Tag(NamedTuple):
    start: int
    end: int
    name: str
    closes: bool
    rest: str
    depth: int  # of what it begins or ends


def annotate(html: str, *, lead: Lead, fold: Fold) -> str:
    """Return sanitised *html* with `lead`'s words behind its links and `fold` around what is quoted."""
    tags = _tags(html)
    if tags is None:
        return html
    inserts = [*_leads(html, tags, lead), *_folds(html, tags, fold)]
    # At one place what closes comes before what opens; a link's words stay inside the quote that they stand in.
    inserts.sort(key=lambda each: (each[0], each[1]))
    pieces, at = [], 0
    for place, _, words in inserts:
        pieces += [html[at:place], words]
        at = place
    return "".join([*pieces, html[at:]])


def quoted_tail(text: str) -> int | None:
    """Return where in plain *text* an earlier message is quoted whole, to its end; None where none is."""
    found = _TAIL_OF_TEXT.search(text)
    if found is None or len(text[: found.start()].strip()) < LEAST_OWN:
        return None
    return found.start()


def leads_to(found: Target, words: str, odd: str) -> str:
    """Return the mark behind a link: where it leads unless its words say so, and *odd*, words of warning."""
    if odd:
        return f'<small class="leads odd"> → {escape(found.place)} ({escape(odd)})</small>'
    if not found.place or found.place.casefold() in words.casefold():
        return ""
    return f'<small class="leads"> → {escape(found.place)}</small>'


def _tags(html: str) -> list[_Tag] | None:
    tags: list[_Tag] = []
    depth = 0
    for match in _TAG.finditer(html):
        closes, name = bool(match[1]), match[2].lower()
        if closes:
            depth -= 1
        tags.append(_Tag(match.start(), match.end(), name, closes, match[3], depth))
        if not closes and name not in _VOID:
            depth += 1
        if len(tags) > MOST_TAGS:
            return None
    return tags


def _leads(html: str, tags: list[_Tag], lead: Lead) -> list[tuple[int, int, str]]:
    made, begun = [], None
    for tag in tags:
        if tag.name != "a":
            continue
        if not tag.closes:
            begun = tag
        elif begun is not None:
            href = _HREF.search(begun.rest)
            words = " ".join(_text(html, begun.end, tag.start).split())
            mark = lead(unescape(href[1]), words) if href else ""
            if mark:
                made.append((tag.end, 0, mark))
            begun = None
    return made


def _folds(html: str, tags: list[_Tag], fold: Fold) -> list[tuple[int, int, str]]:
    spans = _quotes(html, tags)
    if not spans:
        return []
    own = len(_visible(html)) - sum(len(_text(html, start, end).strip()) for start, end in spans)
    if own < LEAST_OWN:
        return []
    made = []
    for start, end in spans:
        if len(_text(html, start, end).strip()) >= LEAST_QUOTED:
            before, behind = fold()
            made += [(start, 2, before), (end, 1, behind)]
    return made


def _quotes(html: str, tags: list[_Tag]) -> list[tuple[int, int]]:
    """Return the outermost quotes: each blockquote, and what follows a head as Outlook writes it."""
    spans: list[tuple[int, int]] = []
    lines = 0
    for number, tag in enumerate(tags):
        if tag.closes or (spans and tag.start < spans[-1][1]):
            continue
        if tag.name == "blockquote":
            spans.append((tag.start, _end_of(tags, number, html)))
        elif lines < MOST_LINES and (tag.name == "hr" or (tag.name == "div" and "border-top" in tag.rest)):
            lines += 1
            if _HEAD.match(_text(html, tag.end, tag.end + HEAD)):
                spans.append((tag.start, _end_of_parent(tags, number, html)))
    return spans


def _end_of(tags: list[_Tag], number: int, html: str) -> int:
    depth = tags[number].depth
    return next((tag.end for tag in tags[number + 1 :] if tag.closes and tag.depth == depth), len(html))


def _end_of_parent(tags: list[_Tag], number: int, html: str) -> int:
    depth = tags[number].depth
    return next((tag.start for tag in tags[number + 1 :] if tag.closes and tag.depth < depth), len(html))


def _text(html: str, start: int, end: int) -> str:
    return _unescaped(_TAG.sub(" ", html[start:end]))


def _unescaped(words: str) -> str:
    """Undo what the sanitiser and `html.escape` write, and nothing else: a call for each sign would take seconds."""
    for written, sign in _WRITTEN:
        words = words.replace(written, sign)
    return words


def _visible(html: str) -> str:
    return _text(html, 0, len(html)).strip()
