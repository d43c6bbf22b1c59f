"""`init`: make a home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cryptnsend.cli.options import DEFAULT_HOME
from cryptnsend.config import HOME_VARIABLE
from cryptnsend.home import create


@click.command()
@click.option(
    "--home",
    default=DEFAULT_HOME,
    envvar=HOME_VARIABLE,
    show_envvar=True,
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to make; it will hold everything.",
)
@click.option("--hostname", required=True, metavar="HOST", help="Name of this machine as clients see it.")
@click.option("--domain", metavar="DOMAIN", help="Domain of our own addresses; the host name if not given.")
@click.option(
    "--smarthost", metavar="URL", help="Relay for all that leaves, smtp://host:port; MX records if not given."
)
@click.option("--free-ports", is_flag=True, help="Take free ports, on loopback only; run/ports.json tells which.")
def init(home: Path, hostname: str, domain: str | None, smarthost: str | None, free_ports: bool) -> None:
    """Make a home: configuration, folders, certificate, signing keys."""
    values: dict[str, dict[str, Any]] = {"server": {"hostname": hostname}}
    if domain:
        values["server"]["domain"] = domain
    if smarthost:
        values["delivery"] = {"smarthost": smarthost}
    if free_ports:
        # Free ports are for trying things side by side; nobody outside could know them.
        values["ports"] = {"bind": "127.0.0.1", "submissions": 0, "submission": 0, "portal": 0}
    config = create(home, values)
    click.echo(f"A home for {config.server.hostname} is in {config.server.home}.")
    click.echo(f"The certificate is {config.tls.certificate}. It signs itself until you put a real one in its place.")
    click.echo("Next: `cryptnsend dns` prints what to publish, `cryptnsend serve` starts the server.")
