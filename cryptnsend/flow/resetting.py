"""How do people hear that a password was reset by mail, whatever happens after the keeper has done it?

The mails are written with the rows that follow the reset, all or none. If the process ended before that, upkeep finds
in the keeper a reset that nobody was told of, and writes the same: whoever reads somebody's mailbox must not get rid of
the warning by stopping a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.model import INSTALLATION, Random, account_holder, new_id
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Reset
from cryptnsend.store.records import accounts, audit, messages, oversight, sessions


def follow(
    rows: Rows,
    org: int,
    account: int,
    subscribers: Sequence[int],
    now: int,
    random: Random,
    origin: Mapping[str, object] | None = None,
) -> None:
    """
    Write down that an account was reset, and let its owner be told, and the senders whose codes count no more.

    *origin*: from where, where that is known still.
    """
    audit.append(rows, org, now, account_holder(account), "account.reset", str(account), origin or {})
    oversight.mark(rows, org, account, oversight.RESET, now)
    told = [(account, "password-reset"), *((each, "contact-reset") for each in subscribers)]
    mails = [
        messages.Delivery(
            new_id(now, random), INSTALLATION, "alert", "", None, None, whom, template,
            "", "{}", "opportunistic", now, None, None, now,
        )
        for whom, template in told
    ]  # fmt: skip
    messages.add_deliveries(rows, mails)


def finish(engine: Engine, keeper: Keeper, clock: Clock, random: Random, before: int) -> None:
    """Write down the resets of the last day that nobody was told of; *before* is when they were made at the latest."""
    for reset in keeper.resets():
        known = accounts.account(engine, reset.account)
        if (
            reset.at > before
            or known is None
            or oversight.marked_since(engine, reset.account, oversight.RESET, reset.at)
        ):
            continue

        def write(rows: Rows, reset: Reset = reset, org: int = known["org"]) -> None:
            sessions.end_all(rows, reset.account)
            # Programs that signed in before the reset are asked again, and pages show what the keeper holds true.
            accounts.bump(rows, reset.account)
            if reset.weak:
                accounts.set_state(rows, reset.account, "weak")
            follow(rows, org, reset.account, reset.subscribers, clock.now(), random)

        engine.write(write).result()
