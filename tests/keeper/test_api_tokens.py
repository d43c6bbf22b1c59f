"""Tokens of programs: what the keeper says of one, and what ends it."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest

from cryptnsend.core.api_tokens import LONGEST, MOST, format_token, parse_token
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant, WrongSecret
from cryptnsend.keeper.credentials import NewDevice

from .conftest import Person, Running, subscriber

DAY = 24 * 60  # minutes


@pytest.fixture
def ann(keeper: Running) -> Person:
    return subscriber(keeper, "ann@gmail.example")


def _execute(sql: str, values: dict[str, Any], rows: Rows) -> None:
    rows.execute(sql, values)


def made(keeper: Running, ann: Person, scopes: tuple[str, ...] = ("send",), days: int = 30) -> NewDevice:
    return keeper.portal.token_add(ann.ticket, ann.k, scopes, days)


def test_a_token_says_who_and_what_for_and_hands_out_no_ticket(keeper: Running, ann: Person) -> None:
    token = made(keeper, ann, ("list", "send"))
    who = keeper.portal.check_token(token.id, token.secret)
    assert (who.addresses, who.scope) == (("ann@gmail.example",), "send list")
    assert not hasattr(who, "ticket")
    assert not hasattr(who, "seeds")


def test_it_is_no_device_password_and_a_device_password_is_none(keeper: Running, ann: Person) -> None:
    token, device = made(keeper, ann), keeper.portal.device_add(ann.ticket, "submit")
    with pytest.raises(WrongSecret):
        keeper.submission.check_device(token.id, token.secret, "submit")
    with pytest.raises(WrongSecret):
        keeper.portal.check_token(device.id, device.secret)


def test_it_ends_with_its_days_its_revocation_and_the_password(keeper: Running, ann: Person) -> None:
    short, revoked, gone = made(keeper, ann, days=1), made(keeper, ann), made(keeper, ann)
    keeper.portal.token_revoke(ann.ticket, revoked.id)
    keeper.owner.revoke_token(gone.id)
    keeper.clock.forward(minutes=DAY)
    for each in (short, revoked, gone):
        with pytest.raises(WrongSecret):
            keeper.portal.check_token(each.id, each.secret)


def test_a_disabled_account_and_a_later_one_have_none(keeper: Running, ann: Person) -> None:
    token = made(keeper, ann)
    keeper.owner.disable("ann@gmail.example")
    with pytest.raises(WrongSecret):
        keeper.portal.check_token(token.id, token.secret)
    keeper.owner.enable("ann@gmail.example")
    with pytest.raises(WrongSecret):
        keeper.portal.check_token(token.id, token.secret)
    assert [each.current for each in keeper.owner.token_list("ann@gmail.example")] == [False]


def test_it_takes_the_password_a_known_scope_and_a_life(keeper: Running, ann: Person) -> None:
    with pytest.raises(WrongSecret):
        keeper.portal.token_add(ann.ticket, os.urandom(32), ["send"], 30)
    for scopes, days in (([], 30), (["send", "read"], 30), (["send"], 0), (["send"], LONGEST + 1)):
        with pytest.raises(Denied):
            keeper.portal.token_add(ann.ticket, ann.k, scopes, days)


def test_there_are_only_so_many(keeper: Running, ann: Person) -> None:
    first, *_ = [made(keeper, ann) for _ in range(MOST)]
    with pytest.raises(Denied):
        made(keeper, ann)
    keeper.portal.token_revoke(ann.ticket, first.id)
    assert made(keeper, ann).id


def test_others_revoke_nothing_of_it(keeper: Running, ann: Person) -> None:
    token, bob = made(keeper, ann), subscriber(keeper, "bob@gmail.example")
    with pytest.raises(NoGrant):
        keeper.portal.token_revoke(bob.ticket, token.id)
    assert keeper.portal.check_token(token.id, token.secret)


def test_a_row_that_was_edited_widens_none(keeper: Running, ann: Person) -> None:
    token = made(keeper, ann, days=1)
    before = keeper.engine.query("SELECT scopes, ends FROM api_tokens")[0]
    put = "UPDATE api_tokens SET scopes = :scopes, ends = :ends"
    for change in ({"scopes": "send status expire list"}, {"ends": 9_000_000_000_000_000}):
        keeper.engine.write(partial(_execute, put, {**before, **change})).result()
        with pytest.raises(WrongSecret):
            keeper.portal.check_token(token.id, token.secret)
    keeper.engine.write(partial(_execute, put, before)).result()
    assert keeper.portal.check_token(token.id, token.secret)


def test_a_backup_that_comes_back_leaves_a_revoked_one_revoked(keeper: Running, ann: Person) -> None:
    token = made(keeper, ann)
    keeper.portal.token_revoke(ann.ticket, token.id)
    keeper.engine.write(lambda rows: rows.execute("UPDATE api_tokens SET revoked = NULL")).result()
    keeper.owner.restored()
    with pytest.raises(WrongSecret):
        keeper.portal.check_token(token.id, token.secret)


def test_a_token_is_read_back_and_nothing_else_is_one() -> None:
    secret = os.urandom(16)
    text = format_token(1 << 62, secret)
    assert text.startswith("cns_")
    assert parse_token(text) == (1 << 62, secret)
    for other in ("", "cns_", text[4:], text[:-1], text + "0", text.replace("cns_", "cns-"), "cns_" + "é" * 40):
        assert parse_token(other) is None


def test_a_webhooks_secret_rests_sealed_goes_to_the_courier_alone_and_is_gone_with_it(
    keeper: Running, ann: Person
) -> None:
    made = keeper.portal.hook_add(ann.ticket, ann.k, "https://practice.example/", ["opened"])
    [row] = keeper.engine.query("SELECT * FROM hooks")
    assert made.secret.encode() not in row["secret"]
    assert keeper.courier.hook(made.id).secrets == (made.secret,)
    with pytest.raises(Denied):
        keeper.portal.hook(made.id)
    keeper.portal.hook_end(ann.ticket, made.id)
    [row] = keeper.engine.query("SELECT * FROM hooks")
    assert (row["secret"], row["earlier"]) == (b"", None)
    with pytest.raises(NoGrant):
        keeper.courier.hook(made.id)
