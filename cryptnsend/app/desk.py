"""What is done with mail that people write and read?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cryptnsend.app.people import People
from cryptnsend.config import Config, web_root
from cryptnsend.languages import catalogue, known

if TYPE_CHECKING:
    from cryptnsend.core.contracts import Scanner
    from cryptnsend.flow import admit
    from cryptnsend.flow.api_mail import ApiMail
    from cryptnsend.flow.begun import BegunElsewhere
    from cryptnsend.flow.copies import Copies
    from cryptnsend.flow.documents import Documents
    from cryptnsend.flow.downloads import Downloads
    from cryptnsend.flow.drafting import Drafts
    from cryptnsend.flow.filing import Filing
    from cryptnsend.flow.folders import Folders
    from cryptnsend.flow.following import Following
    from cryptnsend.flow.library import Library
    from cryptnsend.flow.mailboxes import Mailboxes
    from cryptnsend.flow.newmail import NewMail
    from cryptnsend.flow.opening import Opener
    from cryptnsend.flow.pickup import Pickup
    from cryptnsend.flow.placing import Placer
    from cryptnsend.flow.replies import Replies
    from cryptnsend.flow.scanning import Scanning
    from cryptnsend.flow.sent import Sent
    from cryptnsend.flow.serving import Shelf
    from cryptnsend.flow.trials import Trials
    from cryptnsend.flow.uploading import Uploads
    from cryptnsend.flow.visitforms import VisitForms
    from cryptnsend.flow.visitors import Visitors


DAY = 86_400_000  # milliseconds


@dataclass
class Desk(People):
    """The pieces of submission, the portal and the mailboxes."""

    @cached_property
    def admission(self) -> admit.Admission:
        from cryptnsend.flow import admit, rules, visiting

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
                replies_per_day=config.limits.replies_per_day,
                newcomer=config.signup.newcomer_days * DAY,
                newcomer_recipients_per_day=config.signup.newcomer_recipients_per_day,
                visitors=visiting.Limits(config.visitors.letters_per_day, config.visitors.newcomers_per_day),
            ),
            policies=self.policies,
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
            documents=self.documents,
            clock=self.clock,
            random=os.urandom,
            wake=self.wake,
        )

    @cached_property
    def documents(self) -> Documents:
        """Return what makes PDFs of messages; it starts nothing before the first."""
        from cryptnsend.flow.documents import Documents
        from cryptnsend.pdf.press import Limits, Press

        figures = self.config.pdf
        return Documents(
            Press(Limits(memory=figures.memory_mib << 20, seconds=figures.seconds)),
            web_root(),
            self.looks.cover,
            self.config.delivery.handoff_octets,
        )

    @cached_property
    def trials(self) -> Trials:
        from cryptnsend.flow.trials import Trials

        domain = self.config.server.domain
        return Trials(admission=self.admission, domain=domain, web=web_root(), **self.of_people())

    @cached_property
    def mailboxes(self) -> Mailboxes:
        from cryptnsend.flow.mailboxes import Mailboxes

        return Mailboxes(self.engine, self.vault, self.placer, self.clock, os.urandom)

    @cached_property
    def placer(self) -> Placer:
        from cryptnsend.flow.placing import Placer

        return Placer(
            self.engine, self.vault, self.adoption, self.copies, self.clock, self.config.server.domain, web_root()
        )

    @cached_property
    def shelf(self) -> Shelf:
        from cryptnsend.flow.serving import Shelf

        return Shelf(self.engine, self.vault, self.opener, self.clock)

    @cached_property
    def copies(self) -> Copies:
        from cryptnsend.flow.copies import Copies

        return Copies(self.engine, self.opener, self.shelf)

    @cached_property
    def filing(self) -> Filing:
        from cryptnsend.flow.filing import Filing

        return Filing(
            engine=self.engine,
            vault=self.vault,
            keeper=self.keeper,
            copies=self.copies,
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
            policies=self.policies,
            wake=self.wake,
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
    def folders(self) -> Folders:
        from cryptnsend.flow.folders import Folders

        return Folders(
            engine=self.engine,
            boxes=self.mailboxes,
            placer=self.placer,
            pickup=self.pickup,
            sent=self.sent,
            opener=self.opener,
            clock=self.clock,
        )

    @cached_property
    def newmail(self) -> NewMail:
        from cryptnsend.flow.newmail import NewMail
        from cryptnsend.flow.passing import Passing

        return NewMail(
            engine=self.engine,
            admission=self.admission,
            passing=Passing(self.engine, self.opener),
            drafts=self.drafts,
            uploads=self.uploads,
            sent=self.sent,
            clock=self.clock,
            domain=self.config.server.domain,
            most=self.config.limits.recipients,
            pause=self.config.portal.undo_seconds * 1000,
            keeper=self.keeper,
        )

    @cached_property
    def api_mail(self) -> ApiMail:
        from cryptnsend.flow.api_mail import ApiMail

        return ApiMail(
            engine=self.engine,
            admission=self.admission,
            sent=self.sent,
            clock=self.clock,
            domain=self.config.server.domain,
            most=self.config.limits.recipients,
        )

    @cached_property
    def visitforms(self) -> VisitForms:
        from cryptnsend.flow.visitforms import VisitForms

        return VisitForms(
            engine=self.engine, policies=self.policies, clock=self.clock, random=os.urandom,
            words=lambda language: catalogue(web_root(), known(language)),
        )  # fmt: skip

    @cached_property
    def visitors(self) -> Visitors:
        from cryptnsend.flow.visitors import Visitors

        config = self.config
        return Visitors(
            **self.of_people(),
            admission=self.admission,
            drafts=self.drafts,
            domain=config.server.domain,
            codes=(config.visitors.codes_per_network, config.visitors.codes_without_script),
        )

    @cached_property
    def following(self) -> Following:
        from cryptnsend.flow.following import Following

        return Following(
            engine=self.engine,
            sent=self.sent,
            policies=self.policies,
            clock=self.clock,
            random=os.urandom,
            wake=self.wake,
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
    def begun(self) -> BegunElsewhere:
        from cryptnsend.flow.begun import BegunElsewhere
        from cryptnsend.flow.passing import Passing

        return BegunElsewhere(
            engine=self.engine,
            boxes=self.mailboxes,
            shelf=self.shelf,
            passing=Passing(self.engine, self.opener),
            drafts=self.drafts,
        )

    @cached_property
    def uploads(self) -> Uploads:
        from cryptnsend.flow.uploading import Uploads

        return Uploads(
            engine=self.engine,
            vault=self.vault,
            keeper=self.keeper,
            clock=self.clock,
            random=os.urandom,
            quota=self.config.limits.draft_octets,
            files_quota=self.config.limits.files_octets,
        )

    @cached_property
    def downloads(self) -> Downloads:
        from cryptnsend.flow.downloads import Downloads

        return Downloads(
            engine=self.engine,
            opener=self.opener,
            reading=self.uploads.reading,
            sent=self.sent,
            clock=self.clock,
            random=os.urandom,
        )

    @cached_property
    def library(self) -> Library:
        from cryptnsend.flow.library import Library

        return Library(self.engine, self.vault, self.uploads)


def scanners(config: Config) -> tuple[list[Scanner], list[Scanner]]:
    """
    Return who looks at all mail, and who only at mail that travels in clear and at letters of visitors.

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
