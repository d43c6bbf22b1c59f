"""What does a dialogue file say, and does a server stick to it?

A file holds scenarios, each under a heading `== the rule it shows`. Lines of a scenario, spoken in order:

    door: implicit | starttls | inbound   which door is opened (implicit if it does not say)
    limit: size=1000               a limit of the doors, for this scenario
    gate: revoked | broken         what the gatekeeper does from here on
    C: EHLO there                  the client sends this line; {plain:USER:PASSWORD} and {base64:TEXT} are encoded,
                                   {ann} and {password} stand for the one subscriber there is
    C! one\\r\\ntwo\\n               the client sends exactly these octets, escapes as in Python
    S: 250 2.1.0 OK                the server's next line is this
    S: /250[ -].*/                 ... or matches this expression as a whole
    S: ...                         the rest of a reply in several lines, whatever it is
    TLS                            the client starts TLS
    CLOSED                         the server closes the connection without another word
    LEAVE                          the client closes it
    KEPT 1                         so many messages have been committed by now
    CONTENT Subject: x\\r\\n...      the last of them is exactly these octets
    ASKED 1                        so often the gatekeeper has been asked for a password

Empty lines and lines with # are for the reader.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptnsend.core.errors import KeeperGone
from tests.submission.doubles import PASSWORD, USER, Client, Doors
from tests.support.waiting import wait_for


@dataclass
class Scenario:
    """One dialogue: its rule, where it stands, and its lines with their numbers."""

    name: str
    place: str
    lines: list[tuple[int, str]] = field(default_factory=list)


def scenarios(folder: Path) -> Iterator[Scenario]:
    """Yield what the files of *folder* hold."""
    for path in sorted(folder.glob("*.dialogue")):
        current: Scenario | None = None
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if line.startswith("== "):
                if current is not None:
                    yield current
                current = Scenario(line[3:], path.stem)
            elif line.strip() and not line.startswith("#"):
                assert current is not None, f"{path.name}:{number}: a line before the first heading"
                current.lines.append((number, line))
        if current is not None:
            yield current


class Play:
    """One scenario being spoken."""

    def __init__(
        self, scenario: Scenario, open_doors: Callable[..., Doors], open_inbound: Callable[..., Doors] | None = None
    ):
        self.scenario = scenario
        settings = dict(_pairs(scenario, "limit: "))
        limits = {name: float(value) if "." in value else int(value) for name, value in settings.items()}
        said = {line for _, line in scenario.lines}
        is_inbound = "door: inbound" in said and open_inbound is not None
        self.doors = (open_inbound if is_inbound and open_inbound else open_doors)(**limits)
        self.client = Client(self.doors, tls=not said & {"door: starttls", "door: inbound"})
        self.in_reply = False

    def run(self) -> int:
        """Speak every line and return how often the server was heard; fail where it says something else."""
        heard = 0
        try:
            for number, line in self.scenario.lines:
                problem = self._speak(line)
                assert not problem, f"{self.scenario.place}.dialogue:{number}: {problem}"
                heard += line.startswith("S:")
        finally:
            self.client.close()
        return heard

    def _speak(self, line: str) -> str:
        word, _, rest = line.partition(" ")
        if word in {"door:", "limit:"}:
            return ""
        if word == "gate:":
            self.doors.gate.revoked = rest == "revoked"
            self.doors.gate.trouble = KeeperGone("The keeper does not answer.") if rest == "broken" else None
            return ""
        if word == "C:":
            self.client.send(_encoded(rest).encode() + b"\r\n")
            return ""
        if word == "C!":
            self.client.send(_octets(rest))
            return ""
        if word == "S:":
            return self._hear(rest)
        return self._look(word, rest)

    def _hear(self, expected: str) -> str:
        if expected == "...":
            while self.in_reply:
                self._next()
            return ""
        heard = self._next()
        if expected.startswith("/") and expected.endswith("/"):
            fits = re.fullmatch(expected[1:-1], heard) is not None
        else:
            fits = heard == expected
        return "" if fits else f"the server said {heard!r}, not {expected!r}"

    def _next(self) -> str:
        line = self.client.file.readline().decode("ascii").removesuffix("\r\n")
        self.in_reply = line[3:4] == "-"
        return line

    def _look(self, word: str, rest: str) -> str:
        kept = self.doors.intake.kept
        if word == "TLS":
            try:
                self.client.upgrade()
            except (ssl.SSLError, OSError) as error:
                return f"no TLS: {error}"
        elif word == "CLOSED":
            return "" if self.client.closed() else "the connection is still open"
        elif word == "LEAVE":
            self.client.close()
            self.doors.settle()
        elif word == "KEPT":
            wait_for(lambda: len(kept) >= int(rest), f"{rest} messages", seconds=60)
            return "" if len(kept) == int(rest) else f"{len(kept)} messages were kept"
        elif word == "CONTENT":
            content = kept[-1].header + kept[-1].body
            return "" if content == _octets(rest) else f"the message is {content!r}"
        elif word == "ASKED":
            asked = len(self.doors.gate.asked)
            return "" if asked == int(rest) else f"the gatekeeper was asked {asked} times"
        else:
            return f"{word} is not a word of dialogues"
        return ""


def _pairs(scenario: Scenario, lead: str) -> Iterator[tuple[str, str]]:
    for _, line in scenario.lines:
        if line.startswith(lead):
            name, _, value = line.removeprefix(lead).partition("=")
            yield name, value


def _encoded(text: str) -> str:
    text = text.replace("{ann}", USER).replace("{password}", PASSWORD)
    text = re.sub(r"\{plain:([^:}]*):([^}]*)\}", lambda m: _base64(f"\0{m[1]}\0{m[2]}"), text)
    return re.sub(r"\{base64:([^}]*)\}", lambda m: _base64(m[1].replace("\\0", "\0")), text)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _octets(text: str) -> bytes:
    return _encoded(text).encode("utf-8").decode("unicode_escape").encode("latin-1")
