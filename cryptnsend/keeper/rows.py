"""What do the ledger's rows hold? One class per table; none shows wraps, salts or verifiers in its `repr`."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from cryptnsend.core.model import KeyMark

_marks = msgspec.json.Decoder(tuple[KeyMark, ...])


@dataclass(frozen=True, slots=True)
class Organisation:
    """The tenant, as the keeper needs it."""

    id: int
    name: str
    single: int
    custody: str
    code_rule: str
    head_seq: int
    head: bytes
    policy: str = ""
    two_officers: int = 0  # 1: a glass break needs another officer's yes
    look: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """Anyone who signs in."""

    id: int
    org: int
    roles: str
    state: str
    generation: int
    line: int
    trusted_line: int
    credential_version: int
    salt: bytes = field(repr=False)
    params: str
    name: str
    locale: str
    form: str
    weak_since: int | None
    weak_answered: int | None
    confirmed: int | None
    created: int
    open_since: int | None = None
    weak_version: int | None = None  # of its credentials, before it became weak
    friends: str = ""  # addresses to which its mail may go as ordinary mail, one a line
    own_keys: str = "[]"  # JSON of marks
    known_keys: str = "[]"
    renew: int | None = None  # since when it is to get new pairs

    @property
    def role_names(self) -> tuple[str, ...]:
        return tuple(self.roles.split(","))

    @property
    def friend_addresses(self) -> tuple[str, ...]:
        """Return whom ordinary mail may go to; nobody while the account is weak."""
        return () if self.is_weak else tuple(self.friends.split())

    @property
    def own_marks(self) -> tuple[KeyMark, ...]:
        """Return its own keys; none while it is weak, since somebody else may have chosen them."""
        return () if self.is_weak else _marks.decode(self.own_keys)

    @property
    def known_marks(self) -> tuple[KeyMark, ...]:
        """Return the keys of others that it knows; none while it is weak."""
        return () if self.is_weak else _marks.decode(self.known_keys)

    @property
    def is_weak(self) -> bool:
        return self.state == "weak"

    @property
    def may_sign_in(self) -> bool:
        return self.state in ("active", "weak")

    def has(self, role: str) -> bool:
        """Say whether the account has this role."""
        return role in self.role_names


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an address is; *account* 0 is nobody."""

    account: int
    may_sign_in: bool


@dataclass(frozen=True, slots=True)
class Address:
    """An address and whose it is."""

    canonical: str
    account: int
    proof: str
    at: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A pair; its seed is only in wraps."""

    id: int
    org: int
    holder: str
    role: str
    custody: str
    suite: int
    public: bytes = field(repr=False)
    recovery_wrap: bytes | None = field(repr=False)
    state: str
    line: int
    made: int


@dataclass(frozen=True, slots=True)
class Wrap:
    """A seed under something."""

    pair: int
    kind: str
    ref: int
    salt: bytes = field(repr=False)
    params: str
    wrap: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Contact:
    """A recipient's address and a subscriber, and how far the subscriber's code has come."""

    address: str
    subscriber: int
    state: str
    account: int | None
    account_generation: int | None
    account_line: int | None
    proven_at: int | None
    generation: int
    spent: int
    era: int
    digits: int
    tries: int
    expires: int
    week_start: int
    week_count: int


@dataclass(frozen=True, slots=True)
class MailCode:
    """A code sent by mail: a reset, a sign-up, an alias, an invitation."""

    id: int
    purpose: str
    address: str
    org: int
    name: str
    era: int
    tries: int
    made: int
    expires: int
    state: str
    network: bytes = b""
    known: int = 0


@dataclass(frozen=True, slots=True)
class Device:
    """A device password's other half."""

    id: int
    account: int
    line: int
    scope: str
    verifier: bytes = field(repr=False)
    created: int
    revoked: int | None
    public: bytes | None = field(default=None, repr=False)  # of a reading device's own pair


@dataclass(frozen=True, slots=True)
class ApiToken:
    """The other half of a program's token."""

    id: int
    account: int
    scopes: str  # of core.api_tokens.SCOPES, with blanks between
    verifier: bytes = field(repr=False)
    version: int  # of the account's credentials when it was made
    created: int
    ends: int
    revoked: int | None


@dataclass(frozen=True, slots=True)
class Hook:
    """Where events go, and what signs them."""

    id: int
    account: int
    url: str
    events: str  # of core.hooks.EVENTS, with blanks between
    secret: bytes = field(repr=False)  # under the secret "outer"
    earlier: bytes | None = field(repr=False)
    earlier_until: int | None
    created: int
    ended: int | None
    org: int | None = None  # whose events it hears, instead of the account's, who made it


@dataclass(frozen=True, slots=True)
class Second:
    """A second step as the ledger has it. `made` is None until its owner has shown a first number."""

    account: int
    wrapped: bytes = field(repr=False)
    made: int | None
    step: int  # the newest whose number was used
    tries: int
    tries_since: int
    trusted_since: int  # browsers that were trusted before are trusted no more


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey's other half. `public` is None for one that opens no seeds by itself."""

    id: int
    account: int
    line: int
    name: str
    credential: bytes = field(repr=False)
    public_key: bytes = field(repr=False)  # COSE
    counter: int
    kept: str  # device, synced, backed-up
    created: int
    used: int | None
    copied: int | None  # when its counter went back
    salt: bytes = field(repr=False)
    public: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasskeyStep:
    """An account that asks for a passkey after the password."""

    account: int
    made: int
    trusted_since: int  # browsers that were trusted before are trusted no more


@dataclass(frozen=True, slots=True)
class Glass:
    """A glass break: who asked for it, for whose mailbox, who is to agree and did, and until when it is open."""

    id: int
    org: int
    officer: int
    mailbox: str
    minutes: int
    asked: int
    agreed_by: int | None
    opened: int | None
    ends: int | None
    second: int | None = None  # who is to agree, where two are needed
