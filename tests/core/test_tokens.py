"""Is a token good for exactly what it was minted for, and are codes drawn evenly?"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core import tokens
from cryptnsend.core.tokens import Claims, code, display_id, mint, split, verify

KEY = bytes(range(32))
IDENT = bytes(range(10))
CLAIMS = Claims("open", "pat@yahoo.example", 9, 77)
claims = st.builds(Claims, st.text(max_size=5), st.text(max_size=9), st.integers(0, 2**63), st.integers(0, 2**63))


@given(claims, st.binary(min_size=10, max_size=10), st.integers(0, 65535), st.sampled_from([16, 12]))
def test_a_token_verifies_for_its_claims_and_says_its_ids(claim, ident, key_id, octets):
    token = mint(KEY, key_id, ident, claim, octets)
    assert verify(KEY, token, claim)
    assert verify(KEY, token.upper(), claim)
    found = split(token)
    assert found is not None
    assert found[:2] == (key_id, ident)
    assert len(found[2]) == octets
    assert re.fullmatch(r"[a-z2-7]+", token)


@given(claims, claims)
def test_a_token_is_good_for_nothing_else(one, two):
    assert verify(KEY, mint(KEY, 1, IDENT, one), two) is (one == two)


@pytest.mark.parametrize(
    "other",
    [
        replace(CLAIMS, purpose="reply"),
        replace(CLAIMS, address="mallory@yahoo.example"),
        replace(CLAIMS, subscriber=10),
        replace(CLAIMS, message=78),
    ],
)
def test_each_claim_counts(other):
    assert not verify(KEY, mint(KEY, 1, IDENT, CLAIMS), other)


def test_a_token_under_another_key_is_refused():
    assert not verify(bytes(32), mint(KEY, 1, IDENT, CLAIMS), CLAIMS)


def test_a_token_fits_into_a_local_part():
    """With `r+`, `u-` or `b+` before it: 48 octets of the 64 that RFC 5321 §4.5.3.1.1 allows."""
    assert len(mint(KEY, 65535, b"\xff" * 10, CLAIMS, tokens.LOCAL_PART_MAC)) == 39
    assert len(mint(KEY, 65535, b"\xff" * 10, CLAIMS)) == 45


def test_a_link_token_cut_short_is_no_local_part_token():
    long = split(mint(KEY, 1, IDENT, CLAIMS))
    short = split(mint(KEY, 1, IDENT, CLAIMS, 12))
    assert long is not None
    assert short is not None
    assert long[2][:12] != short[2]


@given(st.integers(0, 44), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_every_other_spelling_is_refused(place, letter):
    """Not one character can change: the spare bits at the end count too."""
    token = mint(KEY, 1, IDENT, CLAIMS)
    other = token[:place] + letter + token[place + 1 :]
    assert verify(KEY, other, CLAIMS) is (other == token)


@given(st.text(max_size=70))
def test_strange_text_is_no_token(text):
    assert split(text) is None or re.fullmatch(r"[A-Za-z2-7]{39}|[A-Za-z2-7]{45}", text)
    assert not verify(KEY, text, CLAIMS)


@pytest.mark.parametrize("text", ["", "a" * 39 + "=", " " * 39, "a" * 38, "a" * 40, "a" * 46, "\u0131" * 39, "1" * 39])
def test_what_only_looks_like_a_token_is_none(text):
    assert split(text) is None


@pytest.mark.parametrize(("ident", "octets"), [(b"x" * 9, 16), (b"x" * 11, 16), (IDENT, 8), (IDENT, 32)])
def test_a_token_has_no_other_sizes(ident, octets):
    with pytest.raises(ValueError, match="random id of 10"):
        mint(KEY, 1, ident, CLAIMS, octets)


@given(st.binary(max_size=40))
def test_a_display_id_is_short_and_reads_in_one_way(octets):
    shown = display_id(octets)
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", shown)
    assert shown == display_id(octets)


def test_display_ids_differ():
    assert len({display_id(n.to_bytes(4, "big")) for n in range(3000)}) == 3000


@given(st.integers(4, 12), st.integers(0, 50), st.integers(1, 50))
def test_a_code_has_as_many_digits_as_asked(digits, era, generation):
    assert re.fullmatch(rf"[0-9]{{{digits}}}", code(KEY, era, "pat@yahoo.example", 9, generation, digits))


@pytest.mark.parametrize(
    "other",
    [
        {"key": bytes(32)},
        {"era": 2},
        {"address": "quinn@yahoo.example"},
        {"subscriber": 10},
        {"generation": 2},
    ],
)
def test_a_code_is_of_one_contact_era_and_generation(other):
    """Twelve digits, so that a chance match would be a wonder."""
    place = {"key": KEY, "era": 1, "address": "pat@yahoo.example", "subscriber": 9, "generation": 1, "digits": 12}
    assert code(**place) == code(**place)
    assert code(**place) != code(**{**place, **other})


@pytest.mark.parametrize("digits", [0, 3, 13])
def test_a_code_has_4_to_12_digits(digits):
    with pytest.raises(ValueError, match="4 to 12"):
        code(KEY, 1, "a", 1, 1, digits)


def test_codes_are_drawn_evenly():
    """Chi-squared over the first and the last digit of 20,000 codes: below 30 for 9 degrees but once in 2,000 keys."""
    drawn = [code(KEY, 1, "pat@yahoo.example", n, 1, 6) for n in range(20_000)]
    for place in (0, 5):
        counts = Counter(each[place] for each in drawn)
        assert sum((counts[str(d)] - 2000) ** 2 / 2000 for d in range(10)) < 30


def test_values_past_the_last_whole_multiple_are_drawn_again(monkeypatch):
    """2^64 − 1 modulo 10^6 would make small codes likelier than large ones."""
    answers = [b"\xff" * 32, (1234567).to_bytes(8, "big") + bytes(24)]
    monkeypatch.setattr(tokens.hmac, "digest", lambda *_: answers.pop(0))
    assert code(KEY, 1, "a", 1, 1, 6) == "234567"
    assert answers == []
