"""What did somebody type for a setting of an organisation, and can it be? Each value in its one spelling, or Denied.

Pure: no I/O, no clock. What settings there are, and what holds of them, stands in `organisation`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cryptnsend.core import journals, partners
from cryptnsend.core.addresses import canonical
from cryptnsend.core.dlp import detect, own
from cryptnsend.core.errors import Denied, Sentence
from cryptnsend.core.organisation import ROLES, SETTINGS, Policy, Value, is_of, plain_words

MOST_ENTRIES = 500


def parse(name: str, typed: str) -> Value:
    """Return a value as somebody typed it; raise Denied with a sentence about what is wrong."""
    if name not in SETTINGS:
        known = ", ".join(SETTINGS)
        raise Denied(Sentence("There is no setting %(name)s. There are: %(known)s.", name=repr(name), known=known))
    about, typed = SETTINGS[name].metadata, typed.strip()
    kind = about["kind"]
    if kind == "yes":
        for value, words in ((True, ("yes", "allow", "true", "on")), (False, ("no", "forbid", "false", "off"))):
            if typed.lower() in words:
                return value
        raise Denied(Sentence("%(name)s is yes or no.", name=name))
    if kind == "number":
        if not typed.isascii() or not typed.isdecimal() or not about["low"] <= int(typed) <= about["high"]:
            raise Denied(_no_number(name, about["low"], about["high"], about["unit"]))
        return int(typed)
    if kind == "choice":
        if typed not in about["choices"]:
            raise Denied(Sentence("%(name)s is one of: %(known)s.", name=name, known=", ".join(about["choices"])))
        return typed
    if kind == "text":
        return plain_words(name, typed)
    if kind in ("words", "patterns", "pattern", "rules"):
        return _looked_for(name, kind, typed)
    typed_entries = [each.strip() for each in re.split(r"[,\n]", typed) if each.strip()]
    entries = tuple(dict.fromkeys(_entry(name, kind, each) for each in typed_entries))
    if kind == "journals" and len(journals.by_domain(entries)) < len(entries):
        raise Denied(Sentence("Each domain stands once in %(name)s: its mail is copied to one mailbox.", name=name))
    if kind == "partners" and len(partners.by_domain(entries)) < len(entries):
        raise Denied(Sentence("Each domain stands once in %(name)s.", name=name))
    return entries


def check(said: Mapping[str, Value]) -> dict[str, Value]:
    """Return what was said in its one spelling; raise Denied for what a setting does not take, or what contradicts."""
    found: dict[str, Value] = {}
    for name, value in said.items():
        if name not in SETTINGS or not is_of(SETTINGS[name].metadata["kind"], value):
            raise Denied(Sentence("%(name)s cannot be %(value)s.", name=name, value=repr(str(value)[:40])))
        typed = "\n".join(value) if isinstance(value, tuple) else str(value)
        found[name] = parse(name, typed)
        if isinstance(value, tuple) and len(value) > MOST_ENTRIES:
            raise Denied(Sentence("%(name)s takes at most %(most)s entries.", name=name, most=MOST_ENTRIES))
    return found


def check_together(said: Mapping[str, Value], held: Policy) -> None:
    """Raise Denied if settings contradict one another; *held* is what would hold with them."""
    if said.get("life_days", 0) > held.life_most_days:  # type: ignore[operator]
        raise Denied(
            Sentence(
                "A message cannot live %(days)s days by itself where %(most)s is the longest life.",
                days=str(said["life_days"]),
                most=held.life_most_days,
            )
        )
    for name in ("life_days", "life_most_days"):
        if name in said and getattr(held, name) > held.retention_days:
            raise Denied(
                Sentence(
                    "A life of %(days)s days is longer than the %(kept)s days for which messages are kept.",
                    days=getattr(held, name),
                    kept=held.retention_days,
                )
            )
    if held.idle_minutes > held.absolute_hours * 60:
        raise Denied(
            Sentence(
                "Nobody stays signed in %(minutes)s minutes without a tap where %(hours)s hours are the end in any"
                " case.",
                minutes=held.idle_minutes,
                hours=held.absolute_hours,
            )
        )
    if said.get("friends_people") and not held.friends:
        raise Denied(
            "There are people whose family and friends get ordinary mail, but it is forbidden to all. Allow it, or name"
            " nobody."
        )
    is_plain = held.plain_token or held.default != "vault"
    if said.get("plain_people") and not is_plain:
        raise Denied(
            "There are people who may send plain, but nothing leaves plain: :: is forbidden, and the way is vault."
        )
    if said.get("cleartext") and not is_plain:
        raise Denied(
            "Plain mail cannot go unencrypted where nothing leaves plain: :: is forbidden, and the way is vault."
        )
    if held.custody == "strict" and held.code_rule == "never":
        raise Denied(
            "Strict custody needs codes: without them a message waits under the server's key until it is read, which "
            "strict custody is there to avoid."
        )


def _no_number(name: str, low: int, high: int, unit: str) -> Sentence:
    known: dict[str, str | int] = {"name": name, "low": low, "unit": unit}
    if high >= 2**53:
        if unit:
            return Sentence("%(name)s is a whole number from %(low)s on, in %(unit)s.", **known)
        return Sentence("%(name)s is a whole number from %(low)s on.", name=name, low=low)
    if unit:
        return Sentence("%(name)s is a whole number from %(low)s to %(high)s, in %(unit)s.", high=high, **known)
    return Sentence("%(name)s is a whole number from %(low)s to %(high)s.", name=name, low=low, high=high)


def _looked_for(name: str, kind: str, typed: str) -> str | tuple[str, ...]:
    """Return what data-loss prevention is to look for, or not to; a line for each, since patterns have commas."""
    try:
        if kind == "pattern":
            if typed:
                own.check_pattern(typed)
            return typed
        parts = re.split(r"[,\n]" if kind == "rules" else r"\n", typed)
        entries = tuple(dict.fromkeys(each.strip() for each in parts if each.strip()))
        own.check(own.Own(words=entries if kind == "words" else (), patterns=entries if kind == "patterns" else ()))
    except own.BadPattern as bad:
        raise Denied(bad.text) from None
    unknown = [each for each in entries if kind == "rules" and each not in detect.RULES]
    if unknown:
        known, wrong = ", ".join(detect.RULES), repr(unknown[0][:40])
        raise Denied(Sentence("There is no rule %(name)s. There are: %(known)s.", name=wrong, known=known))
    return entries


def _domain(typed: str) -> str:
    """Return a domain in its one spelling, as it stands behind the @ of a canonical address; raise ValueError."""
    domain = canonical(f"x@{typed.removesuffix('.')}").rpartition("@")[2]
    if "." not in domain:
        raise ValueError
    return domain


def _entry(name: str, kind: str, typed: str) -> str:
    if kind == "journals":
        return journals.entry(name, typed)
    if kind == "partners":
        return partners.entry(name, typed)
    if kind == "people" and typed.casefold() in ROLES:
        return typed.casefold()
    try:
        if kind == "people" or (kind == "places" and "@" in typed):
            return canonical(typed)
        if kind == "places":
            return _domain(typed)
    except ValueError:
        wrong = repr(typed[:80])
        if kind == "people":
            known = ", ".join(ROLES)
            raise Denied(
                Sentence(
                    "%(typed)s in %(name)s is no address, and no role: %(known)s.", typed=wrong, name=name, known=known
                )
            ) from None
        raise Denied(Sentence("%(typed)s in %(name)s is no domain.", typed=wrong, name=name)) from None
    if not 2 <= len(typed) <= 20 or not typed.isprintable() or ":" in typed or typed.isalnum():
        raise Denied(
            Sentence(
                "%(typed)s cannot ask for the vault: a mark has 2 to 20 characters, no colon, and one at least that is"
                " neither letter nor digit, as [secure] or #phi.",
                typed=repr(typed[:40]),
            )
        )
    return typed.casefold()
