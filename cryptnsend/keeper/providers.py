"""Where does the master key come from? Providers wrap and unwrap the keeper's secrets and never hand the key out.

`file` reads a file of mode 0600, `env` an environment variable; both hold 32 octets as base64. A provider in hardware
or on another machine implements the same three methods.
"""

from __future__ import annotations

import base64
import os
import stat
from abc import ABC, abstractmethod
from binascii import Error as NotBase64
from collections.abc import MutableMapping
from pathlib import Path
from typing import Protocol

from cryptnsend.core.errors import KeeperGone
from cryptnsend.core.keys import box, unbox
from cryptnsend.core.model import Random
from cryptnsend.core.passwords import wrap_seed
from cryptnsend.core.seal import framed

KEY = 32  # octets


class NoMasterKey(KeeperGone):
    """There is no usable master key; the text says where it was looked for and what is wrong."""


class Provider(Protocol):
    """Keeps the master key. Every method raises `NoMasterKey` if there is none."""

    def wrap(self, label: str, octets: bytes) -> bytes:
        """Encrypt a secret, bound to its *label*."""

    def unwrap(self, label: str, wrapped: bytes) -> bytes:
        """Return what `wrap` encrypted; raise `SealBroken` if key, label and octets do not fit together."""

    def sealed_copy(self, k: bytes) -> bytes:
        """Return the master key wrapped under *k*, for the installation's recovery file; hardware may refuse."""


class _InMemory(ABC):
    """What providers share that can read the key at the moment they need it. None of them keeps it."""

    def __init__(self, rng: Random):
        self._rng = rng

    def wrap(self, label: str, octets: bytes) -> bytes:
        return box(self._key(), octets, framed("master", label), self._rng)

    def unwrap(self, label: str, wrapped: bytes) -> bytes:
        return unbox(self._key(), wrapped, framed("master", label))

    def sealed_copy(self, k: bytes) -> bytes:
        return wrap_seed(k, self._key(), pair=0, kind="recovery", rng=self._rng)

    @abstractmethod
    def _key(self) -> bytes:
        """Read the master key; raise `NoMasterKey`."""


class FileProvider(_InMemory):
    """The master key in a file that only its owner may read."""

    def __init__(self, path: Path, rng: Random):
        super().__init__(rng)
        self.path = path

    def _key(self) -> bytes:
        try:
            with self.path.open("rb") as stream:
                mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
                if mode & 0o077:
                    raise NoMasterKey(f"{self.path} has mode {mode:o}: others may read the master key; set it to 600.")
                return _decoded(stream.read(256), str(self.path))
        except FileNotFoundError:
            raise NoMasterKey(f"{self.path}: there is no master key here.") from None
        except OSError as error:
            raise NoMasterKey(f"{self.path}: the master key cannot be read: {error.strerror}.") from None


class EnvProvider(_InMemory):
    """The master key from an environment variable, which is removed so that no child process inherits it."""

    def __init__(self, variable: str, environ: MutableMapping[str, str], rng: Random):
        super().__init__(rng)
        self.variable = variable
        self._text = environ.pop(variable, "")

    def _key(self) -> bytes:
        if not self._text:
            raise NoMasterKey(f"The environment variable {self.variable}, which should hold the master key, is empty.")
        return _decoded(self._text.encode(), f"the environment variable {self.variable}")


def make_master_key(path: Path, rng: Random, key: bytes | None = None) -> None:
    """
    Write a new master key, or the recovered *key*, to *path* with mode 0600; durable on return.

    Raise FileExistsError if there is a file: a master key is never overwritten.
    """
    octets = rng(KEY) if key is None else key
    if len(octets) != KEY:
        raise ValueError(f"a master key has {KEY} octets")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as stream:
        stream.write(base64.b64encode(octets) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _decoded(text: bytes, place: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except NotBase64:
        key = b""
    if len(key) != KEY:
        raise NoMasterKey(f"What {place} holds is not a master key: it should be {KEY} octets as base64.")
    return key
