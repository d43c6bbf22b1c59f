"""What a mailbox on pages has besides reading: what is unread, drafts of mail programs, Trash within reach."""

from __future__ import annotations

from dataclasses import replace

from cryptnsend.flow.views import Begun
from tests.portal.conftest import Visitor
from tests.portal.world import NOW, World


def test_menu_and_title_count_what_is_unread(pat: Visitor, ann: Visitor, world: World) -> None:
    count = sum(1 for each in world.entries if not each.opened and each.state in ("open", "code"))
    assert count
    for somebody, name in ((pat, "Your messages"), (ann, "Received")):
        page = somebody.get("/messages").text
        assert f"<title>({count}) {name} ·" in page
        assert f'<span class="unseen">{count} unread</span>' in page
    assert f">{count}</span>" in ann.get("/sent").text
    assert f">{count}</span>" in pat.get("/account").text
    world.entries = [replace(each, opened=True) for each in world.entries]
    page = pat.get("/messages").text
    assert "<title>Your messages ·" in page
    assert 'class="count"' not in page


def test_more_than_can_be_counted_is_said_so(pat: Visitor, world: World) -> None:
    world.entries = [replace(world.entries[0], message=1000 + n, opened=False, state="open") for n in range(130)]
    page = pat.get("/messages").text
    assert "<title>(99+) " in page
    assert "more than 99 unread" in page
    assert '/messages?before=1080&amp;unread="' in pat.get("/messages?unread").text


def test_only_what_is_unread_is_listed_where_somebody_wants_that(pat: Visitor, world: World) -> None:
    unread = {each.message for each in world.entries if not each.opened and each.state in ("open", "code")}
    page = pat.get("/messages?unread").text
    assert page.count('<li class="unread">') == len(unread)
    assert "The subject shows once" in page or all(each.state == "open" for each in world.entries if not each.opened)
    assert page.count('aria-current="page">Unread') == 1
    world.entries = [replace(each, opened=True) for each in world.entries]
    assert "Everything is read" in pat.get("/messages?unread").text


def test_trash_is_within_reach_also_without_a_message(pat: Visitor, ann: Visitor, world: World) -> None:
    world.entries.clear()
    for somebody in (pat, ann):
        assert '<a href="/trash">Trash</a>' in somebody.get("/messages").text


def test_a_draft_of_a_mail_program_is_gone_on_with_by_a_button(ann: Visitor, pat: Visitor, world: World) -> None:
    world.begun = [Begun(930, "Begun elsewhere", ("Walter Lindgren",), NOW - 60_000)]
    page = ann.get("/drafts").text
    assert "Begun in your mail program" in page
    assert "Continue here" in page
    assert ann.get("/drafts/begun/930").status_code == 405
    ann.get("/drafts")
    assert ann.post("/drafts/begun/930").status_code == 303
    assert 'value="Begun elsewhere"' in ann.follow().text
    assert world.begun == []
    ann.get("/messages")
    assert ann.post("/drafts/begun/930").status_code == 404
    world.begun = [Begun(931, "Not to be sent from here", (), NOW)]
    assert "Not to be sent" not in pat.get("/drafts").text
    assert pat.post("/drafts/begun/931").status_code == 404
