"""What is written in an office file? Open XML and OpenDocument are ZIP files of XML; every part of it is read."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Set

from cryptnsend.dlp.budget import Budget, Encrypted
from cryptnsend.dlp.kinds import kind_of
from cryptnsend.dlp.markup import text_of_xml

_CHUNK = 1 << 20
# Parts without words of their author: layout, fonts, how parts belong together. Whatever is not named here is read, and
# so is one of these that is no XML and a kind of file in which people write.
_LAYOUT = re.compile(
    r"(?:^|/)(?:\[content_types\]\.xml|(?:word|ppt|xl)/(?:theme/|styles|fonttable|websettings"
    r"|numbering|presprops|viewprops|tablestyles|calcchain|stylesWithEffects)[^/]*|mimetype|manifest\.rdf|(?<!word/)settings\.xml"
    r"|layout-cache|meta-inf/manifest\.xml|thumbnails?/[^/]*|docprops/thumbnail\.\w+|ppt/slidelayouts/[^/]*"
    r"|.*printersettings\d*\.bin|.*vbaproject(?:signature)?\w*\.bin|.*\.(?:odttf|fntdata|ttf|otf))$",
    re.IGNORECASE,
)
_SHEETS = re.compile(r"^xl/(?:worksheets/sheet\d*|sharedStrings|workbook)[^/]*\.xml$", re.IGNORECASE)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,64}<(?:\?xml|[a-zA-Z]{1,20}:)")


class Package:
    """The parts of an office file, each unpacked when it is asked for."""

    def __init__(self, members: Mapping[str, zipfile.ZipInfo], archive: zipfile.ZipFile, budget: Budget):
        self.members, self._archive, self._budget = members, archive, budget

    def octets(self, name: str) -> bytes:
        """Return a part, b"" if there is none of that name."""
        info = self.members.get(name)
        return member(self._archive, info, self._budget) if info is not None else b""


def is_package(names: Set[str]) -> bool:
    """Say whether these are the parts of an office file."""
    return "[Content_Types].xml" in names or ("mimetype" in names and "content.xml" in names)


def member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> bytes:
    """Return a member of an archive as far as may be read, whatever size it says it has; raise TooMuch."""
    most, out = budget.most(), bytearray()
    with archive.open(info) as file:
        while len(out) < most and (chunk := file.read(min(_CHUNK, most - len(out)))):
            out += chunk
    budget.unpack(len(out))
    return bytes(out)


def read(package: Package, where: str, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Read all XML into the budget's pieces, and yield every other part, which is a file of its own."""
    if b"encryption-data" in package.octets("META-INF/manifest.xml"):
        raise Encrypted
    has_sheets = any(_SHEETS.match(name) for name in package.members)
    for name in package.members:
        if has_sheets and _SHEETS.match(name):
            continue
        if _LAYOUT.search(name) and (name.casefold().endswith((".xml", ".rdf")) or not _is_written(package, name)):
            continue
        if name.casefold().endswith((".xml", ".rels", ".vml")):
            budget.add(where, text_of_xml(package.octets(name), budget.limits.text))
        elif (octets := package.octets(name)) and _XML.match(octets):
            budget.add(where, text_of_xml(octets, budget.limits.text))  # the package says which part is what
        else:
            yield name.rpartition("/")[2], octets


def _is_written(package: Package, name: str) -> bool:
    return kind_of(package.octets(name)) not in ("empty", "unknown", "ole", "picture")
