"""The portal over the real flows, rows and keeper, and how somebody gets to a message on its pages."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace

from cryptnsend.cli.plays import pieces
from cryptnsend.portal import Portal, create_app
from tests.portal.conftest import BASE, Visitor
from tests.support.house import PASSWORD, House

ANN, PAT, HOLM, JUNE = "ann@gmail.example", "pat@yahoo.example", "holm@cardio.example", "june@example.org"


def portal(house: House) -> Portal:
    """Make the pages of a house as `serve portal` does."""
    shown = replace(house.config, portal=replace(house.config.portal, base_url=BASE))
    return create_app(pieces(house.portal), shown, secret=secrets.token_bytes(32), ports=dict, spool=house.home.run)


def first_visit(app: Portal, house: House, message: int, address: str = PAT, author: str = ANN) -> Visitor:
    """Open the link, type the code, choose a password; the message is on the page then."""
    visitor = Visitor(app)
    token = house.link(message, address)
    assert "sent you a secure message" in visitor.get(f"/m/{token}").text
    assert visitor.post(f"/m/{token}/code", {"code": house.code(author, address)}).status_code == 303
    visitor.follow()
    visitor.post("/open/password", {"password": PASSWORD})
    visitor.follow()
    return visitor


def signed_in(app: Portal, address: str, password: str = PASSWORD) -> Visitor:
    visitor = Visitor(app)
    visitor.get("/sign-in")
    assert visitor.post("/sign-in", {"address": address, "password": password}).status_code == 303
    return visitor


def text(visitor: Visitor) -> str:
    assert visitor.page is not None
    return visitor.page.text


def nonce(visitor: Visitor) -> str:
    found = re.search(r'name="nonce" value="(\w+)"', text(visitor))
    assert found
    return found[1]
