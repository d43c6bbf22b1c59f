"""Nothing that was acknowledged is lost, doubled or unreadable, whichever process dies at whichever moment."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from cryptnsend.app import build
from cryptnsend.config import Config
from cryptnsend.demo.names import HOST, NameServer
from tests.crash.house import Found, find, torment
from tests.crash.programs import ANN, Answering, Bouncing, MailProgram
from tests.support.homes import make_home
from tests.support.house import PASSWORD as PATS
from tests.support.house import House
from tests.support.roles import Roles

PASSWORD = "harbour violet tractor ninety"
PAT = "pat@yahoo.example"
# Every mail has a recipient of its own, so the daily caps have to be out of the way.
UNCAPPED = {"limits": dict.fromkeys(("messages_per_day", "replies_per_day", "new_recipients_per_day"), 1_000_000)}


def add_ann(config: Config) -> str:
    """Make Ann a subscriber and return a device password of hers."""
    from cryptnsend.cli.owner import owned

    with owned(config) as app:
        app.owner.add(ANN, PASSWORD, organisation=None, roles=("subscriber",), name="Ann Ruiz")
        return app.owner.add_device(ANN, PASSWORD, "crash test", "submit").password


def check(acknowledged: dict[str, str], found: Found) -> None:
    """Compare what the mail programs were told with what the server has."""
    lost = {tag for tag, ident in acknowledged.items() if int(ident) not in found.ids.get(tag, [])}
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged messages are gone"
    doubled = {tag for tag, ids in found.ids.items() if len(ids) > 1}
    assert not doubled, "a resend was taken for a new message"
    assert not found.unreadable
    assert not found.without_delivery, "a message would never be told of, or twice"


def check_submission(folder: Path, kills: int, senders: int, seed: int, flaw: str = "") -> dict[str, str]:
    """Kill the keeper, the doors and the courier while mail programs submit; *flaw* weakens the door."""
    # Nobody is there to take mail on, so none fails for good: what did is sent anew when it is submitted again.
    config = make_home(folder / "home", {**UNCAPPED, "delivery": {"smarthost": "smtp://127.0.0.1:1"}})
    device = add_ann(config)
    weakened = {"submission": ("-m", "tests.crash.weakened", flaw)} if flaw else {}
    roles, stop = Roles(config, programs=weakened), threading.Event()
    context = ssl.create_default_context(cafile=str(config.tls.certificate))
    programs = [
        MailProgram(n, roles, folder / f"sent-{n}.log", stop, context=context, device=device) for n in range(senders)
    ]
    began = time.monotonic()
    acknowledged = torment(roles, programs, {"keeper": 1, "submission": 5, "courier": 1}, kills, seed)
    print(f"{kills} kills in {time.monotonic() - began:.0f} s, {len(acknowledged)} acknowledged", flush=True)
    check(acknowledged, find(config, ANN, PASSWORD))
    return acknowledged


def test_fifty_kills_under_load_lose_and_double_nothing(short_folder: Path):
    assert len(check_submission(short_folder, 50, senders=4, seed=1)) > 50


@pytest.mark.long
def test_control_a_door_that_acknowledges_before_it_commits_loses_mail_and_this_harness_sees_it(short_folder: Path):
    """Otherwise the tests beside this one would prove nothing."""
    with pytest.raises(AssertionError, match="acknowledged messages are gone") as seen:
        check_submission(short_folder, 10, senders=4, seed=1, flaw="acknowledge-first")
    print(seen.value)


@pytest.mark.torture
def test_a_thousand_kills_under_load_lose_and_double_nothing(short_folder: Path):
    assert check_submission(short_folder, int(os.environ.get("KILLS", "1000")), senders=10, seed=7)


# -- the door for other servers ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """Mail of Ann's that left: where it is answered, and by delivery where it bounces to."""

    config: Config
    answers: list[str]
    returned: list[tuple[int, str]]


@pytest.fixture
def written(short_folder: Path) -> Iterator[Written]:
    """A home in which Ann has written to Pat, who may answer, and to a crowd that is not there."""
    texts = {"yahoo.example": f"v=spf1 ip4:{HOST} -all", "_dmarc.yahoo.example": "v=DMARC1; p=reject"}
    with closing(NameServer(texts)) as names:
        nobody = {"smarthost": "smtp://127.0.0.1:1", "nameservers": [f"{HOST}:{names.port}"]}
        with closing(House(short_folder, {**UNCAPPED, "delivery": nobody})) as house:
            house.clock.jump(time.time_ns() // 1_000_000 - house.clock.now())  # the roles go by the real time
            house.add_subscriber(ANN)
            threads = [house.submit(ANN, [PAT], house.mail(f"Results {number}")) for number in range(3)]
            house.register(PAT, threads[0])
            answers = [house.reply_token(each, PAT) for each in threads]
            for _ in range(10):
                house.submit(ANN, [f"x{each}@nowhere.example" for each in range(100)], house.mail())
            house.tamper("UPDATE deliveries SET state = 'delivered', settled = due")
            keeper, domain, returned = house.keeper("courier"), house.config.server.domain, []
            for row in house.queued("notice"):
                token = keeper.bounce(row["id"])
                house.keep(token.row, row["org"])
                returned.append((row["id"], f"b+{token.token}@{domain}"))
        yield Written(house.config, answers, returned[3:])


def check_inbound(written: Written, kills: int, seed: int) -> dict[str, str]:
    """Kill the keeper, the door for other servers and the courier while these bring bounces and answers."""
    config, stop = written.config, threading.Event()
    roles, folder = Roles(config), config.server.home.parent
    half = len(written.returned) // 2
    programs = [
        *(Answering(n, roles, folder / f"sent-{n}.log", stop, author=PAT, to=written.answers) for n in range(2)),
        Bouncing(2, roles, folder / "sent-2.log", stop, returned=written.returned[:half]),
        Bouncing(3, roles, folder / "sent-3.log", stop, returned=written.returned[half:]),
    ]
    acknowledged = torment(roles, programs, {"keeper": 1, "inbound": 4, "courier": 2}, kills, seed)
    found = find(config, PAT, PATS)
    answered = {tag for tag in acknowledged if tag.startswith("answer-")}
    assert answered <= set(found.ids), "an answer that was taken is gone"
    assert {len(ids) for ids in found.ids.values()} == {1}, "an answer that was brought again was taken for another"
    assert not found.unreadable
    assert not found.without_delivery
    app = build(config, "owner")
    with closing(app.engine), closing(app.blobs):
        failed = {row["id"] for row in app.engine.query("SELECT id FROM deliveries WHERE state = 'failed'")}
        told = Counter(row["delivery"] for row in app.engine.query("SELECT delivery FROM report_entries"))
    returned = {int(tag.partition("-")[2]) for tag in acknowledged if tag.startswith("bounce-")}
    assert returned
    assert answered
    assert returned <= failed, "a bounce that was taken changed nothing"
    assert told == Counter(failed), "its sender was told twice, or not at all"
    return acknowledged


def test_kills_while_others_bring_bounces_and_answers_lose_and_double_nothing(written: Written):
    assert len(check_inbound(written, 5, seed=3)) > 5


@pytest.mark.long
def test_a_hundred_kills_while_others_bring_mail_lose_and_double_nothing(written: Written):
    assert len(check_inbound(written, 100, seed=5)) > 100
