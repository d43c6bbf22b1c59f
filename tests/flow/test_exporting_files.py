"""Large files leave with their message: in a sealed export, into a folder, in what an archive gives out."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from cryptnsend import reader
from cryptnsend.core import export
from cryptnsend.core.errors import SealBroken
from cryptnsend.core.linkedfiles import LinkedFile, file_names
from tests.flow.test_beside import ANN, FILE, PAT, PIECE, Share
from tests.flow.test_plain_rules import run
from tests.support.house import PASSWORD, House

SECOND = os.urandom(PIECE)  # ends where a piece ends


@pytest.fixture
def share(house: House) -> Share:
    return Share(house)


def sent(share: Share) -> int:
    return share.send(share.file(), share.file(SECOND, "scan.dcm"), share.file(b"", "nothing.txt"))


def sealed(share: Share, message: int) -> bytes:
    exporting = share.house.owner.exporting
    return b"".join(exporting.sealed(exporting.sign_in(ANN, PASSWORD), message, PASSWORD))


def opened(octets: bytes) -> list[export.Beside]:
    exported, stored = export.read_object(io.BytesIO(octets))
    return [*export.read_beside(exported, exported.content_keys(PASSWORD), stored)]


def test_a_sealed_export_has_the_large_files_and_opens_without_the_server(share: Share, tmp_path: Path) -> None:
    octets = sealed(share, sent(share))
    assert FILE[:64] not in octets
    found = opened(octets)
    assert [(each.file.name, b"".join(each.octets())) for each in found] == [
        ("scan.dcm", FILE), ("scan.dcm", SECOND), ("nothing.txt", b""),
    ]  # fmt: skip
    (tmp_path / "export").write_bytes(octets)
    words = [str(tmp_path / "export"), str(tmp_path / "mail.eml"), "--password-stdin"]
    said = CliRunner().invoke(reader.main, words, input=PASSWORD)
    assert (said.exit_code, "Beside it rests scan (2).dcm" in said.output) == (0, True)
    words[1] = str(tmp_path / "again.eml")
    said = CliRunner().invoke(reader.main, [*words, "--files", str(tmp_path / "files")], input=PASSWORD)
    assert said.exit_code == 0, said.output
    written = {each.name: each for each in (tmp_path / "files").iterdir()}
    assert {name: each.read_bytes() for name, each in written.items()} == {
        "scan.dcm": FILE, "scan (2).dcm": SECOND, "nothing.txt": b"",
    }  # fmt: skip
    assert {each.stat().st_mode & 0o777 for each in written.values()} == {0o600}


def test_an_export_without_large_files_is_as_it_was(share: Share) -> None:
    assert opened(sealed(share, share.send())) == []


@pytest.mark.parametrize("change", ["cut", "turned", "moved", "renamed", "twice", "strange"])
def test_an_export_that_was_changed_writes_nothing_of_it(share: Share, change: str, tmp_path: Path) -> None:
    octets = bytearray(sealed(share, sent(share)))
    first = octets.index(b"upload.")
    second = octets.index(b"upload.", first + 600)
    if change == "cut":
        del octets[first + 700 :]
    elif change == "turned":
        octets[first + 700] ^= 1
    elif change == "moved":  # two pieces of one size change places
        length = second - first
        octets[first : second + length] = octets[second : second + length] + octets[first:second]
        octets[first : first + 100], octets[second : second + 100] = (
            octets[second : second + 100], octets[first : first + 100],
        )  # fmt: skip
    else:
        block = octets[first : first + 512]
        name = block[:100].rstrip(b"\0")
        new = {"renamed": name + b"1", "twice": bytes(octets[second : second + 100]).rstrip(b"\0"), "strange": b"x"}
        block[:100] = new[change].ljust(100, b"\0")
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        octets[first : first + 512] = block
    with pytest.raises(SealBroken):
        _ = [b"".join(each.octets()) for each in opened(bytes(octets))]
    (tmp_path / "export").write_bytes(octets)
    words = [str(tmp_path / "export"), str(tmp_path / "mail.eml"), "--files", str(tmp_path), "--password-stdin"]
    assert CliRunner().invoke(reader.main, words, input=PASSWORD).exit_code == 1
    assert [each.name for each in tmp_path.iterdir()] == ["export"]


def test_the_mail_file_comes_with_a_folder_of_large_files_or_says_which_were_left_out(
    share: Share, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = sent(share)
    share.house.register(PAT, message)
    words = ["message", "export", str(message), "--account", PAT, "--password-stdin"]
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))

    def asked(*more: str) -> str:
        home = ("--home", str(share.house.home.path))
        from cryptnsend.__main__ import main

        done = CliRunner().invoke(main, [*words, *more, *home], input=PASSWORD + "\n")
        assert done.exit_code == 0, done.output
        return done.output

    said = asked("--output", str(tmp_path / "one.eml"))
    assert said.count("which was not written. Name a folder with --files.") == 3
    asked("--output", str(tmp_path / "two.eml"), "--files", str(tmp_path / "files"))
    assert (tmp_path / "files" / "scan.dcm").read_bytes() == FILE
    assert (tmp_path / "files" / "scan (2).dcm").read_bytes() == SECOND
    run(share.house, *words, "--sealed", "--files", str(tmp_path), code=2)


def test_names_stay_in_their_folder_and_apart() -> None:
    said = ("../a.txt", "A.TXT", "a", "a", "CON", "a (2)")
    files = [LinkedFile(number, 1, b"k" * 32, name, "", 0) for number, name in enumerate(said)]
    names = file_names(files)
    assert names[:4] == ["a.txt", "A (2).TXT", "a", "a (2)"]
    assert len({each.casefold() for each in names}) == len(names)
    assert not any("/" in each or each.startswith(".") for each in names)
