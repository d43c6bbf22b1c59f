"""The command line: `cryptnsend` and `python -m cryptnsend`. One module of cli/ per noun."""

from __future__ import annotations

from importlib import import_module

import click

from cryptnsend import __version__
from cryptnsend.cli.options import Commands

# Each command by the module of cli/ that has it, in the order of the help text.
COMMANDS = {
    "init": "init",
    "serve": "serve",
    "demo": "demo",
    "subscriber": "subscriber",
    "device": "device",
    "message": "message",
    "queue": "queue",
    "policy": "policy",
    "audit": "audit",
    "vault": "vault",
    "backup": "backup",
    "restore": "backup",
    "recover": "backup",
    "doctor": "doctor",
    "dns": "dns",
}


class CommandLine(Commands):
    """Brings in only the module of the command that is run: a role of the server starts in half the time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"cryptnsend.cli.{COMMANDS[cmd_name]}"), cmd_name)
        return command


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cryptnsend")
def main() -> None:
    """
    CryptnSend, a self-hosted secure smarthost for the mail accounts people already have.

    Exit codes: 0 done; 1 the answer is no (a check found something); 2 wrong use of the command line; 3 the
    configuration cannot be used; 4 refused (wrong password, no such thing, not allowed); 5 not now (keeper or store
    out of reach), try again.
    """


if __name__ == "__main__":
    main(prog_name="cryptnsend")
