"""Would a receiver believe who a mail is from? Judged by other people's programs, which share no line with ours.

pyspf judges the host, dkimpy each signature, the library `dmarc` their alignment; all of them ask real name servers.

    with judges(zones.resolver):
        assert judge(octets, source="127.0.0.1", reverse_path="b@our.example", hello="mx.our.example").dmarc == "pass"
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dkim
import dmarc
import dns.nameserver
import dns.resolver
import spf
from publicsuffixlist import PublicSuffixList


@dataclass(frozen=True)
class Judgement:
    """
    What a receiver finds. `aligned` has spf and dkim where these speak for the domain in From.

    `spf` is (result, domain); `signatures` are (domain, selector, algorithm, whether it holds), the first field first.
    """

    author: str  # domain in From
    spf: tuple[str, str]
    signatures: tuple[tuple[str, str, str, bool], ...]
    dmarc: str
    aligned: frozenset[str]


@contextmanager
def judges(resolver: tuple[str, int]) -> Iterator[None]:
    """Let the judges ask these name servers; pyspf with its own way of asking, whatever else uses it here."""
    asked = dns.resolver.Resolver(configure=False)
    asked.nameservers = [dns.nameserver.Do53Nameserver(*resolver)]
    before = spf.DNSLookup, dns.resolver.default_resolver
    spf.DNSLookup, dns.resolver.default_resolver = _look_up, asked
    try:
        yield
    finally:
        spf.DNSLookup, dns.resolver.default_resolver = before


def judge(octets: bytes, *, source: str, reverse_path: str, hello: str) -> Judgement:
    """Judge a mail that came from the address *source*."""
    header = octets.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    (field,) = re.findall(r"(?im)^from:((?:[^\r\n]|\r\n[ \t])*)", header)
    author = email.utils.parseaddr(re.sub(r"\r\n[ \t]+", " ", field))[1].rpartition("@")[2].lower()
    result = spf.check2(i=source, s=reverse_path, h=hello)[0]  # type: ignore[no-untyped-call]
    sender = (result, reverse_path.rpartition("@")[2] or hello)
    signatures = tuple(_signatures(octets))
    record = next(filter(None, (_record(f"_dmarc.{name}") for name in (author, _suffixes.get_sld(author)))), None)
    if record is None:
        return Judgement(author, sender, signatures, "none", frozenset())
    policy = dmarc.DMARCPolicy(record, author, _suffixes.get_sld(author), publicsuffix=_suffixes)
    found = [dmarc.SPFAuthResult(sender[1], dmarc.SPFResult(result))]
    found += [
        dmarc.DKIMAuthResult(domain, dmarc.DKIMResult("pass" if holds else "fail"))
        for domain, _, _, holds in signatures
    ]
    try:
        policy.verify(auth_results=found)
        verdict = "pass"
    except dmarc.PolicyError:
        verdict = "fail"
    kinds = {dmarc.SPFAuthResult: "spf", dmarc.DKIMAuthResult: "dkim"}
    aligned = frozenset(kinds[type(each)] for each in found if policy.isaligned(each))
    return Judgement(author, sender, signatures, verdict, aligned)


def _signatures(octets: bytes) -> Iterator[tuple[str, str, str, bool]]:
    count = len(re.findall(rb"(?im)^dkim-signature:", octets.partition(b"\r\n\r\n")[0]))
    for place in range(count):
        verifier: Any = dkim.DKIM(octets)  # type: ignore[no-untyped-call]
        try:
            holds = bool(verifier.verify(place, dnsfunc=lambda name, timeout=5: _text(name.decode())))
        except dkim.ValidationError:  # the body is not the one that was signed
            holds = False
        fields = verifier.signature_fields
        yield fields[b"d"].decode(), fields[b"s"].decode(), fields[b"a"].decode(), holds


def _record(name: str) -> str | None:
    text = _text(name)
    return text.decode() if text is not None else None


def _text(name: str) -> bytes | None:
    found = _look_up(name.rstrip("."), "TXT")
    return b"".join(found[0][1]) if found else None


def _look_up(name: str, kind: str, *_: object, **__: object) -> list[tuple[tuple[str, str], Any]]:
    """Answer a question in pyspf's form."""
    try:
        answer = dns.resolver.resolve(name, kind, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    values = {"TXT": "strings", "A": "address", "AAAA": "address"}
    return [((name, kind), getattr(each, values[kind])) for each in answer]


class _Suffixes:
    """The list of public suffixes as the library wants to be given it."""

    _list = PublicSuffixList()

    def get_sld(self, domain: str) -> str:
        return self._list.privatesuffix(domain) or domain

    get_public_suffix = get_sld


_suffixes = _Suffixes()
