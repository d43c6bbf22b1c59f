"""Rows of which mails about what they sent somebody wants, where they said so."""

from __future__ import annotations

from collections.abc import Mapping

from cryptnsend.core.contracts import Reader, Rows


def of(reader: Reader, account: int) -> dict[str, bool]:
    """Return what an account said about each mail that it said anything about."""
    found = reader.query("SELECT mail, wanted FROM mail_wishes WHERE account = :account", account=account)
    return {row["mail"]: bool(row["wanted"]) for row in found}


def is_unwanted(rows: Rows, account: int, mail: str) -> bool:
    """Say whether an account said that it does not want this mail."""
    return bool(
        rows.query(
            "SELECT 1 AS one FROM mail_wishes WHERE account = :account AND mail = :mail AND wanted = 0",
            {"account": account, "mail": mail},
        )
    )


def keep(rows: Rows, org: int, account: int, wishes: Mapping[str, bool]) -> None:
    """Note what an account wants."""
    for mail, wanted in wishes.items():
        rows.execute(
            "INSERT INTO mail_wishes(org, account, mail, wanted) VALUES (:org, :account, :mail, :wanted)"
            " ON CONFLICT(account, mail) DO UPDATE SET wanted = excluded.wanted",
            {"org": org, "account": account, "mail": mail, "wanted": int(wanted)},
        )
