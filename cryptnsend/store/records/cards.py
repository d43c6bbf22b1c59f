"""Rows of holders: addresses, cards and the keeper's words on contacts, as an admission reads them.

An address belongs to the installation and a card to its holder wherever they are used, so these queries are the named
exception to "every query takes its organisation".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cryptnsend.core.contracts import Later, Queries, Rows

_ADDRESSES = Later(1, "INSERT INTO addresses(id, org, canonical, display, account) VALUES (?, 0, ?, ?, NULL)")
_CONTACTS = Later(
    3,
    "INSERT INTO contacts(id, org, address, subscriber, state, account, statement, phrase, created)"
    " VALUES (?, ?, ?, ?, 'new', NULL, NULL, '', ?)",
)


class Sender(NamedTuple):
    """Where to look for what an admission has to know about its author; None for what is not there."""

    card: int | None  # version of the author's newest card
    archive: int | None  # version of the newest card of their organisation's archive
    policy: str  # of their organisation, as JSON
    sent_before: int  # 1: the same octets were submitted before, at whatever time and with whatever has become of them
    address: int | None
    account: int | None  # that the address is said to belong to


class Addressed(NamedTuple):
    """Where to look for what an admission has to know about an address that somebody wrote to before."""

    address: int
    account: int | None  # that it is said to belong to
    card: int | None  # version of that account's newest card
    state: str | None  # of the contact; None before the first mail
    statement: bytes | None  # the keeper's on the contact


def sender(
    rows: Rows, author: int, holder: str, canonical: str, org: int, archive: str, macs: Sequence[bytes]
) -> Sender | None:
    """
    Return what the rows say about an author and their address, in one statement; None without the organisation.

    *macs* are what the submission has under today's and yesterday's resend key.
    """
    key = ("sender", author, canonical, org)
    sender: Sender | None = rows.known(key)
    if sender is None:
        found = rows.peek(
            "SELECT (SELECT max(version) FROM cards WHERE holder = :holder) AS card,"
            " (SELECT max(version) FROM cards WHERE holder = :archive) AS archive, o.policy, 0 AS sent_before,"
            " a.id, a.account"
            " FROM organisations o LEFT JOIN addresses a ON a.canonical = :canonical WHERE o.id = :org",
            {"holder": holder, "archive": archive, "canonical": canonical, "org": org},
        )
        if not found:
            return None
        sender = Sender(*found[0].values())
        rows.learn(key, sender)
    if macs and _sent_before(rows, author, macs):
        return sender._replace(sent_before=1)
    return sender


def _sent_before(rows: Rows, author: int, macs: Sequence[bytes]) -> bool:
    if any(rows.recall(("resend", author, mac)) for mac in macs):
        return True
    return bool(
        rows.peek(
            "SELECT 1 AS one FROM messages WHERE author = :author AND resend_mac = :today"
            " UNION ALL SELECT 1 FROM messages WHERE author = :author AND resend_mac = :yesterday",
            {"author": author, "today": macs[0], "yesterday": macs[-1]},
        )
    )


def addressed(rows: Rows, canonical: str, subscriber: int) -> Addressed | None:
    """Return what the rows say about an address and its contact with a subscriber; None for an unknown address."""
    key = ("addressed", canonical, subscriber)
    known: Addressed | None = rows.known(key)
    if known is not None:
        return known
    found = rows.peek(
        "SELECT a.id, a.account, (SELECT max(k.version) FROM cards k WHERE k.holder = 'account:' || a.account) AS card,"
        " c.state, c.statement FROM addresses a"
        " LEFT JOIN contacts c ON c.address = a.id AND c.subscriber = :subscriber WHERE a.canonical = :canonical",
        {"canonical": canonical, "subscriber": subscriber},
    )
    known = Addressed(*found[0].values()) if found else rows.recall(("address", canonical))
    if known is not None and known.state is not None:
        rows.learn(key, known)  # nothing for `later` changes an address or a contact that is there
    elif known is not None and rows.recall(("contact", known.address, subscriber)):
        return Addressed(known.address, known.account, known.card, "new", None)
    return known


def address(rows: Rows, canonical: str) -> tuple[int, int | None] | None:
    """Return (address id, account it is said to belong to), or None if nobody wrote to this address yet."""
    found = rows.query("SELECT id, account FROM addresses WHERE canonical = :canonical", {"canonical": canonical})
    return (found[0]["id"], found[0]["account"]) if found else None


def add_address(rows: Rows, ident: int, canonical: str, display: str) -> None:
    """Remember an address that nobody has claimed."""
    rows.later(_ADDRESSES, [(ident, canonical, display)])
    rows.remember(("address", canonical), Addressed(ident, None, None, None, None))


def latest(rows: Queries, holder: str) -> int | None:
    """Return the newest card version of a holder, or None without a card."""
    found = rows.query("SELECT max(version) AS version FROM cards WHERE holder = :holder", {"holder": holder})
    version: int | None = found[0]["version"]
    return version


def card(rows: Queries, holder: str, version: int) -> tuple[bytes, bytes]:
    """Return (body, signature) of one card."""
    found = rows.query(
        "SELECT body, signature FROM cards WHERE holder = :holder AND version = :version",
        {"holder": holder, "version": version},
    )
    return found[0]["body"], found[0]["signature"]


def contact(rows: Rows, address: int, subscriber: int) -> tuple[str, bytes | None, str] | None:
    """Return (state, the keeper's statement, check phrase) of a contact, or None before the first mail."""
    found = rows.query(
        "SELECT state, statement, phrase FROM contacts WHERE address = :address AND subscriber = :subscriber",
        {"address": address, "subscriber": subscriber},
    )
    return (found[0]["state"], found[0]["statement"], found[0]["phrase"]) if found else None


def add_contact(rows: Rows, ident: int, org: int, address: int, subscriber: int, created: int) -> None:
    """Remember that this subscriber's thread reached this address for the first time."""
    rows.later(_CONTACTS, [(ident, org, address, subscriber, created)])
    rows.remember(("contact", address, subscriber), True)


def account_states(rows: Rows, account: int) -> tuple[int, str, str, int] | None:
    """Return (organisation, roles, state, credential version) of an account, or None."""
    found = rows.query(
        "SELECT org, roles, state, credential_version FROM accounts WHERE id = :account", {"account": account}
    )
    if not found:
        return None
    row = found[0]
    return row["org"], row["roles"], row["state"], row["credential_version"]
