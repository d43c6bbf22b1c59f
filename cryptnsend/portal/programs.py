"""How does a subscriber's mail program get here? A page for each program, device passwords, Apple's profiles.

A device password is shown once, in the answer to the form that made it, or rests in one profile and is shown nowhere.
Nothing of either is kept here: who loses one makes another.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask_babel import gettext, lazy_gettext

from cryptnsend.core.errors import Temporary
from cryptnsend.core.profile import PROFILE_NAME, PROFILE_TYPE, CannotSign, mail_profile, sign
from cryptnsend.flow.views_accounts import NewDevice
from cryptnsend.logs import logger
from cryptnsend.portal.desk import desk
from cryptnsend.portal.security import check_form
from cryptnsend.portal.visits import forget, needs_subscriber, recall, remember, signed_in

blueprint = Blueprint("programs", __name__)
blueprint.before_request(check_form)
log = logger(__name__)

NAME_LENGTH = 60
SCOPES = ("mail", "submit", "read")


class Program(NamedTuple):
    """A mail program: its title, where it runs, and whether it gives mail and password to its maker's servers."""

    title: Any
    place: str  # computer, phone
    through: str = ""
    takes_profile: bool = False


PROGRAMS = {
    "outlook": Program(lazy_gettext("Outlook (classic)"), "computer"),
    "new-outlook": Program(lazy_gettext("New Outlook"), "computer", "Microsoft"),
    "mac": Program(lazy_gettext("Apple Mail"), "computer", takes_profile=True),
    "thunderbird": Program("Thunderbird", "computer"),
    "iphone": Program(lazy_gettext("iPhone or iPad"), "phone", takes_profile=True),
    "thunderbird-android": Program(lazy_gettext("Thunderbird for Android"), "phone"),
    "samsung": Program(lazy_gettext("Samsung Mail"), "phone"),
    "gmail": Program(lazy_gettext("Gmail app"), "phone"),
    "outlook-mobile": Program(lazy_gettext("Outlook on a phone"), "phone", "Microsoft"),
    "other": Program(lazy_gettext("another program"), "computer"),
}

SENDERS = ("outlook", "apple", "thunderbird", "other")  # whose steps there are where mail cannot be read here


@blueprint.get("/setup")
@needs_subscriber
def setup() -> Any:
    """Ask which mail program it is, or show what the user of that one needs."""
    return page()


@blueprint.post("/setup/devices")
@needs_subscriber
def add_device() -> Any:
    """Make a device password and show it in the steps, this once."""
    asked = request.form.get("scope", "")
    scope = asked if asked in SCOPES else SCOPES[0]
    return page(desk().accounts.add_device(signed_in(), device_name(), scope if offers_reading() else "submit"))


@blueprint.post("/setup/profile")
@needs_subscriber
def profile() -> Any:
    """Make a device password and hand it over inside a signed profile for one Apple device, this once."""
    if not offers_reading():
        abort(404)
    somebody, servers, (chain, key) = signed_in(), desk().servers(), signer()
    made = desk().accounts.add_device(somebody, device_name(), "mail", by="profile")
    name = "".join(c for c in somebody.name if c.isprintable())
    about = gettext("Sends and reads as %(address)s, through %(host)s.", address=somebody.address, host=servers.host)
    octets = mail_profile(servers, somebody.address, name, made.password, (gettext("Secure mail"), about))
    try:
        signed = sign(octets, chain, key)
    except CannotSign as reason:
        desk().accounts.revoke_device(somebody, made.id)
        log.error("a profile cannot be signed", reason=str(reason))
        raise Temporary("The profile could not be signed.") from None
    answer = Response(signed, mimetype=PROFILE_TYPE)
    answer.headers["Content-Disposition"] = f'attachment; filename="{PROFILE_NAME}"'
    return answer


@blueprint.get("/account/devices")
@needs_subscriber
def devices() -> Any:
    """List the device passwords of this account, to remove one or all."""
    saved = recall("saved")
    forget("saved")
    return render_template("devices.html", devices=desk().accounts.devices(signed_in()), saved=saved)


@blueprint.post("/setup/devices/<int:device>/revoke")
@needs_subscriber
def revoke_device(device: int) -> Any:
    """Stop a device password at once."""
    desk().accounts.revoke_device(signed_in(), device)
    remember("saved", "revoked")
    if asked := request.form.get("program", ""):
        return redirect(url_for("programs.setup", program=asked[:NAME_LENGTH]), 303)
    return redirect(url_for("programs.devices"), 303)


@blueprint.post("/account/devices/revoke-all")
@needs_subscriber
def revoke_devices() -> Any:
    """Stop every device password of this account at once."""
    desk().accounts.revoke_devices(signed_in())
    remember("saved", "revoked-all")
    return redirect(url_for("programs.devices"), 303)


def page(made: NewDevice | None = None) -> str:
    """Render the set-up page; *made* is the device password to show."""
    somebody, servers = signed_in(), desk().servers()
    ports = {(each.kind, each.starttls): each.port for each in reversed(servers.services)}
    saved = recall("saved")
    forget("saved")
    domain = somebody.address.rpartition("@")[2]
    shown = program() or ("other" if made else "")
    template = f"setup-{shown or 'choose'}.html"
    if not servers.are_whole:
        asked = request.values.get("program", "")
        template, shown = "setup-sending.html", asked if asked in SENDERS else SENDERS[0]
    return render_template(
        template,
        program=shown,
        programs=PROGRAMS,
        made=made,
        saved=saved,
        devices=desk().accounts.devices(somebody),
        server=servers.host,
        submissions=ports.get(("smtp", False)),
        submission=ports.get(("smtp", True)),
        imaps=ports.get(("imap", False)),
        pop3s=ports.get(("pop3", False)),
        provider=domain,
        is_found=domain in desk().config.programs.domains,
    )


def program() -> str:
    """Return which mail program's steps are asked for, "" for none."""
    asked = request.values.get("program", "")
    return asked if asked in PROGRAMS else ""


def device_name() -> str:
    """Return what the owner calls the device, or a name that fits their mail program."""
    asked = " ".join((request.form.get("name") or request.form.get("device", "")).split())[:NAME_LENGTH]
    return asked or str(PROGRAMS[program()].title if program() else gettext("My computer"))


def offers_reading() -> bool:
    """Say whether mail can be read here by mail programs."""
    return desk().servers().are_whole


def signer() -> tuple[bytes, bytes]:
    """
    Return certificate chain and key that profiles are signed by, as PEM; raise Temporary.

    Without ones of their own these are the certificate and key of this door, which its process holds in any case.
    """
    config = desk().config
    files = (config.tls.certificate, config.tls.key)
    if config.programs.profile_key:
        home = config.server.home
        files = (home / config.programs.profile_certificate, home / config.programs.profile_key)
    try:
        return files[0].read_bytes(), files[1].read_bytes()
    except OSError as error:
        log.error("a profile cannot be signed", reason=error.strerror)
        raise Temporary("The profile could not be signed.") from None
