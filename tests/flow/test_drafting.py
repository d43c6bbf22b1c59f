"""Words that are not sent yet: kept for their writer alone, found again, gone when they are sent or forgotten."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptnsend.core.errors import Ended, KeeperGone, NoGrant, Refusal, StoreBroken
from cryptnsend.flow.drafting import Drafts, Sending
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Upload, Writing
from cryptnsend.store import backup
from cryptnsend.store.records import upkeep
from tests.support.house import DAY, HOUR, MINUTE, OTHER, PASSWORD, SOURCE, House, MakeHouse

ANN, PAT, BOB = "ann@gmail.example", "pat@yahoo.example", "bob@gmail.example"
WORDS = "Thank you, and one more question."
LARGE = b"a scan of many pages " * 5000


def file(name: str, octets: bytes) -> Upload:
    return Upload(name, "application/pdf", len(octets), lambda: iter([octets[:9000], octets[9000:]]))


@pytest.fixture
def message(house: House) -> int:
    house.add_subscriber(ANN)
    return house.submit(ANN, [PAT], house.mail())


@pytest.fixture
def pat(house: House, message: int) -> Session:
    return house.register(PAT, message)


@pytest.fixture
def drafts(house: House) -> Drafts:
    return house.portal.drafts


def sent_files(drafts: Drafts, session: Session, parent: int) -> dict[str, bytes]:
    return {each.name: b"".join(each.chunks()) for each in drafts.uploads(session, parent=parent)}


def blobs(house: House) -> set[str]:
    return {key for key, _ in house.portal.blobs.keys()}  # noqa: SIM118 - not a dict


def test_a_draft_is_found_again_after_signing_out_and_in(house: House, drafts: Drafts, pat: Session, message: int):
    ident = drafts.save(pat, Writing(WORDS, everybody=True), parent=message, files=[file("scan.pdf", LARGE)])
    house.accounts.sign_out_everywhere(pat)
    again = house.session(PAT)
    found = drafts.reply_to(again, message)
    assert found is not None
    assert (found.id, found.writing.text, found.writing.everybody) == (ident, WORDS, True)
    assert [(each.name, each.size) for each in found.files] == [("scan.pdf", len(LARGE))]
    assert sent_files(drafts, again, message) == {"scan.pdf": LARGE}
    assert [each.id for each in drafts.listing(again)] == [ident]
    assert drafts.count(again) == 1


def test_saving_again_takes_the_place_of_what_was_kept(house: House, drafts: Drafts, pat: Session, message: int):
    first = drafts.save(pat, Writing("a"), parent=message, files=[file("a.pdf", LARGE), file("b.pdf", b"b")])
    kept = drafts.reply_to(pat, message)
    assert kept is not None
    before = blobs(house)
    stays = [each.id for each in kept.files if each.name == "b.pdf"]
    house.clock.forward(MINUTE)
    again = drafts.save(pat, Writing("b" * 50_000), parent=message, files=[file("c.pdf", b"c")], keep=stays)
    assert again == first
    assert sent_files(drafts, pat, message) == {"b.pdf": b"b", "c.pdf": b"c"}
    assert drafts.count(pat) == 1
    gone = before - blobs(house)
    assert len(gone) == 1  # the large file that was taken out
    assert drafts.save(pat, Writing("c"), parent=message) == first
    assert set(sent_files(drafts, pat, message)) == {"b.pdf", "c.pdf"}  # who says nothing about files keeps them


def test_a_draft_and_its_files_are_gone_when_it_is_sent(house: House, drafts: Drafts, pat: Session, message: int):
    untouched = blobs(house)
    nonce = b"n" * 16
    drafts.save(pat, Writing(WORDS), parent=message, files=[file("scan.pdf", LARGE)], nonce=nonce)
    files = drafts.uploads(pat, parent=message)
    reply = house.replies.send(pat, message, everybody=False, text=WORDS, files=files, nonce=nonce)
    assert drafts.listing(pat) == []
    names = {row["blob_key"] for row in upkeep.blobs_in_use(house.engine)}
    assert blobs(house) - untouched <= names  # nothing is left but what the reply itself names
    letter = house.pickup.show(house.session(ANN), reply)
    assert [each.name for each in letter.files] == ["scan.pdf"]
    with pytest.raises(Ended, match="sent already"):  # a script that comes late
        drafts.save(pat, Writing(WORDS), parent=message, nonce=nonce)
    assert drafts.count(pat) == 0


def test_a_form_that_names_files_makes_one_answer_though_they_are_gone_with_the_first(
    house: House, drafts: Drafts, pat: Session, message: int
):
    drafts.save(pat, Writing(WORDS), parent=message, files=[file("scan.pdf", LARGE)])
    kept = [each.id for each in drafts.reply_to(pat, message).files]
    form = {"everybody": False, "text": WORDS, "files": (), "nonce": b"n" * 16, "kept": kept}
    first = house.replies.send(pat, message, **form)
    assert house.replies.send(pat, message, **form) == first
    assert [each.name for each in house.pickup.show(house.session(ANN), first).files] == ["scan.pdf"]


def test_an_answer_does_not_leave_without_a_file_that_was_to_go_along(
    house: House, drafts: Drafts, pat: Session, message: int
):
    drafts.save(pat, Writing(WORDS), parent=message, files=[file("scan.pdf", LARGE)])
    kept = [each.id for each in drafts.reply_to(pat, message).files]
    drafts.save(pat, Writing(WORDS), parent=message, keep=[])  # taken out on another page meanwhile
    with pytest.raises(Refusal, match="not here any more"):
        house.replies.send(pat, message, everybody=False, text=WORDS, files=(), nonce=b"n" * 16, kept=kept)
    assert not house.queued("handoff")


def test_nobody_else_sees_opens_changes_or_drops_a_draft(house: House, drafts: Drafts, pat: Session, message: int):
    ident = drafts.save(pat, Writing(WORDS), parent=message)
    house.add_subscriber(BOB)
    for other in (house.session(ANN), house.session(BOB)):
        assert drafts.listing(other) == []
        assert drafts.reply_to(other, message) is None
        with pytest.raises(NoGrant):
            drafts.draft(other, ident)
        with pytest.raises(NoGrant):
            drafts.drop(other, ident)
        with pytest.raises(NoGrant):
            drafts.save(other, Writing("mine"), draft=ident)
    with pytest.raises(NoGrant):  # nor does anybody answer what they did not get
        drafts.save(house.session(BOB), Writing("mine"), parent=message)
    found = drafts.reply_to(pat, message)
    assert found is not None
    assert found.writing.text == WORDS


def test_a_draft_moved_to_another_row_or_account_opens_nothing(
    house: House, drafts: Drafts, pat: Session, message: int
) -> None:
    ident = drafts.save(pat, Writing(WORDS), parent=message)
    other = drafts.save(pat, Writing("other"))
    house.tamper(
        "UPDATE drafts SET sealed_key = (SELECT d.sealed_key FROM drafts d WHERE d.id = :a),"
        " body = (SELECT d.body FROM drafts d WHERE d.id = :a) WHERE id = :b",
        a=ident,
        b=other,
    )
    with pytest.raises(NoGrant):
        drafts.draft(pat, other)
    house.tamper("UPDATE drafts SET account = :ann WHERE id = :id", ann=house.account(ANN), id=ident)
    ann = house.session(ANN)
    assert [each.locked for each in drafts.listing(ann)] == [True]
    with pytest.raises(NoGrant):
        drafts.draft(ann, ident)


def test_what_is_typed_before_a_timeout_is_kept_and_meets_what_was_kept_before(
    house: House, drafts: Drafts, pat: Session, message: int
) -> None:
    drafts.save(pat, Writing("first"), parent=message, files=[file("a.pdf", b"a"), file("b.pdf", b"b")])
    kept = drafts.reply_to(pat, message)
    assert kept is not None
    cookie = house.accounts.sign_in(PAT, PASSWORD, SOURCE, "")
    assert house.accounts.session(cookie)
    house.clock.forward(HOUR)
    assert house.accounts.session(cookie) is None
    away = house.accounts.away(cookie)
    assert away is not None
    ticked = [each.id for each in kept.files if each.name == "b.pdf"]
    drafts.save_for_later(away, Writing("second"), parent=message, files=[file("c.pdf", LARGE)], keep=ticked)
    again = house.session(PAT)
    found = drafts.reply_to(again, message)
    assert found is not None
    assert found.writing.text == "second"
    assert [each.name for each in found.files] == ["b.pdf", "c.pdf"]
    assert [each.id for each in drafts.listing(again)] == [found.id]  # one writing, though two rows
    drafts.save(again, Writing("third"), parent=message, keep=[each.id for each in found.files])
    assert sent_files(drafts, again, message) == {"b.pdf": b"b", "c.pdf": LARGE}
    assert house.engine.query("SELECT count(*) AS n FROM drafts")[0]["n"] == 1
    house.replies.send(again, message, everybody=False, text="third", files=(), nonce=b"3" * 16)
    assert drafts.listing(again) == []
    assert house.engine.query("SELECT count(*) AS n FROM draft_files")[0]["n"] == 0


def test_an_ended_session_keeps_nothing_after_signing_out_or_a_new_password(
    house: House, pat: Session, message: int
) -> None:
    cookie = house.accounts.sign_in(PAT, PASSWORD, SOURCE, "")
    assert house.accounts.away(cookie) is None  # still signed in
    house.accounts.sign_out(cookie)
    assert house.accounts.away(cookie) is None

    def timed_out() -> str:
        made = house.accounts.sign_in(PAT, PASSWORD, SOURCE, "")
        house.clock.forward(HOUR)
        assert house.accounts.session(made) is None
        assert house.accounts.away(made) is not None
        return made

    for end in (
        lambda made: house.accounts.sign_out(made),
        lambda _: house.accounts.sign_out_everywhere(house.session(PAT)),
        lambda _: house.clock.forward(13 * HOUR),
        lambda _: house.accounts.change_password(house.session(PAT), PASSWORD, OTHER, SOURCE, ""),
    ):
        made = timed_out()
        end(made)
        assert house.accounts.away(made) is None
    row = house.engine.query(
        "SELECT sealed FROM sessions WHERE id_hash = :hash",
        hash=hashlib.sha256(base64.urlsafe_b64decode(cookie + "==")[:32]).digest(),
    )
    assert row == [{"sealed": b""}]
    assert house.accounts.away("nonsense") is None


def test_a_draft_from_before_a_reset_waits_locked_until_the_pair_is_open_again(
    house: House, drafts: Drafts, pat: Session, message: int
) -> None:
    code = house.accounts.recovery_code(pat, PASSWORD, SOURCE)
    drafts.save(pat, Writing(WORDS), parent=message)
    weak = house.reset(PAT)
    assert [(each.locked, each.writing.text) for each in drafts.listing(weak)] == [(True, "")]
    assert drafts.reply_to(weak, message) is None
    with pytest.raises(Refusal, match="locked"):  # whoever came in by mail alone destroys nothing
        drafts.drop(weak, drafts.listing(weak)[0].id)
    house.accounts.unlock(weak, "recovery", code, OTHER, SOURCE)
    found = drafts.reply_to(house.session(PAT, OTHER), message)
    assert found is not None
    assert found.writing.text == WORDS


def test_all_drafts_of_an_account_have_a_limit_and_nothing_is_left_of_what_was_too_much(
    make_house: MakeHouse,
) -> None:
    house = make_house(limits={"draft_octets": 65_536})
    house.add_subscriber(ANN)
    ann, drafts = house.session(ANN), house.portal.drafts
    kept = drafts.save(ann, Writing("a"))
    before = blobs(house)
    with pytest.raises(Refusal, match="room"):
        drafts.save(ann, Writing("b"), draft=kept, files=[file("large.pdf", LARGE)])
    assert blobs(house) == before
    assert drafts.draft(ann, kept).writing.text == "a"
    few = Drafts(
        engine=house.engine, vault=house.vault, keeper=house.portal.keeper, clock=house.clock,
        random=lambda n: bytes(n), quota=1 << 20, most=1,
    )  # fmt: skip
    with pytest.raises(Refusal, match="as many drafts"):
        few.save(ann, Writing("c"))


def test_an_upload_that_breaks_off_leaves_nothing(house: House, drafts: Drafts, pat: Session, message: int) -> None:
    def broken() -> Iterator[bytes]:
        yield LARGE
        raise OSError("gone")

    before = blobs(house)
    with pytest.raises(OSError, match="gone"):
        drafts.save(
            pat, Writing("a"), parent=message, files=[file("whole.pdf", LARGE), Upload("b", "text/plain", 9, broken)]
        )
    assert blobs(house) == before
    assert drafts.count(pat) == 0


def test_upkeep_throws_away_what_nobody_touches(house: House, drafts: Drafts, pat: Session, message: int) -> None:
    before = blobs(house)
    drafts.save(pat, Writing("old"), parent=message, files=[file("scan.pdf", LARGE)])
    house.clock.forward(20 * DAY)
    ann = house.session(ANN)
    drafts.save(ann, Writing("young"))
    house.clock.forward(11 * DAY)
    house.upkeep.once()
    assert house.engine.query("SELECT count(*) AS n FROM draft_files")[0]["n"] == 0
    assert [each.writing.text for each in drafts.listing(house.session(ANN))] == ["young"]
    assert blobs(house) == before


def test_a_clock_that_jumps_throws_no_draft_away(house: House, drafts: Drafts, pat: Session, message: int) -> None:
    house.upkeep.once()
    drafts.save(pat, Writing(WORDS), parent=message)
    house.clock.jump(400 * DAY)
    house.clock.passed += 4000
    house.upkeep.once()
    assert house.engine.query("SELECT count(*) AS n FROM drafts")[0]["n"] == 1


def test_drafts_are_in_the_backup_and_no_litter(
    house: House, drafts: Drafts, pat: Session, message: int, tmp_path: Path
) -> None:
    drafts.save(pat, Writing("x" * 60_000), parent=message, files=[file("scan.pdf", LARGE)])
    house.clock.forward(3 * DAY)
    assert house.vault.sweep(house.engine, house.clock.now() + 30 * DAY) == 0
    assert list(house.vault.verify(house.engine)) == []
    copy = tmp_path / "backup"
    backup.create(
        copy, {"main.db": house.home.main_db, "ledger.db": house.home.ledger}, house.portal.blobs,
        hold=house.home.run / "deletions.lock", at=house.clock.now(),
    )  # fmt: skip
    assert {path.name for path in (copy / "blobs").iterdir()} == blobs(house)
    assert len(blobs(house)) == 2


def test_a_new_message_is_a_draft_without_a_parent(house: House, drafts: Drafts, message: int) -> None:
    ann = house.session(ANN)
    writing = Writing("Dear Pat,", "Results", (PAT,), ("carl@mail.example",), (BOB,))
    ident = drafts.save(ann, writing, files=[file("a.pdf", b"a")])
    assert drafts.save(ann, Writing("Dear Pat, hello", "Results", (PAT,)), draft=ident) == ident
    found = drafts.draft(ann, ident)
    assert (found.writing.text, found.writing.to, found.parent) == ("Dear Pat, hello", (PAT,), 0)
    assert [b"".join(each.chunks()) for each in drafts.uploads(ann, draft=ident)] == [b"a"]
    assert [each.id for each in drafts.listing(ann)] == [ident]
    drafts.drop(ann, ident)
    with pytest.raises(NoGrant):
        drafts.draft(ann, ident)


def test_without_the_keeper_a_draft_is_kept_under_the_writers_own_key(
    house: House, drafts: Drafts, pat: Session, message: int
) -> None:
    house.stop_keeper()
    try:
        ident = drafts.save(pat, Writing(WORDS), parent=message, files=[file("scan.pdf", LARGE)])
        found = drafts.reply_to(pat, message)
        assert found is not None
        assert (found.id, found.writing.text) == (ident, WORDS)
        house.tamper("UPDATE pairs SET state = 'retired' WHERE holder = :holder", holder=f"account:{pat.account}")
        with pytest.raises(KeeperGone):
            drafts.save(pat, Writing("more"), parent=message)
    finally:
        house.start_keeper()
    assert sent_files(drafts, pat, message) == {"scan.pdf": LARGE}


def test_a_portal_that_dies_right_after_the_commit_leaves_the_reply_and_no_draft(
    house: House, drafts: Drafts, pat: Session, message: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonce = b"n" * 16
    drafts.save(pat, Writing(WORDS), parent=message, files=[file("scan.pdf", LARGE)], nonce=nonce)
    monkeypatch.setattr(Sending, "done", lambda _: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        house.replies.send(pat, message, everybody=False, text=WORDS, files=(), nonce=nonce)
    monkeypatch.undo()
    assert drafts.listing(pat) == []
    assert "Re: Results" in [each.subject for each in house.pickup.list(house.session(ANN))]
    assert [*upkeep.blobs_in_use(house.engine)] == []  # what is left of the file is litter


def test_a_portal_that_dies_right_before_the_commit_leaves_the_draft_and_no_reply(
    house: House, drafts: Drafts, pat: Session, message: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drafts.save(pat, Writing(WORDS), parent=message, files=[file("scan.pdf", LARGE)])
    before = [*house.rows()]
    monkeypatch.setattr(Sending, "write", lambda *_: (_ for _ in ()).throw(StoreBroken("dead")))
    with pytest.raises(StoreBroken):
        house.replies.send(pat, message, everybody=False, text=WORDS, files=(), nonce=b"n" * 16)
    assert [*house.rows()] == before
    assert sent_files(drafts, pat, message) == {"scan.pdf": LARGE}


def test_a_form_that_comes_again_after_its_answer_was_lost_takes_a_late_draft_with_it(
    house: House, drafts: Drafts, pat: Session, message: int
) -> None:
    drafts.save(pat, Writing(WORDS), parent=message)
    form = {"everybody": False, "text": WORDS, "nonce": b"n" * 16}
    first = house.replies.send(pat, message, files=(), **form)  # type: ignore[arg-type]
    drafts.save(pat, Writing(WORDS), parent=message)  # of another window
    assert house.replies.send(pat, message, files=(), **form) == first  # type: ignore[arg-type]
    assert drafts.listing(pat) == []
