"""Which domains vouch for a mail by a valid DKIM signature? RFC 6376, RFC 8301, RFC 8463.

`Signatures` is made from the header, takes the body as it streams by, and checks at the end; memory stays flat whatever
the size. A signature that cannot be read, is of a kind we do not trust, or does not fit counts as none (RFC 6376 §6.1).
Not trusted are SHA-1, RSA keys under 1024 bits, and a body that was signed in part only (l=), because anybody could
have added the rest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from cryptnsend.delivery.dkim import DkimKey, RelaxedBody
from cryptnsend.delivery.dns import DnsTrouble, NoSuchDomain

MOST = 10  # signatures that are looked at; a mail with more is trying our patience
_SLOP = 3600  # seconds by which a signer's clock may be ahead of ours
_SMALLEST_RSA, _LARGEST_RSA = 1024, 8192  # bits (RFC 8301 §3.2)
_ALGORITHMS = {b"rsa-sha256": b"rsa", b"ed25519-sha256": b"ed25519"}
_NAME = re.compile(rb"[A-Za-z0-9]([A-Za-z0-9_.-]{0,250}[A-Za-z0-9])?")
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)(?:\r\n|\Z)", re.MULTILINE)
_TAG = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")
_BLANK = re.compile(rb"[ \t]+")
_SIGNED = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")

Records = Callable[[str], Sequence[bytes]]  # TXT records of a name; raises NoSuchDomain and DnsTrouble
_Key = RSAPublicKey | Ed25519PublicKey


class _Useless(Exception):
    """This signature counts for nothing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What became of one signature: *domain* is its d=, *result* pass, fail or temperror (RFC 8601 §2.7.1).

    Of one that is good, *covered* are the header octets that were signed, and *mark* is the same for the same signature
    and for no other: a mail that somebody brings again, changed where nothing was signed, still has it.
    """

    domain: str
    result: str
    covered: bytes = b""
    mark: bytes = b""

    def names(self, address: str) -> bool:
        """Say whether To or Cc, as they were signed, name *address* (of ASCII, in lower case)."""
        fields = [each[2] for each in _FIELD.finditer(self.covered) if each[1].lower() in (b"to", b"cc")]
        return any(address.encode() in re.sub(rb"\s+", b"", field).lower() for field in fields)

    @property
    def at(self) -> int | None:
        """When the mail was signed, or else written if that was signed, UTC seconds; None if nothing says so."""
        fields = {each[1].lower(): each[2] for each in _FIELD.finditer(self.covered)}
        signed = re.search(rb"(?:^|;)\s*t\s*=\s*(\d{1,12})\s*(?:;|\Z)", fields.get(b"dkim-signature", b""))
        if signed:
            return int(signed[1])
        try:
            written = parsedate_to_datetime(fields.get(b"date", b"").decode("ascii", "replace").strip())
            return int(written.timestamp())
        except (ValueError, OverflowError):
            return None


@dataclass(frozen=True, slots=True)
class _Signature:
    """One DKIM-Signature field, read; *field* is its whole octets as they stood."""

    place: int  # among the fields of the header
    algorithm: bytes
    domain: bytes
    selector: bytes
    identity: bytes
    names: tuple[bytes, ...]
    relaxed_header: bool
    relaxed_body: bool
    body_hash: bytes
    signature: bytes


class SimpleBody:
    """Hashes a body in simple form (RFC 6376 §3.4.3): of the line ends at its end exactly one counts."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._line_ends = 0  # CRLFs held back until it is known that something follows
        self._tail = b""  # b"\r" if that is where the last chunk ended

    def update(self, chunk: bytes) -> None:
        """Take the next octets."""
        text = self._tail + chunk
        solid = text.rstrip(b"\r\n")
        rest = text[len(solid) :]
        if solid:
            self._hash.update(b"\r\n" * self._line_ends + solid)
            self._line_ends = 0
        self._line_ends += rest.count(b"\r\n")
        self._tail = b"\r" if rest.endswith(b"\r") else b""

    def finish(self) -> hashlib._Hash:
        """Return the hash."""
        self._hash.update(b"\r\n")
        return self._hash


class Signatures:
    """The signatures of one mail. `body` takes all octets behind the empty line; then `check` once."""

    def __init__(self, header: bytes):
        """*header* is the whole header block in CRLF lines, with its empty line or without."""
        self._fields = [(found[1].lower(), found[0]) for found in _FIELD.finditer(_block(header))]
        self._signatures: list[_Signature] = []
        for place, (name, field) in enumerate(self._fields):
            if name == b"dkim-signature" and len(self._signatures) < MOST:
                try:
                    self._signatures.append(_read(place, field))
                except _Useless:
                    continue
        self._relaxed = RelaxedBody() if any(each.relaxed_body for each in self._signatures) else None
        self._simple = SimpleBody() if any(not each.relaxed_body for each in self._signatures) else None

    def body(self, octets: bytes) -> None:
        """Take the next octets of the body."""
        if self._relaxed is not None:
            self._relaxed.update(octets)
        if self._simple is not None:
            self._simple.update(octets)

    def check(self, records: Records, now: int) -> list[Verdict]:
        """Return what became of each signature that could be read; *now* is UTC seconds. Asks for keys; may block."""
        relaxed = self._relaxed.finish().digest() if self._relaxed is not None else b""
        simple = self._simple.finish().digest() if self._simple is not None else b""
        verdicts = []
        for each in self._signatures:
            domain = each.domain.decode("ascii").lower()
            try:
                if each.body_hash != (relaxed if each.relaxed_body else simple):
                    raise _Useless("the body was changed")
                covered = self._verify(each, records, now)
                verdicts.append(Verdict(domain, "pass", covered, hashlib.sha256(each.signature).digest()[:16]))
            except DnsTrouble:
                verdicts.append(Verdict(domain, "temperror"))
            except _Useless:
                verdicts.append(Verdict(domain, "fail"))
        return verdicts

    def _verify(self, signature: _Signature, records: Records, now: int) -> bytes:
        """Return what a good signature covers; raise `_Useless` for any other."""
        tags = _tags(self._fields[signature.place][1].partition(b":")[2])
        _in_time(tags, now)
        covered = self._covered(signature)
        try:
            published = records(f"{signature.selector.decode()}._domainkey.{signature.domain.decode()}")
        except NoSuchDomain:
            published = ()
        for record in list(published)[:4]:
            try:
                _fits(_key(record, signature), signature, covered)
            except (_Useless, InvalidSignature):
                continue
            return covered
        raise _Useless("no published key fits")

    def _covered(self, signature: _Signature) -> bytes:
        """Return the octets that were signed: the fields named in h=, several of one name from the last upwards."""
        shape = _relaxed if signature.relaxed_header else _as_it_is
        left: dict[bytes, list[bytes]] = {}
        for place, (name, field) in enumerate(self._fields):
            if place != signature.place:
                left.setdefault(name, []).append(field)
        parts = [shape(left[name].pop()) + b"\r\n" for name in signature.names if left.get(name)]
        own = self._fields[signature.place][1]
        name, colon, value = own.partition(b":")
        return b"".join(parts) + shape(name + colon + _SIGNED.sub(rb"\1", value, count=1))


def _block(header: bytes) -> bytes:
    """Return a header block that ends in CRLF, without the empty line and what follows it."""
    end = header.find(b"\r\n\r\n")
    return b"" if header.startswith(b"\r\n") else header[: end + 2] if end >= 0 else header


def _as_it_is(field: bytes) -> bytes:
    return field.removesuffix(b"\r\n")


def _relaxed(field: bytes) -> bytes:
    """Return a field in relaxed form (RFC 6376 §3.4.2), without the CRLF at its end."""
    name, _, value = field.partition(b":")
    return name.rstrip(b" \t").lower() + b":" + _BLANK.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _tags(value: bytes) -> dict[bytes, bytes]:
    """Read a list of tags (RFC 6376 §3.2): names as they stand, blanks inside values kept."""
    tags: dict[bytes, bytes] = {}
    for entry in value.strip(b" \t\r\n").removesuffix(b";").split(b";"):
        name, equals, said = entry.partition(b"=")
        name = name.strip(b" \t\r\n")
        if not equals or not _TAG.fullmatch(name) or name in tags:
            raise _Useless("the tags cannot be read")
        tags[name] = said.strip(b" \t\r\n")
    return tags


def _read(place: int, field: bytes) -> _Signature:
    """Read one signature as far as it can be without its key."""
    tags = _tags(field.partition(b":")[2])
    try:
        algorithm, domain, selector = tags[b"a"].lower(), tags[b"d"], tags[b"s"]
        names = tuple(each.strip(b" \t\r\n").lower() for each in tags[b"h"].split(b":"))
        body_hash, signature = _base64(tags[b"bh"]), _base64(tags[b"b"])
        version = tags[b"v"]
    except KeyError:
        raise _Useless("a tag is missing") from None
    if version != b"1" or algorithm not in _ALGORITHMS or b"l" in tags:
        raise _Useless("of a kind that is not trusted")
    if not _NAME.fullmatch(domain) or not _NAME.fullmatch(selector) or b"from" not in names:
        raise _Useless("without a domain, or not about the author")
    if b"dns/txt" not in [each.strip() for each in tags.get(b"q", b"dns/txt").lower().split(b":")]:
        raise _Useless("its key is somewhere else")
    identity = tags.get(b"i", b"@" + domain).rpartition(b"@")[2].lower()
    if identity != domain.lower() and not identity.endswith(b"." + domain.lower()):
        raise _Useless("for somebody of another domain")
    shape = tags.get(b"c", b"simple/simple").lower().partition(b"/")
    header, body = shape[0], shape[2] or b"simple"
    if {header, body} - {b"simple", b"relaxed"}:
        raise _Useless("in a form that is not known")
    return _Signature(
        place,
        algorithm,
        domain,
        selector,
        identity,
        names,
        header == b"relaxed",
        body == b"relaxed",
        body_hash,
        signature,
    )


def _in_time(tags: dict[bytes, bytes], now: int) -> None:
    for name in (b"t", b"x"):
        if name in tags and not re.fullmatch(rb"\d{1,12}", tags[name]):
            raise _Useless("its times cannot be read")
    if int(tags.get(b"t", b"0")) > now + _SLOP:
        raise _Useless("signed in the future")
    if b"x" in tags and int(tags[b"x"]) < now:
        raise _Useless("over")


def _base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(re.sub(rb"[ \t\r\n]+", b"", text), validate=True)
    except binascii.Error:
        raise _Useless("not base64") from None


def is_key(record: bytes, key: DkimKey) -> bool:
    """Say whether a published record is that of *key*, so that verifiers take what it signs."""
    try:
        found, _ = _read_key(record, key.algorithm.encode())
    except _Useless:
        return False
    return found == key.private.public_key()


def _key(record: bytes, signature: _Signature) -> _Key:
    """Return the key of a record, if it may be used for this signature."""
    key, flags = _read_key(record, signature.algorithm)
    if b"s" in flags and signature.identity != signature.domain.lower():
        raise _Useless("not for subdomains")
    return key


def _read_key(record: bytes, algorithm: bytes) -> tuple[_Key, set[bytes]]:
    """Read a key record (RFC 6376 §3.6.1): its key, if it may be used with this algorithm, and its flags."""
    tags = _tags(record)
    if tags.get(b"v", b"DKIM1") != b"DKIM1" or tags.get(b"k", b"rsa").lower() != _ALGORITHMS[algorithm]:
        raise _Useless("another kind of key")
    if b"sha256" not in [each.strip() for each in tags.get(b"h", b"sha256").lower().split(b":")]:
        raise _Useless("not for SHA-256")
    if not {b"*", b"email"} & {each.strip() for each in tags.get(b"s", b"*").lower().split(b":")}:
        raise _Useless("not for mail")
    flags = {each.strip() for each in tags.get(b"t", b"").lower().split(b":")}
    if b"y" in flags:  # RFC 6376 §3.6.1: such mail counts like unsigned mail
        raise _Useless("only a test")
    octets = _base64(tags.get(b"p", b""))
    if not octets:
        raise _Useless("revoked")
    try:
        if algorithm == b"ed25519-sha256":
            return Ed25519PublicKey.from_public_bytes(octets), flags
        key = serialization.load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        raise _Useless("no key") from None
    if not isinstance(key, RSAPublicKey) or not _SMALLEST_RSA <= key.key_size <= _LARGEST_RSA:
        raise _Useless("not a key of a size that is trusted")
    return key, flags


def _fits(key: _Key, signature: _Signature, covered: bytes) -> None:
    """Raise InvalidSignature unless *key* made this signature."""
    if isinstance(key, RSAPublicKey):
        key.verify(signature.signature, covered, PKCS1v15(), hashes.SHA256())
    else:
        key.verify(signature.signature, hashlib.sha256(covered).digest())  # RFC 8463 §3
