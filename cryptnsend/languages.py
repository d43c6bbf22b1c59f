"""Which languages do we speak, and where do the words come from?

English stands in the templates and the code; web/translations has a catalogue (PO) for every other language. It is
compiled in memory when a process first needs it: nothing is built, and a wheel and a checkout read the same file.
"""

from __future__ import annotations

import io
from datetime import datetime
from functools import cache
from pathlib import Path

from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "es": "Español"}  # each by its own name
FOLDER = "translations"  # inside web/

# Times as people write them, in Unicode's date field symbols (TR35): one entry per kind.
_PATTERNS = {
    ENGLISH: {
        "long": "EEEE d MMMM yyyy, HH:mm",
        "sentence": "EEEE d MMMM yyyy 'at' HH:mm",
        "short": "EEE d MMMM, HH:mm",
        "day": "d MMMM yyyy",
        "clock": "HH:mm",
        "date": "d MMM",
    },
    "es": {
        "long": "EEEE d 'de' MMMM 'de' yyyy, HH:mm",
        "sentence": "EEEE d 'de' MMMM 'de' yyyy 'a las' HH:mm",
        "short": "EEE d 'de' MMMM, HH:mm",
        "day": "d 'de' MMMM 'de' yyyy",
        "clock": "HH:mm",
        "date": "d MMM",
    },
}


def known(tag: str | None) -> str:
    """Return which language of ours a tag (RFC 5646) stands for; English for one that we do not speak."""
    primary = (tag or "").replace("_", "-").partition("-")[0].lower()
    return primary if primary in LANGUAGES else ENGLISH


@cache
def catalogue(web: Path, language: str) -> NullTranslations:
    """Return the words of *language* from the folder *web*; what is not in it stays English."""
    if language == ENGLISH or language not in LANGUAGES:
        return NullTranslations()
    compiled = io.BytesIO()
    with (web / FOLDER / f"{language}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def pattern(style: str, language: str) -> str:
    """Return how a time is written: *style* is long, sentence, short, day, clock or date."""
    return _PATTERNS[known(language)][style]


def written(at: datetime, style: str, language: str) -> str:
    """Return a time in words of *language*, without its zone."""
    return format_datetime(at, pattern(style, language), locale=known(language))
