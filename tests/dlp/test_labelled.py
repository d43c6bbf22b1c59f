"""How much of what is labelled is found, and how much of what is found is labelled? The labels: tests/vectors/dlp."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptnsend.core.dlp.detect import REASONS, RULES
from cryptnsend.core.dlp.own import Own, check
from cryptnsend.dlp.nursery import Job, look
from tests.dlp.documents import mail

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "dlp"
SETS = sorted(VECTORS.glob("*.jsonl"))
PRECISION, RECALL = 0.95, 0.98


def cases(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the cases of one set."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield json.loads(line)


def found_in(case: dict[str, Any]) -> set[str]:
    """Return the names of the rules that find something in a case."""
    given = case.get("rules", {})
    own = Own(given.get("mrn", ""), tuple(given.get("words", ())), tuple(given.get("patterns", ())))
    check(own)
    files = {case["name"]: (VECTORS / "files" / case["file"]).read_bytes()} if "file" in case else {}
    octets = mail(case.get("text", ""), subject=case.get("subject", ""), html=case.get("html", ""), files=files)
    return {each.rule for each in look(octets, Job(own=own))}


def figures(sets: list[Path]) -> tuple[float, float, list[str]]:
    """Return precision, recall and what went wrong, over pairs of case and rule."""
    count, wrong = Counter[str](), []
    for file in sets:
        for case in cases(file):
            expected, found = set(case["expected"]), found_in(case)
            count["right"] += len(expected & found)
            for kind, rules in (("missed", expected - found), ("false", found - expected)):
                count[kind] += len(rules)
                wrong += [f"{file.stem} {case['id']}: {kind} {rule} ({case.get('note', '')})" for rule in sorted(rules)]
    right = count["right"]
    return right / max(right + count["false"], 1), right / max(right + count["missed"], 1), wrong


def test_the_description_of_the_set_names_every_rule() -> None:
    described = (VECTORS / "README.md").read_text()
    assert [name for name in (*RULES, *REASONS) if f"| `{name}` |" not in described] == []


def test_sets_are_written_as_their_description_says() -> None:
    idents = [(file, case["id"]) for file in SETS for case in cases(file)]
    assert len(idents) == len(set(idents))
    for case in (case for file in SETS for case in cases(file)):
        assert set(case) <= {"id", "text", "subject", "html", "file", "name", "rules", "expected", "note"}, case["id"]
        assert set(case["expected"]) <= {*RULES, *REASONS}, case["id"]
        assert len(set(case["expected"])) == len(case["expected"]), case["id"]
        assert ("file" in case) == ("name" in case), case["id"]


def test_labelled_mail_is_told_apart_as_well_as_the_page_says() -> None:
    page = (VECTORS.parents[2] / "docs" / "dlp.md").read_text("utf-8")
    rows = {
        row.split("`")[1]: row.split(" | ")[1:] for row in page.splitlines() if row.startswith("| `") and "1.0" in row
    }
    for file in SETS:
        precision, recall, wrong = figures([file])
        assert rows[file.stem] == [str(sum(1 for _ in cases(file))), f"{precision:.3f}", f"{recall:.3f} |"]
        told = f"{file.stem}: precision {precision:.3f}, recall {recall:.3f}\n" + "\n".join(wrong)
        print(told)
        assert precision >= PRECISION, told
        assert recall >= RECALL, told
