"""POP3 commands and the two ways in which a message goes over the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.pop import MAX_LINE, NAMES, BadLine, Lines, PopCommand, dotted, first_lines, parse_line


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"capa", PopCommand("CAPA")),
        (b"USER ann@x.example ", PopCommand("USER", text=b"ann@x.example")),
        (b"PASS  two words ", PopCommand("PASS", text=b" two words ")),
        (b"STAT", PopCommand("STAT")),
        (b"LIST", PopCommand("LIST")),
        (b"LIST 2", PopCommand("LIST", number=2)),
        (b"UIDL 10 ", PopCommand("UIDL", number=10)),
        (b"TOP 1 0", PopCommand("TOP", number=1, lines=0)),
        (b"TOP 1  20", PopCommand("TOP", number=1, lines=20)),
        (b"TOP 1 99999999999999999999", PopCommand("TOP", number=1, lines=10**20 - 1)),
        (b"retr 3", PopCommand("RETR", number=3)),
        (b"AUTH", PopCommand("AUTH")),
        (b"AUTH plain", PopCommand("AUTH", text=b"PLAIN")),
        (b"AUTH PLAIN AGEAYg==", PopCommand("AUTH", text=b"PLAIN", initial=b"\0a\0b")),
        (b"AUTH PLAIN =", PopCommand("AUTH", text=b"PLAIN", initial=b"")),
    ],
)
def test_a_line_is_read_as_this_command(line, command):
    assert parse_line(line) == command


@pytest.mark.parametrize(
    "line",
    [b"", b"HELO", b"STAT 1", b"RETR", b"RETR x", b"RETR 0", b"RETR -1", b"TOP 1", b"TOP 1 -1", b"USER", b"PASS",
     b"AUTH PLAIN !", b"AUTH \xff", b"RETR 1 2", b"\xffSTAT", b"DELE 99999999999"],
)  # fmt: skip
def test_what_is_no_command_is_refused(line):
    with pytest.raises(BadLine):
        parse_line(line)


def test_secrets_are_not_shown_by_a_command():
    assert "secret" not in repr(parse_line(b"PASS secret"))


named = st.builds(
    lambda name, rest: name.encode() + b" " + rest, st.sampled_from(sorted(NAMES)), st.binary(max_size=20)
)


@given(st.binary(max_size=60) | named)
def test_reading_raises_nothing_but_its_own_error(line):
    try:
        name = parse_line(line).name
    except BadLine:
        name = "STAT"
    assert name in NAMES


pieces = st.sampled_from([b"STAT", b"\r\n", b"\n", b"\r", b"x" * 50])


@given(st.lists(pieces, max_size=20).map(b"".join), st.integers(1, 9))
def test_lines_do_not_depend_on_how_they_came(octets, step):
    def run(size: int) -> list[bytes]:
        lines, found = Lines(), []
        for at in range(0, len(octets), size):
            lines.feed(octets[at : at + size])
            while (line := lines.next()) is not None:
                found.append(line)
        return found

    assert run(step) == run(len(octets) or 1)


def test_a_line_without_end_is_refused():
    lines = Lines()
    lines.feed(b"x" * MAX_LINE)
    assert lines.next() is None
    lines.feed(b"xx")
    with pytest.raises(BadLine):
        lines.next()


@given(st.lists(st.sampled_from([b".", b"\r\n", b"text", b"\r\n.", b"\r\n.\r\n", b""]), max_size=15))
def test_a_client_gets_back_what_was_sent_whatever_the_blocks(blocks):
    sent = b"".join(dotted(blocks))
    assert sent.endswith(b".\r\n")
    body, end = sent[:-3], b".\r\n"
    assert b"\r\n.\r\n" not in b"\r\n" + body
    read = b"".join(line[1:] if line.startswith(b".") else line for line in body.splitlines(keepends=True))
    whole = b"".join(blocks)
    assert read == (whole if not whole or whole.endswith(b"\n") else whole + b"\r\n")
    assert end == b".\r\n"


@given(st.lists(st.sampled_from([b"a", b"\r\n", b"bc\r\nd"]), max_size=12), st.integers(0, 5))
def test_the_first_lines_of_a_body(blocks, lines):
    whole = b"".join(blocks)
    assert b"".join(first_lines(blocks, lines)) == b"".join(whole.splitlines(keepends=True)[:lines])
