"""What happens when a recipient first sees a message? It is noted, and its author told if they asked for it."""

from __future__ import annotations

from collections.abc import Mapping

from cryptnsend.core.contracts import Rows
from cryptnsend.core.model import INSTALLATION, Random, new_id
from cryptnsend.flow import hooking
from cryptnsend.flow.noting import note_act
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import listing, messages, plans

TEMPLATE = "opened"


def note_opened(
    rows: Rows,
    org: int,
    message: int,
    address: int,
    session: Session,
    now: int,
    random: Random,
    detail: Mapping[str, object] | None = None,
) -> bool:
    """
    Note that whoever is signed in was shown a message sent to *address*; False if it had been before.

    The mail to an author who asked for it names nobody and nothing: it leads to their own page.
    """
    if not listing.opened(rows, org, message, address, now):
        return False
    note_act(rows, session, org, now, "message.opened", str(message), detail or {})
    hooking.ring_author(rows, message, "opened", now, random)
    author = plans.wants_to_hear(rows, org, message)
    if author is not None and author != session.account:
        told = messages.Delivery(
            new_id(now, random), INSTALLATION, "alert", "", message, None, author, TEMPLATE,
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip
        messages.add_deliveries(rows, [told])
    return True
