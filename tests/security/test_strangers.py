"""Do strangers learn who has an account, and do they wear anybody out by guessing and asking?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from cryptnsend.core import passwords
from cryptnsend.core.errors import CryptnSendError, Denied, NoGrant
from cryptnsend.demo.visitor import Page
from cryptnsend.flow.views import Writing
from cryptnsend.keeper.client import Keeper
from cryptnsend.portal import Portal
from tests.flow.test_organisations import Staff
from tests.support.house import OTHER, PASSWORD, SOURCE, House

from .browser import Browser
from .world import ANN, BOB, EVE, OFFICER, PAT, World, mails

STRANGER = "new@aol.example"
SUGGESTED = "quilt saffron beacon eleven"


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


def test_writing_to_somebody_does_not_tell_whether_they_have_an_account(world: World, pages: Portal) -> None:
    """On the page before and after, and in the receipt, another's patient, a colleague and nobody look alike."""
    house, told = world.house, set()
    eve = Browser(pages)
    eve.sign_in(EVE, PASSWORD)
    for address in (PAT, BOB, OFFICER, "nobody@nowhere.example"):
        (checked,) = house.portal.newmail.check(house.session(EVE), Writing("x", "lure", (address,))).people
        message = world.write(EVE, address, text="lure", subject="lure")
        page = neutral(eve.get(f"/sent/{message}"), address, str(message))
        (receipt,) = mails(house, "receipt", EVE)
        code = house.code(EVE, address)
        for each in (str(message), address, code, f"{code[:3]} {code[3:]}"):
            receipt = receipt.replace(each, "")
        told.add((str(checked).replace(address, ""), " ".join(receipt.split()), page))
    assert len(told) == 1


def test_nobody_learns_by_inviting_who_is_a_subscriber_elsewhere(house: House) -> None:
    """Alone or in a list they are invited like nobody known; who reads the mail hears what is in the way."""
    staff, rita, officer = Staff(house), "rita@rival.example", "officer@rival.example"
    flow = staff.flow
    house.add_subscriber(rita, organisation=staff.rival, name="Rita")
    listed = f"{officer}\n{rita}\nnobody@x.example\n".encode()
    assert {each.wrong for each in flow.read_list(staff.max, listed)} == {""}
    for address in (officer, rita, "nobody@x.example"):
        house.clock.forward(1)
        assert flow.invite(staff.max, address, "Somebody") == address
    assert {each.address for each in flow.invited(staff.max)} == {officer, rita, "nobody@x.example"}
    _, hers, theirs = house.queued("code")
    assert (hers["kind"], hers["template"]) == (theirs["kind"], theirs["template"])
    code = house.keeper("courier").invitation(hers["subject_id"]).code
    with pytest.raises(Denied, match="account already"):
        house.accounts.finish_signup(hers["subject_id"], code, OTHER, "Rita", SOURCE, "Firefox", "en")
    house.accounts.subscribe(house.session(rita), PASSWORD, SOURCE, "Firefox", hers["subject_id"], code)
    assert house.session(rita).organisation == staff.rival
    assert rita not in [each.address for each in flow.people(staff.max).people]


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
