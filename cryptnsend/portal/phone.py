"""How do the pages become an app on a phone? By a manifest (W3C Web Application Manifest), icons and a worker.

The worker (web/static/worker.js) keeps one page, which says that there is no connection, and nothing else: no message,
no list, no name ever rests on the phone. What somebody shares from another app stays in its memory for the moment until
the page for new messages takes it over, so that a share, too, goes up through the page's own form.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as Answer

from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import spoken

blueprint = Blueprint("phone", __name__)

GROUND = "#f2f5f6"  # --ground of the style sheet, by day
SIZES = (192, 512)  # pixels of the icons that Android asks for
# A worker asks for what its own policy allows; it draws nothing and loads no script.
WORKER_POLICY = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"


@blueprint.get("/app.webmanifest")
def manifest() -> Response:
    """Describe the app. Browsers ask for it without cookies, so the page that names it says for whom it is."""
    described = _described()
    if request.args.get("for") == "subscriber":
        described |= {"shortcuts": _shortcuts(), "share_target": _share_target()}
    answer = jsonify(described)
    answer.mimetype = "application/manifest+json"
    answer.vary.add("Accept-Language")
    return answer


@blueprint.get("/worker.js")
def worker() -> Response:
    """Send the worker from the top of all paths, for it sees no page above its own."""
    answer = Response((desk().static / "worker.js").read_bytes(), mimetype="text/javascript")
    answer.headers["Content-Security-Policy"] = WORKER_POLICY
    return answer


@blueprint.get("/offline")
def offline() -> str:
    """Say that there is no connection: the one page that the worker keeps, fetched without cookies."""
    return render_template("offline.html")


@blueprint.get("/phone")
def install() -> str:
    """Tell how these pages get onto a phone."""
    return render_template("phone.html")


@blueprint.post("/share")
def share() -> Answer:
    """
    Lead a share that no worker took to the page for new messages, which says that nothing arrived.

    Nothing of it is read here: it comes from another app, without the token that every form of ours carries.
    """
    return redirect(url_for("compose.take_over", shared="lost"), 303)


def _described() -> dict[str, Any]:
    return {
        "id": "/",
        "name": gettext("Secure mail"),
        "short_name": gettext("Secure mail"),
        "description": gettext("Read, answer and write locked messages."),
        "lang": spoken(),
        "start_url": url_for("home"),
        "scope": "/",
        "display": "standalone",
        "background_color": GROUND,
        "theme_color": GROUND,
        "icons": [_icon(size, purpose) for size in SIZES for purpose in ("any", "maskable")],
    }


def _icon(size: int, purpose: str) -> dict[str, str]:
    name = f"icon-{size}.png" if purpose == "any" else f"icon-{size}-{purpose}.png"
    address = url_for("static", filename=name, v=desk().versions[name])
    return {"src": address, "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}


def _shortcuts() -> list[dict[str, str]]:
    return [
        {"name": gettext("Write"), "url": url_for("compose.new")},
        {"name": gettext("Received"), "url": url_for("letters.listing")},
        {"name": gettext("Sent"), "url": url_for("subscriber.sent")},
    ]


def _share_target() -> dict[str, Any]:
    return {
        "action": url_for("phone.share"),
        "method": "POST",
        "enctype": "multipart/form-data",
        "params": {
            "title": "title",
            "text": "text",
            "url": "url",
            "files": [{"name": "files", "accept": ["*/*", "image/*", "application/pdf", "text/*", "video/*"]}],
        },
    }
