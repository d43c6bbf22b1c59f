"""How is a document made from outside? `Press` hands it to a confined process; what that cannot set goes as plain text.

A stranger's HTML, or a PDF that is to be appended, may be made to hurt whoever sets it. Its process then ends at its
limits, and the document is made again: without appended pages, and then with the bare text, which cannot nest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from cryptnsend.confined.nursery import ENDED, Order
from cryptnsend.confined.workers import Gone, Workers, ending_of
from cryptnsend.core.errors import CryptnSendError
from cryptnsend.pdf.document import Document

BEGINNING = b"%PDF-"
OVERHEAD = 16 << 20  # octets of pages and fonts that a document may have besides its files

log = structlog.get_logger("cryptnsend.pdf")


class NotMade(CryptnSendError):
    """No document can be made of this message, or none on this machine."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost: octets of memory, seconds."""

    memory: int = 1024 << 20
    seconds: int = 15


AT_ONCE = 2  # documents that one process has made at the same time; others wait
PATIENCE = 90.0  # seconds


class Press:
    """Makes documents; safe for many threads. What sets type is loaded in its own process, with the first of them."""

    def __init__(self, limits: Limits | None = None, module: str = "cryptnsend.pdf.nursery"):
        self._limits, self._workers = limits or Limits(), Workers(module)
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def make(self, document: Document, files: Sequence[Iterable[bytes]] = ()) -> bytes:
        """
        Return the locked document; *files* can each be read more than once.

        Raises NotMade, and what *files* raises.
        """
        if not self._room.acquire(timeout=PATIENCE):
            raise NotMade("Too many PDFs are being made on this server now.")
        try:
            for attempt in _attempts(document):
                made = self._made(attempt, files)
                if made is not None:
                    return made
                log.info("a document was too much to set")
        finally:
            self._room.release()
        raise NotMade("No PDF could be made of this message.")

    def close(self) -> None:
        """End the process that makes documents."""
        self._workers.close()

    def cut(self) -> None:
        """Wait for no document any more."""
        self._workers.cut()

    def _made(self, document: Document, files: Sequence[Iterable[bytes]]) -> bytes | None:
        inside = sum(each.size for each in document.files)
        order = Order(
            msgspec.msgpack.encode(document),
            memory=self._limits.memory + 4 * inside,
            cpu=self._limits.seconds,
            wall=2 * self._limits.seconds,
            answer=3 * inside + OVERHEAD,
            files=True,
            threads=True,  # with which fonts are looked for
        )
        try:
            ending = ending_of(self._workers.run(order, (piece for each in files for piece in each)))
        except Gone as gone:
            log.warning("no document could be made", error=gone.why)
            raise NotMade("No PDF can be made on this server now.") from None
        if ending.status != ENDED or ending.signal or ending.is_late:
            return None
        return ending.answer if ending.answer.startswith(BEGINNING) else None


def _attempts(document: Document) -> Iterator[Document]:
    """Yield a document, and what remains of it where it is too much: less each time."""
    may_append = document.append and any(each.is_pdf for each in document.files)
    alone = msgspec.structs.replace(document, append=False)
    if may_append:
        yield document
    yield alone
    if document.pages:
        alone = msgspec.structs.replace(alone, pages="")
        yield alone
    if document.logo:
        yield msgspec.structs.replace(alone, logo=b"")
