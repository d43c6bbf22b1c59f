"""What happens after somebody changed rows of the main database? Main rows are copies: a wrong one refuses or delays.

Each attack is one UPDATE by a role that was taken over, in favour of Eve or of her organisation, while Eve is as strong
as a stranger can honestly become and reads Pat's mailbox too. Then life goes on: Ann writes to Pat, Pat answers to one
and to all, Ann answers that from her mail program. Nothing of it may open for Eve, go to Eve in clear, be archived for
her organisation, or be kept under a weaker custody than Ann's organisation asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from cryptnsend.core.errors import CryptnSendError
from tests.support.house import House

from .conftest import MakeWorld
from .world import ANN, BOB, EVE, PAT, SECRET, World

# What stands for Eve in each column that names somebody. :eve and :ann are account ids, :eve_org an organisation,
# :eve_at, :pat_at, :ann_at rows of addresses.
ATTACKS = {
    "address": "UPDATE addresses SET account = :eve WHERE canonical = 'pat@yahoo.example'",
    "address-of-the-author": "UPDATE addresses SET account = :eve WHERE canonical = 'ann@gmail.example'",
    "canonical": (
        "UPDATE addresses SET canonical = 'x@x.example' WHERE canonical = 'pat@yahoo.example';"
        "UPDATE addresses SET canonical = 'pat@yahoo.example' WHERE id = :eve_at"
    ),
    "card-of-pat": "UPDATE cards SET body = (SELECT body FROM cards WHERE holder = :eve_holder ORDER BY version DESC"
    " LIMIT 1), signature = (SELECT signature FROM cards WHERE holder = :eve_holder ORDER BY version DESC LIMIT 1)"
    " WHERE holder = :pat_holder",
    "card-of-ann": "UPDATE cards SET body = (SELECT body FROM cards WHERE holder = :eve_holder ORDER BY version DESC"
    " LIMIT 1), signature = (SELECT signature FROM cards WHERE holder = :eve_holder ORDER BY version DESC LIMIT 1)"
    " WHERE holder = :ann_holder",
    "card-of-the-archive": "UPDATE cards SET body = (SELECT body FROM cards WHERE holder = :eve_archive), signature ="
    " (SELECT signature FROM cards WHERE holder = :eve_archive) WHERE holder = :archive",
    "cards-of-before": "DELETE FROM cards WHERE version >"
    " (SELECT min(version) FROM cards c WHERE c.holder = cards.holder)",
    "pair": "UPDATE pairs SET public = (SELECT public FROM pairs WHERE holder = :eve_holder AND custody = 'managed')"
    " WHERE holder IN (:pat_holder, :ann_holder)",
    "contact-state": "UPDATE contacts SET state = 'proven', account = :eve WHERE address = :pat_at",
    "contact-statement": "UPDATE contacts SET state = 'proven', account = :eve, statement ="
    " (SELECT statement FROM contacts WHERE address = :eve_at AND subscriber = :ann) WHERE address = :pat_at",
    "contact-subscriber": "DELETE FROM contacts WHERE subscriber = :eve;"
    "UPDATE contacts SET subscriber = :eve WHERE subscriber = :ann",
    "thread-subscriber": "UPDATE threads SET subscriber = :eve",
    "thread-organisation": "UPDATE threads SET org = :eve_org",
    "thread-all": "UPDATE threads SET org = :eve_org, subscriber = :eve, custody = 'managed'",
    "thread-custody": "UPDATE threads SET custody = 'managed'",
    "message-author": "UPDATE messages SET author = :eve",
    "message-author-address": "UPDATE messages SET author_address = :eve_at",
    "message-both": "UPDATE messages SET author = :eve, author_address = :eve_at",
    "message-organisation": "UPDATE messages SET org = :eve_org",
    "message-thread": "UPDATE messages SET thread = (SELECT id FROM threads WHERE subscriber = :eve LIMIT 1)",
    "account-organisation": "UPDATE accounts SET org = :org WHERE id = :eve",
    "account-organisation-of-ann": "UPDATE accounts SET org = :eve_org WHERE id = :ann",
    "account-roles": "UPDATE accounts SET roles = 'subscriber,officer,manager' WHERE id = :eve",
    "recipient": "UPDATE recipients SET address = :eve_at WHERE address = :pat_at AND NOT EXISTS"
    " (SELECT 1 FROM recipients r WHERE r.message = recipients.message AND r.address = :eve_at)",
    "recipient-more": "INSERT OR IGNORE INTO recipients SELECT org, message, :eve_at, decision, form, reason, 1,"
    " display_id, notified, NULL, NULL, NULL, 0 FROM recipients",
    "plan-way": "INSERT OR REPLACE INTO plans(message, org, starts, tell, way)"
    " SELECT id, org, 0, 1, 'none' FROM messages",
    "recipient-disclosed": "UPDATE recipients SET disclosed = 1",
    "delivery-recipient": "UPDATE deliveries SET recipient = :eve_at",
    "delivery-form": "UPDATE deliveries SET form = 'tls', tls_class = 'declared' WHERE kind = 'handoff'",
    "delivery-kind": "UPDATE deliveries SET kind = 'relay'",
    "delivery-way": "UPDATE deliveries SET tls_class = 'cleartext', dsn = '{}' WHERE kind IN ('relay', 'handoff')",
    "grant-holder": "UPDATE OR IGNORE grants SET holder = :eve_holder WHERE role = 'recipient'",
    "grant-contact": "UPDATE OR IGNORE grants SET holder = 'address:eve@evil.example',"
    " contact = 'eve@evil.example|' || :ann WHERE role = 'recipient'",
    "grant-author": "UPDATE OR IGNORE grants SET holder = :eve_holder WHERE role = 'author'",
    "link": "UPDATE links SET address = 'eve@evil.example', subscriber = :ann",
    "policy": 'UPDATE organisations SET policy = \'{"default": "plain", "plain_token": true}\'',
    "session": "UPDATE sessions SET account = :eve",
}


def run(house: House, attack: str, world: World) -> None:
    """Run an attack's statements with whatever names they use."""
    eve, ann, pat = (world.people[each] for each in (EVE, ANN, PAT))
    at = {row["canonical"]: row["id"] for row in house.engine.query("SELECT canonical, id FROM addresses")}
    eve_org = house.engine.query("SELECT org FROM accounts WHERE id = :id", id=eve)[0]["org"]
    names = {
        "eve": eve, "ann": ann, "eve_org": eve_org, "org": world.clinic,
        "eve_at": at[EVE], "pat_at": at[PAT], "ann_at": at[ANN],
        "eve_holder": f"account:{eve}", "ann_holder": f"account:{ann}", "pat_holder": f"account:{pat}",
        "eve_archive": f"archive:{eve_org}", "archive": f"archive:{world.clinic}",
    }  # fmt: skip
    for statement in attack.split(";"):
        used = set(re.findall(r":(\w+)", re.sub(r"'[^']*'", "", statement)))
        house.tamper(statement, **{name: names[name] for name in used})


def live(world: World, first: int) -> Iterator[int]:
    """Go on as if nothing had happened; yield each message that was made in spite of all."""
    house = world.house

    def write(author: str, to: tuple[str, ...], more: str = "") -> int | None:
        try:
            return world.write(author, *to, more=more)
        except CryptnSendError:
            return None

    def answer(message: int, *, everybody: bool) -> int | None:
        try:
            return house.replies.send(
                house.session(PAT), message, everybody=everybody, text=SECRET, files=(), nonce=bytes([everybody]) * 16
            )
        except CryptnSendError:
            return None

    made = [answer(first, everybody=False), answer(first, everybody=True), write(ANN, (PAT,))]
    for each in [*made]:
        row = house.engine.query("SELECT message_id FROM messages WHERE id = :id", id=each or 0)
        if row:
            made.append(write(ANN, (PAT,), more=f"In-Reply-To: {row[0]['message_id']}\r\n"))
    made.append(write(ANN, (PAT,), more=f"In-Reply-To: <m{first}@{house.config.server.domain}>\r\n"))
    yield from (each for each in made if each is not None)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_changed_row_opens_nothing_for_eve(make_world: MakeWorld, attack: str) -> None:
    world = make_world("strict")
    house = world.house
    first = world.write(ANN, PAT, BOB)
    world.write(EVE, PAT, text="lure", subject="lure")
    house.prove(house.session(PAT), PAT, world.write(EVE, PAT, text="lure", subject="lure"))
    reached = {row["id"] for row in house.engine.query("SELECT id FROM grants")}
    run(house, ATTACKS[attack], world)
    messages = [first, *live(world, first)]
    eve = house.session(EVE)
    house.pickup.adopt(eve)
    assert [each for each in messages if world.reads(eve, each)] == []
    assert SECRET not in world.lists(eve)
    # Nor for Eve in Pat's mailbox: a reset there, and her own code to prove it.
    intruder = house.reset(PAT)
    house.prove(intruder, PAT, world.write(EVE, PAT, text="lure", subject="lure"))
    house.pickup.adopt(intruder)
    assert [each for each in messages if world.reads(intruder, each)] == []
    assert SECRET not in world.lists(intruder)
    # Nothing rests where an archive or a pair of Eve's opens it.
    hers = {
        row["id"]
        for row in house.engine.query(
            "SELECT e.id FROM epochs e JOIN pairs p ON p.id = e.pair WHERE p.holder IN (:own, :archive)"
            " AND e.holder IN (:own, :archive)",
            own=f"account:{eve.account}",
            archive=f"archive:{eve.organisation}",
        )
    }
    for row in house.engine.query("SELECT * FROM grants"):
        if row["id"] not in reached and row["message"] in messages:
            assert row["epoch"] not in hers
            assert row["role"] == "archive" or row["custody"] == "strict"
    # Nothing leaves in clear, and nothing for Eve.
    for row in house.engine.query("SELECT d.*, a.canonical FROM deliveries d LEFT JOIN addresses a"
                                  " ON a.id = d.recipient WHERE d.queue_wrap IS NOT NULL"):  # fmt: skip
        if row["id"] not in reached and row["message"] in messages[1:]:
            assert row["kind"] == "handoff"
            assert row["form"] == "zip"
            assert row["canonical"] != EVE


def test_life_goes_on_without_an_attack(make_world: MakeWorld) -> None:
    """The control: all of these messages are made, and read by those they are for."""
    world = make_world("strict")
    house = world.house
    first = world.write(ANN, PAT, BOB)
    messages = [first, *live(world, first)]
    assert len(messages) == 8
    pat, ann = house.session(PAT), house.session(ANN)
    assert [world.reads(pat, each) for each in messages] == [True] * 8
    assert [world.reads(ann, each) for each in messages] == [True] * 8
    assert [world.reads(house.session(BOB), each) for each in messages[:3]] == [True, False, True]
