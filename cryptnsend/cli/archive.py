"""`archive`: what does it have, is it all there, what must stay for a case, and what goes out for one?"""

from __future__ import annotations

import dataclasses
import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
from cryptnsend.cli.owner import opened, organisation_of, owned
from cryptnsend.config import Config
from cryptnsend.core import words
from cryptnsend.core.errors import Denied
from cryptnsend.flow.archiving import EVER, Wanted
from cryptnsend.flow.owner import BY_OWNER
from cryptnsend.store.records import operator

if TYPE_CHECKING:
    from cryptnsend.app import App
    from cryptnsend.flow.glass import Broken

COLUMNS = {
    "id": "message",
    "created": "sealed",
    "author": "author",
    "recipients": "recipients",
    "size": "bytes",
    "held": "case",
    "message_id": "Message-ID",
}
HOLDS = {"name": "case", "kind": "keeps", "what": "of", "since": "since", "reason": "because"}
COPIES = {"domain": "domain", "mailbox": "to", "arrived": "arrived", "waiting": "on their way", "failed": "failed"}
ORGANISATION = click.option(
    "--organisation", metavar="NAME", help="Whose archive, by name or number; needed where there are several."
)
DAY = click.DateTime(["%Y-%m-%d"])
MINUTES = 15  # for which an export may take


@click.group(cls=Commands)
def archive() -> None:
    """The archive: all mail of an organisation, which nothing edits or deletes before its time."""


@archive.command()
@click.option("--organisation", metavar="NAME", help="Only this organisation's archive, by its name or number.")
@home_option
@json_option
@click.pass_context
def verify(ctx: click.Context, config: Config, organisation: str | None, as_json: bool) -> None:
    """
    Compare each archive with its signed manifest: every message, its sealed content, envelope and time.

    A manifest is signed for each day by the next. Exit code 1 if anything is missing or was changed.
    """
    with owned(config) as app:
        chosen = [row for row in operator.chains(app.engine) if row["id"]]
        if organisation is not None:
            one = organisation_of(app, organisation)
            chosen = [row for row in chosen if row["id"] == one]
        answers: list[dict[str, Any]] = []
        for row in chosen:
            found = app.archiving.verify(row["id"])
            name = row["address"] or "an organisation of one" if row["single"] else row["name"]
            answers.append(
                {
                    "organisation": row["id"],
                    "name": name,
                    "messages": found.entries,
                    "signed": found.signed,
                    "problems": list(found.problems),
                }
            )
    if as_json:
        show_json(answers)
    else:
        for each in answers:
            said = "; ".join(each["problems"]) or "as signed"
            click.echo(f"{printable(each['name'])} ({each['organisation']}): {each['messages']} messages, {said}")
    if any(each["problems"] for each in answers):
        ctx.exit(1)


@archive.command()
@ORGANISATION
@click.option("--address", default="", metavar="ADDRESS", help="What this address sent or got.")
@click.option("--author", default="", metavar="ADDRESS", help="What this address sent.")
@click.option("--recipient", default="", metavar="ADDRESS", help="What went to this address.")
@click.option("--since", type=DAY, help="Sealed on this day (UTC) or later.")
@click.option("--until", type=DAY, help="Sealed on this day (UTC) or earlier.")
@click.option("--message-id", default="", metavar="ID", help="With this Message-ID.")
@click.option("--case", default="", metavar="NAME", help="What this case keeps.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@home_option
@json_option
def search(
    config: Config,
    organisation: str | None,
    address: str,
    author: str,
    recipient: str,
    since: datetime.datetime | None,
    until: datetime.datetime | None,
    message_id: str,
    case: str,
    limit: int,
    as_json: bool,
) -> None:
    """Find messages in an archive by who, when and which; what they say is not looked at."""
    wanted = Wanted(
        address=address.strip().lower(),
        author=author.strip().lower(),
        recipient=recipient.strip().lower(),
        since=_begin(since) if since else 0,
        until=_begin(until + datetime.timedelta(days=1)) if until else EVER,
        message_id=message_id,
        case=case,
    )
    with opened(config) as app:
        rows = app.archiving.search(only(app, organisation), wanted, limit=limit)
    if as_json:
        show_json([{**row, "held": bool(row["held"])} for row in rows])
        return
    shown = [{**row, "created": moment(row["created"]), "held": "held" if row["held"] else ""} for row in rows]
    show_table(shown, COLUMNS, empty="The archive has no such message.")


@archive.command()
@click.argument("case", metavar="CASE")
@click.option("--message", "message_id", type=NUMBER, help="Keep this message.")
@click.option("--account", metavar="ADDRESS", help="Keep everything that this account sent or got, and will.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in a sentence; it stands in the audit trail.")
@ORGANISATION
@home_option
@json_option
def hold(
    config: Config,
    case: str,
    message_id: int | None,
    account: str | None,
    reason: str,
    organisation: str | None,
    as_json: bool,
) -> None:
    """Keep mail for CASE whatever its age, until `archive release`."""
    if (message_id is None) == (account is None):
        raise click.UsageError("Name either a --message or an --account.")
    with owned(config) as app:
        org = only(app, organisation)
        if message_id is not None:
            app.archiving.hold_message(org, case, message_id, reason, BY_OWNER, app.typist)
        else:
            app.archiving.hold_account(org, case, str(account).strip().lower(), reason, BY_OWNER, app.typist)
        rows = [row for row in app.archiving.holds(org) if row["name"] == case.strip()]
    tell(as_json, rows, f"Case {case.strip()} keeps it until `cryptnsend archive release {case.strip()!r}`.")


@archive.command()
@click.argument("case", metavar="CASE")
@ORGANISATION
@home_option
@json_option
def release(config: Config, case: str, organisation: str | None, as_json: bool) -> None:
    """End what CASE keeps: what is older than the retention then goes."""
    with owned(config) as app:
        count = app.archiving.release(only(app, organisation), case, BY_OWNER, app.typist)
    tell(as_json, {"case": case.strip(), "holds": count}, f"Case {case.strip()} keeps nothing any more.")


@archive.command()
@ORGANISATION
@home_option
@json_option
def holds(config: Config, organisation: str | None, as_json: bool) -> None:
    """List which cases keep what."""
    with opened(config) as app:
        rows = app.archiving.holds(only(app, organisation))
    if as_json:
        show_json(rows)
        return
    shown = [
        {**row, "since": moment(row["since"]), "what": row["address"] or str(row["subject"])}
        for row in rows
        if row["kind"] != "address"
    ]
    show_table(shown, HOLDS, empty="No case keeps anything.")


@archive.command()
@ORGANISATION
@home_option
@json_option
def copies(config: Config, organisation: str | None, as_json: bool) -> None:
    """Show how the copies of mail stand that `policy set journal-to` asks for: those of the last thirty days."""
    with owned(config) as app:
        found = app.archiving.copies(only(app, organisation))
    if as_json:
        show_json([dataclasses.asdict(each) for each in found])
        return
    show_table([dataclasses.asdict(each) for each in found], COPIES, empty="No copies are made of any domain's mail.")
    for each in found:
        for row in each.failures:
            click.echo(printable(f"message {row['message']} of {moment(row['created'])}: {row['reply']}"))


@archive.command()
@click.argument("address", metavar="ADDRESS")
@click.option("--officer", metavar="ADDRESS", help="Who opens the archive; their password is asked for.")
@click.option(
    "--recovery-file",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Open it by the archive's recovery file instead, whose code is asked for: when no officer is left.",
)
@click.option("--second", metavar="ADDRESS", help="Who agrees, where the organisation wants two officers.")
@click.option("--numbers", is_flag=True, help="Ask for the officers' numbers, too: they have a second step.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in a sentence; it stands in the audit trail.")
@click.option("--case", default="", metavar="NAME", help="Only what this case keeps.")
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A new file for the ZIP.",
)
@password_option
@home_option
@json_option
def export(
    config: Config,
    address: str,
    officer: str | None,
    file: Path | None,
    second: str | None,
    numbers: bool,
    reason: str,
    case: str,
    out: Path,
    from_stdin: bool,
    as_json: bool,
) -> None:
    """
    Write the mail of ADDRESS out of the archive: a locked ZIP with mail files, a list, and signatures over the list.

    It is a glass break of fifteen minutes: all officers and ADDRESS are told, and each message stands in the audit
    trail; so it is with a recovery file, which opens no archive that asks for two officers. The ZIP's pass phrase is
    told once, by this command.
    """
    if (officer is None) == (file is None) or (file and (second or numbers)):
        raise click.UsageError("Name either an --officer, who may have a --second, or a --recovery-file.")
    if out.exists():
        raise Denied(f"{out} is there already. Name a new file with --out.")
    if file is not None:
        code = read_password(from_stdin, "Code of the recovery file")
        with owned(config) as app:
            broken = app.casework.recovered(_text(file), code, address, reason)
            count, phrase = _written(app, broken, case, out)
        _told(as_json, out, count, phrase)
        return
    with opened(config) as app:
        for each in (officer, second):
            if each:
                app.owner.show(each)
    asked = [
        (
            each,
            read_password(from_stdin, f"Password of {each}"),
            read_password(from_stdin, f"Number of {each}") if numbers else "",
        )
        for each in (officer, second)
        if each
    ]
    with owned(config) as app:
        sessions = [app.exporting.sign_in(name, password) for name, password, _ in asked]
        (_, password, number), session = asked[0], sessions[0]
        glass, source = app.glass, "command line"
        ident = glass.ask(session, password, number, address, reason, MINUTES, source, second or "")
        if second:
            glass.agree(sessions[1], asked[1][1], asked[1][2], ident, source)
            glass.open(session, password, number, ident, source)
        try:
            count, phrase = _written(app, glass.broken(session, ident), case, out)
        finally:
            glass.end(session, ident)
    _told(as_json, out, count, phrase)


@archive.command()
@click.argument("officers", type=click.Choice(["one", "two"]))
@ORGANISATION
@home_option
@json_option
def rule(config: Config, officers: str, organisation: str | None, as_json: bool) -> None:
    """Set how many OFFICERS it takes to open the archive: one, or two of whom the second agrees."""
    with owned(config) as app:
        org = only(app, organisation)
        app.owner.glass_rule(org, officers == "two")
    tell(as_json, {"organisation": org, "officers": officers}, f"Opening this archive takes {officers} from now on.")


def only(app: App, said: str | None) -> int:
    """Return the organisation meant, which may go unsaid where there is one with an archive."""
    if said is not None:
        org = organisation_of(app, said)
        if not org:
            raise Denied("The installation has no archive. Name an organisation.")
        return org
    there = [row["id"] for row in operator.chains(app.engine) if row["id"]]
    if len(there) != 1:
        raise Denied("There are several organisations, or none. Name one with --organisation.")
    return int(there[0])


def _written(app: App, broken: Broken, case: str, out: Path) -> tuple[int, str]:
    """Write an export to a new file; return how many messages it has, and the ZIP's pass phrase."""
    phrase = words.passphrase(os.urandom)
    count = len(app.casework.found(broken, case))
    write_new(out, app.casework.export(broken, phrase, case))
    return count, phrase


def _told(as_json: bool, out: Path, count: int, phrase: str) -> None:
    said = f"{count} messages are in {out}. Its pass phrase, told this once: {phrase}"
    tell(as_json, {"file": str(out), "messages": count, "pass_phrase": phrase}, said)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise Denied(f"{file} cannot be read as a recovery file.") from None


def _begin(day: datetime.datetime) -> int:
    return int(day.replace(tzinfo=datetime.UTC).timestamp() * 1000)
