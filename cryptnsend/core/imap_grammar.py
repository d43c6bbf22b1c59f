"""How is one IMAP command read? The grammar of RFC 3501 §9 and RFC 9051 §9 and of the extensions in `imap_commands`.

`parse` turns the parts of a command (`imap_tokens`) into one value; `read_append` tells the one literal that is a
message from all others before it is sent.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Sequence

from cryptnsend.core.imap_commands import (
    SIMPLE,
    STATUS_ITEMS,
    Append,
    Authenticate,
    Command,
    Copy,
    Create,
    Enable,
    Fetch,
    Id,
    List,
    Login,
    OnMailbox,
    Rename,
    Search,
    Select,
    Simple,
    Status,
    Store,
    UidExpunge,
)
from cryptnsend.core.imap_items import read_fetch_items
from cryptnsend.core.imap_search import read_charset, read_search_keys
from cryptnsend.core.imap_sequence import parse_set
from cryptnsend.core.imap_text import (
    BadCommand,
    canonical_flag,
    canonical_use,
    decode_pattern,
    parse_date_time,
)
from cryptnsend.core.imap_tokens import LARGEST_64, Scanner

_TAG = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]{1,200}")


def parse(parts: Sequence[bytes], *, utf8: bool = False) -> Command:
    """
    Read one whole command; *utf8* once the client enabled IMAP4rev2 or UTF8=ACCEPT.

    Raises BadCommand, with the command's tag if it has one, for whatever the grammar does not allow.
    """
    scanner = Scanner(parts, utf8=utf8)
    tag = b"*"
    try:
        tag = scanner.match(_TAG, "a tag")[0]
        scanner.space()
        command = _read(scanner, tag)
        scanner.end()
    except BadCommand as error:
        error.tag = tag
        raise
    return command


def read_append(parts: Sequence[bytes], size: int, *, utf8: bool = False) -> Append | None:
    """
    Read a command as far as the header of a literal of *size* octets, where *parts* end.

    Returns the APPEND whose message that literal is, None if it is any other literal; raises BadCommand, without a
    tag, for an APPEND that cannot be read.
    """
    scanner = Scanner((*parts, b"", b""), utf8=utf8)
    if not re.match(rb"[^ ]+ +append ", parts[0], re.IGNORECASE):
        return None
    tag = scanner.match(_TAG, "a tag")[0]
    scanner.space()
    scanner.atom()
    scanner.space()
    if scanner.sees_literal() and len(parts) == 1:
        return None  # the name of the mailbox
    mailbox = scanner.mailbox()
    scanner.space()
    flags: tuple[str, ...] = ()
    date = None
    if scanner.sees(b"("):
        flags = _flags(scanner.list_of(scanner.flag))
        scanner.space()
    if scanner.sees(b'"'):
        date = parse_date_time(scanner.string())
        scanner.space()
    if not scanner.sees_literal():
        raise BadCommand("Expected a message here, as a literal.")
    return Append(tag=tag, mailbox=mailbox, flags=flags, date=date, size=size)


def decode_base64(octets: bytes) -> bytes | None:
    """Return the octets of one line of SASL, None for the "*" that cancels; raise BadCommand for what is none."""
    octets = octets.strip()
    if octets == b"*":
        return None
    try:
        return binascii.a2b_base64(octets, strict_mode=True)
    except binascii.Error:
        raise BadCommand("This is not base64.") from None


def _read(scanner: Scanner, tag: bytes) -> Command:
    name = scanner.word()
    if name == "UID":
        scanner.space()
        name = scanner.word()
        if name == "EXPUNGE":
            scanner.space()
            return UidExpunge(tag=tag, messages=parse_set(scanner.set()))
        if name not in _WITH_UID:
            raise BadCommand("UID goes with COPY, EXPUNGE, FETCH, MOVE, SEARCH and STORE.")
        scanner.space()
        return _WITH_UID[name](scanner, tag, True)
    if name in SIMPLE:
        return Simple(tag=tag, name=name)
    if name in _WITH_UID:
        scanner.space()
        return _WITH_UID[name](scanner, tag, False)
    if name == "APPEND":
        raise BadCommand("APPEND needs a message, as a literal.")
    if name not in _READERS:
        raise BadCommand("This command is not known here.")
    scanner.space()
    return _READERS[name](scanner, tag, name)


def _id(scanner: Scanner, tag: bytes, name: str) -> Id:
    if not scanner.sees(b"("):
        if scanner.nstring() is not None:
            raise BadCommand("ID takes a list or NIL.")
        return Id(tag=tag, fields=None)
    words = scanner.list_of(scanner.nstring)
    if len(words) > 60 or len(words) % 2:
        raise BadCommand("ID takes at most 30 pairs of a name and a value.")
    text = ["" if word is None else word[:1024].decode("utf-8", "replace") for word in words]
    return Id(tag=tag, fields=dict(zip(text[::2], text[1::2], strict=True)))


def _login(scanner: Scanner, tag: bytes, name: str) -> Login:
    username = scanner.astring()
    scanner.space()
    return Login(tag=tag, username=username, password=scanner.astring())


def _authenticate(scanner: Scanner, tag: bytes, name: str) -> Authenticate:
    mechanism, initial = scanner.word(), None
    if scanner.more():
        initial = b"" if scanner.skip(b"=") else decode_base64(scanner.match(_BASE64, "base64")[0])
    return Authenticate(tag=tag, mechanism=mechanism, initial=initial)


_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")


def _enable(scanner: Scanner, tag: bytes, name: str) -> Enable:
    names = [scanner.word()]
    while scanner.more():
        names.append(scanner.word())
    return Enable(tag=tag, names=tuple(names))


def _select(scanner: Scanner, tag: bytes, name: str) -> Select:
    mailbox = scanner.mailbox()
    options = scanner.list_of(scanner.word) if scanner.more() else []
    if set(options) - {"CONDSTORE"}:
        raise BadCommand("The one parameter of SELECT that is known here is CONDSTORE.")
    return Select(tag=tag, mailbox=mailbox, read_only=name == "EXAMINE", condstore=bool(options))


def _create(scanner: Scanner, tag: bytes, name: str) -> Create:
    mailbox = scanner.mailbox()
    uses: list[bytes] = []
    if scanner.more():
        scanner.expect(b"(")
        if scanner.word() != "USE":
            raise BadCommand("The one parameter of CREATE that is known here is USE.")
        scanner.space()
        uses = scanner.list_of(scanner.flag)
        scanner.expect(b")")
    # Some clients create INBOX/ or Archive/ with the delimiter at the end, to say that names will follow below it.
    mailbox = mailbox.rstrip("/") or mailbox
    return Create(tag=tag, mailbox=mailbox, uses=tuple(canonical_use(use) for use in uses))


def _on_mailbox(scanner: Scanner, tag: bytes, name: str) -> OnMailbox:
    return OnMailbox(tag=tag, name=name, mailbox=scanner.mailbox())


def _rename(scanner: Scanner, tag: bytes, name: str) -> Rename:
    old = scanner.mailbox()
    scanner.space()
    return Rename(tag=tag, old=old, new=scanner.mailbox())


_SELECTION = {"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"}
_RETURNS = {"SUBSCRIBED", "CHILDREN", "SPECIAL-USE"}
_MAX_PATTERNS = 100


def _list(scanner: Scanner, tag: bytes, name: str) -> List:
    extended = scanner.sees(b"(")
    selection = frozenset(scanner.list_of(scanner.word)) if extended else frozenset()
    if extended:
        scanner.space()
    if selection - _SELECTION:
        raise BadCommand("A selection option of LIST is not known here.")
    if "RECURSIVEMATCH" in selection and not selection - {"RECURSIVEMATCH", "REMOTE"}:
        raise BadCommand("RECURSIVEMATCH goes with another selection option.")
    reference = decode_pattern(scanner.astring(), utf8=scanner.utf8)
    scanner.space()
    if scanner.sees(b"("):
        extended, patterns = True, scanner.list_of(scanner.list_mailbox)
    else:
        patterns = [scanner.list_mailbox()]
    if not 0 < len(patterns) <= _MAX_PATTERNS:
        raise BadCommand(f"LIST takes 1 to {_MAX_PATTERNS} patterns.")
    returns: set[str] = set()
    status: tuple[str, ...] = ()
    if scanner.more():
        extended = True
        if scanner.word() != "RETURN":
            raise BadCommand("Expected RETURN here.")
        scanner.space()

        def option() -> str:
            nonlocal status
            word = scanner.word()
            if word == "STATUS":
                scanner.space()
                status = _status_items(scanner)
            elif word not in _RETURNS:
                raise BadCommand("A return option of LIST is not known here.")
            return word

        returns = set(scanner.list_of(option))
    return List(
        tag=tag,
        name=name,
        reference=reference,
        patterns=tuple(decode_pattern(pattern, utf8=scanner.utf8) for pattern in patterns),
        selection=selection,
        returns=frozenset(returns - {"STATUS"}),
        status=status,
        extended=extended,
    )


def _status(scanner: Scanner, tag: bytes, name: str) -> Status:
    mailbox = scanner.mailbox()
    scanner.space()
    return Status(tag=tag, mailbox=mailbox, items=_status_items(scanner))


def _status_items(scanner: Scanner) -> tuple[str, ...]:
    items = tuple(dict.fromkeys(scanner.list_of(scanner.word)))
    if not items or set(items) - STATUS_ITEMS:
        raise BadCommand("The items of STATUS are " + " ".join(sorted(STATUS_ITEMS)) + ".")
    return items


_RETURN = re.compile(rb"return(?= |\Z)", re.IGNORECASE)


def _search(scanner: Scanner, tag: bytes, uid: bool) -> Search:
    returns = None
    if _RETURN.match(scanner.rest()):
        scanner.word()
        scanner.space()
        returns = frozenset(scanner.list_of(scanner.word)) or frozenset({"ALL"})
        if returns - {"MIN", "MAX", "ALL", "COUNT", "SAVE"}:
            raise BadCommand("A result option of SEARCH is not known here.")
        scanner.space()
    return Search(tag=tag, uid=uid, key=read_search_keys(scanner, read_charset(scanner)), returns=returns)


def _fetch(scanner: Scanner, tag: bytes, uid: bool) -> Fetch:
    messages = parse_set(scanner.set())
    scanner.space()
    items = read_fetch_items(scanner)
    since = _modifier(scanner, "CHANGEDSINCE") if scanner.more() else None
    return Fetch(tag=tag, uid=uid, messages=messages, items=items, changed_since=since)


def _modifier(scanner: Scanner, name: str) -> int:
    scanner.expect(b"(")
    if scanner.word() != name:
        raise BadCommand(f"The one modifier that is known here is {name}.")
    scanner.space()
    number = scanner.number(LARGEST_64)
    scanner.expect(b")")
    return number


_STORE = re.compile(rb"([+-]?)flags(\.silent)?(?= )", re.IGNORECASE)


def _store(scanner: Scanner, tag: bytes, uid: bool) -> Store:
    messages = parse_set(scanner.set())
    scanner.space()
    since = None
    if scanner.sees(b"("):
        since = _modifier(scanner, "UNCHANGEDSINCE")
        scanner.space()
    verb = scanner.match(_STORE, "FLAGS, +FLAGS or -FLAGS")
    scanner.space()
    if scanner.sees(b"("):
        flags = scanner.list_of(scanner.flag)
    else:
        flags = [scanner.flag()]
        while scanner.more():
            flags.append(scanner.flag())
    return Store(
        tag=tag,
        uid=uid,
        messages=messages,
        mode=verb[1],
        silent=bool(verb[2]),
        flags=_flags(flags),
        unchanged_since=since,
    )


def _flags(flags: Sequence[bytes]) -> tuple[str, ...]:
    r"""Read flags, each once. \Recent cannot be set; clients that copy all flags send it, and it is passed over."""
    if len(flags) > 100:
        raise BadCommand("A message may have at most 100 flags.")
    kept = [canonical_flag(flag) for flag in flags if flag.lower() != b"\\recent"]
    return tuple({flag.casefold(): flag for flag in kept}.values())


def _copy(scanner: Scanner, tag: bytes, uid: bool, *, move: bool = False) -> Copy:
    messages = parse_set(scanner.set())
    scanner.space()
    return Copy(tag=tag, uid=uid, move=move, messages=messages, mailbox=scanner.mailbox())


def _move(scanner: Scanner, tag: bytes, uid: bool) -> Copy:
    return _copy(scanner, tag, uid, move=True)


_WITH_UID: dict[str, Callable[[Scanner, bytes, bool], Command]] = {
    "COPY": _copy, "FETCH": _fetch, "MOVE": _move, "SEARCH": _search, "STORE": _store,
}  # fmt: skip
_READERS: dict[str, Callable[[Scanner, bytes, str], Command]] = {
    "AUTHENTICATE": _authenticate, "CREATE": _create, "DELETE": _on_mailbox, "ENABLE": _enable, "EXAMINE": _select,
    "ID": _id, "LIST": _list, "LOGIN": _login, "LSUB": _list, "RENAME": _rename, "SELECT": _select, "STATUS": _status,
    "SUBSCRIBE": _on_mailbox, "UNSUBSCRIBE": _on_mailbox, "XLIST": _list,
}  # fmt: skip
