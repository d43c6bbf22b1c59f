"""Who is reminded of a message that nobody has opened? Its recipient, some days after the notice and before the end.

    notice taken by their mail host ──(3 days)──> first reminder ──(3 days before the end)──> last reminder

Each leaves once, and says no more than the notice did. Nobody is reminded of what was opened, fetched by a mail
program, taken back or is over, nor where the notice came back; and not within a day of another notice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog

from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.model import Random, new_id
from cryptnsend.store.records import audit, messages, reminders

DAY = 86_400_000  # milliseconds
FIRST, LAST = 1, 2  # bits of what a copy's reader was told
ACTOR = "upkeep"
UNDER_WAY = ("checking", "due", "held", "leased", "delayed")
CAME_BACK = ("failed", "parked", "cancelled")

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """When to remind, in milliseconds: so long after the notice, and so long before the end; 0 for never."""

    after: int
    before_end: int


@dataclass(frozen=True, slots=True)
class Look:
    """What to do about one copy: which reminder leaves now (0 for none), and when to look again (None for never)."""

    remind: int = 0
    again: int | None = None


def look_at(copy: Row, now: int, rules: Rules) -> Look:
    """Return what to do about an unopened copy, a row of `reminders.due`."""
    if copy["state"] is None or copy["fetched"] is not None or copy["left"] in CAME_BACK or copy["notified"] is None:
        return Look()
    if copy["state"] != "active" or copy["left"] in UNDER_WAY:
        return Look(again=now + DAY)  # it may be given back; or a notice is on its way
    ends = copy["ends"]
    if ends is not None and ends <= now:
        return Look()
    last = ends - rules.before_end if ends is not None and rules.before_end and not copy["reminded"] & LAST else None
    if last is not None and last < copy["notified"] + DAY:
        last = None  # so short a life needs no reminder of its end
    first = copy["notified"] + rules.after if rules.after and not copy["reminded"] else None
    if first is not None and ends is not None and first > (ends if last is None else last) - DAY:
        first = None  # the other one, or the end, is near enough
    coming = sorted(each for each in (first, last) if each is not None)
    if not coming:
        return Look()
    if coming[0] > now:
        return Look(again=coming[0])
    if copy["latest"] > now - DAY:
        return Look(again=copy["latest"] + DAY)
    if last is not None and last <= now:
        return Look(LAST)
    return Look(FIRST, last)


class Reminding:
    """Queues reminders. One per server; a second one changes nothing."""

    def __init__(self, *, engine: Engine, clock: Clock, random: Random, rules: Rules, wake: Callable[[], None]):
        """*wake* lets the courier know that something is due."""
        self._engine, self._clock, self._random, self._rules, self._wake = engine, clock, random, rules, wake

    def once(self) -> int:
        """Look at every copy whose time has come; return how many reminders are due to leave."""
        count = 0
        while found := reminders.due(self._engine, self._clock.now()):
            count += self._engine.write(partial(self._remind, found)).result()
        if count:
            self._wake()
            log.info("reminders", recipients=count)
        return count

    def _remind(self, found: list[Row], rows: Rows) -> int:
        now, told = self._clock.now(), dict[tuple[int, int], int]()
        due = list[messages.Delivery]()
        for copy in found:
            look = look_at(copy, now, self._rules)
            if not look.remind:
                reminders.look_again(rows, copy, look.again)
                continue
            if not reminders.note(rows, copy, copy["reminded"] | look.remind, look.again):
                continue
            about = copy["org"], copy["message"]
            told[about] = told.get(about, 0) + 1
            due.append(
                messages.Delivery(
                    new_id(now, self._random), copy["org"], "notice", "", copy["message"], copy["address"], None,
                    reminders.TEMPLATES[look.remind == LAST], "", _asked(copy), "opportunistic", now, None, None, now,
                    copy["canonical"].rpartition("@")[2],
                )
            )  # fmt: skip
        if due:
            messages.add_deliveries(rows, due)
        for (org, message), count in told.items():
            audit.append(rows, org, now, ACTOR, "notice.reminded", str(message), {"recipients": count})
        return len(due)


def _asked(copy: Row) -> str:
    """Return what the author asked to hear of a reminder: nothing if they wanted no reports, else the usual."""
    asked = msgspec.json.decode(copy["dsn"], type=dict[str, str])
    return '{"notify":"NEVER"}' if asked.get("notify") == "NEVER" else "{}"
