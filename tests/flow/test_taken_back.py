"""What becomes of mail that is taken back before it leaves, or while it does?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest

from cryptnsend.delivery.courier import Outcome
from cryptnsend.delivery.session import Session
from cryptnsend.flow.deliver import LEASE
from tests.flow.conftest import DELIVERED, LATER, Desk, Post
from tests.flow.due import notice
from tests.flow.rows import deliveries, recipients
from tests.support.house import DAY, HOUR

ANN, PAT, BOB = "ann@gmail.example", "pat@yahoo.example", "bob@icloud.example"
NO_TLS = Outcome("failed", None, "5.7.10", "offers no TLS", "mx.example", reason=Outcome.TLS_MISSING)


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN)


# -- taken back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", ["Results", ":: Results"])
def test_what_was_taken_back_before_it_left_does_not_leave(desk: Desk, ann: int, subject: str) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail(subject))
    house.pickup.expire(house.session(ANN), message)
    desk.deliver()
    assert not desk.answers.mails(PAT)
    kind = "relay" if subject.startswith("::") else "notice"
    assert (desk.row(kind)["state"], desk.row(kind)["queue_wrap"]) == ("cancelled", None)


def test_what_was_taken_back_between_two_tries_does_not_leave(desk: Desk, ann: int) -> None:
    house = desk.house
    message = notice(desk)
    desk.say(LATER)
    desk.deliver()
    sent = len(desk.answers.mails(PAT))
    house.pickup.expire(house.session(ANN), message)
    house.clock.forward(DAY)
    desk.deliver()
    assert len(desk.answers.mails(PAT)) == sent
    assert desk.row()["state"] == "cancelled"


def test_an_expired_message_is_not_announced_any_more(desk: Desk, ann: int) -> None:
    house = desk.house
    notice(desk)
    house.clock.forward(31 * DAY)
    house.upkeep.once()
    desk.deliver()
    assert desk.row()["state"] == "cancelled"


@pytest.mark.parametrize("for_good", [False, True], ids=["taken back", "deleted for good"])
@pytest.mark.parametrize("whom", [None, PAT], ids=["from all", "from one"])
def test_plain_mail_that_turns_into_a_message_just_then_is_taken_back_as_that(
    desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch, whom: str | None, for_good: bool
) -> None:
    """The courier makes the grant and the notice between the sender's look at what there is and its end."""
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail(":: Results"))
    desk.say(NO_TLS, DELIVERED)
    session, ended, turned = house.session(ANN), house.portal.keeper.ended, []

    def meanwhile(kind: str, ids: Sequence[int]) -> None:
        if not turned:
            # The attempt ends with the notice being claimed, which is about to leave then.
            turned.append(desk.courier._attempt(desk.courier._claim()))
        ended(kind, ids)

    monkeypatch.setattr(house.portal.keeper, "ended", meanwhile)
    (house.pickup.shred if for_good else house.pickup.expire)(session, message, whom)
    assert recipients(house, message)[PAT]["decision"] == "vault"  # it did turn
    states = house.engine.query("SELECT state, ends FROM grants WHERE role = 'recipient' AND message = :m", m=message)
    assert [row["state"] for row in states] == ["suspended"]
    assert house.pickup.status(session, message).taken_back is not None
    (claimed,) = turned
    assert claimed["kind"] == "notice"
    desk.courier._attempt(claimed)
    desk.deliver()
    refused, *more = desk.answers.mails(PAT)
    assert (refused["Subject"], more) == ("Results", [])
    house.upkeep.once()
    left = house.engine.query("SELECT id FROM grants WHERE role = 'recipient' AND message = :m", m=message)
    assert len(left) == (0 if for_good else 1)
    if not for_good:
        house.pickup.restore(session, message)
        desk.deliver()
        assert len(desk.answers.mails(PAT)) == 2


# -- an attempt under way ---------------------------------------------------------------------------------------------


@pytest.fixture
def held(post: Post, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What happens while a peer waits for the body: [at its start, before its last block]."""
    meanwhile: list[Callable[[], None]] = [lambda: None, lambda: None]
    whole = Session.body

    def body(session: Session, chunks: Iterable[bytes]) -> tuple[int, bytes]:
        def passing() -> Iterator[bytes]:
            chunk = next(waiting := iter(chunks))
            meanwhile[1]()
            yield chunk
            yield from waiting

        meanwhile[0]()
        return whole(session, passing())

    monkeypatch.setattr(Session, "body", body)
    return meanwhile


def leaving(post: Post, kind: str) -> tuple[int, str]:
    """Let Ann write something that leaves as *kind*, everything of before delivered; return message and address."""
    house = post.house
    house.add_subscriber(ANN)
    if kind == "handoff":
        house.add_subscriber(BOB)
        house.prove(house.session(BOB), BOB, house.submit(ANN, [BOB], house.mail(to=[BOB])))
    post.deliver()
    to = BOB if kind == "handoff" else PAT
    text = ("x" * 998 + "\r\n") * 200
    subject = ":: Results" if kind == "relay" else "Results"
    message = house.submit(ANN, [to], house.mail(subject, text, to=[to]))
    assert deliveries(house, message)[0][0] == kind
    return message, to


@pytest.mark.parametrize("moment", [0, 1], ids=["before the first octet", "before the last"])
@pytest.mark.parametrize("kind", ["notice", "relay", "handoff"])
def test_what_is_taken_back_while_it_is_leaving_arrives_nowhere(
    post: Post, held: list[Callable[[], None]], kind: str, moment: int
) -> None:
    message, to = leaving(post, kind)
    before = len(post.mails(to))
    session = post.house.session(ANN)
    held[moment] = lambda: post.house.pickup.expire(session, message)
    post.deliver()
    held[moment] = lambda: None
    assert len(post.mails(to)) == before
    row = post.delivery(kind)
    assert (row["state"], row["queue_wrap"]) == ("cancelled", None)
    post.house.clock.forward(HOUR)
    post.deliver()
    assert len(post.mails(to)) == before


@pytest.mark.parametrize("kind", ["notice", "handoff"])
def test_what_is_taken_back_and_given_back_while_it_is_leaving_is_told_all_the_same(
    post: Post, held: list[Callable[[], None]], kind: str
) -> None:
    message, to = leaving(post, kind)
    before = len(post.mails(to))
    session = post.house.session(ANN)

    def think_twice() -> None:
        held[0] = lambda: None
        post.house.pickup.expire(session, message)
        post.house.pickup.restore(session, message)

    held[0] = think_twice
    post.deliver()
    assert len(post.mails(to)) == before + 1
    assert post.delivery(kind)["state"] == "delivered"
    assert post.delivery(kind)["form"] == ("link" if kind == "handoff" else "")


def test_a_handoff_that_was_taken_back_between_two_tries_and_given_back_goes_as_a_link(desk: Desk, ann: int) -> None:
    house = desk.house
    house.add_subscriber(BOB)
    house.prove(house.session(BOB), BOB, house.submit(ANN, [BOB], house.mail(to=[BOB])))
    desk.deliver()
    message = house.submit(ANN, [BOB], house.mail(to=[BOB]))
    session, sent = house.session(ANN), len(desk.answers.sent)

    def meanwhile(*_: object, **__: object) -> Outcome:
        house.pickup.expire(session, message)
        house.pickup.restore(session, message)
        return LATER

    send = desk.answers.send
    desk.answers.send = meanwhile  # type: ignore[method-assign]
    desk.deliver()
    desk.answers.send = send  # type: ignore[method-assign]
    house.clock.forward(DAY)
    desk.deliver()
    assert (desk.row("handoff")["state"], desk.row("handoff")["form"]) == ("delivered", "link")
    assert len(desk.answers.sent) == sent + 1


@pytest.mark.parametrize("kind", ["notice", "relay", "handoff"])
def test_what_is_not_taken_back_arrives_all_the_same(post: Post, held: list[Callable[[], None]], kind: str) -> None:
    """The control of the tests around it."""
    _, to = leaving(post, kind)
    before = len(post.mails(to))
    post.deliver()
    assert len(post.mails(to)) == before + 1


def test_a_worker_that_lost_its_lease_in_the_middle_sends_nothing(post: Post, held: list[Callable[[], None]]) -> None:
    leaving(post, "relay")
    house = post.house

    def taken_up_elsewhere() -> None:
        house.tamper("UPDATE deliveries SET fence = fence + 1 WHERE kind = 'relay'")

    held[1] = taken_up_elsewhere
    post.deliver()
    assert post.mails(PAT) == []
    assert post.delivery("relay")["state"] == "leased"  # it is the other's now
    held[1] = lambda: None
    house.clock.forward(LEASE + 1)
    post.deliver()
    assert len(post.mails(PAT)) == 1
