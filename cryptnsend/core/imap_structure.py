"""What does BODYSTRUCTURE say about the parts of a message? RFC 3501 §7.4.2.

The text is finished when a message is sealed and stands in its index; BODY is the same text without what stands between
the marks of extension data. Clients stall on an answer that they cannot parse, so that a part always has a type, no
list is empty, and names that are not ASCII are written as RFC 2231 says. What has no parts that could be fetched is
described as one part, whatever it calls itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from cryptnsend.core.imap_envelope import BCC, EMPTY, opaque, unstructured
from cryptnsend.core.imap_text import quoted
from cryptnsend.core.mime_headers import DESCRIBING, Headers, raw_parameters
from cryptnsend.core.mime_index import Part, is_message

BEGIN, END = b"\x02", b"\x03"  # around extension data, which BODY leaves out; no reader gets them
_MARKS = BCC + BEGIN + END
_EXTENSION = re.compile(rb"\x02[^\x03]*\x03")
_CLEAN = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,2000}")  # goes between quotes as it is
_ODD = re.compile(r"[^\t\x20-\x7e]")
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{1,40}")
_MAX_VALUE = 2000  # characters of a parameter


class Head(NamedTuple):
    """What is known of a part when its header has passed."""

    front: bytes  # type to encoding of a leaf: "text" "plain" (…) NIL NIL "7bit"
    md5: bytes
    back: bytes  # the rest of its extension data: disposition, language, location, each behind a blank
    params: bytes  # (…) or NIL
    subtype: bytes  # quoted
    envelope: bytes = EMPTY  # of the message that it encloses


def head(headers: Headers, part: Part, *, described: bool) -> Head:
    """Describe a part by its header; not *described*, by its type only."""
    fields = headers.fields
    if not described:
        headers, fields = Headers({}), {}
    value = headers.raw(b"content-type")
    is_usual = len(value) <= 60 and b"name" not in value and b"boundary" not in value
    if fields.keys() & DESCRIBING:
        params = _usual_params(value, part.type) if is_usual else _params(value, part.type)
        return _full_head(headers, part.type, part.encoding, params)
    return (_usual_head if is_usual else _plain_head)(value, part.type, part.encoding)


def _plain_head(value: bytes, kind: str, encoding: str) -> Head:
    return _head(kind, encoding, _params(value, kind), b"NIL NIL", b" NIL NIL NIL")


_usual_head = lru_cache(maxsize=1024)(_plain_head)


def _full_head(headers: Headers, kind: str, encoding: str, params: bytes) -> Head:
    fields = headers.fields
    ident = _first(fields.get(b"content-id"), opaque)
    described = _first(fields.get(b"content-description"), unstructured)
    location = _first(fields.get(b"content-location"), opaque)
    back = b" %s %s %s" % (
        _disposition(headers) if b"content-disposition" in fields else b"NIL",
        _language(headers.raw(b"content-language")) if b"content-language" in fields else b"NIL",
        location,
    )
    return _head(kind, encoding, params, ident + b" " + described, back, headers.raw(b"content-md5").strip())


def _first(values: list[bytes] | None, write: Callable[[bytes], bytes]) -> bytes:
    return write(values[0]) if values and values[0].strip() else b"NIL"


def _head(kind: str, encoding: str, params: bytes, middle: bytes, back: bytes, md5: bytes = b"") -> Head:
    major, _, minor = kind.partition("/")
    if major == "multipart":
        front = b'"text" "plain"'  # for one in which no part was found
    elif major == "message" and minor in {"rfc822", "global", "news"}:
        front = b'"message" "rfc822"'
    else:
        front = b'"%s" "%s"' % (major.encode(), minor.encode())
    written = opaque(encoding.encode("utf-8", "replace"))
    shown = params if major != "multipart" else b'("charset" "us-ascii")'
    return Head(
        front=b"%s %s %s %s" % (front, shown, middle, written),
        md5=opaque(md5) if md5 else b"NIL",
        back=back,
        params=params,
        subtype=quoted(minor.encode()),
    )


def _disposition(headers: Headers) -> bytes:
    value = headers.raw(b"content-disposition")
    if not value.strip():
        return b"NIL"
    kind, params = raw_parameters(value)
    shown = kind if re.fullmatch(r"[!-~]{1,60}", kind) else "attachment"
    return b"(%s %s)" % (quoted(shown.encode()), _parameters(params))


@lru_cache(maxsize=64)
def _language(value: bytes) -> bytes:
    found = _LANGUAGE.findall(value[:200].decode("ascii", "replace"))
    return b"(" + b" ".join(quoted(each.encode()) for each in found) + b")" if found else b"NIL"


def _params(value: bytes, kind: str) -> bytes:
    """Write the parameters of a Content-Type; text that names no charset is in US-ASCII (RFC 2045 §5.2)."""
    params = raw_parameters(value)[1] if value else []
    if kind.startswith("text/") and not any(name.startswith("charset") for name, _ in params):
        params = [*params, ("charset", "us-ascii")]
    return _parameters(params)


_usual_params = lru_cache(maxsize=1024)(_params)


def _parameters(params: Sequence[tuple[str, str]]) -> bytes:
    """Write parameters as they were sent; values that are not ASCII in the form of RFC 2231, odd names not at all."""
    written = []
    for name, value in params:
        if _CLEAN.fullmatch(name) and _CLEAN.fullmatch(value):
            written.append(f'"{name}" "{value}"'.encode())
            continue
        if _ODD.search(name) or '"' in name or "\\" in name:
            continue
        value = value[:_MAX_VALUE]
        if value.isascii():
            written.append(quoted(name.encode()) + b" " + quoted(_ODD.sub(" ", value).encode()))
        elif "*" not in name:
            encoded = "utf-8''" + quote(value.encode("utf-8", "replace"), safe="!#$&+-.^_`|~")
            written.append(quoted(name.encode() + b"*") + b" " + quoted(encoded.encode()))
    return b"(" + b" ".join(written) + b")" if written else b"NIL"


# --- the whole -----------------------------------------------------------------------------------------------------


def structure(root: Part, heads: Sequence[Head]) -> bytes:
    """Return the finished text, with its marks, for parts whose *heads* stand in the order in which they began."""
    return _structure(root, iter(heads))


def _structure(part: Part, heads: Iterator[Head]) -> bytes:
    head = next(heads)
    if part.type.startswith("multipart/") and part.parts:
        children = b"".join([_structure(child, heads) for child in part.parts])
        return b"(%s %s%s %s%s%s)" % (children, head.subtype, BEGIN, head.params, head.back, END)
    if is_message(part) and part.parts:
        child = _structure(part.parts[0], heads)
        inside = b"%s %d %s %s %d" % (head.front, part.size, head.envelope, child, part.lines)
    elif is_message(part):
        # Encoded or nested too deep: nobody could fetch what is inside.
        inside = b'"application" "octet-stream"%s %d' % (head.front.removeprefix(b'"message" "rfc822"'), part.size)
    elif part.type.startswith(("text/", "multipart/")):
        inside = b"%s %d %d" % (head.front, part.size, part.lines)
    else:
        inside = b"%s %d" % (head.front, part.size)
    return b"(%s%s %s%s%s)" % (inside, BEGIN, head.md5, head.back, END)


def bodystructure(text: bytes) -> bytes:
    """Return BODYSTRUCTURE as it is sent."""
    return text.translate(None, _MARKS)


def body(text: bytes) -> bytes:
    """Return BODY as it is sent: without extension data."""
    return _EXTENSION.sub(b"", text).translate(None, BCC)
