"""One press for all tests of a process: what sets type takes seconds to load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pytest

from cryptnsend.app import App
from cryptnsend.config import web_root
from cryptnsend.flow.documents import Documents
from cryptnsend.pdf.document import Document
from cryptnsend.pdf.press import Limits, Press

LIMITS = Limits(memory=768 << 20, seconds=5)


class Lent(Press):
    """A press that whoever borrowed it cannot close."""

    def __init__(self, press: Press):
        self._press = press

    def make(self, document: Document, files: Sequence[Iterable[bytes]] = ()) -> bytes:
        return self._press.make(document, files)

    def close(self) -> None:
        pass

    def cut(self) -> None:
        pass


@pytest.fixture(scope="session")
def press() -> Iterator[Press]:
    """Return what makes documents."""
    made = Press(LIMITS)
    yield Lent(made)
    made.close()


def lend(press: Press, *apps: App) -> None:
    """Let these make their documents with *press*."""
    for app in apps:
        made = Documents(press, web_root(), app.looks.cover, app.config.delivery.handoff_octets)
        vars(app).update(documents=made)
