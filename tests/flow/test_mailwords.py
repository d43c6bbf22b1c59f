"""How words are set in a plain mail."""

from __future__ import annotations

import textwrap

from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.flow.mailwords import WIDTH, _wrapped

WORDS = st.lists(st.text(st.sampled_from("aé-/_.漢\u00a0"), min_size=1, max_size=90), max_size=30)


@given(WORDS, st.sampled_from([" ", "\n", " \r\n\t"]))
def test_paragraphs_are_wrapped_as_the_standard_library_wraps_them(words: list[str], between: str) -> None:
    text = between.join(words).strip()
    plain = " ".join(text.split(between)) if text else ""
    expected = "\n".join(textwrap.wrap(plain, WIDTH, break_long_words=False, break_on_hyphens=False))
    assert _wrapped(text) == expected
