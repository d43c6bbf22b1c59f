"""How does a command write what it was asked for? Into a new file, for us only, and never half of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from cryptnsend.core.errors import Denied


def write_new(place: Path, pieces: Iterable[bytes]) -> None:
    """Write a new file for us only, and remove it again if it cannot be completed."""
    if str(place) == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Denied(f"{place} is there already. Name a new file.") from None
    except OSError as error:
        raise Denied(f"{place} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        place.unlink()
        raise
