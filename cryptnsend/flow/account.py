"""How does a person get in, stay in, and get back in? Sign-in, registration, sign-up, resets.

The keeper decides and commits first; main rows follow in one transaction and are repaired at the next sign-in. Known
and unknown addresses get the same work and the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec

from cryptnsend import metrics
from cryptnsend.core import passwords, tokens
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, Ended, SecondStep, WrongSecret
from cryptnsend.core.model import INSTALLATION
from cryptnsend.flow import resetting
from cryptnsend.flow.belongings import Belongings
from cryptnsend.flow.estate import Estate
from cryptnsend.flow.mainrows import take_opened
from cryptnsend.flow.oversight import Oversight
from cryptnsend.flow.passkeys import Passkeys
from cryptnsend.flow.people import Settings, canonical_or_nobody, notice_name
from cryptnsend.flow.sessions import Away, Session
from cryptnsend.flow.views_accounts import SignedIn, Started
from cryptnsend.flow.wishing import Wishing
from cryptnsend.keeper import requests
from cryptnsend.store.records import accounts, invitations, sessions, wishes

__all__ = ["Accounts", "Proof", "Settings"]

LONGEST_NUMBER = 10  # characters; what is longer is a recovery code


@dataclass(frozen=True, slots=True)
class Proof:
    """A sender's code was right. `ticket` is good for making an account within the hour."""

    ticket: bytes = field(repr=False)
    address: str
    has_account: bool
    may_register: bool

    @classmethod
    def of(cls, said: requests.Proof) -> Proof:
        """Put what registration needs into one ticket, so that a page carries nothing else along."""
        ticket = msgspec.msgpack.encode((said.ticket, said.salt, said.address))
        return cls(ticket, said.address, said.has_account, said.may_register)


class Accounts(Belongings, Oversight, Estate, Passkeys, Wishing):
    """Everything about being somebody here. Shared by all requests of a process; thread-safe."""

    # -- in and out ---------------------------------------------------------------------------------------------------

    def sign_in(self, address: str, password: str, source: str, agent: str, trust: bytes = b"") -> str:
        """
        Return the cookie of a new session; raise WrongSecret, or Throttled after too many of them.

        Raises SecondStep for an account that asks for a number, unless *trust* shows a browser that it trusts.
        """
        with metrics.signing_in():
            return self._sign_in(address, password, source, agent, trust)

    def _sign_in(self, address: str, password: str, source: str, agent: str, trust: bytes) -> str:
        name = canonical_or_nobody(address)
        self._throttle.check(name, source)
        judged = self._throttle.judged(name, source)
        k = self._k(judged, password)
        try:
            opened = self._keeper.open_trusted(judged, k, trust) if trust else self._keeper.open(judged, k)
        except SecondStep as asks:
            self._throttle.forgive(name, source)
            raise SecondStep(asks.text, held=self._keeper.hold(judged, k)) from None
        except WrongSecret:
            self._throttle.failed(name, source, password)
            raise
        self._throttle.forgive(name, source)
        if opened.state == "weak" and "subscriber" in opened.roles:
            opened = self._confirmed_since(opened, k)
        return self._enters(opened, name, source, agent)

    def second_step(self, address: str, held: bytes, typed: str, source: str, agent: str) -> str:
        """
        Return the cookie of a new session for a number, or for the recovery code, which ends the second step.

        Raises WrongSecret, Throttled, or Ended when the password was too long ago.
        """
        is_number = len(typed) <= LONGEST_NUMBER
        with metrics.signing_in():
            if is_number:
                opened = self._keeper.open_second(held, typed)
            else:
                opened = self._keeper.open_recovered(held, passwords.recovery_key(typed))
        if not is_number:
            self._alert(opened.account, "second-ended")
        return self._enters(opened, canonical_or_nobody(address), source, agent)

    def _enters(self, opened: requests.Opened, name: str, source: str, agent: str, by: str = "") -> str:
        known = sessions.known_agent(self._engine, opened.account, agent)
        detail: dict[str, object] = {"source": source, "agent": agent}
        if by:
            detail["by"] = by
        self._take(opened, "account.signed-in", detail)
        if opened.renewed:
            self._engine.write(lambda rows: self._renewed(rows, opened)).result()
            self._alert(opened.account, "keys-renewed")
        self._seen(opened, source)
        if not known and wishes.of(self._engine, opened.account).get("new-sign-in", True):
            self._alert(opened.account, "new-sign-in")
        return self._enter(opened, name, agent)

    def _renewed(self, rows: Rows, opened: requests.Opened) -> None:
        """Let sessions and connections that have the earlier pairs only sign in again."""
        accounts.bump(rows, opened.account)
        self._append(rows, opened.organisation, opened.account, "account.keys-renewed", {})

    def _confirmed_since(self, opened: requests.Opened, k: bytes) -> requests.Opened:
        """End the weakness of an account that an officer has confirmed, or that waited for its seven days."""
        for kind in ("officer", "waited"):
            try:
                unlocked = self._keeper.unlock(opened.ticket, kind, b"", k)
            except Denied:
                continue  # not yet, or not in this way: the account stays as it is
            self._take(unlocked.opened, "account.unlocked", {"by": kind})
            self._alert(opened.account, "unlocked")
            return unlocked.opened
        return opened

    def session(self, cookie: str, source: str = "", agent: str = "") -> Session | None:
        """Return who is signed in by this cookie, or None; what they do is done from *source*, with *agent*."""
        found = self._sessions.find(cookie)
        return replace(found, source=source, agent=agent) if found else None

    def away(self, cookie: str) -> Away | None:
        """Return whose session this cookie named until its time was over; see `Sessions.away`."""
        return self._sessions.away(cookie)

    def sign_out(self, cookie: str) -> None:
        """End a session."""
        self._sessions.end(cookie)

    def sign_out_everywhere(self, session: Session) -> None:
        """End every session of an account, this one too; devices stay."""

        def write(rows: Rows) -> None:
            sessions.end_all(rows, session.account)
            self._did(rows, session, "account.signed-out", {})

        self._engine.write(write).result()

    def confirm(self, session: Session, password: str, source: str) -> None:
        """Check the password of somebody signed in; raise WrongSecret or Throttled."""
        self._confirmed(session, password, source)

    # -- becoming somebody --------------------------------------------------------------------------------------------

    def register(self, ticket: bytes, password: str, name: str, source: str, agent: str, locale: str) -> SignedIn:
        """Make the account of who showed a sender's code (`Proof.ticket`), and sign it in. Raises Denied or Ended."""
        proof, salt, address = _unpacked(ticket)
        self._check_strength(password, [address, name])
        params = self._settings.argon
        k = passwords.derive(password, salt, params)
        opened = self._keeper.register(proof, salt, params.encode(), k, name, locale)
        self._take(opened, "account.registered", {"source": source, "agent": agent})
        self._seen(opened, source)
        return SignedIn(self._enter(opened, address, agent))

    def start_signup(self, address: str, source: str, invite: str = "", language: str = "") -> Started:
        """
        Mail a code that proves an address; with an invitation the code is in the mail that brought it.

        Raises Denied where only invited people may sign up, or for another address than the invited one.
        """
        if self._settings.signup == "closed":
            raise Denied("Nobody can sign up here by themselves. Ask the people who run this server to add you.")
        if invite:
            return self._invited(address, invite)
        if self._settings.signup != "open":
            raise Denied("Nobody can sign up here by themselves. Ask the people who run this server to invite you.")
        return self._mail_code(address, "signup", source, language)

    def subscribe(
        self, session: Session, password: str, source: str, agent: str, id: int | None = None, code: str = ""
    ) -> SignedIn:
        """
        Let somebody who only received so far send too: by an invitation (*id*, *code*), or where sign-up is open.

        Raises WrongSecret for a wrong password or code, Denied where they are not invited.
        """
        current = self._confirmed(session, password, source)
        opened = self._keeper.subscribe(session.ticket, current, id, code)
        self._take(opened, "account.subscribed", {"source": source, "agent": agent})
        self._sessions.drop(session)
        recovery = opened.recovery
        return SignedIn(
            self._enter(opened, session.address, agent),
            recovery.text if recovery else "",
            recovery.code if recovery else "",
        )

    def _invited(self, address: str, token: str) -> Started:
        row = self._linked(token, "invite")
        if row is None or (row["expires"] is not None and row["expires"] <= self._clock.now()):
            raise Ended("This invitation does not work any more. Ask for another one.")
        if canonical_or_nobody(address) != row["address"]:
            raise Denied("This invitation is for another address. Use the one it was mailed to.")
        return Started(row["message"], row["expires"] or self._clock.now())

    def finish_signup(
        self, ident: int, code: str, password: str, name: str, source: str, agent: str, locale: str, invite: str = ""
    ) -> SignedIn:
        """Make a subscriber of who shows the mailed code, or the one of an invitation (*ident* is either's)."""
        shown = notice_name(name)
        self._check_strength(password, [shown], self._inviting(ident))
        salt, k = self._k_by_mail(ident, password, source)
        opened = self._keeper.signup(ident, code, salt, self._settings.argon.encode(), k, shown, locale)
        self._take(opened, "account.subscribed", {"source": source, "agent": agent})
        self._seen(opened, source)
        recovery = opened.recovery
        return SignedIn(
            self._enter(opened, opened.addresses[0], agent),
            recovery.text if recovery else "",
            recovery.code if recovery else "",
        )

    def _inviting(self, ident: int) -> int:
        """Return which organisation a mailed code invites into, the installation if none."""
        return invitations.organisation(self._engine, ident)

    # -- getting back in ----------------------------------------------------------------------------------------------

    def start_reset(self, address: str, source: str, language: str = "") -> Started:
        """Mail a code for a new password; the same answer for every address. Raises Throttled."""
        return self._mail_code(address, "reset", source, language)

    def finish_reset(
        self, ident: int, code: str, password: str, source: str, agent: str, address: str = ""
    ) -> SignedIn:
        """
        Set a new password by a mailed code alone: a weak reset. The owner and their senders are told.

        *address* is the one that was typed; whose it is must not tell before the code was right. So the password has to
        be as long as the strictest organisation here wants it.
        """
        self._check_length(password, [address], self._policies.longest_password())
        salt, k = self._k_by_mail(ident, password, source)
        opened = self._keeper.reset(ident, code, salt, self._settings.argon.encode(), k)

        def told(rows: Rows) -> None:
            about = (opened.organisation, opened.account, opened.tell_subscribers)
            resetting.follow(rows, *about, self._clock.now(), self._random, {"source": source, "agent": agent})

        take_opened(self._engine, self._keeper, self._clock, self._random, opened, told, ends_sessions=True)
        self._wake()
        return SignedIn(self._enter(opened, opened.addresses[0], agent))

    def change_password(self, session: Session, old: str, new: str, source: str, agent: str) -> SignedIn:
        """Change the password; every other session ends, and devices stay."""
        old_k = self._confirmed(session, old, source, itself=True)
        self._check_strength(new, [session.address, session.name], session.organisation)
        params, salt = self._settings.argon, self._random(passwords.SALT)
        self._engine.write(lambda rows: accounts.bump(rows, session.account)).result()
        k = passwords.derive(new, salt, params)
        opened = self._keeper.change(session.ticket, old_k, salt, params.encode(), k)
        self._take(opened, "account.password-changed", {"source": source, "agent": agent}, ends_sessions=True)
        self._alert(opened.account, "password-changed")
        return SignedIn(self._enter(opened, session.address, agent))

    def recovery_code(self, session: Session, password: str, source: str) -> str:
        """Make a recovery code for every pair this session opens, and return it, this once."""
        self._confirmed(session, password, source, itself=True)
        code = passwords.new_recovery_code(self._random)
        self._keeper.store_wraps(session.ticket, "recovery", passwords.recovery_key(code), session.seeds)
        self._note(session, "account.recovery-made", {})
        self._alert(session.account, "recovery-made")
        return code

    def unlock(self, session: Session, kind: str, secret: str, password: str, source: str, trust: bytes = b"") -> None:
        """
        Open pairs from before a reset again, and end the weakness.

        *kind* says what is shown: `password` (an older one), `recovery` (the code), `device` (a device password);
        `second` (the number of the second step), `browser` (*trust* shows one that was trusted when it was reset);
        `officer` (one has confirmed it) and `waited` (seven days in which nobody objected) need no *secret*.
        *password* is the present one. Raises WrongSecret, Throttled, or Denied with what else there is.
        """
        current = self._confirmed(session, password, source, itself=True)
        if kind == "recovery":
            unlocked = self._keeper.unlock(session.ticket, kind, passwords.recovery_key(secret), current)
        elif kind == "device":
            parsed = passwords.parse_device_password(secret)
            if parsed is None:
                raise WrongSecret("That is not a device password.")
            unlocked = self._keeper.unlock(session.ticket, kind, parsed[1], current, parsed[0])
        elif kind == "second":
            unlocked = self._keeper.unlock(session.ticket, kind, secret.encode(), current)
        elif kind == "browser":
            unlocked = self._keeper.unlock(session.ticket, kind, trust, current)
        elif kind in ("officer", "waited"):
            unlocked = self._keeper.unlock(session.ticket, kind, b"", current)
        else:
            unlocked = self._unlock_by_password(session, secret, current, source)
        self._unlocked(session, unlocked, kind)

    def unlock_by_passkey(self, session: Session, answer: bytes, output: bytes, password: str, source: str) -> None:
        """Open pairs from before a reset again by a passkey from before it, with its *output*; raises as `unlock`."""
        current = self._confirmed(session, password, source)
        secret = msgspec.msgpack.encode((answer, output))
        try:
            unlocked = self._keeper.unlock(session.ticket, "passkey", secret, current)
        except Ended as late:
            raise WrongSecret(late.text) from None
        self._unlocked(session, unlocked, "passkey")

    def _unlocked(self, session: Session, unlocked: requests.Unlocked, by: str) -> None:
        self._take(unlocked.opened, "account.unlocked", {**session.origin, "by": by})
        self._alert(session.account, "unlocked")
        fresh = self._sessions.refresh(session, unlocked.opened, self._version(session.account), unlocked.seeds)
        self._adoption.adopt(fresh.account, fresh.addresses, fresh.seeds, fresh.ticket)

    def _unlock_by_password(self, session: Session, old: str, current: bytes, source: str) -> requests.Unlocked:
        """Try an old password on each salt that a locked pair rests under; pairs of one password share one."""
        salts = dict.fromkeys((each.salt, each.params) for each in session.locked_pairs if each.salt)
        for salt, params in salts:
            k = passwords.derive(old, salt, passwords.Argon.decode(params))
            try:
                return self._keeper.unlock(session.ticket, "password", k, current)
            except WrongSecret:
                continue
        self._throttle.failed(session.address, source, old)
        raise WrongSecret("That is not a password you used before.")

    def object_to(self, token: str, typed: str) -> None:
        """
        Say, by the link of a warning, that a reset was not one's own: waiting brings nothing back any more.

        *typed* has to be the address that the warning was mailed to: scanners follow links and press buttons, and one
        that objected would take from the owner of a lost password what only waiting brings back.
        Raises Ended for a link that is none of ours, WrongSecret for another address.
        """
        row = self._linked(token, "answer")
        if row is None:
            raise Ended("This link does not work any more.")
        if canonical_or_nobody(typed) != row["address"]:
            raise WrongSecret("Type the address that the mail with this link came to.")
        claims = tokens.Claims("answer", row["address"], row["subscriber"], row["message"])
        self._keeper.object_to(token, claims)
        account = row["subscriber"]
        self._engine.write(lambda rows: self._append(rows, INSTALLATION, account, "account.objected", {})).result()


def _unpacked(ticket: bytes) -> tuple[bytes, bytes, str]:
    """Return what `Proof.of` packed: the keeper's ticket, the salt to register with, the address; raise Ended."""
    try:
        proof, salt, address = msgspec.msgpack.decode(ticket, type=tuple[bytes, bytes, str])
    except msgspec.MsgspecError:
        proof, salt, address = b"", b"", ""
    if len(salt) != passwords.SALT:
        raise Ended("This took too long. Open the link in the message again.")
    return proof, salt, address
