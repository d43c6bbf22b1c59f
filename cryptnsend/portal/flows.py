"""What does the portal ask of the flows?

The interfaces of `flow/account.py`, `flow/sessions.py` and `flow/pickup.py` as seen from a page, and the values that
travel. Times are UTC milliseconds, addresses canonical, ids the 63-bit integers of `core.model`. Every method may raise
the errors of `core.errors`; their texts are shown to the person concerned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cryptnsend.flow.papers import Key
from cryptnsend.flow.searching import Found
from cryptnsend.flow.views import (
    Addressed,
    Arriving,
    Begun,
    Blocked,
    Browser,
    Checked,
    Code,
    Device,
    Doing,
    Downloaded,
    Drafted,
    Entry,
    Event,
    Evidence,
    File,
    KeptFile,
    KeptMail,
    Known,
    Letter,
    NewDevice,
    Part,
    Profile,
    Reached,
    SentEntry,
    SignedIn,
    Started,
    Status,
    Thrown,
    Turn,
    Upload,
    Waiting,
    Wishes,
    Writing,
)
from cryptnsend.portal.governing import Holding, Looks, Officers, Organisations, Policies

__all__ = [
    "Accounts",
    "Addressed",
    "Arriving",
    "Checked",
    "Code",
    "Device",
    "Drafted",
    "Drafts",
    "Entry",
    "Event",
    "Evidence",
    "File",
    "Folders",
    "Following",
    "Holding",
    "Kept",
    "KeptMail",
    "Known",
    "Letter",
    "Looks",
    "NewDevice",
    "NewMail",
    "Officers",
    "Organisations",
    "Part",
    "Pickup",
    "Pieces",
    "Policies",
    "Profile",
    "Proof",
    "Reached",
    "Replies",
    "SentEntry",
    "Session",
    "SignedIn",
    "Started",
    "Status",
    "Thrown",
    "Turn",
    "Upload",
    "Uploads",
    "Waiting",
    "Wishes",
    "Writing",
]


class Session(Protocol):
    """Somebody who is signed in. `ticket` and `seeds` are for the flows, the portal does not look at them."""

    @property
    def account(self) -> int: ...
    @property
    def organisation(self) -> int: ...
    @property
    def roles(self) -> Sequence[str]: ...
    @property
    def address(self) -> str:
        """The address of the account's first day: what they sign in with."""

    @property
    def addresses(self) -> Sequence[str]:
        """All of the account's addresses, canonical."""

    @property
    def name(self) -> str: ...
    @property
    def locale(self) -> str:
        """The language its owner chose; empty if none was chosen."""

    @property
    def weak(self) -> bool:
        """True while the password was reset by mail only: contacts and own threads count as unproven."""

    @property
    def locked(self) -> Sequence[int]:
        """Pairs of this account that its present password does not open."""


class Proof(Protocol):
    """A code was right. `ticket` is the keeper's, good for a few minutes."""

    @property
    def ticket(self) -> bytes: ...
    @property
    def address(self) -> str: ...
    @property
    def has_account(self) -> bool: ...
    @property
    def may_register(self) -> bool: ...


class Kept(Protocol):
    """Mail that is kept apart, because nobody vouches for it."""

    def any(self, session: Any) -> bool: ...
    def list(self, session: Any, before: int | None = None, limit: int = 50) -> Sequence[KeptMail]: ...
    def show(self, session: Any, message: int) -> KeptMail: ...
    def eml(self, session: Any, message: int) -> Part: ...
    def delete(self, session: Any, message: int) -> None: ...


class Papers(Protocol):
    """Messages as locked PDFs, and what opens them."""

    def keys(self, session: Any, message: int) -> tuple[Letter, Sequence[Key]]: ...
    def document(self, session: Any, message: int, language: str) -> Part: ...


class Pickup(Protocol):
    """Reading, replying, and the author's view of what became of it."""

    @property
    def kept(self) -> Kept: ...
    @property
    def papers(self) -> Papers: ...
    def waiting(self, token: str) -> Waiting: ...
    def ask(self, token: str, source: str) -> Waiting: ...
    def ask_own(self, session: Any, token: str, source: str) -> None: ...
    def ask_message(self, session: Any, message: int, source: str) -> None: ...
    def prove(self, token: str, code: str, source: str) -> Proof: ...
    def mail_code(self, token: str, source: str, language: str = "") -> Started: ...
    def prove_mailed(self, token: str, ident: int, code: str, source: str) -> Proof: ...
    def prove_mailed_as(self, session: Any, token: str, ident: int, code: str, source: str) -> None: ...
    def agree(self, token: str) -> None: ...
    def prove_as(self, session: Any, token: str, code: str, source: str) -> None: ...
    def awaited(self, session: Any, message: int) -> Waiting: ...
    def prove_message(self, session: Any, message: int, code: str, source: str) -> None: ...
    def adopt(self, session: Any) -> int: ...
    def list(
        self, session: Any, before: int | None = None, limit: int = 50, *, unread: bool = False
    ) -> Sequence[Entry]: ...
    def unread(self, session: Any) -> int: ...
    def search(self, session: Any, typed: str) -> Found: ...
    def search_sent(self, session: Any, typed: str) -> Found: ...
    def entry(self, session: Any, message: int) -> Entry | None: ...
    def show(self, session: Any, message: int) -> Letter: ...
    def part(self, session: Any, message: int, part: str) -> Part: ...
    def eml(self, session: Any, message: int) -> Part: ...
    def zip(self, session: Any, message: int, password: str) -> Iterator[bytes]: ...
    def everything(self, session: Any, password: str) -> Iterator[bytes]: ...
    def sent(self, session: Any, before: int | None = None, limit: int = 50) -> Sequence[SentEntry]: ...
    def status(self, session: Any, message: int) -> Status: ...
    def expire(self, session: Any, message: int, address: str | None = None) -> None: ...
    def restore(self, session: Any, message: int, address: str | None = None) -> None: ...
    def shred(self, session: Any, message: int, address: str | None = None) -> None: ...
    def thread(self, session: Any, message: int) -> Sequence[Turn]: ...


class Replies(Protocol):
    """A reply from the page: one admission like any other message."""

    def send(
        self,
        session: Any,
        message: int,
        *,
        everybody: bool,
        text: str,
        files: Iterable[Upload],
        nonce: bytes,
        kept: Collection[int] | None,
    ) -> int:
        """
        Seal and admit the reply; return its id. The same form again returns the same id and sends nothing.

        *kept* are the files of its draft that go along, None all.

        Its draft is gone with it.
        """


class Drafts(Protocol):
    """What is being written: kept sealed, found again, gone when it is sent."""

    def save(
        self,
        session: Any,
        writing: Writing,
        *,
        parent: int = 0,
        draft: int = 0,
        files: Iterable[Upload] = (),
        keep: Collection[int] | None = None,
        nonce: bytes = b"",
    ) -> int: ...
    def save_for_later(
        self,
        writer: Any,
        writing: Writing,
        *,
        parent: int = 0,
        draft: int = 0,
        files: Iterable[Upload] = (),
        keep: Collection[int] = (),
        nonce: bytes = b"",
    ) -> int: ...
    def listing(self, session: Any) -> Sequence[Drafted]: ...
    def count(self, session: Any) -> int: ...
    def reply_to(self, session: Any, parent: int) -> Drafted | None: ...
    def draft(self, session: Any, ident: int) -> Drafted: ...
    def uploads(
        self, session: Any, *, parent: int = 0, draft: int = 0, keep: Collection[int] | None = None
    ) -> Sequence[Upload]: ...
    def drop(self, session: Any, draft: int) -> None: ...


class BegunElsewhere(Protocol):
    """Drafts of mail programs."""

    def listing(self, session: Any) -> Sequence[Begun]: ...
    def take_up(self, session: Any, ident: int) -> int: ...


class Uploads(Protocol):
    """Files that come in pieces, over connections that break."""

    def begin(
        self,
        session: Any,
        name: str,
        media_type: str,
        size: int,
        *,
        nonce: bytes,
        parent: int = 0,
        may_share: bool = False,
    ) -> Arriving: ...
    def look(self, session: Any, ident: int) -> Arriving: ...
    def append(self, session: Any, ident: int, start: int, chunks: Iterable[bytes]) -> Arriving: ...
    def drop(self, session: Any, ident: int) -> None: ...
    def upload(self, session: Any, ident: int) -> Upload: ...


class Download(Protocol):
    """A file on its way out."""

    @property
    def name(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def tag(self) -> str: ...
    def octets(self, start: int, end: int) -> Iterator[bytes]: ...


class Downloads(Protocol):
    """Files that rest beside messages."""

    def begin(self, session: Any, message: int, file: int) -> str: ...
    def get(self, ticket: str, session: Any) -> Download: ...
    def beside(self, session: Any, message: int) -> Sequence[KeptFile]: ...
    def done(self, session: Any, message: int) -> Sequence[Downloaded]: ...


class NewMail(Protocol):
    """New messages of subscribers: checked while they are written, sent, had back, passed on."""

    def known(self, session: Any, typed: str = "", limit: int = 8) -> Sequence[Known]: ...
    def instead_of_code(self, session: Any) -> tuple[Sequence[str], str]: ...
    def may_plain(self, session: Any) -> bool: ...
    def check(self, session: Any, writing: Writing) -> Checked: ...
    def send(
        self,
        session: Any,
        writing: Writing,
        *,
        draft: int = 0,
        keep: Collection[int] | None = None,
        files: Iterable[Upload] = (),
        nonce: bytes,
        beside_words: str = "",
    ) -> int: ...
    def take_up(self, session: Any, message: int) -> int: ...
    def pass_on(self, session: Any, message: int) -> int: ...
    def write_again(self, session: Any, message: int, address: str) -> int: ...


class Folders(Protocol):
    """What a page shares with mail programs: Trash, and what was seen."""

    def is_thrown_away(self, session: Any, message: int, role: str = "recipient") -> bool: ...
    def trash(self, session: Any, before: int | None = None, limit: int = 50) -> Sequence[Thrown]: ...
    def throw_away(self, session: Any, message: int, role: str = "recipient") -> None: ...
    def put_back(self, session: Any, message: int, role: str = "recipient") -> None: ...
    def mark_unread(self, session: Any, message: int) -> None: ...


class Following(Protocol):
    """What an author does about a message that went out, besides taking it back."""

    def remind(self, session: Any, message: int, address: str | None = None) -> int: ...
    def extend(self, session: Any, message: int, until: int, address: str | None = None) -> None: ...
    def proof(self, session: Any, message: int) -> Evidence: ...


class Accounts(Protocol):
    """Passwords, sessions, devices and what an account says of itself."""

    def sign_in(self, address: str, password: str, source: str, agent: str, trust: bytes = b"") -> str: ...
    def second_step(self, address: str, held: bytes, typed: str, source: str, agent: str) -> str: ...
    def password_age(self, session: Any) -> int: ...
    def has_second_step(self, session: Any) -> bool: ...
    def begin_second_step(self, session: Any, password: str, source: str) -> bytes: ...
    def begun_second_step(self, session: Any, code: str) -> str: ...
    def end_second_step(self, session: Any, password: str, code: str, source: str) -> None: ...
    def trust(self, session: Any) -> bytes: ...
    def forget_browsers(self, session: Any) -> None: ...
    def session(self, cookie: str) -> Session | None: ...
    def away(self, cookie: str) -> Any:
        """Return whose session this cookie named until its time was over, or None: for keeping drafts only."""

    def sign_out(self, cookie: str) -> None: ...
    def sign_out_everywhere(self, session: Any) -> None: ...
    def register(self, ticket: bytes, password: str, name: str, source: str, agent: str, locale: str) -> SignedIn: ...
    def start_reset(self, address: str, source: str, language: str = "") -> Started: ...
    def finish_reset(
        self, ident: int, code: str, password: str, source: str, agent: str, address: str = ""
    ) -> SignedIn: ...
    def start_signup(self, address: str, source: str, invite: str = "", language: str = "") -> Started: ...
    def finish_signup(
        self, ident: int, code: str, password: str, name: str, source: str, agent: str, locale: str, invite: str = ""
    ) -> SignedIn: ...
    def subscribe(
        self, session: Any, password: str, source: str, agent: str, id: int | None = None, code: str = ""
    ) -> SignedIn:
        """Let somebody who only received so far send too, by an invitation (*id*, *code*) or where sign-up is open."""

    def change_password(self, session: Any, old: str, new: str, source: str, agent: str) -> SignedIn: ...
    def confirm(self, session: Any, password: str, source: str) -> None:
        """Check the password of somebody signed in (step-up); raise WrongSecret or Throttled."""

    def recovery_code(self, session: Any, password: str, source: str) -> str:
        """Make a fresh recovery code (words) and return it, this once; the earlier one stops working."""

    def unlock(self, session: Any, kind: str, secret: str, password: str, source: str, trust: bytes = b"") -> None:
        """Open locked pairs with an older password, the recovery code, a device password and the like (`kind`)."""

    def codes(self, session: Any, addresses: Sequence[str]) -> Sequence[Code]: ...
    def next_code(self, session: Any, address: str) -> Code: ...
    def devices(self, session: Any) -> Sequence[Device]: ...
    def add_device(self, session: Any, name: str, scope: str, by: str = "") -> NewDevice: ...
    def revoke_device(self, session: Any, device: int) -> None: ...
    def revoke_devices(self, session: Any) -> int: ...
    def object_to(self, token: str) -> None: ...
    def usual_way(self, session: Any) -> str: ...
    def friends(self, session: Any) -> Sequence[str]: ...
    def set_friends(self, session: Any, typed: str, password: str, source: str) -> None: ...
    def set_usual_way(self, session: Any, way: str, password: str, source: str) -> None: ...
    def mails(self, session: Any) -> dict[str, bool]: ...
    def set_mails(self, session: Any, wanted: Collection[str]) -> None: ...
    def browsers(self, session: Any) -> Sequence[Browser]: ...
    def end_browser(self, session: Any, ident: str) -> None: ...
    def access_log(self, session: Any, before: int | None = None, limit: int = 50) -> Sequence[Doing]: ...
    def recovery_file_is_missing(self, session: Any) -> bool: ...
    def confirm_recovery_file(self, session: Any) -> None: ...
    def recovery_file(self, session: Any, password: str, code: str, source: str) -> Any:
        """Return another recovery file of the archive (`text`, `code`), this once."""

    def start_alias(self, session: Any, address: str, source: str) -> Started: ...
    def finish_alias(self, session: Any, ident: int, code: str) -> None: ...
    def blocked(self, session: Any) -> Sequence[Blocked]: ...
    def block(self, session: Any, message: int, *, report: bool) -> None: ...
    def unblock(self, session: Any, contact: int) -> None: ...
    def close(self, session: Any, password: str, source: str) -> None: ...
    def profile(self, session: Any) -> Profile: ...
    def set_profile(self, session: Any, *, name: str, phone: str, form: str, password: str, source: str) -> None: ...
    def set_language(self, session: Any, language: str) -> None: ...
    def passphrases(self, session: Any, password: str, source: str) -> Sequence[tuple[int, str]]: ...
    def new_passphrase(self, session: Any, password: str, source: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Pieces:
    """What the portal is built from; `App` of the composition root has these too."""

    accounts: Accounts
    pickup: Pickup
    replies: Replies
    drafts: Drafts
    uploads: Uploads
    begun: BegunElsewhere
    now: Callable[[], int]
    random: Callable[[int], bytes]
    newmail: NewMail
    following: Following
    folders: Folders
    policies: Policies
    organisations: Organisations
    holding: Holding
    downloads: Downloads
    looks: Looks
    officers: Officers | None = None
