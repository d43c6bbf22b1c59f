"""What do MAIL and RCPT say? RFC 5321 §4.1.2, with the parameters of RFC 1870, 3461, 4954, 6152, 6531 and 8689.

Pure. What people's clients really send is taken (a blank after the colon, any case, no angle brackets); everything
else raises a `Refusal` with the reply that tells what is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from cryptnsend.core.addresses import canonical, fast_path
from cryptnsend.core.errors import Refusal, TooBig
from cryptnsend.submission.contract import Rcpt

_BRACKETS = re.compile(r'<[^<>"\s]*>(?=$| )')  # nearly every path there is: nothing in it that hides its end
_ROUTE = re.compile(r"@[^\s:<>]+(?:,@[^\s:<>]+)*:")  # RFC 5321 §4.1.2: to be accepted and ignored
_QUOTED = re.compile(r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"')
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\Z")
_XCHAR = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*\Z")
_UTF8_CHAR = re.compile(r"\\x\{([0-9A-F]{1,6})\}")


@dataclass(frozen=True, slots=True)
class Mail:
    """What a MAIL command said."""

    reverse_path: str
    size: int | None = None
    ret: Literal["FULL", "HDRS"] | None = None
    envid: str | None = None
    body_8bit: bool = False
    smtputf8: bool = False
    requiretls: bool = False


def read_mail(argument: str | None, *, limit: int, extended: bool, tls: bool) -> Mail:
    """
    Read what follows MAIL.

    *limit* is the largest message in octets; *extended* says that the client said EHLO, *tls* that REQUIRETLS is on
    offer. Raises `Refusal`, or `TooBig` when the declared SIZE is over the limit.
    """
    path, rest = _split(argument, "FROM:", "MAIL FROM:<address>")
    address = "" if path == "<>" else _address(path, status="5.1.7")
    if not rest:
        return Mail(_ascii_unless(address, allowed=False))
    _needs_ehlo(extended)
    parameters = _parameters(rest)
    smtputf8 = _flag(parameters, "SMTPUTF8")
    requiretls = tls and _flag(parameters, "REQUIRETLS")
    size = _size(parameters.pop("SIZE", "-"))
    ret = _one_of(parameters, "RET", {"FULL", "HDRS"})
    envid = parameters.pop("ENVID", "-")
    body = _one_of(parameters, "BODY", {"7BIT", "8BITMIME"})
    # RFC 4954 §5: whoever offers AUTH has to take this parameter; we only believe who signed in.
    parameters.pop("AUTH", None)
    _nothing_left(parameters, "MAIL")
    if size is not None and size > limit:
        raise TooBig(size, limit)
    return Mail(
        _ascii_unless(address, allowed=smtputf8),
        size=size,
        ret="FULL" if ret == "FULL" else "HDRS" if ret else None,
        envid=None if envid == "-" else xtext(envid, "ENVID", longest=100),
        body_8bit=body == "8BITMIME",
        smtputf8=smtputf8,
        requiretls=requiretls,
    )


def read_rcpt(argument: str | None, *, hostname: str, extended: bool, smtputf8: bool) -> Rcpt:
    """
    Read what follows RCPT.

    A bare `<postmaster>` is ours, at *hostname* (RFC 5321 §4.5.1). Raises `Refusal`.
    """
    path, rest = _split(argument, "TO:", "RCPT TO:<address>")
    address = f"postmaster@{hostname}" if path.lower() == "<postmaster>" else _address(path, status="5.1.3")
    address = _ascii_unless(address, allowed=smtputf8)
    if not rest:
        return Rcpt(address)
    _needs_ehlo(extended)
    parameters = _parameters(rest)
    notify = _notify(parameters.pop("NOTIFY", "-"))
    orcpt = parameters.pop("ORCPT", "-")
    _nothing_left(parameters, "RCPT")
    return Rcpt(address, notify, None if orcpt == "-" else _orcpt(orcpt))


def xtext(encoded: str | None, name: str, *, longest: int) -> str:
    """
    Decode xtext (RFC 3461 §4).

    Raises `Refusal` when it is longer than *longest*, malformed, or hides anything but printable ASCII: what is decoded
    here later stands in a header field of a delivery status notification.
    """
    if not encoded or len(encoded) > longest or not _XCHAR.match(encoded):
        raise _bad(f"{name} is not valid.")
    first, *others = encoded.split("+")
    decoded = "".join([first, *(chr(int(other[:2], 16)) + other[2:] for other in others)])
    if not (decoded.isascii() and decoded.isprintable()):
        raise _bad(f"{name} may contain printable ASCII only.")
    return decoded


def _bad(text: str) -> Refusal:
    return Refusal(text, code=501, status="5.5.4")


def _split(argument: str | None, keyword: str, usage: str) -> tuple[str, str]:
    """Return (path with its angle brackets, parameters)."""
    if argument is None or argument[: len(keyword)].upper() != keyword:
        raise _bad(f"Say {usage}")
    text = argument[len(keyword) :].strip(" \t")
    if plain := _BRACKETS.match(text):
        end = plain.end()
    elif text.startswith("<"):
        end = _closing_bracket(text) + 1
    else:
        end = text.find(" ") if " " in text else len(text)
    path, rest = text[:end], text[end:]
    if not path or (rest and not rest.startswith((" ", "\t"))):
        raise _bad(f"Say {usage}")
    return path if path.startswith("<") else f"<{path}>", rest.strip(" \t")


def _closing_bracket(text: str) -> int:
    start = 1
    if route := _ROUTE.match(text, 1):
        start = route.end()
    if quoted := _QUOTED.match(text, start):
        start = quoted.end()
    return text.find(">", start)


def _address(path: str, *, status: str) -> str:
    """Return the address in *path*, which has angle brackets, as it was written."""
    address = path[1:-1]
    if fast_path(address):
        return address
    if route := _ROUTE.match(address):
        address = address[route.end() :]
    if address != address.strip() or not address.isprintable():
        raise Refusal("This is not a valid mail address.", code=553, status=status)
    try:
        canonical(address)
    except ValueError as problem:
        raise Refusal(str(problem), code=553, status=status) from problem
    return address


def _ascii_unless(address: str, *, allowed: bool) -> str:
    if not allowed and not address.isascii():
        # RFC 6531 §3.5
        raise Refusal("An address with non-ASCII letters needs SMTPUTF8.", code=553, status="5.6.7")
    return address


def _needs_ehlo(extended: bool) -> None:
    if not extended:
        raise Refusal("Parameters need EHLO.", code=555, status="5.5.4")


def _parameters(text: str) -> dict[str, str | None]:
    """Return upper-case keyword → value as written, or None where there is no equals sign."""
    parameters: dict[str, str | None] = {}
    for word in text.split():
        keyword, equals, value = word.partition("=")
        keyword = keyword.upper()
        if not _KEYWORD.match(keyword) or keyword in parameters or (equals and not value):
            raise _bad("The parameters cannot be read.")
        parameters[keyword] = value if equals else None
    return parameters


def _flag(parameters: dict[str, str | None], keyword: str) -> bool:
    if keyword not in parameters:
        return False
    if parameters.pop(keyword) is not None:
        raise _bad(f"{keyword} takes no value.")
    return True


def _one_of(parameters: dict[str, str | None], keyword: str, values: set[str]) -> str | None:
    if keyword not in parameters:
        return None
    value = (parameters.pop(keyword) or "").upper()
    if value not in values:
        raise _bad(f"{keyword} can be {' or '.join(sorted(values))}.")
    return value


def _size(value: str | None) -> int | None:
    if value == "-":
        return None
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 20:  # RFC 1870 §5
        raise _bad("SIZE is a number of bytes.")
    return int(value)


def _notify(value: str | None) -> frozenset[str] | None:
    if value == "-":
        return None
    words = (value or "").upper().split(",")
    if words == ["NEVER"]:
        return frozenset()
    if not set(words) <= {"SUCCESS", "FAILURE", "DELAY"} or len(set(words)) != len(words):
        raise _bad("NOTIFY can be NEVER, or a list of SUCCESS, FAILURE and DELAY.")
    return frozenset(words)


def _orcpt(value: str | None) -> str:
    kind, semicolon, address = (value or "").partition(";")
    if not semicolon or not _KEYWORD.match(kind) or len(value or "") > 500:
        raise _bad("ORCPT is not valid.")
    if kind.lower() == "utf-8":
        return f"{kind};{_utf8_address(address)}"
    return f"{kind};{xtext(address, 'ORCPT', longest=500)}"


def _utf8_address(text: str) -> str:
    """Decode `utf-8-addr-xtext` or take `utf-8-addr-unitext` (RFC 6533 §3)."""
    try:
        decoded = _UTF8_CHAR.sub(lambda match: chr(int(match[1], 16)), text)
    except (ValueError, OverflowError):
        raise _bad("ORCPT is not valid.") from None
    if not decoded or not decoded.isprintable() or "\\" in _UTF8_CHAR.sub("", text):
        raise _bad("ORCPT is not valid.")
    return decoded


def _nothing_left(parameters: dict[str, str | None], command: str) -> None:
    if parameters:
        keyword = next(iter(parameters))
        raise Refusal(f"{command} parameter {keyword} is not supported.", code=555, status="5.5.4")
