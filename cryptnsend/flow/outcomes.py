"""What follows from an attempt to deliver? A later try, a report to the sender, another form, a place in the vault.

Everything here runs inside one transaction and begins with the fence: a worker that was thought dead, and whose
delivery somebody else has taken up since, changes nothing any more.
"""

from __future__ import annotations

import re
from random import Random as Chance

import msgspec
import structlog

from cryptnsend.core import keys
from cryptnsend.core.contracts import Clock, Row, Rows
from cryptnsend.core.model import INSTALLATION, KEEPER, Random, address_holder, contact_name, new_id
from cryptnsend.core.protected import KINDS
from cryptnsend.delivery.courier import Envelope, Outcome
from cryptnsend.delivery.retry import Schedule, delay_is_due, next_try
from cryptnsend.flow import hooking, journalling, telling
from cryptnsend.flow.composing import Letter
from cryptnsend.flow.holders import Holders
from cryptnsend.flow.parcels import asks_requiretls
from cryptnsend.flow.telling import TELLING
from cryptnsend.store.records import audit, cards, deliveries, holds, messages, transport

FEWEST = 4  # tries before anything is given up, whatever the clock says
DAY = 86_400_000  # milliseconds
FIRST_LOOK = DAY  # until somebody looks whether a notice's reader has opened the message
SHOWN = 50  # lines and hosts of a policy that a report shows
SCANNED_AGAIN = 60_000  # milliseconds until a mail is shown to a scanner again that could not look at it
GATHERED = 3000  # milliseconds in which those are gathered whose code one receipt tells
SOON = 1000  # milliseconds until the next look at a destination that had no connection free

log = structlog.get_logger("courier")


class Outcomes:
    """Writes what came of attempts. Thread-safe; keeps nothing itself."""

    def __init__(
        self,
        *,
        holders: Holders,
        epochs: keys.Epochs,
        clock: Clock,
        random: Random,
        chance: Chance,
        schedule: Schedule,
    ):
        self._holders, self._epochs, self._clock, self._random = holders, epochs, clock, random
        self._chance, self._schedule = chance, schedule

    def write(self, rows: Rows, row: Row, letter: Letter, outcome: Outcome) -> bool:
        """Write one attempt's outcome and what follows from it; return whether something new is due at once."""
        self._count(rows, outcome)
        is_new = self._follow(rows, row, letter, outcome)
        return telling.let_go(rows, row, self._clock.now()) or is_new

    def _follow(self, rows: Rows, row: Row, letter: Letter, outcome: Outcome) -> bool:
        """Write what follows; return whether the mail itself goes another way, at once."""
        if outcome.kind == "delivered":
            self._delivered(rows, row, outcome)
            return False
        if outcome.kind == "delayed":
            self._delayed(rows, row, outcome)
            return False
        if not replaces(row, outcome):
            self._failed(rows, row, outcome)
            return False
        if row["kind"] == "relay":
            found = "too-large" if outcome.reason == Outcome.TOO_LARGE else "no-proven-way"
            return self._into_vault(rows, row, letter, f"{found}: {outcome.reply}")
        if row["kind"] == journalling.KIND and letter.copy_key is not None:
            return self._relock(rows, row, letter, letter.copy_key)
        return self.as_link(rows, row)

    def _count(self, rows: Rows, outcome: Outcome) -> None:
        """Count the attempt's TLS sessions for the reports to those who ask for them (RFC 8460)."""
        day = self._clock.now() // DAY
        for seen in outcome.seen:
            policy = msgspec.json.encode({"lines": seen.policy[:SHOWN], "hosts": seen.hosts[:SHOWN]}).decode()
            transport.count(rows, day, seen.domain, seen.policy_type, policy, seen.result, seen.host, seen.address)

    def settle(self, rows: Rows, row: Row, state: str, reply: str, how: str = "") -> bool:
        """Write a final state; return False if the delivery is not this worker's any more."""
        return deliveries.settle(rows, row["id"], row["fence"], state, how, reply, self._clock.now())

    def park(self, rows: Rows, row: Row, why: str) -> None:
        """Give up what cannot leave by a fault of ours, and say so to its author."""
        if self.settle(rows, row, "parked", why):
            self.tell_parked(rows, row)

    def crashed(self, rows: Rows, row: Row, pause: int) -> None:
        """Count an attempt that broke its worker; at the third its author hears that it is parked."""
        now = self._clock.now()
        if deliveries.crashed(rows, row["id"], row["fence"], now + pause, now) == "parked":
            self.tell_parked(rows, row)

    def tell_parked(self, rows: Rows, row: Row) -> None:
        """Let the author hear about a delivery that was parked: until somebody looks at it, it does not leave."""
        if row["kind"] == journalling.KIND:
            journalling.failed(rows, row, KEEPER, self._clock.now(), self._random)
        if row["kind"] not in TELLING or row["author_address"] is None:
            return
        now, detail = self._clock.now(), {"delivery": row["id"], "parked": True}
        audit.append(rows, row["org"], now, KEEPER, "delivery.failed", str(row["message"]), detail)
        try:
            is_wanted = telling.wants(row, "FAILURE")
        except msgspec.MsgspecError:  # the row may be what is damaged, and must not break the transaction
            is_wanted = True
        if is_wanted:
            telling.tell(rows, row, "failed", now, self._random)
            telling.let_go(rows, row, now)

    def rest(self, rows: Rows, row: Row) -> None:
        """Let a delivery rest whose message is held; if that was decided just now, it goes on at once."""
        if not holds.rest(rows, row["id"], row["fence"]):
            deliveries.untouched(rows, row["id"], row["fence"], self._clock.now())

    def sealed_instead(self, rows: Rows, row: Row, letter: Letter) -> bool:
        """
        Keep for the recipient what was held, and send a notice instead, at once; return whether it leaves.

        What was sealed already, and should have arrived readable, arrives as a link; a copy for a journal locked.
        """
        if row["kind"] == journalling.KIND and letter.copy_key is not None:
            return self._relock(rows, row, letter, letter.copy_key)
        if row["kind"] != "relay":
            return self.as_link(rows, row)
        is_new = self._into_vault(rows, row, letter, "held")
        return telling.let_go(rows, row, self._clock.now()) or is_new

    def _relock(self, rows: Rows, row: Row, letter: Letter, key: bytes) -> bool:
        """Let a journal's copy that was to arrive readable go locked, at once."""
        now = self._clock.now()
        return journalling.relock(rows, row, key, letter.recipient, self._holders, self._epochs, now, self._random)

    def as_link(self, rows: Rows, row: Row) -> bool:
        """Let a handoff go as a link instead, at once: the file is too large, or the peer does not take it."""
        if row["kind"] == journalling.KIND:  # nobody opens a link from there: the archive has it
            self._failed(rows, row, Outcome("failed", None, "5.3.4", "larger than goes to an inbox, or without a key"))
            return False
        now = self._clock.now()
        if row["kind"] == "notice":
            became = deliveries.become(rows, row["id"], row["fence"], "notice", "", "opportunistic", now)
            if became and row["form"] in KINDS:  # who could have read it with a key of their own needs a code instead
                known = cards.contact(rows, row["recipient"], row["subscriber"])
                if known is None or known[0] not in ("proven", "waived"):
                    self._receipt(rows, row)
            return became
        return deliveries.become(rows, row["id"], row["fence"], "handoff", "link", "opportunistic", now)

    def _delivered(self, rows: Rows, row: Row, outcome: Outcome) -> None:
        if not self.settle(rows, row, "delivered", outcome.reply, _how(outcome)):
            return
        now = self._clock.now()
        if row["kind"] == journalling.KIND:
            journalling.sent(rows, row, now)
        if row["kind"] not in TELLING:
            return
        look = now + FIRST_LOOK if row["kind"] == "notice" and row["form"] not in KINDS else None
        deliveries.notified(rows, row["org"], row["message"], row["recipient"], now, look)
        detail = {"delivery": row["id"]}
        audit.append(rows, row["org"], now, KEEPER, f"{row['kind']}.sent", str(row["message"]), detail)
        if telling.wants(row, "SUCCESS"):
            # RFC 3461 §5.2.2: what happens behind the vault is not ours to report, so a vaulted mail is "relayed".
            telling.tell(rows, row, "relayed", now, self._random)

    def _delayed(self, rows: Rows, row: Row, outcome: Outcome) -> None:
        now, ident, fence = self._clock.now(), row["id"], row["fence"]
        if outcome.reason == Outcome.BUSY:
            deliveries.untouched(rows, ident, fence, now + SOON)
            return
        due = next_try(row["attempts"], row["created"], now, self._chance, self._schedule)
        if due is not None and outcome.reason == Outcome.SCAN:
            due = min(due, now + SCANNED_AGAIN)
        if due is None and row["attempts"] < FEWEST:
            # The courier was down, or the clock jumped: nobody has really been tried for that long.
            due = now + self._schedule.first
        if due is None:
            self._failed(rows, row, outcome)
        elif deliveries.delay(rows, ident, fence, due, _how(outcome), outcome.reply):
            late = row["delayed_told"] is None and delay_is_due(row["created"], now, self._schedule)
            if late and row["kind"] in TELLING and telling.wants(row, "DELAY"):
                telling.tell_of_delays(rows, row, now, self._random, self._schedule)

    def _failed(self, rows: Rows, row: Row, outcome: Outcome) -> None:
        if not self.settle(rows, row, "failed", outcome.reply, _how(outcome)):
            return
        if row["kind"] == journalling.KIND:
            journalling.failed(rows, row, KEEPER, self._clock.now(), self._random)
        elif row["kind"] == hooking.KIND:
            hooking.failed(rows, row["subject_id"], self._clock.now(), self._random)
        elif row["kind"] not in TELLING:
            log.error("own mail failed", delivery=row["id"], kind=row["kind"])
        if row["kind"] not in TELLING:
            return
        now, detail = self._clock.now(), {"delivery": row["id"]}
        hooking.ring(rows, row["author"], "bounced", row["message"], now, self._random)
        audit.append(rows, row["org"], now, KEEPER, "delivery.failed", str(row["message"]), detail)
        if telling.wants(row, "FAILURE"):
            telling.tell(rows, row, "failed", now, self._random)

    def _receipt(self, rows: Rows, row: Row) -> None:
        """
        Let the author have a code to tell, which they did not expect.

        Other recipients of the same mail may come to the same within a moment. A receipt names all who need a code
        when it leaves, so that one is enough.
        """
        if deliveries.waits(rows, row["org"], row["message"], "receipt"):
            return
        now = self._clock.now()
        due = messages.Delivery(
            new_id(now, self._random), row["org"], "receipt", "", row["message"], row["author_address"], None, "codes",
            "", "{}", "opportunistic", now + GATHERED, None, None, now,
        )  # fmt: skip
        messages.add_deliveries(rows, [due])

    def _into_vault(self, rows: Rows, row: Row, letter: Letter, why: str) -> bool:
        """
        Keep for the recipient what could not leave protected, and send a notice instead.

        The grant is made under the keeper's pending key before the queue key is let go of.
        """
        now = self._clock.now()
        if deliveries.is_cancelled(rows, row["id"]):
            self.settle(rows, row, "cancelled", "taken back before it left")
            return False
        if letter.content_key is None:
            raise RuntimeError("a relay without its content key")
        if not deliveries.become(rows, row["id"], row["fence"], "notice", "", "opportunistic", now):
            return False
        pair = self._holders.anchored().pending
        epoch = self._epochs.current(pair.id, pair.public, KEEPER, "pending")
        messages.add_pair(
            rows, pair.id, INSTALLATION, KEEPER, "pending", pair.custody, pair.suite, pair.public, "current"
        )
        messages.add_epochs(
            rows, [messages.EpochRow(epoch.id, INSTALLATION, pair.id, pair.suite, KEEPER, "pending", epoch.sealed)]
        )
        address = row["recipient_address"]
        contact, holder = contact_name(address, row["subscriber"]), address_holder(address)
        binding = keys.GrantBinding(row["org"], row["message"], holder, "recipient", contact, row["custody"])
        wrap = keys.wrap_content(epoch.key, letter.content_key, binding, self._random)
        messages.add_grants(
            rows,
            [
                messages.Grant(
                    new_id(now, self._random), row["org"], row["message"], holder, "recipient", contact,
                    row["custody"], epoch.id, wrap, "active", row["expires"],
                )
            ],
        )  # fmt: skip
        deliveries.decided(rows, row["org"], row["message"], row["recipient"], "vault", why)
        known = cards.contact(rows, row["recipient"], row["subscriber"])
        if known is None or known[0] not in ("proven", "waived"):
            self._receipt(rows, row)
        return True


def replaces(row: Row, outcome: Outcome) -> bool:
    """Say whether what could not leave as it is goes as a notice or a link instead, so that nothing has failed."""
    if outcome.kind != "failed":
        return False
    unprotected = outcome.reason in (Outcome.PROOF_MISSING, Outcome.TLS_MISSING)
    if row["kind"] == "relay":
        return unprotected or outcome.reason == Outcome.TOO_LARGE
    if row["kind"] == journalling.KIND:
        return row["form"] == "tls" and (unprotected or outcome.reason == Outcome.CONTENT)
    return _can_be_link(row) and (unprotected or outcome.reason in (Outcome.TOO_LARGE, Outcome.CONTENT))


def envelope_of(row: Row, letter: Letter) -> Envelope:
    """Return where one mail goes. DSN options go on with relayed mail only: reports on vaulted mail are made here."""
    if row["kind"] != "relay":
        is_readable = letter.tls_class == "proven"  # and so has to keep to what its author asked for
        return Envelope(letter.reverse_path, letter.recipient, requiretls=is_readable and asks_requiretls(row))
    asked = _dsn(row)
    kind, _, original = asked.get("orcpt", "").partition(";")
    return Envelope(
        letter.reverse_path,
        letter.recipient,
        smtputf8=letter.smtputf8,
        # What the next host should tell, it would tell us; so it is asked for silence at most.
        notify="NEVER" if asked.get("notify") == "NEVER" else None,
        orcpt=_xtext(original, 500, f"{kind};"),
        ret=asked.get("ret") or None,
        envid=_xtext(asked.get("envid", ""), 100),
        requiretls=asks_requiretls(row),
        tls_optional=letter.tls_optional,
    )


def _xtext(text: str, most: int, before: str = "") -> str | None:
    """Return *text* as an SMTP parameter has it (RFC 3461 §4), or None if it cannot be one; it is left out then."""
    encoded = before + re.sub(r"[^!-*,-<>-~]", lambda found: f"+{ord(found[0]):02X}", text)
    return encoded if text and text.isascii() and len(encoded) <= most else None


def _dsn(row: Row) -> dict[str, str]:
    return msgspec.json.decode(row["dsn"], type=dict[str, str])


def _how(outcome: Outcome) -> str:
    """Return what is kept of an attempt besides the words, as JSON; `ours` says that no peer spoke them."""
    kept = {
        "route": outcome.route,
        "host": outcome.host,
        "address": outcome.address,
        "tls": outcome.tls,
        "cipher": outcome.cipher,
        "proof": outcome.proof,
        "status": outcome.status,
        "code": str(outcome.code or ""),
        "ours": "yes" if outcome.code is None else "",
    }
    return msgspec.json.encode(kept).decode()


def _can_be_link(row: Row) -> bool:
    """Say whether there is a smaller and plainer way to tell the same person."""
    return bool(row["kind"] == "handoff" and row["form"] != "link") or row["form"] in ("pdf", *KINDS)
