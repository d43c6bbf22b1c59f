"""In a real chromium: no page is too wide, none has what axe finds wrong, and what the script adds works."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from cryptnsend.core.dlp.detect import Finding
from cryptnsend.portal.visits import SESSION_COOKIE
from tests.portal.gallery import FORMS, MAIN, PAGES, PEOPLE, inhabited, served
from tests.portal.world import ANN, World

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def world() -> World:
    return inhabited()


@pytest.fixture(scope="module")
def base(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(world, tmp_path_factory.mktemp("tls")) as address:
        yield address


MakePage = Callable[..., Page]
PHONE = 360  # pixels


@pytest.fixture
def complaints() -> list[str]:
    """What browsers complained of; a test that expects some takes them out."""
    return []


@pytest.fixture
def make_page(browser: Browser, base: str, world: World, complaints: list[str]) -> Iterator[MakePage]:
    """Open pages as somebody, at a width; what the console complains of fails the test."""
    contexts = []
    world.tries = 100

    def make(who: str = "", width: int = 360, **values: Any) -> Page:
        context = browser.new_context(
            base_url=base, ignore_https_errors=True, viewport={"width": width, "height": 740}, **values
        )
        contexts.append(context)
        if who:
            world.sessions[who] = PEOPLE[who]  # type: ignore[assignment]
            context.add_cookies([{"name": SESSION_COOKIE, "value": who, "url": base, "secure": True, "httpOnly": True}])
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield make
    for each in contexts:
        each.close()
    assert complaints == []


def too_wide(page: Page, where: str) -> list[str]:
    """Say what is wrong with the width of the page that is open."""
    width = page.evaluate("document.documentElement.scrollWidth")
    return [f"{where} is {width} wide"] if width > page.viewport_size["width"] else []  # type: ignore[index]


def faults(page: Page, where: str) -> list[str]:
    """Say what is wrong with the page that is open: its width, and what axe finds."""
    not_ours = {"exclude": [[".looked-pdf"]]}  # the browser's own viewer answers no questions
    found = Axe().run(page, context=not_ours).response["violations"]
    return too_wide(page, where) + [f"{where}: {each['id']} {each['nodes'][0]['html'][:150]}" for each in found]


def walked(make_page: MakePage, pages: Sequence[tuple[str, str]], width: int, scheme: str) -> list[str]:
    """Go to each page and say what is wrong with it, on a phone also on the narrowest one."""
    opened = {who: make_page(who, width, color_scheme=scheme) for who in {who for who, _ in pages}}
    found: list[str] = []
    for who, url in pages:
        page = opened[who]
        page.goto(url)
        found += faults(page, f"{url} for {who or 'nobody'}")
        if width == PHONE:
            page.set_viewport_size({"width": 320, "height": 740})
            found += too_wide(page, f"{url} at its narrowest")
            page.set_viewport_size({"width": width, "height": 740})
    return found


def test_the_main_pages_fit_and_axe_finds_nothing(make_page: MakePage) -> None:
    assert walked(make_page, MAIN, PHONE, "dark") == []


@pytest.mark.long
@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (1280, "light")], ids=["phone", "desktop"])
def test_every_page_fits_and_axe_finds_nothing(make_page: MakePage, width: int, scheme: str) -> None:
    assert set(MAIN) <= set(PAGES)
    assert walked(make_page, PAGES, width, scheme) == []


@pytest.mark.long
def test_every_answer_to_a_form_fits_and_axe_finds_nothing(make_page: MakePage) -> None:
    found: list[str] = []
    for who, url, typed, button in FORMS:
        page = make_page(who, 320, color_scheme="dark")
        page.goto(url)
        for field, words in typed.items():
            page.fill(field, words)
        with page.expect_navigation():
            page.locator(button).first.click()
        found += faults(page, f"answer to {url}")
    assert found == []


def test_the_way_to_a_message_works_without_a_script(make_page: MakePage) -> None:
    page = make_page(java_script_enabled=False)
    page.goto("/m/new")
    page.get_by_text("I have no code").click()
    page.fill("#code", "482 913")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Suggest a passphrase").click()
    assert page.locator(".long-key").inner_text() == page.input_value("#password")
    page.get_by_role("button", name="Save the password").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Your blood test from Tuesday"
    page.fill("#text", "Thank you.")
    page.set_input_files("#files-field", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello"})
    page.get_by_role("button", name="Send reply").click()
    page.get_by_text("Your reply is with Dr. Ruiz").first.wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out").first.wait_for()
    assert SESSION_COOKIE not in {each["name"] for each in page.context.cookies()}


def test_the_script_shows_what_is_typed_and_hides_it_on_sending(make_page: MakePage) -> None:
    page = make_page()
    page.goto("/m/known")
    page.fill("#password", "secret words")
    page.get_by_label("Show what I type").check()
    assert page.get_attribute("#password", "type") == "text"
    page.get_by_role("button", name="Read the message").click()
    assert page.get_attribute("#password", "type") == "password"
    assert page.input_value("#password") == ""


def test_times_are_in_the_readers_zone_with_a_script_and_say_utc_without(make_page: MakePage) -> None:
    page = make_page(timezone_id="America/Denver")
    page.goto("/m/new")
    assert "Mon 16 November, 04:06" in page.inner_text("dl")
    plain = make_page(java_script_enabled=False)
    plain.goto("/m/new")
    assert "Mon 16 November, 11:06 UTC" in plain.inner_text("dl")


def test_a_time_that_comes_later_is_in_the_readers_zone_too(make_page: MakePage) -> None:
    page = make_page("ann", timezone_id="America/Denver")
    page.goto("/write")
    page.fill("#to", "somebody@new.example")
    page.press("#to", "Tab")
    page.locator("#people time").first.wait_for()
    assert "It works until" in page.inner_text("#people")
    assert "UTC" not in page.inner_text("#people")


def test_a_value_is_copied_with_one_button(make_page: MakePage, base: str) -> None:
    page = make_page("ann")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=base)
    page.goto("/setup?program=thunderbird")
    page.get_by_role("button", name="Copy User name for incoming mail", exact=True).click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == ANN


def test_the_letter_runs_nothing_and_fetches_nothing(make_page: MakePage, world: World, complaints: list[str]) -> None:
    letter = world.letters[14]
    world.letters[14] = replace(
        letter,
        html='<p><a href="https://example.org/">Link</a></p><script>parent.document.title = "owned"</script>'
        '<img src="https://track.example/x.gif"><form action="/sign-out"><button>x</button></form>',
    )
    page = make_page("pat")
    answered: list[str] = []
    page.on("response", lambda response: answered.append(response.url))
    # The sanitiser would have removed all of it; the frame must hold without it.
    page.goto("/messages/14")
    frame = page.frame_locator("iframe")
    frame.get_by_text("Link").wait_for()
    assert "owned" not in page.title()
    assert not [url for url in answered if "track.example" in url]
    assert any("track.example" in each and "blocked" in each for each in complaints)
    complaints.clear()
    assert frame.get_by_text("Link").evaluate("link => link.ownerDocument.querySelector('base').target") == "_blank"
    world.letters[14] = letter


def test_an_idle_reader_is_warned_and_then_sent_away(make_page: MakePage) -> None:
    page = make_page("pat")
    page.clock.install()
    page.goto("/messages/11")
    page.clock.fast_forward(13 * 60_000 + 1000)
    page.get_by_text("In 2 minutes we close your messages").wait_for()
    page.get_by_role("link", name="I am still here").click()
    page.get_by_text("In 2 minutes we close your messages").wait_for(state="detached")
    page.clock.fast_forward(13 * 60_000 + 1000)
    page.get_by_text("In 2 minutes we close your messages").wait_for()
    page.clock.fast_forward(2 * 60_000 + 5000)
    page.wait_for_url("**/sign-in")
    assert "Thank you" not in page.content()
    assert page.get_by_role("heading", level=1).inner_text() == "Sign in"


def test_keyboard_reaches_the_page_at_once(make_page: MakePage) -> None:
    page = make_page("pat")
    page.goto("/messages")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_what_is_typed_is_kept_without_a_button_and_found_again(make_page: MakePage, world: World) -> None:
    page = make_page("pat")
    page.clock.install()
    page.goto("/messages/11")
    page.fill("#text", "Thank you, and one more thing")
    with page.expect_response("**/messages/11/draft") as kept:
        page.clock.fast_forward(3500)
    assert kept.value.status == 204
    page.get_by_text("Your draft is saved.").wait_for()
    assert world.drafts[11].writing.text == "Thank you, and one more thing"
    page.goto("/messages")
    page.get_by_role("link", name="drafts that are not sent").click()
    page.get_by_role("link", name="Reply to Dr. Ruiz").click()
    assert page.input_value("#text") == "Thank you, and one more thing"
    page.get_by_role("button", name="Throw this draft away").click()
    page.get_by_role("heading", name="Drafts").wait_for()
    assert 11 not in world.drafts
    assert {10, 14, 920} <= set(world.drafts)


def test_what_was_typed_just_before_signing_out_is_kept(make_page: MakePage, world: World) -> None:
    page = make_page("pat")
    page.clock.install()
    page.goto("/messages/11")
    page.fill("#text", "The last words")
    page.get_by_role("button", name="Sign out").first.click()
    page.wait_for_url(lambda url: "/messages/11" not in url)
    assert world.drafts[11].writing.text == "The last words"
    assert "pat" not in world.sessions


def test_typing_keeps_a_reader_signed_in_and_what_comes_too_late_is_kept(make_page: MakePage, world: World) -> None:
    page = make_page("pat")
    page.clock.install()
    page.goto("/messages/11")
    page.clock.fast_forward(14 * 60_000)
    page.get_by_text("In 2 minutes we close your messages").wait_for()
    page.fill("#text", "Still here")
    with page.expect_response("**/messages/11/draft"):
        page.clock.fast_forward(3500)
    page.get_by_text("In 2 minutes we close your messages").wait_for(state="detached")
    world.away["pat"] = world.sessions.pop("pat")
    page.fill("#text", "Now it was too long")
    page.clock.fast_forward(3500)
    page.wait_for_url("**/sign-in")
    assert "What you wrote is kept, locked, as a draft." in page.content()
    assert world.drafts.pop(11).writing.text == "Now it was too long"
    world.away.clear()


def test_a_draft_is_saved_without_a_script(make_page: MakePage, world: World) -> None:
    page = make_page("pat", 320, java_script_enabled=False)
    page.goto("/messages/11")
    page.fill("#text", "By hand")
    # The browser's own field names the files that were chosen; over it the script would lay its list.
    assert page.locator("#files-field").evaluate("field => getComputedStyle(field).opacity") == "1"
    page.set_input_files("#files-field", {"name": "scan.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"})
    page.get_by_role("button", name="Save draft").click()
    page.get_by_text("Your draft is saved.").wait_for()
    assert page.input_value("#text") == "By hand"
    assert page.get_by_label("scan.pdf").is_checked()
    assert world.drafts.pop(11).writing.text == "By hand"


def test_pictures_and_pdf_are_seen_on_a_page(make_page: MakePage) -> None:
    page = make_page("pat")
    page.goto("/messages/18")
    page.get_by_role("link", name="Way to the practice", exact=False).first.click()
    assert page.get_by_role("img", name="The picture Way").evaluate("picture => picture.naturalWidth") == 1
    with page.expect_event("framenavigated", lambda frame: frame.url.startswith("chrome-extension://")):
        page.goto("/messages/18/files/3/look")  # in the browser's own viewer
    assert page.get_by_title("Questions before the first visit.pdf").is_visible()


def test_what_is_quoted_unfolds_without_a_script(make_page: MakePage) -> None:
    page = make_page("pat", java_script_enabled=False)
    page.goto("/messages/18")
    frame = page.frame_locator("iframe")
    assert not frame.get_by_text("What should I eat").is_visible()
    frame.get_by_text("Earlier message").click()
    frame.get_by_text("What should I eat").wait_for()
    assert "→ evil.example (not what the link says)" in frame.locator("body").inner_text()


def test_a_file_is_kept_at_once_and_sent_with_the_words(make_page: MakePage, world: World) -> None:
    page = make_page("pat")
    page.goto("/messages/11")
    page.fill("#text", "With a picture")
    assert page.locator("#files-field").evaluate("field => getComputedStyle(field).opacity") == "0"
    page.set_input_files("#files-field", {"name": "scan.pdf", "mimeType": "application/pdf", "buffer": b"%PDF"})
    page.get_by_label("scan.pdf PDF").wait_for()
    assert [each.name for each in world.drafts[11].files] == ["scan.pdf"]
    page.locator("form[data-attach]").evaluate(DROP)
    page.get_by_label("dropped.txt Text").wait_for()
    page.locator("#text").evaluate(PASTE)
    page.get_by_label("pasted.png Picture").wait_for()
    assert [each.name for each in world.drafts[11].files] == ["scan.pdf", "dropped.txt", "pasted.png"]
    page.get_by_label("dropped.txt Text").uncheck()
    assert faults(page, "files that go along") == []
    page.get_by_role("button", name="Send reply").click()
    page.get_by_text("Your reply is with Dr. Ruiz").first.wait_for()
    sent = world.replies[-1]
    assert [each[0] for each in sent["files"]] == ["scan.pdf", "pasted.png"]


# Files as somebody would drop or paste them.
HOLDING = "const held = new DataTransfer(); held.items.add(new File(['x'], '{name}', {{type: '{kind}'}}));"
DROP = (
    "form => {"
    + HOLDING.format(name="dropped.txt", kind="text/plain")
    + "form.dispatchEvent(new DragEvent('drop', {dataTransfer: held, bubbles: true, cancelable: true})); }"
)
PASTE = (
    "field => {"
    + HOLDING.format(name="pasted.png", kind="image/png")
    + "field.dispatchEvent(new ClipboardEvent('paste', {clipboardData: held, bubbles: true, cancelable: true})); }"
)


def test_a_file_on_its_way_shows_progress_and_can_be_paused_and_stopped(make_page: MakePage, world: World) -> None:
    page = make_page("pat")
    page.goto("/messages/14")
    held: list[Any] = []
    page.route("**/uploads/*", lambda route: held.append(route))
    page.set_input_files("#files-field", {"name": "film.mp4", "mimeType": "video/mp4", "buffer": b"x" * 9000})
    page.get_by_role("progressbar", name="film.mp4").wait_for()
    assert page.get_by_role("button", name="Send reply").is_disabled()
    page.get_by_role("button", name="Pause film.mp4").click()
    page.get_by_text("Paused", exact=True).wait_for()
    assert page.get_by_role("button", name="Send reply").is_disabled()
    assert faults(page, "a file on its way") == []
    page.get_by_role("button", name="Continue film.mp4").click()
    page.get_by_role("button", name="Stop film.mp4").click()
    page.get_by_role("progressbar", name="film.mp4").wait_for(state="detached")
    assert page.get_by_role("button", name="Send reply").is_enabled()
    page.unroute("**/uploads/*")


def test_a_paused_file_goes_on_where_it_stood_and_others_go_meanwhile(make_page: MakePage, world: World) -> None:
    page = make_page("pat")
    page.goto("/messages/11")
    page.route("**/uploads", lambda route: None)  # no answer yet
    page.set_input_files("#files-field", {"name": "film.mp4", "mimeType": "video/mp4", "buffer": b"x" * 9000})
    page.get_by_role("button", name="Pause film.mp4").click()
    page.unroute("**/uploads")
    page.set_input_files("#files-field", {"name": "note.txt", "mimeType": "text/plain", "buffer": b"x"})
    page.get_by_label("note.txt Text").wait_for()
    page.get_by_role("button", name="Continue film.mp4").click()
    page.get_by_role("progressbar", name="film.mp4").wait_for(state="detached")
    assert [each.name for each in world.drafts[11].files] == ["note.txt", "film.mp4"]
    assert page.get_by_role("button", name="Send reply").is_enabled()
    world.drafts.pop(11)


def test_a_file_that_is_too_large_or_is_refused_says_so_and_can_be_tried_again(
    make_page: MakePage, world: World
) -> None:
    page = make_page("pat")
    page.goto("/messages/11")
    page.route("**/uploads", lambda route: route.fulfill(status=429, body="Too many files.", content_type="text/plain"))
    page.set_input_files("#files-field", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"})
    page.get_by_text("Too many files.").wait_for()
    assert page.get_by_role("button", name="Send reply").is_enabled()
    page.unroute("**/uploads")
    page.get_by_role("button", name="Try again a.txt").click()
    page.get_by_label("a.txt Text").wait_for()
    page.locator("form[data-attach]").evaluate("form => { form.dataset.limit = 2; }")
    world.refuse = "There is no room left for drafts."
    page.set_input_files("#files-field", {"name": "b.txt", "mimeType": "text/plain", "buffer": b"x"})
    page.get_by_text("There is no room left for drafts.").wait_for()
    assert [file.name for file in world.drafts[11].files] == ["a.txt"]
    world.refuse = ""
    world.drafts.pop(11)


def test_without_a_connection_a_file_waits_and_goes_on_by_itself(make_page: MakePage, world: World) -> None:
    page = make_page("pat")
    page.goto("/messages/11")
    page.route("**/uploads**", lambda route: route.abort())
    page.set_input_files("#files-field", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"})
    page.get_by_text("It goes on by itself as soon as there is one.").wait_for()
    assert faults(page, "a file without a connection") == []
    page.unroute("**/uploads**")
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.get_by_label("a.txt Text").wait_for()
    world.drafts.pop(11)


def test_pages_that_may_run_nothing_fit_and_axe_finds_nothing(make_page: MakePage) -> None:
    page = make_page("pat", 320)
    found: list[str] = []
    for url in ("/messages/18/print", "/messages/11/print"):
        text = page.request.get(url).text()
        page.goto("about:blank")  # where axe may look at it, which its own policy forbids
        page.set_content(text)
        found += faults(page, url)
    assert found == []


def test_what_stands_behind_the_sign_of_a_link_goes_with_a_button_only(make_page: MakePage) -> None:
    page, sent, secret = make_page(), list[tuple[str, str]](), "S" * 43
    page.on("request", lambda request: sent.append((request.method, f"{request.url} {request.post_data}")))
    page.goto(f"/f/secret#{secret}")
    assert [each for each in sent if secret in each[1]] == []
    with page.expect_navigation():
        page.locator("main form .button").first.click()
    assert [method for method, said in sent if secret in said] == ["POST"]
    page.goto("/f/secret")
    assert page.locator("#secret-missing").is_visible()
    plain = make_page(java_script_enabled=False)
    plain.goto("/f/password")
    plain.fill("#password", "copper lantern seven violins")
    with plain.expect_navigation():
        plain.locator("main form .button").first.click()
    assert "MRI scan" in plain.content()


def test_a_link_ends_at_the_time_that_its_author_reads_on_a_clock(make_page: MakePage, world: World) -> None:
    page = make_page("ann", timezone_id="America/Denver")
    page.goto("/sent/21/links")
    page.fill("#until", "2026-11-20T10:30")
    page.check("input[name=sure]")
    with page.expect_navigation():
        page.get_by_role("button", name="Make the link").click()
    at = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)
    assert f"make link 21 until {int(at.timestamp() * 1000)}" in world.calls


def test_what_was_found_in_the_files_of_a_link_fits_and_axe_finds_nothing(make_page: MakePage, world: World) -> None:
    page = make_page("ann", 320, color_scheme="dark")
    world.found_in_files = (Finding("ssn", "***-**-1234", f"{'x' * 90}.csv"), Finding("unreadable", "", "scan.dcm"))
    page.goto("/sent/21/links")
    page.check("input[name=sure]")
    with page.expect_navigation():
        page.get_by_role("button", name="Make the link").click()
    world.found_in_files = ()
    assert page.locator("#reason").is_visible()
    assert faults(page, "what was found in the files of a link") == []


# A clock and a connection that go on when the test says so.
SLOWLY = """
    let now = 0;
    performance.now = () => now;
    const send = XMLHttpRequest.prototype.send;
    XMLHttpRequest.prototype.send = function (body) {
        if (!(body instanceof Blob)) return send.call(this, body);
        window.going = this;
        document.documentElement.dataset.going = "yes";
    };
    window.went = (milliseconds, loaded) => {
        now += milliseconds;
        const how = { lengthComputable: true, loaded, total: 8000000 };
        window.going.upload.dispatchEvent(new ProgressEvent("progress", how));
    };
"""


def test_a_file_on_its_way_says_how_much_how_fast_and_how_long_it_will_take(make_page: MakePage) -> None:
    page = make_page("ann")
    page.add_init_script(SLOWLY)
    page.goto("/write")
    page.set_input_files("#files-field", {"name": "a.bin", "mimeType": "", "buffer": bytes(8_000_000)})
    page.locator("html[data-going]").wait_for(state="attached")
    for milliseconds, octets, said in (
        (0, 800_000, "10 %"), (2000, 2_400_000, "30 % · 1.2 MB/s · 0:05 left"),
        (9000, 2_600_000, "32 % · 23 KB/s · 4:03 left"),
    ):  # fmt: skip
        page.evaluate("([ms, octets]) => window.went(ms, octets)", [milliseconds, octets])
        assert page.inner_text(".rate span").startswith(said)
