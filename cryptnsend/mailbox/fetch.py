"""What does FETCH answer? One response for each message, made in a thread and written as it is made.

Messages are looked up by the hundred. Lists are made of the finished texts of indexes and of nothing else. A message of
ordinary size is answered whole or not at all; of a large one the octets stream, and if they turn out to be damaged on
the way, only the end of the connection can tell.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import structlog

from cryptnsend.core import imap
from cryptnsend.core.errors import CryptnSendError, SealBroken
from cryptnsend.core.imap_envelope import with_bcc
from cryptnsend.core.imap_sections import View as Message
from cryptnsend.core.imap_sections import is_header, of_header
from cryptnsend.core.imap_structure import body, bodystructure
from cryptnsend.core.mime_index import ImapText
from cryptnsend.flow.mailboxes import Flagging
from cryptnsend.flow.serving import Fetched, Held
from cryptnsend.flow.sessions import Session
from cryptnsend.mailbox.connection import Rooms
from cryptnsend.mailbox.finished import PAGE, Finished
from cryptnsend.mailbox.speaking import Cut
from cryptnsend.mailbox.view import View, flags_text
from cryptnsend.store.records.placements import SEEN, Placed
from cryptnsend.store.records.serving import Standing

WITH_BODY = 50  # messages looked up at once, with their content
WHOLES = 200  # the same, where all of each is read
NOTED = 200  # messages whose fetching is noted at once: each time costs as much as several
ROWS = 2_000  # the same, where their rows say everything; of lists it is a page of UIDs
SPARSE = 10  # UIDs for each message that are looked through at most
WHOLE = 256 * 1024  # octets up to which a response is made before it is sent

# How an attribute is written, and from what: the row of a message, or its index.
_ROW: dict[str, tuple[bytes, Callable[[Any], object]]] = {
    "UID": (b"UID %d", attrgetter("uid")),
    "FLAGS": (b"FLAGS %b", flags_text),
    "INTERNALDATE": (b"INTERNALDATE %b", lambda row: imap.date_time(row.received)),
    "RFC822.SIZE": (b"RFC822.SIZE %d", attrgetter("size")),
    "MODSEQ": (b"MODSEQ (%d)", attrgetter("modseq")),
}
_INDEX: dict[str, tuple[bytes, Callable[[Message], bytes]]] = {
    "ENVELOPE": (b"ENVELOPE %b", Message.envelope),
    "BODYSTRUCTURE": (b"BODYSTRUCTURE %b", Message.bodystructure),
    "BODY": (b"BODY %b", Message.body),
}
# The same of finished texts.
_TEXT: dict[str, tuple[bytes, Callable[[ImapText], bytes]]] = {
    "ENVELOPE": (b"ENVELOPE ", lambda text: with_bcc(text.envelope, b"")),
    "BODYSTRUCTURE": (b"BODYSTRUCTURE ", lambda text: bodystructure(text.structure)),
    "BODY": (b"BODY ", lambda text: body(text.structure)),
}
_SEEN = Flagging("+", SEEN, frozenset())

log = structlog.stdlib.get_logger(__name__)


class Fetching:
    """One FETCH command on a selected mailbox."""

    def __init__(
        self,
        rooms: Rooms,
        session: Session,
        view: View,
        command: imap.Fetch,
        noted: set[int],
        finished: Finished,
        *,
        condstore: bool,
    ):
        """*noted* are the messages whose fetching this connection has noted already; *finished* is what it keeps."""
        self._rooms, self._session, self._view, self._noted = rooms, session, view, noted
        self._finished = finished
        names = [each.name for each in command.items if isinstance(each, imap.Attribute)]
        attributes = list(dict.fromkeys((["UID"] if command.uid else []) + names))
        if condstore and "FLAGS" in attributes and "MODSEQ" not in attributes:
            attributes.append("MODSEQ")  # RFC 7162 §3.2
        of_row, of_index = ([each for each in attributes if each in kind] for kind in (_ROW, _INDEX))
        self._attributes = attributes
        self._of_row = [_ROW[each][1] for each in of_row]
        self._of_index = [_INDEX[each][1] for each in of_index]
        said = [_ROW[each][0] for each in of_row] + [_INDEX[each][0] for each in of_index]
        self._form = b"* %d FETCH (" + b" ".join(said)
        self._form_of_rows = b"* %d FETCH (" + b" ".join([_ROW[each][0] for each in of_row])
        self._condstore = condstore
        self._sections = [each for each in command.items if isinstance(each, imap.Section)]
        self._changed_since = command.changed_since
        self._changing = set(attributes) <= {"UID", "FLAGS", "MODSEQ"}
        self._opens = bool(self._sections or of_index)
        self._lists = self._opens and all(is_header(each) for each in self._sections)
        self._made_of = [_TEXT[each] for each in of_index] + [
            (each.label + b" ", partial(_field_block, each)) for each in self._sections if self._lists
        ]
        self._gap = b" " if of_row else b""
        self._kind = (tuple(of_index), tuple(self._sections), self._gap)
        self._reads = any(_is_content(each) for each in self._sections)
        sees = any(not each.peek and _is_content(each) for each in self._sections)
        self._sees = sees and not view.read_only
        self._is_whole = (
            not self._sees
            and not of_index
            and self._changed_since is None
            and len(self._sections) == 1
            and _is_whole(self._sections[0])
        )
        self.missing: list[int] = []  # UIDs of messages that do not open
        self.is_damaged = False  # one of them because it is not whole

    def lines(self, uids: array[int]) -> Iterator[bytes]:
        """Yield the responses about these messages; raise `Cut` where one breaks off."""
        if self._lists:
            for start, end in _pages(uids):
                yield from self._page(uids[start:end])
            return
        if self._is_whole:
            for start, end in _chunks(uids, WHOLES):
                yield from self._wholes(uids[start:end])
            return
        if self._reads and not self._sees and self._changed_since is None:
            for start, end in _chunks(uids, NOTED):
                self._note(self._rooms.shelf.opening(self._session, self._view.box, uids[start:end]))
                yield from self._in_chunks(uids[start:end])
            return
        yield from self._in_chunks(uids)

    def _in_chunks(self, uids: array[int]) -> Iterator[bytes]:
        answer = self._chunk if self._opens else self._rows
        for start, end in _chunks(uids, WITH_BODY if self._opens else ROWS):
            yield from answer(uids[start:end])

    def _rows(self, uids: array[int]) -> Iterator[bytes]:
        """Answer what the rows of messages say by themselves."""
        numbers, since = self._view.numbers(uids), self._changed_since
        read = self._rooms.boxes.marks if self._changing else self._rooms.boxes.rows
        form, of_row = self._form + b")\r\n", self._of_row
        yield b"".join(
            [
                form % (numbers[row.uid], *[get(row) for get in of_row])
                for row in read(self._view.box, uids[0], uids[-1])
                if row.uid in numbers and (since is None or row.modseq > since)
            ]
        )

    def _chunk(self, uids: array[int]) -> Iterator[bytes]:
        numbers, since = self._view.numbers(uids), self._changed_since
        rows = [
            each
            for each in self._rooms.boxes.rows(self._view.box, uids[0], uids[-1])
            if each.uid in numbers and (since is None or each.modseq > since)
        ]
        held = self._rooms.shelf.held(self._session, self._view.box, rows, whole=self._reads) if rows else {}
        if self._reads:
            self._note([noted for each in rows if each.uid in held for noted in held[each.uid].fetched()])
        fresh = self._see(rows, held) if self._sees else {}
        for row in rows:
            one = held.get(row.uid)
            if one is None:
                self.missing.append(row.uid)
            else:
                yield from self._response(numbers[row.uid], fresh.get(row.uid, row), one, told=row.uid in fresh)

    # -- lists --------------------------------------------------------------------------------------------------------

    def _page(self, uids: array[int]) -> Iterator[bytes]:
        """Answer what lists ask, for messages of one page of UIDs."""
        shelf, box, place = self._rooms.shelf, self._view.box, (self._view.box.id, self._kind, uids[0] // PAGE)
        numbers, since = self._view.numbers(uids), self._changed_since
        form, of_row = self._form_of_rows, self._of_row
        kept = self._finished.get(place, uids)
        if kept is not None:
            rows = shelf.standing(self._session, box, uids)
            rows = [row for row in rows if row.uid in numbers and (since is None or row.modseq > since)]
            ended = [row.uid for row in rows if not row.opens]
            if ended:
                self.missing += ended
                self._finished.drop(place)
            yield b"".join(
                [form % (numbers[row.uid], *[get(row) for get in of_row]) + kept[row.uid] for row in rows if row.opens]
            )
            return
        made: dict[int, bytes] = {}
        said: list[bytes] = []
        for row, shown in shelf.finished(self._session, box, uids):
            if row.uid not in numbers or (since is not None and row.modseq <= since):
                continue
            if isinstance(shown, ImapText):
                made[row.uid] = piece = self._piece(shown)
                said.append(form % (numbers[row.uid], *[get(row) for get in of_row]) + piece)
            elif shown is None:
                self.missing.append(row.uid)
            else:
                yield b"".join(said)
                said.clear()
                yield from self._response(numbers[row.uid], row, shown, told=False)
        if len(made) == len(uids):
            self._finished.put(place, list(made), list(made.values()))
        yield b"".join(said)

    def _piece(self, text: ImapText) -> bytes:
        """Return what a response says of a message besides its row."""
        return self._gap + b" ".join([name + get(text) for name, get in self._made_of]) + b")\r\n"

    # -- whole messages -----------------------------------------------------------------------------------------------

    def _note(self, about: Sequence[Fetched]) -> None:
        """Note what is about to be fetched, before its first octet leaves; once in a connection."""
        new = [each for each in about if each.message not in self._noted]
        self._rooms.shelf.note_fetched(self._session, new)
        self._noted.update(each.message for each in new)

    def _wholes(self, uids: array[int]) -> Iterator[bytes]:
        """Answer what programs ask of nearly every message once: all of it, and what its row says."""
        numbers, form, of_row = self._view.numbers(uids), self._form_of_rows, self._of_row
        name = self._gap + self._sections[0].label + b" {%d}\r\n"
        for row, shown in self._rooms.shelf.wholes(self._session, self._view.box, uids, self._note):
            if row.uid not in numbers:
                continue
            if isinstance(shown, bytes):
                begun = form % (numbers[row.uid], *[get(row) for get in of_row])
                yield b"".join((begun, name % len(shown), shown, b")\r\n"))
            elif shown is None:
                self.missing.append(row.uid)
            else:
                self._note(shown.fetched())
                yield from self._response(numbers[row.uid], row, shown, told=False)

    def _see(self, rows: Sequence[Placed], held: dict[int, Held]) -> dict[int, Placed]:
        r"""Set \Seen on what is fetched without PEEK; return the rows that changed by it."""
        unseen = [each.uid for each in rows if not each.flags & SEEN and each.uid in held]
        if not unseen:
            return {}
        after, _ = self._rooms.boxes.flag(self._session, self._view.box, unseen, _SEEN)
        self._view.told.update((each.uid, each.modseq) for each in after)
        return {each.uid: each for each in after}

    def _response(self, number: int, row: Placed | Standing, held: Held, *, told: bool) -> Iterator[bytes]:
        view = held.view
        try:
            begun = self._form % (number, *[get(row) for get in self._of_row], *[get(view) for get in self._of_index])
            if told:
                begun = self._with_flags(begun, row)
            said, streams, size = self._sections_of(begun, view)
            if size <= WHOLE:
                yield b"".join([said, *(block for each in streams for block in each)])
                return
        except SealBroken as error:
            # The rest of the mailbox is whole; what one message lacks is for its owner and the operator to know.
            log.error("message damaged", message=row.message, error=type(error).__name__)
            self.missing.append(row.uid)
            self.is_damaged = True
            return
        try:
            yield said
            for each in streams:
                yield from each
        except CryptnSendError as error:
            log.error("message damaged", message=row.message, error=type(error).__name__)
            raise Cut from error

    def _with_flags(self, begun: bytes, row: Placed | Standing) -> bytes:
        """Return the beginning of a response with the flags that the fetch itself has changed."""
        gap = b" " if self._attributes else b""
        if "FLAGS" not in self._attributes:
            begun, gap = begun + gap + b"FLAGS " + flags_text(row), b" "
        if self._condstore and "MODSEQ" not in self._attributes:
            begun += gap + b"MODSEQ (%d)" % row.modseq
        return begun

    def _sections_of(self, begun: bytes, view: Message) -> tuple[bytes, list[Iterable[bytes]], int]:
        """Return a response as far as it needs no reading, what follows in blocks, and how much that is."""
        said, streams, size = begun, list[Iterable[bytes]](), 0
        gap = b"" if said.endswith(b"(") else b" "

        def say(octets: bytes) -> None:
            nonlocal said
            if streams:
                streams.append((octets,))
            else:
                said += octets

        for section in self._sections:
            say(gap + section.label)
            gap = b" "
            ready = view.ready(section)
            if ready is not None:
                say(b" {%d}\r\n%b" % (len(ready), ready))
                continue
            content = view.fetch(section)
            if content is None:
                say(b" NIL")
            elif section.kind == "BINARY.SIZE":
                say(b" %d" % content.size)
            else:
                # RFC 3516 §4.2: a literal8 if there is a NUL in what was decoded.
                is_literal8 = section.kind == "BINARY" and any(b"\0" in block for block in content.blocks())
                say((b" ~{%d}\r\n" if is_literal8 else b" {%d}\r\n") % content.size)
                streams.append(content.blocks())
                size += content.size
        say(b")\r\n")
        return said, streams, size


def _field_block(section: imap.Section, text: ImapText) -> bytes:
    """Return a section of the message's own header, as a literal."""
    octets = of_header(section, text.header)
    return b"{%d}\r\n%b" % (len(octets), octets)


def _is_whole(section: imap.Section) -> bool:
    """Say whether a section is all of a message."""
    return section.kind == "BODY" and not (section.path or section.text or section.partial)


def _pages(uids: array[int]) -> Iterator[tuple[int, int]]:
    """Yield where in *uids* each page of UIDs begins and ends."""
    start = 0
    while start < len(uids):
        end = bisect_left(uids, (uids[start] // PAGE + 1) * PAGE, start)
        yield start, end
        start = end


def _chunks(uids: array[int], most: int) -> Iterator[tuple[int, int]]:
    """
    Yield where in *uids* each chunk of at most *most* begins and ends.

    Rows are read from the first to the last of a chunk: few messages far apart are no reason to read all.
    """
    start = 0
    while start < len(uids):
        end = bisect_left(uids, uids[start] + SPARSE * most, start, min(start + most, len(uids)))
        yield start, end
        start = end


def _is_content(section: imap.Section) -> bool:
    """Say whether a section shows more than the header block, which lists show as well."""
    return bool(section.path) or section.text in ("", "TEXT")
