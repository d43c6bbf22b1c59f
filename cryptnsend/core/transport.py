"""What do we promise other servers about TLS to us? Our own MTA-STS policy (RFC 8461 §3.2), in one place.

The portal serves the text, `dns` prints the record that points to it, and `doctor` compares both with what is there.
"""

from __future__ import annotations

import hashlib

POLICY_PATH = "/.well-known/mta-sts.txt"
POLICY_TYPE = "text/plain"
_AGES = {"enforce": 30 * 86_400, "testing": 86_400, "none": 86_400}  # seconds for which others keep it


def policy_host(domain: str) -> str:
    """Return the host that has to serve the policy of *domain* (RFC 8461 §3.3)."""
    return f"mta-sts.{domain}"


def policy_text(mode: str, host: str) -> str:
    """Return our policy: *mode* is enforce, testing or none; *host* is the only one that takes our mail."""
    lines = ["version: STSv1", f"mode: {mode}"]
    if mode != "none":
        lines.append(f"mx: {host}")
    return "".join(f"{line}\r\n" for line in (*lines, f"max_age: {_AGES[mode]}"))


def policy_record(text: str) -> str:
    """Return the TXT record for `_mta-sts` (RFC 8461 §3.1); its id is made of the text, so it changes with it."""
    return f"v=STSv1; id={hashlib.sha256(text.encode()).hexdigest()[:20]};"
