"""A master key that stays in a token, with SoftHSM for the token."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cryptnsend.core.errors import ConfigError, SealBroken
from cryptnsend.keeper import secrets
from cryptnsend.keeper.providers import NoMasterKey
from cryptnsend.keeper.tokens11 import Pkcs11Provider
from tests.support.tokens import MODULE, PIN
from tests.support.tokens import tokens as tokens

from .conftest import Make, subscriber


def provider(tokens: Path, key: str) -> Pkcs11Provider:
    return Pkcs11Provider(MODULE, "cryptnsend", key, tokens / "pin", os.urandom)


def test_what_is_wrapped_opens_under_its_label_and_whole_only(tokens: Path) -> None:
    one, other = provider(tokens, "one"), provider(tokens, "other")
    one.make()
    other.make()
    wrapped = one.wrap("link/1", b"x" * 32)
    assert one.unwrap("link/1", wrapped) == b"x" * 32
    assert one.wrap("link/1", b"x" * 32) != wrapped
    for label, octets, of in (
        ("link/2", wrapped, one),
        ("link/1", wrapped[:-1] + bytes([wrapped[-1] ^ 1]), one),
        ("link/1", wrapped[:20], one),
        ("link/1", wrapped, other),
    ):
        with pytest.raises(SealBroken):
            of.unwrap(label, octets)
    with pytest.raises(ConfigError, match="already"):
        one.make()


def test_a_key_in_a_token_leaves_it_in_no_form(tokens: Path) -> None:
    import pkcs11

    kept = provider(tokens, "kept")
    kept.make()
    with pytest.raises(ConfigError, match="gives it to nobody"):
        kept.sealed_copy(b"k" * 32)
    with pkcs11.lib(str(MODULE)).get_token(token_label="cryptnsend").open(user_pin=PIN) as session:
        key = session.get_key(label="kept")
        with pytest.raises(pkcs11.exceptions.PKCS11Error):
            bytes(key[pkcs11.Attribute.VALUE])


def test_a_token_that_cannot_be_used_is_no_master_key_and_says_why(tokens: Path, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("000000\n")
    (tmp_path / "pin").chmod(0o600)
    (tmp_path / "open").write_text(PIN)
    (tmp_path / "open").chmod(0o644)
    for token, key, pin, said in (
        ("nowhere", "one", tokens / "pin", "NoSuchToken"),
        ("cryptnsend", "none", tokens / "pin", "not exactly one key"),
        ("cryptnsend", "one", tmp_path / "pin", "PinIncorrect"),
        ("cryptnsend", "one", tmp_path / "open", "others may read"),
        ("cryptnsend", "one", tmp_path / "gone", "cannot be read"),
    ):
        with pytest.raises(NoMasterKey, match=said):
            Pkcs11Provider(MODULE, token, key, pin, os.urandom).wrap("link/1", b"x")
    with pytest.raises(NoMasterKey):
        Pkcs11Provider(tmp_path / "no.so", "cryptnsend", "one", tokens / "pin", os.urandom).wrap("link/1", b"x")


def test_a_keeper_works_by_a_token_and_comes_to_one_from_a_file(tokens: Path, make_keeper: Make) -> None:
    keeper = make_keeper()
    ann = subscriber(keeper, "ann@clinic.example")
    seeds = ann.sign_in(keeper).seeds
    token = provider(tokens, "keeper")
    token.make()
    keeper.end()
    secrets.rewrap(keeper.engine, keeper.provider, token)
    keeper.provider = token
    keeper.start()
    assert ann.sign_in(keeper).seeds == seeds
    keeper.owner.keys_rotate("link")
    keeper.restart()
    assert ann.sign_in(keeper).seeds == seeds
