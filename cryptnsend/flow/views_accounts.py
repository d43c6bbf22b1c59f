"""What do the flows show of an account: who is signed in, their devices, browsers, codes and what was done?

Plain values, as in views.py. Times are UTC milliseconds, addresses canonical, ids the 63-bit integers of `core.model`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Code:
    """A sender's code for one recipient; `code` is None unless it is live. Of a limit, `expires` is when it ends."""

    address: str
    code: str | None = field(repr=False)
    tries_left: int
    expires: int | None
    state: str  # live · used-up · none · limit (of next codes in a week)


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
    password: str = field(repr=False)
    scope: str = "submit"  # read, mail


@dataclass(frozen=True, slots=True)
class Profile:
    """What a subscriber says of themselves on notices."""

    name: str
    phone: str
    form: str
    organisation: str = ""
    may_tls: bool = True  # whether replies may arrive readable


@dataclass(frozen=True, slots=True)
class Started:
    """A mailed code was asked for; the same answer for every address."""

    id: int
    expires: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session. Recovery file and code are shown once, to the first subscriber of an organisation of one."""

    cookie: str = field(repr=False)
    recovery_file: str = field(default="", repr=False)
    recovery_code: str = field(default="", repr=False)  # opens the file, and is kept away from it


@dataclass(frozen=True, slots=True)
class Browser:
    """A place where an account is signed in; `id` names it in a form and opens nothing."""

    id: str
    agent: str  # what the browser calls itself
    created: int
    seen: int
    is_this: bool


@dataclass(frozen=True, slots=True)
class Doing:
    """
    Something that was done as an account, or to it: `action` as in the audit trail, `message` if it was about one.

    What was typed as a command has in `user` the machine's user who typed it; `by_operator` if it was on their own word
    as the one who runs the server, without a password of the account.
    """

    at: int
    action: str
    message: int  # 0 if it was about none
    source: str
    agent: str
    by_operator: bool = False
    user: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A sender whose mail to `to` is refused."""

    contact: int
    name: str
    address: str
    to: str
