"""The courier with its own threads, bells and sockets."""

from __future__ import annotations

import io
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cryptnsend.core.errors import ScannerGone
from cryptnsend.demo.internet import Internet
from cryptnsend.flow import deliver as module
from cryptnsend.flow.deliver import Deliver, Ringer
from cryptnsend.flow.views import Upload
from tests.flow.conftest import Desk, Post
from tests.support.house import MINUTE, MakeHouse
from tests.support.waiting import wait_for

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN)


@contextmanager
def running(courier: Deliver, wake: Path) -> Iterator[None]:
    """Let a courier work in the background, and end it whatever happens."""
    stop = threading.Event()
    thread = threading.Thread(target=courier.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        Ringer(wake)()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def busy(make_house: MakeHouse, internet: Internet, routes: dict[str, object]) -> Post:
    """A house whose courier is run by the test."""
    house = make_house(delivery=routes)
    for each in (house.door, house.portal):
        vars(each)["wake"] = Ringer(house.home.courier_wake)
    house.add_subscriber(ANN)
    return Post(house, internet)


def test_a_notice_leaves_when_the_bell_rings(busy: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads look by themselves once a minute here, so only the bell brings them."""
    monkeypatch.setattr(module, "POLL", 60.0)
    wake = busy.house.home.courier_wake
    with running(busy.courier, wake):
        for number in range(1, 4):
            busy.house.submit(ANN, [PAT], busy.house.mail(f"number {number}"))
            assert busy.internet.wait_for(PAT, number, timeout=60)
    assert not wake.exists()


def test_a_report_leaves_as_soon_as_its_cause(busy: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 60.0)
    with running(busy.courier, busy.house.home.courier_wake):
        busy.house.submit(ANN, ["nobody@nowhere.example"], busy.house.mail())
        mail = busy.internet.wait_for(ANN, 1, lambda one: one.parsed.get_content_type() == "multipart/report", 30)
    assert mail.reverse_path in ("", "<>")


def test_without_a_bell_the_courier_looks_by_itself(busy: Post) -> None:
    with running(busy.courier, busy.house.home.courier_wake):
        busy.house.home.courier_wake.unlink()
        busy.house.submit(ANN, [PAT], busy.house.mail())
        assert busy.internet.wait_for(PAT, timeout=60)


def test_ringing_harms_nobody(tmp_path: Path) -> None:
    """There may be no courier, or something else in its place."""
    Ringer(tmp_path / "absent")()
    (tmp_path / "file").touch()
    Ringer(tmp_path / "file")()
    Ringer(tmp_path / ("x" * 200))()
    assert not (tmp_path / "absent").exists()


def test_several_couriers_share_the_work_and_nothing_leaves_twice(busy: Post) -> None:
    house = busy.house
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    app = house.process("courier")
    other = Deliver(
        engine=app.engine,
        letters=app.letters,
        courier=app.courier,
        outcomes=house.courier.deliver._outcomes,
        scanning=app.scanning,
        inspecting=app.inspecting,
        clock=house.clock,
        random=os.urandom,
        threads=2,
        wake_socket=house.home.run / "other.wake",
    )
    for number in range(20):
        house.submit(ANN, [PAT], house.mail(f"number {number}"))
    with (
        closing(app.keeper),
        running(busy.courier, house.home.courier_wake),
        running(other, house.home.run / "other.wake"),
    ):
        wait_for(
            lambda: not house.engine.query("SELECT 1 AS one FROM deliveries WHERE state IN ('due', 'leased')"),
            "all mail gone",
        )
    idents = [str(mail.parsed["Message-ID"]) for mail in busy.mails(PAT)]
    assert len(idents) == len(set(idents)) == 21


def test_a_peer_that_drops_every_connection_delays_its_own_mail_only(busy: Post) -> None:
    house = busy.house
    house.submit(ANN, ["x@down.example", PAT, "y@outlook.example"], house.mail())
    busy.deliver()
    states = {row["recipient"]: row["state"] for row in house.queued("notice")}
    assert sorted(states.values()) == ["delayed", "delayed", "delivered"]
    house.clock.forward(10 * MINUTE)
    busy.deliver()
    assert len(busy.mails("y@outlook.example")) == 1
    busy.courier.close()


def test_gmail_takes_the_locked_file_with_archives_in_it_since_they_stay_inside(post: Post) -> None:
    house = post.house
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT], house.mail())
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("tool.exe", b"MZ")
    octets = inner.getvalue()
    file = Upload("scan.zip", "application/zip", len(octets), lambda: iter([octets]))
    house.replies.send(house.register(PAT, message), message, everybody=False, text="x", files=[file], nonce=b"1" * 16)
    post.deliver()
    assert post.internet.refusals() == []
    assert post.last(ANN)["In-Reply-To"]


class HungScanning:
    """Looks at mail for ever, until it is told to give up."""

    is_idle = False

    def __init__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()

    def check(self, *_: object, **__: object) -> None:
        self.begun.set()
        assert self.over.wait(60)
        raise ScannerGone("it was cut")

    def give_up(self) -> None:
        self.over.set()


def test_the_end_waits_for_a_scanner_only_so_long(busy: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    scanning = HungScanning()
    vars(busy.courier)["_scanning"] = scanning
    with running(busy.courier, busy.house.home.courier_wake):
        busy.house.submit(ANN, [PAT], busy.house.mail(":: lunch", to=[PAT]))
        assert scanning.begun.wait(60)
        assert not scanning.over.is_set(), "while the server runs, nobody is hurried"
    assert scanning.over.is_set()
    (row,) = busy.house.queued("relay")
    assert row["state"] == "delayed", "it is tried again by the next courier"
