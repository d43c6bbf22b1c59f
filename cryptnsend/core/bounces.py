"""What does a bounce say? RFC 3464 where programs write it, and the words of those that do not.

Which mail came back is known from the address that the bounce was sent to, never from its text: a bounce is written by
strangers. From here come only a verdict, a status code and one line of somebody's words. Pure; never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cryptnsend.core.charsets import guess_text, one_line
from cryptnsend.core.mime_decode import decode_part
from cryptnsend.core.mime_headers import Headers, header_end, read_headers
from cryptnsend.core.mime_index import Index, Part
from cryptnsend.core.mime_indexer import index_message

READ = 256 * 1024  # octets at the beginning of a bounce that are looked at; reports come before what they return
WORDS = 400  # characters kept of what a server said

Action = Literal["failed", "delayed", "delivered"]

_REPORTS = {"message/delivery-status", "message/global-delivery-status"}
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_CODE = re.compile(r"(?<![\d.])([45][0-5]\d)(?![\d.])")
_ACTIONS: dict[str, Action] = {
    "failed": "failed", "delayed": "delayed", "delivered": "delivered", "relayed": "delivered", "expanded": "delivered",
}  # fmt: skip
_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9-]*)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", re.MULTILINE)

# Who sends these, and under which subjects: a mail of neither kind is no bounce, whatever its text.
_SENDERS = re.compile(r"(?:mailer-?daemon|postmaster|mail-?delivery|mdaemon|microsoftexchange\w*|bounce\w*)@", re.I)
_SUBJECTS = re.compile(
    r"undeliver|returned mail|return(?:ed)? to sender|delivery (?:status|failure|has failed|report)|mail delivery|"
    r"failure notice|could ?n[o']t be delivered|non ?remis|unzustellbar|no se puede entregar|delivery problem",
    re.I,
)
_STILL_TRYING = re.compile(
    r"still being retried|will (?:continue to|keep) (?:try|attempt)|warning message only|delivery (?:is |has been )?"
    r"delayed|delayed delivery|not yet been delivered|do not need to resend|will be retried",
    re.I,
)
# Words of qmail, Exim, sendmail, Exchange, Yahoo and others, and the status that they mean (RFC 3463 §3).
_MEANINGS = (
    (re.compile(r"(?:mailbox|quota|inbox)\b.{0,40}\b(?:full|exceeded)|over ?quota|out of storage", re.I), "5.2.2"),
    (
        re.compile(
            r"(?:user|address|recipient|mailbox|account)\b.{0,40}\b(?:unknown|not found|does ?n[o']t exist|rejected|"
            r"invalid)|no such (?:user|mailbox|person|recipient|address)|unknown (?:user|recipient|address)|"
            r"no mailbox here by that name|unrouteable address",
            re.I,
        ),
        "5.1.1",
    ),
    (re.compile(r"(?:mailbox|account)\b.{0,40}\b(?:disabled|inactive|suspended|discontinued)", re.I), "5.2.1"),
    (re.compile(r"(?:host|domain)\b.{0,40}\b(?:not found|unknown|does ?n[o']t exist)", re.I), "5.1.2"),
    (re.compile(r"(?:message|mail)\b.{0,30}\b(?:too (?:large|big)|exceeds)", re.I), "5.3.4"),
    (re.compile(r"too many hops|mail loop|loops back", re.I), "5.4.6"),
    (re.compile(r"spam|blocked|policy|black ?list|not allowed|access denied|refused by", re.I), "5.7.1"),
    (re.compile(r"timed? ?out|expired|could not connect|connection refused|retry time not reached", re.I), "5.4.7"),
)


@dataclass(frozen=True, slots=True)
class Bounce:
    """
    What became of a mail after its next host had taken it.

    `status` is an enhanced code (RFC 3463), `code` an SMTP reply code or "", `words` one line of printable text, `host`
    the server that said it, or "". `standard` says that a report of RFC 3464 was read and not merely words.
    """

    action: Action
    status: str
    code: str
    words: str
    host: str
    standard: bool


def read_bounce(octets: bytes) -> Bounce | None:
    """Return what a mail says as a bounce, None if it is none; its first `READ` octets are looked at."""
    octets = octets[:READ]
    index = index_message(octets)
    for part in _parts(index.root):
        if part.type in _REPORTS:
            found = _report(guess_text(_content(octets, part)))
            if found is not None:
                return found
    return _by_words(octets, index)


def _report(text: str) -> Bounce | None:
    """Read the machine's half of a report (RFC 3464 §2): of several recipients, the one who fared worst."""
    bounces: list[Bounce] = []
    reporting = ""
    for block in re.split(r"(?:\r\n[ \t]*){2,}", text):
        fields = {name.lower(): _unfolded(value) for name, value in _FIELD.findall(block)}
        reporting = reporting or _host(fields.get("reporting-mta", ""))
        action = _ACTIONS.get(fields.get("action", "").partition(" ")[0].lower())
        if action is None:
            continue
        said = _typed(fields.get("diagnostic-code", ""))
        stated = _STATUS.search(fields.get("status", "")) or _STATUS.search(said)
        code = _CODE.search(said)
        default = {"failed": "5.0.0", "delayed": "4.0.0", "delivered": "2.0.0"}[action]
        status = stated[0] if stated and stated[1] == default[0] else default
        host = _host(fields.get("remote-mta", "")) or reporting
        bounces.append(Bounce(action, status, code[0] if code else "", _shown(said), host, standard=True))
    order = ("failed", "delayed", "delivered")
    return min(bounces, key=lambda each: order.index(each.action), default=None)


def _by_words(octets: bytes, index: Index) -> Bounce | None:
    """Read a bounce that says in prose what happened, as qmail, Exim and older servers write them."""
    headers = read_headers(octets)
    text = _prose(octets, index)
    if not _is_bounce(headers, octets, text):
        return None
    lines = [line.strip() for line in re.split(r"\r?\n", _before_copy(text)) if line.strip()]
    final = not _STILL_TRYING.search(" ".join([headers.subject, *lines])[:20_000])
    telling = _telling(lines, "45" if final else "4")
    stated = _STATUS.search(telling)
    code = _CODE.search(telling)
    meant = next((status for words, status in _MEANINGS if words.search(" ".join([telling, *lines])[:20_000])), "5.0.0")
    status = stated[0] if stated and stated[1] == "5" else meant
    if not final:
        status = "4" + status[1:]
    return Bounce(
        "failed" if final else "delayed", status, code[0] if code else "", _shown(telling), "", standard=False
    )


def _is_bounce(headers: Headers, octets: bytes, text: str) -> bool:
    if re.search(rb"^x-failed-recipients[ \t]*:", octets[: header_end(octets)], re.IGNORECASE | re.MULTILINE):
        return True  # Exim
    if text.lstrip().startswith("Hi. This is the"):  # the qmail-send program; and those that copied it
        return True
    author = headers.mailboxes(b"from")
    from_daemon = bool(author and _SENDERS.match(author[0].address))
    return from_daemon and bool(_SUBJECTS.search(headers.subject) or _SUBJECTS.search(text[:2000]))


def _telling(lines: list[str], classes: str) -> str:
    """Return the line that says why: with a status code, else with a reply code, else one that we understand."""
    for pattern in (_STATUS, _CODE):
        for line in lines:
            found = pattern.search(line)
            if found and found[1][0] in classes:
                return line
    return next((line for line in lines if any(words.search(line) for words, _ in _MEANINGS)), "")


def _before_copy(text: str) -> str:
    """Return a bounce's own words without the copy of our mail that follows them."""
    marks = (
        "--- Below this line is a copy",
        "------ This is a copy of",
        "----- Original message",
        "----- Forwarded message",
        "--- The header of the original message",
        "Original message headers",
    )
    ends = [at for mark in marks if (at := text.lower().find(mark.lower())) >= 0]
    return text[: min(ends, default=len(text))][:20_000]


def _prose(octets: bytes, index: Index) -> str:
    for part in _parts(index.root):
        if part.type == "text/plain" and part.disposition != "attachment":
            return guess_text(_content(octets, part))
    for part in _parts(index.root):
        if part.type == "text/html":
            return re.sub(r"<[^<>]*>", " ", guess_text(_content(octets, part)))
    return ""


def _content(octets: bytes, part: Part) -> bytes:
    return b"".join(decode_part(part, [octets[part.body_start : part.body_end]]))


def _parts(root: Part) -> Iterator[Part]:
    """Yield a bounce's own parts; what it returns of our mail is inside an enclosed message and none of them."""
    waiting = [root]
    while waiting:
        part = waiting.pop(0)
        yield part
        if part.type.startswith("multipart/"):
            waiting += part.parts


def _unfolded(value: str) -> str:
    return re.sub(r"\r\n[ \t]+", " ", value).strip()


def _typed(value: str) -> str:
    """Return a field of the form "type; text" without its type (RFC 3464 §2.1.2)."""
    kind, semicolon, text = value.partition(";")
    return text.strip() if semicolon and re.fullmatch(r"[A-Za-z0-9-]+", kind.strip()) else value


def _host(value: str) -> str:
    name = _typed(value).strip().lower()
    return name if re.fullmatch(r"[a-z0-9.-]{1,253}", name) else ""


def _shown(text: str) -> str:
    return one_line(text, WORDS)
