"""What stands in the cells of an Excel sheet? Row by row, each cell in its column, dates as dates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from xml.parsers import expat

from cryptnsend.dlp.budget import Budget, NotRead, TooMuch
from cryptnsend.dlp.office import Package

_DATES = frozenset((*range(14, 18), 22, *range(27, 37), *range(45, 48), *range(50, 59)))  # built-in number formats
_DATE_SIGNS = re.compile(r"y|d{1,4}|mmm", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_WIDEST = 16_384  # columns
_PADDED = 256  # empty cells that are shown in a row
_DAY_0 = date(1899, 12, 30)
_LAST = 2_958_465.0  # 31 December 9999


def read(package: Package, where: str, budget: Budget) -> None:
    """Read all sheets into the budget's pieces."""
    shared = _Strings().read(package.octets("xl/sharedStrings.xml"))
    is_date = _Formats().read(package.octets("xl/styles.xml"))
    budget.add(where, " ".join(_Names().read(package.octets("xl/workbook.xml"))))
    for name in package.members:
        if name.startswith("xl/worksheets/") and name.endswith(".xml") and "/_rels/" not in name:
            sheet = _Sheet(shared, is_date, budget.limits.text)
            sheet.read(package.octets(name))
            budget.add(where, "".join(sheet.out))


class _Reader:
    """Expat's events with local names; entities are refused."""

    def _parse(self, octets: bytes) -> None:
        if not octets:
            return
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = lambda name, attributes: self.start(name.rpartition(" ")[2], attributes)
        parser.EndElementHandler = lambda name: self.end(name.rpartition(" ")[2])
        parser.CharacterDataHandler = self.say
        parser.EntityDeclHandler = _refuse
        try:
            parser.Parse(octets, True)
        except expat.ExpatError:
            raise NotRead("no XML") from None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Hear that an element begins."""

    def end(self, name: str) -> None:
        """Hear that an element ends."""

    def say(self, text: str) -> None:
        """Hear text."""


class _Strings(_Reader):
    """The texts that cells refer to."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._run: list[str] = []
        self._is_text = False

    def read(self, octets: bytes) -> Sequence[str]:
        self._parse(octets)
        return self._texts

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._is_text = name == "t"
        if name == "si":
            self._run = []

    def end(self, name: str) -> None:
        self._is_text = False
        if name == "si":
            self._texts.append("".join(self._run))

    def say(self, text: str) -> None:
        if self._is_text:
            self._run.append(text)


class _Formats(_Reader):
    """Which cell formats are of dates."""

    def __init__(self) -> None:
        self._own: dict[str, bool] = {}
        self._formats: list[bool] = []
        self._is_inside = False

    def read(self, octets: bytes) -> Sequence[bool]:
        self._parse(octets)
        return self._formats

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            code = _QUOTED.sub("", attributes.get("formatCode", ""))
            self._own[attributes.get("numFmtId", "")] = bool(_DATE_SIGNS.search(code))
        elif name == "cellXfs":
            self._is_inside = True
        elif name == "xf" and self._is_inside:
            number = attributes.get("numFmtId", "0")
            self._formats.append(self._own.get(number, number.isdecimal() and int(number) in _DATES))

    def end(self, name: str) -> None:
        if name == "cellXfs":
            self._is_inside = False


class _Names(_Reader):
    """What sheets and ranges are called."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def read(self, octets: bytes) -> Sequence[str]:
        self._parse(octets)
        return self._names

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("sheet", "definedName"):
            self._names.append(attributes.get("name", ""))


class _Sheet(_Reader):
    """One sheet as lines of cells parted by tabs."""

    def __init__(self, shared: Sequence[str], is_date: Sequence[bool], most: int):
        self.out: list[str] = []
        self._shared, self._is_date, self._left = shared, is_date, most
        self._column, self._kind, self._style = 0, "", 0
        self._is_value, self._value = False, list[str]()
        self._is_outside = False  # headers, footers, and what else stands behind the cells

    def read(self, octets: bytes) -> None:
        self._parse(octets)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self._column = 0
        elif name == "c":
            column = _column(attributes.get("r", ""))
            if column > self._column:
                self._say("\t" * min(column - self._column, _PADDED))
                self._column = column
            self._kind, self._value = attributes.get("t", "n"), []
            style = attributes.get("s", "0")
            self._style = int(style) if style.isdecimal() else 0
        elif name in ("v", "t"):
            self._is_value = True
        elif name in ("oddHeader", "oddFooter", "evenHeader", "evenFooter", "firstHeader", "firstFooter"):
            self._is_outside = True

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._is_value = False
        elif name == "c":
            self._say(self._shown() + "\t")
            self._column += 1
        elif name == "row" or self._is_outside:
            self._is_outside = False
            self._say("\n")

    def say(self, text: str) -> None:
        if self._is_value:
            self._value.append(text)
        elif self._is_outside:
            self._say(text)

    def _say(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise TooMuch("text")
        self.out.append(text)

    def _shown(self) -> str:
        value = "".join(self._value)
        if self._kind == "s":
            at = int(value) if value.isdecimal() else -1
            return self._shared[at].replace("\n", " ") if 0 <= at < len(self._shared) else ""
        if self._kind == "n" and value:
            return _number(value, self._style < len(self._is_date) and self._is_date[self._style])
        return value.replace("\n", " ")


def _number(value: str, is_date: bool) -> str:
    """Return a number as a sheet shows it: a date as one, a whole number without a fraction or an exponent."""
    try:
        number = float(value)
    except ValueError:
        return value
    if is_date and 1 <= number <= _LAST:
        return (_DAY_0 + timedelta(days=int(number))).isoformat()
    if number.is_integer() and abs(number) < 1e19:
        return value if value.isdecimal() else str(int(number))
    return value


def _column(reference: str) -> int:
    """Return which column a cell such as C5 stands in, from 0; -1 where it does not say."""
    number = 0
    for sign in reference.upper():
        if not "A" <= sign <= "Z":
            break
        number = number * 26 + ord(sign) - 64
    return min(number, _WIDEST) - 1


def _refuse(*_: object) -> None:
    raise NotRead("entities")
