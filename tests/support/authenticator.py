"""A passkey in software, with the browser before it: makes attestations and answers by WebAuthn level 3, or breaks it.

Each deviation is an argument of `make` or `answer`, so that a test names the one thing that is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40  # flags, section 6.1


def text(octets: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


@dataclass
class Passkey:
    """One passkey, in a browser that shows the pages of *origin*."""

    origin: str = "https://secure.clinic.example"
    host: str = "secure.clinic.example"
    counts: bool = True
    synced: bool = False
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: os.urandom(32))
    secret: bytes = field(default_factory=lambda: os.urandom(32))
    counter: int = 0

    def kept(self) -> dict[str, Any]:
        """Return the passkey as JSON has it, for `back`."""
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return {"key": pem, "id": self.id.hex(), "secret": self.secret.hex(), "counter": self.counter}

    @classmethod
    def back(cls, kept: dict[str, Any]) -> Passkey:
        """Return the passkey that `kept` wrote down."""
        key = load_pem_private_key(kept["key"].encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        ident, secret = bytes.fromhex(kept["id"]), bytes.fromhex(kept["secret"])
        return cls(key=key, id=ident, secret=secret, counter=kept["counter"])

    def output(self, salt: bytes) -> bytes:
        """Return what the PRF extension gives for an input (section 10.1.4)."""
        shown = hashlib.sha256(b"WebAuthn PRF\x00" + salt).digest()
        return hmac.digest(self.secret, shown, "sha256")

    def make(
        self, challenge: bytes, *, origin: str = "", host: str = "", verified: bool = True, **client: Any
    ) -> bytes:
        """Return the answer to a request for a new passkey, attested by nobody."""
        numbers = self.key.public_key().public_numbers()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + cose
        data = self._data(host or self.host, ATTESTED, verified) + attested
        return self._said(
            {
                "clientDataJSON": text(self._client("webauthn.create", challenge, origin, client)),
                "attestationObject": text(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            }
        )

    def answer(
        self,
        challenge: bytes,
        *,
        origin: str = "",
        host: str = "",
        verified: bool = True,
        counter: int | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
        kind: str = "webauthn.get",
        **client: Any,
    ) -> bytes:
        """Return the answer to a challenge, signed by the passkey's key or another one."""
        self.counter = self.counter + 1 if counter is None else counter
        data = self._data(host or self.host, 0, verified)
        said = self._client(kind, challenge, origin, client)
        signature = (key or self.key).sign(data + hashlib.sha256(said).digest(), ec.ECDSA(SHA256()))
        return self._said({"clientDataJSON": text(said), "authenticatorData": text(data), "signature": text(signature)})

    def _data(self, host: str, flags: int, verified: bool) -> bytes:
        flags |= PRESENT | (VERIFIED if verified else 0) | (ELIGIBLE | BACKED_UP if self.synced else 0)
        count = self.counter if self.counts else 0
        return hashlib.sha256(host.encode()).digest() + bytes([flags]) + struct.pack(">I", count)

    def _client(self, kind: str, challenge: bytes, origin: str, more: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": text(challenge), "origin": origin or self.origin, "crossOrigin": False}
        return json.dumps(said | more).encode()

    def _said(self, response: dict[str, str]) -> bytes:
        name = text(self.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response}).encode()
