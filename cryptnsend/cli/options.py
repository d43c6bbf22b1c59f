"""What do all commands have in common: which home, how secrets come in, how answers and refusals go out?"""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cryptnsend.config import HOME_VARIABLE, Config
from cryptnsend.core.answers import for_scripts
from cryptnsend.core.errors import ConfigError, CryptnSendError, Temporary

if TYPE_CHECKING:
    from cryptnsend.flow.versions import Version

F = TypeVar("F", bound=Callable[..., Any])
D = TypeVar("D")  # one difference between two versions


class Number(click.IntRange):
    """The number of a row."""

    name = "number"

    def __init__(self) -> None:
        super().__init__(0, (1 << 63) - 1)


NUMBER = Number()
DEFAULT_HOME = "/var/lib/cryptnsend"


class Stopped(click.ClickException):
    """One of our errors, on its way to the person at the terminal."""

    exit_code = 4


class Misconfigured(Stopped):
    """A ConfigError on its way."""

    exit_code = 3


class NotNow(Stopped):
    """A Temporary on its way."""

    exit_code = 5


def stopped(error: CryptnSendError) -> Stopped:
    """Return *error* as what ends a command."""
    kind = Misconfigured if isinstance(error, ConfigError) else NotNow if isinstance(error, Temporary) else Stopped
    return kind(str(error))


class Commands(click.Group):
    """A group whose commands may raise our own errors: they become a sentence and an exit code, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CryptnSendError as error:
            raise stopped(error) from error


def home_option(command: F) -> F:
    """Add `--home`; the command gets the loaded *config*."""
    return click.option(
        "--home",
        "config",
        default=DEFAULT_HOME,
        envvar=HOME_VARIABLE,
        show_envvar=True,
        show_default=True,
        metavar="DIR",
        callback=lambda _ctx, _param, value: _load(value),
        help="Home of the server, or its configuration file.",
    )(command)


def _load(value: str) -> Config:
    try:
        return Config.load(Path(value))
    except ConfigError as error:
        raise stopped(error) from error


def json_option(command: F) -> F:
    """Add `--json`; the command gets *as_json*."""
    return click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for scripts.")(command)


def password_option(command: F) -> F:
    """Add `--password-stdin`; the command gets *from_stdin* and hands it to `read_password`."""
    return click.option(
        "--password-stdin",
        "from_stdin",
        is_flag=True,
        help="Read the password from standard input, one line each where several are asked for.",
    )(command)


def read_password(from_stdin: bool, what: str, *, new: bool = False) -> str:
    """
    Return a password: the next line of standard input, or what is typed at a prompt that shows nothing.

    *what* names it to the person typing; a *new* one is typed twice. There is no way to give one as an argument, where
    every user of the machine could read it.
    """
    if not from_stdin:
        return str(click.prompt(what, hide_input=True, confirmation_prompt=new, err=True))
    line = sys.stdin.readline()
    if not line.strip("\r\n"):
        raise click.UsageError(f"--password-stdin: standard input has no line for: {what}.")
    return line.rstrip("\r\n")


class Progress:
    """Progress bars on standard error, one after the other for what takes long; none where nobody watches."""

    def __init__(self) -> None:
        self._what, self._bar = "", contextlib.ExitStack()
        self._update: Callable[[int], None] = lambda done: None

    def __enter__(self) -> Progress:
        return self

    def __call__(self, what: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            return
        if what != self._what:
            self._bar.close()
            bar = self._bar.enter_context(click.progressbar(length=total, label=what, file=sys.stderr))
            self._what, self._update = what, lambda done: bar.update(done - bar.pos)
        self._update(done)

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def show_json(answer: Any) -> None:
    """Print *answer* as one JSON value, ids as text."""
    click.echo(json.dumps(for_scripts(answer), indent=1, ensure_ascii=False))


def tell(as_json: bool, answer: Any, words: str) -> None:
    """Print what was done: *answer* as JSON, or the *words* for people."""
    if as_json:
        show_json(answer)
    else:
        click.echo(words)


def show_table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str], *, empty: str) -> None:
    """Print *rows* with the *columns* (key to heading) side by side, or the sentence *empty*."""
    cells = [[printable(row.get(key)) for key in columns] for row in rows]
    if not cells:
        click.echo(empty)
        return
    table = [list(columns.values()), *cells]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns))]
    for line in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def show_versions(
    as_json: bool,
    versions: Sequence[Version[Any, D]],
    names: Mapping[str, str],
    never: str,
    in_words: Callable[[D], str],
    for_script: Callable[[D], Mapping[str, object]],
) -> None:
    """Print the *versions* of a book with who made them (*names* by actor), or the sentence *never* for none."""
    if as_json:
        show_json(
            [
                {
                    "version": each.number,
                    "at": each.at,
                    "by": names[each.actor],
                    "why": each.why,
                    "changes": [for_script(change) for change in each.changes],
                }
                for each in versions
            ]
        )
        return
    if not versions:
        click.echo(never)
    for each in versions:
        why = f": {each.why}" if each.why else ""
        click.echo(printable(f"version {each.number}, {moment(each.at)}, {names[each.actor]}{why}"))
        for change in each.changes:
            click.echo(printable(f"  {in_words(change)}"))


def show_changes(
    as_json: bool,
    changes: Sequence[D],
    same: str,
    in_words: Callable[[D], str],
    for_script: Callable[[D], Mapping[str, object]],
) -> None:
    """Print how two versions of a book differ, or the sentence *same* where they do not."""
    if as_json:
        show_json([for_script(each) for each in changes])
        return
    for each in changes:
        click.echo(printable(in_words(each)))
    if not changes:
        click.echo(same)


def printable(value: Any) -> str:
    """Return *value* as text for a terminal: control characters of strangers' names do not reach it."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def moment(at: int | None) -> str:
    """Return UTC milliseconds as people read them."""
    return "" if at is None else f"{datetime.datetime.fromtimestamp(at / 1000, datetime.UTC):%Y-%m-%d %H:%M:%S}Z"
