"""`doctor`: what is wrong with this home, and what to do about it?"""

from __future__ import annotations

import datetime
import os
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cryptnsend import rights
from cryptnsend.cli.options import home_option, json_option, show_json
from cryptnsend.cli.owner import is_served, opened
from cryptnsend.cli.serve import ONE_USER
from cryptnsend.config import Config
from cryptnsend.core.errors import CryptnSendError
from cryptnsend.home import PORT_NAMES, Home
from cryptnsend.store.records import deliveries

MIB = 1 << 20
LITTLE_ROOM, NO_ROOM = 2048 * MIB, 256 * MIB
KNOCK = 10.0  # seconds for a door to answer
RENEW_DAYS = 14  # days before its end at which a certificate should have been renewed

Level = Literal["good", "warning", "bad"]


class Finding(NamedTuple):
    """One thing that was looked at; *words* say what was found and, unless it is good, what to do."""

    check: str
    level: Level
    words: str


def private_files(config: Config) -> Iterator[Finding]:
    """Look for files of the home that others on this machine may read, or roles that have no business with them."""
    exposed = list(rights.exposed(config))
    for path, remedy in exposed:
        yield Finding("permissions", "bad", f"More users than should can use {path}. Do: {remedy}")
    if not exposed:
        yield Finding("permissions", "good", "Nobody else on this machine can read the home.")


def certificate(config: Config) -> Iterator[Finding]:
    """Look at the certificate of the doors: usable, the right name, not about to end, not self-signed."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.tls.certificate, config.tls.key)
        shown = x509.load_pem_x509_certificate(config.tls.certificate.read_bytes())
    except (OSError, ValueError) as error:
        words = f"{config.tls.certificate} and {config.tls.key} cannot be used: {type(error).__name__}."
        yield Finding("certificate", "bad", f"{words} Put a certificate chain and its key there, as PEM.")
        return
    left = (shown.not_valid_after_utc - datetime.datetime.now(datetime.UTC)).days
    try:
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        hosts = []
    host = config.server.hostname
    if host not in hosts and f"*.{host.partition('.')[2]}" not in hosts:
        yield Finding("certificate", "bad", f"It is not for {host}, so mail clients refuse it. Get one for {host}.")
    elif left < 0:
        yield Finding("certificate", "bad", f"It ended {-left} days ago. Renew it; no restart is needed.")
    elif left < RENEW_DAYS:
        yield Finding("certificate", "warning", f"It ends in {left} days. Renew it; no restart is needed.")
    elif shown.issuer == shown.subject:
        words = "It signs itself, so clients and browsers warn. Fine for trying things; get a real one for people."
        yield Finding("certificate", "warning", words)
    else:
        yield Finding("certificate", "good", f"It is for {host} and ends in {left} days.")


def signing_keys(config: Config) -> Iterator[Finding]:
    """Look for DKIM keys."""
    found = sorted(Home(config.server.home).dkim.glob("*.pem"))
    for file in found:
        try:
            load_pem_private_key(file.read_bytes(), None)
        except ValueError:
            yield Finding("signing keys", "bad", f"{file} is not a private key in PEM. Remove or replace it.")
            return
    if found:
        yield Finding("signing keys", "good", f"{len(found)} DKIM keys. `cryptnsend dns` prints what to publish.")
    else:
        yield Finding("signing keys", "bad", "There is no DKIM key, so our mail would be taken for spam.")


def master_key(config: Config) -> Iterator[Finding]:
    """Look whether the keeper's provider can have its key; the key itself is not read."""
    if config.keeper.provider == "env":
        is_there, where = config.keeper.key_variable in os.environ, f"the variable {config.keeper.key_variable}"
    else:
        is_there, where = config.keeper.key_file.is_file(), str(config.keeper.key_file)
    if is_there:
        yield Finding("master key", "good", f"It is in {where}.")
    elif not Home(config.server.home).ledger.exists():
        yield Finding("master key", "good", "There is none yet; the first start makes it.")
    else:
        words = f"It should be in {where} and is not, and without it nothing can be opened."
        yield Finding(
            "master key", "bad", f"{words} `cryptnsend recover` brings it back from the installation's recovery file."
        )


def recovery_files(config: Config) -> Iterator[Finding]:
    """Nag as long as recovery files lie beside what they are to recover."""
    left = sorted(path.name for path in Home(config.server.home).recovery.iterdir() if path.is_file())
    if left:
        words = f"recovery/ still has {', '.join(left)}. Print it or carry it elsewhere, check it, then delete it here."
        yield Finding("recovery files", "warning", words)
    else:
        yield Finding("recovery files", "good", "None lies in the home.")


def room(config: Config) -> Iterator[Finding]:
    """Look how much room the disk has."""
    free = shutil.disk_usage(config.server.home).free
    words = f"{free // MIB:,} MiB are free."
    if free < NO_ROOM:
        yield Finding("disk", "bad", f"{words} Mail will soon be refused with 452: make room.")
    elif free < LITTLE_ROOM:
        yield Finding("disk", "warning", f"{words} Make room before it gets less.")
    else:
        yield Finding("disk", "good", words)


def database(config: Config) -> Iterator[Finding]:
    """Let the database check itself, and look for deliveries that gave up."""
    if not Home(config.server.home).main_db.exists():
        yield Finding("database", "good", "There is none yet; the first start makes it.")
        return
    with opened(config) as app:
        said = [next(iter(row.values())) for row in app.engine.query("PRAGMA quick_check(3)")]
        parked = deliveries.listing(app.engine, "parked", 1000)
    if said == ["ok"]:
        yield Finding("database", "good", "It is whole.")
    else:
        yield Finding("database", "bad", f"It is damaged ({said[0]}). Stop the server and restore the newest backup.")
    if parked:
        words = f"{len(parked)} deliveries are parked, because they stopped a courier three times."
        yield Finding("queue", "warning", f"{words} Look at `cryptnsend queue list --state parked`.")


def name_servers(config: Config) -> Iterator[Finding]:
    """Look whether DANE can work: a validating resolver on this machine."""
    from cryptnsend.delivery.dns import DnsResolver, DnsTrouble, NoSuchDomain  # only this check looks names up

    if config.delivery.smarthost:
        yield Finding("name servers", "good", "Everything goes to the relay, so hosts are not proven by DNS.")
        return
    places = [entry.rpartition(":") for entry in config.delivery.nameservers]
    resolver = DnsResolver([(host.strip("[]"), int(port)) for host, _, port in places], lifetime=KNOCK)
    what = "Install a validating resolver, such as unbound, and name it in [delivery] nameservers."
    if not resolver.is_near:
        yield Finding("name servers", "warning", f"No validating resolver on this machine, so no DANE. {what}")
        return
    try:
        proven = resolver.validates()
    except (DnsTrouble, NoSuchDomain):
        yield Finding("name servers", "bad", "They give no answer, so no mail leaves. Start them, or name others.")
        return
    if proven:
        yield Finding("name servers", "good", "They are on this machine and validate, so that DANE counts.")
    else:
        yield Finding("name servers", "warning", f"They are on this machine and validate nothing, so no DANE. {what}")


def doors(config: Config) -> Iterator[Finding]:
    """Knock at the doors of the server that runs on this home."""
    home = Home(config.server.home)
    if not is_served(home):
        yield Finding("server", "warning", "It does not run. `cryptnsend serve` starts it.")
        return
    ports = home.ports()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.ports.bind, config.ports.bind)  # noqa: S104 - compared
    names = [name for name in PORT_NAMES if name != "inbound" or config.inbound.enabled]
    for name in names:
        try:
            _knock((host, ports.get(name, 0)), implicit_tls=name in ("submissions", "portal"))
        except OSError as error:
            yield Finding("server", "bad", f"Nobody answers at {name}: {error.strerror or error}. Its log says why.")
            return
    yield Finding("server", "good", f"It runs, and all {len(names)} doors answer.")


def _knock(place: tuple[str, int], *, implicit_tls: bool) -> None:
    """Wait for the first octets of a door: a connection alone may be one that waits for a role that does not start."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # `certificate` looks at that
    with socket.create_connection(place, timeout=KNOCK) as plain:
        if implicit_tls:
            context.wrap_socket(plain).close()
        elif not plain.recv(1):
            raise ConnectionResetError("the connection was closed")


def users(config: Config) -> Iterator[Finding]:
    """Say whether each role has a user of its own, or which promises do not hold."""
    try:
        people = rights.find(config)
        if not rights.is_apart(Home(config.server.home)):
            raise rights.NotApart("The server was not started as root yet, or could not give each role its user.")
        if os.geteuid() == 0:
            rights.probe(config, people)
    except rights.NotApart as reason:
        yield Finding("users", "warning", f"{ONE_USER} Why: {reason}")
    else:
        yield Finding("users", "good", "Each role has a user of its own.")


CHECKS: tuple[Callable[[Config], Iterator[Finding]], ...] = (
    private_files,
    certificate,
    signing_keys,
    master_key,
    recovery_files,
    room,
    database,
    name_servers,
    doors,
    users,
)


def examine(config: Config) -> Iterator[Finding]:
    """Yield what every check finds; one that fails is a finding too."""
    yield Finding("configuration", "good", f"{config.source} can be used.")
    for check in CHECKS:
        try:
            yield from check(config)
        except CryptnSendError as error:
            yield Finding(check.__name__.replace("_", " "), "bad", str(error))
        except OSError as error:
            yield Finding(check.__name__.replace("_", " "), "bad", f"{error.filename}: {error.strerror}.")


@click.command()
@home_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, config: Config, as_json: bool) -> None:
    """Check everything that can be checked, and say what to do. Exit code 1 if something is bad."""
    findings = list(examine(config))
    if as_json:
        show_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{finding.level:8}{finding.check}: {finding.words}")
    if any(finding.level == "bad" for finding in findings):
        ctx.exit(1)
