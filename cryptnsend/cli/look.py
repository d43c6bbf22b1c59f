"""`look`: how an organisation's pages, notices and covers look, and at which host its pages are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cryptnsend.cli.options import (
    Commands,
    home_option,
    json_option,
    printable,
    show_changes,
    show_json,
    show_versions,
    tell,
)
from cryptnsend.cli.owner import owned
from cryptnsend.config import Config
from cryptnsend.core import colour, logo
from cryptnsend.core import look as looks
from cryptnsend.core.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptnsend.app import App
    from cryptnsend.flow.looks import Change

organisation_option = click.option("--organisation", metavar="NAME", help="Whose; needed where there are several.")
why_option = click.option("--why", default="", metavar="TEXT", help="The reason, for the history.")
_file = click.Path(exists=True, dir_okay=False, path_type=Path)
PARTS = (
    click.option("--accent", metavar="COLOUR", help="As #0b5c73; what not everyone can read is refused."),
    click.option("--logo", type=_file, help="SVG, PNG, JPEG or WebP, up to 200 KB."),
    click.option("--logo-dark", type=_file, help="The same for dark screens; without, the logo stands on white there."),
    click.option("--banner-en", metavar="TEXT", help="Above every page, in English."),
    click.option("--banner-es", metavar="TEXT", help="The same in Spanish."),
    click.option("--footer-en", metavar="TEXT", help="Below every notice, in English."),
    click.option("--footer-es", metavar="TEXT", help="The same in Spanish."),
    click.option("--host", metavar="HOST", help="Where the pages are: below a domain that is proven."),
    click.option("--without", multiple=True, metavar="PART", help="A part that is the house's again, such as logo."),
)


def parts(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each part of a look."""
    for option in reversed(PARTS):
        command = option(command)
    return command


@click.group(cls=Commands)
def look() -> None:
    """How an organisation's pages, notices and covers look, and at which host its pages are."""


@look.command()
@organisation_option
@home_option
@json_option
def show(config: Config, organisation: str | None, as_json: bool) -> None:
    """Show how an organisation looks, and what of it holds now."""
    with owned(config) as app:
        org = _organisation(app, organisation)
        version, said = app.looks.said(org)
        worn = app.looks.worn(org)
    if as_json:
        show_json({"organisation": org, "version": version, "said": dict(said), "links": worn.base_url})
        return
    if not said:
        click.echo("It looks as the house does.")
    _say(said)
    click.echo(f"links in its mail begin with: {worn.base_url}")
    if said and worn.look != looks.of(said):
        raise Denied("The keeper does not vouch for this look, so the house's is shown. Save it again.")


@look.command("set")
@parts
@organisation_option
@why_option
@home_option
@json_option
def set_(config: Config, organisation: str | None, why: str, as_json: bool, **given: Any) -> None:
    """
    Change parts of how an organisation looks; the others stay.

    Pictures are checked and written anew: scripts, links and what was noted with a photo are taken out. A host counts
    if it leads to this server, and the certificate is for it.
    """
    with owned(config) as app:
        org = _organisation(app, organisation)
        said, pictures = _said(app.looks.said(org)[1], given)
        version = _change(app, org, said, pictures, why)
    _left_out(pictures)
    tell(as_json, {"organisation": org, "version": version, "said": said}, f"It looks like this as version {version}.")


@look.command()
@parts
@organisation_option
@home_option
@json_option
def preview(config: Config, organisation: str | None, as_json: bool, **given: Any) -> None:
    """Say how it would look with these parts, and how well it could be read. Nothing is saved."""
    with owned(config) as app:
        org = _organisation(app, organisation)
        said, pictures = _said(app.looks.said(org)[1], given)
        app.looks.check(org, said, pictures)
    reading = colour.read(said.get("accent", colour.HOUSE))
    figures = {
        "links on paper": round(reading.on_paper, 1),
        "white words on buttons": round(reading.under_words, 1),
        "on dark screens": round(reading.sister_on_dark, 1),
    }
    if as_json:
        show_json({"organisation": org, "said": said, "contrast": figures, "dark": reading.sister})
        return
    _say(said)
    for name, figure in figures.items():
        click.echo(f"contrast, {name}: {figure} to 1")
    click.echo(f"colour on dark screens: {reading.sister}")
    _left_out(pictures)
    click.echo("Nothing was saved.")


@look.command()
@organisation_option
@why_option
@home_option
@json_option
def reset(config: Config, organisation: str | None, why: str, as_json: bool) -> None:
    """Let an organisation look as the house does again. Its history stays."""
    with owned(config) as app:
        org = _organisation(app, organisation)
        version = _change(app, org, {}, [], why)
    tell(as_json, {"organisation": org, "version": version}, "It looks as the house does again.")


@look.command()
@organisation_option
@click.option("--limit", default=20, show_default=True, help="How many versions.", type=click.IntRange(1, 1000))
@home_option
@json_option
def history(config: Config, organisation: str | None, limit: int, as_json: bool) -> None:
    """Show who changed how an organisation looks, when, why and how, the newest first."""
    with owned(config) as app:
        versions = app.looks.history(_organisation(app, organisation), limit=limit)
        names = {each.actor: app.policies.actor(each.actor) for each in versions}
    show_versions(as_json, versions, names, "It was never changed: it looks as the house does.", _in_words, _as_json)


@look.command()
@click.argument("earlier", type=click.IntRange(0))
@click.argument("later", type=click.IntRange(0))
@organisation_option
@home_option
@json_option
def compare(config: Config, earlier: int, later: int, organisation: str | None, as_json: bool) -> None:
    """Show how two versions of an organisation's look differ; 0 is the time before the first."""
    with owned(config) as app:
        changes = app.looks.compare(_organisation(app, organisation), earlier, later)
    show_changes(as_json, changes, "They look the same.", _in_words, _as_json)


@look.command()
@click.argument("version", type=click.IntRange(0))
@organisation_option
@why_option
@home_option
@json_option
def revert(config: Config, version: int, organisation: str | None, why: str, as_json: bool) -> None:
    """Let an organisation look again as in VERSION. That is a version of its own; nothing is forgotten."""
    with owned(config) as app:
        org = _organisation(app, organisation)
        said = app.looks.said_in(org, version)
        number = _change(app, org, said, [], why or f"back to version {version}")
    words = f"It looks as in version {version} again, as version {number}."
    tell(as_json, {"organisation": org, "version": number, "said": dict(said)}, words)


def _organisation(app: App, name: str | None) -> int:
    org = app.owner.organisation(name)
    if org is None:
        raise Denied("There is no organisation yet. `cryptnsend init --officer` makes one.")
    return org


def _said(before: Mapping[str, str], given: Mapping[str, Any]) -> tuple[dict[str, str], list[logo.Logo]]:
    """Return what would be said with what was given, and the pictures that came with it."""
    said, pictures = dict(before), list[logo.Logo]()
    for part in given["without"]:
        name = part.replace("-", "_")
        if name not in looks.NAMES:
            raise click.UsageError(f"There is no part {part!r}. There are: {', '.join(looks.NAMES)}.")
        said.pop(name, None)
    for name in looks.NAMES:
        value = given[name]
        if value is None:
            continue
        if isinstance(value, Path):
            if value.stat().st_size > logo.MOST_OCTETS:
                raise Denied("A logo has at most 200 KB. Save it smaller, or as SVG.")
            pictures.append(logo.take(value.read_bytes()))
            value = pictures[-1].mark
        said[name] = looks.parse(name, value)
    return looks.check(said), pictures


def _change(app: App, org: int, said: Mapping[str, str], pictures: list[logo.Logo], why: str) -> int:
    before = app.looks.said(org)[0]
    version = app.looks.change(
        org,
        said,
        pictures=pictures,
        why=why,
        based_on=None,
        actor="owner",
        take=lambda text: app.keeper.organisation_look(org, text),
        detail=app.typist,
    )
    if version != before:
        app.owner.tell_officers(org, "look-changed")
    return version


def _in_words(change: Change) -> str:
    name, old, new = change
    return f"{name.replace('_', '-')}: {looks.spelt(name, old) or '-'} -> {looks.spelt(name, new) or '-'}"


def _as_json(change: Change) -> dict[str, object]:
    name, old, new = change
    return {"part": name, "before": old, "after": new}


def _say(said: Mapping[str, str]) -> None:
    for name in looks.NAMES:
        if said.get(name):
            click.echo(printable(f"{name.replace('_', '-') + ':':12}{looks.spelt(name, said[name])}"))


def _left_out(pictures: list[logo.Logo]) -> None:
    found = sorted({part for each in pictures for part in each.left_out})
    if found:
        click.echo(printable(f"taken out of the drawing: {', '.join(found)}"), err=True)
