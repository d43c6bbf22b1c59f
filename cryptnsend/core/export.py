"""What is an exported object, and how does it open without the server? docs/vault-format.md §9.

One file, an uncompressed tar: all that rests sealed for one message and one holder, and the holder's seed wrapped
under a password typed at the export. The sealed body comes last, so that it can be streamed in and read from any place.
"""

from __future__ import annotations

import base64
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

import msgspec

from cryptnsend.core import keys, seal
from cryptnsend.core.errors import SealBroken
from cryptnsend.core.linkedfiles import PART, LinkedFile, piece_part, read
from cryptnsend.core.mime_headers import restore_stream
from cryptnsend.core.model import Random
from cryptnsend.core.passwords import SALT, Argon, derive, unwrap_seed, wrap_seed

FORMAT = "cryptnsend-sealed/1"
STREAM = "stream.bin"
FILES = "files.bin"  # the sealed list of large files; members behind it are their pieces, see `read_beside`
MOST_PIECES = 100_000
MOST_SMALL, MOST_INDEX = 1 << 16, 1 << 26  # octets that members besides the stream may have

Member = tuple[str, int, Iterable[bytes]]  # name, octets, and they in pieces of any size

_BLOCK = 512  # of a tar file
_PIECE = 1 << 18
_MEMBERS = {
    "meta.json": MOST_SMALL,
    "seed.wrap": MOST_SMALL,
    "epoch.bin": MOST_SMALL,
    "grant.bin": MOST_SMALL,
    "index.bin": MOST_INDEX,
    "author_index.bin": MOST_INDEX,
}


@dataclass(frozen=True, slots=True)
class Exported:
    """One holder's right to one message, with everything but the sealed body."""

    grant: keys.GrantBinding
    wrap: bytes
    epoch: int
    epoch_owner: str
    epoch_holder: str
    epoch_sealed: bytes
    pair: int
    salt: bytes
    params: Argon
    seed_wrap: bytes
    index: bytes  # sealed
    author_index: bytes = b""  # sealed; empty if the header block lost nothing when it was sealed

    def content_keys(self, password: str) -> bytes:
        """Return the one or two content keys; raise `WrongSecret` or `SealBroken`."""
        k = derive(password, self.salt, self.params)
        seed = unwrap_seed(k, self.seed_wrap, pair=self.pair, kind="export")
        epoch_key = keys.open_with(
            seed,
            self.epoch_sealed,
            label="epoch",
            owner=self.epoch_owner,
            holder=self.epoch_holder,
            ref=self.epoch,
        )
        return keys.unwrap_content(epoch_key, self.wrap, self.grant)


@dataclass(frozen=True, slots=True)
class Stored:
    """The sealed body inside an exported file."""

    file: BinaryIO
    offset: int
    size: int

    def read(self, start: int) -> Iterator[bytes]:
        """Yield the sealed octets from *start* to the end."""
        place, end = self.offset + start, self.offset + self.size
        while place < end:
            self.file.seek(place)
            piece = self.file.read(min(_PIECE, end - place))
            if not piece:
                return
            place += len(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class Beside:
    """A large file inside an exported file: what is known of it, and its pieces by where they begin."""

    file: LinkedFile
    pieces: Mapping[int, Stored]

    def octets(self) -> Iterator[bytes]:
        """Yield the file from its start; raise SealBroken before anything of a piece that is missing or damaged."""
        at = 0
        while at < self.file.size:
            stored = self.pieces.get(at)
            if stored is None or not (size := seal.plain_size(stored.size)):
                raise SealBroken("A piece of a file is missing.")
            yield from seal.open_stream(self.file.key, self.file.id, piece_part(at), stored.read(0))
            at += size
        if at != self.file.size:
            raise SealBroken("A file has another size than was written down.")


def wrap_for_export(password: str, seed: bytes, pair: int, params: Argon, rng: Random) -> tuple[bytes, bytes]:
    """Return a fresh salt, and the seed wrapped under *password* alone, for `Exported`."""
    salt = rng(SALT)
    return salt, wrap_seed(derive(password, salt, params), seed, pair=pair, kind="export", rng=rng)


def piece_name(file: int, start: int) -> str:
    """Return the name of the member that has the piece of a large file from *start* on."""
    return f"upload.{file}.{start}"


def export_object(
    exported: Exported, stream: Iterable[bytes], stream_size: int, beside: Iterable[Member] = ()
) -> Iterator[bytes]:
    """
    Yield the file. *stream* is the sealed body, *stream_size* octets of it in pieces of any size.

    *beside* are further members: the list of large files as FILES, and their pieces, each by its `piece_name`.
    Raise `SealBroken` if a member turns out to have another size, after most of the file was given out: who writes it
    must then remove it.
    """
    members = {
        "meta.json": _meta(exported),
        "seed.wrap": exported.seed_wrap,
        "epoch.bin": exported.epoch_sealed,
        "grant.bin": exported.wrap,
        "index.bin": exported.index,
        "author_index.bin": exported.author_index,
    }
    for name, octets in members.items():
        if octets or name != "author_index.bin":
            yield _header(name, len(octets)) + octets + bytes(-len(octets) % _BLOCK)
    for name, size, chunks in chain([(STREAM, stream_size, stream)], beside):
        yield _header(name, size)
        written = 0
        for piece in chunks:
            written += len(piece)
            yield piece
        if written != size:
            raise SealBroken("The sealed stream has another size than was written down.")
        yield bytes(-written % _BLOCK)
    yield bytes(2 * _BLOCK)


def read_object(file: BinaryIO) -> tuple[Exported, Stored]:
    """Return what an exported file holds; *file* can seek. Raise `SealBroken` for anything that is not one."""
    members: dict[str, bytes] = {}
    offset = 0
    while True:
        name, size = _next_header(file, offset)
        offset += _BLOCK
        if name == STREAM:
            break
        if name in members or size > _MEMBERS.get(name, -1):
            raise _not_exported()
        members[name] = file.read(size)
        offset += size + -size % _BLOCK
    if file.seek(0, 2) < offset + size:
        raise SealBroken("The exported file ends early.")
    try:
        return _exported(members), Stored(file, offset, size)
    except (KeyError, ValueError, msgspec.MsgspecError):
        raise _not_exported() from None


def read_beside(exported: Exported, content_keys: bytes, stored: Stored) -> Sequence[Beside]:
    """Return the large files behind the sealed body; raise `SealBroken` for anything else that stands there."""
    file, offset = stored.file, stored.offset + stored.size + -stored.size % _BLOCK
    listed, pieces = b"", dict[str, Stored]()
    end = file.seek(0, 2)
    while file.seek(offset) < end and file.read(_BLOCK).strip(b"\0"):
        name, size = _next_header(file, offset)
        offset += _BLOCK
        if name in pieces or (name == FILES) is bool(pieces or listed) or len(pieces) > MOST_PIECES:
            raise _not_exported()
        if name != FILES and not name.startswith("upload."):
            raise _not_exported()
        if offset + size > end:
            raise SealBroken("The exported file ends early.")
        if name == FILES:
            if size > MOST_INDEX:
                raise _not_exported()
            listed = file.read(size)
        else:
            pieces[name] = Stored(file, offset, size)
        offset += size + -size % _BLOCK
    if not listed:
        return ()
    files = read(seal.unpad(seal.open_sealed(content_keys[:32], exported.grant.message, PART, listed)))
    return [Beside(each, _pieces_of(each, pieces)) for each in files]


def _pieces_of(file: LinkedFile, pieces: Mapping[str, Stored]) -> Mapping[int, Stored]:
    found, at = dict[int, Stored](), 0
    while at < file.size and (stored := pieces.get(piece_name(file.id, at))) is not None:
        found[at] = stored
        size = seal.plain_size(stored.size)
        if not size:
            break
        at += size
    return found


def open_message(exported: Exported, content_keys: bytes, stored: Stored) -> Iterator[bytes]:
    """
    Yield the message as it was submitted, in pieces; verify it first with `verify`.

    The author's and the archive's keys put back what was cut out of the header block; a recipient's do not.
    """
    content = seal.open_stream(content_keys[:32], exported.grant.message, "raw", stored.read(0))
    if exported.author_index and len(content_keys) == 64:
        return restore_stream(content, author_cuts(exported, content_keys))
    return content


def verify(exported: Exported, content_keys: bytes, stored: Stored) -> None:
    """Check every sealed part these keys open; raise `SealBroken`."""
    message = exported.grant.message
    seal.SeekReader(content_keys[:32], message, "raw", stored.read, stored.size).verify()
    open_index(exported, content_keys)
    if exported.author_index and len(content_keys) == 64:
        author_cuts(exported, content_keys)


def open_index(exported: Exported, content_keys: bytes) -> bytes:
    """Return the index, JSON as UTF-8."""
    return seal.unpad(seal.open_sealed(content_keys[:32], exported.grant.message, "index", exported.index))


class _AuthorIndex(msgspec.Struct):
    bcc: list[tuple[int, bytes]]


def author_cuts(exported: Exported, content_keys: bytes) -> Sequence[tuple[int, bytes]]:
    """Return (offset, octets) of what was cut out of the header block; `NoGrant` for a recipient's key."""
    key = keys.author_key(content_keys)
    opened = seal.open_sealed(key, exported.grant.message, "author_index", exported.author_index)
    try:
        return msgspec.json.decode(seal.unpad(opened), type=_AuthorIndex).bcc
    except msgspec.MsgspecError:
        raise SealBroken("The author's index is damaged.") from None


# -- the file ---------------------------------------------------------------------------------------------------------


class _Grant(msgspec.Struct):
    organisation: str
    message: str
    holder: str
    role: str
    contact: str
    custody: str


class _Epoch(msgspec.Struct):
    id: str
    pair: str
    owner: str
    holder: str


class _Password(msgspec.Struct):
    parameters: str
    salt: str


class _Meta(msgspec.Struct):
    """meta.json. Ids are decimal text, because many JSON readers round numbers above 2^53."""

    format: str
    suite: int
    grant: _Grant
    epoch: _Epoch
    password: _Password


def _meta(exported: Exported) -> bytes:
    grant = exported.grant
    meta = _Meta(
        FORMAT,
        keys.SUITE,
        _Grant(str(grant.organisation), str(grant.message), grant.holder, grant.role, grant.contact, grant.custody),
        _Epoch(str(exported.epoch), str(exported.pair), exported.epoch_owner, exported.epoch_holder),
        _Password(exported.params.encode(), base64.b64encode(exported.salt).decode()),
    )
    return msgspec.json.format(msgspec.json.encode(meta), indent=2) + b"\n"


def _exported(members: dict[str, bytes]) -> Exported:
    meta = msgspec.json.decode(members["meta.json"], type=_Meta)
    if meta.format != FORMAT or meta.suite != keys.SUITE:
        raise SealBroken(f"This file has format {meta.format}, suite {meta.suite}: a newer reader is needed.")
    salt = base64.b64decode(meta.password.salt, validate=True)
    if len(salt) != SALT:
        raise ValueError("salt")
    grant = meta.grant
    return Exported(
        grant=keys.GrantBinding(
            _ident(grant.organisation), _ident(grant.message), grant.holder, grant.role, grant.contact, grant.custody
        ),
        wrap=members["grant.bin"],
        epoch=_ident(meta.epoch.id),
        epoch_owner=meta.epoch.owner,
        epoch_holder=meta.epoch.holder,
        epoch_sealed=members["epoch.bin"],
        pair=_ident(meta.epoch.pair),
        salt=salt,
        params=Argon.decode(meta.password.parameters),
        seed_wrap=members["seed.wrap"],
        index=members["index.bin"],
        author_index=members.get("author_index.bin", b""),
    )


def _ident(text: str) -> int:
    """Return an id written as text; raise ValueError unless it has the one spelling that `_meta` gives it."""
    if text != str(int(text)) or not 0 <= int(text) < 2**63:
        raise ValueError("id")
    return int(text)


def _header(name: str, size: int) -> bytes:
    """Return the tar header of a plain file; no time and no owner, so that a file tells only what is in it."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member.tobuf(tarfile.GNU_FORMAT)


def _next_header(file: BinaryIO, offset: int) -> tuple[str, int]:
    """Return name and size of the tar member whose header stands at *offset*."""
    file.seek(offset)
    try:
        member = tarfile.TarInfo.frombuf(file.read(_BLOCK), "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError, ValueError):
        raise _not_exported() from None
    if member.type != tarfile.REGTYPE or member.size < 0:
        raise _not_exported()
    return member.name, member.size


def _not_exported() -> SealBroken:
    return SealBroken("This is not a sealed export, or it is damaged.")
