"""Where does a link really lead, and does its host look like another one?

A reader judges a link by its words; these say what the words may hide. Pure: nothing is asked of the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from cryptnsend.core.addresses import display_domain
from cryptnsend.core.names import skeleton

Oddity = Literal["", "elsewhere", "alike", "foreign", "number", "login"]

_PLACE = 300  # characters shown of where a link leads
_CLAIM = re.compile(
    r"(?<![\w@.-])(?:https?://)?((?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,24})(?![\w-])", re.IGNORECASE
)
_NUMBER = re.compile(r"[0-9.]+|[0-9a-f.]*:[0-9a-f.:]*|0x[0-9a-f.x]+", re.IGNORECASE)
# Endings of file names that are no top-level domain anybody links to: "see report.pdf" claims no host.
_FILES = {"pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "txt", "jpg", "jpeg", "png", "gif", "csv", "htm", "html"}


class Target(NamedTuple):
    """Where a link leads: a host as A-labels, or the address or number of a mailto: or tel: link."""

    place: str
    odd: Oddity = ""  # what a reader should know before following it


def target(url: str, words: str, known: Iterable[str] = ()) -> Target:
    """
    Return where *url* leads, and what is odd about it for somebody who sees only *words*.

    `elsewhere`: the words name another host · `alike`: the host can be mistaken for one of *known* · `foreign`: it has
    letters beyond ASCII · `number`: it has no name · `login`: what stands before an @ looks like the host. Never
    raises.
    """
    try:
        parts = urlsplit(url.strip())
        host, has_login = parts.hostname or "", "@" in parts.netloc
    except ValueError:
        return Target(url[:_PLACE], "elsewhere")
    if parts.scheme.lower() in ("mailto", "tel"):
        return Target(unquote(parts.path)[:_PLACE])
    place = display_domain(host)[:_PLACE]
    if has_login:
        return Target(place, "login")
    if _NUMBER.fullmatch(place):
        return Target(place, "number")
    if any(_alike(place, each) for each in known):
        return Target(place, "alike")
    if "xn--" in place:
        return Target(place, "foreign")
    return Target(place, "elsewhere" if any(not _related(each, place) for each in _claims(words)) else "")


def _claims(words: str) -> set[str]:
    """Return the hosts that the words of a link name."""
    found = {display_domain(each.lower()) for each in _CLAIM.findall(words[:2000])}
    return {each for each in found if each.rpartition(".")[2] not in _FILES}


def _related(one: str, other: str) -> bool:
    """Tell whether two hosts are the same, or one stands below the other."""
    one, other = one.removeprefix("www."), other.removeprefix("www.")
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def _alike(host: str, known: str) -> bool:
    """Tell whether *host*, or a domain above it, reads like *known* or a domain above that, and is not the same."""
    if _related(host, known):
        return False
    for each in _domains(known):
        looks = skeleton(each)
        if any(other != each and skeleton(_seen(other)) == looks for other in _domains(host)):
            return True
    return False


def _domains(host: str) -> list[str]:
    labels = host.split(".")
    return [".".join(labels[at:]) for at in range(len(labels) - 1)]


def _seen(domain: str) -> str:
    """Return a domain as it would be read: its A-labels in the letters they stand for."""
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain
