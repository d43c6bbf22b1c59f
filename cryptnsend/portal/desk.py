"""What does every page have at hand?

One `Desk` per application: the flows, the settings and where the files of the pages lie. Views reach it through
`desk()`, so that blueprints stay plain modules and tests build as many applications as they like.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flask import current_app

from cryptnsend.config import Config
from cryptnsend.core.discovery import Servers
from cryptnsend.core.organisation import Policy
from cryptnsend.home import Home
from cryptnsend.portal.flows import (
    BegunElsewhere,
    Drafts,
    Folders,
    Following,
    NewMail,
    Pickup,
    Pieces,
    Replies,
    Trials,
    VisitForms,
    Visitors,
)
from cryptnsend.portal.flows_accounts import Accounts, OwnKeys, Session
from cryptnsend.portal.flows_files import Downloads, FileLinks, Library, Uploads
from cryptnsend.portal.governing import Holding, Looks, Organisations, Policies

EXTENSION = "cryptnsend"
MINUTE = 60_000  # milliseconds


@dataclass(frozen=True, slots=True)
class Desk:
    """The flows and settings of one application."""

    pieces: Pieces
    config: Config
    ports: Callable[[], Mapping[str, int]]
    versions: Mapping[str, str] = field(default_factory=dict)  # static file → fingerprint
    static: Path = Path()  # their folder

    @property
    def accounts(self) -> Accounts:
        return self.pieces.accounts

    @property
    def pickup(self) -> Pickup:
        return self.pieces.pickup

    @property
    def replies(self) -> Replies:
        return self.pieces.replies

    @property
    def drafts(self) -> Drafts:
        return self.pieces.drafts

    @property
    def uploads(self) -> Uploads:
        return self.pieces.uploads

    @property
    def begun(self) -> BegunElsewhere:
        return self.pieces.begun

    @property
    def newmail(self) -> NewMail:
        return self.pieces.newmail

    @property
    def following(self) -> Following:
        return self.pieces.following

    @property
    def folders(self) -> Folders:
        return self.pieces.folders

    @property
    def policies(self) -> Policies:
        return self.pieces.policies

    @property
    def looks(self) -> Looks:
        return self.pieces.looks

    @property
    def organisations(self) -> Organisations:
        return self.pieces.organisations

    @property
    def downloads(self) -> Downloads:
        return self.pieces.downloads

    @property
    def library(self) -> Library:
        return self.pieces.library

    @property
    def filelinks(self) -> FileLinks:
        return self.pieces.filelinks

    @property
    def holding(self) -> Holding:
        return self.pieces.holding

    @property
    def ownkeys(self) -> OwnKeys:
        return self.pieces.ownkeys

    @property
    def trials(self) -> Trials:
        return self.pieces.trials

    @property
    def visitforms(self) -> VisitForms:
        return self.pieces.visitforms

    @property
    def visitors(self) -> Visitors:
        return self.pieces.visitors

    def now(self) -> int:
        """Return UTC milliseconds."""
        return self.pieces.now()

    def servers(self) -> Servers:
        """Return what mail programs have to know of this server."""
        return Home(self.config.server.home).servers(self.config, self.ports())

    def rules(self, somebody: Session | None) -> Policy:
        """Return the limits of somebody's organisation; the installation's for everybody else."""
        policies = self.pieces.policies
        return policies.limits(somebody.organisation) if somebody is not None else policies.installation

    def idle_minutes(self, somebody: Session | None) -> int:
        """Return how many minutes somebody stays signed in without a tap, as they chose or at most."""
        most = self.most_idle_minutes(somebody)
        return min(most, somebody.rest) if somebody is not None and somebody.rest else most

    def most_idle_minutes(self, somebody: Session | None) -> int:
        """Return how many minutes the rules let somebody stay signed in without a tap."""
        sessions = self.config.sessions
        if somebody is None or tuple(somebody.roles) == ("recipient",):
            return sessions.recipient_idle_minutes
        return min(sessions.subscriber_idle_minutes, self.rules(somebody).idle_minutes)


def desk() -> Desk:
    """Return the desk of the application that answers this request."""
    found = current_app.extensions[EXTENSION]
    assert isinstance(found, Desk)  # noqa: S101 - create_app put it there
    return found


def fingerprints(folder: Path) -> dict[str, str]:
    """Return a short fingerprint per file of *folder*, for URLs whose content never changes."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in folder.iterdir() if file.is_file()
    }
