"""Links for anyone on the pages: made with a warning, opened by a button, had in ranges, and all that strangers try."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest

from cryptnsend.flow.guessing import MOST
from tests.portal.conftest import BASE, Visitor
from tests.portal.real import ANN, JUNE, signed_in, text
from tests.portal.test_fetching import FILE, Scene, get
from tests.support.house import DAY, MakeHouse

WORDS = "copper lantern seven violins"


class Shared(Scene):
    """Ann's message with a large file, on a server where everybody may make links."""

    def path(self) -> str:
        return f"/sent/{self.message}/links"

    def make(self, *, days: float = 1, status: int = 303, **values: str) -> tuple[str, str]:
        """Press "Make the link"; return path and secret of what stands on the page then."""
        self.house.clock.forward(1)
        ann = self.ann.visitor
        assert ann.get(self.path()).status_code == 200
        until = datetime.fromtimestamp(self.house.clock.now() / 1000 + days * 86400, UTC)
        form = {"until": f"{until:%Y-%m-%dT%H:%M}", "sure": "yes"} | values
        assert ann.post(self.path(), {name: value for name, value in form.items() if value}).status_code == status
        if status != 303:
            return "", ""
        found = re.search(rf"{BASE}(/f/[\w-]+)(?:#([\w-]+))?<", ann.follow().text)
        assert found, ann.page
        return found[1], found[2] or ""

    def opened(self, visitor: Visitor, path: str, secret: str = "", password: str = "") -> str:
        """Look at a link, press the button, and return where the button of its file leads."""
        self.house.clock.forward(1)
        visitor.get(path)
        answer = visitor.post(path, {"secret": secret, "password": password})
        assert answer.status_code == 200, answer.text
        found = re.search(rf'action="({path}/\d+)"', answer.text)
        assert found, answer.text
        return found[1]

    def ticket_of(self, visitor: Visitor, path: str, secret: str = "", password: str = "") -> str:
        button = self.opened(visitor, path, secret, password)
        answer = visitor.post(button, {"token": token(visitor)})
        assert answer.status_code == 303
        assert answer.location.startswith("/download/link/")
        return answer.location


def token(visitor: Visitor) -> str:
    found = re.search(r'name="token" value="(\w+)"', text(visitor))
    assert found
    return found[1]


@pytest.fixture
def shared(make_house: MakeHouse) -> Shared:
    return Shared(
        make_house(limits={"message_octets": 1_200_000}, policy={"file_links": "everybody"}, dlp={"look": False})
    )


def test_a_link_is_made_with_a_warning_and_whoever_has_it_downloads_by_a_button(shared: Shared) -> None:
    page = shared.ann.visitor.get(f"/sent/{shared.message}").text
    assert shared.path() in page
    form = shared.ann.visitor.get(shared.path()).text
    assert "Whoever gets this link can have the files." in form
    path, secret = shared.make(most="2")
    assert len(secret) == 43, "256 bits"
    stranger = Visitor(shared.app)
    face = stranger.get(path)
    assert "Dr. Ann Ruiz shares files with you" in face.text
    assert "scan.dcm" not in face.text
    assert face.headers["Referrer-Policy"] == "no-referrer"
    assert face.headers["Cache-Control"] == "no-store"
    url = shared.ticket_of(stranger, path, secret)
    for method in ("HEAD", "GET"):
        assert get(stranger, url, method).headers["Content-Length"] == str(len(FILE))
    tag = get(stranger, url, "HEAD").headers["ETag"]
    first = get(stranger, url, Range="bytes=0-299999")
    rest = get(stranger, url, Range="bytes=300000-", If_Range=tag)
    assert (first.status_code, rest.status_code, first.data + rest.data) == (206, 206, FILE)
    assert get(stranger, url, Range=f"bytes={len(FILE)}-").status_code == 416
    assert "sandbox" in get(stranger, url, "HEAD").headers["Content-Security-Policy"]
    listed = shared.ann.visitor.get(shared.path()).text
    assert "1 of 2 downloads" in listed
    status = shared.ann.visitor.get(f"/sent/{shared.message}").text
    assert "somebody with a link, from 127.0.0.0/24" in status
    proof = shared.ann.visitor.get(f"/sent/{shared.message}/proof").text
    assert "You made a link for anyone" in proof
    assert "Somebody with the link downloaded a large file" in proof
    # Whatever a scanner fetches, nothing is spent; one more button, and then there is none.
    for method in ("GET", "HEAD", "OPTIONS"):
        for address in (path, f"{path}?x=1", url):
            get(Visitor(shared.app), address, method)
    assert "1 of 2 downloads" in shared.ann.visitor.get(shared.path()).text
    early = Visitor(shared.app)
    button = shared.opened(early, path, secret)
    kept = token(early)
    last = Visitor(shared.app)
    assert get(last, shared.ticket_of(last, path, secret)).data == FILE
    assert early.post(button, {"token": kept}).status_code == 410
    assert "as often as it may be" in text(early)
    assert "No download is left." in text(early)
    assert "2 of 2 downloads" in shared.ann.visitor.get(shared.path()).text


def test_a_password_works_without_a_script_and_is_not_guessed(shared: Shared) -> None:
    path, secret = shared.make(password=WORDS, days=30)
    assert secret == ""
    stranger = Visitor(shared.app)
    page = stranger.get(path).text
    assert 'name="password"' in page
    assert "links.js" not in page
    assert get(stranger, shared.ticket_of(stranger, path, password=WORDS)).data == FILE
    stranger.get(path)
    answers = [stranger.post(path, {"password": f"guess {number}"}) for number in range(12)]
    assert [each.status_code for each in answers[:9]] == [422] * 9
    assert "This password is not right." in answers[0].text
    assert [each.status_code for each in answers[9:]] == [429] * 3
    assert "too many tries at this link" in answers[-1].text
    assert int(answers[-1].headers["Retry-After"]) > 60
    assert stranger.post(path, {"password": WORDS}).status_code == 429


def test_a_link_that_is_damaged_or_guessed_at_too_often_says_so_and_not_that_the_password_is_wrong(
    shared: Shared,
) -> None:
    path, _ = shared.make(password=WORDS)
    shared.house.spoil("UPDATE file_links SET guesses = :n", n=MOST)
    stranger = Visitor(shared.app)
    stranger.get(path)
    answer = stranger.post(path, {"password": WORDS})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "86400")
    assert "Too many wrong passwords were typed for this link." in answer.text
    assert "1000 wrong passwords were typed for it." in shared.ann.visitor.get(shared.path()).text
    shared.house.spoil("UPDATE file_links SET guesses = 0, salt = zeroblob(16)")
    answer = stranger.post(path, {"password": WORDS})
    assert answer.status_code == 500
    assert "is damaged on our side. Ask who sent it for another one." in answer.text
    page = shared.ann.visitor.get(shared.path()).text
    assert "nobody has a file by it" in page
    assert path not in page


def test_what_does_not_fit_makes_no_link_and_says_why(shared: Shared) -> None:
    ann = shared.ann.visitor
    for values, said in (
        ({"sure": ""}, "Say that whoever gets the link may have the files."),
        ({"until": "yesterday"}, "Choose a time to come."),
        ({"until": ""}, "Choose a time to come."),
        ({"most": "-3"}, "as a number"),
        ({"most": "99999"}, "at most 1000 downloads"),
        ({"password": "aaaaaaaa"}, "guessed"),
    ):
        shared.make(status=422, **values)
        assert said in text(ann), values
    shared.make(days=8, status=422)
    assert "for 7 days at most" in text(ann)
    assert "made" not in [
        each.state for each in shared.house.portal.filelinks.listing(shared.house.session(ANN), shared.message)
    ]
    started = time.monotonic()
    assert ann.post(shared.path(), {"password": "x" * 70_000, "sure": "yes"}).status_code == 413
    assert (
        Visitor(shared.app).client.post("/f/" + "A" * 27, base_url=BASE, data={"x": "y" * 200_000}).status_code == 413
    )
    assert time.monotonic() - started < 5


def test_what_is_found_in_the_files_stands_on_the_page_and_takes_a_reason(make_house: MakeHouse) -> None:
    shared = Shared(make_house(limits={"message_octets": 1_200_000}, policy={"file_links": "everybody"}))
    shared.make(status=422, password=WORDS)
    page = text(shared.ann.visitor)
    assert "This was found in the files, so that no link is made yet." in page
    assert "a file that cannot be read here" in page
    assert re.search(r'<input[^>]*name="password"[^>]* required', page), "or the next link would have none"
    assert 'name="reason"' in page
    path, secret = shared.make(password=WORDS, reason="asked for by the insurer")
    assert (path[:3], secret) == ("/f/", "")
    assert "something was found in the files" in shared.ann.visitor.get(f"/sent/{shared.message}/proof").text


def test_only_its_own_link_browser_and_form_open_it(shared: Shared) -> None:
    path, secret = shared.make()
    other, its = shared.make()
    stranger = Visitor(shared.app)
    stranger.get(path)
    for typed in (its, secret[:-1], "", "A" * 43):
        assert stranger.post(path, {"secret": typed}).status_code == 422
    url = shared.ticket_of(stranger, path, secret)
    button = shared.opened(stranger, path, secret)
    held, csrf = token(stranger), stranger.form_token()
    thief = Visitor(shared.app)
    assert get(thief, url).status_code == 404
    thief.get(path)
    assert get(thief, url).status_code == 404
    assert thief.post(button, {"token": held}).location == path, "the list was opened in another browser"
    moved = button.replace(path, other)
    stranger.get(other)
    assert stranger.post(moved, {"token": held}).location == other
    said = {"data": {"csrf_token": csrf, "token": held}, "base_url": BASE}
    assert stranger.client.post(button, headers={"Sec-Fetch-Site": "cross-site"}, **said).status_code == 400
    assert stranger.client.post(button, data={"token": held}, base_url=BASE).status_code == 400
    assert stranger.client.post(path, data={"secret": secret}, base_url=BASE).status_code == 400
    for strange in (
        "/f/",
        "/f/" + "A" * 27,
        "/f/..%2f" + path[3:],
        path + "A",
        path[:-1],
        "/download/link/" + "0" * 64,
    ):
        assert Visitor(shared.app).get(strange).status_code == 404
    shared.house.add_subscriber(JUNE)
    june = signed_in(shared.app, JUNE)
    assert june.get(shared.path()).status_code == 404
    june.get("/sent")
    assert june.post(shared.path(), {"until": "2030-01-01T00:00", "sure": "yes"}).status_code == 404
    assert shared.pat.get(shared.path()).status_code == 404
    own = shared.ticket()
    assert get(shared.pat, own.replace("/download/", "/download/link/")).status_code == 404
    assert get(stranger, url.replace("/download/link/", "/download/")).status_code == 404


def test_a_link_that_is_over_looks_like_any_that_is(shared: Shared) -> None:
    path, secret = shared.make()
    old, _ = shared.make(days=0.5)
    stranger = Visitor(shared.app)
    url = shared.ticket_of(stranger, path, secret)
    button, held = shared.opened(stranger, path, secret), token(stranger)
    revoke = re.findall(rf'action="({shared.path()}/\d+/revoke)"', shared.ann.visitor.get(shared.path()).text)[-1]
    assert shared.ann.visitor.post(revoke).status_code == 303
    assert "The link is ended." in shared.ann.visitor.follow().text
    assert get(stranger, url).status_code == 404
    gone = stranger.get(path)
    assert gone.status_code == 410
    stranger.get(old)
    for answer in (
        stranger.post(path, {"secret": secret}),
        stranger.get(old) and stranger.post(button, {"token": held}),
    ):
        assert answer.status_code == 410
        assert "This link does not work any more" in answer.text
        assert "Ann" not in answer.text
    shared.house.clock.forward(DAY)
    late = Visitor(shared.app).get(old)
    assert late.status_code == 410
    assert "does not work any more" in late.text
