"""What would Gmail, Yahoo and Outlook do with our mail? A mail Internet on loopback, with inboxes in memory.

One SMTP server (its own thread, STARTTLS with a self-signed certificate) plays the mail hosts of every `.example`
domain. DNS is a dictionary: keys are registered where a zone would publish them. Nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import datetime
import email
import email.policy
import functools
import itertools
import smtplib
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import cast

from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cryptnsend.delivery import dkim
from cryptnsend.demo import receivers
from cryptnsend.demo.names import NameServer

HOST = "127.0.0.1"
SIZE_LIMIT = 25 * 1024 * 1024  # octets, what Gmail and Outlook take
DOMAINS = (
    "gmail.example", "yahoo.example", "aol.example", "outlook.example", "icloud.example", "hospital.example",
    "nowhere.example", "down.example",
)  # fmt: skip


@dataclass(frozen=True)
class Mail:
    """One message in one inbox, as it came over the wire."""

    number: int  # counts all mail of this Internet from 1
    octets: bytes
    time: int  # of arrival, UTC milliseconds
    reverse_path: str
    recipient: str  # as it stood in RCPT
    hello: str  # what the sending host called itself
    tls: str  # protocol version, "" if it came in clear

    @functools.cached_property
    def parsed(self) -> EmailMessage:
        """The message, parsed on first use; Python's parser raises on some of what strangers write."""
        message = email.message_from_bytes(self.octets, policy=email.policy.default)
        if not isinstance(message, EmailMessage):
            raise TypeError("the parser gave something else than a message")
        return message


class Internet:
    """Mail hosts for every .example domain. Use as a context manager, or `start` and `stop`."""

    def __init__(self, *, port: int = 0, size_limit: int = SIZE_LIMIT):
        self.zone = receivers.Zone()
        self._port = port
        self.size_limit = size_limit
        self.connections: set[asyncio.Transport] = set()
        self._inboxes: dict[str, list[Mail]] = {}
        self._numbers = itertools.count(1)
        self._arrived = threading.Condition()
        self._greylist: set[tuple[str, str]] = set()
        self._refusals: list[tuple[str, str]] = []
        self._version = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="internet", daemon=True)
        self._ready = threading.Event()
        self._failed: OSError | None = None
        self._names: NameServer | None = None
        self._keys: dict[str, dkim.DkimKey] = {}

    def __enter__(self) -> Internet:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; returns when connections are taken. Raises OSError if the port is in use."""
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            self._thread.join()
            raise self._failed
        for domain in DOMAINS:  # every host here is at one address
            self.zone.txt[domain] = f"v=spf1 ip4:{HOST} -all"
        self._names = NameServer(self.zone.txt)

    def stop(self) -> None:
        """Stop listening and end all connections."""
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        if self._names is not None:
            self._names.close()
            self._names = None

    @property
    def port(self) -> int:
        """The port of every mail host here."""
        return self._port

    def routes(self, *more: str) -> dict[str, str]:
        """Return the way to each domain that is played here, and to *more*, for `CourierSettings.routes`."""
        return dict.fromkeys((*DOMAINS, *more), f"{HOST}:{self._port}")

    @property
    def nameserver(self) -> str:
        """Where the zones of this Internet can be asked, as `ip:port`."""
        if self._names is None:
            raise RuntimeError("the Internet has not started")
        return f"{HOST}:{self._names.port}"

    def bring(self, port: int, sender: str, recipient: str, octets: bytes, *, signer: str = "") -> tuple[int, str]:
        """
        Bring a mail to a server's *port* as the host of a provider does, and return the last reply.

        *sender* is the reverse-path, "" for a bounce; *signer* the domain that signs, the sender's own unless it says.
        """
        domain = signer or sender.rpartition("@")[2]
        if domain:
            octets = dkim.sign(octets, [self._key(domain)], now=int(time.time())) + octets
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # as hosts do among each other
        with smtplib.SMTP(HOST, port, local_hostname=f"mx.{domain or 'internet.example'}", timeout=30) as client:
            client.starttls(context=context)
            client.ehlo()
            client.mail(sender)
            code, words = client.rcpt(recipient)
            if code == 250:
                code, words = client.data(octets)
        return code, words.decode("ascii", "replace")

    def _key(self, domain: str) -> dkim.DkimKey:
        if domain not in self._keys:
            self._keys[domain] = dkim.generate_key("demo", domain, dkim.ED25519)
            self.register_dkim("demo", domain, dkim.dns_record(self._keys[domain]))
        return self._keys[domain]

    def register_dkim(self, selector: str, domain: str, txt: str) -> None:
        """Publish a DKIM key record."""
        self.zone.txt[f"{selector}._domainkey.{domain}".lower()] = txt

    def register_dmarc(self, domain: str, policy: str) -> None:
        """Publish a DMARC policy: none, quarantine or reject."""
        self.zone.txt[f"_dmarc.{domain}".lower()] = f"v=DMARC1; p={policy}"

    def addresses(self) -> list[str]:
        """Return the addresses that have got mail, sorted."""
        with self._arrived:
            return sorted(self._inboxes)

    def inbox(self, address: str) -> list[Mail]:
        """Return the mail of *address*, oldest first."""
        with self._arrived:
            return list(self._inboxes.get(address.lower(), ()))

    def refusals(self) -> list[tuple[str, str]]:
        """Return what was refused, oldest first: (recipient, reply)."""
        with self._arrived:
            return list(self._refusals)

    def mail(self, number: int) -> Mail | None:
        """Return the mail with that number, wherever it is."""
        with self._arrived:
            return next((mail for mails in self._inboxes.values() for mail in mails if mail.number == number), None)

    def version(self) -> int:
        """Return a number that changes whenever something arrives, is refused or is cleared away."""
        with self._arrived:
            return self._version

    def wait_for(
        self, address: str, count: int = 1, predicate: Callable[[Mail], bool] | None = None, timeout: float = 60.0
    ) -> Mail:
        """
        Return the *count*-th mail of *address* (of those that *predicate* takes), waiting for it to arrive.

        Raises TimeoutError that says what did arrive, and what was refused, after *timeout* seconds.
        """

        def found() -> Mail | None:
            mails = [mail for mail in self._inboxes.get(address.lower(), ()) if predicate is None or predicate(mail)]
            return mails[count - 1] if len(mails) >= count else None

        with self._arrived:
            mail = self._arrived.wait_for(found, timeout)
            if mail is None:
                here = len(self._inboxes.get(address.lower(), ()))
                refused = [reply for recipient, reply in self._refusals if recipient == address.lower()]
                raise TimeoutError(
                    f"mail {count} for {address} did not come in {timeout:g} s; {here} in the inbox, refused: {refused}"
                )
            return mail

    def clear(self) -> None:
        """Empty all inboxes and forget refusals and greylisting."""
        with self._arrived:
            self._version += 1
            self._inboxes.clear()
            self._refusals.clear()
            self._greylist.clear()

    def _run(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        context = self_signed("mx.internet.example")
        try:
            server = loop.run_until_complete(
                loop.create_server(lambda: _Connection(self, context, loop), HOST, self._port)
            )
            self._port = server.sockets[0].getsockname()[1]
            self._loop = loop
        except OSError as error:
            self._failed = error
            loop.close()
            return
        finally:
            self._ready.set()
        loop.run_forever()
        server.close()
        for transport in list(self.connections):
            transport.abort()
        # Each lost connection cancels the task that served it; a few turns of the loop let them end.
        while tasks := asyncio.all_tasks(loop):
            loop.run_until_complete(asyncio.wait(tasks))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    def greylisted(self, reverse_path: str, recipient: str) -> bool:
        """Say whether this pair is seen for the first time, and remember it."""
        with self._arrived:
            known = (reverse_path, recipient) in self._greylist
            self._greylist.add((reverse_path, recipient))
            return not known

    def refuse(self, recipients: list[str], reply: str) -> str:
        """Note a refusal and return its reply."""
        with self._arrived:
            self._version += 1
            self._refusals += [(recipient.lower(), reply) for recipient in recipients]
            self._arrived.notify_all()
        return reply

    def keep(self, octets: bytes, reverse_path: str, recipients: list[str], hello: str, tls: str) -> None:
        """Put a message into the inboxes of its recipients."""
        now = time.time_ns() // 1_000_000
        with self._arrived:
            self._version += 1
            for recipient in recipients:
                mail = Mail(next(self._numbers), octets, now, reverse_path, recipient, hello, tls)
                self._inboxes.setdefault(recipient.lower(), []).append(mail)
            self._arrived.notify_all()


class _Connection(Server):
    """One connection to a mail host of the Internet."""

    line_length_limit = 1 << 20  # real providers take long lines, too

    def __init__(self, internet: Internet, context: ssl.SSLContext, loop: asyncio.AbstractEventLoop):
        super().__init__(
            _Rules(internet),
            hostname="mx.internet.example",
            ident="ESMTP",
            data_size_limit=internet.size_limit,
            enable_SMTPUTF8=True,
            tls_context=context,
            loop=loop,
        )
        self._connections = internet.connections
        self._own: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._own is not None:
            self._connections.discard(self._own)  # STARTTLS puts another transport in its place
        self._own = cast(asyncio.Transport, transport)
        self._connections.add(self._own)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._own is not None:
            self._connections.discard(self._own)
        super().connection_lost(error)


class _Rules:
    """What the hosts answer; aiosmtpd calls these."""

    def __init__(self, internet: Internet):
        self._internet = internet

    async def handle_RCPT(
        self, server: Server, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = receivers.judge_recipient(address, lambda: self._internet.greylisted(envelope.mail_from or "", address))
        if reply:
            if reply.startswith("421") and server.transport is not None:
                # Closing writes out what is buffered first, so the reply, which comes next, has a moment.
                asyncio.get_running_loop().call_later(0.02, server.transport.close)
            return self._internet.refuse([address], reply)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient taken"

    async def handle_DATA(self, server: Server, session: Session, envelope: Envelope) -> str:
        octets = envelope.original_content or b""
        recipients = list(envelope.rcpt_tos)
        # A signature over 25 MB takes a second, in which the other connections go on.
        judging = functools.partial(receivers.judge_message, octets, recipients, self._internet.zone)
        reply = await asyncio.get_running_loop().run_in_executor(None, judging)
        if reply:
            return self._internet.refuse(recipients, reply)
        protected = session.ssl["ssl_object"] if session.ssl else None
        tls = protected.version() if protected is not None else ""
        self._internet.keep(octets, envelope.mail_from or "", recipients, session.host_name or "", tls)
        return "250 2.0.0 Delivered"


def self_signed(host: str) -> ssl.SSLContext:
    """Return a server context with a fresh certificate that proves nothing, as most mail hosts have."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The ssl module reads keys from files only. This one is of no worth and is gone when the file is read.
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context
