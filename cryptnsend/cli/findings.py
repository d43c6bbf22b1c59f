"""What does `doctor` say of one thing that it looked at?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import click

from cryptnsend.cli.options import printable

Level = Literal["ok", "warning", "error"]


class Finding(NamedTuple):
    """One thing that was looked at: *words* say what was found, *remedy* what to do about it unless it is ok."""

    check: str
    level: Level
    words: str
    remedy: str = ""


def ok(check: str, words: str) -> Finding:
    """Return that nothing has to be done."""
    return Finding(check, "ok", words)


def warning(check: str, words: str, remedy: str) -> Finding:
    """Return that the server works, but less well than it could."""
    return Finding(check, "warning", words, remedy)


def error(check: str, words: str, remedy: str) -> Finding:
    """Return that something does not work, or is not as safe as it has to be."""
    return Finding(check, "error", words, remedy)


def show(findings: Iterable[Finding]) -> None:
    """Print one line for each; what strangers' servers said cannot steer the terminal."""
    for each in findings:
        click.echo(printable(f"{each.level:8}{each.check}: {each.words}" + (f" {each.remedy}" if each.remedy else "")))
