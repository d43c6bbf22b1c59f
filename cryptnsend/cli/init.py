"""`init`: make a home."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cryptnsend import rights
from cryptnsend.cli.options import DEFAULT_HOME, json_option, password_option, read_password, tell
from cryptnsend.cli.owner import Kept, keep_recovery, owned
from cryptnsend.config import HOME_VARIABLE, Config
from cryptnsend.core.addresses import canonical, display_domain
from cryptnsend.core.errors import Denied, WrongSecret
from cryptnsend.home import PORT_NAMES
from cryptnsend.making import finish, prepare

if TYPE_CHECKING:
    from cryptnsend.flow.owner import Owner
    from cryptnsend.keeper.requests import Opened


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
@click.option(
    "--domain",
    metavar="DOMAIN",
    help="Domain of our own addresses, where nobody has a mailbox; the host name if not given.",
)
@click.option("--officer", metavar="ADDRESS", help="First officer and subscriber; makes an organisation.")
@click.option("--organisation", metavar="NAME", help="The organisation's name; the domain if not given.")
@click.option("--name", default="", help="The officer's name as recipients see it.")
@password_option
@click.option(
    "--smarthost", metavar="URL", help="Relay for all that leaves, smtp://host:port; MX records if not given."
)
@click.option("--for-restore", is_flag=True, help="Make an empty home for `recover` and `restore`: no keys, no people.")
@click.option(
    "--one-user", is_flag=True, help="Let one user play all roles; as root, without this, each gets a user of its own."
)
@click.option("--free-ports", is_flag=True, help="Take free ports, on loopback only; run/ports.json tells which.")
@json_option
def init(
    home: Path,
    hostname: str,
    domain: str | None,
    officer: str | None,
    organisation: str | None,
    name: str,
    from_stdin: bool,
    smarthost: str | None,
    for_restore: bool,
    one_user: bool,
    free_ports: bool,
    as_json: bool,
) -> None:
    """
    Make a home: configuration, certificate, signing keys, master key and its recovery file.

    With --officer it gets an organisation, whose archive has a recovery file too. Without one, only subscribers with an
    organisation of their own can be added. An interrupted init can be repeated.
    """
    if for_restore and officer is not None:
        raise click.UsageError("--for-restore and --officer exclude each other: people come from the backup.")
    # International names are for people; what we, DNS and certificates compare are A-labels.
    values: dict[str, dict[str, Any]] = {"server": {"hostname": display_domain(hostname)}}
    if domain:
        values["server"]["domain"] = display_domain(domain)
    if officer is not None:
        _check_officer(officer, domain or hostname)
    if smarthost:
        values["delivery"] = {"smarthost": smarthost}
    if one_user:
        values["users"] = {"separate": "never"}
    if free_ports:
        # Free ports are for trying things side by side; nobody outside could know them.
        values["ports"] = {"bind": "127.0.0.1"} | dict.fromkeys(PORT_NAMES, 0)
    config = prepare(home, values)
    _arrange(config)
    if for_restore:
        rights.renew(finish(config))
        words = [
            f"An empty home is in {config.server.home}.",
            "Next: `cryptnsend recover` brings the master key back, `cryptnsend restore` the backup.",
        ]
        tell(as_json, _answer(config), "\n".join(words))
        return
    kept: list[Kept] = []
    with owned(config) as app:
        if officer is not None:
            made = _add_officer(app.owner, officer, organisation or config.server.domain, name, from_stdin)
            kept += keep_recovery(config, f"archive-{made.addresses[0]}", made.recovery)
        kept += keep_recovery(config, "installation", app.owner.recovery_file())
    rights.renew(finish(config))
    words = [
        f"A home for {config.server.hostname} is in {config.server.home}.",
        f"The certificate is {config.tls.certificate}. It signs itself until you put a real one in its place.",
        *map(str, kept),
        "Next: `cryptnsend dns` prints what to publish, `cryptnsend serve` starts the server.",
    ]
    tell(as_json, _answer(config, kept), "\n".join(words))


def _check_officer(officer: str, own: str) -> None:
    """Refuse an officer who could not have a mailbox, before anything is made."""
    try:
        address = canonical(officer)
    except ValueError as error:
        raise click.UsageError(f"--officer {officer!r} is not a mail address: {error}") from None
    if address.rpartition("@")[2] == display_domain(own):
        raise click.UsageError(
            f"{officer} is at {own}, the domain of the server's own addresses, whose mail comes to this server. "
            f"Name a domain that nobody has a mailbox at, such as --domain secure.{own}."
        )


def _add_officer(owner: Owner, officer: str, organisation: str, name: str, from_stdin: bool) -> Opened:
    """Make the first officer and their organisation, or go on with what an interrupted init has made of them."""
    password = read_password(from_stdin, f"Password for {officer}", new=True)
    owner.check_strength(password, [officer, name])
    there = owner.organisations()
    org = there[0]["id"] if there else owner.add_organisation(organisation).id
    try:
        return owner.add(officer, password, organisation=org, roles=("subscriber", "officer"), name=name)
    except Denied:  # there is such an account already
        try:
            return owner.add_again(officer, password)
        except WrongSecret:
            raise WrongSecret(
                f"An init that was interrupted has given {officer} another password. Take that one, or another --home."
            ) from None


def _answer(config: Config, kept: Sequence[Kept] = ()) -> dict[str, object]:
    return {
        "home": str(config.server.home),
        "hostname": config.server.hostname,
        "domain": config.server.domain,
        "certificate": str(config.tls.certificate),
        "recovery": [each._asdict() for each in kept],
    }


def _arrange(config: Config) -> None:
    """As root, make the users that play the roles and give the home to them; if that cannot be, say so and go on."""
    if os.geteuid() != 0 or config.users.separate == "never":
        return
    try:
        if made := rights.make_users(config):
            click.echo(f"Made for the roles of the server: {', '.join(made)}.", err=True)
        rights.apart(config)
    except rights.NotApart as reason:
        click.echo(f"{reason.words} {reason.remedy}", err=True)
