"""How do receivers know that a message is ours? DKIM signatures (RFC 6376; Ed25519 by RFC 8463), relaxed/relaxed.

Signing only, on `cryptography`'s constant-time RSA; verification belongs to those who receive.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from cryptnsend.core.errors import Malformed

RSA, ED25519 = "rsa-sha256", "ed25519-sha256"
RSA_BITS = 2048  # RFC 8301 §3.2: every verifier takes it; larger keys do not fit into one TXT string

# Fields that are signed once more often than they occur, so that a receiver sees when somebody added another
# (RFC 6376 §8.15), and those that are signed as often as they occur.
_GUARDED = ("from", "reply-to", "subject", "to", "date")
_SIGNED = (
    "cc", "message-id", "in-reply-to", "references", "mime-version", "content-type", "content-transfer-encoding",
    "auto-submitted", "list-unsubscribe", "list-unsubscribe-post",
)  # fmt: skip
_TAG_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?\Z")
_SPACE = re.compile(rb"[ \t]+")


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A private key and where its public half is published: *selector*._domainkey.*domain* (A-labels)."""

    selector: str
    domain: str
    private: RSAPrivateKey | Ed25519PrivateKey

    def __post_init__(self) -> None:
        if not _TAG_VALUE.match(self.selector) or not _TAG_VALUE.match(self.domain):
            raise ValueError("selector and domain are names in ASCII letters, digits, hyphens and dots")

    @property
    def algorithm(self) -> str:
        """The name that goes into the signature's `a=`."""
        return RSA if isinstance(self.private, RSAPrivateKey) else ED25519

    def __repr__(self) -> str:
        return f"DkimKey({self.selector}._domainkey.{self.domain}, {self.algorithm})"


def generate_key(selector: str, domain: str, algorithm: str = RSA) -> DkimKey:
    """Make a new key; *algorithm* is "rsa-sha256" or "ed25519-sha256"."""
    if algorithm not in (RSA, ED25519):
        raise ValueError(f"there is no DKIM algorithm {algorithm}")
    private = (
        generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        if algorithm == RSA
        else Ed25519PrivateKey.generate()
    )
    return DkimKey(selector, domain, private)


def to_pem(key: DkimKey) -> bytes:
    """Return the private key as PKCS #8 PEM, unencrypted: for a file that only its owner reads, or for sealing."""
    return key.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def from_pem(selector: str, domain: str, pem: bytes) -> DkimKey:
    """Read what `to_pem` wrote. Raises ValueError for other kinds of keys, without their octets in the text."""
    private = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
        raise ValueError("a DKIM key is an RSA or an Ed25519 key")
    return DkimKey(selector, domain, private)


def dns_name(key: DkimKey) -> str:
    """Return the name under which `dns_record` is published."""
    return f"{key.selector}._domainkey.{key.domain}"


def dns_record(key: DkimKey) -> str:
    """Return the TXT record's text (RFC 6376 §3.6.1); zone files split it into strings of at most 255 octets."""
    public = key.private.public_key()
    if isinstance(key.private, RSAPrivateKey):
        kind = "rsa"
        octets = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    else:
        kind = "ed25519"
        octets = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode()}"


def sign(message: bytes | Iterable[bytes], keys: Sequence[DkimKey], *, now: int) -> bytes:
    """
    Return one DKIM-Signature field per key, each ending in CRLF, to be put in front of *message*.

    *message* is header section, empty line and body in CRLF lines, whole or in pieces; *now* is UTC seconds. Memory
    stays flat whatever the body's size. Raises `Malformed` if there is no From.
    """
    header, hasher = _digest(iter((message,)) if isinstance(message, bytes) else iter(message))
    fields = _fields(header)
    names = _names([name for name, _ in fields])
    if b"from" not in [name for name, _ in fields]:
        raise Malformed("The message has no From field, so it cannot be signed.")
    canonical = _chosen(fields, names)
    body_hash = base64.b64encode(hasher.digest()).decode()
    return b"".join(_field(key, names, canonical, body_hash, now) for key in keys)


def _field(key: DkimKey, names: Sequence[str], canonical: bytes, body_hash: str, now: int) -> bytes:
    """Return the complete field of one key. Folds stand only where RFC 6376 ignores white space."""
    tags = [
        f"v=1; a={key.algorithm}; c=relaxed/relaxed; d={key.domain};",
        f"s={key.selector}; t={now};",
        *_folded("h=", ":".join(names), ":"),
        f"bh={body_hash};",
        "b=",
    ]
    unsigned = "\r\n\t".join([f"DKIM-Signature: {tags[0]}", *tags[1:]])
    covered = canonical + _relaxed(b"dkim-signature", unsigned.partition(":")[2].encode())
    if isinstance(key.private, RSAPrivateKey):
        signature = key.private.sign(covered, PKCS1v15(), hashes.SHA256())
    else:
        signature = key.private.sign(hashlib.sha256(covered).digest())  # RFC 8463 §3
    text = base64.b64encode(signature).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return (unsigned + "\r\n\t ".join(lines) + "\r\n").encode()


def _folded(tag: str, value: str, separator: str) -> list[str]:
    """Split a long tag after separators, into lines that stay under 78 characters."""
    lines, line = [], tag
    for part in value.split(separator):
        if len(line) + len(part) > 70:
            lines.append(line)
            line = ""
        line += part + separator
    return [*lines, line[: -len(separator)] + ";"]


def _names(present: Sequence[bytes]) -> list[str]:
    """Return the h= list for a message with these (lower-case) fields."""
    names = []
    for name in (*_GUARDED, *_SIGNED):
        names += [name] * (present.count(name.encode()) + (name in _GUARDED))
    return names


def _chosen(fields: Sequence[tuple[bytes, bytes]], names: Sequence[str]) -> bytes:
    """Return the signed fields in canonical form, several of one name from the last upwards (RFC 6376 §5.4.2)."""
    left: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        left.setdefault(name, []).append(value)
    parts = []
    for text in names:
        values = left.get(text.encode())
        if values:
            parts.append(_relaxed(text.encode(), values.pop()) + b"\r\n")
    return b"".join(parts)


def _relaxed(name: bytes, value: bytes) -> bytes:
    """RFC 6376 §3.4.2, without the CRLF at the end."""
    return name + b":" + _SPACE.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """Split a header section into (lower-case name, value with folds); lines that are no fields are passed over."""
    fields = []
    for text in re.split(rb"\r\n(?![ \t])", header.removesuffix(b"\r\n")):
        name, colon, value = text.partition(b":")
        name = name.rstrip(b" \t").lower()
        if colon and re.fullmatch(rb"[!-9;-~]+", name):
            fields.append((name, value))
    return fields


def _digest(chunks: Iterable[bytes]) -> tuple[bytes, hashlib._Hash]:
    """Return the header section and the SHA-256 over the relaxed body (RFC 6376 §3.4.4)."""
    header = bytearray(b"\r\n")  # so that a message that begins with the empty line has no fields
    body: RelaxedBody | None = None
    for chunk in chunks:
        if body is not None:
            body.update(chunk)
            continue
        start = max(len(header) - 3, 0)
        header += chunk
        end = header.find(b"\r\n\r\n", start)
        if end >= 0:
            body = RelaxedBody()
            body.update(bytes(header[end + 4 :]))
            del header[end + 2 :]
    return bytes(header[2:]), (body or RelaxedBody()).finish()


class RelaxedBody:
    """
    Hashes a body in relaxed form as it streams by.

    White space at the end of what was seen is held back, itself in canonical form, until it is known what follows: line
    ends at the end of the body and blanks at the end of a line do not count.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._line_ends = 0  # CRLFs held back
        self._tail = b""  # after them: b"", b" ", b"\r" or b" \r"
        self._empty = True

    def update(self, chunk: bytes) -> None:
        """Take the next octets."""
        text = _SPACE.sub(b" ", self._tail + chunk).replace(b" \r\n", b"\r\n")
        solid = text.rstrip(b" \r\n")
        rest = text[len(solid) :]
        if solid:
            self._hash.update(b"\r\n" * self._line_ends + solid)
            self._line_ends, self._empty = 0, False
        ends = rest.count(b"\r\n")
        self._line_ends += ends
        self._tail = rest.rpartition(b"\r\n")[2] if ends else rest

    def finish(self) -> hashlib._Hash:
        """Return the hash. A body that holds nothing hashes as nothing, any other ends in exactly one CRLF."""
        if not self._empty:
            self._hash.update(b"\r\n")
        return self._hash
