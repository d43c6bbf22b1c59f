"""Which passkeys are there, what is sealed to them, which challenges were answered? The ledger's SQL about these."""

from __future__ import annotations

from typing import Any

from cryptnsend.core.contracts import Rows
from cryptnsend.keeper.ledger import Reads, one
from cryptnsend.keeper.rows import Passkey, PasskeyStep


def passkey(reads: Reads, ident: int) -> Passkey | None:
    """Return a passkey by its id."""
    return one(Passkey, reads.query("SELECT * FROM passkeys WHERE id = :id", {"id": ident}))


def by_credential(reads: Reads, credential: bytes) -> Passkey | None:
    """Return a passkey by the id that its authenticator gave it."""
    found = reads.query("SELECT * FROM passkeys WHERE credential = :credential", {"credential": credential})
    return one(Passkey, found)


def of(reads: Reads, account: int) -> list[Passkey]:
    """Return the passkeys of an account, oldest first."""
    found = reads.query("SELECT * FROM passkeys WHERE account = :id ORDER BY id", {"id": account})
    return [Passkey(**row) for row in found]


def change(rows: Rows, ident: int, **values: Any) -> None:
    """Change columns of a passkey; their names are ours, never a caller's."""
    places = ", ".join(f"{name} = :{name}" for name in values)
    rows.execute(f"UPDATE passkeys SET {places} WHERE id = :id", {**values, "id": ident})  # noqa: S608


def drop(rows: Rows, ident: int) -> None:
    """Remove a passkey for good: what was sealed to it is gone."""
    rows.execute("DELETE FROM passkey_seeds WHERE passkey = :id", {"id": ident})
    rows.execute("DELETE FROM passkeys WHERE id = :id", {"id": ident})


def drop_all(rows: Rows, account: int) -> None:
    """Remove every passkey of an account."""
    for each in of(rows, account):
        drop(rows, each.id)
    drop_step(rows, account)


def forget_seeds(rows: Rows, ident: int) -> None:
    """Forget what was sealed to a passkey."""
    rows.execute("DELETE FROM passkey_seeds WHERE passkey = :id", {"id": ident})


def seeds(reads: Reads, ident: int) -> dict[int, bytes]:
    """Return what is sealed to a passkey, by pair."""
    found = reads.query("SELECT pair, sealed FROM passkey_seeds WHERE passkey = :id ORDER BY pair", {"id": ident})
    return {row["pair"]: row["sealed"] for row in found}


def add_seed(rows: Rows, ident: int, pair: int, sealed: bytes) -> None:
    """Add a seed that is sealed to a passkey; the one that is there stays."""
    rows.execute(
        "INSERT INTO passkey_seeds(passkey, pair, sealed) VALUES (:id, :pair, :sealed) ON CONFLICT DO NOTHING",
        {"id": ident, "pair": pair, "sealed": sealed},
    )


# -- after the password -----------------------------------------------------------------------------------------------


def step(reads: Reads, account: int) -> PasskeyStep | None:
    """Return since when an account asks for a passkey after the password, None if it does not."""
    return one(PasskeyStep, reads.query("SELECT * FROM passkey_steps WHERE account = :id", {"id": account}))


def set_step(rows: Rows, account: int, now: int) -> None:
    """Ask for a passkey after the password from now on."""
    rows.execute(
        "INSERT INTO passkey_steps(account, made, trusted_since) VALUES (:id, :now, :now) ON CONFLICT DO NOTHING",
        {"id": account, "now": now},
    )


def trust_since(rows: Rows, account: int, now: int) -> None:
    """Trust no browser any more that was trusted before."""
    rows.execute("UPDATE passkey_steps SET trusted_since = :now WHERE account = :id", {"id": account, "now": now})


def drop_step(rows: Rows, account: int) -> None:
    """Ask for no passkey after the password any more."""
    rows.execute("DELETE FROM passkey_steps WHERE account = :id", {"id": account})


# -- answers ----------------------------------------------------------------------------------------------------------


def take(rows: Rows, mark: bytes, ends: int, now: int) -> bool:
    """Note that something was used that is good once; False if it was used before. What has ended is forgotten."""
    rows.execute("DELETE FROM passkey_answers WHERE ends < :now", {"now": now})
    if rows.query("SELECT 1 AS one FROM passkey_answers WHERE mark = :mark", {"mark": mark}):
        return False
    rows.execute("INSERT INTO passkey_answers(mark, ends) VALUES (:mark, :ends)", {"mark": mark, "ends": ends})
    return True
