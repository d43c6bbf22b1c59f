"""What does every role stand on? Its home, the store, the vault, the keeper."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cryptnsend.clock import SystemClock
from cryptnsend.config import Config
from cryptnsend.home import Home, file_mode
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.files import FileBlobs
from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine
from cryptnsend.store.vault import Vault

if TYPE_CHECKING:
    from cryptnsend.core import keys
    from cryptnsend.core.organisation import Leaves, Policy
    from cryptnsend.core.passwords import Argon
    from cryptnsend.delivery.dns import DnsResolver
    from cryptnsend.flow.holders import Holders
    from cryptnsend.flow.looks import Looks
    from cryptnsend.flow.policies import Policies
    from cryptnsend.flow.throttling import Throttle


@dataclass
class Foundation:
    """What every role stands on; each piece is made when it is first asked for."""

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
        folder, reserve = self.home.main_db.parent, self.config.limits.free_octets
        return Vault(self.blobs, os.urandom, self.home.deletions_lock, folder=folder, reserve=reserve)

    @cached_property
    def keeper(self) -> Keeper:
        return Keeper(self.home.keeper_socket(self.role))

    @cached_property
    def holders(self) -> Holders:
        from cryptnsend.flow.holders import Holders

        return Holders(self.keeper, self.clock)

    @cached_property
    def policies(self) -> Policies:
        from cryptnsend.flow.policies import Policies

        installation, leaves = house_rules(self.config)
        return Policies(
            engine=self.engine,
            keeper=self.keeper,
            holders=self.holders,
            clock=self.clock,
            installation=installation,
            leaves=leaves,
        )

    @cached_property
    def resolver(self) -> DnsResolver:
        from cryptnsend.delivery.dns import DnsResolver

        return DnsResolver([endpoint(entry) for entry in self.config.delivery.nameservers])

    @cached_property
    def looks(self) -> Looks:
        """Return how organisations look."""
        from cryptnsend.flow.looks import Looks

        return Looks(
            engine=self.engine,
            keeper=self.keeper,
            holders=self.holders,
            clock=self.clock,
            base_url=lambda: self.home.base_url(self.config),
            serves=self._keeps_from,
        )

    def _keeps_from(self, host: str) -> str:
        """Return what keeps browsers from reaching this server at a host, as `Looks` wants it said."""
        from cryptnsend.delivery.dns import DnsTrouble, NoSuchDomain
        from cryptnsend.making import carries

        try:
            theirs, ours = self.resolver.addresses(host), self.resolver.addresses(self.config.server.hostname)
        except NoSuchDomain:
            return "elsewhere"
        except DnsTrouble:
            return "away"
        if not set(theirs) & set(ours):
            return "elsewhere"
        return "" if carries(self.config.tls.certificate, host) else "certificate"

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

    def _throttle(self, door: str) -> Throttle:
        """Return the count of wrong secrets at one door: smtp, mailbox, page, code, link."""
        from cryptnsend.flow.throttling import Throttle

        limits = self.config.limits
        return Throttle(
            self.engine,
            self.clock,
            os.urandom,
            door,
            failures=limits.sign_in_failures,
            pause_minutes=limits.sign_in_pause_minutes,
            # A sender's code, and a file's password, are typed by whoever has their link; each has its own few tries.
            per_network=None if door in ("code", "link") else limits.sign_in_failures_per_network,
        )

    @cached_property
    def typist(self) -> Mapping[str, object]:
        """Return what the audit trail says of who types a command."""
        from cryptnsend.typist import typist

        return typist()

    def close(self) -> None:
        """Let go of what was made and holds descriptors; safe to call twice."""
        for name in ("engine", "blobs", "keeper"):
            if name in vars(self):
                getattr(self, name).close()


def house_rules(config: Config) -> tuple[Policy, Leaves]:
    """Return the installation's own rules as those of an organisation, and what it leaves to organisations."""
    from cryptnsend.core.organisation import Leaves, Policy

    rules, limits, life = config.policy, config.limits, config.life
    policy = Policy(
        default=rules.default,
        plain_token=rules.plain_token,
        friends=rules.friends,
        pdf_token=rules.pdf_token,
        members_in_clear=rules.members_in_clear,
        cleartext=rules.cleartext == "everybody",
        file_links=rules.file_links == "everybody",
        own_keys=rules.own_keys == "everybody",
        tls_replies=rules.tls_replies,
        visitor_pages=config.visitors.pages,
        api=config.api.tokens,
        code_rule=config.codes.rule,
        code_on_receipt=config.codes.on_receipt,
        code_instead=config.codes.instead,
        custody=rules.custody,
        life_days=life.days,
        retention_days=life.retention_days,
        message_octets=limits.message_octets,
        file_octets=limits.file_octets,
        messages_per_day=limits.messages_per_day,
        new_recipients_per_day=limits.new_recipients_per_day,
        idle_minutes=config.sessions.subscriber_idle_minutes,
        absolute_hours=config.sessions.absolute_hours,
        password_length=config.passwords.min_length,
        password_remind_days=config.passwords.remind_days,
        dlp_off=not config.dlp.look,
        hold_hours=config.dlp.hold_hours,
    )
    leaves = Leaves(
        least=rules.least,
        cleartext=rules.cleartext != "never",
        file_links=rules.file_links != "never",
        own_keys=rules.own_keys != "never",
    )
    return policy, leaves


def endpoint(entry: str) -> tuple[str, int]:
    """Return host and port of an entry of the configuration that was checked."""
    host, _, port = entry.rpartition(":")
    return host.strip("[]"), int(port)
