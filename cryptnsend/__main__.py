"""The command line: `cryptnsend` and `python -m cryptnsend`. One module of cli/ per noun."""

from __future__ import annotations

from importlib import import_module

import click

from cryptnsend import __version__
from cryptnsend.cli.options import Commands
from cryptnsend.hardening import harden

# Each command: the module of cli/ that has it, and what it does in a sentence; in the order of the help text.
COMMANDS = {
    "init": ("init", "Make a home: configuration, certificate, signing keys, master key and its recovery file."),
    "serve": ("serve", "Run the server until SIGTERM or Ctrl-C: all roles as processes of their own, or only ROLE."),
    "demo": ("demo", "Show the whole story on this machine: a throw-away server, and inboxes to read in the browser."),
    "subscriber": ("subscriber", "People who may send through this server."),
    "role": (
        "role",
        "Roles: officers set rules, read the audit trail and break glass; managers look after people and the look.",
    ),
    "device": ("device", "Device passwords: one per mail program, to be revoked one by one."),
    "passkey": ("passkey", "Passkeys: how people sign in without their password, to be removed one by one."),
    "token": ("token", "Tokens by which programs send for a subscriber."),
    "webhook": ("webhook", "Where programs are told what happened to mail: a subscriber's own, and an organisation's."),
    "message": ("message", "Messages in the vault."),
    "link": ("link", "Links by which anybody may have large files."),
    "queue": ("queue", "See and steer what waits to leave: notices, replies, receipts, plain mail."),
    "hold": ("hold", "Mail that was to leave plain, and in which something was found."),
    "policy": ("policy", "The rules that decide which way a message takes."),
    "domain": ("domain", "Domains of organisations, each proven by a TXT record."),
    "look": ("look", "How an organisation's pages, notices and covers look, and at which host its pages are."),
    "audit": ("audit", "The audit trail: one chain per organisation, which only grows."),
    "archive": ("archive", "The archive: all mail of an organisation, which nothing edits or deletes before its time."),
    "vault": ("vault", "The vault, where all content rests sealed."),
    "backup": ("backup", "Copy everything but the master key to FOLDER, which must not exist yet, and check the copy."),
    "restore": (
        "backup",
        "Put the backup in FOLDER back into a home that has its configuration and master key, but no data yet.",
    ),
    "recover": ("backup", "Put the master key back from FILE, the installation's recovery file."),
    "keys": ("keys", "The keys of the server: which there are, and how each is replaced while old mail still opens."),
    "doctor": ("doctor", "Check everything that can be checked, and say what to do."),
    "dns": ("dns", "Print everything to publish in DNS."),
    "dkim": ("dkim", "The keys that sign mail: which there are, and how they are replaced."),
}


class CommandLine(Commands):
    """Brings in only the module of the command that is run: a role of the server starts in half the time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"cryptnsend.cli.{COMMANDS[cmd_name][0]}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the commands do, without bringing in any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cryptnsend")
def main() -> None:
    """
    CryptnSend, a self-hosted secure smarthost for the mail accounts people already have.

    Exit codes: 0 done; 1 the answer is no (a check found something); 2 wrong use of the command line; 3 the
    configuration cannot be used; 4 refused (wrong password, no such thing, not allowed); 5 not now (keeper or store
    out of reach), try again.
    """


def run() -> None:
    """Run the program `cryptnsend`: most commands read a password or open a key, so none of them leaves its memory."""
    harden()
    main(prog_name="cryptnsend")


if __name__ == "__main__":
    run()
