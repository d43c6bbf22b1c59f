"""Is the row of a link still as it was written? Or who has the right password would be told that it is wrong.

What a link opens rests under a key that we do not have, so that a damaged row and a wrong password look alike. A mark
in the row, the hash of all of it that never changes, tells them apart. It keeps nobody from changing rows on purpose:
whoever does can hash them, too, and still opens nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import structlog

from cryptnsend import metrics
from cryptnsend.core.contracts import Reader, Row
from cryptnsend.core.seal import framed
from cryptnsend.store.records import filelinks
from cryptnsend.store.records.filelinks import LinkRow

MARKED = (
    "id", "org", "message", "locator", "way", "salt", "params", "files", "own", "pair", "most", "ends", "created",
)  # fmt: skip

log = structlog.stdlib.get_logger(__name__)


def mark_of(link: LinkRow) -> bytes:
    """Return the mark of a link that is about to be written: SHA-256, 32 octets."""
    return _mark({name: getattr(link, name) for name in MARKED})


def is_whole(row: Row) -> bool:
    """Say whether a link that holds is as it was written; one from before there were marks is taken for that."""
    return not row["mark"] or row["mark"] == _mark(row)


def tell(row: Row) -> None:
    """Let whoever runs the server know of a damaged row: by the log, and by a figure."""
    log.error("the row of a file link is damaged", link=row["id"], message=row["message"])
    metrics.count("file_links", result="damaged")


def damaged(reader: Reader) -> Sequence[int]:
    """Return the numbers of links that hold and whose rows are damaged."""
    return [row["id"] for row in filelinks.every_active(reader) if not is_whole(row)]


def _mark(fields: Mapping[str, bytes | int | str]) -> bytes:
    return hashlib.sha256(framed("file link row", *(fields[name] for name in MARKED))).digest()
