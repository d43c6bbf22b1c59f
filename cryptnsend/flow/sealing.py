"""How do a message's octets come to rest? Header and body are sealed as they arrive: plaintext never rests.

`Sealing` takes a header block, then the body in blocks. Bcc fields are cut out on the way and rest only in the author's
index, under a key of their own. What cannot be parsed is sealed all the same: parsing never decides acceptance.

A message that fits into a row is held until it is whole, and sealed by `close`: closing several messages one behind the
other finds the processor's caches warm, which makes each much cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from blake3 import blake3

from cryptnsend.core import keys, mime
from cryptnsend.core.errors import TooBig
from cryptnsend.core.model import Random
from cryptnsend.core.seal import Sealer, pad, seal
from cryptnsend.store.records import messages
from cryptnsend.store.vault import INLINE, Vault

_HELD = INLINE - 512  # octets that are held; sealed, they still fit into a row
_ALONE = 2 * 1024 * 1024  # octets from which on flushing a message takes so long that a batch should not wait for it


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message whose octets are all sealed and durable once its blobs are settled, and what its header said."""

    contents: tuple[messages.Content, ...]
    blobs: tuple[str, ...]
    keys: bytes  # content key and author's key
    size: int  # octets as submitted
    index: mime.Index


class Sealing:
    """Seals one message. Raises what the vault raises; after any failure, `abort` leaves nothing behind."""

    def __init__(self, message: int, vault: Vault, random: Random, limit: int):
        """*limit* is how many octets a message may have."""
        self._message, self._vault, self._random, self._limit = message, vault, random, limit
        self._held: list[bytes] = []  # header block, then blocks of the body
        self._stream: _Stream | None = None
        self._size = 0
        self._beside: list[tuple[str, bytes]] = []

    @property
    def waits(self) -> bool:
        """Say whether the message is so large that its flush should not be left to the batch."""
        return self._stream is not None and self._stream.writer.spilled and self._size >= _ALONE

    def header(self, octets: bytes) -> None:
        """Take the whole header block with its empty line, as submitted."""
        self._count(octets)
        self._held.append(octets)

    def body(self, octets: bytes) -> None:
        """Take a block of the body; raises TooBig when the message passes the limit."""
        self._count(octets)
        if self._stream is not None:
            self._stream.body(octets)
            return
        self._held.append(octets)
        if self._size > _HELD:
            self._flow()

    def index(self) -> mime.Index:
        """Return what the message says about itself, once all of it was taken."""
        return self._flow().indexer.finish()

    def enclose(self, part: str, octets: bytes) -> None:
        """Let a small *part* of its own rest beside the message, for whoever may open that."""
        self._beside.append((part, octets))

    def digest(self) -> bytes:
        """Return BLAKE3 of the octets as submitted: in each processor at hand a third of what SHA-256 costs."""
        return self._flow().digest.digest()

    def close(self, org: int, *, flush: bool = True) -> Sealed:
        """
        Seal the last octets and the indexes, and make the body durable, or take it inline if it is small.

        Unless *flush*, a body that is not inline becomes durable when its blob is settled.
        """
        stream, index = self._flow(), self.index()
        stream.writer.write(stream.sealer.finalize())
        parts = [("index", seal(stream.content_key, self._message, "index", pad(index.to_octets())))]
        if stream.bcc:
            said = msgspec.json.encode({"v": 1, "bcc": stream.bcc})
            parts.append(("author_index", seal(stream.author_key, self._message, "author_index", pad(said))))
        parts += [(part, seal(stream.content_key, self._message, part, pad(octets))) for part, octets in self._beside]
        contents = [messages.Content(org, self._message, part, keys.SUITE, 0, body, None) for part, body in parts]
        raw = stream.writer.close(flush=flush)
        contents.append(messages.Content(org, self._message, "raw", keys.SUITE, self._size, raw.body, raw.blob_key))
        blobs = () if raw.blob_key is None else (raw.blob_key,)
        return Sealed(tuple(contents), blobs, stream.content_key + stream.author_key, self._size, index)

    def abort(self) -> None:
        """Throw everything away that is not durable; safe at any time, also after a failure."""
        self._held.clear()
        if self._stream is not None:
            self._stream.writer.abort()

    def _count(self, octets: bytes) -> None:
        self._size += len(octets)
        if self._size > self._limit:
            raise TooBig(self._size, self._limit)

    def _flow(self) -> _Stream:
        """Begin to seal, with what was held."""
        if self._stream is None:
            self._stream = _Stream(self._message, self._vault, self._random)
            self._stream.begin(self._held)
            self._held.clear()
        return self._stream


class _Stream:
    """What seals a message while it comes: keys, cipher, writer, index and digest."""

    __slots__ = ("author_key", "bcc", "content_key", "digest", "indexer", "sealer", "writer")

    def __init__(self, message: int, vault: Vault, random: Random):
        self.content_key, self.author_key = keys.new_key(random), keys.new_key(random)
        self.sealer = Sealer(self.content_key, message, "raw")
        self.writer = vault.writer()
        self.indexer = mime.Indexer()
        self.digest = blake3()
        self.bcc: list[tuple[int, bytes]] = []

    def begin(self, held: list[bytes]) -> None:
        """Take the header block and what of the body is there."""
        header, body = (held[0], held[1:]) if held else (b"", [])
        self.digest.update(header)
        kept, self.bcc = mime.cut_bcc(header)
        for octets in body:
            self.digest.update(octets)
        if sum(map(len, body)) < _HELD:
            self._keep(b"".join((kept, *body)))
        else:  # to join them would cost more than what each call does besides its octets
            for octets in (kept, *body):
                self._keep(octets)

    def body(self, octets: bytes) -> None:
        self.digest.update(octets)
        self._keep(octets)

    def _keep(self, octets: bytes) -> None:
        self.indexer.feed(octets)
        self.writer.write(self.sealer.update(octets))
