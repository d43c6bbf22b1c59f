"""Reading, saving and answering: a stranger's words stay words, a file stays a file, a form is sent once."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.flow.views import File, Turn
from cryptnsend.portal.words import paragraphs
from tests.portal.conftest import Visitor
from tests.portal.world import ANN, DAY, NOW, PAT, World

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "{{7*7}}{% raw %}",
    "\u202egnp.exe",
    "</textarea><script>alert(1)</script>",
]


@pytest.mark.parametrize("evil", EVIL)
def test_names_subjects_and_file_names_stay_words(pat: Visitor, ann: Visitor, world: World, evil: str) -> None:
    letter = replace(
        world.letters[11], subject=evil, sender_name=evil, sender_address=evil, text=evil, phone=evil,
        organisation=evil, to=(evil, evil), others=(evil,), files=[File("2", evil, "text/html", 1)],
    )  # fmt: skip
    world.letters[11] = letter
    world.entries = [replace(each, subject=evil, sender_name=evil) for each in world.entries]
    world.sent = {
        key: replace(each, subject=evil, recipients=[replace(one, name=evil, reply=evil) for one in each.recipients])
        for key, each in world.sent.items()
    }
    world.waiting["new"] = replace(
        world.waiting["new"], sender_name=evil, sender_address=evil, phone=evil, organisation=evil, phrase=evil
    )
    pages = [pat.get(url) for url in ("/messages", "/messages/11", "/messages/16/code", "/messages/11/zip")]
    pages += [ann.get(url) for url in ("/sent", "/sent/21", "/messages/11")]
    visitor = Visitor(pat.client.application)  # type: ignore[arg-type]
    pages.append(visitor.get("/m/new"))
    for page in pages:
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "<svg/onload" not in page.text
        assert "49" not in re.sub(r"<[^>]*>", "", page.text) or "{{7" in page.text


def test_plain_text_becomes_escaped_paragraphs_with_quotes_set_back() -> None:
    made = paragraphs("Dear <b>Pat</b>,\r\n\r\n> one\n> two\n\nBye\nAnn")
    assert made == (
        "<p>Dear &lt;b&gt;Pat&lt;/b&gt;,</p>\n<blockquote><p>one<br>two</p></blockquote>\n<p>Bye<br>Ann</p>"
    )


@given(st.text())
def test_no_text_makes_markup(text: str) -> None:
    made = re.sub(r"</?p>|<br>|</?blockquote>", "", paragraphs(text))
    assert "<" not in made
    assert ">" not in made


def test_html_is_shown_in_a_frame_that_may_do_nothing(pat: Visitor) -> None:
    page = pat.get("/messages/14").text
    frame = re.search(r"<iframe[^>]*>", page)
    assert frame
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame[0]
    assert "your heart is" not in page
    letter = pat.get("/messages/14/letter")
    policy = letter.headers["Content-Security-Policy"]
    assert "your heart is <b>fine</b>" in letter.text
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "default-src 'none'; img-src data:" in policy
    assert "script" not in policy
    assert "allow-same-origin" not in policy + frame[0]
    assert letter.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_html_can_be_read_as_plain_text(pat: Visitor) -> None:
    page = pat.get("/messages/14?view=text").text
    assert "<iframe" not in page
    assert "Kind regards<br>Ann Ruiz" in page


def test_what_cannot_be_shown_can_be_saved(pat: Visitor) -> None:
    page = pat.get("/messages/15").text
    assert "This message cannot be shown here" in page
    assert "/messages/15/eml" in page


def test_not_yours_and_not_there_look_alike(pat: Visitor) -> None:
    pages = [
        pat.get(url) for url in ("/messages/99", "/messages/99/letter", "/messages/99/eml", "/messages/11/files/9")
    ]
    assert {page.status_code for page in pages} == {404}
    assert len({re.sub(r'nonce="[^"]+"|value="[^"]+"', "", page.text) for page in pages}) == 1


@pytest.mark.parametrize(
    ("name", "media_type", "sent_as"),
    [
        ("Lab results.pdf", "application/pdf", "application/pdf"),
        ("page.html", "text/html", "application/octet-stream"),
        ("drawing.svg", "image/svg+xml", "application/octet-stream"),
        ("x.js", "text/javascript", "application/octet-stream"),
        ("../../etc/passwd", "text/plain", "text/plain"),
        ('a"; filename="b.exe', "text/plain", "text/plain"),
        ("Überweisung\r\nSet-Cookie: x.pdf", "application/pdf", "application/pdf"),
    ],
)
def test_attachments_are_saved_never_shown(
    pat: Visitor, world: World, name: str, media_type: str, sent_as: str
) -> None:
    world.letters[11] = replace(world.letters[11], files=[File("2", name, media_type, 12)])
    answer = pat.get("/messages/11/files/2")
    assert answer.data == b"%PDF-1.7 lab"
    assert answer.mimetype == sent_as
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith('attachment; filename="')
    assert disposition.count('"') == 2
    assert "/" not in disposition
    assert "\n" not in disposition
    assert "Set-Cookie" not in answer.headers or "x.pdf" not in answer.headers["Set-Cookie"]
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.content_length == 12


def test_the_mail_file_is_named_after_the_subject(pat: Visitor) -> None:
    answer = pat.get("/messages/11/eml")
    assert answer.mimetype == "message/rfc822"
    assert "Your blood test from Tuesday.eml" in answer.headers["Content-Disposition"]


def test_a_locked_zip_shows_its_words_first_and_takes_only_those(pat: Visitor, world: World) -> None:
    page = pat.get("/messages/11/zip").text
    words = re.search(r'id="zip-words"[^>]*>([^<]+)<', page)
    proof = re.search(r'name="proof" value="([^"]+)"', page)
    assert words
    assert proof
    assert words[1].count("-") == 7  # eight words: 88 bits
    assert not [call for call in world.calls if call.startswith("zip")]
    answer = pat.post("/messages/11/zip", {"proof": unescape(proof[1])})
    assert answer.data.startswith(b"PK")
    assert f"zip {words[1]}" in world.calls
    pat.get("/messages/11/zip")
    assert pat.post("/messages/11/zip", {"proof": "abc", "password": "abc"}).status_code == 303


def test_the_list_says_what_each_line_needs(pat: Visitor) -> None:
    page = pat.get("/messages").text
    for words in ("Needs a code", "Kept 2 more days", "2 files", "Needs a key", "Taken back", "Time is up"):
        assert words in page
    for heading in ("Today", "Yesterday", "Earlier this month", "October 2026"):
        assert f'<h2 class="day">{heading}</h2>' in page
    assert "Echo and ECG" in page


def test_the_list_turns_its_pages(pat: Visitor, world: World) -> None:
    world.entries = [replace(world.entries[1], message=n, at=NOW - n * DAY) for n in range(1, 121)]
    seen: list[str] = []
    page = pat.get("/messages")
    for _ in range(3):
        seen += re.findall(r'href="/messages/(\d+)"', page.text)
        older = re.search(r'href="(/messages\?before=\d+)">Older', page.text)
        if older:
            page = pat.get(older[1])
    assert seen == [str(n) for n in range(120, 0, -1)]
    assert "Older messages" not in page.text


def test_an_empty_list_says_so(pat: Visitor, ann: Visitor, world: World) -> None:
    world.entries = []
    assert "Nothing has come yet" in pat.get("/messages").text
    assert "Replies to what you send stand here" in ann.get("/messages").text


def test_a_line_that_needs_a_code_says_how(pat: Visitor) -> None:
    page = pat.get("/messages/16/code").text
    assert "Call Dr. Holm" in page
    assert pat.get("/messages/11/code").location == "/messages/11"


def test_a_line_that_needs_a_code_takes_it(pat: Visitor, world: World) -> None:
    assert 'action="/messages/16/code"' in pat.get("/messages/16/code").text
    page = pat.post("/messages/16/code", {"code": "111111"})
    assert page.status_code == 422
    assert "You have 4 tries left." in page.text
    assert pat.post("/messages/16/code", {"code": "four"}).status_code == 422
    assert world.tries == 4  # what is no code is no try
    assert pat.post("/messages/16/code", {"code": "482 913"}).location == "/messages/16"
    world.tries = 1
    pat.get("/messages/16/code")
    page = pat.post("/messages/16/code", {"code": "111111"})
    assert (page.status_code, "no longer works" in page.text) == (410, True)


def test_the_author_sees_why_a_mail_went_its_way(ann: Visitor) -> None:
    page = ann.get("/sent/21").text
    for words in (
        "Why did this go this way?",
        "the organisation seals everything",
        "mx.pinestreet.example (192.0.2.7)",
        "TLSv1.3, not proven",
        "550 5.1.1 this address does not exist",
    ):
        assert words in page, words


def test_links_in_plain_text_lead_out_of_the_page_and_lies_are_told(pat: Visitor, world: World) -> None:
    text = "Look at https://open.cryptn5end.example/x and at https://clinic.example/y.\n\n> old\n<b>"
    world.letters[11] = replace(world.letters[11], text=text)
    page = pat.get("/messages/11").text
    assert '<a href="https://clinic.example/y" rel="noopener noreferrer nofollow" target="_blank">' in page
    assert "→ open.cryptn5end.example (looks like another address, and is not)" in page
    assert "→ clinic.example" not in page
    assert "&lt;b&gt;" in page


def test_what_is_quoted_is_folded_and_printed_whole(pat: Visitor, world: World) -> None:
    quote = "> " + "\n> ".join(["What do I do about my iron? I have so many questions about it."] * 5)
    world.letters[11] = replace(world.letters[11], text=f"Take one tablet each morning, please.\n\n{quote}")
    assert '<details class="quoted"><summary>Earlier message</summary>' in pat.get("/messages/11").text
    printed = pat.get("/messages/11/print")
    assert "<details" not in printed.text
    assert "my iron" in printed.text
    assert "Lab results 17 November.pdf" in printed.text
    assert "frame-ancestors 'none'" in printed.headers["Content-Security-Policy"]
    assert "sandbox" in printed.headers["Content-Security-Policy"]


def test_a_file_that_can_run_something_is_marked(pat: Visitor, world: World) -> None:
    files = [File("2", "x.html", "text/html", 9, True), File("3", "y.pdf", "application/pdf", 9)]
    world.letters[11] = replace(world.letters[11], files=files)
    page = pat.get("/messages/11").text
    assert page.count("Can run programs. Open it only if you expected it.") == 1
    assert "/messages/11/files/2/look" not in page
    assert "/messages/11/files/3/look" in page


def test_a_conversation_stands_on_the_page_with_what_is_unread(pat: Visitor, world: World) -> None:
    world.threads[11] = (
        Turn(11, "Dr. Ann Ruiz", ANN, NOW - DAY, mine=False),
        Turn(12, "Pat Lee", PAT, NOW - 9, mine=True),
        Turn(13, "", "june@example.org", NOW, mine=False, opened=False),
    )
    page = pat.get("/messages/11").text
    assert '<b aria-current="page">Dr. Ann Ruiz</b>' in page
    assert '<a href="/messages/12">You</a>' in page
    assert re.search(r'<li class="unread"><a href="/messages/13">june@example.org</a>', page)


PNG = b"\x89PNG\r\n\x1a\nrest"


@pytest.mark.parametrize(
    ("media_type", "octets", "shown"),
    [
        ("image/png", PNG, "image/png"),
        ("image/jpeg", PNG, "image/png"),
        ("image/webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        ("application/pdf", b"%PDF-1.7 x", "application/pdf"),
        ("image/png", b"<script>alert(1)</script>", None),
        ("application/pdf", b"<html>", None),
        ("application/pdf", b"", None),
    ],
)
def test_what_a_file_is_its_octets_say(
    pat: Visitor, world: World, media_type: str, octets: bytes, shown: str | None
) -> None:
    world.letters[11] = replace(world.letters[11], files=[File("2", "x", media_type, len(octets))])
    world.files[11, "2"] = octets
    found = pat.get("/messages/11/files/2/shown")
    assert found.status_code == (200 if shown else 404)
    if shown:
        assert found.mimetype == shown
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        assert found.headers["Content-Security-Policy"].endswith("sandbox")
        assert "frame-ancestors 'self'" in found.headers["Content-Security-Policy"]


def test_a_text_is_shown_as_words_and_cut_where_it_is_long(pat: Visitor, world: World) -> None:
    octets = "<script>é</script>".encode() + b"x" * 500_000
    world.letters[11] = replace(world.letters[11], files=[File("2", "x.txt", "text/plain", len(octets))])
    world.files[11, "2"] = octets
    page = pat.get("/messages/11/files/2/look").text
    assert "&lt;script&gt;é&lt;/script&gt;xxx" in page
    assert "This is its beginning" in page


@pytest.mark.parametrize(
    ("name", "kind"), [("x.svg", "image/svg+xml"), ("x.html", "text/html"), ("x.zip", "application/zip")]
)
def test_other_files_can_only_be_saved(pat: Visitor, world: World, name: str, kind: str) -> None:
    world.letters[11] = replace(world.letters[11], files=[File("2", name, kind, 9)])
    assert pat.get("/messages/11/files/2/look").location == "/messages/11"


def test_looking_at_a_file_that_is_not_mine_is_like_one_that_is_not_there(pat: Visitor) -> None:
    pages = [
        pat.get(f"/messages/{where}")
        for where in ("99/files/2/look", "99/files/2/shown", "11/files/9/look", "99/print")
    ]
    assert {page.status_code for page in pages} == {404}


def test_a_search_says_what_it_found_and_puts_no_word_into_an_address(pat: Visitor) -> None:
    pat.get("/messages")
    page = pat.post("/messages/search", {"words": "  BLOOD   test "})
    assert page.status_code == 200
    assert page.text.count('<ul class="rows">') == 1
    assert "1 message found." in page.text
    assert 'value="BLOOD test"' in page.text
    assert "?" not in page.request.url
    assert "Only the newest 1000 were looked at." in pat.post("/messages/search", {"words": "iron"}).text
    assert "No message has these words" in pat.page.text
    assert pat.post("/messages/search", {"words": " "}).status_code == 303
    assert pat.get("/messages/search").status_code == 303
