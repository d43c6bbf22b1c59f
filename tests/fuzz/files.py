"""Files that come along: Outlook's winmail.dat, ZIP and what is in it, Rich Text, drawings, and their names."""

from __future__ import annotations

import re

from cryptnsend.core import svg
from cryptnsend.core.errors import Denied
from cryptnsend.core.mime_names import safe_filename, titled, unique_names
from cryptnsend.dlp.budget import Budget, Limits, NotRead, TooMuch
from cryptnsend.dlp.files import LONGEST_PLACE, read_file
from cryptnsend.dlp.rtf import text_of_rtf
from cryptnsend.dlp.tnef import SIGNATURE, rich_text, unpack

LIMITS = Limits(message=1 << 20, unpacked=1 << 20, one=1 << 19, text=200_000, files=50, depth=4, pages=5)
FORBIDDEN = re.compile(r'[/\\<>:"|?*%\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]')


def tnef(octets: bytes) -> None:
    """What is inside comes out within its size, or the whole is refused."""
    for each in (octets, SIGNATURE + b"\0\0" + octets):
        try:
            found = unpack(each)
        except NotRead:
            continue
        assert sum(len(file.octets) for file in found.files) <= len(each)
        for kind, words, _ in found.texts:
            assert kind in {"text", "subject", "html", "rtf"}
            if kind == "rtf":
                compressed(words)
    compressed(octets)


def compressed(octets: bytes) -> None:
    """Compressed Rich Text gives what it announces at most."""
    try:
        text = rich_text(octets, 100_000)
    except NotRead:
        return
    assert len(text) <= max(100_000, len(octets))
    text_of_rtf(text)


def packed(octets: bytes) -> None:
    """A file is read within its limits whatever it is; what was not read is noted, with a place of one line."""
    budget = Budget(LIMITS)
    try:
        read_file(octets, "a.zip", "a.zip", budget)
    except TooMuch:
        return
    assert sum(len(piece.text) for piece in budget.pieces) <= LIMITS.text
    for _, where in budget.notes:
        assert len(where) <= LONGEST_PLACE
        assert where.isprintable()


def names(octets: bytes) -> None:
    """A name stays in its folder on every system, and beside its neighbours."""
    given = octets.decode("utf-8", "replace").split("\n")
    for name in given:
        for safe in (safe_filename(name), titled(name, ".eml")):
            assert 0 < len(safe.encode()) <= 180
            assert not FORBIDDEN.search(safe), safe
            assert not safe.startswith((".", "-", "~", " "))
            assert not safe.endswith((".", " "))
            assert safe_filename(safe) == safe
            assert not re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)", safe)
    unique = unique_names([safe_filename(name) for name in given])
    assert len({name.casefold() for name in unique}) == len(given)


def drawing(octets: bytes) -> None:
    """Of a drawing only what draws is left, and cleaning it again changes nothing."""
    try:
        found = svg.clean(octets)
    except Denied as reason:
        assert str(reason).isprintable()
        return
    assert not re.search(
        rb"(?i)<(?:script|foreignobject|animate|image|a\b|use|!)|\bon\w+=|javascript:|//(?!www)", found.octets
    )
    assert svg.clean(found.octets).octets == found.octets
