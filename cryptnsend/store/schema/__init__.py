"""Which tables the main database has: steps that are only ever appended.

The main database opens nothing by itself. Whatever releases a key rests in the keeper's ledger; rows here that speak
of pairs, contacts or devices are copies, and a wrong copy may refuse or delay, never open.

Conventions: `org` is the organisation a row belongs to (0 is the installation itself); ids are 63-bit, milliseconds
and random bits, so that inserts go to the right edge; times are UTC milliseconds; a holder is "account:<id>",
"address:<canonical>", "archive:<org>" or "keeper".
"""

from __future__ import annotations

from cryptnsend.store.schema.api import API, HOOKS, HOOKS_OF_ALL
from cryptnsend.store.schema.archive import ARCHIVE, GLASS_SECOND
from cryptnsend.store.schema.files import FILES, LINK_MARKS
from cryptnsend.store.schema.first import FIRST, Step
from cryptnsend.store.schema.holds import HOLDS
from cryptnsend.store.schema.journals import JOURNALS
from cryptnsend.store.schema.later import (
    CONCERNED,
    DRAFT_FORMS,
    DRAFTS,
    FORGETTING,
    FORMER_OWNERS,
    LANGUAGES,
    MAILBOXES,
    OVERSIGHT,
    PLANS,
    REPORTS,
    TALLIES,
    TRANSPORT,
    TURNS,
)
from cryptnsend.store.schema.organisations import DOMAINS_AGAIN, LOOKS, ORGANISATIONS, POLICIES
from cryptnsend.store.schema.ownkeys import OWN_KEYS
from cryptnsend.store.schema.uploads import UPLOADS
from cryptnsend.store.schema.visitors import VISITOR_FORMS, VISITORS
from cryptnsend.store.schema.wishes import REMINDERS, RESTS, WISHES

__all__ = ["STEPS", "Step"]

STEPS: tuple[Step, ...] = (
    FIRST,
    DRAFTS,
    TRANSPORT,
    OVERSIGHT,
    FORMER_OWNERS,
    MAILBOXES,
    FORGETTING,
    TURNS,
    LANGUAGES,
    PLANS,
    REPORTS,
    CONCERNED,
    TALLIES,
    REMINDERS,
    POLICIES,
    UPLOADS,
    ORGANISATIONS,
    DRAFT_FORMS,
    WISHES,
    HOLDS,
    ARCHIVE,
    JOURNALS,
    FILES,
    LOOKS,
    DOMAINS_AGAIN,
    VISITORS,
    OWN_KEYS,
    GLASS_SECOND,
    API,
    HOOKS,
    LINK_MARKS,
    HOOKS_OF_ALL,
    VISITOR_FORMS,
    RESTS,
)
