"""`policy`: what would happen to a message, and why?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from cryptnsend.cli.options import (
    Commands,
    home_option,
    json_option,
    moment,
    printable,
    show_changes,
    show_json,
    show_table,
    show_versions,
    tell,
)
from cryptnsend.cli.owner import owned
from cryptnsend.config import Config
from cryptnsend.core import organisation as rules
from cryptnsend.core import organisation_typed as typed
from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.errors import Denied
from cryptnsend.core.mime import Outgoing, build_message

if TYPE_CHECKING:
    from cryptnsend.app import App
    from cryptnsend.flow.policies import Standing

organisation_option = click.option(
    "--organisation", metavar="NAME", help="Whose rules; needed where there are several."
)
why_option = click.option(
    "--why", required=True, metavar="TEXT", help="The reason, for the history and the audit trail."
)


@click.group(cls=Commands)
def policy() -> None:
    """The rules that decide which way a message takes."""


@policy.command()
@click.option("--from", "author", required=True, metavar="ADDRESS", help="The subscriber who would send.")
@click.option("--to", "recipient", required=True, metavar="ADDRESS", help="The recipient.")
@click.option("--subject", default="", help="The subject, with its tokens.")
@home_option
@json_option
def explain(config: Config, author: str, recipient: str, subject: str, as_json: bool) -> None:
    """Say what would happen to a message: the decision in the first line, then why. Nothing is sent or kept."""
    from cryptnsend.flow.granting import Addressee, Envelope  # brings the flow with it

    mail = Outgoing(Mailbox("", author), [Mailbox("", recipient)], subject, 0, "<explained@invalid>", "")
    try:
        header = next(build_message(mail))
    except ValueError as error:
        raise Denied(f"No mail can have this sender, recipient or subject: {error}") from None
    with owned(config) as app:
        who = app.owner.author(author)
        draft = app.admission.begin(who, Envelope(who.address, (Addressee(recipient),)), "page")
        draft.header(header)
        ((address, decision),) = draft.explain().items()
    said, until = decision.explain(), draft.newcomer_until
    name = type(decision).__name__.lower()
    words = [name, said]
    if until is not None:
        most = config.signup.newcomer_recipients_per_day
        words.append(f"{author} signed up by itself: until {moment(until)} at most {most} new recipients a day.")
    answer = {"recipient": address, "decision": name, "reason": decision.reason, "explanation": said}
    tell(as_json, answer | {"newcomer_until": until}, "\n".join(words))


@policy.command()
@click.argument("where", type=click.Choice(["vault", "tls-or-vault", "plain", "inherit"]))
@organisation_option
@why_option
@home_option
@json_option
def default(config: Config, where: str, organisation: str | None, why: str, as_json: bool) -> None:
    """
    Say where an organisation's unmarked mail goes, or that the installation's rule holds ("inherit").

    tls-or-vault sends over proven TLS and seals where there is none. An organisation can ask for more protection than
    [policy] default; for less as far as [policy] least allows.
    """
    with owned(config) as app:
        org = _organisation(app, organisation)
        standing = _said(app, org, {"default": None if where == "inherit" else where}, why)
    ours, holds = config.policy.default, standing.held.default
    if where == "inherit":
        words = f'Unmarked mail goes by the installation\'s rule: [policy] default = "{ours}".'
    elif holds != where:
        words = f'Noted, but [policy] default = "{ours}" protects more, and goes first: unmarked mail goes by that.'
    else:
        words = f"Unmarked mail of this organisation goes by: {where}."
    tell(as_json, {"organisation": org, "default": where, "holds": holds, "version": standing.version}, words)


@policy.command("set")
@click.argument("rule", metavar="RULE")
@click.argument("value", metavar="VALUE")
@organisation_option
@why_option
@home_option
@json_option
def set_(config: Config, rule: str, value: str, organisation: str | None, why: str, as_json: bool) -> None:
    """
    Change one rule of an organisation; VALUE "inherit" lets the installation's hold.

    `cryptnsend policy rules` lists the rules with what each takes: yes and no (allow and forbid are understood too),
    numbers, or lists with commas between. What the installation forbids stays forbidden.
    """
    name = _rule(rule)
    asked = None if value == "inherit" else typed.parse(name, value)
    with owned(config) as app:
        org = _organisation(app, organisation)
        standing = _said(app, org, {name: asked}, why)
    holds = getattr(standing.held, name)
    if isinstance(holds, bool):
        words = f"{rule} is {'allowed' if holds else 'forbidden'} to the people of this organisation."
        if asked is True and not holds:
            words = f"Noted, but the installation forbids it ([policy] in {config.source.name}), and that goes first."
    else:
        words = f"{rule}: {rules.spelt(holds) or '(nothing)'}"
        if name in standing.beyond:
            words += f"\nNoted as {value}, but {config.source.name} goes first."
    answer = {"organisation": org, "rule": rule, "answer": value, "holds": holds, "version": standing.version}
    tell(as_json, answer, printable(words))


@policy.command("rules")
@json_option
def rules_(as_json: bool) -> None:
    """List the rules that an organisation can set, with what each takes."""
    found = [
        {"rule": name.replace("_", "-"), "takes": takes(name), "about": each.metadata["help"]}
        for name, each in rules.SETTINGS.items()
    ]
    if as_json:
        show_json(found)
    else:
        show_table(found, {"rule": "rule", "takes": "takes", "about": "about"}, empty="")


@policy.command()
@organisation_option
@home_option
@json_option
def show(config: Config, organisation: str | None, as_json: bool) -> None:
    """Show which rules hold for an organisation's people; without one, for subscribers of their own."""
    with owned(config) as app:
        org = app.owner.organisation(organisation)
        standing = app.policies.standing(org) if org is not None else None
        held = standing.held if standing else app.policies.installation
    said = standing.said if standing else {}
    values = {name.replace("_", "-"): getattr(held, name) for name in rules.SETTINGS}
    if as_json:
        values["plain"] = held.plain_token
        show_json({"organisation": org, "version": standing.version if standing else 0, **values, "said": dict(said)})
        return
    click.echo(f"unmarked mail: {held.default}")
    click.echo(f"plain: {'allowed' if held.plain_token else 'forbidden'}")
    for name in rules.SETTINGS:
        whose = "" if name not in said else "  (the organisation's)"
        if standing is not None and name in standing.beyond:
            whose = f"  (the organisation asked for {rules.spelt(said[name])}; the installation goes first)"
        shown = rules.spelt(getattr(held, name)) or "-"
        click.echo(printable(f"{name.replace('_', '-') + ':':24}{shown}{whose}"))


@policy.command()
@organisation_option
@click.option("--limit", default=20, show_default=True, help="How many versions.", type=click.IntRange(1, 1000))
@home_option
@json_option
def history(config: Config, organisation: str | None, limit: int, as_json: bool) -> None:
    """Show who changed an organisation's rules, when, why and how, the newest first."""
    with owned(config) as app:
        versions = app.policies.history(_organisation(app, organisation), limit=limit)
        names = {each.actor: app.policies.actor(each.actor) for each in versions}
    never = "The rules were never changed: those of the installation hold."
    show_versions(as_json, versions, names, never, _in_words, _as_json)


@policy.command()
@click.argument("earlier", type=click.IntRange(0))
@click.argument("later", type=click.IntRange(0))
@organisation_option
@home_option
@json_option
def compare(config: Config, earlier: int, later: int, organisation: str | None, as_json: bool) -> None:
    """Show how two versions of an organisation's rules differ; 0 is the time before the first."""
    with owned(config) as app:
        changes = app.policies.compare(_organisation(app, organisation), earlier, later)
    show_changes(as_json, changes, "They say the same.", _in_words, _as_json)


@policy.command()
@click.argument("version", type=click.IntRange(0))
@organisation_option
@click.option("--why", default="", metavar="TEXT", help="The reason, if it is another than going back.")
@home_option
@json_option
def revert(config: Config, version: int, organisation: str | None, why: str, as_json: bool) -> None:
    """Let an organisation say again what it said in VERSION. That is a version of its own; nothing is forgotten."""
    with owned(config) as app:
        org = _organisation(app, organisation)
        said = app.policies.said_in(org, version)
        standing = _told(app, org, said, why or f"back to version {version}")
    words = f"The rules of version {version} hold again, as version {standing.version}."
    tell(as_json, {"organisation": org, "version": standing.version, "said": dict(standing.said)}, words)


ALIASES = {"plain": "plain_token"}


def takes(name: str) -> str:
    """Return in words what a rule takes."""
    about = rules.SETTINGS[name].metadata
    if about["kind"] == "choice":
        return " | ".join(about["choices"])
    if about["kind"] == "number":
        most = f" to {about['high']}" if about["high"] < 2**53 else " or more"
        return f"{about['low']}{most} {about['unit']}".rstrip()
    return {"yes": "yes | no", "text": f"up to {rules.LONGEST_TEXT} characters"}.get(about["kind"], f"{about['kind']}")


def _rule(typed: str) -> str:
    name = ALIASES.get(typed, typed.replace("-", "_"))
    if name not in rules.SETTINGS:
        raise click.UsageError(f"There is no rule {typed!r}. `cryptnsend policy rules` lists them.")
    return name


def _organisation(app: App, name: str | None) -> int:
    org = app.owner.organisation(name)
    if org is None:
        raise Denied("There is no organisation yet. For subscribers of their own, [policy] decides.")
    return org


def _said(app: App, org: int, changes: Mapping[str, rules.Value | None], why: str) -> Standing:
    return _told(app, org, app.policies.said_with(org, changes), why)


def _told(app: App, org: int, said: Mapping[str, rules.Value], why: str) -> Standing:
    """Change the rules, and tell all officers: whoever sits at the machine is none of them."""
    before = app.policies.standing(org).version
    standing = app.owner.set_rules(org, said, why)
    if standing.version != before:
        app.owner.tell_officers(org, "rules-changed")
    return standing


def _in_words(change: rules.Difference) -> str:
    name = change.name.replace("_", "-")
    return f"{name}: {rules.spelt(change.before) or '-'} -> {rules.spelt(change.after) or '-'}"


def _as_json(change: rules.Difference) -> dict[str, object]:
    return {"rule": change.name.replace("_", "-"), "before": change.before, "after": change.after}
