"""Who wants to know how TLS with their mail hosts went, and what does a report say? SMTP TLS Reporting, RFC 8460.

Pure: TXT records in, addresses out; counts in, JSON out. A report holds no message, no sender and no recipient.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from urllib.parse import unquote, urlsplit

import msgspec

from cryptnsend.core.addresses import canonical
from cryptnsend.core.places import is_host

MEDIA_TYPE = "application/tlsrpt+gzip"
MOST = 3  # places that one domain's reports go to
MAX_FAILURES = 1000  # lines of one report
DAY = 86_400  # seconds

_RECORD = re.compile(r"v=TLSRPTv1[ \t]*;(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Result:
    """Sessions of one day that showed the same: RFC 8460 §4.3's result ("" for success), host and address."""

    kind: str
    policy: tuple[str, ...]
    hosts: tuple[str, ...]
    result: str
    host: str
    address: str
    sessions: int


def places(texts: Iterable[str]) -> list[str]:
    """
    Return where the TXT records at _smtp._tls ask reports to be sent: mailto: and https: URIs (RFC 8460 §3).

    None unless exactly one record is about reports; what is no usable URI is passed over.
    """
    bodies = [found[1] for text in texts if (found := _RECORD.match(text))]
    if len(bodies) != 1:
        return []
    fields = [field.strip(" \t") for field in bodies[0].split(";")]
    asked = next((field[4:] for field in fields if field.startswith("rua=")), "")
    uris = dict.fromkeys(uri.strip(" \t") for uri in asked.split(","))
    return [uri for uri in uris if mailbox(uri) or web(uri)][:MOST]


def mailbox(uri: str) -> str:
    """Return the address in a mailto: URI, "" if it is none (RFC 6068; its header fields mean nothing here)."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "mailto":
        return ""
    try:
        return canonical(unquote(rest.partition("?")[0], errors="strict"))
    except ValueError:
        return ""


def web(uri: str) -> tuple[str, int, str] | None:
    """Return host, port and path of an https: URI, None if it is none that we would follow."""
    try:
        url = urlsplit(uri)
        port = url.port or 443
    except ValueError:
        return None
    host = (url.hostname or "").lower()
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    printable = uri.isascii() and uri.isprintable() and " " not in uri
    if url.scheme.lower() != "https" or "@" in url.netloc or not is_host(host) or not printable:
        return None
    if host.rpartition(".")[2].isdecimal():
        return None  # an address, where a name belongs that its certificate can carry
    return host, port, path


def report(domain: str, day: int, results: Sequence[Result], *, organisation: str, contact: str, ident: str) -> bytes:
    """Return the report of one day (days since 1970) as JSON (RFC 8460 §4.4)."""
    begin = datetime.fromtimestamp(day * DAY, UTC)
    body = {
        "organization-name": organisation,
        "date-range": {
            "start-datetime": begin.strftime("%Y-%m-%dT00:00:00Z"),
            "end-datetime": begin.strftime("%Y-%m-%dT23:59:59Z"),
        },
        "contact-info": contact,
        "report-id": ident,
        "policies": [_policy(domain, list(group)) for _, group in groupby(_ordered(results), key=_same)],
    }
    return msgspec.json.encode(body)


def packed(octets: bytes) -> bytes:
    """Return a report as it travels; packed again, it is the same octets."""
    return gzip.compress(octets, mtime=0)


def file_name(submitter: str, domain: str, day: int, ident: str) -> str:
    """Return the name of a report's file (RFC 8460 §5.1)."""
    return f"{submitter}!{domain}!{day * DAY}!{(day + 1) * DAY - 1}!{ident}.json.gz"


def _same(result: Result) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    return result.kind, result.policy, result.hosts


def _ordered(results: Sequence[Result]) -> list[Result]:
    return sorted(results, key=lambda each: (*_same(each), each.result, each.host, each.address))


def _policy(domain: str, results: Sequence[Result]) -> dict[str, object]:
    kind, lines, hosts = _same(results[0])
    policy: dict[str, object] = {"policy-type": kind, "policy-domain": domain}
    if lines:
        policy["policy-string"] = lines
    if hosts:
        policy["mx-host"] = hosts
    failures = [each for each in results if each.result]
    made: dict[str, object] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": sum(each.sessions for each in results if not each.result),
            "total-failure-session-count": sum(each.sessions for each in failures),
        },
    }
    if failures:
        made["failure-details"] = [_failure(each) for each in failures[:MAX_FAILURES]]
    return made


def _failure(result: Result) -> dict[str, object]:
    found: dict[str, object] = {"result-type": result.result, "failed-session-count": result.sessions}
    if result.host:
        found["receiving-mx-hostname"] = result.host
    if result.address:
        found["receiving-ip"] = result.address
    return found
