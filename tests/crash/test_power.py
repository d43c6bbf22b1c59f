"""A power cut at any moment loses nothing that was acknowledged; and where a flush is missing, this harness sees it."""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cryptnsend.app import build
from cryptnsend.config import Config
from tests.crash.house import find
from tests.crash.power import Disk, NoDisk
from tests.crash.programs import ANN, MailProgram
from tests.crash.test_kill import PASSWORD, UNCAPPED, add_ann
from tests.support.homes import make_home
from tests.support.roles import Roles
from tests.support.waiting import wait_for

Note = Callable[[str, object], None]
SERIES = 20  # cuts of one disk


@dataclass
class Tally:
    """What came of the cuts of one or several disks."""

    cuts: int = 0
    acknowledged: int = 0
    seconds: float = 0.0  # under load
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        rate = self.acknowledged / self.seconds
        return f"{self.cuts} cuts, {self.acknowledged} acknowledged, {rate:.0f} a second, {len(self.wrong)} wrong"


@contextmanager
def loaded(disk: Disk, folder: Path, senders: int, flaw: str) -> Iterator[list[MailProgram]]:
    """Run a keeper and a door, weakened by *flaw* if one is named, on *disk*, and programs that send."""
    config = make_home(disk.path / "home", {**UNCAPPED, "delivery": {"smarthost": "smtp://127.0.0.1:1"}})
    device = add_ann(config)
    programs = {"submission": ("-m", "tests.crash.weakened", flaw)} if flaw else {}
    roles = Roles(config, dict.fromkeys(("keeper", "submission"), disk.environment), programs)
    roles.home.announce({"portal": 443})
    context, stop = ssl.create_default_context(cafile=str(config.tls.certificate)), threading.Event()
    sending = [
        MailProgram(n, roles, folder / f"sent-{n}.log", stop, context=context, device=device) for n in range(senders)
    ]
    threads = [threading.Thread(target=each.run, name=f"program {each.number}") for each in sending]
    try:
        for role in ("keeper", "submission"):
            roles.start(role)
        for thread in threads:
            thread.start()
        yield sending
    finally:
        for each in sending:
            each.gate.set()
        stop.set()
        for thread in threads:
            thread.join(120)
        roles.stop()


def cut_often(disk: Disk, folder: Path, cuts: int, senders: int, seed: int, flaw: str = "") -> Tally:
    """Cut the power at random moments under load, and look each time at what is there after it."""
    chance, tally, pause = random.Random(seed), Tally(), threading.Event()
    with loaded(disk, folder, senders, flaw) as programs:
        for _ in range(cuts):
            before = sum(len(each.acknowledged) for each in programs)
            began = time.monotonic()
            for each in programs:
                each.gate.set()
            wait_for(lambda before=before: sum(len(each.acknowledged) for each in programs) > before, "mail flows")
            pause.wait(chance.uniform(0.0, 0.6))
            acknowledged = {tag: ident for each in programs for tag, ident in list(each.acknowledged.items())}
            with disk.cut() as after:
                tally.seconds += time.monotonic() - began
                for each in programs:
                    each.gate.clear()  # the two processors are for looking now
                tally.wrong += wrong(Config.load(after / "home"), acknowledged)
            tally.cuts += 1
            if flaw and tally.wrong:
                break
        tally.acknowledged = sum(len(each.acknowledged) for each in programs)
    return tally


def wrong(config: Config, acknowledged: dict[str, str]) -> list[str]:
    """Say what is wrong with the home after a power cut, as a list of sentences; an empty one is what we want."""
    app = build(config, "owner")
    try:
        missing = [f"no blob {key}" for what, key in app.vault.verify(app.engine) if what == "missing"]
        broken = [str(row) for row in app.engine.query("PRAGMA integrity_check") if row != {"integrity_check": "ok"}]
    finally:
        app.engine.close()
        app.blobs.close()
    if missing or broken:
        return missing + broken
    found = find(config, ANN, PASSWORD)
    return [
        *(f"{tag} is gone" for tag, ident in acknowledged.items() if int(ident) not in found.ids.get(tag, [])),
        *(f"{tag} is there twice" for tag, ids in found.ids.items() if len(ids) > 1),
        *(f"{tag} does not open" for tag in found.unreadable),
        *(f"{tag} has no notice, or two" for tag in found.without_delivery),
    ]


@pytest.fixture
def disk(short_folder: Path, record_property: Note) -> Iterator[Disk | None]:
    with ExitStack() as stack:
        mounted = None
        try:
            mounted = stack.enter_context(Disk(short_folder))
        except NoDisk as reason:
            record_property("not run", f"a power cut needs a mounted disk image: {reason}")
        yield mounted


def test_power_cuts_under_load_lose_nothing_that_was_acknowledged(disk: Disk | None, short_folder: Path) -> None:
    if disk is not None:
        tally = cut_often(disk, short_folder, 2, senders=4, seed=1)
        assert not tally.wrong
        assert tally.acknowledged >= tally.cuts == 2


@pytest.mark.long
def test_a_disk_that_turns_read_only_refuses_everything_and_loses_nothing(
    disk: Disk | None, short_folder: Path, record_property: Note
) -> None:
    if disk is None:
        return
    with loaded(disk, short_folder, 3, "") as programs:
        wait_for(lambda: all(len(each.acknowledged) > 3 for each in programs), "mail flows")
        try:
            disk.turn_read_only()
        except NoDisk as reason:
            record_property("not run", str(reason))
            return
        for each in programs:
            each.heard = ""
        wait_for(lambda: all(each.heard for each in programs), "all mail is refused")
        acknowledged = {tag: ident for each in programs for tag, ident in each.acknowledged.items()}
        assert {each.heard[:6] for each in programs} == {"4.3.0 "}
        with disk.cut() as after:
            assert not wrong(Config.load(after / "home"), acknowledged)
        assert acknowledged.keys() == {tag for each in programs for tag in each.acknowledged}


@pytest.mark.parametrize(
    "flaw",
    [
        pytest.param("acknowledge-first", marks=pytest.mark.long),
        pytest.param("synchronous-normal", marks=pytest.mark.long),
        "folder-unflushed",
    ],
)
def test_control_a_server_that_does_not_flush_loses_mail_and_this_harness_sees_it(
    disk: Disk | None, short_folder: Path, flaw: str
) -> None:
    """Otherwise the tests beside this one would prove nothing."""
    if disk is not None:
        found = cut_often(disk, short_folder, SERIES, senders=4, seed=2, flaw=flaw)
        print(flaw, found, found.wrong[:3])
        assert found.wrong


@pytest.mark.torture
def test_two_hundred_power_cuts_lose_nothing_that_was_acknowledged(short_folder: Path) -> None:
    whole = Tally()
    for series in range(10):
        folder = short_folder / str(series)
        folder.mkdir()
        with Disk(folder) as disk:
            found = cut_often(disk, folder, SERIES, senders=10, seed=100 + series)
        whole.cuts += found.cuts
        whole.acknowledged += found.acknowledged
        whole.seconds += found.seconds
        whole.wrong += found.wrong
        print(f"disk {series}: {found}", flush=True)
    print(f"in all: {whole}")
    assert not whole.wrong
