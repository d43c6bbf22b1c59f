"""Which mailbox gets copies of a domain's mail? An organisation says it among its rules, an entry for each domain."""

from __future__ import annotations

from cryptnsend.core.addresses import canonical, display_domain
from cryptnsend.core.errors import Denied, Sentence


def entry(name: str, typed: str) -> str:
    """Return an entry, a domain and the mailbox for it, in its one spelling; raise Denied, *name* being the rule's."""
    try:
        domain, mailbox = typed.split()
        return f"{display_domain(domain.rstrip('.'))} {canonical(mailbox)}"
    except ValueError:
        raise Denied(
            Sentence(
                "%(typed)s in %(name)s is no domain with an address behind it, as: clinic.example kept@clinic.example",
                typed=repr(typed[:80]),
                name=name,
            )
        ) from None


def by_domain(entries: object) -> dict[str, str]:
    """Return by domain the address that copies of its mail go to; entries that are none say nothing."""
    pairs = (str(each).split(" ") for each in entries) if isinstance(entries, tuple) else ()
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def added(before: object, after: object) -> dict[str, str]:
    """Return those of *after*, by domain, that are not in *before* as they are."""
    known = by_domain(before)
    return {domain: mailbox for domain, mailbox in by_domain(after).items() if known.get(domain) != mailbox}
