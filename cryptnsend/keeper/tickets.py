"""What may a caller show to say that somebody was here? Tickets: a MessagePack body and the keeper's MAC over it.

A session ticket says who is signed in; a proof ticket that somebody told a sender's code. The era enters the MAC, so
that a restore ends all of them, and the ledger is asked each time whether the account still is what it was.
"""

from __future__ import annotations

import hmac
from typing import TypeVar

import msgspec

from cryptnsend.core.errors import Denied, Ended
from cryptnsend.core.seal import framed
from cryptnsend.keeper import ledger
from cryptnsend.keeper.context import HOUR, Context
from cryptnsend.keeper.rows import Account

MAC = 32  # octets
DEVICE = "device"  # strength of a ticket
SIGN_IN_AGAIN = "You are not signed in any more. Sign in again."


class SessionTicket(msgspec.Struct, frozen=True, array_like=True):
    """Who is signed in, by which password, until when."""

    account: int
    strength: str  # password, weak, device: read what is granted and nothing else
    credential_version: int
    ends: int
    nonce: bytes


class ProofTicket(msgspec.Struct, frozen=True, array_like=True):
    """Whose code was told by whoever reads the mail of `address`. `generation` 0: this subscriber asks for none."""

    address: str
    subscriber: int
    generation: int
    proof: bytes  # the same for each ticket of the same proof
    ends: int
    message: int = 0  # the only one that this opens; 0 where a code was told, or none is ever asked for
    how: str = ""  # mail: by a code that was mailed; none: its sender asks for none


class RecoveryTicket(msgspec.Struct, frozen=True, array_like=True):
    """Who could open what was sealed to an archive's pair: the holder of its recovery file."""

    pair: int
    ends: int
    nonce: bytes


T = TypeVar("T", SessionTicket, ProofTicket, RecoveryTicket)


def seal(context: Context, ticket: SessionTicket | ProofTicket | RecoveryTicket) -> bytes:
    """Return the ticket's octets with the MAC."""
    body = msgspec.msgpack.encode(ticket)
    return _mac(context, type(ticket), body) + body


def session_ticket(context: Context, account: Account, *, by_device: bool = False) -> tuple[bytes, int]:
    """Return a ticket for who has just signed in, and when it ends; one *by_device* is good for adopting alone."""
    ends = context.clock.now() + context.settings.session_hours * HOUR
    strength = DEVICE if by_device else "weak" if account.is_weak else "password"
    ticket = SessionTicket(account.id, strength, account.credential_version, ends, context.rng(8))
    return seal(context, ticket), ends


def read_session(context: Context, octets: bytes) -> SessionTicket:
    """Return a session ticket that is ours and has not ended, whatever became of its account; raise `Ended`."""
    ticket = _opened(context, SessionTicket, octets)
    if ticket is None or ticket.ends <= context.clock.now():
        raise Ended(SIGN_IN_AGAIN)
    return ticket


def signed_in(context: Context, reads: ledger.Reads, octets: bytes, *, by_device: bool = False) -> Account:
    """
    Return the account of a ticket, if the ledger still has it as the ticket says; raise `Ended`.

    What may be done *by_device* says so: a device password reads, and changes nothing about its account.
    """
    ticket = read_session(context, octets)
    if ticket.strength == DEVICE and not by_device:
        raise Ended(SIGN_IN_AGAIN)
    account = ledger.account(reads, ticket.account)
    if account is None or not account.may_sign_in or account.credential_version != ticket.credential_version:
        raise Ended(SIGN_IN_AGAIN)
    return account


def signed_in_well(context: Context, reads: ledger.Reads, octets: bytes) -> Account:
    """Return the account of a ticket as `signed_in`, and refuse one whose password was reset by mail alone."""
    account = signed_in(context, reads, octets)
    if account.is_weak:
        raise Denied(
            "The password of this account was reset by mail. Confirm that it is you first: with the old password, the "
            "recovery code or a device password, or ask an officer of your organisation."
        )
    return account


def read_proof(context: Context, octets: bytes) -> ProofTicket:
    """Return a proof ticket that is ours and has not ended; raise `Ended`."""
    ticket = _opened(context, ProofTicket, octets)
    if ticket is None or ticket.ends <= context.clock.now():
        raise Ended("This took too long. Open the link in the message again.")
    return ticket


def read_recovery(context: Context, octets: bytes) -> RecoveryTicket:
    """Return a recovery ticket that is ours and has not ended; raise `Ended`."""
    ticket = _opened(context, RecoveryTicket, octets)
    if ticket is None or ticket.ends <= context.clock.now():
        raise Ended("The time for this export is over. Begin it again, with its own reason.")
    return ticket


def _opened(context: Context, kind: type[T], octets: bytes) -> T | None:
    mac, body = octets[:MAC], octets[MAC:]
    if not hmac.compare_digest(mac, _mac(context, kind, body)):
        return None
    return msgspec.msgpack.decode(body, type=kind)


def _mac(context: Context, kind: type[object], body: bytes) -> bytes:
    covered = framed("ticket", kind.__name__, ledger.era(context.reads), body)
    return hmac.digest(context.secrets.key("ticket"), covered, "sha256")
