"""Rows of what organisations said, version by version: a text each time, who said it, when and why."""

from __future__ import annotations

from cryptnsend.core.contracts import Reader, Row, Rows


class Versions:
    """The versions in one *table*, which has the text in a *column* of its own. Both are words of this program."""

    def __init__(self, table: str, column: str):
        self._table, self._column = table, column
        self._read = f"SELECT version, at, actor, why, {column} AS text FROM {table}"  # noqa: S608 - words of ours

    def newest(self, reader: Reader, org: int) -> Row | None:
        """Return an organisation's newest version (version, at, actor, why, text), None before the first."""
        found = self.history(reader, org, 2**62, 1)
        return found[0] if found else None

    def history(self, reader: Reader, org: int, before: int, limit: int) -> list[Row]:
        """Return versions older than *before*, the newest first."""
        return reader.query(
            f"{self._read} WHERE org = :org AND version < :before ORDER BY version DESC LIMIT :limit",
            org=org,
            before=before,
            limit=limit,
        )

    def version(self, reader: Reader, org: int, number: int) -> Row | None:
        """Return one version, or None."""
        found = reader.query(f"{self._read} WHERE org = :org AND version = :number", org=org, number=number)
        return found[0] if found else None

    def add(self, rows: Rows, org: int, text: str, at: int, actor: str, why: str, **more: str) -> int:
        """Add a version, with what its table notes of it besides; return its number."""
        values = {"org": org, "at": at, "actor": actor, "why": why, self._column: text, **more}
        found = rows.query(
            f"SELECT coalesce(max(version), 0) + 1 AS next FROM {self._table} WHERE org = :org",  # noqa: S608 - as above
            {"org": org},
        )
        values["version"] = number = int(found[0]["next"])
        names = ", ".join(values)
        places = ", ".join(f":{name}" for name in values)
        rows.execute(f"INSERT INTO {self._table}({names}) VALUES ({places})", values)  # noqa: S608 - as above
        return number
