"""Which mailboxes are there? LIST, STATUS, CREATE and their kin (RFC 9051 §6.3, RFC 5258, 5819, 6154)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cryptnsend.core import imap
from cryptnsend.core.errors import NoGrant
from cryptnsend.mailbox.speaking import Speaking
from cryptnsend.store.records.mailboxes import Mailbox

USES = {"sent": "\\Sent", "drafts": "\\Drafts", "trash": "\\Trash"}


class _Found(NamedTuple):
    """A mailbox that LIST tells of: for itself, or because it leads to what was looked for."""

    box: Mailbox
    attributes: list[str]
    is_chosen: bool
    leads: bool


class Folders(Speaking):
    """The commands about mailboxes that need none to be selected."""

    async def imap_list(self, command: imap.List) -> None:
        """Answer LIST, LSUB and XLIST."""
        if command.patterns == ("",) and not command.extended:
            self._session  # noqa: B018 - raises before a sign-in
            await self._write(f'* {command.name} (\\Noselect) "/" ""\r\n'.encode())
            await self._done(command)
            return
        for each in await self._in_thread(self._found, command):
            await self._listed(command.name, each.attributes, each.box.name, command if each.leads else None)
            if command.status and each.is_chosen:
                await self._status(each.box, command.status)
        await self._done(command)

    def _found(self, command: imap.List) -> list[_Found]:
        """Return what LIST tells of; in a thread, since there may be many mailboxes and patterns."""
        every = self._house.rooms.boxes.listing(self._session)
        patterns = [imap.Pattern(command.reference + each) for each in command.patterns if each]
        listed = [box for box in every if any(pattern.matches(box.name) for pattern in patterns)]
        parents = _above(every)
        # Whoever asks for a level of the tree wants to know where there is more of what they look for below it.
        leading = set()
        if "RECURSIVEMATCH" in command.selection:
            shown = {box.id for box in listed}
            leading = _above([box for box in every if box.id not in shown and _is_chosen(command, box)])
        return [
            _Found(box, _attributes(command, box, box.name in parents), chosen, leads)
            for box in listed
            if (chosen := _is_chosen(command, box)) | (leads := box.name in leading)
        ]

    async def _listed(
        self, response: str, attributes: Sequence[str], name: str, leads: imap.List | None = None, old: str = ""
    ) -> None:
        """Tell one mailbox; *leads*: what was looked for is below it; *old* is the name it was asked for by."""
        said = f'* {response} ({" ".join(attributes)}) "/" '.encode() + self._named(name)
        if leads is not None:
            sought = sorted(leads.selection & {"SUBSCRIBED", "SPECIAL-USE"})
            said += f' ("CHILDINFO" ({" ".join(chr(34) + each + chr(34) for each in sought)}))'.encode()
        if old:
            said += b' ("OLDNAME" (' + self._named(old) + b"))"
        await self._write(said + b"\r\n")

    def _named(self, name: str) -> bytes:
        return imap.encode_mailbox(name, utf8=self._framer.utf8)

    async def imap_status(self, command: imap.Status) -> None:
        """Answer STATUS."""
        box = await self._in_thread(self._house.rooms.boxes.named, self._session, command.mailbox)
        await self._status(box, command.items)
        await self._done(command)

    async def _status(self, box: Mailbox, items: Sequence[str]) -> None:
        now = await self._at_length(self._house.rooms.boxes.look, self._session, box)
        values = {
            "MESSAGES": now.messages,
            "RECENT": 0,
            "UIDNEXT": now.uidnext,
            "UIDVALIDITY": now.uidvalidity,
            "UNSEEN": now.unseen,
            "DELETED": now.deleted,
            "SIZE": now.octets,
            "HIGHESTMODSEQ": now.modseq,
        }
        if "HIGHESTMODSEQ" in items:
            self._condstore = True
        said = " ".join(f"{item} {values[item]}" for item in items)
        await self._write(b"* STATUS " + self._named(box.name) + f" ({said})\r\n".encode())

    async def imap_create(self, command: imap.Create) -> None:
        """Make a mailbox. The special ones are there already, and take no further use."""
        if command.uses:
            raise imap.BadCommand("Special uses have their mailboxes here.", status="NO", code=b"USEATTR")
        known_as = await self._in_thread(self._house.rooms.boxes.create, self._session, command.mailbox)
        if known_as != command.mailbox and self._rev2:
            await self._listed("LIST", (), known_as, old=command.mailbox)  # RFC 9051 §6.3.4
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
        if self._rev2:
            await self._listed("LIST", (), command.new.rstrip("/"), old=command.old)  # RFC 9051 §6.3.6
        await self._done(command)


def _is_chosen(command: imap.List, box: Mailbox) -> bool:
    """Say whether a mailbox is what the selection options ask for."""
    if not box.subscribed and (command.name == "LSUB" or "SUBSCRIBED" in command.selection):
        return False
    return box.special in USES or "SPECIAL-USE" not in command.selection


def _above(boxes: Iterable[Mailbox]) -> set[str]:
    """Return the names of all levels above these mailboxes."""
    found = set()
    for box in boxes:
        name = box.name
        while (name := name.rpartition("/")[0]) and name not in found:
            found.add(name)
    return found


def _attributes(command: imap.List, box: Mailbox, has_children: bool) -> list[str]:
    flags = ["\\HasChildren" if has_children else "\\HasNoChildren"]
    # Programs that do not ask for special uses look at them all the same, and make no doubles then (RFC 6154 §2).
    if box.special in USES and command.name != "LSUB":
        flags.append(USES[box.special])
    if command.name == "XLIST" and box.special == "inbox":
        flags.append("\\Inbox")
    if box.subscribed and ("SUBSCRIBED" in command.returns or "SUBSCRIBED" in command.selection):
        flags.append("\\Subscribed")
    return flags
