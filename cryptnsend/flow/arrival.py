"""What does a link tell, and what does the sender's code open? From the notice to the first page that shows anything.

No link opens anything and looking at its page changes nothing, so mail scanners may follow it as often as they like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from cryptnsend.core import tokens
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Ended, NoGrant, WrongSecret
from cryptnsend.core.mime import Index
from cryptnsend.core.model import Random, account_holder, address_holder, new_id
from cryptnsend.core.names import safe_display_name
from cryptnsend.flow import holdings
from cryptnsend.flow.account import Proof
from cryptnsend.flow.adoption import Adoption
from cryptnsend.flow.mainrows import new_phrase, write_card, write_contact
from cryptnsend.flow.noting import note_act
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.throttling import Throttle
from cryptnsend.flow.views import Waiting
from cryptnsend.keeper import requests
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import accounts, audit, cards, links, listing, messages, oversight, wishes

DAY = 86_400_000  # milliseconds
FAILED = "code-failed"  # the mail that says so
DEAD_LINK = "This link opens nothing. Open the one in the newest message, or ask the sender to send it again."


class Arrival:
    """Links and proofs, for newcomers and for who is signed in."""

    def __init__(
        self,
        *,
        engine: Engine,
        keeper: Keeper,
        adoption: Adoption,
        throttle: Throttle,
        clock: Clock,
        random: Random,
        undo: int,
        wake: Callable[[], None],
    ):
        """*undo*: milliseconds for which what was taken back can be given back; *wake* tells the courier of a mail."""
        self._engine, self._keeper, self._adoption, self._throttle = engine, keeper, adoption, throttle
        self._clock, self._random, self._undo, self._wake = clock, random, undo, wake

    def waiting(self, token: str) -> Waiting:
        """
        Return what a link says without any proof. Raises Ended alike for unknown, forged and outdated links.

        Changes nothing, so that mail scanners may follow the link as often as they like.
        """
        link = self._link(token)
        message = listing.message(self._engine, link["message"])
        if message is None:
            raise Ended(DEAD_LINK)
        row = listing.recipient(self._engine, link["message"], link["address"])
        account = row["account"] if row and row["account_state"] in ("active", "weak") else None
        held = holdings.held(self._engine, holdings.at_address(self._engine, link["address"], account), link["message"])
        state, ended = self._state(message, [each for each in held if each["role"] == "recipient"], row)
        return Waiting(
            message=message["id"],
            sender_name=sender_name(message),
            sender_address=message["display"],
            phone=message["phone"],
            organisation=message["organisation"],
            sent=message["created"],
            to=link["address"],
            display_id=row["display_id"] if row else "",
            state=state,
            has_account=account is not None,
            phrase=(row["phrase"] or "") if row else "",
            ended=ended,
            digits=self._keeper.digits(token, claims_of(link)),
            way=self._keeper.way_of(token, claims_of(link)) if state == "new" else "code",
            org=message["look_org"],
        )

    def prove(self, token: str, code: str, source: str, language: str = "") -> Proof:
        """
        Check a sender's code for a newcomer, whose check words are of *language*.

        Raises WrongSecret with the tries left, Ended, or Throttled.
        """
        link = self._link(token)
        self._throttle.check(link["address"], source)
        try:
            proof = self._keeper.prove(token, claims_of(link), code)
        except WrongSecret:
            self._wrong(link, source)
            raise
        except Ended:
            self._used_up(link)
            raise
        # Whoever has an account may yet sign in to it, and know their mails by the words agreed with it.
        self._proven(link, language, anew=proof.may_register and not proof.has_account)
        return Proof.of(proof)

    def agree(self, token: str, language: str = "") -> None:
        """
        Agree on check words with somebody who showed the code and is about to take the address from another account.

        Nobody knows these words who had the address before. Raises Ended for a link that is none of ours.
        """
        link, now = self._link(token), self._clock.now()

        def write(rows: Rows) -> None:
            known = cards.address(rows, link["address"])
            if known is not None:
                accounts.renew_phrase(rows, known[0], link["subscriber"], new_phrase(self._random, language))
            audit.append(
                rows, link["org"], now, address_holder(link["address"]), "contact.anew", str(link["message"]), {}
            )

        self._engine.write(write).result()

    def prove_as(self, session: Session, token: str, code: str, source: str) -> None:
        """Check a sender's code for somebody signed in, and bring what waited for it; errors as `prove`."""
        link = self._link(token)
        self._prove(
            session,
            link,
            code,
            source,
            lambda: self._keeper.prove_session(session.ticket, token, claims_of(link), code),
        )

    def awaited(self, session: Session, message: int) -> Waiting:
        """Return what is known of a message that needs its sender's code, to whom it waits for; raise NoGrant."""
        about, mine = self._of(session, message)
        return Waiting(
            message=message,
            sender_name=sender_name(about),
            sender_address=about["display"],
            phone=about["phone"],
            organisation=about["organisation"],
            sent=about["created"],
            to=mine["canonical"],
            display_id=mine["display_id"],
            state="left" if self._has_left(about) else "new",
            has_account=True,
            digits=self._keeper.own_digits(session.ticket, mine["canonical"], about["subscriber"]),
            org=about["look_org"],
        )

    def prove_message(self, session: Session, message: int, code: str, source: str) -> None:
        """Check the sender's code for a message in the list of who is signed in; errors as `prove`, and NoGrant."""
        about, mine = self._of(session, message)
        address, subscriber = mine["canonical"], about["subscriber"]
        place = {"address": address, "subscriber": subscriber, "message": message, "org": about["org"]}
        self._prove(
            session, place, code, source, lambda: self._keeper.prove_own(session.ticket, address, subscriber, code)
        )

    def _of(self, session: Session, message: int) -> tuple[Row, Row]:
        """Return a message that waits for this session's account, and how it stands among the recipients."""
        about, mine = listing.message(self._engine, message), listing.mine(self._engine, session.account, message)
        if about is None or mine is None:
            raise NoGrant("There is nothing here.")
        held = holdings.held(
            self._engine, holdings.at_address(self._engine, mine["canonical"], session.account), message
        )
        if not any(each["state"] == "active" and each["role"] == "recipient" for each in held):
            raise NoGrant("There is nothing here.")
        return about, mine

    def _prove(
        self, session: Session, link: Row, code: str, source: str, ask: Callable[[], requests.ContactRow]
    ) -> None:
        """Let the keeper judge a code, and bring what waited for it."""
        self._throttle.check(link["address"], source)
        try:
            contact = ask()
        except WrongSecret:
            self._wrong(link, source)
            raise
        except Ended:
            self._used_up(link)
            raise
        # The address may be new to the account, and the account may be weak no more: the card says both.
        signed, key = self._keeper.card(account_holder(session.account)), self._keeper.anchors().card_key
        now = self._clock.now()

        def write(rows: Rows) -> None:
            if signed is not None:
                card = write_card(rows, signed, key, now, self._random)
                accounts.set_state(rows, card.account, "weak" if card.weak else "active")
            if contact.statement:
                write_contact(rows, contact, now, self._random)
            note_act(rows, session, link["org"], now, "code.proven", str(link["message"]), {})

        self._engine.write(write).result()
        addresses = {*session.addresses, contact.address}
        self._adoption.adopt(session.account, sorted(addresses), session.seeds, session.ticket)

    def adopt(self, session: Session) -> int:
        """Bring whatever waits for who is signed in; return how many messages came."""
        return self._adoption.adopt(session.account, session.addresses, session.seeds, session.ticket)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _link(self, token: str) -> Row:
        """Return the row of a link that the keeper confirms; raise Ended."""
        parts = tokens.split(token)
        row = links.link(self._engine, parts[1]) if parts else None
        if row is None or row["purpose"] != "open" or not self._keeper.link(token, claims_of(row)):
            raise Ended(DEAD_LINK)
        return row

    def _state(self, message: Row, held: Sequence[Row], contact: Row | None) -> tuple[str, int | None]:
        """Return the state of what a link names, and when it ended if it did."""
        if not any(each["state"] == "active" for each in held):
            if is_over(message, self._clock.now()):
                return "expired", message["expires"]
            if not held and not audit.was_recalled(self._engine, message["org"], message["id"]):
                return "closed", None
            taken = [each["ends"] for each in held if each["ends"]]
            return "suspended", max(taken) - self._undo if taken else None
        own = any(
            each["pair_role"] == "account"
            and each["pair_state"] in ("current", "retired")
            and contact is not None
            and each["holder"] == account_holder(contact["account"] or 0)
            for each in held
        )
        proven = contact is not None and contact["account"] is not None and contact["proven_by"] == contact["account"]
        if own or (proven and contact is not None and contact["contact"] in ("proven", "waived")):
            return "known", None
        return ("left" if self._has_left(message) else "new"), None

    def _has_left(self, message: Row) -> bool:
        """Say whether nobody can tell a code for this message any more, because its subscriber closed the account."""
        account = accounts.account(self._engine, message["subscriber"])
        return account is not None and account["state"] == "closed"

    def _proven(self, link: Row, language: str, *, anew: bool, how: str = "") -> None:
        """
        Note a proof, and agree on the words that mails to this person will carry, before a password is chosen.

        Who is about to make an account (*anew*) gets words that nobody knows who had the address before.
        """
        now, holder = self._clock.now(), address_holder(link["address"])

        def write(rows: Rows) -> None:
            known = cards.address(rows, link["address"])
            if known is not None:
                phrase, owner = accounts.contact_phrase(rows, known[0], link["subscriber"])
                if anew and (not phrase or owner is not None):
                    accounts.renew_phrase(rows, known[0], link["subscriber"], new_phrase(self._random, language))
            detail = {"how": how} if how else {}
            audit.append(rows, link["org"], now, holder, "code.proven", str(link["message"]), detail)

        self._engine.write(write).result()

    def _wrong(self, link: Row, source: str) -> None:
        """Count a wrong code, the same one too: the audit trail must not grow with whoever repeats it for ever."""
        self._note(link["org"], address_holder(link["address"]), "code.wrong", link["message"])
        self._throttle.failed(link["address"], source)

    def _used_up(self, link: Row) -> None:
        """Tell the author whose code works no more, once a day for each recipient, unless they want no such mail."""
        now = self._clock.now()

        def write(rows: Rows) -> bool:
            known, about = cards.address(rows, link["address"]), oversight.author_of(rows, link["message"])
            if known is None or about is None or wishes.is_unwanted(rows, about, FAILED):
                return False
            if oversight.asked_since(rows, link["message"], known[0], now - DAY, (FAILED,)):
                return False
            mail = messages.Delivery(
                new_id(now, self._random), link["org"], "alert", "", link["message"], known[0], about, FAILED,
                "", "{}", "opportunistic", now, None, None, now,
            )  # fmt: skip
            messages.add_deliveries(rows, [mail])
            return True

        if self._engine.write(write).result():
            self._wake()

    def _note(self, org: int, actor: str, action: str, message: int) -> None:
        now = self._clock.now()
        self._engine.write(lambda rows: audit.append(rows, org, now, actor, action, str(message), {})).result()


def claims_of(link: Row) -> tokens.Claims:
    """Return what a link's token stands for."""
    return tokens.Claims("open", link["address"], link["subscriber"], link["message"])


def is_over(message: Row, now: int) -> bool:
    return message["expires"] is not None and message["expires"] <= now


def sender_name(message: Row, index: Index | None = None) -> str:
    """Return the author's name from the profile, else as they signed the message, else their address."""
    written = _shown(index.author.name) if index and index.author else ""
    return _shown(message["name"]) or written or str(message["display"])


@lru_cache(maxsize=4096)
def _shown(name: str) -> str:
    """Return a name as it may be shown; remembered, because judging it costs more than the rest of a line of a list."""
    return safe_display_name(name)
