"""What every template keeps to: words go through gettext, markup is never vouched for, nothing is styled inline."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from cryptnsend.config import web_root
from tests.portal.conftest import Visitor

TEMPLATES = sorted((web_root() / "templates").glob("*.html"))
JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
NAMES = {"CryptnSend"}  # a name is the same in every language
DEVELOPERS = {"style.html"}  # shown in the demonstration, to those who build pages


def said(template: Path) -> str:
    """Return the words that a template says by itself."""
    text = JINJA.sub("", template.read_text())
    return re.sub(r"<[^>]*>", " ", text)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_all_words_can_be_translated(template: Path) -> None:
    if template.name in DEVELOPERS:
        assert said(template).strip()
        return
    assert set(re.findall(r"[^\W\d_]{2,}", said(template))) <= NAMES


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_no_template_vouches_for_markup(template: Path) -> None:
    text = template.read_text().replace("{{ drawings[name]|safe }}", "")  # the icons of _parts.html, which are ours
    assert not re.search(r"\|\s*safe\b", text)
    assert "autoescape" not in template.read_text()
    assert not re.search(r"\)\s*\|\s*replace\b", text), "what is put into made markup is escaped there"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_every_form_that_posts_carries_its_token(template: Path) -> None:
    forms = re.findall(r'<form[^>]*method="post".*?</form>', template.read_text(), re.DOTALL)
    assert all("form_token()" in each for each in forms)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_nothing_comes_from_elsewhere_or_is_styled_inline(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"\bstyle=|<style|\bon[a-z]+=\"|javascript:", text)
    assert not re.search(r"(src|href|action)=\"(https?:)?//", text)


FORBIDDEN = re.compile(
    r"sendBeacon|\.submit\(|\.click\(|innerHTML|outerHTML|insertAdjacent|eval\(|localStorage|https?:"
)


def test_the_script_sends_nothing_but_drafts_and_opens_nothing() -> None:
    script = (web_root() / "static" / "pages.js").read_text()
    # The other one asks how a test goes, and is answered with words.
    assert re.findall(r"fetch\(([^,]*)", script) == ["live.dataset.live", "form.dataset.draft"]
    assert script.count("method:") == 1
    assert not FORBIDDEN.search(script)
    assert "XMLHttpRequest" not in script


def test_the_script_for_files_sends_them_to_the_draft_and_nowhere_else() -> None:
    script = (web_root() / "static" / "attach.js").read_text()
    assert re.findall(r"\.open\(([^)]*)\)", script) == ["method, url"]
    asked = set(re.findall(r'ask\("(\w+)", ([\w.]+)', script))
    assert asked == {
        ("POST", "words.uploads"),
        ("PATCH", "this.url"),
        ("HEAD", "this.url"),
        ("DELETE", "this.url"),
        ("POST", "form.dataset.attach"),
    }
    assert len(re.findall(r"\bask\(", script)) == 1 + len(asked) + 1  # its definition, and one more DELETE
    assert not FORBIDDEN.search(script)
    assert "fetch(" not in script


def test_the_script_for_new_messages_asks_about_people_and_sends_nothing() -> None:
    script = (web_root() / "static" / "compose.js").read_text()
    assert re.findall(r"fetch\(([^,]*)", script) == ["form.dataset.look", "form.dataset.known"]
    assert not FORBIDDEN.search(script)
    assert "XMLHttpRequest" not in script
    assert "requestSubmit" not in script


def test_scripts_and_styles_come_packed_to_who_can_unpack_them_and_pages_never(visitor: Visitor) -> None:
    for name in ("cryptnsend.css", "pages.js", "compose.js"):
        plain = visitor.get(f"/static/{name}?v=1")
        packed = visitor.get(f"/static/{name}?v=1", headers={"Accept-Encoding": "gzip, br"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.data) == plain.data == (web_root() / "static" / name).read_bytes()
        assert "Accept-Encoding" in packed.headers["Vary"]
        assert "Accept-Encoding" in plain.headers["Vary"]
        assert "Content-Encoding" not in plain.headers
        assert packed.headers["Cache-Control"] == plain.headers["Cache-Control"]
        refused = visitor.get(f"/static/{name}", headers={"Accept-Encoding": "gzip;q=0"})
        assert "Content-Encoding" not in refused.headers
    assert "Content-Encoding" not in visitor.get("/sign-in", headers={"Accept-Encoding": "gzip"}).headers
