"""How does content leave a reading page as a file? Single attachments, the mail file, everything as one ZIP.

Each of them reads the sealed stream twice: the first pass checks every octet and finds the size, the second sends.
Memory stays flat whatever the size.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import pyzipper

from cryptnsend.core.mime import (
    Attachment,
    Index,
    attachments,
    bodies,
    decode_part,
    restore_stream,
    safe_filename,
    titled,
)
from cryptnsend.core.mime import Part as MimePart
from cryptnsend.flow.opening import Sealed
from cryptnsend.flow.views import Part

BLOCK = 256 * 1024  # octets of a ZIP that are gathered before they go out


def attachment(index: Index, path: str) -> Attachment | None:
    """Return the attachment at *path* as the reading page lists it, or None."""
    return next((each for each in attachments(index, bodies(index)) if each.path == path), None)


def part(index: Index, found: Attachment, raw: Sealed) -> Part:
    """Return an attachment, decoded; raise `SealBroken` before the first octet goes out."""
    entity = _entity(index, found.path)
    inside = _Range(raw.chunks(), entity.body_start, entity.body_end)
    size = sum(map(len, decode_part(entity, inside)))
    inside.drain()
    return Part(found.name, found.type, size, _decoded(entity, raw))


def whole(name: str, raw: Sealed, cuts: Sequence[tuple[int, bytes]]) -> Part:
    """Return the message as a file, with what was cut out for the author's eyes put back."""
    reader = raw.reader()
    reader.verify()
    size = reader.size + sum(len(octets) for _, octets in cuts)
    return Part(name, "message/rfc822", size, restore_stream(raw.chunks(), cuts))


def zipped(index: Index | None, raw: Sealed, password: str) -> Iterator[bytes]:
    """
    Return a ZIP of the message and its attachments, encrypted with AES-256 (WinZip AE-2), as a stream.

    Names and sizes inside can be read without the password, which is why nothing of this kind is ever mailed.
    """
    raw.reader().verify()
    files: list[tuple[str, Iterator[bytes]]] = [("message.eml", raw.chunks())]
    if index is not None:
        for each in attachments(index, bodies(index)):
            name = each.name if each.name.lower() != "message.eml" else f"attached-{each.name}"
            files.append((safe_filename(name), _decoded(_entity(index, each.path), raw)))
    return _zip(files, password)


def archive(files: Iterable[tuple[str, Iterator[bytes]]], password: str) -> Iterator[bytes]:
    """Return a ZIP of these (name, octets), encrypted as `zipped` does, as a stream; one file at a time is open."""
    return _zip(files, password)


def mail_name(folder: str, at: int, subject: str, used: set[str]) -> str:
    """Return a file name for a message of *at* (UTC milliseconds) that no other has in *used*, and note it there."""
    day = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H%M")
    plain = titled(f"{day} {subject[:60]}".strip(), "")
    name, number = f"{folder}/{plain}.eml", 1
    while name.lower() in used:
        number += 1
        name = f"{folder}/{plain} ({number}).eml"
    used.add(name.lower())
    return name


def _zip(files: Iterable[tuple[str, Iterator[bytes]]], password: str) -> Iterator[bytes]:
    sink = _Sink()
    with pyzipper.AESZipFile(sink, "w", compression=pyzipper.ZIP_STORED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        for name, chunks in files:
            with archive.open(name, "w", force_zip64=True) as entry:
                for chunk in chunks:
                    entry.write(chunk)
                    if sink.held >= BLOCK:
                        yield sink.take()
    yield sink.take()


def _entity(index: Index, path: str) -> MimePart:
    return index.part(path)


def _decoded(entity: MimePart, raw: Sealed) -> Iterator[bytes]:
    return decode_part(entity, raw.reader().read_range(entity.body_start, entity.size))


class _Range:
    """The octets of a stream from *start* to *end*; `drain` reads on to the stream's end, which checks it."""

    def __init__(self, chunks: Iterator[bytes], start: int, end: int):
        self._chunks, self._start, self._end, self._at = chunks, start, end, 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            at, self._at = self._at, self._at + len(chunk)
            if self._start < self._at and at < self._end:
                yield chunk[max(self._start - at, 0) : self._end - at]
            if self._at >= self._end:
                return

    def drain(self) -> None:
        for _ in self._chunks:
            continue


class _Sink(io.RawIOBase):
    """Where an archive is written that nobody can seek in: what was written is taken away again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._octets = bytearray()
        self._written = 0

    @property
    def held(self) -> int:
        return len(self._octets)

    def writable(self) -> bool:
        return True

    def write(self, octets: object) -> int:
        taken = bytes(octets)  # type: ignore[call-overload]
        self._octets += taken
        self._written += len(taken)
        return len(taken)

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        taken = bytes(self._octets)
        self._octets.clear()
        return taken
