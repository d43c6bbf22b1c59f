"""How is a file read that came in pieces? From any place on, piece by piece, never held as a whole.

Each piece is a sealed stream with its place in the context, under the key of its file. Whoever has that key has the
file: its owner, and by the sealed list beside a message all who may open that message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from cryptnsend.core.contracts import Engine
from cryptnsend.core.errors import NoGrant, SealBroken
from cryptnsend.core.linkedfiles import PART, LinkedFile, piece_part, read
from cryptnsend.core.seal import SeekReader, plain_size, unpad
from cryptnsend.flow.opening import Opener
from cryptnsend.store.records import listing, uploads
from cryptnsend.store.vault import Stored, Vault

PAGE = 64  # pieces looked up at once


def always() -> bool:
    """Say that it may still be read."""
    return True


class FileReading:
    """Reads files that came in pieces. Thread-safe; keeps nothing."""

    def __init__(self, engine: Engine, vault: Vault):
        self._engine, self._vault = engine, vault

    def octets(self, file: LinkedFile, start: int, end: int, still: Callable[[], bool] = always) -> Iterator[bytes]:
        """
        Yield the octets of *file* from *start* up to *end*.

        *still* is asked before each piece: what was taken back meanwhile ends there, short of what was promised.
        Raises SealBroken where a piece is damaged or missing, before anything of that place comes out.
        """
        while start < end:
            page = uploads.pieces(self._engine, file.org, file.id, start, PAGE)
            for row in page:
                if start >= end or not still():
                    return
                reader = self._piece(file, row["start"], Stored(row["body"], row["blob_key"]), row["octets"])
                place = start - row["start"]
                if not 0 <= place < reader.size:
                    raise SealBroken("A piece of this file is missing.")
                take = min(end - start, reader.size - place)
                yield from reader.read_range(place, take)
                start += take
            if not page:
                raise SealBroken("A piece of this file is missing.")

    def sealed(self, file: LinkedFile) -> Iterator[tuple[int, Stored, int]]:
        """Yield where each piece of *file* begins, where it rests, and how many octets it has sealed, in order."""
        start = 0
        while start < file.size:
            page = uploads.pieces(self._engine, file.org, file.id, start, PAGE)
            for row in page:
                if row["start"] != start:
                    raise SealBroken("A piece of this file is missing.")
                start += plain_size(row["octets"])
                yield row["start"], Stored(row["body"], row["blob_key"]), row["octets"]
            if not page:
                raise SealBroken("A piece of this file is missing.")

    def _piece(self, file: LinkedFile, at: int, stored: Stored, octets: int) -> SeekReader:
        plain_size(octets)  # a row with another size than any stream has must not be believed
        return SeekReader(file.key, file.id, piece_part(at), lambda start: self._vault.open(stored, start), octets)


def files_beside(engine: Engine, opener: Opener, org: int, message: int, key: bytes) -> Sequence[LinkedFile]:
    """Return the files that rest beside a message, for whoever has its content key; raise SealBroken."""
    if listing.content(engine, org, message, PART) is None:
        return ()
    return read(unpad(opener.content(org, message, key, PART).octets()))


def chosen(files: Sequence[LinkedFile], ident: int) -> LinkedFile:
    """Return one of these files; raise NoGrant if it is none of them."""
    for each in files:
        if each.id == ident:
            return each
    raise NoGrant("There is no such file here.")
