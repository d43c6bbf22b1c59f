"""Programs of the command line, each set up as its manual says and trusting only the authority of the desk."""

from __future__ import annotations

import errno
import os
import select
import shutil
import subprocess
from pathlib import Path

from tests.clients.desk import Desk


class Program:
    """A program that is run for each thing it does."""

    package = ""  # Debian's, where it is not called as the program

    def __init__(self, desk: Desk):
        self.desk, self.folder = desk, desk.folder
        found = shutil.which(self.name)
        package = self.package or self.name
        assert found is not None, f"{self.name} is not on PATH; on Debian: apt-get install {package}"
        self._path = found
        self.arrange()

    @property
    def name(self) -> str:
        return type(self).__name__.lower()

    def arrange(self) -> None:
        """Write the files it wants to find."""

    def run(self, *arguments: str | Path, stdin: bytes = b"") -> str:
        """Run it; anything but success is a failure with its words."""
        done = subprocess.run(
            [self._path, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            timeout=180,
            check=False,
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder)},
        )
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert done.returncode == 0, said
        return said

    def run_on_screen(self, *arguments: str | Path, see: bytes = b"", press: bytes = b"") -> None:
        """Run it on a terminal; where *see* is on the screen, *press* these keys. It must end by itself."""
        ours, its = os.openpty()
        process = subprocess.Popen(
            [self._path, *map(str, arguments)],
            stdin=its,
            stdout=its,
            stderr=its,
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(its)
        screen = bytearray()
        try:
            while select.select([ours], [], [], 60)[0]:
                screen += os.read(ours, 65536)
                if press and see in screen:
                    os.write(ours, press)
                    press = b""
            process.kill()
        except OSError as error:
            assert error.errno == errno.EIO  # noqa: PT017 - so ends a terminal that nobody uses any more
        finally:
            os.close(ours)
        assert process.wait(60) == 0, screen.decode("utf-8", "replace")

    def private(self, name: str, text: str) -> Path:
        """Write a file that nobody else may read, as most of them ask for."""
        path = self.folder / name
        path.touch(0o600)
        path.write_text(text)
        return path


class Msmtp(Program):
    """Sends what it is given, at the door with implicit TLS."""

    def arrange(self) -> None:
        desk = self.desk
        self._rc = self.private(
            "msmtprc",
            f"account default\nhost localhost\nport {desk.ports['submissions']}\nfrom {desk.ann}\n"
            f"auth plain\nuser {desk.ann}\npassword {desk.device}\n"
            f"tls on\ntls_starttls off\ntls_trust_file {desk.authority}\n",
        )

    def send(self, mail: bytes) -> None:
        self.run(f"--file={self._rc}", "--read-recipients", stdin=mail.replace(b"\r\n", b"\n"))


class Swaks(Program):
    """Sends by a script of Perl, at the door with STARTTLS, by AUTH LOGIN."""

    def send(self, mail: bytes) -> None:
        desk = self.desk
        letter = self.folder / "letter.eml"
        letter.write_bytes(mail.replace(b"\r\n", b"\n"))
        self.run(
            *("--server", "localhost", "--port", str(desk.ports["submission"]), "--tls", "--tls-verify"),
            *("--tls-ca-path", desk.authority, "--auth", "LOGIN", "--auth-user", desk.ann),
            *("--auth-password", desk.device, "--from", desk.ann, "--to", desk.pat, "--data", f"@{letter}"),
        )


class Curl(Program):
    """Sends, files and fetches, by addresses of pages."""

    def _go(self, url: str, *more: str | Path) -> str:
        desk = self.desk
        common = ("--silent", "--show-error", "--cacert", desk.authority, "--user", f"{desk.ann}:{desk.device}")
        return self.run(*common, *more, url)

    def _url(self, door: str, path: str = "") -> str:
        return f"{door.replace('submission', 'smtp')}://localhost:{self.desk.ports[door]}/{path}"

    def send(self, mail: bytes) -> None:
        letter = self.folder / "letter.eml"
        letter.write_bytes(mail)
        address = ("--mail-from", self.desk.ann, "--mail-rcpt", self.desk.pat)
        self._go(self._url("submissions"), *address, "--upload-file", letter)

    def file(self, mail: bytes, folder: str) -> None:
        """Put a mail into a folder."""
        letter = self.folder / "copy.eml"
        letter.write_bytes(mail)
        self._go(self._url("imaps", folder), "--upload-file", letter)

    def fetch(self, folder: str, uid: int) -> str:
        """Return a mail by IMAP."""
        return self._go(self._url("imaps", f"{folder};UID={uid}"))

    def retrieve(self, number: int) -> str:
        """Return a mail by POP."""
        return self._go(self._url("pop3s", str(number)))

    def read(self) -> str:
        """Return the newest mail in INBOX as both doors have it."""
        far = self.fetch("INBOX", 1)
        assert far == self.retrieve(1)
        return far


class Neomutt(Program):
    """Writes a mail on a screen, sends it, and puts a copy into Sent by IMAP."""

    def arrange(self) -> None:
        desk = self.desk
        (self.folder / "certificates").write_bytes(desk.authority.read_bytes())
        far = f"imaps://localhost:{desk.ports['imaps']}"
        self._rc = self.private(
            "neomuttrc",
            f'set smtp_url="smtps://{desk.ann.replace("@", "%40")}@localhost:{desk.ports["submissions"]}/"\n'
            f'set smtp_pass="{desk.device}" imap_user="{desk.ann}" imap_pass="{desk.device}"\n'
            f'set from="{desk.ann}" realname="Ann Ruiz" use_from=yes hostname="there.example"\n'
            f'set folder="{far}" record="{far}/Sent" copy=yes save_name=no confirmcreate=no\n'
            f'set certificate_file="{self.folder}/certificates" ssl_force_tls=yes tmpdir="{self.folder}"\n'
            f'set header_cache="" message_cachedir=""\n',
        )

    def send(self, subject: str, text: str, file: Path, *, copy_first: bool) -> None:
        draft = self.folder / "draft"
        draft.write_text(text)
        rc = self.private(
            "writing",  # without a screen it files no copies by IMAP
            f"source {self._rc}\nset fcc_before_send={'yes' if copy_first else 'no'} editor=true autoedit=yes\n"
            "set abort_unmodified=no fast_reply=yes sleep_time=0\n",
        )
        letter = ("-s", subject, "-i", draft, "-a", file, "--", self.desk.pat)
        self.run_on_screen("-n", "-F", rc, *letter, see=b"Security:", press=b"y")

    def read(self) -> str:
        """Open the newest mail in INBOX on a screen, and pipe it as it came into a file."""
        taken = self.folder / "taken"
        keys = f"set wait_key=no pipe_decode=no; push '<last-entry><pipe-message>cat >{taken}<enter><exit>'"
        rc = self.private("reading", f'source {self._rc}\nset spool_file="+INBOX"\n{keys}\n'.replace("; ", "\n"))
        self.run_on_screen("-n", "-F", rc)
        return taken.read_text()


class Mbsync(Program):
    """Keeps a Maildir and the folders at the house equal."""

    package = "isync"

    def read(self) -> str:
        desk = self.desk
        rc = self.private(
            "mbsyncrc",
            f"IMAPAccount us\nHost localhost\nPort {desk.ports['imaps']}\nUser {desk.ann}\nPass {desk.device}\n"
            f"SSLType IMAPS\nCertificateFile {desk.authority}\n\nIMAPStore far\nAccount us\n\n"
            f"MaildirStore near\nPath {self.folder}/mail/\nInbox {self.folder}/mail/INBOX\nSubFolders Verbatim\n\n"
            "Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync Pull\nSyncState *\n",
        )
        (self.folder / "mail").mkdir()
        self.run("-c", rc, "-a")
        return _newest(self.folder / "mail" / "INBOX")


class OfflineImap(Program):
    """Does the same, by a script of Python's."""

    package = "offlineimap3"

    def read(self) -> str:
        desk = self.desk
        rc = self.private(
            "offlineimaprc",
            f"[general]\naccounts = us\nmetadata = {self.folder}/state\nui = quiet\n\n"
            "[Account us]\nlocalrepository = near\nremoterepository = far\n\n"
            f"[Repository near]\ntype = Maildir\nlocalfolders = {self.folder}/mail\n\n"
            f"[Repository far]\ntype = IMAP\nremotehost = localhost\nremoteport = {desk.ports['imaps']}\n"
            f"remoteuser = {desk.ann}\nremotepass = {desk.device}\nssl = yes\nsslcacertfile = {desk.authority}\n"
            "auth_mechanisms = PLAIN\n",
        )
        self.run("-c", rc, "-o")
        return _newest(self.folder / "mail" / "INBOX")


class Fetchmail(Program):
    """Takes mail by POP and hands it to a program."""

    def read(self) -> str:
        desk, taken = self.desk, self.folder / "taken"
        rc = self.private(
            "fetchmailrc",
            f"set no bouncemail\npoll localhost service {desk.ports['pop3s']} protocol pop3 auth password"
            f' user "{desk.ann}" password "{desk.device}" ssl sslcertck sslcertfile {desk.authority} keep'
            f' mda "/usr/bin/tee {taken}"\n',
        )
        self.run("-f", rc, "--pidfile", self.folder / "pid", "--idfile", self.folder / "ids")
        return taken.read_text()


# Getmail waits for its child's end only from some moment after its start, and for three minutes if it misses that: the
# child stays until its parent handles SIGCHLD (a bit of SigCgt) and sleeps.
STAYING = """cat >"$1"
until grep -q '^State:.S' /proc/$PPID/status && grep -q '^SigCgt:.*[13579bdf]....$' /proc/$PPID/status; do :; done
"""


class Getmail(Program):
    """Takes mail by IMAP, then by POP, and hands it to a program."""

    package = "getmail6"

    def read(self) -> str:
        far, near = self._take("imaps", "SimpleIMAPSSLRetriever"), self._take("pop3s", "SimplePOP3SSLRetriever")
        assert far.splitlines()[-1] == near.splitlines()[-1]
        return far

    def _take(self, door: str, kind: str) -> str:
        desk, taken = self.desk, self.folder / f"taken-{door}"
        script = self.private("staying", STAYING)
        rc = self.private(
            f"getmail-{door}",
            f"[retriever]\ntype = {kind}\nserver = localhost\nport = {desk.ports[door]}\nusername = {desk.ann}\n"
            f"password = {desk.device}\nca_certs = {desk.authority}\n\n"
            # It hands nothing to programs of root's without being told twice.
            f"[destination]\ntype = MDA_external\npath = /bin/sh\narguments = ('{script}', '{taken}')\n"
            "allow_root_commands = true\nignore_stderr = true\n\n[options]\nread_all = true\ndelete = false\n",
        )
        self.run("--getmaildir", self.folder, "--rcfile", rc)
        return taken.read_text()


def _newest(folder: Path) -> str:
    (found,) = (file for kind in ("new", "cur") for file in (folder / kind).iterdir())
    return found.read_text()
