"""Line breaks in what comes in by port 25: none of them reaches a header or an envelope of what we send on."""

from __future__ import annotations

import base64

import pytest

from tests.flow.conftest import Desk, parsed
from tests.flow.talks import ANN, PAT, SECRET, Talk
from tests.support.domains import signed

MALLORY = "mallory@evil.example"  # nobody ever writes to them
BREAKS = ["\r\n", "\n", "\r", "\u2028", "\u0085", "\x0b", "\x1c"]
FIELDS = ["Subject", "From", "To", "Message-ID", "In-Reply-To", "References", "Date", "Reply-To", "name", "filename"]


def coded(text: str) -> str:
    """Return *text* as one encoded-word (RFC 2047), which may hold what a header itself may not."""
    return f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="


def answer(to: str, field: str, bad: str) -> bytes:
    """Return an answer whose one *field* breaks its line, encoded, or folded where it is not of words."""
    fields = {
        "Subject": "Re: Results",
        "From": f"Pat <{PAT}>",
        "To": f"<{to}>",
        "Message-ID": "<1@yahoo.example>",
        "In-Reply-To": "<2@yahoo.example>",
        "References": "<3@yahoo.example>",
        "Date": "Wed, 18 Nov 2026 11:00:00 +0000",
        "Reply-To": f"<{PAT}>",
        "name": "a.txt",
        "filename": "a.txt",
    }
    if field in ("From", "To", "Reply-To"):
        fields[field] = f"{coded(bad)} {fields[field].rpartition(' ')[2]}"
    elif field in ("Message-ID", "In-Reply-To", "References"):
        fields[field] = f"<1\r\n Bcc: {MALLORY}\r\n @yahoo.example> {coded(bad)}"
    else:
        fields[field] = coded(bad)
    name, filename = fields.pop("name"), fields.pop("filename")
    head = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
    return (
        f'{head}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: text/plain\r\n\r\n{SECRET}\r\n"
        f'--b\r\nContent-Type: text/plain; name="{name}"\r\n'
        f'Content-Disposition: attachment; filename="{filename}"\r\n\r\nfile\r\n--b--\r\n'
    ).encode()


@pytest.fixture
def talk(desk: Desk) -> Talk:
    return Talk(desk)


@pytest.mark.parametrize("field", FIELDS)
def test_no_line_break_of_an_answer_reaches_what_is_sent_on(talk: Talk, field: str) -> None:
    for line_break in BREAKS:
        bad = f"x{line_break}Bcc: {MALLORY}{line_break}X-Evil: 1{line_break}{line_break}body"
        octets = answer(talk.to_ann(), field, bad)
        said = talk.door.bring(signed(octets, "yahoo.example", talk.house.clock.now()), talk.to_ann())
        assert said[0] in "25", said
        talk.desk.deliver()
    sent = talk.desk.answers.sent[talk.before :]
    assert {envelope.recipient for envelope, _, _ in sent} <= {ANN, PAT}
    for envelope, _, octets in sent:
        mail = parsed(octets)
        assert b"\n" not in octets.replace(b"\r\n", b"")
        assert mail["Bcc"] is None
        assert mail["X-Evil"] is None
        assert MALLORY.encode() not in octets.partition(b"\r\n\r\n")[0]
        assert not set(envelope.reverse_path + (envelope.envid or "") + (envelope.orcpt or "")) & set("\r\n")
    assert sent, "something of it was sent on, or somebody was told"
