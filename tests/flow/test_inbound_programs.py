"""The door for other servers against programs that are not ours: Postfix, which bounces, and swaks, which answers."""

from __future__ import annotations

import os
import smtplib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from cryptnsend.core.errors import Refusal
from cryptnsend.submission.inbound import inbound_server
from cryptnsend.submission.limits import Limits
from cryptnsend.submission.server import Door as Listening
from cryptnsend.submission.server import Server
from tests.flow.conftest import Desk
from tests.flow.inbound_door import Door
from tests.submission.inbound_doubles import InboundDoors
from tests.support.house import House
from tests.support.mailhosts import MailHost, MailHosts
from tests.support.waiting import wait_for

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


class Port(InboundDoors):
    """A real port with a house behind it."""

    def __init__(self, house: House):
        self.house = house
        super().__init__(trustme.CA(key_type=trustme.KeyType.ECDSA), Limits())

    def _make(self, doors: list[Listening], **more: Any) -> Server:
        return inbound_server(doors, reception=self.house.inbound.inbound, pool=self.pool, **more)


class Bouncing(MailHosts):
    """A Postfix that takes mail for peer.test, hears that nobody is there, and returns it to our domain's port."""

    def __init__(self, domain: str, port: int):
        hosts = [MailHost("127.0.0.31", "mx.peer.test"), MailHost("127.0.0.32", "inside.peer.test", defers=True)]
        super().__init__(hosts, ["peer.test"])
        self._domain, self._back = domain, port

    def _write(self) -> None:
        super()._write()
        main = self._folder / "etc" / "main.cf"
        text = main.read_text().replace(", check_client_access static:HOLD", "")
        text = text.replace("virtual_transport = discard", f"virtual_transport = smtp:[127.0.0.32]:{self.port}")
        main.write_text(
            text + f"transport_maps = inline:{{ {self._domain}=smtp:[127.0.0.1]:{self._back} }}\n"
            "smtp_tls_security_level = may\n"
        )
        master = self._folder / "etc" / "master.cf"
        text = master.read_text().replace(
            "check_client_access static:{451 4.7.1 come back later}",
            "check_recipient_access static:{550 5.1.1 mailbox is gone}",
        )
        master.write_text(text + "smtp unix - - n - - smtp\n")


@pytest.fixture
def door(desk: Desk) -> Door:
    """A house in which a notice to Pat was taken by the next host."""
    desk.house.add_subscriber(ANN)
    desk.house.submit(ANN, [PAT], desk.house.mail("Results"))
    desk.deliver()
    made = Door(desk.house)
    made.domains.host = "127.0.0.1"
    return made


@pytest.fixture
def port(door: Door) -> Iterator[Port]:
    made = Port(door.house)
    made.start()
    yield made
    made.stop()


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/usr/sbin/postfix").exists(), reason="NOT RUN: Postfix needs to be there, and root"
)
def test_a_bounce_as_postfix_writes_it_reaches_the_delivery(desk: Desk, door: Door, port: Port) -> None:
    with Bouncing(door.house.config.server.domain, port.starttls) as postfix:
        with smtplib.SMTP("127.0.0.31", postfix.port, timeout=60) as client:
            client.sendmail(
                door.bounce_address(), ["pat@peer.test"], b"From: notice@x.example\r\nSubject: notice\r\n\r\nx\r\n"
            )
        wait_for(lambda: desk.row()["state"] == "failed", "Postfix to return the mail", seconds=90)
    assert "mailbox is gone" in desk.row()["reply"]
    assert '"status":"5.1.1"' in desk.row()["outcome"]
    assert len(door.house.queued("dsn")) == 1


def swaks(port: Port, *more: str) -> subprocess.CompletedProcess[str]:
    command = ["swaks", "--server", "127.0.0.1", "--port", str(port.starttls), "--tls", "--helo", "mx.yahoo.example"]
    return subprocess.run([*command, *more], capture_output=True, text=True, timeout=60, check=False)


def test_swaks_answers_over_tls_and_is_told_what_is_not_there(door: Door, port: Port) -> None:
    house = door.house
    message = house.engine.query("SELECT id FROM messages")[0]["id"]
    house.register(PAT, message)
    to = house.reply_token(message, ANN)
    house.clock.forward(1)  # ids follow the clock
    done = swaks(port, "--from", PAT, "--to", to, "--h-From", PAT, "--body", "Walrusine")
    assert done.returncode == 0, done.stdout
    assert "=== TLS started" in done.stdout
    assert "250 2.0.0 Taken." in done.stdout
    reply = house.engine.query("SELECT id, received FROM messages ORDER BY id DESC LIMIT 1")[0]
    assert b"with ESMTPS id" in reply["received"]
    assert "Walrusine" in (house.pickup.show(house.session(ANN), reply["id"]).text or "")
    for address, words in ((f"ghost@{house.config.server.domain}", "550 5.1.1"), (PAT, "550 5.7.1")):
        refused = swaks(port, "--from", PAT, "--to", address)
        assert refused.returncode == 24, refused.stdout
        assert words in refused.stdout


RELAYS = (
    "pat@yahoo.example", "@{us}:pat@yahoo.example", "@{us},@mx.{us}:pat@yahoo.example", "pat%yahoo.example@{us}",
    "pat%yahoo.example%{us}@{us}", "yahoo.example!pat@{us}", "{us}!yahoo.example!pat", '"pat@yahoo.example"@{us}',
    "pat@yahoo.example@{us}", "pat@[127.0.0.1]", "pat@localhost", "pat", "pat%yahoo.example", "pat@sub.{us}",
    "pat@{us}.evil.example", '"pat%yahoo.example"', "postmaster%yahoo.example@{us}", "postmaster@yahoo.example",
)  # fmt: skip


@pytest.mark.parametrize("sender", ["eve@evil.example", "", "notice@{us}"])
def test_no_way_to_write_an_address_makes_this_a_relay(door: Door, port: Port, sender: str) -> None:
    us = door.house.config.server.domain
    before = door.house.engine.query("SELECT count(*) AS n FROM deliveries")
    for form in RELAYS:
        with smtplib.SMTP("127.0.0.1", port.starttls, local_hostname="mx.yahoo.example", timeout=60) as client:
            client.starttls()
            client.ehlo()
            client.docmd(f"MAIL FROM:<{sender.format(us=us)}>")
            assert 500 <= client.docmd(f"RCPT TO:<{form.format(us=us)}>")[0] < 560, form
            assert client.docmd("DATA")[0] == 503, form
    assert door.house.engine.query("SELECT count(*) AS n FROM deliveries") == before


def test_known_and_unknown_tokens_take_the_same_time(door: Door) -> None:
    """Refusals of a token that once was, of one that never was, and of a name: no difference to measure."""
    real = door.bounce_address()
    door.house.tamper("UPDATE links SET expires = 1 WHERE purpose = 'bounce'")
    domain = real.partition("@")[2]
    medians = []
    for address in (real, f"b+{'a' * 39}@{domain}", f"ghost@{domain}"):
        taken = []
        for _ in range(120):
            begun = time.perf_counter()
            with pytest.raises(Refusal, match="Nobody can be reached"):
                door.flow.recipient(address)
            taken.append(time.perf_counter() - begun)
        medians.append(sorted(taken)[len(taken) // 2])
    assert max(medians) - min(medians) < 0.005
