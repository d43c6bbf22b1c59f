"""
`doctor`: what is wrong with this home, and what to do about it?

What others see of it by DNS is looked at in published.py. Each finding is ok, a warning, or an error.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterator

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from cryptnsend import rights
from cryptnsend.cli.certificates import certificate, profiles
from cryptnsend.cli.findings import Finding, error, ok, show, warning
from cryptnsend.cli.options import home_option, json_option, moment, show_json
from cryptnsend.cli.owner import is_served, opened
from cryptnsend.config import Config
from cryptnsend.core.errors import CryptnSendError, KeeperGone, ScannerGone, SealBroken
from cryptnsend.home import PORT_NAMES, Home, bind
from cryptnsend.scan.line import is_local
from cryptnsend.store.backup import damages
from cryptnsend.store.records import deliveries, messages, operator, oversight

MIB = 1 << 20
MANY = 10  # names in one finding
LITTLE_ROOM, ALMOST_NONE = 2048 * MIB, 256 * MIB
KNOCK = 10.0  # seconds for a door to answer

ASK = 3.0  # seconds for the name servers to answer
HOUR = 3600_000  # milliseconds
TIME_ERROR = 5  # adjtimex(2): the kernel's clock is kept in step by nobody
FIRST_RELEASE = 1_763_000_000_000  # UTC milliseconds; no clock that is right shows a time before this was written


def private_files(config: Config) -> Iterator[Finding]:
    """Look for files of the home that others on this machine may read, or roles that have no business with them."""
    exposed = list(rights.exposed(config))
    for path, remedy in exposed:
        yield error("permissions", f"More users than should can use {path}.", f"Do: {remedy}")
    if not exposed:
        yield ok("permissions", "Nobody else on this machine can read the home.")


def signing_keys(config: Config) -> Iterator[Finding]:
    """Look for DKIM keys."""
    found = sorted(Home(config.server.home).dkim.glob("*.pem"))
    for file in found:
        try:
            load_pem_private_key(file.read_bytes(), None)
        except ValueError:
            yield error("signing keys", f"{file} is not a private key in PEM.", "Remove or replace it.")
            return
    if found:
        yield ok("signing keys", f"{len(found)} DKIM keys. `cryptnsend dns` prints what to publish.")
    else:
        words = "There is no DKIM key, so our mail would be taken for spam."
        yield error("signing keys", words, "Restore dkim/ of the home, or make a new home.")


def master_key(config: Config) -> Iterator[Finding]:
    """Look whether the keeper's provider can have its key; the key itself is not read."""
    if config.keeper.provider == "pkcs11":
        yield _token(config)
        return
    if config.keeper.provider == "env":
        is_there, where = config.keeper.key_variable in os.environ, f"the variable {config.keeper.key_variable}"
    else:
        is_there, where = config.keeper.key_file.is_file(), str(config.keeper.key_file)
    if is_there:
        yield ok("master key", f"It is in {where}.")
    elif not Home(config.server.home).ledger.exists():
        yield ok("master key", "There is none yet; the first start makes it.")
    else:
        words = f"It should be in {where} and is not, and without it nothing can be opened."
        yield error("master key", words, "`cryptnsend recover` brings it back from the installation's recovery file.")


def _token(config: Config) -> Finding:
    """Wrap something by the token's key, and unwrap it again."""
    from cryptnsend.app.strongroom import token

    provider = token(config)
    try:
        provider.unwrap("doctor", provider.wrap("doctor", b"here"))
    except (KeeperGone, SealBroken) as trouble:
        return error("master key", str(trouble), "Look at [keeper] pkcs11_* and at the token.")
    return ok("master key", f"It is in the token {config.keeper.pkcs11_token}. Keep a backup of that token.")


def recovery_files(config: Config) -> Iterator[Finding]:
    """Nag as long as recovery files lie beside what they are to recover."""
    left = sorted(path.name for path in Home(config.server.home).recovery.iterdir() if path.is_file())
    if left:
        words = f"recovery/ still has {', '.join(left)}."
        yield warning("recovery files", words, "Print it or carry it elsewhere, check it, then delete it here.")
    else:
        yield ok("recovery files", "None lies in the home.")


def archives(config: Config) -> Iterator[Finding]:
    """Nag as long as nobody says of an organisation's archive, also of one of one, that its recovery file is safe."""
    if not Home(config.server.home).main_db.exists():
        yield ok("archives", "There is none yet.")
        return
    with opened(config) as app:
        waiting = operator.unconfirmed_archives(app.engine, oversight.RECOVERY_FILE)
    if not waiting:
        yield ok("archives", "Of each, an officer has said that its recovery file is in a safe place.")
        return
    names = [f"{row['name']} ({row['officer']})" if row["name"] else row["officer"] for row in waiting[:MANY]]
    more = f" and {len(waiting) - MANY} more" if len(waiting) > MANY else ""
    words = f"No officer has said that the recovery file is in a safe place: {', '.join(names)}{more}."
    page = f"{Home(config.server.home).base_url(config)}/account/recovery-file"
    remedy = (
        f"They do so, or make the file again, at {page}. Where it takes two officers, `cryptnsend archive rule one`"
        " comes first. Without the file, a lost password loses the archive."
    )
    yield warning("archives", words, remedy)


def room(config: Config) -> Iterator[Finding]:
    """Look how much room the disk has."""
    free, reserve = shutil.disk_usage(Home(config.server.home).main_db.parent).free, config.limits.free_octets
    words = f"{free // MIB:,} MiB are free."
    if free < reserve:
        refused = f"{words} With less than {reserve // MIB:,} MiB, new mail is refused with 452 now."
        yield error("disk", refused, "Make room: mail is taken again at once, without a restart.")
    elif free < reserve + ALMOST_NONE:
        yield error("disk", f"{words} Mail will soon be refused with 452.", "Make room.")
    elif free < reserve + LITTLE_ROOM:
        yield warning("disk", words, "Make room before it gets less.")
    else:
        yield ok("disk", words)


def clock(config: Config) -> Iterator[Finding]:
    """Look whether somebody keeps the clock in step, and whether it has gone back behind what happened here."""
    now, newest = int(time.time() * 1000), _newest(config)
    remedy = "Set it, and install chrony or systemd-timesyncd, which keep it right."
    if now < max(FIRST_RELEASE, newest - HOUR):
        before = max(FIRST_RELEASE, newest)
        yield error("clock", f"It shows {moment(now)}, but it was {moment(before)} already.", remedy)
    elif not _is_kept():
        words = f"It shows {moment(now)}, and the system says that no program keeps it in step with the world's."
        yield warning("clock", words, "Install chrony or systemd-timesyncd, unless the host of this machine does that.")
    else:
        yield ok("clock", f"It shows {moment(now)} and is kept in step with the world's.")


def _is_kept() -> bool:
    """Ask the kernel whether its clock is disciplined, as every time daemon leaves it (adjtimex(2), modes = 0)."""
    return bool(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024)) != TIME_ERROR)


def _newest(config: Config) -> int:
    """Return when the newest message came, UTC milliseconds; 0 without any."""
    if not Home(config.server.home).main_db.exists():
        return 0
    with opened(config) as app:
        return messages.newest(app.engine)


def database(config: Config) -> Iterator[Finding]:
    """Let the database check itself, and look for deliveries that gave up."""
    if not Home(config.server.home).main_db.exists():
        yield ok("database", "There is none yet; the first start makes it.")
        return
    with opened(config) as app:
        said = damages(app.engine, "quick_check")
        parked = deliveries.listing(app.engine, "parked", 1000)
    if not said:
        yield ok("database", "It is whole.")
    else:
        yield error("database", f"It is damaged ({said[0]}).", "Stop the server and restore the newest backup.")
    if parked:
        words = f"{len(parked)} deliveries are parked, because they stopped a courier three times."
        yield warning("queue", words, "Look at `cryptnsend queue list --state parked`.")


def name_servers(config: Config) -> Iterator[Finding]:
    """Look whether DANE can work: a validating resolver on this machine."""
    from cryptnsend.delivery.dns import DnsResolver, DnsTrouble, NoSuchDomain  # only this check looks names up

    if config.delivery.smarthost:
        yield ok("name servers", "Everything goes to the relay, so hosts are not proven by DNS.")
        return
    places = [entry.rpartition(":") for entry in config.delivery.nameservers]
    resolver = DnsResolver([(host.strip("[]"), int(port)) for host, _, port in places], lifetime=ASK)
    what = "Install a validating resolver, such as unbound, and name it in [delivery] nameservers."
    if not resolver.is_near:
        yield warning("name servers", "There is no validating resolver on this machine, so no DANE.", what)
        return
    try:
        proven = resolver.validates()
    except (DnsTrouble, NoSuchDomain):
        yield error("name servers", "They give no answer, so no mail leaves.", "Start them, or name others.")
        return
    if proven:
        yield ok("name servers", "They are on this machine and validate, so that DANE counts.")
    else:
        yield warning("name servers", "They are on this machine and validate nothing, so no DANE.", what)


def publications(config: Config) -> Iterator[Finding]:
    """Look up what `dns` prints."""
    from cryptnsend.cli.published import published  # which brings in all that asks names

    yield from published(config)


def scanners(config: Config) -> Iterator[Finding]:
    """Ask each scanner that is configured whether it is there."""
    from cryptnsend.app import scanners as configured

    for scanner in [each for group in configured(config) for each in group]:
        place = getattr(config.scan, scanner.name)
        try:
            scanner.ping()
            takes = scanner.takes(config.limits.message_octets)
        except ScannerGone as gone:
            words = f"{scanner.name} at {place}: {gone.why}. Until it answers, mail is put off."
            yield error("scanners", words, f"Start it, or change [scan] {scanner.name}.")
            continue
        if not takes:
            words = f"{scanner.name} takes no mail as large as [limits] message_octets says, so that it is refused."
            yield warning("scanners", words, "Raise StreamMaxLength in clamd.conf.")
        elif is_local(place):
            yield ok("scanners", f"{scanner.name} answers.")
        else:
            words = f"{scanner.name} answers, and mail travels to it in clear."
            yield warning("scanners", words, "Have it on this machine.")


def reading(config: Config) -> Iterator[Finding]:
    """Let a confined process look into a mail, as it is done with mail that is to leave plain."""
    from cryptnsend.dlp.inspector import Inspector  # which brings in all that reads files

    ocr, inspector = Inspector.ocr() if config.dlp.ocr else "", Inspector()
    try:
        inspector.ping(ocr)
    except ScannerGone as gone:
        words = f"No process can look into mail that is to leave plain: {gone.why}. Such mail is put off."
        remedy = "It takes Linux on x86-64 or ARM64 with seccomp. [dlp] look = false lets such mail leave unread."
        yield error("reading", words, remedy) if config.dlp.look else warning("reading", words, remedy)
        return
    finally:
        inspector.close()
    if config.dlp.ocr and not ocr:
        words = "Mail that is to leave plain is read, but not its pictures: tesseract is not installed."
        yield warning("reading", words, "Install it (Debian: tesseract-ocr), or set [dlp] ocr = false.")
    else:
        what = "mail and its pictures" if ocr else "mail"
        yield ok("reading", f"A confined process reads {what} before it leaves plain.")


def doors(config: Config) -> Iterator[Finding]:
    """Knock at the doors of the server that runs on this home, or look whether their ports are free for it."""
    home = Home(config.server.home)
    closed = {"inbound": not config.inbound.enabled}
    closed |= dict.fromkeys(("imaps", "pop3s"), not config.mailbox.enabled)
    names = [name for name in PORT_NAMES if not closed.get(name)]
    if not is_served(home):
        yield warning("server", "It does not run.", "`cryptnsend serve` starts it.")
        yield from (each for name in names if (each := _taken(config, name)) is not None)
        return
    ports = home.ports()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.ports.bind, config.ports.bind)  # noqa: S104 - compared
    bad = False
    for name in names:
        try:
            trouble = _knock(config, (host, ports.get(name, 0)), implicit_tls=name not in ("submission", "inbound"))
        except OSError as silence:
            trouble = f"Nobody answers at {name}: {silence.strerror or silence}"
        if trouble:
            bad = True
            yield error("server", f"{trouble}.", "Its log says why.")
    if not bad:
        yield ok("server", f"It runs, and all {len(names)} doors answer.")


def _taken(config: Config, name: str) -> Finding | None:
    """Return what keeps the server from listening at the port called *name*; None if nothing does."""
    port: int = getattr(config.ports, name)
    try:
        with bind(config.ports.bind, port) as bound:
            bound.listen(1)
    except OSError as trouble:
        if trouble.errno == errno.EADDRINUSE:
            words = f"Another program holds port {port} ({name})."
            return error("ports", words, f"`ss -ltnp 'sport = :{port}'` names it: stop it, or choose another port.")
        if trouble.errno in (errno.EACCES, errno.EPERM):
            words = f"Port {port} ({name}) is root's, and `doctor` is not run by root."
            return warning("ports", words, "Start the server as root or with CAP_NET_BIND_SERVICE.")
        return error("ports", f"Nobody can listen at {config.ports.bind}: {trouble.strerror}.", "Mend [ports] bind.")
    return None


def _knock(config: Config, place: tuple[str, int], *, implicit_tls: bool) -> str:
    """
    Wait for the first octets of a door: a connection alone may be one that waits for a role that does not start.

    Returns what is wrong with them, "" if they are ours. Raises OSError if nobody answers.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # `certificate` looks at that
    with socket.create_connection(place, timeout=KNOCK) as plain:
        if not implicit_tls:
            with plain.makefile("rb") as stream:
                greeting = stream.readline(1000)
            if not greeting:
                raise ConnectionResetError("the connection was closed")
            is_ours = greeting.startswith(f"220 {config.server.hostname} ".encode())
            return "" if is_ours else f"Somebody else answers at port {place[1]}"
        with context.wrap_socket(plain) as sock:
            shown = sock.getpeercert(binary_form=True)
    try:
        ours = x509.load_pem_x509_certificate(config.tls.certificate.read_bytes()).public_bytes(Encoding.DER)
    except (OSError, ValueError):
        return ""  # `certificate` has said so
    return "" if shown == ours else f"Port {place[1]} shows another certificate than {config.tls.certificate}"


def users(config: Config) -> Iterator[Finding]:
    """Say whether each role has a user of its own, or which promises do not hold."""
    try:
        rights.check(config)
    except rights.NotApart as reason:
        yield warning("users", reason.words, reason.remedy)
    else:
        yield ok("users", "Each role has a user of its own.")


CHECKS: tuple[Callable[[Config], Iterator[Finding]], ...] = (
    private_files,
    certificate,
    profiles,
    signing_keys,
    master_key,
    recovery_files,
    archives,
    room,
    clock,
    database,
    name_servers,
    publications,
    scanners,
    reading,
    doors,
    users,
)


def examine(config: Config) -> Iterator[Finding]:
    """Yield what every check finds; one that fails is a finding too."""
    yield ok("configuration", f"{config.source} can be used.")
    for check in CHECKS:
        try:
            yield from check(config)
        except CryptnSendError as trouble:
            yield error(check.__name__.replace("_", " "), str(trouble), "Mend that and ask again.")
        except OSError as trouble:
            words = f"{trouble.filename}: {trouble.strerror}."
            yield error(check.__name__.replace("_", " "), words, "Mend that and ask again.")


@click.command()
@home_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, config: Config, as_json: bool) -> None:
    """
    Check everything that can be checked, and say what to do.

    That is the home itself, the server that runs on it, and what DNS says about it. Each finding is ok, a warning, or
    an error. Exit code 1 if one is an error, else 0.
    """
    findings = list(examine(config))
    if as_json:
        show_json([finding._asdict() for finding in findings])
    else:
        show(findings)
    if any(finding.level == "error" for finding in findings):
        ctx.exit(1)
