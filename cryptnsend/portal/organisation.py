"""What do officers and managers see and change of their organisation? To everybody else these pages do not exist.

Officers have the rules, both have people and domains. All of it needs a second step after the password; what stops
somebody, gives them something or changes a rule takes the password again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as Answer

from cryptnsend.core.errors import Denied, Ended, NoGrant, Temporary, Throttled, WrongSecret
from cryptnsend.core.names import legible
from cryptnsend.core.organisation import SETTINGS, Value
from cryptnsend.core.organisation_typed import parse
from cryptnsend.portal.desk import desk
from cryptnsend.portal.flows_accounts import Session
from cryptnsend.portal.language import say
from cryptnsend.portal.passkeys import typed_number, typed_password
from cryptnsend.portal.rules import GROUPS, described, in_words
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import forget, needs_session, recall, remember, row_number, signed_in, source

blueprint = Blueprint("organisation", __name__, url_prefix="/organisation")
blueprint.before_request(check_form)

P = ParamSpec("P")
STAFF = ("officer", "manager")
VERSIONS = 20


def is_staff(somebody: Session | None) -> bool:
    """Say whether this person looks after an organisation of more than one."""
    if somebody is None or g.get("failed") or not set(STAFF) & set(somebody.roles):
        return False
    return bool(desk().organisations.name(somebody))


def pages() -> tuple[str, ...]:
    """Return the names of these pages, for the menu."""
    own = ("overview", "policy", "history", "compare", "people", "person", "invite", "domains")
    others = ("audit", "recall", "archive", "release", "glass", "broken", "archived", "export")
    looks = ("looks.overview", "looks.history", "looks.back", "organisation_webhooks.overview")
    return (*looks, *(f"{blueprint.name}.{each}" for each in own), *(f"oversight.{each}" for each in others))


def needs(*roles: str) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Let only people with one of these roles in, and only with a second step. To others such a page does not exist."""

    def guard(view: Callable[P, Any]) -> Callable[P, Any]:
        @needs_session
        @functools.wraps(view)
        def guarded(*args: P.args, **values: P.kwargs) -> Any:
            somebody = signed_in()
            if not is_staff(somebody) or not set(roles) & set(somebody.roles):
                abort(404)
            if not desk().organisations.is_ready(somebody):
                return render_template("organisation-second.html"), 403
            return view(*args, **values)

        return guarded

    return guard


# ---- overview ---------------------------------------------------------------------------------------------------


@blueprint.get("")
@needs(*STAFF)
def overview() -> Any:
    """Lead to what there is to look after."""
    flow, somebody = desk().organisations, signed_in()
    return render_template(
        "organisation.html",
        name=flow.name(somebody),
        people=flow.people(somebody).all,
        invited=len(flow.invited(somebody)),
        domains=flow.domains(somebody),
        is_officer="officer" in somebody.roles,
    )


# ---- rules ------------------------------------------------------------------------------------------------------


@blueprint.route("/policy", methods=["GET", "POST"])
@needs("officer")
def policy() -> Any:
    """Show the rules with what holds, and change them: the password again, and a reason for the history."""
    standing = desk().policies.standing(signed_in().organisation)
    if request.method != "POST":
        return policy_page(standing.said, standing)
    typed: dict[str, str] = {name: request.form.get(name, "inherit") for name in SETTINGS}
    why, said, wrong = request.form.get("why", ""), dict[str, Value](), dict[str, str]()
    for name, words in typed.items():
        try:
            if words.strip() not in ("inherit", "") or (words == "" and SETTINGS[name].metadata["kind"] == "choice"):
                said[name] = parse(name, words)
        except Denied as denied:
            wrong[name] = say(denied)
    if not legible(why):
        wrong["why"] = gettext("Say why the rules change. It stands in their history and in the audit trail.")
    if wrong:
        return policy_page(said, standing, typed=typed, wrong=wrong, why=why), WRONG
    try:
        based_on = request.form.get("version", type=row_number)
        saved = desk().organisations.set_rules(
            signed_in(),
            said,
            why,
            based_on if based_on is not None else -1,
            typed_password(),
            source(),
            number(),
        )
    except WrongSecret:
        error = gettext("That is not your password.")
        return policy_page(said, standing, typed=typed, why=why, password_error=error), WRONG
    except (Throttled, NoGrant):
        raise
    except (Denied, Ended) as denied:
        return policy_page(said, standing, typed=typed, why=why, error=say(denied)), WRONG
    remember("saved", "rules" if saved.version != standing.version else "same")
    return redirect(url_for("organisation.policy"), 303)


def policy_page(
    said: Mapping[str, Value],
    standing: Any,
    *,
    typed: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
    why: str = "",
    error: str = "",
    password_error: str = "",
) -> str:
    """Render the rules as they stand, or as they were typed."""
    saved = recall("saved")
    forget("saved")
    house = desk().policies.installation
    shown = [
        (title, [described(name, said, standing, house, typed or {}, wrong or {}) for name in names])
        for title, names in GROUPS()
    ]
    return render_template(
        "organisation-rules.html", groups=shown, standing=standing, why=why, error=error, saved=saved,
        password_error=password_error, why_error=(wrong or {}).get("why", ""),
    )  # fmt: skip


@blueprint.get("/policy/history")
@needs("officer")
def history() -> Any:
    """Show who changed the rules, when, why and how."""
    before = request.args.get("before", type=row_number)
    org = signed_in().organisation
    book = desk().policies
    versions = book.history(org, **({"before": before} if before else {}), limit=VERSIONS + 1)
    return render_template(
        "organisation-history.html",
        versions=versions[:VERSIONS],
        more=len(versions) > VERSIONS,
        who={each.actor: book.actor(each.actor) for each in versions},
        words=in_words,
        newest=book.standing(org).version,
        now=desk().now(),
    )


@blueprint.get("/policy/compare/<int:earlier>/<int:later>")
@needs("officer")
def compare(earlier: int, later: int) -> Any:
    """Show how two versions differ, with a button that brings the earlier one back."""
    return compare_page(earlier, later)


def compare_page(earlier: int, later: int, error: str = "", password_error: str = "") -> str:
    """Render two versions side by side."""
    org = signed_in().organisation
    changes = [in_words(each) for each in desk().policies.compare(org, earlier, later)]
    newest = desk().policies.standing(org).version
    return render_template(
        "organisation-compare.html", earlier=earlier, later=later, changes=changes, newest=newest, error=error,
        password_error=password_error,
    )  # fmt: skip


@blueprint.post("/policy/revert/<int:version>")
@needs("officer")
def revert(version: int) -> Any:
    """Let an earlier version hold again, as a new one."""
    org, book = signed_in().organisation, desk().policies
    newest = book.standing(org).version
    why = request.form.get("why", "") or gettext("back to version %(number)d", number=version)
    try:
        desk().organisations.set_rules(
            signed_in(), book.said_in(org, version), why, newest, typed_password(), source(), number()
        )
    except WrongSecret:
        return compare_page(version, newest, password_error=gettext("That is not your password.")), WRONG
    except (Throttled, NoGrant):
        raise
    except (Denied, Ended) as denied:
        return compare_page(version, newest, error=say(denied)), WRONG
    remember("saved", "rules")
    return redirect(url_for("organisation.policy"), 303)


# ---- people -----------------------------------------------------------------------------------------------------


@blueprint.get("/people")
@needs(*STAFF)
def people() -> Any:
    """List people, found by words, page by page."""
    return people_page()


def people_page(**more: Any) -> str:
    """Render the list of people with the forms below it."""
    words, after = request.args.get("words", "")[:100], request.args.get("after", "")[:320]
    flow, somebody = desk().organisations, signed_in()
    saved = recall("saved")
    forget("saved")
    page: dict[str, Any] = {"address": "", "name": "", "error": None, "lines": None, "list_error": None, "saved": saved}
    return render_template(
        "organisation-people.html",
        **page | more,
        found=flow.people(somebody, words, after),
        invited=flow.invited(somebody),
        words=words,
        after=after,
        roles=role_words,
    )


@blueprint.post("/people/invite")
@needs(*STAFF)
def invite() -> Any:
    """Invite one person by mail."""
    address, name = request.form.get("address", "").strip()[:320], request.form.get("name", "")[:80]
    try:
        desk().organisations.invite(signed_in(), address, name)
    except NoGrant:
        raise
    except Denied as denied:
        error = gettext("%(address)s %(wrong)s.", address=address or "…", wrong=say(denied))
        return people_page(address=address, name=name, error=error), WRONG
    remember("saved", "invited")
    return redirect(url_for("organisation.people"), 303)


@blueprint.post("/people/list")
@needs(*STAFF)
def bring_list() -> Any:
    """Invite everybody of a list; with a bad line nobody, and the page names the lines."""
    typed = request.form.get("list", "")
    try:
        lines = desk().organisations.invite_all(signed_in(), typed.encode())
    except NoGrant:
        raise
    except Denied as denied:
        return people_page(list_error=say(denied), typed=typed), WRONG
    if any(each.wrong for each in lines):
        return people_page(lines=lines, typed=typed), WRONG
    remember("saved", f"invited {len(lines)}")
    return redirect(url_for("organisation.people"), 303)


@blueprint.get("/people/<int:ident>")
@needs(*STAFF)
def person(ident: int) -> Any:
    """Show one person with what can be done."""
    return person_page(ident)


def person_page(ident: int, **more: Any) -> str:
    """Render one person."""
    saved = recall("saved")
    forget("saved")
    page: dict[str, Any] = {"error": None, "password_error": None, "which": "", "to": ""}
    return render_template(
        "organisation-person.html",
        **page | more,
        person=desk().organisations.person(signed_in(), ident),
        is_officer="officer" in signed_in().roles,
        is_self=ident == signed_in().account,
        saved=saved,
        roles=role_words,
        now=desk().now(),
    )


def ordered(ident: int, which: str, order: Callable[[str], None], **more: Any) -> Any:
    """Carry out an order about somebody with the password typed again."""
    try:
        order(request.form.get("password", ""))
    except WrongSecret:
        error = gettext("That is not your password.")
        return person_page(ident, which=which, password_error=error, **more), WRONG
    except (Throttled, NoGrant) as denied:
        if which != "hand-over" or isinstance(denied, Throttled):
            raise
        return person_page(ident, which=which, error=say(denied), **more), WRONG
    except (Denied, Ended) as denied:
        return person_page(ident, which=which, error=say(denied), **more), WRONG
    remember("saved", which)
    return redirect(url_for("organisation.person", ident=ident), 303)


@blueprint.post("/people/<int:ident>/disable")
@needs(*STAFF)
def disable(ident: int) -> Any:
    """Stop somebody from signing in."""
    return ordered(ident, "disable", lambda typed: desk().organisations.disable(signed_in(), ident, typed, source()))


@blueprint.post("/people/<int:ident>/enable")
@needs(*STAFF)
def enable(ident: int) -> Any:
    """Let somebody sign in again."""
    return ordered(ident, "enable", lambda typed: desk().organisations.enable(signed_in(), ident, typed, source()))


@blueprint.post("/people/<int:ident>/roles")
@needs("officer")
def roles(ident: int) -> Any:
    """Give somebody other roles."""
    wanted = [each for each in ("subscriber", "officer", "manager") if each in request.form.getlist("role")]
    return ordered(
        ident,
        "roles",
        lambda typed: desk().organisations.set_roles(signed_in(), ident, wanted, typed, source(), number()),
    )


@blueprint.post("/people/<int:ident>/hand-over")
@needs(*STAFF)
def hand_over(ident: int) -> Any:
    """Give a leaver's addresses to a colleague."""
    to = request.form.get("to", "").strip()[:320]
    answer = ordered(
        ident,
        "hand-over",
        lambda typed: desk().organisations.hand_over(signed_in(), ident, to, typed, source(), number()),
        to=to,
    )
    # The leaver has no address any more, so there is no page of theirs to go back to.
    return redirect(url_for("organisation.people"), 303) if isinstance(answer, Answer) else answer


# ---- domains ----------------------------------------------------------------------------------------------------


@blueprint.get("/domains")
@needs(*STAFF)
def domains() -> Any:
    """List the domains with what has to be published."""
    return domains_page()


def domains_page(error: str = "", typed: str = "") -> str:
    """Render the domains."""
    saved = recall("saved")
    forget("saved")
    found = desk().organisations.domains(signed_in())
    return render_template(
        "organisation-domains.html", domains=found, error=error, typed=typed, saved=saved, now=desk().now()
    )


@blueprint.post("/domains")
@needs(*STAFF)
def change_domain() -> Any:
    """Begin to prove a domain, look for its record, or take it away."""
    typed, flow = request.form.get("domain", "").strip()[:255], desk().organisations
    try:
        if "check" in request.form:
            remember("saved", "proven" if flow.check_domain(signed_in(), typed) else "not-there")
        elif "drop" in request.form:
            flow.drop_domain(signed_in(), typed)
            remember("saved", "dropped")
        else:
            flow.ask_domain(signed_in(), typed)
            remember("saved", "asked")
    except NoGrant:
        raise
    except (Denied, Temporary) as denied:
        return domains_page(say(denied), typed), WRONG
    return redirect(url_for("organisation.domains"), 303)


def role_words(each: str) -> str:
    """Return what a role is called."""
    return {
        "officer": gettext("Officer"),
        "manager": gettext("Manager"),
        "subscriber": gettext("Subscriber"),
        "recipient": gettext("Receives only"),
    }.get(each, each)


def number(field: str = "code") -> str:
    """Return the number from a phone as it was typed, "" without one."""
    return typed_number(field)
