"""Keep the catalogues of web/translations in step with the words in the source: `make words`.

New words are added without a translation, so that the tests name them; words that nobody says any more are dropped.
Entries are sorted and carry no place in the source: then a change to one page is a change to its own words only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from cryptnsend.languages import ENGLISH, FOLDER, LANGUAGES

ROOT = Path(__file__).resolve().parent.parent
KEYWORDS = {
    "_": None, "gettext": None, "lazy_gettext": None, "words": None, "ngettext": (1, 2),
    # What people read on a page when a step was refused.
    "Denied": None, "Ended": None,
}  # fmt: skip
METHODS = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract"), ("**.j2", "jinja2.ext:babel_extract")]
SPOKEN = ("cryptnsend/portal", "cryptnsend/flow", "web/templates", "web/mail")
OPTIONS = {"**.html": {"trimmed": "false"}, "**.j2": {"trim_blocks": "true"}}
DEVELOPERS = {"style.html"}  # shown in the demonstration, to those who build pages

# Without dates and names: what git knows already would only make every change touch the same lines.
HEADER = """msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural}\\n"

"""

Words = str | tuple[str, ...]


def spoken() -> Iterator[Words]:
    """Yield all words that can be translated: a text, or (one, many) where a number decides."""
    for folder in SPOKEN:
        found = extract_from_dir(
            ROOT / folder, method_map=METHODS, options_map=OPTIONS, keywords=KEYWORDS, comment_tags=()
        )
        for name, _line, words, _comments, _context in found:
            if Path(name).name not in DEVELOPERS and words:
                yield words


def catalogue(language: str) -> Catalog:
    """Return the catalogue of a language as it is kept."""
    with (ROOT / "web" / FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


def main() -> None:
    """Rewrite each catalogue."""
    for language in LANGUAGES:
        if language == ENGLISH:
            continue
        kept = catalogue(language)
        fresh = Catalog(locale=language, header_comment="", fuzzy=False)
        for words in spoken():
            known = kept.get(words if isinstance(words, str) else words[0])
            # A text that is counted from now on needs a translation for each number.
            fits = known is not None and isinstance(known.string, tuple) == isinstance(words, tuple)
            fresh.add(words, known.string if fits else "")
        path = ROOT / "web" / FOLDER / f"{language}.po"
        with path.open("wb") as file:
            file.write(HEADER.format(language=language, plural=fresh.plural_forms).encode())
            write_po(file, fresh, width=118, no_location=True, omit_header=True, sort_output=True)
        missing = sum(1 for each in fresh if each.id and not each.string)
        print(f"{path.relative_to(ROOT)}: {len(fresh)} entries, {missing} without a translation")


if __name__ == "__main__":
    main()
