"""Which mailboxes are there? LIST, STATUS, CREATE and their kin (RFC 9051 §6.3, RFC 5258, 5819, 6154)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core import imap
from cryptnsend.core.errors import NoGrant
from cryptnsend.mailbox.speaking import Speaking
from cryptnsend.store.records.mailboxes import Mailbox

USES = {"sent": "\\Sent", "drafts": "\\Drafts", "trash": "\\Trash"}


class Folders(Speaking):
    """The commands about mailboxes that need none to be selected."""

    async def imap_list(self, command: imap.List) -> None:
        """Answer LIST, LSUB and XLIST."""
        if command.patterns == ("",) and not command.extended:
            self._session  # noqa: B018 - raises before a sign-in
            await self._write(f'* {command.name} (\\Noselect) "/" ""\r\n'.encode())
            await self._done(command)
            return
        every = await self._in_thread(self._house.rooms.boxes.listing, self._session)
        patterns = [imap.Pattern(command.reference + each) for each in command.patterns if each]
        only_subscribed = command.name == "LSUB" or "SUBSCRIBED" in command.selection
        for box in every:
            if not any(pattern.matches(box.name) for pattern in patterns):
                continue
            if only_subscribed and not box.subscribed:
                continue
            if "SPECIAL-USE" in command.selection and box.special not in USES:
                continue
            flags = " ".join(_attributes(command, box, every))
            name = imap.encode_mailbox(box.name, utf8=self._framer.utf8)
            await self._write(f'* {command.name} ({flags}) "/" '.encode() + name + b"\r\n")
            if command.status:
                await self._status(box, command.status)
        await self._done(command)

    async def imap_status(self, command: imap.Status) -> None:
        """Answer STATUS."""
        box = await self._in_thread(self._house.rooms.boxes.named, self._session, command.mailbox)
        await self._status(box, command.items)
        await self._done(command)

    async def _status(self, box: Mailbox, items: Sequence[str]) -> None:
        def look() -> tuple[Mailbox, dict[str, int]]:
            boxes = self._house.rooms.boxes
            looked = boxes.look(self._session, box)
            return looked, boxes.counts(looked)

        now, counts = await self._in_thread(look)
        values = {
            "MESSAGES": counts["messages"],
            "RECENT": 0,
            "UIDNEXT": now.uidnext,
            "UIDVALIDITY": now.uidvalidity,
            "UNSEEN": counts["unseen"],
            "DELETED": counts["deleted"],
            "SIZE": counts["octets"],
            "HIGHESTMODSEQ": now.modseq,
        }
        if "HIGHESTMODSEQ" in items:
            self._condstore = True
        said = " ".join(f"{item} {values[item]}" for item in items)
        name = imap.encode_mailbox(box.name, utf8=self._framer.utf8)
        await self._write(b"* STATUS " + name + f" ({said})\r\n".encode())

    async def imap_create(self, command: imap.Create) -> None:
        """Make a mailbox. The special ones are there already, and take no further use."""
        if command.uses:
            raise imap.BadCommand("Special uses have their mailboxes here.", status="NO", code=b"USEATTR")
        await self._in_thread(self._house.rooms.boxes.create, self._session, command.mailbox)
        await self._done(command)

    async def imap_on_mailbox(self, command: imap.OnMailbox) -> None:
        """Answer DELETE, SUBSCRIBE and UNSUBSCRIBE."""
        boxes, session = self._house.rooms.boxes, self._session
        if command.name == "DELETE":
            await self._in_thread(boxes.delete, session, command.mailbox)
        else:
            subscribed = command.name == "SUBSCRIBE"
            try:
                await self._in_thread(boxes.subscribe, session, command.mailbox, subscribed)
            except NoGrant:
                if subscribed:
                    raise
        await self._done(command)

    async def imap_rename(self, command: imap.Rename) -> None:
        """Give a mailbox another name."""
        await self._in_thread(self._house.rooms.boxes.rename, self._session, command.old, command.new)
        await self._done(command)


def _attributes(command: imap.List, box: Mailbox, every: Sequence[Mailbox]) -> list[str]:
    below = any(each.name.startswith(f"{box.name}/") for each in every)
    flags = ["\\HasChildren" if below else "\\HasNoChildren"]
    # Programs that do not ask for special uses look at them all the same, and make no doubles then (RFC 6154 §2).
    if box.special in USES and command.name != "LSUB":
        flags.append(USES[box.special])
    if command.name == "XLIST" and box.special == "inbox":
        flags.append("\\Inbox")
    if box.subscribed and ("SUBSCRIBED" in command.returns or "SUBSCRIBED" in command.selection):
        flags.append("\\Subscribed")
    return flags
