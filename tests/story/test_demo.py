"""The demonstration is the acceptance test: every step over real sockets, with passwords as expensive as in earnest."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.waiting import wait_for

DEMO = (sys.executable, "-m", "cryptnsend", "demo")


def test_the_whole_story_plays_unattended():
    done = subprocess.run([*DEMO, "--check"], capture_output=True, timeout=300, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = re.findall(r"^ok +[\d.]+ s ", done.stdout, re.MULTILINE)
    assert len(steps) > 20
    assert "FAILED" not in done.stdout


@pytest.mark.long
def test_the_lines_that_the_demonstration_prints_send_as_they_stand():
    with shown() as guide:
        inboxes = found(r"The inboxes +(http\S+)", guide)
        for line in commands(guide):
            done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=60, text=True)
            assert done.returncode == 0, line + done.stdout + done.stderr

        def notices() -> bool:
            with urllib.request.urlopen(f"{inboxes}inbox/pat@yahoo.example", timeout=10) as page:  # noqa: S310 - ours, on loopback
                return page.read().count(b'<li><a href="/mail/') == 2

        wait_for(notices, "the notices of both mails in Pat's inbox")


@contextmanager
def shown() -> Iterator[str]:
    """Run the demonstration by hand; give what it prints until it waits, and end it as Ctrl-C does."""
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        try:
            lines = []
            for line in demo.stdout:
                lines.append(line)
                if "Ctrl-C ends the demo" in line:
                    break
            yield "".join(lines)
        finally:
            demo.terminate()
            demo.wait(30)


def commands(guide: str) -> list[str]:
    """Return the shell commands of the guide, as somebody would copy them: paragraphs that are set in."""
    paragraphs = [each for each in guide.split("\n\n") if each.startswith(("  SWAKS_", "  python3 "))]
    assert len(paragraphs) == 2, guide
    return paragraphs


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]
