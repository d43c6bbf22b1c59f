"""What lies in the vault: sealed streams, exported files, indexes, wrapped keys, tokens."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable, Iterator
from functools import cache

from cryptnsend.core import export, seal, tokens
from cryptnsend.core.errors import CryptnSendError, SealBroken
from cryptnsend.core.keys import open_with, unbox
from cryptnsend.core.mime import Index
from cryptnsend.core.passwords import unwrap_seed

KEY = bytes(range(32))
EDIT = struct.Struct(">BHHB")


def sealed(octets: bytes) -> None:
    """Of a stream that was changed nothing comes out but a refusal; all three readers agree about it."""
    content, stream = _stream()
    changed = edited(stream, octets)
    opened = _outcome(lambda: seal.open_sealed(KEY, 7, "raw", changed))
    pieces = [changed[at : at + 5000] for at in range(0, len(changed), 5000)]
    assert _outcome(lambda: b"".join(seal.open_stream(KEY, 7, "raw", pieces))) == opened
    assert _outcome(lambda: _by_seeking(changed)) == opened
    assert opened == (content if changed == stream else None)


def edited(stream: bytes, edits: bytes) -> bytes:
    """Apply edits of six octets each: what to do, where, how far, with what."""
    changed = bytearray(stream)
    for what, at, count, with_what in EDIT.iter_unpack(edits[: len(edits) // EDIT.size * EDIT.size][:240]):
        place = at * 7 % (len(changed) + 1)
        match what % 6:
            case 0:
                changed[place : place + 1] = bytes(each ^ with_what for each in changed[place : place + 1])
            case 1:
                del changed[place : place + count]
            case 2:
                changed[place:place] = changed[place : place + count]
            case 3:
                changed[place:place] = bytes([with_what])
            case 4:
                del changed[place:]
            case 5:  # whole chunks change places
                size = seal.CHUNK + seal.TAG
                first, second = (seal.HEADER + size * (n % 3) for n in (at, count))
                one, other = changed[first : first + size], changed[second : second + size]
                if len(one) == len(other) == size:
                    changed[first : first + size], changed[second : second + size] = other, one
    return bytes(changed[: 4 * len(stream)])


@cache
def _stream() -> tuple[bytes, bytes]:
    content = b"".join(n.to_bytes(4, "big") for n in range(2 * seal.CHUNK // 4 + 30))
    return content, seal.seal(KEY, 7, "raw", content)


def _outcome(read: Callable[[], bytes]) -> bytes | None:
    try:
        return read()
    except SealBroken:
        return None


def _by_seeking(stream: bytes) -> bytes:
    def read(start: int) -> Iterator[bytes]:
        yield from (stream[at : at + 3000] for at in range(start, len(stream), 3000))

    reader = seal.SeekReader(KEY, 7, "raw", read, len(stream))
    whole = b"".join(reader.read_range(0, reader.size))
    reader.verify()
    middle = b"".join(reader.read_range(reader.size // 3, 100))
    assert middle == whole[reader.size // 3 :][:100]
    return whole


def forged(octets: bytes) -> None:
    """Octets that nobody sealed are refused by every reader, each with an error of ours."""
    for read in (
        lambda: seal.open_sealed(KEY, 7, "raw", octets),
        lambda: b"".join(seal.open_stream(KEY, 7, "raw", (octets[:5], octets[5:]))),
        lambda: _by_seeking(octets),
        lambda: unbox(KEY, octets, b"aad"),
        lambda: open_with(KEY, octets, label="grant", owner="account 1", holder="account 1", ref=1),
        lambda: unwrap_seed(KEY, octets, pair=1, kind="password"),
    ):
        try:
            read()
        except CryptnSendError:
            continue
        raise AssertionError("octets that nobody sealed were opened")


def exported(octets: bytes) -> None:
    """What claims to be an exported file is refused, or read and written as it was; also if only its words lie."""
    for file in (octets, _with_meta(octets)):
        try:
            found, stored = export.read_object(io.BytesIO(file))
        except SealBroken:
            continue
        assert sum(map(len, stored.read(0))) == stored.size <= len(file)
        again = b"".join(export.export_object(found, stored.read(0), stored.size))
        assert export.read_object(io.BytesIO(again))[0] == found


def _with_meta(meta: bytes) -> bytes:
    """Return a file whose every other member is as it should be."""
    out = b""
    members = {"meta.json": meta[:4000], "seed.wrap": b"w", "epoch.bin": b"e", "grant.bin": b"g", "index.bin": b"i"}
    for name, content in {**members, export.STREAM: b"sealed"}.items():
        header = tarfile.TarInfo(name)
        header.size = len(content)
        out += header.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)
    return out + bytes(1024)


def index(octets: bytes) -> None:
    """An index is read and written again as it was, or refused."""
    try:
        found = Index.from_octets(octets)
    except ValueError:
        return
    again = Index.from_octets(found.to_octets())
    assert again.to_octets() == found.to_octets()
    list(found.walk())


def token(octets: bytes) -> None:
    """A token has one spelling but for its case, and none that we did not make is good."""
    text = octets.decode("utf-8", "surrogateescape")
    found = tokens.split(text)
    claims = tokens.Claims("link", "pat@mail.example", 1, 2)
    assert not tokens.verify(KEY, text, claims)
    if found is not None:
        assert text.isascii()
        assert tokens.split(text.lower()) == tokens.split(text.upper()) == found
