"""What does an archive have, and is it all there? Daily signed manifests, legal holds, and finding by metadata.

Nothing here opens a message. That takes a glass break (`flow/glass.py`) or the archive's recovery file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import structlog

from cryptnsend.core import checkpoints
from cryptnsend.core.checkpoints import Checkpoint, Keys
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import CryptnSendError, Denied, NoGrant, SealBroken
from cryptnsend.core.model import Random, first_id, new_id
from cryptnsend.core.seal import framed
from cryptnsend.flow.policies import Policies
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import accounts, archive, audit
from cryptnsend.store.records.archive import Listed
from cryptnsend.store.vault import Stored, Vault

HOUR = 3_600_000  # milliseconds
DAY = 24 * HOUR
EVER = (1 << 63) - 1  # later than any time, greater than any id
LATE = 3 * DAY  # within which what was begun on a day may still be committed
ACTOR = "upkeep"
NAME = 80  # characters of a case's name
REASON = 10  # characters at least

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for in an archive; everything that is empty counts for nothing. Times are UTC milliseconds."""

    address: str = ""
    author: str = ""
    recipient: str = ""
    since: int = 0
    until: int = EVER
    message_id: str = ""
    case: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one archive: how many messages it lists, and what is wrong with which of them."""

    organisation: int
    entries: int
    signed: int  # of the entries, how many a manifest covers
    problems: tuple[str, ...]


class Archiving:
    """Looks after archives. Shared by all requests of a process."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        keeper: Keeper,
        clock: Clock,
        random: Random,
        policies: Policies,
        undo: int,
    ):
        """For how long a message is kept, *policies* say; *undo* is how long what ended can come back, in ms."""
        self._engine, self._vault, self._keeper = engine, vault, keeper
        self._clock, self._random = clock, random
        self._policies, self._undo = policies, undo

    # -- manifests ----------------------------------------------------------------------------------------------------

    def list_yesterday(self) -> int:
        """
        Append to each archive's chain what was sealed until midnight (UTC), and have the chains signed.

        Does nothing in the first hour of a day, while yesterday's last may still be on their way; what comes later is
        listed with the next day's. Returns how many messages were listed.
        """
        now = self._clock.now()
        midnight = now // DAY * DAY
        if now < midnight + HOUR:
            return 0
        newest = archive.newest_manifest(self._engine)
        after, count = first_id(newest - LATE) if newest else 0, 0
        while found := archive.unlisted(self._engine, after, first_id(midnight)):
            digests = [(row["org"], row["message"], *self._digests(row["message"])) for row in found]
            self._engine.write(partial(_append, digests)).result()
            count += len(found)
        for head in archive.heads(self._engine):
            if head["seq"] > archive.signed_until(self._engine, head["org"]):
                self._sign(head["org"], midnight // DAY - 1, head["seq"], head["hash"])
        return count

    def verify(self, org: int) -> Verdict:
        """Compare an archive with what its chain says of each message, and the chain with what was signed of it."""
        problems: list[str] = []
        before, seq = archive.START, 0
        hashes = {}
        for listed in archive.listed(self._engine, org, after=-(1 << 62)):
            seq += 1
            expected = archive.link(before, org, seq, listed.message, listed.at, listed.content, listed.envelope)
            if listed.seq != seq or listed.hash != expected:
                problems.append(f"entry {seq} of the manifest was edited, removed or put elsewhere")
                break
            before = hashes[seq] = listed.hash
            problems += self._compared(listed)
        else:
            problems += self._signatures(org, seq, before, hashes)
        return Verdict(org, seq, archive.signed_until(self._engine, org), tuple(problems))

    def keys(self) -> Keys:
        """Return the public keys by which manifests are checked."""
        keys = self._keeper.witness_keys()
        return Keys(keys.ed25519, keys.ml_dsa)

    # -- finding ------------------------------------------------------------------------------------------------------

    def search(self, org: int, wanted: Wanted, before: int | None = None, limit: int = 100) -> list[Row]:
        """Return what an organisation's archive has, by metadata, newest first; no content is looked at."""
        return archive.search(
            self._engine,
            org,
            address=wanted.address,
            author=wanted.author,
            recipient=wanted.recipient,
            since=wanted.since,
            until=wanted.until,
            message_id=wanted.message_id,
            case=wanted.case,
            before=EVER if before is None else before,
            limit=limit,
        )

    # -- legal holds --------------------------------------------------------------------------------------------------

    def hold_message(
        self, org: int, case: str, message: int, reason: str, actor: str, by: Mapping[str, object]
    ) -> None:
        """Keep one message whatever its age, until the case is released. Raises Denied, NoGrant."""
        if not archive.is_kept(self._engine, org, message):
            raise NoGrant(f"The archive has no message {message}.")
        self._hold(org, case, [("message", message)], reason, actor, by)

    def hold_account(
        self, org: int, case: str, address: str, reason: str, actor: str, by: Mapping[str, object]
    ) -> None:
        """Keep everything that somebody of the organisation sent or got. Raises Denied, NoGrant."""
        row = accounts.by_address(self._engine, address)
        if row is None or row["org"] != org:
            raise NoGrant(f"The organisation has no account with the address {address}.")
        # The addresses, too: they stay known when the account is closed and they are nobody's any more.
        everything = [("address", each) for each in archive.addresses_of(self._engine, row["id"])]
        self._hold(org, case, [("account", row["id"]), *everything], reason, actor, by)

    def release(self, org: int, case: str, actor: str, by: Mapping[str, object]) -> int:
        """End a case: what is older than the retention then goes. Raises NoGrant where there is no such case."""
        now, name = self._clock.now(), case.strip()

        def write(rows: Rows) -> int:
            count = archive.release(rows, org, name, now)
            if not count:
                raise NoGrant(f"There is no case {name!r} that keeps anything.")
            audit.append(rows, org, now, actor, "hold.released", name, {**by, "holds": count})
            return count

        return self._engine.write(write).result()

    def holds(self, org: int) -> list[Row]:
        """Return what an organisation's cases keep."""
        return archive.holds(self._engine, org)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _hold(
        self,
        org: int,
        case: str,
        subjects: list[tuple[str, int]],
        reason: str,
        actor: str,
        by: Mapping[str, object],
    ) -> None:
        name, why, now = case.strip(), reason.strip(), self._clock.now()
        if not name or len(name) > NAME or not name.isprintable():
            raise Denied("Give the case a name of at most 80 characters.")
        if len(why) < REASON:
            raise Denied("Say in a sentence why this has to be kept. It stands in the audit trail.")

        def write(rows: Rows) -> None:
            made = [
                (kind, subject)
                for kind, subject in subjects
                if archive.hold(rows, new_id(now, self._random), org, name, kind, subject, why, now)
            ]
            for kind, subject in made[:1]:
                audit.append(rows, org, now, actor, "hold.placed", str(subject), {**by, "case": name, "kind": kind})

        self._engine.write(write).result()

    def _digests(self, message: int) -> tuple[int, bytes, bytes]:
        """Return when a message was sealed, and what its row says of content and envelope. Raises NoGrant if gone."""
        found = archive.envelope(self._engine, message)
        if found is None:
            raise NoGrant(f"The message {message} is gone.")
        about, people = found
        said = framed("envelope", about["author"], about["message_id"], about["size"], "\n".join(people))
        return about["created"], self._content(message), hashlib.sha256(said).digest()

    def _content(self, message: int) -> bytes:
        whole = hashlib.sha256()
        for row in archive.parts(self._engine, message):
            part = hashlib.sha256()
            for chunk in self._vault.open(Stored(row["body"], row["blob_key"])):
                part.update(chunk)
            whole.update(framed("content", row["part"], row["size"], part.digest()))
        return whole.digest()

    def _compared(self, listed: Listed) -> list[str]:
        if not archive.is_kept(self._engine, listed.org, listed.message):
            # Its time may be over. If it is not, somebody took it away.
            days = self._policies.longer_retentions().get(listed.org, self._policies.installation.retention_days)
            is_old = listed.message < first_id(self._clock.now() - days * DAY - self._undo)
            return [] if is_old else [f"message {listed.message} is missing"]
        try:
            at, content, envelope = self._digests(listed.message)
        except CryptnSendError:
            return [f"message {listed.message} is missing, or its content is"]
        wrong = [
            what
            for what, same in (
                ("time", at == listed.at),
                ("content", content == listed.content),
                ("envelope", envelope == listed.envelope),
            )
            if not same
        ]
        return [f"message {listed.message}: its {' and '.join(wrong)} changed"] if wrong else []

    def _signatures(self, org: int, seq: int, head: bytes, hashes: Mapping[int, bytes]) -> list[str]:
        keys, problems, until = self.keys(), [], 0
        for point in archive.manifests(self._engine, org):
            try:
                checkpoints.check(point, keys, "manifest")
            except SealBroken:
                problems.append(f"the manifest of entry {point.seq} was not signed by this server's keeper")
                continue
            if hashes.get(point.seq) != point.hash:
                problems.append(f"entries {until + 1} to {point.seq} of the manifest are not those that were signed")
                break
            until = point.seq
        if seq and not problems:
            try:
                self._keeper.manifest(org, seq, head)
            except Denied:
                problems.append(f"entries of the manifest behind {until} are missing or were changed")
        return problems

    def _sign(self, org: int, day: int, seq: int, digest: bytes) -> None:
        try:
            signed = self._keeper.manifest(org, seq, digest)
        except Denied:
            log.error("the archive's manifest is not the one the keeper knows", organisation=org, entry=seq)
            return
        point = Checkpoint(signed.organisation, signed.seq, signed.hash, signed.at, signed.signature, signed.second)

        def write(rows: Rows) -> None:
            archive.keep_manifest(rows, day, point)
            audit.append(rows, org, self._clock.now(), ACTOR, "archive.signed", str(day), {"entries": seq})

        self._engine.write(write).result()


def _append(digests: list[tuple[int, int, int, bytes, bytes]], rows: Rows) -> None:
    for org, message, at, content, envelope in digests:
        archive.append(rows, org, message, at, content, envelope)
