"""Which address was mistyped, or made to look like another?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.lookalikes import closest
from cryptnsend.core.typed import read_people

KNOWN = {
    "j.okafor@okafor-lind.example",
    "pat.lee@yahoo.com",
    "maria@holmcardio.example",
    "anoj@holmcardio.example",
    "ann1@gmail.com",
}


@pytest.mark.parametrize(
    ("typed", "meant", "what"),
    [
        ("j.okafor@okafor-lind.org", "j.okafor@okafor-lind.example", "domain"),
        ("j.okafor@okafor-1ind.example", "j.okafor@okafor-lind.example", "domain"),
        ("j.okafor@okafor-lnid.example", "j.okafor@okafor-lind.example", "domain"),
        ("maria@hoImcardio.example".lower(), "maria@holmcardio.example", "domain"),
        ("maria@hοlmcardio.example", "maria@holmcardio.example", "domain"),  # a Greek omicron
        ("maria@holmcardlo.example", "maria@holmcardio.example", "domain"),
        ("pat.leee@yahoo.com", "pat.lee@yahoo.com", "local"),
        ("pta.lee@yahoo.com", "pat.lee@yahoo.com", "local"),
        ("anjo@holmcardio.example", "anoj@holmcardio.example", "local"),  # short: only neighbours that changed places
        ("somebody@gmial.com", "somebody@gmail.com", "domain"),
        ("somebody@outlok.com", "somebody@outlook.com", "domain"),
        ("somebody@hotrnail.com", "somebody@hotmail.com", "domain"),
    ],
)
def test_an_address_close_to_a_known_one_is_named(typed: str, meant: str, what: str) -> None:
    found = closest(typed, KNOWN)
    assert found is not None
    assert (found.address, found.what) == (meant, what)


@pytest.mark.parametrize(
    "typed",
    ["anok@holmcardio.example", "aojn@holmcardio.example",
     "pat.lee@yahoo.com", "walter@lindgren.example", "pat.lee@icloud.com", "desk@pinestreet.example", "bo@aol.com",
     "ann@ymail.com", "joe@gmx.com", "amy@yahoo.com", "leo@hotmail.ca", "ida@yahoo.de"],
)  # fmt: skip
def test_an_address_unlike_all_others_is_left_alone(typed: str) -> None:
    assert closest(typed, KNOWN) is None


@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_that_is_typed_breaks_the_comparison(local: str, domain: str) -> None:
    found = closest(f"{local}@{domain}", KNOWN)
    assert found is None or found.address != f"{local}@{domain}"


def test_addresses_are_read_as_people_type_them() -> None:
    typed = read_people(
        'pat@yahoo.com; "Lee, June" <june@example.org>\nWalter Lindgren <w@x.example>, mailto:a@b.example'
    )
    assert [each.address for each in typed.people] == [
        "pat@yahoo.com",
        "june@example.org",
        "w@x.example",
        "a@b.example",
    ]
    assert [each.name for each in typed.people] == ["", "Lee, June", "Walter Lindgren", ""]
    assert typed.wrong == ()


@pytest.mark.parametrize("wrong", ["pat", "pat@", "@yahoo.com", "Pat Lee <pat>", "pat@yahoo.com june@example.org"])
def test_what_is_no_address_is_shown_to_who_typed_it(wrong: str) -> None:
    typed = read_people(f"carl@mail.example, {wrong}")
    assert [each.address for each in typed.people] == ["carl@mail.example"]
    assert len(typed.wrong) == 1
    assert typed.wrong[0].split()[0] == wrong.split()[0]


@given(st.text(max_size=300))
def test_reading_what_is_typed_never_fails(text: str) -> None:
    typed = read_people(text)
    assert all("@" in each.address for each in typed.people)
