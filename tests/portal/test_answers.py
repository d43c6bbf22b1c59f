"""How is a message answered on its page, and what becomes of the files that go along?"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend import settings
from cryptnsend.portal import Portal
from cryptnsend.portal.uploads import SealedFile, safe_name
from tests.portal.conftest import BASE, Visitor, config
from tests.portal.world import World


def multipart(values: dict[str, str], octets: bytes) -> dict[str, Any]:
    """Return a form with one file as a browser sends it; the test client would put a large one into a temp file."""
    lines = [
        f'--edge\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n' for key, text in values.items()
    ]
    lines.append('--edge\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n')
    body = "".join(lines).encode() + octets + b"\r\n--edge--\r\n"
    return {"data": body, "content_type": "multipart/form-data; boundary=edge", "base_url": BASE}


def form(pat: Visitor, **values: Any) -> dict[str, Any]:
    nonce = re.search(r'name="nonce" value="(\w+)"', pat.page.text if pat.page else "")
    assert nonce
    return {"nonce": nonce[1]} | values


def test_a_reply_goes_out_with_its_files_and_once_per_form(pat: Visitor, world: World) -> None:
    pat.get("/messages/11")
    picture = os.urandom(200_000)
    files = [(io.BytesIO(picture), "Blood pressure.jpg", "image/jpeg"), (io.BytesIO(b""), "empty.txt", "text/plain")]
    sent = form(pat, text="Thank you, Doctor.\r\nPat", files=files)
    assert pat.post("/messages/11/reply", sent).status_code == 303
    assert "Your reply is with Dr. Ruiz" in pat.follow().text
    (reply,) = world.replies
    assert reply["text"] == "Thank you, Doctor.\r\nPat"
    assert reply["everybody"] is False
    assert reply["nonce"] == bytes.fromhex(sent["nonce"])
    assert reply["files"] == [("Blood pressure.jpg", "image/jpeg", picture), ("empty.txt", "text/plain", b"")]


def test_a_reader_is_told_that_pictures_were_left_out(pat: Visitor, world: World) -> None:
    words = "Pictures that this message wants to fetch from the Internet are left out."
    assert words not in pat.get("/messages/14").text
    world.letters[14] = replace(world.letters[14], left_out=2)
    assert words in pat.get("/messages/14").text
    assert words not in pat.get("/messages/14?view=text").text


def test_a_file_field_that_was_left_empty_is_no_file(pat: Visitor, world: World) -> None:
    pat.get("/messages/11")
    pat.post("/messages/11/reply", form(pat, text="Hello", files=(io.BytesIO(b""), "")))
    assert world.replies[0]["files"] == []


def test_reply_all_only_where_there_are_others(pat: Visitor, world: World) -> None:
    assert "Everybody on this message" in pat.get("/messages/14").text
    pat.post("/messages/14/reply", form(pat, text="To all", to="all"))
    assert "Everybody on this message" not in pat.get("/messages/11").text
    pat.post("/messages/11/reply", form(pat, text="To all", to="all"))
    assert [each["everybody"] for each in world.replies] == [True, False]


def test_an_empty_reply_is_not_sent(pat: Visitor, world: World) -> None:
    pat.get("/messages/11")
    page = pat.post("/messages/11/reply", form(pat, text="  \n "))
    assert page.status_code == 422
    assert "There is nothing to send yet" in page.text
    assert world.replies == []


def test_a_reply_is_never_cut(pat: Visitor, world: World) -> None:
    pat.get("/messages/11")
    page = pat.post("/messages/11/reply", form(pat, text="a" * 500_000 + "I stopped the pills."))
    assert page.status_code == 422
    assert "The text is too long." in page.text
    assert "I stopped the pills.</textarea>" in page.text
    assert world.replies == []


def test_a_refused_reply_keeps_what_was_typed(pat: Visitor, world: World) -> None:
    world.refuse = "Dr. Ruiz takes no secure messages at the moment."
    pat.get("/messages/11")
    page = pat.post("/messages/11/reply", form(pat, text="\nOne & <two>"))
    assert page.status_code == 422
    assert world.refuse in page.text
    kept = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page.text, re.DOTALL)
    assert kept
    assert unescape(kept[1]).strip() == "One & <two>"


def test_files_above_the_limit_are_refused_while_they_stream_in(make_app: Callable[..., Portal], world: World) -> None:
    small = config(limits=replace(settings.Limits(), reply_octets=100_000))
    somebody = Visitor(make_app(small))
    somebody.carry(world.sign_in())
    somebody.get("/messages/11")
    page = somebody.post("/messages/11/reply", form(somebody, text="x", files=(io.BytesIO(b"x" * 100_001), "a.bin")))
    assert page.status_code == 422
    assert "too large together" in page.text
    somebody.get("/messages/11")
    large = multipart(form(somebody, text="x", csrf_token=somebody.form_token()), b"x" * 2_000_000)
    page = somebody.client.post("/messages/11/reply", **large)
    assert page.status_code == 413
    assert world.replies == []


def test_a_stranger_cannot_upload(visitor: Visitor, tmp_path: Path) -> None:
    answer = visitor.client.post("/messages/11/reply", **multipart({"text": "x"}, b"x" * 1_000_000))
    assert answer.status_code == 303
    assert list(tmp_path.iterdir()) == []


def test_an_upload_rests_sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    original = SealedFile._flush

    def spy(self: SealedFile) -> None:
        original(self)
        assert self._file is not None
        written.append(os.pread(self._file.fileno(), 10_000_000, 0))

    monkeypatch.setattr(SealedFile, "_flush", spy)
    sealed = SealedFile(tmp_path)
    plain = b"kumquat-4711 " * 40_000
    for start in range(0, len(plain), 10_000):
        sealed.write(plain[start : start + 10_000])
    sealed.seek(0)
    assert any(written)
    assert not any(b"kumquat" in each for each in written)
    assert b"".join(sealed.chunks()) == plain
    assert b"".join(sealed.chunks()) == plain  # a second time
    assert sealed.size == len(plain)
    assert list(tmp_path.iterdir()) == []  # the file has no name
    sealed.close()


@given(st.lists(st.binary(max_size=70_000), max_size=6))
def test_a_sealed_file_gives_back_what_was_written(pieces: list[bytes]) -> None:
    sealed = SealedFile(None)
    for piece in pieces:
        sealed.write(piece)
    sealed.seek(0)
    assert b"".join(sealed.chunks()) == b"".join(pieces)
    sealed.close()


@given(st.text(max_size=300))
def test_a_safe_name_stays_in_its_folder(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert len(safe) <= 200
    assert not {"/", "\\", "\0", "\r", "\n", '"', "\u202e"} & set(safe)
    assert safe not in (".", "..")
    assert safe_name(safe) == safe


def test_a_long_name_keeps_its_ending() -> None:
    assert safe_name("x" * 400 + ".pdf").endswith("x.pdf")
