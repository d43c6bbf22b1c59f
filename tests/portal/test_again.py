"""A code that is mailed once more and an act that is undone say so, on pages that need no script."""

from __future__ import annotations

import pytest

from cryptnsend.flow.views_accounts import Started
from tests.portal.conftest import Visitor
from tests.portal.fakes import FakePickup
from tests.portal.test_account import bare
from tests.portal.world import ANN, NOW, PAT, World

ANOTHER = "Another code is on its way."


def pressed(visitor: Visitor, url: str, form: dict[str, str]) -> list[str]:
    """Have a code mailed twice, by the page and by its button for another one; return what is said each time."""
    visitor.get(url)
    pages = []
    for _ in range(2):
        assert visitor.post(url, form).status_code == 303
        pages.append(visitor.follow().text)
    return pages


def test_known_and_unknown_addresses_are_told_the_same_of_another_code(visitor: Visitor) -> None:
    said = []
    for address in (PAT, "zoe@yahoo.example"):
        first, again = pressed(visitor, "/forgot", {"address": address})
        assert "another code is on its way" not in first
        assert f"If we know {address}, another code is on its way." in again
        said.append(bare(again).replace(address, "ADDRESS"))
    assert said[0] == said[1]
    assert "another code is on its way" not in visitor.get("/forgot/code").text  # said once


def test_another_code_is_spoken_of_on_every_page_that_mails_one(visitor: Visitor, pat: Visitor) -> None:
    for somebody, url, form in (
        (visitor, "/sign-up", {"name": "Dr. Ann Ruiz", "address": ANN}),
        (visitor, "/to/dr-ruiz", {"name": "Zoe", "address": "zoe@yahoo.example"}),
        (pat, "/account/addresses", {"address": "pat.lee@work.example"}),
    ):
        first, again = pressed(somebody, url, form)
        assert "nother mail is on its way" not in first
        assert "another code is on its way" not in first
        assert "nother mail is on its way" in again or "another code is on its way" in again


def test_who_asks_for_another_code_at_once_is_told_that_the_first_one_counts(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.get("/m/by-mail")
    visitor.post("/m/by-mail/mail")
    assert "still counts" not in visitor.follow().text
    visitor.post("/m/by-mail/mail")
    assert "The code from a moment ago still counts." in visitor.follow().text
    monkeypatch.setattr(FakePickup, "mail_code", lambda *_: Started(82, NOW + 600_000))
    visitor.post("/m/by-mail/mail")
    page = visitor.follow().text
    assert ANOTHER in page
    assert "Only the newest one works." in page
    assert ANOTHER not in visitor.get("/m/by-mail/mailed").text


def test_who_was_invited_is_offered_no_mail_that_does_not_come(visitor: Visitor) -> None:
    visitor.get("/invite/anything")
    visitor.get("/sign-up")
    visitor.post("/sign-up", {"name": "Dr. Ann Ruiz", "address": ANN})
    page = visitor.follow().text
    assert "Mail me another code" not in page
    assert "Whoever invited you can do it once more" in page


@pytest.mark.parametrize(("role", "place"), [("recipient", "/messages"), ("author", "/sent")])
def test_undoing_leads_back_to_the_list_that_offered_it(ann: Visitor, world: World, role: str, place: str) -> None:
    message = {"recipient": 11, "author": 21}[role]
    ann.get("/messages")
    assert ann.post(f"/messages/{message}/trash", {"role": role}).location == place
    page = ann.follow().text
    assert f'action="/messages/{message}/put-back"' in page
    assert 'name="undo" value="1"' in page
    assert ann.post(f"/messages/{message}/put-back", {"role": role, "undo": "1"}).location == place
    assert "It is back where it was." in ann.follow().text
    assert "It is back where it was." not in ann.get(place).text
    assert world.trash == set()


def test_what_was_taken_back_is_given_back_where_that_is_said(ann: Visitor) -> None:
    ann.get("/sent/19")
    ann.post("/sent/19/expire")
    page = ann.follow().text
    assert page.count("Undo: give it back") == 1
    assert page.index("Undo: give it back") < page.index("1 recipient")


def test_a_message_that_waits_for_a_look_at_its_people_is_said_not_to_be_sent(ann: Visitor, world: World) -> None:
    ann.get("/write")
    typed = {"to": "walter@lindgren.example", "subject": "Results", "text": "Hello", "nonce": "0" * 32}
    page = ann.post("/write/send", typed)
    assert page.status_code == 422
    assert "Not sent yet." in page.text
    assert "press “Send” once more" in page.text
    assert not world.mails
    assert "Not sent yet." not in ann.get("/write").text
