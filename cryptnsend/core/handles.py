"""Which words may name a subscriber's page for visitors, `/to/<handle>`?

A handle stands on cards and in waiting rooms. So it is typed by hand, must not look like another one, and must not
promise more than a person: no brand, no office of this server.
"""

from __future__ import annotations

import re

from cryptnsend.core.names import safe_display_name, skeleton

SHORTEST, LONGEST = 3, 32
_HANDLE = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){1,30}[a-z0-9]")
# Words by which people look for the server itself, or its pages.
# fmt: off
_RESERVED = frozenset((
    "about", "abuse", "account", "accounts", "admin", "administrator", "api", "app", "billing", "code", "codes",
    "contact", "crypt", "cryptnsend", "emergency", "files", "form", "forms", "help", "home", "host", "hostmaster",
    "info", "legal", "login", "mail", "mailer", "news", "nobody", "noreply", "notice", "official", "page", "password",
    "portal", "postmaster", "privacy", "real", "register", "robots", "root", "search", "secure", "security", "send",
    "sent", "server", "settings", "sign-in", "sign-up", "staff", "static", "status", "subscribe", "support", "system",
    "team", "test", "visitor", "visitors", "webmaster", "write", "www",
))
# fmt: on


def read(typed: str) -> str:
    """Return a handle as somebody typed it, in its one spelling; "" for what has not its form."""
    handle = typed.strip().lower()
    return handle if is_one(handle) else ""


def is_one(text: str) -> bool:
    """Say whether *text* could be a handle, in its one spelling; whatever else is in a path leads nowhere."""
    return SHORTEST <= len(text) <= LONGEST and bool(_HANDLE.fullmatch(text))


def is_reserved(handle: str) -> bool:
    """Say whether a handle could be mistaken for this server, its staff or a well-known company."""
    return looks(handle) in _RESERVED_LOOKS or not safe_display_name(handle.replace("-", " "))


def looks(handle: str) -> str:
    """Return what a handle looks like at a glance; two that look alike have it in common."""
    return skeleton(handle)


_RESERVED_LOOKS = frozenset(looks(each) for each in _RESERVED)
