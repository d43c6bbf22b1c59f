"""Which code does a subscriber tell a recipient, and was it told? Computed from the ledger's era and generation.

A code lives for 72 hours from its first showing or mailing and for five wrong tries; whoever asks again meanwhile gets
the same one, with the tries that are left. The next one is longer. Nothing that goes wrong here destroys anything.
"""

from __future__ import annotations

import dataclasses
import hmac

from cryptnsend.core import tokens
from cryptnsend.core.contracts import Rows
from cryptnsend.keeper import contacts, ledger
from cryptnsend.keeper.context import HOUR, WEEK, Context
from cryptnsend.keeper.requests import Code
from cryptnsend.keeper.rows import Account, Contact

TWICE = 10_000  # milliseconds in which a button that is pressed again was pressed once too often


def show(context: Context, rows: Rows, subscriber: Account, address: str) -> Code:
    """
    Return the code of a contact, starting its time if it is shown for the first time.

    A code whose time ran out is replaced, within the week's limit; one used up by wrong tries is not: the subscriber
    has to ask for the next.
    """
    row = ledger.contact(rows, address, subscriber.id)
    state = standing(context, rows, row, subscriber, address)
    if state in ("none", "expired"):
        return _issue(context, rows, row, subscriber, address, is_next=state == "expired")
    return _told(context, row, address, state)


def following(context: Context, rows: Rows, subscriber: Account, address: str) -> Code:
    """Replace a contact's code by the next, and return that."""
    row = ledger.contact(rows, address, subscriber.id)
    state = standing(context, rows, row, subscriber, address)
    if state in ("proven", "waived") or (row is not None and state == "live" and _pressed_twice(context, row)):
        return _told(context, row, address, state)
    return _issue(context, rows, row, subscriber, address, is_next=state != "none")


def _pressed_twice(context: Context, row: Contact) -> bool:
    """Say whether the live code is itself a next one that was made this moment: one press makes one code."""
    age = context.clock.now() - (row.expires - context.settings.code_hours * HOUR)
    return row.week_count > 0 and row.digits == context.settings.next_digits and not row.tries and 0 <= age < TWICE


def standing(context: Context, reads: ledger.Reads, row: Contact | None, subscriber: Account, address: str) -> str:
    """Return how a contact's code stands: none, live, used-up, expired; or proven, waived, where none is needed."""
    owner = ledger.account_at(reads, address)
    cleared = contacts.clearance(context, reads, owner, address, subscriber) if owner else None
    if cleared is not None and cleared.until is None:
        return cleared.state
    if contacts.code_rule(context, reads, subscriber.org) == "never":
        return "waived"  # whoever gets an account for this address will need no code
    if row is None or row.generation in (0, row.spent) or row.era != ledger.era(reads):
        return "none"
    if row.tries >= context.settings.tries:
        return "used-up"
    if not 0 < row.expires - context.clock.now() <= context.settings.code_hours * HOUR:
        return "expired"  # or the clock was set back by more than a code's life: then it is not known how old it is
    return "live"


def could_be(row: Contact, told: str) -> bool:
    """
    Say whether *told* looks like this contact's code at all: as many digits.

    What does not is no try. Machines that fill in forms would otherwise use up the tries of a person.
    """
    plain = _plain(told)
    return len(plain) == row.digits and plain.isascii() and plain.isdecimal()


def length(context: Context, reads: ledger.Reads, row: Contact | None) -> int:
    """
    Return how many digits to ask for: as many as the contact's code has, or will have when it is first shown.

    Depends on the contact alone, so that it says nothing of any account.
    """
    if row is None or row.generation in (0, row.spent) or row.era != ledger.era(reads):
        return context.settings.digits
    return row.digits


def is_right(context: Context, row: Contact, told: str) -> bool:
    """Say whether somebody told this contact's code; spaces and hyphens do not count."""
    return hmac.compare_digest(_plain(told).encode(), _compute(context, row).encode())


def _plain(told: str) -> str:
    return "".join(told.replace("-", " ").split())


def count_try(rows: Rows, row: Contact) -> Contact:
    """Note a wrong try."""
    counted = dataclasses.replace(row, tries=row.tries + 1)
    ledger.set_contact(rows, counted)
    return counted


def _issue(
    context: Context, rows: Rows, row: Contact | None, subscriber: Account, address: str, *, is_next: bool
) -> Code:
    settings, now = context.settings, context.clock.now()
    row = row or Contact(address, subscriber.id, "new", None, None, None, None, 0, 0, 0, 0, 0, 0, 0, 0)
    start, count = row.week_start, row.week_count
    if not 0 <= now - start < WEEK:
        start, count = now, 0
    if is_next and count >= settings.codes_per_week:
        return Code(address, None, row.digits, 0, start + WEEK, "limit")
    issued = dataclasses.replace(
        row,
        generation=row.generation + 1,
        era=ledger.era(rows),
        digits=settings.next_digits if is_next else settings.digits,
        tries=0,
        expires=now + settings.code_hours * HOUR,
        week_start=start,
        week_count=count + is_next,
    )
    ledger.set_contact(rows, issued)
    return _told(context, issued, address, "live")


def _told(context: Context, row: Contact | None, address: str, state: str) -> Code:
    if row is None or state != "live":
        return Code(address, None, row.digits if row else context.settings.digits, 0, None, state)
    left = context.settings.tries - row.tries
    return Code(address, _compute(context, row), row.digits, left, row.expires, state)


def _compute(context: Context, row: Contact) -> str:
    key = context.secrets.key("code")
    return tokens.code(key, row.era, row.address, row.subscriber, row.generation, row.digits)
