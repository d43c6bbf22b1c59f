"""What a `Framer` makes of octets, however they were split."""

from __future__ import annotations

from cryptnsend.core.imap import Chunk, Event, Framer, Limits, Message, Overrun, Refused


def run(octets: bytes, limits: Limits, sizes: list[int] | None = None) -> list[Event]:
    """Feed *octets* in pieces; let every message in; stop where the line would be cut."""
    framer, found, at, turn = Framer(limits), [], 0, 0
    while at < len(octets):
        step = (sizes or [len(octets)])[turn % len(sizes or [1])]
        framer.feed(octets[at : at + step])
        at, turn = at + step, turn + 1
        while (event := framer.next()) is not None:
            found.append(event)
            if isinstance(event, Message):
                framer.stream()
            if isinstance(event, Overrun):
                return found
    return found


def said(events: list[Event]) -> list[object]:
    """Make events comparable: neighbouring chunks are one, errors are their answers."""
    out: list[object] = []
    for event in events:
        if isinstance(event, Chunk) and out and isinstance(out[-1], Chunk):
            out[-1] = Chunk(out[-1].octets + event.octets)
        else:
            out.append(event.error.answer() if isinstance(event, Refused) else event)
    return out
