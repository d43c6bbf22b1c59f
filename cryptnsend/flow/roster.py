"""Whom does a list of people name, and who of them can be invited? A list is CSV, as any spreadsheet writes it.

It is judged line by line before anything is done, so that a list either goes through or changes nothing.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptnsend.core.addresses import canonical, check_elsewhere
from cryptnsend.core.contracts import Engine
from cryptnsend.core.errors import Denied
from cryptnsend.core.names import safe_display_name
from cryptnsend.flow.policies import Policies
from cryptnsend.store.records import accounts
from cryptnsend.store.records import domains as records

MOST_LINES, MOST_OCTETS = 500, 256 * 1024  # of a list of people
LONGEST_NAME, LONGEST_ADDRESS = 80, 254  # characters that are kept of each
FORMULA = ("=", "+", "-", "@", "'=", "'+", "'-", "'@")  # a spreadsheet that gets it back may run what begins so


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list that was brought: what it says, and what is wrong with it, "" if nothing."""

    number: int
    address: str
    name: str
    wrong: str


def words(text: str) -> str:
    """Mark a text that pages put into the reader's language."""
    return text


SUBSCRIBER_ALREADY = words("is a subscriber already")


def lines(octets: bytes, why_not: Callable[[str], str]) -> list[Line]:
    """
    Return what a list (CSV: address, name; headings or none) says, each line with what is wrong with it.

    *why_not* says what keeps an address from being invited, "" if nothing. Raises Denied for what is no such list.
    """
    if len(octets) > MOST_OCTETS:
        raise Denied("This list is too long. Bring it in pieces of 500 lines.")
    text = _decoded(octets)
    if text is None or "\0" in text:
        raise Denied("This is no list that can be read. Save it as CSV, with address and name.")
    sample = text.partition("\n")[0]
    mark = max(",;\t", key=sample.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
    except csv.Error:
        raise Denied("This is no list that can be read. Save it as CSV, with address and name.") from None
    return _judged(rows, why_not)


def why_not(
    engine: Engine, policies: Policies, domain: str, org: int, address: str, *, by_operator: bool = False
) -> str:
    """
    Return what keeps an address from being invited into an organisation; *domain* is the server's own.

    Who is a subscriber elsewhere on this server is told to its operator, and to nobody in an organisation: they are
    invited like somebody unknown, and learn by the mail that their account stands in the way.
    """
    try:
        who = canonical(address)
        check_elsewhere(who, domain)
    except ValueError:
        return words("is no mail address")
    except Denied:
        return words("is an address of this server")
    if not policies.now(org).may_subscribe(who):
        return words("is at a domain where this organisation has no subscribers")
    row = accounts.by_address(engine, who)
    if row is not None and row["org"] == org:
        return SUBSCRIBER_ALREADY
    if by_operator and row is not None and row["org"]:
        return words("cannot be invited")
    owner = records.owner(engine, who.rpartition("@")[2])
    if owner is not None and owner != org:
        return words("cannot be invited")
    return ""


def _decoded(octets: bytes) -> str | None:
    """Return the text: UTF-8, UTF-16 where it says so, or what Windows wrote before; None for none of them."""
    if octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return octets.decode("utf-16")
        except UnicodeDecodeError:
            return None
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def _judged(rows: Sequence[Sequence[str]], why_not: Callable[[str], str]) -> list[Line]:
    found: list[Line] = []
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        cells = [" ".join(each.split()) for each in row]
        if not any(cells) or (number == 1 and "@" not in "".join(cells)):
            continue  # an empty line, or the headings
        address = next((each for each in cells if "@" in each), cells[0])
        name = " ".join(each for each in cells if each and each != address)[:LONGEST_NAME]
        wrong = words("begins like a formula of a spreadsheet") if _is_formula(cells) else why_not(address)
        if not wrong and canonical(address) in seen:
            wrong = words("stands in this list already")
        if not wrong and name and not safe_display_name(name):
            wrong = words("the name cannot stand on a notice")
        if not wrong:
            seen.add(canonical(address))
        found.append(Line(number, address[:LONGEST_ADDRESS], name, wrong))
    if not found:
        raise Denied("There is nobody in this list. Each line has an address and a name.")
    if len(found) > MOST_LINES:
        raise Denied("This list is too long. Bring it in pieces of 500 lines.")
    return found


def _is_formula(cells: Sequence[str]) -> bool:
    return any(each.startswith(FORMULA) for each in cells)
