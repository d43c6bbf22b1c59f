"""People for the attacks: a clinic, a patient, and Eve, who is as strong as a stranger can honestly become."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptnsend.core.errors import CryptnSendError
from cryptnsend.flow.parcels import Moot
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import deliveries
from tests.support.house import House

ANN, BOB, PAT, EVE = "ann@gmail.example", "bob@clinic.example", "pat@yahoo.example", "eve@evil.example"
OFFICER = "officer@theclinic.example"
SECRET = "Canaryvale: haemochroma 7741"


@dataclass
class World:
    """
    A house with Ann and Bob of one organisation, its officer, Pat who proved Ann's contact, and Eve.

    Eve is as strong as a stranger can honestly become: a subscriber of her own, and a patient of Ann's who showed
    Ann's code. Whatever opens for Eve beyond what was sent to her is a hole.
    """

    house: House
    clinic: int
    people: dict[str, int] = field(default_factory=dict)

    def write(self, author: str, *to: str, text: str = SECRET, more: str = "", subject: str = SECRET) -> int:
        """Submit a mail and return the message's id."""
        mail = self.house.mail(subject, text, author=author, to=to, more=more)
        return self.house.submit(author, to, mail)

    def reads(self, session: Session, message: int) -> bool:
        """Say whether this session is shown the message, in any of the ways there are."""
        pickup, found = self.house.pickup, False
        attempts: list[Callable[[], Any]] = [
            lambda: pickup.show(session, message).text,
            lambda: b"".join(pickup.eml(session, message).chunks).decode("latin-1"),
            lambda: b"".join(pickup.zip(session, message, "x" * 20)) and SECRET,
            lambda: pickup.status(session, message).subject,
        ]
        for attempt in attempts:
            try:
                found = SECRET in (attempt() or "") or found
            except CryptnSendError:
                continue
        return found

    def lists(self, session: Session) -> str:
        """Return every word that this session's lists show."""
        received, sent = self.house.pickup.list(session), self.house.pickup.sent(session)
        return " ".join([*(str(each.subject) for each in received), *(each.subject for each in sent)])


def mails(house: House, kind: str, address: str) -> list[str]:
    """Return the texts of the mails of a kind that wait to leave for an address, composed as the courier does."""
    now = house.clock.now()
    claimed = house.engine.write(lambda rows: deliveries.claim(rows, "w", now, 60_000, 500)).result()
    found = []
    for row in claimed:
        if row["kind"] != kind:
            continue
        try:
            letter = house.courier.letters.compose(row)
        except Moot:
            continue
        for link in letter.links:
            house.keep(link.row, row["org"])
        if letter.recipient == address:
            assert isinstance(letter.octets, bytes)
            body = email.message_from_bytes(letter.octets, policy=email.policy.default).get_body(("plain",))
            assert body is not None
            found.append(str(body.get_content()))
    return found
