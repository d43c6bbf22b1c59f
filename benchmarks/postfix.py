"""The peer: Debian's Postfix with Dovecot for AUTH, in folders of its own, everything on hold.

It does what a careful administrator's Postfix does for a submission, and no more: TLS, AUTH, queue the message, fsync.
Nothing is sealed, granted or audited. Waits that would flatter us are off (in_flow_delay, peer name look-ups).
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import processes
from generator import Failed, Sender

DAEMONS = Path("/usr/lib/postfix/sbin")
_SUBMISSIONS = "{address} inet n - n - 200 smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes\n"
_PLAIN = "{address} inet n - n - 200 smtpd\n"
_SERVICES = """\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One Postfix and its Dovecot, from `start` to `stop`."""

    name = "Postfix"
    _door = _SUBMISSIONS

    def __init__(self, folder: Path, certificate: Path, key: Path, senders: Sequence[Sender]):
        missing = [tool for tool in ("postfix", "dovecot", "postconf") if shutil.which(tool, path=_path()) is None]
        if missing or os.geteuid():
            raise Failed(
                f"Postfix runs as root only, and is {', '.join(missing) or 'here'}. As root on Debian:"
                " apt-get install postfix dovecot-core"
            )
        self.folder = folder
        self.queue, self._config, self._dovecot = folder / "queue", folder / "etc", folder / "dovecot"
        self._certificate, self._key, self._senders = certificate, key, senders
        self._auth: subprocess.Popen[bytes] | None = None
        self._master = 0
        self.port = 0

    @property
    def roots(self) -> list[int]:
        """The processes whose trees are the server."""
        return [self._master, *([self._auth.pid] if self._auth else [])]

    def start(self, wrap: Sequence[str] = ()) -> None:
        """Start with an empty queue; *wrap* is a command to run it under, such as strace."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for place in (self.folder, self.queue, self._config, self._dovecot, self.folder / "data"):
            place.mkdir(parents=True)
            place.chmod(0o755)
        shutil.chown(self.folder / "data", "postfix")
        self.port = free_port()
        self._write_config()
        self._start_auth(wrap)
        command = [*wrap, "/usr/sbin/postfix", "-c", str(self._config), "start"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        mark = self.queue / "pid" / "master.pid"
        wait(lambda: mark.exists() and mark.read_text().strip() != "", f"Postfix starts (see {self.folder}/mail.log)")
        self._master = int(mark.read_text())
        wait(lambda: processes.answers(self.port), f"Postfix answers (see {self.folder}/mail.log)")

    def stop(self) -> None:
        """End everything that was started."""
        subprocess.run(["/usr/sbin/postfix", "-c", str(self._config), "stop"], capture_output=True, timeout=60)
        if self._auth is not None:
            self._auth.terminate()
            self._auth.wait(30)
            self._auth = None

    def held(self) -> int:
        """Return how many messages are on hold, which is all it took."""
        return sum(len(files) for _, _, files in os.walk(self.queue / "hold"))

    def _settings(self) -> dict[str, object]:
        return {
            "compatibility_level": "3.6",
            "queue_directory": self.queue,
            "data_directory": self.folder / "data",
            "daemon_directory": DAEMONS,
            "command_directory": "/usr/sbin",
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "maillog_file": self.folder / "mail.log",
            "maillog_file_prefixes": self.folder,
            "myhostname": "mail.clinic.example",
            "mydestination": "",
            "local_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "inet_interfaces": "loopback-only",
            "inet_protocols": "ipv4",
            "in_flow_delay": "0",
            "queue_minfree": "0",
            "message_size_limit": "52428800",
            "mailbox_size_limit": "0",
            "default_process_limit": "200",
            "smtpd_peername_lookup": "no",
            "smtpd_client_connection_count_limit": "0",
            "smtpd_client_connection_rate_limit": "0",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_eccert_file": self._certificate,
            "smtpd_tls_eckey_file": self._key,
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": "private/auth",
            "smtpd_tls_auth_only": "yes",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
            "smtpd_recipient_restrictions": "permit_sasl_authenticated, reject",
            "smtpd_data_restrictions": "check_client_access static:HOLD",
        }

    def _write_config(self) -> None:
        lines = [f"{name} = {value}" for name, value in self._settings().items()]
        (self._config / "main.cf").write_text("\n".join(lines) + "\n")
        (self._config / "master.cf").write_text(self._door.format(address=f"127.0.0.1:{self.port}") + _SERVICES)

    def _start_auth(self, wrap: Sequence[str]) -> None:
        owner = pwd.getpwnam("postfix")
        (self.queue / "private").mkdir(mode=0o700)
        shutil.chown(self.queue / "private", "postfix")
        passwords = self._dovecot / "passwd"
        passwords.write_text("".join(f"{each.address}:{{PLAIN}}{each.password}\n" for each in self._senders))
        file = self._dovecot / "dovecot.conf"
        file.write_text(
            f"""\
base_dir = {self._dovecot}/run
state_dir = {self._dovecot}/state
log_path = {self._dovecot}/log
protocols =
ssl = no
auth_mechanisms = plain
auth_cache_size = 1M
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=plain username_format=%u {passwords}
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home=/nonexistent
}}
service auth {{
  unix_listener {self.queue}/private/auth {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
"""
        )
        self._auth = subprocess.Popen([*wrap, "/usr/sbin/dovecot", "-F", "-c", str(file)])
        wait(lambda: (self.queue / "private" / "auth").exists(), f"Dovecot starts (see {self._dovecot}/log)")


class Relay(Postfix):
    """
    Postfix that passes on what it has, without AUTH and TLS: it keeps everything on hold until `release`.

    *to* is the port of the next host on loopback, *parallel* how many connections it may have there.
    """

    _door = _PLAIN

    def __init__(self, folder: Path, certificate: Path, key: Path, *, to: int, parallel: int):
        super().__init__(folder, certificate, key, ())
        self._to, self._parallel = to, parallel

    def release(self) -> None:
        """Let everything leave."""
        for command in (["postsuper", "-H", "ALL"], ["postqueue", "-f"]):
            subprocess.run([f"/usr/sbin/{command[0]}", "-c", str(self._config), *command[1:]], capture_output=True)

    def waiting(self) -> int:
        """Return how many messages have not left."""
        return sum(
            len(files)
            for queue in ("hold", "incoming", "active", "deferred")
            for _, _, files in os.walk(self.queue / queue)
        )

    def _settings(self) -> dict[str, object]:
        return super()._settings() | {
            "mynetworks": "127.0.0.0/8",
            "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject",
            "relayhost": f"[127.0.0.1]:{self._to}",
            "initial_destination_concurrency": self._parallel,
            "default_destination_concurrency_limit": self._parallel,
            "smtp_tls_security_level": "may",
        }

    def _start_auth(self, wrap: Sequence[str]) -> None:
        """Nobody signs in."""


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def free_port() -> int:
    """Return a port of loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait(until: Callable[[], bool], what: str) -> None:
    """Wait at most 30 seconds; raise `Failed`."""
    deadline = time.monotonic() + 30
    while not until():
        if time.monotonic() > deadline:
            raise Failed(f"Waited in vain until {what}.")
        time.sleep(0.05)
