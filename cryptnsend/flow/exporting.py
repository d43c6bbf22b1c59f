"""How does an account take one of its messages out of the vault by a command? As mail, or still sealed.

The password of the account is asked for each time: opening its wrap is what makes it possible, not the owner's word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from cryptnsend.core import export, keys, passwords
from cryptnsend.core.addresses import canonical
from cryptnsend.core.contracts import Clock, Engine, Row
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.linkedfiles import PART, LinkedFile
from cryptnsend.core.model import Random, account_holder
from cryptnsend.flow import saving
from cryptnsend.flow.filereading import FileReading, files_beside
from cryptnsend.flow.noting import note_act
from cryptnsend.flow.opening import NOTHING, Opener
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Part
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import listing
from cryptnsend.store.vault import Stored, Vault


class Exporting:
    """Exports for who has an account's password. Every export is in the audit."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        keeper: Keeper,
        opener: Opener,
        clock: Clock,
        random: Random,
        argon: passwords.Argon,
        by: Mapping[str, object],
    ):
        self._engine, self._vault, self._keeper, self._opener = engine, vault, keeper, opener
        self._reading = FileReading(engine, vault)
        self._clock, self._random, self._argon = clock, random, argon
        self._by = by  # what the audit says of who acts, besides whose password it was

    def sign_in(self, address: str, password: str) -> Session:
        """Return a session that rests nowhere. Raises WrongSecret."""
        try:
            name = canonical(address)
        except ValueError as error:
            raise Denied(f"{address!r} is not a mail address: {error}") from None
        salt = self._keeper.salt(name)
        k = passwords.derive(password, salt.salt, passwords.Argon.decode(salt.params))
        opened = self._keeper.open(name, k)
        # With a secret of its own: what a glass break opens rests under it for a while.
        return replace(Session.unkept(opened, name, self._random(32)), secret=self._random(32))

    def mail(self, session: Session, message: int) -> Part:
        """
        Return a message as a mail file, checked before its first octet: the author's with every octet as submitted.

        Raises NoGrant, Ended.
        """
        row = self._opener.fullest(session, message)
        content_keys = self._opener.keys(session, row)
        cuts = self._opener.cuts(row, content_keys) if row["role"] == "author" else []
        part = saving.whole(f"{message}.eml", self._opener.raw(row, content_keys), cuts)
        self._note(session, message, "mail")
        return part

    def sealed(self, session: Session, message: int, password: str) -> Iterator[bytes]:
        """
        Yield an exported object (docs/vault-format.md §9): everything still sealed, the seed under *password*.

        Raises NoGrant, Ended before the first octet, SealBroken at the end if the stored size was wrong.
        """
        row = self._opener.fullest(session, message)
        content_keys = self._opener.keys(session, row)  # what cannot be opened here is not given out as if it could be
        seed = session.seeds[row["pair"]]
        salt, wrap = export.wrap_for_export(password, seed, row["pair"], self._argon, self._random)
        binding = keys.GrantBinding(
            row["org"], message, account_holder(session.account), row["role"], row["contact"], row["custody"]
        )
        exported = export.Exported(
            grant=binding,
            wrap=row["wrap"],
            epoch=row["epoch"],
            epoch_owner=row["owner"],
            epoch_holder=row["epoch_holder"],
            epoch_sealed=row["sealed"],
            pair=row["pair"],
            salt=salt,
            params=self._argon,
            seed_wrap=wrap,
            index=self._small(row, "index"),
            author_index=self._small(row, "author_index") if row["role"] == "author" else b"",
        )
        stored = self._stored(row, "raw")
        if stored is None:
            raise NoGrant(NOTHING)
        self._note(session, message, "sealed")
        beside = self._members(row, files_beside(self._engine, self._opener, row["org"], message, content_keys[:32]))
        return export.export_object(exported, self._vault.open(stored), self._vault.size(stored), beside)

    def beside(self, session: Session, message: int) -> Sequence[tuple[LinkedFile, Iterator[bytes]]]:
        """Return the large files beside a message with their octets; raises as `mail`, SealBroken while they come."""
        row = self._opener.fullest(session, message)
        key = self._opener.keys(session, row)[:32]
        files = files_beside(self._engine, self._opener, row["org"], message, key)
        return [(each, self._reading.octets(each, 0, each.size)) for each in files]

    def _members(self, row: Row, files: Sequence[LinkedFile]) -> Iterator[export.Member]:
        """Yield the large files of a message as an exported object has them: their list, then each piece, sealed."""
        if files:
            octets = self._small(row, PART)
            yield export.FILES, len(octets), (octets,)
        for each in files:
            for start, stored, size in self._reading.sealed(each):
                yield export.piece_name(each.id, start), size, self._vault.open(stored)

    def _stored(self, row: Row, part: str) -> Stored | None:
        found = listing.content(self._engine, row["org"], row["message"], part)
        return Stored(found["body"], found["blob_key"]) if found else None

    def _small(self, row: Row, part: str) -> bytes:
        stored = self._stored(row, part)
        return b"".join(self._vault.open(stored)) if stored else b""

    def _note(self, session: Session, message: int, form: str) -> None:
        about = listing.message(self._engine, message)
        if about is None:
            raise NoGrant(NOTHING)
        now, detail = self._clock.now(), {**self._by, "form": form}
        self._engine.write(
            lambda rows: note_act(rows, session, about["org"], now, "message.exported", str(message), detail)
        ).result()
