"""A case out of the archive by its recovery file, when the officer is gone: who may, who is told, what stays shut."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path

import pytest
import pyzipper
from click.testing import CliRunner, Result

from cryptnsend.__main__ import main
from cryptnsend.core import checkpoints
from cryptnsend.core.checkpoints import Checkpoint, Keys
from cryptnsend.core.errors import Denied, Ended
from cryptnsend.keeper import recovery
from cryptnsend.keeper.requests import RecoveryFile
from tests.support.house import MINUTE, PASSWORD, House

OLIVE, OTTO, ANN, BOB, PAT = (
    "officer@clinic.example",
    "otto@clinic.example",
    "ann@clinic.example",
    "bob@clinic.example",
    "pat@yahoo.example",
)
RITA = "officer@rival.example"
WHY = "The only officer died and a court asks for it."
SECRET = "the canary sings at dawn"


def file_of(house: House, officer: str) -> RecoveryFile:
    k = house.owner.owner.k(officer, PASSWORD)
    keeper = house.keeper("owner")
    return keeper.archive_recovery(keeper.open(officer, k).ticket, k)


class Case:
    """A clinic whose officer is gone, its recovery file, and two messages, one of them kept for a case."""

    def __init__(self, house: House, folder: Path):
        self.house, self.folder = house, folder
        self.clinic, self.rival = house.organisation("Clinic"), house.organisation("Rival")
        house.add_subscriber(ANN, organisation=self.clinic)
        house.add_subscriber(BOB, organisation=self.clinic, name="Bob")
        house.add_subscriber(OTTO, organisation=self.clinic, name="Otto", roles=("officer",))  # cannot open it
        self.message = house.submit(ANN, [PAT], house.mail("Lab", SECRET, author=ANN))
        self.other = house.submit(BOB, [PAT], house.mail("Other", "of Bob's", author=BOB))
        house.owner.archiving.hold_message(self.clinic, "Smith", self.message, WHY, "owner", {})
        self.file, self.rivals = file_of(house, OLIVE), file_of(house, RITA)
        house.owner.owner.disable(OLIVE)

    def export(self, file: RecoveryFile, *more: str, address: str = ANN, reason: str = WHY, code: str = "") -> Result:
        place = self.folder / "archive.txt"
        place.write_text(file.text)
        words = ("archive", "export", address, "--recovery-file", str(place), "--reason", reason, "--password-stdin")
        out = ("--out", str(self.folder / "case.zip"), "--json", "--home", str(self.house.home.path))
        return CliRunner().invoke(main, [*words, *out, *more], input=f"{code or file.code}\n")


@pytest.fixture
def case(house: House, tmp_path: Path) -> Case:
    return Case(house, tmp_path)


def octets(text: str) -> bytes:
    return base64.b64decode(text)


def test_the_mail_of_one_address_leaves_signed_told_and_audited(case: Case) -> None:
    house = case.house
    result = case.export(case.file, "--case", "Smith")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    with pyzipper.AESZipFile(said["file"]) as packed:
        packed.setpassword(said["pass_phrase"].encode())
        files = {name: packed.read(name) for name in packed.namelist()}
    assert set(files) == {f"mail/{case.message}.eml", "manifest.json", "manifest.sig.json"}
    assert SECRET.encode() in files[f"mail/{case.message}.eml"]
    listed, signed = json.loads(files["manifest.json"]), json.loads(files["manifest.sig.json"])
    assert (listed["mailbox"], listed["case"], listed["reason"], listed["officer"]) == (ANN, "Smith", WHY, "owner")
    assert listed["recovery"] == str(recovery.read(case.file.text, case.file.code).pair)
    assert bytes.fromhex(signed["sha256"]) == hashlib.sha256(files["manifest.json"]).digest()
    keys = Keys(octets(signed["keys"]["ed25519"]), octets(signed["keys"]["ml-dsa-65"]))
    digest, second = bytes.fromhex(signed["sha256"]), octets(signed["ml-dsa-65"])
    point = Checkpoint(case.clinic, signed["entries"], digest, signed["at"], octets(signed["ed25519"]), second)
    checkpoints.check(point, keys, "export")

    trail = house.engine.query(
        "SELECT actor, action, object, detail FROM audit WHERE org = :org AND action LIKE 'archive.%' ORDER BY seq",
        org=case.clinic,
    )
    assert [(row["actor"], row["action"]) for row in trail] == [
        ("owner", "archive.recovered"), ("owner", "archive.exported"),
    ]  # fmt: skip
    assert json.loads(trail[0]["detail"]).items() >= {"mailbox": ANN, "reason": WHY}.items()
    assert trail[1]["object"] == str(case.message)
    assert {(OTTO, "archive-recovered"), (ANN, "archive-recovered-yours")} <= set(house.alerts())
    assert case.file.code not in json.dumps([list(map(str, row.values())) for _, row in house.rows()])


def forged(case: Case, seed: bytes, organisation: int) -> RecoveryFile:
    """Return a file that a thief wrote: our archive's pair, and a seed of their own."""
    pair = recovery.read(case.file.text, case.file.code).pair
    return recovery.archive_file(organisation, "Clinic", pair, seed, 0, os.urandom)


def test_what_opens_nothing_writes_nothing_and_tells_nobody(case: Case) -> None:
    house, keeper = case.house, case.house.keeper("owner")
    files = {
        "another code": (case.file, {"code": case.rivals.code}),
        "another organisation's": (case.rivals, {}),
        "one that somebody made": (forged(case, os.urandom(32), case.clinic), {}),
        "the installation's": (keeper.recovery_file(), {}),
        "a damaged one": (RecoveryFile(case.file.text[:-200], case.file.code), {}),
        "no file at all": (RecoveryFile("Dear all", "x"), {}),
        "no reason": (case.file, {"reason": "\u200b" * 20}),
        "no address": (case.file, {"address": "nobody"}),
    }
    for name, (file, more) in files.items():
        result = case.export(file, **more)
        assert result.exit_code == 4, (name, result.output)
        assert SECRET not in result.output
        assert not (case.folder / "case.zip").exists(), name
    house.owner.owner.enable(OLIVE)  # or there would be no second one
    house.owner.owner.glass_rule(case.clinic, True)
    assert "two officers" in case.export(case.file).output
    assert [row for row in house.audited(case.clinic) if row[1] == "archive.exported"] == []
    assert house.audited(case.rival).count(("owner", "archive.recovered")) == 1, "their file opened their own, of Ann"
    assert "archive.recovered" not in {action for _, action in house.audited(case.clinic)}


def test_an_export_that_lasts_too_long_gets_no_signature(case: Case) -> None:
    casework = case.house.owner.casework
    pieces = casework.export(casework.recovered(case.file.text, case.file.code, ANN, WHY), "x")
    case.house.clock.forward(16 * MINUTE)
    with pytest.raises(Ended):
        b"".join(pieces)


def test_no_page_and_no_other_role_asks_the_keeper_for_it(case: Case) -> None:
    ticket = case.house.keeper("owner").recovery_ticket(recovery.read(case.file.text, case.file.code).pair)
    with pytest.raises(Ended):  # sealed as it is, to the archive's own pair, it says nothing
        case.house.keeper("owner").recovered_export(ticket, 1, bytes(32))
    for role in ("portal", "submission", "courier", "inbound", "mailbox"):
        with pytest.raises(Denied, match="no such request"):
            case.house.keeper(role).recovered_export(ticket, 1, bytes(32))
    usage = case.export(case.file, "--officer", OLIVE)
    assert usage.exit_code == 2
