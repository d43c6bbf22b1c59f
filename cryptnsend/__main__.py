"""The command line: `cryptnsend` and `python -m cryptnsend`. One module of cli/ per noun."""

from __future__ import annotations

import click

from cryptnsend import __version__
from cryptnsend.cli import (
    audit,
    backup,
    demo,
    device,
    dns,
    doctor,
    init,
    message,
    policy,
    queue,
    serve,
    subscriber,
    vault,
)
from cryptnsend.cli.options import Commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cryptnsend")
def main() -> None:
    """
    CryptnSend, a self-hosted secure smarthost for the mail accounts people already have.

    Exit codes: 0 done; 1 the answer is no (a check found something); 2 wrong use of the command line; 3 the
    configuration cannot be used; 4 refused (wrong password, no such thing, not allowed); 5 not now (keeper or store
    out of reach), try again.
    """


for command in (
    init.init,
    serve.serve,
    demo.demo,
    subscriber.subscriber,
    device.device,
    message.message,
    queue.queue,
    policy.policy,
    audit.audit,
    vault.vault,
    backup.backup,
    backup.restore,
    doctor.doctor,
    dns.dns,
):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="cryptnsend")
