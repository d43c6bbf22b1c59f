"""Which codes may be mailed and were, who asked for them, and which proofs were used? The ledger's SQL about these."""

from __future__ import annotations

from cryptnsend.core.contracts import Rows
from cryptnsend.keeper.ledger import Reads
from cryptnsend.keeper.rows import MailCode


def mail_code(reads: Reads, ident: int) -> MailCode | None:
    """Return a mailed code's row."""
    found = reads.query("SELECT * FROM mail_codes WHERE id = :id", {"id": ident})
    return MailCode(**found[0]) if found else None


def last_word(reads: Reads, account: int) -> int:
    """Return the number of the mail that tells the owner of an account that it is closed, 0 where there is none."""
    found = reads.query(
        "SELECT max(id) AS id FROM mail_codes WHERE purpose = 'closed' AND name = :account", {"account": str(account)}
    )
    return int(found[0]["id"] or 0)


def mail_codes_since(reads: Reads, canonical: str, since: int) -> list[MailCode]:
    """Return the codes that this address was sent since then, without invitations and last words."""
    found = reads.query(
        "SELECT * FROM mail_codes WHERE address = :address AND made > :since AND purpose NOT IN ('invite', 'closed')",
        {"address": canonical, "since": since},
    )
    return [MailCode(**row) for row in found]


def replace_mail_codes(rows: Rows, canonical: str, purpose: str, network: bytes = b"") -> None:
    """Let earlier live codes of this purpose die that the same network asked for: a newer one is on its way."""
    rows.execute(
        """UPDATE mail_codes SET state = 'replaced'
        WHERE address = :address AND purpose = :purpose AND state = 'live' AND network = :network""",
        {"address": canonical, "purpose": purpose, "network": network},
    )


def network_seen(reads: Reads, ident: int, mark: bytes) -> int | None:
    """Return when an account's owner last signed in from a network, None if they never did."""
    values = {"id": ident, "mark": mark}
    # One row whether it is known or not, since how long this takes must not tell.
    found = reads.query("SELECT max(seen) AS seen FROM networks WHERE account = :id AND mark = :mark", values)
    seen: int | None = found[0]["seen"]
    return seen


def set_network_seen(rows: Rows, ident: int, mark: bytes, now: int, *, keep: int, after: int) -> None:
    """Note a sign-in from a network, and forget those not used since *after*, and all but the *keep* latest."""
    values = {"id": ident, "mark": mark, "now": now, "keep": keep, "after": after}
    rows.execute(
        """INSERT INTO networks(account, mark, seen) VALUES (:id, :mark, :now)
        ON CONFLICT(account, mark) DO UPDATE SET seen = excluded.seen""",
        values,
    )
    rows.execute(
        """DELETE FROM networks WHERE account = :id AND (seen <= :after OR mark NOT IN
        (SELECT mark FROM networks WHERE account = :id ORDER BY seen DESC, mark LIMIT :keep))""",
        values,
    )


def forget_networks(rows: Rows, ident: int) -> None:
    """Forget from where an account was signed in to."""
    rows.execute("DELETE FROM networks WHERE account = :id", {"id": ident})


def set_mail_code(rows: Rows, ident: int, *, tries: int, state: str) -> None:
    """Count a try, or note that a code was used."""
    rows.execute(
        "UPDATE mail_codes SET tries = :tries, state = :state WHERE id = :id",
        {"tries": tries, "state": state, "id": ident},
    )


def drop_old(rows: Rows, before: int) -> None:
    """Forget mailed codes that ended before then."""
    rows.execute("DELETE FROM mail_codes WHERE expires < :before", {"before": before})


def spent(reads: Reads, proof: bytes) -> int | None:
    """Return the account that a proof was used for, or None."""
    found = reads.query("SELECT account FROM spent WHERE proof = :proof", {"proof": proof})
    return int(found[0]["account"]) if found else None


def resets(reads: Reads, since: int) -> list[int]:
    """Return the numbers of the codes made since then by which a password was reset."""
    found = reads.query(
        "SELECT id FROM mail_codes WHERE purpose = 'reset' AND state = 'used' AND made > :since ORDER BY id",
        {"since": since},
    )
    return [row["id"] for row in found]


def spent_at(reads: Reads, proof: bytes) -> int:
    """Return when a proof was used for the last time; 0 for one that was not."""
    found = reads.query("SELECT at FROM spent WHERE proof = :proof", {"proof": proof})
    return int(found[0]["at"]) if found else 0


def spend(rows: Rows, proof: bytes, ident: int, now: int) -> None:
    """Note what a proof was used for; a later use of the same proof replaces it."""
    rows.execute("DELETE FROM spent WHERE proof = :proof", {"proof": proof})
    rows.execute(
        "INSERT INTO spent(proof, account, at) VALUES (:proof, :account, :now)",
        {"proof": proof, "account": ident, "now": now},
    )


# -- what stands in for a code ----------------------------------------------------------------------------------------


def allowance(reads: Reads, subscriber: int, message: int) -> tuple[str, int] | None:
    """Return (way, since when) of what a subscriber lets stand in for their code; message 0 is their rule."""
    found = reads.query(
        "SELECT way, at FROM allowances WHERE subscriber = :subscriber AND message = :message",
        {"subscriber": subscriber, "message": message},
    )
    return (found[0]["way"], found[0]["at"]) if found else None


def set_allowance(rows: Rows, subscriber: int, message: int, way: str, now: int) -> None:
    """Note it; what was chosen before counts no more."""
    rows.execute(
        """INSERT INTO allowances(subscriber, message, way, at) VALUES (:subscriber, :message, :way, :now)
        ON CONFLICT(subscriber, message) DO UPDATE SET way = excluded.way, at = excluded.at""",
        {"subscriber": subscriber, "message": message, "way": way, "now": now},
    )


def mail_opened(reads: Reads, message: int, canonical: str, account: int, generation: int) -> bool:
    """Say whether this account, as it is since its last weak reset, showed a code mailed for this message."""
    return bool(
        reads.query(
            """SELECT 1 AS one FROM mail_opened WHERE message = :message AND address = :address
            AND account = :account AND account_generation = :generation""",
            {"message": message, "address": canonical, "account": account, "generation": generation},
        )
    )


def set_mail_opened(rows: Rows, message: int, canonical: str, account: int, generation: int, now: int) -> None:
    """Note that an account did so; an earlier owner's showing counts no more."""
    rows.execute(
        """INSERT INTO mail_opened(message, address, account, account_generation, at)
        VALUES (:message, :address, :account, :generation, :now)
        ON CONFLICT(message, address) DO UPDATE SET account = excluded.account,
        account_generation = excluded.account_generation, at = excluded.at""",
        {"message": message, "address": canonical, "account": account, "generation": generation, "now": now},
    )
