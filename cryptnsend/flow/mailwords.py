"""What do our mails say? One template per mail, with a face in plain text and one in HTML.

The words stand once, in web/mail/*.j2; `text.j2` and `html.j2` are the two faces. Nothing in them is fetched, pressed
or hidden: whole addresses, no buttons, no pictures.
"""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from functools import cache
from gettext import NullTranslations, translation
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

WIDTH = 70  # columns of the plain face


class Faces:
    """Renders mails from the templates in *folder*, in the reader's language where there is a catalogue for it."""

    def __init__(self, folder: Path, catalogues: Path):
        self._folder, self._catalogues = folder, catalogues

    def render(self, name: str, language: str, subject: str, values: dict[str, Any]) -> tuple[str, str]:
        """Return (plain text, HTML) of one mail."""
        text = self._environment(language, html=False).get_template(f"{name}.j2")
        html = self._environment(language, html=True)
        plain = text.render(values, face="text.j2")
        rows = html.get_template(f"{name}.j2").render(values, face="html.j2")
        page = html.get_template("layout.html").render(rows=Markup(rows), subject=subject, language=language)  # noqa: S704 - it was escaped as it was rendered
        return plain.strip() + "\n", page

    def words(self, language: str) -> NullTranslations:
        """Return the catalogue of a language; what is not in it stays English."""
        return _catalogue(self._catalogues, language)

    def _environment(self, language: str, *, html: bool) -> Environment:
        return _environment(self._folder, self._catalogues, language, html)


@cache
def _catalogue(folder: Path, language: str) -> NullTranslations:
    return translation("messages", folder, [language], fallback=True)


@cache
def _environment(folder: Path, catalogues: Path, language: str, html: bool) -> Environment:
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=html,  # noqa: S701 - the other face is plain text, which has nothing to escape
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
    )
    made.filters["wrapped"] = _wrapped
    said = _catalogue(catalogues, language)
    made.install_gettext_callables(said.gettext, said.ngettext, newstyle=True)  # type: ignore[attr-defined]
    return made


def _wrapped(words: str) -> str:
    """Wrap a paragraph; addresses and links stay whole."""
    return "\n".join(textwrap.wrap(" ".join(str(words).split()), WIDTH, break_long_words=False, break_on_hyphens=False))


def day(milliseconds: int) -> str:
    """Return a day as "19 December 2026"."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{at.day} {at:%B %Y}"


def moment(milliseconds: int) -> str:
    """Return a time as "Thursday 19 November 2026 at 17:42 UTC"; the reader's zone is not known to a mail."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{at:%A} {at.day} {at:%B %Y} at {at:%H:%M} UTC"
