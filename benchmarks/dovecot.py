"""The peer for reading: Debian's Dovecot with Maildir, in a folder of its own.

Two of them may run on the same mail: one as Debian ships it, which starts a process for each login, and one in what its
manual calls high-performance mode. Files are named with their sizes, as Dovecot's own deliveries are.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import processes
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from generator import Failed, Sender

OWNER = "nobody"  # whose uid the mail has; Dovecot reads no mail as root


class Maildir:
    """The INBOX of one user."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._inbox = folder / "Maildir"

    def fill(self, mails: Iterable[tuple[bytes, float]]) -> None:
        """Write messages with CRLF line ends and their internal dates (seconds), in their order."""
        for name in ("cur", "new", "tmp"):
            (self._inbox / name).mkdir(parents=True, exist_ok=True)
        for number, (octets, received) in enumerate(mails):
            plain = octets.replace(b"\r\n", b"\n")
            # The time in the name is what Dovecot sorts by when it gives the first UIDs.
            name = f"{1_700_000_000 + number}.M1P1.client,S={len(plain)},W={len(octets)}:2,"
            path = self._inbox / "cur" / name
            path.write_bytes(plain)
            os.utime(path, (received, received))
        subprocess.run(["chown", "-R", OWNER, str(self.folder)], check=True)

    def forget_caches(self) -> None:
        """Remove what Dovecot remembers of the messages, but for their UIDs."""
        for path in self._inbox.glob("dovecot.index*"):
            path.unlink()


class Dovecot:
    """One Dovecot, from `start` to `stop`."""

    name = "Dovecot"

    def __init__(
        self,
        folder: Path,
        mail: Path,
        certificate: Path,
        key: Path,
        users: Sequence[Sender],
        *,
        hashes: dict[str, str] | None = None,
        is_fast: bool = False,
    ):
        """*mail* has a folder for each user; *hashes*: of users whose password is checked by Argon2id instead."""
        if shutil.which("dovecot", path=_path()) is None or not Path("/usr/lib/dovecot/imap").exists() or os.geteuid():
            raise Failed("Dovecot runs as root only. As root on Debian: apt-get install dovecot-imapd")
        self._folder, self._mail, self._certificate, self._key = folder, mail, certificate, key
        self._users, self._hashes, self._is_fast = users, hashes or {}, is_fast
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def roots(self) -> list[int]:
        """The process whose tree is the server."""
        return [self._process.pid] if self._process else []

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        passwords = self._folder / "passwd"
        lines = [f"{each.address}:{self._hashes.get(each.address, '{PLAIN}' + each.password)}" for each in self._users]
        passwords.write_text("\n".join(lines) + "\n")
        file = self._folder / "dovecot.conf"
        file.write_text(self._config(passwords))
        self._process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", str(file)])
        deadline = time.monotonic() + 30
        while not processes.answers(self.port):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise Failed(f"Dovecot does not start; see {self._folder}/log.")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def _config(self, passwords: Path) -> str:
        fast = "  service_count = 0\n  process_min_avail = 1\n" if self._is_fast else ""
        reuse = "service imap {\n  service_count = 256\n  process_min_avail = 1\n}\n" if self._is_fast else ""
        owner = pwd.getpwnam(OWNER)
        return f"""\
base_dir = {self._folder}/run
state_dir = {self._folder}/state
log_path = {self._folder}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{self._certificate}
ssl_key = <{self._key}
ssl_min_protocol = TLSv1.2
auth_mechanisms = plain
auth_failure_delay = 0
first_valid_uid = 1
mail_location = maildir:~/Maildir
mail_max_userip_connections = 100
default_vsz_limit = 2 G
namespace inbox {{
  inbox = yes
  mailbox Drafts {{
    auto = create
    special_use = \\Drafts
  }}
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {passwords}
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={self._mail}/%u
}}
service imap-login {{
{fast}  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {self.port}
    ssl = yes
  }}
}}
{reuse}service auth {{
  client_limit = 2000
}}
"""


def argon2id(password: str) -> str:
    """Return a password's hash as Dovecot writes it, with the parameters that we have for passwords."""
    made = Argon2id(salt=os.urandom(16), length=32, iterations=3, lanes=4, memory_cost=64 * 1024)
    return "{ARGON2ID}" + made.derive_phc_encoded(password.encode())


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
