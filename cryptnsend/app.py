"""The composition root: the only place that knows which implementation is used.

`build` makes the pieces of one role's process; what a role does not use is neither made nor brought in, so that no
process holds more than it needs, and each starts sooner. Nobody imports this module but `__main__`, `cli` and `demo`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cryptnsend import rights
from cryptnsend.clock import SystemClock
from cryptnsend.config import Config, web_root
from cryptnsend.home import Home, file_mode
from cryptnsend.keeper.client import Keeper
from cryptnsend.logs import logger
from cryptnsend.store.files import FileBlobs
from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine
from cryptnsend.store.vault import Vault

if TYPE_CHECKING:
    from cryptnsend.core import keys
    from cryptnsend.core.contracts import Scanner
    from cryptnsend.core.passwords import Argon
    from cryptnsend.delivery.courier import Courier
    from cryptnsend.delivery.dns import DnsResolver
    from cryptnsend.delivery.keyring import KeyRing
    from cryptnsend.delivery.names import DnsNames
    from cryptnsend.delivery.signers import Signers
    from cryptnsend.flow import admit, deliver
    from cryptnsend.flow.account import Accounts
    from cryptnsend.flow.adoption import Adoption
    from cryptnsend.flow.drafting import Drafts
    from cryptnsend.flow.exporting import Exporting
    from cryptnsend.flow.filing import Filing
    from cryptnsend.flow.gate import Gate
    from cryptnsend.flow.holders import Holders
    from cryptnsend.flow.inbound import Inbound
    from cryptnsend.flow.keeping import Keeping
    from cryptnsend.flow.letters import Letters
    from cryptnsend.flow.mailboxes import Mailboxes
    from cryptnsend.flow.mailgate import MailGate
    from cryptnsend.flow.opening import Opener
    from cryptnsend.flow.owner import Owner
    from cryptnsend.flow.pickup import Pickup
    from cryptnsend.flow.replies import Replies
    from cryptnsend.flow.scanning import Scanning
    from cryptnsend.flow.sent import Sent
    from cryptnsend.flow.serving import Shelf
    from cryptnsend.flow.sessions import Sessions
    from cryptnsend.flow.throttling import Throttle
    from cryptnsend.flow.tlsreports import TlsReports
    from cryptnsend.flow.upkeep import Upkeep
    from cryptnsend.keeper.providers import Provider


DAY = 86_400_000  # milliseconds
MINUTE = 60_000


@dataclass
class App:
    """The pieces of one role, each made when it is first asked for."""

    config: Config
    role: str

    @cached_property
    def home(self) -> Home:
        return Home(self.config.server.home)

    @cached_property
    def clock(self) -> SystemClock:
        return SystemClock()

    @cached_property
    def blobs(self) -> FileBlobs:
        return FileBlobs(self.home.blobs, mode=file_mode(self.home.blobs) & 0o640)

    @cached_property
    def engine(self) -> SqliteEngine:
        mode = file_mode(self.home.main_db.parent)
        engine = SqliteEngine(self.home.main_db, settle=self.blobs.settle, mode=mode)
        engine.migrate(STEPS)
        return engine

    @cached_property
    def vault(self) -> Vault:
        return Vault(self.blobs, os.urandom, self.home.deletions_lock)

    @cached_property
    def keeper(self) -> Keeper:
        return Keeper(self.home.keeper_socket(self.role))

    @cached_property
    def holders(self) -> Holders:
        from cryptnsend.flow.holders import Holders

        return Holders(self.keeper, self.clock)

    @cached_property
    def wake(self) -> Callable[[], None]:
        """Return what tells the courier that something is due."""
        from cryptnsend.flow.wake import Ringer

        return Ringer(self.home.courier_wake)

    @cached_property
    def epochs(self) -> keys.Epochs:
        from cryptnsend.core import keys

        return keys.Epochs(os.urandom, self.clock.now)

    @cached_property
    def argon(self) -> Argon:
        from cryptnsend.core.passwords import Argon

        figures = self.config.argon2
        return Argon(figures.memory_kib, figures.iterations, figures.lanes)

    @cached_property
    def admission(self) -> admit.Admission:
        from cryptnsend.flow import admit, rules

        config = self.config
        return admit.Admission(
            engine=self.engine,
            vault=self.vault,
            keeper=self.keeper,
            holders=self.holders,
            epochs=self.epochs,
            clock=self.clock,
            random=os.urandom,
            settings=rules.Settings(
                hostname=config.server.hostname,
                domain=config.server.domain,
                message_octets=config.limits.message_octets,
                life=config.life.days * DAY,
                messages_per_day=config.limits.messages_per_day,
                new_recipients_per_day=config.limits.new_recipients_per_day,
                default=config.policy.default,
                plain_token=config.policy.plain_token,
                newcomer=config.signup.newcomer_days * DAY,
                newcomer_recipients_per_day=config.signup.newcomer_recipients_per_day,
                cleartext=config.policy.cleartext,
                tls_replies=config.policy.tls_replies,
            ),
            scanning=self.scanning,
            wake=self.wake,
        )

    @cached_property
    def scanning(self) -> Scanning:
        """Return the scanners that are configured; what nobody is asked for is not brought in."""
        from cryptnsend.flow.scanning import Scanning

        viruses, spam = scanners(self.config)
        return Scanning(everything=viruses, in_the_open=spam, engine=self.engine, clock=self.clock)

    @cached_property
    def gate(self) -> Gate:
        from cryptnsend.flow.gate import Gate

        return Gate(engine=self.engine, keeper=self.keeper, clock=self.clock, throttle=self._throttle("smtp"))

    @cached_property
    def accounts(self) -> Accounts:
        from cryptnsend.flow.account import Accounts, Settings

        return Accounts(
            engine=self.engine,
            keeper=self.keeper,
            sessions=self.sessions,
            adoption=self.adoption,
            throttle=self._throttle("page"),
            clock=self.clock,
            random=os.urandom,
            settings=Settings(
                signup=self.config.signup.mode,
                argon=self.argon,
                min_length=self.config.passwords.min_length,
                tls_replies=self.config.policy.tls_replies,
                postmaster=self.config.inbound.postmaster.lower(),
            ),
            wake=self.wake,
        )

    @cached_property
    def sessions(self) -> Sessions:
        from cryptnsend.flow.sessions import Limits, Sessions

        figures = self.config.sessions
        limits = Limits(
            recipient_idle=figures.recipient_idle_minutes * MINUTE,
            subscriber_idle=figures.subscriber_idle_minutes * MINUTE,
            absolute=figures.absolute_hours * 60 * MINUTE,
        )
        return Sessions(self.engine, self.clock, os.urandom, limits)

    @cached_property
    def adoption(self) -> Adoption:
        from cryptnsend.flow.adoption import Adoption

        return Adoption(self.engine, self.keeper, self.clock)

    @cached_property
    def opener(self) -> Opener:
        from cryptnsend.flow.opening import Opener

        return Opener(self.engine, self.vault, self.clock)

    @cached_property
    def pickup(self) -> Pickup:
        from cryptnsend.flow.pickup import Pickup

        return Pickup(
            engine=self.engine,
            keeper=self.keeper,
            opener=self.opener,
            adoption=self.adoption,
            sent=self.sent,
            throttle=self._throttle("code"),
            clock=self.clock,
            random=os.urandom,
        )

    @cached_property
    def mail_gate(self) -> MailGate:
        from cryptnsend.flow.mailgate import MailGate

        throttle = self._throttle("mailbox")
        return MailGate(engine=self.engine, keeper=self.keeper, clock=self.clock, throttle=throttle, random=os.urandom)

    @cached_property
    def mailboxes(self) -> Mailboxes:
        from cryptnsend.flow.mailboxes import Mailboxes
        from cryptnsend.flow.placing import Placer

        placer = Placer(self.engine, self.vault, self.adoption, self.clock, self.config.server.domain)
        return Mailboxes(self.engine, self.vault, placer, self.clock, os.urandom)

    @cached_property
    def shelf(self) -> Shelf:
        from cryptnsend.flow.serving import Shelf

        return Shelf(self.engine, self.vault, self.opener, self.clock)

    @cached_property
    def filing(self) -> Filing:
        from cryptnsend.flow.filing import Filing

        return Filing(
            engine=self.engine,
            vault=self.vault,
            keeper=self.keeper,
            opener=self.opener,
            boxes=self.mailboxes,
            clock=self.clock,
            random=os.urandom,
            quota=self.config.mailbox.filed_octets,
        )

    @cached_property
    def sent(self) -> Sent:
        from cryptnsend.flow.sent import Sent

        return Sent(
            engine=self.engine,
            keeper=self.keeper,
            opener=self.opener,
            clock=self.clock,
            undo=self.config.life.undo_days * DAY,
            life=self.config.life.days * DAY,
            wake=self.wake,
        )

    @cached_property
    def exporting(self) -> Exporting:
        from cryptnsend.flow.exporting import Exporting

        return Exporting(
            engine=self.engine,
            vault=self.vault,
            keeper=self.keeper,
            opener=self.opener,
            clock=self.clock,
            random=os.urandom,
            argon=self.argon,
            by=self.typist,
        )

    @cached_property
    def replies(self) -> Replies:
        from cryptnsend.flow.replies import Replies

        return Replies(
            admission=self.admission,
            pickup=self.pickup,
            drafts=self.drafts,
            clock=self.clock,
            domain=self.config.server.domain,
        )

    @cached_property
    def drafts(self) -> Drafts:
        from cryptnsend.flow.drafting import Drafts

        return Drafts(
            engine=self.engine,
            vault=self.vault,
            keeper=self.keeper,
            clock=self.clock,
            random=os.urandom,
            quota=self.config.limits.draft_octets,
        )

    @cached_property
    def names(self) -> DnsNames:
        """Return what answers questions about the domains of those who write to us."""
        from cryptnsend.delivery.names import DnsNames

        return DnsNames([_endpoint(entry) for entry in self.config.delivery.nameservers])

    @cached_property
    def keeping(self) -> Keeping:
        from cryptnsend.flow.keeping import Keeping, Settings

        config = self.config
        return Keeping(
            engine=self.engine,
            vault=self.vault,
            holders=self.holders,
            epochs=self.epochs,
            clock=self.clock,
            random=os.urandom,
            settings=Settings(
                hostname=config.server.hostname,
                domain=config.server.domain,
                message_octets=config.limits.message_octets,
                per_day=config.inbound.kept_per_day,
            ),
            wake=self.wake,
        )

    @cached_property
    def inbound(self) -> Inbound:
        from cryptnsend.flow.bounces import Bounces
        from cryptnsend.flow.destinations import Destinations
        from cryptnsend.flow.inbound import Inbound
        from cryptnsend.flow.standing import Standings

        server = self.config.server
        return Inbound(
            destinations=Destinations(
                engine=self.engine,
                keeper=self.keeper,
                clock=self.clock,
                domain=server.domain,
                hostname=server.hostname,
                postmaster=self.config.inbound.postmaster.lower(),
            ),
            bounces=Bounces(engine=self.engine, clock=self.clock, random=os.urandom, wake=self.wake),
            admission=self.admission,
            keeping=self.keeping,
            standings=Standings(self.engine, self.holders),
            engine=self.engine,
            names=self.names,
            scanning=self.scanning,
            clock=self.clock,
            random=os.urandom,
            domain=server.domain,
            wake=self.wake,
        )

    @cached_property
    def upkeep(self) -> Upkeep:
        from cryptnsend.flow.upkeep import Upkeep

        return Upkeep(
            engine=self.engine,
            vault=self.vault,
            keeper=self.keeper,
            clock=self.clock,
            random=os.urandom,
            undo=self.config.life.undo_days * DAY,
            retention=self.config.life.retention_days * DAY,
            drafts=self.config.life.draft_days * DAY,
            journal=self.home.journal,
        )

    @cached_property
    def tls_reports(self) -> TlsReports:
        from cryptnsend.flow.tlsreports import TlsReports

        return TlsReports(engine=self.engine, resolver=self.resolver, clock=self.clock, random=os.urandom)

    def _throttle(self, door: str) -> Throttle:
        """Return the count of wrong secrets at one door: smtp, mailbox, page, code."""
        from cryptnsend.flow.throttling import Throttle

        limits = self.config.limits
        return Throttle(
            self.engine,
            self.clock,
            os.urandom,
            door,
            failures=limits.sign_in_failures,
            pause_minutes=limits.sign_in_pause_minutes,
        )

    @cached_property
    def typist(self) -> Mapping[str, object]:
        """Return what the audit trail says of who types a command."""
        from cryptnsend.typist import typist

        return typist()

    @cached_property
    def owner(self) -> Owner:
        """Return what the owner's commands do about people."""
        from cryptnsend.flow.owner import Owner

        return Owner(
            engine=self.engine,
            keeper=self.keeper,
            clock=self.clock,
            random=os.urandom,
            argon=self.argon,
            domain=self.config.server.domain,
            min_length=self.config.passwords.min_length,
            custody=self.config.policy.custody,
            wake=self.wake,
            by=self.typist,
        )

    @cached_property
    def keyring(self) -> KeyRing:
        """Return the signing keys of our own domain; of the roles only the courier reads them."""
        from cryptnsend.delivery.keyring import KeyRing

        give_up = self.config.delivery.give_up_seconds * 1000
        return KeyRing(self.home.dkim, self.config.server.domain, self.clock, give_up=give_up)

    @cached_property
    def signers(self) -> Signers:
        from cryptnsend.delivery.signers import Signers

        return Signers(self.keyring.signing, self.resolver.texts, self.clock.monotonic)

    @cached_property
    def letters(self) -> Letters:
        from cryptnsend.flow.composing import Settings
        from cryptnsend.flow.letters import Letters
        from cryptnsend.flow.parcels import Parcels

        most = self.config.delivery.handoff_octets
        return Letters(
            engine=self.engine,
            parcels=Parcels(self.engine, self.vault, self.keeper, self.holders, most),
            keeper=self.keeper,
            clock=self.clock,
            signers=self.signers,
            settings=Settings(
                domain=self.config.server.domain,
                hostname=self.config.server.hostname,
                give_up=self.config.delivery.give_up_seconds * 1000,
            ),
            web=web_root(),
            base_url=lambda: self.home.base_url(self.config),
        )

    @cached_property
    def resolver(self) -> DnsResolver:
        from cryptnsend.delivery.dns import DnsResolver

        return DnsResolver([_endpoint(entry) for entry in self.config.delivery.nameservers])

    @cached_property
    def courier(self) -> Courier:
        from cryptnsend.delivery.courier import Courier, CourierSettings, Timeouts
        from cryptnsend.flow.promises import Promises

        figures = self.config.delivery
        settings = CourierSettings(
            hostname=self.config.server.hostname,
            smarthost=figures.smarthost,
            password_file=self.home.path / figures.smarthost_password_file if figures.smarthost_password_file else None,
            routes=figures.routes,
            allow_private=figures.allow_private,
            proven_domains=figures.proven_domains,
            ca_file=self.home.path / figures.authorities if figures.authorities else None,
            # One silent domain must not hold every thread.
            per_domain=max(1, figures.threads // 2),
            per_relay=figures.threads,
            timeouts=Timeouts(
                connect=figures.connect_seconds, greeting=figures.reply_seconds, command=figures.reply_seconds
            ),
        )
        return Courier(self.resolver, settings, self.clock, shelf=Promises(self.engine))

    @cached_property
    def deliver(self) -> deliver.Deliver:
        from random import SystemRandom

        from cryptnsend.delivery.retry import Schedule
        from cryptnsend.flow import deliver
        from cryptnsend.flow.outcomes import Outcomes

        figures = self.config.delivery
        return deliver.Deliver(
            engine=self.engine,
            letters=self.letters,
            courier=self.courier,
            outcomes=Outcomes(
                holders=self.holders,
                epochs=self.epochs,
                clock=self.clock,
                random=os.urandom,
                chance=SystemRandom(),
                schedule=Schedule(
                    first=figures.first_retry_seconds * 1000,
                    longest=figures.max_retry_seconds * 1000,
                    warn=figures.warn_seconds * 1000,
                    give_up=figures.give_up_seconds * 1000,
                ),
            ),
            scanning=self.scanning,
            clock=self.clock,
            random=os.urandom,
            threads=figures.threads,
            wake_socket=self.home.courier_wake,
        )

    def close(self) -> None:
        """Let go of what was made and holds descriptors; safe to call twice."""
        for name in ("engine", "blobs", "keeper"):
            if name in vars(self):
                getattr(self, name).close()


def scanners(config: Config) -> tuple[list[Scanner], list[Scanner]]:
    """
    Return who looks at all mail, and who only at mail that travels in clear.

    A further scanner joins here; its name is that of the setting which says where it is.
    """
    figures = config.scan
    everything: list[Scanner] = []
    in_the_open: list[Scanner] = []
    if figures.clamav:
        from cryptnsend.scan.clamd import Clamd

        everything.append(Clamd(figures.clamav, figures.seconds))
    if figures.rspamd:
        from cryptnsend.scan.rspamd import Rspamd

        in_the_open.append(Rspamd(figures.rspamd, figures.seconds, figures.rspamd_octets))
    return everything, in_the_open


def build(config: Config, role: str) -> App:
    """Return the pieces of *role*: keeper, submission, inbound, mailbox, portal, courier or owner (the commands)."""
    return App(config, role)


def _endpoint(entry: str) -> tuple[str, int]:
    host, _, port = entry.rpartition(":")
    return host.strip("[]"), int(port)


def serve_keeper(config: Config, stop: threading.Event, ready: Callable[[], None]) -> None:
    """Serve the keeper's sockets until *stop* is set; without a master key it runs and says that it has none."""
    from cryptnsend.core.passwords import Argon
    from cryptnsend.keeper import server as keeper_server
    from cryptnsend.keeper.context import Settings

    home, clock = Home(config.server.home), SystemClock()
    figures = config.codes
    settings = Settings(
        journal=home.journal,
        domain=config.server.domain,
        code_rule=figures.rule,
        digits=figures.digits,
        next_digits=figures.next_digits,
        tries=figures.tries,
        code_hours=figures.hours,
        codes_per_week=figures.per_week,
        codes_on_receipt=figures.on_receipt,
        mail_minutes=figures.mail_minutes,
        invitation_days=config.signup.invite_days,
        session_hours=config.sessions.absolute_hours,
        signup=config.signup.mode,
        custody=config.policy.custody,
        argon=Argon(config.argon2.memory_kib, config.argon2.iterations, config.argon2.lanes),
        uids=_peers(config),
    )
    ledger = SqliteEngine(home.ledger)
    try:
        keeper_server.serve(
            *(ledger, _provider(config), home.keeper_sockets, clock, os.urandom, settings),
            *(logger("cryptnsend.keeper"), ready, stop),
        )
    finally:
        ledger.close()


def _peers(config: Config) -> Mapping[str, frozenset[int]]:
    """Return whom each socket is for, if this process is the keeper's own user; nothing if it plays all roles."""
    try:
        people = rights.find(config)
    except rights.NotApart:
        return {}
    return people.may_ask() if people.uids["keeper"] == os.geteuid() else {}


def _provider(config: Config) -> Provider:
    from cryptnsend.keeper.providers import EnvProvider, FileProvider

    if config.keeper.provider == "env":
        return EnvProvider(config.keeper.key_variable, os.environ, os.urandom)
    return FileProvider(config.keeper.key_file, os.urandom)
