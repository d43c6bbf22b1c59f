"""Under which holders do the grants of somebody stand?

Their account's, and each of their addresses' while a code is missing. And there is the account that had an address
before: a sender's code may have taken the address from it, and what was sealed to it for that address still waits to be
brought over by the keeper. Its other addresses are none of the new owner's business.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from cryptnsend.core.contracts import Reader, Row
from cryptnsend.core.model import account_holder, address_holder
from cryptnsend.store.records import grants


class Place(NamedTuple):
    """A holder, and with which beginning of a contact its grants count; "" is any."""

    holder: str
    contact: str

    @property
    def is_former(self) -> bool:
        """Say whether this is an account that had the address before."""
        return self.contact != ""


def places(reader: Reader, account: int, addresses: Collection[str]) -> list[Place]:
    """Return where grants of this account with these addresses may stand, the account's own place first."""
    own = [Place(account_holder(account), ""), *(Place(address_holder(each), "") for each in addresses)]
    return own + [former(row) for row in grants.former_owners(reader, account) if row["canonical"] in addresses]


def at_address(reader: Reader, address: str, account: int | None) -> list[Place]:
    """Return where grants for one address may stand, which is this *account*'s if it is anybody's."""
    own = [Place(address_holder(address), "")]
    if account is None:
        return own
    own.append(Place(account_holder(account), ""))
    return own + [former(row) for row in grants.former_owners(reader, account) if row["canonical"] == address]


def former(row: Row) -> Place:
    """Return the place of an account that had an address before."""
    return Place(account_holder(row["account"]), f"{row['canonical']}|")


def held(reader: Reader, where: Sequence[Place], message: int) -> list[Row]:
    """Return the grants on one message at these places."""
    return [
        row
        for place in where
        for row in grants.held(reader, place.holder, message)
        if row["contact"].startswith(place.contact)
    ]
