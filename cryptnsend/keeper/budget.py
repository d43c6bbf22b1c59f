"""How often is a code mailed to one address? Counted by who asked for it, so that strangers use up no owner's share.

Whoever knows an address can ask for codes to it, from as many networks as they can rent. So a network gets few of a
day's codes; all strangers together get so many, and then one an hour: slower, but never none, since among them may be
an owner in a place they have not been before. Apart from all that, networks from which the owner has signed in lately
have a share that nobody else can use up.

Rows hold networks as MACs bound to the address or account they are about, so that they tell no places.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied
from cryptnsend.core.seal import framed
from cryptnsend.keeper import proofs, tickets
from cryptnsend.keeper.context import DAY, HOUR, Context

KEPT = 90 * DAY  # for which a network stays known
MOST = 20  # networks known of one account, those of the latest sign-ins
RENEWED = DAY  # a sign-in from a known network is noted again after this long
LENGTH = 100  # characters of a network's name


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a code was asked for, as its row notes it."""

    network: bytes  # empty where nobody said
    known: bool


def asked(context: Context, rows: Rows, address: str, network: str, owner: int) -> Asked:
    """Return what is known about a network that asks for a code to *address*; *owner* is its account, 0 for none."""
    # The same work whoever the address belongs to, since how long it takes must not tell.
    since = proofs.network_seen(rows, owner, _mark(context, owner, network))
    is_known = bool(network) and since is not None and since > context.clock.now() - KEPT
    return Asked(_mark(context, address, network) if network else b"", is_known)


def allows(context: Context, rows: Rows, address: str, by: Asked) -> bool:
    """Say whether one more code may be mailed to this address now."""
    now, figures = context.clock.now(), context.settings
    sent = proofs.mail_codes_since(rows, address, now - DAY)
    if by.known:
        return sum(1 for each in sent if each.known) < figures.mail_codes_kept
    if by.network and sum(1 for each in sent if each.network == by.network) >= figures.mail_codes_per_network:
        return False
    strangers = [each.made for each in sent if not each.known]
    if len(strangers) < figures.mail_codes_per_day:
        return True
    return max(strangers) <= now - HOUR


def seen(context: Context, ticket: bytes, network: str) -> None:
    """Note that the owner of an account signed in from a network; one whose password was reset by mail is not heard."""
    if not network or len(network) > LENGTH:
        raise Denied("This is no network.")

    def note(rows: Rows) -> None:
        account, now = tickets.signed_in(context, rows, ticket), context.clock.now()
        if account.is_weak:
            return
        mark = _mark(context, account.id, network)
        since = proofs.network_seen(rows, account.id, mark)
        if since is None or since <= now - RENEWED:
            proofs.set_network_seen(rows, account.id, mark, now, keep=MOST, after=now - KEPT)

    context.commit(note)


def _mark(context: Context, whose: str | int, network: str) -> bytes:
    return hmac.digest(context.secrets.key("form"), framed("network", str(whose), network), "sha256")[:16]
