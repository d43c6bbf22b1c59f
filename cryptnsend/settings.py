"""What may be set, in which unit, with which default: one frozen dataclass per section of the configuration file.

The fields are the documentation too: docs/configuration.md and the file that `init` writes are made from them.
How values are found and checked stands in config.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cryptnsend.core.places import is_host, is_ip, is_near, is_user

T = TypeVar("T")


def setting(
    default: T,
    help: str,
    *,
    unit: str = "",
    low: int | None = None,
    high: int | None = None,
    choices: tuple[str, ...] = (),
    check: Callable[[Any], bool] | None = None,
    allowed: str = "",
) -> T:
    """
    Declare one setting: the dataclass field with everything that its documentation and its check need.

    *allowed* says in words what *check* wants; numbers and *choices* find their words themselves.
    """
    if choices:
        allowed = "one of " + ", ".join(f'"{choice}"' for choice in choices)
    elif isinstance(default, bool):
        allowed = "true or false"
    elif isinstance(default, int) and low is not None:
        allowed = f"a whole number from {low} to {high}" if high is not None else f"a whole number of at least {low}"
    metadata = {
        "help": help,
        "unit": unit,
        "low": low,
        "high": high,
        "choices": choices,
        "check": check,
        "allowed": allowed,
    }
    if isinstance(default, dict):
        made: T = field(default_factory=lambda: type(default)(default), metadata=metadata)
    else:
        made = field(default=default, metadata=metadata)
    return made


@dataclass(frozen=True, slots=True)
class Server:
    """Who this server is and where it keeps its things."""

    home: Path = setting(Path(), "Folder that holds everything; empty means the folder of this file.", unit="folder")
    hostname: str = setting(
        "localhost",
        "Name of this machine as clients and other servers see it; the certificate must carry it.",
        unit="host name",
        check=is_host,
        allowed="a host name in lower-case letters, digits and hyphens, international names as xn--",
    )
    domain: str = setting(
        "",
        "Domain of our own addresses (notice@, replies, bounces) and of the DKIM key; empty means the host name.",
        unit="domain",
        check=lambda value: not value or is_host(value),
        allowed="empty, or a domain in lower-case letters, digits and hyphens, international names as xn--",
    )


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificate of all doors. Reloaded when the files change."""

    certificate: Path = setting(
        Path("tls/certificate.pem"), "Certificate chain, the server's own first.", unit="PEM file"
    )
    key: Path = setting(Path("tls/key.pem"), "Private key of the certificate, readable by us only.", unit="PEM file")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where we listen. 0 takes any free port; the ports in use are then found in run/ports.json."""

    bind: str = setting(
        "0.0.0.0",  # noqa: S104 - a mail server is there for the network
        "Address to listen on; :: is every IPv4 and IPv6 address.",
        unit="IP address",
        check=is_ip,
        allowed="an IPv4 or IPv6 address",
    )
    submissions: int = setting(
        465, "Submission with TLS from the first octet (RFC 8314).", unit="port", low=0, high=65535
    )
    submission: int = setting(587, "Submission with STARTTLS (RFC 6409).", unit="port", low=0, high=65535)
    inbound: int = setting(
        25, "Mail from other servers: bounces, and answers by ordinary mail.", unit="port", low=0, high=65535
    )
    imaps: int = setting(993, "IMAP with TLS from the first octet (RFC 8314).", unit="port", low=0, high=65535)
    pop3s: int = setting(995, "POP3 with TLS from the first octet (RFC 8314).", unit="port", low=0, high=65535)
    portal: int = setting(443, "The portal, https.", unit="port", low=0, high=65535)


@dataclass(frozen=True, slots=True)
class Signup:
    """Who may become a subscriber, and what newcomers may do."""

    mode: str = setting(
        "invite",
        "Who may sign up: nobody, the invited, or anyone who proves an address.",
        choices=("closed", "invite", "open"),
    )
    newcomer_days: int = setting(
        7, "How long accounts from open sign-up have the narrower limits of newcomers.", unit="days", low=0, high=365
    )
    newcomer_recipients_per_day: int = setting(
        20,
        "Recipients a newcomer may write to for the first time in a day; and newcomers send nothing in plain.",
        low=0,
    )
    invite_days: int = setting(7, "How long an invitation holds.", unit="days", low=1, high=90)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at a time."""

    message_octets: int = setting(
        52_428_800,
        "Largest message over SMTP, as encoded; announced by SIZE.",
        unit="octets",
        low=65_536,
        high=2**31 - 1,
    )
    header_octets: int = setting(
        1_048_576,
        "Largest header block of a message; it is held in memory.",
        unit="octets",
        low=65_536,
        high=67_108_864,
    )
    recipients: int = setting(100, "Recipients of one message (RFC 5321 §4.5.3.1.8 asks for 100).", low=1, high=10_000)
    reply_octets: int = setting(
        26_214_400, "All attachments of one reply on the portal together, raw.", unit="octets", low=0, high=2**31 - 1
    )
    draft_octets: int = setting(
        104_857_600, "All drafts of one account together, files and all.", unit="octets", low=65_536, high=2**31 - 1
    )
    file_octets: int = setting(
        2_147_483_648,
        "Largest file that rests beside a message, because it is too large for one; 0 is none.",
        unit="octets",
        low=0,
        high=10_737_418_240,
    )
    files_octets: int = setting(
        21_474_836_480, "All such files of one account together, as long as they are kept.", unit="octets", low=0
    )
    free_octets: int = setting(
        67_108_864,
        "With less room than that on the disk nothing new is taken (452), so that what is here can be read and leaves.",
        unit="octets",
        low=0,
    )
    connections: int = setting(500, "Open SMTP sessions.", low=1, high=100_000)
    connections_per_ip: int = setting(50, "Open SMTP sessions from one address.", low=1, high=100_000)
    idle_seconds: int = setting(300, "How long an SMTP session may stay silent.", unit="seconds", low=5, high=3600)
    messages_per_day: int = setting(1000, "Messages a subscriber may send in a day.", low=1)
    replies_per_day: int = setting(100, "Answers that somebody who only receives may send in a day.", low=1)
    new_recipients_per_day: int = setting(
        200, "Recipients a subscriber may write to for the first time in a day.", low=0
    )
    sign_in_failures: int = setting(
        10, "Wrong passwords from one source before that source has to wait.", low=1, high=1000
    )
    sign_in_failures_per_network: int = setting(
        100, "The same from one network (IPv4 /24, IPv6 /64) in a day; then who is new there waits.", low=10
    )
    sign_in_pause_minutes: int = setting(
        15, "The first such wait; it doubles with each further failure.", unit="minutes", low=1, high=1440
    )


@dataclass(frozen=True, slots=True)
class Life:
    """How long messages can be opened by their recipients, and how long they are kept at all."""

    days: int = setting(30, "Life of a message where its author says nothing.", unit="days", low=1, high=2555)
    undo_days: int = setting(
        7, "How long an expired or recalled message can be brought back.", unit="days", low=0, high=90
    )
    retention_days: int = setting(
        2192,
        "How long author, thread owner and archive keep a message; then it is gone for all. 2192 days are six years.",
        unit="days",
        low=1,
        high=36_500,
    )
    remind_after_days: int = setting(
        3,
        "When the recipient of an unopened message is reminded, counted from the notice; 0 for never.",
        unit="days",
        low=0,
        high=365,
    )
    remind_before_days: int = setting(
        3,
        "When they are reminded that its end is near, counted back from that; 0 for never.",
        unit="days",
        low=0,
        high=365,
    )
    draft_days: int = setting(30, "How long a draft is kept that nobody touches.", unit="days", low=1, high=365)


@dataclass(frozen=True, slots=True)
class Codes:
    """The code by which a recipient shows that the sender means them."""

    rule: str = setting(
        "new-contact",
        "When a recipient needs the sender's code, unless the organisation has a rule of its own.",
        choices=("new-contact", "new-recipient", "always", "never"),
    )
    digits: int = setting(6, "Length of a contact's first code.", unit="digits", low=6, high=10)
    next_digits: int = setting(8, "Length of the codes after a used-up one.", unit="digits", low=6, high=10)
    tries: int = setting(5, "Wrong tries before a code is used up.", low=1, high=20)
    hours: int = setting(72, "Life of a code from its first showing or mailing.", unit="hours", low=1, high=720)
    per_week: int = setting(5, "Codes a contact can have in a week.", low=1, high=50)
    on_receipt: bool = setting(True, "Mail codes to the sender on receipts; false keeps them on the portal only.")
    instead: str = setting(
        "mail",
        "The most that a sender may choose for a message instead of the code they tell: code (nothing), mail (a code by"
        " e-mail, when the recipient asks for it), none (no code). Either is weaker: whoever reads that mailbox can"
        " then open that message.",
        choices=("code", "mail", "none"),
    )
    mail_minutes: int = setting(10, "Life of a code that proves an address by mail.", unit="minutes", low=1, high=1440)


@dataclass(frozen=True, slots=True)
class Passwords:
    """What a new password must be (NIST SP 800-63B-4: length and strength, no rules of composition)."""

    min_length: int = setting(15, "Shortest password.", unit="characters", low=8, high=64)
    remind_days: int = setting(
        0,
        "Age from which a page reminds of a new password, for those who are audited on it; 80 is usual, 0 is never."
        " A reminder only: no password ends by time.",
        unit="days",
        low=0,
        high=3650,
    )


@dataclass(frozen=True, slots=True)
class Argon2:
    """Cost of Argon2id for new passwords (RFC 9106 §4); kept with each password, so a change harms no old one."""

    memory_kib: int = setting(65_536, "Memory.", unit="KiB", low=32, high=4_194_304)
    iterations: int = setting(3, "Passes over the memory.", low=1, high=100)
    lanes: int = setting(4, "Degree of parallelism.", low=1, high=64)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Where the master key comes from. It is never part of a backup."""

    provider: str = setting("file", "Source of the master key.", choices=("file", "env", "pkcs11"))
    key_file: Path = setting(Path("keeper/master.key"), "The key, for provider file; mode 0600.", unit="file")
    key_variable: str = setting(
        "CRYPTNSEND_MASTER_KEY",
        "Environment variable that holds the key, for provider env.",
        check=lambda value: bool(re.fullmatch(r"[A-Z][A-Z0-9_]*", value)),
        allowed="a name in capital letters, digits and underscores",
    )
    pkcs11_module: Path = setting(
        Path("/usr/lib/softhsm/libsofthsm2.so"), "The token's library, for provider pkcs11.", unit="file"
    )
    pkcs11_token: str = setting("cryptnsend", "Label of the token.", unit="label")
    pkcs11_key: str = setting(
        "master", "The key in it, which `cryptnsend keys master --to pkcs11` makes.", unit="label"
    )
    pkcs11_pin_file: Path = setting(
        Path("keeper/token.pin"), "The token's PIN, in its first line; mode 0600.", unit="file"
    )


USER = "a name in lower-case letters, digits, _ and -, or a number above 0"


@dataclass(frozen=True, slots=True)
class Users:
    """Which users of the system play the roles, when the server is started as root."""

    separate: str = setting(
        "auto",
        "A user for each role: where possible, always (else the server does not start), or never.",
        choices=("auto", "always", "never"),
    )
    keeper: str = setting("cryptnsend-keeper", "User of the keeper.", unit="user", check=is_user, allowed=USER)
    submission: str = setting(
        "cryptnsend-submission", "User of the SMTP doors.", unit="user", check=is_user, allowed=USER
    )
    inbound: str = setting(
        "cryptnsend-inbound", "User of the door for other servers.", unit="user", check=is_user, allowed=USER
    )
    mailbox: str = setting(
        "cryptnsend-mailbox", "User of the IMAP and POP doors.", unit="user", check=is_user, allowed=USER
    )
    portal: str = setting("cryptnsend-portal", "User of the portal.", unit="user", check=is_user, allowed=USER)
    courier: str = setting("cryptnsend-courier", "User of the courier.", unit="user", check=is_user, allowed=USER)
    group: str = setting(
        "cryptnsend", "Group of all of them, which has the vault in common.", unit="group", check=is_user, allowed=USER
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens to a message when neither its author nor its thread says otherwise."""

    default: str = setting("vault", "Where an unmarked message goes.", choices=("vault", "plain", "tls-or-vault"))
    least: str = setting(
        "vault",
        "The way with the least protection that an organisation may choose for its own unmarked messages, where"
        " default does not protect less anyway.",
        choices=("vault", "plain", "tls-or-vault"),
    )
    members_in_clear: bool = setting(
        True,
        "Whether organisations may let mail to people of their partners' domains (member-domains) go readable, over"
        " proven TLS only.",
    )
    plain_token: bool = setting(True, "Whether :: at the start of a subject sends plain.")
    friends: bool = setting(True, "Whether mail to a sender's family and friends goes as ordinary mail.")
    pdf_token: bool = setting(True, "Whether encrypt/ at the start of a subject sends a locked PDF.")
    cleartext: str = setting(
        "never",
        "Who may let plain mail go unencrypted to hosts without TLS, instead of a notice: nobody, organisations for"
        " which `cryptnsend policy set` says so, everybody.",
        choices=("never", "organisations", "everybody"),
    )
    own_keys: str = setting(
        "organisations",
        "Who may let mail leave encrypted to keys of those who get it, which its sender knows, instead of with a notice"
        " only: nobody, organisations that say so in their rules, everybody.",
        choices=("never", "organisations", "everybody"),
    )
    file_links: str = setting(
        "organisations",
        "Who may share a large file with whoever has its link, instead of with recipients who prove themselves: nobody,"
        " organisations for which `cryptnsend policy set` says so, everybody.",
        choices=("never", "organisations", "everybody"),
    )
    tls_replies: bool = setting(
        True, "Whether subscribers may have replies arrive readable in their inbox, where proven TLS leads there."
    )
    custody: str = setting(
        "managed",
        "Custody of a new organisation's mail: recoverable by the server's recovery key, or by the owner only.",
        choices=("managed", "strict"),
    )


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures for a monitoring program, in the format of OpenMetrics; no names, addresses or content."""

    listen: str = setting(
        "",
        "Where the page of all roles' figures is, at /metrics; empty counts nothing.",
        unit="place",
        check=is_near,
        allowed="empty, ip:port with a loopback address, or unix:run/courier/ and a name that ends in .sock",
    )


@dataclass(frozen=True, slots=True)
class Log:
    """Structured lines, one JSON object each; never content, credentials, tokens or codes."""

    level: str = setting("info", "Least important line that is written.", choices=("debug", "info", "warning", "error"))
    file: str = setting("", "File to append to; empty writes to standard output.", unit="file")
