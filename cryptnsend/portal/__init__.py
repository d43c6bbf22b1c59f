"""The HTTP door: how is the portal put together?

`create_app` makes a Flask application from the flows it is handed. Pages are rendered here, work without a script and
decide nothing by themselves: what somebody may do is the flows' and the keeper's to say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from jinja2 import StrictUndefined
from werkzeug.routing import IntegerConverter, ValidationError

from cryptnsend.config import Config, web_root
from cryptnsend.portal import (
    account,
    api,
    api_tokens,
    arriving,
    compose,
    discovery,
    errors,
    estate,
    fetching,
    filelinks,
    folders,
    following,
    held,
    help,
    kept,
    language,
    letters,
    library,
    looking,
    looks,
    organisation,
    oversight,
    ownkeys,
    pages,
    papers,
    passkeys,
    phone,
    programs,
    recipient,
    second,
    security,
    seen,
    signup,
    subscriber,
    trails,
    visitforms,
    visitors,
    wearing,
    webhooks,
    wishes,
    words,
    writing,
)
from cryptnsend.portal.desk import EXTENSION, Desk, fingerprints
from cryptnsend.portal.flows import Pieces
from cryptnsend.portal.uploads import PortalRequest


class RowNumber(IntegerConverter):
    """A number in a path; one that no row can have is no such page."""

    def to_python(self, value: str) -> int:
        """Return the number; raise ValidationError, which is a 404."""
        number: int = super().to_python(value)
        if number >= 1 << 63:
            raise ValidationError
        return number


class Portal(Flask):
    """A Flask application that keeps paths, which may hold link tokens, out of its log lines."""

    request_class = PortalRequest

    def log_exception(self, exc_info: Any) -> None:
        """Write nothing: `errors` logs type and place of an exception, where Flask would write the path too."""


def create_app(
    pieces: Pieces,
    config: Config,
    *,
    secret: bytes | None = None,
    ports: Callable[[], Mapping[str, int]] = dict,
    spool: Path | None = None,
) -> Portal:
    """
    Build the portal.

    *secret* signs the form cookie; the processes of one portal share it, and a fresh one only makes open forms stale.
    *ports* tells the ports in use, for the set-up page. *spool* is the folder where uploads wait, sealed.
    """
    web = web_root()
    app = Portal(
        __name__, template_folder=str(web / "templates"), static_folder=str(web / "static"), static_url_path="/static"
    )
    app.secret_key = secret or os.urandom(32)
    app.config["UPLOAD_FOLDER"] = spool
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions[EXTENSION] = Desk(pieces, config, ports, fingerprints(web / "static"), web / "static")
    language.speak(app)
    app.url_map.converters["int"] = RowNumber
    errors.watch(app)
    security.protect(app)
    wearing.register(app)
    words.register(app)
    pages.register(app)
    discovery.register(app)
    readers = (recipient, letters, papers, looking, fetching, filelinks, kept, writing)
    own = (account, second, passkeys, estate, signup)
    writers = (
        arriving,
        compose,
        library,
        subscriber,
        following,
        held,
        folders,
        programs,
        wishes,
        visitors,
        visitforms,
        ownkeys,
        seen,
    )
    governing = (organisation, looks, wearing, oversight, trails)
    programs_of_theirs = (api, api_tokens, webhooks)
    for module in (language, help, *readers, *own, *writers, *governing, phone, *programs_of_theirs):
        app.register_blueprint(module.blueprint)
    app.register_blueprint(webhooks.of_all)
    return app
