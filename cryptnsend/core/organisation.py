"""What may an organisation set for its people, and what holds in the end? One type, pure: no I/O, no clock.

How a setting is typed and checked stands in `organisation_typed`.

`Policy` has every setting once, with its kind, its limits and how it stands to what the installation's owner set. What
an organisation *said* is a mapping of names to values, kept as JSON text; `holds` joins it with the installation's
policy. A new setting is one line here, and one place where it acts.

Three rules, whatever the text says: nobody goes beyond what the installation allows; a text that the keeper does not
vouch for asks for more protection and never for less; and where the keeper knows of another text than the one found,
nothing of it counts and the most careful answer is given to everything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, Literal, TypeVar, cast

import msgspec

from cryptnsend.core import journals, partners
from cryptnsend.core.errors import Denied, Sentence
from cryptnsend.core.model import Card

T = TypeVar("T")
Value = str | bool | int | tuple[str, ...]
WAYS = ("plain", "tls-or-vault", "vault")  # the last protects most
PROTECTION = {way: rank for rank, way in enumerate(WAYS)}
CODE_RULES = ("new-contact", "new-recipient", "always", "never")
CUSTODIES = ("managed", "strict")
INSTEAD_OF_CODE = ("code", "mail", "none")  # what may stand in for a sender's code; the first protects most
ROLES = ("subscriber", "manager", "officer")  # what stands in a list of people for all who have that role
LONGEST_TEXT = 300

# How what an organisation says stands to what the installation's owner set.
Side = Literal["own", "forbids", "grants", "vouched", "at most", "at least"]


def rule(
    default: T,
    kind: Literal[
        "choice",
        "yes",
        "number",
        "people",
        "places",
        "marks",
        "text",
        "words",
        "patterns",
        "pattern",
        "rules",
        "journals",
        "partners",
    ],
    side: Side,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    low: int = 0,
    high: int = 2**53,
    unit: str = "",
    group: str,
) -> T:
    """
    Declare one setting of an organisation.

    *side*: "own" is the organisation's alone; what "forbids" is allowed where both allow it; what "grants" widens only
    in a text that the keeper vouches for, and what is "vouched" counts only there; "at most" and "at least" say on
    which side of the installation's number the organisation's has to be; of choices, the first counts as the least.
    """
    about = {"kind": kind, "side": side, "help": help, "choices": choices, "low": low, "high": high}
    made: T = field(default=default, metadata={**about, "unit": unit, "group": group})
    return made


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for an organisation's people. The defaults are those of an installation that was left as it came."""

    default: str = rule("vault", "choice", "own", "Where an unmarked message goes.", choices=WAYS, group="ways")
    plain_token: bool = rule(True, "yes", "forbids", "Whether :: at the start of a subject sends plain.", group="ways")
    plain_people: tuple[str, ...] = rule(
        (), "people", "own", "Who may send plain, by :: or by default: roles and addresses; empty is everybody.",
        group="ways",
    )  # fmt: skip
    own_keys: bool = rule(
        False, "yes", "grants", "Whether mail may leave encrypted to keys of those who get it, which its sender knows.",
        group="ways",
    )  # fmt: skip
    friends: bool = rule(
        True, "yes", "forbids", "Whether mail to a sender's family and friends goes as ordinary mail.", group="ways"
    )
    friends_people: tuple[str, ...] = rule(
        (), "people", "own", "Whose family and friends get ordinary mail: roles and addresses; empty is everybody's.",
        group="ways",
    )  # fmt: skip
    pdf_token: bool = rule(
        True, "yes", "forbids", "Whether encrypt/ at the start of a subject sends a locked PDF.", group="ways"
    )
    secure_marks: tuple[str, ...] = rule(
        (), "marks", "own", "Further words that ask for the vault at the start of a subject, as secure/.", group="ways"
    )
    member_domains: tuple[str, ...] = rule(
        (), "partners", "vouched",
        "Partners' domains, whose people count as members: no code, and mail in the form that they chose.",
        group="ways",
    )  # fmt: skip
    members_in_clear: bool = rule(
        True, "yes", "forbids",
        "Whether mail to people at member domains who have no account here goes readable over proven TLS.",
        group="ways",
    )  # fmt: skip
    cleartext: bool = rule(
        False, "yes", "grants", "Whether plain mail may go unencrypted to hosts without TLS.", group="ways"
    )
    tls_replies: bool = rule(
        True, "yes", "forbids", "Whether replies may arrive readable in the inbox, over proven TLS.", group="ways"
    )
    visitor_pages: bool = rule(
        True, "yes", "forbids", "Whether people may have a page by which strangers write to them first.", group="ways"
    )
    api: bool = rule(
        True, "yes", "forbids", "Whether people may let programs send for them, by tokens (docs/api.md).", group="ways"
    )
    code_rule: str = rule(
        "new-contact", "choice", "own", "When a recipient needs the sender's code.", choices=CODE_RULES, group="codes"
    )
    code_on_receipt: bool = rule(
        True, "yes", "forbids", "Whether codes are mailed to the sender, or stay on the portal.", group="codes"
    )
    code_instead: str = rule(
        "mail", "choice", "at most",
        "The most that a sender may let stand in for the code they tell: nothing, a code by e-mail, no code at all.",
        choices=INSTEAD_OF_CODE, group="codes",
    )  # fmt: skip
    file_links: bool = rule(
        False, "yes", "grants", "Whether a large file may be shared with whoever has its link.", group="ways"
    )
    custody: str = rule(
        "managed",
        "choice",
        "own",
        "Custody of new conversations: recoverable by the server's recovery key, or by the owner only.",
        choices=CUSTODIES,
        group="keeping",
    )
    life_days: int = rule(
        30, "number", "own", "How long recipients can open a message whose author says nothing.",
        low=1, high=2555, unit="days", group="keeping",
    )  # fmt: skip
    life_most_days: int = rule(
        2555, "number", "own", "The longest life that an author may give a message.",
        low=1, high=2555, unit="days", group="keeping",
    )  # fmt: skip
    retention_days: int = rule(
        2192, "number", "at least", "How long author, thread owner and archive keep a message.",
        low=1, high=36_500, unit="days", group="keeping",
    )  # fmt: skip
    journal_to: tuple[str, ...] = rule(
        (), "journals", "vouched", "Which mailbox gets copies of a domain's mail in and out: domain and address.",
        group="keeping",
    )  # fmt: skip
    message_octets: int = rule(
        52_428_800, "number", "at most", "Largest message, as encoded.", low=65_536, unit="octets", group="limits"
    )
    file_octets: int = rule(
        2_147_483_648, "number", "at most", "Largest file beside a message that is too small for it; 0 is none.",
        unit="octets", group="limits",
    )  # fmt: skip
    messages_per_day: int = rule(
        1000, "number", "at most", "Messages one subscriber may send in a day.", low=1, group="limits"
    )
    new_recipients_per_day: int = rule(
        200, "number", "at most", "Recipients one subscriber may write to for the first time in a day.", group="limits"
    )
    idle_minutes: int = rule(
        30, "number", "at most", "How long a page stays signed in without a tap.",
        low=1, high=1440, unit="minutes", group="signing in",
    )  # fmt: skip
    absolute_hours: int = rule(
        12, "number", "at most", "How long a page stays signed in at all.",
        low=1, high=168, unit="hours", group="signing in",
    )  # fmt: skip
    password_length: int = rule(
        15, "number", "at least", "Shortest new password.", low=8, high=64, unit="characters", group="signing in"
    )
    password_remind_days: int = rule(
        0, "number", "own", "Age from which a page reminds of a new password; 0 is never. A reminder only.",
        high=3650, unit="days", group="signing in",
    )  # fmt: skip
    subscriber_domains: tuple[str, ...] = rule(
        (), "places", "own", "At which domains people of the organisation may be subscribers; empty is everywhere.",
        group="people",
    )  # fmt: skip
    dlp_off: bool = rule(
        False, "yes", "forbids", "Whether mail leaves plain without being looked at (docs/dlp.md).", group="looking"
    )
    dlp_proven: bool = rule(
        False, "yes", "own", "Whether mail that goes readable over proven TLS is looked at as well.", group="looking"
    )
    dlp_as_is: bool = rule(
        True, "yes", "forbids", "Whether the sender of a held message may have it sent as it is, with a reason.",
        group="looking",
    )  # fmt: skip
    dlp_pictures: bool = rule(
        False, "yes", "own", "Whether a picture that no program here can read holds a message.", group="looking"
    )
    dlp_ignored: tuple[str, ...] = rule(
        (), "rules", "vouched", "What is not looked for, by the names of rules in docs/dlp.md.", group="looking"
    )
    dlp_mrn: str = rule("", "pattern", "own", "How the practice's record numbers look (RE2).", group="looking")
    dlp_words: tuple[str, ...] = rule((), "words", "own", "Words and phrases that hold a message.", group="looking")
    dlp_patterns: tuple[str, ...] = rule(
        (), "patterns", "own", "Patterns that hold a message (RE2), one a line.", group="looking"
    )
    hold_hours: int = rule(
        4, "number", "at most", "After how long a held message is sent encrypted.",
        low=1, high=72, unit="hours", group="looking",
    )  # fmt: skip
    notice_en: str = rule("", "text", "vouched", "Words below every notice in English.", group="words")
    notice_es: str = rule("", "text", "vouched", "Words below every notice in Spanish.", group="words")

    def may_send_plain(self, addresses: Collection[str], roles: Collection[str]) -> bool:
        """Say whether mail may leave plain at all of who has these canonical *addresses* and *roles*."""
        return _is_named(self.plain_people, addresses, roles)

    def may_have_friends(self, addresses: Collection[str], roles: Collection[str]) -> bool:
        """Say whether ordinary mail may go to the family and friends of who has these addresses and roles."""
        return self.friends and _is_named(self.friends_people, addresses, roles)

    def may_subscribe(self, address: str) -> bool:
        """Say whether a subscriber of the organisation may have this canonical *address*."""
        return may_subscribe(self.subscriber_domains, address)

    def is_member_domain(self, address: str) -> bool:
        """Say whether a canonical *address* is at the domain of a partner."""
        return address.rpartition("@")[2] in partners.by_domain(self.member_domains)

    def is_partner(self, address: str, card: Card) -> bool:
        """Say whether a subscriber with this *card* counts as a member at that canonical *address*."""
        return partners.are_partners(self.member_domains, address, card.organisation, card.roles, card.weak)

    def journal_of(self, address: str) -> str:
        """Return the canonical address that copies of this address's mail go to; "" where none are made."""
        return journals.by_domain(self.journal_to).get(address.rpartition("@")[2], "")

    def notice_words(self, language: str) -> str:
        """Return what stands below notices in a *language*; in English where nothing is said in that one."""
        return (self.notice_es if language == "es" else self.notice_en) or self.notice_en


SETTINGS: Mapping[str, Field[Any]] = {each.name: each for each in fields(Policy)}
# The most careful answer to everything that could lower protection.
CAREFUL: Mapping[str, Value] = {
    "default": "vault", "plain_token": False, "friends": False, "pdf_token": False, "cleartext": False,
    "tls_replies": False, "code_on_receipt": False, "code_instead": "code", "dlp_off": False, "dlp_as_is": False,
    "file_links": False, "own_keys": False,
    "visitor_pages": False,
    "api": False,
    "members_in_clear": False,
}  # fmt: skip


def may_subscribe(places: Collection[str], address: str) -> bool:
    """Say whether *places* (domains, and single addresses) have this canonical address; none of them are everywhere."""
    return not places or address in places or address.rpartition("@")[2] in places


def _is_named(people: Collection[str], addresses: Collection[str], roles: Collection[str]) -> bool:
    return not people or any(each in people for each in (*addresses, *roles))


# -- what was said, as text -------------------------------------------------------------------------------------------


def write(said: Mapping[str, Value]) -> str:
    """Return what an organisation said as JSON text, the same text for the same words."""
    return msgspec.json.encode(dict(said), order="sorted").decode()


def read(text: str) -> dict[str, Value]:
    """
    Return what a *text* says; never raises.

    What is of another kind than its setting asks for says nothing, but for a way or an allowance: there it stands as
    it is, so that `holds` takes it as the careful answer.
    """
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return dict(CAREFUL)
    said: dict[str, Value] = {}
    for name, value in found.items():
        if name not in SETTINGS:
            continue
        kind, given = SETTINGS[name].metadata["kind"], tuple(value) if isinstance(value, list) else value
        if is_of(kind, given):
            said[name] = given
        elif name in ("default", "code_instead"):
            said[name] = str(given)
        elif kind == "yes":
            said[name] = False
    return said


def digest(text: str) -> bytes:
    """Return the fingerprint by which the keeper vouches for a text; empty for one that says nothing."""
    return b"" if text in ("", "{}") else hashlib.sha256(b"cryptnsend/v1 policy\0" + text.encode()).digest()


def is_of(kind: str, value: object) -> bool:
    """Say whether a value is of the kind that a setting asks for."""
    if kind == "yes":
        return isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if kind in ("choice", "text", "pattern"):
        return isinstance(value, str)
    return isinstance(value, tuple) and all(isinstance(each, str) for each in value)


@dataclass(frozen=True, slots=True)
class Leaves:
    """What an installation leaves to its organisations, where the keeper vouches for their words."""

    least: str = "vault"  # the way with the least protection that one may choose for its unmarked messages
    cleartext: bool = False  # whether one may let plain mail go unencrypted
    file_links: bool = False  # whether one may let large files be shared with whoever has a link
    own_keys: bool = False  # whether one may let mail leave encrypted to keys of those who get it


# -- what holds -------------------------------------------------------------------------------------------------------


def holds(text: str, installation: Policy, leaves: Leaves, *, vouched: bytes | None) -> Policy:
    """
    Return what holds for an organisation that said *text* on an *installation*.

    *vouched* is the fingerprint of the text that the keeper has; None where nobody asked it, and b"" where it has none.
    """
    if vouched and vouched != digest(text):
        return replace(installation, **cast("dict[str, Any]", dict(CAREFUL)))
    return _joined(text, installation, leaves, bool(vouched))


@lru_cache(maxsize=4096)
def _joined(text: str, installation: Policy, leaves: Leaves, is_vouched: bool) -> Policy:
    said = read(text)
    floor = PROTECTION.get(installation.default, len(WAYS))
    if is_vouched:
        floor = min(floor, PROTECTION.get(leaves.least, floor))
    found: dict[str, Any] = {}
    for name, value in said.items():
        ours, side = getattr(installation, name), SETTINGS[name].metadata["side"]
        if name == "default":
            found[name] = value if PROTECTION.get(str(value), len(WAYS)) >= floor else ours
        elif side == "forbids":
            found[name] = ours and value
        elif side == "grants":
            found[name] = value if is_vouched and getattr(leaves, name) else ours and value
        elif SETTINGS[name].metadata["kind"] == "text":
            # These words stand in mail that the house signs, so that a row alone must not put any there.
            found[name] = value if is_vouched and _is_as_saved(name, str(value)) else ours
        elif side == "vouched":
            found[name] = value if is_vouched else ours
        elif name == "code_instead":
            found[name] = less_instead(ours, str(value))
        elif side == "at most":
            found[name] = min(ours, cast(int, value))
        elif side == "at least":
            found[name] = max(ours, cast(int, value))
        else:
            found[name] = value
    joined = replace(installation, **found)
    life = min(joined.life_days, joined.life_most_days)
    return joined if life == joined.life_days else replace(joined, life_days=life)


def less_instead(one: str, other: str) -> str:
    """Return which of two of INSTEAD_OF_CODE protects more; what is none of them is "code"."""
    rank = {way: at for at, way in enumerate(INSTEAD_OF_CODE)}
    return INSTEAD_OF_CODE[min(rank.get(one, 0), rank.get(other, 0))]


def beyond(said: Mapping[str, Value], held: Policy) -> list[str]:
    """Return the names of what an organisation said and does not get, because the installation goes first."""
    return [name for name, value in said.items() if getattr(held, name) != value]


# -- words in mail of ours ---------------------------------------------------------------------------------------------


def plain_words(name: str, typed: str) -> str:
    """Return words that may stand in mail of ours, on one line; raise Denied for a link, an address or markup."""
    words = " ".join(typed.split())
    if len(words) > LONGEST_TEXT:
        raise Denied(
            Sentence(
                "%(name)s is at most %(most)s characters long; this is %(length)s.",
                name=name,
                most=LONGEST_TEXT,
                length=len(words),
            )
        )
    if any(not each.isprintable() for each in words):
        raise Denied(Sentence("%(name)s has characters that cannot be shown.", name=name))
    if re.search(r"https?:|www\.|://|@|<", words, re.IGNORECASE):
        raise Denied(
            Sentence(
                "%(name)s has a link, an address or markup in it. Notices have one link, the one to the portal.",
                name=name,
            )
        )
    return words


def _is_as_saved(name: str, words: str) -> bool:
    try:
        return plain_words(name, words) == words
    except Denied:
        return False


# -- comparing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is not the same in two versions; None is: left to the installation."""

    name: str
    before: Value | None
    after: Value | None


def differences(before: Mapping[str, Value], after: Mapping[str, Value]) -> list[Difference]:
    """Return what two versions say differently, in the order of the settings."""
    return [
        Difference(name, before.get(name), after.get(name)) for name in SETTINGS if before.get(name) != after.get(name)
    ]


def spelt(value: Value | None) -> str:
    """Spell a value as it is typed; what nobody said is "inherit"."""
    if value is None:
        return "inherit"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
