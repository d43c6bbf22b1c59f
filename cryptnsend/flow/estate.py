"""What belongs to being somebody here? Further addresses, senders one does not want, and the end of the account."""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.model import account_holder
from cryptnsend.flow import closing
from cryptnsend.flow.destinations import human
from cryptnsend.flow.noting import note_act
from cryptnsend.flow.people import People, canonical_or_nobody
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views_accounts import Blocked, Started
from cryptnsend.store.records import audit, listing, messages, oversight


class Estate(People):
    """What somebody who is signed in adds to their account, keeps away from it, and ends it by."""

    # -- further addresses --------------------------------------------------------------------------------------------

    def start_alias(self, session: Session, address: str, source: str) -> Started:
        """
        Mail a code to another address of who is signed in; the same answer for every address.

        Raises Denied for one they have already, or that is none, and Throttled.
        """
        name = canonical_or_nobody(address)
        if name == canonical_or_nobody(""):
            raise Denied("This is not an address. It looks like ann@example.org.")
        if name in session.addresses:
            raise Denied("This address is yours already.")
        return self._mail_code(address, "alias", source, session.locale)

    def finish_alias(self, session: Session, ident: int, code: str) -> None:
        """Take the mailed code: the address is theirs. It proves no contact. Raises WrongSecret, Ended, Denied."""
        opened = self._keeper.alias(session.ticket, ident, code)
        self._take(opened, "account.address-added", session.origin)
        self._alert(session.account, "address-added")

    # -- senders one does not want ------------------------------------------------------------------------------------

    def blocked(self, session: Session) -> Sequence[Blocked]:
        """Return the senders whose mail is refused for this account."""
        rows = oversight.senders(self._engine, session.account, "blocked")
        return [Blocked(row["id"], row["name"], row["display"] or "", row["canonical"]) for row in rows]

    def block(self, session: Session, message: int, *, report: bool) -> None:
        """
        Refuse what the sender of a message writes from now on; *report* tells their officers and the operator.

        The first report of a message is mailed to them, as long as they are neither who sent it nor who reports it.
        What came before stays. Raises NoGrant if the message is not one that was sent to this account.
        """
        about, mine = listing.message(self._engine, message), listing.mine(self._engine, session.account, message)
        if about is None or mine is None or not about["author"] == about["subscriber"] != session.account:
            raise NoGrant("There is nothing here.")
        now, holder = self._clock.now(), account_holder(session.account)

        def write(rows: Rows) -> None:
            if oversight.block(rows, session.account, about["subscriber"]):
                note_act(rows, session, session.organisation, now, "sender.blocked", str(about["subscriber"]), {})
            if report:
                audit.append(rows, about["org"], now, holder, "sender.reported", str(message), {})
                if not oversight.is_reported(rows, message):
                    messages.add_deliveries(rows, told)

        told = self._told_of(message, about["org"], {about["author"], session.account}) if report else []
        self._engine.write(write).result()
        self._wake()

    def _told_of(self, message: int, org: int, but: set[int]) -> list[messages.Delivery]:
        """Return the mails about a report: to the officers of an organisation and to who answers for the server."""
        operator = human(self._engine, self._settings.postmaster)
        people = dict.fromkeys((*oversight.officers(self._engine, org), *([] if operator is None else [operator])))
        return [self._mail("alert", "reported", each, message) for each in people if each not in but]

    def unblock(self, session: Session, contact: int) -> None:
        """Take a sender's mail again; raise NoGrant if none such is blocked."""

        def write(rows: Rows) -> None:
            if not oversight.unblock(rows, session.account, contact):
                raise NoGrant("There is nothing here.")
            self._did(rows, session, "sender.unblocked", {"contact": contact})

        self._engine.write(write).result()

    # -- the end ------------------------------------------------------------------------------------------------------

    def close(self, session: Session, password: str, source: str) -> None:
        """
        Close the account for good: no sign-in, no keys, its addresses free again.

        The keeper goes first: from then on nothing opens. Rows follow, and upkeep shreds what the account held. The
        owner is told by mail, at the account's original address.
        Raises WrongSecret, Throttled, or Denied for an account whose password was reset by mail only.
        """
        k = self._confirmed(session, password, source)
        now, org, account = self._clock.now(), session.organisation, session.account
        # Should this process end between the keeper and the rows, upkeep asks the keeper and writes the rows.
        self._engine.write(lambda rows: oversight.mark(rows, org, account, oversight.CLOSING, now)).result()
        told = self._mail("alert", "account-closed", self._keeper.close_account(session.ticket, k))
        self._engine.write(lambda rows: closing.follow(rows, org, account, now, told)).result()
        self._wake()
