"""What lies behind the fakes: who there is, what they got and sent, and what was asked for."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptnsend.core.dlp.detect import Finding
from cryptnsend.flow.filelinks import SharedLink
from cryptnsend.flow.holding import HeldMessage, Quarantined
from cryptnsend.flow.ownkeys import Held
from cryptnsend.flow.views import Begun, Downloaded, Drafted, Entry, KeptFile, KeptMail, Letter, Status, Turn, Waiting
from cryptnsend.flow.views_accounts import Blocked, Browser, Device, Doing, Profile
from cryptnsend.keeper.credentials import PasskeyRow

NOW = 1_795_000_000_000  # 18 November 2026, 11:06:40 UTC
DAY = 86_400_000
PAT, ANN = "pat@yahoo.example", "ann@gmail.example"
PASSWORD = "velvet acorn harvest dune"
CODE = "482913"


@dataclass
class FakeSession:
    account: int
    address: str
    roles: tuple[str, ...] = ("recipient",)
    name: str = ""
    organisation: int = 0
    weak: bool = False
    locked: tuple[int, ...] = ()
    locale: str = ""
    closed: tuple[int, ...] = ()
    rest: int = 0

    @property
    def addresses(self) -> tuple[str, ...]:
        return (self.address,)


@dataclass
class FakeProof:
    ticket: bytes
    address: str
    has_account: bool = False
    may_register: bool = True


@dataclass
class World:
    """The state behind the fakes; a test arranges it and looks at `calls`."""

    sessions: dict[str, FakeSession] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    letters: dict[int, Letter] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    sent: dict[int, Status] = field(default_factory=dict)
    devices: list[Device] = field(default_factory=list)
    files: dict[tuple[int, str], bytes] = field(default_factory=dict)
    replies: list[dict[str, Any]] = field(default_factory=list)
    drafts: dict[int, Drafted] = field(default_factory=dict)  # by answered message
    begun: list[Begun] = field(default_factory=list)
    draft_files: dict[int, bytes] = field(default_factory=dict)
    arriving: dict[int, tuple[str, str, int, bytearray]] = field(default_factory=dict)
    away: dict[str, FakeSession] = field(default_factory=dict)  # sessions whose time is over
    mails: list[dict[str, Any]] = field(default_factory=list)  # new messages that were sent
    beside: dict[int, list[KeptFile]] = field(default_factory=dict)
    downloaded: dict[int, list[Downloaded]] = field(default_factory=dict)
    library: list[KeptFile] = field(default_factory=list)
    own_keys: list[Held] = field(default_factory=list)
    may_link: bool = True
    file_links: list[SharedLink] = field(default_factory=list)
    found_in_files: Sequence[Finding] = ()
    threads: dict[int, list[Turn]] = field(default_factory=dict)
    may_plain: bool = True
    plain_from: int | None = None
    may_pdf: bool = True
    may_friends: bool = True
    usual_way: str = "code"
    friends: tuple[str, ...] = ()
    mail_wishes: dict[str, bool] = field(default_factory=dict)
    instead: tuple[str, ...] = ("code", "mail")  # what may stand in for a code
    trash: set[tuple[int, str]] = field(default_factory=set)  # message and role
    pause: int = 15_000  # milliseconds until a new message leaves
    calls: list[str] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)  # next codes, by address
    limit: int | None = None  # when there are next codes again
    tries: int = 5
    may_register: bool = True
    refuse: str = ""
    second_step: bool = False
    passkeys: list[PasskeyRow] = field(default_factory=list)
    passkey_step: bool = False
    password_age: int = 85
    recovery_safe: bool = False
    kept: list[KeptMail] = field(default_factory=list)
    browsers: list[Browser] = field(default_factory=list)
    held: dict[int, HeldMessage] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    doings: list[Doing] = field(default_factory=list)
    blocked: list[Blocked] = field(default_factory=list)
    profile: Profile = field(default_factory=lambda: Profile("Dr. Ann Ruiz", "(555) 010-0142", "zip"))

    def sign_in(self, address: str = PAT, **values: Any) -> str:
        cookie = secrets.token_urlsafe(16)
        self.sessions[cookie] = FakeSession(len(self.sessions) + 1, address, **values)
        return cookie
