"""A result comes into the README with its picture, and the words around it stay."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks.programs import REPOSITORY
from tests.benchmarks.test_check import program

BENCHMARKS = REPOSITORY / "benchmarks"
PLACES = ("accept", "deliver", "mailbox", "memory", "memory-days", "portal")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def publishing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    before = set(sys.modules)
    module = program("publishing")
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "README", tmp_path / "README.md")
    yield module
    for name in set(sys.modules) - before:  # they have names that are anybody's: server, generator
        del sys.modules[name]


def test_every_result_has_one_place_in_the_readme_and_every_picture_there_exists() -> None:
    readme = (BENCHMARKS / "README.md").read_text()
    for place in PLACES:
        begin, end = (f"<!-- {place}: {word} -->\n" for word in ("begin", "end"))
        assert (readme.count(begin), readme.count(end)) == (1, 1), place
        assert readme.index(begin) < readme.index(end)
    pictures = re.findall(r"!\[[^\]]+\]\((\S+)\)", readme)
    assert {"accept.svg", "deliver.svg", "mailbox.svg", "memory.svg", "portal.svg"} <= set(pictures)
    for each in pictures:
        assert ElementTree.parse(BENCHMARKS / each).getroot().tag == f"{SVG}svg"


def test_what_is_published_replaces_what_stands_at_its_place_and_nothing_else(publishing: ModuleType) -> None:
    text = "# A\n\nbefore\n<!-- a: begin -->\nold\n<!-- a: end -->\nafter\n<!-- b: begin -->\nkept\n<!-- b: end -->\n"
    publishing.README.write_text(text)
    drawn = publishing.bars("Pages", {"a page": {"ratio": 12.0, "least": 9.0, "most": 15.0, "target": 50.0}}, "ms")
    publishing.publish("a", drawn, "a \\1 page", ["| x |", "|---|", "| \\g<0> |"], rounds=3, ends="All is well.")
    found = publishing.README.read_text()
    assert found.startswith("# A\n\nbefore\n<!-- a: begin -->\n")
    assert found.endswith("\nAll is well.\n<!-- a: end -->\nafter\n<!-- b: begin -->\nkept\n<!-- b: end -->\n")
    assert "![a \\1 page](a.svg)\n\n| x |\n|---|\n| \\g<0> |\n" in found
    assert "old" not in found
    assert "12.0 ms" in (publishing.HERE / "a.svg").read_text()


def test_a_place_that_is_missing_is_told_before_anything_is_measured(publishing: ModuleType) -> None:
    publishing.README.write_text("<!-- a: begin -->\n<!-- a: end -->\n")
    publishing.check(None)
    publishing.check("a")
    with pytest.raises(publishing.Failed, match="no place called b"):
        publishing.check("b")


def test_a_line_goes_through_every_value_within_its_frame() -> None:
    drawn = ElementTree.fromstring(program("picture").line("Evenings", [400.0, 410.0, 405.0], "MiB", "day"))
    points = [tuple(map(float, each.split(","))) for each in drawn.find(f"{SVG}polyline").get("points").split()]  # type: ignore[union-attr]
    _, _, wide, high = map(float, drawn.get("viewBox", "").split())
    assert len(points) == 3
    assert all(0 <= x <= wide and 0 <= y <= high for x, y in points)
    assert points[1][1] < points[2][1] < points[0][1]  # more is higher up
    assert "day 3" in [text.text for text in drawn.iter(f"{SVG}text")]
