"""Somebody at the terminal of a home, for tests of the commands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cryptnsend.__main__ import main
from tests.support.house import House


class Operator:
    """Somebody at the terminal of a home."""

    def __init__(self, house: House):
        self.house = house

    def __call__(self, *arguments: object, passwords: tuple[str, ...] = (), code: int = 0) -> str:
        """Run a command; return what it printed."""
        return self.run(*arguments, passwords=passwords, code=code).output

    def run(self, *arguments: object, passwords: tuple[str, ...] = (), code: int | None = 0) -> Result:
        """Run a command that has to end with this exit code, with None with any."""
        typed = "".join(f"{each}\n" for each in passwords)
        options = ["--home", str(self.house.home.config_file), *(["--password-stdin"] if passwords else [])]
        done = CliRunner().invoke(main, [*map(str, arguments), *options], input=typed, prog_name="cryptnsend")
        assert code in (None, done.exit_code), (done.output, done.exception)
        return done

    def json(self, *arguments: object, passwords: tuple[str, ...] = ()) -> Any:
        return json.loads(self.run(*arguments, "--json", passwords=passwords).stdout)


@pytest.fixture
def operator(house: House) -> Operator:
    return Operator(house)
