"""What does a message say about itself, and where in its octets does each part stand?

The index is made while the message streams into the sealer (`mime_indexer`) and is sealed beside it, so that lists,
single attachments and the IMAP door read ranges of the sealed octets and never the whole. Offsets count in the message
as sealed, that is after `cut_bcc`; Bcc is never in an index. docs/vault-format.md §2 specifies the octets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from cryptnsend.core.addresses import Mailbox

VERSION = 2
MAX_KEPT = 16 * 1024  # octets of a header block that are kept in the index; for a longer one the message is read


class Part(msgspec.Struct, omit_defaults=True, rename={"header_start": "h", "body_start": "b", "body_end": "e"}):
    """One MIME entity. Its header is octets[header_start:body_start], its body octets[body_start:body_end]."""

    header_start: int
    body_start: int = 0
    body_end: int = 0
    type: str = "text/plain"
    params: dict[str, str] = {}
    encoding: str = "7bit"
    disposition: str = ""  # inline, attachment, or ""
    disposition_params: dict[str, str] = {}
    name: str = ""  # file name as the author gave it: only for display after `safe_filename`
    cid: str = ""  # content id without angle brackets
    description: str = ""
    language: str = ""
    location: str = ""
    md5: str = ""
    lines: int = 0  # of the body; only for text/* and message/rfc822
    subject: str = ""  # of an enclosed message
    parts: list[Part] = []  # of a multipart, or the one message inside message/rfc822

    @property
    def size(self) -> int:
        """Octets of the body as encoded."""
        return self.body_end - self.body_start


class ImapText(msgspec.Struct, frozen=True):
    """
    What FETCH answers, finished; `imap_envelope` and `imap_structure` write it, `imap_sections` reads it.

    *header* is the header block with its empty line, b"" if it has more than MAX_KEPT octets.
    """

    envelope: bytes
    structure: bytes
    header: bytes


class Index(msgspec.Struct, omit_defaults=True):
    """What a message says about itself, for lists and the reading page."""

    root: Part
    size: int  # octets of the message as sealed
    v: int = 1  # what a version above 1 has is always written
    subject: str = ""
    author: Mailbox | None = None
    reply_to: list[Mailbox] = []
    to: list[Mailbox] = []
    cc: list[Mailbox] = []
    date: str = ""  # the Date field as sent
    message_id: str = ""  # with angle brackets, as all ids here
    in_reply_to: list[str] = []
    references: list[str] = []
    auto: str = ""  # Auto-Submitted, "" and "no" mean a person wrote it (RFC 3834)
    truncated: bool = False  # too many parts, levels or fakes: the rest is only in the raw message
    imap: ImapText | None = None  # None in version 1; not part of the JSON

    def to_octets(self) -> bytes:
        """Return the index as JSON, and behind it, after an octet 0, the texts for IMAP, each with its length."""
        if self.imap is None:
            return _ENCODER.encode(self)
        said = _ENCODER.encode(msgspec.structs.replace(self, imap=None))
        a, b, c = self.imap.envelope, self.imap.structure, self.imap.header
        size = _LENGTH.pack
        return b"".join((said, b"\0", size(len(a)), a, size(len(b)), b, size(len(c)), c))

    @classmethod
    def from_octets(cls, octets: bytes) -> Index:
        """Read what `to_octets` wrote, of this version or an earlier one; raise ValueError for anything else."""
        said, behind, _ = octets.partition(b"\0")
        try:
            index = _DECODER.decode(said)
            index.imap = imap_text(octets) if behind else None
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError("These octets are no message index.") from error
        if not 1 <= index.v <= VERSION:
            raise ValueError(f"Message index version {index.v} is not known here.")
        return index

    def walk(self) -> Iterator[tuple[str, Part]]:
        """
        Yield each part with its path, numbered as IMAP does (RFC 3501 §6.4.5).

        A lone body is "1", a multipart root "", and the multipart of an enclosed message has its enclosure's path.
        """
        stack = [("" if self.root.parts and not is_message(self.root) else "1", self.root)]
        while stack:
            path, part = stack.pop()
            yield path, part
            children = part.parts
            if is_message(part) and children and children[0].parts and not is_message(children[0]):
                stack.append((path, children[0]))
            else:
                prefix = f"{path}." if path else ""
                stack += [(f"{prefix}{n}", child) for n, child in enumerate(children, 1)][::-1]

    def part(self, path: str) -> Part:
        """Return the part at that path, of two the enclosing one; raise KeyError if there is none."""
        for found, part in self.walk():
            if found == path:
                return part
        raise KeyError(path)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Index)
_LENGTH = struct.Struct(">I")
_length_at = _LENGTH.unpack_from


def imap_text(octets: bytes) -> ImapText | None:
    """
    Return only the texts for IMAP of a sealed index, None if it has none (version 1); much cheaper than the whole.

    Raises ValueError for octets that end too early.
    """
    at = octets.find(b"\0") + 1
    if not at:
        return None
    try:
        envelope = at + 4 + _length_at(octets, at)[0]
        structure = envelope + 4 + _length_at(octets, envelope)[0]
        header = structure + 4 + _length_at(octets, structure)[0]
    except struct.error:
        header = len(octets) + 1
    if header > len(octets):
        raise ValueError("These octets are no message index.")
    return ImapText(octets[at + 4 : envelope], octets[envelope + 4 : structure], octets[structure + 4 : header])


def is_message(part: Part) -> bool:
    """Tell whether the part encloses a message."""
    return part.type in {"message/rfc822", "message/global", "message/news"}
