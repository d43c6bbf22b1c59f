"""Is everything that the rows promise there, and whole? A walk over all of the vault that opens nothing.

Sizes tell what was cut short; what archives have listed tells, octet for octet, what was changed behind everybody's
back or by a disk. What is younger than two days, or in no archive, is read all the same: a disk that cannot give it
back says so now and not on the day when it is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from cryptnsend.core.contracts import Engine, Row
from cryptnsend.core.errors import BlobGone, SealBroken, StoreBroken
from cryptnsend.core.seal import framed, plain_size, sealed_size
from cryptnsend.flow import linkmarks
from cryptnsend.store import backup
from cryptnsend.store.records import archive, upkeep
from cryptnsend.store.vault import Stored, Vault

PADDED = frozenset({"index", "author_index", "files"})
Progress = Callable[[str, int, int], None]  # what is looked at, how much is done, of how much


class Wrong(NamedTuple):
    """One thing that is not as it should be: `missing`, `cut`, `unreadable`, `changed`, `damaged` or `litter`."""

    what: str
    where: str  # a blob's key, or a place in words


def verify(engine: Engine, vault: Vault, progress: Progress = lambda what, done, total: None) -> Iterator[Wrong]:
    """
    Yield what is wrong; `litter` is not: a blob without a row, normal while mail arrives.

    Reads all sealed content once. What is shredded meanwhile is passed over.
    """
    progress("database", 0, 1)
    for found in backup.damages(engine, "integrity_check"):
        yield Wrong("damaged", found)
    if dangling := upkeep.dangling(engine):
        yield Wrong("damaged", f"{dangling} rows point at nothing")
    progress("database", 1, 1)
    done, total = 0, upkeep.count_parts(engine)
    for message, parts in groupby(upkeep.parts(engine), itemgetter("message")):
        rows = list(parts)
        yield from _message(engine, vault, message, rows)
        done += len(rows)
        progress("content", min(done, total), total)
    for link in linkmarks.damaged(engine):
        yield Wrong("damaged", f"link {link}: it opens nothing, and whoever made it can make another one")
    for kind, key in vault.verify(engine):
        yield Wrong(kind, key)


def _message(engine: Engine, vault: Vault, message: int, parts: list[Row]) -> Iterator[Wrong]:
    whole, is_whole = hashlib.sha256(), True
    wrong: list[Wrong] = []
    has_bcc = any(row["part"] == "author_index" for row in parts)
    for row in parts:
        part = f"message {message}, {row['part']}"
        try:
            size, digest = _read(vault, Stored(row["body"], row["blob_key"]))
        except BlobGone:
            is_whole = False  # said with the blob's key where rows are compared with blobs
            continue
        except StoreBroken:
            wrong.append(Wrong("unreadable", part))
            continue
        if not _is_whole(row, size, has_bcc=has_bcc):
            wrong.append(Wrong("cut", f"{part}: {size:,} octets rest here, and more were sealed"))
        whole.update(framed("content", row["part"], row["size"], digest))
    if not upkeep.is_kept(engine, message):
        return
    yield from wrong
    if is_whole and not wrong and any(each != whole.digest() for each in archive.digests(engine, message)):
        yield Wrong("changed", f"message {message}: not what its archive has listed")


def _is_whole(row: Row, sealed: int, *, has_bcc: bool) -> bool:
    """
    Say whether a part can be all of what was sealed.

    The padded ones have no size in their row. That of a message is what was submitted, and its Bcc fields rest apart.
    """
    is_shorter = has_bcc and row["part"] == "raw"
    if row["part"] not in PADDED and not is_shorter:
        return sealed == sealed_size(row["size"])
    try:
        return plain_size(sealed) > 0 and (not is_shorter or plain_size(sealed) < row["size"])
    except SealBroken:
        return False


def _read(vault: Vault, stored: Stored) -> tuple[int, bytes]:
    """Return size and SHA-256 of sealed octets; raise `BlobGone`, `StoreBroken`."""
    size, digest = 0, hashlib.sha256()
    for piece in vault.open(stored):
        size += len(piece)
        digest.update(piece)
    return size, digest.digest()
