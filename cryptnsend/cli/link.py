"""`link`: by which addresses anybody may have large files, and how does the owner of the home end one?"""

from __future__ import annotations

import click

from cryptnsend.cli.options import NUMBER, Commands, home_option, json_option, moment, show_json, show_table, tell
from cryptnsend.cli.owner import opened, owned
from cryptnsend.config import Config
from cryptnsend.core.errors import NoGrant
from cryptnsend.flow.owner import BY_OWNER
from cryptnsend.store.records import filelinks

COLUMNS = {
    "id": "link",
    "message": "message",
    "author": "author",
    "way": "opens with",
    "state": "state",
    "downloads": "downloads",
    "created": "made",
    "ends": "ends",
}
HAD = {"at": "at", "file": "file", "network": "from"}


@click.group(cls=Commands)
def link() -> None:
    """Links by which anybody may have large files."""


@link.command("list")
@click.option("--message", "message_id", type=NUMBER, default=0, help="Only those of this message.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@home_option
@json_option
def list_(config: Config, message_id: int, limit: int, as_json: bool) -> None:
    """List links, the newest first. Their addresses nobody can list but whoever made them."""
    with opened(config) as app:
        now = app.clock.now()
        rows = filelinks.listing(app.engine, message_id, limit)
        for each in rows:
            if each["state"] == "active" and not filelinks.holds(app.engine, each["org"], each["id"], now):
                each["state"] = "ended"
    if as_json:
        show_json(rows)
        return
    shown = [
        {
            **row,
            "id": str(row["id"]),
            "message": str(row["message"]),
            "created": moment(row["created"]),
            "ends": moment(row["ends"]),
            "downloads": f"{row['spent']} of {row['most']}" if row["most"] else str(row["spent"]),
        }
        for row in rows
    ]
    show_table(shown, COLUMNS, empty="There is no link by which anybody may have files.")


@link.command()
@click.argument("link_id", metavar="LINK", type=NUMBER)
@home_option
@json_option
def show(config: Config, link_id: int, as_json: bool) -> None:
    """Show when files were had by LINK, and from which network."""
    with opened(config) as app:
        row = filelinks.by_id(app.engine, link_id)
        if row is None:
            raise NoGrant(f"There is no link {link_id}.")
        had = [each for each in app.downloads.done_of(row["org"], row["message"]) if each.link == link_id]
    if as_json:
        show_json([{"at": each.at, "file": each.file, "network": each.network} for each in had])
        return
    shown = [{"at": moment(each.at), "file": str(each.file), "network": each.network} for each in had]
    show_table(shown, HAD, empty="Nobody has had a file by it.")


@link.command()
@click.argument("link_id", metavar="LINK", type=NUMBER)
@home_option
@json_option
def revoke(config: Config, link_id: int, as_json: bool) -> None:
    """End LINK for good: nobody has a file by it any more, and downloads under way break off."""
    with owned(config) as app:
        row = filelinks.by_id(app.engine, link_id)
        if row is None:
            raise NoGrant(f"There is no link {link_id}.")
        app.filelinks.end(row, BY_OWNER, app.typist)
        state = (filelinks.by_id(app.engine, link_id) or row)["state"]
    tell(as_json, {"id": link_id, "state": state}, f"Link {link_id} is over; nobody has a file by it any more.")
