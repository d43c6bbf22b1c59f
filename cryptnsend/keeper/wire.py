"""How do requests travel on a socket? Frames of 4 octets of length, big-endian, and a MessagePack body.

A request is {"r": name, "a": {arguments}}; an answer {"ok": value}, or {"error": class, "text": ...} with the class of
`core.errors` that the client raises. Nothing else of an exception travels.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

import msgspec

from cryptnsend.core import errors

MAX_FRAME = 1 << 20  # octets; a page of 200 grants has 300 KiB
_LENGTH = struct.Struct(">I")

_RAISED: dict[str, type[errors.CryptnSendError]] = {
    kind.__name__: kind
    for kind in (
        errors.Temporary,
        errors.KeeperGone,
        errors.StoreBroken,
        errors.StoreFull,
        errors.Denied,
        errors.NoGrant,
        errors.SecondStep,
        errors.Ended,
        errors.SealBroken,
    )
}


class Request(msgspec.Struct):
    """A request before its arguments are understood."""

    r: str
    a: msgspec.Raw = msgspec.Raw(b"\x80")  # an empty map


class Answer(msgspec.Struct, omit_defaults=True):
    """An answer before its value is understood: `ok`, or `error` and what belongs to it."""

    ok: msgspec.Raw = msgspec.Raw(b"")
    error: str = ""
    text: str = ""
    words: str = ""  # of a `Sentence`, and what was filled in
    values: dict[str, str | int] = {}
    tries_left: int | None = None
    retry_after: int | None = None


class FrameTooLong(Exception):
    """The other side announced a frame above `MAX_FRAME`, or we would have to send one."""


_encoder = msgspec.msgpack.Encoder()


def request(name: str, arguments: dict[str, Any]) -> bytes:
    """Return a request's frame."""
    return framed_body(_encoder.encode({"r": name, "a": arguments}))


def answer(value: Any) -> bytes:
    """Return the frame that answers with *value*."""
    return framed_body(_encoder.encode({"ok": value}))


def refusal(error: errors.CryptnSendError) -> bytes:
    """Return the frame that makes the client raise *error*."""
    said: dict[str, Any] = {"error": type(error).__name__, "text": str(error)}
    if isinstance(error.text, errors.Sentence):
        said |= {"words": error.text.words, "values": error.text.values}
    if isinstance(error, errors.WrongSecret):
        said["tries_left"] = error.tries_left
    if isinstance(error, errors.Throttled):
        said["retry_after"] = error.retry_after
    return framed_body(_encoder.encode(said))


def raised(said: Answer) -> errors.CryptnSendError:
    """Return the exception that an answer stands for."""
    text = errors.Sentence(said.words, **said.values) if said.words else said.text
    if said.error == "WrongSecret":
        return errors.WrongSecret(text, tries_left=said.tries_left)
    if said.error == "Throttled":
        return errors.Throttled(text, retry_after=said.retry_after or 60)
    return _RAISED.get(said.error, errors.Temporary)(text)


def framed_body(body: bytes) -> bytes:
    """Return *body* with its length before it; raise `FrameTooLong`."""
    if len(body) > MAX_FRAME:
        raise FrameTooLong
    return _LENGTH.pack(len(body)) + body


def receive(peer: socket.socket, patience: float) -> bytes | None:
    """
    Return the body of the next frame, or None at the end of the stream.

    *patience* is how many seconds a frame may take from its first octet to its last; the wait for the first octet is
    the socket's own timeout. Raise `FrameTooLong`, or OSError, also for a stream that ends inside a frame.
    """
    head = _take(peer, _LENGTH.size, None)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_FRAME:
        raise FrameTooLong
    body = _take(peer, length, time.monotonic() + patience)
    if body is None:
        raise ConnectionResetError("the stream ended inside a frame")
    return body


def _take(peer: socket.socket, count: int, deadline: float | None) -> bytes | None:
    """Return exactly *count* octets, or None if the stream ends before the first."""
    first = peer.recv(count) if count else b""
    if len(first) == count:
        return first
    if not first:
        return None
    taken = bytearray(first)
    waits = peer.gettimeout()
    try:
        while len(taken) < count:
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError("a frame took too long")
                peer.settimeout(left)
            piece = peer.recv(count - len(taken))
            if not piece:
                raise ConnectionResetError("the stream ended inside a frame")
            taken += piece
    finally:
        peer.settimeout(waits)
    return bytes(taken)
