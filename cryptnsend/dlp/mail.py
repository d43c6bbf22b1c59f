"""What does a mail say? Its header, its texts, and its files, mail in mail as far as it goes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from cryptnsend.core.charsets import decode_words, guess_text
from cryptnsend.core.mime_decode import decode_part, is_decodable
from cryptnsend.core.mime_headers import header_end
from cryptnsend.core.mime_index import Part, is_message
from cryptnsend.core.mime_indexer import index_message
from cryptnsend.dlp.budget import Budget, Encrypted, NotRead, TooMuch
from cryptnsend.dlp.files import place, read_enclosed, read_file, text_of
from cryptnsend.dlp.kinds import kind_of
from cryptnsend.dlp.markup import has_tags, text_of_html
from cryptnsend.dlp.signatures import is_signature

HEADER, SUBJECT, TEXT = "header", "subject", "text"  # places that people are told in their own language
# Fields that programs write for programs; whatever else there is, a person may have written.
_MACHINES = frozenset(
    b"received dkim-signature arc-seal arc-message-signature arc-authentication-results authentication-results"
    b" date mime-version content-type content-transfer-encoding content-id"
    b" content-disposition return-path thread-index x-mailer user-agent dkim-filter x-received"
    b" x-google-dkim-signature x-gm-message-state x-google-smtp-source x-ms-exchange-crosstenant-id autocrypt"
    b" content-language x-originating-ip x-universally-unique-identifier x-ms-has-attach x-ms-tnef-correlator"
    b" resent-date resent-message-id list-unsubscribe list-id feedback-id x-uniform-type-identifier x-mozilla-keys"
    b" x-identity-key x-account-key x-mozilla-draft-info content-md5 openpgp face x-face".split()
)
_NAMING = frozenset((b"message-id", b"in-reply-to", b"references"))  # a person may write beside the names of mails
_MESSAGE_ID = re.compile(r"<[^\s<>@]++@[^\s<>@]++>")
_ENVELOPED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_ENCRYPTED = frozenset({"application/pgp-encrypted", "multipart/encrypted"})
_USUAL = frozenset({"", "7bit", "8bit", "binary", "base64", "quoted-printable"})
_OTHERWISE = re.compile(r"utf-?(?:7|16|32)|ibm|cp\d|ebcdic|iso-2022|hz", re.IGNORECASE)  # no extension of ASCII
_PARAMETER = re.compile(r";\s*([^\s=;\"]{1,60})\s*=\s*(?:\"([^\"]*+)\"|([^\s;]*+))")
_TECHNICAL = frozenset(
    (
        "boundary",
        "charset",
        "format",
        "delsp",
        "size",
        "protocol",
        "micalg",
        "smime-type",
        "method",
        "reply-type",
        "type",
    )
)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


def read_mail(octets: bytes, where: str, budget: Budget, depth: int = 0) -> None:
    """Read a mail into the budget's pieces; *where* is "" for the mail itself."""
    budget.enter(depth)
    if b"\r\n" not in octets[:2000]:
        octets = octets.replace(b"\n", b"\r\n")
    index = index_message(octets)
    if index.truncated:
        raise TooMuch("parts")
    _read_part(index.root, octets, where, budget, depth, is_root=True)


def _read_part(part: Part, octets: bytes, where: str, budget: Budget, depth: int, *, is_root: bool) -> None:
    if depth > budget.limits.depth:
        raise TooMuch("depth")
    _read_header(octets[part.header_start : part.body_start], where, budget)
    for said in (part.name, part.description, *_parameters(octets[part.header_start : part.body_start])):
        budget.add(where or HEADER, said)
    if part.type == "message/partial" or _is_ambiguous(octets[part.header_start : part.body_start]):
        budget.notes.append((NotRead.rule, _place(part, where)))
    if part.type in _ENCRYPTED or (part.type in _ENVELOPED and part.params.get("smime-type") != "signed-data"):
        budget.notes.append((Encrypted.rule, place(where, part.name) if part.name else where or TEXT))
        return
    if part.parts:
        _read_gaps(part, octets, where, budget, is_root=is_root)
        for inner in part.parts:
            within = place(where, part.name or "message.eml") if is_message(part) else where
            _read_part(inner, octets, within, budget, depth + is_message(part), is_root=is_message(part))
        return
    if part.type.startswith("multipart/") and part.size > 0:
        budget.notes.append((NotRead.rule, where or TEXT))  # without parts that could be found
        return
    if not is_decodable(part):
        budget.notes.append((NotRead.rule, _place(part, where)))
        return
    body = b"".join(decode_part(part, (octets[part.body_start : part.body_end],)))
    budget.unpack(len(body))
    if is_signature(part.type, body):
        return
    if _is_words(part, body):
        _read_words(part, body, _place(part, where), budget, depth)
        if part.encoding not in _USUAL:  # not every program knows it, and who does not shows the body as it came
            budget.add(_place(part, where), guess_text(octets[part.body_start : part.body_end]))
        return
    read_file(body, part.name, _place(part, where), budget, depth, part.type)


def _read_words(part: Part, body: bytes, where: str, budget: Budget, depth: int) -> None:
    charset = part.params.get("charset", "")
    text = text_of(body, charset)
    if part.type == "text/html" or has_tags(text):
        budget.add(where, text_of_html(text))
    if part.type != "text/html":  # its reader sees all of it, also what would be hidden in HTML
        budget.add(where, text)
    if _OTHERWISE.match(charset) and body.isascii():
        budget.add(where, guess_text(body))  # a label that is not true, or a program that does not know it
    if part.type == "text/plain" and part.params.get("format", "").casefold() == "flowed":
        joined = "" if part.params.get("delsp", "").casefold() == "yes" else " "
        budget.add(where, text.replace(" \r\n", joined))
    read_enclosed(text, where, budget, depth)


def _parameters(block: bytes) -> Iterator[str]:
    """Yield what stands behind the type and the disposition of a part, in every form that programs read."""
    for name, value in _fields(block[: header_end(block)]):
        if name in (b"content-type", b"content-disposition"):
            for each in _PARAMETER.findall(guess_text(value)):
                if each[0].casefold().rstrip("*0123456789") not in _TECHNICAL:
                    yield decode_words(unquote(each[1] or each[2]))


def _is_ambiguous(block: bytes) -> bool:
    """Say whether a part says twice what it is or how it is encoded: programs differ in which they believe."""
    names = [name for name, _ in _fields(block[: header_end(block)])]
    return any(names.count(each) > 1 for each in (b"content-type", b"content-transfer-encoding"))


def _read_gaps(part: Part, octets: bytes, where: str, budget: Budget, *, is_root: bool) -> None:
    """Read what stands before, between and after the parts of a multipart: mail programs hide it, but it travels."""
    at, gaps = part.body_start, []
    for inner in part.parts:
        gaps.append(octets[at : inner.header_start])
        at = inner.body_end
    gaps.append(octets[at : len(octets) if is_root and not where else part.body_end])
    said = guess_text(b"\n".join(gap for gap in gaps if gap.strip()))
    if boundary := part.params.get("boundary", ""):
        said = said.replace(f"--{boundary}", "")  # a boundary's digits mean nothing
    budget.add(where or TEXT, said)


def _is_words(part: Part, body: bytes) -> bool:
    """Say whether a part is text that a reader sees as it is, in the charset that it says."""
    if not part.type.startswith("text/") or part.type in ("text/rtf", "text/richtext"):
        return False
    if part.name and part.disposition == "attachment":
        return False  # a file, whose kind its octets tell
    return kind_of(body) in ("text", "html", "empty") or bool(
        re.match(r"utf-?(?:16|32)|iso-2022|hz", part.params.get("charset", ""), re.IGNORECASE)
    )


def _place(part: Part, where: str) -> str:
    if part.name:
        return place(where, part.name)
    return where or (TEXT if part.type.startswith("text/") else "attachment")


def _read_header(block: bytes, where: str, budget: Budget) -> None:
    for name, value in _fields(block[: header_end(block)]):
        if name not in _MACHINES:
            text = decode_words(guess_text(value)).strip()
            if name in _NAMING:
                text = _MESSAGE_ID.sub(" ", text)
            budget.add(where or (SUBJECT if name == b"subject" else HEADER), text)


def _fields(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in _FOLD.sub(b"", block).split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            yield name.strip().lower(), value.strip()
        elif line.strip():
            yield b"", line.strip()  # no field, but it travels
