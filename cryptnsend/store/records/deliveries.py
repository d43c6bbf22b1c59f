"""Rows of what has to leave: claimed by lease, settled with the peer's words.

A claim is a lease with a fencing number: whoever settles shows the number they claimed with, so that a worker that was
thought dead changes nothing any more. The claim itself counts the attempt, before it is made. The queue is the
installation's, so what walks over it is a named exception to "every query takes its organisation".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cryptnsend.core.contracts import Engine, Reader, Row, Rows

NOT_LEFT = ("checking", "due", "held", "delayed", "parked")  # states from which `drop` cancels
FATAL_CRASHES = 3  # a delivery that took its worker down that often is parked, so that the others flow


def claim(rows: Rows, owner: str, now: int, lease: int, limit: int, crowded: Sequence[str] = ()) -> list[Row]:
    """
    Lease up to *limit* deliveries that are due, for *lease* milliseconds, and return their rows as leased.

    Those to *crowded* domains are passed over.
    """
    due: list[Row] = []
    names = {f"crowded{at}": domain for at, domain in enumerate(crowded)}
    others = f" AND domain NOT IN ({', '.join(f':{name}' for name in names)})" if names else ""
    for state in ("due", "delayed"):
        due += rows.query(
            f"SELECT id, due FROM deliveries WHERE state = :state AND due <= :now{others}"  # noqa: S608 - names of ours
            " ORDER BY due, id LIMIT :limit",
            {"state": state, "now": now, "limit": limit, **names},
        )
    found = sorted(due, key=lambda row: (row["due"], row["id"]))[:limit]
    for row in found:
        rows.execute(
            "UPDATE deliveries SET state = 'leased', attempts = attempts + 1, fence = fence + 1,"
            " lease_owner = :owner, lease_until = :until WHERE id = :id",
            {"owner": owner, "until": now + lease, "id": row["id"]},
        )
    return [leased for row in found if (leased := _one(rows, row["id"])) is not None]


def reap(rows: Rows, now: int) -> list[Row]:
    """
    Take back leases that ran out without a word: their workers died. Each counts as a crash.

    Returns the rows of those that are parked for it, which is what happens at the third.
    """
    lost = rows.query("SELECT id, fence FROM deliveries WHERE state = 'leased' AND lease_until <= :now", {"now": now})
    dead = [row["id"] for row in lost if crashed(rows, row["id"], row["fence"], now, now) == "parked"]
    return [row for ident in dead if (row := _one(rows, ident)) is not None]


def crashed(rows: Rows, ident: int, fence: int, due: int, now: int) -> str:
    """Count an attempt that ended without an outcome; return the new state: due, parked, or "" if it is not ours."""
    found = rows.query(
        "UPDATE deliveries SET crashes = crashes + 1,"
        " state = CASE WHEN crashes + 1 >= :fatal THEN 'parked' ELSE 'due' END,"
        " reply = CASE WHEN crashes + 1 >= :fatal THEN 'parked after three crashes' ELSE reply END,"
        " settled = CASE WHEN crashes + 1 >= :fatal THEN :now ELSE settled END,"
        " due = :due, lease_until = NULL, lease_owner = NULL"
        " WHERE id = :id AND fence = :fence AND state = 'leased' RETURNING state",
        {"fatal": FATAL_CRASHES, "due": due, "now": now, "id": ident, "fence": fence},
    )
    return str(found[0]["state"]) if found else ""


def leased_by(engine: Engine, owner: str) -> list[Row]:
    """Return (id, fence, lease_owner) of what workers hold whose names begin with *owner*."""
    return engine.query(
        "SELECT id, fence, lease_owner FROM deliveries WHERE state = 'leased'"
        " AND substr(lease_owner, 1, length(:owner)) = :owner",
        owner=owner,
    )


def give_up(rows: Rows, ident: int, fence: int, now: int) -> None:
    """Let a lease run out at once: whoever held it is known to be dead."""
    rows.execute(
        "UPDATE deliveries SET lease_until = :now WHERE id = :id AND fence = :fence AND state = 'leased'",
        {"now": now, "id": ident, "fence": fence},
    )


_ONE = (
    "SELECT d.*, a.canonical AS recipient_address, a.account AS recipient_account, m.author, m.author_address,"
    " m.thread, m.message_id, m.received, m.size, m.parent, m.created AS message_created, m.expires,"
    " t.subscriber, t.custody, r.display_id, r.decision, r.form AS decided_form, r.notified,"
    " r.first_opened, r.fetched,"
    # Somebody who never chose a language is written to in that of the subscriber who wrote to them.
    " COALESCE(NULLIF(d.language, ''), NULLIF(reader.locale, ''), teller.locale, '') AS language"
    " FROM deliveries d LEFT JOIN addresses a ON a.id = d.recipient LEFT JOIN messages m ON m.id = d.message"
    " LEFT JOIN threads t ON t.id = m.thread"
    " LEFT JOIN recipients r ON r.message = d.message AND r.address = d.recipient"
    " LEFT JOIN accounts reader ON reader.id ="
    " CASE d.kind WHEN 'receipt' THEN t.subscriber WHEN 'dsn' THEN m.author"
    " ELSE COALESCE(a.account, d.subject_id) END"
    " LEFT JOIN accounts teller ON teller.id = t.subscriber WHERE d.id = :id"
)


def _one(rows: Rows, ident: int) -> Row | None:
    found = rows.query(_ONE, {"id": ident})
    return found[0] if found else None


def composed(engine: Engine, ident: int) -> Row | None:
    """Return one delivery with all that a mail is composed of, as `claim` does, without claiming it."""
    found = engine.query(_ONE, id=ident)
    return found[0] if found else None


def renew(rows: Rows, ident: int, fence: int, until: int) -> bool:
    """Prolong a lease that is still ours; False means somebody else has it now."""
    return bool(
        rows.execute(
            "UPDATE deliveries SET lease_until = :until WHERE id = :id AND fence = :fence AND state = 'leased'",
            {"until": until, "id": ident, "fence": fence},
        )
    )


def settle(rows: Rows, ident: int, fence: int, state: str, outcome: str, reply: str, now: int) -> bool:
    """
    Write a final outcome and destroy the queue key; False if the lease is no longer ours.

    *state* is delivered, failed or parked; *outcome* JSON about route and TLS; *reply* the peer's words.
    """
    return bool(
        rows.execute(
            "UPDATE deliveries SET state = :state, outcome = :outcome, reply = :reply, settled = :now,"
            " lease_until = NULL, lease_owner = NULL, queue_epoch = NULL, queue_wrap = NULL"
            " WHERE id = :id AND fence = :fence AND state = 'leased'",
            {"state": state, "outcome": outcome, "reply": reply, "now": now, "id": ident, "fence": fence},
        )
    )


def held(engine: Engine, ident: int, fence: int) -> Row | None:
    """Return whether a delivery under way still has its queue key (has_key), or None if the lease is another's now."""
    found = engine.query(
        "SELECT queue_wrap IS NOT NULL AS has_key FROM deliveries"
        " WHERE id = :id AND fence = :fence AND state = 'leased'",
        id=ident,
        fence=fence,
    )
    return found[0] if found else None


def delay(rows: Rows, ident: int, fence: int, due: int, outcome: str, reply: str) -> bool:
    """Give the delivery back for a later try; False if the lease is no longer ours."""
    return bool(
        rows.execute(
            "UPDATE deliveries SET state = 'delayed', due = :due, outcome = :outcome, reply = :reply,"
            " lease_until = NULL, lease_owner = NULL WHERE id = :id AND fence = :fence AND state = 'leased'",
            {"due": due, "outcome": outcome, "reply": reply, "id": ident, "fence": fence},
        )
    )


def untouched(rows: Rows, ident: int, fence: int, due: int) -> bool:
    """Give back a delivery that was not tried at all, so that the attempt does not count."""
    return bool(
        rows.execute(
            "UPDATE deliveries SET state = CASE attempts WHEN 1 THEN 'due' ELSE 'delayed' END, due = :due,"
            " attempts = attempts - 1, lease_until = NULL, lease_owner = NULL"
            " WHERE id = :id AND fence = :fence AND state = 'leased'",
            {"due": due, "id": ident, "fence": fence},
        )
    )


def become(rows: Rows, ident: int, fence: int, kind: str, form: str, tls_class: str, due: int) -> bool:
    """Turn a delivery into another kind or form that is tried at once, and destroy its queue key."""
    return bool(
        rows.execute(
            "UPDATE deliveries SET kind = :kind, form = :form, tls_class = :tls_class, state = 'due', due = :due,"
            " attempts = 0, lease_until = NULL, lease_owner = NULL, queue_epoch = NULL, queue_wrap = NULL"
            " WHERE id = :id AND fence = :fence AND state = 'leased'",
            {"kind": kind, "form": form, "tls_class": tls_class, "due": due, "id": ident, "fence": fence},
        )
    )


def rekey(rows: Rows, ident: int, epoch: int, wrap: bytes) -> None:
    """Give a delivery that became another form the key for it."""
    rows.execute(
        "UPDATE deliveries SET queue_epoch = :epoch, queue_wrap = :wrap WHERE id = :id",
        {"epoch": epoch, "wrap": wrap, "id": ident},
    )


def told_of_delay(rows: Rows, ident: int, now: int) -> None:
    """Remember that the sender was told that this takes longer."""
    rows.execute("UPDATE deliveries SET delayed_told = :now WHERE id = :id", {"now": now, "id": ident})


def notified(rows: Rows, org: int, message: int, address: int, now: int, look: int | None) -> None:
    """
    Remember when the recipient's own mail server first took what was sent.

    *look* is when to see whether they are to be reminded, None where nothing waits for them here.
    """
    rows.execute(
        "UPDATE recipients SET notified = COALESCE(notified, :now), remind = CASE"
        " WHEN first_opened IS NULL AND reminded < 2 THEN COALESCE(remind, :look) ELSE NULL END"
        " WHERE org = :org AND message = :message AND address = :address",
        {"now": now, "org": org, "message": message, "address": address, "look": look},
    )


def decided(rows: Rows, org: int, message: int, address: int, decision: str, reason: str) -> None:
    """Write down that a recipient's decision changed on the way out, for instance from relay to vault."""
    rows.execute(
        "UPDATE recipients SET decision = :decision, form = '', reason = :reason"
        " WHERE org = :org AND message = :message AND address = :address",
        {"decision": decision, "reason": reason, "org": org, "message": message, "address": address},
    )


def next_due(engine: Engine) -> int | None:
    """Return when the next delivery is due or the next lease ends, or None when nothing waits."""
    found = engine.query(
        "SELECT min(due) AS due FROM (SELECT min(due) AS due FROM deliveries WHERE state = 'due'"
        " UNION ALL SELECT min(due) FROM deliveries WHERE state = 'delayed'"
        " UNION ALL SELECT min(lease_until) FROM deliveries WHERE state = 'leased') AS waiting"
    )
    due: int | None = found[0]["due"]
    return due


def waits(rows: Rows, org: int, message: int, kind: str) -> bool:
    """Say whether a delivery of that kind is to leave for a message, and nobody composes it yet."""
    return bool(
        rows.query(
            "SELECT 1 AS one FROM deliveries WHERE message = :message AND org = :org AND kind = :kind"
            " AND state IN ('due', 'delayed') LIMIT 1",
            {"message": message, "org": org, "kind": kind},
        )
    )


def is_cancelled(rows: Rows, ident: int) -> bool:
    """Say whether the queue key of a delivery under way was destroyed meanwhile, because it was taken back."""
    return not rows.query("SELECT 1 AS one FROM deliveries WHERE id = :id AND queue_wrap IS NOT NULL", {"id": ident})


def newcomers(engine: Engine, org: int, message: int) -> list[str]:
    """Return the canonical addresses of a message that still wait for the subscriber's code."""
    found = engine.query(
        "SELECT a.canonical FROM grants g JOIN recipients r ON r.message = g.message"
        " JOIN addresses a ON a.id = r.address AND g.holder = 'address:' || a.canonical"
        " WHERE g.org = :org AND g.message = :message AND g.role = 'recipient' AND g.state = 'active'"
        " ORDER BY a.canonical",
        org=org,
        message=message,
    )
    return [row["canonical"] for row in found]


def epoch(engine: Engine, ident: int) -> Row:
    """Return the row of one epoch; it exists, since grants refer to it."""
    return engine.query("SELECT id, pair, suite, owner, holder, sealed FROM epochs WHERE id = :id", id=ident)[0]


def listing(
    engine: Engine,
    state: str | None,
    limit: int,
    *,
    kind: str | None = None,
    domain: str | None = None,
    org: int | None = None,
    reason: str | None = None,
    before: int | None = None,
    since: int | None = None,
) -> list[Row]:
    """
    Return deliveries for the operator, newest first: those in *state* or, with None, all that are not settled.

    These narrow it further: *kind*, *domain* (of the recipient, as A-label), *org*, *reason* (how the last status
    begins, as 4.7, or words of the last reply), and when they were made (UTC milliseconds): *before*, or *since*.
    """
    return engine.query(
        "SELECT d.id, d.org, d.kind, d.form, d.message, a.canonical AS recipient, d.state, d.due, d.attempts,"
        " d.outcome, d.reply, d.created FROM deliveries d LEFT JOIN addresses a ON a.id = d.recipient"
        " WHERE (d.state = :state OR (:state IS NULL AND d.state NOT IN ('delivered', 'failed', 'cancelled')))"
        " AND (:kind IS NULL OR d.kind = :kind) AND (:org IS NULL OR d.org = :org)"
        " AND (:domain IS NULL OR a.canonical LIKE '%@' || :domain ESCAPE '\\')"
        # What is kept of an attempt is JSON without spaces, so that its status is found in either database.
        " AND (:reason IS NULL OR d.outcome LIKE :status ESCAPE '\\'"
        " OR lower(d.reply) LIKE '%' || lower(:reason) || '%' ESCAPE '\\')"
        " AND (:before IS NULL OR d.created < :before) AND (:since IS NULL OR d.created >= :since)"
        " ORDER BY d.id DESC LIMIT :limit",
        state=state,
        kind=kind,
        domain=_literal(domain),
        org=org,
        reason=_literal(reason),
        status=f'%"status":"{_literal(reason)}%',
        before=before,
        since=since,
        limit=limit,
    )


def _literal(text: str | None) -> str | None:
    """Return *text* as LIKE finds it and nothing else."""
    return None if text is None else re.sub(r"([%_\\])", r"\\\1", text)


def depths(engine: Engine) -> list[Row]:
    """Return how many deliveries wait (state, kind, count); settled ones are not counted."""
    return engine.query(
        "SELECT state, kind, count(*) AS count FROM deliveries"
        " WHERE state IN ('checking', 'due', 'held', 'leased', 'delayed', 'parked') GROUP BY state, kind"
    )


def oldest(engine: Engine) -> tuple[int | None, int | None]:
    """Return when what waits for a try became due first, and when the oldest that is not settled was made."""
    due = engine.query(
        "SELECT min(due) AS due FROM (SELECT min(due) AS due FROM deliveries WHERE state = 'due'"
        " UNION ALL SELECT min(due) FROM deliveries WHERE state = 'delayed') AS waiting"
    )
    made = engine.query(
        "SELECT min(created) AS made FROM deliveries"
        " WHERE state IN ('checking', 'due', 'held', 'leased', 'delayed', 'parked')"
    )
    return due[0]["due"], made[0]["made"]


def standing(reader: Reader, ident: int) -> tuple[int, str] | None:
    """Return a delivery's organisation and state, None if there is none of that id."""
    found = reader.query("SELECT org, state FROM deliveries WHERE id = :id", id=ident)
    return (found[0]["org"], found[0]["state"]) if found else None


def shown(engine: Engine, ident: int) -> Row | None:
    """Return what is known of one delivery, for the operator: no content, and no subject."""
    found = engine.query(
        "SELECT d.id, d.org, d.kind, d.form, d.message, a.canonical AS recipient, d.tls_class, d.state, d.due,"
        " d.attempts, d.crashes, d.outcome, d.reply, d.created, d.settled, r.decision, r.reason"
        " FROM deliveries d LEFT JOIN addresses a ON a.id = d.recipient"
        " LEFT JOIN recipients r ON r.message = d.message AND r.address = d.recipient WHERE d.id = :id",
        id=ident,
    )
    return found[0] if found else None


def hold(rows: Rows, ident: int, now: int) -> Row | None:
    """Keep a delivery that waits from being tried until it is released; return org and state, None if there is none."""
    return _changed(
        rows,
        "UPDATE deliveries SET held = state, state = 'held' WHERE id = :id AND state IN ('due', 'delayed')"
        " RETURNING org, state",
        {"id": ident},
    )


def release(rows: Rows, ident: int, now: int) -> Row | None:
    """Let a delivery that the operator held be tried again, now; return org and state, None if there is none such."""
    return _changed(
        rows,
        "UPDATE deliveries SET state = held, held = '', due = :now WHERE id = :id AND state = 'held' AND held <> ''"
        " RETURNING org, state",
        {"id": ident, "now": now},
    )


def retry(rows: Rows, ident: int, now: int) -> Row | None:
    """Make a waiting, failed or parked delivery due now; return org and state, None if none such has its key."""
    return _changed(
        rows,
        "UPDATE deliveries SET state = 'due', due = :now, crashes = 0, settled = NULL WHERE id = :id"
        " AND state IN ('due', 'delayed', 'failed', 'parked')"
        " AND (queue_wrap IS NOT NULL OR kind NOT IN ('relay', 'handoff', 'journal') OR form = 'link')"
        " RETURNING org, state",
        {"now": now, "id": ident},
    )


def drop(rows: Rows, ident: int, now: int) -> Row | None:
    """Cancel a delivery that has not left and destroy its queue key; return org and state, None if there is none."""
    return _changed(
        rows,
        "UPDATE deliveries SET state = 'cancelled', settled = :now, queue_epoch = NULL, queue_wrap = NULL"
        " WHERE id = :id AND state IN ('checking', 'due', 'held', 'delayed', 'parked') RETURNING org, state",
        {"now": now, "id": ident},
    )


def _changed(rows: Rows, sql: str, values: dict[str, int]) -> Row | None:
    found = rows.query(sql, values)
    return found[0] if found else None
