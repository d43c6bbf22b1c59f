"""Does every refusal of the doors lead to a page that explains it?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptnsend
from cryptnsend.core import topics
from cryptnsend.core.errors import KeeperGone, Malformed, NotAuthor, Refusal, StoreFull, Temporary, TooBig, Unencrypted
from cryptnsend.portal import help as help_pages
from cryptnsend.submission.replies import reply
from tests.portal.conftest import Visitor

PLACES = ("core/errors.py", "core/policy.py", "flow/*.py", "submission/*.py")  # where refusals are made
REFUSAL = re.compile(r"[45]\.\d\.\d{1,2}")
REPORTED = {"5.0.0", "4.0.0", "5.3.0", "5.1.10"}  # said in reports about mail that left, never at the doors


def statuses() -> Iterator[tuple[str, str]]:
    """Yield each enhanced code of a refusal that stands in our source, with its place."""
    root = Path(cryptnsend.__file__).parent
    for path in sorted(each for place in PLACES for each in root.glob(place)):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and REFUSAL.fullmatch(node.value):
                yield node.value, f"{path.name}:{node.lineno}"


def test_every_enhanced_code_that_we_say_has_a_topic() -> None:
    found = [each for each in statuses() if each[0] not in REPORTED]
    assert len(found) > 30
    strangers = [each for each in found if topics.topic(Refusal("", status=each[0])) == topics.OTHER]
    assert strangers == []


def test_every_topic_has_a_page_and_every_page_a_topic() -> None:
    assert set(help_pages.PAGES) == topics.TOPICS


def test_the_kind_of_a_refusal_counts_before_its_code() -> None:
    problems = [NotAuthor(""), Refusal(""), TooBig(2, 1), Malformed(""), StoreFull(""), KeeperGone(""), Temporary("")]
    problems.append(Unencrypted(""))
    assert [topics.topic(each) for each in problems] == [
        "author",
        "refused",
        "too-large",
        "line-ends",
        "full",
        "later",
        "later",
        "secure-line",
    ]
    assert topics.topic(Refusal("", status="5.9.9")) == topics.OTHER


@pytest.mark.parametrize("topic", sorted(topics.TOPICS))
def test_a_refusal_is_explained_to_who_is_not_signed_in(visitor: Visitor, topic: str) -> None:
    page = visitor.get(f"/help/{topic}")
    assert page.status_code == 200
    assert str(help_pages.PAGES[topic].title) in page.text
    assert re.search(r"nothing is lost|still lies in your mail program", page.text)
    assert not re.search(r"SMTP|[45]\.\d\.\d|credential|authenticate\b", page.text)


def test_the_list_of_reasons_leads_to_each(visitor: Visitor) -> None:
    page = visitor.get(f"/help/{topics.INDEX}")
    linked = set(re.findall(r'href="/help/([a-z-]+)"', page.text))
    assert linked == topics.TOPICS - {topics.OTHER}


def test_what_is_no_topic_is_no_page(visitor: Visitor) -> None:
    assert visitor.get("/help/author%0d%0aX: y").status_code == 404
    assert visitor.get("/help/unheard-of").status_code == 404


@given(st.text(max_size=700), st.sampled_from(sorted(topics.TOPICS)))
def test_a_reply_with_its_page_keeps_to_512_octets_and_the_page_stays_whole(text: str, topic: str) -> None:
    url = f"https://{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 50}.example:65535/help/{topic}"
    lines = reply(550, "5.7.11", f"{text} {url}").split(b"\r\n")[:-1]
    assert all(len(line) <= 510 for line in lines)
    assert lines[-1].endswith(url.encode())
