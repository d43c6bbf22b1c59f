"""Every file of examples/ does what it says, on a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cryptnsend.config import Config
from cryptnsend.demo.house import House

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PASSWORD = "harbour violet tractor ninety"


@pytest.fixture(scope="session")
def ann(served: House) -> str:
    """A subscriber whose main password is PASSWORD."""
    address = "ann.examples@gmail.example"
    served.run("subscriber", "add", address, "--name", "Ann Ruiz", "--password-stdin", stdin=PASSWORD + "\n")
    return address


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """PASSWORD in a file that only its owner can read."""
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    file.chmod(0o600)
    return file


def run(*command: str, stdin: bytes = b"", **environ: str) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=300, env=os.environ | environ)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


def arrived(served: House, recipient: str) -> bool:
    """Say whether *recipient* got a notice; wait for it."""
    return "secure message" in str(served.internet.wait_for(recipient).parsed["Subject"])


def port(served: House) -> str:
    return str(served.home.ports()["submissions"])


def test_the_quickstart_configuration_loads():
    config = Config.load(EXAMPLES / "quickstart.toml", environ={})
    assert (config.server.domain, config.ports.submissions, config.life.days) == ("secure.clinic.example", 465, 30)


def test_the_python_sender_sends(served, ann, password_file):
    certificate = str(served.config.tls.certificate)
    run(
        sys.executable,
        str(EXAMPLES / "send.py"),
        "localhost",
        port(served),
        ann,
        str(password_file),
        "p1@yahoo.example",
        certificate,
    )
    assert arrived(served, "p1@yahoo.example")


def test_the_swaks_line_sends(served, ann, password_file):
    certificate = str(served.config.tls.certificate)
    script = str(EXAMPLES / "swaks.sh")
    said = run("sh", script, "localhost", port(served), ann, str(password_file), "p2@yahoo.example", certificate)
    assert "2.0.0 Sealed as" in said
    assert arrived(served, "p2@yahoo.example")


def test_the_msmtp_configuration_sends(served, ann, password_file, tmp_path):
    text = (EXAMPLES / "msmtprc").read_text()
    file = tmp_path / "msmtprc"
    file.write_text(filled(text, served, ann, password_file).replace("port 465", f"port {port(served)}"))
    file.chmod(0o600)
    mail = f"From: {ann}\r\nTo: p3@yahoo.example\r\nSubject: Results\r\n\r\nFine.\r\n"
    run("msmtp", f"--file={file}", "-a", "secure", "p3@yahoo.example", stdin=mail.encode())
    assert arrived(served, "p3@yahoo.example")


def test_the_neomutt_configuration_sends(served, ann, password_file, tmp_path):
    text = (EXAMPLES / "neomuttrc").read_text()
    file = tmp_path / "neomuttrc"
    file.write_text(filled(text, served, ann, password_file).replace(":465/", f":{port(served)}/"))
    home = tmp_path / "home"
    home.mkdir()
    run("neomutt", "-n", "-F", str(file), "-s", "Results", "p4@yahoo.example", stdin=b"Fine.\n", HOME=str(home))
    assert arrived(served, "p4@yahoo.example")


def test_the_organisation_script_makes_two_members(short_folder, tmp_path):
    files = []
    for who, words in enumerate(("granite pelican orbit twelve", PASSWORD, "saddle comet willow fifty")):
        files.append(tmp_path / f"password{who}")
        files[-1].write_text(words + "\n")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    said = run(
        "sh", str(EXAMPLES / "organisation.sh"), str(short_folder / "home"), "localhost", *map(str, files), PATH=path
    )
    assert "ann@gmail.example" in said
    assert "bob@gmail.example" in said
    assert "handed to the recipient's inbox" in said


def filled(text: str, served: House, ann: str, password_file: Path) -> str:
    """Return an example with its capital words replaced."""
    values = {
        "PASSWORD-FILE": str(password_file),
        "CERTIFICATE": str(served.config.tls.certificate),
        "ADDRESS": ann,
        "HOST": "localhost",
    }
    for word, value in values.items():
        text = text.replace(word, value)
    return text
