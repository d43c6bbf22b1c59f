"""Framing of DATA by a reader that looks at every octet, to hold the fast one against."""

from __future__ import annotations

import itertools

from cryptnsend.core.errors import Malformed
from cryptnsend.submission.data import Content


def reference(octets: bytes) -> tuple[bytes, bytes] | None:
    """Return (content, what follows the end) by looking at one line after the other; None for what is refused."""
    content, at = bytearray(), 0
    while True:
        end = octets.find(b"\r\n", at)
        assert end >= 0, "the end of data is in every example"
        line = octets[at:end]
        if any(octet in b"\r\n\0" for octet in line):
            return None
        at = end + 2
        if line == b".":
            return bytes(content), octets[at:]
        content += line.removeprefix(b".") + b"\r\n"


def by_pieces(octets: bytes, cuts: list[int]) -> tuple[bytes, bytes] | None:
    """Feed *octets* cut at *cuts*, as `receive` does."""
    borders = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    content, kept, at = Content(), bytearray(), 0
    try:
        for start, end in itertools.pairwise(borders):
            kept += content.feed(octets[start:end])
            at = end
            if content.ended:
                return bytes(kept), content.rest + octets[at:]
    except Malformed:
        return None
    raise AssertionError("the end of data was not seen")
