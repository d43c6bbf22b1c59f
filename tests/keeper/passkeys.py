"""What tests of passkeys begin with: somebody who has one, and signs in with it."""

from __future__ import annotations

from typing import Any

from cryptnsend.keeper import requests as q
from tests.support.authenticator import Passkey

from .conftest import Person, Running, subscriber

ANN = "ann@clinic.example"
BROWSER = b"b" * 32


def added(keeper: Running, somebody: Person, passkey: Passkey | None = None, *, opens: bool = False) -> Passkey:
    """Give somebody who is signed in a passkey."""
    made = passkey or Passkey()
    keeper.clock.forward(minutes=0.1)  # they are listed by when they were made
    asked = keeper.portal.passkey_begin(somebody.ticket, somebody.k)
    assert somebody.opened is not None
    output = made.output(asked.input) if opens else b""
    seeds = somebody.opened.seeds if opens else {}
    keeper.portal.passkey_add(somebody.ticket, "Phone", made.make(asked.challenge), output, seeds)
    return made


def ann_with(keeper: Running, *, opens: bool = False, **values: Any) -> tuple[Person, Passkey]:
    ann = subscriber(keeper, ANN)
    ann.sign_in(keeper)
    return ann, added(keeper, ann, Passkey(**values), opens=opens)


def signed_in(keeper: Running, passkey: Passkey, *, opens: bool = False, **wrong: Any) -> q.Opened:
    asked = keeper.portal.passkey_sign_in(BROWSER)
    output = passkey.output(asked.input) if opens else b""
    return keeper.portal.open_passkey(BROWSER, passkey.answer(asked.challenge, **wrong), output)


def shown(keeper: Running, somebody: Person, passkey: Passkey, what: str) -> str:
    asked = keeper.portal.passkey_ask(somebody.ticket, what)
    return keeper.portal.passkey_show(somebody.ticket, what, passkey.answer(asked.challenge))


def custodies(opened: q.Opened) -> set[str]:
    by_id = {pair.id: pair.custody for pair in opened.pairs}
    return {by_id[pair] for pair in opened.seeds}


def stepped(keeper: Running, **values: Any) -> tuple[Person, Passkey]:
    ann, passkey = ann_with(keeper, **values)
    keeper.portal.passkey_step(ann.ticket, ann.k, shown(keeper, ann, passkey, "number"), True)
    return ann, passkey
