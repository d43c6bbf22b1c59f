"""Files that leave by a link for anyone leave in clear: looked at first, as plain mail is, or not at all."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable

import pytest

from cryptnsend.core.dlp.detect import Finding
from cryptnsend.core.errors import Denied, ScannerGone
from cryptnsend.dlp.nursery import Job
from cryptnsend.flow import linklooks
from cryptnsend.flow.linklooks import Held
from tests.flow.test_beside import ANN, PAT, Share
from tests.flow.test_plain_rules import run
from tests.support.house import HOUR, MakeHouse
from tests.support.scanners import EICAR, Clam

SSN = "219-44-1234"
LIST = f"name,number\r\nPat,SSN {SSN}\r\n".encode() + b"x,y\r\n" * 5000
HARMLESS = b"opening hours\r\nmonday,9\r\n" + b"x,y\r\n" * 5000


class Leaving(Share):
    """Ann, on a server where everybody may make links and plain mail is looked at."""

    def link(self, *files: tuple[str, bytes], reason: str = "") -> int:
        """Send these files to Pat, and make a link to them."""
        message = self.send(*(self.file(octets, name) for name, octets in files))
        return self.made(message, reason)

    def made(self, message: int, reason: str = "") -> int:
        self.house.clock.forward(1)
        until = self.house.clock.now() + HOUR
        return self.house.portal.filelinks.make(self.ann, message, until=until, reason=reason)

    def trail(self, action: str) -> list[dict[str, object]]:
        rows = self.house.engine.query("SELECT detail FROM audit WHERE action = :action ORDER BY seq", action=action)
        return [json.loads(row["detail"]) for row in rows]


@pytest.fixture
def leaving(make_house: MakeHouse) -> Leaving:
    return Leaving(make_house(policy={"file_links": "everybody"}))


def zipped(octets: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("inner.csv", octets)
    return held.getvalue()


def test_a_file_in_which_nothing_is_found_gets_its_link_at_once(leaving: Leaving) -> None:
    assert leaving.link(("hours.csv", HARMLESS), ("hours.zip", zipped(HARMLESS)))
    [made] = leaving.trail("link.made")
    assert not {"rules", "reason"} & made.keys()


@pytest.mark.parametrize(
    ("name", "octets", "found"),
    [
        ("list.csv", LIST, [("ssn", "list.csv")]),
        ("läst\r\n list;.csv", LIST, [("ssn", "läst list;.csv")]),
        ("list.zip", zipped(LIST), [("ssn", "list.zip > inner.csv")]),
        ("scan.dcm", b"\x00\x01\xfe\xff" * 9000, [("unreadable", "scan.dcm")]),
    ],
)
def test_what_is_found_makes_no_link_before_its_author_says_why(
    leaving: Leaving, name: str, octets: bytes, found: list[tuple[str, str]]
) -> None:
    message = leaving.send(leaving.file(octets, name))
    with pytest.raises(Held, match="no link is made yet") as held:
        leaving.made(message)
    assert {(each.rule, each.where) for each in held.value.found} == set(found)
    assert all(SSN not in each.masked for each in held.value.found)
    assert held.value.may_leave
    for reason, said in (("so", "5 to 300"), (f"asked by {SSN}", "without names or numbers")):
        with pytest.raises(Held, match=said):
            leaving.made(message, reason)
    assert leaving.house.portal.filelinks.listing(leaving.ann, message) == []
    rules = [found[0][0]]
    assert leaving.trail("link.held") == [{"rules": rules}] * 3
    assert leaving.made(message, "the insurer asked for it")
    [made] = leaving.trail("link.made")
    assert (made["rules"], made["reason"]) == (rules, "the insurer asked for it")


def test_an_organisation_that_lets_nothing_held_leave_has_no_such_link(make_house: MakeHouse) -> None:
    house = make_house(policy={"file_links": "everybody"})
    leaving = Leaving(house, house.organisation("Clinic"))
    run(house, "policy", "set", "dlp-as-is", "no", "--why", "as agreed")
    with pytest.raises(Held, match="does not let them leave") as held:
        leaving.link(("list.csv", LIST), reason="the insurer asked for it")
    assert not held.value.may_leave
    run(house, "policy", "set", "dlp-ignored", "ssn", "--why", "as agreed")
    assert leaving.link(("list.csv", LIST))


def test_a_file_too_large_to_be_read_is_held_without_being_read(
    leaving: Leaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linklooks, "READ", len(LIST) - 1)
    with pytest.raises(Held) as held:
        leaving.link(("list.csv", LIST))
    assert held.value.found == [Finding("too-much", "", "list.csv")]


def test_without_a_look_there_is_no_link(leaving: Leaving, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(octets: Iterable[bytes], job: Job) -> list[Finding]:
        raise ScannerGone("nobody is there")

    monkeypatch.setattr(leaving.house.portal.inspector, "inspect", gone)
    with pytest.raises(Denied, match="cannot be looked at just now"):
        leaving.link(("hours.csv", HARMLESS), reason="the insurer asked for it")
    assert leaving.trail("link.made") == []


def test_what_the_virus_scanner_knows_by_now_leaves_by_no_link(make_house: MakeHouse, clamd: Clam) -> None:
    house = make_house(scan={"clamav": clamd.path}, policy={"file_links": "everybody"}, dlp={"look": False})
    leaving = Leaving(house)
    assert leaving.link(("hours.csv", HARMLESS))
    scanning = house.portal.scanning
    known, vars(scanning)["_everything"] = vars(scanning)["_everything"], ()  # nobody knew it when it was sent
    message = leaving.send(leaving.file(EICAR + b"\r\n" * 40_000, "tool.com"))
    vars(scanning)["_everything"] = known
    with pytest.raises(Denied, match=r"found Test\.Eicar.* in these files"):
        leaving.made(message, "the insurer asked for it")
    [found] = leaving.trail("scan.found")
    assert found["where"] == "link"


def test_the_real_reader_finds_what_is_in_a_file(make_house: MakeHouse) -> None:
    from cryptnsend.dlp.inspector import Inspector

    house = make_house(policy={"file_links": "everybody"})
    inspector = Inspector()
    vars(house.portal)["inspector"] = inspector
    try:
        with pytest.raises(Held) as held:
            Leaving(house).link(("list.csv", LIST))
        assert [each.rule for each in held.value.found] == ["ssn"]
    finally:
        inspector.close()


def test_recipients_have_the_files_whatever_was_found(leaving: Leaving) -> None:
    beside = leaving.file(LIST, "list.csv")
    message = leaving.send(beside)
    with pytest.raises(Held):
        leaving.made(message)
    reader = leaving.house.register(PAT, message)
    assert b"".join(leaving.download(reader, message, beside.id).octets(0, len(LIST))) == LIST
    assert ANN not in str(leaving.trail("link.held"))
