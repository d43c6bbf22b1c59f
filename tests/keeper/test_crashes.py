"""A crash at any commit of a request, and the same request again: it succeeds, with the same answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cryptnsend.core.errors import CryptnSendError, KeeperGone, Temporary
from cryptnsend.keeper import requests as q
from cryptnsend.keeper.client import Keeper

from .conftest import PARAMS, Make, Person, Running, code_for, content_of, register, send, subscriber
from .faults import FaultyEngine

ANN, PAT = "ann@clinic.example", "pat@home.example"

# Each story prepares what it needs and returns the request, to be sent as often as it takes.
Story = Callable[[Running], Callable[[], q.Opened]]


def registering(keeper: Running) -> Callable[[], q.Opened]:
    ann, k = subscriber(keeper, ANN), os.urandom(32)
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, PAT)

    def again() -> q.Opened:
        # From the link on, as a browser does that got an error page.
        proof = keeper.portal.prove(mail.link.token, mail.claims, code)
        return keeper.portal.register(proof.ticket, proof.salt, PARAMS, k, "Pat", "en")

    return again


def resetting(keeper: Running) -> Callable[[], q.Opened]:
    subscriber(keeper, ANN)
    proof, k = keeper.portal.mail_proof(ANN, "reset"), os.urandom(32)
    code = keeper.courier.mail_code(proof.id).code
    return lambda: keeper.portal.reset(proof.id, code, proof.salt, PARAMS, k)


def changing(keeper: Running) -> Callable[[], q.Opened]:
    ann, k = subscriber(keeper, ANN), os.urandom(32)
    salt = keeper.portal.change_salt(ann.ticket)
    return lambda: keeper.portal.change(ann.ticket, ann.k, salt, PARAMS, k)


def signing_up(keeper: Running) -> Callable[[], q.Opened]:
    proof, k = keeper.portal.mail_proof(ANN, "signup"), os.urandom(32)
    code = keeper.courier.mail_code(proof.id).code
    return lambda: keeper.portal.signup(proof.id, code, proof.salt, PARAMS, k, "Ann", "en")


def adding(keeper: Running) -> Callable[[], q.Opened]:
    salt, k = os.urandom(16), os.urandom(32)
    return lambda: keeper.owner.add(ANN, None, ["subscriber"], salt, PARAMS, k, "Ann")


def proving(keeper: Running) -> Callable[[], q.Opened]:
    ann, bob, pat = subscriber(keeper, ANN), subscriber(keeper, "bob@clinic.example"), Person(PAT)
    first = send(keeper, ann, PAT)
    register(keeper, first, code_for(keeper, ann, PAT), pat)
    mail, code = send(keeper, bob, PAT), code_for(keeper, bob, PAT)

    def again() -> q.Opened:
        row = keeper.portal.prove_session(pat.ticket, mail.link.token, mail.claims, code)
        assert (row.state, row.subscriber) == ("proven", bob.account)
        opened = pat.sign_in(keeper)
        assert [content_of(each, opened) for each in keeper.portal.adopt(opened.ticket, [mail.grant])] == [mail.content]
        return opened

    return again


def unlocking(keeper: Running) -> Callable[[], q.Opened]:
    ann, again = subscriber(keeper, ANN), Person(ANN)
    proof = keeper.portal.mail_proof(ANN, "reset")
    code = keeper.courier.mail_code(proof.id).code
    again.opened = keeper.portal.reset(proof.id, code, proof.salt, PARAMS, again.k)

    def once_more() -> q.Opened:
        opened = again.sign_in(keeper)
        if opened.locked:
            keeper.portal.unlock(opened.ticket, "password", ann.k, again.k)
        return again.sign_in(keeper)

    return once_more


@pytest.mark.parametrize(
    "story", [registering, resetting, changing, signing_up, adding, proving, unlocking], ids=lambda each: each.__name__
)
def test_a_request_repeated_after_a_crash_at_any_commit_succeeds_with_the_same_answer(
    make_keeper: Make, story: Story
) -> None:
    commits = 1
    at = 0
    while at < commits:
        at += 1
        for after in (False, True):
            keeper = make_keeper(around=FaultyEngine, signup="open")
            engine = keeper.engine
            assert isinstance(engine, FaultyEngine)
            request = story(keeper)
            engine.arm(at, after=after)
            with pytest.raises(Temporary):
                request()
            engine.arm(0, after=False)
            first = request()
            commits = max(commits, engine.seen)
            second = request()
            assert (second.account, second.seeds, second.generation) == (first.account, first.seeds, first.generation)
            assert first.seeds
            accounts = keeper.engine.query("SELECT count(*) AS n FROM accounts")[0]["n"]
            assert accounts == {registering: 2, proving: 3}.get(story, 1)
    assert at >= 1


def test_a_reset_that_is_repeated_is_one_reset(make_keeper: Make) -> None:
    keeper = make_keeper(around=FaultyEngine)
    assert isinstance(keeper.engine, FaultyEngine)
    request = resetting(keeper)
    keeper.engine.arm(2, after=True)
    with pytest.raises(Temporary):
        request()
    assert request().generation == 2
    assert request().generation == 2


def test_an_answer_lost_with_another_password_typed_says_to_sign_in(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    code, pat = code_for(keeper, ann, PAT), Person(PAT)
    register(keeper, mail, code, pat)
    with pytest.raises(CryptnSendError, match="Sign in"):
        register(keeper, mail, code, Person(PAT))
    assert pat.sign_in(keeper).addresses == (PAT,)


@pytest.mark.parametrize(("request_", "at"), [("register", 2), ("reset", 2)])
def test_a_keeper_that_is_killed_at_a_commit_goes_on_with_the_repeated_request(
    short_folder: Path, request_: str, at: int
) -> None:
    """The same with a real process that ends itself right after the COMMIT, and a new one on the same ledger."""
    worker = Path(__file__).with_name("worker.py")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(worker), str(short_folder), request_, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    prepared = run("prepare", "0")
    assert prepared.returncode == 0, prepared.stderr
    killed = run("play", str(at))
    assert killed.returncode == 9, killed.stderr
    repeated = run("play", "0")
    assert repeated.returncode == 0, repeated.stderr
    assert repeated.stdout.split()[0] == "opened"


def test_a_client_tells_a_keeper_that_is_gone(short_folder: Path) -> None:
    client = Keeper(short_folder / "keeper-portal.sock")
    with pytest.raises(KeeperGone):
        client.anchors()
