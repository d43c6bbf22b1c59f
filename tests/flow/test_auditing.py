"""Each way of tampering with an audit chain is found, at the entry where it begins; one test for each."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from cryptnsend.core import checkpoints
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import SealBroken
from cryptnsend.flow.auditing import Finding
from cryptnsend.store.records import audit, trail
from tests.support.house import DAY, HOUR, House
from tests.support.terminal import Operator

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


@pytest.fixture
def org(house: House, ann: int) -> int:
    """Ann's organisation, with eleven entries in its trail."""
    made = house.session(ANN).organisation
    fill(house, made, 11 - audit.head(house.engine, made).seq)
    return made


def fill(house: House, org: int, count: int) -> None:
    def write(rows: Rows) -> None:
        for number in range(count):
            audit.append(rows, org, house.clock.now(), "account:70", "message.opened", str(number), {"n": number})

    house.engine.write(write).result()


def found(house: House, org: int) -> tuple[int, str]:
    finding = house.portal.auditing.verify(org)
    return finding.broken, finding.how


def rewritten(house: House, org: int, after: int, drop: int = 0) -> None:
    """Write a chain anew behind an entry, hashes and all, without the entry *drop*: what a thief with root can do."""

    def write(rows: Rows) -> None:
        kept = rows.query(
            "SELECT * FROM audit WHERE org = :org AND seq > :after ORDER BY seq", {"org": org, "after": after}
        )
        rows.execute("DELETE FROM audit WHERE org = :org AND seq > :after", {"org": org, "after": after})
        before = rows.query("SELECT hash FROM audit WHERE org = :org AND seq = :after", {"org": org, "after": after})
        digest = before[0]["hash"] if before else audit.START
        seq = after
        for row in kept:
            if row["seq"] == drop:
                continue
            seq += 1
            digest = audit.link(digest, org, seq, row["at"], row["actor"], row["action"], row["object"], row["detail"])
            rows.execute(
                "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (org, seq, row["at"], row["actor"], row["action"], row["object"], row["detail"], digest),
            )

    house.engine.write(write).result()


def test_a_chain_as_it_was_written_is_whole(house: House, org: int) -> None:
    assert house.portal.auditing.verify(org) == Finding(org, 11)
    assert house.portal.auditing.verify(org).problem == ""


@pytest.mark.parametrize("column", ["actor = 'x'", "action = 'x'", "object = 'x'", "detail = '{}'", "at = at + 1"])
def test_an_edited_entry_is_named(house: House, org: int, column: str) -> None:
    house.tamper(f"UPDATE audit SET {column} WHERE org = :org AND seq = 7", org=org)  # noqa: S608 - from above
    assert found(house, org) == (7, "edited")


def test_a_removed_entry_is_named(house: House, org: int) -> None:
    house.tamper("DELETE FROM audit WHERE org = :org AND seq = 5", org=org)
    assert found(house, org) == (5, "removed")


def test_a_removed_entry_is_named_though_those_behind_it_got_other_numbers(house: House, org: int) -> None:
    house.tamper("DELETE FROM audit WHERE org = :org AND seq = 5", org=org)
    for seq in range(6, 12):
        house.tamper("UPDATE audit SET seq = seq - 1 WHERE org = :org AND seq = :seq", org=org, seq=seq)
    assert found(house, org) == (5, "removed")


def test_entries_in_another_order_are_named(house: House, org: int) -> None:
    for old, new in ((4, -4), (6, 4), (-4, 6)):
        house.tamper("UPDATE audit SET seq = :new WHERE org = :org AND seq = :old", org=org, old=old, new=new)
    assert found(house, org) == (4, "reordered")


def test_an_entry_slipped_in_is_named(house: House, org: int) -> None:
    for seq in range(11, 7, -1):
        house.tamper("UPDATE audit SET seq = seq + 1 WHERE org = :org AND seq = :seq", org=org, seq=seq)
    house.tamper(
        "INSERT INTO audit SELECT org, 8, at, actor, action, object, detail, zeroblob(32) FROM audit"
        " WHERE org = :org AND seq = 7",
        org=org,
    )
    broken, how = found(house, org)
    assert (broken, how) in ((8, "slipped in"), (8, "reordered"))


def test_an_end_that_was_cut_off_is_named(house: House, org: int) -> None:
    house.portal.auditing.sign(org)
    house.tamper("DELETE FROM audit WHERE org = :org AND seq > 8", org=org)
    assert found(house, org) == (9, "cut off")


def test_an_end_that_was_cut_off_is_named_by_the_keeper_alone(house: House, org: int) -> None:
    """Somebody removed what rests beside the chain, too."""
    house.portal.auditing.sign(org)
    house.tamper("DELETE FROM audit WHERE org = :org AND seq > 8", org=org)
    house.tamper("DELETE FROM checkpoints")
    assert found(house, org) == (9, "cut off")


@pytest.mark.parametrize("hours", [-2, 2])
def test_an_entry_written_under_a_clock_that_was_moved_is_named(house: House, org: int, hours: int) -> None:
    house.clock.jump(hours * HOUR)
    fill(house, org, 1)
    house.clock.jump(-hours * HOUR)
    fill(house, org, 1)
    assert found(house, org) == (12, "clock")


def test_processes_that_commit_in_turns_are_no_moved_clock(house: House, org: int) -> None:
    house.clock.jump(-HOUR // 2)
    fill(house, org, 1)
    assert house.portal.auditing.verify(org).problem == ""


def test_a_chain_written_anew_is_named_between_the_checkpoints_it_passes(house: House, org: int) -> None:
    house.portal.auditing.sign(org)
    fill(house, org, 5)
    house.portal.auditing.sign(org)
    rewritten(house, org, 12, drop=14)
    fill(house, org, 1)
    assert found(house, org) == (12, "written anew")


def test_a_checkpoint_kept_elsewhere_shows_that_everything_was_written_anew(
    house: House, org: int, tmp_path: object
) -> None:
    """Rows, what rests beside them, and the keeper's own memory of the chain."""
    sheet = checkpoints.read(house.portal.auditing.sheet([org]))
    fill(house, org, 3)
    rewritten(house, org, 0, drop=5)
    house.tamper("DELETE FROM checkpoints")
    house._ledger.write(lambda rows: rows.execute("UPDATE organisations SET head_seq = 0, head = x''")).result()
    assert house.portal.auditing.verify(org).problem == ""  # nothing on this machine tells
    finding = house.portal.auditing.verify(org, sheet)
    assert (finding.broken, finding.how) == (1, "written anew")


def test_a_checkpoint_by_another_keepers_keys_is_not_believed(house: House, org: int) -> None:
    """Whoever writes everything anew may make a keeper of their own; the file kept elsewhere has the keys of before."""
    sheet = checkpoints.read(house.portal.auditing.sheet([org]))
    other = checkpoints.Sheet(checkpoints.Keys(bytes(32), sheet.keys.ml_dsa), sheet.checkpoints)
    assert house.portal.auditing.verify(org, other).how == "other keys"


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["checkpoints"][0].update(hash="00" * 32),
        lambda said: said["checkpoints"][0].update(entry=3),
        lambda said: said["checkpoints"][0].update(at=1),
        lambda said: said["checkpoints"][0].update(organisation="0"),
        lambda said: said["checkpoints"][0].update({"ml-dsa-65": said["checkpoints"][0]["ed25519"]}),
        lambda said: said["checkpoints"][0].pop("ed25519"),
        lambda said: said.update(format="another"),
        lambda said: said.update(keys={}),
        lambda said: said.update(checkpoints=[7]),
    ],
)
def test_a_file_of_checkpoints_that_was_changed_is_refused(
    house: House, org: int, change: Callable[[dict[str, object]], object]
) -> None:
    said = json.loads(house.portal.auditing.sheet([org]))
    change(said)
    with pytest.raises(SealBroken):
        checkpoints.read(json.dumps(said))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "7"])
def test_what_is_no_file_of_checkpoints_is_refused(text: str) -> None:
    with pytest.raises(SealBroken):
        checkpoints.read(text)


def test_upkeep_keeps_a_checkpoint_beside_each_chain_once_a_day(house: House, org: int) -> None:
    house.upkeep.once()
    assert [each.seq for each in trail.kept(house.engine, org)] == [11]
    fill(house, org, 1)
    house.clock.forward(HOUR)
    house.upkeep.once()
    assert len(trail.kept(house.engine, org)) == 1
    house.clock.forward(DAY)
    house.upkeep.once()
    assert [each.seq for each in trail.kept(house.engine, org)] == [11, 12]


def test_what_rests_beside_the_chain_and_the_keeper_did_not_sign_counts_for_nothing(house: House, org: int) -> None:
    point = house.portal.auditing.sign(org)
    house.tamper("UPDATE checkpoints SET hash = zeroblob(32)")
    assert point.seq == 11
    assert house.portal.auditing.verify(org).problem == ""


# -- the command line -------------------------------------------------------------------------------------------------


def test_checkpoints_are_written_to_a_file_and_compared_with_it_later(
    house: House, org: int, operator: Operator, tmp_path: object
) -> None:
    place = f"{tmp_path}/checkpoints.json"
    assert "Keep it where nobody" in operator("audit", "checkpoint", "--out", place)
    assert "is there already" in operator("audit", "checkpoint", "--out", place, code=4)
    assert "whole" in operator("audit", "verify", "--against", place)
    fill(house, org, 3)
    rewritten(house, org, 0, drop=5)
    said = operator("audit", "verify", "--against", place, code=1)
    assert "written anew after its checkpoint was signed" in said


def test_the_trail_is_exported_as_a_table_whose_cells_are_not_calculated(
    house: House, org: int, operator: Operator
) -> None:
    house.engine.write(lambda rows: audit.append(rows, org, 1, "=cmd()", "x.y", "@me", {"a": 'b,"c"'})).result()
    lines = operator("audit", "export", "--format", "csv", "--organisation", org).splitlines()
    assert lines[0] == "organisation,seq,at,actor,action,object,stored,hash"
    assert len(lines) == 13
    assert ",'=cmd(),x.y,'@me," in lines[-1]


def test_one_message_and_one_account_have_views_of_their_own(house: House, ann: int, operator: Operator) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    other = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, message)
    said = operator.json("audit", "show", "--message", message)
    assert {each["object"] for each in said} == {str(message)}
    assert [each["action"] for each in said] == ["message.sealed", "code.proven"]
    account = operator.json("audit", "show", "--account", ANN)
    assert {str(message), str(other)} <= {each["object"] for each in account}
    assert "account.added" in operator("audit", "show", "--account", ANN)
    assert "no message 1" in operator("audit", "show", "--message", 1, code=4)
    assert "no account" in operator("audit", "show", "--account", "nobody@x.example", code=4)
    operator("audit", "show", code=2)
