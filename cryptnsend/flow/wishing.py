"""What may a subscriber choose for all that they send: how it is opened, and which mails about it they get?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import MappingProxyType

from cryptnsend.core.addresses import canonical
from cryptnsend.core.cards import read_card
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, Refusal, Sentence
from cryptnsend.core.model import account_holder
from cryptnsend.core.typed import read_people
from cryptnsend.flow.people import People
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import wishes

# What somebody gets who never said anything. Replies are not among these: the form they come in is the profile's.
USUAL = MappingProxyType({"opened": False, "bounced": True, "code-failed": True, "new-sign-in": True})
WARNING = "new-sign-in"  # whoever turns it off is told so, for it may not have been the owner


class Wishing(People):
    """Choices that hold until they are changed."""

    def usual_way(self, session: Session) -> str:
        """Return what this subscriber lets stand in for their code where they do not choose: code, mail."""
        return self._keeper.usual_way(session.ticket)

    def set_usual_way(self, session: Session, way: str, password: str, source: str) -> None:
        """
        Choose that for what is sent from now on; what was sent before keeps what it had, or asks for the code.

        Raises WrongSecret where less than the code is chosen without the password, so that nobody turns it on who only
        found a browser open; Denied where the server does not allow it, and after a reset by mail.
        """
        if way == self.usual_way(session):
            return
        if way != "code":
            self._confirmed(session, password, source)
        self._keeper.allow(session.ticket, 0, way)
        self._note(session, "code.usual", {"instead": way})

    def may_have_friends(self, session: Session) -> bool:
        """Say whether the rules let this subscriber's family and friends get ordinary mail."""
        held = self._policies.now(session.organisation)
        return held.may_have_friends(session.addresses, session.roles)

    def friends(self, session: Session) -> Sequence[str]:
        """Return whom this subscriber's mail goes to as ordinary mail, by what the keeper says of the account."""
        signed, key = self._keeper.card(account_holder(session.account)), self._keeper.anchors().card_key
        return () if signed is None else read_card(signed, key).friends

    def set_friends(self, session: Session, typed: str, password: str, source: str) -> None:
        """
        Choose these people, as somebody typed them; the owner of the account is told by mail.

        Raises Refusal for what is no address, WrongSecret, Throttled, and Denied after a reset by mail, or for somebody
        more than before where the organisation's rules are against it.
        """
        read = read_people(typed)
        if read.wrong:
            raise Refusal(Sentence("This is no address: %(typed)s. Correct it, or take it out.", typed=read.wrong[0]))
        named = list(dict.fromkeys(canonical(each.address) for each in read.people))
        before = self.friends(session)
        if {*named} - {*before} and not self.may_have_friends(session):
            raise Denied(
                "Your organisation locks what you send to family and friends, too, so that nobody can be added here."
                " Ask an officer whether you may have them."
            )
        k = self._confirmed(session, password, source)
        opened = self._keeper.set_friends(session.ticket, k, named)
        added, removed = sorted({*named} - {*before}), sorted({*before} - {*named})
        self._take(
            opened, "account.friends", {**session.origin, "count": len(named), "added": added, "removed": removed}
        )
        self._alert(session.account, "friends-changed")

    def mails(self, session: Session) -> dict[str, bool]:
        """Return which mails about what they send this subscriber gets."""
        return {**USUAL, **wishes.of(self._engine, session.account)}

    def set_mails(self, session: Session, wanted: Collection[str]) -> None:
        """Choose which mails these are."""
        before = self.mails(session)
        after = {mail: mail in wanted for mail in USUAL}
        if after == before:
            return

        def write(rows: Rows) -> None:
            wishes.keep(rows, session.organisation, session.account, after)
            detail: dict[str, object] = {"wanted": sorted(mail for mail in after if after[mail])}
            self._did(rows, session, "account.mails", detail)

        self._engine.write(write).result()
        if before[WARNING] and not after[WARNING]:
            self._alert(session.account, "mails-fewer")
