"""Where does a mail of ours go, and which tokens and codes stand in it?

Each answer carries the only address that its secrets may go to; what a row of the main database says about the
recipient counts for nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.keeper import codes, ledger, links, mailed, policies, proofs
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import Code, Invitation, MailCode, Notice, Receipt, Token
from cryptnsend.keeper.rows import Account

MOST = 500  # addresses in one receipt


def notice(context: Context, address: str, subscriber: int, message: int, author: str) -> Notice:
    """Return where a notice goes, the link it carries, and who gets answers to it."""
    behind = author or _address_of(context, subscriber)
    return Notice(
        address,
        links.mint(context, "open", address, subscriber, message),
        links.mint(context, "reply", behind, subscriber, message),
    )


def receipt(context: Context, subscriber: int, addresses: Sequence[str]) -> Receipt:
    """Return where a receipt goes, and the codes it tells; being mailed starts a code's time."""
    goes_to = _address_of(context, subscriber)
    known = _subscriber(context.reads, subscriber)
    if not policies.codes_on_receipt(context, context.reads, known.org):
        return Receipt(goes_to, (), True)

    def show(rows: Rows) -> list[Code]:
        account = _subscriber(rows, subscriber)
        return [codes.show(context, rows, account, address) for address in dict.fromkeys(addresses[:MOST])]

    return Receipt(goes_to, tuple(context.commit(show)), False)


def mail_code(context: Context, ident: int) -> MailCode:
    """Return a code to mail; the word that there is an account already, or none any more, carries none."""
    row = proofs.mail_code(context.reads, ident)
    if row is None or row.state != "live" or row.purpose in ("nothing", "invite"):
        raise NoGrant("There is nothing to mail.")
    if row.expires <= context.clock.now() or row.era != ledger.era(context.reads):
        raise NoGrant("This code is over; there is nothing to mail.")
    code = "" if row.purpose in (*mailed.HAS_ACCOUNT.values(), mailed.CLOSED) else mailed.code_of(context, row)
    return MailCode(row.address, code, row.purpose, row.expires)


def closed(context: Context, account: int) -> int:
    """Return the number of the mail that tells an account's owner that it is closed; 0 for one that is not closed."""
    known = ledger.account(context.reads, account)
    return proofs.last_word(context.reads, account) if known is not None and known.state == "closed" else 0


def invitation(context: Context, ident: int) -> Invitation:
    """Return an invitation to mail: link and code together."""
    row = proofs.mail_code(context.reads, ident)
    if row is None or row.purpose != "invite" or row.state != "live" or row.expires <= context.clock.now():
        raise NoGrant("There is no such invitation.")
    token = links.mint(context, "invite", row.address, 0, ident)
    organisation = ledger.organisation(context.reads, row.org)
    return Invitation(
        address=row.address,
        code=mailed.code_of(context, row),
        token=token.token,
        row=token.row,
        organisation=row.org,
        organisation_name=organisation.name if organisation and row.org else "",
        name=row.name,
        expires=row.expires,
    )


def reply_token(context: Context, address: str, subscriber: int, message: int) -> Token:
    """Return the local part that stands for somebody in a thread."""
    return links.mint(context, "reply", address, subscriber, message)


def bounce(context: Context, delivery: int) -> Token:
    """Return the local part that failures of a delivery come back to."""
    return links.mint(context, "bounce", "", 0, delivery)


def alert(context: Context, account: int) -> str:
    """Return the original address of an account."""
    return _address_of(context, account)


def warning(context: Context, account: int) -> Notice:
    """Return where the warning after a reset goes, and the link by which its reader objects."""
    goes_to = _address_of(context, account)
    return Notice(
        goes_to,
        links.mint(context, "answer", goes_to, account, 0),
        links.mint(context, "reply", goes_to, account, 0),
    )


def _subscriber(reads: ledger.Reads, ident: int) -> Account:
    account = ledger.account(reads, ident)
    if account is None or not account.has("subscriber"):
        raise Denied("There is no such subscriber.")
    return account


def _address_of(context: Context, account: int) -> str:
    found = ledger.addresses(context.reads, account)
    if not found:
        raise NoGrant("This account has no address any more.")
    return found[0]
