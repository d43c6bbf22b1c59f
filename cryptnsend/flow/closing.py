"""How does the end of an account that the keeper has closed come into the rows, whatever happens in between?

Before the keeper is asked, a mark says so. The rows that follow take it away; if the process ended before they could,
upkeep finds the mark, asks the keeper what became of it, and writes the same rows.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.model import INSTALLATION, Random, account_holder, new_id
from cryptnsend.flow.throttling import SEEN
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import audit, messages, oversight, ownkeys, sessions, throttle


def follow(rows: Rows, org: int, account: int, now: int, told: messages.Delivery) -> None:
    """Write down that an account is closed, and let its owner be told by the mail *told*."""
    _shut(rows, account, now)
    audit.append(rows, org, now, account_holder(account), "account.closed", str(account), {})
    messages.add_deliveries(rows, [told])


def again(rows: Rows, account: int, now: int) -> None:
    """Close an account that came back from a backup and had been closed since; its owner was told then."""
    org = oversight.open_account(rows, account)
    if org is not None:
        _shut(rows, account, now)
        audit.append(rows, org, now, account_holder(account), "account.closed", str(account), {"by": "restore"})


def _shut(rows: Rows, account: int, now: int) -> None:
    sessions.end_all(rows, account)
    ownkeys.drop_all(rows, account)
    throttle.forget(rows, SEEN, account)  # from where they signed in; before the addresses are let go of
    oversight.close(rows, account, now)
    oversight.unmark(rows, account, oversight.CLOSING)


def finish(engine: Engine, keeper: Keeper, clock: Clock, random: Random, before: int) -> None:
    """Write down what the keeper has closed for processes that ended; *before* is when they had begun at the latest."""
    for row in oversight.closings(engine, before):
        now, org, account = clock.now(), row["org"], row["account"]
        word = keeper.closed(account)

        def write(rows: Rows, org: int = org, account: int = account, now: int = now, word: int = word) -> None:
            if not word:  # it was refused, or never asked
                oversight.unmark(rows, account, oversight.CLOSING)
                return
            told = messages.Delivery(
                new_id(now, random), INSTALLATION, "alert", "", None, None, word, "account-closed",
                "", "{}", "opportunistic", now, None, None, now,
            )  # fmt: skip
            follow(rows, org, account, now, told)

        engine.write(write).result()
