"""What of an opened message is read, and what is saved? Text, sanitised HTML with its own pictures, attachments.

Everything comes out of one pass over the sealed stream, and only if that pass reached the end.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptnsend.core import html as markup
from cryptnsend.core.mime import Attachment, Body, Index, Part, attachments, bodies, decode_part, part_text
from cryptnsend.flow.opening import Sealed
from cryptnsend.flow.views import File

SHOWN = 2 * 1024 * 1024  # octets of all texts of one kind; what is longer is read in the saved message
LINES = 50_000  # of all plain texts together
TEXTS = 20
TAGS = 60_000  # of all HTML together; what comes after is shown as its text
PICTURES = 8 * 1024 * 1024  # octets of all inline pictures of a message together, as encoded
PICTURE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a reading page shows; both texts are None if nothing can be shown."""

    text: str | None
    html: str | None
    files: Sequence[File]
    left_out: int = 0  # pictures and styles elsewhere that the HTML asks for


def files_of(index: Index) -> list[Attachment]:
    """Return what a message has to save besides its text and the pictures within it."""
    return [each for each in attachments(index, bodies(index)) if not each.inline]


def render(index: Index | None, raw: Sealed) -> Rendered:
    """Return what can be shown of a message; raise `SealBroken` if not all of it is there."""
    if index is None:
        raw.ranges([])
        return Rendered(None, None, ())
    texts = bodies(index)[:TEXTS]
    everything = attachments(index, bodies(index))
    pictures = _pictures(index, everything)
    parts = [part for body in texts for part in body if part is not None]
    wanted = _beginnings(parts)
    wanted += [(part.body_start, part.body_end) for part in pictures.values()]
    found = raw.ranges(wanted)
    octets = {id(part): piece for part, piece in zip([*parts, *pictures.values()], found, strict=True)}
    words = _decoded(parts, octets)
    shown: set[str] = set()
    html, left_out = _html(texts, words, _sources(pictures, octets, shown))
    text = "\n\n".join(_text(body, words) for body in texts)
    left = [each for each in everything if not (each.inline and html is not None and each.cid in shown)]
    return Rendered(text, html, [_file(each) for each in left], left_out)


def _file(found: Attachment) -> File:
    return File(found.path, found.name, found.type, found.size, found.dangerous)


def _pictures(index: Index, everything: Sequence[Attachment]) -> dict[str, Part]:
    """Return the pictures that may stand within the text, by content id, as far as they fit."""
    found: dict[str, Part] = {}
    room = PICTURES
    for each in everything:
        if not each.inline or each.type not in PICTURE_TYPES or each.cid in found:
            continue
        part = index.part(each.path)
        if part.size <= room:
            found[each.cid] = part
            room -= part.size
    return found


def _sources(pictures: dict[str, Part], octets: dict[int, bytes], shown: set[str]) -> Callable[[str], str | None]:
    def source(cid: str) -> str | None:
        part = pictures.get(cid)
        if part is None:
            return None
        shown.add(cid)
        plain = b"".join(decode_part(part, [octets[id(part)]]))
        return f"data:{part.type};base64,{base64.b64encode(plain).decode()}"

    return source


def _beginnings(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """Return which octets of each part are read: of each kind as many as can be shown, whatever their encoding."""
    room = dict.fromkeys(("text/plain", "text/html"), 2 * SHOWN)
    found = []
    for part in parts:
        taken = min(part.size, room[part.type])
        room[part.type] -= taken
        found.append((part.body_start, part.body_start + taken))
    return found


def _decoded(parts: Sequence[Part], octets: dict[int, bytes]) -> dict[int, str]:
    """Return the text of each part, by its identity, as far as there is room for its kind."""
    room, lines = dict.fromkeys(("text/plain", "text/html"), SHOWN), LINES
    found: dict[int, str] = {}
    for part in parts:
        text = part_text(part, [octets[id(part)]], room[part.type])
        room[part.type] -= min(len(text), room[part.type])
        if part.type == "text/plain":
            text = text.replace("\r\n", "\n")
            if text.count("\n") > lines:
                text = "\n".join(text.split("\n", lines)[:lines])
            lines -= text.count("\n")
        found[id(part)] = text
    return found


def _html(texts: Sequence[Body], words: dict[int, str], source: Callable[[str], str | None]) -> tuple[str | None, int]:
    """Return sanitised HTML of all texts, None where each is plain, and how much it asked for from elsewhere."""
    if all(body.html is None for body in texts):
        return None, 0
    pieces: list[str] = []
    left_out = tags = 0
    for body in texts:
        if body.html is not None:
            tags += words[id(body.html)].count("<")
        if body.html is not None and pieces and tags > TAGS:
            pieces.append(markup.text_to_html(markup.plain_text(words[id(body.html)])))
        elif body.html is not None:
            cleaned = markup.sanitize(words[id(body.html)], cid=source)
            pieces.append(cleaned.html)
            left_out += cleaned.blocked_remote
        elif body.text is not None:
            flowed = body.text.params.get("format", "").lower() == "flowed"
            delsp = body.text.params.get("delsp", "").lower() == "yes"
            pieces.append(markup.text_to_html(words[id(body.text)], flowed=flowed, delsp=delsp))
    return "<hr>".join(pieces), left_out


def _text(body: Body, words: dict[int, str]) -> str:
    if body.text is not None:
        return words[id(body.text)]
    return markup.to_text(words[id(body.html)]) if body.html is not None else ""
