"""What may stand in for a sender's code? Only what that sender chose, for one message: a code by e-mail, or none.

    code   the code that the sender tells, by phone (nothing is written down; every message but these)
    mail   a code that we e-mail to the recipient, when they ask for it
    none   no code: whoever reads that mailbox first can open it

Either shows no more than that a mailbox is read. So neither proves a contact, neither takes an address from anybody,
and neither opens another message: what is noted is (message, address, account), and that is what `grants.adopt` asks
for. A subscriber's usual choice holds for what they send from then on, where they did not choose for the message.
What the installation and the sender's organisation do not let anybody choose counts for nothing, chosen before or not.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, Ended
from cryptnsend.core.model import time_of
from cryptnsend.core.seal import framed
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper import budget, contacts, ledger, links, mailed, policies, proofs, tickets
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import MailProof
from cryptnsend.keeper.rows import Account, MailCode

CODE, MAIL, NONE = WAYS = ("code", "mail", "none")
USUAL = 0  # in the place of a message: what this subscriber chose for all from then on
PURPOSE = "open"  # of a mailed code that opens one message
AGAIN = 120_000  # milliseconds before another code is mailed for the same message
NOT_ALLOWED = "The sender has not allowed this for this message. Ask them for the code, by phone."


def allow(context: Context, ticket: bytes, message: int, way: str) -> None:
    """Note what the subscriber who is signed in lets stand in for the code, of one message or as a rule (0)."""
    if way not in WAYS or WAYS.index(way) > WAYS.index(context.settings.instead_of_code):
        raise Denied("The people who run this server do not let messages be opened in this way.")
    owner = tickets.signed_in(context, context.reads, ticket)
    if way != _within(context, context.reads, owner.org, way):
        raise Denied(
            "Your organisation does not let messages be opened in this way. Choose the code that you tell by phone."
        )
    if way == NONE and message == USUAL:
        raise Denied("That no code is needed is chosen for one message at a time.")
    # More protection may always be asked for, also by somebody whose password was reset by mail.
    who = tickets.signed_in if way == CODE else tickets.signed_in_well

    def note(rows: Rows) -> None:
        account = who(context, rows, ticket)
        if not account.has("subscriber"):
            raise Denied("Only subscribers may do this.")
        proofs.set_allowance(rows, account.id, message, way, context.clock.now())

    context.commit(note)


def usual(context: Context, ticket: bytes) -> str:
    """Return what the subscriber who is signed in chose for what they send."""
    account = tickets.signed_in(context, context.reads, ticket)
    found = proofs.allowance(context.reads, account.id, USUAL)
    return _within(context, context.reads, account.org, found[0]) if found else CODE


def way(context: Context, reads: ledger.Reads, subscriber: int, message: int) -> str:
    """Return what opens a message besides the code: its sender's choice for it, else their rule when it was made."""
    chosen = proofs.allowance(reads, subscriber, message) if message else None
    if chosen is None:
        chosen = proofs.allowance(reads, subscriber, USUAL)
        if chosen is None or time_of(message) <= chosen[1]:
            return CODE
    sender = ledger.account(reads, subscriber)
    return CODE if sender is None else _within(context, reads, sender.org, chosen[0])


def way_of(context: Context, token: str, claims: Claims) -> str:
    """Return what the message of a link asks for; whoever has the link may know."""
    if claims.purpose != "open" or not links.is_ours(context, token, claims):
        return CODE
    subscriber = ledger.account(context.reads, claims.subscriber)
    if subscriber is not None and contacts.code_rule(context, context.reads, subscriber.org) == "never":
        return NONE
    return way(context, context.reads, claims.subscriber, claims.message)


def may_open(context: Context, account: Account, address: str, subscriber: int, message: int) -> bool:
    """Say whether *account* may have this one message without the sender's code; the address must be its own."""
    reads = context.reads
    owned = ledger.address(reads, address)
    if owned is None or owned.account != account.id or not account.may_sign_in:
        return False
    allowed = way(context, reads, subscriber, message)
    if allowed == NONE:
        return True
    return allowed == MAIL and proofs.mail_opened(reads, message, address, account.id, account.generation)


# -- the code by e-mail -----------------------------------------------------------------------------------------------


def start(context: Context, token: str, claims: Claims, network: str) -> MailProof:
    """
    Prepare a code to be mailed to the address of a link, and to no other.

    The same one again, and nothing to mail, while the last was asked for a moment ago. Raises Denied where the sender
    did not allow it.
    """
    _check(context, token, claims)
    if len(network) > budget.LENGTH:
        raise Denied("This is no network.")
    now, name = context.clock.now(), _name(claims)

    def add(rows: Rows) -> MailProof:
        for row in proofs.mail_codes_since(rows, claims.address, now - AGAIN):
            if (row.purpose, row.name, row.state) == (PURPOSE, name, "live"):
                return MailProof(row.id, row.expires, mailed.salt(context, row.id), fresh=False)
        row = mailed.prepared(context, claims.address, PURPOSE, name)
        mailed.add(context, rows, row, network, ledger.owner(rows, claims.address).account)
        return MailProof(row.id, row.expires, mailed.salt(context, row.id))

    return context.commit(add)


def check(context: Context, token: str, claims: Claims, ident: int, code: str) -> MailCode:
    """Return the row of a mailed code that is right for a link's message; raise `WrongSecret`, `Ended` or `Denied`."""
    _check(context, token, claims)
    row = mailed.checked(context, ident, code, (PURPOSE,))
    if (row.address, row.name) != (claims.address, _name(claims)):
        raise Ended(mailed.OVER)
    return row


def note_opened(context: Context, rows: Rows, claims: Claims, account: Account) -> None:
    """Note that *account* showed the code that was mailed for one message."""
    proofs.set_mail_opened(rows, claims.message, claims.address, account.id, account.generation, context.clock.now())


def proof(context: Context, claims: Claims, how: str) -> tickets.ProofTicket:
    """Return the ticket of who may open one message and, if the address is nobody's, make an account for that."""
    covered = framed("proof", claims.address, claims.subscriber, claims.message, ledger.era(context.reads), how)
    ends = context.clock.now() + context.settings.proof_minutes * mailed.MINUTE
    return tickets.ProofTicket(claims.address, claims.subscriber, 0, covered, ends, claims.message, how)


def still_fits(context: Context, reads: ledger.Reads, shown: tickets.ProofTicket) -> bool:
    """Say whether a ticket's message may be opened as was shown; the sender may have thought better of it since."""
    allowed = way(context, reads, shown.subscriber, shown.message)
    return shown.message != 0 and (allowed == NONE or (allowed, shown.how) == (MAIL, MAIL))


def _check(context: Context, token: str, claims: Claims) -> None:
    if claims.purpose != "open" or not links.is_ours(context, token, claims):
        raise Ended("This link does not work. Open the one in the newest message, or ask the sender to send it again.")
    subscriber = ledger.account(context.reads, claims.subscriber)
    if subscriber is None or subscriber.state == "closed":
        raise Ended("The sender of this message has no account any more.")
    if way(context, context.reads, claims.subscriber, claims.message) == CODE:
        raise Denied(NOT_ALLOWED)


def _name(claims: Claims) -> str:
    return f"{claims.subscriber}:{claims.message}"


def _within(context: Context, reads: ledger.Reads, organisation: int, chosen: str) -> str:
    """Return what was chosen, or the code where operator or organisation let nobody choose that any more."""
    most = policies.instead_of_code(context, reads, organisation)
    return chosen if WAYS.index(chosen) <= WAYS.index(most) else CODE
