"""What may be said in one POP3 session? RFC 1939, RFC 2449 CAPA, RFC 5034 AUTH PLAIN, RFC 3206 response codes.

A session sees INBOX as it was at the sign-in. RETR is a fetch and no reading; DELE says that the program has what it
wanted: at QUIT the message counts as seen and lies in Trash. Nothing is destroyed, and the page has it in its Trash.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from cryptnsend import metrics
from cryptnsend.core import imap, pop
from cryptnsend.core.errors import CryptnSendError, Temporary
from cryptnsend.flow.mailboxes import Flagging
from cryptnsend.flow.serving import Held
from cryptnsend.flow.sessions import Session
from cryptnsend.mailbox.connection import Connection, Farewell, Gone, House, Refused
from cryptnsend.store.records.mailboxes import Mailbox
from cryptnsend.store.records.placements import SEEN, Placed
from cryptnsend.submission import auth

IDLE = 600.0  # seconds; RFC 1939 §3 asks for ten minutes at least
CHUNK = 500
CAPABILITIES = (
    *("CAPA", "TOP", "UIDL", "USER", "SASL PLAIN", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER"),
    "IMPLEMENTATION CryptnSend",
)
_SEEN = Flagging("+", SEEN, frozenset())
_WHOLE = imap.Section(peek=True)
_TEXT = imap.Section(peek=True, text="TEXT")
Handler = Callable[[Any, pop.PopCommand], Awaitable[None]]


class No(Exception):
    """A command is not done; the text goes behind -ERR."""


class Drop:
    """INBOX as it was at the sign-in: twelve octets a message."""

    def __init__(self, box: Mailbox, rows: Iterator[Placed]):
        self.box = box
        self.uids, self.sizes = array("I"), array("Q")
        for row in rows:
            self.uids.append(row.uid)
            self.sizes.append(row.size)
        self.deleted: set[int] = set()  # numbers

    def left(self) -> list[int]:
        """Return the numbers of what is not marked as deleted."""
        return [number for number in range(1, len(self.uids) + 1) if number not in self.deleted]

    def ident(self, number: int) -> str:
        """Return what UIDL says: the same for the same octets, in every session."""
        return f"{self.box.uidvalidity:x}.{self.uids[number - 1]:x}"


class PopSession(Connection):
    """One POP3 connection."""

    def __init__(self, house: House, **arrival: Any):
        super().__init__(house, **arrival)
        self._lines = pop.Lines()
        self._user: bytes | None = None
        self._drop: Drop | None = None
        self._login_by = self._loop.time() + self._limits.before_login

    def _farewell(self, text: str, *, is_ended: bool = False) -> bytes:
        return f"-ERR [{'AUTH' if is_ended else 'SYS/TEMP'}] {text}\r\n".encode("ascii", "replace")

    def _forget(self) -> None:
        self._drop = None
        if self._reader is not None:
            self._house.rooms.shelf.forget(self._reader.session)

    async def _talk(self) -> None:
        await self._write(b"+OK CryptnSend is ready.\r\n")
        while True:
            line, name, result = await self._line(), "UNKNOWN", "refused"
            try:
                self._check_valid()
                command = pop.parse_line(line)
                name = command.name
                await self.commands[name](self, command)
                self._junk, result = 0, "done"
            except (pop.BadLine, No) as problem:
                await self._write(f"-ERR {problem}\r\n".encode("ascii", "replace"))
                self._count_junk()
            except (Gone, Farewell):
                raise
            except CryptnSendError as problem:
                kind = "SYS/TEMP" if isinstance(problem, Temporary) else "SYS/PERM"
                await self._write(f"-ERR [{kind}] {problem}\r\n".encode("ascii", "replace"))
            metrics.count("mailbox_commands", protocol="pop", command=name, result=result)

    async def _line(self) -> bytes:
        try:
            while (line := self._lines.next()) is None:
                patience = IDLE if self._reader is not None else max(0.0, self._login_by - self._loop.time())
                self._lines.feed(await self._more(patience))
        except pop.BadLine as problem:
            raise Farewell(str(problem)) from problem
        return line

    @property
    def _session(self) -> Session:
        if self._reader is None:
            raise No("Sign in first.")
        return self._reader.session

    @property
    def _open(self) -> Drop:
        if self._drop is None:
            raise No("Sign in first.")
        return self._drop

    def _number(self, command: pop.PopCommand) -> int:
        number, drop = command.number or 0, self._open
        if not 0 < number <= len(drop.uids) or number in drop.deleted:
            raise No("There is no such message.")
        return number

    # -- signing in ---------------------------------------------------------------------------------------------------

    async def pop_CAPA(self, command: pop.PopCommand) -> None:
        """Say what can be done here."""
        await self._write("".join(f"{line}\r\n" for line in ("+OK", *CAPABILITIES, ".")).encode())

    async def pop_STLS(self, command: pop.PopCommand) -> None:
        """Refuse: TLS is there from the first octet."""
        raise No("TLS is in use already.")

    async def pop_UTF8(self, command: pop.PopCommand) -> None:
        """Refuse: it is not announced."""
        raise No("This command is not known here.")

    async def pop_USER(self, command: pop.PopCommand) -> None:
        """Take a name; whether it is anybody's, nobody is told."""
        if self._reader is not None:
            raise No("You are signed in already.")
        self._user = command.text
        await self._write(b"+OK Now the password.\r\n")

    async def pop_PASS(self, command: pop.PopCommand) -> None:
        """Take the password for that name."""
        if self._user is None or self._reader is not None:
            raise No("Say USER first.")
        user, self._user = self._user, None
        await self._enter(lambda: auth.login(user, command.text))

    async def pop_AUTH(self, command: pop.PopCommand) -> None:
        """Sign in by SASL PLAIN, or list the mechanisms."""
        if self._reader is not None:
            raise No("You are signed in already.")
        if not command.text:
            await self._write(b"+OK\r\nPLAIN\r\n.\r\n")
            return
        if command.text != b"PLAIN":
            raise No("Use AUTH PLAIN.")
        said = command.initial
        if said is None:
            await self._write(b"+ \r\n")
            try:
                said = imap.decode_base64(await self._line())
            except imap.BadCommand as problem:
                raise No(str(problem)) from problem
        if said is None or said.count(b"\0") != 2:
            raise No("Cancelled, or no message of PLAIN.")
        message = said
        await self._enter(lambda: auth.plain(message))

    async def _enter(self, read: auth.Reading) -> None:
        try:
            reader = await self._sign_in(read)
        except Refused as problem:
            code = "AUTH" if problem.code == "AUTHENTICATIONFAILED" else "SYS/TEMP"
            raise No(f"[{code}] {problem}") from problem
        self._drop = await self._in_thread(self._snapshot, reader.session)
        await self._write(f"+OK {len(self._drop.uids)} messages.\r\n".encode())

    def _snapshot(self, session: Session) -> Drop:
        boxes = self._house.rooms.boxes
        box = boxes.look(session, boxes.named(session, "INBOX"), self._between)
        uids = boxes.uids(box)
        spans = ((uids[at], uids[min(at + CHUNK, len(uids)) - 1]) for at in range(0, len(uids), CHUNK))
        return Drop(box, (row for first, last in spans for row in boxes.rows(box, first, last)))

    # -- reading ------------------------------------------------------------------------------------------------------

    async def pop_STAT(self, command: pop.PopCommand) -> None:
        """Count."""
        drop = self._open
        left = drop.left()
        await self._write(b"+OK %d %d\r\n" % (len(left), sum(drop.sizes[number - 1] for number in left)))

    async def pop_LIST(self, command: pop.PopCommand) -> None:
        """Say how large messages are."""
        drop = self._open
        await self._each(command, lambda number: str(drop.sizes[number - 1]))

    async def pop_UIDL(self, command: pop.PopCommand) -> None:
        """Say by what messages are known again."""
        await self._each(command, self._open.ident)

    async def _each(self, command: pop.PopCommand, say: Callable[[int], str]) -> None:
        if command.number is not None:
            number = self._number(command)
            await self._write(f"+OK {number} {say(number)}\r\n".encode())
            return
        await self._write(b"+OK\r\n")
        for number in self._open.left():
            await self._write(f"{number} {say(number)}\r\n".encode())
        await self._write(b".\r\n")

    async def pop_RETR(self, command: pop.PopCommand) -> None:
        """Send a message."""
        held = await self._in_thread(self._held, self._number(command), True)
        content = await self._in_thread(held.view.fetch, _WHOLE)
        if content is None:
            raise No("There is no such message.")
        await self._pour_whole(iter([b"+OK %d octets\r\n" % content.size]), pop.dotted(content.blocks()))

    async def pop_TOP(self, command: pop.PopCommand) -> None:
        """Send the header of a message, and some lines of its body."""
        held = await self._in_thread(self._held, self._number(command), command.lines > 0)
        body = await self._in_thread(held.view.fetch, _TEXT)
        lines = pop.first_lines(body.blocks(), command.lines) if body is not None and command.lines else iter(())
        header = await self._in_thread(held.view.header)
        await self._pour_whole(iter([b"+OK\r\n"]), pop.dotted(_chain(header, lines)))

    async def _pour_whole(self, *pieces: Iterator[bytes]) -> None:
        """Send an answer in several lines; if it breaks off, only the end of the connection can tell."""
        try:
            for each in pieces:
                await self._pour(each)
        except CryptnSendError as error:
            self._log_failure(error)
            self._transport.abort()
            raise Gone from error

    def _held(self, number: int, is_content: bool) -> Held:
        drop, rooms, session = self._open, self._house.rooms, self._session
        uid = drop.uids[number - 1]
        rows = rooms.boxes.rows(drop.box, uid, uid)
        held = rooms.shelf.held(session, drop.box, rows).get(uid)
        if held is None:
            raise No("[SYS/TEMP] This message cannot be opened any more. Sign in again to see why.")
        if is_content:
            rooms.shelf.note_fetched(session, held.fetched())
        return held

    # -- ending -------------------------------------------------------------------------------------------------------

    async def pop_DELE(self, command: pop.PopCommand) -> None:
        """Mark a message; QUIT puts it away."""
        self._open.deleted.add(self._number(command))
        await self._write(b"+OK\r\n")

    async def pop_RSET(self, command: pop.PopCommand) -> None:
        """Take all marks back."""
        self._open.deleted.clear()
        await self._write(b"+OK\r\n")

    async def pop_NOOP(self, command: pop.PopCommand) -> None:
        """Do nothing."""
        self._open  # noqa: B018 - raises before a sign-in
        await self._write(b"+OK\r\n")

    async def pop_QUIT(self, command: pop.PopCommand) -> None:
        """Put away what is marked, and say goodbye."""
        if self._drop is not None and self._drop.deleted:
            await self._in_thread(self._put_away, self._drop)
            self._house.poke(self._session.account)
        await self._write(b"+OK See you.\r\n")
        await self._flush()
        raise Gone

    def _put_away(self, drop: Drop) -> None:
        boxes, session = self._house.rooms.boxes, self._session
        uids = [drop.uids[number - 1] for number in sorted(drop.deleted)]
        boxes.flag(session, drop.box, uids, _SEEN)
        boxes.move(drop.box, uids, boxes.named(session, "Trash"))

    commands: dict[str, Handler]


def _chain(header: bytes, lines: Iterator[bytes]) -> Iterator[bytes]:
    yield header
    yield from lines


PopSession.commands = {name: getattr(PopSession, f"pop_{name}") for name in pop.NAMES}
