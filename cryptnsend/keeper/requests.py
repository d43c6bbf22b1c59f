"""What is said between the keeper and the other roles? One struct per thing that travels.

Times are UTC milliseconds, ids the 63-bit integers of `core.model`, addresses canonical. Structs that carry secrets
show none of them in their `repr`, so that no log line and no traceback does.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from cryptnsend.core.model import PairCard, Signed

# What the ledger can hold: more would be an error of the database, not of the caller.
Ident = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Said(msgspec.Struct, frozen=True):
    """The root of everything that travels."""


class Secret(msgspec.Struct, frozen=True):
    """Something that travels and must not be shown."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__


# -- asked by every role ----------------------------------------------------------------------------------------------


class Anchors(Said, frozen=True):
    """What everything else is checked against: the keeper's own public keys."""

    card_key: bytes  # Ed25519, signs cards and statements
    pending: PairCard  # grants wait under this pair until their contact is proven
    queue: PairCard  # content keys of mail that waits to leave
    era: int  # rises with each restore
    code_rule: str  # of organisations without one of their own
    boot: bytes  # random; another one after each start of the keeper


class Health(Said, frozen=True):
    """Whether the keeper can work, and if not, why in words for the operator."""

    ok: bool
    why: str
    era: int
    boot: bytes


class Witnessed(Said, frozen=True):
    """How far a chain has come at a moment, under the keeper's two signatures (`core.checkpoints`)."""

    organisation: int
    seq: int
    hash: bytes
    at: int
    signature: bytes  # Ed25519
    second: bytes  # ML-DSA-65


class WitnessKeys(Said, frozen=True):
    """The public keys that a checkpoint is checked with."""

    ed25519: bytes
    ml_dsa: bytes


class ContactName(Said, frozen=True):
    """A contact: a recipient's canonical address, and the subscriber's account."""

    address: str
    subscriber: Ident


class Vouched(Said, frozen=True):
    """What the keeper says today about the holders and contacts that were asked for, in their order."""

    cards: list[Signed | None]
    statements: list[bytes]  # empty for a contact that is neither proven nor waived


class LinkRow(Said, frozen=True):
    """What a token stands for, to be kept in the table of links: the token's MAC covers all of it."""

    id: bytes  # 10 octets, the random part of the token
    purpose: str  # open, reply, bounce, invite
    key_id: int
    address: str
    subscriber: int  # 0 if none
    message: int  # the delivery for purpose bounce, the invitation for purpose invite, 0 if none


class Token(Said, frozen=True):
    """A token for a link or a local part, and the row that it needs."""

    token: str
    row: LinkRow

    def __repr__(self) -> str:
        return "<Token>"

    __str__ = __repr__


class GlassBreak(Said, frozen=True):
    """A glass break as the main database copies it. `opened` is None until the archive was given out for it."""

    id: int
    organisation: int
    officer: int
    mailbox: str
    minutes: int
    asked: int
    agreed_by: int | None
    opened: int | None
    ends: int | None
    second: int | None = None  # the officer who is to agree, where two are needed


class Earlier(Said, frozen=True):
    """The seed of an earlier pair of an archive, sealed to the pair that came after it, its *successor*."""

    pair: int
    successor: int
    holder: str
    public: bytes
    sealed: bytes


class Recovered(Said, frozen=True):
    """Whose archive a recovery file opened, until when an export may leave, and what else its seed opens."""

    organisation: int
    ends: int
    earlier: tuple[Earlier, ...] = ()


class GlassOpened(Secret, frozen=True):
    """A glass break, and what opens the archive: nothing while another officer has yet to agree."""

    glass: GlassBreak
    seeds: dict[int, bytes]


# -- accounts ---------------------------------------------------------------------------------------------------------


class SecondSecret(Secret, frozen=True):
    """What a phone makes its numbers from, this once."""

    secret: bytes


class Salt(Said, frozen=True):
    """How the password of an address becomes K. Unknown addresses get a stable one of their own."""

    salt: bytes  # 16 octets
    params: str  # as `core.passwords.Argon.encode` writes them


class Who(Said, frozen=True):
    """Whose secret it was."""

    account: int
    organisation: int
    roles: tuple[str, ...]
    state: str  # active, weak
    credential_version: int
    addresses: tuple[str, ...]  # the first is the original address
    scope: str = ""  # of the device password that it was, if it was one


class PairRow(Said, frozen=True):
    """A pair as the main database copies it."""

    id: int
    organisation: int
    holder: str
    role: str  # account, archive, pending, queue
    custody: str
    suite: int
    public: bytes
    state: str  # current, withheld, locked, retired


class OrganisationRow(Said, frozen=True):
    """An organisation as the main database copies it."""

    id: int
    name: str
    single: bool
    custody: str
    code_rule: str  # '' for the installation's
    policy: str = ""  # what it said of its rules, as JSON; '' for nothing
    look: str = ""  # the same of its look


class PolicyTaken(Said, frozen=True):
    """An organisation with the rules and the look it has now, and the cards that changed with them."""

    organisation: OrganisationRow
    cards: list[Signed]


class ContactRow(Said, frozen=True):
    """A contact as the main database copies it. `statement` is packed signature and body (`core.cards`)."""

    address: str
    subscriber: int
    organisation: int  # the subscriber's
    account: int
    state: str  # proven, waived
    statement: bytes


class LockedPair(Said, frozen=True):
    """A pair from before a reset. With `salt` and `params` an old password becomes the K that opens it."""

    pair: int
    custody: str
    state: str  # withheld, locked
    since: int
    salt: bytes  # empty if no old password is known for it
    params: str
    has_recovery: bool  # whether the recovery code opens it


class Opened(Secret, frozen=True):
    """
    Somebody is signed in: everything a session needs, and everything the main rows are repaired from.

    `seeds` has every pair that the password opens. After a weak reset `tell_address` and `tell_subscribers` say whom
    to tell of it. What a device's password opened has no cards, pairs, contacts or row of an organisation with it.
    """

    account: int
    organisation: int
    roles: tuple[str, ...]
    state: str  # active, weak
    strength: str  # password; weak: signed in to an account that is weak
    credential_version: int
    generation: int
    name: str
    locale: str
    addresses: tuple[str, ...]
    seeds: dict[int, bytes]
    locked: tuple[LockedPair, ...]
    ticket: bytes
    ends: int  # of the ticket
    cards: tuple[Signed, ...]
    pairs: tuple[PairRow, ...]
    contacts: tuple[ContactRow, ...]
    organisation_row: OrganisationRow | None  # None for those who only receive
    weak_since: int | None = None
    recovery: RecoveryFile | None = None  # of the archive, where this request made one
    tell_address: str = ""
    tell_subscribers: tuple[int, ...] = ()
    scope: str = ""  # of the device password that opened this, if it was one
    renewed: bool = False  # it has new pairs since this moment


class OwnKey(Said, frozen=True):
    """One of the keeper's own keys, without the key: what for, its id, since when, whether it is the one in use."""

    label: str
    key_id: int
    made: int
    is_newest: bool


class Unlocked(Secret, frozen=True):
    """Pairs from before a reset that open again."""

    seeds: dict[int, bytes]
    opened: Opened


class RecoveryFile(Secret, frozen=True):
    """A file to keep away from the server, and the code that opens it, to keep away from the file."""

    text: str
    code: str


class Passphrase(Secret, frozen=True):
    """The delivery passphrase of a subscriber, from `since` on."""

    since: int
    words: str


# -- contacts and codes -----------------------------------------------------------------------------------------------


class Proof(Secret, frozen=True):
    """A sender's code was right. `salt` is the one to register with, so that a repeated request can be recognised."""

    ticket: bytes
    address: str
    subscriber: int
    has_account: bool
    may_register: bool
    salt: bytes


class Code(Secret, frozen=True):
    """
    A contact's code.

    live: tell it to the recipient · used-up, expired: ask for the next · limit: no more this week ·
    proven, waived: none is needed.
    """

    address: str
    code: str | None
    digits: int
    tries_left: int
    expires: int | None
    state: str


class Reset(Said, frozen=True):
    """A password that was reset by mail: whose, when, whether they are weak still, and who has to be told besides."""

    account: int
    at: int
    weak: bool
    subscribers: tuple[int, ...]


class MailProof(Said, frozen=True):
    """A code is on its way by mail, if there is an address to send it to; the answer does not tell."""

    id: int
    expires: int
    salt: bytes  # the one to finish with, so that a repeated request can be recognised
    fresh: bool = True  # False: it is on its way already, and nothing new is to be mailed


class MailCode(Secret, frozen=True):
    """The code to mail, and the only address it may go to."""

    address: str
    code: str  # '' for the exists purposes: there is an account already, and the mail says so instead
    purpose: str  # reset, signup, visit, alias, exists, exists-visit, exists-alias
    expires: int


class Invitation(Secret, frozen=True):
    """An invitation to mail: link and code together, and the only address they may go to."""

    address: str
    code: str
    token: str
    row: LinkRow
    organisation: int  # 0: an organisation of one's own
    organisation_name: str
    name: str
    expires: int


# -- grants -----------------------------------------------------------------------------------------------------------


class EpochRow(Said, frozen=True):
    """An epoch: its key, sealed to a pair."""

    id: Ident
    pair: Ident
    suite: int
    owner: str
    holder: str
    sealed: bytes


class SealedGrant(Said, frozen=True):
    """A grant that waits, with the epoch it rests under. Its associated data decide, not who passes it."""

    organisation: Ident
    message: Ident
    holder: str
    role: str
    contact: str
    custody: str
    epoch: EpochRow
    wrap: bytes


class Adopted(Said, frozen=True):
    """The grant that takes the place of (message, old_holder, role)."""

    organisation: Ident
    message: Ident
    old_holder: str
    holder: str
    role: str
    contact: str
    custody: str
    epoch: EpochRow
    wrap: bytes


class QueueGrant(Said, frozen=True):
    """The content key of mail that waits to leave: for one delivery, to one recipient, in one form."""

    organisation: Ident
    message: Ident
    delivery: Ident
    recipient: str
    form: str
    epoch: EpochRow
    wrap: bytes


class Leaving(Secret, frozen=True):
    """What the courier needs for one delivery, and the only address it may go to."""

    recipient: str
    keys: bytes
    passphrase: str | None  # for form zip


# -- mails ------------------------------------------------------------------------------------------------------------


class Notice(Said, frozen=True):
    """Where a notice goes and which tokens stand in it; the same for each try."""

    address: str
    link: Token
    reply: Token


class Receipt(Secret, frozen=True):
    """Where a receipt goes, and the codes it tells; none where policy keeps them on the portal."""

    address: str
    codes: tuple[Code, ...]
    on_portal: bool  # codes are not mailed here
