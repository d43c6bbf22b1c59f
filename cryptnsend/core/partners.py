"""Which domains are those of partners, whose people count as members? An organisation says it among its rules.

An entry is a domain; where the domain is another organisation's of this server, that one's number stands behind it, so
that a partner is whom an officer meant, whoever else has a mailbox at that domain.
"""

from __future__ import annotations

from collections.abc import Collection

from cryptnsend.core.addresses import canonical
from cryptnsend.core.errors import Denied, Sentence

NOBODY_HERE = 0  # in the place of an organisation's number


def entry(name: str, typed: str) -> str:
    """Return an entry in its one spelling, as it was typed for the rule *name*; raise Denied for what is no domain."""
    words = typed.split()
    try:
        domain = canonical(f"x@{words[0].removesuffix('.')}").rpartition("@")[2]
        number = words[1] if len(words) == 2 else ""
        if "." not in domain or len(words) > 2 or (len(words) == 2 and not _is_number(number)):
            raise ValueError
    except (IndexError, ValueError):
        raise Denied(
            Sentence(
                "%(typed)s in %(name)s is no domain. The number of an organisation of this server may stand behind it.",
                typed=repr(typed[:80]),
                name=name,
            )
        ) from None
    return spelt(domain, int(number or NOBODY_HERE))


def spelt(domain: str, organisation: int) -> str:
    """Return the entry for a domain and the organisation of this server that has it, if one has."""
    return f"{domain} {organisation}" if organisation else domain


def by_domain(entries: object) -> dict[str, int]:
    """Return by domain the partner's number, `NOBODY_HERE` for one elsewhere; entries that are none say nothing."""
    found: dict[str, int] = {}
    for each in entries if isinstance(entries, tuple) else ():
        domain, _, number = str(each).partition(" ")
        if not number or _is_number(number):
            found[domain] = int(number or NOBODY_HERE)
    return found


def partner_at(entries: object, address: str) -> int:
    """Return the number of the partner whose people have canonical addresses such as this, `NOBODY_HERE` for none."""
    return by_domain(entries).get(address.rpartition("@")[2], NOBODY_HERE)


def added(before: object, after: object) -> dict[str, int]:
    """Return those of *after*, by domain, that are not in *before* as they are."""
    known = by_domain(before)
    return {domain: number for domain, number in by_domain(after).items() if known.get(domain) != number}


def are_partners(entries: object, address: str, organisation: int, roles: Collection[str], weak: bool) -> bool:
    """
    Say whether an account counts as a member for an organisation that named these *entries*.

    The account has that canonical *address*, belongs to *organisation* and has *roles*, by the keeper's word.
    """
    if weak or not organisation or "subscriber" not in roles:
        return False
    return partner_at(entries, address) == organisation


def _is_number(typed: str) -> bool:
    return typed.isascii() and typed.isdecimal() and 0 < int(typed) < 1 << 63 and not typed.startswith("0")
