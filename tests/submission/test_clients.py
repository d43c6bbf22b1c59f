"""Programs that other people wrote send through both doors: swaks, msmtp, curl."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.submission.doubles import PASSWORD, USER, Doors

MESSAGE = f"From: Ann <{USER}>\nTo: pat@yahoo.example\nSubject: hello\n\n.\n..\nHow are you?\n"


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> str:
    """Return the file with the certificate that the programs are to trust."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def program(name: str) -> str:
    """Return where the program is; this test needs it, so its absence is a failure with a remedy."""
    found = shutil.which(name)
    assert found is not None, f"{name} is not on PATH; on Debian: apt-get install {name}"
    return found


def run(*arguments: str, text: str = "") -> str:
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def swaks(doors: Doors, trusted: str, folder: Path, *more: str) -> str:
    able = subprocess.run([program("swaks"), "--support"], capture_output=True, text=True, check=False).stdout
    assert "=== TLS supported" in able, "swaks lacks TLS; on Debian: apt-get install libnet-ssleay-perl"
    letter = folder / "letter.eml"
    letter.write_text(MESSAGE)
    return run(
        *(
            program("swaks"),
            "--server",
            "127.0.0.1",
            "--from",
            USER,
            "--to",
            "pat@yahoo.example",
            "--data",
            f"@{letter}",
        ),
        *("--auth-user", USER, "--auth-password", PASSWORD, "--tls-ca-path", trusted, *more),
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_sends_through_both_doors(doors: Doors, trusted: str, tmp_path: Path, mechanism: str) -> None:
    auth = ("--auth", mechanism, "--tls-verify")
    swaks(doors, trusted, tmp_path, "--port", str(doors.implicit), "--tls-on-connect", *auth)
    said = swaks(doors, trusted, tmp_path, "--port", str(doors.starttls), "--tls", "--pipeline", *auth)
    assert "250 2.0.0 Sealed as m1" in said
    assert len(doors.intake.kept) == 2


@pytest.mark.parametrize("mechanism", ["plain", "login"])
@pytest.mark.parametrize("starttls", ["on", "off"])
def test_msmtp_sends_through_both_doors(
    doors: Doors, trusted: str, tmp_path: Path, mechanism: str, starttls: str
) -> None:
    configuration = tmp_path / "msmtprc"
    configuration.write_text(
        f"account default\nhost 127.0.0.1\nport {doors.starttls if starttls == 'on' else doors.implicit}\n"
        f"from {USER}\nauth {mechanism}\nuser {USER}\npassword {PASSWORD}\n"
        f"tls on\ntls_starttls {starttls}\ntls_trust_file {trusted}\n"
        "dsn_notify failure,delay\ndsn_return headers\n"
    )
    configuration.chmod(0o600)
    run(program("msmtp"), f"--file={configuration}", "pat@yahoo.example", "kim@yahoo.example", text=MESSAGE)
    (kept,) = doors.intake.kept
    assert len(kept.envelope.recipients) == 2


def test_curl_sends_through_both_doors(doors: Doors, trusted: str, tmp_path: Path) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_bytes(MESSAGE.replace("\n", "\r\n").encode())
    for url, more in (
        (f"smtps://127.0.0.1:{doors.implicit}/there", ()),
        (f"smtp://127.0.0.1:{doors.starttls}/there", ("--ssl-reqd",)),
    ):
        run(
            *(program("curl"), "--silent", "--show-error", "--url", url, "--user", f"{USER}:{PASSWORD}", *more),
            *("--cacert", trusted, "--mail-from", USER, "--mail-rcpt", "pat@yahoo.example"),
            *("--upload-file", str(letter)),
        )
    first, second = doors.intake.kept
    assert first.digest == second.digest


def test_neomutt_sends_through_both_doors(
    doors: Doors, trusted: str, tmp_path: Path, start_settings: Callable[[str], str]
) -> None:
    for url in (f"smtps://{USER}@127.0.0.1:{doors.implicit}/", f"smtp://{USER}@127.0.0.1:{doors.starttls}/"):
        settings = tmp_path / "neomuttrc"
        settings.write_text(start_settings(url))
        run(
            *(program("neomutt"), "-n", "-F", str(settings), "-s", "hello", "--", "pat@yahoo.example"),
            text="How are you?\n.\n",
        )
    assert len(doors.intake.kept) == 2


@pytest.fixture
def start_settings(doors: Doors, trusted: str, tmp_path: Path) -> Callable[[str], str]:
    lines = [
        f'set smtp_pass="{PASSWORD}"',
        f'set from="{USER}"',
        f'set certificate_file="{trusted}"',
        f'set folder="{tmp_path}"',
        f'set tmpdir="{tmp_path}"',
        'set use_from=yes ssl_force_tls=yes ssl_verify_host=no record="" hostname="there.example"',
        'set dsn_notify="failure,delay" dsn_return="hdrs"',
    ]
    return lambda url: "\n".join([f'set smtp_url="{url}"', *lines, ""])
