"""Where do other domains' promises rest across restarts? The shelf of MTA-STS policies, in the store.

A shelf that cannot be read is a delay for the mail that asks: a promise that is forgotten would be a downgrade.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Engine
from cryptnsend.delivery.mtasts import Kept
from cryptnsend.store.records import transport


class Promises:
    """The `Shelf` of delivery/mtasts.py; safe for many threads. Raises `Temporary` when the store is out of reach."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def load(self, domain: str) -> Kept | None:
        """Return what is kept for *domain*, also if it has ended."""
        row = transport.policy(self._engine, domain)
        return Kept(row["ident"], row["body"], row["fetched"], row["expires"]) if row is not None else None

    def keep(self, domain: str, kept: Kept) -> None:
        """Keep this, durably, instead of what was there."""
        self._engine.write(
            lambda rows: transport.keep_policy(rows, domain, kept.id, kept.text, kept.fetched, kept.expires)
        ).result()
