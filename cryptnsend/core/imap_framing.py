"""Where does one IMAP command end? RFC 3501 §2.2, §4.3; non-synchronising literals: RFC 7888.

`Framer` is fed octets as they come and yields events. It asks before a literal is sent, hands out the one literal that
can be large (the message of APPEND) in pieces, and keeps no more than its limits allow, whatever a stranger announces.
How the octets were split never changes what comes out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from cryptnsend.core.imap_commands import Append
from cryptnsend.core.imap_grammar import read_append
from cryptnsend.core.imap_text import BadCommand

_LITERAL = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z")
_TAG = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]{1,200}")
_TAIL = 32  # octets at the end of an overlong line in which a literal's header can stand


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a client may send; sizes in octets."""

    line: int  # text of one command, its literals not counted
    literal: int  # one literal that is held in memory
    literals: int  # how many of them in one command
    held: int  # all of them together
    message: int  # the message of APPEND; 0: nobody has signed in yet
    thrown: int  # of one refused command are read and thrown away before the line is cut


BEFORE_LOGIN = Limits(line=8192, literal=4096, literals=4, held=8192, message=0, thrown=64 * 1024)


def after_login(message: int) -> Limits:
    """Return the limits for whoever signed in, with *message* octets at most for one APPEND."""
    return Limits(line=128 * 1024, literal=64 * 1024, literals=200, held=256 * 1024, message=message, thrown=2**28)


@dataclass(frozen=True, slots=True)
class Line:
    """A whole command: text, literal, text, …, text, for `imap_grammar.parse`."""

    parts: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proceed:
    """The client waits with a literal that will be taken: answer "+"."""


@dataclass(frozen=True, slots=True)
class Message:
    """An APPEND whose message comes next: call `stream` (answer "+" if it *waits*) or `refuse`."""

    command: Append
    waits: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """Octets of the message that `stream` let in."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Appended:
    """The message has come to its end, and so has its command: answer it."""

    command: Append


@dataclass(frozen=True, slots=True)
class Refused:
    """A command that is not taken, now read to its end: answer it. If it was an APPEND, drop what it brought."""

    error: BadCommand


@dataclass(frozen=True, slots=True)
class Overrun:
    """The client sends more than anybody reads: say BYE and cut the line."""

    text: str


Event = Line | Proceed | Message | Chunk | Appended | Refused | Overrun


class Framer:
    """
    Cuts what a client sends into commands. After each `feed`, call `next` until it returns None.

    Between `Message` and the answer to it by `stream` or `refuse`, `next` returns None. `limits` may be exchanged
    between two commands.
    """

    def __init__(self, limits: Limits):
        self.limits = limits
        self._buffer = bytearray()
        self._searched = 0  # no line end before this offset
        self.utf8 = False  # the client enabled IMAP4rev2 or UTF8=ACCEPT
        self._over = ""  # why the line has to be cut
        self._start()

    def _start(self) -> None:
        """Begin a new command."""
        self._parts: list[bytes] = []
        self._text = 0  # octets of text so far
        self._held = 0  # octets of literals so far
        self._wanted = 0  # octets of a literal still to come
        self._literal: list[bytes] | None = None  # a literal that is being collected
        self._asked: tuple[Append, int, bool] | None = None  # a message that nobody has decided about
        self._append: Append | None = None  # a message that is streaming, or has been
        self._error: BadCommand | None = None  # the command is refused: what remains is thrown away
        self._ended = False  # it is, and the client sends nothing more of it
        self._thrown = 0

    def feed(self, octets: bytes) -> None:
        """Take what came."""
        self._buffer += octets

    def next(self) -> Event | None:
        """Return the next event, or None if more octets, or an answer about a message, are needed for one."""
        while not self._over:
            if self._asked:
                return None
            if self._ended and self._error:
                return self._finish(Refused(self._error))
            if self._wanted:
                event = self._take_literal()
                if event is None and self._wanted:
                    return None
            else:
                line = self._take_line()
                if line is None:
                    break
                event = self._end_of_text(line)
            if event is not None:
                return event
        return Overrun(self._over) if self._over else None

    def next_line(self) -> bytes | Overrun | None:
        """Return the next line as it is, without CRLF, where no command is due: after "+" of AUTHENTICATE and IDLE."""
        line = None if self._over else self._take_line()
        if self._error is not None:
            self._over = "This line is too long."
        if self._over:
            return Overrun(self._over)
        if line is not None:
            self._start()
        return line

    def stream(self) -> None:
        """Let the message of the last `Message` in, as `Chunk` events."""
        if self._asked is None:
            raise RuntimeError("No message is waiting.")
        self._append, self._wanted, _ = self._asked
        self._asked = None
        self._parts.append(b"")

    def refuse(self, error: BadCommand) -> None:
        """Do not take the message of the last `Message`; `next` will return `Refused` with *error*."""
        if self._asked is None:
            raise RuntimeError("No message is waiting.")
        _, size, waits = self._asked
        self._asked = None
        self._throw(size, waits, error)

    # --- text ---

    def _take_line(self) -> bytes | None:
        """Take the text up to the next line end; octets beyond the limit are thrown away as they come."""
        end = self._buffer.find(b"\n", self._searched)
        size = end if end >= 0 else len(self._buffer)
        if self._error is None and self._text + size > self.limits.line + 1:  # 1: a CR that may belong to the end
            self._error = BadCommand(
                "This line is too long.", tag=self._tag(bytes(self._buffer[: min(256, self.limits.line)]))
            )
        if end < 0:
            if self._error is not None and size > _TAIL:
                self._thrown += size - _TAIL
                del self._buffer[: size - _TAIL]
                self._check_thrown()
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        self._text += len(line)
        return line[:-1] if line.endswith(b"\r") else line

    def _end_of_text(self, line: bytes) -> Event | None:
        header = _LITERAL.search(line)
        if self._error is not None:
            self._thrown += len(line)
            self._check_thrown()
            if header and header[3]:
                self._throw(int(header[2]), False, self._error)
                return None
            return self._finish(Refused(self._error))
        if self._append is not None:
            return self._end_of_append(line, header)
        self._parts.append(line)
        if header is None:
            return self._finish(Line(tuple(self._parts)))
        return self._literal_announced(int(header[2]), not header[3])

    def _end_of_append(self, line: bytes, header: re.Match[bytes] | None) -> Event | None:
        """Settle what stands behind the message: nothing may."""
        append = self._append
        assert append is not None  # noqa: S101 - the caller looked; this tells the type checker
        if not line.strip(b" "):
            return self._finish(Appended(append))
        error = BadCommand("APPEND takes one message at a time.", tag=append.tag)
        if header and header[3]:
            self._throw(int(header[2]), False, error)
            return None
        return self._finish(Refused(error))

    def _literal_announced(self, size: int, waits: bool) -> Event | None:
        tag, limits = self._tag(self._parts[0]), self.limits
        try:
            append = read_append(self._parts, size, utf8=self.utf8)
            if append is not None and not limits.message:
                raise BadCommand("Please sign in first.")
            if append is not None and size > limits.message:
                text = f"A message may have at most {limits.message} bytes."
                raise BadCommand(text, status="NO", code=b"TOOBIG")
            held = self._held + (0 if append else size)
            if held > limits.held or (not append and size > limits.literal) or len(self._parts) > 2 * limits.literals:
                raise BadCommand("This command is too large.", status="NO", code=b"TOOBIG")
        except BadCommand as error:
            error.tag = tag
            self._throw(size, waits, error)
            return None
        if append is not None:
            self._asked = append, size, waits
            return Message(append, waits)
        self._held, self._literal, self._wanted = held, [], size
        if not size:
            self._parts.append(b"")
        return Proceed() if waits else None

    # --- literals ---

    def _take_literal(self) -> Event | None:
        octets = bytes(self._buffer[: self._wanted])
        if not octets:
            return None
        del self._buffer[: len(octets)]
        self._wanted -= len(octets)
        if self._error is not None:
            self._thrown += len(octets)
            return None
        if self._append is not None:
            return Chunk(octets)
        assert self._literal is not None  # noqa: S101 - tells the type checker
        self._literal.append(octets)
        if not self._wanted:
            self._parts.append(b"".join(self._literal))
        return None

    def _throw(self, size: int, waits: bool, error: BadCommand) -> None:
        """Refuse the command: a client that waits sends nothing more of it, from others the rest is read and lost."""
        self._error = error
        self._parts = []
        self._append = None
        self._ended, self._wanted = waits, 0 if waits else size
        if not waits and self._thrown + size > self.limits.thrown:
            self._over = "This command is far too large."

    def _check_thrown(self) -> None:
        if self._thrown > self.limits.thrown:
            self._over = "This line is far too long."

    def _finish(self, event: Event) -> Event:
        self._start()
        return event

    def _tag(self, text: bytes) -> bytes:
        tag = _TAG.match(self._parts[0] if self._parts else text)
        return tag[0] if tag else b"*"
