"""What does a header block say, and which of its fields may nobody but the author see?

Reading a header never decides whether a message is taken: whatever cannot be read is empty, and the octets stay as
they are. The reader is on the accepting path, so it looks only at the fields it was asked for and decodes a value when
somebody wants it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from urllib.parse import unquote_to_bytes

from cryptnsend.core.addresses import Mailbox, parse_mailboxes
from cryptnsend.core.charsets import decode_text, decode_words, guess_text, one_line

_WANTED = frozenset(
    b"from to cc bcc reply-to sender subject date message-id in-reply-to references mime-version content-type "
    b"content-transfer-encoding content-disposition content-id content-description content-language content-location "
    b"content-md5 auto-submitted tls-required".split()
)
DESCRIBING = frozenset(  # fields of a part besides its type and encoding; most parts have none
    b"content-disposition content-id content-description content-language content-location content-md5".split()
)
_ENCODINGS = {name.encode(): name for name in ("7bit", "8bit", "binary", "quoted-printable", "base64")}
_MESSAGE_ID = re.compile(rb"<[^<>\s]{1,990}>")


class Headers:
    """The wanted fields of one header block; names are lower case, a missing field is empty."""

    __slots__ = ("fields",)

    def __init__(self, fields: dict[bytes, list[bytes]]):
        self.fields = fields

    def raw(self, name: bytes) -> bytes:
        """Return the unfolded octets of the first field of that name."""
        values = self.fields.get(name)
        return values[0] if values else b""

    def count(self, name: bytes) -> int:
        """Tell how many fields of that name there are."""
        return len(self.fields.get(name, ()))

    def text(self, name: bytes, limit: int = 1000) -> str:
        """Return the first field of that name decoded for display on one line, at most *limit* characters."""
        value = self.raw(name)
        if not value:
            return ""
        if value.isascii() and b"=?" not in value:
            return one_line(value.decode("ascii"), limit)
        return one_line(decode_words(guess_text(value[: limit * 12])), limit)

    @property
    def subject(self) -> str:
        """Return the subject, decoded from encoded-words and folding."""
        return self.text(b"subject")

    def mailboxes(self, name: bytes) -> list[Mailbox]:
        """Return the mailboxes of all fields of that name, in order."""
        values = self.fields.get(name)
        if not values:
            return []
        value = values[0] if len(values) == 1 else b",".join(values)
        return list(_usual_mailboxes(value)) if len(value) <= 200 else parse_mailboxes(guess_text(value).strip())

    def message_ids(self, name: bytes) -> list[str]:
        """Return the message ids of a field, each with its angle brackets (RFC 5322 §3.6.4)."""
        return [guess_text(ident) for ident in _MESSAGE_ID.findall(self.raw(name))]

    @property
    def content_type(self) -> tuple[str, dict[str, str]]:
        """
        Return media type and parameters (RFC 2045 §5).

        Without the field it is text/plain; what cannot be read is opaque. Where two fields contradict each other the
        first one counts, here and in every view of the message.
        """
        value = self.raw(b"content-type")
        if not value.strip():
            return "text/plain", {}
        kind, params = parse_parameters(value)
        if not _MEDIA_TYPE.fullmatch(kind):
            kind = "text/plain" if kind.startswith("text") else "application/octet-stream"
        return kind, params

    @property
    def encoding(self) -> str:
        """Return the content transfer encoding in lower case, 7bit where none is named (RFC 2045 §6.1)."""
        value = self.raw(b"content-transfer-encoding")
        if not value:
            return "7bit"
        if usual := _ENCODINGS.get(value.strip().lower()):
            return usual
        words = value.split(b";")[0].split()
        return one_line(guess_text(words[0].lower()), 40) if words else "7bit"

    @property
    def disposition(self) -> tuple[str, dict[str, str]]:
        """Return the disposition type in lower case ("" without the field) and its parameters (RFC 2183)."""
        value = self.raw(b"content-disposition")
        return parse_parameters(value) if value else ("", {})


@lru_cache(maxsize=2048)
def _usual_mailboxes(value: bytes) -> tuple[Mailbox, ...]:
    """Read a short address field. Remembered: people write to the same people, and always from the same address."""
    return tuple(parse_mailboxes(guess_text(value).strip()))


def header_end(octets: bytes) -> int:
    """Return the offset of the empty line that ends a header block, or the length of *octets* without one."""
    if octets.startswith(b"\r\n"):
        return 0
    end = octets.find(b"\r\n\r\n")
    return len(octets) if end < 0 else end + 2


def read_headers(octets: bytes) -> Headers:
    """Read a header block (it may end with the empty line, what follows is ignored); never raises."""
    octets = octets[: header_end(octets)]
    if b"\r\n " in octets or b"\r\n\t" in octets:
        octets = octets.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")
    fields: dict[bytes, list[bytes]] = {}
    for line in octets.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        name = name.rstrip().lower()
        if name in _WANTED and colon:
            if name in fields:
                fields[name].append(value)
            else:
                fields[name] = [value]
    return Headers(fields)


_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}")
_COMMENT = re.compile(r"\([^()\"]*\)")
_PARAMETER = re.compile(r';\s*([^\s=;"\x00-\x1f\x7f]{1,80})\s*=\s*(?:"((?:[^"\\]|\\.)*+)"?|([^;]*))', re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*([0-9]{1,3}))?(\*)?")


def parse_parameters(value: bytes) -> tuple[str, dict[str, str]]:
    """
    Read a field like Content-Type: its value in lower case, and its parameters, decoded.

    Understands continued and extended parameters (RFC 2231), and what else is sent: encoded-words inside quotes,
    unlabelled 8-bit octets, missing quotes. At most 60 parameters count; names are lower case.
    """
    if len(value) <= 60 and b"name" not in value.lower() and b"boundary" not in value.lower():
        kind, plain = _usual_parameters(value)  # "text/plain; charset=utf-8" and its kin: worth remembering
        return kind, dict(plain)
    return _parameters(value)


def _parameters(value: bytes) -> tuple[str, dict[str, str]]:
    kind, found = raw_parameters(value)
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bool, str]]] = {}
    for name, text in found:
        split = _SECTION.fullmatch(name) if "*" in name else None
        if split is None or (split[2] is None and split[3] is None):
            plain.setdefault(name, one_line(decode_words(text)))
        else:
            sections.setdefault(split[1], {}).setdefault(int(split[2] or 0), (bool(split[3]), text))
    plain.update((name, _joined(parts)) for name, parts in sections.items())
    return kind, plain


def raw_parameters(value: bytes) -> tuple[str, list[tuple[str, str]]]:
    """
    Read a field like Content-Type: its value in lower case, and its parameters as they were sent, in their order.

    Only quotes and comments are gone: sections and encodings stay as they are. At most 60 parameters count; names are
    lower case.
    """
    text = guess_text(value[:20_000])
    head, _, _ = text.partition(";")
    if "(" not in text and "\\" not in text:  # nearly every field: no comment and nothing escaped
        kind = one_line(head, 170).lower()
        if len(head) == len(text):
            return kind, []
        found = (match.groups() for match in islice(_PARAMETER.finditer(text), 60))
        return kind, [(name.lower(), inside or (bare or "").strip()) for name, inside, bare in found]
    return one_line(_COMMENT.sub("", head), 170).lower(), [
        (
            match[1].lower(),
            _COMMENT.sub("", match[3]).strip()
            if match[2] is None
            else match[2].replace('\\"', '"').replace("\\\\", "\\"),
        )
        for match in islice(_PARAMETER.finditer(text), 60)
    ]


_usual_parameters = lru_cache(maxsize=256)(_parameters)


def _joined(parts: dict[int, tuple[bool, str]]) -> str:
    """Join the sections of one parameter; the first extended one names the charset (RFC 2231 §4.1)."""
    octets, charset = b"", "utf-8"
    for at, number in enumerate(sorted(parts)):
        extended, value = parts[number]
        if extended and at == 0 and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        octets += unquote_to_bytes(value) if extended else value.encode("utf-8", "replace")
    return one_line(decode_text(octets, charset))


# --- fields that only the author may see ---------------------------------------------------------------------------

Cuts = list[tuple[int, bytes]]

# Besides Bcc: what clients note for themselves in drafts and queues, which may hold text or tell about the machine.
_HINTS = (b"bcc", b"fcc", b"x-mozilla", b"x-identity", b"x-account", b"x-k9mail", b"x-google", b"x-gm-", b"x-origin")
_PRIVATE = re.compile(
    rb"(?<=[\r\n])(?:(?:resent-)?bcc|fcc|x-mozilla-[^\s:]*|x-identity-key|x-account-key|x-k9mail-identity|x-google-[^\s:]*"
    rb"|x-gm-[^\s:]*|x-originating-ip)[\x00-\x20]*:[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*(?:\r\n|\r|\n)?",
    re.IGNORECASE,
)


def cut_bcc(header: bytes) -> tuple[bytes, Cuts]:
    """
    Take the fields out of a header block that only the author may see; return what is left and the cuts.

    Bcc and Resent-Bcc (RFC 5322 §3.6.3) in any spelling, number and folding, and fields that clients write for
    themselves. A cut is (offset in the original, octets with their line end); `restore_bcc` puts them back.
    """
    lower = header.lower()
    for hint in _HINTS:
        if hint in lower:
            break
    else:
        return header, []  # nearly every message: a loop, since a generator would cost more than the search
    fields = b"\n" + header[: header_end(header)]
    cuts = [(match.start() - 1, match[0]) for match in _PRIVATE.finditer(fields)]
    kept, at = [], 0
    for offset, octets in cuts:
        kept.append(header[at:offset])
        at = offset + len(octets)
    return b"".join((*kept, header[at:])), cuts


def restore_bcc(octets: bytes, cuts: Sequence[tuple[int, bytes]]) -> bytes:
    """Put the cuts back into the header block, or whole message, that `cut_bcc` took them from."""
    return b"".join(restore_stream((octets,), cuts))


def restore_stream(chunks: Iterable[bytes], cuts: Sequence[tuple[int, bytes]]) -> Iterator[bytes]:
    """Put the cuts back into a message that comes in pieces; memory stays flat."""
    waiting, done = list(cuts), 0  # done: octets of the original already given out
    for chunk in chunks:
        while waiting and waiting[0][0] <= done + len(chunk):
            offset, cut = waiting.pop(0)
            head, chunk = chunk[: offset - done], chunk[offset - done :]
            yield head
            yield cut
            done = offset + len(cut)
        yield chunk
        done += len(chunk)
    yield from (cut for _, cut in waiting)
