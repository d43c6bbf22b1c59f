"""How does somebody open a message whose sender lets a code by e-mail stand in for theirs? Asked for, mailed, typed.

What the sender allowed, the keeper knows; what it lets be opened is that one message. The mail goes to the address of
the link and to no other, and has a code and no link, as the notice has a link and no code.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import WrongSecret
from cryptnsend.core.model import INSTALLATION, account_holder, address_holder, new_id
from cryptnsend.flow.account import Proof
from cryptnsend.flow.arrival import Arrival, claims_of
from cryptnsend.flow.people import MAILS, MAILS_IN_ALL, MAILS_TO_ONE
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.throttling import network_of
from cryptnsend.flow.views_accounts import Started
from cryptnsend.store.records import audit, messages


class ByMail(Arrival):
    """Codes by e-mail for one message each, for newcomers and for who is signed in."""

    def mail_code(self, token: str, source: str, language: str = "") -> Started:
        """
        Mail a code for the message of a link, in the *language* of the page; not twice within two minutes.

        Raises Ended for a dead link, Denied where the sender has not allowed it, Throttled.
        """
        link, network = self._link(token), network_of(source)
        self._throttle.ask(MAILS, network or source, MAILS_IN_ALL)
        self._throttle.ask(f"{MAILS} to {link['address']}", network or source, MAILS_TO_ONE)
        proof = self._keeper.mail_open(token, claims_of(link), network)
        if not proof.fresh:
            return Started(proof.id, proof.expires)
        now = self._clock.now()
        mail = messages.Delivery(
            new_id(now, self._random), INSTALLATION, "code", "", None, None, proof.id, "",
            "", "{}", "opportunistic", now, None, None, now, language=language,
        )  # fmt: skip

        def write(rows: Rows) -> None:
            messages.add_deliveries(rows, [mail])
            audit.append(
                rows, link["org"], now, address_holder(link["address"]), "code.mailed", str(link["message"]), {}
            )

        self._engine.write(write).result()
        self._wake()
        return Started(proof.id, proof.expires)

    def prove_mailed(self, token: str, ident: int, code: str, source: str, language: str = "") -> Proof:
        """Check a mailed code for a newcomer; errors as `prove`, and Denied."""
        link = self._link(token)
        self._throttle.check(link["address"], source)
        try:
            proof = self._keeper.prove_mailed(token, claims_of(link), ident, code)
        except WrongSecret:
            self._wrong(link, source)
            raise
        self._proven(link, language, anew=not proof.has_account, how="mail")
        return Proof.of(proof)

    def prove_mailed_as(self, session: Session, token: str, ident: int, code: str, source: str) -> None:
        """Check a mailed code for somebody signed in, and bring the message."""
        link = self._link(token)
        self._throttle.check(link["address"], source)
        try:
            self._keeper.prove_mailed_session(session.ticket, token, claims_of(link), ident, code)
        except WrongSecret:
            self._wrong(link, source)
            raise
        now, holder = self._clock.now(), account_holder(session.account)
        self._engine.write(
            lambda rows: audit.append(
                rows, link["org"], now, holder, "code.proven", str(link["message"]), {"how": "mail"}
            )
        ).result()
        self.adopt(session)
