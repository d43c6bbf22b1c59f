"""How do officers and managers change what their organisation looks like? To everybody else these pages do not exist.

What was typed is shown first, on light and dark screens, as a page and as a notice, and nothing of it is kept: pictures
go along in the form. Saving takes the password again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core import colour, look
from cryptnsend.core.errors import Denied, Ended, NoGrant, Temporary, Throttled, WrongSecret
from cryptnsend.core.logo import MOST_OCTETS, TYPES, Logo, take
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.organisation import STAFF, VERSIONS, needs, number
from cryptnsend.portal.passkeys import typed_password
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.uploads import uploads
from cryptnsend.portal.visits import forget, recall, remember, row_number, signed_in, source

blueprint = Blueprint("looks", __name__, url_prefix="/organisation/look")
FORM_OCTETS = 8 * MOST_OCTETS  # two files, and two pictures of before, in base64
PICTURES = ("logo", "logo_dark")


@blueprint.before_request
def _check() -> None:
    request.max_content_length = request.max_form_memory_size = FORM_OCTETS
    check_form()


@dataclass
class Typed:
    """A form as somebody filled it in: what it says, pictures that were brought with it, and what is wrong."""

    said: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, Logo] = field(default_factory=dict)  # by field
    wrong: dict[str, str] = field(default_factory=dict)
    nearest: str = ""  # the shade to take instead of one that not everyone can read
    words: dict[str, str] = field(default_factory=dict)  # as typed


@blueprint.route("", methods=["GET", "POST"])
@needs(*STAFF)
def overview() -> Any:
    """Show the look as it is; show what was typed; or save it."""
    version, said = desk().looks.said(signed_in().organisation)
    if request.method != "POST":
        return page(Typed(dict(said), words=dict(said)), version)
    typed = read_form(said)
    if typed.wrong:
        return page(typed, version), WRONG
    try:
        checked = desk().organisations.check_look(signed_in(), typed.said, list(typed.pictures.values()))
    except NoGrant:
        raise
    except (Denied, Temporary) as denied:
        return page(typed, version, error=say(denied)), WRONG
    if "save" not in request.form:
        return page(typed, version, is_preview=True)
    return save(checked, typed, version)


def save(checked: Mapping[str, str], typed: Typed, version: int) -> Any:
    """Save a look, with the password typed again."""
    try:
        based_on = request.form.get("version", type=row_number)
        saved = desk().organisations.set_look(
            signed_in(),
            checked,
            list(typed.pictures.values()),
            request.form.get("why", ""),
            based_on if based_on is not None else -1,
            typed_password(),
            source(),
            number(),
        )
    except WrongSecret:
        error = gettext("That is not your password.")
        return page(typed, version, is_preview=True, password_error=error), WRONG
    except (Throttled, NoGrant):
        raise
    except (Denied, Ended) as denied:
        return page(typed, version, error=say(denied)), WRONG
    remember("saved", "look" if saved != version else "same")
    return redirect(url_for("looks.overview"), 303)


def read_form(said: Mapping[str, str]) -> Typed:
    """Return what the form says, pictures of this or an earlier turn among it; what is wrong stands by field."""
    typed = Typed(words={name: request.form.get(name, "") for name in look.NAMES})
    if "shade" in request.form:
        typed.words["accent"] = request.form["shade"]
    for name in look.NAMES:
        try:
            if name in PICTURES:
                read_picture(name, typed, said)
            elif value := look.parse(name, typed.words[name]):
                typed.said[name] = value
        except look.TooPale as pale:
            typed.wrong[name] = gettext(
                "Not everyone could read this colour: its contrast is %(ratio)s to 1, and 4.5 to 1 is needed.",
                ratio=f"{pale.ratio:.1f}",
            )
            typed.nearest = pale.nearest
        except Denied as denied:
            typed.wrong[name] = say(denied)
    if "logo_dark" in typed.said and "logo" not in typed.said:
        typed.wrong["logo_dark"] = gettext("A logo for dark screens needs one for light screens beside it.")
    return typed


def read_picture(name: str, typed: Typed, said: Mapping[str, str]) -> None:
    """Take the picture of a field: a new file, else one brought a turn ago, else the one that is saved."""
    if f"no_{name}" in request.form:
        return
    octets = b""
    for each in uploads(request.files.getlist(name)):
        octets = b"".join(each.chunks())
    if not octets and (kept := request.form.get(f"{name}_brought", "")):
        try:
            octets = base64.b64decode(kept, validate=True)
        except (binascii.Error, ValueError):
            raise Denied("This picture is damaged. Save it again, and bring it then.") from None
    if octets:
        typed.pictures[name] = take(octets)
        typed.said[name] = typed.pictures[name].mark
    elif said.get(name):
        typed.said[name] = said[name]


def page(typed: Typed, version: int, *, is_preview: bool = False, error: str = "", password_error: str = "") -> str:
    """Render the form, and below it the look that was typed, on light and dark screens."""
    saved = recall("saved")
    forget("saved")
    somebody = signed_in()
    accent = typed.said.get("accent", "") or colour.HOUSE
    g.may_show_data = bool(typed.pictures)
    return render_template(
        "organisation-look.html",
        typed=typed,
        version=version,
        is_preview=is_preview,
        error=error,
        password_error=password_error,
        saved=saved,
        shown=shown_pictures(typed),
        brought={name: base64.b64encode(each.octets).decode() for name, each in typed.pictures.items()},
        left_out=sorted({one for each in typed.pictures.values() for one in each.left_out}),
        accent=accent,
        reading=colour.read(accent),
        name=desk().organisations.name(somebody),
        tried=look.of({name: value for name, value in typed.said.items() if name in look.NAMES}),
        why=request.form.get("why", ""),
        domains=[each.name for each in desk().organisations.domains(somebody) if each.proven],
        house_url=desk().looks.house().base_url,
    )


def shown_pictures(typed: Typed) -> dict[str, str]:
    """Return the address of each picture: of one that is not saved, itself."""
    found = {}
    for name in PICTURES:
        if name in typed.pictures:
            each = typed.pictures[name]
            found[name] = f"data:{TYPES[each.kind]};base64,{base64.b64encode(each.octets).decode()}"
        elif typed.said.get(name):
            found[name] = url_for("wearing.logo", mark=typed.said[name])
    return found


@blueprint.get("/history")
@needs(*STAFF)
def history() -> Any:
    """Show who changed the look, when, why and how."""
    return history_page()


def history_page(error: str = "", password_error: str = "", which: int = -1) -> str:
    """Render the versions, each with a button that brings it back."""
    before = request.args.get("before", type=row_number)
    book, org = desk().looks, signed_in().organisation
    versions = book.history(org, **({"before": before} if before else {}), limit=VERSIONS + 1)
    return render_template(
        "organisation-looks.html",
        versions=versions[:VERSIONS],
        more=len(versions) > VERSIONS,
        who={each.actor: desk().policies.actor(each.actor) for each in versions},
        label=label,
        spelt=look.spelt,
        newest=book.said(org)[0],
        error=error,
        password_error=password_error,
        which=which,
    )


@blueprint.post("/back/<int:version>")
@needs(*STAFF)
def back(version: int) -> Any:
    """Let an earlier version be shown again, as a new one; 0 is the house's look."""
    book, org = desk().looks, signed_in().organisation
    to_house = gettext("back to the look of the server")
    why = gettext("back to version %(number)d", number=version) if version else to_house
    try:
        desk().organisations.set_look(
            signed_in(),
            book.said_in(org, version),
            [],
            why,
            book.said(org)[0],
            request.form.get(f"password-{version}", ""),
            source(),
            number(f"code-{version}"),
        )
    except WrongSecret:
        return history_page(password_error=gettext("That is not your password."), which=version), WRONG
    except (Throttled, NoGrant):
        raise
    except (Denied, Ended) as denied:
        return history_page(error=say(denied), which=version), WRONG
    remember("saved", "look")
    return redirect(url_for("looks.overview"), 303)


def label(name: str) -> str:
    """Return what a part of the look is called."""
    return {
        "accent": gettext("Colour"),
        "logo": gettext("Logo"),
        "logo_dark": gettext("Logo for dark screens"),
        "banner_en": gettext("Banner in English"),
        "banner_es": gettext("Banner in Spanish"),
        "footer_en": gettext("Line under notices in English"),
        "footer_es": gettext("Line under notices in Spanish"),
        "host": gettext("Host of your pages"),
    }.get(name, name)
