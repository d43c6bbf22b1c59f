"""What is done by those who answer for an organisation, and by whoever runs the server?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cryptnsend.app.desk import Desk

if TYPE_CHECKING:
    from cryptnsend.flow.archivedfiles import ArchivedFiles
    from cryptnsend.flow.archiving import Archiving
    from cryptnsend.flow.auditing import Auditing
    from cryptnsend.flow.casework import Casework
    from cryptnsend.flow.exporting import Exporting
    from cryptnsend.flow.glass import GlassBreaks
    from cryptnsend.flow.holding import Holding
    from cryptnsend.flow.owner import Owner
    from cryptnsend.flow.recalling import Recalling

DAY = 86_400_000  # milliseconds


@dataclass
class Oversight(Desk):
    """The pieces of officers, of the archive and of the owner's commands."""

    @cached_property
    def holding(self) -> Holding:
        from cryptnsend.flow.holding import Holding

        return Holding(
            engine=self.engine,
            keeper=self.keeper,
            opener=self.opener,
            sent=self.sent,
            policies=self.policies,
            clock=self.clock,
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
    def archiving(self) -> Archiving:
        from cryptnsend.flow.archiving import Archiving

        return Archiving(
            engine=self.engine,
            vault=self.vault,
            keeper=self.keeper,
            clock=self.clock,
            random=os.urandom,
            policies=self.policies,
            undo=self.config.life.undo_days * DAY,
        )

    @cached_property
    def glass(self) -> GlassBreaks:
        from cryptnsend.flow.glass import GlassBreaks

        return GlassBreaks(
            engine=self.engine,
            keeper=self.keeper,
            opener=self.opener,
            throttle=self._throttle("page"),
            clock=self.clock,
            random=os.urandom,
            wake=self.wake,
            by=self.typist if self.role == "owner" else {},
        )

    @cached_property
    def casework(self) -> Casework:
        from cryptnsend.flow.casework import Casework

        return Casework(
            engine=self.engine, keeper=self.keeper, glass=self.glass, files=self.archivedfiles, clock=self.clock
        )

    @cached_property
    def archivedfiles(self) -> ArchivedFiles:
        from cryptnsend.flow.archivedfiles import ArchivedFiles

        return ArchivedFiles(
            engine=self.engine,
            opener=self.opener,
            keeper=self.keeper,
            glass=self.glass,
            reading=self.uploads.reading,
        )

    @cached_property
    def recalling(self) -> Recalling:
        from cryptnsend.flow.recalling import Recalling

        return Recalling(engine=self.engine, sent=self.sent, clock=self.clock)

    @cached_property
    def auditing(self) -> Auditing:
        from cryptnsend.flow.auditing import Auditing

        return Auditing(self.engine, self.keeper, self.clock)

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
            custody=self.config.policy.custody,
            policies=self.policies,
            wake=self.wake,
            by=self.typist,
        )
