"""What may a reader do with mailboxes? Find, make, name and empty them; flag, copy and take away what lies in them.

Four are always there: INBOX, Sent, Drafts and Trash. Taking a message away touches no grant and no content: the page
shows it in its Trash, from where it can be put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.imap_text import MAX_NAME
from cryptnsend.core.model import Ids, Random
from cryptnsend.flow.opened import note_opened
from cryptnsend.flow.placing import Between, Placer, go_on
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import filed, listing, mailboxes, placements
from cryptnsend.store.records.mailboxes import Mailbox
from cryptnsend.store.records.placements import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Marks, Placed, Placing
from cryptnsend.store.vault import Vault

STANDARD = {"INBOX": "inbox", "Sent": "sent", "Drafts": "drafts", "Trash": "trash"}
MOST = 1_000  # mailboxes of an account
MOST_KEYWORDS = 64  # of one message
MOST_LEVELS = 20  # of the name of one
PAGE = 500
FLAGS = {"\\seen": SEEN, "\\answered": ANSWERED, "\\flagged": FLAGGED, "\\deleted": DELETED, "\\draft": DRAFT}
# What programs call the four, where they do not ask for special uses (RFC 6154).
OTHER_NAMES = {
    **dict.fromkeys(("sent items", "sent messages", "sent mail"), "Sent"),
    **dict.fromkeys(("deleted items", "deleted messages", "deleted"), "Trash"),
    "draft": "Drafts",
}


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a mailbox: up to which sequence, what came or was flagged, which UIDs are gone."""

    box: Mailbox
    changed: Sequence[Placed]
    expunged: Sequence[int]


@dataclass(frozen=True, slots=True)
class Flagging:
    """How flags are to change: `mode` is "" to replace, "+" or "-"."""

    mode: str
    flags: int
    keywords: frozenset[str]

    @classmethod
    def of(cls, mode: str, names: Iterable[str]) -> Flagging:
        """Read flags as a mail program writes them."""
        flags, keywords = parse_flags(names)
        return cls(mode, flags, keywords)

    def apply(self, placed: Placed) -> tuple[int, str]:
        """Return flags and keywords of a message afterwards."""
        words = {each.casefold(): each for each in placed.keywords.split()}
        asked = {each.casefold(): each for each in self.keywords}
        if self.mode == "+":
            flags, kept = placed.flags | self.flags, asked | words
        elif self.mode == "-":
            flags, kept = placed.flags & ~self.flags, {key: words[key] for key in words.keys() - asked.keys()}
        else:
            flags, kept = self.flags, asked
        if len(kept) > MOST_KEYWORDS:
            raise Denied(f"A message has at most {MOST_KEYWORDS} keywords.")
        return flags, " ".join(sorted(kept.values()))


def parse_flags(names: Iterable[str]) -> tuple[int, frozenset[str]]:
    """Return the system flags as a number, and the keywords."""
    flags, keywords = 0, set()
    for name in names:
        if name.startswith("\\"):
            flags |= FLAGS.get(name.casefold(), 0)
        else:
            keywords.add(name)
    return flags, frozenset(keywords)


class Mailboxes:
    """Shared by all connections of a process; thread-safe."""

    def __init__(self, engine: Engine, vault: Vault, placer: Placer, clock: Clock, random: Random):
        self._engine, self._vault, self._placer, self._clock = engine, vault, placer, clock
        self._ids, self._random = Ids(random), random

    # -- mailboxes ----------------------------------------------------------------------------------------------------

    def listing(self, session: Session) -> list[Mailbox]:
        """Return all mailboxes by name, INBOX first."""
        found = mailboxes.listing(self._engine, session.account)
        if len({each.special for each in found} - {""}) < len(STANDARD):
            self._engine.write(lambda rows: self._add_standard(rows, session)).result()
            found = mailboxes.listing(self._engine, session.account)
        return sorted(found, key=lambda each: (each.special != "inbox", each.name))

    def named(self, session: Session, name: str) -> Mailbox:
        """Return a mailbox by its name; raise NoGrant if there is none."""
        name = _known_as(name)
        found = mailboxes.named(self._engine, session.account, name)
        if found is None and name in STANDARD:
            self.listing(session)
            found = mailboxes.named(self._engine, session.account, name)
        if found is None:
            raise NoGrant("There is no such mailbox.")
        return found

    def create(self, session: Session, name: str) -> str:
        """Make a mailbox and return its name; one of another name for Sent or Trash is there already. Raises Denied."""
        name = name.rstrip("/")
        if _known_as(name) in STANDARD and name not in STANDARD:
            return _known_as(name)
        if not _is_name(name):
            raise Denied("This is not the name of a mailbox.")
        if len(self.listing(session)) >= MOST:
            raise Denied(f"There are {MOST} mailboxes at most.")

        def write(rows: Rows) -> bool:
            validity = mailboxes.next_validity(rows, self._clock.now())
            ident = self._ids.new(self._clock.now())
            return mailboxes.add(rows, ident, session.organisation, session.account, name, "", validity)

        if not self._engine.write(write).result():
            raise Denied("There is such a mailbox already.")
        return name

    def delete(self, session: Session, name: str) -> None:
        """Remove a mailbox of one's own with what lies in it; raise Denied for the four, NoGrant if there is none."""
        box = self.named(session, name)
        if box.special:
            raise Denied("This mailbox cannot be removed.")
        self.take_away(box, placements.uids(self._engine, box.id), deleted_only=False)
        self._engine.write(lambda rows: mailboxes.drop(rows, session.account, box.id)).result()

    def rename(self, session: Session, old: str, new: str) -> None:
        """Give a mailbox of one's own another name, with those below it; raise Denied, or NoGrant if there is none."""
        box = self.named(session, old)
        if box.special:
            raise Denied("This mailbox keeps its name.")
        new = new.rstrip("/")
        every = self.listing(session)
        if not _is_name(new) or any(each.name == new for each in every) or _known_as(new) in STANDARD:
            raise Denied("There is such a mailbox already, or this is not the name of one.")
        below = [each for each in every if each.name.startswith(f"{box.name}/")]
        names = {each.id: new + each.name[len(box.name) :] for each in (box, *below)}
        if not all(map(_is_name, names.values())):
            raise Denied("The name of a mailbox below this one would be too long.")
        if any(each.name in names.values() for each in every if each.id not in names):
            raise Denied("There is a mailbox of the name that one below this one would have.")

        def write(rows: Rows) -> None:
            # First out of the way: one may take the name that another leaves.
            for ident in names:
                mailboxes.rename(rows, session.account, ident, f"/{ident}")
            for ident, name in names.items():
                mailboxes.rename(rows, session.account, ident, name)

        self._engine.write(write).result()

    def subscribe(self, session: Session, name: str, subscribed: bool) -> None:
        """Note whether a mailbox is to be shown; raise NoGrant if there is none."""
        box = self.named(session, name)
        self._engine.write(lambda rows: mailboxes.subscribe(rows, session.account, box.id, subscribed)).result()

    def _add_standard(self, rows: Rows, session: Session) -> None:
        now = self._clock.now()
        for name, special in STANDARD.items():
            validity = mailboxes.next_validity(rows, now)
            mailboxes.add(rows, self._ids.new(now), session.organisation, session.account, name, special, validity)

    # -- what lies in one ---------------------------------------------------------------------------------------------

    def look(self, session: Session, box: Mailbox, between: Between = go_on) -> Mailbox:
        """
        Place what is new, and return the mailbox as it is then; raise NoGrant if it was removed.

        *between* is called whenever some were placed; if it raises, that is where it ends.
        """
        found = mailboxes.mailbox(self._engine, session.account, box.id)
        if found is not None:
            self._placer.fill(session, found, between)
            found = mailboxes.mailbox(self._engine, session.account, box.id)
        if found is None:
            raise NoGrant("This mailbox was removed.")
        return found

    def renew(self, session: Session, box: Mailbox, uids: Sequence[int]) -> bool:
        """Look at everything in a mailbox again, as these messages did not open; say whether something took a place."""
        return self._placer.renew(session, box, uids)

    def uids(self, box: Mailbox) -> list[int]:
        """Return all UIDs, ascending."""
        return placements.uids(self._engine, box.id)

    def rows(self, box: Mailbox, first: int, last: int) -> list[Placed]:
        """Return what lies under the UIDs from *first* to *last*."""
        return placements.between(self._engine, box.id, first, last)

    def marks(self, box: Mailbox, first: int, last: int) -> list[Marks]:
        """Return the same as far as it changes: flags and sequences, which programs ask of all there is."""
        return placements.marks(self._engine, box.id, first, last)

    def changes(self, session: Session, box: Mailbox, modseq: int, between: Between = go_on) -> Changes:
        """Return what happened after *modseq*; see `look`."""
        now = self.look(session, box, between)
        if now.modseq == modseq:
            return Changes(now, (), ())
        return Changes(
            now,
            placements.changed(self._engine, box.id, modseq),
            placements.expunged(self._engine, box.id, modseq),
        )

    def first_unseen(self, box: Mailbox) -> int | None:
        """Return the UID of the first message that was not seen."""
        return placements.first_unseen(self._engine, box.id)

    # -- flags --------------------------------------------------------------------------------------------------------

    def flag(
        self,
        session: Session,
        box: Mailbox,
        uids: Sequence[int],
        flagging: Flagging,
        unchanged_since: int | None = None,
    ) -> tuple[list[Placed], list[int]]:
        """
        Change flags, under one modification sequence; return the rows as they are then, and the UIDs left alone.

        Those are what changed after *unchanged_since* (RFC 7162 §3.1.3). What becomes seen counts as opened.
        """
        after: list[Placed] = []
        left: list[int] = []
        for page in _pages(uids):

            def write(rows: Rows, page: Sequence[int] = page) -> tuple[list[Placed], list[int]]:
                return self._flag(rows, session, box, page, flagging, unchanged_since)

            changed, kept = self._engine.write(write).result()
            after += changed
            left += kept
        return after, left

    def _flag(
        self,
        rows: Rows,
        session: Session,
        box: Mailbox,
        uids: Sequence[int],
        how: Flagging,
        unchanged_since: int | None,
    ) -> tuple[list[Placed], list[int]]:
        before = placements.several(rows, box.id, uids)
        left = [each.uid for each in before if unchanged_since is not None and each.modseq > unchanged_since]
        asked = [each for each in before if each.uid not in left]
        changes = [(each, *how.apply(each)) for each in asked]
        real = [(each, flags, words) for each, flags, words in changes if (flags, words) != (each.flags, each.keywords)]
        modseq = 0
        if real:
            modseq = placements.set_flags(rows, box.id, [(each.uid, flags, words) for each, flags, words in real])
        for each, flags, _ in real:
            if flags & SEEN and not each.flags & SEEN and each.role == "recipient" and not each.served:
                self._opened(rows, session, each.message)
        moved = {each.uid for each, _, _ in real}
        return [
            each._replace(flags=flags, keywords=words, modseq=modseq if each.uid in moved else each.modseq)
            for each, flags, words in changes
        ], left

    def _opened(self, rows: Rows, session: Session, message: int) -> None:
        """Note that a recipient has seen a message, the first time."""
        now = self._clock.now()
        for mine in listing.mine_of(rows, session.account, message):
            by = {"by": "mail program"}
            note_opened(rows, mine["org"], message, mine["address"], session, now, self._random, by)

    # -- copies and endings -------------------------------------------------------------------------------------------

    def copy(self, box: Mailbox, uids: Sequence[int], into: Mailbox) -> list[tuple[int, int]]:
        """Place messages in another mailbox too; return their UIDs there and here."""
        done: list[tuple[int, int]] = []
        for page in _pages(uids):

            def write(rows: Rows, page: Sequence[int] = page) -> list[tuple[int, int]]:
                return self._copy(rows, box, page, into)

            done += self._engine.write(write).result()
        return done

    def move(self, box: Mailbox, uids: Sequence[int], into: Mailbox) -> list[tuple[int, int]]:
        """Place messages in another mailbox instead; return their UIDs here and there."""
        done: list[tuple[int, int]] = []
        now = self._clock.now()
        for page in _pages(uids):

            def write(rows: Rows, page: Sequence[int] = page) -> list[tuple[int, int]]:
                moved = self._copy(rows, box, page, into)
                taken = placements.several(rows, box.id, [old for old, _ in moved])
                placements.take_away(rows, box, taken, now, put_away=False)
                return moved

            done += self._engine.write(write).result()
        return done

    def _copy(self, rows: Rows, box: Mailbox, uids: Sequence[int], into: Mailbox) -> list[tuple[int, int]]:
        found = placements.several(rows, box.id, uids)
        placings = [
            Placing(
                each.message, each.role, each.served, each.flags & ~DELETED, each.keywords, each.received, each.size,
                placements.notice_of(rows, box.id, each.uid) if each.served else None,
            )
            for each in found
        ]  # fmt: skip
        return list(zip([each.uid for each in found], placements.place(rows, into, placings), strict=True))

    def take_away(self, box: Mailbox, uids: Sequence[int], *, deleted_only: bool = True) -> list[int]:
        """Expunge messages, those flagged as deleted or all; return the UIDs that are gone. Drafts go for good."""
        gone: list[int] = []
        now = self._clock.now()
        for page in _pages(uids):

            def write(rows: Rows, page: Sequence[int] = page) -> tuple[list[int], list[str]]:
                found = placements.several(rows, box.id, page)
                taken = [each for each in found if not deleted_only or each.flags & DELETED]
                lost = placements.take_away(rows, box, taken, now, put_away=True)
                blobs = [filed.drop(rows, box.account, each) for each in lost]
                return [each.uid for each in taken], [blob for blob in blobs if blob]

            taken, blobs = self._engine.write(write).result()
            gone += taken
            self._vault.discard(*blobs)
        return gone


def _pages(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(uids), PAGE):
        yield uids[start : start + PAGE]


def _is_name(name: str) -> bool:
    """
    Say whether a mailbox may be called that: no program could ask for it by a longer name.

    Programs that keep mailboxes as folders refuse all of an account in which one goes by "..".
    """
    levels = name.split("/")
    return all(levels) and not {".", ".."} & set(levels) and len(levels) <= MOST_LEVELS and len(name) <= MAX_NAME


def _known_as(name: str) -> str:
    """Return what we call a mailbox that goes by other names elsewhere."""
    if name.upper() == "INBOX":
        return "INBOX"
    return OTHER_NAMES.get(name.casefold(), name)
