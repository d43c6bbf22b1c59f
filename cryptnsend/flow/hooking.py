"""When is a program told of something? In the transaction that writes it, for those webhooks that want to hear it.

Of somebody's mail hear their own webhooks and those of their organisation.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Rows
from cryptnsend.core.model import INSTALLATION, Random, new_id
from cryptnsend.store.records import hooks, messages

KIND = "hook"
FAILED, FAILED_OF_ALL = "hook-failed", "hook-failed-of-all"
DAY = 86_400_000  # milliseconds


def ring(rows: Rows, account: int, event: str, message: int | None, now: int, random: Random) -> bool:
    """Queue an event about a message for every webhook that hears of *account* and wants it; False where none does."""
    wanted = [each for each in hooks.of(rows, account) if event in each["events"].split()]
    for each in wanted:
        queue(rows, each["org"], each["id"], event, message, now, random)
    return bool(wanted)


def ring_author(rows: Rows, message: int, event: str, now: int, random: Random) -> bool:
    """Do what `ring` does for who sent a message, and not for who opens their own."""
    author = hooks.author(rows, message)
    return author is not None and ring(rows, author, event, message, now, random)


def queue(rows: Rows, org: int, hook: int, event: str, message: int | None, now: int, random: Random) -> None:
    """Queue one event for one webhook."""
    ident, delivery = new_id(now, random), new_id(now, random)
    hooks.put(rows, ident, org, hook, event, message, delivery, now)
    due = messages.Delivery(
        delivery, INSTALLATION, KIND, "", None, None, ident, event, "", "{}", "report", now, None, None, now
    )
    messages.add_deliveries(rows, [due])


def failed(rows: Rows, event: int, now: int, random: Random) -> None:
    """Tell the owner of a webhook, or who looks after the organisation's, once a day, that an event was given up."""
    hook = hooks.to_tell(rows, event, now, DAY)
    if hook is None:
        return
    template = FAILED_OF_ALL if hook["whole"] else FAILED
    told = [
        messages.Delivery(
            new_id(now, random), INSTALLATION, "alert", "", None, None, account, template,
            "", "{}", "opportunistic", now, None, None, now,
        )
        for account in (hooks.looked_after_by(rows, hook["org"]) if hook["whole"] else [hook["account"]])
    ]  # fmt: skip
    messages.add_deliveries(rows, told)
