"""In whose name may a mail be signed? Our own, and that of domains which point at our keys.

A domain delegates by DNS alone: where its verifiers look for `rsa1._domainkey.clinic.example` they find our key, by a
CNAME to our record or as a record of its own. What we look up is what every receiver will look up, so there is nothing
to agree on or to configure, and nothing that could be out of date: answers are kept as long as DNS lets them be, and
asked for again with the next mail after that. Where it cannot be known now, there is no delegation: a rewritten author
always passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptnsend.delivery.dkim import RSA, DkimKey
from cryptnsend.delivery.dns import DnsTrouble
from cryptnsend.delivery.keyring import Texts, is_published

SILENCE = 30.0  # seconds for which dead name servers are not asked again, so that they hold up no mail


class Signers:
    """Finds the keys for an author's domain. Thread-safe; what DNS says, the resolver keeps."""

    def __init__(self, own: Callable[[], Sequence[DkimKey]], texts: Texts, monotonic: Callable[[], float]):
        """*own* are the keys that sign for our domain now."""
        self._own, self._texts, self._monotonic = own, texts, monotonic
        self._silent_until = 0.0

    def own(self) -> Sequence[DkimKey]:
        """Return the keys of our own domain."""
        return self._own()

    def of(self, domain: str) -> Sequence[DkimKey]:
        """
        Return the keys by which we may sign as *domain* (a lower-case A-label name), none if it does not let us.

        Without an RSA key among them there are none: many receivers check nothing else.
        """
        if self._monotonic() < self._silent_until:
            return ()
        found: list[DkimKey] = []
        for key in sorted(self._own(), key=lambda key: key.algorithm != RSA):
            try:
                theirs = DkimKey(key.selector, domain, key.private)
                is_there = is_published(theirs, self._texts)
            except DnsTrouble:
                self._silent_until = self._monotonic() + SILENCE
                return ()
            except ValueError:  # no name that a key could stand under
                return ()
            if is_there:
                found.append(theirs)
            elif key.algorithm == RSA and not found:
                # Nobody else's domain has our key: one question is enough to know it.
                return ()
        return tuple(found)
