"""What became slower is told; a picture shows what a benchmark found."""

from __future__ import annotations

import importlib.util
import json
import xml.etree.ElementTree as ElementTree
from types import ModuleType

import pytest

from tests.benchmarks.programs import REPOSITORY


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", REPOSITORY / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def looks(check: ModuleType, monkeypatch: pytest.MonkeyPatch, *found: dict[str, float]) -> list[dict[str, float]]:
    left = list(found)
    monkeypatch.setattr(check, "look", lambda _: left.pop(0))
    return left


def test_a_ratio_may_be_a_third_worse_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    check = program("check")
    left = looks(check, monkeypatch, *[{"a": 0.64, "b": 1.31}] * 3)
    assert check.compare("accept", {"a": 0.5, "b": 1.0}) == ["accept: b"]
    assert not left


def test_the_best_of_three_looks_counts_and_a_good_one_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    check = program("check")
    left = looks(check, monkeypatch, {"a": 2.0, "b": 1.0}, {"a": 1.1, "b": 9.0}, {"a": 0.1, "b": 0.1})
    assert check.compare("accept", {"a": 1.0, "b": 1.0}) == []
    assert len(left) == 1


def test_what_is_kept_and_not_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    check = program("check")
    looks(check, monkeypatch, *[{"a": 1.0}] * 3)
    assert check.compare("deliver", {"a": 1.0, "gone": 1.0}) == ["deliver: gone"]


def test_what_is_kept_is_the_median_of_three_looks_so_that_a_lucky_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    check = program("check")
    left = looks(check, monkeypatch, {"a": 0.4, "b": 3.0}, {"a": 1.0, "b": 2.0}, {"a": 1.1, "b": 0.1})
    assert check.typical("accept") == {"a": 1.0, "b": 2.0}
    assert not left


def test_ratios_are_kept_for_every_short_run() -> None:
    check = program("check")
    kept = json.loads(check.KEPT.read_text())
    assert kept.keys() == check.RUNS.keys()
    assert all(ratio > 0 for each in kept.values() for ratio in each.values())


def test_a_picture_has_a_bar_for_each_figure_and_takes_names_as_text() -> None:
    figures = {
        "<4k> & more": {"ratio": 0.5, "least": 0.4, "most": 0.6, "target": 0.7},
        "over": {"ratio": 1.5, "least": 1.4, "most": 1.6, "target": 0.7},
        "plain": {"ratio": 1.0, "least": 1.0, "most": 1.0, "target": None},
    }
    picture = program("picture")
    drawn = ElementTree.fromstring(picture.draw("A & B", figures))
    names = "{http://www.w3.org/2000/svg}"
    assert [bar.get("fill") for bar in drawn.iter(f"{names}rect")][1:] == [
        picture.BETTER, picture.OVER, picture.NEITHER,
    ]  # fmt: skip
    assert "<4k> & more" in [text.text for text in drawn.iter(f"{names}text")]
