"""Rows of people's certificates and OpenPGP keys. They count only where a card has their mark."""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Engine, Reader, Row, Rows

_COLUMNS = "account, address, kind, org, octets, fingerprint, names, algorithm, starts, ends, added, told"


def of(reader: Reader, account: int) -> list[Row]:
    """Return the keys that a subscriber handed in, their own first."""
    return reader.query(
        f"SELECT {_COLUMNS} FROM own_keys WHERE account = :account ORDER BY address, kind",  # noqa: S608 - ours
        account=account,
    )


def octets(reader: Reader, account: int, address: str, kind: str) -> bytes | None:
    """Return a key's octets, None without one."""
    found = reader.query(
        "SELECT octets FROM own_keys WHERE account = :account AND address = :address AND kind = :kind",
        account=account, address=address, kind=kind,
    )  # fmt: skip
    return bytes(found[0]["octets"]) if found else None


def put(
    rows: Rows, org: int, account: int, address: str, kind: str, octets: bytes, fingerprint: str,
    names: Sequence[str], algorithm: str, starts: int, ends: int | None, now: int,
) -> None:  # fmt: skip
    """Keep a key in the place of any other of that kind for that person."""
    drop(rows, account, address, kind)
    rows.execute(
        f"INSERT INTO own_keys({_COLUMNS}) VALUES (:account, :address, :kind, :org, :octets, :fingerprint, :names,"  # noqa: S608
        " :algorithm, :starts, :ends, :now, 0)",
        {
            "account": account, "address": address, "kind": kind, "org": org, "octets": octets,
            "fingerprint": fingerprint, "names": "\n".join(" ".join(each.split()) for each in names),
            "algorithm": algorithm, "starts": starts, "ends": ends, "now": now,
        },
    )  # fmt: skip


def drop(rows: Rows, account: int, address: str, kind: str) -> None:
    """Forget a key."""
    rows.execute(
        "DELETE FROM own_keys WHERE account = :account AND address = :address AND kind = :kind",
        {"account": account, "address": address, "kind": kind},
    )


def drop_all(rows: Rows, account: int) -> None:
    """Forget all keys that somebody handed in."""
    rows.execute("DELETE FROM own_keys WHERE account = :account", {"account": account})


def ending(engine: Engine, before: int, told: int) -> list[Row]:
    """Return the keys that end before then, of whose end their owners were told less than *told* times."""
    return engine.query(
        "SELECT account, address, kind, org, fingerprint, ends, told FROM own_keys"
        " WHERE ends IS NOT NULL AND ends <= :before AND told < :told ORDER BY ends LIMIT 100",
        before=before, told=told,
    )  # fmt: skip


def tell(rows: Rows, account: int, address: str, kind: str, fingerprint: str, told: int) -> bool:
    """Note that an owner was told; False if that was noted meanwhile, or the key is another one."""
    return bool(
        rows.execute(
            "UPDATE own_keys SET told = :told WHERE account = :account AND address = :address AND kind = :kind"
            " AND fingerprint = :fingerprint AND told < :told",
            {"account": account, "address": address, "kind": kind, "fingerprint": fingerprint, "told": told},
        )
    )
