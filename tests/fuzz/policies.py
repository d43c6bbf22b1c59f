"""What other domains say of themselves: MTA-STS, TLSA, DMARC, TLS reports; and what mail programs ask for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cryptnsend.core.addresses import canonical
from cryptnsend.core.discovery import NotAsked, asked_for
from cryptnsend.delivery import tlsrpt
from cryptnsend.delivery.authenticity import dmarc_record
from cryptnsend.delivery.dane import NotProven, is_usable, verify
from cryptnsend.delivery.dns import Tlsa
from cryptnsend.delivery.mtasts import MAX_AGE, PolicyInvalid, parse, record_id

NOW = 1_790_000_000_000  # milliseconds


def sts(octets: bytes) -> None:
    """A policy has a mode, hosts that are host names and an age of a year at most; a record has one id or none."""
    text = octets.decode("utf-8", "replace")
    ident = record_id(text.split("\n"))
    assert ident is None or re.fullmatch(r"[A-Za-z0-9]{1,32}", ident)
    try:
        policy = parse(octets)
    except PolicyInvalid as reason:
        assert str(reason).isprintable()
        return
    assert policy.mode in {"enforce", "testing", "none"}
    assert 0 <= policy.max_age <= MAX_AGE
    for host in policy.mx:
        name = host.removeprefix("*.")
        assert policy.allows(host.replace("*", "a", 1))
        assert not policy.allows(f"evil.example.{name}x") or policy.mode != "enforce"


def tlsa(octets: bytes) -> None:
    """Whatever DNS and a server say together is judged, and nothing made up is a proof."""
    if len(octets) < 3:
        return
    record = Tlsa(octets[0] & 3, octets[1] & 1, octets[2] % 3, octets[3:])
    is_usable(record)
    is_usable(Tlsa(octets[0], octets[1], octets[2], octets[3:]))
    for chain in ([octets[3:]], [octets[3:], octets[3:]], octets[3:].split(b"---")):
        _judged([record], chain)


def _judged(records: Sequence[Tlsa], chain: Sequence[bytes]) -> None:
    try:
        verify(records, chain, ("mx.example", "example"), NOW)
    except NotProven as reason:
        assert str(reason).isprintable()
        return
    # Only the certificate itself, named whole, proves anything here: there is no key that signed.
    assert records[0].data in chain


class _Texts:
    """Name servers that say the same of every name."""

    def __init__(self, texts: Sequence[bytes]):
        self._texts = texts

    def txt(self, _: str) -> Sequence[bytes]:
        return self._texts


def texts(octets: bytes) -> None:
    """TXT records are tags, places that can be written to, or nothing."""
    found = dmarc_record("mail.clinic.example", _Texts(octets.split(b"\n")))  # type: ignore[arg-type]
    assert all(name == name.lower() for name in found)
    for place in tlsrpt.places(octets.decode("utf-8", "replace").split("\n")):
        if address := tlsrpt.mailbox(place):
            assert canonical(address) == address
        else:
            where = tlsrpt.web(place)
            assert where is not None
            assert re.fullmatch(r"[a-z0-9.-]+", where[0])
            assert re.fullmatch(r"[!-~]+", where[2])


def discovery(octets: bytes) -> None:
    """What a mail program asks is an address, or refused in words; no entity is ever followed."""
    try:
        address = asked_for(octets)
    except NotAsked as reason:
        assert str(reason).isprintable()
    else:
        canonical(address)
        assert b"<!DOCTYPE" not in octets
