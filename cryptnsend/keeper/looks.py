"""How does an organisation look? The keeper has the text, and puts its fingerprint on the archive's card.

The text says where links in notices lead and what stands on pages before anybody has signed in. So a row of the main
database says nothing by itself: officers and managers do, with the password and a number shown once more.
"""

from __future__ import annotations

import msgspec

from cryptnsend.core import look
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied
from cryptnsend.core.model import Signed, archive_holder
from cryptnsend.keeper import cards, ledger, passkeys, people, second
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import PolicyTaken


def set_by_staff(context: Context, ticket: bytes, k: bytes, text: str, code: str) -> PolicyTaken:
    """Take an officer's or a manager's word on the look, who showed password and second step once more."""
    somebody = people.staff(context, ticket)
    passkeys.confirm(context, somebody, k)
    second.check_fresh(context, somebody, code)
    return take(context, somebody.org, text)


def take(context: Context, organisation: int, text: str) -> PolicyTaken:
    """Take how an organisation looks; raise `Denied` for a text that is not well formed."""
    try:
        if look.write(look.check(msgspec.json.decode(text, type=dict[str, str]))) != text:
            raise ValueError
    except look.TooPale as pale:
        raise Denied(pale.text) from None  # the wire knows no kinds of refusal
    except (msgspec.MsgspecError, ValueError):
        raise Denied("This look is not well formed.") from None

    def put(rows: Rows) -> list[Signed]:
        if not organisation or ledger.organisation(rows, organisation) is None:
            raise Denied("There is no such organisation.")
        ledger.set_look(rows, organisation, "" if text == "{}" else text)
        return [cards.renew(context, rows, archive_holder(organisation))]

    signed = context.commit(put)
    taken = ledger.organisation(context.reads, organisation)
    if taken is None:
        raise Denied("There is no such organisation.")
    return PolicyTaken(cards.organisation_row(taken), signed)
