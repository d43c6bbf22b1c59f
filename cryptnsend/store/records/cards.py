"""Rows of holders: addresses, cards and the keeper's words on contacts, as an admission reads them.

An address belongs to the installation and a card to its holder wherever they are used, so these queries are the named
exception to "every query takes its organisation".
"""

from __future__ import annotations

from cryptnsend.core.contracts import Rows


def address(rows: Rows, canonical: str) -> tuple[int, int | None] | None:
    """Return (address id, account it is said to belong to), or None if nobody wrote to this address yet."""
    found = rows.query("SELECT id, account FROM addresses WHERE canonical = :canonical", {"canonical": canonical})
    return (found[0]["id"], found[0]["account"]) if found else None


def add_address(rows: Rows, ident: int, canonical: str, display: str) -> None:
    """Remember an address that nobody has claimed."""
    rows.execute(
        "INSERT INTO addresses(id, org, canonical, display, account) VALUES (?, 0, ?, ?, NULL)",
        (ident, canonical, display),
    )


def latest(rows: Rows, holder: str) -> int | None:
    """Return the newest card version of a holder, or None without a card."""
    found = rows.query("SELECT max(version) AS version FROM cards WHERE holder = :holder", {"holder": holder})
    version: int | None = found[0]["version"]
    return version


def card(rows: Rows, holder: str, version: int) -> tuple[bytes, bytes]:
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
    rows.execute(
        "INSERT INTO contacts(id, org, address, subscriber, state, account, statement, phrase, created)"
        " VALUES (?, ?, ?, ?, 'new', NULL, NULL, '', ?)",
        (ident, org, address, subscriber, created),
    )


def policy(rows: Rows, org: int) -> str:
    """Return an organisation's policy as JSON."""
    found = rows.query("SELECT policy FROM organisations WHERE id = :org", {"org": org})
    text: str = found[0]["policy"]
    return text


def account_states(rows: Rows, account: int) -> tuple[int, str, str, int] | None:
    """Return (organisation, roles, state, credential version) of an account, or None."""
    found = rows.query(
        "SELECT org, roles, state, credential_version FROM accounts WHERE id = :account", {"account": account}
    )
    if not found:
        return None
    row = found[0]
    return row["org"], row["roles"], row["state"], row["credential_version"]
