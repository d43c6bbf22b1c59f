"""How is IMAP spoken on a connection? Commands in, tagged answers out, errors told apart (RFC 9051 §7.1, RFC 5530)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from cryptnsend import metrics
from cryptnsend.core import imap
from cryptnsend.core.errors import CryptnSendError, Denied, Ended, NoGrant, Refusal, SealBroken, StoreFull, Temporary
from cryptnsend.flow.filing import OverQuota
from cryptnsend.flow.sessions import Session
from cryptnsend.mailbox.connection import Connection, Farewell, Gone, House
from cryptnsend.mailbox.view import View

BEFORE_LOGIN = "IMAP4rev1 IMAP4rev2 SASL-IR LITERAL+ ID ENABLE AUTH=PLAIN"
AFTER_LOGIN = (
    "IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE IDLE NAMESPACE CHILDREN UIDPLUS MOVE SPECIAL-USE UNSELECT ESEARCH SEARCHRES"
    " LIST-EXTENDED LIST-STATUS STATUS=SIZE CONDSTORE BINARY"
)
UNKNOWN = "UNKNOWN"  # what a command counts as that was not understood
Handler = Callable[[Any, Any], Awaitable[None]]
T = TypeVar("T")


class Cut(Exception):
    """An answer cannot be finished any more: only the end of the connection tells that."""


class Speaking(Connection):
    """Reads commands and answers them; `commands` says by which method."""

    commands: dict[type[imap.Command], Handler]

    def __init__(self, house: House, **arrival: Any):
        super().__init__(house, **arrival)
        self._framer = imap.Framer(imap.BEFORE_LOGIN)
        self._view: View | None = None
        self._condstore = False
        self._rev2 = False  # the client enabled IMAP4rev2, and so reads what RFC 3501 did not have
        self._login_by = self._loop.time() + self._limits.before_login

    @property
    def _session(self) -> Session:
        if self._reader is None:
            raise imap.BadCommand("Please sign in first.")
        return self._reader.session

    @property
    def _selected(self) -> View:
        if self._reader is None:
            raise imap.BadCommand("Please sign in first.")
        if self._view is None:
            raise imap.BadCommand("Select a mailbox first.")
        return self._view

    def _farewell(self, text: str, *, is_ended: bool = False) -> bytes:
        return f"* BYE {text}\r\n".encode("ascii", "replace")

    def _forget(self) -> None:
        self._view = None
        if self._reader is not None:
            self._house.rooms.shelf.forget(self._reader.session)

    async def _talk(self) -> None:
        await self._write(f"* OK [CAPABILITY {BEFORE_LOGIN}] CryptnSend at {self._house.hostname}\r\n".encode())
        while True:
            event = await self._event()
            match event:
                case imap.Line(parts):
                    await self._command(parts)
                case imap.Proceed():
                    await self._write(b"+ Go on.\r\n")
                case imap.Message(command, waits):
                    await self._append(command, waits)
                case imap.Refused(error):
                    _count(UNKNOWN, "refused")
                    await self._write(error.answer())
                    self._count_junk()
                case imap.Overrun(text):
                    raise Farewell(text)
                case _:
                    raise RuntimeError("a message streams that nobody let in")

    async def _event(self) -> imap.Event:
        while (event := self._framer.next()) is None:
            self._framer.feed(await self._more(self._patience()))
        return event

    async def _at_length(self, work: Callable[..., T], *arguments: Any) -> T:
        """
        Do in a thread what may take minutes; *work* gets `_between` as its last argument, to call now and then.

        Many programs give up on a command after one or two minutes of silence. Untagged OKs may come at any time
        (RFC 9051 §7.1.1); this must not be used in the middle of a response.
        """
        self._is_at_length, self._progress = True, 0
        doing = self._loop.run_in_executor(self._house.pool, lambda: work(*arguments, self._between))
        try:
            while not (await asyncio.wait({doing}, timeout=self._limits.reassure))[0]:
                await self._write(b"* OK Still at it: %d messages so far.\r\n" % self._progress)
                await self._flush()
        finally:
            self._is_at_length = False
            doing.cancel()  # the thread ends by itself, at its next look at `_between`
        return doing.result()

    async def _line(self) -> bytes:
        """Return the next line where no command is due; raise `Farewell` for one that is too long."""
        while (line := self._framer.next_line()) is None:
            self._framer.feed(await self._more(self._patience()))
        if isinstance(line, imap.Overrun):
            raise Farewell(line.text)
        return line

    def _patience(self) -> float:
        # Whoever has not signed in has so long in all, however slowly octets trickle.
        return self._limits.idle if self._reader is not None else max(0.0, self._login_by - self._loop.time())

    async def _command(self, parts: tuple[bytes, ...]) -> None:
        tag, name = b"*", UNKNOWN
        try:
            command = imap.parse(parts, utf8=self._framer.utf8)
            tag, name = command.tag, _name(command)
            if name != "LOGOUT":
                self._check_valid()
            handler = self.commands.get(type(command))
            if handler is None:
                raise imap.BadCommand("This command is not known here.")
            await handler(self, command)
            self._junk = 0
        except Exception as error:
            await self._failed(tag, error, name)

    async def _append(self, command: imap.Append, waits: bool) -> None:
        raise NotImplementedError

    async def _done(self, command: imap.Command, text: str = "Done.", code: str = "") -> None:
        """Answer a command that worked."""
        _count(_name(command), "done")
        written = f"[{code}] {text}" if code else text
        await self._write(command.tag + f" OK {written}\r\n".encode("ascii", "replace"))

    async def _failed(self, tag: bytes, error: Exception, name: str) -> None:
        """Answer the command *name* that did not work; what is no answer is raised again."""
        if isinstance(error, Gone | Farewell):
            raise error
        if isinstance(error, Cut):
            self._transport.abort()
            raise Gone from error
        _count(name, "refused")
        if isinstance(error, imap.BadCommand):
            if error.tag == b"*":
                error.tag = tag
            if error.status == "BAD":
                self._count_junk()
            await self._write(error.answer())
            return
        code = _code(error)
        if not code:
            self._log_failure(error)
        text = str(error) if code else "Something went wrong here. Try again later."
        await self._write(tag + f" NO [{code or 'SERVERBUG'}] {text}\r\n".encode("ascii", "replace"))


def _name(command: imap.Command) -> str:
    """Return the name of a command that was understood."""
    return str(getattr(command, "name", type(command).__name__)).upper()


def _count(name: str, result: str) -> None:
    metrics.count("mailbox_commands", protocol="imap", command=name, result=result)


def _code(error: Exception) -> str:
    """Return the response code (RFC 5530) for what went wrong; "" for a fault of ours."""
    if isinstance(error, OverQuota | StoreFull):
        return "OVERQUOTA"
    if isinstance(error, NoGrant):
        return "NONEXISTENT"
    if isinstance(error, Ended):
        return "EXPUNGEISSUED"
    if isinstance(error, Denied | Refusal):
        return "CANNOT"
    if isinstance(error, Temporary):
        return "UNAVAILABLE"
    if isinstance(error, SealBroken):
        return "CORRUPTION"
    return "CANNOT" if isinstance(error, CryptnSendError) else ""
