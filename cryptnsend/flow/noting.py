"""From where was something done? Whoever did it can read that in their access log; who wrote to them can not.

A row of the audit trail stands in the chain of the organisation that a message belongs to, which is often its sender's.
There it says who opened a message and when, but not from which network address or by which browser: where a recipient
is, is nobody's business but theirs. That stands in a second row, in the chain of their own organisation.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptnsend.core.contracts import Rows
from cryptnsend.core.model import account_holder
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import audit

WITHHELD = {"where": audit.WITHHELD}


def note_act(
    rows: Rows, session: Session, org: int, now: int, action: str, about: str, detail: Mapping[str, object]
) -> None:
    """Write down in the chain of *org* what somebody who is signed in did, and for themselves from where."""
    actor = account_holder(session.account)
    if org == session.organisation or not session.origin:
        audit.append(rows, org, now, actor, action, about, {**detail, **session.origin})
        return
    audit.append(rows, org, now, actor, action, about, {**detail, **WITHHELD})
    audit.append(rows, session.organisation, now, actor, action, about, {**detail, **session.origin})
