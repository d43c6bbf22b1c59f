"""`vault`: does everything that the rows promise rest where it should?"""

from __future__ import annotations

import click

from cryptnsend.cli.options import Commands, Progress, home_option, json_option, show_json
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
    Read everything in the vault: database, rows, blobs. Exit code 1 if something is missing, cut or changed.

    Nothing is opened for it. Sizes tell what was cut short; what archives have listed, which is from two days ago on,
    tells what was changed. A blob without a row is litter: harmless, usual while mail arrives, and swept after a while.
    """
    from cryptnsend.flow import verifying

    with opened(config) as app, Progress() as progress:
        found = list(verifying.verify(app.engine, app.vault, progress))
    litter = sum(each.what == "litter" for each in found)
    wrong = sorted(each for each in found if each.what != "litter")
    if as_json:
        missing = [each.where for each in wrong if each.what == "missing"]
        others = [each._asdict() for each in wrong if each.what != "missing"]
        show_json({"missing": missing, "wrong": others, "litter": litter})
    else:
        for each in wrong:
            named = ": blob {}, though a row names it" if each.what == "missing" else ": {}"
            click.echo(each.what + named.format(each.where))
        click.echo(f"{len(wrong)} things are wrong; {litter} blobs are litter, to be swept.")
    if wrong:
        ctx.exit(1)
