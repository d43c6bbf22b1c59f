"""Is every word that people see translated, and does every translation fit?"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages import Catalog

from cryptnsend.config import web_root
from cryptnsend.languages import ENGLISH, LANGUAGES, catalogue, known

ROOT = Path(__file__).parents[2]
OTHERS = sorted(set(LANGUAGES) - {ENGLISH})
HOLES = re.compile(r"%\((\w+)\)[sd]")
ODD = re.compile(r"%(?!\(\w+\)[sd]|%)")


@pytest.fixture(scope="module")
def source() -> ModuleType:
    spec = importlib.util.spec_from_file_location("words", ROOT / "docs" / "words.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=OTHERS)
def kept(request: pytest.FixtureRequest, source: ModuleType) -> Catalog:
    found = source.catalogue(request.param)
    assert isinstance(found, Catalog)
    return found


def pairs(kept: Catalog) -> Iterator[tuple[str, str]]:
    """Yield each form of each entry with its translation."""
    for each in kept:
        if not each.id:
            continue
        if isinstance(each.id, str):
            yield each.id, str(each.string)
        else:
            yield from zip(each.id, each.string, strict=True)


def test_every_word_in_the_source_is_translated_and_nothing_else_is_kept(kept: Catalog, source: ModuleType) -> None:
    """`make words` brings the entries in; the translation is for whoever writes the words."""
    said = {each if isinstance(each, str) else each[0] for each in source.spoken()}
    entries = {each.id if isinstance(each.id, str) else each.id[0] for each in kept if each.id}
    assert said - entries == set()
    assert entries - said == set()
    assert [one for one, other in pairs(kept) if not other.strip()] == []
    assert len(said) > 1000


@pytest.mark.parametrize(
    ("code", "texts"),
    [
        ("raise Denied('This is no network.')", ["This is no network."]),
        ("raise Ended(OVER)\nOVER = 'Over.'", ["Over."]),
        ("raise WrongSecret(_WRONG[kind])\n_WRONG = {1: 'One.', 2: 'Two.'}", ["One.", "Two."]),
        ("raise Enough(Sentence('At most %(most)s.', most=3))", ["At most %(most)s."]),
        ("class Crowded(Denied): pass\nraise Crowded('Wait.')", ["Wait."]),
        ("raise NoGrant(error.text)\nraise KeyError('none of ours')", []),
    ],
)
def test_what_a_refusal_says_is_found(source: ModuleType, tmp_path: Path, code: str, texts: list[str]) -> None:
    (tmp_path / "room.py").write_text(code)
    assert sorted(set(source.refusals(tmp_path / "room.py"))) == texts


@pytest.mark.parametrize("said", ["f'Wait {days} days.'", "str(error)", "text", "'Wait ' + more"])
def test_a_refusal_that_could_not_be_translated_is_named(source: ModuleType, tmp_path: Path, said: str) -> None:
    (tmp_path / "room.py").write_text(f"raise Denied({said})")
    with pytest.raises(SystemExit, match=r"room\.py:1: .* cannot be translated"):
        list(source.refusals(tmp_path / "room.py"))


def test_a_translation_fills_the_same_holes(kept: Catalog) -> None:
    for one, other in pairs(kept):
        # One of a kind may be said without its number, as in "one day".
        assert set(HOLES.findall(other)) <= set(HOLES.findall(one)) | {"num"}, one
        assert set(HOLES.findall(one)) - {"num"} <= set(HOLES.findall(other)), one
        assert ODD.findall(other) == ODD.findall(one), one


def test_a_translation_brings_no_markup_of_its_own(kept: Catalog) -> None:
    for one, other in pairs(kept):
        assert not re.search(r"[<>]", other), one
        assert set(re.findall(r"https?:\S+", other)) <= set(re.findall(r"https?:\S+", one)), one


@pytest.mark.parametrize("language", OTHERS)
def test_the_catalogue_speaks(language: str) -> None:
    words = catalogue(web_root(), language)
    assert words.gettext("Sign in") != "Sign in"
    assert words.ngettext("%(num)d file", "%(num)d files", 1) != words.ngettext("%(num)d file", "%(num)d files", 2)
    assert words.gettext("nobody ever says this") == "nobody ever says this"


@pytest.mark.parametrize(
    ("tag", "language"), [("es-MX", "es"), ("ES", "es"), ("es_ES", "es"), ("de", "en"), ("", "en")]
)
def test_a_tag_stands_for_its_language(tag: str, language: str) -> None:
    assert known(tag) == language
