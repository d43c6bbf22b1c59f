"""Signing in and up, lost passwords, and what a subscriber does: in words that tell nobody who has an account."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from cryptnsend import settings
from cryptnsend.core.errors import Denied
from cryptnsend.core.words import LISTS
from cryptnsend.flow.views import Reached
from cryptnsend.flow.ways import Way
from cryptnsend.portal import Portal
from tests.portal.conftest import Visitor, config
from tests.portal.world import ANN, CODE, DAY, NOW, PASSWORD, PAT, World

FRESH = "marble otter lantern quilt"


def bare(text: str) -> str:
    """Return a page without what differs from one rendering to the next."""
    return re.sub(r'nonce="[^"]+"|name="csrf_token" value="[^"]+"', "", text)


def test_known_and_unknown_addresses_get_the_same_sign_in_page(app: Portal) -> None:
    pages = []
    for address in (PAT, ANN, "zoe@yahoo.example"):
        visitor = Visitor(app)
        visitor.get("/sign-in")
        page = visitor.post("/sign-in", {"address": address, "password": "wrong password here"})
        pages.append((page.status_code, bare(page.text).replace(address, "ADDRESS")))
    assert len(set(pages)) == 1
    assert pages[0][0] == 422


def test_known_and_unknown_addresses_get_the_same_answer_to_a_forgotten_password(app: Portal) -> None:
    answers = []
    for address in (PAT, "zoe@yahoo.example"):
        visitor = Visitor(app)
        visitor.get("/forgot")
        first = visitor.post("/forgot", {"address": address})
        second = visitor.follow()
        answers.append((first.status_code, first.location, bare(second.text).replace(address, "ADDRESS")))
    assert len(set(answers)) == 1


def test_a_forgotten_password_is_explained_before_and_after(visitor: Visitor, world: World) -> None:
    before = visitor.get("/forgot").text
    assert "Your messages wait for a new code from each sender." in before
    assert "recovery code" in before
    assert not world.calls
    visitor.post("/forgot", {"address": f" {PAT} "})
    assert world.calls == [f"start_reset {PAT}"]
    page = visitor.follow().text
    assert "Your messages wait for a new code from each sender." in page
    wrong = visitor.post("/forgot/code", {"code": "000 000", "password": FRESH})
    assert wrong.status_code == 422
    assert "You have 4 tries left" in wrong.text
    assert FRESH not in wrong.text
    weak = visitor.post("/forgot/code", {"code": CODE, "password": "short"})
    assert weak.status_code == 422
    assert f'value="{CODE}"' in weak.text  # the code need not be typed again
    visitor.post("/forgot/code", {"code": "482 913", "password": FRESH})
    after = visitor.follow().text
    assert "All your messages are still here; for now they are locked" in after
    assert "With a new code from the sender" in after
    assert "With your recovery code, or your earlier password" in after


def test_a_suggestion_keeps_the_code_that_was_typed(visitor: Visitor) -> None:
    visitor.get("/forgot")
    visitor.post("/forgot", {"address": PAT})
    visitor.follow()
    page = visitor.post("/forgot/code", {"code": CODE, "suggest": "1"}).text
    assert f'value="{CODE}"' in page
    assert "How about these words?" in page


@pytest.mark.parametrize("language", sorted(LISTS))
def test_suggested_words_are_of_the_language_of_the_page(visitor: Visitor, language: str) -> None:
    visitor.get("/forgot")
    visitor.post("/language", {"language": language, "back": "/forgot"})
    visitor.follow()
    visitor.post("/forgot", {"address": PAT})
    visitor.follow()
    page = visitor.post("/forgot/code", {"code": CODE, "suggest": "1"}).text
    suggested, *_ = re.findall(r">([a-z]{3,7}(?:-[a-z]{3,7}){4})<", page)
    assert set(suggested.split("-")) <= set(LISTS[language])


def test_no_step_can_be_taken_before_the_first(visitor: Visitor) -> None:
    assert visitor.get("/forgot/code").location == "/forgot"
    assert visitor.get("/sign-up/code").location == "/sign-up"


def test_the_password_is_changed_and_the_session_renewed(pat: Visitor, world: World) -> None:
    pat.get("/account/password")
    assert "That is not your present password" in pat.post("/account/password", {"old": "x", "password": FRESH}).text
    assert pat.post("/account/password", {"old": PASSWORD, "password": "pat pat pat pat pat"}).status_code == 422
    answer = pat.post("/account/password", {"old": PASSWORD, "password": FRESH})
    assert answer.status_code == 303
    assert "__Host-cryptnsend=" in str(answer.headers.getlist("Set-Cookie"))
    assert "Your new password is saved." in pat.follow().text
    assert "Your new password is saved." not in pat.get("/account").text


def test_the_recovery_code_is_shown_after_the_password_only(pat: Visitor) -> None:
    assert "ABCD-EFGH" not in pat.get("/account/recovery").text
    assert pat.post("/account/recovery", {"password": "wrong"}).status_code == 422
    page = pat.post("/account/recovery", {"password": PASSWORD}).text
    assert "ABCD-EFGH-JKMN" in page
    assert "I have written it down" in page


def test_locked_messages_open_by_recovery_code_or_earlier_password(pat: Visitor, ann: Visitor, world: World) -> None:
    pat.get("/account/unlock")
    wrong = pat.post("/account/unlock", {"kind": "recovery", "secret": "wrong", "password": PASSWORD})
    assert "That is not the recovery code" in wrong.text
    wrong = pat.post("/account/unlock", {"kind": "password", "secret": "right", "password": "wrong"})
    assert "That is not your present password" in wrong.text
    pat.post("/account/unlock", {"kind": "password", "secret": "right", "password": PASSWORD})
    assert "That opened it." in pat.follow().text
    assert world.calls == ["unlock recovery", "unlock password"]
    assert "A device password" not in pat.get("/account/unlock").text
    assert "A device password" in ann.get("/account/unlock").text


def test_a_weak_account_is_told_what_to_do(app: Portal, world: World) -> None:
    somebody = Visitor(app)
    somebody.carry(world.sign_in(PAT, weak=True))
    assert "Your messages wait for a new code from each sender." in somebody.get("/messages").text
    assert "Your password was replaced by e-mail" in somebody.get("/account").text


def test_signing_up_proves_the_address_and_shows_the_recovery_file_once(visitor: Visitor, world: World) -> None:
    visitor.get("/sign-up")
    assert visitor.post("/sign-up", {"name": "", "address": "nonsense"}).status_code == 422
    visitor.post("/sign-up", {"name": "  Dr. Ann \n Ruiz ", "address": ANN})
    assert world.calls == [f"start_signup {ANN}"]
    visitor.follow()
    assert visitor.post("/sign-up/code", {"code": "1", "password": FRESH}).status_code == 422
    page = visitor.post("/sign-up/code", {"code": CODE, "password": FRESH})
    assert "CRYPTNSEND RECOVERY\nabcd efgh" in page.text
    assert "1111-2222" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "Set up your mail program" in visitor.get("/setup").text


def test_signing_up_follows_the_mode(make_app: Callable[..., Portal], world: World) -> None:
    for mode in ("closed", "invite"):
        visitor = Visitor(make_app(replace(config(), signup=settings.Signup(mode=mode))))
        assert 'name="address"' not in visitor.get("/sign-up").text
        visitor.get("/sign-in")
        assert "made by" in visitor.post("/sign-up", {"name": "Ann", "address": ANN}).text
    assert world.calls == []
    invited = Visitor(make_app(replace(config(), signup=settings.Signup(mode="invite"))))
    invited.get("/invite/token123")
    invited.follow()
    invited.post("/sign-up", {"name": "Ann", "address": ANN})
    assert world.calls == [f"start_signup {ANN} token123"]
    assert "It stands in the mail that invited you" in invited.follow().text


def test_an_invitation_for_somebody_else_says_so(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Denied("This invitation is for another address.")

    monkeypatch.setattr("tests.portal.fakes_accounts.FakeAccounts.start_signup", refuse)
    visitor.get("/sign-up")
    page = visitor.post("/sign-up", {"name": "Ann", "address": ANN})
    assert page.status_code == 422
    assert "This invitation is for another address." in page.text


# ---- the subscriber ---------------------------------------------------------------------------------------------


def test_sent_shows_what_needs_its_author_first(ann: Visitor) -> None:
    page = ann.get("/sent").text
    for words in ("Pat Lee, 2 more", "1 of 3 came back", "Opened", "Taken back"):
        assert words in page


def test_codes_are_shown_after_a_button_and_marked_as_spoken(ann: Visitor, world: World) -> None:
    page = ann.get("/sent/21").text
    assert "482 913" not in page
    assert "codes" not in world.calls
    page = ann.post("/sent/21/codes").text
    assert '<span class="spoken-code">482 913</span>' in page
    assert "Never write it in an e-mail" in page
    assert "codes" in world.calls


def test_the_next_code_is_for_recipients_of_this_message_only(ann: Visitor, world: World) -> None:
    ann.get("/sent/21")
    assert ann.post("/sent/21/next-code", {"address": PAT}).location == "/sent/21"
    assert f"next_code {PAT}" in world.calls
    assert "4829 1357" in ann.follow().text
    assert "4829 1357" not in ann.get("/sent/21").text  # loading the page anew neither makes nor shows one
    assert ann.post("/sent/21/next-code", {"address": "mallory@evil.example"}).status_code == 404
    assert "next_code mallory@evil.example" not in world.calls


def test_when_the_codes_of_a_week_are_used_up_the_page_says_when_there_are_more(ann: Visitor, world: World) -> None:
    world.limit = NOW + 3 * DAY
    ann.get("/sent/21")
    ann.post("/sent/21/next-code", {"address": PAT})
    page = ann.follow().text
    assert "This week’s codes for this person are used up." in page
    assert "Another one can be made on" in page
    assert "The code below still works." in page
    assert "used up by wrong tries" not in page


def test_a_message_is_taken_back_and_given_back(ann: Visitor, world: World) -> None:
    page = ann.get("/sent/21").text
    assert "You can undo this for 7 days." in page
    assert "1 person has read it" in page
    ann.post("/sent/21/expire", {"address": PAT})
    assert "The others can still open it." in ann.follow().text
    assert "Undo: give it back" in ann.get("/sent/19").text
    ann.post("/sent/19/expire")
    assert "It can no longer be opened." in ann.follow().text
    ann.post("/sent/19/restore")
    assert "Given back." in ann.follow().text
    assert [call for call in world.calls if call.startswith(("expire", "restore"))] == [
        f"expire {PAT}", "expire all", "restore all"
    ]  # fmt: skip


def test_what_came_back_says_why(ann: Visitor) -> None:
    page = ann.get("/sent/21").text
    assert "550 5.1.1 this address does not exist" in page
    assert "Nothing was shown to anyone." in page


def test_the_delivery_passphrase_needs_the_password_again(ann: Visitor, world: World) -> None:
    assert "velvet-acorn" not in ann.get("/account/passphrase").text
    assert ann.post("/account/passphrase", {"password": "wrong"}).status_code == 422
    page = ann.post("/account/passphrase", {"password": PASSWORD}).text
    assert "velvet-acorn-harvest" in page
    assert "gravel-sunny-pilot" in page
    assert '"spoken' not in page  # words that are copied, never said
    ann.post("/account/passphrase", {"password": PASSWORD, "new": "1"})
    assert "new_passphrase" in world.calls


def test_what_other_hosts_said_later_stands_beside_the_recipient(ann: Visitor, world: World) -> None:
    way = Way("notice", "delivered", 1, late_at=NOW, late_by="mx.x", late="no <answer>", automatic_at=NOW, automatic=71)
    one = Reached(PAT, "Pat Lee", "notified", NOW, "", False, way=way)
    world.sent[21] = replace(world.sent[21], recipients=(one,))
    page = ann.get("/sent/21").text
    assert "Delayed at their end" in page
    assert "no &lt;answer&gt;" in page
    assert "An automatic answer came on" in page
    assert 'href="/kept/71"' in page


def test_readable_replies_say_what_they_weaken_and_take_the_password(ann: Visitor, world: World) -> None:
    page = ann.get("/account/replies")
    assert "Your mail provider can then read them, and so can everybody who gets into this mailbox." in page.text
    wanted = {"form": "tls"}
    refused = ann.post("/account/replies", wanted | {"password": "wrong"})
    assert (refused.status_code, "Type your password to have replies arrive readable." in refused.text) == (422, True)
    assert world.profile.form != "tls"
    ann.get("/account/replies")
    ann.post("/account/replies", wanted | {"password": PASSWORD})
    assert world.profile.form == "tls"
    assert 'id="password"' not in ann.get("/account/replies").text, "it is asked for once, to turn it on"


def test_the_profile_is_saved_and_checked(ann: Visitor, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ann.get("/account/profile")
    assert ann.post("/account/profile", {"name": " ", "phone": "", "form": "zip"}).status_code == 422
    ann.get("/account/profile")
    ann.post("/account/profile", {"name": "Ann  Ruiz", "phone": "555 1"})
    ann.get("/account/replies")
    assert ann.post("/account/replies", {"form": "fax"}).status_code == 400
    ann.get("/account/replies")
    ann.post("/account/replies", {"form": "link"})
    assert (world.profile.name, world.profile.phone, world.profile.form) == ("Ann Ruiz", "555 1", "link")

    def refuse(*_: object, **__: object) -> None:
        raise Denied("A name cannot have a link in it.")

    monkeypatch.setattr("tests.portal.fakes_accounts.FakeAccounts.set_profile", refuse)
    ann.get("/account/profile")
    page = ann.post("/account/profile", {"name": "www.paypal.example", "phone": "", "form": "zip"})
    assert "A name cannot have a link in it." in page.text


def test_an_old_password_is_reminded_of_where_that_is_asked_for_and_forced_nowhere(
    make_app: Callable[..., Portal], world: World
) -> None:
    base = config()
    for least, told in ((0, False), (80, True), (90, False)):
        pat = Visitor(make_app(replace(base, passwords=replace(base.passwords, remind_days=least))))
        pat.carry(world.sign_in(PAT))
        for url in ("/messages", "/account"):
            assert ("Your password is 85 days old." in pat.get(url).text) is told
        assert "days old" not in pat.get("/messages/11").text
