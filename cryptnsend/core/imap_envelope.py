"""What does ENVELOPE say about a header block? RFC 3501 §7.4.2.

The text is finished here, when a message is sealed, and stands in its index. Everything is a quoted string of plain
ASCII where it can be: unlabelled 8-bit text becomes encoded-words (RFC 2047), since clients guess its charset
differently, and only 8-bit addresses and ids are literals. No address list is ever empty, and only the markers of
groups have no host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from cryptnsend.core.addresses import AddressReader
from cryptnsend.core.charsets import decode_words, guess_text, one_line
from cryptnsend.core.imap_text import literal, quoted
from cryptnsend.core.mime_headers import Headers
from cryptnsend.core.mime_words import encode_text

Fields = Mapping[bytes, list[bytes]]

BCC = b"\x01"  # stands before the place of bcc in the finished text, which no reader gets
EMPTY = b"(NIL NIL NIL NIL NIL NIL NIL " + BCC + b"NIL NIL NIL)"
NO_HOST = "missing-domain.invalid"  # for what has no @: a NIL there would begin a group
_MAX_ADDRESSES = 1000  # of one field
_MAX_FIELD = 64_000  # octets of an address field that are read
_MAX_FAST = 20_000  # octets of a field that is read piece by piece
_MAX_VALUE = 8000  # octets of a date, an id or a subject
_CLEAN = re.compile(rb"[\x20\x21\x23-\x5b\x5d-\x7e]{0,%d}" % _MAX_VALUE)  # goes between quotes as it is
_ODD = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f-\xff]")
_CONTROL = bytes(32 if octet < 32 or octet == 127 else octet for octet in range(256))


def envelope(headers: Headers) -> bytes:
    """Return ENVELOPE with `BCC` before its bcc, which is NIL, as no index has one."""
    fields = headers.fields
    if not fields:
        return EMPTY
    subject = fields.get(b"subject")
    author = _list(fields, b"from")
    sender, reply_to = _list(fields, b"sender"), _list(fields, b"reply-to")
    return b"(%s %s %s %s %s %s %s %sNIL %s %s)" % (
        _first(fields, b"date"),
        unstructured(subject[0]) if subject else b"NIL",
        author,
        author if sender == b"NIL" else sender,
        author if reply_to == b"NIL" else reply_to,
        _list(fields, b"to"),
        _list(fields, b"cc"),
        BCC,
        _first(fields, b"in-reply-to"),
        _first(fields, b"message-id"),
    )


def with_bcc(envelope: bytes, bcc: bytes) -> bytes:
    """Return the finished ENVELOPE as it is sent, with the addresses of the unfolded value *bcc*; b"" for none."""
    return envelope.replace(BCC + b"NIL", address_list(bcc)) if bcc.strip() else envelope.replace(BCC, b"")


def _first(fields: Fields, name: bytes) -> bytes:
    values = fields.get(name)
    return opaque(values[0]) if values else b"NIL"


def unstructured(value: bytes) -> bytes:
    """Return the text of a field as a quoted string; encoded-words stay, other 8-bit text becomes some."""
    value = value.strip()
    if _CLEAN.fullmatch(value):
        return b'"' + value + b'"'
    value = value[:_MAX_VALUE]
    if not _ODD.search(value):
        return quoted(value.replace(b"\t", b" "))
    return quoted(encode_text(one_line(decode_words(guess_text(value)), 2000)).encode())


def opaque(value: bytes) -> bytes:
    """Return a value that is nobody's text, like an id: quoted, or a literal if it has 8-bit octets."""
    value = value.strip()
    if _CLEAN.fullmatch(value):
        return b'"' + value + b'"'
    value = value[:_MAX_VALUE].translate(_CONTROL)
    return quoted(value) if value.isascii() else literal(value)


# --- addresses -----------------------------------------------------------------------------------------------------


def address_list(value: bytes) -> bytes:
    """Return the addresses of an unfolded field as a list, NIL if there are none; never raises."""
    return _usual_list(value) if len(value) <= 200 else _address_list(value)


def _list(fields: Fields, name: bytes) -> bytes:
    values = fields.get(name)
    if not values:
        return b"NIL"
    return address_list(values[0] if len(values) == 1 else b",".join(values))


# One person as nearly every client writes them: nothing that could be read twice, and no comma.
_PLAIN = re.compile(
    rb"""[ \t]*(?:(?:"([^"\\,\x00-\x1f\x7f-\xff]*)"[ \t]*|((?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+[ \t]+)*))"""
    rb"""<([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+)@([A-Za-z0-9.-]+)>"""
    rb"""|([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+)@([A-Za-z0-9.-]+))[ \t]*"""
)


def _address_list(value: bytes) -> bytes:
    if len(value) <= _MAX_FAST and value.count(b",") < _MAX_ADDRESSES:
        written = []
        for one in value.split(b","):
            plain = _PLAIN.fullmatch(one)
            if plain is None:
                break
            quoted_name, name, local, host, bare_local, bare_host = plain.groups()
            name = b" ".join((quoted_name or name or b"").split())
            shown = b'"' + name + b'"' if name else b"NIL"
            written.append(b'(%s NIL "%s" "%s")' % (shown, local or bare_local, host or bare_host))
        else:
            return b"(" + b"".join(written) + b")"
    return _whole_address_list(value)


def _whole_address_list(value: bytes) -> bytes:
    reader = _EnvelopeReader(guess_text(value[:_MAX_FIELD]).strip())
    reader.read()
    written = reader.written()
    return b"(" + b"".join(written) + b")" if written else b"NIL"


_usual_list = lru_cache(maxsize=2048)(_address_list)  # people write to the same people


class _EnvelopeReader(AddressReader):
    """Writes every entry of a field as it goes, groups and source routes too, and what is no address as well."""

    def __init__(self, value: str):
        super().__init__(value)
        self._written: list[bytes] = []
        self._in_group = False

    def written(self) -> list[bytes]:
        """Return the entries; a group that nothing closes ends with the field."""
        self.end_group()
        return self._written

    def group(self) -> None:
        """Begin a group whose name has been read; one inside another ends that one."""
        name = " ".join("".join(self.words).split())
        self.end_group()
        self._add(b"(NIL NIL %s NIL)" % _phrase(name) if name else b"")
        self._in_group = bool(name) and len(self._written) < _MAX_ADDRESSES
        self.clear()

    def end_group(self) -> None:
        """End the group, if there is one."""
        if self._in_group:
            self._written.append(b"(NIL NIL NIL NIL)")
            self._in_group = False

    def finish(self) -> None:
        """Write what has been read since the last comma."""
        words, route = "".join(self.words).strip(), ""
        if self.angle is None:
            words, address = self.bare(words)
        else:
            address = self.angle.strip()
            if address.startswith("@") and ":" in address:
                route, _, address = address.rpartition(":")
        name = words or self.comment
        self.clear()
        if not address and not name:
            return
        local, at, host = address.rpartition("@")
        if not at:
            local, host = address or name, NO_HOST
            name = name if address else ""
        local = local[1:-1] if len(local) > 1 and local[0] == local[-1] == '"' else local
        self._add(
            b"(%s %s %s %s)"
            % (
                _phrase(name) if name else b"NIL",
                opaque(route.encode("utf-8", "replace")) if route else b"NIL",
                opaque(local.encode("utf-8", "replace")),
                opaque((host or NO_HOST).encode("utf-8", "replace")),
            )
        )

    def _add(self, entry: bytes) -> None:
        if entry and len(self._written) < _MAX_ADDRESSES:
            self._written.append(entry)


def _phrase(name: str) -> bytes:
    if name.isascii() and name.isprintable():
        return quoted(" ".join(name.split())[:_MAX_VALUE].encode())
    return quoted(encode_text(one_line(decode_words(name), 250)).encode())
