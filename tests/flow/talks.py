"""Somebody who wrote to somebody, both with mail programs: what tests of answers by ordinary mail begin with."""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.model import account_holder
from cryptnsend.core.seal import open_sealed
from cryptnsend.flow.adoption import NEWEST
from cryptnsend.store.records import grants, listing
from tests.flow.conftest import Desk
from tests.flow.inbound_door import Door
from tests.support.domains import signed

ANN, PAT, EVE = "ann@gmail.example", "pat@yahoo.example", "eve@evil.example"
SECRET = "Walrusine"
QUOTED = "> Canaryvale: all is well."


class Talk:
    """Ann wrote to Pat, who opened it; both have mail programs, and a house in between."""

    def __init__(self, desk: Desk, organisation: int | None = None):
        self.desk, self.house, self.door = desk, desk.house, Door(desk.house)
        self.house.add_subscriber(ANN, organisation=organisation)
        self.message = self.house.submit(ANN, [PAT], self.house.mail("Results", "Canaryvale: all is well."))
        self.pat = self.house.register(PAT, self.message)
        desk.deliver()
        self.before = len(desk.answers.sent)

    @property
    def domain(self) -> str:
        return self.house.config.server.domain

    def mailed(self, recipient: str) -> Sequence[str]:
        """Deliver, and return every mail to *recipient* since the start, whole."""
        self.desk.deliver()
        sent = self.desk.answers.sent[self.before :]
        return [octets.decode("latin-1") for envelope, _, octets in sent if envelope.recipient == recipient]

    def to_ann(self) -> str:
        """Return the address by which Pat answers Ann's message."""
        return self.house.reply_token(self.message, ANN)

    def answer(self, to: str, author: str = PAT, *, sign: bool = True, more: str = "", text: str = SECRET) -> bytes:
        """Return an answer as a mail program and its provider send it."""
        octets = self.house.mail(
            "Re: Ann sent you a secure message", f"{text}\r\n\r\n{QUOTED}", author=author, to=[to], more=more
        )
        return signed(octets, author.rpartition("@")[2], self.house.clock.now()) if sign else octets

    def messages(self, state: str = "sealed") -> list[int]:
        rows = self.house.engine.query("SELECT id FROM messages WHERE state = :state ORDER BY id", state=state)
        return [row["id"] for row in rows]

    def kept_text(self, account: str = ANN) -> str:
        """Return the newest mail that is kept for somebody, opened with their own seeds."""
        house, session = self.house, self.house.session(account)
        row = grants.page(house.engine, account_holder(session.account), "kept", NEWEST, 1)[0]
        content = house.portal.opener.keys(session, row)
        found = listing.content(house.engine, row["org"], row["message"], "raw")
        assert found is not None
        return open_sealed(content, row["message"], "raw", found["body"]).decode()
