"""What stands in the cells of an Excel sheet? Row by row, each cell in its column, dates as dates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

from cryptnsend.dlp.budget import Budget, TooMuch
from cryptnsend.dlp.markup import parse
from cryptnsend.dlp.office import Package

_DATES = frozenset((*range(14, 18), 22, *range(27, 37), *range(45, 48), *range(50, 59)))  # built-in number formats
_DATE_SIGNS = re.compile(r"y|d{1,4}|mmm", re.IGNORECASE)
_SOCIAL = re.compile(r"000-00-0000")  # Excel's own form of it, which it gives numbers
_QUOTED = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_WIDEST = 16_384  # columns
_PADDED = 256  # empty cells that are shown in a row
_DAY_0 = date(1899, 12, 30)
_LAST = 2_958_465.0  # 31 December 9999


def read(package: Package, where: str, budget: Budget) -> None:
    """Read all sheets into the budget's pieces."""
    shared = _Strings().read(package.octets("xl/sharedStrings.xml"))
    shown: set[int] = set()
    formats = _Formats().read(package.octets("xl/styles.xml"))
    budget.add(where, " ".join(_Names().read(package.octets("xl/workbook.xml"))))
    for name in package.members:
        if name.startswith("xl/worksheets/") and name.endswith(".xml") and "/_rels/" not in name:
            sheet = _Sheet(shared, formats, budget.limits.text)
            sheet.read(package.octets(name))
            budget.add(where, "".join(sheet.out))
            budget.add(where, "\n".join(sheet.aside))
            shown |= sheet.shown
    # Texts of cells that were cleared, or of sheets elsewhere, stay in the file.
    budget.add(where, "\n".join(text for at, text in enumerate(shared) if at not in shown))


class _Reader:
    """Expat's events with local names; entities are refused."""

    def _parse(self, octets: bytes) -> None:
        if not octets:
            return
        parse(
            octets,
            lambda name, attributes: self.start(name.rpartition(" ")[2], attributes),
            lambda name: self.end(name.rpartition(" ")[2]),
            self.say,
        )

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
    """What each cell format shows a number as: a date, a social (security number), or "" as it is."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {}
        self._formats: list[str] = []
        self._is_inside = False

    def read(self, octets: bytes) -> Sequence[str]:
        self._parse(octets)
        return self._formats

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            code = attributes.get("formatCode", "")
            is_date = _DATE_SIGNS.search(_QUOTED.sub("", code)) is not None
            is_social = _SOCIAL.search(re.sub(r'[\\"]', "", code)) is not None
            self._own[attributes.get("numFmtId", "")] = "date" if is_date else "social" * is_social
        elif name == "cellXfs":
            self._is_inside = True
        elif name == "xf" and self._is_inside:
            number = attributes.get("numFmtId", "0")
            known = "date" * (number.isdecimal() and int(number) in _DATES)
            self._formats.append(self._own.get(number, known))

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
            self._names += (attributes.get("name", ""), attributes.get("comment", ""))

    def say(self, text: str) -> None:
        self._names.append(text)


class _Sheet(_Reader):
    """One sheet as lines of cells parted by tabs."""

    def __init__(self, shared: Sequence[str], formats: Sequence[str], most: int):
        self.out: list[str] = []
        self.aside: list[str] = []  # formulas, lists to choose from, hints
        self.shown: set[int] = set()  # which of the shared texts
        self._shared, self._formats, self._left = shared, formats, most
        self._column, self._kind, self._style = 0, "", 0
        self._is_value, self._value = False, list[str]()
        self._is_outside = False  # headers and footers

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
        elif name in ("dataValidation", "hyperlink"):
            for word in ("prompt", "promptTitle", "error", "errorTitle", "display", "tooltip", "location"):
                self._note(attributes.get(word, ""))
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
        else:
            self._note(text)

    def _say(self, text: str) -> None:
        self._count(text)
        self.out.append(text)

    def _note(self, text: str) -> None:
        if text and not text.isspace():
            self._count(text)
            self.aside.append(text)

    def _count(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise TooMuch("text")

    def _shown(self) -> str:
        value = "".join(self._value)
        if self._kind == "s":
            at = int(value) if value.isdecimal() else -1
            self.shown.add(at)
            return self._shared[at].replace("\n", " ") if 0 <= at < len(self._shared) else ""
        if self._kind == "n" and value:
            return _number(value, self._formats[self._style] if self._style < len(self._formats) else "")
        return value.replace("\n", " ")


def _number(value: str, shown_as: str) -> str:
    """Return a number as a sheet shows it: a date as one, a whole number without a fraction or an exponent."""
    try:
        number = float(value)
    except ValueError:
        return value
    if shown_as == "social" and number.is_integer() and 0 < number < 1e9:
        digits = f"{int(number):09}"
        return f"{digits[:3]}-{digits[3:5]}-{digits[5:]}"
    if shown_as == "date" and 1 <= number <= _LAST:
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
