"""What do our mails say? One template per mail, with a face in plain text and one in HTML.

The words stand once, in web/mail/*.j2; `text.j2` and `html.j2` are the two faces. Nothing in them is fetched, pressed
or hidden: whole addresses, no buttons, no pictures. What people gave us, names and numbers, is looked at here before it
stands in a mail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cryptnsend.core.colour import HOUSE, on_dark
from cryptnsend.languages import catalogue, known, written

WIDTH = 70  # columns of the plain face
LINK, LINK_ON_DARK = HOUSE, "#84cfe6"  # the colour of links, as on pages

_PHONE = re.compile(r"(?=(?:[^0-9]*[0-9]){3})[0-9 +().\-/]{3,32}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?")
_IDENT = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>")


class Faces:
    """Renders mails from the templates in *folder*, in the reader's language where there is a catalogue for it."""

    def __init__(self, web: Path):
        self._web = web

    def render(
        self, name: str, language: str, subject: str, values: dict[str, Any], accent: str = ""
    ) -> tuple[str, str]:
        """Return (plain text, HTML) of one mail; *accent* is the colour of its links, "" for the house's."""
        text = self._environment(language, html=False).get_template(f"{name}.j2")
        html = self._environment(language, html=True)
        plain = text.render(values, face="text.j2")
        links = {"link_light": accent or LINK, "link_dark": on_dark(accent).ink if accent else LINK_ON_DARK}
        rows = html.get_template(f"{name}.j2").render({**values, **links}, face="html.j2")
        page = html.get_template("layout.html").render(
            rows=Markup(rows),  # noqa: S704 - it was escaped as it was rendered
            subject=subject,
            language=known(language),
            **links,
        )
        return plain.strip() + "\n", page

    def document(self, name: str, language: str, values: dict[str, Any]) -> str:
        """Return a document on paper, from the templates in web/pdf."""
        return _environment(self._web, "pdf", known(language), True).get_template(name).render(values)

    def words(self, language: str) -> NullTranslations:
        """Return the catalogue of a language; what is not in it stays English."""
        return catalogue(self._web, known(language))

    def _environment(self, language: str, *, html: bool) -> Environment:
        return _environment(self._web, "mail", known(language), html)


@cache
def _environment(web: Path, folder: str, language: str, html: bool) -> Environment:
    made = Environment(
        loader=FileSystemLoader(web / folder),
        autoescape=html,  # noqa: S701 - the other face is plain text, which has nothing to escape
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        auto_reload=False,  # each mail would ask the disk six times whether a template has changed
    )
    made.filters["wrapped"] = _wrapped
    said = catalogue(web, language)
    made.install_gettext_callables(said.gettext, said.ngettext, newstyle=True)  # type: ignore[attr-defined]
    return made


def _wrapped(words: str) -> str:
    """Wrap a paragraph; addresses and links stay whole."""
    # textwrap does the same at ten times the cost, which in a notice was a tenth of all work.
    lines, line = list[str](), ""
    for word in re.split(r"[ \t\r\n]+", str(words).strip()):
        if line and len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, line] if line else lines)


def day(milliseconds: int, language: str) -> str:
    """Return a day as "19 December 2026"."""
    return written(datetime.fromtimestamp(milliseconds / 1000, UTC), "day", language)


def moment(milliseconds: int, language: str) -> str:
    """Return a time as "Thursday 19 November 2026 at 17:42 UTC"; the reader's zone is not known to a mail."""
    return f"{written(datetime.fromtimestamp(milliseconds / 1000, UTC), 'sentence', language)} UTC"


def size_of(octets: int) -> str:
    """Return a size as people say it, in decimal steps: "214 KB", "1.5 MB"."""
    if octets < 1_000_000:
        return f"{max(1, round(octets / 1000))} KB"
    return f"{octets / 1_000_000:.1f} MB"


def phone_number(text: str) -> str:
    """Return a call-back number fit for a mail, on one line, or "" for what is none: no words, no links."""
    shown = " ".join(text.split())
    return shown.replace(" ", "\u00a0") if _PHONE.fullmatch(shown) else ""


def one_line(text: str) -> str:
    """Return words that were agreed on, as one line of at most 80 characters."""
    return " ".join(text.split())[:80]


def usable_ids(idents: Iterable[str]) -> list[str]:
    """Return those Message-IDs of strangers that may stand in a header of ours."""
    return [each for each in idents if _IDENT.fullmatch(each)]
