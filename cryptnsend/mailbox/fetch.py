"""What does FETCH answer? One response for each message, made in a thread and written as it is made.

Messages are looked up by the hundred. A message of ordinary size is answered whole or not at all; of a large one the
octets stream, and if they turn out to be damaged on the way, only the end of the connection can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog

from cryptnsend.core import imap
from cryptnsend.core.errors import CryptnSendError, SealBroken
from cryptnsend.core.imap_sections import Content
from cryptnsend.flow.mailboxes import Flagging
from cryptnsend.flow.serving import Held
from cryptnsend.flow.sessions import Session
from cryptnsend.mailbox.connection import Rooms
from cryptnsend.mailbox.speaking import Cut
from cryptnsend.mailbox.view import View, flags_text
from cryptnsend.store.records.mailboxes import SEEN, Placed

CHUNK = 200  # messages looked up at once
WHOLE = 256 * 1024  # octets up to which a response is made before it is sent

_ROW = frozenset({"UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "MODSEQ"})
_SEEN = Flagging("+", SEEN, frozenset())

log = structlog.stdlib.get_logger(__name__)


class Fetching:
    """One FETCH command on a selected mailbox."""

    def __init__(
        self, rooms: Rooms, session: Session, view: View, command: imap.Fetch, noted: set[int], *, condstore: bool
    ):
        """*noted* are the messages whose fetching this connection has noted already."""
        self._rooms, self._session, self._view, self._noted = rooms, session, view, noted
        names = [each.name for each in command.items if isinstance(each, imap.Attribute)]
        self._attributes = list(dict.fromkeys((["UID"] if command.uid else []) + names))
        if condstore and "FLAGS" in self._attributes and "MODSEQ" not in self._attributes:
            self._attributes.append("MODSEQ")  # RFC 7162 §3.2
        self._condstore = condstore
        self._sections = [each for each in command.items if isinstance(each, imap.Section)]
        self._changed_since = command.changed_since
        self._opens = bool(self._sections) or bool(set(self._attributes) - _ROW)
        self._reads = any(_is_content(each) for each in self._sections)
        sees = any(not each.peek and _is_content(each) for each in self._sections)
        self._sees = sees and not view.read_only
        self.missing = 0  # messages that could not be opened

    def lines(self, uids: Sequence[int]) -> Iterator[bytes]:
        """Yield the responses about these messages; raise `Cut` where one breaks off."""
        for start in range(0, len(uids), CHUNK):
            chunk = uids[start : start + CHUNK]
            yield from self._chunk(chunk)

    def _chunk(self, uids: Sequence[int]) -> Iterator[bytes]:
        wanted = set(uids)
        rows = [
            each
            for each in self._rooms.boxes.rows(self._view.box, uids[0], uids[-1])
            if each.uid in wanted and (self._changed_since is None or each.modseq > self._changed_since)
        ]
        held = self._rooms.shelf.held(self._session, self._view.box, rows) if self._opens and rows else {}
        if self._reads:
            self._note([held[each.uid] for each in rows if each.uid in held])
        fresh = self._see(rows, held) if self._sees else {}
        for row in rows:
            one = held.get(row.uid)
            if self._opens and one is None:
                self.missing += 1
                continue
            yield from self._response(fresh.get(row.uid, row), one, told=row.uid in fresh)

    def _note(self, held: Sequence[Held]) -> None:
        """Note what is about to be fetched, before its first octet leaves; once in a connection."""
        new = [each for each in held if each.placed.message not in self._noted]
        self._rooms.shelf.note_fetched(self._session, new)
        self._noted.update(each.placed.message for each in new)

    def _see(self, rows: Sequence[Placed], held: dict[int, Held]) -> dict[int, Placed]:
        r"""Set \Seen on what is fetched without PEEK; return the rows that changed by it."""
        unseen = [each.uid for each in rows if not each.flags & SEEN and each.uid in held]
        if not unseen:
            return {}
        after, _ = self._rooms.boxes.flag(self._session, self._view.box, unseen, _SEEN)
        self._view.told.update((each.uid, each.modseq) for each in after)
        return {each.uid: each for each in after}

    def _response(self, row: Placed, held: Held | None, *, told: bool) -> Iterator[bytes]:
        number = self._view.number(row.uid)
        if not number:
            return
        try:
            contents = [(each, held.view.fetch(each)) for each in self._sections] if held else []
            large = sum(content.size for _, content in contents if content is not None) > WHOLE
            pieces = self._pieces(number, row, held, contents, told=told)
            if not large:
                yield b"".join(pieces)
                return
        except SealBroken as error:
            # The rest of the mailbox is whole; what one message lacks is for its owner and the operator to know.
            log.error("message damaged", message=row.message, error=type(error).__name__)
            self.missing += 1
            return
        try:
            yield from pieces
        except CryptnSendError as error:
            log.error("message damaged", message=row.message, error=type(error).__name__)
            raise Cut from error

    def _pieces(
        self,
        number: int,
        row: Placed,
        held: Held | None,
        contents: Sequence[tuple[imap.Section, Content | None]],
        *,
        told: bool,
    ) -> Iterator[bytes]:
        said = [self._attribute(name, row, held) for name in self._attributes]
        if told and "FLAGS" not in self._attributes:
            said.append(b"FLAGS " + flags_text(row))
        if told and self._condstore and "MODSEQ" not in self._attributes:
            said.append(b"MODSEQ (%d)" % row.modseq)
        yield b"* %d FETCH (" % number + b" ".join(said)
        gap = b" " if said else b""
        for section, content in contents:
            yield gap
            gap = b" "
            if content is None:
                yield section.label + b" NIL"
            elif section.kind == "BINARY.SIZE":
                yield section.label + b" %d" % content.size
            elif section.kind == "BINARY":
                yield from _binary(section.label, content)
            else:
                yield section.label + b" {%d}\r\n" % content.size
                yield from content.blocks()
        yield b")\r\n"

    def _attribute(self, name: str, row: Placed, held: Held | None) -> bytes:
        match name:
            case "UID":
                return b"UID %d" % row.uid
            case "FLAGS":
                return b"FLAGS " + flags_text(row)
            case "INTERNALDATE":
                return b"INTERNALDATE " + imap.date_time(row.received)
            case "RFC822.SIZE":
                return b"RFC822.SIZE %d" % row.size
            case "MODSEQ":
                return b"MODSEQ (%d)" % row.modseq
        assert held is not None  # noqa: S101 - what is left is asked only of what opens
        match name:
            case "ENVELOPE":
                return b"ENVELOPE " + held.view.envelope()
            case "BODYSTRUCTURE":
                return b"BODYSTRUCTURE " + held.view.bodystructure()
            case _:
                return b"BODY " + held.view.body()


def _is_content(section: imap.Section) -> bool:
    """Say whether a section shows more than the header block, which lists show as well."""
    return bool(section.path) or section.text in ("", "TEXT")


def _binary(label: bytes, content: Content) -> Iterator[bytes]:
    """Yield decoded octets, as a literal8 if there is a NUL in them (RFC 3516 §4.2)."""
    has_nul = any(b"\0" in block for block in content.blocks())
    yield label + (b" ~{%d}\r\n" if has_nul else b" {%d}\r\n") % content.size
    yield from content.blocks()
