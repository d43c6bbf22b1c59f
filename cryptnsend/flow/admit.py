"""How does a message come in? One road for mail clients, the compose page, replies and our own mail.

A `Draft` takes the header block, then the body in blocks, and seals both as they arrive (flow/sealing.py). At the end
one transaction decides per recipient and writes thread, message, contents, grants, deliveries and the audit row; only
when that is durable does anybody hear a yes.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache, partial

import msgspec

from cryptnsend import metrics
from cryptnsend.core import keys, mime, policy
from cryptnsend.core.addresses import single_author
from cryptnsend.core.contracts import Carried, Clock, Engine, Rows
from cryptnsend.core.errors import CryptnSendError, NotAuthor, Sentence, StoreBroken, Temporary
from cryptnsend.core.model import Ids, Random, account_holder
from cryptnsend.flow import hooking
from cryptnsend.flow.addressees import Addressees, canonical_or_none
from cryptnsend.flow.deciding import Decided, Deciding
from cryptnsend.flow.granting import Addressee, Author, Envelope, Making, Person, needs_code
from cryptnsend.flow.holders import Holders, Unvouched
from cryptnsend.flow.journalling import Journalling
from cryptnsend.flow.policies import Policies
from cryptnsend.flow.rules import Settings, check_caps, check_refused, check_size, life_of
from cryptnsend.flow.scanning import NOBODY, Case, Examination, Scanning, Wait
from cryptnsend.flow.sealing import Sealed, Sealing
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import audit, cards, messages, plans
from cryptnsend.store.vault import Vault

DAY = 86_400_000  # milliseconds
RESEND_WINDOW = DAY
WARM = 10.0  # seconds for which the keeper's answers are taken as they are


@dataclass(frozen=True, slots=True)
class Plan:
    """
    When a message begins to be anybody's but its author's (UTC milliseconds), and whether its author hears of openings.

    Its time and its id are those of its start, so that it stands in everybody's lists where it arrived.
    """

    starts: int
    tell: bool = False
    way: str = "code"  # what stands in for the code


@dataclass(frozen=True, slots=True)
class Admitted:
    """What was admitted. `repeated`: the same mail was admitted before, and nothing new was made."""

    message: int
    decisions: dict[str, policy.Decision]
    repeated: bool = False


Submit = Callable[[Callable[[Rows], Admitted], Sequence[str], Callable[[], None] | None], Awaitable[Admitted]]
InThread = Callable[[Callable[[], None]], Awaitable[None]]


class Admission:
    """Admits messages for one process. Its pieces are shared; each `Draft` is one message's."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        keeper: Keeper,
        holders: Holders,
        epochs: keys.Epochs,
        clock: Clock,
        random: Random,
        settings: Settings,
        policies: Policies,
        scanning: Scanning,
        wake: Callable[[], None],
    ):
        self.engine, self.vault, self.keeper, self.holders = engine, vault, keeper, holders
        self.scanning, self.policies = scanning, policies
        self.epochs, self.clock, self.random, self.settings, self.wake = epochs, clock, random, settings, wake
        self.ids = Ids(random)
        self.addressees = Addressees(
            engine=engine, keeper=keeper, holders=holders, clock=clock, ids=self.ids, domain=settings.domain
        )
        self.deciding = Deciding(holders, self.addressees, policies, settings)
        self.journalling = Journalling(holders, random)
        self._day_keys: dict[int, bytes] = {}
        self._warm_until = 0.0

    def begin(
        self,
        author: Author,
        envelope: Envelope,
        origin: str,
        *,
        parent: int | None = None,
        nonce: bytes | None = None,
        life: int | None = None,
        plan: Plan | None = None,
        visits: int | None = None,
        stranger: Carried | None = None,
    ) -> Draft:
        """
        Start a message. *origin* is smtp, page, reply, mail, visitor or trial; *parent* the message a reply answers.

        *visits* is the account of the subscriber by whose page a visitor starts a thread of that subscriber's. *nonce*
        is the form's, so that a form sent twice makes one message; *life* is how long recipients may open it, in
        milliseconds; *plan* is what its author asks for besides. Scanners look at it while it comes in, but for mail
        from other servers: their door has it looked at, since it may be sealed for two ends. The spam filter is among
        them only where *stranger* says what it may know of somebody whom nobody here knows yet.

        Raises StoreFull before anything of it has come when the disk is nearly full.
        """
        self.vault.check_room()
        return Draft(self, author, envelope, origin, parent, nonce, life, plan, visits, stranger)

    def is_cold(self) -> bool:
        """Say whether what the keeper told is so old that it should be asked again, which may have to wait for it."""
        return self.clock.monotonic() >= self._warm_until

    def warm(self) -> None:
        """Ask the keeper for everything that the next admissions need; raise KeeperGone."""
        self.keeper.anchors()
        self.resend_keys()
        self.holders.refresh()
        self._warm_until = self.clock.monotonic() + WARM

    def resend_keys(self) -> dict[int, bytes]:
        """Return the keeper's keys of today and yesterday, by day."""
        if self.clock.now() // DAY not in self._day_keys:
            self._day_keys = self.keeper.resend_keys()
        return self._day_keys


def _nothing(rows: Rows) -> None:
    """Write nothing besides the message."""


class _OnlyLooked(Exception):
    """Undoes a transaction that was run to see what it would do."""


class Draft:
    """
    One message on its way in: `header` once, `body` as often as there are blocks, then `commit` or `abort`.

    As a context it is aborted by whatever goes wrong inside.
    """

    def __init__(
        self,
        admission: Admission,
        author: Author,
        envelope: Envelope,
        origin: str,
        parent: int | None,
        nonce: bytes | None,
        life: int | None,
        plan: Plan | None,
        visits: int | None,
        stranger: Carried | None,
    ):
        self._house, self._author, self._envelope, self._origin = admission, author, envelope, origin
        self._parent, self._nonce, self._life = parent, nonce, life
        self._plan, self._visits = plan, visits
        self._people: dict[str, Addressee] = {}
        # Ids of a time to come are made apart: the house's own only grow, and would stay in that time.
        self._ids = admission.ids if plan is None else Ids(admission.random)
        self.message = self._ids.new(admission.clock.now() if plan is None else plan.starts)
        self._sealing = Sealing(
            self.message, admission.vault, admission.random, admission.policies.installation.message_octets
        )
        self._sealed: Sealed | None = None
        # Of a stranger's letter the organisation hears that it was meant for.
        case = Case(visits or author.account, account_holder(author.account), str(self.message), origin)
        self._scan: Examination | None = None
        if origin != "mail":
            self._scan = admission.scanning.begin(case, stranger or NOBODY, in_the_open=stranger is not None)
        self.newcomer_until: int | None = None
        self.people: list[Person] = []
        self._macs: list[bytes] = []

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: object) -> None:
        if kind is not None:
            self.abort()

    def take(self, built: Iterator[bytes]) -> None:
        """Take a message as `build_message` makes it, in a thread; raises as `header` and `body`."""
        self.header(next(built))
        for block in built:
            self.body(block)

    def header(self, octets: bytes) -> None:
        """
        Take the whole header block with its empty line, as submitted.

        Raises NotAuthor if the message speaks for anyone but the author. Bcc fields are cut out here and rest only in
        the author's index.
        """
        self._check_author(octets)
        self._sealing.header(octets)
        if self._scan is not None:
            self._scan.feed(octets)

    def body(self, octets: bytes) -> None:
        """Take a block of the body, in a thread; raises TooBig when the message passes the limit, and ScannerGone."""
        wait = self.feed(octets)
        if wait is not None:
            wait()

    def feed(self, octets: bytes) -> Wait | None:
        """Do what `body` does without waiting; what is returned has to be run, in a thread, before more is fed."""
        self._sealing.body(octets)
        return self._scan.feed(octets) if self._scan is not None else None

    def enclose(self, part: str, octets: bytes) -> None:
        """Let a small *part* of its own rest beside the message, for whoever may open that."""
        self._sealing.enclose(part, octets)

    def abort(self) -> None:
        """Throw everything away; safe at any time, also after a failure."""
        self._sealing.abort()
        if self._scan is not None:
            self._scan.close()

    async def commit(self, submit: Submit, in_thread: InThread) -> Admitted:
        """
        Finish inside an event loop.

        *submit*(fill, blobs, ready) is the engine's batcher, which resolves once durable; *in_thread* runs what has to
        wait for a disk or the keeper.
        """
        house, used = self._house, set[int]()
        try:
            # Whatever asks the keeper does so in a thread, since the keeper may be slow or gone.
            if house.is_cold():
                await in_thread(house.warm)
            if self._scan is not None:
                await in_thread(self._examine)
            if any(house.addressees.is_ours(each.address) for each in self._envelope.recipients):
                await in_thread(self._resolve)
            else:
                self._resolve()
            if self._sealing.waits:
                await in_thread(self._close)
            admitted = await self._submitted(submit, in_thread, used)
        except BaseException as reason:
            self.abort()
            if litter := self._litter(reason):
                await in_thread(lambda: house.vault.discard(*litter))
            raise
        return self._committed(admitted, used)

    def commit_now(
        self, also: Callable[[Rows], None] = _nothing, beside: Callable[[Rows], None] = _nothing
    ) -> Admitted:
        """
        Finish in a thread; returns once everything is durable, with what *also* writes in the same transaction.

        What *beside* writes belongs to the message, and is not written for one that repeats another.
        """
        used: set[int] = set()

        def fill(rows: Rows) -> Admitted:
            admitted = self._fill(rows, used)
            also(rows)
            if not admitted.repeated:
                beside(rows)
            return admitted

        try:
            self._examine()
            self._resolve()
            self._close()
            admitted = self._house.holders.settled(
                lambda: self._house.engine.write(fill, blobs=self._durable.blobs).result()
            )
        except BaseException as reason:
            self.abort()
            if litter := self._litter(reason):
                self._house.vault.discard(*litter)
            raise
        return self._committed(admitted, used)

    async def _submitted(self, submit: Submit, in_thread: InThread, used: set[int]) -> Admitted:
        """Submit, again if the keeper had to be asked about somebody; people whom a process knows cost nothing."""
        asked: set[object] = set()
        while True:
            sealed = self._sealed
            try:
                if sealed is None:  # small enough to be sealed, and flushed, with the others of the batch
                    blobs: list[str] = []
                    return await submit(lambda rows: self._fill(rows, used), blobs, partial(self._close_for, blobs))
                return await submit(lambda rows: self._fill(rows, used), sealed.blobs, None)
            except Unvouched as missing:
                await in_thread(partial(self._house.holders.learn, missing, asked))

    def _litter(self, reason: BaseException) -> tuple[str, ...]:
        """
        Return the blobs that can be thrown away at once.

        A refusal undid its own rows. After any other failure they may have become durable all the same, so that the
        blob stays until upkeep has looked for its row.
        """
        was_undone = isinstance(reason, CryptnSendError) and not isinstance(reason, StoreBroken)
        return self._sealed.blobs if was_undone and self._sealed is not None else ()

    def explain(self) -> dict[str, policy.Decision]:
        """
        Return what would happen for each recipient, by canonical address, and keep nothing of it.

        `newcomer_until` tells afterwards, in UTC milliseconds, how long the author has a newcomer's limits, and
        `people` what is known of everybody.
        """
        decided: dict[str, policy.Decision] = {}

        def look(rows: Rows) -> None:
            now, settings = self._house.clock.now(), self._house.settings
            found = self._decide(rows, self._house.deciding.sender(rows, self._author), index, now)
            decided.update(found.decisions)
            self.people = found.people
            if settings.is_newcomer(found.card, now):
                self.newcomer_until = found.card.open_since + settings.newcomer
            raise _OnlyLooked

        try:
            self._resolve()
            index = self._sealing.index()
            self._house.holders.settled(lambda: self._house.engine.write(look).result())
        except _OnlyLooked:
            return decided
        finally:
            self.abort()
        raise AssertionError("looking always ends by undoing")

    def _examine(self) -> None:
        """Hear what the scanners say; nothing is durable before."""
        if self._scan is not None:
            self._scan.finish()

    def _resolve(self) -> None:
        self._people = self._house.addressees.resolve(self._envelope.recipients)

    def _check_author(self, octets: bytes) -> None:
        if self._origin != "smtp":
            return  # our own pages wrote this header
        own = self._author.aliases
        if self._envelope.reverse_path:
            sender = canonical_or_none(self._envelope.reverse_path)
            if sender not in own:
                raise NotAuthor(
                    Sentence(
                        "You are signed in as %(address)s; MAIL FROM must be that address.",
                        address=self._author.address,
                    )
                )
        mailbox = single_author(octets)
        if canonical_or_none(mailbox.address) not in own:
            raise NotAuthor(
                Sentence(
                    "You are signed in as %(address)s; the From line must be that address.",
                    address=self._author.address,
                )
            )

    @property
    def _durable(self) -> Sealed:
        if self._sealed is None:
            raise RuntimeError("a draft is filled into rows before it was sealed")
        return self._sealed

    def _close_for(self, batch: list[str]) -> None:
        """Do what `_close` does without a flush, and name to the *batch* what it has to flush."""
        self._close(flush=False)
        batch.extend(self._durable.blobs)

    def _close(self, *, flush: bool = True) -> None:
        """Seal the last octets and make them durable; what is known then fits into one transaction."""
        self._sealed = self._sealing.close(self._author.organisation, flush=flush)
        if self._origin == "smtp":
            self._macs = self._resend_macs()

    def _resend_macs(self) -> list[bytes]:
        """Return the HMAC of this very submission under today's and yesterday's day key, today's first."""
        people, digest = sorted(self._people), self._sealing.digest()
        what = msgspec.msgpack.encode((self._author.account, self._envelope.reverse_path, people, digest))
        by_day = self._house.resend_keys()
        return [hmac.digest(by_day[day], what, "sha256") for day in sorted(by_day, reverse=True)]

    def _committed(self, admitted: Admitted, used: set[int]) -> Admitted:
        self._house.epochs.confirm(used)
        metrics.count("messages_repeated" if admitted.repeated else "messages_accepted", origin=self._origin)
        if admitted.repeated:
            self._house.vault.discard(*self._durable.blobs)  # litter now; upkeep would sweep it later
        else:
            self._house.wake()
        return admitted

    # What follows runs inside the transaction, and may run again after a failed batch.

    def _fill(self, rows: Rows, used: set[int]) -> Admitted:
        house, author, sealed, now = self._house, self._author, self._durable, self._house.clock.now()
        sender = house.deciding.sender(rows, author, self._macs)
        earlier = self._earlier(rows, sender, now)
        if earlier is not None:
            return Admitted(earlier, {}, repeated=True)
        decided = self._decide(rows, sender, sealed.index, now)
        card, thread, people, decisions = decided.card, decided.thread, decided.people, decided.decisions
        check_refused(decisions)
        check_size(decided.held, sealed.size)
        check_caps(rows, house.settings, decided.held, author, card, people, now)
        life = life_of(decided.of_thread, self._life)
        begins = now if self._plan is None else self._plan.starts
        asks = self._plan is None or self._plan.way != "none"
        making = Making(
            house.epochs,
            self._ids,
            house.random,
            house.settings.domain,
            house.holders.anchored(),
            self.message,
            thread,
            card,
            author,
            sealed.keys,
            begins,
            used,
        )
        if sender.address is None or sender.account != author.account:
            raise Temporary("Your address is not ready yet. Try again in a minute.")
        own = sender.address
        mac = self._macs[0] if self._macs else None
        making.message(sealed.index, own, sealed.size, self._origin, self._received(now), mac, life)
        making.contents(sealed.contents)
        making.grant_author()
        shown = {canonical_or_none(each.address) for each in (*sealed.index.to, *sealed.index.cc)}
        for person in people:
            named = {person.canonical, canonical_or_none(person.asked.address)}  # theirs, or our token for them
            making.recipient(person, decisions[person.canonical], bool(named & shown), self._envelope)
        making.grant_archives([house.deciding.archive(rows, author, sender, org) for org in making.archives(people)])
        held = {author.organisation: decided.held, thread.organisation: decided.of_thread}
        for copy in house.journalling.copies(
            rows, author, people, lambda org: held.get(org) or house.policies.of(rows, org), self.message, now
        ):
            making.journal(copy.address, copy.card, copy.form)
        if author.account == thread.subscriber:
            making.receipt([each for each in people if asks and needs_code(each, decisions[each.canonical])], own)
        making.write(rows)
        if author.account != thread.subscriber and not thread.new:
            about = thread.parent or thread.id
            hooking.ring(rows, thread.subscriber, "replied", about, now, house.random)
        if self._plan is not None:
            plans.add(rows, thread.organisation, self.message, begins, self._plan.tell, self._plan.way)
        audit.append(
            rows,
            thread.organisation,
            now,
            account_holder(author.account),
            "message.sealed",
            str(self.message),
            {"size": sealed.size, "recipients": len(people), "origin": self._origin},
        )
        return Admitted(self.message, decisions)

    def _decide(self, rows: Rows, sender: cards.Sender, index: mime.Index, now: int) -> Decided:
        return self._house.deciding.decide(
            rows, self._author, sender, self._people, self._parent, index, now, self._visits, self._origin == "trial"
        )

    def _earlier(self, rows: Rows, sender: cards.Sender, now: int) -> int | None:
        """Return the message that this one repeats, if it does: the same mail sent again, or the same form."""
        if sender.sent_before:
            earlier = messages.resent(rows, self._author.account, self._macs, now - RESEND_WINDOW)
            if earlier is not None:
                return earlier
        if self._nonce is None:
            return None
        return messages.use_nonce(rows, self._author.organisation, self._author.account, self._nonce, self.message, now)

    def _received(self, now: int) -> bytes:
        """Return our trace field (RFC 5321 §4.4), without the client's address: it rests outside the seal."""
        stamp = _stamp(now // 1000)
        how = f"with {self._envelope.protocol} id {self.message}"
        return f"Received: by {self._house.settings.hostname} (CryptnSend) {how};\r\n {stamp}\r\n".encode("ascii")


@lru_cache(maxsize=4)
def _stamp(second: int) -> str:
    """Write a time as RFC 5322 §3.3 does; remembered, as every message of a second has the same."""
    return formatdate(second, usegmt=False)
