"""The portal over flows in memory, and a browser-like client that carries form tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cryptnsend import settings
from cryptnsend.config import Config
from cryptnsend.portal import Portal, create_app
from cryptnsend.portal.flows import Pieces
from cryptnsend.portal.visits import SESSION_COOKIE
from tests.portal.fakes import (
    FakeBegun,
    FakeDownloads,
    FakeDrafts,
    FakeFileLinks,
    FakeLibrary,
    FakePickup,
    FakeReplies,
    FakeUploads,
)
from tests.portal.fakes_accounts import FakeAccounts, FakeOwnKeys, FakeTrials
from tests.portal.fakes_api import fake_api
from tests.portal.fakes_looks import FakeLooks
from tests.portal.fakes_organisation import FakeOrganisations, FakePolicies
from tests.portal.fakes_sent import FakeFolders, FakeFollowing, FakeHolding, FakeNewMail, FakeVisitForms, FakeVisitors
from tests.portal.furnished import furnished
from tests.portal.world import ANN, NOW, PAT, World
from tests.support.templates import keep_compiled

keep_compiled()

BASE = "https://open.cryptnsend.example"


class Client(FlaskClient):
    """A client that reads each answer to its end, so that files are closed."""

    def open(self, *args: Any, buffered: bool = True, **values: Any) -> TestResponse:
        return super().open(*args, buffered=buffered, **values)


class Visitor:
    """One browser: keeps cookies, takes the form token from the page it looks at."""

    def __init__(self, app: Portal):
        app.test_client_class = Client
        self.client: FlaskClient = app.test_client()
        self.page: TestResponse | None = None

    def get(self, url: str, **values: Any) -> TestResponse:
        self.page = self.client.get(url, base_url=BASE, **values)
        return self.page

    def post(self, url: str, data: dict[str, Any] | None = None, **values: Any) -> TestResponse:
        """Send a form from the page that is open now."""
        form = {"csrf_token": self.form_token()} | (data or {})
        self.page = self.client.post(url, base_url=BASE, data=form, **values)
        return self.page

    def follow(self) -> TestResponse:
        assert self.page is not None
        assert self.page.status_code == 303, self.page.status
        return self.get(self.page.location)

    def form_token(self) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.page.text if self.page else "")
        return unescape(found[1]) if found else ""

    def carry(self, cookie: str) -> None:
        self.client.set_cookie(SESSION_COOKIE, cookie, domain="open.cryptnsend.example", secure=True, path="/")


def config(**sections: Any) -> Config:
    base = Config()
    return replace(
        base,
        server=replace(base.server, hostname="open.cryptnsend.example"),
        signup=settings.Signup(mode="open"),
        **sections,
    )


def pieces(world: World, settings: Config | None = None) -> Pieces:
    return Pieces(
        FakeAccounts(world),
        FakePickup(world),
        FakeReplies(world),
        FakeDrafts(world),
        FakeUploads(world),
        FakeBegun(world),
        lambda: NOW,
        os.urandom,
        newmail=FakeNewMail(world),
        following=FakeFollowing(world),
        folders=FakeFolders(world),
        policies=FakePolicies(settings or config()),
        organisations=FakeOrganisations(world),
        holding=FakeHolding(world),
        downloads=FakeDownloads(world),
        filelinks=FakeFileLinks(world),
        library=FakeLibrary(world),
        looks=FakeLooks(world),
        visitors=FakeVisitors(),  # type: ignore[arg-type]
        visitforms=FakeVisitForms(),  # type: ignore[arg-type]
        api=fake_api(),
        ownkeys=FakeOwnKeys(world),  # type: ignore[arg-type]
        trials=FakeTrials(world),
    )


@pytest.fixture
def world() -> World:
    return furnished()


@pytest.fixture
def make_app(world: World, tmp_path: Path) -> Callable[..., Portal]:
    def make(settings: Config | None = None, **values: Any) -> Portal:
        return create_app(pieces(world, settings), settings or config(), secret=b"s" * 32, spool=tmp_path, **values)

    return make


@pytest.fixture
def app(make_app: Callable[..., Portal]) -> Portal:
    return make_app()


@pytest.fixture
def visitor(app: Portal) -> Visitor:
    return Visitor(app)


@pytest.fixture
def pat(app: Portal, world: World) -> Visitor:
    """A recipient who is signed in."""
    somebody = Visitor(app)
    somebody.carry(world.sign_in(PAT, name="Pat Lee"))
    return somebody


@pytest.fixture
def ann(app: Portal, world: World) -> Visitor:
    """A subscriber who is signed in."""
    somebody = Visitor(app)
    somebody.carry(world.sign_in(ANN, roles=("subscriber",), name="Dr. Ann Ruiz"))
    return somebody
