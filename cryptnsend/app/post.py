"""What is done with mail that leaves, and with what comes from other servers?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cryptnsend.app.desk import Desk
from cryptnsend.app.foundation import endpoint
from cryptnsend.config import web_root

if TYPE_CHECKING:
    from cryptnsend.delivery.courier import Courier
    from cryptnsend.delivery.keyring import KeyRing
    from cryptnsend.delivery.names import DnsNames
    from cryptnsend.delivery.signers import Signers
    from cryptnsend.flow import deliver
    from cryptnsend.flow.domains import Domains
    from cryptnsend.flow.filelinks import FileLinks
    from cryptnsend.flow.inbound import Inbound
    from cryptnsend.flow.inspecting import Inspecting
    from cryptnsend.flow.inspecting import Looks as Inspects
    from cryptnsend.flow.keeping import Keeping
    from cryptnsend.flow.letters import Letters
    from cryptnsend.flow.organisations import Organisations
    from cryptnsend.flow.tlsreports import TlsReports
    from cryptnsend.flow.upkeep import Upkeep


DAY = 86_400_000  # milliseconds


@dataclass
class Post(Desk):
    """The pieces of the courier and of the door for other servers."""

    @cached_property
    def names(self) -> DnsNames:
        """Return what answers questions about the domains of those who write to us."""
        from cryptnsend.delivery.names import DnsNames

        return DnsNames([endpoint(entry) for entry in self.config.delivery.nameservers])

    @cached_property
    def organisations(self) -> Organisations:
        """Return what officers and managers do on pages, and officers by commands."""
        from cryptnsend.flow.organisations import Organisations

        by = self.typist if self.role == "owner" else {}
        return Organisations(domains=self.domains, looks=self.looks, by=by, **self.of_people())

    @cached_property
    def domains(self) -> Domains:
        """Return what looks whether a domain is an organisation's."""
        from cryptnsend.flow.domains import Domains

        return Domains(
            engine=self.engine,
            texts=lambda name: self.resolver.texts(name),
            clock=self.clock,
            random=os.urandom,
            own=self.config.server.domain,
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
            documents=self.documents,
            locksmith=self.locksmith,
            keeper=self.keeper,
            clock=self.clock,
            signers=self.signers,
            settings=Settings(
                domain=self.config.server.domain,
                hostname=self.config.server.hostname,
                give_up=self.config.delivery.give_up_seconds * 1000,
            ),
            policies=self.policies,
            looks=self.looks,
            web=web_root(),
        )

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
            private_hosts=self.config.api.private_hosts,
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
            inspecting=self.inspecting,
            clock=self.clock,
            random=os.urandom,
            threads=figures.threads,
            wake_socket=self.home.courier_wake,
        )

    @cached_property
    def inspector(self) -> Inspects:
        """Return what looks into mail that is to leave plain; it starts nothing before the first."""
        from cryptnsend.dlp.budget import Limits
        from cryptnsend.dlp.inspector import Inspector

        figures = self.config.dlp
        return Inspector(Limits(cpu=figures.seconds, wall=2 * figures.seconds, memory=figures.memory_mib << 20))

    @cached_property
    def inspecting(self) -> Inspecting:
        from cryptnsend.dlp.inspector import Inspector
        from cryptnsend.flow.inspecting import Inspecting

        return Inspecting(
            engine=self.engine,
            policies=self.policies,
            looks=self.inspector,
            ocr=Inspector.ocr() if self.config.dlp.ocr else "",
            clock=self.clock,
            random=os.urandom,
        )

    @cached_property
    def filelinks(self) -> FileLinks:
        from cryptnsend.flow.filelinks import FileLinks
        from cryptnsend.flow.linklooks import LinkLooks

        return FileLinks(
            engine=self.engine,
            keeper=self.keeper,
            opener=self.opener,
            reading=self.uploads.reading,
            looks=LinkLooks(
                inspecting=self.inspecting,
                scanning=self.scanning,
                policies=self.policies,
                reading=self.uploads.reading,
            ),
            sent=self.sent,
            policies=self.policies,
            throttle=self._throttle("link"),
            argon=self.argon,
            clock=self.clock,
            random=os.urandom,
            wake=self.wake,
        )

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
            resend_keys=self.admission.resend_keys,
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
            standings=Standings(self.engine, self.holders, self.policies),
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
        from cryptnsend.flow.reminding import Reminding, Rules
        from cryptnsend.flow.upkeep import Upkeep

        return Upkeep(
            engine=self.engine,
            vault=self.vault,
            keeper=self.keeper,
            clock=self.clock,
            random=os.urandom,
            undo=self.config.life.undo_days * DAY,
            policies=self.policies,
            drafts=self.config.life.draft_days * DAY,
            journal=self.home.journal,
            domains=self.domains,
            reminding=Reminding(
                engine=self.engine,
                clock=self.clock,
                random=os.urandom,
                rules=Rules(self.config.life.remind_after_days * DAY, self.config.life.remind_before_days * DAY),
                wake=self.wake,
            ),
        )

    @cached_property
    def tls_reports(self) -> TlsReports:
        from cryptnsend.flow.tlsreports import TlsReports

        return TlsReports(engine=self.engine, resolver=self.resolver, clock=self.clock, random=os.urandom)
