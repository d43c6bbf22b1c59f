"""
Mail hosts, zones and web servers that mean harm, against a whole house: what becomes of a mail?

Ann's organisation sends over proven TLS or seals. Whatever the other side does, the outcome is clear, the message stays
where its recipient can open it, its author is told, and not a word of it leaves but over a proven connection.
"""

from __future__ import annotations

import email
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trustme

from cryptnsend.delivery.courier import Courier, CourierSettings
from cryptnsend.delivery.dns import DnsTrouble
from cryptnsend.flow.promises import Promises
from tests.delivery.peers import QUICK, Names, Peer, Wire
from tests.support.house import MINUTE, House, MakeHouse

ANN, PAT, MX, WEB = "ann@gmail.example", "pat@peer.example", "mx.peer.example", "mta-sts.peer.example"
SECRET = b"walrusine"  # stands in subject and text of every mail here
SHORT = replace(QUICK, greeting=0.5, command=0.5, data=0.5, dot=0.5, quit=0.2)
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.peer.example\r\nmax_age: 86400\r\n"
AUTHORITY = trustme.CA()
Serve = Callable[[Wire], None]


def context(name: str, **more: Any) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name, **more).configure_cert(made)
    return made


def expired(name: str) -> ssl.SSLContext:
    now = datetime.now(UTC)
    return context(name, not_before=now - timedelta(days=9), not_after=now - timedelta(days=2))


def without_end(octets: bytes) -> Serve:
    def serve(wire: Wire) -> None:
        while True:
            wire.sock.sendall(octets)

    return serve


def up_to_the_dot(then: Serve) -> Serve:
    def serve(wire: Wire) -> None:
        wire.say("220 hello")
        while (line := wire.line()) and not line.startswith("DATA"):
            wire.say("250 ok")
        wire.say("354 go on")
        if wire.body():
            then(wire)

    return serve


def reset(wire: Wire) -> None:
    """End the connection as a crash does: what was not read is thrown away."""
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.sock.close()


def kept_then_reset(wire: Wire) -> None:
    wire.say("250 2.0.0 kept")
    wire.sock.recv(1)
    reset(wire)


def web(answer: str) -> Serve:
    def serve(wire: Wire) -> None:
        while wire.line():
            pass
        wire.sock.sendall(answer.encode())

    return serve


def page(text: str, status: str = "200 OK", more: str = "") -> str:
    return f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n{more}Content-Length: {len(text)}\r\n\r\n{text}"


@dataclass
class Harm:
    """One way of meaning harm, and what has to become of the mail at the first attempt to bring its notice."""

    name: str
    state: str
    words: str  # in what is told
    serve: Serve | None = None
    replies: dict[str, str] = field(default_factory=dict)
    tls: Callable[[], ssl.SSLContext] | None = None
    names: dict[str, Any] = field(default_factory=dict)
    tlsa: list[tuple[int, int, int, bytes]] | None = None
    policy: str | None = None  # what the web server answers
    policy_tls: Callable[[], ssl.SSLContext] = lambda: context(WEB)
    connections: int = 2  # at most: for the mail itself, where a host could prove who it is, and for the notice


PIPELINED = "250-peer.example\r\n250 PIPELINING"
HARMS = [
    Harm("greeting without end", "delayed", "no end", without_end(b"220-more\r\n")),
    Harm("one line without end", "delayed", "", without_end(b"220 " + b"x" * 9000)),
    Harm("reply after the dot without end", "delayed", "no end", up_to_the_dot(without_end(b"250-more\r\n"))),
    Harm("nothing that is SMTP", "delayed", "", lambda wire: wire.say(b"\x16\x03\x01\x00\xff hello")),
    Harm("codes that there are not", "delayed", "", replies={"MAIL": "999 what"}),
    Harm("no code at all", "delayed", "", replies={"EHLO": PIPELINED, "RCPT": "ok then"}),
    Harm("control characters", "failed", "such", replies={"RCPT": "550 5.1.1 no\x1b[2J\x00 such\x07"}),
    Harm("8-bit words", "failed", "Postfach", replies={"RCPT": "550 5.1.1 Postfach g\u00e9l\u00f6scht \u202e"}),
    Harm("a reset after the dot", "delayed", "", up_to_the_dot(reset)),
    Harm("a 250 and a reset", "delivered", "kept", up_to_the_dot(kept_then_reset)),
    Harm("an MX that is us", "failed", "this server", names={"mx": {"peer.example": [(5, "OURS")]}}, connections=0),
    Harm("a host that says it is us", "failed", "", replies={"EHLO": "250-OURS\r\n250 8BITMIME"}),
    Harm(
        "a thousand MX",
        "delayed",
        "later",
        replies={"greeting": "421 4.3.2 later"},
        names={
            "mx": {"peer.example": [(number, f"mx{number}.peer.example") for number in range(1000)]},
            "hosts": {f"mx{number}.peer.example": ["127.0.0.1"] for number in range(1000)},
        },
        connections=5,
    ),
    Harm("an MX that is an alias", "delivered", "", names={"aliases": {MX: "other.example"},
                                                            "hosts": {"other.example": ["127.0.0.1"]}}),
    Harm("an alias without end", "delayed", "", names={"hosts": {MX: DnsTrouble("a loop")}}, connections=0),
    Harm("TLSA garbage and no TLS", "delayed", "", tlsa=[(9, 9, 9, b"\0"), (3, 1, 1, b"short"), (2, 0, 0, b"\x30")]),
    Harm("TLSA garbage", "delivered", "", tls=lambda: context(MX), tlsa=[(3, 1, 1, b""), (255, 255, 255, b"x" * 999)]),
    Harm("TLSA records of another key", "delayed", "", tls=lambda: context(MX), tlsa=[(3, 1, 1, b"\xab" * 32)]),
    Harm("an oversized policy", "delivered", "", tls=lambda: context(MX), policy=page(POLICY + "x: y\r\n" * 20_000)),
    Harm("a policy elsewhere", "delivered", "", tls=lambda: context(MX),
         policy=page("", "302 Found", f"Location: https://{MX}/policy\r\n")),
    Harm("a policy in gibberish", "delivered", "", tls=lambda: context(MX), policy=page("\u00fc\0" * 100)),
    Harm("an expired policy host", "delivered", "", tls=lambda: context(MX), policy=page(POLICY),
         policy_tls=lambda: expired(WEB)),
    Harm("an expired mail host", "delayed", "", tls=lambda: expired(MX), policy=page(POLICY)),
    Harm("a policy and no TLS", "delayed", "", policy=page(POLICY)),
]  # fmt: skip


class Office:
    """A house, the host that it talks to, and every octet that left."""

    def __init__(self, house: House, harm: Harm, ca_file: Path):
        self.house, self.heard = house, bytearray()
        ours = house.config.server.hostname
        replies = {key: text.replace("OURS", ours) for key, text in harm.replies.items()}
        tls = harm.tls() if harm.tls is not None else None
        self.peer = Peer(replies, serve=harm.serve, context=tls)
        self.web = Peer(serve=web(harm.policy or ""), context=harm.policy_tls(), implicit=True)
        given = {kind: dict(table) for kind, table in harm.names.items()}
        mx = given.pop("mx", {"peer.example": [(10, MX)]})
        mx = {domain: [(number, host.replace("OURS", ours)) for number, host in found] for domain, found in mx.items()}
        hosts = {MX: ["127.0.0.1"], WEB: ["127.0.0.1"], **given.pop("hosts", {})}
        place = f"_{self.peer.port}._tcp.{MX}"
        names = Names(
            mx,
            hosts,
            tlsa={place: harm.tlsa} if harm.tlsa else {},
            txt={"_mta-sts.peer.example": ["v=STSv1; id=1;"]} if harm.policy is not None else {},
            secure={"peer.example", MX, place} if harm.tlsa else (),
            **given,
        )
        self.use(names, self.peer.port, ca_file)

    def use(self, names: Names, port: int, ca_file: Path) -> None:
        """Start a courier that goes by these names; what an earlier one remembers is gone."""
        settings = CourierSettings(
            hostname=self.house.config.server.hostname,
            timeouts=SHORT,
            mx_port=port,
            https_port=self.web.port,
            https_seconds=10.0,
            allow_private=True,
            ca_file=ca_file,
            rest=0.0,
        )
        app = self.house.process("courier")
        vars(app)["courier"] = Courier(names, settings, self.house.clock, Random(1), Promises(self.house.engine))
        self.app = app

    def close(self) -> None:
        self.app.deliver.close()
        for each in (self.peer, self.web):
            each.__exit__()

    def delivery(self) -> dict[str, Any]:
        """Return what became of the one delivery to Pat: the mail itself, or the notice that it turned into."""
        (row,) = self.house.queued("relay") + self.house.queued("notice")
        return row


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def open_office(make_house: MakeHouse, ca_file: Path) -> Iterator[Callable[[Harm], Office]]:
    made: list[Office] = []

    def make(harm: Harm) -> Office:
        made.append(Office(make_house(policy={"default": "tls-or-vault"}), harm, ca_file))
        made[-1].house.add_subscriber(ANN)
        return made[-1]

    yield make
    for each in made:
        each.close()


def send(office: Office) -> int:
    """Let Ann write to Pat, and make every attempt that is due but those to her own inbox, which is nowhere here."""
    house = office.house
    message = house.submit(ANN, [PAT], house.mail(f"A {SECRET.decode()} matter", to=[PAT], text=SECRET.decode()))
    office.app.deliver.once()
    return message


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.name)
def test_harm_has_a_clear_outcome_and_loses_and_shows_nothing(
    open_office: Callable[[Harm], Office], ca_file: Path, harm: Harm
) -> None:
    office = open_office(harm)
    house = office.house
    message = send(office)
    row = office.delivery()
    assert row["state"] == harm.state, (row["outcome"], row["reply"])
    assert harm.words in row["reply"]
    assert row["reply"].isprintable()
    assert len(row["reply"]) <= 512
    assert office.peer.connections <= harm.connections, office.peer.connections
    # A clear word of it left nowhere, but it is there to be opened.
    assert SECRET not in b"".join(office.peer.bodies).lower()
    if row["kind"] == "notice":
        assert SECRET.decode() in house.pickup.show(house.register(PAT, message), message).subject
    assert SECRET.decode() in house.pickup.show(house.session(ANN), message).subject
    told = [each["template"] for each in house.queued("dsn")]
    assert told == (["failed"] if harm.state == "failed" else [])
    if harm.state != "delayed":
        return
    # The harm ends: the same notice arrives, once.
    with Peer() as good:
        house.clock.forward(10 * MINUTE)
        office.app.deliver.close()
        # A promise that was kept holds on, so the new host keeps it.
        if harm.policy is not None:
            good._context = context(MX)
        office.use(Names({"peer.example": [(10, MX)]}, {MX: ["127.0.0.1"], WEB: ["127.0.0.1"]}), good.port, ca_file)
        office.app.deliver.once()
        office.app.deliver.close()  # a connection that waits for more would keep the host waiting, too
        row = office.delivery()
        assert (row["state"], row["attempts"], len(good.bodies)) == ("delivered", 2, 1), row
        assert SECRET not in good.bodies[0].lower()


def test_a_reset_after_the_dot_makes_one_duplicate_at_most_with_the_same_id(
    open_office: Callable[[Harm], Office],
) -> None:
    """The host kept the mail, and its 250 was lost: the second copy is the same, so that it can be told as one."""
    copies: list[bytes] = []

    def serve(wire: Wire) -> None:
        wire.say("220 hello")
        while (line := wire.line()) and not line.startswith("DATA"):
            wire.say("250 ok")
        wire.say("354 go on")
        if body := wire.body():
            copies.append(body)
            (reset if len(copies) == 1 else kept_then_reset)(wire)

    office = open_office(Harm("resets", "delayed", "", serve))
    send(office)
    assert office.delivery()["state"] == "delayed"
    for _ in range(3):
        office.house.clock.forward(60 * MINUTE)
        office.app.deliver.once()
    assert office.delivery()["state"] == "delivered"
    first, second = copies
    assert first == second
    assert email.message_from_bytes(first)["Message-ID"]
