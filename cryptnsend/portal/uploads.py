"""Where does an uploaded file wait until the form is whole?

Werkzeug would write files of a form to the disk as they are. Here each goes into a `SealedFile`: sealed as it streams
in, under a key that only this process has and that dies with the request, in an unnamed file that nobody can open.
Memory stays flat whatever the size.
"""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from flask import Request, current_app
from werkzeug.datastructures import FileStorage

from cryptnsend.core.seal import Sealer, open_stream
from cryptnsend.flow.views import Upload

PART = "upload.0"
BLOCK = 65536  # octets gathered before they are sealed
NAME_LENGTH = 200
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # line breaks, direction overrides and other invisible characters


class SealedFile:
    """A file that is written once, front to back, and may then be read any number of times."""

    def __init__(self, folder: Path | None):
        self._key = os.urandom(32)
        self._sealer = Sealer(self._key, 0, PART)
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._gathered = bytearray()
        self._whole = False
        self.size = 0

    def write(self, octets: bytes) -> int:
        """Take octets; nothing of them reaches the disk in clear."""
        self.size += len(octets)
        self._gathered += octets
        if len(self._gathered) >= BLOCK:
            self._flush()
        return len(octets)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Finish writing: the form parser goes back to the start when the part has ended, and nowhere else."""
        if offset or whence:
            raise ValueError("a sealed file is read from the start")
        if not self._whole:
            self._whole = True
            if self._file is not None:
                self._flush()
                self._file.write(self._sealer.finalize())
                self._file.flush()
        return 0

    def chunks(self) -> Iterator[bytes]:
        """Yield the octets in pieces, from the start; the form must have been read to its end before."""
        self.seek(0)
        if self._file is None:  # small: it never left the memory
            yield bytes(self._gathered)
            return
        self._file.seek(0)
        yield from open_stream(self._key, 0, PART, iter(lambda: self._read(), b""))

    def close(self) -> None:
        """Forget everything."""
        self._gathered = bytearray()
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed with the request
        self._file.write(self._sealer.update(bytes(self._gathered)))
        self._gathered = bytearray()

    def _read(self) -> bytes:
        assert self._file is not None  # noqa: S101 - asked only after _flush
        return self._file.read(BLOCK)


class PortalRequest(Request):
    """A request whose uploaded files are sealed while they arrive, and gone when it ends, also if it breaks off."""

    def __init__(self, *args: Any, **values: Any):
        super().__init__(*args, **values)
        self._sealed: list[SealedFile] = []

    def close(self) -> None:
        """Forget all files."""
        super().close()
        for each in self._sealed:
            each.close()

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> Any:
        self._sealed.append(SealedFile(current_app.config.get("UPLOAD_FOLDER")))
        return self._sealed[-1]


def uploads(files: list[FileStorage]) -> list[Upload]:
    """Return the files that somebody chose; an empty file field of a form is none."""
    chosen = []
    for each in files:
        stream: Any = each.stream
        if not each.filename and not stream.size:
            continue
        chosen.append(
            Upload(safe_name(each.filename or ""), safe_media_type(each.mimetype), stream.size, stream.chunks)
        )
    return chosen


def safe_name(name: str) -> str:
    """
    Return a file name that names a file and nothing else: no folders, no invisible characters, not too long.

    The ending survives a cut, because it tells programs what the file is. What is left of nothing is "file".
    """
    name = unicodedata.normalize("NFC", name)
    name = "".join(c for c in name if unicodedata.category(c) not in UNSEEN)
    name = re.split(r"[/\\]", name)[-1]
    name = re.sub(r'[<>:"|?*]', "_", name).strip(" .")
    if len(name) > NAME_LENGTH:
        stem, dot, ending = name.rpartition(".")
        name = stem[: NAME_LENGTH - len(ending) - 1] + dot + ending if dot and len(ending) <= 10 else name[:NAME_LENGTH]
    return name or "file"


def safe_media_type(said: str | None) -> str:
    """Return the type the browser gave, or the one that says nothing: it is shown and mailed, never acted on."""
    return said if said and re.fullmatch(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}", said) else _UNKNOWN


_UNKNOWN = "application/octet-stream"
