"""Where does the content end, and is it fit to be kept? RFC 5321 §4.1.1.4, §4.5.2 and §2.3.8.

Octets are looked at in bulk, because a line at a time costs more than sealing them. Pure but for `receive`, which is
handed what it reads from and writes to.
"""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable

from cryptnsend.core.errors import Malformed, Refusal, TooBig
from cryptnsend.submission.contract import Submission
from cryptnsend.submission.limits import Limits

_END = b"\r\n.\r\n"
_LAST = (b"\r", b"\n", b".")  # what all beginnings of it end with
_HOPS = 300  # dots of one piece that are looked at one by one; where there are more, all pieces are split instead


class Content:
    """
    Turns what follows the 354 into content: finds its end, and takes the stuffed dots out.

    Refuses bare CR, bare LF and NUL: other servers disagree about what they mean, and such mail, handed on, can carry
    a second one that nobody checked. Works on pieces of any length, cut anywhere.
    """

    def __init__(self) -> None:
        # The reply line 354 ended with CRLF, so a first line of a single dot is the end. This CRLF is no content.
        self._carry = b"\r\n"
        self._virtual = 2
        self._newlines = io.IncrementalNewlineDecoder(None, translate=False)
        self._dotted = False
        self.ended = False
        self.rest = b""  # what came behind the end; set when ended

    def feed(self, piece: bytes) -> bytes:
        """
        Return the content that *piece* completes.

        At most four octets are held back, those which may be part of the end. Raises `Malformed`; the connection is
        then of no further use, as its end of data cannot be known.
        """
        octets = self._carry + piece
        fresh = len(self._carry)
        held = _held(octets)
        limit = len(octets) - held
        kept: list[bytes] = []
        start = look = hops = 0
        while not self._dotted and (dot := octets.find(b".", look, limit)) >= 0:
            if octets[dot - 2 : dot] == b"\r\n":
                if octets.startswith(b"\r\n", dot + 1):
                    limit = dot
                    self._finish(octets, dot + 3)
                    break
                kept.append(octets[start:dot])
                start = dot + 1
            look = dot + 1
            hops += 1
            self._dotted = hops > _HOPS
        if self._dotted and not self.ended:
            lines = octets[start:limit].split(b"\r\n.")
            if len(lines) > 1 and (end := octets.find(_END, start)) >= 0:
                limit = end + 2
                self._finish(octets, end + 5)
                lines = octets[start:limit].split(b"\r\n.")
            kept.append(b"\r\n".join(lines))
            start = limit
        self._check(piece if not self.ended else octets[fresh : len(octets) - len(self.rest)])
        self._carry = octets[limit:] if not self.ended else b""
        if start < limit:
            kept.append(octets[start:limit])
        content = kept[0] if len(kept) == 1 else b"".join(kept)
        if self._virtual and content:
            content = content[self._virtual :]
            self._virtual = 0
        return content

    def _finish(self, octets: bytes, end: int) -> None:
        self.ended = True
        self.rest = octets[end:]

    def _check(self, octets: bytes) -> None:
        # The decoder is the fastest way to see every kind of line end, and remembers a CR that ends a piece.
        self._newlines.decode(octets.decode("latin-1"))
        if self._newlines.newlines not in (None, "\r\n"):
            raise Malformed("The message contains a bare CR or LF; lines must end with CR LF.")
        if b"\0" in octets:
            raise Malformed("The message contains a NUL octet.")


def _held(octets: bytes) -> int:
    """Return how many octets at the end may turn out to be the start of the end of data."""
    if octets[-1:] not in _LAST:
        return 0
    for length in (4, 3, 2, 1):
        if octets.endswith(_END[:length]):
            return length
    return 0


class Header:
    """Cuts the header block, blank line included, off the front of the content (RFC 5322 §2.1)."""

    def __init__(self, limit: int):
        self._limit = limit
        self._block = bytearray()
        self.complete = False

    def feed(self, content: bytes) -> tuple[bytes, bytes]:
        """
        Return (header block, what follows it); both empty while the block is not whole.

        Raises `Refusal` when the block is larger than the limit.
        """
        blank = content.find(b"\r\n\r\n") if not self._block else -1
        if 0 < blank <= self._limit - 4 and not content.startswith(b"\r\n"):  # all in one piece, as usual
            self.complete = True
            return content[: blank + 4], content[blank + 4 :]
        look = max(0, len(self._block) - 3)
        self._block += content
        if self._block.startswith(b"\r\n"):  # no header field at all
            end = 2
        else:
            blank = self._block.find(b"\r\n\r\n", look)
            end = blank + 4 if blank >= 0 else 0
        if (end or len(self._block)) > self._limit:
            raise Refusal(f"The header has more than {self._limit:,} bytes.", code=552, status="5.6.0")
        if not end:
            return b"", b""
        self.complete = True
        return bytes(self._block[:end]), bytes(self._block[end:])

    def finish(self) -> bytes:
        """Return the block of a message that ended without a blank line."""
        self.complete = True
        return bytes(self._block)


async def receive(
    submission: Submission,
    *,
    read: Callable[[], Awaitable[bytes]],
    unread: Callable[[bytes], None],
    limits: Limits,
) -> int:
    """
    Read one message to its end, pass it on to *submission*, and return its size in octets.

    *read* returns the next octets of the connection, *unread* takes back those behind the end of data.
    Raises whatever refuses the message, with *submission* aborted, and (but for `Malformed` in what was read) only
    after the rest was read and thrown away, because a client does not listen before its last dot.
    """
    content, header = Content(), Header(limits.header)
    size = 0
    trouble: Exception | None = None
    try:
        while not content.ended:
            octets = content.feed(await read())
            if content.ended:
                unread(content.rest)
            if trouble is not None:
                continue
            size += len(octets)
            try:
                if size > limits.size:
                    raise TooBig(size, limits.size)
                waiting = _pass_on(submission, header, octets, last=content.ended)
                if waiting is not None:
                    await waiting
            except Exception as error:  # raised again below: the client has to be heard out first
                trouble = error
                submission.abort()
    except BaseException:
        if trouble is None:
            submission.abort()
        raise
    if trouble is not None:
        raise trouble
    return size


def _pass_on(submission: Submission, header: Header, octets: bytes, *, last: bool) -> Awaitable[None] | None:
    if not header.complete:
        block, octets = header.feed(octets)
        if header.complete:
            submission.header(block)
        elif last:
            submission.header(header.finish())
    return submission.body(octets) if octets else None
