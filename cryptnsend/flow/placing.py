"""Which messages lie in which mailbox? Rows are placed when somebody looks, so that nobody's mail costs more before.

INBOX has what an account was sent, Sent what it sent; a placing gets the next UID, and what is taken away does not come
back. What is new is found from the newest message placed on, with room for those that were being written at that time.
Now and then everything is looked at again: a message that ended makes place for a notice, one that opens takes its own.
A message takes the place of the copy that a mail program put into Sent before it was submitted.

A hundred thousand new messages take a minute. Whoever waits for them is told between two pages, and may end the work
there: what was placed stays, and the next look goes on behind it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import StoreBroken
from cryptnsend.core.model import account_holder, first_id, time_of
from cryptnsend.core.seal import plain_size
from cryptnsend.flow import holdings, notices
from cryptnsend.flow.adoption import Adoption
from cryptnsend.flow.copies import Copies
from cryptnsend.flow.holdings import Place
from cryptnsend.flow.mailwords import Faces
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import devices, filed, listing, mailboxes, placements
from cryptnsend.store.records.mailboxes import Mailbox
from cryptnsend.store.records.placements import SEEN, Placed, Placing
from cryptnsend.store.vault import Stored, Vault

PAGE = 500
LATE = 2 * 3_600_000  # milliseconds that a message may take from its id to its commit
PROMPT = 20_000  # the same of nearly every message; what took longer is found within NOTHING_NEW
AGAIN = 300.0  # seconds until everything is looked at again
NOTHING_NEW = 10.0  # seconds in which the same grants mean that nothing is new; a message may be planned for later
REMEMBERED = 10_000  # mailboxes
ROLES = {"inbox": "recipient", "sent": "author"}
Between = Callable[[int], None]  # called with how many were placed so far; what it raises ends the work there


def go_on(_placed: int) -> None:
    """Let long work go on to its end."""


class Placer:
    """Fills mailboxes. Shared by all connections of a process; thread-safe."""

    def __init__(
        self, engine: Engine, vault: Vault, adoption: Adoption, copies: Copies, clock: Clock, domain: str, web: Path
    ):
        """*web* is the folder with the words of notices in other languages."""
        self._engine, self._vault, self._adoption, self._clock = engine, vault, adoption, clock
        self._copies, self._domain, self._faces = copies, domain, Faces(web)
        self._lock = threading.Lock()
        self._renewed: dict[int, float] = {}  # mailbox → when everything was looked at
        self._marks: dict[int, tuple[object, float]] = {}  # mailbox → which grants there were, and until when it counts

    def fill(self, session: Session, box: Mailbox, between: Between = go_on) -> None:
        """
        Place what is new, and, if that was not done for a while, look at all that lies there.

        *between* is called between two pages; if it raises, what was placed stays, and nothing is passed over.
        """
        if box.special in ROLES:
            self._place_new(session, box, between)
        if self._is_due(box.id):
            self.renew(session, box)

    def _is_due(self, mailbox: int) -> bool:
        now = self._clock.monotonic()
        with self._lock:
            if now < self._renewed.get(mailbox, 0.0):
                return False
            if len(self._renewed) >= REMEMBERED:
                self._renewed.clear()
            self._renewed[mailbox] = now + AGAIN
            return True

    # -- what is new --------------------------------------------------------------------------------------------------

    def _place_new(self, session: Session, box: Mailbox, between: Between) -> None:
        role = ROLES[box.special]
        places = self._places(session, role)
        holders = " ".join(f"{each.holder}?{each.contact}" for each in places)
        # Whoever has one address more may have mail from long ago.
        after = first_id(time_of(box.looked) - LATE) if box.looked and holders == box.holders else 0
        # After an hour of much mail the room for what comes late is full of what lies in its place for long. Asked
        # each time is whether anything came at its end.
        near = max(after, first_id(time_of(box.looked) - PROMPT)) if after else 0
        mark = (holders, near, [placements.granted(self._engine, each.holder, role, near) for each in places])
        if self._is_known(box.id, mark):
            return
        placed = 0
        while found := self._unplaced(session, places, role, after):
            self._place(session, box, role, [self._placing(session, row, role) for row in found])
            after = found[-1]["message"]  # or each page would look at all before it once more
            placed += len(found)
            between(placed)
        self._remember(box.id, mark)
        if holders != box.holders:
            # Only now: whoever breaks off while old mail of another address is placed has to find the rest again.
            newest = box.looked or first_id(self._clock.now())
            self._engine.write(lambda rows: mailboxes.looked(rows, box.id, newest, holders)).result()

    def _is_known(self, mailbox: int, mark: object) -> bool:
        with self._lock:
            known, until = self._marks.get(mailbox, (None, 0.0))
        return known == mark and self._clock.monotonic() < until

    def _remember(self, mailbox: int, mark: object) -> None:
        with self._lock:
            if len(self._marks) >= REMEMBERED:
                self._marks.clear()
            self._marks[mailbox] = mark, self._clock.monotonic() + NOTHING_NEW

    def _place(self, session: Session, box: Mailbox, role: str, placings: Sequence[Placing]) -> None:
        """Place messages, each instead of the copies of it that a mail program brought; those go."""
        own = [each.message for each in placings if role == "author" and not each.served]
        copies = self._copies.of(session, box, own)

        def write(rows: Rows) -> list[str | None]:
            fresh, blobs = [], []
            placed = placements.placed_among(rows, box.account, [each.message for each in placings], role)
            for each in placings:
                if each.message in placed:
                    continue
                uids = [copy.uid for copy in copies.get(each.message, ())]
                brought = placements.several(rows, box.id, uids) if uids else []
                lost = placements.take_away(rows, box, brought, self._clock.now(), put_away=False)
                blobs += [filed.drop(rows, box.account, ident) for ident in lost]
                fresh.append(_instead(each, brought))
            placements.place(rows, box, fresh)
            mailboxes.looked(rows, box.id, placings[-1].message, box.holders)
            return blobs

        blobs = self._engine.write(write).result()
        self._vault.discard(*(each for each in blobs if each))

    def _unplaced(self, session: Session, places: Sequence[Place], role: str, after: int) -> list[Row]:
        """Return a page of what lies nowhere yet, oldest first; of two ways to a message the account's own."""
        found: dict[int, Row] = {}
        for place in places:
            rows = placements.unplaced(
                self._engine, session.account, place.holder, place.contact, role, after, PAGE, self._clock.now()
            )
            for row in rows:
                found.setdefault(row["message"], row)
        return [found[message] for message in sorted(found)[:PAGE]]

    def placing_of(self, session: Session, message: int, role: str) -> Placing | None:
        """Return how one message would be placed that lies nowhere yet; None for any other."""
        for place in self._places(session, role):
            rows = placements.unplaced(
                self._engine, session.account, place.holder, place.contact, role, message - 1, 1, self._clock.now()
            )
            if rows and rows[0]["message"] == message:
                return self._placing(session, rows[0], role)
        return None

    def _placing(self, session: Session, row: Row, role: str) -> Placing:
        kind = notices.why(row, row, self._clock.now())
        return self._as_notice(session, row["message"], role, kind, 0) if kind else self._as_itself(session, row, role)

    def _as_itself(self, session: Session, row: Row, role: str, flags: int | None = None) -> Placing:
        size = self._size(row["inline"], row["blob_key"])
        if size is not None and role == "author":
            size = row["submitted"]  # the author sees Bcc, which was cut out before the message was sealed
        if size is None:
            return self._as_notice(session, row["message"], role, notices.EXPIRED, flags or 0)
        # What the account has seen already: its own mail, and what it was shown on the page.
        seen = SEEN if role == "author" or row.get("opened") else 0
        return Placing(row["message"], role, "", seen if flags is None else flags, "", row["created"], size)

    def _as_notice(self, session: Session, message: int, role: str, kind: str, flags: int) -> Placing:
        about = listing.message(self._engine, message)
        if about is None:
            raise StoreBroken("A message that was granted is missing.")
        octets = notices.notice(kind, about, self._domain, self._faces.words(session.locale).gettext)
        return Placing(message, role, kind, flags, "", about["created"], len(octets), octets)

    def _size(self, inline: int | None, blob_key: str | None) -> int | None:
        """Return the octets of a message by those of its sealed form; None if its content is gone."""
        if blob_key is None:
            return None if inline is None else plain_size(inline)
        try:
            return plain_size(self._vault.size(Stored(None, blob_key)))
        except StoreBroken:
            return None

    # -- what is not any more as it was -------------------------------------------------------------------------------

    def renew(self, session: Session, box: Mailbox, uids: Sequence[int] = ()) -> bool:
        """
        Let notices and messages in a mailbox take each other's place, as grants stand now; say whether any did.

        *uids* are messages that could not be opened a moment ago, which are looked at whatever their grants say.
        """
        holder, changed = account_holder(session.account), False
        while ended := placements.ended(self._engine, box, holder, PAGE):
            done = [self._renew(session, box, each) for each in ended]
            if not any(done):
                break
            changed = True
        standing = placements.standing_in(self._engine, box.id)
        if session.ticket and any(each.served in (notices.CODE, notices.WAITING) for each in standing):
            self._adoption.adopt(session.account, session.addresses, session.seeds, session.ticket)
        for uid in uids[:PAGE]:
            standing += [each for each in placements.between(self._engine, box.id, uid, uid) if not each.served]
        for each in standing:
            changed |= self._renew(session, box, each)
        return changed

    def _renew(self, session: Session, box: Mailbox, placed: Placed) -> bool:
        """Serve what is to be served in the place of something placed; say whether that is something else."""
        about = listing.message(self._engine, placed.message)
        now = self._clock.now()
        if about is None:
            self._engine.write(lambda rows: placements.take_away(rows, box, [placed], now, put_away=True)).result()
            return True
        places = self._places(session, placed.role)
        held = holdings.held(self._engine, places, placed.message)
        grant = next((row for row in held if row["role"] == placed.role), None)
        kind = notices.why(grant, about, now)
        if kind == placed.served or (kind == notices.LOCKED and placed.served == "" and self._opens(session, grant)):
            return False
        if kind:
            fresh = self._as_notice(session, placed.message, placed.role, kind, placed.flags)
        else:
            content = listing.content(self._engine, about["org"], placed.message, "raw")
            row = {
                "message": placed.message,
                "created": placed.received,
                "inline": len(content["body"]) if content and content["body"] is not None else None,
                "blob_key": content["blob_key"] if content else None,
                "submitted": about["size"],
            }
            fresh = self._as_itself(session, row, placed.role, 0)
            if fresh.served == placed.served:
                return False
        return self._engine.write(lambda rows: placements.replace(rows, box, placed, fresh, now)).result() is not None

    def _opens(self, session: Session, grant: Row | None) -> bool:
        """
        Say whether a locked message stays as it is: for this session, or a device that was there before the reset.

        A reset by mail must not take from somebody's devices what they still open.
        """
        if grant is None or grant["pair"] in session.seeds:
            return True
        return any(each["scope"] == "read" for each in devices.listing(self._engine, session.account))

    def _places(self, session: Session, role: str) -> Sequence[Place]:
        if role == "author":
            return [Place(account_holder(session.account), "")]
        return holdings.places(self._engine, session.account, session.addresses)


def _instead(placing: Placing, copies: Sequence[Placed]) -> Placing:
    """Return the placing of a message with what the mail program noted at its copies."""
    if not copies:
        return placing
    return placing._replace(flags=placing.flags | copies[-1].flags, keywords=copies[-1].keywords)
