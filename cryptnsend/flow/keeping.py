"""How does mail rest that may not join a conversation? Sealed like any other, apart, for one account to look at.

Nobody vouches for such mail, so it stands in no thread, answers nothing, and sends nothing to whoever it says it is
from. The account is told that it came, at most once a day (UTC) about the same thing.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

import msgspec

from cryptnsend.core import keys, tokens
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import CryptnSendError, Enough, Refusal, StoreBroken, Temporary
from cryptnsend.core.model import INSTALLATION, Card, Ids, PairCard, Random, account_holder, archive_holder
from cryptnsend.flow.holders import Holders
from cryptnsend.flow.sealing import Sealed, Sealing
from cryptnsend.store.records import audit, cards, kept, messages
from cryptnsend.store.vault import Vault

DAY = 86_400_000  # milliseconds
REASONS = (
    "unproven", "no-author", "no-code", "stranger", "weak", "ended", "refused", "no-token", "passed-on",
    "spam", "automatic", "postmaster", "abuse",
)  # fmt: skip
BY_MAIL = "inbound"  # who the audit says it was


@dataclass(frozen=True, slots=True)
class Settings:
    """What keeping needs of the configuration: octets of one mail, and how many an account is kept in a day."""

    hostname: str
    domain: str
    message_octets: int
    per_day: int


@dataclass(frozen=True, slots=True)
class Why:
    """For whom a mail is kept and why. `author` is the canonical address it says it is from, or ""."""

    account: int
    reason: str
    author: str = ""
    answered: int | None = None  # the message that it answers
    protocol: str = "ESMTP"


class Keeping:
    """Keeps mail for one process. Its pieces are shared; each `Apart` is one mail's."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        holders: Holders,
        epochs: keys.Epochs,
        clock: Clock,
        random: Random,
        settings: Settings,
        resend_keys: Callable[[], dict[int, bytes]],
        wake: Callable[[], None],
    ):
        """*resend_keys* returns the keeper's keys of today and yesterday, by day."""
        self.resend_keys = resend_keys
        self.engine, self.vault, self.holders, self.epochs = engine, vault, holders, epochs
        self.clock, self.random, self.settings, self.wake = clock, random, settings, wake
        self.ids = Ids(random)

    def begin(self) -> Apart:
        """Start to keep a mail."""
        return Apart(self)


class Apart:
    """One mail being kept: `header` once, `body` as often as there are blocks, then `commit_now` or `abort`."""

    def __init__(self, house: Keeping):
        self._house = house
        self.message = house.ids.new(house.clock.now())
        self._sealing = Sealing(self.message, house.vault, house.random, house.settings.message_octets)

    def header(self, octets: bytes) -> None:
        """Take the whole header block with its empty line."""
        self._sealing.header(octets)

    def body(self, octets: bytes) -> None:
        """Take a block of the body; raises TooBig when the mail passes the limit."""
        self._sealing.body(octets)

    def abort(self) -> None:
        """Throw everything away; safe at any time, also after a failure."""
        self._sealing.abort()

    def commit_now(self, why: Why) -> int:
        """
        Finish in a thread, and return the id once everything is durable; raise Temporary if it cannot be.

        A server that lost our answer brings the same mail again: it is kept once, and its id is that of the first.
        """
        house = self._house
        sealed: Sealed | None = None
        try:
            done = sealed = self._sealing.close(INSTALLATION)
            macs = self._resend_macs(why)
            ident = house.holders.settled(
                lambda: house.engine.write(lambda rows: self._fill(rows, done, why, macs), blobs=done.blobs).result()
            )
        except BaseException as reason:
            self.abort()
            # As in an admission: what may have become durable all the same is upkeep's to sweep.
            if sealed is not None and isinstance(reason, CryptnSendError) and not isinstance(reason, StoreBroken):
                house.vault.discard(*sealed.blobs)
            raise
        if ident != self.message:
            house.vault.discard(*done.blobs)
        else:
            house.wake()
        return ident

    def _resend_macs(self, why: Why) -> list[bytes]:
        """Return the HMAC of this very mail and its place under today's and yesterday's day key, today's first."""
        place = "kept", why.account, why.reason, why.answered, self._sealing.digest()
        by_day = self._house.resend_keys()
        what = msgspec.msgpack.encode(place)
        return [hmac.digest(by_day[day], what, "sha256") for day in sorted(by_day, reverse=True)]

    # What follows runs inside the transaction, and may run again after a failed batch.

    def _fill(self, rows: Rows, sealed: Sealed, why: Why, macs: list[bytes]) -> int:
        house, now, holder = self._house, self._house.clock.now(), account_holder(why.account)
        card = house.holders.card(rows, holder)
        own = cards.address(rows, card.addresses[0]) if card is not None else None
        state = cards.account_states(rows, why.account)
        if state is None or state[2] in ("disabled", "closed"):
            raise Refusal("Nobody can be reached at this address.", code=550, status="5.1.1")
        if card is None or own is None or card.weak:
            # Whoever reset a password by mail has not shown yet whose account it is. Other servers try for days.
            raise Temporary("This cannot be kept now. Try again later.")
        earlier = kept.earlier(rows, why.account, macs)
        if earlier is not None:
            return earlier
        org = card.organisation
        if messages.count(rows, org, why.account, now // DAY, "kept", 1) > house.settings.per_day:
            raise Enough("Too much has come for this person today.")
        thread = house.ids.new(now)
        messages.add_thread(rows, thread, org, why.account, card.custody)
        row = messages.Message(
            self.message, org, thread, why.account, self._author(rows, why, own[0], now),
            f"<m{self.message}@{house.settings.domain}>", why.answered, "mail", sealed.size, "kept",
            self._received(why, now), macs[0], now, None,
        )  # fmt: skip
        messages.add(rows, row)
        messages.add_contents(rows, [each._replace(org=org) for each in sealed.contents])
        kept.put(
            rows, org, self.message, own[0], why.reason, tokens.display_id(house.random(8)), named=bool(why.author)
        )
        self._grant(rows, org, card, "kept", card.pair(card.custody), sealed.keys[:32], card.custody)
        archive = house.holders.card(rows, archive_holder(org)) if org != INSTALLATION else None
        if archive is not None and archive.pairs:
            self._grant(rows, org, archive, "archive", archive.pairs[0], sealed.keys, card.custody)
        if messages.count(rows, org, why.account, now // DAY, f"told of answers to {why.answered or 0}", 1) == 1:
            self._tell(rows, org, why.account, own[0], now)
        detail = {"size": sealed.size, "reason": why.reason}
        audit.append(rows, org, now, BY_MAIL, "message.kept", str(self.message), detail)
        return self.message

    def _author(self, rows: Rows, why: Why, own: int, now: int) -> int:
        """Return the id of the address that the mail says it is from, which proves nothing."""
        if not why.author:
            return own
        known = cards.address(rows, why.author)
        if known is not None:
            return known[0]
        ident = self._house.ids.new(now)
        cards.add_address(rows, ident, why.author, why.author)
        return ident

    def _grant(self, rows: Rows, org: int, card: Card, role: str, pair: PairCard, content: bytes, custody: str) -> None:
        house = self._house
        epoch = house.epochs.current(pair.id, pair.public, card.holder, card.holder)
        kind = card.holder.partition(":")[0]
        messages.add_pair(rows, pair.id, org, card.holder, kind, pair.custody, pair.suite, pair.public, "current")
        messages.add_epochs(
            rows,
            [messages.EpochRow(epoch.id, INSTALLATION, pair.id, pair.suite, card.holder, card.holder, epoch.sealed)],
        )
        binding = keys.GrantBinding(org, self.message, card.holder, role, "", custody)
        wrap = keys.wrap_content(epoch.key, content, binding, house.random)
        ident = house.ids.new(house.clock.now())
        messages.add_grants(
            rows,
            [messages.Grant(ident, org, self.message, card.holder, role, "", custody, epoch.id, wrap, "active", None)],
        )

    def _tell(self, rows: Rows, org: int, account: int, address: int, now: int) -> None:
        alert = messages.Delivery(
            self._house.ids.new(now), org, "alert", "", self.message, address, account, "kept",
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip
        messages.add_deliveries(rows, [alert])

    def _received(self, why: Why, now: int) -> bytes:
        settings = self._house.settings
        how = f"with {why.protocol} id {self.message}"
        return f"Received: by {settings.hostname} (CryptnSend) {how};\r\n {formatdate(now // 1000)}\r\n".encode("ascii")
