"""What does every flow about people have at hand? The keeper's answer into rows, a password checked, a mail queued.

The keeper decides and commits first; main rows follow in one transaction and are repaired at the next sign-in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptnsend.core import passwords, tokens
from cryptnsend.core.addresses import canonical
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Denied, NoGrant, SecondStep, WrongSecret
from cryptnsend.core.model import INSTALLATION, Random, account_holder, new_id
from cryptnsend.core.names import safe_display_name
from cryptnsend.flow.adoption import Adoption
from cryptnsend.flow.mainrows import take_opened
from cryptnsend.flow.noting import note_act
from cryptnsend.flow.policies import Policies
from cryptnsend.flow.sessions import Session, Sessions
from cryptnsend.flow.throttling import NOBODY, Throttle, network_of
from cryptnsend.flow.views_accounts import Started
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Opened
from cryptnsend.store.records import accounts, audit, links, messages

MAILS = "mailed codes"  # no address, so that it is nobody's count of wrong passwords
MAILS_IN_ALL, MAILS_TO_ONE = 50, 8  # that one source may ask for in a row
TRIES, MOST_TRIES = "mailed codes that were typed", 60  # from one source in a row: each costs a whole Argon2id

T = TypeVar("T")


class Shown(str):
    """What stands for a password or a number that would be typed: the keeper's word that a passkey was shown."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What accounts need of the configuration."""

    signup: str  # closed, invite, open
    argon: passwords.Argon
    postmaster: str = ""  # canonical address of who reads mail for postmaster; "" is the first officer


class People:
    """The pieces that the flows about people share, and what they all do with them."""

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
        policies: Policies,
        wake: Callable[[], None],
    ):
        self._engine, self._keeper, self._sessions, self._throttle = engine, keeper, sessions, throttle
        self._adoption, self._policies = adoption, policies
        self._clock, self._random, self._settings, self._wake = clock, random, settings, wake

    def _k(self, name: str, password: str) -> bytes:
        salt = self._keeper.salt(name)
        return passwords.derive(password, salt.salt, passwords.Argon.decode(salt.params))

    def _k_by_mail(self, ident: int, password: str, source: str) -> tuple[bytes, bytes]:
        """Return salt and K of a password that somebody chooses by a mailed code. Raises Throttled, Denied or Ended."""
        self._throttle.ask(TRIES, source, MOST_TRIES)
        salt = self._keeper.mail_salt(ident)
        return salt, passwords.derive(password, salt, self._settings.argon)

    def _confirmed(self, session: Session, password: str, source: str, *, itself: bool = False) -> bytes:
        """
        Return K of a password that was right, of who is signed in, or what stands for it in the keeper's eyes.

        A session that began by a passkey has from then on all that the password opens. Where that is needed, it has to
        be the password *itself*.
        """
        if isinstance(password, Shown):
            if itself:
                raise WrongSecret("Here the password itself is needed.")
            self._keeper.step_up(session.ticket, password.encode())
            return password.encode()
        self._throttle.check(session.address, source)
        k = self._k(session.address, password)
        try:
            self._keeper.step_up(session.ticket, k)
        except WrongSecret:
            self._throttle.failed(session.address, source, password)
            raise
        if session.closed:
            self._sessions.add_seeds(session, self._keeper.open_rest(session.ticket, k))
        return k

    def _seen(self, opened: Opened, source: str) -> None:
        """Know from where an owner signs in; so does the keeper: codes asked for from there have their share."""
        for address in opened.addresses:
            self._throttle.welcome(address, source)
        network = network_of(source)
        if network:
            self._keeper.seen(opened.ticket, network)

    def _linked(self, token: str, purpose: str) -> Row | None:
        """Return what a token of ours stands for, or None: unknown, forged, edited, or for something else."""
        parts = tokens.split(token)
        row = links.link(self._engine, parts[1]) if parts else None
        if row is None or row["purpose"] != purpose:
            return None
        claims = tokens.Claims(purpose, row["address"], row["subscriber"], row["message"])
        return row if self._keeper.link(token, claims) else None

    def _check_strength(self, password: str, hints: Sequence[str], org: int = INSTALLATION) -> None:
        self._check_length(password, hints, self._policies.limits(org).password_length)

    def _check_length(self, password: str, hints: Sequence[str], least: int) -> None:
        found = passwords.check_strength(password, hints=hints, second_factor=False, shortest=least)
        if not found.ok:
            raise Denied(found.advice)

    def _mail_code(self, address: str, purpose: str, source: str, language: str) -> Started:
        """
        Queue a mailed code, in the language of the page that it was asked for on.

        For an address nobody has, the same row is made and nothing leaves. Raises Throttled.
        """
        name = canonical_or_nobody(address)
        network = network_of(source)
        # One network must not fill strangers' inboxes; how many codes an address gets from all, the keeper counts.
        self._throttle.ask(MAILS, network or source, MAILS_IN_ALL)
        self._throttle.ask(f"{MAILS} to {name}", network or source, MAILS_TO_ONE)
        proof = self._keeper.mail_proof(name, purpose, network)
        self._queue("code", "", proof.id, language)
        return Started(proof.id, proof.expires)

    def _queue(self, kind: str, template: str, subject: int, language: str = "") -> None:
        delivery = self._mail(kind, template, subject)._replace(language=language)
        self._engine.write(lambda rows: messages.add_deliveries(rows, [delivery])).result()
        self._wake()

    def _mail(self, kind: str, template: str, subject: int, message: int | None = None) -> messages.Delivery:
        """Return the row of a mail about an account, due now."""
        now = self._clock.now()
        return messages.Delivery(
            new_id(now, self._random), INSTALLATION, kind, "", message, None, subject, template,
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip

    def _alert(self, account: int, template: str) -> None:
        """Tell an account's owner by mail; the words stand in web/mail/alert.j2 under *template*."""
        self._queue("alert", template, account)

    def _take(self, opened: Opened, action: str, detail: dict[str, object], *, ends_sessions: bool = False) -> None:
        """Copy the keeper's answer into the main rows, with the audit row."""

        def note(rows: Rows) -> None:
            self._append(rows, opened.organisation, opened.account, action, detail)

        take_opened(self._engine, self._keeper, self._clock, self._random, opened, note, ends_sessions=ends_sessions)

    def _note(self, session: Session, action: str, detail: dict[str, object]) -> None:
        self._engine.write(lambda rows: self._did(rows, session, action, detail)).result()

    def _did(self, rows: Rows, session: Session, action: str, detail: dict[str, object]) -> None:
        note_act(rows, session, session.organisation, self._clock.now(), action, str(session.account), detail)

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


def canonical_or_nobody(address: str) -> str:
    """Return the canonical form; what is no address gets one that nobody has, so that the same work is done."""
    try:
        return canonical(address)
    except ValueError:
        return NOBODY


def notice_name(name: str) -> str:
    """Return a name as it may stand on notices; raise Denied for any other."""
    shown = safe_display_name(name)
    if not shown:
        raise Denied("This name cannot stand on a notice. Use your own, without addresses, links, numbers or brands.")
    return shown


def numbered(ask: Callable[[], T]) -> T:
    """Return what the keeper answers; the password was right before, so that a wrong secret is the number."""
    try:
        return ask()
    except SecondStep:
        raise Denied(
            "Type the number from your phone, too: the last one was shown more than five minutes ago."
        ) from None
    except WrongSecret:
        raise Denied("That is not the number, or it was used already. Wait for the next one.") from None
