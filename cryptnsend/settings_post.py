"""What may be set about how mail leaves, and about the programs that look at it or make papers of it first?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptnsend.core.places import is_endpoint, is_host, is_place, is_smarthost
from cryptnsend.settings import setting


@dataclass(frozen=True, slots=True)
class Delivery:
    """How notices, replies and plain mail leave."""

    smarthost: str = setting(
        "",
        "Hand everything to this relay, smtp:// or smtps://; empty looks up MX records.",
        unit="URL",
        check=is_smarthost,
        allowed="empty, smtp://host:port or smtps://host:port, with user@ before the host if the relay wants one",
    )
    smarthost_password_file: str = setting(
        "", "File whose first line is the password for the relay's user, readable by the courier only.", unit="file"
    )
    routes: Mapping[str, str] = setting(
        {},
        "Relays for single domains, before smarthost and MX: domain to host:port.",
        unit="table",
        check=lambda value: all(is_host(key) and is_endpoint(route) for key, route in value.items()),
        allowed='domain = "host:port" for each',
    )
    nameservers: tuple[str, ...] = setting(
        (),
        "Name servers to ask, ip:port each; empty asks the system's.",
        unit="list",
        check=lambda value: all(is_endpoint(entry) for entry in value),
        allowed="a list of ip:port, IPv6 addresses in brackets",
    )
    allow_private: bool = setting(False, "Deliver to hosts in private, loopback and link-local networks found by MX.")
    proven_domains: tuple[str, ...] = setting(
        (),
        "Domains whose servers the operator vouches for: mail that may leave in clear only over proven TLS goes there.",
        unit="list",
        check=lambda value: all(is_host(entry) for entry in value),
        allowed="a list of domains in lower case",
    )
    authorities: str = setting(
        "",
        "Certificate authorities (PEM) that mail hosts and MTA-STS servers are checked by; empty takes the system's.",
        unit="PEM file",
    )
    tls_reports: bool = setting(True, "Mail daily reports about TLS to the domains that ask for them (RFC 8460).")
    threads: int = setting(
        10, "Deliveries under way at the same time, to one domain at most half of them.", low=1, high=256
    )
    connect_seconds: int = setting(30, "Wait for a connection.", unit="seconds", low=1, high=600)
    reply_seconds: int = setting(300, "Wait for a peer's reply (RFC 5321 §4.5.3.2).", unit="seconds", low=1, high=1800)
    first_retry_seconds: int = setting(450, "Wait before the second try; doubles with each.", unit="seconds", low=1)
    max_retry_seconds: int = setting(57_600, "Longest wait between two tries.", unit="seconds", low=1)
    warn_seconds: int = setting(7_200, "When the sender is told of a delay.", unit="seconds", low=1)
    give_up_seconds: int = setting(115_200, "When a delivery fails for good.", unit="seconds", low=1)
    handoff_octets: int = setting(
        15_728_640, "Largest reply sent to the original inbox; larger ones go as a link.", unit="octets", low=65_536
    )


PLACE = "empty, the absolute path of a socket, or host:port"


@dataclass(frozen=True, slots=True)
class Scan:
    """Programs that look at mail before it is taken: docs/operations.md, 'Scanners', says at which and how."""

    clamav: str = setting(
        "",
        "Where clamd listens, which looks for viruses in all mail; empty asks nobody.",
        unit="socket",
        check=is_place,
        allowed=PLACE,
    )
    rspamd: str = setting(
        "",
        "Where rspamd's normal worker listens, which looks for spam in mail that travels in clear and in letters of"
        " visitors; empty asks nobody.",
        unit="socket",
        check=is_place,
        allowed=PLACE,
    )
    rspamd_octets: int = setting(
        524_288, "How much of a mail rspamd is shown, from its start.", unit="octets", low=4096, high=16_777_216
    )
    seconds: int = setting(
        60,
        "Wait for a scanner; without an answer until then the mail is put off.",
        unit="seconds",
        low=1,
        high=600,
    )


@dataclass(frozen=True, slots=True)
class Dlp:
    """Mail that would leave plain is looked at first, and held where something is found: docs/dlp.md."""

    look: bool = setting(True, "Whether it is; without, an organisation may still want it for its own mail.")
    ocr: bool = setting(True, "Whether pictures are read too, where the program tesseract is installed.")
    seconds: int = setting(
        60, "How long one mail may keep a processor busy before it is held unread.", unit="seconds", low=5, high=600
    )
    memory_mib: int = setting(
        1536, "Memory that reading one mail may take, with the program itself.", unit="MiB", low=512, high=65_536
    )
    hold_hours: int = setting(
        4, "After how long a held message is sent encrypted by itself.", unit="hours", low=1, high=72
    )


@dataclass(frozen=True, slots=True)
class Pdf:
    """Messages that leave, or are saved, as a locked PDF: docs/pdf.md."""

    seconds: int = setting(
        15, "How long setting one may keep a processor busy; then plain text is set.", unit="seconds", low=2, high=300
    )
    memory_mib: int = setting(1024, "Memory that setting one may take.", unit="MiB", low=512, high=16_384)
