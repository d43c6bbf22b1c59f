"""Who is this, and may they come in? AUTH PLAIN and LOGIN: RFC 4954, RFC 4616.

`Turnstile` stands between the doors and the `Gatekeeper`: it keeps Argon2id off the event loop and to a few at once,
remembers successes, and makes every wrong password take the same time.
"""

from __future__ import annotations

import asyncio
import binascii
import hmac
import secrets
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import structlog

from cryptnsend import metrics
from cryptnsend.core.errors import Denied, Refusal, Temporary, Throttled, WrongSecret
from cryptnsend.submission.contract import Gatekeeper, Subscriber
from cryptnsend.submission.limits import Limits

WRONG = "The user name or password is wrong."
_REMEMBERED = 10_000  # successes held in memory; the oldest go first


class Credentials(NamedTuple):
    """What a client presented. Never logged: people type passwords into the name field."""

    username: str  # blanks around it removed
    password: str


def decode(response: bytes) -> bytes:
    """
    Return the octets of one base64 response (RFC 4954 §4); a lone "=" is the empty one.

    Raises `Refusal` for the "*" that cancels, and for what is not base64.
    """
    response = response.strip()
    if response == b"*":
        raise Refusal("Sign-in cancelled.", code=501, status="5.7.0")
    if response == b"=":
        return b""
    try:
        return b64decode(response, validate=True)
    except binascii.Error:
        raise Refusal("This is not base64.", code=501, status="5.5.2") from None


def plain(message: bytes) -> Credentials:
    """
    Read the one message of PLAIN: authorisation identity NUL user name NUL password.

    Raises `WrongSecret` when somebody wants to act for another, or the text is not UTF-8.
    """
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise Refusal("This is not a PLAIN message.", code=501, status="5.5.2")
    acts_for, username, password = parts
    credentials = login(username, password)
    if acts_for and _text(acts_for).strip().casefold() != credentials.username.casefold():
        raise WrongSecret(WRONG)
    return credentials


def login(username: bytes, password: bytes) -> Credentials:
    """Read the two answers of LOGIN; raise `WrongSecret` if they are not UTF-8 and so cannot be anybody's."""
    return Credentials(_text(username).strip(), _text(password))


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise WrongSecret(WRONG) from None


Reading = Callable[[], Credentials]


class Memory:
    """
    Successes of the last minutes, so that a mail client that connects for every message costs one Argon2id.

    Holds no password: entries are found by an HMAC under a key that lives as long as the process.
    """

    def __init__(self, lifetime: float):
        self._key = secrets.token_bytes(32)
        self._lifetime = lifetime
        self._found: OrderedDict[bytes, tuple[float, Subscriber]] = OrderedDict()

    def place(self, credentials: Credentials) -> bytes:
        """Return the entry's key for these credentials."""
        username, password = (part.encode("utf-8") for part in credentials)
        octets = len(username).to_bytes(4, "big") + username + password
        return hmac.digest(self._key, octets, "sha256")

    def get(self, place: bytes, now: float) -> Subscriber | None:
        """Return who signed in so before *now* (monotonic seconds), if that is not too long ago."""
        expires, subscriber = self._found.get(place, (0.0, None))
        if subscriber is not None and expires <= now:
            del self._found[place]
            return None
        return subscriber

    def put(self, place: bytes, subscriber: Subscriber, now: float) -> None:
        """Remember a success at *now*; nothing at all where that is for no time."""
        if self._lifetime <= 0:
            return
        self._found[place] = (now + self._lifetime, subscriber)
        self._found.move_to_end(place)
        if len(self._found) > _REMEMBERED:
            self._found.popitem(last=False)

    def forget(self, place: bytes) -> None:
        """Drop an entry; absent is fine."""
        self._found.pop(place, None)


class Turnstile:
    """The one way in. Used from the loop thread; the pool is its own."""

    def __init__(self, gatekeeper: Gatekeeper, limits: Limits, log: structlog.typing.FilteringBoundLogger):
        self._gatekeeper = gatekeeper
        self._limits = limits
        self._log = log
        self._memory = Memory(limits.auth_memory)
        self._pool = ThreadPoolExecutor(limits.auth_threads, thread_name_prefix="sign-in")
        self._running: dict[tuple[bytes, str], asyncio.Future[Subscriber]] = {}

    async def check(self, read: Callable[[], Credentials], source: str) -> Subscriber:
        """
        Return who signs in with what *read* returns; *source* is the client's address.

        Raises `WrongSecret` after at least `Limits.auth_delay` seconds whatever was wrong, `Throttled`, and `Temporary`
        (never `WrongSecret`) when this cannot be decided now.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            with metrics.signing_in():
                return await self._check(read(), source)
        except (Throttled, Temporary, Refusal):
            raise
        except Denied as denied:
            # Which of the reasons it was (disabled, revoked, unknown, wrong) is for the owner, on the portal.
            self._log.info("sign-in refused", source=source, reason=type(denied).__name__)
        except Exception as error:
            # Our own fault must not look like a wrong password: the client would ask its user for another one.
            self._log.error("sign-in failed", source=source, error=type(error).__name__)
            raise _not_now() from error
        await asyncio.sleep(max(0.0, self._limits.auth_delay - (loop.time() - begun)))
        raise WrongSecret(WRONG)

    def still_valid(self, subscriber: Subscriber) -> bool:
        """Say whether a sign-in of this process still holds; raise `Temporary` when that cannot be read."""
        return self._gatekeeper.still_valid(subscriber)

    def close(self) -> None:
        """Let running checks finish in the background and take no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _check(self, credentials: Credentials, source: str) -> Subscriber:
        loop = asyncio.get_running_loop()
        place = self._memory.place(credentials)
        known = self._memory.get(place, loop.time())
        if known is not None:
            if self.still_valid(known):
                return known
            self._memory.forget(place)
        # A client that opens five connections at once asks one question, and a wrong answer to it is one failure.
        running = self._running.get((place, source))
        if running is None:
            if len(self._running) >= self._limits.auth_waiting:
                raise _not_now()
            running = loop.run_in_executor(self._pool, self._gatekeeper.authenticate, *credentials, source)
            self._running[place, source] = running
            running.add_done_callback(lambda _: self._running.pop((place, source), None))
        # Shielded: one of several askers going away must not take the answer from the others.
        subscriber = await asyncio.shield(running)
        self._memory.put(place, subscriber, loop.time())
        return subscriber


def _not_now() -> Temporary:
    return Temporary("Signing in is not possible at the moment; try again in a few minutes.")
