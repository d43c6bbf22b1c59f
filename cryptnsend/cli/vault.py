"""`vault`: does everything that the rows promise rest where it should?"""

from __future__ import annotations

import click

from cryptnsend.cli.options import Commands, home_option, json_option, show_json
from cryptnsend.cli.owner import opened
from cryptnsend.config import Config


@click.group(cls=Commands)
def vault() -> None:
    """The vault, where all content rests sealed."""


@vault.command()
@home_option
@json_option
@click.pass_context
def verify(ctx: click.Context, config: Config, as_json: bool) -> None:
    """
    Compare rows with blobs. Exit code 1 if a row misses its blob.

    A blob without a row is litter: harmless, usual while mail arrives, and swept after a while.
    """
    with opened(config) as app:
        found = list(app.vault.verify(app.engine))
    missing = sorted(key for what, key in found if what == "missing")
    litter = len(found) - len(missing)
    if as_json:
        show_json({"missing": missing, "litter": litter})
    else:
        for key in missing:
            click.echo(f"missing: blob {key}, though a row names it")
        click.echo(f"{len(missing)} blobs are missing; {litter} are litter, to be swept.")
    if missing:
        ctx.exit(1)
