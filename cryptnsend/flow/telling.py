"""When is an author told what came of a message? Once per message and moment, whatever became of how many recipients.

A report is queued in the transaction that writes what it tells, so that a crash loses and doubles nothing. It waits
while other deliveries of the message are under way or due, a minute at most, and what comes of them meanwhile is
entered in the same report. What comes of them after it was claimed goes into the next.
"""

from __future__ import annotations

import msgspec

from cryptnsend.core.contracts import Row, Rows
from cryptnsend.core.model import Random, new_id
from cryptnsend.delivery.retry import Schedule
from cryptnsend.store.records import deliveries, messages, reports, wishes

GATHERED = 60_000  # milliseconds that a report waits at most for what else there is to tell
TELLING = frozenset({"notice", "relay", "handoff"})  # kinds whose fate the sender is told
UNASKED = frozenset({"FAILURE", "DELAY"})  # what the sender is told without having asked (RFC 3461 §4.1)


def tell(rows: Rows, row: Row, action: str, now: int, random: Random) -> None:
    """
    Let the author hear about one delivery; who that is and where they are, the keeper says.

    *row* has id, org, message, author, author_address and dsn of the delivery; *action* is failed, delayed or
    relayed. To be followed by `let_go`, in the same transaction.
    """
    if not _is_unwanted(rows, row):
        reports.enter(rows, row["org"], _report(rows, row, action, now, random), row["id"], action)


def tell_of_delays(rows: Rows, row: Row, now: int, random: Random, schedule: Schedule) -> None:
    """Let the author hear that one delivery takes longer, and with it of all that wait as long."""
    deliveries.told_of_delay(rows, row["id"], now)
    if _is_unwanted(rows, row):
        return
    report = _report(rows, row, "delayed", now, random)
    reports.enter(rows, row["org"], report, row["id"], "delayed")
    for other in reports.also_late(rows, row["org"], row["message"], now - schedule.warn, now + GATHERED):
        if wants(other, "DELAY"):
            deliveries.told_of_delay(rows, other["id"], now)
            reports.enter(rows, row["org"], report, other["id"], "delayed")


def let_go(rows: Rows, row: Row, now: int) -> bool:
    """Let the report on a delivery's message leave if there is nothing to wait for; return whether it leaves now."""
    return row["kind"] in TELLING and reports.let_go(rows, row["org"], row["message"], now)


def wants(row: Row, what: str) -> bool:
    """Say whether the author wants to hear of a FAILURE, DELAY or SUCCESS of a delivery (RFC 3461 §4.1)."""
    asked = msgspec.json.decode(row["dsn"], type=dict[str, str]).get("notify", "")
    return what in (asked.split(",") if asked else UNASKED)


def _is_unwanted(rows: Rows, row: Row) -> bool:
    """Say whether the author wants no reports at all, and did not ask for this one with the mail itself."""
    try:
        asked = msgspec.json.decode(row["dsn"], type=dict[str, str]).get("notify", "")
    except msgspec.MsgspecError:  # a damaged row is told of
        return False
    return not asked and wishes.is_unwanted(rows, row["author"], "bounced")


def _report(rows: Rows, row: Row, action: str, now: int, random: Random) -> int:
    """Return the report on a message that may still grow, a new one if there is none."""
    known = reports.growing(rows, row["org"], row["message"], action)
    if known is not None:
        return known
    report = messages.Delivery(
        new_id(now, random), row["org"], "dsn", "", row["message"], row["author_address"], None, action,
        "", "{}", "opportunistic", now + GATHERED, None, None, now,
    )  # fmt: skip
    messages.add_deliveries(rows, [report])
    return report.id
