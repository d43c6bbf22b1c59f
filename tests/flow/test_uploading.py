"""Files that come in pieces: what is said to be here is durable, opens for its owner alone, and ends if left alone."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import NoGrant, Refusal, SealBroken
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.uploading import EXPIRES, Crowded, Moved, Uploads
from cryptnsend.flow.views import Writing
from tests.support.house import PASSWORD, House

ANN, PAT, BOB = "ann@gmail.example", "pat@yahoo.example", "bob@gmail.example"
FILE = os.urandom(1_000_003)
PIECE = 100_000
NONCE = b"n" * 16


@pytest.fixture
def ann(house: House) -> Session:
    house.add_subscriber(ANN)
    return house.session(ANN)


@pytest.fixture
def uploads(house: House) -> Uploads:
    """Return what takes files in, with pieces so small that a file has many, some in blobs and some in rows."""
    return made(house)


def made(house: House, **values: int) -> Uploads:
    built = house.portal
    values = {"quota": 10_000_000, "piece": PIECE, **values}
    return Uploads(
        engine=built.engine, vault=built.vault, keeper=built.keeper, clock=house.clock, random=os.urandom, **values
    )


def begun(uploads: Uploads, session: Session, octets: bytes = FILE, nonce: bytes = NONCE, parent: int = 0) -> int:
    return uploads.begin(session, "scan.pdf", "application/pdf", len(octets), nonce=nonce, parent=parent).id


def blocks(octets: bytes, size: int = 70_000) -> Iterator[bytes]:
    for start in range(0, len(octets), size):
        yield octets[start : start + size]


def whole(uploads: Uploads, session: Session, ident: int) -> bytes:
    return b"".join(uploads.upload(session, ident).chunks())


def blobs(house: House) -> set[str]:
    return {key for key, _ in house.portal.blobs.keys()}  # noqa: SIM118 - not a dict


def test_what_arrived_stays_when_the_rest_breaks_off_and_the_house_starts_anew(
    house: House, uploads: Uploads, ann: Session
) -> None:
    ident = begun(uploads, ann)

    def breaks() -> Iterator[bytes]:
        yield from blocks(FILE[:350_000])
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        uploads.append(ann, ident, 0, breaks())
    again, back = made(house), house.session(ANN)  # another process, and the owner signed in again
    here = again.look(back, ident).arrived
    assert here == 3 * PIECE
    with pytest.raises(Refusal, match="as a whole"):
        again.upload(back, ident)
    assert again.append(back, ident, here, blocks(FILE[here:])).arrived == len(FILE)
    assert whole(again, back, ident) == FILE


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 260_000), max_size=8), st.integers(1, 200_000))
def test_a_file_is_the_same_whatever_the_steps_it_came_in(
    house: House, uploads: Uploads, ann: Session, steps: list[int], block: int
) -> None:
    ident, here = begun(uploads, ann), 0
    for step in [*steps, len(FILE)]:
        here = uploads.append(ann, ident, here, blocks(FILE[here : here + step], block)).arrived
    assert whole(uploads, ann, ident) == FILE
    uploads.drop(ann, ident)
    assert blobs(house) == set()


def test_octets_at_another_place_than_the_end_are_not_taken(uploads: Uploads, ann: Session) -> None:
    ident = begun(uploads, ann)
    uploads.append(ann, ident, 0, blocks(FILE[:1000]))
    for wrong in (0, 999, 1001, len(FILE)):
        with pytest.raises(Moved):
            uploads.append(ann, ident, wrong, blocks(FILE[wrong : wrong + 10]))
    assert uploads.look(ann, ident).arrived == 1000


def test_of_two_requests_at_once_one_goes_on(house: House, uploads: Uploads, ann: Session) -> None:
    ident = begun(uploads, ann)

    def overtaken() -> Iterator[bytes]:
        yield FILE[:1000]
        uploads.append(ann, ident, 0, blocks(FILE[:PIECE]))

    with pytest.raises(Moved):
        uploads.append(ann, ident, 0, overtaken())
    assert uploads.append(ann, ident, PIECE, blocks(FILE[PIECE:])).arrived == len(FILE)
    assert whole(uploads, ann, ident) == FILE
    uploads.drop(ann, ident)
    assert blobs(house) == set()


def test_more_octets_than_were_announced_are_not_taken(house: House, uploads: Uploads, ann: Session) -> None:
    ident = begun(uploads, ann, FILE[:50_000])
    with pytest.raises(Refusal, match="More of this file"):
        uploads.append(ann, ident, 0, blocks(FILE[:50_001]))
    assert uploads.look(ann, ident).arrived == 0
    assert blobs(house) == set()


def test_a_file_of_nothing_is_whole_at_once(uploads: Uploads, ann: Session) -> None:
    assert whole(uploads, ann, begun(uploads, ann, b"")) == b""


def test_the_same_request_begins_no_second_file(uploads: Uploads, ann: Session) -> None:
    ident = begun(uploads, ann)
    uploads.append(ann, ident, 0, blocks(FILE[:5000]))
    once_more = uploads.begin(ann, "scan.pdf", "application/pdf", len(FILE), nonce=NONCE)
    assert (once_more.id, once_more.arrived) == (ident, 5000)
    with pytest.raises(Refusal):
        begun(uploads, ann, FILE[:10])
    assert begun(uploads, ann, nonce=b"m" * 16) != ident


def test_a_file_is_not_there_for_anybody_else(house: House, uploads: Uploads, ann: Session) -> None:
    ident = begun(uploads, ann)
    house.add_subscriber(BOB)
    bob = house.session(BOB)
    assert begun(uploads, bob) != ident  # by the same nonce
    for act in (
        lambda: uploads.look(bob, ident),
        lambda: uploads.append(bob, ident, 0, [b"x"]),
        lambda: uploads.upload(bob, ident),
        lambda: uploads.drop(bob, ident),
    ):
        with pytest.raises(NoGrant):
            act()
    assert uploads.look(ann, ident).arrived == 0


def test_an_answer_needs_the_message_that_it_answers(house: House, uploads: Uploads, ann: Session) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    ident = begun(uploads, pat, parent=message)
    uploads.append(pat, ident, 0, blocks(FILE))
    assert whole(uploads, pat, ident) == FILE
    house.add_subscriber(BOB)
    with pytest.raises(NoGrant):
        begun(uploads, house.session(BOB), parent=message)


def test_nobody_fills_the_house(house: House, ann: Session) -> None:
    few = made(house, most=3)
    for number in range(3):
        begun(few, ann, FILE[:10], nonce=bytes([number]) * 16)
    with pytest.raises(Crowded, match="Too many"):
        begun(few, ann, FILE[:10])
    few.drop(ann, few.begin(ann, "", "", 10, nonce=bytes(16)).id)
    begun(few, ann, FILE[:10])
    with pytest.raises(Crowded, match="too large together"):
        begun(made(house, quota=1_000_000), ann, nonce=b"l" * 16)


def test_what_nobody_goes_on_with_is_over_after_a_day_and_swept(house: House, uploads: Uploads, ann: Session) -> None:
    left, kept = begun(uploads, ann), begun(uploads, ann, nonce=b"k" * 16)
    uploads.append(ann, left, 0, blocks(FILE[:300_000]))
    house.clock.forward(EXPIRES - 1000)
    uploads.append(house.session(ANN), kept, 0, blocks(FILE[:300_000]))
    house.clock.forward(2000)
    ann = house.session(ANN)
    with pytest.raises(NoGrant):
        uploads.look(ann, left)
    house.upkeep.once()
    assert [row["id"] for row in house.engine.query("SELECT id FROM uploads")] == [kept]
    assert len(blobs(house)) == 3
    assert uploads.look(ann, kept).arrived == 300_000
    assert begun(uploads, ann) not in (left, kept)  # by the same nonce, from the start


def test_a_file_whose_time_is_over_begins_again_though_nobody_swept_it(
    house: House, uploads: Uploads, ann: Session
) -> None:
    left = begun(uploads, ann)
    house.clock.forward(EXPIRES + 1)
    assert begun(uploads, house.session(ANN)) != left


def test_closing_the_account_ends_its_files(house: House, uploads: Uploads, ann: Session) -> None:
    uploads.append(ann, begun(uploads, ann), 0, blocks(FILE[:300_000]))
    house.accounts.close(ann, PASSWORD, "192.0.2.1")
    house.upkeep.once()
    assert house.engine.query("SELECT id FROM uploads") == []
    assert blobs(house) == set()


def test_pieces_that_are_missing_or_swapped_do_not_open(house: House, uploads: Uploads, ann: Session) -> None:
    ident = begun(uploads, ann, FILE[:300_000])
    uploads.append(ann, ident, 0, blocks(FILE[:300_000]))

    def change(*statements: str) -> None:
        house.engine.write(lambda rows: [rows.execute(each, (ident,)) for each in statements]).result()

    swap = "UPDATE upload_pieces SET start = {} WHERE start = {} AND upload = ?"
    change(swap.format(7, 0), swap.format(0, PIECE), swap.format(PIECE, 7))
    with pytest.raises(SealBroken):
        whole(uploads, ann, ident)
    change(swap.format(7, 0), swap.format(0, PIECE), swap.format(PIECE, 7))
    assert whole(uploads, ann, ident) == FILE[:300_000]
    for start in (PIECE, 0):
        change(f"DELETE FROM upload_pieces WHERE start = {start} AND upload = ?")  # noqa: S608 - of this test
        with pytest.raises(SealBroken):
            whole(uploads, ann, ident)


def test_nothing_of_a_file_stands_in_clear(house: House, uploads: Uploads, ann: Session) -> None:
    words = b"the patient has a rare condition " * 10_000
    ident = uploads.begin(ann, "rare condition.pdf", "application/pdf", len(words), nonce=NONCE).id
    uploads.append(ann, ident, 0, blocks(words))
    house.engine.write(lambda rows: rows.execute("UPDATE organisations SET id = id")).result()
    for path in house.home.path.rglob("*"):
        assert not path.is_file() or b"rare condition" not in path.read_bytes(), path


def test_a_file_goes_into_one_draft_once(house: House, uploads: Uploads, ann: Session) -> None:
    drafts = house.portal.drafts
    ident = begun(uploads, ann)
    uploads.append(ann, ident, 0, blocks(FILE))
    file = uploads.upload(ann, ident)
    draft = drafts.save(ann, Writing("with a scan"), files=[file])
    assert [each.id for each in drafts.draft(ann, draft).files] == [ident]
    assert [b"".join(each.chunks()) for each in drafts.uploads(ann, draft=draft)] == [FILE]
    with pytest.raises(NoGrant):
        uploads.look(ann, ident)
    assert len(blobs(house)) == 1
    with pytest.raises(SealBroken):
        b"".join(file.chunks())
