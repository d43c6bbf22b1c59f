"""The door for other servers without its sockets: mail is brought to a house, and the reply is what SMTP would say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from cryptnsend.core.errors import Refusal, Temporary
from cryptnsend.submission.contract import Envelope, Peer, Rcpt
from tests.support.domains import GOOD_HOST, Domains
from tests.support.house import House


class Door:
    """Brings mail to the `inbound` role of a house."""

    def __init__(self, house: House):
        self.house, self.domains = house, Domains()
        vars(house.inbound)["names"] = self.domains
        self.flow = house.inbound.inbound

    def bring(
        self,
        octets: bytes,
        *recipients: str,
        sender: str = "pat@yahoo.example",
        source: str = GOOD_HOST,
        tls: str = "TLSv1.3",
        piece: int = 1000,
    ) -> str:
        """Bring a mail; return the reply, as "250 2.0.0", or the refusal with its words."""
        self.house.clock.forward(1)
        try:
            return asyncio.run(self._bring(octets, recipients, sender, source, tls, piece))
        except (Refusal, Temporary) as problem:
            return f"{problem.code} {problem.status} {problem}"

    async def _bring(
        self, octets: bytes, recipients: Sequence[str], sender: str, source: str, tls: str, piece: int
    ) -> str:
        async def in_thread(work: Callable[[], None]) -> None:
            await asyncio.get_running_loop().run_in_executor(None, work)

        found = [self.flow.recipient(each) for each in recipients]
        assert len({each.group for each in found}) == 1
        envelope = Envelope(sender, tuple(map(Rcpt, recipients)), Peer(source, "mx.yahoo.example", tls))
        arriving = self.flow.begin(envelope, found, in_thread)
        end = octets.index(b"\r\n\r\n") + 4
        try:
            arriving.header(octets[:end])
            for at in range(end, len(octets), piece):
                waiting = arriving.body(octets[at : at + piece])
                if waiting is not None:
                    await waiting
            words = await arriving.commit()
        except BaseException:
            arriving.abort()
            raise
        assert words == "Taken."
        return "250 2.0.0"

    def bounce_address(self, kind: str = "notice") -> str:
        """Return the envelope sender of the newest delivery of a kind, as the courier would mail it."""
        row = self.house.queued(kind)[-1]
        token = self.house.keeper("courier").bounce(row["id"])
        self.house.keep(token.row, row["org"])
        return f"b+{token.token}@{self.house.config.server.domain}"

    def kept(self) -> list[tuple[str, int | None]]:
        """Return (reason, message it answers) of each mail that is kept apart, oldest first."""
        rows = self.house.engine.query(
            "SELECT r.reason, m.parent FROM messages m JOIN recipients r ON r.message = m.id WHERE m.state = 'kept'"
            " ORDER BY m.id"
        )
        return [(row["reason"], row["parent"]) for row in rows]
