"""How much may a mail program ask of the mailbox doors? Figures with their units."""

from __future__ import annotations

from dataclasses import dataclass

from cryptnsend.submission import limits

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits(limits.Limits):
    """What one connection, one account and one process may use. Times are seconds, sizes octets."""

    per_account: int = 50  # open and signed in as one account: phones alone open five
    auth_memory: float = 0.0  # a success holds seeds, which are not remembered; see flow/mailgate.py
    before_login: float = 60.0  # to say who one is
    idle: float = 1_860.0  # from one answer to the next command; RFC 9051 §5.4 asks for half an hour at least
    trickle: float = 180.0  # between two pieces of a command that has begun, or of what we write
    poll: float = 10.0  # between two looks for new mail while a program idles
    reassure: float = 15.0  # until a program is told that its command is still worked on, and from then on
    threads: int = 8  # that look things up and open messages
    search_bodies: int = 2_000  # that one SEARCH opens
    search_seconds: float = 20.0  # that it takes at most if it opens bodies
    search_headers_seconds: float = 120.0  # that it takes at most else
    junk: int = 50  # commands that lead nowhere, in a row
