"""The load: which messages are sent, by whom, in what rhythm; and what each of them must have become.

The client itself is load.c. Each message has a number that stands at its start and its end, so that two messages mixed
up, or two halves, show when stored mail is compared.
"""

from __future__ import annotations

import base64
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).with_name("load.c")
KIB, MIB = 1024, 1024 * 1024
DIGITS = 12
_SENDER, _RECIPIENT, _NUMBER = b"S@@@@@@@@@@@@@@@@@@@@@", b"R@@@@@@@@@@@@@@@@@@@@@", b"N@@@@@@@@@@@"
WIDTH = len(_SENDER)  # of every address: the client writes them over these marks


class Failed(Exception):
    """The benchmark cannot go on, or what it measured must not count."""


@dataclass(frozen=True, slots=True)
class Load:
    """One rhythm of submitting."""

    name: str
    size: int  # octets of each message, about
    sessions: int
    messages: int  # per round
    per_connection: int = 0  # 0: sessions stay open
    fresh: bool = False  # each message goes to somebody nobody has written to
    subscribers: int = 0  # that take turns; 0: one per session
    recipients: int = 1  # of each message
    target: float | None = None  # server CPU per message, as a part of Postfix's
    sampled: int = 20  # stored messages opened and compared per round

    @property
    def people(self) -> int:
        """How many subscribers send."""
        return self.subscribers or self.sessions


@dataclass(frozen=True, slots=True)
class Sender:
    """A subscriber and the password their mail program has."""

    address: str
    password: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that the server said yes to."""

    number: int
    sender: str
    recipient: str  # the first
    seconds: float  # from the last octet of data to the reply
    reply: str
    others: tuple[str, ...] = ()  # the recipients behind the first


@dataclass
class Message:
    """A message whose sender, recipient and number are filled in later."""

    content: bytes
    marks: list[tuple[str, int]] = field(default_factory=list)  # in the octets as they go over the wire

    def wire(self) -> bytes:
        """Return the octets behind the 354: dots stuffed, the final dot included (RFC 5321 §4.5.2)."""
        stuffed = self.content.replace(b"\r\n.", b"\r\n..")
        return stuffed + b".\r\n"

    def filled(self, taken: Taken) -> bytes:
        """Return the content that was submitted as *taken*."""
        number = b"%0*d" % (DIGITS, taken.number)
        return (
            self.content.replace(_SENDER, taken.sender.encode())
            .replace(_RECIPIENT, taken.recipient.encode())
            .replace(_NUMBER, number)
        )

    def patches(self) -> str:
        """Return where the marks are in `wire`, one "kind offset" per line."""
        wire, lines = self.wire(), []
        for mark in (_SENDER, _RECIPIENT, _NUMBER):
            at = wire.find(mark)
            while at >= 0:
                lines.append(f"{chr(mark[0])} {at}")
                at = wire.find(mark, at + 1)
        return "\n".join(lines) + "\n"


def message(size: int) -> Message:
    """Return a message of about *size* octets: plain text if it is small, else text and an attachment in base64."""
    head = (
        b"Message-ID: <" + _NUMBER + b".bench@client.example>\r\n"
        b"Date: Fri, 21 Nov 2025 09:30:00 +0100\r\n"
        b"MIME-Version: 1.0\r\n"
        b"User-Agent: Mozilla Thunderbird\r\n"
        b"Subject: =?UTF-8?Q?Befund_f=C3=BCr_Nummer?= " + _NUMBER + b"\r\n"
        b"Content-Language: en-US\r\n"
        b'To: "Pat Doe" <' + _RECIPIENT + b">\r\n"
        b'From: "Ann Ruiz, MD" <' + _SENDER + b">\r\n"
    )
    tail = b"\r\nThe number again: " + _NUMBER + b"\r\n"
    chance = random.Random(size)
    if size < 32 * KIB:
        head += b"Content-Type: text/plain; charset=UTF-8; format=flowed\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        head += b"Dear Pat,\r\n\r\n.a line that begins with a dot\r\n\r\n"
        return Message(head + _prose(chance, size - len(head) - len(tail)) + tail)
    border = b"------------bench0000"
    head += b'Content-Type: multipart/mixed; boundary="' + border + b'"\r\n\r\n'
    head += b"--" + border + b"\r\nContent-Type: text/plain; charset=UTF-8; format=flowed\r\n\r\n"
    head += b"Dear Pat,\r\n\r\n.a line that begins with a dot\r\n\r\n" + _prose(chance, 1000)
    head += b"\r\n--" + border + b"\r\nContent-Type: application/pdf; name=findings.pdf\r\n"
    head += b"Content-Disposition: attachment; filename=findings.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    tail = b"\r\n--" + border + b"\r\nContent-Type: text/plain\r\n" + tail + b"--" + border + b"--\r\n"
    lines = max(1, (size - len(head) - len(tail)) // 74)
    coded = base64.b64encode(chance.randbytes(54 * lines))
    return Message(head + b"\r\n".join(coded[at : at + 72] for at in range(0, len(coded), 72)) + tail)


def _prose(chance: random.Random, size: int) -> bytes:
    words = ["the", "patient", "was", "seen", "again", "on", "Friday", "results", "within", "normal", "range", "—"]
    lines, have = [], 0
    while have < size:
        line = " ".join(chance.choices(words, k=11)).encode() + b"\r\n"
        lines.append(line)
        have += len(line)
    return b"".join(lines)


class Generator:
    """Runs load.c, compiled into *folder*, and reads what it has to say."""

    def __init__(self, folder: Path):
        self._folder, self._program = folder, folder / "load"
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise Failed("A C compiler is missing. On Debian: apt-get install gcc libc6-dev libssl-dev")
        command = [compiler, "-O2", "-o", str(self._program), str(SOURCE), "-lssl", "-lcrypto", "-lpthread"]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            raise Failed(f"load.c does not compile; is libssl-dev installed?\n{made.stderr}")
        self._messages: dict[int, Message] = {}
        self.client = 0.0  # seconds of CPU that the client itself used in the last run

    def message(self, load: Load) -> Message:
        """Return the message that *load* sends."""
        return self._messages.setdefault(load.size, message(load.size))

    def run(
        self,
        load: Load,
        port: int,
        senders: Sequence[Sender],
        recipients: Sequence[str],
        first: int,
        measured: Callable[[str], None],
    ) -> list[Taken]:
        """
        Submit the messages *first*, *first* + 1 ... and return those that were taken, which must be all.

        *measured* is called with "ready" and "done" around what counts. Raises Failed.
        """
        senders = senders[: load.people]
        if any(len(each) != WIDTH for each in (*recipients, *(sender.address for sender in senders))):
            raise Failed(f"addresses must have {WIDTH} octets")
        files = {name: self._folder / name for name in ("accounts", "recipients", "template", "patches", "log")}
        lines = [f"{each.address} {_plain(each)}" for each in senders]
        files["accounts"].write_text("\n".join(lines) + "\n")
        files["recipients"].write_text("\n".join(recipients) + "\n")
        files["template"].write_bytes(self.message(load).wire())
        files["patches"].write_text(self.message(load).patches())
        command = [str(self._program), *("-c", str(load.sessions)), *("-n", str(load.messages))]
        command += ["-k", str(load.per_connection), "-b", str(first), *(["-f"] if load.fresh else [])]
        command += ["-m", str(load.recipients)]
        command += ["-a", str(files["accounts"]), "-r", str(files["recipients"]), "-t", str(files["template"])]
        command += ["-p", str(files["patches"]), "-o", str(files["log"]), "127.0.0.1", str(port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for word in ("ready", "done"):
                said = process.stdout.readline().split()
                if not said or said[0] != word:
                    raise Failed(f"{load.name}: the client gave up; its words are above.")
                measured(word)
                process.stdin.write("\n")
                process.stdin.flush()
            self.client = int(said[1]) / 1e6
        if process.returncode:
            raise Failed(f"{load.name}: the client gave up; its words are above.")
        taken = []
        for line in files["log"].read_text().splitlines():
            number, sender, at, micros, reply = line.split(" ", 4)
            one, *others = (recipients[(int(at) + each) % len(recipients)] for each in range(load.recipients))
            who = senders[int(sender)].address
            taken.append(Taken(int(number), who, one, int(micros) / 1e6, reply, tuple(others)))
        if len(taken) != load.messages:
            raise Failed(f"{load.name}: {len(taken)} of {load.messages} messages were taken.")
        return taken


def _plain(sender: Sender) -> str:
    return base64.b64encode(f"\0{sender.address}\0{sender.password}".encode()).decode()
