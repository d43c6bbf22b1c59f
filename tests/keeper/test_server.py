"""The keeper's process: sockets, frames, a missing master key, its end."""

from __future__ import annotations

import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core import errors
from cryptnsend.core.errors import CryptnSendError, Denied, KeeperGone, WrongSecret
from cryptnsend.keeper import wire
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.providers import EnvProvider, FileProvider
from cryptnsend.keeper.server import uid_of
from tests.support.readable import is_readable
from tests.support.waiting import wait_for

from .conftest import Make, Person, Running, code_for, register, send, subscriber
from .faults import FaultyEngine

ANN, PAT = "ann@clinic.example", "pat@home.example"


def raw(keeper: Running, role: str = "portal") -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(60)
    peer.connect(str(keeper.folder / f"keeper-{role}.sock"))
    return peer


# -- who may connect --------------------------------------------------------------------------------------------------


def test_the_sockets_are_for_our_own_uid_only(keeper: Running) -> None:
    for role in ("submission", "inbound", "mailbox", "portal", "courier", "owner"):
        path = keeper.folder / f"keeper-{role}.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_uid_is_turned_away_and_one_that_is_named_is_served(
    make_keeper: Make, record_property: Callable[[str, object], None]
) -> None:
    if os.geteuid() != 0:
        record_property("not run", "connecting as another uid needs root")
        return
    keeper = make_keeper(uids={"courier": frozenset({65534}), "portal": frozenset({65533})})
    keeper.folder.chmod(0o755)
    keeper.folder.parent.chmod(0o755)
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[2]);"
        "from pathlib import Path; from cryptnsend.keeper.client import Keeper;"
        "from cryptnsend.core.errors import KeeperGone\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: print('served', Keeper(Path(sys.argv[1])).health().ok)\n"
        "except KeeperGone: print('turned away')\n"
    )

    def ask(role: str) -> str:
        path = keeper.folder / f"keeper-{role}.sock"
        if role == "owner":
            path.chmod(0o666)  # even if the file's mode let them in
        done = subprocess.run(
            [sys.executable, "-c", program, str(path), str(Path(__file__).parents[2])],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert ask("courier") == "served True"
    assert ask("portal") == "turned away"
    assert ask("owner") == "turned away"


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    assert uid_of(here) == os.geteuid()
    here.close()
    there.close()


# -- frames -----------------------------------------------------------------------------------------------------------


def test_a_frame_above_the_limit_ends_the_connection_unread(keeper: Running) -> None:
    with raw(keeper) as peer:
        peer.sendall(struct.pack(">I", wire.MAX_FRAME + 1))
        assert peer.recv(1) == b""
    assert keeper.portal.health().ok


def test_a_frame_that_never_ends_is_given_up(make_keeper: Make) -> None:
    keeper = make_keeper(frame_seconds=0.2)
    with raw(keeper) as peer:
        peer.sendall(struct.pack(">I", 100) + b"x")
        assert peer.recv(1) == b""


def test_a_connection_may_idle_between_frames(make_keeper: Make) -> None:
    keeper = make_keeper(frame_seconds=0.2)
    with raw(keeper) as peer:
        for _ in range(2):
            assert not is_readable(peer, 0.5)  # neither closed nor answered
            peer.sendall(wire.request("anchors", {}))
            assert wire.receive(peer, 60)


def test_more_connections_than_there_is_room_for_are_closed_and_make_room_again(make_keeper: Make) -> None:
    keeper = make_keeper(connections=3)
    peers = [raw(keeper) for _ in range(3)]
    for peer in peers:
        peer.sendall(wire.request("anchors", {}))
        assert wire.receive(peer, 60)
    with raw(keeper) as extra:
        assert extra.recv(1) == b""
    for peer in peers:
        peer.close()

    def served() -> bool:
        try:
            return keeper.portal.health().ok
        except KeeperGone:
            return False

    assert wait_for(served, "room for a new connection")


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=200))
def test_no_body_breaks_the_desk(body: bytes) -> None:
    answer = _desk().answer("portal", body)
    said = msgspec.msgpack.decode(answer[4:])
    assert said["error"] in ("Denied", "KeeperGone")


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["prove", "adopt", "open", "register", "queue", "codes", "signup", "link", "ended"]),
    values=st.dictionaries(
        st.sampled_from(["ticket", "token", "claims", "code", "grants", "address", "k", "ids", "kind", "x"]),
        st.none() | st.integers() | st.binary(max_size=20) | st.text(max_size=20) | st.lists(st.integers(), max_size=3),
        max_size=4,
    ),
)
def test_no_arguments_break_the_desk(name: str, values: dict[str, object]) -> None:
    values = {key: value for key, value in values.items() if not isinstance(value, int) or abs(value) < 2**63}
    values = {key: value for key, value in values.items() if not isinstance(value, list)}
    answer = _desk().answer("portal", msgspec.msgpack.encode({"r": name, "a": values}))
    assert "error" in msgspec.msgpack.decode(answer[4:])


def _desk() -> object:
    """Return a desk without a master key: what it decodes is strangers', what it answers is a refusal."""
    import structlog

    from cryptnsend.core.passwords import Argon
    from cryptnsend.keeper.context import Settings
    from cryptnsend.keeper.server import Desk

    from .conftest import HandClock

    class Nothing:
        def migrate(self, steps: object) -> None:
            raise errors.StoreBroken("there is nothing here")

    log = structlog.wrap_logger(structlog.testing.CapturingLogger())
    settings = Settings(journal=Path("/nonexistent"), argon=Argon(64, 1, 1))
    return Desk(Nothing(), EnvProvider("NONE", {}, os.urandom), HandClock(), os.urandom, settings, log)


@given(
    kind=st.sampled_from(
        ["Temporary", "KeeperGone", "StoreBroken", "StoreFull", "Denied", "NoGrant", "Ended", "SealBroken"]
    ),
    text=st.text(max_size=30),
)
def test_an_error_comes_out_as_the_class_it_went_in_as(kind: str, text: str) -> None:
    error = getattr(errors, kind)(text)
    back = wire.raised(msgspec.msgpack.decode(wire.refusal(error)[4:], type=wire.Answer))
    assert (type(back), str(back)) == (type(error), text)


def test_tries_and_waits_travel_with_their_errors() -> None:
    for error in (WrongSecret("no", tries_left=3), errors.Throttled("no", retry_after=40)):
        back = wire.raised(msgspec.msgpack.decode(wire.refusal(error)[4:], type=wire.Answer))
        assert (type(back), vars(back)) == (type(error), vars(error))


def test_a_sentence_keeps_what_was_filled_in_on_its_way() -> None:
    error = errors.Denied(errors.Sentence("Wait %(days)s days, %(name)s.", days=3, name="50 %(days)s"))
    back = wire.raised(msgspec.msgpack.decode(wire.refusal(error)[4:], type=wire.Answer))
    assert str(back) == "Wait 3 days, 50 %(days)s."
    assert isinstance(back.text, errors.Sentence)
    assert (back.text.words, back.text.values) == ("Wait %(days)s days, %(name)s.", {"days": 3, "name": "50 %(days)s"})


def test_an_error_that_is_not_on_the_list_is_temporary() -> None:
    assert type(wire.raised(wire.Answer(error="SystemExit", text="x"))) is errors.Temporary


def test_requests_are_counted_under_names_of_ours_only() -> None:
    from cryptnsend import metrics

    metrics.start("keeper")
    try:
        desk = _desk()
        for body in (wire.request("made-up-by-somebody", {})[4:], b"nonsense", wire.request("health", {})[4:]):
            desk.answer("courier", body)  # type: ignore[attr-defined]
        assert metrics.counted() == {
            ("keeper_requests", ("courier", "?", "denied")): 2,
            ("keeper_requests", ("courier", "health", "ok")): 1,
        }
    finally:
        metrics.stop()


# -- the master key ---------------------------------------------------------------------------------------------------


def test_without_a_master_key_it_runs_says_why_and_recovers_by_itself(keeper: Running) -> None:
    subscriber(keeper, ANN)
    key = keeper.folder / "master.key"
    octets = key.read_bytes()
    keeper.end()
    key.unlink()
    keeper.start()
    health = keeper.portal.health()
    assert not health.ok
    assert "master key" in health.why
    for attempt in (keeper.portal.anchors, lambda: keeper.portal.open(ANN, bytes(32)), keeper.owner.recovery_file):
        with pytest.raises(KeeperGone) as error:
            attempt()
        assert str(keeper.folder) not in str(error.value)
    key.write_bytes(octets)
    key.chmod(0o600)
    keeper.clock.forward(minutes=1)
    assert keeper.portal.health().ok


def test_a_first_start_without_a_master_key_makes_nothing(make_keeper: Make, short_folder: Path) -> None:
    keeper = make_keeper(provider=FileProvider(short_folder / "nowhere.key", os.urandom))
    assert not keeper.portal.health().ok
    assert keeper.engine.query("SELECT count(*) AS n FROM secrets") == [{"n": 0}]


def test_a_master_key_that_others_may_read_is_not_used(keeper: Running) -> None:
    keeper.end()
    (keeper.folder / "master.key").chmod(0o640)
    keeper.start()
    assert "640" in keeper.portal.health().why


def test_secrets_survive_a_restart_and_the_boot_id_does_not(keeper: Running) -> None:
    before = keeper.portal.anchors()
    keeper.restart()
    after = keeper.portal.anchors()
    assert (before.card_key, before.pending, before.queue) == (after.card_key, after.pending, after.queue)
    assert before.boot != after.boot


# -- going on ---------------------------------------------------------------------------------------------------------


def test_a_client_reconnects_once_to_a_keeper_that_restarted(keeper: Running) -> None:
    client = Keeper(keeper.folder / "keeper-portal.sock")
    client.anchors()
    keeper.restart()
    client._anchors = None
    assert client.anchors().era == 1
    client.close()
    with pytest.raises(KeeperGone):
        client.health()


def test_a_keeper_that_does_not_answer_in_time_is_gone(short_folder: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(short_folder / "mute.sock"))
    listener.listen()
    client = Keeper(short_folder / "mute.sock", timeout=0.2)
    with pytest.raises(KeeperGone, match="in time"):
        client.health()
    client.close()
    listener.close()


def test_threads_ask_side_by_side(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    answers: list[int] = []

    def ask() -> None:
        answers.extend(keeper.portal.open(ANN, ann.k).account for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [ann.account] * 40


def test_two_wrong_tries_at_the_same_moment_are_two_tries(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, PAT)
    guesses = [f"{(int(code) + n) % 1_000_000:06d}" for n in range(1, 5)]

    def guess(told: str) -> None:
        with pytest.raises(WrongSecret):
            keeper.portal.prove(mail.link.token, mail.claims, told)

    threads = [threading.Thread(target=guess, args=(each,)) for each in guesses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert keeper.portal.codes(ann.ticket, [PAT])[0].tries_left == 1


def test_what_nobody_foresaw_is_temporary_and_says_nothing(make_keeper: Make, caplog: pytest.LogCaptureFixture) -> None:
    keeper = make_keeper(around=FaultyEngine)
    engine = keeper.engine
    assert isinstance(engine, FaultyEngine)
    ann = subscriber(keeper, ANN)
    engine.arm(1, after=False)
    with pytest.raises(errors.Temporary) as error:
        keeper.portal.codes(ann.ticket, ["secret-word@home.example"])
    assert type(error.value) is errors.Temporary
    assert "Crash" in caplog.text
    assert "secret-word" not in caplog.text + str(error.value)


def test_no_secret_reaches_a_log_line_or_an_exceptions_text(keeper: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, PAT)
    texts = []
    for attempt in (
        lambda: keeper.portal.prove(mail.link.token, mail.claims, "765432"),
        lambda: keeper.portal.open(ANN, b"K" * 32),
        lambda: keeper.portal.adopt(b"T" * 64, [mail.grant]),
        lambda: keeper.portal._ask(type(None), "adopt", ticket=b"T" * 64, nonsense="N" * 20),
    ):
        with pytest.raises(CryptnSendError) as error:
            attempt()
        texts.append(str(error.value))
    opened = register(keeper, mail, code, pat)
    proof = keeper.portal.mail_proof(PAT, "reset")
    told = "".join(
        [*texts, caplog.text, repr(opened), repr(proof), repr(keeper.courier.mail_code(proof.id)), repr(mail)]
    )
    for secret in (code, "765432", "KKKK", "TTTT", "NNNN", mail.link.token, keeper.courier.mail_code(proof.id).code):
        assert secret not in told


def test_sigterm_ends_the_process_cleanly_and_its_memory_is_its_own(short_folder: Path) -> None:
    program = Path(__file__).with_name("standalone.py")
    process = subprocess.Popen([sys.executable, str(program), str(short_folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    client = Keeper(short_folder / "keeper-owner.sock")
    assert client.health().ok
    limits = Path(f"/proc/{process.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert core.split()[4:6] == ["0", "0"]
    with pytest.raises(KeeperGone):
        client.health()
    client.close()
    process.stdout.close()
    assert list(short_folder.glob("*.sock")) == []


def test_an_answer_under_way_is_finished_before_the_end(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    done: list[str] = []

    def ask() -> None:
        try:
            for _ in range(200):
                keeper.portal.open(ANN, ann.k)
                done.append("opened")
        except (KeeperGone, Denied) as error:
            done.append(type(error).__name__)

    client = keeper.portal
    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: done, "the first answer")
    keeper.stop.set()
    assert keeper.thread is not None
    keeper.thread.join(60)
    thread.join(60)
    assert not keeper.thread.is_alive()
    assert set(done) <= {"opened", "KeeperGone"}
    client.close()
