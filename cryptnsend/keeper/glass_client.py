"""How is the keeper asked about archives? Glass breaks and manifests, as methods that `client.Keeper` has."""

from __future__ import annotations

from cryptnsend.keeper import requests as q
from cryptnsend.keeper.channel import Channel


class GlassRequests(Channel):
    """The requests about archives; which role may make them stands with each."""

    def glass_ask(
        self, ticket: bytes, k: bytes, code: str, mailbox: str, reason: str, minutes: int, second: str = ""
    ) -> q.GlassOpened:
        """
        Begin a glass break; raise `Denied`, `WrongSecret`, `NoGrant`, `Throttled` (portal, owner).

        *second* is the address of the officer who is to agree, where two are needed.
        """
        asked = {"mailbox": mailbox, "reason": reason, "minutes": minutes, "second": second}
        return self._ask(q.GlassOpened, "glass_ask", ticket=ticket, k=k, code=code, **asked)

    def glass_agree(self, ticket: bytes, k: bytes, code: str, ident: int) -> q.GlassBreak:
        """
        Say yes to the glass break of an officer who named this one (portal, owner).

        Raise `Denied`, `Ended`, `WrongSecret`.
        """
        return self._ask(q.GlassBreak, "glass_agree", ticket=ticket, k=k, code=code, ident=ident)

    def glass_open(self, ticket: bytes, k: bytes, code: str, ident: int) -> q.GlassOpened:
        """Open a glass break that another officer agreed to; raise `Denied`, `Ended`, `WrongSecret`."""
        return self._ask(q.GlassOpened, "glass_open", ticket=ticket, k=k, code=code, ident=ident)

    def glass_end(self, ticket: bytes, ident: int) -> q.GlassBreak:
        """End a glass break before its time (portal, owner)."""
        return self._ask(q.GlassBreak, "glass_end", ticket=ticket, ident=ident)

    def glass_running(self, ticket: bytes, ident: int) -> q.GlassBreak:
        """Return one's own glass break that is open now; raise `Ended`, `Denied` (portal, owner)."""
        return self._ask(q.GlassBreak, "glass_running", ticket=ticket, ident=ident)

    def glass_export(self, ticket: bytes, ident: int, entries: int, digest: bytes) -> q.Witnessed:
        """Sign the list of an export while its glass break is open (portal, owner)."""
        return self._ask(q.Witnessed, "glass_export", ticket=ticket, ident=ident, entries=entries, digest=digest)

    def glass_rule(self, organisation: int, two: bool) -> None:
        """Set whether glass breaks need a second officer (owner)."""
        self._ask(type(None), "glass_rule", organisation=organisation, two=two)

    def glass_two(self, ticket: bytes, k: bytes, code: str) -> None:
        """Let glass breaks need a second officer from now on, as an officer (portal)."""
        self._ask(type(None), "glass_two", ticket=ticket, k=k, code=code)

    def glass_takes_two(self, ticket: bytes) -> bool:
        """Say whether glass breaks of one's organisation need a second officer (portal)."""
        return self._ask(bool, "glass_takes_two", ticket=ticket)

    def officer_step(self, ticket: bytes, k: bytes, code: str) -> None:
        """Check an officer's password and number, and give nothing; raise `Denied`, `WrongSecret` (portal)."""
        self._ask(type(None), "officer_step", ticket=ticket, k=k, code=code)

    def manifest_fits(self, organisation: int, seq: int, head: bytes) -> bool:
        """Say whether an archive's manifest is the one that was signed, and note nothing (portal)."""
        return self._ask(bool, "manifest_fits", organisation=organisation, seq=seq, head=head)

    def recovery_ticket(self, pair: int) -> bytes:
        """Return a ticket for an export, sealed to an archive's pair; raise `Denied` (owner)."""
        return self._ask(bytes, "recovery_ticket", pair=pair)

    def recovered(self, ticket: bytes) -> q.Recovered:
        """Return whose archive a recovery file opened, and until when; raise `Denied`, `Ended` (owner)."""
        return self._ask(q.Recovered, "recovered", ticket=ticket)

    def recovered_export(self, ticket: bytes, entries: int, digest: bytes) -> q.Witnessed:
        """Sign the list of an export that a recovery file opened, while its time lasts (owner)."""
        return self._ask(q.Witnessed, "recovered_export", ticket=ticket, entries=entries, digest=digest)

    def manifest(self, organisation: int, seq: int, head: bytes) -> q.Witnessed:
        """Note how far an archive's manifest has come and sign it; raise `Denied` for another one (courier, owner)."""
        return self._ask(q.Witnessed, "manifest", organisation=organisation, seq=seq, head=head)
