"""What comes of an answer by ordinary mail that somebody else who got it brings again? Its signature still holds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.flow.conftest import Desk, faces
from tests.flow.inbound_door import Door
from tests.support.domains import OTHER_HOST, signed
from tests.support.house import DAY, HOUR

ANN, PAT, BOB, EVE = "ann@gmail.example", "pat@yahoo.example", "bob@icloud.example", "eve@evil.example"


class Talk:
    """Ann wrote twice to Pat and Bob, who opened both; all have mail programs. Bob passes on what Pat wrote."""

    def __init__(self, desk: Desk):
        self.house, self.door = desk.house, Door(desk.house)
        self.house.add_subscriber(ANN)
        self.first, self.second = (
            self.house.submit(ANN, [PAT, BOB], self.house.mail(subject, to=[PAT, BOB]))
            for subject in ("Surgery?", "Selling the house?")
        )
        for each in (PAT, BOB):
            self.house.register(each, self.first)
        desk.deliver()

    def to(self, message: int) -> str:
        """Return the address by which a message is answered."""
        return self.house.reply_token(message, ANN)

    def written(self, *to: str, text: str = "Yes, please do.") -> bytes:
        """Return a mail of Pat's as their provider sends it."""
        octets = self.house.mail("Re: Ann sent you a secure message", text, author=PAT, to=to)
        return signed(octets, "yahoo.example", self.house.clock.now())

    def replay(self, octets: bytes, to: str) -> str:
        """Let Bob bring a mail, from a server of his own."""
        return self.door.bring(octets, to, sender=EVE, source=OTHER_HOST)

    def answers(self) -> Sequence[int]:
        """Return what was answered: the parents of the replies."""
        rows = self.house.engine.query("SELECT parent FROM messages WHERE origin = 'mail' AND state = 'sealed'")
        return [row["parent"] for row in rows]

    def alerts(self) -> int:
        return len([row for row in self.house.queued("alert") if row["template"] == "by-mail"])


@pytest.fixture
def talk(desk: Desk) -> Talk:
    return Talk(desk)


def test_the_same_mail_again_is_taken_and_makes_nothing_new(talk: Talk) -> None:
    mail = talk.written(talk.to(talk.first), BOB)
    assert talk.door.bring(mail, talk.to(talk.first)) == "250 2.0.0"
    told = talk.alerts()
    for _ in range(3):
        assert talk.replay(mail, talk.to(talk.first)) == "250 2.0.0"
    assert (talk.answers(), talk.door.kept(), talk.alerts()) == ([talk.first], [], told)


@pytest.mark.parametrize("field", [b"Message-ID: <another@evil.example>\r\n", b"X-Seen: again\r\n"])
def test_what_is_changed_where_nothing_was_signed_makes_it_no_other_mail(
    talk: Talk, field: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many providers sign no Message-ID, so that by itself tells nothing."""
    monkeypatch.setattr("cryptnsend.delivery.dkim._SIGNED", ("cc",))
    mail = talk.written(talk.to(talk.first), BOB)
    assert talk.door.bring(mail, talk.to(talk.first)) == "250 2.0.0"
    assert talk.replay(field + mail, talk.to(talk.first)) == "250 2.0.0"
    assert (talk.answers(), talk.door.kept()) == ([talk.first], [])


def test_it_answers_nothing_else(talk: Talk) -> None:
    """A "yes" to one question must not stand under another one."""
    mail = talk.written(talk.to(talk.first), BOB)
    assert talk.door.bring(mail, talk.to(talk.first)) == "250 2.0.0"
    assert talk.replay(mail, talk.to(talk.second)) == "250 2.0.0"
    assert talk.answers() == [talk.first]
    assert talk.door.kept() == [("passed-on", talk.second)]


def test_what_was_never_sent_here_joins_no_conversation(talk: Talk) -> None:
    mail = talk.written(BOB, text="Yes, come at eight.")
    assert talk.replay(mail, talk.to(talk.first)) == "250 2.0.0"
    assert (talk.answers(), talk.door.kept()) == ([], [("passed-on", talk.first)])


@pytest.mark.parametrize("name", ["To", "Cc", "Resent-To"])
def test_an_address_that_is_added_to_a_signed_mail_does_not_count(
    talk: Talk, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two fields of one name the last was signed, where a provider signs no more than there were."""
    monkeypatch.setattr("cryptnsend.delivery.dkim._GUARDED", ())
    monkeypatch.setattr("cryptnsend.delivery.dkim._SIGNED", ("from", "to", "cc", "subject", "date"))
    mail = f"{name}: {talk.to(talk.first)}\r\n".encode() + talk.written(BOB)
    talk.replay(mail, talk.to(talk.first))
    assert talk.answers() == []
    ((reason, _),) = talk.door.kept()
    assert reason in ("passed-on", "unproven")


def test_it_is_too_old_before_it_is_forgotten(talk: Talk) -> None:
    mail = talk.written(talk.to(talk.first), BOB)
    assert talk.door.bring(mail, talk.to(talk.first)) == "250 2.0.0"
    talk.house.clock.forward(47 * HOUR)
    talk.house.upkeep.once()
    talk.replay(mail, talk.to(talk.first))
    assert talk.door.kept() in ([], [("passed-on", talk.first)])
    talk.house.clock.forward(3 * DAY)
    talk.house.upkeep.once()
    assert talk.replay(mail, talk.to(talk.first)) == "250 2.0.0"
    assert talk.answers() == [talk.first]
    assert talk.door.kept()[-1] == ("passed-on", talk.first)


def test_one_mail_answers_two_conversations_if_its_author_wrote_to_both(talk: Talk) -> None:
    mail = talk.written(talk.to(talk.first), talk.to(talk.second))
    for message in (talk.first, talk.second):
        assert talk.door.bring(mail, talk.to(message)) == "250 2.0.0"
    assert sorted(talk.answers()) == sorted([talk.first, talk.second])


def test_what_the_authors_own_host_brings_may_name_us_nowhere(talk: Talk) -> None:
    """A blind copy: nobody else can bring it from there."""
    assert talk.door.bring(talk.written(BOB), talk.to(talk.first)) == "250 2.0.0"
    assert talk.answers() == [talk.first]


def test_what_a_forwarder_brings_joins_if_it_was_meant_for_us(talk: Talk) -> None:
    """SPF fails behind every forwarder; the signature and the address in To are what is left."""
    mail = talk.written(talk.to(talk.first))
    assert talk.replay(mail, talk.to(talk.first)) == "250 2.0.0"
    assert (talk.answers(), talk.door.kept()) == ([talk.first], [])


def test_who_reads_what_was_kept_is_told_why(talk: Talk, desk: Desk) -> None:
    talk.replay(talk.written(BOB), talk.to(talk.first))
    desk.deliver()
    assert "somebody else may have brought it here" in " ".join(faces(desk.answers.mails(ANN)[-1])[0].split())
