"""The pages as an app: what a phone is told, what its worker keeps, and how a share from another app gets in."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from cryptnsend.config import web_root
from cryptnsend.portal import create_app
from cryptnsend.portal.phone import SIZES
from cryptnsend.portal.visits import SESSION_COOKIE
from tests.portal.conftest import BASE, Visitor, config, pieces
from tests.portal.gallery import PEOPLE, inhabited, served
from tests.portal.world import ANN, World
from tests.support.chromium import FLAGS, PATIENCE

# A share as a phone makes it: a form that another page posts, with files in it.
SHARE = """files => {
  const form = document.createElement("form");
  form.method = "post"; form.action = "/share"; form.enctype = "multipart/form-data";
  const field = (name, type) => {
    const made = document.createElement("input");
    made.name = name; made.type = type;
    form.append(made);
    return made;
  };
  field("title", "text").value = "Referral";
  field("text", "text").value = "From the scanner.";
  const held = new DataTransfer();
  for (const name of files) held.items.add(new File(["picture"], name, { type: "image/png" }));
  field("files", "file").files = held.files;
  document.body.append(form);
  form.submit();
}"""


@pytest.fixture
def visitor() -> Visitor:
    return Visitor(create_app(pieces(inhabited()), config()))


def test_a_phone_is_told_all_that_makes_pages_an_app(visitor: Visitor) -> None:
    answer = visitor.get("/app.webmanifest", headers={"Accept-Language": "es"})
    said = answer.json
    assert said is not None
    assert answer.mimetype == "application/manifest+json"
    assert (said["display"], said["scope"], said["lang"]) == ("standalone", "/", "es")
    assert said["name"] == "Correo seguro"
    assert {(each["sizes"], each["purpose"]) for each in said["icons"]} == {
        (f"{size}x{size}", purpose) for size in SIZES for purpose in ("any", "maskable")
    }
    assert "share_target" not in said  # to recipients the page for new messages does not exist
    for each in said["icons"]:
        assert visitor.get(each["src"]).status_code == 200


@pytest.mark.parametrize("name", sorted(each.name for each in (web_root() / "static").glob("icon-*.png")))
def test_an_icon_is_as_large_as_its_name_says(name: str) -> None:
    octets = (web_root() / "static" / name).read_bytes()
    size = int(Path(name).stem.split("-")[1])
    assert struct.unpack(">II", octets[16:24]) == (size, size)


def test_subscribers_get_an_app_that_others_can_share_to(visitor: Visitor) -> None:
    said = visitor.get("/app.webmanifest?for=subscriber").json
    assert said is not None
    assert said["share_target"]["action"] == "/share"
    assert said["share_target"]["method"] == "POST"
    assert [each["url"] for each in said["shortcuts"]] == ["/write", "/messages", "/sent"]


def test_a_share_that_no_worker_took_is_not_read_and_says_so(visitor: Visitor) -> None:
    world = inhabited()
    ann = Visitor(create_app(pieces(world), config()))
    ann.carry(world.sign_in(ANN, roles=("subscriber",)))
    drafts = len(world.drafts)
    data = {"title": "Referral", "text": "words of another app"}
    answer = ann.client.post("/share", base_url=BASE, data=data, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.location) == (303, "/write/shared/lost")
    page = ann.get(answer.location).text
    assert "What you shared did not arrive." in page
    assert "words of another app" not in page
    assert len(world.drafts) == drafts


def test_the_page_that_the_worker_keeps_says_nothing_of_anybody() -> None:
    world = inhabited()
    ann = Visitor(create_app(pieces(world), config()))
    signed_out = ann.get("/offline").text
    assert "There is no connection" in signed_out
    assert ANN not in signed_out
    worker = ann.get("/worker.js")
    assert worker.headers["Content-Security-Policy"] == "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"
    assert 'credentials: "omit"' in worker.text


# ---- in a browser that takes the certificate of these pages for a good one, as workers want it ------------------


@pytest.fixture(scope="module")
def trusting() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        flags = [*FLAGS, "--ignore-certificate-errors"]
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags, timeout=PATIENCE)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def world() -> World:
    return inhabited()


@pytest.fixture(scope="module")
def base(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(world, tmp_path_factory.mktemp("tls")) as address:
        yield address


@pytest.fixture
def phone(trusting: Browser, base: str, world: World) -> Iterator[Page]:
    """A subscriber's phone, whose worker is in charge of the page that is open."""
    context = trusting.new_context(
        base_url=base, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    context.set_default_timeout(PATIENCE)
    world.sessions["ann"] = PEOPLE["ann"]  # type: ignore[assignment]
    context.add_cookies([{"name": SESSION_COOKIE, "value": "ann", "url": base, "secure": True, "httpOnly": True}])
    page = context.new_page()
    page.goto("/messages")
    page.evaluate("navigator.serviceWorker.ready")
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    yield page
    context.close()


def kept(context: BrowserContext, page: Page) -> list[str]:
    """Return the paths of everything that the worker keeps on the phone."""
    found: list[str] = page.evaluate("""async () => {
      const paths = [];
      for (const name of await caches.keys())
        for (const each of await (await caches.open(name)).keys()) paths.push(new URL(each.url).pathname);
      return paths;
    }""")
    return found


@pytest.mark.browser
def test_without_a_connection_a_page_says_so_and_no_message_is_kept(phone: Page) -> None:
    phone.goto("/messages/11")
    phone.goto("/sent")
    paths = kept(phone.context, phone)
    assert "/offline" in paths
    assert all(path == "/offline" or path.startswith("/static/") for path in paths)
    phone.context.set_offline(True)
    phone.goto("/messages/11")
    expect(phone.get_by_role("heading", level=1)).to_have_text("There is no connection")
    assert phone.evaluate("getComputedStyle(document.querySelector('.button')).borderRadius") == "8px"  # with its looks
    phone.context.set_offline(False)
    phone.get_by_role("link", name="Try again").click()
    phone.wait_for_url("**/messages")


@pytest.mark.browser
def test_what_another_app_shares_becomes_a_new_message_once_its_reader_says_yes(phone: Page) -> None:
    phone.evaluate(SHARE, ["scan.png", "second.png"])
    phone.wait_for_url("**/write")
    expect(phone.get_by_text("Referral · From the scanner. · scan.png · second.png")).to_be_visible()
    expect(phone.get_by_label("Subject")).to_have_value("")  # any page may post such a share
    assert phone.get_by_role("checkbox", name="scan.png").count() == 0
    phone.get_by_role("button", name="Take it").click()
    expect(phone.get_by_label("Subject")).to_have_value("Referral")
    expect(phone.get_by_role("checkbox", name="scan.png")).to_be_checked()
    expect(phone.get_by_role("checkbox", name="second.png")).to_be_checked()
    editor = phone.locator("#editor")
    if editor.count():
        expect(editor).to_contain_text("From the scanner.")
    else:
        expect(phone.locator("#text")).to_have_value("From the scanner.")
    expect(phone.locator("#share")).to_be_hidden()
    phone.goto("/write/shared/here")  # a second time there is nothing
    expect(phone.get_by_text("What you shared did not arrive.")).to_be_visible()


@pytest.mark.browser
def test_a_phone_offers_its_camera_and_a_desk_does_not(phone: Page, trusting: Browser, base: str) -> None:
    phone.goto("/write")
    with phone.expect_file_chooser() as chooser:
        phone.get_by_text("Take a photo").click()
    chooser.value.set_files({"name": "wound.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff picture"})
    expect(phone.get_by_role("checkbox", name="wound.jpg")).to_be_checked()
    with trusting.new_context(base_url=base) as context:
        context.add_cookies([{"name": SESSION_COOKIE, "value": "ann", "url": base, "secure": True, "httpOnly": True}])
        page = context.new_page()
        page.goto("/write")
        expect(page.get_by_label("Attach files")).to_be_visible()
        assert page.get_by_text("Take a photo").count() == 0


@pytest.mark.browser
def test_the_picture_on_the_home_screen_shows_how_many_are_unread(trusting: Browser, base: str, phone: Page) -> None:
    phone.add_init_script("navigator.setAppBadge = async number => { window.badge = number; };")
    phone.goto("/messages")
    count = int(phone.locator(".nav .count").inner_text()) if phone.locator(".nav .count").count() else 0
    assert phone.evaluate("window.badge") == count
