"""What does an archive have, and is it all there? Daily signed manifests, legal holds, and finding by metadata.

Nothing here opens a message. That takes a glass break (`flow/glass.py`) or the archive's recovery file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from cryptnsend.core import checkpoints
from cryptnsend.core.checkpoints import Checkpoint, Keys
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import BlobGone, CryptnSendError, Denied, NoGrant, SealBroken, Sentence
from cryptnsend.core.journals import by_domain
from cryptnsend.core.model import Random, first_id, new_id
from cryptnsend.core.names import legible
from cryptnsend.core.seal import framed
from cryptnsend.flow.policies import Policies
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import accounts, archive, audit, journals
from cryptnsend.store.records.archive import Listed
from cryptnsend.store.vault import Stored, Vault

HOUR = 3_600_000  # milliseconds
DAY = 24 * HOUR
EVER = (1 << 63) - 1  # later than any time, greater than any id
LATE = 3 * DAY  # within which what was begun on a day may still be committed
UNLISTED = 2 * DAY  # after which a message has to stand in its archive's chain
MISSING = b"missing"  # what an entry has in place of a digest: SHA-256 is 32 octets long, so it is never taken for one
ACTOR = "upkeep"
NAME = 80  # characters of a case's name
REASON = 10  # characters at least
COPIES = 30 * DAY  # for which it is told how copies stand
SOON = 2000  # messages that a page may have compared while it waits
SHOWN = 20  # of copies that failed

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
class Copied:
    """How copies of a domain's mail to its journal stand, those of the last thirty days; `failures` are the newest."""

    domain: str
    mailbox: str
    arrived: int
    waiting: int
    failed: int
    failures: Sequence[Row]


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

    def copies(self, org: int) -> list[Copied]:
        """Return how copies to the journals of an organisation stand, by domain."""
        since, found = self._clock.now() - COPIES, list[Copied]()
        for domain, mailbox in sorted(by_domain(self._policies.now(org).journal_to).items()):
            failures = journals.failures(self._engine, mailbox, since, SHOWN)
            found.append(Copied(domain, mailbox, **journals.stand(self._engine, mailbox, since), failures=failures))
        return found

    # -- manifests ----------------------------------------------------------------------------------------------------

    def list_yesterday(self) -> int:
        """
        Append to each archive's chain what was sealed until midnight (UTC), and have the chains signed.

        Does nothing in the first hour of a day, while yesterday's last may still be on their way; what comes later is
        listed with the next day's. A message without its content is listed as that, and an archive that cannot be
        signed waits for the next round: neither keeps the others from theirs. Returns how many messages were listed.
        """
        now = self._clock.now()
        midnight = now // DAY * DAY
        if now < midnight + HOUR:
            return 0
        newest = archive.newest_manifest(self._engine)
        after, count = first_id(newest - LATE) if newest else 0, 0
        while found := archive.unlisted(self._engine, after, first_id(midnight)):
            entries = list(self._entries(found))
            self._engine.write(partial(_append, entries)).result()
            # The page may end between two archives of one message, so that this message is looked at once more.
            after, count = found[-1]["message"] + (not entries), count + len(entries)
        for head in archive.heads(self._engine):
            org, seq = head["org"], head["seq"]
            try:
                if seq > archive.signed_until(self._engine, org):
                    self._sign(org, midnight // DAY - 1, seq, head["hash"])
            except CryptnSendError as error:
                log.error("an archive was not signed", organisation=org, entry=seq, error=type(error).__name__)
        return count

    def verify_soon(self, org: int) -> Verdict:
        """Do as `verify` for an archive that is read in a moment; raise Denied for a larger one."""
        if archive.listed_count(self._engine, org) > SOON:
            raise Denied(
                "This archive is too large to be read while a page waits. Ask who runs the server for the answer of"
                " `cryptnsend archive verify`."
            )
        return self._verified(org, self._keeper.manifest_fits)

    def verify(self, org: int) -> Verdict:
        """Compare an archive with what its chain says of each message, and the chain with what was signed of it."""
        return self._verified(org, self._is_signed)

    def _verified(self, org: int, fits: Callable[[int, int, bytes], bool]) -> Verdict:
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
            problems += self._signatures(org, seq, before, hashes, fits)
        late = archive.unlisted_of(self._engine, org, first_id(self._clock.now() - UNLISTED))
        problems += [f"message {message} is in no manifest, though it is older than two days" for message in late]
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
            raise NoGrant(Sentence("The archive has no message %(number)s.", number=message))
        self._hold(org, case, [("message", message)], reason, actor, by)

    def hold_account(
        self, org: int, case: str, address: str, reason: str, actor: str, by: Mapping[str, object]
    ) -> None:
        """Keep everything that somebody of the organisation sent or got. Raises Denied, NoGrant."""
        row = accounts.by_address(self._engine, address)
        if row is None or row["org"] != org:
            raise NoGrant(Sentence("The organisation has no account with the address %(address)s.", address=address))
        # The addresses, too: they stay known when the account is closed and they are nobody's any more.
        everything = [("address", each) for each in archive.addresses_of(self._engine, row["id"])]
        self._hold(org, case, [("account", row["id"]), *everything], reason, actor, by)

    def release(self, org: int, case: str, actor: str, by: Mapping[str, object]) -> int:
        """End a case: what is older than the retention then goes. Raises NoGrant where there is no such case."""
        now, name = self._clock.now(), case.strip()

        def write(rows: Rows) -> int:
            count = archive.release(rows, org, name, now)
            if not count:
                raise NoGrant(Sentence("There is no case %(name)s that keeps anything.", name=repr(name)))
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
        name, why, now = case.strip(), legible(reason), self._clock.now()
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

    def _entries(self, found: list[Row]) -> Iterator[tuple[int, int, int, bytes, bytes]]:
        """
        Yield what chains are to say of messages: organisation, message, when it was sealed, content, envelope.

        What cannot be read now is left for the next round, and where that lasts `verify` tells.
        """
        for row in found:
            org, message = row["org"], row["message"]
            try:
                at, envelope = self._envelope(message)
                content = self._content(message)
            except BlobGone:
                content = MISSING
                log.error("the content of an archived message is missing", organisation=org, message=message)
            except CryptnSendError as error:
                about = type(error).__name__
                log.error("an archived message cannot be read", organisation=org, message=message, error=about)
                continue
            yield org, message, at, content, envelope

    def _envelope(self, message: int) -> tuple[int, bytes]:
        """Return when a message was sealed, and the digest of its envelope. Raises NoGrant if it is gone."""
        found = archive.envelope(self._engine, message)
        if found is None:
            raise NoGrant(Sentence("The message %(number)s is gone.", number=message))
        about, people = found
        said = framed("envelope", about["author"], about["message_id"], about["size"], "\n".join(people))
        return about["created"], hashlib.sha256(said).digest()

    def _content(self, message: int) -> bytes:
        """Return the digest of the sealed content. Raises BlobGone where a blob is missing or cut short."""
        whole = hashlib.sha256()
        for row in archive.parts(self._engine, message):
            stored, part = Stored(row["body"], row["blob_key"]), hashlib.sha256()
            if self._vault.size(stored) < row["size"]:  # sealing only ever makes it longer
                raise BlobGone("The sealed content is not whole.")
            for chunk in self._vault.open(stored):
                part.update(chunk)
            whole.update(framed("content", row["part"], row["size"], part.digest()))
        return whole.digest()

    def _compared(self, listed: Listed) -> list[str]:
        if not archive.is_kept(self._engine, listed.org, listed.message):
            # Its time may be over. If it is not, somebody took it away.
            days = self._policies.longer_retentions().get(listed.org, self._policies.installation.retention_days)
            is_old = listed.message < first_id(self._clock.now() - days * DAY - self._undo)
            return [] if is_old else [f"message {listed.message} is missing"]
        if listed.content == MISSING:
            return [f"message {listed.message}: its content was missing when it was listed"]
        try:
            at, envelope = self._envelope(listed.message)
            content = self._content(listed.message)
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

    def _is_signed(self, org: int, seq: int, head: bytes) -> bool:
        try:
            self._keeper.manifest(org, seq, head)
        except Denied:
            return False
        return True

    def _signatures(
        self, org: int, seq: int, head: bytes, hashes: Mapping[int, bytes], fits: Callable[[int, int, bytes], bool]
    ) -> list[str]:
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
        if seq and not problems and not fits(org, seq, head):
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


def _append(entries: list[tuple[int, int, int, bytes, bytes]], rows: Rows) -> None:
    for org, message, at, content, envelope in entries:
        archive.append(rows, org, message, at, content, envelope)
