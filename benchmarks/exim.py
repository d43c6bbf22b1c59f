"""A peer: Debian's Exim, in folders of its own, which queues and never delivers.

Debian's package cannot stand beside Postfix's, so it is fetched and unpacked, not installed. The user that it insists
on exists only in its own view of the file system. It links GnuTLS, where the others have OpenSSL.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import processes
from generator import Failed, Sender
from postfix import free_port, wait

PACKAGE, USER, ID = "exim4-daemon-light", "Debian-exim", 64999


class Exim:
    """One Exim, from `start` to `stop`."""

    name = "Exim"

    def __init__(self, folder: Path, certificate: Path, key: Path, senders: Sequence[Sender]):
        if os.geteuid():
            raise Failed("Exim gets a view of the file system of its own, which takes root.")
        self.folder, self._spool = folder, folder / "spool"
        self._certificate, self._key, self._senders = certificate, key, senders
        self._program = _program(folder.with_name("exim-unpacked"))
        self._daemon: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def roots(self) -> list[int]:
        """The processes whose trees are the server."""
        return [self._daemon.pid] if self._daemon else []

    def start(self, wrap: Sequence[str] = ()) -> None:
        """Start with an empty queue; *wrap* is a command to run it under, such as strace."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for place in (self.folder, self._spool, self.folder / "log"):
            place.mkdir(parents=True)
            os.chown(place, ID, ID)
        self.port = free_port()
        secrets = self.folder / "passwords"
        secrets.write_text("".join(f"{each.address}: {each.password}\n" for each in self._senders))
        certificate, key = self.folder / "certificate.pem", self.folder / "key.pem"
        shutil.copy(self._certificate, certificate)
        shutil.copy(self._key, key)
        for each in (secrets, certificate, key):
            os.chown(each, ID, ID)
        settings = self.folder / "exim.conf"
        settings.write_text(self._settings(certificate, key, secrets))
        for name, line in (("passwd", f"{USER}:x:{ID}:{ID}::/:/bin/false\n"), ("group", f"{USER}:x:{ID}:\n")):
            (self.folder / name).write_text(Path("/etc", name).read_text() + line)
        view = " && ".join(f'mount --bind "{self.folder / name}" /etc/{name}' for name in ("passwd", "group"))
        command = f'{view} && exec "{self._program}" -C "{settings}" -bdf'
        with open(self.folder / "said", "wb") as said:
            self._daemon = subprocess.Popen(
                ["unshare", "--mount", *wrap, "sh", "-c", command], stdout=said, stderr=said
            )
        wait(lambda: processes.answers(self.port), f"Exim answers (see {self.folder})")

    def stop(self) -> None:
        """End it."""
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait(30)
            self._daemon = None

    def held(self) -> int:
        """Return how many messages are queued, which is all it took."""
        return sum(name.endswith("-H") for _, _, files in os.walk(self._spool / "input") for name in files)

    def _settings(self, certificate: Path, key: Path, secrets: Path) -> str:
        return f"""\
primary_hostname = mail.clinic.example
spool_directory = {self._spool}
log_file_path = {self.folder}/log/%slog
pid_file_path = {self.folder}/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
tls_on_connect_ports = {self.port}
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
queue_only = true
split_spool_directory = true
check_spool_space = 0
check_spool_inodes = 0
message_size_limit = 50M
recipients_max = 0
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_max_nonmail = 1000000
smtp_connect_backlog = 200
host_lookup =
rfc1413_hosts =
keep_environment =
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  accept authenticated = *
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if eq{{$auth3}}{{${{lookup{{$auth2}}lsearch{{{secrets}}}{{$value}}fail}}}}}}
  server_set_id = $auth2
"""


def _program(folder: Path) -> Path:
    """Return Exim's program: the machine's own, or one unpacked into *folder*."""
    installed = shutil.which("exim4", path="/usr/sbin")
    if installed:
        return Path(installed)
    folder.mkdir(exist_ok=True)
    fetched = subprocess.run(["apt-get", "download", "-qq", PACKAGE], cwd=folder, capture_output=True, text=True)
    packages = list(folder.glob("*.deb"))
    if fetched.returncode or len(packages) != 1:
        raise Failed(f"Debian's {PACKAGE} cannot be fetched: {fetched.stderr.strip()}")
    subprocess.run(["dpkg", "-x", str(packages[0]), str(folder)], check=True)
    return folder / "usr/sbin/exim4"
