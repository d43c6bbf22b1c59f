"""What do the flows show to a page or a command? Plain values; nothing here acts.

Times are UTC milliseconds, addresses canonical, ids the 63-bit integers of `core.model`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from cryptnsend.flow.ways import Way


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
    # new: the sender's code is needed · known: proven before · expired · suspended: taken back · left: the code is
    # needed, and whoever could tell it has closed their account · closed: the account that had it has been
    state: str
    has_account: bool
    phrase: str = ""  # check phrase of this contact, '' before the first
    ended: int | None = None  # when it expired or was taken back
    digits: int = 6  # length of the code to ask for, whatever account there may be
    way: str = "code"  # what else opens it, by its sender's choice: mail (a code by e-mail), none (no code is needed)
    org: int = 0  # whose look its pages wear: the author's organisation in a conversation of its own, else the house's


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
    dangerous: bool = False  # can run something when it is opened


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
    may_block: bool = False  # it came from a subscriber whose mail the reader may refuse from now on
    display_id: str = ""
    by_mail: bool = False  # it travelled to us as ordinary mail
    org: int = 0  # as in `Waiting`
    left_out: int = 0  # pictures and styles that the HTML wanted from elsewhere; fetching them would tell on the reader
    beside: Sequence[KeptFile] = ()  # files that are too large for a message
    as_document: bool = False  # it also went to this reader as a locked PDF


@dataclass(frozen=True, slots=True)
class Part:
    """One attachment on its way out. The octets were checked before the first chunk comes."""

    name: str
    media_type: str
    size: int | None
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Reached:
    """How one recipient of a sent message stands."""

    address: str
    name: str
    state: str  # waiting notified delayed bounced fetched opened handoff readable relayed held ended
    at: int | None  # when it came to this state
    reply: str  # the peer's words after a bounce or delay
    needs_code: bool
    suspended: bool = False
    way: Way | None = None  # why it went as it did, once something was to leave
    reminded: int | None = None  # when they were last reminded by this server
    told: bool = False  # a notice of it has left for them
    may_return: bool = False  # it was taken back from them, and can still be given back
    closed: bool = False  # what they had of it ended with their account

    @property
    def awaits_word(self) -> bool:
        """Whether it is held because of what was found in it, and its author has to choose."""
        return self.state == "held" and self.way is not None and self.way.awaits_word

    @property
    def came_back_plain(self) -> bool:
        """Whether it was ordinary mail and did not get there, so that there is no notice to send again."""
        return self.state == "bounced" and self.way is not None and self.way.kind == "relay"

    @property
    def never_left(self) -> bool:
        """Whether this was called off before anything of it left: had back in time, or held and thrown away."""
        return self.state == "ended" and not self.told and self.way is not None and self.way.state == "cancelled"


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
    locked: bool = False  # its author's present password does not open it, so there is no subject to show

    @property
    def never_left(self) -> bool:
        """Whether it was called off before anything of it left for anybody."""
        return bool(self.recipients) and all(each.never_left for each in self.recipients)


@dataclass(frozen=True, slots=True)
class Thrown:
    """A message in Trash: one that was received, or one that was sent."""

    message: int
    received: Entry | None = None
    sent: SentEntry | None = None


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
    tell: bool = False  # whether its author hears when it is opened
    instead: str = "code"  # what stands in for the code: code (nothing), mail, none
    locked: bool = False  # its author's present password does not open it, so there is no subject to show

    @property
    def never_left(self) -> bool:
        """Whether it was called off before anything of it left for anybody."""
        return bool(self.recipients) and all(each.never_left for each in self.recipients)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a sent message: `action` as in the audit trail, where it is entry `seq`."""

    at: int
    action: str
    who: str  # a recipient's address, "you", "server", "link" for somebody who has one
    seq: int
    mark: str  # how the hash of that entry begins
    by_program: bool = False  # a mail program did it


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the audit trail says of a message, and how far the trail reached when that was read."""

    events: Sequence[Event]
    entries: int
    mark: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation that its reader may open."""

    message: int
    name: str
    address: str
    at: int
    mine: bool
    opened: bool = True  # by the reader


@dataclass(frozen=True, slots=True)
class KeptMail:
    """A mail that is kept apart. `author` is who it says it is from, or ""; `subject` None where it is locked."""

    message: int
    reason: str  # one of flow.keeping.REASONS
    author: str
    at: int
    answered: int | None  # the message that it answers
    subject: str | None
    size: int  # octets
    text: str | None = None  # its words, when it was opened; None in a list, and where it cannot be displayed
    files: int = 0


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a form: sealed while it waits, opened chunk by chunk."""

    name: str
    media_type: str
    size: int
    chunks: Callable[[], Iterator[bytes]] = field(repr=False)
    id: int = 0  # of what came in pieces before the form
    key: bytes = field(default=b"", repr=False)  # of its pieces
    linked: bool = False  # it rests beside the message, which is too small for it


@dataclass(frozen=True, slots=True)
class Arriving:
    """A file that comes in pieces: `arrived` of `size` octets are durable; it is forgotten at `ends`."""

    id: int
    size: int
    arrived: int
    ends: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody wants of a new message besides. `days`: 0 is the usual life; `later`: minutes until it leaves."""

    plain: bool = False  # as ordinary mail, where the rules allow it
    days: int = 0
    tell: bool = False  # say when it is opened
    later: int = 0
    at: int = 0  # or when it leaves, UTC milliseconds
    way: str = ""  # what stands in for the code: code (nothing), mail, none; "" is the sender's usual choice
    pdf: bool = False  # as a locked PDF, with a link


@dataclass(frozen=True, slots=True)
class Filled:
    """What a visitor filled in so far: of which form, and (key, question, words) of each answer."""

    form: int = 0  # 0 for none
    version: int = 0
    answers: Sequence[tuple[str, str, str]] = field(default=(), repr=False)


NO_FORM = Filled()


@dataclass(frozen=True, slots=True)
class Writing:
    """
    What somebody is writing. Replies know whom they go to; `to`, `cc`, `bcc` are for new messages, as typed.

    `html` is what a script made of the text, and is cleaned before anybody sees it; "" for plain text.
    """

    text: str = field(repr=False)
    subject: str = field(default="", repr=False)
    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    bcc: Sequence[str] = field(default=(), repr=False)
    everybody: bool = False  # a reply to all
    html: str = field(default="", repr=False)
    sender: str = ""  # which of one's own addresses it is from, "" for the first
    about: int = 0  # the message that is passed on with it
    wishes: Wishes = Wishes()
    visits: str = ""  # the handle of the page that a visitor writes by, "" for none
    filled: Filled = NO_FORM


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who was written to before."""

    address: str
    name: str


@dataclass(frozen=True, slots=True)
class Addressed:
    """
    What would become of a message for one recipient. `way`: vault handoff pdf relay hold refuse.

    `meant` is an address that was written to before, or is at a large provider, and looks so much like this new one
    that it may be a mistake; `differs` says in what: domain, local.
    """

    address: str
    name: str
    way: str
    why: str
    is_new: bool
    needs_code: bool
    meant: str = ""
    differs: str = ""
    is_proven: bool = False  # relayed over a proven way only, else sealed


@dataclass(frozen=True, slots=True)
class Checked:
    """What would become of a message; `wrong` are pieces of the fields that are no addresses."""

    people: Sequence[Addressed] = ()
    wrong: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file that is kept with a draft, or beside a message; `size` is octets when sent."""

    id: int
    name: str
    media_type: str
    size: int
    linked: bool = False  # too large to go along: it will rest beside the message


@dataclass(frozen=True, slots=True)
class Downloaded:
    """
    One download of a file beside a message: by a recipient's *address*, "" once that is nobody's any more.

    Whoever had it by a *link* is known by their shortened *network* only.
    """

    file: int
    address: str
    at: int
    link: int | None = None
    network: str = ""


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft. `locked`: it rests under a pair from before a new password, so there are no words to show."""

    id: int
    parent: int  # the message it answers, 0 for a new one
    writing: Writing
    files: Sequence[KeptFile]
    changed: int
    nonce: bytes  # of the form it came from, so that sending it twice makes one message
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """What somebody began to write in a mail program."""

    id: int
    subject: str
    people: Sequence[str]
    at: int
