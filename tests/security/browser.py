"""The portal over a house in one process, and browsers without sockets: the pages as in earnest, the clock in hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cryptnsend.cli.plays import pieces
from cryptnsend.demo.visitor import Page, Visitor, _Reader
from cryptnsend.portal import Portal, create_app
from tests.support.house import House
from tests.support.templates import keep_compiled

keep_compiled()

BASE = "https://mail.clinic.example"


def portal(house: House) -> Portal:
    """Make the pages of a house as `serve portal` does."""
    shown = replace(house.config, portal=replace(house.config.portal, base_url=BASE))
    return create_app(pieces(house.portal), shown, secret=b"s" * 32, ports=dict, spool=house.home.run)


class Browser(Visitor):
    """One person's browser, or a machine's."""

    def __init__(self, app: Portal, *, source: str = "203.0.113.20", agent: str = "Test/1"):
        super().__init__(BASE, None, agent=agent)  # type: ignore[arg-type]
        self._app, self._source, self._agent = app, source, agent

    def raw(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Page:
        """Send one request as it is and follow nothing."""
        return self._once(method, path, b"", "", headers)

    def _once(self, method: str, path: str, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> Page:
        headers = {"User-Agent": self._agent, "Origin": BASE, "Referer": BASE + "/", **(more or {})}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if kind:
            headers["Content-Type"] = kind
        client = self._app.test_client(use_cookies=False)
        with client.open(
            path,
            method=method,
            base_url=BASE,
            data=body if method == "POST" else None,
            headers=headers,
            environ_base={"REMOTE_ADDR": self._source},
        ) as answer:
            octets = answer.get_data()
            self._remember(answer.headers.getlist("set-cookie"))
            page = Page(answer.status_code, path, {name.lower(): value for name, value in answer.headers}, octets)
        if "html" in page.headers.get("content-type", ""):
            reader = _Reader(path)
            reader.feed(page.html)
            page.forms, page.links, page.frames = reader.forms, reader.links, reader.frames
        return page

    def sign_in(self, address: str, password: str) -> Page:
        """Sign in on the page for it."""
        page = self.get("/sign-in")
        return self.send(page, page.form(with_field="address"), address=address, password=password)


def rows(house: House) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that main database and ledger say, for comparing before and after; but for who has to wait."""
    found = {}
    for file in (house.home.main_db, house.home.ledger):
        database = sqlite3.connect(file)
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'throttle'")
        for (table,) in tables.fetchall():
            kept = database.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - names from the schema itself
            found[f"{file.name} {table}"] = sorted(kept, key=repr)
        database.close()
    return found


def changed(house: House, before: dict[str, list[tuple[Any, ...]]]) -> set[str]:
    """Return the tables that are not as they were."""
    return {table for table, found in rows(house).items() if found != before[table]}
