"""How is a key read, and mail encrypted to it, from outside? `Locksmith` hands both to a confined process.

A stranger's key may be made to hurt whoever reads it. Its process then ends at its limits, and the key counts as one
that cannot be read.
"""

from __future__ import annotations

import threading

import msgspec
import structlog

from cryptnsend.confined.nursery import ENDED, Order
from cryptnsend.confined.workers import Gone, Workers, ending_of
from cryptnsend.core.errors import CryptnSendError
from cryptnsend.ownkeys.reading import MOST_INPUT, Answer, Job, Lock, OwnKey, Read, Unusable

__all__ = ["Locksmith", "NotNow", "Unusable"]

MEMORY = 512 << 20  # octets of address space, besides what is encrypted
SECONDS = 10
AT_ONCE = 4  # jobs of one process at the same time; others wait
PATIENCE = 60.0  # seconds

log = structlog.get_logger("cryptnsend.ownkeys")


class NotNow(CryptnSendError):
    """This machine cannot do it now, whatever the key."""


class Locksmith:
    """Reads keys and encrypts to them; safe for many threads. Its process starts with the first job."""

    def __init__(self, module: str = "cryptnsend.ownkeys.nursery"):
        self._workers = Workers(module)
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def read(self, octets: bytes, now: int) -> OwnKey:
        """Return the key that somebody handed in; raise Unusable, or NotNow."""
        answer = self._asked(Read(now), octets[: MOST_INPUT + 1])
        if answer.key is None:
            raise Unusable(answer.wrong or "no-key", answer.fingerprint)
        return answer.key

    def lock(self, kind: str, key: bytes, content: bytes, now: int) -> bytes:
        """
        Return *content* encrypted: CMS in DER for "smime", armor for "openpgp".

        Raises Unusable, also for a key that has ended since it was read, or NotNow.
        """
        answer = self._asked(Lock(kind, key, now, len(content)), content)
        if answer.wrong or not answer.locked:
            raise Unusable(answer.wrong or "no-key")
        return answer.locked

    def close(self) -> None:
        """End the process that does it."""
        self._workers.close()

    def cut(self) -> None:
        """Wait for nothing any more."""
        self._workers.cut()

    def _asked(self, job: Job, octets: bytes) -> Answer:
        order = Order(
            msgspec.msgpack.encode(job),
            memory=MEMORY + 12 * len(octets),
            cpu=SECONDS,
            wall=3 * SECONDS,
            answer=2 * len(octets) + (1 << 20),
        )
        if not self._room.acquire(timeout=PATIENCE):
            raise NotNow("Too much is being encrypted on this server now.")
        try:
            ending = ending_of(self._workers.run(order, (octets,)))
        except Gone as gone:
            log.warning("nothing could be encrypted to people's keys", error=gone.why)
            raise NotNow("Nothing can be encrypted to people's own keys on this server now.") from None
        finally:
            self._room.release()
        if ending.status != ENDED or ending.signal or ending.is_late:
            log.info("a key was too much to read")
            raise Unusable("no-key")
        try:
            return msgspec.msgpack.decode(ending.answer, type=Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Unusable("no-key") from None
