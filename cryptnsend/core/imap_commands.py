"""What does an IMAP client ask for? Commands of RFC 3501 and RFC 9051 and the extensions that we announce.

Frozen values; `imap_grammar.parse` makes them. Whether a command is allowed in a state, and what it does, is the
door's business. RFC 2177 IDLE, 2342 NAMESPACE, 2971 ID, 3516 BINARY, 3691 UNSELECT, 4315 UIDPLUS, 4731 ESEARCH, 4959
SASL-IR, 5161 ENABLE, 5258 and 5819 LIST, 6154 CREATE USE, 6851 MOVE, 7162 CONDSTORE, 8438 STATUS=SIZE.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptnsend.core.imap_items import FetchItem
from cryptnsend.core.imap_search import SearchKey
from cryptnsend.core.imap_sequence import SequenceSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Any command; *tag* goes back with the answer."""

    tag: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Simple(Command):
    """A command without arguments; *name* is one of `SIMPLE`."""

    name: str


SIMPLE = frozenset(
    {"CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "NAMESPACE", "IDLE", "CHECK", "CLOSE", "UNSELECT", "EXPUNGE"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Id(Command):
    """ID; what the client says about itself, None for NIL."""

    fields: dict[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Login(Command):
    """LOGIN; octets as sent, to be read as UTF-8."""

    username: bytes = field(repr=False)
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticate(Command):
    """AUTHENTICATE; *initial* is the decoded initial response, None without one."""

    mechanism: str
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enable(Command):
    """ENABLE; names in capitals, known or not."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Select(Command):
    """SELECT, or EXAMINE if *read_only*."""

    mailbox: str
    read_only: bool
    condstore: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(Command):
    """CREATE, with the special uses asked for."""

    mailbox: str
    uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OnMailbox(Command):
    """DELETE, SUBSCRIBE or UNSUBSCRIBE, as *name* says."""

    name: str
    mailbox: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename(Command):
    """RENAME."""

    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class List(Command):
    """
    LIST, LSUB or XLIST, as *name* says; that is also the name of the response.

    *selection* has SUBSCRIBED, REMOTE, RECURSIVEMATCH, SPECIAL-USE; *returns* SUBSCRIBED, CHILDREN, SPECIAL-USE;
    *status* the items of RETURN (STATUS (…)); *extended* says that the client used any extended form.
    """

    name: str
    reference: str
    patterns: tuple[str, ...]
    selection: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    extended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Command):
    """STATUS; items out of `STATUS_ITEMS` in the order asked."""

    mailbox: str
    items: tuple[str, ...]


STATUS_ITEMS = frozenset({"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "HIGHESTMODSEQ"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Append(Command):
    """APPEND, as far as its message: *size* octets follow; *date* is INTERNALDATE in ms since 1970, or None for now."""

    mailbox: str
    flags: tuple[str, ...]
    date: int | None
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UidExpunge(Command):
    """UID EXPUNGE."""

    messages: SequenceSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Search(Command):
    """SEARCH or UID SEARCH; *returns* is None without RETURN, else of MIN MAX ALL COUNT SAVE."""

    uid: bool
    key: SearchKey
    returns: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch(Command):
    """FETCH or UID FETCH, macros spelled out."""

    uid: bool
    messages: SequenceSet
    items: tuple[FetchItem, ...]
    changed_since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Store(Command):
    """STORE or UID STORE; *mode* is b"" (replace), b"+" or b"-"."""

    uid: bool
    messages: SequenceSet
    mode: bytes
    silent: bool
    flags: tuple[str, ...]
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Command):
    """COPY or UID COPY, MOVE or UID MOVE if *move*."""

    uid: bool
    move: bool
    messages: SequenceSet
    mailbox: str
