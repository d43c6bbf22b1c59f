"""What ends by itself? Recipients' grants when a message's time is over, what can no longer be undone, what is stale.

    active ──(ends)──> suspended ──(days for undo)──> shredded: row deleted, log of the store cut, content deleted

Grants of the author, the thread's subscriber and the archive go the same way once the retention is over. Nobody can ask
for these back, but they come back by themselves if the time was wrong, or the retention is made longer in time.

The journal hears of each ending before it is committed. A clock that jumps ends nothing: see `Steadiness`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from random import uniform
from typing import Any

import structlog

from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import CryptnSendError, Denied, SealBroken
from cryptnsend.core.model import INSTALLATION, Random, first_id, new_id
from cryptnsend.flow import closing, glass, keywatch, resetting
from cryptnsend.flow.archiving import Archiving
from cryptnsend.flow.auditing import Auditing
from cryptnsend.flow.domains import Domains
from cryptnsend.flow.policies import Policies
from cryptnsend.flow.reminding import Reminding
from cryptnsend.flow.uploading import EXPIRES
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.journal import Entry, replay
from cryptnsend.store.records import (
    accounts,
    audit,
    drafts,
    endings,
    filelinks,
    invitations,
    linked,
    mailboxes,
    messages,
    oversight,
    placements,
    sessions,
    trail,
    transport,
    upkeep,
    uploads,
)
from cryptnsend.store.vault import Vault

MINUTE = 60_000  # milliseconds
HOUR = 60 * MINUTE
DAY = 24 * HOUR
ROUND = 30.0  # seconds between two rounds
SWEEP = 3600.0  # seconds between two walks over all blobs, over what is stale, and over what is as old as the retention
EXPUNGED_KEPT = 30 * DAY  # milliseconds for which mailboxes remember what was taken away
MAILS_KEPT = 90 * DAY  # milliseconds for which the queue remembers mails about accounts
CHECKPOINT = 600.0  # seconds between two messages to the keeper about the audit chains
ACTOR = "upkeep"

log = structlog.stdlib.get_logger(__name__)


class Steadiness:
    """
    Says whether the time of day may be believed, by comparing it with the clock that never jumps.

    After a jump of more than an hour nothing ends until the time has been steady for an hour; after one of more than
    a week, until it is back or the server is started anew, because that is a mistake and not a rest.
    """

    def __init__(self, clock: Clock):
        self._clock = clock
        self._offset = self._now()
        self._seen = self._offset
        self._since = clock.monotonic()

    def is_steady(self) -> bool:
        """Look at both clocks; False while nothing may end by time."""
        offset = self._now()
        if abs(offset - self._seen) > HOUR:
            log.error("the clock has jumped; nothing ends by time", milliseconds=offset - self._offset)
            self._since = self._clock.monotonic()
        self._seen = offset
        jump = abs(offset - self._offset)
        if jump <= HOUR:
            return True
        if jump <= 7 * DAY and self._clock.monotonic() - self._since >= HOUR / 1000:
            self._offset = offset
            return True
        return False

    def _now(self) -> int:
        return self._clock.now() - int(self._clock.monotonic() * 1000)


class Upkeep:
    """Ends what is over. One thread per server; a second one changes nothing."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        keeper: Keeper,
        clock: Clock,
        random: Random,
        undo: int,
        policies: Policies,
        drafts: int,
        journal: Path,
        reminding: Reminding,
        domains: Domains,
    ):
        """
        Look after one home.

        Milliseconds: *undo*, for which what was suspended can be given back; *drafts*, for which a draft is that nobody
        touches. For how long a message is kept, *policies* say.
        """
        self._policies = policies
        self._engine, self._vault, self._keeper, self._clock = engine, vault, keeper, clock
        self._random, self._undo, self._drafts, self._journal = random, undo, drafts, journal
        self._reminding, self._domains = reminding, domains
        self._auditing = Auditing(engine, keeper, clock)
        self._archiving = Archiving(
            engine=engine, vault=vault, keeper=keeper, clock=clock, random=random, policies=policies, undo=undo
        )
        self._steadiness = Steadiness(clock)
        self._uncut = True  # deleted rows may still stand in the store's log
        self._sweep_at = self._retire_at = self._checkpoint_at = 0.0
        self._told: dict[int, int] = {}  # how far the keeper knows each audit chain
        self._kept: dict[int, int] = {}  # how far checkpoints rest beside each

    def run(self, stop: threading.Event) -> None:
        """Do a round now and again until *stop* is set. What fails is tried again in the next round."""
        while True:
            try:
                self.once()
            except CryptnSendError as error:
                log.warning("upkeep could not finish its round", error=type(error).__name__)
            if stop.wait(ROUND * uniform(0.8, 1.2)):  # noqa: S311 - only so that servers do not go in step
                return

    def once(self) -> None:
        """Do one round."""
        now = self._clock.monotonic()
        if self._steadiness.is_steady():
            self._suspend()
            if now >= self._retire_at:
                self._retire_at = now + SWEEP
                self._retire()
            self._shred()
            self._reminding.once()
        resetting.finish(self._engine, self._keeper, self._clock, self._random, self._clock.now() - MINUTE)
        self._warn()
        glass.finish(self._engine, self._clock)
        if now >= self._checkpoint_at:
            self._checkpoint_at = now + CHECKPOINT
            self._tell_keeper()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP
            self._forget()
            if self._steadiness.is_steady():
                keywatch.watch(self._engine, self._clock, self._random)
                try:
                    self._archiving.list_yesterday()
                except CryptnSendError as error:  # what is cleared away below must not wait for that
                    log.error("archives were not listed", error=type(error).__name__)
                self._domains.look_again()
                try:
                    self._domains.tell_officers(self._policies.end_partners(), "partner-over")
                except CryptnSendError as error:
                    log.error("partners whose domains are over still count", error=type(error).__name__)
            self._vault.sweep(self._engine, self._clock.now())
        if self._uncut:
            self._uncut = not self._engine.checkpoint()

    def restored(self) -> None:
        """Make rows that came from a backup end what had ended since; every session ends."""
        self._engine.write(endings.end_everything).result()
        now = self._clock.now()
        self._engine.write(lambda rows: mailboxes.renumber(rows, now)).result()
        for entry in replay(self._journal).entries:
            self._replay(entry, now)
        self._uncut = not self._engine.checkpoint()

    # -- what is over -------------------------------------------------------------------------------------------------

    def _suspend(self) -> None:
        while found := upkeep.grants_to_suspend(self._engine, self._clock.now()):
            now = self._clock.now()
            self._keeper.ended("suspend", [row["id"] for row in found])

            def write(rows: Rows, found: Sequence[Row] = found, now: int = now) -> None:
                upkeep.suspend(rows, [(row["org"], row["id"]) for row in found], now, now + self._undo)
                _note(rows, found, now, "grant.suspended", {"reason": "expired"})

            self._engine.write(write).result()

    def _retire(self) -> None:
        """End what only the retention ends, or take that back where a message turns out to be younger."""
        now = self._clock.now()
        before = first_id(now - self._policies.installation.retention_days * DAY)
        longer = {org: first_id(now - days * DAY) for org, days in self._policies.longer_retentions().items()}
        while found := upkeep.grants_to_reinstate(self._engine, before, longer):
            self._keeper.ended("undo", [row["id"] for row in found])
            self._engine.write(partial(self._reinstated, found)).result()
        while found := upkeep.grants_to_retire(self._engine, before, longer):
            self._keeper.ended("suspend", [row["id"] for row in found])
            self._engine.write(partial(self._retired, found)).result()

    def _reinstated(self, found: Sequence[Row], rows: Rows) -> None:
        upkeep.reinstate(rows, [(row["org"], row["id"]) for row in found])
        _note(rows, found, self._clock.now(), "grant.restored", {"reason": "retention"})

    def _retired(self, found: Sequence[Row], rows: Rows) -> None:
        now = self._clock.now()
        upkeep.retire(rows, [(row["org"], row["id"]) for row in found], now + self._undo)
        _note(rows, found, now, "grant.suspended", {"reason": "retention"})

    def _shred(self) -> None:
        while found := upkeep.grants_to_shred(self._engine, self._clock.now()):
            now = self._clock.now()
            self._keeper.ended("shred", [row["id"] for row in found])

            def write(rows: Rows, found: Sequence[Row] = found, now: int = now) -> list[str]:
                upkeep.shred(rows, [(row["org"], row["id"]) for row in found], now)
                _note(rows, found, now, "grant.shredded", {})
                return _bury(rows, found)

            self._uncut = True
            blobs = self._engine.write(write).result()
            self._vault.discard(*blobs)

    def _forget(self) -> None:
        now = self._clock.now()
        self._engine.write(lambda rows: sessions.end_old(rows, now - DAY)).result()
        self._engine.write(lambda rows: upkeep.forget_stale(rows, now)).result()
        closing.finish(self._engine, self._keeper, self._clock, self._random, now - MINUTE)
        self._clear_closed()
        if self._steadiness.is_steady():
            self._forget_drafts(now - self._drafts)
            self._forget_uploads(now - EXPIRES)
            self._forget_gone()
            self._forget_alone(now - MAILS_KEPT)
            self._engine.write(placements.forget_put_away).result()
        self._engine.write(lambda rows: transport.forget(rows, now)).result()
        self._engine.write(lambda rows: linked.forget_tickets(rows, now)).result()
        self._engine.write(lambda rows: filelinks.end_old(rows, now)).result()
        self._engine.write(lambda rows: invitations.forget(rows, now - DAY)).result()
        self._engine.write(lambda rows: placements.forget_gone(rows, now - EXPUNGED_KEPT)).result()
        while stale := upkeep.stale_links(self._engine, now):
            self._engine.write(partial(_drop, stale)).result()

    def _forget_drafts(self, before: int) -> None:
        while stale := drafts.stale(self._engine, before):

            def write(rows: Rows, stale: Sequence[Row] = stale) -> list[str]:
                return [blob for row in stale for blob in drafts.drop_stale(rows, row["account"], row["id"], before)]

            self._uncut = True
            blobs = self._engine.write(write).result()
            self._vault.discard(*blobs)

    def _forget_uploads(self, before: int) -> None:
        while stale := uploads.stale(self._engine, before):

            def write(rows: Rows, stale: Sequence[Row] = stale) -> list[str]:
                return [blob for row in stale for blob in uploads.drop_stale(rows, row["account"], row["id"], before)]

            self._uncut = True
            self._vault.discard(*self._engine.write(write).result())

    def _forget_gone(self) -> None:
        """Delete the rows about messages that nobody can open any more; the audit trail still says what happened."""
        while found := upkeep.gone(self._engine):
            self._uncut = True
            self._engine.write(partial(self._forgotten, found)).result()

    def _forgotten(self, found: Sequence[Row], rows: Rows) -> None:
        now = self._clock.now()
        for row in found:
            if upkeep.forget(rows, row["org"], row["id"], row["thread"]):
                placements.forget(rows, row["id"], now)
                audit.append(rows, row["org"], now, ACTOR, "message.removed", str(row["id"]), {})

    def _forget_alone(self, before: int) -> None:
        while found := upkeep.settled_alone(self._engine, before):
            self._engine.write(partial(_drop_alone, found)).result()

    def _clear_closed(self) -> None:
        """Shred what closed accounts held: nobody has the keys any more."""
        while found := oversight.left_by_closed(self._engine):
            self._keeper.ended("shred", [row["id"] for row in found])

            def write(rows: Rows, found: Sequence[Row] = found) -> list[str]:
                for row in found:
                    oversight.shred(rows, row["holder"], row["id"])
                return _bury(rows, found)

            self._uncut = True
            self._vault.discard(*self._engine.write(write).result())
        self._engine.write(uploads.leave).result()
        while stale := oversight.drafts_of_closed(self._engine):

            def clear(rows: Rows, stale: Sequence[Row] = stale) -> list[str]:
                return [blob for row in stale for blob in drafts.drop(rows, row["account"], row["id"])]

            self._uncut = True
            self._vault.discard(*self._engine.write(clear).result())

        while begun := uploads.of_closed(self._engine):

            def stop(rows: Rows, begun: Sequence[Row] = begun) -> list[str]:
                return [blob for row in begun for blob in uploads.drop(rows, row["account"], row["id"]) or ()]

            self._uncut = True
            self._vault.discard(*self._engine.write(stop).result())

        while closed := mailboxes.of_closed(self._engine):

            def empty(rows: Rows, closed: Sequence[int] = closed) -> list[str]:
                return [blob for account in closed for blob in mailboxes.clear(rows, account)]

            self._uncut = True
            self._vault.discard(*self._engine.write(empty).result())

    def _warn(self) -> None:
        """Remind who owns a password that was reset by mail, once a day, that waiting opens everything."""
        now = self._clock.now()
        for account in accounts.waiting(self._engine):
            self._engine.write(partial(self._remind, account, now)).result()

    def _remind(self, account: Row, now: int, rows: Rows) -> None:
        if messages.count(rows, account["org"], account["id"], now // DAY, "reset-reminders", 1) > 1:
            return
        reminder = messages.Delivery(
            new_id(now, self._random), INSTALLATION, "alert", "", None, None, account["id"], "reset-waiting",
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip
        messages.add_deliveries(rows, [reminder])

    def _tell_keeper(self) -> None:
        """Let the keeper note how far each audit chain has come, so that cutting one off shows."""
        day_ago = self._clock.now() - DAY
        for org, head in audit.heads(self._engine).items():
            # Once a day it is kept beside the chain as well, so that a change shows by its day.
            is_due = head.seq > self._kept.get(org, 0) and trail.kept_at(self._engine, org) <= day_ago
            if self._told.get(org) == head.seq and not is_due:
                continue
            try:
                signed = self._keeper.checkpoint(org, head.seq, head.hash)
                self._told[org] = head.seq
                if is_due:
                    self._auditing.keep(signed)
                    self._kept[org] = head.seq
            except (Denied, SealBroken):
                log.error("the audit trail is not the one the keeper knows", organisation=org, entry=head.seq)

    # -- after a restore ----------------------------------------------------------------------------------------------

    def _replay(self, entry: Entry, now: int) -> None:
        undo = self._undo
        # An archive may keep for longer than the installation; `_retire` then ends at its time what is left here.
        days = max([self._policies.installation.retention_days, *self._policies.longer_retentions().values()])
        before = first_id(now - days * DAY)

        def write(rows: Rows) -> list[str]:
            if entry.kind == "suspend":
                endings.suspend(rows, entry.ids, entry.at + undo)
            elif entry.kind == "undo":
                endings.undo(rows, entry.ids)
            elif entry.kind == "cancel":
                endings.cancel(rows, entry.ids, entry.at)
            elif entry.kind == "revoke":
                endings.revoke(rows, entry.ids, entry.at)
            elif entry.kind == "close":
                closing.again(rows, entry.ids[0], now)
            elif entry.kind == "shred":
                return _bury(rows, endings.shred(rows, entry.ids, before))
            return []

        blobs = self._engine.write(write).result()
        self._vault.discard(*blobs)


def _drop_alone(found: Sequence[Row], rows: Rows) -> None:
    upkeep.forget_alone(rows, [row["id"] for row in found])


def _drop(links: Sequence[bytes], rows: Rows) -> None:
    upkeep.drop_links(rows, links)


def _bury(rows: Rows, shredded: Iterable[Row]) -> list[str]:
    """Delete the content of messages without any grant; return the blobs to discard after COMMIT."""
    messages = dict.fromkeys((row["org"], row["message"]) for row in shredded)
    return [blob for org, message in messages for blob in upkeep.bury(rows, org, message)]


def _note(rows: Rows, found: Iterable[Row], now: int, action: str, detail: dict[str, Any]) -> None:
    for org, message in dict.fromkeys((row["org"], row["message"]) for row in found):
        audit.append(rows, org, now, ACTOR, action, str(message), detail)
