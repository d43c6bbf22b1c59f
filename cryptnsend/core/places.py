"""Does a text name a host, a port, a socket, a relay, a user? The forms in which settings and strangers name them."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def is_host(value: str) -> bool:
    """Say whether *value* is a host name in lower-case A-labels (RFC 5890 §2.3.2.1)."""
    return len(value) <= 253 and all(LABEL.fullmatch(label) for label in value.split("."))


def is_endpoint(value: str) -> bool:
    """Say whether *value* is `host:port`, the host a name, an IPv4 address or an IPv6 address in brackets."""
    host, _, port = value.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        return is_ip(host[1:-1]) and port.isdecimal() and 0 < int(port) < 65536
    return is_host(host.lower()) and port.isdecimal() and 0 < int(port) < 65536


def is_ip(value: str) -> bool:
    """Say whether *value* is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def is_smarthost(value: str) -> bool:
    """
    Say whether *value* is empty or `smtp://host:port`, or `smtps://host:port` for TLS from the first octet.

    A `user@` may stand before the host, percent-encoded; a password never stands in a URL.
    """
    url = _split(value)
    user, _, endpoint = url.netloc.rpartition("@") if url else ("", "", "")
    return not value or (
        url is not None
        and url.scheme in ("smtp", "smtps")
        and ":" not in user
        and is_endpoint(endpoint)
        and not (url.path or url.query or url.fragment)
    )


def is_base_url(value: str) -> bool:
    """Say whether *value* is empty or an https origin without path."""
    url = _split(value)
    return not value or (
        url is not None
        and url.scheme == "https"
        and bool(url.hostname)
        and "@" not in url.netloc
        and not (url.path or url.query or url.fragment)
    )


def _split(value: str) -> SplitResult | None:
    """Return the parts of a URL; None where brackets or port are wrong, which the library tells by raising."""
    try:
        url = urlsplit(value)
        url.port  # noqa: B018 - it is looked at only when it is asked for
    except ValueError:
        return None
    return url


def is_place(value: str) -> bool:
    """Say whether *value* is empty, the absolute path of a socket, or `host:port`."""
    return not value or (value.startswith("/") and len(value.encode()) < 108) or is_endpoint(value)


def is_user(value: str) -> bool:
    """Say whether *value* can be a user or group of the system: its name, or its number where it has none."""
    return bool(re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}|[1-9][0-9]{0,8}", value))


def is_near(value: str) -> bool:
    """Say whether *value* is empty, a loopback address with a port, or unix: and a name in the courier's folder."""
    if value.startswith("unix:"):
        return re.fullmatch(r"unix:run/courier/[a-z0-9_-]{1,20}\.sock", value) is not None
    host = value.rpartition(":")[0].strip("[]")
    return not value or (is_endpoint(value) and is_ip(host) and ipaddress.ip_address(host).is_loopback)
