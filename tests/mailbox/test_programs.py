"""Programs that other people wrote read through both doors: curl, mbsync, offlineimap, fetchmail."""

from __future__ import annotations

import mailbox
import os
import shutil
import subprocess
import sys
from email.message import Message
from pathlib import Path

import pytest
import trustme

from tests.mailbox.conftest import ANN, MailDoors, reply
from tests.support.house import PASSWORD, House


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    """Return the file with the certificate that the programs are to trust."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def run(name: str, *arguments: str, cwd: Path, ends: tuple[int, ...] = (0,)) -> str:
    """Run a program; its absence is a failure with a remedy."""
    found = shutil.which(name)
    assert found is not None, f"{name} is not on PATH; on Debian: apt-get install isync offlineimap3 fetchmail curl"
    environ = {**os.environ, "HOME": str(cwd)}
    done = subprocess.run(
        [found, *arguments], capture_output=True, text=True, timeout=180, check=False, cwd=cwd, env=environ
    )
    assert done.returncode in ends, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def texts(folder: Path) -> list[str]:
    """Return the bodies in a Maildir, sorted."""
    found: list[str] = []
    for each in mailbox.Maildir(folder, create=False):
        assert isinstance(each, Message)
        payload = each.get_payload(decode=True)
        assert isinstance(payload, bytes)
        found.append(payload.decode().split("\n")[0].strip())
    return sorted(found)


def test_curl_lists_and_reads_over_both(house: House, doors: MailDoors, ann: str, trusted: str, tmp_path: Path) -> None:
    reply(house, "The new dose is fine.")
    common = ("--silent", "--show-error", "--cacert", trusted, "--user", f"{ANN}:{PASSWORD}")
    imaps, pop3s = (f"{name}://localhost:{doors.ports[name]}" for name in ("imaps", "pop3s"))
    assert '"Sent"' in run("curl", *common, f"{imaps}/", cwd=tmp_path)
    for url in (f"{imaps}/INBOX;UID=1", f"{imaps}/INBOX;UID=1;SECTION=TEXT", f"{pop3s}/1"):
        assert "The new dose is fine." in run("curl", *common, url, cwd=tmp_path)
    assert "* SEARCH 1" in run("curl", *common, f"{imaps}/INBOX?ALL", cwd=tmp_path)


def test_mbsync_brings_everything_and_takes_flags_and_drafts_back(
    house: House, doors: MailDoors, ann: str, trusted: str, tmp_path: Path
) -> None:
    for number in range(6):
        reply(house, f"Number {number}.")
    rc = private(
        tmp_path / "mbsyncrc",
        f'IMAPAccount us\nHost localhost\nPort {doors.ports["imaps"]}\nUser {ANN}\nPass "{PASSWORD}"\n'
        f"SSLType IMAPS\nCertificateFile {trusted}\n\nIMAPStore far\nAccount us\n\n"
        f"MaildirStore near\nPath {tmp_path}/mail/\nInbox {tmp_path}/mail/INBOX\nSubFolders Verbatim\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n",
    )
    (tmp_path / "mail").mkdir()
    run("mbsync", "-c", str(rc), "-a", cwd=tmp_path)
    assert texts(tmp_path / "mail" / "INBOX") == [f"Number {number}." for number in range(6)]
    assert len(texts(tmp_path / "mail" / "Sent")) == 6
    inbox = mailbox.Maildir(tmp_path / "mail" / "INBOX", create=False)
    key = sorted(inbox.keys())[0]
    seen = inbox[key]
    seen.set_subdir("cur")
    seen.set_flags("S")
    inbox[key] = seen
    drafts = mailbox.Maildir(tmp_path / "mail" / "Drafts", create=False)
    drafts.add(b"From: ann@gmail.example\nSubject: Not yet\n\nUnfinished\n")
    run("mbsync", "-c", str(rc), "-a", cwd=tmp_path)
    run("mbsync", "-c", str(rc), "-a", cwd=tmp_path)
    assert len(texts(tmp_path / "mail" / "INBOX")) == 6
    found = house.engine.query("SELECT count(*) AS n FROM recipients WHERE first_opened IS NOT NULL AND fetched > 0")
    assert found == [{"n": 1}]
    assert house.engine.query("SELECT count(*) AS n FROM filed") == [{"n": 1}]


def test_offlineimap_brings_everything(house: House, doors: MailDoors, ann: str, trusted: str, tmp_path: Path) -> None:
    for number in range(3):
        reply(house, f"Number {number}.")
    rc = private(
        tmp_path / "offlineimaprc",
        f"[general]\naccounts = us\nmetadata = {tmp_path}/state\nui = quiet\n\n"
        "[Account us]\nlocalrepository = near\nremoterepository = far\n\n"
        f"[Repository near]\ntype = Maildir\nlocalfolders = {tmp_path}/mail\n\n"
        f"[Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {doors.ports['imaps']}\n"
        f"remoteuser = {ANN}\nremotepass = {PASSWORD}\nssl = yes\nsslcacertfile = {trusted}\nauth_mechanisms = PLAIN\n",
    )
    run("offlineimap", "-c", str(rc), "-o", cwd=tmp_path)
    assert texts(tmp_path / "mail" / "INBOX") == [f"Number {number}." for number in range(3)]


@pytest.mark.parametrize(("protocol", "door"), [("imap", "imaps"), ("pop3", "pop3s")])
def test_fetchmail_takes_everything_once(
    house: House, doors: MailDoors, ann: str, trusted: str, tmp_path: Path, protocol: str, door: str
) -> None:
    for number in range(3):
        reply(house, f"Number {number}.")
    taker, taken = tmp_path / "take.py", tmp_path / "taken"
    taker.write_text(f"import sys\nopen({str(taken)!r}, 'ab').write(sys.stdin.buffer.read())\n")
    rc = private(
        tmp_path / "fetchmailrc",
        f"set no bouncemail\npoll localhost service {doors.ports[door]} protocol {protocol} auth password"
        f' user "{ANN}" password "{PASSWORD}" ssl sslcertck sslcertfile {trusted} mda "{sys.executable} {taker}"\n',
    )
    command = ("-f", str(rc), "--pidfile", str(tmp_path / "pid"), "--idfile", str(tmp_path / "ids"))
    run("fetchmail", *command, cwd=tmp_path)
    assert [b"Number %d." % number in taken.read_bytes() for number in range(3)] == [True] * 3
    run("fetchmail", *command, cwd=tmp_path, ends=(1,))  # there is nothing new
    assert taken.read_bytes().count(b"Subject:") == 3
    assert len(house.portal.folders.trash(house.session(ANN))) == 3  # nothing is destroyed
