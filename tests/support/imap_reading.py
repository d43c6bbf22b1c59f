"""Reads IMAP responses as a strict client would, by the grammar of RFC 3501 §9 and nothing of ours."""

from __future__ import annotations


class NotImap(Exception):
    """A client could not have read this."""


def read_value(octets: bytes) -> object:
    """Return one parenthesised value: lists, octets of strings, integers, None for NIL."""
    value, at = _value(octets, 0)
    if at != len(octets):
        raise NotImap(octets[at:])
    return value


def _value(octets: bytes, at: int) -> tuple[object, int]:
    first = octets[at : at + 1]
    if first == b"(":
        return _list(octets, at + 1)
    if first == b'"':
        return _quoted(octets, at + 1)
    if first == b"{":
        end = octets.index(b"}\r\n", at)
        start, size = end + 3, int(octets[at + 1 : end])
        if start + size > len(octets) or b"\0" in octets[start : start + size]:
            raise NotImap(octets[at:])
        return octets[start : start + size], start + size
    end = at
    while end < len(octets) and octets[end] not in b' ()"{\\':
        end += 1
    word = octets[at:end]
    if word == b"NIL":
        return None, end
    if not word.isdigit():
        raise NotImap(octets[at:])
    return int(word), end


def _list(octets: bytes, at: int) -> tuple[list[object], int]:
    found: list[object] = []
    while octets[at : at + 1] != b")":
        # Bodies of a multipart and addresses stand side by side without a blank; nothing else does.
        if found and octets[at : at + 1] == b" ":
            at += 1
        elif found and not (octets[at : at + 1] == b"(" and isinstance(found[-1], list)):
            raise NotImap(octets[at:])
        value, at = _value(octets, at)
        found.append(value)
    if not found:
        raise NotImap("an empty list")
    return found, at + 1


def _quoted(octets: bytes, at: int) -> tuple[bytes, int]:
    found = bytearray()
    while octets[at : at + 1] != b'"':
        if octets[at : at + 1] == b"\\":
            at += 1
            if octets[at : at + 1] not in {b'"', b"\\"}:
                raise NotImap(octets[at:])
        if at >= len(octets) or octets[at] in b"\r\n\0" or octets[at] > 126 or octets[at] in b"\x01\x02\x03":
            raise NotImap(octets[at:])
        found.append(octets[at])
        at += 1
    return bytes(found), at + 1


# --- the grammar of the two values ---------------------------------------------------------------------------------


def check_envelope(value: object) -> None:
    """Raise NotImap unless the value is an envelope."""
    _need(isinstance(value, list) and len(value) == 10, value)
    for at in (0, 1, 8, 9):
        _nstring(value[at])
    for field in value[2:8]:
        if field is not None:
            for address in field:
                _need(isinstance(address, list) and len(address) == 4, address)
                for part in address:
                    _nstring(part)
                _need(address[2] is not None or address == [None] * 4, address)


def check_body(value: object, *, extended: bool) -> None:
    """Raise NotImap unless the value is a body structure, with extension data if *extended*."""
    _need(isinstance(value, list), value)
    if isinstance(value[0], list):
        parts = [part for part in value if isinstance(part, list)]
        count = next(at for at, part in enumerate(value) if not isinstance(part, list))
        for part in value[:count]:
            check_body(part, extended=extended)
        rest = value[count:]
        _string(rest[0])
        _need(parts and len(rest) == (5 if extended else 1), rest)
        if extended:
            _params(rest[1])
            _extension(rest[2:])
        return
    kind, subtype = value[0], value[1]
    _string(kind)
    _string(subtype)
    _need(kind and subtype, value)
    _params(value[2])
    _nstring(value[3])
    _nstring(value[4])
    _string(value[5])
    _need(isinstance(value[6], int), value)
    at = 7
    if (kind, subtype) == (b"message", b"rfc822"):
        check_envelope(value[7])
        check_body(value[8], extended=extended)
        _need(isinstance(value[9], int), value)
        at = 10
    elif kind == b"text":
        _need(isinstance(value[7], int), value)
        at = 8
    _need(len(value) == at + (4 if extended else 0), value)
    if extended:
        _nstring(value[at])
        _extension(value[at + 1 :])


def _extension(rest: list[object]) -> None:
    disposition, language, location = rest
    if disposition is not None:
        _need(isinstance(disposition, list) and len(disposition) == 2, disposition)
        _string(disposition[0])
        _params(disposition[1])
    for tag in language if isinstance(language, list) else [language]:
        _nstring(tag)
    _nstring(location)


def _params(value: object) -> None:
    if value is not None:
        _need(isinstance(value, list) and len(value) % 2 == 0, value)
        for part in value:
            _string(part)


def _string(value: object) -> None:
    _need(isinstance(value, bytes), value)


def _nstring(value: object) -> None:
    _need(value is None or isinstance(value, bytes), value)


def _need(true: object, value: object) -> None:
    if not true:
        raise NotImap(value)
