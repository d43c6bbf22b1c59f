"""`message`: what is in the vault, without its content; and, with the password of whose it is, its content."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from cryptnsend.cli.archive import only
from cryptnsend.cli.files import write_new
from cryptnsend.cli.options import (
    NUMBER,
    Commands,
    home_option,
    json_option,
    moment,
    password_option,
    printable,
    read_password,
    show_json,
    show_table,
    tell,
)
from cryptnsend.cli.owner import opened, owned
from cryptnsend.config import Config
from cryptnsend.core.addresses import canonical
from cryptnsend.core.contracts import Engine, Row
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.linkedfiles import LinkedFile, file_names
from cryptnsend.core.policy import why
from cryptnsend.flow.owner import BY_OWNER
from cryptnsend.flow.recalling import EVER, Leak
from cryptnsend.store.records import accounts, listing, operator

if TYPE_CHECKING:
    from cryptnsend.app import App

COLUMNS = {
    "id": "message",
    "created": "sealed",
    "author": "author",
    "size": "bytes",
    "recipients": "recipients",
    "opened": "opened",
    "expires": "ends",
}
REPORT_COLUMNS = {"at": "reported", "message": "message", "author": "author", "reporter": "by"}
RECIPIENT_COLUMNS = {
    "address": "recipient",
    "decision": "decision",
    "delivery": "delivery",
    "notified": "notified",
    "opened": "opened",
    "state": "grant",
    "why": "because",
}
LEAK_COLUMNS = {
    "id": "message",
    "created": "sealed",
    "author": "author",
    "recipients": "recipients",
    "opened": "opened",
    "open_to": "can open it",
}
REACHED = {
    "opened": "opened before",
    "unopened": "never opened before it was taken back",
    "fetched": "fetched by a mail program before",
    "left": "left as ordinary mail, which nobody can take back",
}


@click.group(cls=Commands)
def message() -> None:
    """Messages in the vault."""


@message.command("list")
@click.option("--author", metavar="ADDRESS", help="Only what this subscriber sent.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@home_option
@json_option
def list_(config: Config, author: str | None, limit: int, as_json: bool) -> None:
    """List messages, the newest first: who, when, how large. What they say nobody but their people can list."""
    name = None if author is None else _canonical(author)
    with opened(config) as app:
        rows = operator.messages(app.engine, name, limit)
        is_known = name is None or accounts.by_address(app.engine, name) is not None
    if as_json:
        show_json(rows)
        return
    shown = [{**row, "created": moment(row["created"]), "expires": moment(row["expires"])} for row in rows]
    empty = f"No message from {name} is in the vault" if name else "The vault is empty"
    nobody = "" if is_known else ", and nobody here has that address"
    show_table(shown, COLUMNS, empty=f"{empty}{nobody}.")


@message.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@home_option
@json_option
def reports(config: Config, limit: int, as_json: bool) -> None:
    """List what recipients reported when they blocked a sender, the newest first."""
    with opened(config) as app:
        rows = operator.reports(app.engine, limit)
    if as_json:
        show_json(rows)
        return
    shown = [{**row, "at": moment(row["at"]), "message": str(row["message"])} for row in rows]
    show_table(shown, REPORT_COLUMNS, empty="Nobody has reported anything.")


@message.command()
@click.argument("message_id", metavar="MESSAGE", type=NUMBER)
@home_option
@json_option
def show(config: Config, message_id: int, as_json: bool) -> None:
    """Show what became of MESSAGE for each recipient."""
    with opened(config) as app:
        row = operator.message(app.engine, message_id)
        if row is None:
            raise NoGrant(f"There is no message {message_id}.")
        recipients = operator.recipients(app.engine, message_id)
    if as_json:
        show_json({**row, "recipients": recipients})
        return
    for key in ("id", "author", "origin", "size", "state"):
        click.echo(f"{key + ':':10}{row[key]}")
    click.echo(f"{'sealed:':10}{moment(row['created'])}")
    click.echo(f"{'ends:':10}{moment(row['expires'])}")
    for each in recipients:
        each.update(notified=moment(each["notified"]), opened=moment(each["opened"]), why=why(each["reason"]))
    show_table(recipients, RECIPIENT_COLUMNS, empty="It has no recipients.")


@message.command()
@click.argument("message_id", metavar="MESSAGE", type=NUMBER)
@click.option("--recipient", metavar="ADDRESS", help="Only from this recipient; from all without it.")
@home_option
@json_option
def expire(config: Config, message_id: int, recipient: str | None, as_json: bool) -> None:
    """Take MESSAGE back: its recipients cannot open it any more. `restore` undoes that for some days."""
    words = f"cannot be opened any more{_by(recipient)}; its author still can"
    _change(config, message_id, recipient, lambda app: app.sent.take_back, words, as_json)


@message.command()
@click.argument("message_id", metavar="MESSAGE", type=NUMBER)
@click.option("--recipient", metavar="ADDRESS", help="Only to this recipient; to all without it.")
@home_option
@json_option
def restore(config: Config, message_id: int, recipient: str | None, as_json: bool) -> None:
    """Give MESSAGE back after it was taken back or has expired, as long as it is kept."""
    words = f"can be opened again{_by(recipient)}"
    _change(config, message_id, recipient, lambda app: app.sent.give_back, words, as_json)


def _change(
    config: Config,
    message_id: int,
    recipient: str | None,
    act: Callable[[App], Callable[[Row, str | None, str, Mapping[str, object]], None]],
    words: str,
    as_json: bool,
) -> None:
    """Let *act* end or give back what all recipients, or only this one, hold of a message; say what they hold then."""
    address = _canonical(recipient) if recipient else None
    with owned(config) as app:
        act(app)(_about(app.engine, message_id), address, BY_OWNER, app.typist)
        recipients = operator.recipients(app.engine, message_id)
    concerned = [each for each in recipients if address in (None, each["address"])]
    tell(as_json, {"id": message_id, "recipients": concerned}, f"Message {message_id} {words}.")


@message.command()
@click.option("--organisation", metavar="NAME", help="Whose, by name or number; needed where there are several.")
@click.option("--message", "message_id", type=NUMBER, default=0, help="This message.")
@click.option("--author", default="", metavar="ADDRESS", help="What this address sent.")
@click.option("--number", default="", metavar="NUMBER", help="The message with this short number in its mails.")
@click.option("--since", type=click.DateTime(), help="Sealed then (UTC) or later.")
@click.option("--until", type=click.DateTime(), help="Sealed before then (UTC).")
@click.option("--reason", default="", metavar="TEXT", help="Why, in a sentence; without it nothing is taken back.")
@home_option
@json_option
def recall(
    config: Config,
    organisation: str | None,
    message_id: int,
    author: str,
    number: str,
    since: datetime.datetime | None,
    until: datetime.datetime | None,
    reason: str,
    as_json: bool,
) -> None:
    """
    Take back whatever fits, over a whole organisation, at once; `restore` undoes that message by message.

    Says for each recipient whether they had opened it before, and which answers may quote it. Without --reason it only
    lists what would be taken back.
    """
    leak = Leak(
        message=message_id,
        author=_canonical(author) if author else "",
        number=number.strip(),
        since=_at(since, 0),
        until=_at(until, EVER),
    )
    with owned(config) as app:
        org = only(app, organisation)
        if not reason:
            rows = app.recalling.find(org, leak)
            if as_json:
                show_json(rows)
                return
            shown = [{**row, "created": moment(row["created"])} for row in rows]
            show_table(shown, LEAK_COLUMNS, empty="The organisation has no such message.")
            return
        done = app.recalling.recall(org, leak, reason, BY_OWNER, app.typist)
    if as_json:
        show_json([msgspec.to_builtins(each) for each in done])
        return
    for each in done:
        click.echo(f"Message {each.message} by {each.author}: " + ("never opened." if each.never_opened else "opened."))
        for one in each.reached:
            at = f", {moment(one.opened)}, entry {one.entry} of the audit trail" if one.opened else ""
            click.echo(f"  {one.address}: {REACHED[one.state]}{at}")
        for row in each.answers:
            click.echo(f"  answered by {row['author']} {moment(row['created'])} in message {row['id']}: may quote it")


@message.command()
@click.argument("message_id", metavar="MESSAGE", type=NUMBER)
@click.option("--account", required=True, metavar="ADDRESS", help="Whose message it is; their password is asked for.")
@click.option("--output", type=click.Path(path_type=Path, allow_dash=True), help="A new file; - is standard output.")
@click.option("--sealed", is_flag=True, help="Leave it sealed, for cryptnsend-open.")
@click.option(
    "--files",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for the large files beside it; a sealed export has them in it.",
)
@password_option
@home_option
def export(
    config: Config,
    message_id: int,
    account: str,
    output: Path | None,
    sealed: bool,
    folder: Path | None,
    from_stdin: bool,
) -> None:
    """
    Write MESSAGE to a file as somebody who may open it. For its author it has every octet as submitted, Bcc included.

    With --sealed nothing is opened: the file has what rests in the vault and opens with the password typed now, by
    cryptnsend-open, without the server, with the large files that rest beside the message.
    """
    if sealed and folder is not None:
        raise click.UsageError("A sealed export has the large files in it: leave out --files.")
    with opened(config) as app:
        app.owner.show(account)
        _about(app.engine, message_id)
    password = read_password(from_stdin, f"Password of {account}")
    place = output or Path(f"{message_id}.{'sealed' if sealed else 'eml'}")
    with owned(config) as app:
        session = app.exporting.sign_in(account, password)
        if sealed:
            pieces: Iterable[bytes] = app.exporting.sealed(session, message_id, password)
        else:
            pieces = app.exporting.mail(session, message_id).chunks
        write_new(place, pieces)
        if not sealed:
            _write_files(app.exporting.beside(session, message_id), folder)
    where = "went to standard output" if str(place) == "-" else f"is in {place}"
    click.echo(f"Message {message_id} {where}.", err=True)


def _write_files(beside: Sequence[tuple[LinkedFile, Iterable[bytes]]], folder: Path | None) -> None:
    """Write large files into a folder, or say which were left out."""
    names = file_names([each for each, _ in beside])
    if folder is None:
        for name in names:
            said = f"Beside it rests {printable(name)}, which was not written. Name a folder with --files."
            click.echo(said, err=True)
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for (_, pieces), name in zip(beside, names, strict=True):
        write_new(folder / name, pieces)


def _about(engine: Engine, message_id: int) -> Row:
    row = listing.message(engine, message_id)
    if row is None:
        raise NoGrant(f"There is no message {message_id}.")
    return row


def _by(recipient: str | None) -> str:
    return f" by {recipient}" if recipient else ""


def _canonical(address: str) -> str:
    try:
        return canonical(address)
    except ValueError as error:
        raise Denied(f"{address!r} is not a mail address: {error}") from None


def _at(said: datetime.datetime | None, otherwise: int) -> int:
    return otherwise if said is None else int(said.replace(tzinfo=datetime.UTC).timestamp() * 1000)
