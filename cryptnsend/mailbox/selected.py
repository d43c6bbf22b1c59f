"""What may be done in a selected mailbox? FETCH, STORE, SEARCH, COPY and MOVE, EXPUNGE, IDLE (RFC 9051 §6.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from cryptnsend.core import imap
from cryptnsend.core.errors import NoGrant
from cryptnsend.flow.mailboxes import Changes, Flagging
from cryptnsend.flow.placing import Between
from cryptnsend.mailbox.connection import Farewell
from cryptnsend.mailbox.fetch import Fetching
from cryptnsend.mailbox.finished import Finished
from cryptnsend.mailbox.search import Searching
from cryptnsend.mailbox.speaking import Speaking
from cryptnsend.mailbox.view import View, flags_text
from cryptnsend.store.records.mailboxes import Mailbox
from cryptnsend.store.records.placements import Placed

_FLAGS = "\\Answered \\Flagged \\Deleted \\Seen \\Draft"


class Selected(Speaking):
    """The commands about one mailbox."""

    def __init__(self, *given: object, **arrival: object):
        super().__init__(*given, **arrival)  # type: ignore[arg-type]
        self._noted: set[int] = set()
        self._finished = Finished(self._house.lists)

    def _forget(self) -> None:
        self._finished.forget()
        super()._forget()

    # -- selecting ----------------------------------------------------------------------------------------------------

    async def imap_select(self, command: imap.Select) -> None:
        """Select a mailbox, or look at it with EXAMINE."""
        if self._view is not None and self._rev2:
            await self._write(b"* OK [CLOSED] What was selected is closed.\r\n")
        self._view = None  # RFC 9051 §6.3.2: a SELECT that fails leaves none selected
        boxes, session = self._house.rooms.boxes, self._session

        def look(between: Between) -> tuple[Mailbox, list[int], int | None]:
            box = boxes.look(session, boxes.named(session, command.mailbox), between)
            return box, boxes.uids(box), boxes.first_unseen(box)

        box, uids, unseen = await self._at_length(look)
        self._condstore |= command.condstore
        view = self._view = View(box, uids, read_only=command.read_only)
        kept = "" if command.read_only else _FLAGS + " \\*"
        said = [
            f"FLAGS ({_FLAGS})",
            f"OK [PERMANENTFLAGS ({kept})] These are kept.",
            f"{view.exists} EXISTS",
            *([] if self._rev2 else ["0 RECENT"]),
            f"OK [UIDVALIDITY {box.uidvalidity}] UIDs are valid.",
            f"OK [UIDNEXT {box.uidnext}] The next UID.",
            f"OK [HIGHESTMODSEQ {box.modseq}] The highest sequence.",
        ]
        # IMAP4rev2 has done away with RECENT and with this (RFC 9051, appendix E).
        if not self._rev2 and unseen is not None and (number := view.number(unseen)):
            said.append(f"OK [UNSEEN {number}] The first unseen message.")
        await self._write("".join(f"* {line}\r\n" for line in said).encode())
        if self._rev2:
            await self._write(b'* LIST () "/" ' + imap.encode_mailbox(box.name, utf8=True) + b"\r\n")
        await self._done(command, "Selected.", "READ-ONLY" if command.read_only else "READ-WRITE")

    async def _close_mailbox(self, *, expunge: bool) -> None:
        view = self._selected
        if expunge and not view.read_only:
            await self._in_thread(self._house.rooms.boxes.take_away, view.box, list(view.uids))
            self._house.poke(self._session.account)
        self._view = None

    # -- what has happened --------------------------------------------------------------------------------------------

    async def _tell(self, *, may_expunge: bool) -> None:
        """Tell what has happened in the selected mailbox, if there is one."""
        if self._reader is None or self._view is None:
            return
        view = self._view
        try:
            changes: Changes = await self._at_length(
                self._house.rooms.boxes.changes, self._session, view.box, view.modseq
            )
        except NoGrant:
            raise Farewell("The selected mailbox was removed.") from None
        for what, number, row in view.take_in(changes, may_expunge=may_expunge):
            if row is None:
                await self._write(b"* %d %s\r\n" % (number, what.encode()))
            else:
                await self._write(self._flags_line(number, row, uid=True))

    def _flags_line(self, number: int, row: Placed, *, uid: bool) -> bytes:
        said = [b"UID %d" % row.uid] if uid else []
        said.append(b"FLAGS " + flags_text(row))
        if self._condstore:
            said.append(b"MODSEQ (%d)" % row.modseq)
        return b"* %d FETCH (%s)\r\n" % (number, b" ".join(said))

    async def _tell_modseq(self) -> None:
        """Tell the highest sequence, as the first use of CONDSTORE in a selected mailbox asks (RFC 7162 §3.1)."""
        if self._view is not None:
            await self._write(b"* OK [HIGHESTMODSEQ %d] The highest sequence.\r\n" % self._view.modseq)

    async def _use_condstore(self) -> None:
        if not self._condstore:
            self._condstore = True
            await self._tell_modseq()

    # -- FETCH, STORE, SEARCH -----------------------------------------------------------------------------------------

    async def imap_fetch(self, command: imap.Fetch) -> None:
        """Answer FETCH."""
        view = self._selected
        if command.changed_since is not None or imap.Attribute("MODSEQ") in command.items:
            await self._use_condstore()
        uids = view.named(command.messages, by_uid=command.uid)
        fetching = Fetching(
            self._house.rooms, self._session, view, command, self._noted, self._finished, condstore=self._condstore
        )
        await self._pour(fetching.lines(uids))
        if fetching.missing:
            boxes, missing = self._house.rooms.boxes, fetching.missing
            if await self._in_thread(boxes.renew, self._session, view.box, missing):
                code, text = b"EXPUNGEISSUED", "Some of these messages are over; notes that say why took their place."
            elif fetching.is_damaged:
                code, text = b"CORRUPTION", "Some of these messages are damaged."
            else:
                code, text = b"NOPERM", "Some of these messages are locked. Sign in on the page to unlock them."
            raise imap.BadCommand(text, status="NO", code=code)
        await self._done(command)

    async def imap_store(self, command: imap.Store) -> None:
        """Change flags."""
        view, session = self._selected, self._session
        if view.read_only:
            raise imap.BadCommand("This mailbox is only looked at.", status="NO", code=b"READ-ONLY")
        if command.unchanged_since is not None:
            await self._use_condstore()
        uids = view.named(command.messages, by_uid=command.uid)
        flagging = Flagging.of(command.mode.decode(), command.flags)
        after, left = await self._in_thread(
            self._house.rooms.boxes.flag, session, view.box, uids, flagging, command.unchanged_since
        )
        for row in after:
            view.told[row.uid] = row.modseq
            number = view.number(row.uid)
            if number and not command.silent:
                await self._write(self._flags_line(number, row, uid=command.uid))
            elif number and self._condstore:
                uid = b"UID %d " % row.uid if command.uid else b""
                await self._write(b"* %d FETCH (%sMODSEQ (%d))\r\n" % (number, uid, row.modseq))
        self._house.poke(session.account)
        if left:
            named = left if command.uid else [view.number(uid) for uid in left]
            await self._done(command, "Some were left alone.", f"MODIFIED {imap.format_set(named).decode()}")
        else:
            await self._done(command)

    async def imap_search(self, command: imap.Search) -> None:
        """Answer SEARCH."""
        view = self._selected
        with_modseq = imap.uses_modseq(command.key)
        if with_modseq:
            await self._use_condstore()
        searching = Searching(self._house.rooms, self._session, view, command.key, self._limits, self._house.clock)
        try:
            uids = await self._at_length(searching.find)
        except imap.BadCommand:
            if command.returns is not None and "SAVE" in command.returns:
                view.saved = ()  # RFC 5182 §2.1
            raise
        numbers = uids if command.uid else [view.number(uid) for uid in uids]
        if command.returns is None and not self._rev2:
            said = b"".join(b" %d" % number for number in numbers)
            if with_modseq and numbers:
                said += b" (MODSEQ %d)" % searching.highest
            await self._write(b"* SEARCH" + said + b"\r\n")
        else:
            await self._esearch(command, uids, numbers, searching.highest if with_modseq else 0)
        await self._done(command)

    async def _esearch(self, command: imap.Search, uids: Sequence[int], numbers: Sequence[int], highest: int) -> None:
        """Answer with what RETURN asks for (RFC 4731, RFC 5182)."""
        returns = command.returns or frozenset({"ALL"})
        if "SAVE" in returns:
            # With MIN or MAX alone, only these are kept (RFC 5182 §2.4).
            ends = [uids[at] for name, at in (("MIN", 0), ("MAX", -1)) if name in returns and uids]
            narrow = returns & {"MIN", "MAX"} and not returns & {"ALL", "COUNT"}
            self._selected.saved = sorted(set(ends)) if narrow else list(uids)
            if returns == {"SAVE"}:
                return
        said = [b'* ESEARCH (TAG "' + command.tag + b'")' + (b" UID" if command.uid else b"")]
        if "MIN" in returns and numbers:
            said.append(b"MIN %d" % numbers[0])
        if "MAX" in returns and numbers:
            said.append(b"MAX %d" % numbers[-1])
        if "COUNT" in returns:
            said.append(b"COUNT %d" % len(numbers))
        if "ALL" in returns and numbers:
            said.append(b"ALL " + imap.format_set(numbers))
        if highest and numbers:
            said.append(b"MODSEQ %d" % highest)
        await self._write(b" ".join(said) + b"\r\n")

    # -- COPY, MOVE, EXPUNGE ------------------------------------------------------------------------------------------

    async def imap_copy(self, command: imap.Copy) -> None:
        """Answer COPY and MOVE (RFC 6851); the message itself rests where it did."""
        view, boxes = self._selected, self._house.rooms.boxes
        if command.move and view.read_only:
            raise imap.BadCommand("This mailbox is only looked at.", status="NO", code=b"READ-ONLY")
        try:
            into = await self._in_thread(boxes.named, self._session, command.mailbox)
        except NoGrant:
            raise imap.BadCommand("There is no such mailbox.", status="NO", code=b"TRYCREATE") from None
        uids = list(view.named(command.messages, by_uid=command.uid))
        done = await self._in_thread(boxes.move if command.move else boxes.copy, view.box, uids, into)
        self._house.poke(self._session.account)
        code = ""
        if done:
            old, new = (imap.format_set([pair[side] for pair in done]).decode() for side in (0, 1))
            code = f"COPYUID {into.uidvalidity} {old} {new}"
        if command.move:
            if code:
                await self._write(f"* OK [{code}] Moved.\r\n".encode())
            await self._tell(may_expunge=True)
            await self._done(command)
        else:
            if into.id == view.box.id:
                await self._tell(may_expunge=command.uid)
            await self._done(command, "Copied.", code)

    async def imap_uid_expunge(self, command: imap.UidExpunge) -> None:
        """Expunge some of what is flagged as deleted (RFC 4315)."""
        await self._expunge(command.messages)
        await self._done(command)

    async def _expunge(self, messages: imap.SequenceSet | None) -> None:
        view = self._selected
        if view.read_only:
            raise imap.BadCommand("This mailbox is only looked at.", status="NO", code=b"READ-ONLY")
        uids = list(view.uids if messages is None else view.named(messages, by_uid=True))
        gone = await self._in_thread(self._house.rooms.boxes.take_away, view.box, uids)
        if gone:
            self._house.poke(self._session.account)
        await self._tell(may_expunge=True)

    # -- IDLE ---------------------------------------------------------------------------------------------------------

    async def _idle(self, command: imap.Simple) -> None:
        """Tell what happens until the program says DONE (RFC 2177)."""
        session, changed = self._session, asyncio.Event()
        waiting = self._house.waiting[session.account]
        waiting.add(changed)
        line = asyncio.ensure_future(self._line())
        wake: asyncio.Task[bool] | None = None
        await self._write(b"+ idling\r\n")
        try:
            while not line.done():
                await self._tell(may_expunge=True)
                await self._flush()
                wake = asyncio.ensure_future(changed.wait())
                await asyncio.wait({line, wake}, timeout=self._limits.poll, return_when=asyncio.FIRST_COMPLETED)
                wake.cancel()
                changed.clear()
                self._check_valid()
            said = line.result()
        finally:
            line.cancel()
            if wake is not None:
                wake.cancel()
            waiting.discard(changed)
            if not waiting:
                self._house.waiting.pop(session.account, None)
            if line.done() and not line.cancelled():
                line.exception()  # looked at, if nobody else did
        if said.strip().upper() != b"DONE":
            raise imap.BadCommand("Say DONE to end IDLE.", tag=command.tag)
        await self._tell(may_expunge=True)
        await self._done(command)
