"""
A certificate authority that speaks ACME (RFC 8555), as far as a client needs it who proves names by http-01.

It believes nothing: signatures, nonces and addresses of requests are checked, each name is asked for an answer, and a
certificate has the names of its order. `Acme.names` says at which port of this machine a name answers.
"""

from __future__ import annotations

import datetime
import http.client
import json
import secrets
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from tests.support.jose import Problem, decoded, thumbprint, verify

CHALLENGE = "/.well-known/acme-challenge/"


@dataclass
class Authorization:
    """Whether somebody was seen to answer for a name."""

    account: str
    name: str
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    status: str = "pending"
    error: Mapping[str, Any] | None = None


@dataclass
class Order:
    """Which names somebody wants in a certificate."""

    account: str
    authorizations: dict[str, Authorization]  # by number
    chain: bytes = b""

    @property
    def status(self) -> str:
        """How far it is (RFC 8555 §7.1.6)."""
        states = {each.status for each in self.authorizations.values()}
        if self.chain:
            return "valid"
        return "invalid" if "invalid" in states else "pending" if "pending" in states else "ready"


class Acme:
    """The authority, on a free port of loopback. Use as a context manager; trust `root` for it and what it issues."""

    def __init__(self) -> None:
        self.root = trustme.CA()
        self.names: dict[str, int] = {}
        self._issuer = self.root.create_child_ca()
        self._nonces: set[str] = set()
        self._accounts: dict[str, Mapping[str, str]] = {}  # address: key
        self._orders: dict[str, Order] = {}
        self._authorizations: dict[str, Authorization] = {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.root.issue_cert("localhost").configure_cert(context)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Answering, self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="acme")
        self.base = f"https://localhost:{self._server.server_port}"

    def __enter__(self) -> Acme:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def nonce(self) -> str:
        """Return a number that one request may carry."""
        made = secrets.token_urlsafe(16)
        self._nonces.add(made)
        return made

    def directory(self) -> dict[str, Any]:
        """Return where everything is (RFC 8555 §7.1.1)."""
        places = {name: f"{self.base}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
        return places | {"meta": {"termsOfService": f"{self.base}/terms"}}

    def opened(self, path: str, body: bytes) -> tuple[str, Mapping[str, str], Any]:
        """Return whose request it is (account, key) and what is in it (RFC 8555 §6.2 to §6.5)."""
        try:
            jws = json.loads(body)
            head = json.loads(decoded(jws["protected"]))
            payload = json.loads(decoded(jws["payload"])) if jws["payload"] else None
            algorithm, nonce, url, signature = head["alg"], head["nonce"], head["url"], decoded(jws["signature"])
            jwk = head["jwk"] if path == "/newAccount" else self._accounts.get(head["kid"])
        except (ValueError, KeyError) as wrong:
            raise Problem("malformed", "this is no request") from wrong
        if jwk is None:
            raise Problem("accountDoesNotExist", "nobody has this account")
        verify(algorithm, jwk, signature, f"{jws['protected']}.{jws['payload']}".encode())
        if url != self.base + path:
            raise Problem("unauthorized", "this was signed for another address", 403)
        try:
            self._nonces.remove(nonce)
        except KeyError as wrong:
            raise Problem("badNonce", "the nonce is not ours, or was used") from wrong
        return head.get("kid", ""), jwk, payload

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        """Return status, further fields and document for a signed request."""
        account, jwk, payload = self.opened(path, body)
        kind, _, number = path[1:].partition("/")
        if kind == "newAccount":
            return self._account(jwk, payload)
        if kind == "newOrder":
            made = {secrets.token_hex(8): Authorization(account, each["value"]) for each in payload["identifiers"]}
            for each in made.values():
                if each.name not in self.names:
                    raise Problem("rejectedIdentifier", f"{each.name} is nowhere")
            self._authorizations |= made
            number = secrets.token_hex(8)
            self._orders[number] = Order(account, made)
            return 201, {"Location": f"{self.base}/order/{number}"}, self._order(number)
        found = (self._authorizations if kind in ("authorization", "challenge") else self._orders).get(number)
        if found is None or found.account != account:
            raise Problem("unauthorized", "this is not yours", 403)
        if isinstance(found, Authorization):
            link = {"Link": f'<{self.base}/authorization/{number}>;rel="up"'}
            if kind == "challenge" and payload is not None and found.status == "pending":
                self._validate(found, f"{found.token}.{thumbprint(jwk)}")
            return 200, link, self._challenge(number) if kind == "challenge" else self._authorization(number)
        if kind == "finalize":
            if found.status != "ready":
                raise Problem("orderNotReady", f"the order is {found.status}", 403)
            found.chain = self._issue({each.name for each in found.authorizations.values()}, decoded(payload["csr"]))
        elif kind == "certificate":
            return 200, {"Content-Type": "application/pem-certificate-chain"}, found.chain
        return 200, {"Location": f"{self.base}/order/{number}"}, self._order(number)

    def _account(self, jwk: Mapping[str, str], payload: Mapping[str, Any]) -> tuple[int, dict[str, str], Any]:
        address = f"{self.base}/account/{thumbprint(jwk)}"
        status = 200 if address in self._accounts else 201
        if status == 201 and payload.get("onlyReturnExisting"):
            raise Problem("accountDoesNotExist", "this key has no account")
        if status == 201 and not payload.get("termsOfServiceAgreed"):
            raise Problem("userActionRequired", "agree to the terms first", 403)
        self._accounts[address] = jwk
        return status, {"Location": address}, {"status": "valid"}

    def _order(self, number: str) -> dict[str, Any]:
        order = self._orders[number]
        return {
            "status": order.status,
            "identifiers": [{"type": "dns", "value": each.name} for each in order.authorizations.values()],
            "authorizations": [f"{self.base}/authorization/{each}" for each in order.authorizations],
            "finalize": f"{self.base}/finalize/{number}",
        } | ({"certificate": f"{self.base}/certificate/{number}"} if order.chain else {})

    def _authorization(self, number: str) -> dict[str, Any]:
        found = self._authorizations[number]
        name = {"type": "dns", "value": found.name}
        return {"status": found.status, "identifier": name, "challenges": [self._challenge(number)]}

    def _challenge(self, number: str) -> dict[str, Any]:
        found = self._authorizations[number]
        told = {"type": "http-01", "url": f"{self.base}/challenge/{number}", "token": found.token}
        return told | {"status": found.status} | ({"error": found.error} if found.error else {})

    def _validate(self, found: Authorization, expected: str) -> None:
        """Ask the name itself (RFC 8555 §8.3)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.names[found.name], timeout=10)
        try:
            connection.request("GET", CHALLENGE + found.token, headers={"Host": found.name})
            answer = connection.getresponse()
            if answer.status != 200 or answer.read(1000).rstrip() != expected.encode():
                raise Problem("incorrectResponse", f"{found.name} answers something else", 403)
            found.status = "valid"
        except OSError as gone:
            found.status, found.error = "invalid", Problem("connection", f"{found.name}: {gone}").document
        except Problem as wrong:
            found.status, found.error = "invalid", wrong.document
        finally:
            connection.close()

    def _issue(self, names: set[str], octets: bytes) -> bytes:
        request = x509.load_der_x509_csr(octets)
        wanted = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        common = {str(each.value) for each in request.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)}
        if not request.is_signature_valid or set(wanted.get_values_for_type(x509.DNSName)) != names or common - names:
            raise Problem("badCSR", "the request is not for the names of the order")
        authority = x509.load_pem_x509_certificate(self._issuer.cert_pem.bytes())
        now, key = datetime.datetime.now(datetime.UTC), request.public_key()
        signer = load_pem_private_key(self._issuer.private_key_pem.bytes(), None)
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(authority.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=90))
            .add_extension(x509.SubjectAlternativeName(map(x509.DNSName, sorted(names))), critical=True)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, SHA256())
        )
        return made.public_bytes(Encoding.PEM) + self._issuer.cert_pem.bytes()


class Answering(BaseHTTPRequestHandler):
    """One request to the authority."""

    def __init__(self, authority: Acme, *arguments: Any):
        self.authority = authority
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Tell the directory, or a nonce."""
        if self.path == "/directory":
            self._tell(200, {}, self.authority.directory())
        else:
            self._tell(204 if self.path == "/newNonce" else 404, {}, b"")

    def do_HEAD(self) -> None:
        """Tell a nonce."""
        self._tell(200 if self.path == "/newNonce" else 404, {}, b"")

    def do_POST(self) -> None:
        """Do what somebody signed."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            if self.headers["Content-Type"] != "application/jose+json":
                raise Problem("malformed", "only application/jose+json is read here", 415)
            self._tell(*self.authority.answer(self.path, body))
        except Problem as problem:
            self._tell(problem.status, {"Content-Type": "application/problem+json"}, problem.document)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def _tell(self, status: int, fields: Mapping[str, str], document: Any) -> None:
        octets = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        own = {"Content-Type": "application/json", "Replay-Nonce": self.authority.nonce(), "Cache-Control": "no-store"}
        for name, value in {**own, **fields, "Content-Length": str(len(octets))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)
