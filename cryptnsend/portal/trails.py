"""What do officers carry away, and what do they have compared? Audit trail, checkpoints, the archive's manifest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, redirect, request, stream_with_context, url_for
from flask_babel import gettext, ngettext

from cryptnsend.core.errors import Denied
from cryptnsend.portal.language import say
from cryptnsend.portal.letters import name_file
from cryptnsend.portal.oversight import needs_officer, officers
from cryptnsend.portal.security import check_form
from cryptnsend.portal.visits import remember, signed_in, visitor

blueprint = Blueprint("trails", __name__, url_prefix="/organisation")

TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv"}
SHOWN = 20  # problems of an archive that the page lists


@blueprint.before_request
def _check() -> None:
    if visitor() is not None:
        check_form()


@blueprint.post("/audit/export")
@needs_officer
def export() -> Any:
    """Send the whole trail as a file, one entry a line, with what is needed to check it elsewhere."""
    form = "csv" if "csv" in request.form else "jsonl"
    lines = officers().auditing.exported(signed_in().organisation, form)
    return name_file(Response(stream_with_context(_ended(lines)), mimetype=TYPES[form]), f"audit.{form}")


@blueprint.post("/audit/checkpoint")
@needs_officer
def checkpoint() -> Any:
    """Send how far the trail has come, signed by the keeper, to be kept elsewhere."""
    text = officers().auditing.sheet([signed_in().organisation])
    return name_file(Response(text, mimetype="text/plain"), "audit-checkpoint.txt")


@blueprint.post("/archive/check")
@needs_officer
def check_archive() -> Any:
    """Compare the archive with its signed manifest, and say what is not as it was."""
    try:
        found = officers().archiving.verify_soon(signed_in().organisation)
    except Denied as denied:
        remember("compared", [True, say(denied), []])
        return redirect(url_for("oversight.archive"), 303)
    said = gettext(
        "All %(count)d messages are as they were listed. %(signed)d of them stand in a signed manifest.",
        count=found.entries,
        signed=found.signed,
    )
    if found.problems:
        count = len(found.problems)
        said = ngettext("%(num)d thing is not as it was listed:", "%(num)d things are not as they were listed:", count)
    remember("compared", [bool(found.problems), said, list(found.problems[:SHOWN])])
    return redirect(url_for("oversight.archive"), 303)


def _ended(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield f"{line}\n"
