"""Real mail hosts: one Postfix that answers on several loopback addresses, each of another temper.

    with MailHosts([MailHost("127.0.0.11", "mx.dane.test", certificate=(chain, key)), ...], domains) as hosts:
        hosts.port, hosts.held()

What it takes it keeps on hold, so that a test can count and read it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import wait_for

DAEMONS = Path("/usr/lib/postfix/sbin")
_SERVICES = """\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class MailHost:
    """One address of the Postfix: its name, its certificate (files of chain and key; none: no TLS), and its temper."""

    address: str
    name: str
    certificate: tuple[Path, Path] | None = None
    defers: bool = False  # answers 451 to every recipient


class MailHosts:
    """Postfix, running; all hosts have the same port, as on the Internet."""

    def __init__(self, hosts: Sequence[MailHost], domains: Sequence[str]):
        self._hosts, self._domains = hosts, domains
        self._folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.port = 0

    def __enter__(self) -> MailHosts:
        assert os.geteuid() == 0, "Postfix runs as root only: run this test as root"
        assert Path("/usr/sbin/postfix").exists(), "Postfix is missing: apt-get install postfix"
        self._folder.chmod(0o755)
        for name in ("queue", "etc", "data"):
            (self._folder / name).mkdir(mode=0o755)
        shutil.chown(self._folder / "data", "postfix")
        self.port = _free([host.address for host in self._hosts])
        try:
            self._write()
            self._postfix("start")
            for host in self._hosts:
                wait_for(lambda host=host: self._greets(host), f"{host.name} answers", seconds=60.0)  # type: ignore[misc]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        self._postfix("stop")

        def is_gone() -> bool:
            shutil.rmtree(self._folder, ignore_errors=True)
            return not self._folder.exists()

        # Its daemons may still write for a moment after their master has gone.
        wait_for(is_gone, "Postfix's folder is gone", seconds=60.0)

    def held(self) -> list[str]:
        """Return the text of everything that was taken."""
        files = sorted((self._folder / "queue" / "hold").glob("**/*"))
        return [self._read(file) for file in files if file.is_file()]

    def _read(self, file: Path) -> str:
        command = ["/usr/sbin/postcat", "-c", str(self._folder / "etc"), str(file)]
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()

    def _greets(self, host: MailHost) -> bool:
        try:
            with socket.create_connection((host.address, self.port), 5) as sock:
                return sock.recv(4) == b"220 "
        except OSError:
            return False

    def _postfix(self, word: str) -> None:
        command = ["/usr/sbin/postfix", "-c", str(self._folder / "etc"), word]
        # Its children hold on to what they inherit, so that a pipe would never end.
        with (self._folder / f"{word}.out").open("wb") as out:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=120)

    def _write(self) -> None:
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": self._folder / "queue",
            "data_directory": self._folder / "data",
            "daemon_directory": DAEMONS,
            "command_directory": "/usr/sbin",
            "mail_owner": "postfix",
            "setgid_group": "postdrop",
            "maillog_file": self._folder / "mail.log",
            "maillog_file_prefixes": self._folder,
            "mydestination": "",
            "local_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "virtual_mailbox_domains": ", ".join(self._domains),
            "virtual_mailbox_maps": "static:all",
            "virtual_transport": "discard",
            "inet_protocols": "ipv4",
            "smtputf8_enable": "no",
            "in_flow_delay": "0",
            "smtpd_peername_lookup": "no",
            "smtpd_error_sleep_time": "0",
            "smtpd_relay_restrictions": "reject_unauth_destination",
            "smtpd_data_restrictions": "reject_unauth_pipelining, check_client_access static:HOLD",
        }
        (self._folder / "etc" / "main.cf").write_text(
            "\n".join(f"{name} = {value}" for name, value in settings.items()) + "\n"
        )
        services = "".join(self._service(host) for host in self._hosts)
        (self._folder / "etc" / "master.cf").write_text(services + _SERVICES)

    def _service(self, host: MailHost) -> str:
        options = [f"-o myhostname={host.name}"]
        if host.certificate is None:
            options.append("-o smtpd_tls_security_level=none")
        else:
            chain, key = host.certificate
            options += [
                "-o smtpd_tls_security_level=may",
                f"-o smtpd_tls_cert_file={chain}",
                f"-o smtpd_tls_key_file={key}",
            ]
        if host.defers:
            options.append(
                "-o { smtpd_recipient_restrictions = check_client_access static:{451 4.7.1 come back later} }"
            )
        return f"{host.address}:{self.port} inet n - n - - smtpd\n" + "".join(f"  {each}\n" for each in options)


def _free(addresses: Sequence[str]) -> int:
    """Return a port that is free on all of these addresses."""
    while True:
        with socket.create_server((addresses[0], 0)) as first:
            port: int = first.getsockname()[1]
        try:
            for address in addresses:
                socket.create_server((address, port)).close()
        except OSError:
            continue
        return port
