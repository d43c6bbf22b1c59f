"""Certificates as docs/operations.md has them made: Debian's certbot, an authority that speaks ACME, and every door."""

from __future__ import annotations

import http.server
import json
import re
import shlex
import socket
import ssl
import subprocess
import threading
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Internet
from tests.support.acme import Acme
from tests.support.jose import encoded
from tests.support.served import CHEAP
from tests.support.waiting import wait_for

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
SECTION = PAGE.partition("\n## Certificates\n")[2].partition("\n## ")[0]
HOST, OTHER = "secure.clinic.example", "mta-sts.secure.clinic.example"
TALK = {  # by door: what is said there, and how the answer begins
    "submissions": (b"NOOP\r\n", b"250 "),
    "submission": (b"NOOP\r\n", b"250 "),
    "inbound": (b"NOOP\r\n", b"250 "),
    "imaps": (b"a NOOP\r\n", b"a OK"),
    "pop3s": (b"CAPA\r\n", b"+OK"),
    "portal": (f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode(), b"HTTP/1.1 "),
}
MAIL = tuple(door for door in TALK if door != "portal")  # where people stay connected


def replied(stream: socket.socket) -> bytes:
    """Return the last line of an SMTP reply, octet by octet, so that nothing of what follows is taken."""
    line = b""
    while not (line.endswith(b"\n") and line[3:4] == b" "):
        line = b"" if line.endswith(b"\n") else line
        octet = stream.recv(1)
        assert octet, "the door closed"
        line += octet
    return line


class Visitor:
    """Somebody at a door who came by the server's name, and believes the authority alone."""

    def __init__(self, door: str, port: int, trusting: ssl.SSLContext):
        self.door = door
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        if door in ("submission", "inbound"):
            replied(plain)
            for words in (b"EHLO visitor.example\r\n", b"STARTTLS\r\n"):
                plain.sendall(words)
                assert replied(plain)[:3] in (b"250", b"220")
        self.socket = trusting.wrap_socket(plain, server_hostname=HOST)
        self.certificate = x509.load_der_x509_certificate(self.socket.getpeercert(binary_form=True) or b"")
        self._lines = self.socket.makefile("rb")
        if door in ("submissions", "imaps", "pop3s"):
            assert self._lines.readline()

    @property
    def key(self) -> bytes:
        """What a TLSA record for the key is made of."""
        return self.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def is_served(self) -> bool:
        """Say something and look at the answer."""
        said, begin = TALK[self.door]
        self.socket.sendall(said)
        return self._lines.readline().startswith(begin)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *problem: object) -> None:
        self._lines.close()
        self.socket.close()


class Certbot:
    """certbot as the page has it typed, in folders of its own, with *authority* in the place of the public one."""

    def __init__(self, folder: Path, authority: Acme):
        with socket.create_server(("127.0.0.1", 0)) as held:
            self.port = held.getsockname()[1]
        self.folder, trusted = folder / "letsencrypt", folder / "root.pem"
        authority.root.cert_pem.write_to_path(str(trusted))
        self._environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "REQUESTS_CA_BUNDLE": str(trusted)}
        self._added = ["--non-interactive", "--agree-tos", "--register-unsafely-without-email"]
        self._added += [f"--{name}-dir={folder / place}" for name, place in (("work", "work"), ("logs", "logs"))]
        self._added += [f"--config-dir={self.folder}", f"--server={authority.base}/directory"]
        self._added += [f"--http-01-port={self.port}"]

    def run(self, typed: str) -> tuple[int, str]:
        """Run a command line; return how it ended and what it said."""
        done = subprocess.run(
            [*shlex.split(typed), *self._added],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout.decode()


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A web server that has never heard of certbot."""

    def do_GET(self) -> None:
        """Greet."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"Welcome to our clinic.")

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def elsewhere() -> Iterator[int]:
    """Run such a server, and tell its port."""
    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


RENEW = "certbot renew --force-renewal --no-random-sleep-on-renew"  # a timer's run waits up to eight minutes first


@pytest.mark.long  # the doors look every half minute, and two processes of the portal overlap for ten seconds
def test_what_the_operator_types_gets_certificates_and_each_door_takes_up_what_certbot_renews(short_folder):
    typed = re.findall(r"(?m)^\$ (certbot .+)$", SECTION)
    settings = tomllib.loads(SECTION.partition("```toml\n")[2].partition("```")[0])["tls"]
    with ExitStack() as stack:
        authority = stack.enter_context(Acme())
        certbot = Certbot(short_folder, authority)
        authority.names = dict.fromkeys((HOST, OTHER), certbot.port)
        (command,) = typed
        ended, said = certbot.run(command)
        assert ended == 0, said

        tls = {name: value.replace("/etc/letsencrypt", str(certbot.folder)) for name, value in settings.items()}
        values = {**CHEAP, "server": {"hostname": HOST}, "tls": tls}
        house = stack.enter_context(House(stack.enter_context(Internet()), values=values))
        trusting = ssl.create_default_context(cadata=authority.root.cert_pem.bytes().decode())

        def visit(whom: ExitStack, doors: Iterable[str] = TALK) -> dict[str, Visitor]:
            ports = house.home.ports()
            return {door: whom.enter_context(Visitor(door, ports[door], trusting)) for door in doors}

        def shown() -> set[x509.Certificate]:
            with ExitStack() as short:
                return {each.certificate for each in visit(short).values()}

        def live() -> x509.Certificate:
            return x509.load_pem_x509_certificate(Path(tls["certificate"]).read_bytes())

        before, first = visit(stack, MAIL), live()
        names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert set(names.get_values_for_type(x509.DNSName)) == {HOST, OTHER}
        assert shown() == {each.certificate for each in before.values()} == {first}

        authority.names[OTHER] = stack.enter_context(elsewhere())
        ended, said = certbot.run(RENEW)
        assert ended == 1
        assert f"{OTHER} answers something else" in said
        assert live() == first
        assert shown() == {first}

        authority.names[OTHER] = certbot.port
        ended, said = certbot.run(RENEW)
        assert ended == 0, said
        second = live()
        assert second.serial_number != first.serial_number
        wait_for(lambda: shown() == {second}, "every door to show the new one", step=0.5)
        for door, each in visit(stack).items():
            assert each.key == before["imaps"].key  # so that the TLSA record stays true
            assert each.is_served(), door
        for door, each in before.items():
            assert each.is_served(), door


class Person:
    """Somebody with an EC key who asks the authority without any program's help."""

    def __init__(self, authority: Acme):
        self.authority = authority
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        x, y = (encoded(each.to_bytes(32)) for each in (numbers.x, numbers.y))
        self.jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def ask(self, path: str, payload: Any, *, spoil: bool = False, **head: Any) -> tuple[int, dict[str, Any], str]:
        """Return status, document, and Location or kind of the answer; *head* goes over what is signed."""
        usual = {"alg": "ES256", "nonce": self.authority.nonce(), "url": self.authority.base + path}
        signer = {} if "kid" in head else {"jwk": self.jwk}
        protected, body = (encoded(json.dumps(each).encode()) for each in (usual | signer | head, payload))
        pair = decode_dss_signature(self.key.sign(f"{protected}.{body}".encode(), ec.ECDSA(SHA256())))
        signature = bytearray(b"".join(each.to_bytes(32) for each in pair))
        signature[-1] ^= spoil
        jws = json.dumps({"protected": protected, "payload": body, "signature": encoded(bytes(signature))})
        request = urllib.request.Request(  # noqa: S310 - https
            self.authority.base + path, jws.encode(), {"Content-Type": "application/jose+json"}
        )
        trusting = ssl.create_default_context(cadata=self.authority.root.cert_pem.bytes().decode())
        try:
            with urllib.request.urlopen(request, context=trusting, timeout=60) as answer:  # noqa: S310 - https
                return answer.status, json.load(answer), answer.headers["Location"]
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused), refused.headers["Content-Type"]


def test_the_authority_of_these_tests_believes_no_wrong_signature_nonce_address_or_account():
    agreed = {"termsOfServiceAgreed": True}
    with Acme() as authority:
        ann, bob = Person(authority), Person(authority)
        authority.names[HOST] = 1
        used = authority.nonce()
        assert ann.ask("/newAccount", {})[1]["type"].endswith(":userActionRequired")
        status, _, account = ann.ask("/newAccount", agreed, nonce=used)
        assert status == 201
        wanted = {"identifiers": [{"type": "dns", "value": HOST}]}
        for wrong, kind in (
            ({"spoil": True}, "malformed"),
            ({"nonce": used}, "badNonce"),
            ({"nonce": "made up"}, "badNonce"),
            ({"url": f"{authority.base}/newAccount"}, "unauthorized"),
            ({"alg": "RS256"}, "badSignatureAlgorithm"),
            ({"kid": f"{authority.base}/account/nobody"}, "accountDoesNotExist"),
        ):
            _, problem, form = ann.ask("/newOrder", wanted, **{"kid": account, **wrong})
            assert form == "application/problem+json"
            assert problem["type"] == f"urn:ietf:params:acme:error:{kind}", wrong
        assert bob.ask("/newOrder", wanted, kid=account)[1]["type"].endswith(":malformed")
        status, order, place = ann.ask("/newOrder", wanted, kid=account)
        assert (status, order["status"]) == (201, "pending")
        _, _, others = bob.ask("/newAccount", agreed)
        path = place.removeprefix(authority.base)
        assert bob.ask(path, None, kid=others)[0] == 403
        finalize = order["finalize"].removeprefix(authority.base)
        assert ann.ask(finalize, {"csr": ""}, kid=account)[1]["type"].endswith(":orderNotReady")
