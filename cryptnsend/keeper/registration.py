"""How does a recipient get in for the first time? A link, the sender's code, a password.

The link shows that a mailbox is read, the code that the sender means its reader. Together they make an account, or
prove one more contact for an account that is there. A code told before is never spent by an answer that was lost:
the same proof gives the same account again.
"""

from __future__ import annotations

from typing import TypeVar

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import CryptnSendError, Denied, Ended, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.core.seal import framed
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper import (
    accounts,
    allowances,
    cards,
    codes,
    contacts,
    ledger,
    links,
    proofs,
    tickets,
    weakness,
    wraps,
)
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import ContactRow, Opened, Proof
from cryptnsend.keeper.rows import Account, Contact

T = TypeVar("T")
NOT_YOURS = "This message was sent to another address. Sign in with that address, or open the link where it was mailed."
USED = "This code was used already. Sign in, or ask the sender for a new code."
KNOWN = "This address has an account already. Sign in; if the password is lost, reset it there."
MINUTE = 60_000  # milliseconds


def prove(context: Context, token: str, claims: Claims, code: str) -> Proof:
    """Check the code for the contact that a link names; the answer's ticket lets them register."""
    _check_link(context, token, claims)

    def check(rows: Rows) -> tickets.ProofTicket | CryptnSendError:
        subscriber = _subscriber(rows, claims)
        row = ledger.contact(rows, claims.address, claims.subscriber)
        if contacts.code_rule(context, rows, subscriber.org) == "never":
            return _ticket(context, claims, 0)
        if not code and allowances.way(context, rows, subscriber.id, claims.message) == allowances.NONE:
            return allowances.proof(context, claims, allowances.NONE)
        wrong = _judge(context, rows, row, code)
        if wrong is not None or row is None:
            return wrong or WrongSecret("")
        return _ticket(context, claims, row.generation)

    # A wrong try is counted, so it is committed before anybody hears of it, and not by raising inside the write.
    return _proof(context, claims, _or_raise(context.commit(check)))


def prove_mailed(context: Context, token: str, claims: Claims, ident: int, code: str) -> Proof:
    """Check a code that was mailed instead of the sender's; its ticket opens the message of that link alone."""
    allowances.check(context, token, claims, ident, code)
    return _proof(context, claims, allowances.proof(context, claims, allowances.MAIL))


def prove_mailed_session(
    context: Context, ticket: bytes, token: str, claims: Claims, ident: int, code: str
) -> ContactRow:
    """Check such a code for who is signed in and has that address already; nothing is proven but for this message."""
    _own(context, context.reads, ticket, claims)
    allowances.check(context, token, claims, ident, code)

    def note(rows: Rows) -> int:
        account = _own(context, rows, ticket, claims)
        allowances.note_opened(context, rows, claims, account)
        return account.id

    account = context.commit(note)
    subscriber = _subscriber(context.reads, claims)
    return ContactRow(claims.address, subscriber.id, subscriber.org, account, "new", b"")


def _own(context: Context, reads: ledger.Reads, ticket: bytes, claims: Claims) -> Account:
    account = tickets.signed_in(context, reads, ticket)
    owned = ledger.address(reads, claims.address)
    if owned is None or owned.account != account.id:
        raise Denied(NOT_YOURS)
    return account


def _proof(context: Context, claims: Claims, ticket: tickets.ProofTicket) -> Proof:
    owner = ledger.account_at(context.reads, claims.address)
    return Proof(
        ticket=tickets.seal(context, ticket),
        address=claims.address,
        subscriber=claims.subscriber,
        has_account=owner is not None,
        may_register=owner is None or (ticket.generation > 0 and may_take(context.reads, owner, claims.address)),
        salt=accounts.proof_salt(context, ticket.proof),
    )


def digits(context: Context, token: str, claims: Claims) -> int:
    """Return how many digits the code has that a link's page asks for; whoever has the link may know."""
    _check_link(context, token, claims)
    return codes.length(context, context.reads, ledger.contact(context.reads, claims.address, claims.subscriber))


def prove_session(context: Context, ticket: bytes, token: str, claims: Claims, code: str) -> ContactRow:
    """Prove a contact for who is signed in. An address that is nobody's becomes theirs: its mailbox gave the link."""
    _check_link(context, token, claims)
    return _prove_for(context, ticket, claims, code, has_link=True)


def prove_own(context: Context, ticket: bytes, address: str, subscriber: int, code: str) -> ContactRow:
    """Prove a contact of an address that who is signed in has already; the code alone is missing then."""
    return _prove_for(context, ticket, Claims("open", address, subscriber, 0), code, has_link=False)


def own_digits(context: Context, ticket: bytes, address: str, subscriber: int) -> int:
    """Return how many digits the code has that somebody signed in is asked for, of an address of theirs."""
    account = tickets.signed_in(context, context.reads, ticket)
    owned = ledger.address(context.reads, address)
    if owned is None or owned.account != account.id:
        raise Denied(NOT_YOURS)
    return codes.length(context, context.reads, ledger.contact(context.reads, address, subscriber))


def _prove_for(context: Context, ticket: bytes, claims: Claims, code: str, *, has_link: bool) -> ContactRow:
    def check(rows: Rows) -> int | CryptnSendError:
        account = tickets.signed_in(context, rows, ticket)
        subscriber = _subscriber(rows, claims)
        owned = ledger.address(rows, claims.address)
        if owned.account != account.id if owned is not None else not has_link:
            return Denied(NOT_YOURS)
        row = ledger.contact(rows, claims.address, claims.subscriber)
        cleared = contacts.clearance(context, rows, account, claims.address, subscriber)
        if cleared is not None and cleared.until is None:
            return account.id  # nothing is left to prove
        if contacts.code_rule(context, rows, subscriber.org) == "never":
            return Denied(NOT_YOURS)  # the link alone brings nobody an address: it may have been passed on
        is_free = allowances.way(context, rows, subscriber.id, claims.message) == allowances.NONE
        if owned is not None and not code and is_free:
            return account.id
        wrong = _judge(context, rows, row, code, account)
        if wrong is not None or row is None:
            return wrong or WrongSecret("")
        if owned is None:
            accounts.give_address(context, rows, claims.address, account.id, "code")
        account = weakness.recipient_returned(context, rows, account)
        contacts.note_proof(context, rows, row, account)
        cards.renew(context, rows, account_holder(account.id))
        return account.id

    account = accounts.row(context.reads, _or_raise(context.commit(check)))
    subscriber = _subscriber(context.reads, claims)
    stated = contacts.row_of(context, context.reads, account, claims.address, subscriber)
    if stated is None:  # rule always: proven for what was sent so far, and nothing is to be sealed past the next code
        return ContactRow(claims.address, subscriber.id, subscriber.org, account.id, "proven", b"")
    return stated


def register(context: Context, ticket: bytes, password: accounts.Password, name: str, locale: str) -> Opened:
    """Make the account of who gave the proof. The same proof again opens the same account."""
    proof = tickets.read_proof(context, ticket)

    def make(rows: Rows) -> int:
        earlier = proofs.spent(rows, proof.proof)
        if earlier is not None and _is_of(rows, earlier, proof.address):
            return earlier
        subscriber = _subscriber(rows, Claims("open", proof.address, proof.subscriber, 0))
        row = ledger.contact(rows, proof.address, proof.subscriber)
        if row is not None and proof.generation and row.spent == proof.generation:
            raise Ended(USED)
        owner = ledger.account_at(rows, proof.address)
        if owner is not None:
            # Where no code is asked for, the link alone shows no more than that a mailbox is read.
            if proof.generation == 0 or not may_take(rows, owner, proof.address):
                raise Denied(KNOWN)
            weakness.take_address(context, rows, owner, proof.address)
        is_one = proof.message != 0  # one message's own, which shows no more than that a mailbox is read
        if is_one and not allowances.still_fits(context, rows, proof):
            raise Denied(allowances.NOT_ALLOWED)
        account = accounts.create(
            context, rows, org=0, roles=("recipient",), password=password, name=name, locale=locale
        )
        accounts.give_address(context, rows, proof.address, account.id, "mail" if is_one else "code")
        if is_one:
            claims = Claims("open", proof.address, proof.subscriber, proof.message)
            allowances.note_opened(context, rows, claims, account)
        elif row is not None and 0 < row.generation == proof.generation:
            contacts.note_proof(context, rows, row, account)
        elif contacts.code_rule(context, rows, subscriber.org) != "never":
            raise Ended("There is a newer code. Open the link again and use that one.")
        proofs.spend(rows, proof.proof, account.id, context.clock.now())
        cards.renew(context, rows, account_holder(account.id))
        return account.id

    account = accounts.row(context.reads, context.commit(make))
    try:
        seeds = wraps.seeds(context, context.reads, account, password.k)
    except WrongSecret:
        raise Denied(KNOWN) from None
    return accounts.opened(context, account, seeds)


def may_take(reads: ledger.Reads, owner: Account, address: str) -> bool:
    """
    Say whether a sender's code takes *address* away from *owner*.

    A code outranks proof by mail, which every reader of the mailbox can give; it outranks neither another sender's
    code nor the word of an officer or the server's owner.
    """
    owned = ledger.address(reads, address)
    if owned is None or owned.account != owner.id:
        return True
    return owner.may_sign_in and owned.proof in ("mail", "code") and not ledger.has_proven(reads, address, owner.id)


def _check_link(context: Context, token: str, claims: Claims) -> None:
    if claims.purpose != "open" or not links.is_ours(context, token, claims):
        raise Ended("This link does not work. Open the one in the newest message, or ask the sender to send it again.")


def _subscriber(reads: ledger.Reads, claims: Claims) -> Account:
    subscriber = ledger.account(reads, claims.subscriber)
    if subscriber is None or subscriber.state == "closed":
        raise Ended("The sender of this message has no account any more.")
    return subscriber


def _judge(
    context: Context, rows: Rows, row: Contact | None, code: str, account: Account | None = None
) -> CryptnSendError | None:
    """
    Compare a told code with the contact's, counting a wrong try; return what to answer, None if it is right.

    *account* is who is signed in. A code that was told before is right once more while its proof counts, since the
    answer may have been lost; after a reset by mail it may stand on a note beside the telephone, and is not.
    """
    if row is None or row.generation == 0 or row.era != ledger.era(rows):
        return WrongSecret("This is not the code. Ask the sender for it, by phone.")
    limit = context.settings.tries
    is_over = row.tries >= limit or row.expires <= context.clock.now()
    if not is_over and codes.is_right(context, row, code):
        counts = row.state == "proven" and (account is None or row.account == account.id)
        return Ended(USED) if row.spent == row.generation and not counts else None
    if not is_over:
        if codes.could_be(row, code):
            row = codes.count_try(rows, row)
        if row.tries < limit:
            return WrongSecret("This is not the code. Look again, or ask the sender.", tries_left=limit - row.tries)
    return Ended("This code no longer works. Ask the sender for a new one; nothing is lost.")


def _ticket(context: Context, claims: Claims, generation: int) -> tickets.ProofTicket:
    of = (claims.address, claims.subscriber, generation or claims.message, ledger.era(context.reads))
    proof = framed("proof", *of, "code" if generation else "none")
    ends = context.clock.now() + context.settings.proof_minutes * MINUTE
    return tickets.ProofTicket(claims.address, claims.subscriber, generation, proof, ends)


def _is_of(reads: ledger.Reads, ident: int, address: str) -> bool:
    owned = ledger.address(reads, address)
    return owned is not None and owned.account == ident


def _or_raise(result: T | CryptnSendError) -> T:
    if isinstance(result, CryptnSendError):
        raise result
    return result
