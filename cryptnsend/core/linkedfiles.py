"""How are files named that rest beside a message, and in which pieces? docs/vault-format.md, `files` and `upload.n`.

The list of them is sealed under the content key of the message. Each file has a key of its own, and each of its pieces
is a sealed stream with its place in the context.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cryptnsend.core.errors import SealBroken
from cryptnsend.core.mime_names import safe_filename

PART = "files"  # the sealed list beside a message


class LinkedFile(msgspec.Struct, frozen=True):
    """A file as whoever may have it knows it."""

    id: int
    org: int  # its owner's
    key: bytes
    name: str
    media_type: str
    size: int

    def __repr__(self) -> str:
        """Return what a log or a traceback may show."""
        return f"LinkedFile({self.id})"


class _Files(msgspec.Struct):
    """What is sealed beside a message."""

    v: int
    files: list[LinkedFile]


def written(files: Sequence[LinkedFile]) -> bytes:
    """Return the list of files as it is sealed."""
    return msgspec.msgpack.encode(_Files(1, [*files]))


def read(octets: bytes) -> Sequence[LinkedFile]:
    """Return the files of a list; raise SealBroken if it is none."""
    try:
        return msgspec.msgpack.decode(octets, type=_Files).files
    except msgspec.MsgspecError:
        raise SealBroken("The list of files is damaged.") from None


def piece_part(start: int) -> str:
    """Return the part that the piece at *start* is sealed as."""
    return f"upload.{start}"


def file_names(files: Sequence[LinkedFile]) -> Sequence[str]:
    """Return a name for each file that stays in its folder, on every system, and that no other of them has."""
    used, names = set[str](), list[str]()
    for each in files:
        plain = name = safe_filename(each.name)
        number = 1
        while name.casefold() in used:
            number += 1
            stem, dot, ending = plain.rpartition(".")
            name = f"{stem} ({number}).{ending}" if dot and stem else f"{plain} ({number})"
        used.add(name.casefold())
        names.append(name)
    return names
