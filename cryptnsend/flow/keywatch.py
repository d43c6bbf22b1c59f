"""Who is told that the time of a key ends? The subscriber who handed it in: 30 days before, and when it is over.

That it is not used any more needs nobody's watch: it is looked at again before each mail.
"""

from __future__ import annotations

from functools import partial

from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.model import INSTALLATION, Random, new_id
from cryptnsend.store.records import audit, messages, ownkeys

SOON = 30 * 86_400_000  # milliseconds
ACTOR = "upkeep"
TOLD = ((2, 0, "own-key-over"), (1, SOON, "own-key-ends"))  # how far its owner was told, how long before, by which mail


def watch(engine: Engine, clock: Clock, random: Random) -> bool:
    """Queue what owners have to be told; return whether there was anything."""
    now, any_told = clock.now(), False
    for told, before, template in TOLD:
        for row in ownkeys.ending(engine, now + before, told):
            engine.write(partial(_tell, row, told, template, now, random)).result()
            any_told = True
    return any_told


def _tell(row: Row, told: int, template: str, now: int, random: Random, rows: Rows) -> None:
    if not ownkeys.tell(rows, row["account"], row["address"], row["kind"], row["fingerprint"], told):
        return  # another server was quicker
    mail = messages.Delivery(
        new_id(now, random), INSTALLATION, "alert", "", None, None, row["account"], template,
        "", "{}", "opportunistic", now, None, None, now,
    )  # fmt: skip
    messages.add_deliveries(rows, [mail])
    if told == TOLD[0][0]:
        detail = {"kind": row["kind"], "fingerprint": row["fingerprint"]}
        audit.append(rows, row["org"], now, ACTOR, "key.ended", str(row["account"]), detail)
