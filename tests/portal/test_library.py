"""The library: kept sealed, renamed, deleted, attached with one button; its owner's alone, and so many of so much."""

from __future__ import annotations

import io
import os
import re

import pytest

from cryptnsend.flow import library
from cryptnsend.portal import Portal
from tests.portal.conftest import BASE, Visitor
from tests.portal.real import ANN, JUNE, PAT, first_visit, nonce, portal, signed_in, text
from tests.support.house import DAY, MINUTE, PASSWORD, SOURCE, House

LEAFLET = b"%PDF-1.4 iron in food " + os.urandom(9_000).hex().encode()


@pytest.fixture
def app(house: House) -> Portal:
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    house.add_subscriber(JUNE, name="June")
    return portal(house)


def keep(visitor: Visitor, octets: bytes = LEAFLET, name: str = "iron.pdf") -> int:
    visitor.get("/library")
    answer = visitor.post("/library", {"files": (io.BytesIO(octets), name, "application/pdf")})
    if answer.status_code != 303:
        return 0
    return max(int(each) for each in re.findall(r'action="/library/(\d+)/rename"', visitor.follow().text))


def test_a_file_that_is_sent_again_and_again_is_attached_with_one_button(app: Portal, house: House) -> None:
    ann = signed_in(app, ANN)
    ident = keep(ann)
    assert "It is kept." in text(ann)
    assert ann.post(f"/library/{ident}/rename", {"name": "Iron in food"}).status_code == 303
    assert "Iron in food.pdf" in ann.follow().text
    for _, row in house.rows():
        assert all(b"Iron" not in each for each in row.values() if isinstance(each, bytes))
    for _ in range(2):  # again and again
        page = ann.get("/write").text
        assert "Iron in food.pdf" in page
        form = {"nonce": nonce(ann), "to": PAT, "subject": "Leaflet", "text": "Read this, please."}
        page = ann.post("/write", form | {"library": str(ident)}).text
        assert page.count('name="kept"') == 1
        draft = re.search(r'name="draft" value="(\d+)"', page)
        kept = re.search(r'name="kept" value="(\d+)"', page)
        assert draft
        assert kept
        said = form | {"draft": draft[1], "keeps": "1", "kept": kept[1], "shown": PAT}
        sent = ann.post("/write/send", said)
        assert sent.status_code == 303, sent.text
        house.clock.forward(MINUTE)
    message = int(sent.location.rpartition("/")[2])
    ann.get("/library")
    assert ann.post(f"/library/{ident}/delete").status_code == 303
    assert "Iron in food" not in ann.follow().text
    house.clock.forward(3 * DAY)
    house.upkeep.once()
    pat = first_visit(app, house, message)
    path = re.search(rf'href="(/messages/{message}/files/[\w.]+)"', text(pat))
    assert path, text(pat)
    assert pat.get(path[1]).data == LEAFLET, "what was sent stays"
    assert not [row for table, row in house.rows() if table == "uploads"], "and what was deleted is gone"


def test_it_is_its_owners_alone_and_stays_when_nothing_else_does(
    app: Portal, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, june = signed_in(app, ANN), signed_in(app, JUNE)
    ident = keep(ann)
    june.get("/library")
    assert "iron.pdf" not in text(june)
    assert june.post(f"/library/{ident}/rename", {"name": "mine"}).status_code == 404
    june.get("/library")
    assert june.post(f"/library/{ident}/delete").status_code == 404
    june.get("/write")
    assert 'name="kept"' not in june.post("/write", {"nonce": nonce(june), "library": str(ident)}).text
    assert Visitor(app).get("/library").location == "/sign-in"
    assert ann.client.post(f"/library/{ident}/delete").status_code == 400
    house.clock.forward(3 * DAY)
    house.upkeep.once()
    ann = signed_in(app, ANN)
    monkeypatch.setattr(library, "MOST", 2)
    assert keep(ann, b"x", "../../two.pdf")
    assert "iron.pdf" in text(ann)
    assert "two" in text(ann)
    assert "../" not in re.sub(r'href="[^"]*"', "", text(ann))
    assert not keep(ann, b"third")
    assert "at most 2 files" in text(ann)
    monkeypatch.setattr(library, "MOST", 9)
    assert not keep(ann, b"")
    assert "is not empty" in text(ann)
    assert ann.post(f"/library/{ident}/rename", {"name": "  "}).status_code == 422
    ann.get("/library")
    huge = {"CONTENT_LENGTH": "40000000", "CONTENT_TYPE": "multipart/form-data; boundary=b"}
    assert ann.client.post("/library", base_url=BASE, data=b"--b", environ_overrides=huge).status_code == 413
    assert house.portal.library.listing(house.reset(ANN)) == [], (
        "whoever reads Ann's mail has a new password, and no file"
    )
    shelf = keep(signed_in(app, JUNE))
    assert shelf in [row["id"] for table, row in house.rows() if table == "uploads"]
    house.accounts.close(house.session(JUNE), PASSWORD, SOURCE)
    house.clock.forward(DAY)
    house.upkeep.once()
    assert shelf not in [row["id"] for table, row in house.rows() if table == "uploads"], "it goes with the account"
