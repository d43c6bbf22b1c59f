"""What does `doctor` say of the process that looks into mail, and of its program for pictures?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from cryptnsend.cli.doctor import CHECKS, reading
from cryptnsend.config import Config
from cryptnsend.core.errors import ScannerGone
from cryptnsend.dlp.inspector import Inspector
from cryptnsend.settings_post import Dlp


def said(**values: bool) -> list[tuple[str, str]]:
    return [(each.level, each.words) for each in reading(replace(Config(), dlp=Dlp(**values)))]


def test_a_confined_process_reads_a_mail_and_what_it_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reading in CHECKS
    ((level, words),) = said(ocr=False)
    assert (level, "reads mail before it leaves plain" in words) == ("ok", True)
    monkeypatch.setattr(Inspector, "ocr", staticmethod(lambda: ""))
    ((level, words),) = said(ocr=True)
    assert (level, "tesseract is not installed" in words) == ("warning", True)


def test_pictures_are_read_with_the_program_under_the_same_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inspector, "ocr", staticmethod(lambda: "/usr/bin/tesseract"))
    ((level, words),) = said()
    assert (level, "its pictures" in words) == ("ok", True)


@pytest.mark.parametrize(("look", "level"), [(True, "error"), (False, "warning")])
def test_where_no_process_can_read_mail_the_reason_and_the_way_out_are_said(
    monkeypatch: pytest.MonkeyPatch, look: bool, level: str
) -> None:
    def gone(self: Inspector, ocr: str = "") -> None:
        raise ScannerGone("this machine cannot confine it")

    monkeypatch.setattr(Inspector, "ping", gone)
    (told,) = reading(replace(Config(), dlp=Dlp(look=look)))
    assert told.level == level
    assert "this machine cannot confine it. Such mail is put off" in told.words
    assert "[dlp] look = false" in told.remedy
