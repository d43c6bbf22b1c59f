"""Commands are read as `tests/vectors/imap/commands.jsonl` says, and nothing a stranger sends gets past the one error.

Each line of the file has the parts of a command (text, literal, …, text) and what it is read as, or the answer that
refuses it.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.imap import BadCommand, parse
from cryptnsend.core.imap_grammar import decode_base64, read_append

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "vectors" / "imap" / "commands.jsonl").read_text("utf-8").splitlines()
]


def shown(value: object) -> object:
    """Return a command as JSON can hold it; its tag is told by the answers."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            each.name: shown(getattr(value, each.name)) for each in dataclasses.fields(value) if each.name != "tag"
        }
        return {type(value).__name__: fields}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [shown(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: "".join(case["command"]))
def test_a_command_is_read_as_expected(case):
    parts = tuple(part.encode(case.get("charset", "utf-8")) for part in case["command"])
    if "answer" in case:
        with pytest.raises(BadCommand) as caught:
            parse(parts)
        assert caught.value.answer().decode() == case["answer"] + "\r\n"
    else:
        assert shown(parse(parts)) == case["is"]


def test_the_vectors_cover_every_command_and_say_no_as_often_as_they_should():
    assert len([case for case in CASES if "is" in case]) >= 80
    assert len([case for case in CASES if "answer" in case]) >= 50


words = st.sampled_from(
    [b" ", b" ", b" ", b"\x00", b"\xff", *b"""
a UID FETCH SEARCH STORE LIST SELECT LOGIN STATUS ID APPEND CREATE COPY AUTHENTICATE ENABLE 1:* $ ( ) " BODY[ ] 1.2
HEADER .FIELDS <0.1> FLAGS +FLAGS \\Seen NOT OR FROM x RETURN INBOX * % CHARSET UTF-8 SINCE 1-Feb-2026 CHANGEDSINCE USE
&AOQ- & \\ {1}
""".split()]
)  # fmt: skip
texts = st.lists(words | st.binary(max_size=3), max_size=12).map(b"".join)
commands = st.integers(0, 2).flatmap(lambda n: st.tuples(*[texts] * (2 * n + 1)))


@settings(max_examples=200)
@given(commands | commands.map(lambda parts: (b"a " + parts[0], *parts[1:])), st.booleans())
def test_reading_raises_nothing_but_its_own_error(parts, utf8):
    try:
        tag = parse(parts, utf8=utf8).tag
    except BadCommand as error:
        assert error.answer().endswith(b"\r\n")  # noqa: PT017 - either outcome is right, both are checked
        assert error.answer().count(b"\n") == 1  # noqa: PT017
        tag = error.tag
    assert tag == b"*" or parts[0].startswith(tag)


@settings(max_examples=150)
@given(commands.map(lambda parts: (b"a APPEND INBOX " + parts[0], *parts[1:])))
def test_an_unfinished_append_raises_nothing_but_its_own_error(parts):
    try:
        command = read_append(parts, 7)
    except BadCommand:
        command = None
    assert command is None or command.size == 7


@pytest.mark.parametrize(
    "command",
    [
        b"a SEARCH " + b"(" * 5000 + b"ALL" + b")" * 5000,
        b"a SEARCH " + b"NOT " * 5000 + b"ALL",
        b"a SEARCH " + b"OR " * 5000 + b"ALL " * 5001,
        b"a SEARCH " + b"ALL " * 5000,
        b"a FETCH 1 (" + b"FLAGS " * 20_000 + b"FLAGS)",
        b"a FETCH 1 BODY[" + b"1." * 5000 + b"1]",
        b"a FETCH 1 BODY[HEADER.FIELDS (" + b" ".join(b"x%d" % n for n in range(5000)) + b")]",
        b'a LIST "" (' + b"* " * 5000 + b"*)",
        b"a ID (" + b'"a" ' * 5000 + b")",
        b"a STORE 1 FLAGS (" + b" ".join(b"k%d" % n for n in range(5000)) + b")",
    ],
)
def test_what_is_too_long_or_too_deep_is_refused(command):
    with pytest.raises(BadCommand) as caught:
        parse((command,))
    assert caught.value.tag == b"a"


def test_a_hundred_levels_less_some_are_deep_enough():
    assert shown(parse((b"a SEARCH " + b"OR SEEN " * 90 + b"ALL",)))


def test_one_line_of_sasl():
    assert decode_base64(b" AGEAYg== ") == b"\0a\0b"
    assert decode_base64(b"*") is None
    assert decode_base64(b"") == b""
    with pytest.raises(BadCommand):
        decode_base64(b"AGEA Yg==")
