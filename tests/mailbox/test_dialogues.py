"""
Dialogues of IMAP and POP as files: what a client sends, octet for octet, and what the doors answer.

Lines of a scenario, under its heading `== the rule it shows`:

    door: pop               which door (imap if it does not say)
    limit: before_login=1   a limit of the doors
    mail: 2                 Ann has that many replies in INBOX; their text is "Number 1." and so on
    signed in               Ann has signed in, and her client has read the answer
    C: a1 NOOP              the client sends this line; {password} and {plain} are filled in
    C! one\\r\\ntwo           the client sends exactly these octets, escapes as in Python
    S: a1 OK Done.          the server's next line is this
    S: /a1 OK .*/           ... or matches this expression as a whole
    S: ...                  lines up to one that fits the next `S:`
    CLOSED                  the server closes the connection without another word
    JUNK 300000             the client sends that many octets without a line end
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mailbox.conftest import ANN, MailDoors, reply
from tests.support.house import PASSWORD, House

FOLDER = Path(__file__).with_name("dialogues")
END = "(the end)"
Scenario = tuple[str, list[tuple[str, str]]]  # name, and (place, line)


def scenarios() -> Iterator[Scenario]:
    for path in sorted(FOLDER.glob("*.dialogue")):
        current: Scenario | None = None
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if line.startswith("== "):
                if current is not None:
                    yield current
                current = f"{path.stem}: {line[3:]}", []
            elif line.strip() and not line.startswith("#"):
                assert current is not None, f"{path.name}:{number}: a line before the first heading"
                current[1].append((f"{path.name}:{number}", line))
        if current is not None:
            yield current


class Client:
    """Octets to and from a door."""

    def __init__(self, doors: MailDoors, door: str):
        plain = socket.create_connection(("localhost", doors.ports[door]), timeout=30)
        self.socket = doors.context().wrap_socket(plain, server_hostname="localhost")
        self.stream = self.socket.makefile("rb")

    def close(self) -> None:
        self.stream.close()
        self.socket.close()

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def line(self) -> str:
        """Return the next line without its end; END at the end of the connection."""
        try:
            found = self.stream.readline()
        except (ConnectionResetError, ssl.SSLEOFError):
            return END
        return found.removesuffix(b"\r\n").decode("utf-8", "replace") if found else END


def fits(wanted: str, said: str) -> bool:
    if len(wanted) > 1 and wanted.startswith("/") and wanted.endswith("/"):
        return re.fullmatch(wanted[1:-1], said) is not None
    return wanted == said


def filled(text: str) -> str:
    plain = base64.b64encode(f"\0{ANN}\0{PASSWORD}".encode()).decode()
    return text.replace("{password}", PASSWORD).replace("{plain}", plain).replace("{ann}", ANN)


def speak(client: Client, lines: list[tuple[str, str]]) -> None:
    skipping = False
    for place, line in lines:
        word, _, rest = line.partition(" ")
        if word == "C:":
            client.send(filled(rest).encode() + b"\r\n")
        elif word == "C!":
            client.send(filled(rest).encode().decode("unicode_escape").encode("latin-1"))
        elif word == "JUNK":
            with contextlib.suppress(OSError):  # the door may close before it was offered everything
                client.send(b"x" * int(rest))
        elif line == "S: ...":
            skipping = True
        elif word == "S:":
            said = client.line()
            while skipping and not fits(rest, said):
                assert said != END, f"{place}: the connection ended before {rest!r}"
                said = client.line()
            skipping = False
            assert fits(rest, said), f"{place}: the server said {said!r}"
        elif line == "CLOSED":
            assert client.line() == END, place
        else:
            raise AssertionError(f"{place}: what does {line!r} mean?")


@pytest.mark.parametrize("scenario", list(scenarios()), ids=lambda scenario: scenario[0])
def test_the_doors_say_what_the_dialogue_says(
    house: House, open_doors: Callable[..., MailDoors], ann: str, scenario: Scenario
) -> None:
    lines = scenario[1]
    settings = [line.partition(": ") for _, line in lines if line.startswith(("door: ", "limit: ", "mail: "))]
    limits = {name: float(value) for word, _, said in settings if word == "limit" for name, value in [said.split("=")]}
    for word, _, said in settings:
        for number in range(int(said) if word == "mail" else 0):
            reply(house, f"Number {number + 1}.")
    door = "pop3s" if ("door", ": ", "pop") in settings else "imaps"
    client = Client(open_doors(**limits), door)
    try:
        assert client.line() != END
        if any(line == "signed in" for _, line in lines):
            client.send(f'l LOGIN {ANN} "{PASSWORD}"\r\n'.encode())
            assert client.line().startswith("l OK [CAPABILITY ")
        known = ("door: ", "limit: ", "mail: ", "signed in")
        speak(client, [(place, line) for place, line in lines if not line.startswith(known)])
    finally:
        client.close()
