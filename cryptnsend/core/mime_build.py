"""How is a message of ours put together, and how is a subscriber's header made fit to leave in plain?

Built messages stream: attachments are encoded block by block. Every value goes through `mime_words`, which refuses
line breaks; nothing is pasted into a header.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.mime_headers import cut_bcc, header_end, read_headers
from cryptnsend.core.mime_names import safe_filename
from cryptnsend.core.mime_words import encode_field, encode_ids, encode_mailboxes, encode_token
from cryptnsend.core.subject import strip_token


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file to attach; its octets may come in blocks of any size."""

    name: str
    type: str  # media type as claimed; anything unusable becomes application/octet-stream
    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to build. `date` is UTC milliseconds; ids have their angle brackets."""

    author: Mailbox
    to: Sequence[Mailbox]
    subject: str
    date: int
    message_id: str
    text: str
    html: str = ""
    cc: Sequence[Mailbox] = ()
    bcc: Sequence[Mailbox] = ()  # for messages that are sealed: the admission cuts it out again, for the author alone
    reply_to: Sequence[Mailbox] = ()
    in_reply_to: Sequence[str] = ()
    references: Sequence[str] = ()
    enclosures: Iterable[Enclosure] = ()
    extra: Sequence[tuple[str, str]] = field(default=())  # further unstructured fields, like Auto-Submitted


def build_message(message: Outgoing) -> Iterator[bytes]:
    """
    Yield the octets of *message*, first the header block with its empty line (RFC 5322, RFC 2045).

    Raises ValueError on the first step if any value has a line break or an address or id is none: then nothing was
    made. The text is quoted-printable, so that no line is too long and no octet has its eighth bit set.
    """
    boundary = "=_" + sha256(message.message_id.encode("utf-8", "replace")).hexdigest()[:32]
    inner = f"{boundary}_a"
    mixed = not isinstance(message.enclosures, Sequence) or bool(message.enclosures)
    yield _header(message) + _body_header(boundary if mixed else inner, mixed=mixed, html=bool(message.html)) + b"\r\n"
    if not mixed:
        yield from _texts(message, inner)
        return
    yield f"--{boundary}\r\n".encode() + _body_header(inner, mixed=False, html=bool(message.html)) + b"\r\n"
    yield from _texts(message, inner)
    for enclosure in message.enclosures:
        yield f"\r\n--{boundary}\r\n".encode() + _enclosure_header(enclosure) + b"\r\n"
        yield from _encoded(enclosure.chunks)
    yield f"\r\n--{boundary}--\r\n".encode()


def _header(message: Outgoing) -> bytes:
    fields = [
        encode_field("Date", rfc_date(message.date)),
        encode_mailboxes("From", [message.author]),
        encode_mailboxes("To", message.to) if message.to else encode_field("To", "undisclosed-recipients:;"),
        encode_field("Subject", message.subject),
        encode_ids("Message-ID", [message.message_id]),
    ]
    if message.cc:
        fields.append(encode_mailboxes("Cc", message.cc))
    if message.bcc:
        fields.append(encode_mailboxes("Bcc", message.bcc))
    if message.reply_to:
        fields.append(encode_mailboxes("Reply-To", message.reply_to))
    if message.in_reply_to:
        fields.append(encode_ids("In-Reply-To", message.in_reply_to))
    if message.references:
        fields.append(encode_ids("References", message.references))
    fields += [encode_field(name, value) for name, value in message.extra]
    return b"".join((*fields, b"MIME-Version: 1.0\r\n"))


_QP = encode_token("Content-Transfer-Encoding", "quoted-printable")
_PLAIN = encode_token("Content-Type", "text/plain", {"charset": "utf-8"}) + _QP
_HTML = encode_token("Content-Type", "text/html", {"charset": "utf-8"}) + _QP


def _body_header(boundary: str, *, mixed: bool, html: bool) -> bytes:
    if mixed or html:
        return encode_token("Content-Type", f"multipart/{'mixed' if mixed else 'alternative'}", {"boundary": boundary})
    return _PLAIN


def _texts(message: Outgoing, boundary: str) -> Iterator[bytes]:
    if not message.html:
        yield quoted_printable(message.text)
        return
    for header, text in ((_PLAIN, message.text), (_HTML, message.html)):
        yield f"\r\n--{boundary}\r\n".encode() + header + b"\r\n" + quoted_printable(text)
    yield f"\r\n--{boundary}--\r\n".encode()


def quoted_printable(text: str) -> bytes:
    """Return *text* as the body of a quoted-printable part in UTF-8 (RFC 2045 §6.7), ending in CRLF."""
    lines = re.split(r"\r\n|\r|\n", text if text.endswith(("\r", "\n")) else f"{text}\n")
    return binascii.b2a_qp("\r\n".join(lines).encode("utf-8", "replace"), istext=True)


_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,60}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,80}")


def _enclosure_header(enclosure: Enclosure) -> bytes:
    kind = enclosure.type if _TYPE.fullmatch(enclosure.type) else "application/octet-stream"
    if kind.lower().startswith(("multipart/", "message/")):
        kind = "application/octet-stream"  # these may not be base64 (RFC 2046 §5.1, §5.2.1)
    name = safe_filename(enclosure.name)
    return (
        encode_token("Content-Type", kind, {"name": name})
        + encode_token("Content-Disposition", "attachment", {"filename": name})
        + encode_token("Content-Transfer-Encoding", "base64")
    )


_LINE = 57  # octets that make a base64 line of 76 digits


def _encoded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        held += chunk
        whole = len(held) - len(held) % _LINE
        if whole:
            yield _base64_lines(held[:whole])
            held = held[whole:]
    if held:
        yield _base64_lines(held)


def _base64_lines(octets: bytes) -> bytes:
    return b"".join(
        binascii.b2a_base64(octets[at : at + _LINE], newline=False) + b"\r\n" for at in range(0, len(octets), _LINE)
    )


def rfc_date(milliseconds: int) -> str:
    """Return a time as a Date field has it (RFC 5322 §3.3), in UTC."""
    return format_datetime(datetime.fromtimestamp(milliseconds // 1000, UTC))


# --- plain relay ---------------------------------------------------------------------------------------------------

# What must not leave: traces of the way here, and signatures that no longer hold. Sender would name somebody beside the
# author, who was checked, and DMARC does not look at it. Resent fields tell of an earlier trip, and to whom it went;
# here the mail leaves anew, from its author.
_TRACES = (
    rb"received|return-path|dkim-signature|domainkey-signature|x-google-dkim-signature|arc-[a-z-]+|sender"
    rb"|authentication-results|received-spf|delivered-to|x-original-to|from|resent-[a-z-]+|x-unsent"
)
_VALUE = rb"[\x00-\x20]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*(?:\r\n|\Z)"
_STRIPPED = re.compile(rb"(?<=\n)(?:" + _TRACES + rb"|reply-to)" + _VALUE, re.IGNORECASE)
_STRIPPED_BUT_REPLY_TO = re.compile(rb"(?<=\n)(?:" + _TRACES + rb")" + _VALUE, re.IGNORECASE)


def relay_header(header: bytes, *, author: Mailbox, reply_to: Mailbox | None, date: int, message_id: str) -> bytes:
    """
    Return a subscriber's header block as it leaves in plain; the octets of the body go unchanged behind it.

    From becomes *author*, and Reply-To *reply_to*; None keeps what the client wrote there. The token leaves the
    subject; Bcc and clients' private fields, traces and old signatures go. *date* (UTC milliseconds) and *message_id*
    are used where the client sent none (RFC 6409 §8).
    """
    header, _ = cut_bcc(header)
    end = header_end(header)
    stripped = _STRIPPED_BUT_REPLY_TO if reply_to is None else _STRIPPED
    fields = strip_token(stripped.sub(b"", b"\n" + header[:end])[1:])
    if fields and not fields.endswith(b"\r\n"):
        fields += b"\r\n"
    known = read_headers(fields)
    if not known.message_ids(b"message-id"):
        fields = _without(fields, b"message-id") + encode_ids("Message-ID", [message_id])
    if not known.raw(b"date").strip():
        fields = _without(fields, b"date") + encode_field("Date", rfc_date(date))
    own = encode_mailboxes("Reply-To", [reply_to]) if reply_to is not None else b""
    return encode_mailboxes("From", [author]) + own + fields + header[end:]


_ENTITY = re.compile(
    rb"(?<=\n)(content-type|content-transfer-encoding)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n", re.IGNORECASE
)


def entity_header(header: bytes) -> bytes:
    """
    Return the fields that say how a message's body is to be read, for that body as a part of another message.

    Of several fields of one kind the first counts. The empty line is not among them.
    """
    found: dict[bytes, bytes] = {}
    for name, value in _ENTITY.findall(b"\n" + header[: header_end(header)]):
        found.setdefault(name.lower(), value)
    names = {b"content-type": b"Content-Type", b"content-transfer-encoding": b"Content-Transfer-Encoding"}
    return b"".join(names[name] + b":" + value + b"\r\n" for name, value in found.items())


def _without(fields: bytes, name: bytes) -> bytes:
    pattern = rb"(?<=\n)" + re.escape(name) + rb"[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n"
    return re.sub(pattern, b"", b"\n" + fields, flags=re.IGNORECASE)[1:]
