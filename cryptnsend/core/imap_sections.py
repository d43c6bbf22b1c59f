"""Which octets does FETCH answer with? RFC 3501 §6.4.5, RFC 3516 §4.

`View` is a message as one account sees it: a sealed index and a way to read ranges of the sealed message. ENVELOPE,
BODYSTRUCTURE and header fields come from the index alone; a part is a range, so that one attachment of a large message
costs what it is long. The author's view has back the fields that were cut out (`mime_headers.cut_bcc`); offsets of the
index then shift by their length.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from cryptnsend.core import imap_structure
from cryptnsend.core.html_text import to_text
from cryptnsend.core.imap_envelope import with_bcc
from cryptnsend.core.imap_items import Section
from cryptnsend.core.imap_text import BadCommand
from cryptnsend.core.mime_decode import decode_part, is_decodable, part_text
from cryptnsend.core.mime_index import ImapText, Index, Part, imap_text, is_message
from cryptnsend.core.mime_indexer import index_blocks

BLOCK = 64 * 1024  # octets that are read at once
_MAX_HEADER = 1024 * 1024  # octets of a header in which fields are looked for

Read = Callable[[int, int], bytes]  # offset and length of octets of the sealed message; fewer only at its end


class Span(NamedTuple):
    """A range of the sealed message."""

    offset: int
    length: int


Piece = bytes | Span


class Content:
    """Octets that an item of FETCH is answered with; *size* is known before any of them is read."""

    def __init__(self, size: int, blocks: Callable[[], Iterator[bytes]]):
        self.size = size
        self._blocks = blocks

    def blocks(self) -> Iterator[bytes]:
        """Yield the octets in blocks of at most BLOCK, *size* octets in all."""
        return self._blocks()

    def octets(self) -> bytes:
        """Return all of them; for what is small."""
        return b"".join(self._blocks())


class View:
    """One message, to fetch from. What it does not need is not decoded and not read."""

    def __init__(
        self,
        index: bytes | Callable[[], bytes],
        read: Read,
        cuts: Sequence[tuple[int, bytes]] = (),
        size: int | None = None,
    ):
        """
        *index* is the sealed index without its padding, or what opens it; *cuts* are the author's, if it is for them.

        *size* is how many octets the sealed message has, where that is known without its index.
        """
        self._given, self._read, self._cuts, self._size = index, read, cuts, size
        self._index: Index | None = None
        self._text: ImapText | None = None

    @property
    def index(self) -> Index:
        """Return the whole index; one of version 1 is made anew from the message, which is read for it."""
        if self._index is None:
            index = Index.from_octets(self._octets())
            if index.imap is None:
                index = index_blocks(self._blocks([Span(0, index.size)]))
            self._index = index
        return self._index

    @property
    def size(self) -> int:
        """RFC822.SIZE: octets of the message as it is shown here."""
        return self.index.size + sum(len(octets) for _, octets in self._cuts)

    def finished(self) -> ImapText | None:
        """Return all of its finished texts as they are seen here; None if its header is too long to be among them."""
        text = self._texts()
        if not text.header:
            return None
        return ImapText(self.envelope(), text.structure, self.header()) if self._cuts else text

    def envelope(self) -> bytes:
        """Return ENVELOPE."""
        return with_bcc(self._texts().envelope, _bcc(self._cuts))

    def bodystructure(self) -> bytes:
        """Return BODYSTRUCTURE."""
        return imap_structure.bodystructure(self._texts().structure)

    def body(self) -> bytes:
        """Return BODY, which is BODYSTRUCTURE without extension data."""
        return imap_structure.body(self._texts().structure)

    def header(self) -> bytes:
        """Return the header block with its empty line; of a very long one the first MiB."""
        kept = self._texts().header
        if not self._cuts and kept:
            return kept
        return b"".join(self._blocks(self._header() if kept else _slice(self._header(), 0, _MAX_HEADER)))

    def ready(self, section: Section) -> bytes | None:
        """Return the octets of what nearly every list asks for, header fields; None for anything else: see `fetch`."""
        if not is_header(section) or not self._texts().header:
            return None
        return of_header(section, self.header())

    def fetch(self, section: Section) -> Content | None:
        """
        Return the octets of a section, None if the message has no such part.

        Raises BadCommand, a NO, for a part in an encoding that is not known (RFC 3516 §4.3).
        """
        if section.kind != "BODY":
            return self._binary(section)
        pieces = self._pieces(section)
        return None if pieces is None else self._content(pieces, section.partial)

    def texts(self, limit: int) -> Iterator[str]:
        """Yield the texts of the message, each read no further than *limit* octets, for SEARCH."""
        for _, part in self.index.walk():
            if part.type in {"text/plain", "text/html"} and part.disposition != "attachment":
                text = part_text(part, self._blocks([_span(part.body_start, part.body_end)]), limit)
                yield to_text(text) if part.type == "text/html" else text

    # --- pieces ---

    def _texts(self) -> ImapText:
        text = self._text
        if text is None:
            text = self._text = imap_text(self._octets()) or self.index.imap
        assert text is not None  # noqa: S101 - an index that was just made has its texts
        return text

    def _octets(self) -> bytes:
        if not isinstance(self._given, bytes):
            self._given = self._given()
        return self._given

    def _pieces(self, section: Section) -> list[Piece] | None:
        text = section.text
        if not section.path and text.startswith("HEADER") and self._texts().header:
            # What nearly every listing asks for: the index is not even decoded.
            header = self.header()
            named = text == "HEADER.FIELDS"
            return [header if text == "HEADER" else select_fields(header, section.fields, chosen=named)]
        if not section.path and not text and not self._cuts and self._size is not None:
            return [Span(0, self._size)]
        part = self._part(section.path)
        if part is None:
            return None
        root = self.index.root
        if text == "MIME":
            return self._header() if part is root else [_span(part.header_start, part.body_start)]
        if section.path and text:
            # HEADER and TEXT of a part are those of the message it encloses.
            if not is_message(part) or not part.parts:
                return None
            part = part.parts[0]
            head: list[Piece] = [_span(part.header_start, part.body_start)]
        else:
            head = self._header() if part is root else []
        body = _span(part.body_start, part.body_end)
        if text.startswith("HEADER.FIELDS"):
            block = self.header() if part is root else b"".join(self._blocks(_slice(head, 0, _MAX_HEADER)))
            return [select_fields(block, section.fields, chosen=text == "HEADER.FIELDS")]
        if text == "HEADER":
            return head
        return [body] if text == "TEXT" or section.path else [*head, body]

    def _part(self, path: Sequence[int]) -> Part | None:
        """Return the part of that path, numbered as IMAP does; () is the message."""
        part = container = self.index.root
        for depth, number in enumerate(path):
            if container.type.startswith("multipart/") and container.parts:
                if number > len(container.parts):
                    return None
                part = container.parts[number - 1]
            elif number == 1:
                part = container  # the lone body of a message
            else:
                return None
            if depth == len(path) - 1:
                break
            if is_message(part) and part.parts:
                container = part.parts[0]
            elif part.type.startswith("multipart/") and part.parts:
                container = part
            else:
                return None
        return part

    def _header(self) -> list[Piece]:
        """Return the pieces of the message's own header, the cuts in their places."""
        end, at, done = self.index.root.body_start, 0, 0
        pieces: list[Piece] = []
        for offset, octets in self._cuts:
            here = min(offset - done, end)
            pieces += [_span(at, here), octets]
            at, done = here, done + len(octets)
        return [piece for piece in (*pieces, _span(at, end)) if _length(piece)]

    def _content(self, pieces: list[Piece], partial: tuple[int, int] | None) -> Content:
        chosen = _slice(pieces, *partial) if partial else pieces
        return Content(sum(map(_length, chosen)), lambda: self._blocks(chosen))

    def _binary(self, section: Section) -> Content | None:
        part = self._part(section.path)
        if part is None:
            return None
        if not section.path or part.parts:
            pieces = self._pieces(section)
            return None if pieces is None else self._content(pieces, section.partial)
        if not is_decodable(part):
            raise BadCommand("This part is in an encoding that is not known here.", status="NO", code=b"UNKNOWN-CTE")
        start, count = section.partial or (0, part.size * 2)
        span = _span(part.body_start, part.body_end)

        def blocks() -> Iterator[bytes]:
            return _window(decode_part(part, self._blocks([span])), start, count)

        return Content(sum(map(len, blocks())), blocks)

    def _blocks(self, pieces: Iterable[Piece]) -> Iterator[bytes]:
        for piece in pieces:
            if isinstance(piece, bytes):
                for at in range(0, len(piece), BLOCK):
                    yield piece[at : at + BLOCK]
            else:
                kept = self._text.header if self._text else b""
                if piece.offset + piece.length <= len(kept):
                    yield kept[piece.offset : piece.offset + piece.length]
                    continue
                for at in range(piece.offset, piece.offset + piece.length, BLOCK):
                    yield self._read(at, min(BLOCK, piece.offset + piece.length - at))


def _span(start: int, end: int) -> Span:
    return Span(start, end - start)


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.length


def _slice(pieces: Iterable[Piece], start: int, count: int) -> list[Piece]:
    """Return *count* octets from *start* on, as many as there are."""
    found: list[Piece] = []
    for piece in pieces:
        length = _length(piece)
        if start < length and count > 0:
            taken = min(length - start, count)
            if isinstance(piece, bytes):
                found.append(piece[start : start + taken])
            else:
                found.append(Span(piece.offset + start, taken))
            count -= taken
        start = max(start - length, 0)
    return found


def _window(blocks: Iterable[bytes], start: int, count: int) -> Iterator[bytes]:
    for block in blocks:
        if count <= 0:
            return
        if start < len(block):
            taken = block[start : start + count]
            count -= len(taken)
            for at in range(0, len(taken), BLOCK):
                yield taken[at : at + BLOCK]
        start = max(start - len(block), 0)


# --- what lists ask for --------------------------------------------------------------------------------------------


def is_header(section: Section) -> bool:
    """Say whether a section asks for the message's own header or fields of it, and for the whole of them."""
    return not section.path and not section.partial and section.kind == "BODY" and section.text.startswith("HEADER")


def of_header(section: Section, header: bytes) -> bytes:
    """Return what such a section is of a header block."""
    if section.text == "HEADER":
        return header
    return select_fields(header, section.fields, chosen=section.text == "HEADER.FIELDS")


# --- header fields -------------------------------------------------------------------------------------------------


def select_fields(header: bytes, fields: tuple[bytes, ...], *, chosen: bool) -> bytes:
    """
    Return the fields of a header block that *fields* names, or if not *chosen* all others, and an empty line.

    Names are lower case. Lines that are no field count as one that nobody names.
    """
    block = b"" if header == b"\r\n" else header[:-2] if header.endswith(b"\r\n\r\n") else header
    named, kept, is_kept = _named(fields), [], not chosen
    for line in block.split(b"\n"):
        if not line.startswith(_FOLD):
            name, colon, _ = line.partition(b":")
            is_kept = (named[name] if colon else False) is chosen
        if is_kept:
            kept.append(line)
    selected = b"\n".join(kept).rstrip(b"\r\n")
    return selected + b"\r\n\r\n" if selected else b"\r\n"


_FOLD = (b" ", b"\t")
_SPELLINGS = 500  # of names that are remembered


class _Named(dict[bytes, bool]):
    """Says whether what stands before a colon is one of some names; headers spell theirs in few ways."""

    def __init__(self, fields: tuple[bytes, ...]):
        super().__init__()
        self._fields = frozenset(fields)

    def __missing__(self, name: bytes) -> bool:
        found = name.rstrip(b" \t").lower() in self._fields
        if len(self) < _SPELLINGS:
            self[name] = found
        return found


_named = lru_cache(maxsize=64)(_Named)


_BCC = re.compile(rb"^bcc[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE)


def _bcc(cuts: Sequence[tuple[int, bytes]]) -> bytes:
    """Return the unfolded value of the Bcc fields among *cuts*."""
    found = chain.from_iterable(_BCC.findall(octets) for _, octets in cuts)
    return b",".join(value.replace(b"\r", b"").replace(b"\n", b"").strip() for value in found)
