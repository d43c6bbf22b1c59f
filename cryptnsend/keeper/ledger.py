"""What does the keeper know? All SQL about the ledger but for mailed codes, which stand in proofs.py.

Each function takes something that can query, an engine's committed rows or those of a write, so that a rule reads the
same inside and outside a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from cryptnsend.core.contracts import Engine, Row, Rows
from cryptnsend.keeper.rows import Account, Address, Contact, Device, Organisation, Owner, Pair, Second, Wrap

T = TypeVar("T")


class Reads(Protocol):
    """What can be asked: committed rows, or those of a transaction."""

    def query(self, sql: str, values: dict[str, Any] = ..., /) -> list[Row]: ...


class Committed:
    """An engine's committed rows as `Reads`."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def query(self, sql: str, values: dict[str, Any] | None = None, /) -> list[Row]:
        return self._engine.query(sql, **(values or {}))


def one(kind: type[T], found: Sequence[Row]) -> T | None:
    """Return the first row as one of the kinds of `keeper.rows`, None without any."""
    return kind(**found[0]) if found else None


def _all(kind: type[T], found: Sequence[Row]) -> list[T]:
    return [kind(**row) for row in found]


def insert(rows: Rows, table: str, row: Any) -> None:
    """Insert a row of one of the kinds above; *table* is a name of ours, never a caller's."""
    names = row.__dataclass_fields__
    places = ", ".join(f":{name}" for name in names)
    rows.execute(
        f"INSERT INTO {table}({', '.join(names)}) VALUES ({places})",  # noqa: S608
        {name: getattr(row, name) for name in names},
    )


# -- era, secrets, organisations --------------------------------------------------------------------------------------


def era(reads: Reads) -> int:
    """Return how often the ledger was restored, counted from 1."""
    return int(reads.query("SELECT max(n) AS n FROM era")[0]["n"])


def raise_era(rows: Rows, now: int) -> None:
    """Let every code, ticket and mailed code of before die."""
    rows.execute("INSERT INTO era(n, since) SELECT max(n) + 1, :now FROM era", {"now": now})


def secrets(reads: Reads) -> list[tuple[str, int, bytes]]:
    """Return label, key id and wrapped octets of every secret, oldest key ids first."""
    found = reads.query("SELECT label, key_id, wrapped FROM secrets ORDER BY label, key_id")
    return [(row["label"], row["key_id"], row["wrapped"]) for row in found]


def secret_ids(reads: Reads) -> Sequence[Row]:
    """Return label, key id and time of making of every secret."""
    return reads.query("SELECT label, key_id, made FROM secrets ORDER BY label, made, key_id")


def recoverable(reads: Reads) -> Sequence[Row]:
    """Return id, holder and recovery wrap of every pair that has one."""
    return reads.query("SELECT id, holder, recovery_wrap FROM pairs WHERE recovery_wrap IS NOT NULL")


def add_secret(rows: Rows, label: str, key_id: int, wrapped: bytes, now: int) -> None:
    """Add a wrapped secret."""
    rows.execute(
        "INSERT INTO secrets(label, key_id, wrapped, made) VALUES (:label, :key_id, :wrapped, :now)",
        {"label": label, "key_id": key_id, "wrapped": wrapped, "now": now},
    )


def set_secret(rows: Rows, label: str, key_id: int, wrapped: bytes) -> None:
    """Put a secret under another master key."""
    rows.execute(
        "UPDATE secrets SET wrapped = :wrapped WHERE label = :label AND key_id = :key_id",
        {"label": label, "key_id": key_id, "wrapped": wrapped},
    )


def drop_secret(rows: Rows, label: str, key_id: int) -> None:
    """Destroy a secret."""
    rows.execute("DELETE FROM secrets WHERE label = :label AND key_id = :key_id", {"label": label, "key_id": key_id})


def organisation(reads: Reads, ident: int) -> Organisation | None:
    """Return an organisation; 0 is the installation."""
    return one(Organisation, reads.query("SELECT * FROM organisations WHERE id = :id", {"id": ident}))


def set_code_rule(rows: Rows, ident: int, code_rule: str) -> None:
    """Change when contacts of an organisation need a code."""
    rows.execute("UPDATE organisations SET code_rule = :rule WHERE id = :id", {"rule": code_rule, "id": ident})


def set_policy(rows: Rows, ident: int, policy: str, custody: str, code_rule: str) -> None:
    """Write what an organisation said of its rules, and what of it the ledger has in places of its own."""
    rows.execute(
        "UPDATE organisations SET policy = :policy, custody = :custody, code_rule = :rule WHERE id = :id",
        {"policy": policy, "custody": custody, "rule": code_rule, "id": ident},
    )


def set_look(rows: Rows, ident: int, look: str) -> None:
    """Write how an organisation looks."""
    rows.execute("UPDATE organisations SET look = :look WHERE id = :id", {"look": look, "id": ident})


def members(reads: Reads, org: int) -> list[int]:
    """Return the accounts of an organisation, oldest first."""
    return [row["id"] for row in reads.query("SELECT id FROM accounts WHERE org = :org ORDER BY id", {"org": org})]


def set_head(rows: Rows, ident: int, seq: int, head: bytes) -> None:
    """Note how far an audit chain has come."""
    rows.execute(
        "UPDATE organisations SET head_seq = :seq, head = :head WHERE id = :id",
        {"seq": seq, "head": head, "id": ident},
    )


# -- accounts and addresses -------------------------------------------------------------------------------------------


def account(reads: Reads, ident: int) -> Account | None:
    """Return an account by its id."""
    return one(Account, reads.query("SELECT * FROM accounts WHERE id = :id", {"id": ident}))


def open_accounts(reads: Reads) -> list[Account]:
    """Return every account that may sign in, oldest first."""
    return _all(Account, reads.query("SELECT * FROM accounts WHERE state IN ('active', 'weak') ORDER BY id"))


def account_at(reads: Reads, canonical: str) -> Account | None:
    """Return the account that an address belongs to."""
    found = reads.query(
        "SELECT c.* FROM addresses AS a JOIN accounts AS c ON c.id = a.account WHERE a.canonical = :address",
        {"address": canonical},
    )
    return one(Account, found)


def owner(reads: Reads, canonical: str) -> Owner:
    """Return whose an address is, where the time that it takes must not tell: one row of two numbers in any case."""
    found = reads.query(
        """SELECT coalesce(max(c.id), 0) AS account, coalesce(max(c.state IN ('active', 'weak')), 0) AS may_sign_in
        FROM addresses AS a JOIN accounts AS c ON c.id = a.account WHERE a.canonical = :address""",
        {"address": canonical},
    )
    return Owner(found[0]["account"], bool(found[0]["may_sign_in"]))


def address(reads: Reads, canonical: str) -> Address | None:
    """Return an address that belongs to somebody."""
    return one(Address, reads.query("SELECT * FROM addresses WHERE canonical = :address", {"address": canonical}))


def addresses(reads: Reads, ident: int) -> tuple[str, ...]:
    """Return an account's addresses, the original one first."""
    found = reads.query(
        "SELECT canonical FROM addresses WHERE account = :id ORDER BY at, canonical",
        {"id": ident},
    )
    return tuple(row["canonical"] for row in found)


def give_address(rows: Rows, canonical: str, ident: int, proof: str, now: int) -> None:
    """Note whose an address is now."""
    rows.execute(
        """INSERT INTO addresses(canonical, account, proof, at) VALUES (:address, :id, :proof, :now)
        ON CONFLICT(canonical) DO UPDATE SET account = excluded.account, proof = excluded.proof, at = excluded.at""",
        {"address": canonical, "id": ident, "proof": proof, "now": now},
    )


def drop_address(rows: Rows, canonical: str) -> None:
    """Set an address free."""
    rows.execute("DELETE FROM addresses WHERE canonical = :address", {"address": canonical})


def drop_addresses(rows: Rows, ident: int) -> None:
    """Set free all addresses of an account."""
    rows.execute("DELETE FROM addresses WHERE account = :id", {"id": ident})


def set_account(rows: Rows, ident: int, **values: Any) -> None:
    """Change columns of an account; their names are ours, never a caller's."""
    places = ", ".join(f"{name} = :{name}" for name in values)
    rows.execute(f"UPDATE accounts SET {places} WHERE id = :id", {**values, "id": ident})  # noqa: S608


def officers(reads: Reads, org: int) -> list[Account]:
    """Return the officers of an organisation who may sign in."""
    found = reads.query("SELECT * FROM accounts WHERE org = :org AND state IN ('active', 'weak')", {"org": org})
    return [each for each in _all(Account, found) if each.has("officer")]


# -- cards ------------------------------------------------------------------------------------------------------------


def card(reads: Reads, holder: str) -> tuple[int, bytes, bytes] | None:
    """Return version, body and signature of a holder's newest card."""
    found = reads.query("SELECT version, body, signature FROM cards WHERE holder = :holder", {"holder": holder})
    return (found[0]["version"], found[0]["body"], found[0]["signature"]) if found else None


def set_card(rows: Rows, holder: str, version: int, body: bytes, signature: bytes) -> None:
    """Replace a holder's newest card."""
    rows.execute(
        """INSERT INTO cards(holder, version, body, signature) VALUES (:holder, :version, :body, :signature)
        ON CONFLICT(holder) DO UPDATE
        SET version = excluded.version, body = excluded.body, signature = excluded.signature""",
        {"holder": holder, "version": version, "body": body, "signature": signature},
    )


# -- pairs and wraps --------------------------------------------------------------------------------------------------


def pair(reads: Reads, ident: int) -> Pair | None:
    """Return a pair by its id."""
    return one(Pair, reads.query("SELECT * FROM pairs WHERE id = :id", {"id": ident}))


def pairs(reads: Reads, holder: str) -> list[Pair]:
    """Return all pairs of a holder, oldest first."""
    return _all(Pair, reads.query("SELECT * FROM pairs WHERE holder = :holder ORDER BY id", {"holder": holder}))


def set_pair(rows: Rows, ident: int, **values: Any) -> None:
    """Change columns of a pair; their names are ours, never a caller's."""
    places = ", ".join(f"{name} = :{name}" for name in values)
    rows.execute(f"UPDATE pairs SET {places} WHERE id = :id", {**values, "id": ident})  # noqa: S608


def join_lines(rows: Rows, ident: int, holder: str, lines: Sequence[int], into: int) -> None:
    """Let everything of these lines of an account belong to another one from now on."""
    for line in lines:
        values = {"line": line, "into": into, "id": ident, "holder": holder}
        rows.execute("UPDATE pairs SET line = :into WHERE holder = :holder AND line = :line", values)
        rows.execute("UPDATE devices SET line = :into WHERE account = :id AND line = :line", values)
        rows.execute("UPDATE passkeys SET line = :into WHERE account = :id AND line = :line", values)
        rows.execute("UPDATE contacts SET account_line = :into WHERE account = :id AND account_line = :line", values)


def wraps(reads: Reads, holder: str) -> list[Wrap]:
    """Return all wraps of a holder's pairs, by pair."""
    found = reads.query(
        "SELECT w.* FROM pairs AS p JOIN wraps AS w ON w.pair = p.id WHERE p.holder = :holder ORDER BY p.id, w.ref",
        {"holder": holder},
    )
    return _all(Wrap, found)


def set_wrap(rows: Rows, wrap: Wrap) -> None:
    """Add a wrap, or replace the one in its place."""
    rows.execute("DELETE FROM wraps WHERE pair = :pair AND kind = :kind AND ref = :ref", _key(wrap))
    insert(rows, "wraps", wrap)


def drop_wrap(rows: Rows, wrap: Wrap) -> None:
    """Remove a wrap."""
    rows.execute("DELETE FROM wraps WHERE pair = :pair AND kind = :kind AND ref = :ref", _key(wrap))


def drop_wraps(rows: Rows, holder: str) -> None:
    """Remove every wrap of a holder's pairs, so that nothing opens them again."""
    rows.execute("DELETE FROM wraps WHERE pair IN (SELECT id FROM pairs WHERE holder = :holder)", {"holder": holder})
    rows.execute("UPDATE pairs SET recovery_wrap = NULL, state = 'retired' WHERE holder = :holder", {"holder": holder})


def _key(wrap: Wrap) -> dict[str, Any]:
    return {"pair": wrap.pair, "kind": wrap.kind, "ref": wrap.ref}


# -- contacts ---------------------------------------------------------------------------------------------------------


def contact(reads: Reads, canonical: str, subscriber: int) -> Contact | None:
    """Return a contact's row, which exists from the first showing of its code on."""
    found = reads.query(
        "SELECT * FROM contacts WHERE address = :address AND subscriber = :subscriber",
        {"address": canonical, "subscriber": subscriber},
    )
    return one(Contact, found)


def contacts_of(reads: Reads, ident: int) -> list[Contact]:
    """Return the contacts that this account proved at some time, and that nobody else has proven since."""
    return _all(Contact, reads.query("SELECT * FROM contacts WHERE account = :id ORDER BY address", {"id": ident}))


def set_contact(rows: Rows, row: Contact) -> None:
    """Add a contact's row, or replace it."""
    rows.execute(
        "DELETE FROM contacts WHERE address = :address AND subscriber = :subscriber",
        {"address": row.address, "subscriber": row.subscriber},
    )
    insert(rows, "contacts", row)


def knows_organisation(reads: Reads, canonical: str, ident: int, generation: int, org: int) -> bool:
    """Say whether this account proved, by its address, a contact with any subscriber of the organisation."""
    return bool(
        reads.query(
            """SELECT 1 FROM contacts AS k JOIN accounts AS s ON s.id = k.subscriber
            WHERE k.address = :address AND k.account = :id AND k.account_generation = :generation
            AND k.state = 'proven' AND s.org = :org LIMIT 1""",
            {"address": canonical, "id": ident, "generation": generation, "org": org},
        )
    )


def has_proven(reads: Reads, canonical: str, ident: int) -> bool:
    """Say whether this account proved a contact of somebody else's by this address."""
    return bool(
        reads.query(
            """SELECT 1 FROM contacts WHERE address = :address AND account = :id AND state = 'proven'
            AND subscriber != :id LIMIT 1""",
            {"address": canonical, "id": ident},
        )
    )


# -- passphrases and devices ------------------------------------------------------------------------------------------


def passphrases(reads: Reads, ident: int) -> list[tuple[int, bytes]]:
    """Return since when, and wrapped, each delivery passphrase of an account, newest first."""
    found = reads.query(
        "SELECT since, wrapped FROM passphrases WHERE account = :id ORDER BY since DESC",
        {"id": ident},
    )
    return [(row["since"], row["wrapped"]) for row in found]


def add_passphrase(rows: Rows, ident: int, since: int, wrapped: bytes) -> None:
    """Add a delivery passphrase."""
    rows.execute(
        "INSERT INTO passphrases(account, since, wrapped) VALUES (:id, :since, :wrapped)",
        {"id": ident, "since": since, "wrapped": wrapped},
    )


def device(reads: Reads, ident: int) -> Device | None:
    """Return a device."""
    return one(Device, reads.query("SELECT * FROM devices WHERE id = :id", {"id": ident}))


def devices(reads: Reads, ident: int) -> list[Device]:
    """Return the devices of an account, oldest first."""
    return _all(Device, reads.query("SELECT * FROM devices WHERE account = :id ORDER BY id", {"id": ident}))


def revoke_device(rows: Rows, ident: int, now: int) -> None:
    """Revoke a device for good: what was sealed to it is gone."""
    rows.execute("UPDATE devices SET revoked = :now WHERE id = :id AND revoked IS NULL", {"now": now, "id": ident})
    rows.execute("DELETE FROM device_seeds WHERE device = :id", {"id": ident})


def device_seeds(reads: Reads, ident: int) -> dict[int, bytes]:
    """Return what is sealed to a reading device, by pair."""
    found = reads.query("SELECT pair, sealed FROM device_seeds WHERE device = :id ORDER BY pair", {"id": ident})
    return {row["pair"]: row["sealed"] for row in found}


def add_device_seed(rows: Rows, device: int, pair: int, sealed: bytes) -> None:
    """Add a seed that is sealed to a reading device; the one that is there stays."""
    rows.execute(
        "INSERT INTO device_seeds(device, pair, sealed) VALUES (:device, :pair, :sealed) ON CONFLICT DO NOTHING",
        {"device": device, "pair": pair, "sealed": sealed},
    )


def revoke_devices(rows: Rows, ident: int, now: int) -> None:
    """Revoke every device of an account."""
    rows.execute("DELETE FROM device_seeds WHERE device IN (SELECT id FROM devices WHERE account = :id)", {"id": ident})
    rows.execute("UPDATE devices SET revoked = :now WHERE account = :id AND revoked IS NULL", {"now": now, "id": ident})


# -- second steps -----------------------------------------------------------------------------------------------------


def second_step(reads: Reads, ident: int) -> Second | None:
    """Return an account's second step, also one that was only begun."""
    found = reads.query("SELECT * FROM second_steps WHERE account = :account", {"account": ident})
    return Second(**found[0]) if found else None


def set_second_step(rows: Rows, ident: int, **values: int) -> None:
    """Change columns of a second step; their names are ours, never a caller's."""
    places = ", ".join(f"{name} = :{name}" for name in values)
    rows.execute(f"UPDATE second_steps SET {places} WHERE account = :account", {**values, "account": ident})  # noqa: S608


def drop_second_step(rows: Rows, ident: int) -> None:
    """Ask this account for no number any more."""
    rows.execute("DELETE FROM second_steps WHERE account = :account", {"account": ident})
