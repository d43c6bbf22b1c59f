"""Do real and odd messages read as their expectation beside them says?

`tests/vectors/mime/NN-name.eml` is a message as it is sealed, `NN-name.json` what must be seen of it. A new case is a
new pair of files.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from cryptnsend.core import mime

FOLDER = Path(__file__).parents[1] / "vectors" / "mime"
CASES = sorted(FOLDER.glob("*.eml"))


def seen(octets: bytes) -> dict[str, object]:
    """Return what a reader sees of the message, in the shape of the expectation files."""
    index = mime.index_message(octets)

    def decoded(part: mime.Part) -> str:
        return mime.part_text(part, [octets[part.body_start : part.body_end]], 1000)

    return {
        "subject": index.subject,
        "author": list(index.author) if index.author else None,
        "to": [list(mailbox) for mailbox in index.to],
        "ids": [index.message_id, *index.in_reply_to, *index.references],
        "parts": [[path, part.type, part.encoding, part.lines] for path, part in index.walk()],
        "bodies": [
            {kind: decoded(part) for kind, part in zip(("html", "text"), body, strict=True) if part}
            for body in mime.bodies(index)
        ],
        "attachments": [
            [a.path, a.name, a.type, *(["inline"] if a.inline else []), *(["dangerous"] if a.dangerous else [])]
            for a in mime.attachments(index, mime.bodies(index))
        ],
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_message_is_read_as_expected(case):
    assert seen(case.read_bytes()) == json.loads(case.with_suffix(".json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_the_index_does_not_depend_on_where_blocks_end(case):
    octets = case.read_bytes()
    whole = mime.index_message(octets)
    cuts = random.Random(case.stem)
    for size in (1, 2, 3, 7, 64, 0):
        indexer, at = mime.Indexer(), 0
        while at < len(octets):
            step = size or cuts.randrange(1, 200)
            indexer.feed(octets[at : at + step])
            at += step
        assert indexer.finish() == whole
    assert mime.Index.from_octets(whole.to_octets()) == whole


def test_every_case_has_its_expectation():
    assert {case.stem for case in CASES} == {path.stem for path in FOLDER.glob("*.json")}
    assert len(CASES) >= 30
