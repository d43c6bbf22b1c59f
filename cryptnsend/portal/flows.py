"""What does the portal ask of the flows?

The interfaces of `flow/account.py`, `flow/sessions.py` and `flow/pickup.py` as seen from a page, and the values that
travel. Times are UTC milliseconds, addresses canonical, ids the 63-bit integers of `core.model`. Every method may raise
the errors of `core.errors`; their texts are shown to the person concerned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


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
    def name(self) -> str: ...
    @property
    def weak(self) -> bool:
        """True while the password was reset by mail only: contacts and own threads count as unproven."""

    @property
    def locked(self) -> Sequence[int]:
        """Pairs of this account that its present password does not open."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a link tells without any proof: only what the notice said already."""

    message: int
    sender_name: str
    sender_address: str
    phone: str
    organisation: str  # name of the sender's organisation, '' for an organisation of one
    sent: int
    to: str
    display_id: str
    state: str  # new: the sender's code is needed · known: proven before · expired · suspended: taken back
    has_account: bool
    phrase: str = ""  # check phrase of this contact, '' before the first
    ended: int | None = None  # when it expired or was taken back
    digits: int = 6  # length of the live code


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


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list of received messages. Without the sender's code there is no subject to show."""

    message: int
    subject: str | None
    sender_name: str
    sender_address: str
    at: int
    opened: bool
    state: str  # open: readable · code: needs the sender's code · locked: needs an older password · expired · suspended
    attachments: int = 0
    ends: int | None = None


@dataclass(frozen=True, slots=True)
class File:
    """An attachment as the reading page lists it; `part` names it in a URL, `size` is octets when saved."""

    part: str
    name: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Letter:
    """
    A message opened for reading.

    `html` is sanitised and complete in itself (inline images are data: URLs); `text` is the plain alternative or what
    the HTML says in plain words. Both None: it cannot be displayed, only saved.
    """

    message: int
    subject: str
    sender_name: str
    sender_address: str
    at: int
    text: str | None
    html: str | None
    files: Sequence[File]
    mine: bool  # the reader wrote it
    ends: int | None
    phone: str = ""
    organisation: str = ""
    to: Sequence[str] = ()  # disclosed recipients, as written
    others: Sequence[str] = ()  # whom reply-all reaches besides the author
    can_reply: bool = True
    display_id: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One attachment on its way out. The octets were checked before the first chunk comes."""

    name: str
    media_type: str
    size: int | None
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Code:
    """A sender's code for one recipient; `code` is None when it is used up or not needed."""

    address: str
    code: str | None
    tries_left: int
    expires: int | None
    state: str  # live · used-up · none


@dataclass(frozen=True, slots=True)
class Reached:
    """How one recipient of a sent message stands."""

    address: str
    name: str
    state: str  # waiting notified delayed bounced opened handoff relayed held ended
    at: int | None  # when it came to this state
    reply: str  # the peer's words after a bounce or delay
    needs_code: bool
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class SentEntry:
    """One line of Sent."""

    message: int
    subject: str
    at: int
    recipients: Sequence[Reached]
    attachments: int = 0
    ends: int | None = None
    taken_back: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """A sent message with each recipient's state."""

    message: int
    subject: str
    at: int
    recipients: Sequence[Reached]
    ends: int | None
    taken_back: int | None = None  # since when
    undo_until: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A device password as the list shows it."""

    id: int
    name: str
    scope: str
    created: int
    used: int | None


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device password, this once."""

    id: int
    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What a subscriber says of themselves on notices."""

    name: str
    phone: str
    form: str
    organisation: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """A mailed code was asked for; the same answer for every address."""

    id: int
    expires: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session. The recovery file is shown once, to the first subscriber of an organisation of one."""

    cookie: str
    recovery_file: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a form: sealed while it waits, opened chunk by chunk."""

    name: str
    media_type: str
    size: int
    chunks: Callable[[], Iterator[bytes]] = field(repr=False)


class Pickup(Protocol):
    """Reading, replying, and the author's view of what became of it."""

    def waiting(self, token: str) -> Waiting: ...
    def prove(self, token: str, code: str, source: str) -> Proof: ...
    def prove_as(self, session: Any, token: str, code: str, source: str) -> None: ...
    def adopt(self, session: Any) -> int: ...
    def list(self, session: Any, before: int | None = None, limit: int = 50) -> Sequence[Entry]: ...
    def show(self, session: Any, message: int) -> Letter: ...
    def part(self, session: Any, message: int, part: str) -> Part: ...
    def eml(self, session: Any, message: int) -> Part: ...
    def zip(self, session: Any, message: int, password: str) -> Iterator[bytes]: ...
    def sent(self, session: Any, before: int | None = None, limit: int = 50) -> Sequence[SentEntry]: ...
    def status(self, session: Any, message: int) -> Status: ...
    def expire(self, session: Any, message: int, address: str | None = None) -> None: ...
    def restore(self, session: Any, message: int, address: str | None = None) -> None: ...


class Replies(Protocol):
    """A reply from the page: one admission like any other message."""

    def send(
        self, session: Any, message: int, *, everybody: bool, text: str, files: Iterable[Upload], nonce: bytes
    ) -> int:
        """Seal and admit the reply; return its id. The same nonce again returns the same id and sends nothing."""


class Accounts(Protocol):
    """Passwords, sessions, devices and what an account says of itself."""

    def sign_in(self, address: str, password: str, source: str, agent: str) -> str: ...
    def session(self, cookie: str) -> Session | None: ...
    def sign_out(self, cookie: str) -> None: ...
    def register(self, ticket: bytes, password: str, name: str, source: str, agent: str, locale: str) -> SignedIn: ...
    def start_reset(self, address: str, source: str) -> Started: ...
    def finish_reset(self, id: int, code: str, password: str, source: str, agent: str) -> SignedIn: ...
    def start_signup(self, address: str, source: str, invite: str = "") -> Started: ...
    def finish_signup(
        self, id: int, code: str, password: str, name: str, source: str, agent: str, locale: str, invite: str = ""
    ) -> SignedIn: ...
    def change_password(self, session: Any, old: str, new: str, source: str, agent: str) -> SignedIn: ...
    def confirm(self, session: Any, password: str, source: str) -> None:
        """Check the password of somebody signed in (step-up); raise WrongSecret or Throttled."""

    def recovery_code(self, session: Any, password: str) -> str:
        """Make a fresh recovery code (words) and return it, this once; the earlier one stops working."""

    def unlock(self, session: Any, kind: str, secret: str, password: str) -> None:
        """Open locked pairs with an older password or the recovery code (`kind`: password, recovery)."""

    def codes(self, session: Any, addresses: Sequence[str]) -> Sequence[Code]: ...
    def next_code(self, session: Any, address: str) -> Code: ...
    def devices(self, session: Any) -> Sequence[Device]: ...
    def add_device(self, session: Any, name: str, scope: str) -> NewDevice: ...
    def revoke_device(self, session: Any, device: int) -> None: ...
    def profile(self, session: Any) -> Profile: ...
    def set_profile(self, session: Any, *, name: str, phone: str, form: str) -> None: ...
    def passphrases(self, session: Any, password: str, source: str) -> Sequence[tuple[int, str]]: ...
    def new_passphrase(self, session: Any, password: str, source: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Pieces:
    """What the portal is built from; `App` of the composition root has these too."""

    accounts: Accounts
    pickup: Pickup
    replies: Replies
    now: Callable[[], int]
    random: Callable[[int], bytes]
