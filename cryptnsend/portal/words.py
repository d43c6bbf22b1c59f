"""How are times, sizes, names and passwords put into words?

The filters of the templates. Times are written in UTC and marked up with `<time>`: the script of the pages rewrites
them in the reader's own zone; without it they say which zone they are in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from flask import Flask
from flask_babel import format_datetime, gettext, ngettext
from markupsafe import Markup, escape

from cryptnsend.languages import pattern
from cryptnsend.portal.language import spoken

TITLES = re.compile(r"(Dr|Prof|Mr|Mrs|Ms|Mx|Sr|Sra|Fr|Rev)\.?")
_PLAIN, _QUOTED = Markup("<p>{}</p>"), Markup("<blockquote><p>{}</p></blockquote>")
KINDS = (  # the beginning or end of a media type, and what people call such a file
    ("application/pdf", "PDF"),
    ("application/zip", "ZIP"),
    ("application/msword", "Word"),
    ("wordprocessingml.document", "Word"),
    ("application/vnd.ms-excel", "Excel"),
    ("spreadsheetml.sheet", "Excel"),
    ("presentationml.presentation", "PowerPoint"),
    ("application/vnd.oasis.opendocument.text", "OpenDocument"),
)


def register(app: Flask) -> None:
    """Give the templates of *app* these filters."""
    app.jinja_env.filters.update(
        when=when,
        size=size,
        kind=kind,
        short_name=short_name,
        spaced=spaced,
        paragraphs=paragraphs,
        people=people,
        field_time=field_time,
        field_day=field_day,
    )
    app.jinja_env.globals["day_groups"] = day_groups


def when(milliseconds: int, style: str = "short") -> Markup:
    """Return a `<time>` element for UTC *milliseconds*."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    words = _written(moment, pattern(style, spoken()))
    zone = "" if style in ("day", "date") else " UTC"
    return Markup('<time datetime="{}" data-style="{}">{}{}</time>').format(
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"), style, words, zone
    )


def field_time(milliseconds: int) -> str:
    """Return a time as the value of a field for date and time, in UTC."""
    return f"{datetime.fromtimestamp(milliseconds // 60_000 * 60, UTC):%Y-%m-%dT%H:%M}"


def field_day(milliseconds: int) -> str:
    """Return a day as the value of a field for dates, in UTC."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"


def day_groups(times: Sequence[int], now: int) -> list[str]:
    """Return the heading under which each of *times* (newest first) stands in a list."""
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    headings = []
    for each in times:
        day = datetime.fromtimestamp(each / 1000, UTC).date()
        age = (today - day).days
        if age <= 0:
            headings.append(gettext("Today"))
        elif age == 1:
            headings.append(gettext("Yesterday"))
        elif (day.year, day.month) == (today.year, today.month):
            headings.append(gettext("Earlier this month"))
        else:
            headings.append(_written(datetime(day.year, day.month, day.day, tzinfo=UTC), "MMMM yyyy"))
    return headings


def size(octets: int) -> str:
    """Return a size as people say it: decimal steps, as on their own computer."""
    if octets < 1000:
        return ngettext("%(num)d byte", "%(num)d bytes", octets)
    for unit, words in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "KB")):
        if octets >= unit:
            count = octets / unit
            return f"{count:.1f} {words}" if count < 10 and unit > 1000 else f"{count:.0f} {words}"
    raise AssertionError(octets)


def kind(media_type: str, name: str = "") -> str:
    """Return what people call a file of this type: PDF, Photo, or the ending of its name."""
    lower = media_type.lower()
    for known, words in KINDS:
        if lower.startswith(known) or lower.endswith(known):
            return words
    if lower.startswith("image/"):
        return gettext("Picture")
    if lower.startswith("text/"):
        return gettext("Text")
    ending = name.rpartition(".")[2] if "." in name else ""
    return ending.upper() if re.fullmatch(r"[A-Za-z0-9]{1,5}", ending) else gettext("File")


def short_name(name: str) -> str:
    """Return how the pages speak of a person the second time: "Dr. Ann Ruiz" is Dr. Ruiz, "Ann Ruiz" stays."""
    first, *rest = name.split() or [""]
    return f"{first} {rest[-1]}" if rest and TITLES.fullmatch(first) else name


def spaced(code: str) -> str:
    """Return digits as they are read aloud: 482 913, or 4829 1357 for eight."""
    half = len(code) // 2
    return f"{code[:half]} {code[half:]}" if len(code) >= 6 else code


def people(names: Sequence[str]) -> str:
    """Return names as a sentence part: A; A and B; A, B and C."""
    if len(names) <= 1:
        return "".join(names)
    return gettext("%(first)s and %(last)s", first=", ".join(names[:-1]), last=names[-1])


def paragraphs(text: str, line: Callable[[str], str] = escape) -> Markup:
    """Return plain text as paragraphs, lines kept, quoted parts set back; *line* escapes, and may mark, each line."""
    blocks: list[Markup] = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")):
        lines = block.split("\n")
        quoted = all(each.startswith(">") for each in lines)
        if quoted:
            lines = [each[1:].removeprefix(" ") for each in lines]
        inside = Markup("<br>").join(Markup(line(each)) for each in lines)  # noqa: S704 - *line* escaped it
        blocks.append((_QUOTED if quoted else _PLAIN).format(inside))
    return Markup("\n").join(blocks)


def _written(moment: datetime, pattern: str) -> str:
    return str(format_datetime(moment, pattern, rebase=False))  # type: ignore[no-untyped-call]
