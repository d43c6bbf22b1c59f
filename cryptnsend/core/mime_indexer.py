"""Where in the octets of a message does each part stand? Built while they stream by.

`Indexer` never raises, whatever comes, keeps memory flat, and finishes the texts of ENVELOPE and BODYSTRUCTURE from the
header blocks that it reads anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cryptnsend.core import imap_structure
from cryptnsend.core.charsets import one_line
from cryptnsend.core.imap_envelope import envelope
from cryptnsend.core.mime_headers import DESCRIBING, Headers, cut_bcc, read_headers
from cryptnsend.core.mime_index import MAX_KEPT, VERSION, ImapText, Index, Part, is_message

MAX_DEPTH = 100
MAX_PARTS = 1000
_MAX_HEADER = 256 * 1024  # octets of one part's header that are read
_WORTH_LOOKING = 4096  # octets of a block from which on a look before it is copied pays
_MAX_LINE = 1000  # a longer line is no delimiter
_MAX_FALSE = 400_000  # lines that begin like a delimiter and are none, by what each costs; the rest is opaque
_MAX_MAILBOXES = 1000
_MAX_TEXT = 512 * 1024  # octets of IMAP text; parts beyond it are described by their type only


class _Open:
    """A part whose end has not been seen, and how far its delimiter was looked for."""

    __slots__ = ("checked", "delimiter", "hit", "lines_before", "part")

    def __init__(self, part: Part, delimiter: bytes = b""):
        self.part = part
        self.delimiter = delimiter  # CRLF "--" boundary; b"" for what is no multipart, or was closed
        self.hit = -1  # offset of a delimiter seen ahead
        self.checked = part.body_start - 2  # none begins before this offset
        self.lines_before = -1  # newlines counted before the body, if its lines count


class Indexer:
    """
    Build an `Index` from a message that comes in blocks; memory stays flat, and no octets make it raise.

    Feed all blocks in order, then call `finish` once. Delimiters are found by searching for each open boundary, so
    the octets of attachments are passed over at memory speed and text that is full of dashes costs nothing.
    """

    def __init__(self) -> None:
        self.headers = Headers({})  # of the message; filled once its header block has passed
        # As if a CRLF stood before the message: then every header begins behind one, also the first.
        self._buffer, self._base = bytearray(b"\r\n"), -2
        self._size = 0
        self._root: Part | None = None
        self._open: list[_Open] = []
        self._header_at: int | None = 0  # where the header being read begins; None while in a body
        self._header = b""  # the kept beginning of an overlong header
        self._at = 0  # everything before is settled
        self._searched = -2  # no header end before this offset
        self._parts = self._false = 0
        self._counted, self._lines = 0, 0
        self._truncated = False
        self._digest = [False]  # per multipart level: children are messages unless they say otherwise
        self._kept = b""  # the header block of the message
        self._heads: list[imap_structure.Head] = []  # of all parts, in the order in which they began
        self._room = _MAX_TEXT
        self._index: Index | None = None

    def feed(self, block: bytes) -> None:
        """Take the next octets of the message."""
        self._size += len(block)
        if self._header_at is None and not any(frame.delimiter or frame.lines_before >= 0 for frame in self._open):
            return  # a single opaque body: nothing to find in it
        if self._passed_over(block):
            return
        self._buffer += block
        self._run(final=False)
        self._trim()

    def _passed_over(self, block: bytes) -> bool:
        """Take *block* without a copy of it, if no part can end in it and no line counts; else change nothing."""
        if self._header_at is not None or len(block) < _WORTH_LOOKING:
            return False
        if any(frame.lines_before >= 0 or frame.hit >= 0 for frame in self._open):
            return False
        delimiters = {frame.delimiter for frame in self._open if frame.delimiter}
        kept = max(map(len, delimiters)) - 1
        seam = bytes(self._buffer) + block[:kept]
        if not len(self._buffer) <= kept <= len(block) or any(each in seam or each in block for each in delimiters):
            return False
        self._buffer = bytearray(block[len(block) - kept :])
        self._base = self._size - kept
        for frame in self._open:
            frame.checked = max(frame.checked, self._size - len(frame.delimiter) + 1)
        return True

    def finish(self) -> Index:
        """Return the index of everything that was fed; nothing may be fed afterwards."""
        if self._index is None:
            self._index = self._finished()
        return self._index

    def _finished(self) -> Index:
        self._run(final=True)
        self._pop(0, self._size)
        headers, root = self.headers, self._root
        if root is None:  # cannot happen: the first run makes the root, if need be from an empty header
            root = Part(0, self._size, self._size)
            self._heads.append(imap_structure.head(headers, root, described=False))
        author = headers.mailboxes(b"from")
        ids = headers.message_ids(b"message-id")
        return Index(
            root=root,
            size=self._size,
            v=VERSION,
            subject=headers.subject,
            author=author[0] if author else None,
            reply_to=headers.mailboxes(b"reply-to")[:_MAX_MAILBOXES],
            to=headers.mailboxes(b"to")[:_MAX_MAILBOXES],
            cc=headers.mailboxes(b"cc")[:_MAX_MAILBOXES],
            date=headers.text(b"date", 100),
            message_id=ids[0] if ids else "",
            in_reply_to=headers.message_ids(b"in-reply-to")[:100],
            references=headers.message_ids(b"references")[-100:],
            auto=headers.text(b"auto-submitted", 40).lower(),
            truncated=self._truncated,
            imap=ImapText(envelope(headers), imap_structure.structure(root, self._heads), self._kept),
        )

    # --- the machine: one header or one delimiter at a time ---

    def _run(self, *, final: bool) -> None:
        while self._read_header(final) if self._header_at is not None else self._pass_delimiter(final):
            pass

    def _read_header(self, final: bool) -> bool:
        """Settle the header that begins at `_header_at`; return False if more octets are needed."""
        start = self._header_at
        assert start is not None  # noqa: S101 - the caller looked; this tells the type checker
        found = self._buffer.find(b"\r\n\r\n", max(start - 2, self._searched) - self._base)
        hit = self._next_hit(start - 2, final)
        if found < 0 and not final and not isinstance(hit, tuple):
            return self._keep_header(start)
        end = found + self._base if found >= 0 else self._size
        if isinstance(hit, tuple) and hit[0] < end:
            # A delimiter cuts the header off: the part has no body.
            block, body = self._octets(start, hit[0]), hit[0] + 2
        else:
            block, body = self._octets(start, end), end + 4 if found >= 0 else end
        self._begin(start, self._header or block[:_MAX_HEADER], body)
        return True

    def _keep_header(self, start: int) -> bool:
        self._searched = max(start - 2, self._base + len(self._buffer) - 3)
        if not self._header and self._size - start > _MAX_HEADER:
            self._header = self._octets(start, start + _MAX_HEADER)
        return False

    def _begin(self, start: int, block: bytes, body: int) -> None:
        """Open the part whose header is *block*; its body begins at *body*."""
        headers = read_headers(block) if block else Headers({})
        part = _part(headers, start, body)
        if self._digest[len(self._open)] and not headers.raw(b"content-type").strip():
            part.type = "message/rfc822"
        self._parts += 1
        self._describe(headers, part)
        self._header, self._header_at, self._at = b"", None, body
        if self._open:
            parent = self._open[-1].part
            parent.parts.append(part)
            if is_message(parent):
                parent.subject = headers.subject
        else:
            self._root, self.headers = part, headers
            kept = self._octets(start, body) if body <= MAX_KEPT else b""
            # Whoever feeds an index has cut Bcc out; should it be there all the same, it is in no index.
            self._kept = b"" if b"bcc" in kept.lower() and cut_bcc(kept)[1] else kept
        room = self._parts < MAX_PARTS and len(self._open) < MAX_DEPTH
        boundary = _boundary(headers, part) if part.type.startswith("multipart/") else b""
        encloses = is_message(part) and part.encoding in _IDENTITY
        frame = _Open(part, b"\r\n--" + boundary if boundary and room else b"")
        self._truncated |= not room and (bool(boundary) or encloses)
        self._open.append(frame)
        self._digest.append(part.type == "multipart/digest")
        # A multipart without a boundary is described to mail programs as text, which has lines.
        if part.type.startswith("text/") or is_message(part) or (part.type.startswith("multipart/") and not boundary):
            if any(each.lines_before >= 0 for each in self._open):
                self._count_to(body)
            else:  # nobody asked for the lines before
                self._counted = max(self._counted, body)
            frame.lines_before = self._lines
        if encloses and room:
            self._header_at, self._searched = body, body - 2

    def _describe(self, headers: Headers, part: Part) -> None:
        """Write down what the structure says of a part while its header is at hand."""
        head = imap_structure.head(headers, part, described=self._room > 0)
        if self._open and is_message(self._open[-1].part) and self._room > 0:
            self._heads[-1] = self._heads[-1]._replace(envelope=envelope(headers))
            self._room -= len(self._heads[-1].envelope)
        self._room -= len(head.front) + len(head.back)
        self._heads.append(head)

    def _pass_delimiter(self, final: bool) -> bool:
        """Settle the next delimiter of an open multipart; return False if there is none yet."""
        hit = self._next_hit(self._at - 2, final)
        if not isinstance(hit, tuple):
            return False
        at, after, level, closes = hit
        self._pop(level + 1, at)
        frame = self._open[level]
        self._at = min(after, self._size)
        if closes:
            frame.delimiter = b""
        elif self._parts >= MAX_PARTS:
            self._truncated = True
            for frame in self._open:
                frame.delimiter = b""
        elif after < self._size or not final:
            self._header_at, self._searched = after, after - 2
        return True

    def _next_hit(self, start: int, final: bool) -> tuple[int, int, int, bool] | object | None:
        """
        Find the next line from *start* on that is a delimiter of an open multipart.

        Returns (offset of its CRLF, offset behind it, level in `_open`, whether it closes), None if the buffer has
        none, or `_UNSURE` if a candidate's line is not complete.
        """
        while True:
            at = -1
            for frame in self._open:
                if frame.delimiter:
                    hit = frame.hit if frame.hit >= start else self._ahead(frame, start)
                    if hit >= 0 and (at < 0 or hit < at):
                        at = hit
            if at < 0:
                return None
            end = self._buffer.find(b"\r\n", at + 2 - self._base, at + 4 + _MAX_LINE - self._base) + self._base
            if end < self._base:
                if self._size - at <= _MAX_LINE and not final:
                    return _UNSURE
                end = self._size if final and self._size - at <= _MAX_LINE else at
            line = self._octets(at, end).rstrip(b" \t")
            for level in range(len(self._open) - 1, -1, -1):
                frame = self._open[level]
                if frame.hit == at and line in (frame.delimiter, frame.delimiter + b"--"):
                    return at, end + 2, level, line != frame.delimiter
            self._reject(at)

    def _ahead(self, frame: _Open, start: int) -> int:
        """Return where the delimiter's octets next stand at or after *start*, or -1; no octet is searched twice."""
        if frame.hit < start:
            begin = max(start, frame.checked)
            found = self._buffer.find(frame.delimiter, begin - self._base)
            frame.hit = found + self._base if found >= 0 else -1
            end = self._base + len(self._buffer) - len(frame.delimiter) + 1
            frame.checked = frame.hit if found >= 0 else max(begin, end)
            return frame.hit if found >= 0 else -1
        return frame.hit

    def _reject(self, at: int) -> None:
        self._false += 4 + len(self._open)
        for frame in self._open:
            if frame.hit == at:
                frame.hit, frame.checked = -3, at + 1
            if self._false > _MAX_FALSE:
                frame.delimiter, self._truncated = b"", True

    def _pop(self, level: int, end: int) -> None:
        """Close the parts from *level* on: their bodies end at *end*."""
        while len(self._open) > level:
            frame = self._open.pop()
            self._digest.pop()
            part = frame.part
            # The CRLF of a delimiter can be the blank line of a header: a part so cut off ends behind it, and whatever
            # encloses that part does not end before.
            part.body_end = max(end, part.body_start, part.parts[-1].body_end if part.parts else 0)
            if frame.lines_before >= 0:
                self._count_to(part.body_end)
                part.lines = self._lines - frame.lines_before

    def _count_to(self, offset: int) -> None:
        """Count newlines up to *offset*; only differences between two counts mean anything."""
        if offset > self._counted:
            self._lines += self._buffer.count(b"\n", max(self._counted - self._base, 0), offset - self._base)
            self._counted = offset

    def _octets(self, start: int, end: int) -> bytes:
        return bytes(self._buffer[max(start - self._base, 0) : max(end - self._base, 0)])

    def _trim(self) -> None:
        """Forget the octets that no later step looks at."""
        keep = self._base + len(self._buffer)
        if self._header_at is not None:
            keep = min(keep, self._searched if self._header else self._header_at - 2)
        for frame in self._open:
            if frame.delimiter:
                keep = min(keep, max(self._at - 2, frame.hit if frame.hit >= 0 else frame.checked))
        if any(frame.lines_before >= 0 for frame in self._open):
            self._count_to(keep)
        del self._buffer[: max(keep - self._base, 0)]
        self._base = max(keep, self._base)


_UNSURE = object()
_IDENTITY = {"7bit", "8bit", "binary"}
_BOUNDARY = re.compile(rb';\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^\s;"]+))', re.IGNORECASE)


def _boundary(headers: Headers, part: Part) -> bytes:
    """Return the boundary octets of a multipart, b"" if it has none that can be used (RFC 2046 §5.1.1)."""
    match = _BOUNDARY.search(headers.raw(b"content-type")[:20_000])
    if match:
        boundary = re.sub(rb"\\(.)", rb"\1", match[1]) if match[1] is not None else match[2]
    else:
        boundary = part.params.get("boundary", "").encode()
    boundary = boundary.rstrip(b" \t")
    return boundary if len(boundary) <= 250 and b"\r" not in boundary and b"\n" not in boundary else b""


def _part(headers: Headers, start: int, body: int) -> Part:
    kind, params = headers.content_type
    part = Part(start, body, body, kind, params, encoding=headers.encoding, name=params.get("name", ""))
    if headers.fields.keys() & DESCRIBING:
        part.disposition, part.disposition_params = headers.disposition
        part.name = part.disposition_params.get("filename") or part.name
        part.cid = one_line(headers.text(b"content-id", 250).strip().removeprefix("<").removesuffix(">"))
        part.description = headers.text(b"content-description", 250)
        part.language = headers.text(b"content-language", 100)
        part.location = headers.text(b"content-location", 250)
        part.md5 = headers.text(b"content-md5", 40)
    return part


def index_message(octets: bytes) -> Index:
    """Return the index of a whole message."""
    return index_blocks((octets,))


def index_blocks(blocks: Iterable[bytes]) -> Index:
    """Return the index of a message that comes in blocks."""
    indexer = Indexer()
    for block in blocks:
        indexer.feed(block)
    return indexer.finish()
