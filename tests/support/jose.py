"""Signatures of requests as ACME has them (RFC 7515), checked; and the problems that are told instead of an answer."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y")}  # of a key, for its thumbprint (RFC 7638 §3.2)


class Problem(Exception):
    """What is told instead of an answer, by its kind (RFC 8555 §6.7)."""

    def __init__(self, kind: str, detail: str, status: int = 400):
        super().__init__(detail)
        self.status = status
        self.document = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status}


def decoded(text: str) -> bytes:
    """Return what base64url without padding stands for."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(octets: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return a key's thumbprint (RFC 7638)."""
    members = {name: jwk[name] for name in MEMBERS[jwk["kty"]]}
    return encoded(hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest())


def public_key(jwk: Mapping[str, str]) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    """Return the key that a JSON Web Key is (RFC 7518 §6)."""
    first, second = (int.from_bytes(decoded(jwk[name])) for name in (("n", "e") if jwk["kty"] == "RSA" else ("x", "y")))
    if jwk["kty"] == "RSA":
        return rsa.RSAPublicNumbers(second, first).public_key()
    return ec.EllipticCurvePublicNumbers(first, second, ec.SECP256R1()).public_key()


def verify(algorithm: str, jwk: Mapping[str, str], signature: bytes, signed: bytes) -> None:
    """Raise Problem unless *signature* is that of *jwk* (RFC 7518 §3.3 and §3.4)."""
    if {"RS256": "RSA", "ES256": "EC"}.get(algorithm) != jwk["kty"]:
        raise Problem("badSignatureAlgorithm", f"{algorithm} is not for this key")
    key = public_key(jwk)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), SHA256())
        elif len(signature) == 64:
            pair = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
            key.verify(pair, signed, ec.ECDSA(SHA256()))
        else:
            raise InvalidSignature
    except InvalidSignature as wrong:
        raise Problem("malformed", "the signature is not that of the key") from wrong
