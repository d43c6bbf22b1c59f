"""What do the SMTP doors of a whole server do with bad input? A clear code, nothing kept, nothing lost.

The framing of DATA and the dialogues have their own tests in tests/submission and tests/dialogues; here the real doors
stand before the real flow, store and keeper, and what rests in the home afterwards is counted.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from cryptnsend.demo.house import House as Server
from cryptnsend.demo.visitor import Visitor
from cryptnsend.home import Home

from .wire import Wire, kept, pids, stays

ANN = "ann.doors@gmail.example"
PASSWORD = "harbour violet tractor ninety"
PAT = "pat@sink.example"  # a domain without a route here, so that no notice leaves
HEAD = f"From: Ann <{ANN}>\r\nTo: {PAT}\r\nSubject: door\r\n".encode()
MIB = 1 << 20


@dataclass
class Doors:
    """A served house with Ann in it, her device, and her browser."""

    server: Server
    device: str
    ann: Visitor

    @property
    def home(self) -> Home:
        return self.server.home

    def wire(self) -> Wire:
        return Wire(self.home.ports()["submissions"], self.server.context())

    def signed_in(self) -> Wire:
        return self.wire().sign_in(ANN, self.device)

    def submit(self, octets: bytes, *recipients: str, parameters: str = "") -> str:
        """Submit one mail and return the last answer."""
        with self.signed_in() as wire:
            return wire.envelope(ANN, *(recipients or (PAT,)), parameters=parameters).data(octets)

    def own_copy(self, message: str) -> bytes:
        """Return what Ann's Sent page saves: the octets she submitted."""
        return self.ann.get(f"/messages/{message}/eml").octets


@pytest.fixture(scope="module")
def doors(served: Server) -> Doors:
    served.run("subscriber", "add", ANN, "--name", "Ann Door", "--own", "--password-stdin", stdin=PASSWORD + "\n")
    made = served.run("device", "add", ANN, "--name", "door", "--password-stdin", stdin=PASSWORD + "\n")
    ann = Visitor(served.base_url, served.context())
    page = ann.get("/sign-in")
    ann.send(page, page.form(with_field="address"), address=ANN, password=PASSWORD)
    return Doors(served, made.split()[-1], ann)


# -- who writes -------------------------------------------------------------------------------------------------------

EVE = "eve@evil.example"
FOREIGN = {
    "no From": b"To: x@y.example\r\nSubject: s\r\n",
    "empty From": b"From:\r\nTo: x@y.example\r\n",
    "somebody else": f"From: {EVE}\r\n".encode(),
    "name of mine, address of hers": f"From: {ANN} <{EVE}>\r\n".encode(),
    "quoted address of mine before hers": f'From: "{ANN}" <{EVE}>\r\n'.encode(),
    "mine, then hers": f"From: {ANN}, {EVE}\r\n".encode(),
    "hers, then mine": f"From: {EVE}, {ANN}\r\n".encode(),
    "two fields, mine first": f"From: {ANN}\r\nFrom: {EVE}\r\n".encode(),
    "two fields, hers first": f"From: {EVE}\r\nFrom: {ANN}\r\n".encode(),
    "two fields, both mine": f"From: {ANN}\r\nFROM: {ANN}\r\n".encode(),
    "second field in capitals": f"From: {ANN}\r\nFROM: {EVE}\r\n".encode(),
    "second field with a blank before the colon": f"From: {ANN}\r\nFrom : {EVE}\r\n".encode(),
    "second field with a tab before the colon": f"From: {ANN}\r\nFrom\t: {EVE}\r\n".encode(),
    "first field with a blank before the colon": f"From : {EVE}\r\nFrom: {ANN}\r\n".encode(),
    "group": f"From: practice:{ANN};\r\n".encode(),
    "group of two": f"From: practice:{ANN},{EVE};\r\n".encode(),
    "empty group": b"From: undisclosed:;\r\n",
    "encoded address": b"From: =?utf-8?q?ann=2Edoors=40gmail=2Eexample?=\r\n",
    "encoded name that looks like an address": f"From: =?utf-8?q?{ANN.replace('@', '=40')}?= <{EVE}>\r\n".encode(),
    "encoded angle": f"From: =?utf-8?q?Ann_=3C{ANN.replace('@', '=40')}=3E?= <{EVE}>\r\n".encode(),
    "comment": f"From: ({ANN}) {EVE}\r\n".encode(),
    "comment inside": f"From: ann.doors({EVE})@evil.example\r\n".encode(),
    "unclosed quote": f'From: "Ann <{ANN}>\r\n'.encode(),
    "unclosed angle": f"From: <{ANN}\r\n".encode(),
    "two angles": f"From: <{ANN}> <{EVE}>\r\n".encode(),
    "angle in angle": f"From: <<{ANN}>>\r\n".encode(),
    "route": f"From: <@evil.example:{EVE}>\r\n".encode(),
    "folded": f"From: Ann\r\n <{EVE}>\r\n".encode(),
    "folded before the address": f"From:\r\n\t{EVE}\r\n".encode(),
    "look-alike": "From: аnn.doors@gmail.example\r\n".encode(),  # a Cyrillic first letter
    "full-width at": "From: ann.doors＠gmail.example\r\n".encode(),
    "percent": b"From: ann.doors%gmail.example@evil.example\r\n",
    "subdomain": b"From: ann.doors@gmail.example.evil.example\r\n",
    "trailing words": f"From: <{ANN}> via {EVE}\r\n".encode(),
    "8 bits": b"From: \xe4nn.doors@gmail.example\r\n",
    "only in the body": b"Subject: s\r\n\r\nFrom: " + ANN.encode() + b"\r\n",
    "behind a line that is no field": f"no field at all\r\nFrom: {EVE}\r\n".encode(),
}


def test_a_message_of_another_author_is_refused_and_not_kept(doors: Doors) -> None:
    """Every way of writing From that some reader could take for somebody else's: 550 5.7.1, with the reason."""
    before = kept(doors.home)
    answers = {}
    with doors.signed_in() as wire:
        for what, head in FOREIGN.items():
            answers[what] = wire.envelope(ANN, PAT).data(head + b"\r\nbody\r\n")[:9]
    assert {what: answer for what, answer in answers.items() if answer != "550 5.7.1"} == {}
    stays(doors.home, before)


def test_mail_from_another_address_is_refused_at_once(doors: Doors) -> None:
    with doors.signed_in() as wire:
        for sender in (
            EVE,
            "ann.doors@gmail.example.evil.example",
            "ann.doors+x@gmail.example",
            "postmaster@gmail.example",
        ):
            assert wire.say(f"MAIL FROM:<{sender}>").startswith("550 5.7.1 "), sender
        assert wire.say(f"MAIL FROM:<{ANN.upper()}>").startswith("250 ")


# -- no relay, no talk about addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["submissions", "submission"])
def test_nobody_relays_without_signing_in(doors: Doors, door: str) -> None:
    """Not from our own domain, not to it, not with any source route or percent hack, not after a failed sign-in."""
    before = kept(doors.home)
    with doors.wire().greet() if door == "submissions" else _starttls(doors) as wire:
        for command in (
            f"MAIL FROM:<{ANN}>", "MAIL FROM:<>", "MAIL FROM:<notice@cryptnsend.example>", f"RCPT TO:<{PAT}>", "DATA",
            "RCPT TO:<@cryptnsend.example:pat@sink.example>", "RCPT TO:<pat%sink.example@localhost>",
        ):  # fmt: skip
            assert wire.say(command)[:3] in ("503", "530"), command
        assert wire.authenticate(ANN, "wrong").startswith("535 5.7.8 ")
        assert wire.say(f"MAIL FROM:<{ANN}>").startswith("530 ")
        assert wire.say("VRFY pat")[:3] == wire.say(f"VRFY {ANN}")[:3] == "252"
        assert wire.say("EXPN staff").startswith("502 ")
    stays(doors.home, before)


def _starttls(doors: Doors) -> Wire:
    """Return a session of port 587 after STARTTLS; in clear it lets nobody sign in or send."""
    raw = socket.create_connection(("127.0.0.1", doors.home.ports()["submission"]), 30)
    raw.recv(200)
    for command, code in ((b"EHLO a", b"250"), (b"AUTH PLAIN AGEAYg==", b"538"), (b"MAIL FROM:<a@b.example>", b"530")):
        raw.sendall(command + b"\r\n")
        assert raw.recv(2000).startswith(code)
    raw.sendall(b"STARTTLS\r\nMAIL FROM:<injected@evil.example>\r\n")
    assert raw.recv(200).startswith(b"220 ")
    wire = Wire.__new__(Wire)
    wire.socket = doors.server.context().wrap_socket(raw, server_hostname="localhost")
    wire.file = wire.socket.makefile("rb")
    assert wire.say("EHLO there").startswith("250-")
    return wire


def test_the_101st_recipient_is_put_off_and_the_others_stand(doors: Doors) -> None:
    with doors.signed_in() as wire:
        assert wire.say(f"MAIL FROM:<{ANN}>").startswith("250 ")
        wire.send(b"".join(f"RCPT TO:<r{n}@sink.example>\r\n".encode() for n in range(105)))
        answers = [wire.reply() for _ in range(105)]
        assert [each[:3] for each in answers[:100]] == ["250"] * 100
        assert [each[:9] for each in answers[100:]] == ["452 4.5.3"] * 5
        assert wire.say("RSET").startswith("250 ")


# -- too large --------------------------------------------------------------------------------------------------------


def test_a_size_over_the_limit_is_refused_at_mail(doors: Doors) -> None:
    with doors.signed_in() as wire:
        assert wire.say(f"MAIL FROM:<{ANN}> SIZE={51 * MIB}").startswith("552 5.3.4 ")
        assert wire.say(f"MAIL FROM:<{ANN}> SIZE=99999999999999999999").startswith("552 5.3.4 ")
        assert wire.say(f"MAIL FROM:<{ANN}> SIZE={50 * MIB}").startswith("250 ")


def test_a_client_that_lies_about_the_size_is_refused_while_streaming_in_flat_memory(doors: Doors) -> None:
    """The rest is read and thrown away, the session goes on, and no blob stays."""
    before, room = kept(doors.home), _memory(doors.home)
    line = b"x" * 998 + b"\r\n"
    with doors.signed_in() as wire:
        wire.envelope(ANN, PAT, parameters=" SIZE=1000").send(HEAD + b"\r\n")
        for _ in range(55):
            wire.send(line * (MIB // len(line) + 1))
        wire.send(b".\r\n")
        assert wire.reply().startswith("552 5.3.4 ")
        assert wire.envelope(ANN, PAT).data(HEAD + b"\r\nsmall\r\n").startswith("250 ")
    assert _memory(doors.home) - room < 24 * MIB
    after = kept(doors.home)
    assert after.blobs == before.blobs
    assert after.rows["messages"] == before.rows["messages"] + 1


def _memory(home: Home) -> int:
    """Return the most octets that the submission process ever had in memory."""
    peaks = [
        re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()) for pid in pids(home, "submission")
    ]
    return max(int(peak[1]) * 1024 for peak in peaks if peak is not None)


# -- octets that others understand differently ------------------------------------------------------------------------

BARE = {
    "CR in the header": b"X: a\rb\r\n\r\nbody\r\n",
    "LF in the header": b"X: a\nb\r\n\r\nbody\r\n",
    "NUL in the header": b"X: a\0b\r\n\r\nbody\r\n",
    "LF ends the header": b"X: a\n\nbody\r\n",
    "CR in the body": b"\r\na\rb\r\n",
    "LF in the body": b"\r\na\nb\r\n",
    "NUL in the body": b"\r\na\0b\r\n",
    "LF dot LF": b"\r\na\n.\nMAIL FROM:<" + EVE.encode() + b">\r\n",
    "LF dot CRLF": b"\r\na\n.\r\nMAIL FROM:<" + EVE.encode() + b">\r\n",
    "CRLF dot LF": b"\r\na\r\n.\nMAIL FROM:<" + EVE.encode() + b">\r\n",
    "CRLF dot CR": b"\r\na\r\n.\rMAIL FROM:<" + EVE.encode() + b">\r\n",
    "CR dot CR": b"\r\na\r.\rMAIL FROM:<" + EVE.encode() + b">\r\n",
    "CR CRLF dot": b"\r\na\r\r\n.\r\r\n",
    "NUL around the dot": b"\r\na\r\n\0.\r\nb\r\n.\0\r\n",
}


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
def test_bare_cr_lf_and_nul_are_refused_and_nothing_is_kept(doors: Doors, large: bool) -> None:
    """550 5.5.2, then the connection ends, because the end of data could not be known. Also after a blob was begun."""
    before = kept(doors.home)
    answers = {}
    for what, rest in BARE.items():
        with doors.signed_in() as wire:
            wire.envelope(ANN, PAT)
            if large:
                rest = b"\r\n" + b"y" * 900_000 + rest
            wire.send(HEAD + rest + b"\r\n.\r\n")
            answers[what] = wire.reply()[:9]
            assert wire.reply() == "", f"{what}: the connection goes on"
    assert {what: answer for what, answer in answers.items() if answer != "550 5.5.2"} == {}
    stays(doors.home, before)


# -- the connection is cut --------------------------------------------------------------------------------------------

CUTS = {
    "in the header": HEAD[:30],
    "after the header": HEAD + b"\r\n",
    "in a small body": HEAD + b"\r\nhalf a li",
    "in a large body": HEAD + b"\r\n" + b"z" * 3_000_000,
    "before the last dot": HEAD + b"\r\nall of it\r\n",
    "behind the last dot, before its line end": HEAD + b"\r\nall of it\r\n.",
    "between CR and LF of the end": HEAD + b"\r\nall of it\r\n.\r",
}


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_connection_cut_in_data_leaves_nothing(doors: Doors, how: str) -> None:
    before = kept(doors.home)
    for octets in CUTS.values():
        wire = doors.signed_in().envelope(ANN, PAT)
        wire.send(octets)
        getattr(wire, how)()
    stays(doors.home, before)
    assert doors.submit(HEAD + b"\r\nafter all\r\n").startswith("250 ")


# -- mail that is odd, and mail all the same --------------------------------------------------------------------------


def _nested(levels: int) -> bytes:
    parts = [b"MIME-Version: 1.0\r\n"]
    for n in range(levels):
        parts.append(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n'.encode())
    parts.append(b"Content-Type: text/plain\r\n\r\ndeep down\r\n")
    parts += [f"--b{n}--\r\n".encode() for n in reversed(range(levels))]
    return b"".join(parts)


ODD = {
    "8 bits without saying so": b"Subject: \xe4\xf6\xfc\r\n\r\nGr\xfc\xdfe\r\n",
    "raw UTF-8": "Subject: Grüße 💌\r\n\r\nÜber alles\r\n".encode(),
    "no body and no blank line": b"",
    "no body": b"\r\n",
    "empty body of two lines": b"\r\n\r\n\r\n",
    "only dots": b"\r\n.\r\n..\r\n...\r\n",
    "a line of 1 MiB": b"\r\n" + b"w" * MIB + b"\r\n",
    "a header line of 90 KiB": b"X-Long: " + b"v" * 90_000 + b"\r\n\r\nbody\r\n",
    "100 levels of MIME": _nested(100),
    "1,000 levels of MIME": _nested(1000),
    "a multipart that never ends": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nopen\r\n',
    "two content types": b"Content-Type: text/html\r\nContent-Type: text/plain\r\n\r\n<b>x</b>\r\n",
    "an unknown charset": b"Content-Type: text/plain; charset=klingon\r\n\r\nqapla\r\n",
    "an unknown encoding": b"Content-Transfer-Encoding: rot13\r\n\r\nuryyb\r\n",
    "broken base64": b"Content-Transfer-Encoding: base64\r\n\r\n!!!not base64!!!\r\n",
    "broken encoded words": b"Subject: =?utf-8?b?////?= =?x?q?=ZZ?= =?utf-8?q?=C3?=\r\n\r\nx\r\n",
    "lines that are no fields": b"this is no field\r\n: nor this\r\n\r\nx\r\n",
    "a message inside": b"Content-Type: message/rfc822\r\n\r\nFrom: x\r\n\r\ninside\r\n",
    "uuencode": b"\r\nbegin 644 ../../etc/passwd\r\n#0V%T\r\n`\r\nend\r\n",
    "a group in Reply-To": b"Reply-To: undisclosed-recipients:;\r\nDate: not a date\r\n\r\nx\r\n",
    "control characters": b"Subject: a\x01\x02\x7f\x1b[31mb\r\n\r\n\x01\x08\x0c\x1b[2J\r\n",
    "a thousand addresses": b"Cc: " + b",\r\n ".join(b"c%d@sink.example" % n for n in range(1000)) + b"\r\n\r\nx\r\n",
}


@pytest.mark.parametrize("what", ODD)
def test_odd_mail_is_taken_whole_and_shown_or_saved(doors: Doors, what: str) -> None:
    """250, the author's copy is octet for octet what was sent, and the page answers with what it can show."""
    octets = HEAD + ODD[what]
    answer = doors.submit(octets, parameters=" BODY=8BITMIME")
    assert answer.startswith("250 2.0.0 Sealed as "), answer
    message = answer.split()[4]
    page = doors.ann.get(f"/messages/{message}")
    assert page.status == 200
    whole = octets if octets.endswith(b"\r\n") else octets + b"\r\n"
    assert doors.own_copy(message) == whole


@pytest.mark.parametrize(
    ("what", "extra"),
    [
        ("10,000 fields", b"".join(b"X-%d: y\r\n" % n for n in range(10_000))),
        ("a header over the limit", b"X: " + b"u" * 110_000 + b"\r\n"),
    ],
)
def test_a_header_is_taken_whole_or_refused_with_words(doors: Doors, what: str, extra: bytes) -> None:
    before = kept(doors.home)
    answer = doors.submit(HEAD + extra + b"\r\nbody\r\n")
    if answer.startswith("250 "):
        assert doors.own_copy(answer.split()[4]) == HEAD + extra + b"\r\nbody\r\n"
        return
    assert re.match(r"552 5\.(6\.0|3\.4) \S", answer), (what, answer)
    stays(doors.home, before)


@pytest.mark.parametrize(
    ("recipient", "parameters"),
    [
        ("jörg@müller.example", " SMTPUTF8"),
        ("用户@例え.example", " SMTPUTF8"),
        ("pat@xn--mller-kva.example", ""),
        ('"odd name"@sink.example', ""),
        ("o'brien+tag@sink.example", ""),
    ],
)
def test_addresses_of_other_scripts_are_taken_and_shown(doors: Doors, recipient: str, parameters: str) -> None:
    head = f"From: {ANN}\r\nTo: <{recipient}>\r\nSubject: script\r\n\r\nx\r\n".encode()
    answer = doors.submit(head, recipient, parameters=parameters)
    assert answer.startswith("250 "), answer
    page = doors.ann.get(f"/sent/{answer.split()[4]}")
    assert page.status == 200
    domain = recipient.rpartition("@")[2]
    assert domain in page.words or "xn--" in page.words


def test_no_address_can_carry_a_line_end_or_another_command(doors: Doors) -> None:
    before = kept(doors.home)
    with doors.signed_in() as wire:
        assert wire.say(f"MAIL FROM:<{ANN}>").startswith("250 ")
        for bad in (
            b"RCPT TO:<pat@sink.example\x0bBcc: x>", b"RCPT TO:<pat\x00@sink.example>", b"RCPT TO:<pat@sink.example\r>",
            "RCPT TO:<pat@sink.example\u2028x>".encode(), b"RCPT TO:<pat@sink.example> NOTIFY=SUCCESS\x1b",
            b"RCPT TO:<pat@sink.example> ORCPT=rfc822;pat+0D+0ABcc:+20eve@evil.example",
            b"RCPT TO:<\xff\xfe@sink.example>",
        ):  # fmt: skip
            assert wire.say(bad)[:1] == "5", bad
    stays(doors.home, before)
