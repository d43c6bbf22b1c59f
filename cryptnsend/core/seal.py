"""How is content sealed, opened, and read from the middle? docs/vault-format.md §3 specifies the format.

A sealed stream is Cobblestone-256 (https://c2sp.org/chunked-encryption) under the message's content key:

    salt (24) | key commitment (32) | chunk 0 | chunk 1 | ... | last chunk

Each chunk is AES-256-GCM over 16,384 octets of content and has a tag of 16 octets; the last one is shorter, and is
there even if it is empty, so that a stream cut at the border of two chunks shows. The context names message and part:
a stream moved to another message, or to another part of its own, does not open.

The library encrypts and decrypts from one end to the other. `SeekReader` reads the same format at any place, for
Range requests and single attachments.
"""

from __future__ import annotations

import hmac
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from cryptnsend.core.errors import SealBroken

CHUNK = 16384  # octets of content in each chunk but the last
TAG = 16
SALT = 24
HEADER = SALT + 32  # salt and key commitment
KEY = 32
PAD = 256  # index objects grow in steps of so many octets, so that their size tells little about names and subjects

_SEALED_CHUNK = CHUNK + TAG
_SCHEME = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"
_PART = re.compile(r"[a-z][a-z0-9_]*(\.[0-9]+)?")


def framed(label: str, *fields: str | int | bytes) -> bytes:
    """
    Return *label* and *fields* as octets that no other label and fields give.

    Each is preceded by its length in 4 octets, big-endian. Text is UTF-8, an integer its decimal digits. The same
    label always stands for the same number and kinds of fields.
    """
    return _label(label) + framed_fields(*fields)


def framed_fields(*fields: str | int | bytes) -> bytes:
    """Return what `framed` puts behind its label; of some fields and of others, joined, it is that of all of them."""
    octets: list[bytes] = []
    for field in fields:
        each = field if isinstance(field, bytes) else str(field).encode()
        octets += (_LENGTH(len(each)), each)
    return b"".join(octets)


_LENGTH = struct.Struct(">I").pack


@lru_cache(maxsize=256)
def _label(label: str) -> bytes:
    first = b"cryptnsend/v1 " + label.encode()
    return _LENGTH(len(first)) + first


def context(message: int, part: str) -> bytes:
    """
    Return the context that binds a stream to its place: `cryptnsend/v1 message <id> <part>`.

    Parts are `raw`, `index`, `author_index` and numbered ones such as `upload.3`. Raise ValueError for anything else
    than lower-case words, because a space in a part could imitate another place.
    """
    if message < 0 or not _is_part(part):
        raise ValueError(f"not a place for a sealed stream: message {message}, part {part!r}")
    return f"cryptnsend/v1 message {message} {part}".encode()


@lru_cache(maxsize=256)
def _is_part(part: str) -> bool:
    return _PART.fullmatch(part) is not None


def sealed_size(plain: int) -> int:
    """Return how many octets *plain* octets of content have when sealed."""
    if plain < 0:
        raise ValueError("content cannot have fewer than 0 octets")
    return HEADER + plain + TAG * (plain // CHUNK + 1)


def plain_size(sealed: int) -> int:
    """Return how many octets of content *sealed* octets hold; raise `SealBroken` if no content has that sealed size."""
    chunks, rest = divmod(sealed - HEADER, _SEALED_CHUNK)
    if sealed < HEADER + TAG or rest < TAG:
        raise SealBroken("The sealed stream ends early.")
    return chunks * CHUNK + rest - TAG


class Sealer:
    """
    Seals one stream: `update` any number of times, then `finalize` once. What both return, joined, is the stream.

    *key* is the message's content key, 32 random octets; the library draws a fresh salt for each stream, so several
    parts of a message share the key.
    """

    __slots__ = ("_encryptor", "finalize", "update")

    def __init__(self, key: bytes, message: int, part: str):
        self._encryptor = Cobblestone256Encryptor(key, context(message, part))
        # Bound once: each is called for every block of every message, and a wrapper would only add a frame.
        self.update: Callable[[bytes], bytes] = self._encryptor.update
        self.finalize: Callable[[], bytes] = self._encryptor.finalize


def seal(key: bytes, message: int, part: str, octets: bytes) -> bytes:
    """Return *octets* as a sealed stream."""
    sealer = Sealer(key, message, part)
    return sealer.update(octets) + sealer.finalize()


def open_sealed(key: bytes, message: int, part: str, octets: bytes) -> bytes:
    """Return the whole content of a sealed stream, verified; raise `SealBroken`."""
    decryptor = Cobblestone256Decryptor(key, context(message, part))
    try:
        return decryptor.update(octets) + decryptor.finalize()
    except InvalidTag:
        # Once more, in steps, to tell what does not fit.
        return b"".join(open_stream(key, message, part, (octets,)))


def open_stream(key: bytes, message: int, part: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """
    Yield the content of a sealed stream whose octets come as *chunks*, in pieces of any size.

    Chunks of content come out before the last one is checked. Each has passed its own check, but only when the
    iteration ends without `SealBroken` is it known that none is missing: render, count or promise nothing before.
    """
    decryptor = Cobblestone256Decryptor(key, context(message, part))
    header = b""
    for piece in chunks:
        if len(header) < HEADER:
            header, piece = header + piece[: HEADER - len(header)], piece[HEADER - len(header) :]
            if len(header) < HEADER:
                continue
            try:
                decryptor.update(header)
            except InvalidTag:
                raise _wrong_header() from None
        try:
            opened = decryptor.update(piece)
        except InvalidTag:
            raise _damaged() from None
        if opened:
            yield opened
    if len(header) < HEADER:
        raise SealBroken("The sealed stream ends early.")
    try:
        opened = decryptor.finalize()
    except InvalidTag:
        raise _damaged() from None
    if opened:
        yield opened


class SeekReader:
    """
    Reads any range of a sealed stream without opening what stands before it.

    *read* is asked for the stored octets from a start to the end and yields them in pieces of any size; *sealed_size*
    is how many are stored. A range is checked chunk by chunk, which does not show that later chunks are whole:
    `verify` does, in one pass over all.
    """

    def __init__(
        self, key: bytes, message: int, part: str, read: Callable[[int], Iterator[bytes]], sealed_size: int
    ) -> None:
        self.size = plain_size(sealed_size)  # octets of content
        self._key, self._message, self._part = key, message, part
        self._read, self._sealed_size = read, sealed_size
        self._chunks: tuple[AESGCM, int] | None = None  # cipher and base nonce, once the header was read

    def read_range(self, start: int, length: int) -> Iterator[bytes]:
        """
        Yield the content from *start* on, *length* octets of it or fewer at the end of the stream.

        Raise `SealBroken` at the first chunk that is damaged, moved or missing; ValueError for a negative number.
        """
        if start < 0 or length < 0:
            raise ValueError("a range has no negative numbers")
        end = min(start + length, self.size)
        if start >= end:
            return
        cipher, base = self._chunks or self._open_header()
        first, last = start // CHUNK, (end - 1) // CHUNK
        for number, sealed in enumerate(self._sealed_chunks(first, last), first):
            try:
                content = cipher.decrypt((base ^ number).to_bytes(12, "big"), sealed, None)
            except InvalidTag:
                raise _damaged() from None
            offset = number * CHUNK
            yield content[max(start - offset, 0) : end - offset]

    def verify(self) -> None:
        """Open the whole stream once, keeping nothing; raise `SealBroken` unless every octet is in its place."""
        found = sum(map(len, open_stream(self._key, self._message, self._part, self._read(0))))
        if found != self.size:
            raise SealBroken("The sealed stream has another size than was written down.")

    def _open_header(self) -> tuple[AESGCM, int]:
        header = b""
        for piece in self._read(0):
            header += piece[: HEADER - len(header)]
            if len(header) == HEADER:
                break
        else:
            raise SealBroken("The sealed stream ends early.")
        info = _SCHEME + header[:SALT] + context(self._message, self._part)
        derived = HKDFExpand(SHA512(), KEY + 12 + 32, info).derive(self._key)
        if not hmac.compare_digest(derived[KEY + 12 :], header[SALT:]):
            raise _wrong_header()
        self._chunks = AESGCM(derived[:KEY]), int.from_bytes(derived[KEY : KEY + 12], "big")
        return self._chunks

    def _sealed_chunks(self, first: int, last: int) -> Iterator[bytes]:
        """Yield the sealed chunks *first* to *last*; raise `SealBroken` if the octets end before them."""
        start = HEADER + first * _SEALED_CHUNK
        missing = min(HEADER + (last + 1) * _SEALED_CHUNK, self._sealed_size) - start
        held = bytearray()
        for piece in self._read(start):
            held += piece[:missing]
            missing -= min(len(piece), missing)
            while len(held) >= _SEALED_CHUNK:
                yield bytes(held[:_SEALED_CHUNK])
                del held[:_SEALED_CHUNK]
            if not missing:
                break
        if missing:
            raise SealBroken("The sealed stream ends early.")
        if held:
            yield bytes(held)


def pad(octets: bytes) -> bytes:
    """Return *octets*, then 0x80, then as many zeros as fill the last step of 256 octets."""
    return octets + b"\x80" + bytes(-(len(octets) + 1) % PAD)


def unpad(octets: bytes) -> bytes:
    """Return what was given to `pad`; raise `SealBroken` if *octets* did not come from it."""
    end = octets.rfind(b"\x80", -PAD)
    if len(octets) % PAD or end < 0 or octets.count(b"\0", end + 1) != len(octets) - end - 1:
        raise SealBroken("The padding of an index is damaged.")
    return octets[:end]


def _wrong_header() -> SealBroken:
    return SealBroken("The header of the sealed stream does not fit its key and place.")


def _damaged() -> SealBroken:
    return SealBroken("A chunk of the sealed stream is damaged or missing.")
