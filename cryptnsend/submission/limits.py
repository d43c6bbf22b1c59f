"""How much may a client ask of the doors? Figures with their units, and the count of who is connected."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

MIB = 1024 * 1024

_Key = TypeVar("_Key", str, int)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, one account and one process may use. Times are seconds, sizes octets."""

    size: int = 50 * MIB  # of a message as encoded, announced by SIZE
    recipients: int = 100  # of one message
    header: int = 102_400  # of one header block
    command_line: int = 2_048  # CRLF included; RFC 5321 §4.5.3.1.4 asks for 512 and room for parameters
    auth_line: int = 12_288  # RFC 4954 §4
    connections: int = 1_000  # open in this process
    per_source: int = 20  # open from one address (one /64 of IPv6) before they signed in
    per_account: int = 100  # open and signed in as one account
    idle: float = 300.0  # from one reply to the next complete command (RFC 5321 §4.5.3.2.7)
    data_idle: float = 180.0  # between two pieces of DATA (RFC 5321 §4.5.3.2.5)
    data_total: float = 3_600.0  # for one DATA
    data_rate: int = 1_024  # octets per second that a DATA must reach on average after its first `data_idle`
    junk: int = 100  # commands that lead nowhere, since the last message taken
    auth_failures: int = 5  # in one connection
    auth_threads: int = 2  # at most this many Argon2id at once
    auth_waiting: int = 64  # sign-ins that may wait for those threads
    auth_delay: float = 2.0  # from a wrong password to its 535, at least
    auth_memory: float = 600.0  # how long a success is remembered
    recheck: float = 10.0  # age at which an open session's sign-in is looked at again before a message
    handshake: float = 30.0  # for TLS
    drain: float = 30.0  # that open transactions get when the server stops
    linger: float = 2.0  # that a client gets to read why it was cut off


class Admission(Enum):
    """What becomes of a new connection."""

    WELCOME = "welcome"
    REFUSED = "refused"  # is told 421 and closed
    DROPPED = "dropped"  # is closed without words: telling would cost more than the attack


def plain_address(address: str) -> str:
    """Return the IP address of a socket's peer without scope, IPv4 that came through an IPv6 socket as IPv4."""
    if ":" not in address:
        return address
    ip = ipaddress.IPv6Address(address.partition("%")[0])
    return str(ip.ipv4_mapped or ip)


def source_of(address: str) -> str:
    """
    Return what connections from *address*, a plain IP address, are counted under.

    IPv6 counts by /64, because whoever has one address there has them all.
    """
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network((int(ipaddress.IPv6Address(address)) >> 64 << 64, 64)))


class Connections:
    """
    The count of open connections.

    A source is held to its cap only until it signs in: mail providers' clouds bring many people from one address.
    From then on the account's cap counts.
    """

    def __init__(self, limits: Limits):
        self._limits = limits
        self._sources: Counter[str] = Counter()
        self._accounts: Counter[int] = Counter()
        self.open = 0  # those being refused are counted too, for they hold a socket and a handshake

    def arrive(self, source: str) -> Admission:
        """Count a new connection, unless it is to be dropped, and say what becomes of it."""
        limits, from_source = self._limits, self._sources[source]
        if self.open >= 2 * limits.connections or from_source >= 2 * limits.per_source:
            if not from_source:
                del self._sources[source]
            return Admission.DROPPED
        self.open += 1
        self._sources[source] += 1
        if self.open > limits.connections or from_source >= limits.per_source:
            return Admission.REFUSED
        return Admission.WELCOME

    def sign_in(self, source: str, account: int) -> bool:
        """Count a connection under its account from now on; False, and nothing changed, if that one has its fill."""
        if self._accounts[account] >= self._limits.per_account:
            return False
        self._accounts[account] += 1
        self._take(self._sources, source)
        return True

    def leave(self, source: str, account: int | None) -> None:
        """Take a closed connection off the count; *account* is None if it never signed in."""
        self.open -= 1
        if account is None:
            self._take(self._sources, source)
        else:
            self._take(self._accounts, account)

    @staticmethod
    def _take(counter: Counter[_Key], key: _Key) -> None:
        counter[key] -= 1
        if counter[key] <= 0:
            del counter[key]
