"""Does rspamd take a mail for spam? Its HTTP protocol: one POST to /checkv2, the answer in JSON.

rspamd wants to know the length before the mail, so what it is shown is held in memory, and is the beginning only of
what is large. It is told who sent to whom (its log has that then), and never one of our tokens.
"""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import msgspec

from cryptnsend.core.contracts import Carried, Finding
from cryptnsend.core.errors import ScannerGone
from cryptnsend.scan.line import Lines, plain_name

ANSWER = 1 << 20  # octets of an answer that are read
# What rspamd advises. Greylisting by itself becomes "soft reject" when it is time to send somebody away, so that the
# bare word says nothing more than "a little suspicious".
ACTIONS: Mapping[str, Literal["spam", "doubtful", "later"] | None] = {
    "no action": None,
    "greylist": None,
    "add header": "doubtful",
    "rewrite subject": "doubtful",
    "quarantine": "doubtful",
    "soft reject": "later",
    "reject": "spam",
    "discard": "spam",
}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class Answer(msgspec.Struct):
    """What we read of an answer."""

    action: str
    score: float = 0.0


class Rspamd:
    """The `Scanner` that asks rspamd at *place*, a path or `host:port`; *seconds* is for one question on the whole."""

    name = "rspamd"

    def __init__(self, place: str, seconds: float, most: int):
        """*most* is how many octets of a mail it is shown."""
        self.seconds, self.most, self._lines = seconds, most, Lines(place)

    def begin(self, carried: Carried) -> Question:
        """Start to look at a mail."""
        return Question(self, carried)

    def ping(self) -> None:
        """Raise ScannerGone if it does not answer."""
        if self.ask("GET", "/ping").strip() != b"pong":
            raise ScannerGone("it answers something else to /ping")

    def cut(self) -> None:
        """End all questions, in whatever thread; none is asked after that."""
        self._lines.cut()

    def takes(self, octets: int) -> bool:
        """Say yes: it is shown the beginning of what is large."""
        return True

    def ask(self, method: str, path: str, octets: bytes | None = None, fields: Iterable[tuple[str, str]] = ()) -> bytes:
        """Return the body of the answer to one request; raise ScannerGone if there is none, or it is not 200."""
        with self._connection() as connection:
            # Whatever an address holds stays one line of the request.
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in fields:
                connection.putheader(name, _CONTROLS.sub(" ", value).encode())
            connection.putheader("Content-Length", str(len(octets or b"")))
            connection.endheaders(octets)
            with connection.getresponse() as answer:
                body, is_cut = answer.read(ANSWER + 1), bool(answer.length)
            if answer.status != 200 or is_cut or len(body) > ANSWER:
                raise ScannerGone(f"it answers {answer.status} with {len(body)} bytes{', cut off' if is_cut else ''}")
            return body

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("localhost")
        is_late = threading.Event()

        def cut(line: socket.socket) -> None:
            is_late.set()
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already

        watch = line = None
        try:
            connection.sock = line = self._lines.open(self.seconds)
            # An octet now and then would never run into a timeout of the socket.
            watch = threading.Timer(self.seconds, cut, (line,))
            watch.daemon = True
            watch.start()
            yield connection
        except (OSError, http.client.HTTPException, ValueError) as error:
            waited = is_late.is_set() or isinstance(error, TimeoutError)
            raise ScannerGone(type(error).__name__, waited=waited) from None
        finally:
            if watch is not None:
                watch.cancel()
                watch.join()
            connection.close()
            if line is not None:
                self._lines.close(line)


class Question:
    """One mail before rspamd."""

    def __init__(self, rspamd: Rspamd, carried: Carried):
        self._rspamd, self._carried = rspamd, carried
        self._octets = bytearray()

    def feed(self, octets: bytes) -> None:
        """Hold the next octets, as far as rspamd is shown them."""
        self._octets += octets[: max(self._rspamd.most - len(self._octets), 0)]

    def verdict(self) -> Finding | None:
        """Ask."""
        return read_answer(self._rspamd.ask("POST", "/checkv2", bytes(self._octets), _fields(self._carried)))

    def close(self) -> None:
        """Forget the mail."""
        self._octets = bytearray()


def read_answer(body: bytes) -> Finding | None:
    """Return what an answer of /checkv2 says, None for a mail in order; raise ScannerGone for one that says nothing."""
    try:
        answer = msgspec.json.decode(body, type=Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ScannerGone("its answer is not what rspamd answers") from None
    if answer.action not in ACTIONS:
        raise ScannerGone(f"it advises {plain_name(answer.action)}, which means nothing here")
    kind = ACTIONS[answer.action]
    return Finding(kind, plain_name(f"{answer.action} ({answer.score:.1f})")) if kind is not None else None


def _fields(carried: Carried) -> Iterator[tuple[str, str]]:
    """Yield the fields that tell rspamd how the mail came; what is not known is left out."""
    known = (("IP", carried.source), ("Helo", carried.ehlo), ("User", carried.user), ("From", carried.reverse_path))
    yield from ((name, value) for name, value in known if value)
    yield from (("Rcpt", each) for each in carried.recipients)
