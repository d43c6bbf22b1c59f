"""Are generated passphrases as strong as they say, and easy to read aloud?"""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core import words
from cryptnsend.core.words import LISTS, WORDS, passphrase, suggestion
from cryptnsend.languages import LANGUAGES

LISTED = pytest.mark.parametrize("language", sorted(LISTS))


def test_there_is_a_list_for_every_language_of_the_pages():
    assert set(LISTS) == set(LANGUAGES)


@LISTED
def test_a_list_has_one_word_for_each_of_11_bits(language):
    assert len(LISTS[language]) == len(set(LISTS[language])) == 2**words.BITS


@LISTED
def test_words_are_short_plain_and_in_order(language):
    found = LISTS[language]
    assert all(3 <= len(each) <= 7 and each.isascii() and each.isalpha() and each.islower() for each in found)
    assert list(found) == sorted(found)


def test_no_word_is_of_two_languages():
    assert not set(LISTS["en"]) & set(LISTS["es"])


@given(st.integers(1, 300), st.sampled_from(sorted(LISTS)))
def test_a_passphrase_holds_at_least_the_bits_asked_for(bits, language):
    found = passphrase(os.urandom, bits, language).split("-")
    assert len(found) * words.BITS >= bits > (len(found) - 1) * words.BITS
    assert set(found) <= set(LISTS[language])


def test_a_language_without_a_list_gets_english_words():
    assert set(passphrase(os.urandom, language="la").split("-")) <= set(WORDS)


def test_eighty_bits_are_eight_words():
    assert len(passphrase(os.urandom).split("-")) == 8


@LISTED
def test_every_word_can_be_drawn_and_each_by_equally_many_draws(language):
    counts = dict.fromkeys(LISTS[language], 0)
    draws = (draw.to_bytes(2, "big") for draw in range(65536))
    for _ in range(65536):
        counts[passphrase(lambda _: next(draws), 11, language)] += 1
    assert set(counts.values()) == {32}


def test_a_passphrase_has_a_word():
    with pytest.raises(ValueError, match="at least one word"):
        passphrase(os.urandom, 0)


def test_a_suggestion_is_five_words():
    for language, known in LISTS.items():
        found = suggestion(os.urandom, language).split("-")
        assert len(found) == 5
        assert set(found) <= set(known)
