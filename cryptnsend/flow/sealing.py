"""How do a message's octets come to rest? Header and body are sealed as they arrive: plaintext never rests.

`Sealing` takes a header block, then the body in blocks. Bcc fields are cut out on the way and rest only in the author's
index, under a key of their own. What cannot be parsed is sealed all the same: parsing never decides acceptance.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from cryptnsend.core import keys, mime
from cryptnsend.core.errors import TooBig
from cryptnsend.core.model import Random
from cryptnsend.core.seal import Sealer, pad, seal
from cryptnsend.store.records import messages
from cryptnsend.store.vault import Vault


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message whose octets are all sealed and durable, but for the names of its blobs, and what its header said."""

    contents: tuple[messages.Content, ...]
    blobs: tuple[str, ...]
    keys: bytes  # content key and author's key
    size: int  # octets as submitted
    index: mime.Index


class Sealing:
    """Seals one message. Raises what the vault raises; after any failure, `abort` leaves nothing behind."""

    def __init__(self, message: int, vault: Vault, random: Random, limit: int):
        """*limit* is how many octets a message may have."""
        self._message, self._limit = message, limit
        self._content_key, self._author_key = keys.new_key(random), keys.new_key(random)
        self._sealer = Sealer(self._content_key, message, "raw")
        self._writer = vault.writer()
        self._indexer = mime.Indexer()
        self._digest = hashlib.sha256()
        self._size = 0
        self._bcc: list[tuple[int, bytes]] = []

    @property
    def waits(self) -> bool:
        """Say whether `close` will wait for a disk."""
        return self._writer.spilled

    def header(self, octets: bytes) -> None:
        """Take the whole header block with its empty line, as submitted."""
        self._count(octets)
        kept, self._bcc = mime.cut_bcc(octets)
        self._keep(kept)

    def body(self, octets: bytes) -> None:
        """Take a block of the body; raises TooBig when the message passes the limit."""
        self._count(octets)
        self._keep(octets)

    def index(self) -> mime.Index:
        """Return what the message says about itself, once all of it was taken."""
        return self._indexer.finish()

    def digest(self) -> bytes:
        """Return SHA-256 of the octets as submitted."""
        return self._digest.digest()

    def close(self, org: int) -> Sealed:
        """Seal the last octets and the indexes, and make the body durable, or take it inline if it is small."""
        index = self.index()
        self._writer.write(self._sealer.finalize())
        parts = [("index", seal(self._content_key, self._message, "index", pad(index.to_octets())))]
        if self._bcc:
            said = msgspec.json.encode({"v": 1, "bcc": self._bcc})
            parts.append(("author_index", seal(self._author_key, self._message, "author_index", pad(said))))
        contents = [messages.Content(org, self._message, part, keys.SUITE, 0, body, None) for part, body in parts]
        raw = self._writer.close()
        contents.append(messages.Content(org, self._message, "raw", keys.SUITE, self._size, raw.body, raw.blob_key))
        blobs = () if raw.blob_key is None else (raw.blob_key,)
        return Sealed(tuple(contents), blobs, self._content_key + self._author_key, self._size, index)

    def abort(self) -> None:
        """Throw everything away that is not durable; safe at any time, also after a failure."""
        self._writer.abort()

    def _count(self, octets: bytes) -> None:
        self._size += len(octets)
        if self._size > self._limit:
            raise TooBig(self._size, self._limit)
        self._digest.update(octets)

    def _keep(self, octets: bytes) -> None:
        self._indexer.feed(octets)
        self._writer.write(self._sealer.update(octets))
