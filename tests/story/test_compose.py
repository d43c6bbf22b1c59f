"""Ann writes on the page, thinks twice, sends, and sees who opened it: in a real browser on a real server."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from cryptnsend.demo.house import House
from cryptnsend.demo.visitor import first_link
from tests.story.test_browser import no_sideways_scroll

ANN = "ann.writes@gmail.example"
ANN_PASSWORD = "harbour violet tractor ninety"
PASSWORD = "lantern otter gravel seventeen"
REPORT = b"%PDF-1.7 " + b"a small report " * 500

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def ann(served: House) -> str:
    add = ("subscriber", "add", ANN, "--name", "Dr. Ann Ruiz", "--password-stdin")
    served.run(*add, stdin=ANN_PASSWORD + "\n")
    return ANN


class Desk:
    """Ann's pages, as she uses them."""

    def __init__(
        self, served: House, context: BrowserContext, who: str = ANN, password: str = ANN_PASSWORD, base: str = ""
    ):
        self.base, self.page = base or served.base_url, context.new_page()
        self.page.goto(self.base + "/sign-in")
        self.page.fill("input[name=address]", who)
        self.page.fill("input[name=password]", password)
        self.page.locator("form.sheet button.button").first.click()
        self.page.wait_for_url("**/messages*")

    def write(self, to: str, subject: str, words: str) -> None:
        """Begin a new message."""
        self.page.get_by_role("link", name="Write", exact=True).click()
        self.page.fill("#to", to)
        self.page.fill("#subject", subject)
        editor = self.page.locator("#editor")
        (editor if editor.count() else self.page.locator("#text")).fill(words)

    def attach(self, name: str, octets: bytes) -> None:
        """Attach a file; with a script it goes up at once."""
        self.page.set_input_files("#files-field", {"name": name, "mimeType": "application/pdf", "buffer": octets})
        if self.page.locator(".attach-words:not([hidden])").count():
            expect(self.page.get_by_role("checkbox", name=name)).to_be_checked()

    def send(self) -> None:
        """Press the button; a second time if the page had something to say first."""
        self.page.locator(".end .button").first.click()
        self.page.wait_for_load_state()
        if "/sent/" not in self.page.url:
            assert "for the first time" in self.page.inner_text("#people")
            self.page.locator(".end .button").first.click()
        self.page.wait_for_url("**/sent/*")

    def code(self) -> str:
        """Return the code that the page says, in digits."""
        return "".join(filter(str.isdigit, self.page.inner_text(".spoken-code")))

    def undo(self) -> None:
        """Have the message back."""
        self.page.get_by_role("button", name="Undo: do not send it").click()
        self.page.get_by_text("It was not sent.").wait_for()


@pytest.mark.parametrize(
    ("width", "scripts"), [(360, False), pytest.param(1280, True, marks=pytest.mark.long)], ids=["phone", "desktop"]
)
def test_ann_writes_thinks_twice_and_sees_who_opened_it(
    served: House, ann: str, browser: Browser, width: int, scripts: bool
) -> None:
    pat, subject = f"pat.reads{width}@yahoo.example", f"Your results {width}"
    options = {"viewport": {"width": width, "height": 800}, "ignore_https_errors": True, "java_script_enabled": scripts}
    here, there = browser.new_context(**options), browser.new_context(**options)
    desk = Desk(served, here)
    desk.write(pat, subject, "All is well.")
    desk.attach("report.pdf", REPORT)
    desk.send()
    code = desk.code()
    assert no_sideways_scroll(desk.page)
    desk.undo()
    assert desk.page.input_value("#subject") == subject
    assert desk.page.get_by_role("checkbox", name="report.pdf").is_checked()
    desk.send()
    assert desk.code() == code

    notice = served.internet.wait_for(pat).parsed.get_body(("plain",))
    assert notice is not None
    reader = there.new_page()
    reader.goto(served.base_url + first_link(notice.get_content(), "/m/"))
    assert subject not in reader.content()
    reader.fill("input[name=code]", code)
    reader.click("button:has-text('Continue')")
    reader.fill("input[name=password]", PASSWORD)
    reader.click("button:has-text('Save the password')")
    reader.wait_for_url("**/messages/**")
    assert subject in reader.inner_text("h1")
    assert len(served.internet.inbox(pat)) == 1  # what was had back told nobody

    desk.page.reload()
    desk.page.get_by_role("link", name="Proof: who opened it").click()
    expect(desk.page.locator("ul.checks li.good")).to_contain_text(pat)
    assert no_sideways_scroll(desk.page)
    here.close()
    there.close()
