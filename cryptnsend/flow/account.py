"""How does a person get in, stay in, and get back in? Sign-in, registration, resets, devices, codes.

The keeper decides and commits first; main rows follow in one transaction and are repaired at the next sign-in. Known
and unknown addresses get the same work and the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from cryptnsend.core import passwords, tokens
from cryptnsend.core.addresses import canonical
from cryptnsend.core.cards import read_card
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import Denied, Ended, NoGrant, WrongSecret
from cryptnsend.core.model import INSTALLATION, Random, account_holder, new_id
from cryptnsend.core.names import safe_display_name
from cryptnsend.flow.adoption import Adoption
from cryptnsend.flow.mainrows import write_opened
from cryptnsend.flow.sessions import Session, Sessions
from cryptnsend.flow.throttling import Throttle
from cryptnsend.flow.views import Code, Device, NewDevice, Profile, SignedIn, Started
from cryptnsend.keeper import requests
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Opened
from cryptnsend.store.records import accounts, audit, devices, links, messages, sessions

DEVICE_SCOPES = ("submit", "read")
_NUMBER = re.compile(r"(?=(?:.*[0-9]){3})[0-9 +().\-/]{3,32}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Settings:
    """What accounts need of the configuration."""

    signup: str  # closed, invite, open
    argon: passwords.Argon
    min_length: int = passwords.LONG  # of new passwords, in characters


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


class Accounts:
    """Everything about being somebody here. Shared by all requests of a process; thread-safe."""

    def __init__(
        self,
        *,
        engine: Engine,
        keeper: Keeper,
        sessions: Sessions,
        adoption: Adoption,
        throttle: Throttle,
        clock: Clock,
        random: Random,
        settings: Settings,
        wake: Callable[[], None],
    ):
        self._engine, self._keeper, self._sessions, self._throttle = engine, keeper, sessions, throttle
        self._adoption = adoption
        self._clock, self._random, self._settings, self._wake = clock, random, settings, wake

    # -- in and out ---------------------------------------------------------------------------------------------------

    def sign_in(self, address: str, password: str, source: str, agent: str) -> str:
        """Return the cookie of a new session; raise WrongSecret, or Throttled after too many of them."""
        name = _canonical(address)
        self._throttle.check(name, source)
        try:
            opened = self._keeper.open(name, self._k(name, password))
        except WrongSecret:
            self._throttle.failed(name, source, password)
            raise
        self._throttle.forgive(name, source)
        known = sessions.known_agent(self._engine, opened.account, agent)
        self._take(opened, "account.signed-in", {})
        if not known:
            self._alert(opened.account, "new-sign-in")
        return self._enter(opened, name, agent)

    def session(self, cookie: str) -> Session | None:
        """Return who is signed in by this cookie, or None."""
        return self._sessions.find(cookie)

    def sign_out(self, cookie: str) -> None:
        """End a session."""
        self._sessions.end(cookie)

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
        self._take(opened, "account.registered", {})
        return SignedIn(self._enter(opened, address, agent))

    def start_signup(self, address: str, source: str, invite: str = "") -> Started:
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
        return self._mail_code(address, "signup")

    def _invited(self, address: str, token: str) -> Started:
        parts = tokens.split(token)
        row = links.link(self._engine, parts[1]) if parts else None
        over = Ended("This invitation does not work any more. Ask for another one.")
        if row is None or row["purpose"] != "invite":
            raise over
        if not self._keeper.link(token, tokens.Claims("invite", row["address"], row["subscriber"], row["message"])):
            raise over
        if row["expires"] is not None and row["expires"] <= self._clock.now():
            raise over
        if _canonical(address) != row["address"]:
            raise Denied("This invitation is for another address. Use the one it was mailed to.")
        return Started(row["message"], row["expires"] or self._clock.now())

    def finish_signup(
        self, ident: int, code: str, password: str, name: str, source: str, agent: str, locale: str, invite: str = ""
    ) -> SignedIn:
        """Make a subscriber of who shows the mailed code, or the one of an invitation (*ident* is either's)."""
        shown = _name(name)
        self._check_strength(password, [shown])
        params = self._settings.argon
        salt = self._keeper.mail_salt(ident)
        k = passwords.derive(password, salt, params)
        opened = self._keeper.signup(ident, code, salt, params.encode(), k, shown, locale)
        self._take(opened, "account.subscribed", {})
        recovery = opened.recovery
        return SignedIn(
            self._enter(opened, opened.addresses[0], agent),
            recovery.text if recovery else "",
            recovery.code if recovery else "",
        )

    # -- getting back in ----------------------------------------------------------------------------------------------

    def start_reset(self, address: str, source: str) -> Started:
        """Mail a code for a new password; the same answer for every address."""
        return self._mail_code(address, "reset")

    def finish_reset(self, ident: int, code: str, password: str, source: str, agent: str) -> SignedIn:
        """Set a new password by a mailed code alone: a weak reset. The owner and their senders are told."""
        self._check_strength(password, [])
        params = self._settings.argon
        salt = self._keeper.mail_salt(ident)
        k = passwords.derive(password, salt, params)
        opened = self._keeper.reset(ident, code, salt, params.encode(), k)
        self._take(opened, "account.reset", {}, ends_sessions=True)
        self._alert(opened.account, "password-reset")
        for subscriber in opened.tell_subscribers:
            self._alert(subscriber, "contact-reset")
        return SignedIn(self._enter(opened, opened.addresses[0], agent))

    def change_password(self, session: Session, old: str, new: str, source: str, agent: str) -> SignedIn:
        """Change the password; every other session ends, and devices stay."""
        old_k = self._confirmed(session, old, source)
        self._check_strength(new, [session.address, session.name])
        params, salt = self._settings.argon, self._random(passwords.SALT)
        self._engine.write(lambda rows: accounts.bump(rows, session.account)).result()
        k = passwords.derive(new, salt, params)
        opened = self._keeper.change(session.ticket, old_k, salt, params.encode(), k)
        self._take(opened, "account.password-changed", {}, ends_sessions=True)
        self._alert(opened.account, "password-changed")
        return SignedIn(self._enter(opened, session.address, agent))

    def recovery_code(self, session: Session, password: str, source: str) -> str:
        """Make a recovery code for every pair this session opens, and return it, this once."""
        self._confirmed(session, password, source)
        code = passwords.new_recovery_code(self._random)
        self._keeper.store_wraps(session.ticket, "recovery", passwords.recovery_key(code), session.seeds)
        self._note(session, "account.recovery-made", {})
        self._alert(session.account, "recovery-made")
        return code

    def unlock(self, session: Session, kind: str, secret: str, password: str, source: str) -> None:
        """
        Open pairs from before a reset with an older password or the recovery code, and end the weakness.

        *kind* is password, recovery or device; *password* is the present one.
        """
        current = self._confirmed(session, password, source)
        if kind == "recovery":
            unlocked = self._keeper.unlock(session.ticket, kind, passwords.recovery_key(secret), current)
        elif kind == "device":
            parsed = passwords.parse_device_password(secret)
            if parsed is None:
                raise WrongSecret("That is not a device password.")
            unlocked = self._keeper.unlock(session.ticket, kind, parsed[1], current, parsed[0])
        else:
            unlocked = self._unlock_by_password(session, secret, current, source)
        self._take(unlocked.opened, "account.unlocked", {"by": kind})
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

    # -- codes --------------------------------------------------------------------------------------------------------

    def codes(self, session: Session, addresses: Sequence[str]) -> list[Code]:
        """Return the subscriber's codes for these recipients; showing one starts its days."""
        said = self._keeper.codes(session.ticket, addresses)
        self._note(session, "code.shown", {"count": sum(each.code is not None for each in said)})
        return [_code(each) for each in said]

    def next_code(self, session: Session, address: str) -> Code:
        """Replace a recipient's code; at most a few a week."""
        said = self._keeper.next_code(session.ticket, address)
        self._note(session, "code.replaced", {"address": address})
        return _code(said)

    # -- devices ------------------------------------------------------------------------------------------------------

    def devices(self, session: Session) -> list[Device]:
        """Return the device passwords of this account, newest first."""
        rows = devices.listing(self._engine, session.account)
        return [Device(each["id"], each["name"], each["scope"], each["created"], each["used"]) for each in rows]

    def add_device(self, session: Session, name: str, scope: str) -> NewDevice:
        """Make a device password and return it, this once."""
        if scope not in DEVICE_SCOPES:
            raise Denied("A device password is for sending (submit) or for reading (read).")
        made = self._keeper.device_add(session.ticket, scope)
        now, shown = self._clock.now(), name.strip()[:60] or "device"

        def write(rows: Rows) -> None:
            devices.add(rows, made.id, session.organisation, session.account, shown, scope, now)
            self._append(rows, session.organisation, session.account, "device.added", {"device": made.id})

        self._engine.write(write).result()
        self._alert(session.account, "new-device")
        return NewDevice(made.id, shown, passwords.format_device_password(made.id, made.secret))

    def revoke_device(self, session: Session, device: int) -> None:
        """Revoke a device password; it fails at its next use in every process."""
        now = self._clock.now()
        if not devices.is_live(self._engine, session.account, device):
            raise NoGrant("There is no such device.")

        def write(rows: Rows) -> None:
            devices.revoke(rows, session.account, device, now)
            self._append(rows, session.organisation, session.account, "device.revoked", {"device": device})

        self._engine.write(write).result()
        self._keeper.device_revoke(session.ticket, device)
        self._alert(session.account, "device-revoked")

    # -- profile and passphrase ---------------------------------------------------------------------------------------

    def profile(self, session: Session) -> Profile:
        """Return what a subscriber says of themselves on notices."""
        row = accounts.account(self._engine, session.account)
        if row is None:
            raise NoGrant("There is no such account.")
        signed = self._keeper.card(account_holder(session.account))
        form = read_card(signed, self._keeper.anchors().card_key).form if signed else ""
        return Profile(row["name"], row["phone"], form, accounts.organisation_name(self._engine, row["org"]))

    def set_profile(self, session: Session, *, name: str, phone: str, form: str) -> None:
        """
        Change name, call-back number and the form that replies arrive in (zip, link).

        Raises Denied for a name or number that cannot stand on a notice.
        """
        shown, number = _name(name), _phone(phone)
        opened = self._keeper.profile(session.ticket, name=shown, form=form)
        self._take(opened, "account.profile", {"form": form})
        self._engine.write(lambda rows: accounts.set_profile(rows, session.account, shown, number)).result()

    def passphrases(self, session: Session, password: str, source: str) -> list[tuple[int, str]]:
        """Return (since, words) of each delivery passphrase, newest first; asks for the password again."""
        said = self._keeper.passphrase(session.ticket, self._confirmed(session, password, source))
        self._note(session, "passphrase.shown", {})
        return [(each.since, each.words) for each in said]

    def new_passphrase(self, session: Session, password: str, source: str) -> None:
        """Make a new delivery passphrase; earlier replies keep theirs."""
        self._keeper.new_passphrase(session.ticket, self._confirmed(session, password, source))
        self._note(session, "passphrase.changed", {})
        self._alert(session.account, "passphrase-changed")

    # -- inside -------------------------------------------------------------------------------------------------------

    def _k(self, name: str, password: str) -> bytes:
        salt = self._keeper.salt(name)
        return passwords.derive(password, salt.salt, passwords.Argon.decode(salt.params))

    def _confirmed(self, session: Session, password: str, source: str) -> bytes:
        """Return K of a password that was right; asking `open` is the check."""
        self._throttle.check(session.address, source)
        k = self._k(session.address, password)
        try:
            self._keeper.open(session.address, k)
        except WrongSecret:
            self._throttle.failed(session.address, source, password)
            raise
        return k

    def _check_strength(self, password: str, hints: Sequence[str]) -> None:
        found = passwords.check_strength(password, hints=hints, second_factor=False, shortest=self._settings.min_length)
        if not found.ok:
            raise Denied(found.advice)

    def _mail_code(self, address: str, purpose: str) -> Started:
        """Queue a mailed code; for an address nobody has, the same row is made and nothing leaves."""
        proof = self._keeper.mail_proof(_canonical(address), purpose)
        self._queue("code", "", proof.id)
        return Started(proof.id, proof.expires)

    def _queue(self, kind: str, template: str, subject: int) -> None:
        now = self._clock.now()
        delivery = messages.Delivery(
            new_id(now, self._random), INSTALLATION, kind, "", None, None, subject, template,
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip
        self._engine.write(lambda rows: messages.add_deliveries(rows, [delivery])).result()
        self._wake()

    def _alert(self, account: int, template: str) -> None:
        """Tell an account's owner by mail; the words stand in web/mail/alert.j2 under *template*."""
        self._queue("alert", template, account)

    def _take(self, opened: Opened, action: str, detail: dict[str, object], *, ends_sessions: bool = False) -> None:
        """Copy the keeper's answer into the main rows, with the audit row, in one transaction."""
        now, key = self._clock.now(), self._keeper.anchors().card_key

        def write(rows: Rows) -> None:
            write_opened(rows, opened, key, now, self._random)
            if ends_sessions:
                sessions.end_all(rows, opened.account)
            self._append(rows, opened.organisation, opened.account, action, detail)

        self._engine.write(write).result()

    def _note(self, session: Session, action: str, detail: dict[str, object]) -> None:
        self._engine.write(
            lambda rows: self._append(rows, session.organisation, session.account, action, detail)
        ).result()

    def _append(self, rows: Rows, org: int, account: int, action: str, detail: dict[str, object]) -> None:
        audit.append(rows, org, self._clock.now(), account_holder(account), action, str(account), detail)

    def _version(self, account: int) -> int:
        row = accounts.account(self._engine, account)
        if row is None:
            raise NoGrant("There is no such account.")
        version: int = row["credential_version"]
        return version

    def _enter(self, opened: Opened, address: str, agent: str) -> str:
        """Bring what waited for this account, and start a session."""
        self._adoption.adopt(opened.account, opened.addresses, opened.seeds, opened.ticket)
        return self._sessions.start(opened, address, agent, self._version(opened.account))


def _canonical(address: str) -> str:
    """Return the canonical form; what is no address gets one that nobody has, so that the same work is done."""
    try:
        return canonical(address)
    except ValueError:
        return "nobody@invalid"


def _unpacked(ticket: bytes) -> tuple[bytes, bytes, str]:
    """Return what `Proof.of` packed: the keeper's ticket, the salt to register with, the address; raise Ended."""
    try:
        proof, salt, address = msgspec.msgpack.decode(ticket, type=tuple[bytes, bytes, str])
    except msgspec.MsgspecError:
        proof, salt, address = b"", b"", ""
    if len(salt) != passwords.SALT:
        raise Ended("This took too long. Open the link in the message again.")
    return proof, salt, address


def _name(name: str) -> str:
    """Return a name as it may stand on notices; raise Denied for any other."""
    shown = safe_display_name(name)
    if not shown:
        raise Denied("This name cannot stand on a notice. Use your own, without addresses, links, numbers or brands.")
    return shown


def _phone(number: str) -> str:
    """Return a call-back number; raise Denied for what is none. Empty is fine."""
    shown = " ".join(number.split())
    if shown and not _NUMBER.fullmatch(shown):
        raise Denied("This is not a phone number. Use digits, blanks, and + ( ) - . / only.")
    return shown


def _code(said: requests.Code) -> Code:
    state = {"live": "live", "proven": "none", "waived": "none"}.get(said.state, "used-up")
    return Code(said.address, said.code, said.tries_left, said.expires, state)
