"""What happens when a recipient first sees a message? It is noted, and its author told if they asked for it."""

from __future__ import annotations

from collections.abc import Mapping

from cryptnsend.core.contracts import Rows
from cryptnsend.core.model import INSTALLATION, Random, account_holder, new_id
from cryptnsend.flow import hooking
from cryptnsend.store.records import audit, listing, messages, plans

TEMPLATE = "opened"


def note_opened(
    rows: Rows,
    org: int,
    message: int,
    address: int,
    account: int,
    now: int,
    random: Random,
    detail: Mapping[str, object] | None = None,
) -> bool:
    """
    Note that *account* was shown a message sent to *address*; False if it had been before.

    The mail to an author who asked for it names nobody and nothing: it leads to their own page.
    """
    if not listing.opened(rows, org, message, address, now):
        return False
    audit.append(rows, org, now, account_holder(account), "message.opened", str(message), detail or {})
    hooking.ring_author(rows, message, "opened", now, random)
    author = plans.wants_to_hear(rows, org, message)
    if author is not None and author != account:
        told = messages.Delivery(
            new_id(now, random), INSTALLATION, "alert", "", message, None, author, TEMPLATE,
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip
        messages.add_deliveries(rows, [told])
    return True
