"""Rows of people: accounts, addresses, cards, pairs, organisations, contacts; all copies of what the keeper said.

Accounts and addresses belong to whoever they are, over all organisations, which makes these queries a named exception
to "every query takes its organisation".
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Engine, Queries, Reader, Row, Rows


def put_organisation(rows: Rows, ident: int, name: str, single: bool, now: int) -> None:
    """Copy an organisation; its policy starts empty and is never overwritten here."""
    rows.execute(
        "INSERT INTO organisations(id, name, single, policy, created) VALUES (?, ?, ?, '{}', ?)"
        " ON CONFLICT(id) DO UPDATE SET name = excluded.name, single = excluded.single",
        (ident, name, int(single), now),
    )


def policy(rows: Queries, org: int) -> str | None:
    """Return an organisation's own rules as JSON text, None if there is no such organisation."""
    found = rows.query("SELECT policy FROM organisations WHERE id = :org", {"org": org})
    return found[0]["policy"] if found else None


def set_policy(rows: Rows, org: int, text: str) -> None:
    """Replace an organisation's own rules, JSON text; `policies.add` keeps the version too."""
    rows.execute("UPDATE organisations SET policy = :policy WHERE id = :org", {"policy": text, "org": org})


def put_account(
    rows: Rows, ident: int, org: int, roles: Sequence[str], state: str, version: int, name: str, locale: str, now: int
) -> None:
    """Copy an account; profile fields that only rest here stay as they are."""
    rows.execute(
        "INSERT INTO accounts(id, org, roles, state, credential_version, name, phone, locale, created)"
        " VALUES (?, ?, ?, ?, ?, ?, '', ?, ?) ON CONFLICT(id) DO UPDATE SET org = excluded.org, roles = excluded.roles,"
        " state = excluded.state, credential_version ="
        " CASE WHEN accounts.credential_version > excluded.credential_version"
        " THEN accounts.credential_version ELSE excluded.credential_version END,"
        " name = CASE excluded.name WHEN '' THEN accounts.name ELSE excluded.name END, locale = excluded.locale",
        (ident, org, ",".join(roles), state, version, name, locale, now),
    )


def put_address(rows: Rows, ident: int, canonical: str, account: int) -> None:
    """Say whose an address is, as a signed card has it; *ident* is used if the address is new."""
    rows.execute(
        "INSERT INTO former_owners(org, address, account) SELECT org, id, account FROM addresses"
        " WHERE canonical = ? AND account <> ? ON CONFLICT DO NOTHING",
        (canonical, account),
    )
    rows.execute(
        "INSERT INTO addresses(id, org, canonical, display, account) VALUES (?, 0, ?, ?, ?)"
        " ON CONFLICT(canonical) DO UPDATE SET account = excluded.account",
        (ident, canonical, canonical, account),
    )


def release_addresses(rows: Rows, account: int, kept: Sequence[str]) -> None:
    """Take addresses from an account that its newest card no longer lists."""
    held = rows.query("SELECT id, canonical FROM addresses WHERE account = :account", {"account": account})
    for row in held:
        if row["canonical"] not in kept:
            rows.execute(
                "INSERT INTO former_owners(org, address, account) VALUES (0, ?, ?) ON CONFLICT DO NOTHING",
                (row["id"], account),
            )
            rows.execute("UPDATE addresses SET account = NULL WHERE id = :id", {"id": row["id"]})


def put_card(rows: Rows, org: int, holder: str, version: int, body: bytes, signature: bytes) -> None:
    """Add a card; versions are never rewritten."""
    rows.execute(
        "INSERT INTO cards(org, holder, version, body, signature) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT(holder, version) DO NOTHING",
        (org, holder, version, body, signature),
    )


def put_pair(
    rows: Rows, ident: int, org: int, holder: str, role: str, custody: str, suite: int, public: bytes, state: str
) -> None:
    """Copy a pair and its present state."""
    rows.execute(
        "INSERT INTO pairs(id, org, holder, role, custody, suite, public, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(id) DO UPDATE SET state = excluded.state",
        (ident, org, holder, role, custody, suite, public, state),
    )


def put_contact(
    rows: Rows,
    ident: int,
    org: int,
    address: int,
    subscriber: int,
    state: str,
    account: int,
    statement: bytes,
    now: int,
) -> None:
    """Copy a contact's state with the keeper's statement; a phrase that was agreed stays."""
    rows.execute(
        "INSERT INTO contacts(id, org, address, subscriber, state, account, statement, phrase, created)"
        " VALUES (:id, :org, :address, :subscriber, :state, :account, :statement, '', :now)"
        " ON CONFLICT(address, subscriber) DO UPDATE SET state = CASE contacts.state WHEN 'blocked' THEN 'blocked'"
        " ELSE excluded.state END, account = excluded.account, statement = excluded.statement",
        {
            "id": ident, "org": org, "address": address, "subscriber": subscriber, "state": state,
            "account": account, "statement": statement, "now": now,
        },
    )  # fmt: skip


def forget_contacts(rows: Rows, account: int, valid: set[tuple[str, int]]) -> None:
    """Take the proof from contacts of an account that the keeper no longer vouches for, as after a reset by mail."""
    held = rows.query(
        "SELECT c.id, a.canonical, c.subscriber FROM contacts c JOIN addresses a ON a.id = c.address"
        " WHERE c.account = :account AND c.statement IS NOT NULL",
        {"account": account},
    )
    for row in held:
        if (row["canonical"], row["subscriber"]) not in valid:
            rows.execute(
                "UPDATE contacts SET statement = NULL, state = CASE state WHEN 'blocked' THEN 'blocked' ELSE 'new' END"
                " WHERE id = :id",
                {"id": row["id"]},
            )


def contact_phrase(rows: Rows, address: int, subscriber: int) -> tuple[str, int | None]:
    """Return the check phrase of a contact, and whose proof it came with; ("", None) before the first mail."""
    found = rows.query(
        "SELECT phrase, account FROM contacts WHERE address = :address AND subscriber = :subscriber",
        {"address": address, "subscriber": subscriber},
    )
    return (found[0]["phrase"], found[0]["account"]) if found else ("", None)


def language(rows: Rows, account: int | None) -> str:
    """Return the language that an account's owner chose; "" for nobody, and where none was chosen."""
    found = rows.query("SELECT locale FROM accounts WHERE id = :id", {"id": account})
    return str(found[0]["locale"]) if found else ""


def own_phrase(rows: Rows, account: int) -> str:
    """Return the check phrase that this account has with its other senders, or ""."""
    found = rows.query(
        "SELECT phrase FROM contacts WHERE account = :account AND phrase <> '' ORDER BY id LIMIT 1",
        {"account": account},
    )
    return str(found[0]["phrase"]) if found else ""


def set_phrase(rows: Rows, address: int, subscriber: int, phrase: str) -> None:
    """Write the check phrase of a contact."""
    rows.execute(
        "UPDATE contacts SET phrase = :phrase WHERE address = :address AND subscriber = :subscriber",
        {"phrase": phrase, "address": address, "subscriber": subscriber},
    )


def renew_phrase(rows: Rows, address: int, subscriber: int, phrase: str) -> None:
    """Write the check phrase of a contact that is about to be somebody else's, or somebody's for the first time."""
    rows.execute(
        "UPDATE contacts SET phrase = :phrase, account = NULL WHERE address = :address AND subscriber = :subscriber"
        " AND state = 'new'",
        {"phrase": phrase, "address": address, "subscriber": subscriber},
    )


def bump(rows: Rows, account: int) -> None:
    """Raise the credential version before a change or revocation, so that no process trusts an old success."""
    rows.execute(
        "UPDATE accounts SET credential_version = credential_version + 1 WHERE id = :account", {"account": account}
    )


def account(engine: Engine, ident: int) -> Row | None:
    """Return an account's row."""
    found = engine.query(
        "SELECT id, org, roles, state, credential_version, name, phone, locale FROM accounts WHERE id = :id", id=ident
    )
    return found[0] if found else None


def by_address(engine: Engine, canonical: str) -> Row | None:
    """Return the account that an address is said to belong to, with the address's id."""
    found = engine.query(
        "SELECT c.id, c.org, c.roles, c.state, c.credential_version, c.name, c.phone, c.locale, a.id AS address_id"
        " FROM addresses a JOIN accounts c ON c.id = a.account WHERE a.canonical = :canonical",
        canonical=canonical,
    )
    return found[0] if found else None


def addresses(engine: Engine, ident: int) -> list[str]:
    """Return an account's canonical addresses."""
    found = engine.query("SELECT canonical FROM addresses WHERE account = :id ORDER BY id", id=ident)
    return [row["canonical"] for row in found]


def set_state(rows: Rows, ident: int, state: str) -> None:
    """Copy whether an account is weak, as its card says."""
    rows.execute("UPDATE accounts SET state = :state WHERE id = :id", {"state": state, "id": ident})


def set_profile(rows: Rows, ident: int, name: str, phone: str) -> None:
    """Write what an account says of itself on notices."""
    rows.execute(
        "UPDATE accounts SET name = :name, phone = :phone WHERE id = :id", {"id": ident, "name": name, "phone": phone}
    )


def subscribers(engine: Engine) -> list[Row]:
    """
    Return every account that may submit or has a role, a row for each of its addresses, for the operator.

    The name of an organisation of one is None: nobody gave it.
    """
    return engine.query(
        "SELECT c.id, a.canonical AS address, c.name, c.state, c.roles,"
        " CASE WHEN o.single = 0 THEN o.name END AS organisation, o.single, c.created"
        " FROM accounts c JOIN addresses a ON a.account = c.id JOIN organisations o ON o.id = c.org"
        " WHERE ',' || c.roles || ',' LIKE '%,subscriber,%' OR ',' || c.roles || ',' LIKE '%,officer,%'"
        " OR ',' || c.roles || ',' LIKE '%,manager,%'"
        " ORDER BY a.canonical"
    )


def waiting(engine: Engine) -> list[Row]:
    """Return the subscribers (id, org) of organisations of one whose password was reset by mail and who are weak."""
    return engine.query(
        "SELECT c.id, c.org FROM accounts c JOIN organisations o ON o.id = c.org"
        " WHERE c.state = 'weak' AND o.single = 1 AND ',' || c.roles || ',' LIKE '%,subscriber,%'"
    )


def organisation_name(engine: Engine, org: int) -> str:
    """Return an organisation's name; empty for the installation and for an organisation of one."""
    found = engine.query("SELECT name, single FROM organisations WHERE id = :org", org=org)
    return "" if not found or found[0]["single"] or org == 0 else str(found[0]["name"])


def organisation_of(reader: Reader, account: int) -> int:
    """Return whose organisation an account is in now."""
    org: int = reader.query("SELECT org FROM accounts WHERE id = :id", id=account)[0]["org"]
    return org
