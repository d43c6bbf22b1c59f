"""Large files out of the archive: by the glass break that shows their message, with a trace, and no longer."""

from __future__ import annotations

import hashlib
import json

import pytest

from cryptnsend.core.errors import Ended, NoGrant
from cryptnsend.flow.archivedfiles import ArchivedFiles
from cryptnsend.flow.glass import Broken
from tests.flow.test_beside import ANN, FILE, PIECE, Share, whole
from tests.flow.test_glass import OLIVE, ask, glass, unzipped
from tests.support.house import MINUTE, House


class Emergency(Share):
    """Ann of a clinic, who sent a message with a large file, and Olive, who may break the glass."""

    def __init__(self, house: House):
        self.org = house.organisation("Clinic")
        super().__init__(house, self.org)
        house.second(OLIVE)
        self.beside = self.file()
        self.message = self.send(self.beside, self.file(b"second", "../läs.txt"))

    @property
    def files(self) -> ArchivedFiles:
        return self.house.portal.archivedfiles

    def opened(self) -> Broken:
        olive = self.house.session(OLIVE)
        return glass(self.house).broken(olive, ask(self.house, olive, ANN))

    def noted(self) -> list[dict[str, object]]:
        rows = self.house.engine.query("SELECT detail FROM audit WHERE action = 'archive.exported' ORDER BY seq")
        return [json.loads(row["detail"]) for row in rows]


@pytest.fixture
def emergency(house: House) -> Emergency:
    return Emergency(house)


def test_an_officer_has_a_large_file_and_each_time_stands_in_the_trail(emergency: Emergency) -> None:
    broken, beside = emergency.opened(), emergency.beside
    assert [(each.name, each.size) for each in emergency.files.beside(broken, emergency.message)] == [
        ("scan.dcm", len(FILE)), ("../läs.txt", 6),
    ]  # fmt: skip
    assert emergency.noted() == []
    for _ in range(2):
        assert whole(emergency.files.get(broken, emergency.message, beside.id)) == FILE
    assert [each["file"] for each in emergency.noted()] == [str(beside.id)] * 2
    other = emergency.send()
    for message, file in ((other, beside.id), (emergency.message, 7), (7, beside.id)):
        with pytest.raises(NoGrant):
            emergency.files.get(broken, message, file)
    assert len(emergency.noted()) == 2


def test_another_mailbox_has_no_file_of_this_one(emergency: Emergency) -> None:
    olive = emergency.house.session(OLIVE)
    broken = glass(emergency.house).broken(olive, ask(emergency.house, olive, OLIVE))
    with pytest.raises(NoGrant):
        emergency.files.beside(broken, emergency.message)


def test_a_download_ends_with_the_glass_break(emergency: Emergency) -> None:
    broken = emergency.opened()
    running = emergency.files.get(broken, emergency.message, emergency.beside.id).octets(0, len(FILE))
    first = next(running)
    glass(emergency.house).end(emergency.house.session(OLIVE), broken.id)
    assert len(first) + len(b"".join(running)) <= PIECE
    assert b"".join(emergency.files.octets(broken, emergency.files.files(broken, emergency.message)[0])) == b""


def test_an_export_has_large_files_by_numbers_and_their_names_in_the_signed_list(emergency: Emergency) -> None:
    files = unzipped(b"".join(emergency.house.portal.casework.export(emergency.opened(), "phrase")), "phrase")
    message = emergency.message
    assert set(files) == {
        f"mail/{message}.eml", f"files/{message}.1", f"files/{message}.2", "manifest.json", "manifest.sig.json",
    }  # fmt: skip
    [one] = json.loads(files["manifest.json"])["messages"]
    assert [(each["name"], each["size"]) for each in one["large_files"]] == [("scan.dcm", len(FILE)), ("../läs.txt", 6)]
    assert files[f"files/{message}.1"] == FILE
    for each in one["large_files"]:
        assert each["sha256"] == hashlib.sha256(files[each["file"]]).hexdigest()


def test_an_export_whose_time_ends_in_the_middle_of_a_file_gets_no_signature(emergency: Emergency) -> None:
    pieces = emergency.house.portal.casework.export(emergency.opened(), "phrase")
    first = next(pieces)
    emergency.house.clock.forward(30 * MINUTE)
    with pytest.raises(Ended):
        b"".join(pieces)
    assert b"manifest" not in first
