"""How is a program told that something happened, and how does it know that we said it? Standard Webhooks, version 1.

What is said is an id, an event, a time and a message's id: no address, subject or content, since it goes to a server
that somebody named once. Who wants more asks for the message by a token.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from cryptnsend.core.errors import Denied
from cryptnsend.core.model import Random

EVENTS = ("opened", "replied", "bounced", "held")
TEST = "test"  # what the button on the page sends
SECRET = 32  # octets
PREFIX = "whsec_"
MEDIA_TYPE = "application/json"
LONGEST = 500  # characters of a URL
MOST = 5  # hooks of one account
BOTH = 7 * 86_400_000  # milliseconds for which an earlier secret signs beside the new one


def new_secret(random: Random) -> str:
    """Return a fresh secret, as programs that check signatures take it."""
    return PREFIX + base64.b64encode(random(SECRET)).decode()


def check_url(url: str) -> str:
    """Return a URL that events may go to; raise `Denied`, saying what is wrong with it."""
    wrong = Denied("Events cannot go to this address. It begins with https:// and a host name, and has no password.")
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > LONGEST:
        raise wrong
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme != "https" or "@" in parts.netloc or "." not in host or parts.fragment:
        raise wrong
    if host.rpartition(".")[2].isdecimal() or ":" in host:
        raise wrong  # an address, where a name belongs that a certificate can carry
    return url


def write_events(events: Collection[str]) -> str:
    """Return events as one text in their usual order; what is none of EVENTS is left out."""
    return " ".join(each for each in EVENTS if each in events)


def body(event: str, message: int | None, at: int) -> bytes:
    """Return what is said of an event at *at* (UTC milliseconds), as JSON."""
    when = datetime.fromtimestamp(at / 1000, UTC)
    said = {"message": str(message)} if message else {}
    kind = event if event == TEST else f"message.{event}"
    return msgspec.json.encode({"type": kind, "timestamp": when, "data": said})


def headers(secrets: Sequence[str], ident: int, octets: bytes, now: int) -> dict[str, str]:
    """Return id, time of this attempt and a signature by each secret, with which a program checks *octets*."""
    name, seconds = f"evt_{ident}", now // 1000
    signatures = [f"v1,{_signature(each, f'{name}.{seconds}.'.encode() + octets)}" for each in secrets]
    return {"webhook-id": name, "webhook-timestamp": str(seconds), "webhook-signature": " ".join(signatures)}


def _signature(secret: str, said: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, said, "sha256")).decode()
