"""Which page explains a refusal? One word per reason, the last part of `/help/<topic>` on the portal.

A reply of the doors is a code, an enhanced code, a sentence and the URL of that page. A test holds every code that the
doors can say against this table, and every topic against the pages there are.
"""

from __future__ import annotations

from cryptnsend.core.errors import (
    Infected,
    Malformed,
    NotAuthor,
    NotYet,
    Refusal,
    ScannerGone,
    Spam,
    StoreFull,
    Temporary,
    TooBig,
    Unencrypted,
)

OTHER = "other"
INDEX = "sending"  # the page that lists the others

# What kind of refusal it is tells more than its enhanced code, which several reasons share.
_BY_KIND: dict[type[Refusal | Temporary], str] = {
    NotAuthor: "author",
    TooBig: "too-large",
    Malformed: "line-ends",
    Unencrypted: "secure-line",
    Infected: "virus",
    Spam: "spam",
    ScannerGone: "later",
    NotYet: "later",
    StoreFull: "full",
}
_BY_STATUS = {  # RFC 3463, RFC 5248
    "4.3.0": "later",
    "4.3.1": "full",
    "4.3.2": "later",
    "4.4.2": "slow",
    "4.5.3": "recipients",
    "4.7.0": "pause",
    "4.7.1": "day-limit",
    "5.1.1": "nobody",
    "5.1.3": "address",
    "5.1.7": "address",
    "5.3.4": "too-large",
    "5.4.6": "circles",
    "5.5.1": "commands",
    "5.5.2": "commands",
    "5.5.4": "commands",
    "5.6.0": "header",
    "5.6.7": "address-letters",
    "5.7.0": "sign-in",
    "5.7.1": "refused",
    "5.7.8": "password",
    "5.7.11": "secure-line",
}
TOPICS = frozenset([*_BY_KIND.values(), *_BY_STATUS.values(), OTHER])


def topic(problem: Refusal | Temporary) -> str:
    """Return the topic of a refusal; `OTHER` for an enhanced code that nobody has described yet."""
    for kind, found in _BY_KIND.items():
        if isinstance(problem, kind):
            return found
    return _BY_STATUS.get(problem.status, OTHER)
