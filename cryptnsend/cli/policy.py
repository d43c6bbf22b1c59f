"""`policy`: what would happen to a message, and why?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cryptnsend.cli.options import Commands, home_option, json_option, moment, tell
from cryptnsend.cli.owner import owned
from cryptnsend.config import Config
from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.errors import Denied
from cryptnsend.core.mime import Outgoing, build_message

if TYPE_CHECKING:
    from cryptnsend.app import App


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
@click.option("--organisation", metavar="NAME", help="Whose rule; needed where there are several.")
@home_option
@json_option
def default(config: Config, where: str, organisation: str | None, as_json: bool) -> None:
    """
    Say where an organisation's unmarked mail goes, or that the installation's rule holds ("inherit").

    tls-or-vault sends over proven TLS and seals where there is none. An organisation can ask for more protection than
    [policy] default, never for less.
    """
    from cryptnsend.flow.rules import PROTECTION

    with owned(config) as app:
        org = app.owner.organisation(organisation)
        if org is None:
            raise Denied("There is no organisation yet. For subscribers of their own, [policy] default decides.")
        app.owner.set_default(org, None if where == "inherit" else where)
    ours = config.policy.default
    if where == "inherit":
        holds, words = ours, f'Unmarked mail goes by the installation\'s rule: [policy] default = "{ours}".'
    elif PROTECTION[where] < PROTECTION[ours]:
        holds = ours
        words = f'Noted, but [policy] default = "{ours}" protects more, and goes first: unmarked mail goes by that.'
    else:
        holds, words = where, f"Unmarked mail of this organisation goes by: {where}."
    tell(as_json, {"organisation": org, "default": where, "holds": holds}, words)


RULES = {
    "plain": "plain_token",
    "cleartext": "cleartext",
    "tls-replies": "tls_replies",
}  # and their names in flow.rules


@policy.command("set")
@click.argument("rule", type=click.Choice(list(RULES)))
@click.argument("answer", type=click.Choice(["allow", "forbid", "inherit"]))
@click.option("--organisation", metavar="NAME", help="Whose rule; needed where there are several.")
@home_option
@json_option
def set_(config: Config, rule: str, answer: str, organisation: str | None, as_json: bool) -> None:
    """
    Allow or forbid something to an organisation's people, or let the installation's rule hold ("inherit").

    plain: that :: at the start of a subject sends plain. cleartext: that plain mail goes unencrypted to hosts without
    TLS; the installation has to leave that to organisations, or allow it ([policy] cleartext). tls-replies: that they
    may have replies arrive readable in their inbox, over proven TLS. What the installation forbids stays forbidden.
    """
    with owned(config) as app:
        org = app.owner.organisation(organisation)
        if org is None:
            raise Denied("There is no organisation yet. For subscribers of their own, [policy] decides.")
        app.owner.set_rule(org, RULES[rule], {"allow": True, "forbid": False}.get(answer))
        holds = _rules(app, org)[rule]
    words = f"{rule} is {'allowed' if holds else 'forbidden'} to the people of this organisation."
    if answer == "allow" and not holds:
        words = f"Noted, but the installation forbids it ([policy] in {config.source.name}), and that goes first."
    tell(as_json, {"organisation": org, "rule": rule, "answer": answer, "holds": holds}, words)


@policy.command()
@click.option("--organisation", metavar="NAME", help="Whose rules; needed where there are several.")
@home_option
@json_option
def show(config: Config, organisation: str | None, as_json: bool) -> None:
    """Show which rules hold for an organisation's mail; without one, for subscribers of their own."""
    with owned(config) as app:
        org = app.owner.organisation(organisation)
        holds = _rules(app, org)
    words = [f"unmarked mail: {holds['default']}"]
    words += [f"{rule}: {'allowed' if holds[rule] else 'forbidden'}" for rule in RULES]
    tell(as_json, {"organisation": org, **holds}, "\n".join(words))


def _rules(app: App, org: int | None) -> dict[str, Any]:
    """Return what holds, by the names of the commands."""
    from cryptnsend.flow.rules import rules_of

    rules = rules_of(app.owner.rules(org) if org is not None else "{}", app.admission.settings)
    named = {"plain": rules.allow_plain, "cleartext": rules.cleartext, "tls-replies": rules.tls_replies}
    return {"default": rules.default, **named}
