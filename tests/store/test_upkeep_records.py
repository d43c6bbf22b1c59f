"""Rows that end: only those whose time is up, and never against a change that came between."""

from __future__ import annotations

from cryptnsend.core.contracts import Rows
from cryptnsend.store.records import upkeep

from .conftest import ORG, House

DAY = 86_400_000
NOW = 100 * DAY


def grants(house: House) -> dict[int, tuple[str, int | None]]:
    return {row["id"]: (row["state"], row["ends"]) for row in house.engine.query("SELECT id, state, ends FROM grants")}


def test_grants_are_suspended_when_their_life_is_over_and_shredded_when_undo_is(house: House) -> None:
    for message, ends in ((1, NOW - 1), (2, NOW), (3, NOW + 1), (4, None)):
        house.add(message, house.vault.put([b"x"]), ends=ends)
    due = upkeep.grants_to_suspend(house.engine, NOW)
    assert [(row["id"], row["org"], row["message"], row["holder"]) for row in due] == [
        (1, ORG, 1, "account:71"),
        (2, ORG, 2, "account:71"),
    ]
    named = [(row["org"], row["id"]) for row in due]
    assert house.engine.write(lambda rows: upkeep.suspend(rows, named, NOW, NOW + 7 * DAY)).result(30) == 2
    assert house.engine.write(lambda rows: upkeep.suspend(rows, named, NOW, NOW + 7 * DAY)).result(30) == 0
    assert grants(house) == {
        1: ("suspended", NOW + 7 * DAY),
        2: ("suspended", NOW + 7 * DAY),
        3: ("active", NOW + 1),
        4: ("active", None),
    }
    assert upkeep.grants_to_shred(house.engine, NOW + 7 * DAY - 1) == []
    later = NOW + 7 * DAY
    assert [row["id"] for row in upkeep.grants_to_shred(house.engine, later)] == [1, 2]
    assert house.engine.write(lambda rows: upkeep.shred(rows, named, later)).result(30) == 2
    assert set(grants(house)) == {3, 4}


def test_a_grant_restored_meanwhile_is_not_shredded(house: House) -> None:
    house.add(1, house.vault.put([b"x"]), ends=NOW)
    house.engine.write(lambda rows: upkeep.suspend(rows, [(ORG, 1)], NOW, NOW)).result(30)
    assert [row["id"] for row in upkeep.grants_to_shred(house.engine, NOW)] == [1]
    restore = "UPDATE grants SET state = 'active', ends = ? WHERE id = 1"
    house.engine.write(lambda rows: rows.execute(restore, (NOW + DAY,))).result(30)
    assert house.engine.write(lambda rows: upkeep.shred(rows, [(ORG, 1)], NOW)).result(30) == 0
    assert grants(house) == {1: ("active", NOW + DAY)}


def test_nothing_ends_in_another_organisation(house: House) -> None:
    house.add(1, house.vault.put([b"x"]), ends=NOW)
    assert house.engine.write(lambda rows: upkeep.suspend(rows, [(ORG + 1, 1)], NOW, NOW)).result(30) == 0
    assert house.engine.write(lambda rows: upkeep.bury(rows, ORG + 1, 1)).result(30) == []
    assert grants(house) == {1: ("active", NOW)}


def test_grants_of_author_and_archive_do_not_end_with_the_life_of_a_message(house: House) -> None:
    house.add(1, house.vault.put([b"x"]), ends=NOW)
    for role in ("author", "archive"):
        house.engine.write(lambda rows, role=role: rows.execute("UPDATE grants SET role = ?", (role,))).result(30)
        assert upkeep.grants_to_suspend(house.engine, NOW) == []


def test_a_message_is_gone_with_its_last_grant_and_its_blobs_are_named_for_deletion(house: House) -> None:
    stored = house.vault.put([b"x" * 50_000])
    house.add(1, stored, ends=NOW)
    bury = house.engine.write
    assert bury(lambda rows: upkeep.bury(rows, ORG, 1)).result(30) == []
    house.engine.write(lambda rows: rows.execute("DELETE FROM grants")).result(30)
    assert bury(lambda rows: upkeep.bury(rows, ORG, 1)).result(30) == [stored.blob_key]
    assert house.engine.query("SELECT state FROM messages") == [{"state": "gone"}]
    assert house.engine.query("SELECT part FROM contents") == []
    assert bury(lambda rows: upkeep.bury(rows, ORG, 1)).result(30) == []


def test_what_only_mattered_for_a_while_is_forgotten(house: House) -> None:
    def write(rows: Rows) -> None:
        for n, created in enumerate((NOW - DAY - 1, NOW)):
            rows.execute(
                "INSERT INTO sessions VALUES (?, 0, 71, x'', 'in', NULL, 1, ?, ?, '')",
                (bytes([n]), created - 90 * DAY * (1 - n), NOW),
            )
            rows.execute("INSERT INTO form_nonces VALUES (0, 71, ?, NULL, ?)", (bytes([n]), created - DAY))
            rows.execute("INSERT INTO throttle VALUES (0, 'portal', ?, '', 1, ?, ?)", (f"{n}", created, created))
            rows.execute("INSERT INTO counters VALUES (7, 70, ?, 'messages', 1)", (created // DAY - 7 * (1 - n) - 1,))
            rows.execute(
                "INSERT INTO links VALUES (?, 0, 'open', 1, 0, '', 0, NULL, ?)", (bytes([n]), created - 30 * DAY)
            )

    house.engine.write(write).result(30)
    gone = house.engine.write(lambda rows: upkeep.forget_stale(rows, NOW)).result(30)
    assert gone == {"sessions": 1, "form_nonces": 1, "throttle": 1, "counters": 1, "api_sent": 0, "hook_events": 0}
    assert upkeep.stale_links(house.engine, NOW) == [b"\0"]
    house.engine.write(lambda rows: upkeep.drop_links(rows, [b"\0"])).result(30)
    assert house.engine.query("SELECT id FROM links") == [{"id": b"\x01"}]


def test_organisations_are_listed_with_the_installation(house: House) -> None:
    assert upkeep.organisations(house.engine) == [0, ORG]
