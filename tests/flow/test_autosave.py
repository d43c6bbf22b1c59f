"""Does a draft remain that a script kept while its form was sent? No draft of what was sent, whoever was first."""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Ended
from cryptnsend.flow.admit import Draft
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Upload, Writing
from tests.support.house import OTHER, House

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
FORM, ANOTHER = b"n" * 16, b"m" * 16
WRITING = Writing(to=(PAT,), subject="Results", text="All is well.")


@pytest.fixture
def ann(house: House) -> Session:
    house.add_subscriber(ANN)
    return house.session(ANN)


def large() -> Upload:
    octets = b"%PDF " * 20_000
    return Upload("scan.pdf", "application/pdf", len(octets), lambda: iter([octets]))


def save(house: House, ann: Session, nonce: bytes = FORM) -> int:
    """Keep the form as its script does that has not heard of a draft yet."""
    house.clock.forward(1)
    return house.portal.drafts.save(ann, WRITING, files=[large()], keep=(), nonce=nonce)


def send(house: House, ann: Session) -> int:
    house.clock.forward(1)
    return house.portal.newmail.send(ann, WRITING, nonce=FORM)


def test_a_draft_that_was_kept_just_before_goes_with_the_message(house: House, ann: Session) -> None:
    """The page that was sent did not know of it: the answer with its number was under way."""
    save(house, ann)
    before = len([*house.portal.blobs.keys()])
    assert send(house, ann)
    assert house.portal.drafts.listing(ann) == []
    assert len([*house.portal.blobs.keys()]) < before


def test_a_draft_that_is_kept_while_the_message_is_sealed_goes_too(
    house: House, ann: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Draft.commit_now

    def late(draft: Draft, *given: object) -> object:
        save(house, ann)
        return commit(draft, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Draft, "commit_now", late)
    assert send(house, ann)
    assert house.portal.drafts.count(ann) == 0


def test_nothing_is_kept_of_a_form_after_it_was_sent(house: House, ann: Session) -> None:
    send(house, ann)
    with pytest.raises(Ended):
        save(house, ann)
    assert house.portal.drafts.count(ann) == 0


def test_other_drafts_stay(house: House, ann: Session) -> None:
    other = save(house, ann, ANOTHER)
    plain = house.portal.drafts.save(ann, WRITING)  # of no form, as of what was passed on
    send(house, ann)
    assert {each.id for each in house.portal.drafts.listing(ann)} == {other, plain}


def test_what_the_present_password_does_not_open_stays(house: House, ann: Session) -> None:
    """Whoever reset the password by mail may be somebody else."""
    save(house, ann)
    weak = house.reset(ANN, OTHER)
    assert send(house, weak)
    assert house.portal.drafts.count(weak) == 1
