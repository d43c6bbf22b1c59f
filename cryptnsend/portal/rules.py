"""In which words do pages show the rules of an organisation? One name and one hint per setting, in groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from cryptnsend.core.organisation import SETTINGS, Difference, Policy, Value, spelt


@dataclass(frozen=True, slots=True)
class Rule:
    """One setting as a form shows it; `value` is what stands in the field, "inherit" for the server's."""

    name: str
    kind: str
    label: str
    hint: str
    choices: list[tuple[str, str]]
    value: str
    house: str  # what the server says, in words
    beyond: str  # what holds instead of what was asked for, "" if it holds
    wrong: str
    low: int
    high: int | None


def GROUPS() -> list[tuple[str, tuple[str, ...]]]:
    """Return the settings in the order of the page, with the heading of each group."""
    titles = {
        "ways": _("How mail leaves"),
        "codes": _("Codes"),
        "keeping": _("How long mail is kept"),
        "limits": _("Limits"),
        "people": _("People"),
        "looking": _("Looking for what should not leave in clear"),
        "signing in": _("Signing in"),
        "words": _("Words on notices"),
    }
    found: dict[str, list[str]] = {group: [] for group in titles}
    for name, each in SETTINGS.items():
        found.setdefault(each.metadata["group"], []).append(name)
    return [(titles.get(group, group), tuple(names)) for group, names in found.items() if names]


def labels() -> dict[str, tuple[str, str]]:
    """Return (name, hint) of each setting."""
    return _of_ways() | _of_keeping() | _of_people() | _of_looking()


def _of_ways() -> dict[str, tuple[str, str]]:
    """Return (name, hint) of what decides how mail leaves."""
    return {
        "default": (_("Mail that is not marked"), _("What happens when the subject asks for nothing.")),
        "plain_token": (_("“::” sends plain"), _("At the start of a subject.")),
        "plain_people": (
            _("Who may send plain"),
            _("Addresses, and roles (officer, manager, subscriber), one a line. Empty is everybody."),
        ),
        "friends": (
            _("Ordinary mail to family and friends"),
            _("To the people whom somebody named under Settings. Else it is locked like all other mail."),
        ),
        "friends_people": (
            _("Whose family and friends"),
            _("Addresses, and roles (officer, manager, subscriber), one a line. Empty is everybody’s."),
        ),
        "pdf_token": (
            _("“encrypt/” sends a locked PDF"),
            _("At the start of a subject, and as a choice when writing. Else such mail waits here, with a notice."),
        ),
        "secure_marks": (
            _("Marks that lock"),
            _("Besides “secure/”: words at the start of a subject, such as [secure], one a line."),
        ),
        "member_domains": (
            _("Partners whose people are members"),
            _(
                "Their domains, one a line. People of an organisation on this server need no code and get mail in the "
                "form that they chose; its number is added here by itself."
            ),
        ),
        "members_in_clear": (
            _("Readable mail to partners without an account here"),
            _("Only where the way there is proven, else they get a notice."),
        ),
        "cleartext": (
            _("Plain mail to servers without encryption"),
            _("Else such mail is locked, and the recipient gets a notice."),
        ),
        "own_keys": (
            _("Mail locked to keys of those who get it"),
            _("To the certificate or OpenPGP key that its sender knows of them. Else they get a notice as ever."),
        ),
        "file_links": (
            _("Large files for whoever has the link"),
            _("Else only recipients have them, who prove who they are."),
        ),
        "tls_replies": (_("Readable replies"), _("Whether people may have replies arrive readable in their inbox.")),
        "visitor_pages": (
            _("Pages for visitors"),
            _("Whether people may have a page by which strangers write to them first."),
        ),
        "api": (
            _("Programs that send by tokens"),
            _("Whether people may let the practice’s own system send for them. It opens nothing."),
        ),
    }


def _of_keeping() -> dict[str, tuple[str, str]]:
    """Return (name, hint) of codes, and of how long mail is kept."""
    return {
        "code_rule": (_("When recipients need a code"), _("The code proves that the right person opens the message.")),
        "code_on_receipt": (_("Codes by e-mail to the sender"), _("Else they are on the page of the message only.")),
        "code_instead": (
            _("What senders may choose instead of the code they tell"),
            _(
                "Weaker: whoever can read the recipient’s mail can then open that message. Each message asks for the "
                "code where its sender chooses nothing."
            ),
        ),
        "custody": (
            _("Who can open mail when a password is lost"),
            _("For new conversations. With “only its owner” a lost password loses what was received."),
        ),
        "life_days": (_("Days a message can be opened"), _("Where its author says nothing.")),
        "life_most_days": (_("Longest life that an author may choose"), _("In days.")),
        "retention_days": (_("Days for which messages are kept"), _("By their author and in the archive.")),
        "journal_to": (
            _("Copies of all mail"),
            _(
                "A proven domain and the mailbox for copies of its mail, in and out, one pair a line: clinic.example "
                "journal@clinic.example. The mailbox is a subscriber of the organisation; copies arrive locked."
            ),
        ),
    }


def _of_people() -> dict[str, tuple[str, str]]:
    """Return (name, hint) of limits, signing in and people."""
    return {
        "message_octets": (_("Largest message"), _("In octets, as mail programs send it.")),
        "file_octets": (
            _("Largest file that is too large for a message"),
            _("In octets. It waits on the page of the message; 0 is: no such files."),
        ),
        "messages_per_day": (_("Messages a day"), _("Of one person.")),
        "new_recipients_per_day": (_("New recipients a day"), _("Of one person.")),
        "idle_minutes": (_("Minutes without a tap"), _("After them a page signs out.")),
        "absolute_hours": (_("Hours signed in"), _("In any case.")),
        "password_length": (_("Shortest new password"), _("In characters.")),
        "password_remind_days": (
            _("Reminder of a new password"),
            _("After so many days; 0 is never. No password ends by time."),
        ),
        "subscriber_domains": (
            _("Where subscribers have their addresses"),
            _("Domains, and single addresses, one a line. Nobody else can join, or send. Empty is everywhere."),
        ),
    }


def _of_looking() -> dict[str, tuple[str, str]]:
    """Return (name, hint) of what is looked for, and of words on notices."""
    return {
        "dlp_off": (_("Do not look at mail that leaves plain"), _("Then nothing holds it back.")),
        "dlp_proven": (_("Look also at mail over proven encryption"), _("It arrives readable, too.")),
        "dlp_as_is": (
            _("A held message may leave as it is"),
            _("Its sender gives a reason, which stands in the audit trail."),
        ),
        "dlp_pictures": (_("Hold what has unreadable pictures"), _("Where no program here can read them.")),
        "dlp_ignored": (_("What is not looked for"), _("Names of kinds of findings, one a line.")),
        "dlp_mrn": (_("How record numbers look"), _("A pattern (RE2).")),
        "dlp_words": (_("Words that hold a message"), _("Words and phrases, one a line.")),
        "dlp_patterns": (_("Patterns that hold a message"), _("Patterns (RE2), one a line.")),
        "hold_hours": (_("Hours until a held message is sent encrypted"), _("If its sender says nothing.")),
        "notice_en": (_("Words in English"), _("Below every notice. No links and no addresses.")),
        "notice_es": (_("Words in Spanish"), _("Below every notice. No links and no addresses.")),
    }


def choices() -> dict[str, str]:
    """Return in words what can be chosen."""
    return {
        "vault": _("Locked, with a notice"),
        "plain": _("Plain, as ordinary mail"),
        "tls-or-vault": _("Over proven encryption, else locked"),
        "new-contact": _("For each new sender"),
        "new-recipient": _("Once for the organisation"),
        "always": _("For each message"),
        "never": _("Never"),
        "code": _("Nothing"),
        "mail": _("A code by e-mail, on request"),
        "none": _("A code by e-mail, or no code"),
        "managed": _("The server’s recovery key, too"),
        "strict": _("Only its owner"),
        "yes": _("Yes"),
        "no": _("No"),
    }


def label(name: str) -> str:
    """Return what a setting is called."""
    return labels().get(name, (name.replace("_", " "), ""))[0]


def value_words(name: str, value: Value | None) -> str:
    """Return a value in words."""
    if value is None:
        return _("as the server says")
    if SETTINGS[name].metadata["kind"] in ("choice", "yes"):
        return choices().get(spelt(value), spelt(value))
    return spelt(value) or _("nothing")


def in_words(change: Difference) -> tuple[str, str, str]:
    """Return a difference as (setting, before, after) in words."""
    before, after = value_words(change.name, change.before), value_words(change.name, change.after)
    return label(change.name), before, after


def _partners(standing: Any) -> str:
    """Return what the partners here are called, whose numbers the rule has; "" without any."""
    called = "; ".join(f"{domain}: {name}" for domain, name in standing.partners.items())
    return _("Now these: %(partners)s.", partners=called) if called else ""


def described(
    name: str,
    said: Mapping[str, Value],
    standing: Any,
    house: Policy,
    typed: Mapping[str, str],
    wrong: Mapping[str, str],
) -> Rule:
    """Return one setting for the form: what is typed, else what was said, and what the server says."""
    about = SETTINGS[name].metadata
    names = labels().get(name, (name.replace("_", " "), ""))
    kind = about["kind"]
    offered = about["choices"] if kind == "choice" else ("yes", "no") if kind == "yes" else ()
    words = choices()
    value = said.get(name)
    shown = "\n".join(value) if isinstance(value, tuple) else spelt(value)
    beyond = value_words(name, getattr(standing.held, name)) if name in standing.beyond and not typed else ""
    return Rule(
        name=name,
        kind=kind,
        label=names[0],
        hint=f"{names[1]} {_partners(standing)}".strip() if kind == "partners" else names[1],
        choices=[(each, words.get(each, each)) for each in offered],
        value=typed.get(name, shown),
        house=value_words(name, getattr(house, name)),
        beyond=beyond,
        wrong=wrong.get(name, ""),
        low=about["low"],
        high=about["high"] if about["high"] < 2**53 else None,
    )
