"""What may be set about the doors that people and other servers come by, and about how mail programs find them?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptnsend.core.places import is_base_url, is_host
from cryptnsend.settings import setting


@dataclass(frozen=True, slots=True)
class Submission:
    """Sending by mail programs: SMTP."""

    processes: int = setting(
        1,
        "Processes that take mail at the ports of submission side by side; each takes an equal part of [limits]"
        " connections and counts connections_per_ip for itself.",
        low=1,
        high=64,
    )


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Reading by mail programs: IMAP and POP."""

    enabled: bool = setting(True, "Let subscribers read by IMAP and POP. Without it they read on the portal alone.")
    filed_octets: int = setting(
        1_073_741_824,
        "Sealed octets that all drafts and copies of one account may take together.",
        unit="octets",
        low=1_048_576,
    )
    connections: int = setting(1_000, "Open connections at the same time.", low=1)
    connections_per_account: int = setting(50, "Of these, signed in as one account; phones alone open five.", low=1)
    idle_minutes: int = setting(
        31, "How long a connection may be silent; RFC 9051 §5.4 asks for half an hour.", unit="minutes", low=30
    )


@dataclass(frozen=True, slots=True)
class Programs:
    """How mail programs are set up: the page for it, Apple's profiles, and the domains that lead programs here."""

    domains: tuple[str, ...] = setting(
        (),
        "Domains of organisations whose addresses lead mail programs here; `dns --for` prints what each publishes.",
        unit="list",
        check=lambda value: all(is_host(entry) for entry in value),
        allowed="a list of domains in lower case",
    )
    profile_certificate: str = setting(
        "",
        "Certificate chain that profiles for Apple devices are signed by; empty signs by that of the doors.",
        unit="PEM file",
    )
    profile_key: str = setting(
        "", "Private key of that certificate, RSA or ECDSA, readable by the portal only.", unit="PEM file"
    )


@dataclass(frozen=True, slots=True)
class Portal:
    """The web pages."""

    base_url: str = setting(
        "",
        "Start of every link we mail; empty makes it from host name and port.",
        unit="URL",
        check=is_base_url,
        allowed="empty, or https://host or https://host:port without a path",
    )
    threads: int = setting(
        16, "Pages made at the same time; as many uploads and downloads go on beside them.", low=1, high=512
    )
    security_contact: str = setting(
        "",
        "Where /.well-known/security.txt sends who found a weakness; empty means postmaster of the server's domain.",
        unit="URL",
        check=lambda value: (
            not value or re.fullmatch(r"(?:mailto:|https://|tel:)[\x21-\x7e]{3,200}", value) is not None
        ),
        allowed="empty, or a mailto:, https: or tel: address",
    )
    undo_seconds: int = setting(
        15, "How long a message written on a page waits before it leaves, so that its author can have it back.",
        unit="seconds", low=0, high=300,
    )  # fmt: skip
    style_page: bool = setting(
        False, "Show at /style what pages are made of, for those who build pages; the demo does."
    )


@dataclass(frozen=True, slots=True)
class Visitors:
    """Pages by which strangers write to a subscriber first, where that subscriber wants one."""

    pages: bool = setting(True, "Let subscribers have such a page; each is off until its subscriber opens it.")
    letters_per_day: int = setting(5, "Letters that one visitor may send to one page in a day.", low=1, high=1000)
    newcomers_per_day: int = setting(
        100, "Letters that one page takes in a day from people who never wrote to it before.", low=1, high=100_000
    )
    codes_per_network: int = setting(
        10, "Codes for visitors that one network may have mailed in a row, before it has to wait.", low=1, high=1000
    )
    codes_without_script: int = setting(
        3, "Of these, without the small sum that keeps robots out, which takes a script.", low=0, high=1000
    )
    sum_size: int = setting(
        100_000, "Largest number that a browser may have to find for that sum; half of it on average.",
        low=1_000, high=10_000_000,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Api:
    """Programs that send for a subscriber, by a token."""

    tokens: bool = setting(True, "Let subscribers make tokens; organisations may forbid it to their people.")
    requests_per_minute: int = setting(
        120, "Requests of one token in a minute; each process of the portal counts for itself.", low=1, high=100_000
    )
    private_hosts: tuple[str, ...] = setting(
        (),
        "Hosts that webhooks may go to though their addresses are private; no others of the kind are connected to.",
        unit="list",
        check=lambda value: all(is_host(entry) for entry in value),
        allowed="a list of host names in lower case",
    )


@dataclass(frozen=True, slots=True)
class Sessions:
    """How long somebody stays signed in to the portal."""

    recipient_idle_minutes: int = setting(15, "Without activity, recipients.", unit="minutes", low=1, high=1440)
    subscriber_idle_minutes: int = setting(30, "Without activity, subscribers.", unit="minutes", low=1, high=1440)
    absolute_hours: int = setting(12, "In any case.", unit="hours", low=1, high=168)
    trusted_days: int = setting(
        30,
        "How long a browser may be trusted, so that it asks for no second step; 0 is never.",
        unit="days",
        low=0,
        high=365,
    )


@dataclass(frozen=True, slots=True)
class Inbound:
    """Mail that other servers bring to our own addresses."""

    enabled: bool = setting(
        True, "Take mail from other servers. Without it bounces and answers by ordinary mail do not arrive."
    )
    postmaster: str = setting(
        "",
        "Account that gets mail to postmaster@ and abuse@; empty means whoever has been an officer here for longest.",
        unit="address",
        check=lambda value: not value or re.fullmatch(r"[^@\s]{1,64}@[^@\s]{1,253}", value) is not None,
        allowed="empty, or the address of an account of this server",
    )
    mta_sts: str = setting(
        "testing",
        "What our MTA-STS policy asks of other servers: checked TLS or no mail (enforce), to report failures (testing),"
        " or nothing, for a while before it is taken back (none).",
        choices=("enforce", "testing", "none"),
    )
    connections: int = setting(200, "Open sessions with other servers.", low=1, high=100_000)
    connections_per_ip: int = setting(10, "Open sessions with one of them.", low=1, high=100_000)
    recipients: int = setting(20, "Recipients of one mail; they have to belong to one conversation.", low=1, high=100)
    kept_per_day: int = setting(
        50, "Mails a day that are kept apart for one account, because nobody vouches for them.", low=1, high=10_000
    )
