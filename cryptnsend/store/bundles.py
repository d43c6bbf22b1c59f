"""How do several blobs share one file? A table in front says where each begins and how long it is.

Making a file and flushing it costs more than writing a mail of ordinary size. Blobs that become durable together
therefore lie in one file, which has a name for each of them: hard links, so that deleting one is as simple as deleting
a file of its own, and the octets go when the last name does.

Layout: BUNDLE, the number of blobs as u16, for each of them the length of its key as u8, the key, where it begins
and how many octets it has as u64 each, all big-endian; then the blobs, one behind the other in that order.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence

from cryptnsend.core.contracts import BUNDLE

MOST = 32  # blobs in a file: as long as one of them is kept, the octets of all are
_COUNT = struct.Struct(">H")
_PLACE = struct.Struct(">QQ")
_TABLE = len(BUNDLE) + _COUNT.size + MOST * (1 + 128 + _PLACE.size)  # octets at most
_BUFFERS = 512  # given to the kernel at once; it takes 1,024


def pack(blobs: Mapping[str, Sequence[bytes]]) -> list[bytes]:
    """Return the octets of a bundle in pieces; of each blob its pieces are given. At most `MOST` blobs."""
    sizes = {key: sum(map(len, pieces)) for key, pieces in blobs.items()}
    at = len(BUNDLE) + _COUNT.size + sum(1 + len(key) + _PLACE.size for key in blobs)
    table = [BUNDLE, _COUNT.pack(len(blobs))]
    for key, size in sizes.items():
        table += [bytes((len(key),)), key.encode("ascii"), _PLACE.pack(at, size)]
        at += size
    return [b"".join(table), *(piece for pieces in blobs.values() for piece in pieces)]


def place(fd: int, key: str) -> tuple[int, int] | None:
    """Return where a blob begins in an open bundle and where it ends; None if it is not there, or the table damaged."""
    table = os.pread(fd, _TABLE, 0)
    if not table.startswith(BUNDLE):
        return None
    try:
        (count,) = _COUNT.unpack_from(table, at := len(BUNDLE))
        at += _COUNT.size
        for _ in range(count):
            end = at + 1 + table[at]
            begin, size = _PLACE.unpack_from(table, end)
            if table[at + 1 : end] == key.encode("ascii"):
                return begin, begin + size
            at = end + _PLACE.size
    except (IndexError, struct.error):
        return None
    return None


def write(fd: int, pieces: Sequence[bytes]) -> None:
    """Write all octets of these pieces to a file, by as few calls as the kernel allows."""
    for first in range(0, len(pieces), _BUFFERS):
        some = pieces[first : first + _BUFFERS]
        rest = memoryview(b"".join(some))[done:] if (done := os.writev(fd, some)) < sum(map(len, some)) else b""
        while rest:
            rest = rest[os.write(fd, rest) :]
