"""Keep the catalogues of web/translations in step with the words in the source: `make words`.

New words are added without a translation, so that the tests name them; words that nobody says any more are dropped.
Entries are sorted and carry no place in the source: then a change to one page is a change to its own words only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from cryptnsend.core import errors
from cryptnsend.languages import ENGLISH, FOLDER, LANGUAGES

ROOT = Path(__file__).resolve().parent.parent
KEYWORDS = {
    "_": None, "gettext": None, "lazy_gettext": None, "words": None, "ngettext": (1, 2), "Sentence": None,
}  # fmt: skip
METHODS = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract"), ("**.j2", "jinja2.ext:babel_extract")]
SPOKEN = ("cryptnsend/portal", "cryptnsend/flow", "web/templates", "web/mail", "web/pdf")
# Where steps are refused; what pages make of a Temporary says the page.
REFUSING = ("cryptnsend/core", "cryptnsend/scan", "cryptnsend/keeper", "cryptnsend/flow", "cryptnsend/portal")
REFUSALS = (errors.Denied, errors.Refusal, errors.Enough, errors.NotYet)
OWN_TEXT = (errors.TooBig, errors.Infected)  # made from what is no text
# What these say is read at a terminal, in a mail program or in a bounce, and on no page.
NO_PAGE = {
    "keeper": ("channel", "courier", "grants", "owner", "server", "wire"),
    "flow": (
        "arriving", "bounces", "destinations", "exporting", "gate", "joining", "journalmail", "keeping", "mailboxes",
        "owner", "ownerkeys", "parcels", "serving",
    ),
}  # fmt: skip
OPTIONS = {"**.html": {"trimmed": "false"}, "**.j2": {"trim_blocks": "true"}}
MADE = ("explain", "_why_not", "_no_number")  # methods that return a text which is marked where it is made
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
    for folder in REFUSING:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.stem not in NO_PAGE.get(path.parent.name, ()):
                yield from refusals(path)


def refusals(path: Path) -> Iterator[str]:
    """
    Yield what the refusals say that are made in the module at *path*.

    Raises SystemExit for a text that no catalogue could have, such as one with a figure in it that is no `Sentence`.
    """
    tree = ast.parse(path.read_text("utf-8"))
    kinds = _kinds(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Name) and node.func.id in kinds:
            try:
                yield from _texts(node.args[0], tree, path)
            except LookupError:
                raise SystemExit(
                    f"{path}:{node.lineno}: {ast.unparse(node.args[0])} cannot be translated: say it"
                    " as a plain text, or as a Sentence with holes."
                ) from None
        elif _is_call(node, "Sentence"):
            yield from _texts(node.args[0], tree, path)  # type: ignore[attr-defined]


def _kinds(tree: ast.Module) -> set[str]:
    """Return the names of the exceptions that a module raises with a text for people; its own are among them."""
    kinds = {each.__name__ for each in _below(*REFUSALS) if each not in OWN_TEXT and each.__module__ == errors.__name__}
    for each in ast.walk(tree):
        if not isinstance(each, ast.ClassDef):
            continue
        if kinds.intersection(base.id for base in each.bases if isinstance(base, ast.Name)):
            takes_text = not any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in each.body)
            kinds |= {each.name} if takes_text else set()
    return kinds


def _texts(said: ast.expr, tree: ast.Module, path: Path) -> Iterator[str]:
    """Yield the texts that an argument stands for; raises LookupError if that cannot be told."""
    if isinstance(said, ast.Constant) and isinstance(said.value, str):
        yield from (said.value,) if said.value else ()
    elif isinstance(said, ast.Dict):
        for each in said.values:
            yield from _texts(each, tree, path)
    elif isinstance(said, ast.Subscript):
        yield from _texts(said.value, tree, path)
    elif isinstance(said, ast.Name):
        values = [
            each.value for each in ast.walk(tree)
            if isinstance(each, ast.Assign) and any(isinstance(t, ast.Name) and t.id == said.id for t in each.targets)
        ]  # fmt: skip
        homes = [
            ROOT / f"{each.module.replace('.', '/')}.py" for each in ast.walk(tree)
            if isinstance(each, ast.ImportFrom) and each.module and any(name.name == said.id for name in each.names)
        ]  # fmt: skip
        if not values and not homes:
            raise LookupError(said.id)
        for value in values:
            yield from _texts(value, tree, path)
        for home in homes:
            yield from _texts(said, ast.parse(home.read_text("utf-8")), home)
    elif isinstance(said, ast.Attribute) and isinstance(said.value, ast.Name) and said.attr.isupper():
        other = path.with_name(f"{said.value.id}.py")
        yield from _texts(ast.Name(said.attr), ast.parse(other.read_text("utf-8")), other)
    elif not (
        _is_call(said, "Sentence", "gettext", "words", *MADE)  # seen to by themselves
        or (isinstance(said, ast.Attribute) and said.attr in ("text", "advice"))  # passed on
        or (isinstance(said, ast.Call) and isinstance(said.func, ast.Attribute) and said.func.attr in MADE)
    ):
        raise LookupError(ast.unparse(said))


def _is_call(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def _below(*kinds: type) -> Iterator[type]:
    for kind in kinds:
        yield kind
        yield from _below(*kind.__subclasses__())


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
