"""Before the first message a subscriber sees what people get, and signs up with a number to call back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import unescape

from cryptnsend.portal import Portal
from tests.portal.conftest import Visitor, config
from tests.portal.world import ANN, CODE, World

FRESH = "marble otter lantern quilt"


def test_the_preview_says_what_the_notice_says(ann: Visitor, world: World) -> None:
    world.profile = replace(world.profile, name="Dr. Ann Ruiz", phone="(555) 010-0142")
    page = unescape(ann.get("/account/seen").text)
    assert "Dr. Ann Ruiz via CryptnSend" in page
    assert f"Dr. Ann Ruiz ({ANN})" in page
    assert "It is private, so it is not in this mail." in page
    assert page.count("(555)\u00a0010-0142") == 2  # in the mail and on its page
    assert "Type the code Dr. Ruiz gave you" in page
    assert 'action="/account/replies/test"' in page


def test_the_preview_is_in_the_language_of_the_page_and_never_markup(ann: Visitor, world: World) -> None:
    world.profile = replace(world.profile, name="<b>Ann</b>", phone="")
    page = ann.get("/account/seen", headers={"Accept-Language": "es"}).text
    assert "&lt;b&gt;Ann" in page or "<b>Ann" not in page
    assert "Lo que ven los demás" in page
    assert "le escribió el" in page


def test_the_preview_is_for_subscribers(pat: Visitor, visitor: Visitor) -> None:
    assert pat.get("/account/seen").status_code == 404
    assert visitor.get("/account/seen").location == "/sign-in"


def test_who_signs_up_leaves_a_number_that_stands_on_notices(make_app: Callable[..., Portal], world: World) -> None:
    base = config()
    visitor = Visitor(make_app(replace(base, signup=replace(base.signup, mode="open"))))
    form = {"name": "Dr. Ann Ruiz", "address": ANN, "phone": "call me maybe"}
    visitor.get("/sign-up")
    wrong = visitor.post("/sign-up", form)
    assert wrong.status_code == 422
    assert "This is not a phone number." in wrong.text
    assert 'value="call me maybe"' in wrong.text
    visitor.post("/sign-up", {**form, "phone": " (555)  010-0142 "})
    assert 'name="phone" value="(555) 010-0142"' in visitor.follow().text  # for another code
    visitor.post("/sign-up/code", {"code": CODE, "password": FRESH})
    assert world.profile.phone == "(555) 010-0142"
