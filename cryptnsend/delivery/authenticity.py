"""Did the domain in From really send this mail? DMARC (RFC 7489) over what SPF and DKIM found.

Aligned means: of the same organisation by the public suffix list, or exactly the same where the domain's record asks
for it. A domain that is a public suffix itself is aligned with nothing below it: everybody can have a name there.
Without a DMARC record SPF alone proves too little, as many share a host; an aligned signature still counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from publicsuffixlist import PublicSuffixList

from cryptnsend.delivery.dkim_check import Verdict
from cryptnsend.delivery.dns import DnsTrouble, NoSuchDomain
from cryptnsend.delivery.spf import Names

_TAGS = re.compile(r"\s*([a-z]+)\s*=\s*([^;\s]*)\s*(?:;|\Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Authenticity:
    """
    Whether a mail is from the domain it says it is from.

    `result` is pass, fail, none (no record, and nothing aligned) or temperror; `spf` and `dkim` are what each found, as
    RFC 8601 names it; `by` says which of them carried a pass. `signatures` are the good ones of the author's domain,
    and `is_sent` says that a host of that domain brought the mail itself, so that nobody else can have passed it on.
    """

    result: str
    spf: str
    dkim: str
    by: str = ""
    signatures: tuple[Verdict, ...] = ()
    is_sent: bool = False

    @property
    def is_proven(self) -> bool:
        """Say whether the domain in From vouches for this mail."""
        return self.result == "pass"

    def __str__(self) -> str:
        return f"spf={self.spf} dkim={self.dkim} dmarc={self.result}"


def evaluate(domain: str, spf: tuple[str, str], signatures: Sequence[Verdict], names: Names) -> Authenticity:
    """
    Judge a mail whose only From address is at *domain* (a lower-case A-label name).

    *spf* is (result, domain it is about). Asks for the domain's DMARC record; blocks.
    """
    carried = _summary(signatures)
    try:
        record = dmarc_record(domain, names)
    except DnsTrouble:
        return Authenticity("temperror", spf[0], carried)
    mode = record.get("adkim", "r")
    signed = tuple(each for each in signatures if each.result == "pass" and _aligned(domain, [each.domain], mode))
    sent = bool(record) and spf[0] == "pass" and _aligned(domain, [spf[1]], record.get("aspf", "r"))
    if signed or sent:
        return Authenticity("pass", spf[0], carried, "dkim" if signed else "spf", signed, sent)
    unsure = spf[0] == "temperror" or any(each.result == "temperror" for each in signatures)
    return Authenticity("temperror" if unsure else "fail" if record else "none", spf[0], carried)


def organisational(domain: str) -> str:
    """Return the organisational domain (RFC 7489 §3.2); of a public suffix, or a name without dots, the name itself."""
    return _suffixes().privatesuffix(domain) or domain


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _aligned(author: str, domains: Sequence[str], mode: str) -> bool:
    if mode.lower() == "s":
        return author in domains
    return any(organisational(each) == organisational(author) for each in domains)


def dmarc_record(domain: str, names: Names) -> dict[str, str]:
    """Return the tags of the domain's DMARC record, or its organisation's (RFC 7489 §6.6.3); empty without one."""
    for place in dict.fromkeys((domain, organisational(domain))):
        try:
            texts = [text.decode("ascii", "replace") for text in names.txt(f"_dmarc.{place}")]
        except NoSuchDomain:
            continue
        found = [text for text in texts if re.match(r"v\s*=\s*DMARC1\s*(?:;|\Z)", text)]
        if len(found) == 1:
            return {name.lower(): value.lower() for name, value in _TAGS.findall(found[0])}
        if found:
            return {}  # several: none of them counts
    return {}


def _summary(signatures: Sequence[Verdict]) -> str:
    results = [each.result for each in signatures]
    return next((each for each in ("pass", "temperror", "fail") if each in results), "none")
