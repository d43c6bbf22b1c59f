"""Does ClamAV find something in a mail? The protocol of clamd(8): INSTREAM, in chunks, while the mail comes in.

clamd itself decides what it looks into and how deep; which of its settings matter is in docs/operations.md.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable

from cryptnsend.core.contracts import Carried, Finding
from cryptnsend.core.errors import Refusal, ScannerGone
from cryptnsend.scan.line import Lines, plain_name

CHUNK = 65_536  # octets of one chunk; clamd's own limit is StreamMaxLength, on the whole
SOON = 1.0  # seconds within which clamd refuses what it does not even want to read
REPLY = 4096  # octets of an answer that are read; they have some dozens
# clamd tells what a file is by its first octets. A mail that begins with an unusual field passes for something else,
# and nothing in its parts is found then, so each begins with a field that it knows.
FIRST = b"Received: by cryptnsend\r\n"
TOO_LARGE = "INSTREAM size limit exceeded. ERROR"


class Clamd:
    """The `Scanner` that asks clamd at *place*, a path or `host:port`. *seconds* is for each step."""

    name = "clamav"

    def __init__(self, place: str, seconds: float, monotonic: Callable[[], float] = time.monotonic):
        self.seconds, self.monotonic, self.lines = seconds, monotonic, Lines(place)

    def begin(self, carried: Carried) -> Stream:
        """Start to look at a mail; clamd is told nothing but its octets."""
        return Stream(self)

    def ping(self) -> None:
        """Raise ScannerGone if it does not answer."""
        stream = Stream(self)
        try:
            answer = stream.ask(b"zPING\0")
        finally:
            stream.close()
        if answer != "PONG":
            raise ScannerGone(f"it answers {plain_name(answer)} to PING")

    def cut(self) -> None:
        """End all looking at mail, in whatever thread; nobody is asked after that."""
        self.lines.cut()

    def takes(self, octets: int) -> bool:
        """Announce a chunk of that length: clamd says at once if that is more than it takes."""
        stream = Stream(self)
        try:
            return stream.is_welcome(len(FIRST) + octets)
        finally:
            stream.close()


class Stream:
    """One mail before clamd."""

    def __init__(self, clamd: Clamd):
        self._clamd = clamd
        self._line: socket.socket | None = None
        self._begun = False

    def feed(self, octets: bytes) -> None:
        """Send the next octets; raise Refusal if clamd takes no stream this long."""
        if not self._begun:
            self._begun = True
            self._send(b"zINSTREAM\0" + _chunk(FIRST))
        view = memoryview(octets)
        for at in range(0, len(view), CHUNK):
            self._send(_chunk(view[at : at + CHUNK]))

    def verdict(self) -> Finding | None:
        """End the stream and return what clamd says about it."""
        self.feed(b"")
        return read_answer(self.ask(struct.pack("!I", 0)))

    def close(self) -> None:
        """End the connection."""
        if self._line is not None:
            self._clamd.lines.close(self._line)
            self._line = None

    def ask(self, octets: bytes) -> str:
        """Send *octets* and return the answer."""
        self._send(octets)
        return self._answer()

    def is_welcome(self, octets: int) -> bool:
        """Say whether a chunk of *octets* may follow; nothing can be sent by this stream then."""
        self._send(b"zINSTREAM\0" + struct.pack("!I", octets))
        return not (self._line is not None and _has_said(self._line, SOON) and self._answer() == TOO_LARGE)

    def _send(self, octets: bytes) -> None:
        try:
            if self._line is None:
                self._line = self._clamd.lines.open(self._clamd.seconds)
            # It answers before the end only if it wants no more; what is sent then may break the line, answer and all.
            if _has_said(self._line):
                raise BrokenPipeError
            self._line.settimeout(self._clamd.seconds)
            self._line.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            read_answer(self._answer())
            raise ScannerGone("it ended the stream in the middle") from None
        except OSError as error:
            raise _gone(error) from None

    def _answer(self) -> str:
        """Read an answer to its NUL, however slowly it comes, within the time there is."""
        said, until = b"", self._clamd.monotonic() + self._clamd.seconds
        try:
            while b"\0" not in said and self._line is not None:
                self._line.settimeout(max(until - self._clamd.monotonic(), 0.001))
                piece = self._line.recv(REPLY)
                said += piece
                if not piece or len(said) > REPLY:
                    raise ScannerGone("its answer has no end")
        except OSError as error:
            raise _gone(error) from None
        return said.partition(b"\0")[0].decode("ascii", "replace")


def read_answer(answer: str) -> Finding | None:
    """
    Return what an answer to INSTREAM says; None for `stream: OK`.

    Raises Refusal where the mail is larger than clamd takes, which trying again would not change, and ScannerGone for
    every other answer.
    """
    about, _, said = answer.partition(": ")
    if about == "stream" and said == "OK":
        return None
    if about == "stream" and said.endswith(" FOUND"):
        return Finding("virus", plain_name(said.removesuffix(" FOUND")))
    if answer == TOO_LARGE:
        raise Refusal(
            "The virus scanner takes no message this large. Send the files in several messages.",
            code=552,
            status="5.3.4",
        )
    raise ScannerGone(f"it answers {plain_name(answer)}")


def _chunk(octets: bytes | memoryview) -> bytes:
    """Return octets with their length before them, and nothing for none: a length of 0 would end the stream."""
    return struct.pack("!I", len(octets)) + octets if octets else b""


def _has_said(line: socket.socket, seconds: float = 0.0) -> bool:
    """Say whether there is something to read, or will be within some seconds."""
    poll = select.poll()  # select() knows no descriptors above 1023
    poll.register(line, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _gone(error: OSError) -> ScannerGone:
    return ScannerGone(error.strerror or type(error).__name__, waited=isinstance(error, TimeoutError))
