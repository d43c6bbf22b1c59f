"""Who tries to get in by the pages? Intruders in mailboxes, scanners that follow and press everything, guessers.

Each story is played on the real pages with a browser that has no script, and ends with nothing opened, nothing used up
and nothing lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from cryptnsend.demo.visitor import NotOnThePage, Page, first_link
from cryptnsend.portal import Portal
from tests.support.house import OTHER, PASSWORD

from .browser import Browser, changed, rows
from .world import ANN, EVE, PAT, SECRET, World, mails

STRANGER = "new@aol.example"
SUGGESTED = "quilt saffron beacon eleven"


# -- scanners ---------------------------------------------------------------------------------------------------------


def crawl(browser: Browser, start: str, press: int) -> Iterator[Page]:
    """Follow every link from *start*, by GET and HEAD, and press every button of every form *press* times."""
    waiting, seen = [start], set()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.startswith("/") or path.startswith("/static"):
            continue
        seen.add(path)
        browser.raw("HEAD", path)
        page = browser.get(path)
        yield page
        waiting += [_path(href) for href, _ in page.links] + page.frames
        for form in page.forms:
            for _ in range(press):
                for button in [name for name, _, _ in form.buttons] or [""]:
                    try:
                        pressed = browser.send(page, form, button=button)
                    except NotOnThePage:
                        continue
                    yield pressed
                    waiting += [_path(href) for href, _ in pressed.links]


def _path(href: str) -> str:
    parts = urlsplit(href)
    return parts.path + (f"?{parts.query}" if parts.query else "") if not parts.scheme or "clinic" in href else ""


@pytest.mark.parametrize("press", [0, 7], ids=["follows", "presses"])
@pytest.mark.parametrize("who", [PAT, STRANGER], ids=["known", "new"])
def test_a_scanner_changes_nothing(world: World, pages: Portal, who: str, press: int) -> None:
    """
    It opens the notice's link from many places, follows all links from there, and may press each button seven times.

    Afterwards not a row about anybody's mail differs, the code has all its tries, and nobody "opened" anything.
    """
    house = world.house
    message = world.write(ANN, who)
    token = house.link(message, who)
    code = house.code(ANN, who) if who == STRANGER else ""
    before, told, count = rows(house), len(house.alerts()), 0
    for n in range(3):
        browser = Browser(pages, source=f"198.51.100.{n}", agent="Mozilla/5.0 SafeLinks")
        for page in crawl(browser, f"/m/{token}", press):
            assert SECRET not in page.html
            assert page.status < 500
            count += 1
    assert count > 10
    # Who presses "Tell Ann" on the page about it has her mailed that somebody could not open a message, once a day.
    asked = house.alerts()[told:]
    assert asked == ([(ANN, "asked-code")] if press and who == STRANGER else [])
    assert changed(house, before) == ({"main.db audit", "main.db deliveries"} if asked else set())
    assert house.pickup.status(house.session(ANN), message).recipients[0].state != "opened"
    human = Browser(pages)
    page = human.get(f"/m/{token}")
    if who == STRANGER:
        page = human.send(page, page.form(with_field="code"), code=code)
        page = human.send(page, page.form(with_field="password"), password=SUGGESTED)
    else:
        page = human.send(page, page.form(with_field="password"), password=PASSWORD)
    assert SECRET in page.words


def test_a_scanner_that_reads_the_senders_mail_changes_nothing(world: World, pages: Portal) -> None:
    """The receipt's link leads to a page behind the sign-in; its code is not used up by anybody who follows it."""
    house = world.house
    message = world.write(ANN, STRANGER)
    receipt = next(text for text in mails(house, "receipt", ANN) if STRANGER in text)
    before = rows(house)
    for page in crawl(Browser(pages), first_link(receipt, "/sent/"), 3):
        assert SECRET not in page.html
    assert changed(house, before) == set()
    assert house.pickup.status(house.session(ANN), message).recipients[0].state == "waiting"


def press_on(browser: Browser, start: str) -> Iterator[Page]:
    """Press every button of a page, then those of the pages that follow, with what stands in the fields already."""
    waiting, seen = [browser.get(start)], set()
    while waiting:
        page = waiting.pop(0)
        yield page
        for form in page.forms:
            for button in sorted({name for name, _, _ in form.buttons} or {""}):
                step = (form.action or page.path, button, tuple(sorted(name for name, value in form.values if value)))
                if step not in seen and not step[0].endswith("/ask"):
                    seen.add(step)
                    waiting.append(browser.send(page, form, button=button))


@pytest.mark.parametrize("who", [PAT, STRANGER], ids=["known", "new"])
def test_a_scanner_that_presses_on_opens_nothing_where_no_code_is_asked_for(
    world: World, pages: Portal, who: str
) -> None:
    """
    The suggested password does not stand in the field: saving it would open the message, and shut its reader out.

    All that is noted is what the rule says anyhow, that this contact is waived.
    """
    house = world.house
    house.keeper("owner").organisation_rule(world.clinic, "never")
    message = world.write(ANN, who)
    link = f"/m/{house.link(message, who)}"
    before, seen = rows(house), set()
    for page in press_on(Browser(pages, agent="Mozilla/5.0 SafeLinks"), link):
        assert SECRET not in page.html
        seen.add(page.path)
    assert "/open/password" in seen or who == PAT
    assert changed(house, before) <= {"main.db contacts", "main.db audit"}
    assert house.pickup.status(house.session(ANN), message).recipients[0].state != "opened"
    if who == STRANGER:
        human = Browser(pages)
        page = human.send(human.get(link), human.get(link).form(action="/code"))
        page = human.send(page, page.form(with_field="password"), button="suggest")
        assert dict(page.form(with_field="password").values)["password"] == ""
        assert SECRET in human.send(page, page.form(with_field="password"), password=SUGGESTED).words


def test_a_scanner_does_not_object_to_the_owners_own_new_password(world: World, pages: Portal) -> None:
    """It would shut who lost everything out of their mail: waiting brings it back, and an objection ends that."""
    house = world.house
    house.reset(EVE)
    told = house.keeper("courier").warning(world.people[EVE])
    house.keep(told.link.row, 0)
    link, before = f"/answer/{told.link.token}", rows(house)
    for page in press_on(Browser(pages, agent="Mozilla/5.0 SafeLinks"), link):
        assert page.status < 500
    assert changed(house, before) == set()
    human = Browser(pages)
    page = human.get(link)
    assert human.send(page, page.form(with_field="address"), address=PAT).status == 422
    assert changed(house, before) == set()
    assert human.send(page, page.form(with_field="address"), address=EVE.upper()).status == 200
    assert changed(house, before) != set()


def test_a_machine_that_fills_in_fields_uses_up_no_try_with_what_is_no_code(world: World, pages: Portal) -> None:
    """Empty, words, an address, digits of another length: none of it can be the code, so none of it is a try."""
    house = world.house
    token = house.link(world.write(ANN, STRANGER), STRANGER)
    code = house.code(ANN, STRANGER)
    browser = Browser(pages)
    page = browser.get(f"/m/{token}")
    for typed in ("", " ", "test", "a@b.example", "1", "12345", "1234567", "0" * 20, "١٢٣٤٥٦", "12 34", "'--", "\x00"):
        answer = browser.send(page, page.form(with_field="code"), code=typed)
        assert answer.status == 422
    told = house.keeper("courier").receipt(world.people[ANN], [STRANGER]).codes[0]
    assert (told.tries_left, told.code) == (5, code)


def test_prefetching_and_previewing_open_nothing(world: World, pages: Portal) -> None:
    """HEAD, prefetch and prerender of somebody signed in do not count as opened."""
    house = world.house
    message = world.write(ANN, PAT)
    browser = Browser(pages)
    browser.sign_in(PAT, PASSWORD)
    for path in ("", "/letter", "/eml", "/zip", "/files/1", "/sent", "/code"):
        assert SECRET not in browser.raw("HEAD", f"/messages/{message}{path}").html
        assert house.pickup.status(house.session(ANN), message).recipients[0].state != "opened", path
    for header in ("Sec-Purpose", "Purpose"):
        for said in ("prefetch", "prefetch;prerender"):
            assert browser.raw("GET", f"/messages/{message}", {header: said}).status == 503
    assert house.pickup.status(house.session(ANN), message).recipients[0].state != "opened"
    assert SECRET in browser.get(f"/messages/{message}").words
    assert house.pickup.status(house.session(ANN), message).recipients[0].state == "opened"


# -- intruders in mailboxes -------------------------------------------------------------------------------------------


def test_an_intruder_at_pats_with_a_subscription_of_their_own_opens_nothing(world: World, pages: Portal) -> None:
    """On the pages: the link, their own account, a sign-up with Pat's address, a reset, and their own code."""
    house = world.house
    message = world.write(ANN, PAT)
    link = f"/m/{house.link(message, PAT)}"
    eve = Browser(pages)
    eve.sign_in(EVE, PASSWORD)
    seen = [eve.get(path) for path in (link, f"/messages/{message}", f"/messages/{message}/eml", f"/sent/{message}")]
    assert [page.status for page in seen] == [403, 404, 404, 404]
    lost = Browser(pages)
    page = lost.get("/forgot")
    page = lost.send(page, page.form(with_field="address"), address=PAT)
    code = re.search(r"^\s{4}(\S+)\s*$", mails(house, "code", PAT)[-1], re.MULTILINE)
    assert code is not None
    page = lost.send(page, page.form(with_field="code"), code=code[1], password=SUGGESTED)
    seen += [page, lost.get("/messages"), lost.get(link), lost.get(f"/messages/{message}")]
    lure = world.write(EVE, PAT, text="lure", subject="lure")
    page = lost.get(f"/m/{house.link(lure, PAT)}")
    page = lost.send(page, page.form(with_field="code"), code=house.code(EVE, PAT))
    assert "lure" in page.words
    seen += [lost.get("/messages"), lost.get(f"/messages/{message}"), lost.get(f"/messages/{message}/zip")]
    page = lost.get(link)
    seen += [page, lost.send(page, page.form(with_field="code"), code="135790")]
    assert not [page.path for page in seen if SECRET in page.html]
    assert house.pickup.status(house.session(ANN), message).recipients[0].state != "opened"


def test_an_intruder_at_anns_who_resets_by_mail_opens_nothing(world: World, pages: Portal) -> None:
    """The lists have no subject, every page of every message says no, and Ann still opens all with her old password."""
    house = world.house
    sent = world.write(ANN, PAT)
    back = house.replies.send(house.session(PAT), sent, everybody=False, text=SECRET, files=(), nonce=b"n" * 16)
    intruder = Browser(pages)
    page = intruder.get("/forgot")
    page = intruder.send(page, page.form(with_field="address"), address=ANN)
    code = re.search(r"^\s{4}(\S+)\s*$", mails(house, "code", ANN)[-1], re.MULTILINE)
    assert code is not None
    seen = [intruder.send(page, page.form(with_field="code"), code=code[1], password=SUGGESTED)]
    for message in (sent, back):
        seen += [intruder.get(f"/messages/{message}{tail}") for tail in ("", "/letter", "/eml", "/zip")]
        seen.append(intruder.get(f"/sent/{message}"))
    seen += [intruder.get(path) for path in ("/messages", "/sent", "/account")]
    assert not [page.path for page in seen if SECRET in page.html]
    page = intruder.get("/account/unlock")
    page = intruder.send(page, page.form(with_field="secret"), kind="password", secret=PASSWORD, password=SUGGESTED)
    ann = Browser(pages)
    ann.sign_in(ANN, SUGGESTED)
    assert SECRET in ann.get(f"/messages/{back}").words


# -- codes ------------------------------------------------------------------------------------------------------------


def test_five_wrong_codes_lose_nothing(world: World, pages: Portal) -> None:
    """The sixth, though right, is too late; the sender issues the next on the page, longer, and that one opens."""
    house = world.house
    message = world.write(ANN, STRANGER)
    link, code = f"/m/{house.link(message, STRANGER)}", house.code(ANN, STRANGER)
    guesser, human = Browser(pages), Browser(pages, source="203.0.113.77")
    page = guesser.get(link)
    for n in range(5):
        wrong = str((int(code) + n + 1) % 10**6).zfill(6)
        page = guesser.send(guesser.get(link), guesser.get(link).form(with_field="code"), code=wrong)
        assert SECRET not in page.html
    assert page.status == 410
    page = human.send(human.get(link), human.get(link).form(with_field="code"), code=code)
    assert page.status in (410, 422, 429)
    assert SECRET not in page.html
    ann = Browser(pages)
    ann.sign_in(ANN, PASSWORD)
    page = ann.get(f"/sent/{message}")
    page = ann.send(page, page.form(action="/next-code"))
    following = re.search(r"(\d{4}) (\d{4})", page.words)
    assert following is not None
    page = human.send(human.get(link), human.get(link).form(with_field="code"), code=following[0])
    page = human.send(page, page.form(with_field="password"), password=SUGGESTED)
    assert SECRET in page.words


def test_a_code_for_one_sender_or_one_address_opens_nothing_else(world: World, pages: Portal) -> None:
    house = world.house
    message = world.write(ANN, STRANGER)
    world.write(EVE, STRANGER, text="lure")
    world.write(ANN, "third@aol.example")
    link = f"/m/{house.link(message, STRANGER)}"
    own = house.code(ANN, STRANGER)
    others = {house.code(EVE, STRANGER), house.code(ANN, "third@aol.example")} - {own}
    browser = Browser(pages)
    for wrong in others:
        page = browser.send(browser.get(link), browser.get(link).form(with_field="code"), code=wrong)
        assert page.status == 422


def test_a_proof_is_no_use_to_another_browser_or_after_an_hour(world: World, pages: Portal) -> None:
    """The page after the code belongs to who typed the code; without its cookie there is nothing to choose."""
    house = world.house
    link = f"/m/{house.link(world.write(ANN, STRANGER), STRANGER)}"
    human, other = Browser(pages), Browser(pages)
    page = human.send(human.get(link), human.get(link).form(with_field="code"), code=house.code(ANN, STRANGER))
    assert page.path == "/open/password"
    assert other.get("/open/password").status == 410
    house.clock.forward(2 * 3_600_000)
    page = human.send(page, page.form(with_field="password"), password=SUGGESTED)
    assert SECRET not in page.html


# -- moved and forged -------------------------------------------------------------------------------------------------


def test_links_that_were_cut_turned_or_made_up_look_alike(world: World, pages: Portal) -> None:
    """One page, one status, whatever is wrong with a link; also for links of other purposes."""
    house = world.house
    message = world.write(ANN, PAT)
    good = house.link(message, PAT)
    reply = house.reply_token(message, PAT).partition("@")[0].removeprefix("r+")
    middle = good[:10] + ("b" if good[10] != "b" else "c") + good[11:]
    bad = [good[:-1], good[1:], middle, good[::-1], "a" * len(good), "x", reply, "%00", "..", "💥", "a" * 5000]
    answers = [Browser(pages).get(f"/m/{token}") for token in bad]
    assert {page.status for page in answers} == {404}
    texts = {re.sub(r"\s+", " ", re.sub(r"[A-Za-z0-9_-]{16,}", "", page.words)) for page in answers if page.words}
    assert len(texts) == 1
    assert Browser(pages).get(f"/m/{good}").status == 200


def test_a_message_that_is_not_mine_and_one_that_is_not_there_look_alike(world: World, pages: Portal) -> None:
    house = world.house
    message = world.write(ANN, PAT)
    eve = Browser(pages)
    eve.sign_in(EVE, PASSWORD)
    for tail in ("", "/letter", "/files/1", "/eml", "/zip", "/sent"):
        mine, none = (eve.raw("GET", f"/messages/{ident}{tail}") for ident in (message, message + 1))
        assert mine.status == none.status
        assert mine.headers.get("location", "").replace(str(message), "N") == none.headers.get("location", "").replace(
            str(message + 1), "N"
        )
        assert mine.words.replace(str(message), "N") == none.words.replace(str(message + 1), "N")
    for tail in ("/codes", "/next-code", "/expire", "/restore"):
        page = eve.get("/setup?program=other")
        form = page.form(action="/setup/devices")
        answers = []
        for ident in (message, message + 1):
            form.action = f"/sent/{ident}{tail}"
            answers.append(eve.send(page, form, address=PAT))
        assert [each.status for each in answers] == [404, 404]
    assert house.pickup.status(house.session(ANN), message).recipients[0].state == "waiting"


@pytest.mark.parametrize("who", [ANN, PAT, "weak " + ANN, "weak " + PAT])
@pytest.mark.parametrize("typed", ["", "1", "x" * 5000])
def test_no_button_leads_to_a_fault_of_ours(world: World, pages: Portal, who: str, typed: str) -> None:
    """Everybody presses everything, with nothing or with nonsense in the fields: words for people, never a 500."""
    house = world.house
    address = who.removeprefix("weak ")
    message = world.write(ANN, PAT)
    house.replies.send(house.session(PAT), message, everybody=False, text="x", files=(), nonce=b"n" * 16)
    password = PASSWORD
    if who != address:
        house.reset(address)
        password = OTHER
    browser = Browser(pages)
    browser.sign_in(address, password)
    waiting, seen, wrong, pressed = ["/", "/messages", "/sent", "/setup", "/account"], {"/sign-out"}, [], 0
    while waiting:
        path = waiting.pop(0)
        if path in seen or path.startswith(("/static", "/messages?before")) or not path.startswith("/"):
            continue
        seen.add(path)
        page = browser.get(path)
        wrong += [(path, page.status)] if page.status >= 500 else []
        waiting += [_path(href) for href, _ in page.links] + page.frames
        for form in page.forms:
            if form.action.endswith("/sign-out"):
                continue
            for button in {name for name, _, _ in form.buttons} or {""}:
                form.values = [(name, value or typed) for name, value in form.values]
                answer = browser.send(page, form, button=button)
                pressed += 1
                wrong += [(form.action or path, answer.status)] if answer.status >= 500 else []
                waiting += [_path(href) for href, _ in answer.links]
    assert pressed > 3
    assert wrong == []
