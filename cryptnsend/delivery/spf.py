"""May this host send for that domain? SPF (RFC 7208) through pyspf, with names looked up by our own resolver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

import spf

from cryptnsend.delivery.dns import DnsTrouble, Mx, NoSuchDomain

SECONDS = 20  # for all questions of one check (RFC 7208 §4.6.4)


class Names(Protocol):
    """What has to be known about names. All raise `NoSuchDomain` and `DnsTrouble`."""

    def txt(self, name: str) -> Sequence[bytes]: ...
    def mx(self, domain: str) -> Sequence[Mx]: ...
    def addresses(self, host: str) -> Sequence[str]: ...
    def ptr(self, name: str) -> Sequence[str]: ...


_names: ContextVar[Names] = ContextVar("names")


def check_spf(names: Names, source: str, reverse_path: str, hello: str) -> tuple[str, str]:
    """
    Return (result, domain) for a mail from the IP address *source*; results as RFC 7208 §2.6 names them.

    A null reverse-path is checked by the name in EHLO (§2.4). Blocks while it asks.
    """
    domain = (reverse_path.rpartition("@")[2] if reverse_path else hello).lower().rstrip(".")
    if not domain.isascii() or "." not in domain:
        return "none", domain
    token = _names.set(names)
    try:
        asked: Any = spf.query(i=source, s=reverse_path, h=hello, querytime=SECONDS)  # type: ignore[no-untyped-call]
        return str(asked.check()[0]), domain
    except ValueError:  # an address or a macro that pyspf cannot expand
        return "permerror", domain
    finally:
        _names.reset(token)


def _look_up(
    name: str, qtype: str, _strict: Any = True, _timeout: float = SECONDS
) -> list[tuple[tuple[str, str], Any]]:
    """Answer one of pyspf's questions, which it has only a function of its module for."""
    try:
        return [((name, qtype), value) for value in _answers(_names.get(), name, qtype)]
    except NoSuchDomain:
        return []
    except DnsTrouble as trouble:
        raise spf.TempError(str(trouble)) from None  # type: ignore[no-untyped-call]


def _answers(names: Names, name: str, qtype: str) -> Iterator[Any]:
    if qtype == "TXT":
        for text in names.txt(name):
            yield (text,)
    elif qtype == "MX":
        for each in names.mx(name):
            yield each.preference, each.host
    elif qtype in ("A", "AAAA"):
        for address in names.addresses(name):
            if (":" in address) == (qtype == "AAAA"):
                yield address
    elif qtype == "PTR":
        yield from names.ptr(name)


spf.DNSLookup = _look_up
