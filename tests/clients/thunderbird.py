"""Debian's Thunderbird, without a screen, as somebody uses it: set up, write, send, open folders, read."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.clients import thunderbird_scripts as scripts
from tests.clients.marionette import Marionette
from tests.support.waiting import wait_for

PATIENCE = 120.0  # seconds, on a machine that does much else
BINARY = "/usr/lib/thunderbird/thunderbird"  # Debian's wrapper would look for older profiles first

# It says nothing to anybody but the servers it is set up for, and asks its user nothing.
QUIET: Mapping[str, Any] = {
    "marionette.port": 0,
    "app.donation.eoy.version.viewed": 999,
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "mail.cloud_files.enabled": False,
    "mail.inappnotifications.enabled": False,
    "mail.provider.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.override": True,
    "mail.shell.checkDefaultClient": False,
    "mail.spellcheck.inline": False,
    "mail.winsearch.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "messenger.startup.action": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.manage-offline-status": False,
    "offline.autoDetect": False,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.type": 1,
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "",
}


class Thunderbird:
    """One Thunderbird with a profile in *folder*. Use as a context manager."""

    def __init__(self, folder: Path, authority: Path, preferences: Mapping[str, Any] | None = None):
        """*authority* is the file with the certificate that it is to trust."""
        self._folder, self._authority = folder, authority
        self._profile = folder / "profile"
        self._preferences = {**QUIET, **(preferences or {})}
        self._driver: Marionette | None = None

    def __enter__(self) -> Thunderbird:
        assert Path(BINARY).exists(), "thunderbird is missing; on Debian: apt-get install thunderbird"
        self._profile.mkdir(parents=True)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(said)});\n" for name, said in self._preferences.items()]
        (self._profile / "user.js").write_text("".join(lines))
        self._log = (self._folder / "thunderbird.log").open("wb")
        environ = {**os.environ, "HOME": str(self._folder), "TMPDIR": str(self._folder), "MOZ_HEADLESS": "1"}
        self._process = subprocess.Popen(
            [BINARY, "--headless", "--no-remote", "--marionette", "--remote-allow-system-access",
             "--profile", str(self._profile)],
            stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL, env=environ,
        )  # fmt: skip
        try:
            port = self._profile / "MarionetteActivePort"
            wait_for(lambda: port.exists() and port.read_text(), "Thunderbird listens", seconds=PATIENCE)
            self._driver = Marionette(int(port.read_text()), PATIENCE)
            der = x509.load_pem_x509_certificate(self._authority.read_bytes()).public_bytes(Encoding.DER)
            self._run(scripts.TRUST, base64.b64encode(der).decode())
        except BaseException:
            self._process.kill()
            self._end()
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        if problem[0] is None and self._driver is not None:
            self._driver.quit()
        else:
            self._process.kill()
        self._end()

    def _end(self) -> None:
        if self._driver is not None:
            self._driver.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def set_up(self, address: str, password: str, ports: Mapping[str, int]) -> None:
        """Add an account by hand: IMAPS and SMTP with implicit TLS, normal passwords."""
        self._run(scripts.SET_UP, address, password, "imap", ports["imaps"], ports["submissions"], False)
        self._run(scripts.FOLDERS)

    def set_up_pop(self, address: str, password: str, ports: Mapping[str, int]) -> None:
        """Add an account by hand: POP3S, and SMTP with STARTTLS."""
        self._run(scripts.SET_UP, address, password, "pop3", ports["pop3s"], ports["submission"], True)

    def get_messages(self) -> None:
        """Press Get Messages, until there are some."""
        self._run(scripts.GET)

    def find(self, address: str, password: str) -> list[Any]:
        """Add an account by its address alone; return where the settings came from, the way in and the way out."""
        found = self._run(scripts.FIND, address, password)
        self._run(scripts.FOLDERS)
        return list(found)

    def send(self, to: Sequence[str], subject: str, text: str, files: Sequence[Path] = ()) -> None:
        """Write a mail in the compose window and press Send; its copy goes where Thunderbird puts copies."""
        self.write(to, subject, text, files)
        self.press_send()

    def write(self, to: Sequence[str], subject: str, text: str, files: Sequence[Path] = ()) -> None:
        """Open the compose window and fill it in."""
        self._run(scripts.WRITE, list(to), subject, text, [str(file) for file in files])

    def save(self, more: str) -> None:
        """Type more and press Save, as Thunderbird does by itself every few minutes."""
        self._run(scripts.SAVE, more)

    def press_send(self) -> None:
        """Send what stands in the compose window."""
        self._run(scripts.SEND)

    def delete(self, folder: str, subject: str) -> None:
        """Press Delete on a message."""
        self._run(scripts.DELETE, folder, subject)

    def subjects(self, folder: str) -> list[str]:
        """Open a folder (Inbox, SentMail, Drafts, Trash) and return the subjects in it."""
        return [str(subject) for subject in self._run(scripts.LIST, folder)]

    def read(self, folder: str, subject: str) -> tuple[str, list[str]]:
        """Open a message of a folder; return the text that is shown, and the names of its files."""
        text, files = self._run(scripts.READ, folder, subject)
        return str(text), list(files)

    def _run(self, script: str, *values: Any) -> Any:
        assert self._driver is not None
        return self._driver.run(scripts.KNOWN.replace("PATIENCE", str(int(PATIENCE * 500))) + script, *values)
