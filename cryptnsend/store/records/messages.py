"""Rows of an admission: message, thread, contents, recipients, grants, deliveries, counters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cryptnsend.core.contracts import Later, Reader, Row, Rows
from cryptnsend.core.errors import StoreBroken


class Message(NamedTuple):
    """One row of `messages`, in the order of its columns."""

    id: int
    org: int
    thread: int
    author: int
    author_address: int
    message_id: str
    parent: int | None
    origin: str
    size: int  # octets as submitted
    state: str
    received: bytes
    resend_mac: bytes | None
    created: int
    expires: int | None


class Content(NamedTuple):
    """One sealed part: its octets, or the key of the blob that has them."""

    org: int
    message: int
    part: str
    suite: int
    size: int  # octets before sealing
    body: bytes | None
    blob_key: str | None


class Recipient(NamedTuple):
    """One person addressed by a message and what was decided for them."""

    org: int
    message: int
    address: int
    decision: str
    form: str
    reason: str
    disclosed: int
    display_id: str


class Grant(NamedTuple):
    """One holder's right to open one message."""

    id: int
    org: int
    message: int
    holder: str
    role: str
    contact: str
    custody: str
    epoch: int
    wrap: bytes
    state: str
    ends: int | None


class EpochRow(NamedTuple):
    """One epoch key, sealed to the pair it belongs to."""

    id: int
    org: int
    pair: int
    suite: int
    owner: str
    holder: str
    sealed: bytes


class Delivery(NamedTuple):
    """Something that has to leave for one recipient."""

    id: int
    org: int
    kind: str
    form: str
    message: int | None
    recipient: int | None
    subject_id: int | None
    template: str
    reverse_path: str
    dsn: str
    tls_class: str
    due: int
    queue_epoch: int | None
    queue_wrap: bytes | None
    created: int
    domain: str = ""  # of the recipient, so that none gets all the courier's threads; "" counts for no domain
    language: str = ""  # of the page it was asked for on; "" is what its reader chose


# What an admission inserts, in the order that references ask for; an audit row comes last.
_THREADS = Later(2, "INSERT INTO threads(id, org, subscriber, custody) VALUES (?, ?, ?, ?)")
_MESSAGES = Later(4, "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
_CONTENTS = Later(5, "INSERT INTO contents VALUES (?, ?, ?, ?, ?, ?, ?)")
_RECIPIENTS = Later(
    5,
    "INSERT INTO recipients(org, message, address, decision, form, reason, disclosed, display_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
)
_GRANTS = Later(5, "INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
_DELIVERIES = Later(
    5,
    "INSERT INTO deliveries(id, org, kind, form, message, recipient, subject_id, template, reverse_path, dsn,"
    " tls_class, due, queue_epoch, queue_wrap, created, domain, language, state, attempts, fence, outcome, reply)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'due', 0, 0, '', '')",
)
_COUNTERS = Later(
    5,
    "INSERT INTO counters(org, account, day, what, n) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT(account, day, what) DO UPDATE SET n = counters.n + excluded.n",
)


def add_thread(rows: Rows, ident: int, org: int, subscriber: int, custody: str) -> None:
    """Start a thread that belongs to *subscriber*."""
    rows.later(_THREADS, [(ident, org, subscriber, custody)])


def thread(rows: Rows, ident: int) -> tuple[int, int, str] | None:
    """Return (organisation, subscriber, custody) of a thread."""
    found = rows.query("SELECT org, subscriber, custody FROM threads WHERE id = :id", {"id": ident})
    return (found[0]["org"], found[0]["subscriber"], found[0]["custody"]) if found else None


def add(rows: Rows, message: Message) -> None:
    """Insert one message."""
    rows.later(_MESSAGES, [message])
    if message.resend_mac is not None:
        rows.remember(("resend", message.author, message.resend_mac), True)


def add_contents(rows: Rows, contents: list[Content]) -> None:
    """Insert the sealed parts of a message."""
    rows.later(_CONTENTS, contents)


def add_recipients(rows: Rows, recipients: list[Recipient]) -> None:
    """Insert who a message is addressed to."""
    rows.later(_RECIPIENTS, recipients)


def add_epochs(rows: Rows, epochs: list[EpochRow]) -> None:
    """
    Insert epoch rows that are not there yet; every grant brings its own until a commit with it is confirmed.

    Raises StoreBroken if another process took the same id in the same millisecond: a grant must never rest under an
    epoch that is not its own.
    """
    if not epochs:
        return
    rows.many(
        "INSERT INTO epochs(id, org, pair, suite, owner, holder, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(id) DO NOTHING",
        epochs,
    )
    for epoch in epochs:
        same = rows.query(
            "SELECT 1 AS one FROM epochs WHERE id = :id AND sealed = :sealed", {"id": epoch.id, "sealed": epoch.sealed}
        )
        if not same:
            raise StoreBroken("Two epochs got the same number. Try again.")


def add_grants(rows: Rows, grants: list[Grant]) -> None:
    """Insert grants; the epoch of each is an enforced reference."""
    rows.later(_GRANTS, grants)


def add_deliveries(rows: Rows, deliveries: list[Delivery]) -> None:
    """Insert what has to leave, due at once."""
    rows.later(_DELIVERIES, deliveries)


def newest(reader: Reader) -> int:
    """Return when the newest message came, UTC milliseconds, 0 without any. The installation's, for its operator."""
    found = reader.query("SELECT created FROM messages WHERE id = (SELECT max(id) FROM messages)")
    return int(found[0]["created"]) if found else 0


def pair_exists(rows: Rows, pair: int) -> bool:
    """Say whether the copy of a pair has reached this database; an epoch cannot name a pair that has not."""
    return bool(rows.query("SELECT 1 AS one FROM pairs WHERE id = :pair", {"pair": pair}))


def add_pair(
    rows: Rows, ident: int, org: int, holder: str, role: str, custody: str, suite: int, public: bytes, state: str
) -> None:
    """Copy a pair from its signed card or anchor, if it is not there."""
    rows.execute(
        "INSERT INTO pairs(id, org, holder, role, custody, suite, public, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(id) DO NOTHING",
        (ident, org, holder, role, custody, suite, public, state),
    )


def resent(rows: Rows, author: int, macs: Sequence[bytes], since: int) -> int | None:
    """
    Return the message that the same author submitted with the same envelope and octets after *since*.

    *macs* are what it has under today's and yesterday's key. Only if it still reaches everyone: a message with a
    suspended, shredded or never made grant is sent anew, and so is one that did not get to somebody.
    """
    found = rows.query(
        "SELECT m.id FROM messages m WHERE m.author = :author AND m.resend_mac IN (:today, :yesterday)"
        " AND m.created > :since"
        " AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.message = m.id AND g.state <> 'active')"
        " AND NOT EXISTS (SELECT 1 FROM recipients r JOIN addresses a ON a.id = r.address"
        "  WHERE r.message = m.id AND r.decision IN ('vault', 'handoff', 'pdf', 'encrypt') AND NOT EXISTS"
        "  (SELECT 1 FROM grants g WHERE g.message = m.id AND g.role = 'recipient'"
        "   AND (g.holder = 'address:' || a.canonical OR g.holder = 'account:' || a.account)))"
        " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id"
        "  AND d.kind IN ('notice', 'handoff', 'relay') AND d.state IN ('failed', 'parked', 'cancelled'))"
        " ORDER BY m.id DESC LIMIT 1",
        {"author": author, "today": macs[0], "yesterday": macs[-1], "since": since},
    )
    ident: int | None = found[0]["id"] if found else None
    return ident


def granted(rows: Rows, holder: str, message: int) -> Row | None:
    """Return id, thread and the grant's contact of a message that *holder* has an active grant on, else None."""
    found = rows.query(
        "SELECT m.id, m.thread, g.contact FROM messages m JOIN grants g ON g.message = m.id"
        " WHERE m.id = :message AND g.holder = :holder AND g.state = 'active' ORDER BY g.role DESC LIMIT 1",
        {"message": message, "holder": holder},
    )
    return found[0] if found else None


def granted_by_message_id(rows: Rows, holder: str, message_id: str) -> Row | None:
    """
    Return the first message with that Message-ID that *holder* has an active grant on, as `granted` does.

    The first, not the newest: whoever copies the id of somebody's message comes after it.
    """
    found = rows.query(
        "SELECT m.id, m.thread, g.contact FROM messages m JOIN grants g ON g.message = m.id"
        " WHERE m.message_id = :message_id AND g.holder = :holder AND g.state = 'active'"
        " ORDER BY m.id, g.role DESC LIMIT 1",
        {"message_id": message_id, "holder": holder},
    )
    return found[0] if found else None


def message_of_delivery(rows: Rows, delivery: int) -> int | None:
    """Return the message that one of our own mails was about, from the id in its Message-ID."""
    found = rows.query("SELECT message FROM deliveries WHERE id = :delivery", {"delivery": delivery})
    message: int | None = found[0]["message"] if found else None
    return message


def thread_people(rows: Rows, thread_id: int, holder: str) -> set[str]:
    """
    Return the canonical addresses that *holder* knows to take part in a thread.

    Those are the authors of the messages they were granted and who stands in To or Cc of them; never who was written
    to in secret, so that no answer of ours tells of them.
    """
    found = rows.query(
        "SELECT a.canonical FROM messages m JOIN addresses a ON a.id = m.author_address WHERE m.thread = :thread"
        " AND EXISTS (SELECT 1 FROM grants g WHERE g.message = m.id AND g.holder = :holder)"
        " UNION SELECT a.canonical FROM messages m JOIN recipients r ON r.message = m.id AND r.disclosed = 1"
        " JOIN addresses a ON a.id = r.address WHERE m.thread = :thread"
        " AND EXISTS (SELECT 1 FROM grants g WHERE g.message = m.id AND g.holder = :holder)",
        {"thread": thread_id, "holder": holder},
    )
    return {row["canonical"] for row in found}


def is_vaulted(rows: Rows, thread_id: int) -> bool:
    """Say whether some message of a thread was sealed for others than its author."""
    found = rows.query(
        "SELECT 1 AS one FROM messages m JOIN recipients r ON r.message = m.id WHERE m.thread = :thread"
        " AND r.decision <> 'relay' AND r.reason <> 'self' LIMIT 1",
        {"thread": thread_id},
    )
    return bool(found)


def count(rows: Rows, org: int, account: int, day: int, what: str, by: int) -> int:
    """Add *by* to an account's counter of the day (days since 1970, UTC) and return the new total."""
    key = ("counter", account, day, what)
    before = rows.recall(key)
    if before is None:
        found = rows.peek(
            "SELECT n FROM counters WHERE account = :account AND day = :day AND what = :what",
            {"account": account, "day": day, "what": what},
        )
        before = found[0]["n"] if found else 0
    total: int = before + by
    rows.later(_COUNTERS, [(org, account, day, what, by)])
    rows.remember(key, total)
    return total


def sent_by(reader: Reader, account: int, nonce: bytes) -> int | None:
    """Return the message that an account's form with this nonce made, None if it made none yet."""
    found = reader.query(
        "SELECT message FROM form_nonces WHERE account = :account AND nonce = :nonce", account=account, nonce=nonce
    )
    message: int | None = found[0]["message"] if found else None
    return message


def made_by(rows: Rows, account: int, nonce: bytes) -> int | None:
    """Return what `sent_by` does, inside a transaction."""
    found = rows.query(
        "SELECT message FROM form_nonces WHERE account = :account AND nonce = :nonce",
        {"account": account, "nonce": nonce},
    )
    message: int | None = found[0]["message"] if found else None
    return message


def use_nonce(rows: Rows, org: int, account: int, nonce: bytes, message: int, created: int) -> int | None:
    """Bind a form's nonce to the message it made; return the earlier message if the form was sent before."""
    earlier = made_by(rows, account, nonce)
    if earlier is not None:
        return earlier
    rows.execute(
        "INSERT INTO form_nonces(org, account, nonce, message, created) VALUES (?, ?, ?, ?, ?)",
        (org, account, nonce, message, created),
    )
    return None
