"""What leaves the archive for a case? A locked ZIP: each message as a mail file, a list of them, its signatures.

Large files that rest beside a message are in it, too, numbered, with their names in the list. The list has the SHA-256
of each file and each message's place in the archive's own signed manifest, so that a stranger can check that nothing
was left out or changed since the day it was sealed. Every message is in the audit trail before it leaves.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptnsend.core import keys
from cryptnsend.core.contracts import Clock, Engine, Row
from cryptnsend.core.errors import Denied, Sentence
from cryptnsend.core.model import archive_holder
from cryptnsend.flow import saving
from cryptnsend.flow.archivedfiles import ArchivedFiles
from cryptnsend.flow.archiving import EVER
from cryptnsend.flow.glass import Broken, GlassBreaks, Recovered
from cryptnsend.keeper import recovery
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import archive

FORMAT = "cryptnsend export 1"
LABEL = "export"  # of the signatures, see core.checkpoints
MOST = 20_000  # messages in one export
PAGE = 500


@dataclass(slots=True)
class _File:
    """One mail file while it goes out: how large it was, and its hash."""

    name: str
    chunks: Iterator[bytes]
    size: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def read(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.size += len(chunk)
            self.digest.update(chunk)
            yield chunk


class Casework:
    """Exports out of archives. Shared by all requests of a process; keeps nothing."""

    def __init__(self, *, engine: Engine, keeper: Keeper, glass: GlassBreaks, files: ArchivedFiles, clock: Clock):
        self._engine, self._keeper, self._glass, self._clock = engine, keeper, glass, clock
        self._large = files

    def recovered(self, file: str, code: str, mailbox: str, reason: str) -> Recovered:
        """
        Open one mailbox by an archive's recovery file and its code, for when no officer is left.

        All who have a say are told before anything leaves. Raises WrongSecret, SealBroken, and Denied for another file,
        without a reason, or where it takes two officers.
        """
        sheet = recovery.sheet(file)
        if sheet.kind != recovery.ARCHIVE:
            raise Denied("This is the installation's recovery file; that of the organisation's archive is needed.")
        opened = sheet.opened(code)
        sealed, holder = self._keeper.recovery_ticket(opened.pair), archive_holder(opened.organisation)
        ticket = keys.open_with(opened.key, sealed, label="recovery", owner=holder, holder=holder, ref=opened.pair)
        return self._glass.recovered(ticket, opened.pair, opened.key, mailbox, reason)

    def found(self, broken: Broken, case: str = "") -> list[Row]:
        """Return what an export would have: the mailbox's mail, or of it what *case* keeps; oldest first."""
        rows: list[Row] = []
        before = EVER
        while len(rows) <= MOST:
            page = archive.search(
                self._engine, broken.organisation, address=broken.mailbox, case=case, before=before, limit=PAGE
            )
            if not page:
                return rows[::-1]
            rows += page
            before = page[-1]["id"]
        raise Denied(
            Sentence("That is more than %(most)s messages. Name a case, or a mailbox with less mail.", most=MOST)
        )

    def export(self, broken: Broken, password: str, case: str = "") -> Iterator[bytes]:
        """
        Yield the ZIP, locked with *password*; raises Denied where there is nothing, Ended once the time is over.

        Everything in it is in the audit trail when the first octet leaves.
        """
        rows = self.found(broken, case)
        if not rows:
            raise Denied("The archive has nothing of this mailbox and case.")
        self._glass.note(broken, [row["id"] for row in rows], "archive.exported")
        return saving.archive(self._files(broken, rows, case), password)

    def _files(self, broken: Broken, rows: list[Row], case: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        listed = []
        for row in rows:
            self._check_open(broken)
            part = self._glass.eml(broken, row["id"], noted=True)
            file = _File(f"mail/{row['id']}.eml", iter(part.chunks))
            yield file.name, file.read()
            about, large = self._about(broken, row, file), list[dict[str, object]]()
            for number, each in enumerate(self._large.files(broken, row["id"]), 1):
                beside = _File(f"files/{row['id']}.{number}", self._large.octets(broken, each))
                yield beside.name, beside.read()
                self._check_open(broken)  # or half of a file would be called a file
                said = {"file": beside.name, "name": each.name, "type": each.media_type, "size": beside.size}
                large.append(said | {"sha256": beside.digest.hexdigest()})
            listed.append(about | ({"large_files": large} if large else {}))
        said = {
            "format": FORMAT,
            "organisation": str(broken.organisation),
            "mailbox": broken.mailbox,
            "case": case,
            "reason": broken.reason,
            "glass_break": str(broken.id),
            "officer": broken.actor,
            "recovery": str(broken.pair) if isinstance(broken, Recovered) else "",
            "made": self._clock.now(),
            "messages": listed,
            "manifests": [
                {
                    "entry": point.seq,
                    "hash": point.hash.hex(),
                    "at": point.at,
                    "ed25519": _text(point.ed25519),
                    "ml-dsa-65": _text(point.ml_dsa),
                }
                for point in archive.manifests(self._engine, broken.organisation)
            ],
        }
        octets = json.dumps(said, indent=1, ensure_ascii=False).encode()
        yield "manifest.json", iter([octets])
        yield "manifest.sig.json", iter([self._signed(broken, len(listed), octets)])

    def _about(self, broken: Broken, row: Row, file: _File) -> dict[str, object]:
        entry = archive.entry(self._engine, broken.organisation, row["id"])
        return {
            "message": str(row["id"]),
            "message_id": row["message_id"],
            "sealed": row["created"],
            "author": row["author"],
            "recipients": row["recipients"],
            "file": file.name,
            "size": file.size,
            "sha256": file.digest.hexdigest(),
            "entry": entry
            and {
                "number": entry.seq,
                "at": entry.at,
                "content": entry.content.hex(),
                "envelope": entry.envelope.hex(),
                "hash": entry.hash.hex(),
            },
        }

    def _check_open(self, broken: Broken) -> None:
        """Raise Ended once the time is over: nothing leaves after that."""
        if isinstance(broken, Recovered):
            self._keeper.recovered(broken.session.ticket)
        else:
            self._keeper.glass_running(broken.session.ticket, broken.id)

    def _signed(self, broken: Broken, entries: int, octets: bytes) -> bytes:
        digest, keys = hashlib.sha256(octets).digest(), self._keeper.witness_keys()
        if isinstance(broken, Recovered):
            signed = self._keeper.recovered_export(broken.session.ticket, entries, digest)
        else:
            signed = self._keeper.glass_export(broken.session.ticket, broken.id, entries, digest)
        said = {
            "keys": {"ed25519": _text(keys.ed25519), "ml-dsa-65": _text(keys.ml_dsa)},
            "organisation": str(signed.organisation),
            "entries": signed.seq,
            "sha256": signed.hash.hex(),
            "at": signed.at,
            "ed25519": _text(signed.signature),
            "ml-dsa-65": _text(signed.second),
        }
        return json.dumps(said, indent=1).encode()


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
