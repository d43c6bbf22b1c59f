"""What may be left of a stranger's HTML, told by a reader that has nothing to do with what cleaned it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

SAFE_TAGS = """
    a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del
    details
    dfn dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol
    p pre
    q rp rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul
    var
    wbr
"""


class Reader(HTMLParser):
    """Collects what a browser could act on."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


def harmless(html: str) -> None:
    """Assert that nothing in *html* can run, load or lead anywhere unexpected."""
    for tag, attributes in Reader(html).tags:
        assert tag in SAFE_TAGS.split()
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in {"srcset", "background", "action", "formaction", "class", "id", "name", "ping", "srcdoc"}
            if name == "href":
                assert re.match(r"(?:https?://|mailto:|tel:)", value, re.IGNORECASE)
                assert attributes["target"] == "_blank"
                assert "noreferrer" in attributes["rel"]
            if name == "src":
                assert value.startswith(("data:image/png", "data:image/gif", "data:image/jpeg", "/cid/"))
            if name == "style":
                assert not re.search(
                    r"url|expression|position|import|\\|@|var\(|behavior|-moz|z-index|content|/\*", value, re.I
                )
