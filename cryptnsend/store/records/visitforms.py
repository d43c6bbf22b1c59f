"""Rows of the forms that pages for visitors have, each version with its questions."""

from __future__ import annotations

from cryptnsend.core.contracts import Reader, Row, Rows

_FORM = (
    "SELECT f.id, f.is_open, v.version, v.at, v.questions FROM visitor_forms f"
    " JOIN visitor_form_versions v ON v.form = f.id"
)


def offered(reader: Reader, account: int) -> list[Row]:
    """Return the forms that visitors of a subscriber's page may fill in, as they are now."""
    return reader.query(
        f"{_FORM} AND v.version = f.version WHERE f.account = :account AND f.is_open = 1 ORDER BY f.id", account=account
    )


def offer(reader: Reader, account: int, ident: int, version: int) -> Row | None:
    """Return one of them in this version if that is kept, else as it is now."""
    found = reader.query(
        f"{_FORM} AND v.version IN (:version, f.version)"
        " WHERE f.id = :id AND f.account = :account AND f.is_open = 1"
        " ORDER BY CASE WHEN v.version = :version THEN 0 ELSE 1 END LIMIT 1",
        id=ident,
        account=account,
        version=version,
    )
    return found[0] if found else None


def listing(reader: Reader, org: int, account: int) -> list[Row]:
    """Return all forms of a subscriber as they are now."""
    return reader.query(
        f"{_FORM} AND v.version = f.version WHERE f.account = :account AND f.org = :org ORDER BY f.id",
        account=account,
        org=org,
    )


def current(rows: Rows, org: int, account: int, ident: int) -> Row | None:
    """Return one form of a subscriber as this transaction finds it."""
    found = rows.query(
        f"{_FORM} AND v.version = f.version WHERE f.id = :id AND f.account = :account AND f.org = :org",
        {"id": ident, "account": account, "org": org},
    )
    return found[0] if found else None


def count(rows: Rows, org: int, account: int) -> int:
    """Return how many forms a subscriber has."""
    found = rows.query(
        "SELECT count(*) AS n FROM visitor_forms WHERE account = :account AND org = :org",
        {"account": account, "org": org},
    )
    many: int = found[0]["n"]
    return many


def put(
    rows: Rows, org: int, account: int, ident: int, version: int, questions: str, *, is_open: bool, now: int
) -> None:
    """Write a version of a form, which is the one that counts from then on."""
    rows.execute(
        "INSERT INTO visitor_forms(id, org, account, is_open, version) VALUES (:id, :org, :account, :is_open, :version)"
        " ON CONFLICT(id) DO UPDATE SET is_open = excluded.is_open, version = excluded.version",
        {"id": ident, "org": org, "account": account, "is_open": int(is_open), "version": version},
    )
    rows.execute(
        "INSERT INTO visitor_form_versions(form, version, org, at, questions)"
        " VALUES (:id, :version, :org, :now, :questions)",
        {"id": ident, "version": version, "org": org, "now": now, "questions": questions},
    )


def switch(rows: Rows, org: int, account: int, ident: int, *, is_open: bool) -> None:
    """Let visitors fill a form in, or not any more."""
    rows.execute(
        "UPDATE visitor_forms SET is_open = :is_open WHERE id = :id AND account = :account AND org = :org",
        {"id": ident, "account": account, "org": org, "is_open": int(is_open)},
    )


def forget(rows: Rows, org: int, ident: int, upto: int) -> None:
    """Delete the versions of a form up to this one."""
    rows.execute(
        "DELETE FROM visitor_form_versions WHERE form = :id AND org = :org AND version <= :upto",
        {"id": ident, "org": org, "upto": upto},
    )


def drop(rows: Rows, org: int, account: int, ident: int) -> bool:
    """Delete a form with all its versions; False if it is not this subscriber's."""
    values = {"id": ident, "account": account, "org": org}
    if not rows.query("SELECT id FROM visitor_forms WHERE id = :id AND account = :account AND org = :org", values):
        return False
    rows.execute("DELETE FROM visitor_form_versions WHERE form = :id", {"id": ident})
    return bool(rows.execute("DELETE FROM visitor_forms WHERE id = :id AND account = :account AND org = :org", values))
