"""Who tries to get in by the pages? Intruders in mailboxes, scanners that follow and press everything, guessers.

Each story is played on the real pages with a browser that has no script, and ends with nothing opened, nothing used up
and nothing lost.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from cryptnsend.core import passwords
from cryptnsend.core.errors import CryptnSendError, NoGrant
from cryptnsend.demo.visitor import NotOnThePage, Page, first_link
from cryptnsend.flow.parcels import Moot
from cryptnsend.keeper.client import Keeper
from cryptnsend.portal import Portal
from cryptnsend.store.records import deliveries
from tests.support.house import OTHER, PASSWORD, House

from .browser import Browser, portal, rows
from .conftest import MakeWorld
from .world import ANN, EVE, PAT, SECRET, World

STRANGER = "new@aol.example"
SUGGESTED = "quilt saffron beacon eleven"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


@pytest.fixture
def pages(world: World) -> Portal:
    return portal(world.house)


def mails(house: House, kind: str, address: str) -> list[str]:
    """Return the texts of the mails of a kind that wait to leave for an address, composed as the courier does."""
    now = house.clock.now()
    claimed = house.engine.write(lambda rows: deliveries.claim(rows, "w", now, 60_000, 500)).result()
    found = []
    for row in claimed:
        if row["kind"] != kind:
            continue
        try:
            letter = house.courier.letters.compose(row)
        except Moot:
            continue
        for link in letter.links:
            house.keep(link.row, row["org"])
        if letter.recipient == address:
            assert isinstance(letter.octets, bytes)
            body = email.message_from_bytes(letter.octets, policy=email.policy.default).get_body(("plain",))
            assert body is not None
            found.append(str(body.get_content()))
    return found


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
    before = rows(house)
    count = 0
    for n in range(3):
        browser = Browser(pages, source=f"198.51.100.{n}", agent="Mozilla/5.0 SafeLinks")
        for page in crawl(browser, f"/m/{token}", press):
            assert SECRET not in page.html
            assert page.status < 500
            count += 1
    assert count > 10
    after = rows(house)
    assert {table for table in before if before[table] != after[table]} == set()
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
    assert rows(house) == before
    assert house.pickup.status(house.session(ANN), message).recipients[0].state == "waiting"


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


# -- who has an account -----------------------------------------------------------------------------------------------


class Work:
    """Counts what answering costs: requests to the keeper, and passwords that were stretched."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.done: Counter[str] = Counter()
        ask, derive = Keeper._ask, passwords.derive

        def counted(keeper: Keeper, kind: type[object], request: str, /, **values: object) -> object:
            self.done[request] += 1
            return ask(keeper, kind, request, **values)

        def stretched(*args: object, **values: object) -> bytes:
            self.done["argon2id"] += 1
            return derive(*args, **values)  # type: ignore[arg-type]

        monkeypatch.setattr(Keeper, "_ask", counted)
        monkeypatch.setattr(passwords, "derive", stretched)

    def of(self, act: Callable[[], Page]) -> tuple[Counter[str], Page]:
        self.done = Counter()
        page = act()
        return self.done, page


def neutral(page: Page, *addresses: str) -> str:
    """Return a page without what has to differ: nonces, tokens, and the address that was typed."""
    text = page.html
    for each in addresses:
        text = text.replace(each, "ADDRESS")
    return re.sub(r'(nonce-?=?"?|value="|\?v=)[A-Za-z0-9_.=-]{12,}', "", text)


@pytest.mark.parametrize("path", ["/sign-in", "/forgot", "/sign-up"])
def test_pages_answer_alike_for_known_and_unknown_addresses(
    world: World, pages: Portal, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Same words, same status, same requests to the keeper, same number of stretched passwords."""
    work = Work(monkeypatch)

    def act(address: str) -> Callable[[], Page]:
        def run() -> Page:
            browser = Browser(pages, source="198.51.100.9")
            page = browser.get(path)
            form = page.form(with_field="address")
            more = {"password": "not the password at all", "name": "Some One"}
            form.values = [(name, more.get(name, value)) for name, value in form.values]
            page = browser.send(page, form, address=address)
            if path != "/sign-in":
                page = browser.send(page, page.form(with_field="code"), code="123456", password=SUGGESTED)
            return page

        return run

    answers = {}
    for address in (PAT, ANN, "nobody@nowhere.example"):
        done, page = work.of(act(address))
        answers[address] = (page.status, page.path, done, neutral(page, address))
    assert answers[PAT] == answers["nobody@nowhere.example"]
    assert answers[ANN] == answers["nobody@nowhere.example"]


def test_the_smtp_door_answers_alike_for_known_and_unknown_addresses(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ann may submit, Pat only receives, Nobody is nobody; a wrong password is the same for all."""
    work, house = Work(monkeypatch), world.house
    told = {}
    for address in (ANN, PAT, "nobody@nowhere.example", "no address"):
        work.done = Counter()
        with pytest.raises(Exception, match="belong together") as error:
            house.sign_in_smtp(address, "not the password at all")
        told[address] = (str(error.value), work.done)
    assert len({text for text, _ in told.values()}) == 1
    assert [done for _, done in told.values()] == [told[ANN][1]] * len(told)


def test_a_known_address_is_told_nothing_by_mail_that_a_stranger_could_see(world: World, pages: Portal) -> None:
    """For an address nobody has, nothing leaves after a reset; the rows look the same."""
    house = world.house
    browser = Browser(pages)
    page = browser.get("/forgot")
    browser.send(page, page.form(with_field="address"), address="nobody@nowhere.example")
    assert mails_of_nobody(house) == 1


def mails_of_nobody(house: House) -> int:
    """Return how many codes are moot: queued, and with nothing to mail."""
    moot = 0
    for row in house.queued("code"):
        try:
            house.keeper("courier").mail_code(row["subject_id"])
        except NoGrant:
            moot += 1
    return moot


def test_guessing_is_slowed_for_the_guesser_and_not_for_the_owner(world: World, pages: Portal) -> None:
    """Ten wrong passwords from one source: that source waits; Pat signs in elsewhere, and nothing is locked."""
    guesser = Browser(pages, source="198.51.100.66")
    statuses = []
    for n in range(14):
        page = guesser.sign_in(PAT, f"wrong password number {n}")
        statuses.append(page.status)
    assert statuses[0] == 422
    assert statuses[-1] == 429
    assert guesser.sign_in(PAT, PASSWORD).status == 429
    assert "/sign-in" not in Browser(pages, source="203.0.113.5").sign_in(PAT, PASSWORD).path
    assert OTHER != PASSWORD


def test_one_source_neither_floods_inboxes_nor_uses_up_somebodys_codes(world: World, pages: Portal) -> None:
    """Codes by mail are slowed per source, for one address and for all; Pat still gets one at home."""
    house = world.house

    def ask(source: str, address: str, path: str) -> int:
        browser = Browser(pages, source=source)
        page = browser.get(path)
        form = page.form(with_field="address")
        form.values = [(name, {"name": "Some One"}.get(name, value)) for name, value in form.values]
        return browser.send(page, form, address=address).status

    at_one = [ask("198.51.100.7", PAT, "/forgot") for _ in range(30)]
    assert at_one[0] == 200
    assert at_one.count(200) < 15
    assert at_one[-1] == 429
    at_many = [ask("198.51.100.8", f"victim{n}@aol.example", "/sign-up") for n in range(80)]
    assert at_many.count(200) < 60
    assert at_many[-1] == 429
    assert len(house.queued("code")) < 75
    assert ask("203.0.113.80", PAT, "/forgot") == 200
    assert mails(house, "code", PAT)


def test_guesses_at_the_same_moment_do_not_count_as_one(world: World) -> None:
    """Twenty threads try twenty codes at once: no more than five are looked at."""
    house = world.house
    message = world.write(ANN, STRANGER)
    token, code = house.link(message, STRANGER), house.code(ANN, STRANGER)
    guesses = [f"{(int(code) + n + 1) % 10**6:06d}" for n in range(20)]

    def guess(typed: str) -> str:
        try:
            house.pickup.prove(token, typed, f"198.51.100.{int(typed) % 200}")
        except CryptnSendError as refusal:
            return type(refusal).__name__
        return "opened"

    with ThreadPoolExecutor(20) as pool:
        answers = Counter(pool.map(guess, guesses))
    assert set(answers) <= {"WrongSecret", "Ended"}
    assert answers["WrongSecret"] <= 4
    assert guess(code) == "Ended"
