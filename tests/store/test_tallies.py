"""How much lies in a mailbox is counted by the database, and says what counting by hand says, whatever happened."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.contracts import Rows
from cryptnsend.store.records import mailboxes, placements
from cryptnsend.store.records.mailboxes import Mailbox
from cryptnsend.store.records.placements import Placed, Placing
from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine
from tests.store.conftest import ANN, ORG, people

FLAGS, SIZES, MESSAGES = st.integers(0, 31), st.integers(0, 1 << 31), st.integers(1, 6)
PLACINGS = st.lists(
    st.builds(
        Placing,
        MESSAGES,
        st.sampled_from(["recipient", "author", "filed"]),
        st.sampled_from(["", "expired"]),
        FLAGS,
        st.just(""),
        st.just(0),
        SIZES,
        st.just(b"notice"),
    ),
    max_size=4,
)
BOX, PICKED = st.integers(0, 1), st.sets(st.integers(0, 9), max_size=5)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("place"), BOX, PLACINGS),
        st.tuples(st.just("flag"), BOX, PICKED, FLAGS),
        st.tuples(st.just("take away"), BOX, PICKED, st.booleans()),
        st.tuples(st.just("move"), BOX, PICKED),
        st.tuples(st.just("replace"), BOX, PICKED, SIZES),
        st.tuples(st.just("see"), MESSAGES),
        st.tuples(st.just("forget"), MESSAGES),
        st.tuples(st.just("clear")),
    ),
    max_size=25,
)
IDS = count(1)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteEngine]:
    with closing(SqliteEngine(tmp_path_factory.mktemp("tallies") / "main.db")) as engine:
        engine.migrate(STEPS)
        engine.write(people).result(30)
        yield engine


def boxes_of(engine: SqliteEngine) -> list[Mailbox]:
    """Return the two mailboxes of Ann's, made if they are gone."""
    found = mailboxes.listing(engine, ANN)
    for name in {"One", "Two"} - {each.name for each in found}:
        ident = next(IDS)
        engine.write(partial(mailboxes.add, ident=ident, org=ORG, account=ANN, name=name, special="", validity=ident))
    engine.write(lambda rows: None).result(30)
    return mailboxes.listing(engine, ANN)


def change(engine: SqliteEngine, boxes: list[Mailbox], asked: tuple[object, ...]) -> Callable[[Rows], object]:
    """Return the write that *asked* stands for."""
    what, *rest = asked
    if what in ("see", "forget"):
        (message,) = rest
        return lambda rows: (
            placements.see(rows, ANN, message) if what == "see" else placements.forget(rows, message, 1)  # type: ignore[arg-type]
        )
    if what == "clear":
        return lambda rows: mailboxes.clear(rows, ANN)
    at, chosen, *more = rest
    assert isinstance(at, int)
    box = boxes[at]
    if what == "place":
        return lambda rows: placements.place(rows, box, chosen)  # type: ignore[arg-type]
    uids = placements.uids(engine, box.id)
    picked = [uids[each % len(uids)] for each in sorted(chosen)] if uids else []  # type: ignore[call-overload]

    def write(rows: Rows) -> None:
        found: list[Placed] = placements.several(rows, box.id, sorted(set(picked)))
        if what == "flag":
            placements.set_flags(rows, box.id, [(each.uid, more[0], "$Word") for each in found])  # type: ignore[misc]
        elif what == "replace":
            for each in found:
                new = Placing(each.message, each.role, "expired", each.flags, "", 0, more[0], b"notice")  # type: ignore[arg-type]
                placements.replace(rows, box, each, new, 1)
        else:
            if what == "move":
                copies = [Placing(each.message, each.role, "", each.flags, "", 0, each.size) for each in found]
                placements.place(rows, boxes[1 - at], copies)
            placements.take_away(rows, box, found, 1, put_away=bool(more and more[0]))

    return write


@given(CHANGES)
def test_what_is_counted_on_the_way_is_what_lies_there(engine: SqliteEngine, changes: list[tuple[object, ...]]) -> None:
    engine.write(lambda rows: mailboxes.clear(rows, ANN)).result(30)
    for asked in changes:
        boxes = boxes_of(engine)
        engine.write(change(engine, boxes, asked)).result(30)
        for box in mailboxes.listing(engine, ANN):
            placed = placements.between(engine, box.id, 1, 1 << 31)
            unseen = [each.uid for each in placed if not each.flags & 1]
            deleted = sum(each.flags & 8 != 0 for each in placed)
            octets = sum(each.size for each in placed)
            assert (box.messages, box.unseen, box.deleted, box.octets) == (len(placed), len(unseen), deleted, octets)
            assert placements.first_unseen(engine, box.id) == (unseen[0] if unseen else None)


def test_a_change_that_is_undone_is_not_counted(engine: SqliteEngine) -> None:
    boxes = boxes_of(engine)
    before = mailboxes.listing(engine, ANN)

    def write(rows: Rows) -> None:
        placements.place(rows, boxes[0], [Placing(1, "recipient", "", 0, "", 0, 100)])
        raise ValueError("not after all")

    with pytest.raises(ValueError, match="not after all"):
        engine.write(write).result(30)
    assert mailboxes.listing(engine, ANN) == before


def test_no_row_can_be_moved_or_resized_behind_the_counters(engine: SqliteEngine) -> None:
    box = boxes_of(engine)[0]
    uid = engine.write(
        lambda rows: placements.place(rows, box, [Placing(1, "recipient", "", 0, "", 0, 100)])[0]
    ).result(30)
    for column in ("mailbox", "uid", "size"):
        write = engine.write(
            lambda rows, sql=f"UPDATE placed SET {column} = 7 WHERE uid = :uid": rows.execute(sql, {"uid": uid})  # type: ignore[misc]  # noqa: S608
        )
        with pytest.raises(sqlite3.Error, match="neither place nor size"):
            write.result(30)


def test_what_lay_there_before_there_were_counters_is_counted(tmp_path: Path) -> None:
    path, v12 = tmp_path / "old.db", Path(__file__).with_name("schemas") / "v12.sql"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(v12.read_text("utf-8"))
        for box in (1, 2):
            conn.execute("INSERT INTO mailboxes VALUES (?, 7, 70, ?, '', ?, 9, 1, 0, '', 1)", (box, f"B{box}", box))
        rows = [(1, uid, 7, 70, uid, "recipient", "", 1, flags, "", 0, 50) for uid, flags in enumerate((0, 1, 8, 9, 4))]
        conn.executemany("INSERT INTO placed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        conn.commit()
    with closing(SqliteEngine(path)) as engine:
        engine.migrate(STEPS)
        counted = [(each.messages, each.unseen, each.deleted, each.octets) for each in mailboxes.listing(engine, ANN)]
        assert counted == [(5, 3, 2, 250), (0, 0, 0, 0)]
