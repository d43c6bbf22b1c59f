"""Are generated passphrases as strong as they say, and easy to read aloud?"""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core import words
from cryptnsend.core.words import WORDS, passphrase, suggestion


def test_the_list_has_one_word_for_each_of_11_bits():
    assert len(WORDS) == len(set(WORDS)) == 2**words.BITS


def test_words_are_short_plain_and_in_order():
    assert all(3 <= len(each) <= 7 and each.isascii() and each.isalpha() and each.islower() for each in WORDS)
    assert list(WORDS) == sorted(WORDS)


@given(st.integers(1, 300))
def test_a_passphrase_holds_at_least_the_bits_asked_for(bits):
    found = passphrase(os.urandom, bits).split("-")
    assert len(found) * words.BITS >= bits > (len(found) - 1) * words.BITS
    assert set(found) <= set(WORDS)


def test_eighty_bits_are_eight_words():
    assert len(passphrase(os.urandom).split("-")) == 8


def test_every_word_can_be_drawn_and_each_by_equally_many_draws():
    counts = dict.fromkeys(WORDS, 0)
    draws = (draw.to_bytes(2, "big") for draw in range(65536))
    for _ in range(65536):
        counts[passphrase(lambda _: next(draws), 11)] += 1
    assert set(counts.values()) == {32}


def test_a_passphrase_has_a_word():
    with pytest.raises(ValueError, match="at least one word"):
        passphrase(os.urandom, 0)


def test_a_suggestion_is_five_words():
    assert len(suggestion(os.urandom).split("-")) == 5
