"""Which files does a subscriber send again and again? Leaflets and forms, kept sealed to be attached by one button.

A file of the library rests like one that came in pieces: under a key of its own, sealed to its owner's pair. Attaching
it copies it into the message, so that changing or deleting it here changes nothing that was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from cryptnsend.core.contracts import Engine, Row, Rows
from cryptnsend.core.errors import Denied, NoGrant, Sentence
from cryptnsend.core.linkedfiles import LinkedFile
from cryptnsend.core.mime import safe_filename
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.uploading import Uploads
from cryptnsend.flow.views import KeptFile, Upload
from cryptnsend.store.records import uploads
from cryptnsend.store.vault import Vault

MOST = 100  # files of one subscriber
LARGEST = 25 * 1024 * 1024  # octets of one


class Library:
    """Keeps files to be attached again. Shared by all requests of a process; thread-safe."""

    def __init__(self, engine: Engine, vault: Vault, arriving: Uploads):
        self._engine, self._vault, self._arriving = engine, vault, arriving

    def add(
        self, session: Session, name: str, media_type: str, size: int, chunks: Iterable[bytes], nonce: bytes
    ) -> int:
        """
        Keep a file; return its number. The same *nonce* again keeps the same file.

        Raises Denied (Crowded among them) where there is no room, or the file is empty or too large.
        """
        if not 0 < size <= LARGEST:
            raise Denied(Sentence("A file of the library has up to %(most)s MB, and is not empty.", most=LARGEST >> 20))
        if len(self._rows(session)) >= MOST:
            raise Denied(Sentence("The library has at most %(most)s files. Delete one first.", most=MOST))
        begun = self._arriving.begin(session, safe_filename(name), media_type, size, nonce=nonce, may_share=True)
        if begun.arrived < size:
            self._arriving.append(session, begun.id, begun.arrived, chunks)

        def write(rows: Rows) -> None:
            if uploads.library_count(rows, session.account) >= MOST or not uploads.keep(
                rows, session.account, begun.id
            ):
                raise Denied(Sentence("The library has at most %(most)s files. Delete one first.", most=MOST))

        self._engine.write(write).result()
        return begun.id

    def listing(self, session: Session) -> Sequence[KeptFile]:
        """Return the files of the library by name; those that this session does not open are left out."""
        found = self._arriving.files(session, self._rows(session))
        named = [KeptFile(each.id, each.name, each.media_type, each.size) for each in found]
        return sorted(named, key=lambda each: each.name.casefold())

    def rename(self, session: Session, ident: int, name: str) -> None:
        """Call a file something else; its ending stays if the new name has none. Raises NoGrant, Denied."""
        name, file = " ".join(name.split()), self._file(session, ident)
        if not name:
            raise Denied("Type what the file is to be called.")
        _, dot, ending = file.name.rpartition(".")
        name = safe_filename(name if "." in name or not dot else f"{name}.{ending}")
        about = self._arriving.about(file, name)
        self._engine.write(lambda rows: uploads.rename(rows, session.account, ident, about)).result()

    def drop(self, session: Session, ident: int) -> None:
        """Delete a file of the library; what was sent of it stays. Raises NoGrant."""
        self._file(session, ident)  # who cannot open it must not destroy it either

        def write(rows: Rows) -> Sequence[str]:
            uploads.unkeep(rows, session.account, ident)
            return uploads.drop(rows, session.account, ident) or ()

        self._vault.discard(*self._engine.write(write).result())

    def upload(self, session: Session, ident: int) -> Upload:
        """Return a file to be attached to a message, which gets a copy of its own. Raises NoGrant."""
        file = self._file(session, ident)
        return Upload(file.name, file.media_type, file.size, partial(self._arriving.reading.octets, file, 0, file.size))

    def _rows(self, session: Session) -> Sequence[Row]:
        return uploads.library(self._engine, session.account)

    def _file(self, session: Session, ident: int) -> LinkedFile:
        rows = [row for row in self._rows(session) if row["id"] == ident]
        for each in self._arriving.files(session, rows):
            return each
        raise NoGrant("There is no such file here.")
