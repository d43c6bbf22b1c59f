"""What becomes of mail that other servers bring to our addresses? Decided before they hear a yes or a no.

A bounce changes the delivery whose token it was sent to. An answer joins its conversation if the domain of its author
vouches for it (DMARC) and its author might have answered on the page; then it is sealed and forwarded like a reply from
there, quoted text included. Any other answer is kept apart for the subscriber, who is told why. What a program wrote is
kept apart, too, and never answered. Nothing is ever mailed to an address that nobody vouches for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.model import Random, new_id
from cryptnsend.delivery.spf import Names
from cryptnsend.flow.admit import Admission, InThread
from cryptnsend.flow.arriving import Arriving, Envelope, ForPeople, Returned
from cryptnsend.flow.bounces import Bounces
from cryptnsend.flow.destinations import NOTICE, Destination, Destinations
from cryptnsend.flow.joining import Answer
from cryptnsend.flow.keeping import DAY, Keeping
from cryptnsend.flow.scanning import Scanning
from cryptnsend.flow.standing import Standings
from cryptnsend.store.records import cards, kept, messages


class Inbound:
    """Takes mail from other servers, for one process. Its pieces are shared; each mail gets an object of its own."""

    def __init__(
        self,
        *,
        destinations: Destinations,
        bounces: Bounces,
        admission: Admission,
        keeping: Keeping,
        standings: Standings,
        engine: Engine,
        names: Names,
        scanning: Scanning,
        clock: Clock,
        random: Random,
        domain: str,
        wake: Callable[[], None],
    ):
        self.destinations, self.bounces, self.admission, self.keeping = destinations, bounces, admission, keeping
        self.standings, self.names, self.clock, self.domain = standings, names, clock, domain
        self.scanning = scanning
        self._engine, self._random, self._wake = engine, random, wake

    def recipient(self, address: str) -> Destination:
        """Return what an address of ours stands for; see `Destinations.find`."""
        return self.destinations.find(address)

    def begin(self, envelope: Envelope, destinations: Sequence[Destination], in_thread: InThread) -> Arriving:
        """Start a mail for destinations of one group; *in_thread* runs what has to wait."""
        kind = destinations[0].kind
        kinds: dict[str, Callable[..., Arriving]] = {"bounce": Returned, "reply": Answer, NOTICE: Answer}
        return kinds.get(kind, ForPeople)(self, envelope, destinations, in_thread)

    def tell(self, template: str, account: int | None, address: str, message: int, subscriber: int) -> None:
        """Tell whoever answered by ordinary mail what became of it; at most once a day (UTC) for one subscriber."""
        now = self.clock.now()

        def write(rows: Rows) -> bool:
            known = cards.address(rows, address)
            org = kept.concerned(rows, message, known[0]) if known is not None else None
            if known is None or org is None:
                return False
            if messages.count(rows, org, subscriber, now // DAY, f"{template} to {known[0]}", 1) > 1:
                return False
            alert = messages.Delivery(
                new_id(now, self._random), org, "alert", "", message, known[0], account, template,
                "", "{}", "opportunistic", now, None, None, now,
            )  # fmt: skip
            messages.add_deliveries(rows, [alert])
            return True

        if self._engine.write(write).result():
            self._wake()
