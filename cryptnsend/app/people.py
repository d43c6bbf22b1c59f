"""What is done with the accounts of people, of their devices, and of programs that act for them?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cryptnsend.app.foundation import Foundation

if TYPE_CHECKING:
    from cryptnsend.flow.account import Accounts
    from cryptnsend.flow.adoption import Adoption
    from cryptnsend.flow.api_tokens import ApiTokens
    from cryptnsend.flow.gate import Gate
    from cryptnsend.flow.mailgate import MailGate
    from cryptnsend.flow.ownkeys import OwnKeys
    from cryptnsend.flow.sessions import Sessions
    from cryptnsend.flow.webhooks import OrganisationWebhooks, Webhooks
    from cryptnsend.ownkeys.locksmith import Locksmith

MINUTE = 60_000


@dataclass
class People(Foundation):
    """The pieces that all doors for people share."""

    @cached_property
    def gate(self) -> Gate:
        from cryptnsend.flow.gate import Gate

        return Gate(engine=self.engine, keeper=self.keeper, clock=self.clock, throttle=self._throttle("smtp"))

    def of_people(self) -> dict[str, Any]:
        """Return the pieces that all flows about people share."""
        from cryptnsend.flow.people import Settings

        return {
            "engine": self.engine,
            "keeper": self.keeper,
            "sessions": self.sessions,
            "adoption": self.adoption,
            "throttle": self._throttle("page"),
            "clock": self.clock,
            "random": os.urandom,
            "settings": Settings(
                signup=self.config.signup.mode,
                argon=self.argon,
                postmaster=self.config.inbound.postmaster.lower(),
            ),
            "policies": self.policies,
            "wake": self.wake,
        }

    @cached_property
    def accounts(self) -> Accounts:
        from cryptnsend.flow.account import Accounts

        return Accounts(**self.of_people())

    @cached_property
    def sessions(self) -> Sessions:
        from cryptnsend.flow.sessions import Limits, Sessions

        figures = self.config.sessions
        limits = Limits(
            recipient_idle=figures.recipient_idle_minutes * MINUTE,
            subscriber_idle=figures.subscriber_idle_minutes * MINUTE,
            absolute=figures.absolute_hours * 60 * MINUTE,
        )
        return Sessions(self.engine, self.clock, os.urandom, limits, self.policies)

    @cached_property
    def adoption(self) -> Adoption:
        from cryptnsend.flow.adoption import Adoption

        return Adoption(self.engine, self.keeper, self.clock)

    @cached_property
    def ownkeys(self) -> OwnKeys:
        from cryptnsend.flow.ownkeys import OwnKeys

        return OwnKeys(locksmith=self.locksmith, **self.of_people())

    @cached_property
    def locksmith(self) -> Locksmith:
        """Return what reads and uses people's own keys; it starts nothing before the first."""
        from cryptnsend.ownkeys.locksmith import Locksmith

        return Locksmith()

    @cached_property
    def mail_gate(self) -> MailGate:
        from cryptnsend.flow.mailgate import MailGate

        throttle = self._throttle("mailbox")
        return MailGate(engine=self.engine, keeper=self.keeper, clock=self.clock, throttle=throttle, random=os.urandom)

    @cached_property
    def api_tokens(self) -> ApiTokens:
        from cryptnsend.flow.api_tokens import ApiTokens

        return ApiTokens(**self.of_people())

    @cached_property
    def webhooks(self) -> Webhooks:
        from cryptnsend.flow.webhooks import Webhooks

        return Webhooks(**self.of_people())

    @cached_property
    def organisation_webhooks(self) -> OrganisationWebhooks:
        from cryptnsend.flow.webhooks import OrganisationWebhooks

        return OrganisationWebhooks(**self.of_people())
