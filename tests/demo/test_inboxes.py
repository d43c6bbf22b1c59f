"""The webmail of the demo shows everything and believes nothing."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser

from cryptnsend.demo.inboxes import InboxPages, linked, pages, view_of
from cryptnsend.demo.internet import Internet, Mail

NASTY = (
    b"From: <script>alert(1)</script> <a@our.example>\r\nTo: pat@gmail.example\r\n"
    b'Subject: "><img src=x onerror=alert(2)>\r\nMIME-Version: 1.0\r\n'
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b'--b\r\nContent-Type: multipart/alternative; boundary="c"\r\n\r\n'
    b"--c\r\nContent-Type: text/plain\r\n\r\n"
    b"</pre><script>alert(3)</script> https://mail.our.example/m/x?a=1&b=2. End\r\n"
    b"--c\r\nContent-Type: text/html\r\n\r\n<html><head></head><body><script>document.title='owned'</script>"
    b'<img src="http://127.0.0.1:9/beacon"><a id="go" href="/version">open</a></body></html>\r\n--c--\r\n'
    b'--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename="../../<x>.html"\r\n\r\n'
    b"<b>x</b>\r\n--b--\r\n"
)


@pytest.fixture
def internet() -> Internet:
    """An Internet that nobody listens to: mail is put into it by hand."""
    return Internet()


@pytest.fixture
def client(internet: Internet) -> FlaskClient:
    internet.keep(NASTY, "b@our.example", ["Pat@gmail.example"], "mail.our.example", "TLSv1.3")
    return pages(internet).test_client()


def get(client: FlaskClient, path: str) -> str:
    response = client.get(path, base_url="http://127.0.0.1:5000")
    assert response.status_code == 200
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    return response.text


def test_inboxes_and_mails_are_listed_newest_first(internet: Internet, client: FlaskClient) -> None:
    internet.keep(b"From: a@b.example\r\nSubject: later\r\n\r\nx\r\n", "", ["pat@gmail.example"], "h", "")
    assert "pat@gmail.example" in get(client, "/")
    listed = get(client, "/inbox/pat@gmail.example")
    assert listed.index("later") < listed.index("onerror")


@pytest.mark.parametrize(
    "path", ["/inbox/pat@gmail.example", "/mail/1", "/mail/1?show=text", "/mail/1?show=source", "/mail/1?show=zz"]
)
def test_nothing_of_a_mail_becomes_markup(client: FlaskClient, path: str) -> None:
    page = get(client, path)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert len(re.findall(r"<script", page)) == 1


def test_pages_and_mails_have_their_content_policies(client: FlaskClient) -> None:
    page = client.get("/mail/1", base_url="http://localhost:5000")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    frame = client.get("/mail/1/html", base_url="http://localhost:5000")
    policy = frame.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert '<head><base target="_blank">' in frame.text


def test_encoded_words_are_decoded_and_damaged_ones_shown_as_they_are(internet: Internet, client: FlaskClient) -> None:
    octets = b"From: =?utf-8?b?R3LDvMOfZQ==?= <a@b.example>\r\nSubject: =?x-none?q?zz?=\r\n\r\nx\r\n"
    internet.keep(octets, "", ["q@x.example"], "h", "")
    page = get(client, "/mail/2")
    assert "Grüße &lt;a@b.example&gt;" in page
    assert "=?x-none?q?zz?=" in page


def test_links_in_text_can_be_pressed(client: FlaskClient) -> None:
    page = get(client, "/mail/1?show=text")
    assert '<a href="https://mail.our.example/m/x?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">' in page
    assert "</a>. End" in page


@settings(deadline=None)
@given(st.text())
def test_linking_adds_nothing_but_anchors(text: str) -> None:
    shown = linked(f"{text} https://x.example/{text}")
    assert not re.findall(
        r"<(?!a href=\"https?://[^\"<>]*\" target=\"_blank\" rel=\"noopener noreferrer\">|/a>)", shown
    )


def test_files_are_downloads_with_harmless_names(client: FlaskClient) -> None:
    response = client.get("/mail/1/file/0", base_url="http://127.0.0.1:5000")
    assert response.data.strip() == b"<b>x</b>"
    assert response.headers["Content-Disposition"] == "attachment; filename=_x_.html"
    assert response.mimetype == "application/octet-stream"
    assert "sandbox" in response.headers["Content-Security-Policy"]


def test_the_source_downloads_octet_by_octet(client: FlaskClient) -> None:
    response = client.get("/mail/1.eml", base_url="http://127.0.0.1:5000")
    assert response.data == NASTY
    assert response.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("path", ["/favicon.ico", "/page/icon.svg"])
def test_a_browser_finds_an_icon_where_it_looks_for_one(client: FlaskClient, path: str) -> None:
    answer = client.get(path, base_url="http://127.0.0.1:5000")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    assert '<link rel="icon" href="/page/icon.svg"' in get(client, "/")
    answer.close()


@pytest.mark.parametrize(
    "path",
    ["/mail/2", "/mail/1/file/7", "/mail/9.eml", "/mail/9/html", "/page/frame.html", "/page/..%2finboxes.py", "/x"],
)
def test_what_is_not_there_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(path, base_url="http://127.0.0.1:5000").status_code == 404


@pytest.mark.parametrize("host", ["evil.example:5000", "127.0.0.1.evil.example:5000", "mail.our.example"])
def test_other_names_for_this_machine_get_nothing(client: FlaskClient, host: str) -> None:
    """A page elsewhere could otherwise read the inboxes by giving its own name this address."""
    assert client.get("/inbox/pat@gmail.example", base_url=f"http://{host}").status_code == 421


def test_refusals_are_shown(internet: Internet, client: FlaskClient) -> None:
    internet.refuse(["pat@gmail.example"], "550 5.7.26 <b>no</b>")
    page = get(client, "/refused")
    assert "550 5.7.26 &lt;b&gt;no&lt;/b&gt;" in page


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=400), st.sampled_from([b"", NASTY[:300], b"Content-Type: multipart/mixed; boundary=b\r\n"]))
def test_no_mail_breaks_the_pages(noise: bytes, start: bytes) -> None:
    view = view_of(Mail(1, start + noise, 0, "", "p@x.example", "h", ""))
    assert view.fields is not None
    assert view.subject


def test_what_cannot_be_parsed_is_shown_as_source(internet: Internet, client: FlaskClient) -> None:
    internet.keep(
        b"From: a@b.example\r\nContent-Type: text/plain; charset=nonsense\r\n\r\nwords\r\n",
        "",
        ["q@x.example"],
        "h",
        "",
    )
    assert "words" in get(client, "/mail/2")


@pytest.fixture
def site(internet: Internet, client: FlaskClient) -> Iterator[InboxPages]:
    made = InboxPages(internet)
    yield made
    made.close()


def test_it_answers_on_loopback_and_stops(site: InboxPages) -> None:
    with urllib.request.urlopen(site.url, timeout=60) as response:  # noqa: S310
        assert b"pat@gmail.example" in response.read()
    site.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(site.url, timeout=60)  # noqa: S310


@pytest.mark.browser
def test_in_a_browser_scripts_sleep_links_open_and_news_arrive(
    site: InboxPages, internet: Internet, browser: Browser
) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 700})
    page = context.new_page()
    failures: dict[str, str | None] = {}
    page.on("requestfailed", lambda request: failures.update({request.url: request.failure}))
    page.goto(f"{site.url}mail/1")
    frame = page.frame_locator("iframe")
    with page.expect_popup() as popup:
        frame.locator("#go").click()
    assert popup.value.url == f"{site.url}version"
    assert page.title() != "owned"
    assert failures["http://127.0.0.1:9/beacon"] == "csp"
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.goto(f"{site.url}inbox/pat@gmail.example")
    internet.keep(b"From: a@b.example\r\nSubject: news\r\n\r\nx\r\n", "", ["pat@gmail.example"], "h", "")
    page.get_by_text("news").wait_for()
    context.close()
