"""What may happen to a message on its way to each recipient?

`decide` is a pure function of what is known about the submission and of the organisation's rules. Two properties hold
whatever the input: a request for protection never lowers it, and what is unclear is `Vault`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from cryptnsend.core.errors import Sentence
from cryptnsend.core.protected import KINDS
from cryptnsend.core.subject import Token, asked_for, has_mark

FORMS = frozenset({"zip", "pdf", "smime", "openpgp", "link", "tls"})  # handoff forms, DESIGN's names


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """What is known about one recipient, all of it proven by cards and contact statements."""

    address: str  # canonical
    is_self: bool = False  # one of the author's own addresses
    is_member: bool = False  # subscriber of the same organisation or a partner's, or one who has shown the code
    is_thread_subscriber: bool = False  # the thread belongs to this recipient
    form: str = "zip"  # how a thread's subscriber or member wants mail in the original inbox
    blocked: bool = False  # this recipient has blocked the author
    at_member_domain: bool = False  # a partner's domain, by the rules of the author's organisation
    is_friend: bool = False  # of the author's family and friends, as the author's card says
    own_key: str = ""  # of which kind the key is that the author knows of them, as the author's card says


@dataclass(frozen=True, slots=True)
class Submission:
    """What is known about one message before it is sealed."""

    author: str  # canonical
    author_is_subscriber: bool  # who is not gets no tokens read and sends nothing plain
    subject: str  # decoded from encoded-words and folding
    recipients: tuple[RecipientFacts, ...]
    author_is_newcomer: bool = False  # signed up by themselves a few days ago, and nobody vouches for them yet
    is_trial: bool = False  # its author wants to see how replies would reach them
    thread_vaulted: bool = False  # an earlier message of the thread was sealed for its recipients


@dataclass(frozen=True, slots=True)
class Rules:
    """What an organisation allows."""

    default: Literal["vault", "plain", "tls-or-vault"] = "vault"
    allow_plain: bool = True  # whether `::` counts
    allow_friends: bool = True  # whether this author's family and friends get ordinary mail
    may_plain: bool = True  # whether this author's mail may leave plain at all
    cleartext: bool = False  # whether plain mail may go unencrypted to hosts that have no TLS
    allow_pdf: bool = True  # whether `encrypt/` counts
    members_in_clear: bool = True  # whether those at member domains who have no account here get readable mail
    tls_replies: bool = True  # whether its people may have replies arrive readable, over proven TLS
    own_keys: bool = False  # whether mail may leave encrypted to a recipient's own key
    marks: tuple[str, ...] = ()  # further words, case-folded, that ask for the vault at the start of a subject


@dataclass(frozen=True, slots=True)
class Vault:
    """Seal it; the recipient gets a notice, or finds it in their list."""

    reason: str
    rank: ClassVar[int] = 3

    def explain(self) -> str:
        """Say the decision and why in one sentence."""
        return f"Sealed in the vault: {_WHY[self.reason]}."


@dataclass(frozen=True, slots=True)
class Handoff:
    """Seal it, and send it to the recipient's original inbox in that form: encrypted, or readable as "tls"."""

    form: str
    reason: str

    @property
    def rank(self) -> int:
        """Return how protective it is: what arrives readable is less so than what arrives locked."""
        return 1 if self.form == "tls" else 2

    def explain(self) -> str:
        """Say the decision and why in one sentence."""
        how = "readable, if the way there is proven" if self.form == "tls" else f"as {self.form}"
        return f"Sealed in the vault and handed to the recipient's inbox {how}: {_WHY[self.reason]}."


@dataclass(frozen=True, slots=True)
class Pdf:
    """Seal it, and send it as an encrypted PDF whose key waits on the portal: what opens it never leaves."""

    reason: str
    rank: ClassVar[int] = 3

    def explain(self) -> str:
        """Say the decision and why in one sentence."""
        return f"Sealed in the vault and sent as an encrypted PDF, whose key waits there: {_WHY[self.reason]}."


@dataclass(frozen=True, slots=True)
class Encrypt:
    """Seal it, and send it encrypted to the recipient's own key, of that kind; it waits in the vault, too."""

    form: str
    reason: str
    rank: ClassVar[int] = 2

    def explain(self) -> str:
        """Say the decision and why in one sentence."""
        return f"Sealed in the vault and sent encrypted to the recipient's own key ({self.form}): {_WHY[self.reason]}."


@dataclass(frozen=True, slots=True)
class Relay:
    """
    Send it in plain; `tls` says which proof of encryption in transit is asked for.

    Without the proof that "proven" asks for, or the TLS that "opportunistic" asks for, the delivery turns into a notice
    of a sealed message by itself. "cleartext" asks for nothing.
    """

    tls: Literal["opportunistic", "proven", "cleartext"]
    reason: str
    rank: ClassVar[int] = 0

    def explain(self) -> str:
        """Say the decision and why in one sentence."""
        if self.tls == "proven":
            return f"Sent readable where the way there is proven, else sealed with a notice: {_WHY[self.reason]}."
        return f"Sent as plain mail, not sealed for this recipient: {_WHY[self.reason]}."


@dataclass(frozen=True, slots=True)
class Hold:
    """Seal it and ask the author what to do."""

    reason: str
    rank: ClassVar[int] = 3

    def explain(self) -> str:
        """Say the decision and why in one sentence."""
        return f"Held until the sender decides: {_WHY[self.reason]}."


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not take the message at all: SMTP reply and enhanced status code (RFC 3463)."""

    reason: str
    code: int = 550
    status: str = "5.7.1"
    rank: ClassVar[int] = 4

    def explain(self, *recipients: str) -> str:
        """Say the decision and why in one sentence, and which *recipients* it is about."""
        why, named = _WHY[self.reason], ", ".join(recipients[:MOST_NAMED])
        more = len(recipients) - MOST_NAMED
        if more > 0:
            return Sentence("Refused: %(why)s: %(named)s and %(more)s more.", why=why, named=named, more=more)
        if named:
            return Sentence("Refused: %(why)s: %(named)s.", why=why, named=named)
        return Sentence("Refused: %(why)s.", why=why)


Decision = Vault | Handoff | Pdf | Encrypt | Relay | Hold | Refuse

MOST_NAMED = 5  # recipients in one sentence

_WHY = {
    "blocked": Sentence("this recipient does not accept messages from this sender"),
    "trial": "the recipient is the sender, who wants to see how replies arrive",
    "self": "the recipient is the sender, so no code is needed",
    "secure-token": "the subject begins with secure/",
    "secure-mark": "the subject begins with a word that asks for protection in this organisation",
    "pdf-token": "the subject begins with encrypt/",
    "pdf-not-allowed": "the subject begins with encrypt/, but the organisation lets no locked files leave by mail",
    "thread-subscriber": "the conversation belongs to this recipient",
    "member": "this recipient can open secure mail without a new password",
    "known-key": "the sender knows this recipient's own key, and the organisation lets mail leave encrypted to it",
    "member-domain": "the recipient is at a member domain, to which mail goes readable over proven encryption in"
    " transit",
    "form-unknown": "the way this recipient wants secure mail is not known here",
    "plain-token": "the subject begins with ::",
    "friend": "the sender named this address among family and friends, who get ordinary mail",
    "friends-not-allowed": "the sender named this address among family and friends, but the organisation's rules seal"
    " their mail, too",
    "plain-not-allowed": "the subject begins with ::, but the organisation does not allow plain mail",
    "plain-not-theirs": "the organisation lets only some of its people send plain mail",
    "newcomer": "accounts that signed up by themselves send no plain mail in their first days",
    "thread-vaulted": "plain mail was asked for, but an earlier message of this conversation was sealed",
    "default-vault": "the organisation seals everything that nothing else applies to",
    "default-plain": "the organisation sends plain unless protection is asked for",
    "tls-or-vault": "the organisation sends over proven encryption in transit, and seals where there is none",
    "no-proven-way": "it was to go over proven encryption in transit, and there is none to the recipient's server",
    "too-large": "it is larger than the recipient's server takes, so that it waits here as a link",
    "held": "something was found in it that should not leave in clear",
    "not-subscriber": "only subscribers can send plain mail",
    "default-unknown": "the organisation's default is not known here",
}


def decide(submission: Submission, rules: Rules) -> dict[str, Decision]:
    """
    Return one decision per recipient, by canonical address and in the order given.

    If an address stands there twice with different facts, the more protective decision counts.
    """
    asked = asked_for(submission.subject) if submission.author_is_subscriber else None
    decisions: dict[str, Decision] = {}
    for recipient in submission.recipients:
        decision = _decide(submission, rules, recipient, asked)
        earlier = decisions.get(recipient.address)
        if earlier is None or decision.rank > earlier.rank:
            decisions[recipient.address] = decision
    return decisions


def _decide(submission: Submission, rules: Rules, recipient: RecipientFacts, asked: Token | None) -> Decision:
    if recipient.blocked:
        return Refuse("blocked")
    if recipient.is_self:
        is_trial = submission.is_trial and asked is None and not has_mark(submission.subject, rules.marks)
        return Handoff(recipient.form, "trial") if is_trial and recipient.form in FORMS else Vault("self")
    if asked == "secure":
        return Vault("secure-token")
    if submission.author_is_subscriber and has_mark(submission.subject, rules.marks):
        return Vault("secure-mark")
    if asked == "pdf":
        return Pdf("pdf-token") if rules.allow_pdf else Vault("pdf-not-allowed")
    if recipient.is_thread_subscriber or recipient.is_member:
        reason = "thread-subscriber" if recipient.is_thread_subscriber else "member"
        return Handoff(recipient.form, reason) if recipient.form in FORMS else Vault("form-unknown")
    if recipient.own_key in KINDS and rules.own_keys and submission.author_is_subscriber and asked != "plain":
        return Encrypt(recipient.own_key, "known-key")
    if recipient.at_member_domain and _may_leave_readable(submission, rules) and rules.members_in_clear:
        return Relay("proven", "member-domain")
    return _otherwise(submission, rules, asked, is_friend=recipient.is_friend)


def _may_leave_readable(submission: Submission, rules: Rules) -> bool:
    """Say whether nothing forbids that this message leaves without a seal, whoever asks for it."""
    is_free = submission.author_is_subscriber and not submission.author_is_newcomer and not submission.thread_vaulted
    return is_free and rules.may_plain


def _otherwise(submission: Submission, rules: Rules, asked: Token | None, *, is_friend: bool) -> Decision:
    """Decide for a recipient about whom nothing special is known, but whether they are the author's friend."""
    plain, friend = asked == "plain", is_friend and rules.allow_plain and rules.allow_friends
    if not submission.author_is_subscriber:
        return Vault("not-subscriber")
    if plain and not rules.allow_plain:
        return Vault("plain-not-allowed")
    if not plain and not friend and rules.default not in ("plain", "tls-or-vault"):
        if rules.default != "vault":
            return Vault("default-unknown")
        return Vault("friends-not-allowed" if is_friend else "default-vault")
    if not rules.may_plain:
        return Vault("plain-not-theirs")
    if submission.thread_vaulted:
        return Vault("thread-vaulted")
    if submission.author_is_newcomer:
        return Vault("newcomer")
    if not plain and not friend and rules.default == "tls-or-vault":
        return Relay("proven", "tls-or-vault")
    return Relay(
        "cleartext" if rules.cleartext else "opportunistic",
        "plain-token" if plain else "friend" if friend else "default-plain",
    )


def why(reason: str) -> str:
    """
    Return in words what a decision's *reason* says, for people.

    What follows the first colon is kept as it stands: what was found on the way out, which is known only then.
    """
    name, _, found = reason.partition(": ")
    words = _WHY.get(name, name)
    return f"{words} ({found})" if found else words
