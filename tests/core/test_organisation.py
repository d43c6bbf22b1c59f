"""What does an organisation's word count, beside the installation's and without the keeper's?"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core import organisation, organisation_typed
from cryptnsend.core.errors import Denied
from cryptnsend.core.organisation import PROTECTION, SETTINGS, WAYS, Leaves, Policy, digest, holds, read, write

HOUSE = Policy()


def vouched(said: dict[str, object], house: Policy = HOUSE, leaves: Leaves = Leaves()) -> Policy:  # noqa: B008 - frozen
    text = write(said)  # type: ignore[arg-type]
    return holds(text, house, leaves, vouched=digest(text))


# One row per rule: what the installation says, what the organisation says, what holds.
@pytest.mark.parametrize(
    ("name", "house", "said", "held"),
    [
        ("default", "vault", "plain", "vault"),
        ("default", "plain", "vault", "vault"),
        ("default", "plain", "tls-or-vault", "tls-or-vault"),
        ("default", "tls-or-vault", "plain", "tls-or-vault"),
        ("default", "vault", "pigeon", "pigeon"),  # which `decide` takes as the vault
        ("plain_token", True, False, False),
        ("plain_token", False, True, False),
        ("plain_people", (), ("ann@x.example",), ("ann@x.example",)),
        ("friends", True, False, False),
        ("friends", False, True, False),
        ("friends_people", (), ("officer",), ("officer",)),
        ("pdf_token", True, False, False),
        ("pdf_token", False, True, False),
        ("secure_marks", (), ("[secure]",), ("[secure]",)),
        ("member_domains", (), ("x.example", "y.example 7"), ("x.example", "y.example 7")),
        ("members_in_clear", True, False, False),
        ("members_in_clear", False, True, False),
        ("cleartext", False, True, False),
        ("cleartext", True, False, False),
        ("own_keys", False, True, False),
        ("own_keys", True, False, False),
        ("file_links", False, True, False),
        ("file_links", True, False, False),
        ("tls_replies", True, False, False),
        ("tls_replies", False, True, False),
        ("visitor_pages", True, False, False),
        ("visitor_pages", False, True, False),
        ("api", True, False, False),
        ("api", False, True, False),
        ("code_rule", "new-contact", "always", "always"),
        ("code_on_receipt", True, False, False),
        ("code_on_receipt", False, True, False),
        ("code_instead", "mail", "code", "code"),
        ("code_instead", "mail", "none", "mail"),
        ("code_instead", "none", "mail", "mail"),
        ("code_instead", "none", "anything", "code"),
        ("subscriber_domains", (), ("x.example",), ("x.example",)),
        ("custody", "managed", "strict", "strict"),
        ("life_days", 30, 7, 7),
        ("life_most_days", 2555, 90, 90),
        ("retention_days", 2192, 3650, 3650),
        ("retention_days", 2192, 365, 2192),
        ("journal_to", (), ("x.example ann@x.example",), ("x.example ann@x.example",)),
        ("message_octets", 52_428_800, 10_000_000, 10_000_000),
        ("message_octets", 52_428_800, 99_000_000, 52_428_800),
        ("file_octets", 2_147_483_648, 0, 0),
        ("file_octets", 2_147_483_648, 10_000_000_000, 2_147_483_648),
        ("messages_per_day", 1000, 50, 50),
        ("messages_per_day", 1000, 5000, 1000),
        ("new_recipients_per_day", 200, 5, 5),
        ("idle_minutes", 30, 10, 10),
        ("idle_minutes", 30, 600, 30),
        ("absolute_hours", 12, 8, 8),
        ("absolute_hours", 12, 100, 12),
        ("password_length", 15, 20, 20),
        ("password_length", 15, 8, 15),
        ("password_remind_days", 0, 80, 80),
        ("dlp_off", True, True, True),
        ("dlp_off", True, False, False),
        ("dlp_off", False, True, False),
        ("dlp_as_is", True, False, False),
        ("dlp_as_is", False, True, False),
        ("dlp_proven", False, True, True),
        ("dlp_pictures", False, True, True),
        ("dlp_ignored", (), ("npi",), ("npi",)),
        ("dlp_mrn", "", "AC-[0-9]{6}", "AC-[0-9]{6}"),
        ("dlp_words", (), ("Project Heron",), ("Project Heron",)),
        ("dlp_patterns", (), ("HX[0-9]{1,3}",), ("HX[0-9]{1,3}",)),
        ("hold_hours", 4, 1, 1),
        ("hold_hours", 4, 72, 4),
        ("notice_en", "", "Call 555 0100.", "Call 555 0100."),
        ("notice_es", "", "Llame al 555 0100.", "Llame al 555 0100."),
    ],
)
def test_a_rule_of_an_organisation_holds_as_far_as_the_installation_goes(name, house, said, held):
    assert getattr(vouched({name: said}, replace(HOUSE, **{name: house})), name) == held
    assert getattr(vouched({}, replace(HOUSE, **{name: house})), name) == house


def test_nobody_gets_copies_on_the_word_of_a_row_alone():
    text = write({"journal_to": ("x.example ann@x.example",)})
    assert holds(text, HOUSE, Leaves(), vouched=digest(text)).journal_of("bob@x.example") == "ann@x.example"
    assert holds(text, HOUSE, Leaves(), vouched=digest(text)).journal_of("bob@sub.x.example") == ""
    for vouched_for in (b"", None, digest("{}x")):
        assert holds(text, HOUSE, Leaves(), vouched=vouched_for).journal_to == ()


def test_the_table_has_every_rule():
    marks = test_a_rule_of_an_organisation_holds_as_far_as_the_installation_goes.pytestmark
    assert {row[0] for row in marks[0].args[1]} == set(SETTINGS)


@pytest.mark.parametrize(
    ("least", "cleartext", "said", "holding"),
    [
        ("vault", False, {"default": "plain"}, ("vault", False)),
        ("tls-or-vault", False, {"default": "plain"}, ("vault", False)),
        ("tls-or-vault", False, {"default": "tls-or-vault"}, ("tls-or-vault", False)),
        ("plain", False, {"default": "plain", "cleartext": True}, ("plain", False)),
        ("plain", True, {"default": "plain", "cleartext": True}, ("plain", True)),
        ("plain", True, {"cleartext": "yes"}, ("vault", False)),
    ],
)
def test_less_protection_takes_the_installations_leave_and_the_keepers_word(least, cleartext, said, holding):
    leaves, text = Leaves(least, cleartext), json.dumps(said)
    held = holds(text, HOUSE, leaves, vouched=digest(text))
    assert (held.default, held.cleartext) == holding
    for unvouched in (None, b""):
        held = holds(text, HOUSE, leaves, vouched=unvouched)
        assert (held.default, held.cleartext) == ("vault", False)


@pytest.mark.parametrize("text", ["{}", '{"default":"plain"}', '{"plain_token":true}', "no JSON at all"])
def test_where_the_keeper_knows_another_text_everything_is_careful(text):
    held = holds(text, replace(HOUSE, default="plain"), Leaves("plain", True), vouched=digest('{"life_days":7}'))
    assert (held.default, held.plain_token, held.cleartext, held.tls_replies) == ("vault", False, False, False)
    assert (held.friends, held.pdf_token, held.code_instead) == (False, False, "code")
    assert held.life_days == HOUSE.life_days


words = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**60) | st.text(max_size=12) | st.sampled_from(WAYS),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
texts = st.dictionaries(st.sampled_from([*SETTINGS, "unheard"]), words, max_size=6).map(json.dumps) | st.text(
    max_size=30
)
houses = st.builds(
    Policy,
    default=st.sampled_from(WAYS),
    plain_token=st.booleans(),
    cleartext=st.booleans(),
    tls_replies=st.booleans(),
    friends=st.booleans(),
    pdf_token=st.booleans(),
    code_instead=st.sampled_from(["code", "mail"]),
)
left = st.builds(Leaves, st.sampled_from(WAYS), st.booleans())


@given(texts, houses, left)
def test_whatever_a_row_says_without_the_keeper_protects_no_less_than_the_installation(text, house, leaves):
    held = holds(text, house, leaves, vouched=b"")
    assert PROTECTION.get(held.default, 9) >= PROTECTION[house.default]
    for name in (
        "plain_token",
        "friends",
        "pdf_token",
        "cleartext",
        "file_links",
        "own_keys",
        "tls_replies",
        "visitor_pages",
        "code_on_receipt",
    ):
        assert getattr(house, name) or getattr(held, name) is False
    assert held.code_instead in ("code", house.code_instead)
    assert held.message_octets <= house.message_octets
    assert held.retention_days >= house.retention_days
    assert held.password_length >= house.password_length


@given(texts, houses, left)
def test_nothing_goes_beyond_what_the_installation_leaves(text, house, leaves):
    held = holds(text, house, leaves, vouched=digest(text))
    least = min(PROTECTION[house.default], PROTECTION[leaves.least])
    assert PROTECTION.get(held.default, 9) >= least
    assert house.plain_token or not held.plain_token
    assert house.cleartext or leaves.cleartext or not held.cleartext


@pytest.mark.parametrize("words", ["see https://evil.example", "a\r\nBcc: x", "x" * 301, "write to ann@x.example"])
def test_words_that_could_not_be_saved_are_none_though_the_keeper_vouches_for_them(words):
    assert vouched({"notice_en": words}).notice_en == ""


@pytest.mark.parametrize("nobodys", [None, b""])
def test_words_count_only_where_the_keeper_vouches_for_them(nobodys):
    text = write({"notice_en": "Call us.", "notice_es": "Llame."})
    held = holds(text, HOUSE, Leaves(), vouched=nobodys)
    assert (held.notice_en, held.notice_es) == ("", "")


@given(texts)
def test_a_text_never_raises_and_says_nothing_of_another_kind(text):
    for name, value in read(text).items():
        assert name in SETTINGS
        assert type(value) in (str, bool, int, tuple)
        if SETTINGS[name].metadata["kind"] == "yes":
            assert isinstance(value, bool)


@given(st.dictionaries(st.sampled_from(list(SETTINGS)), st.integers(1, 60), max_size=4))
def test_the_same_words_have_the_same_text_and_the_text_the_same_words(said):
    numbers = {name: value for name, value in said.items() if SETTINGS[name].metadata["kind"] == "number"}
    assert read(write(numbers)) == numbers
    assert write(numbers) == write(dict(reversed(numbers.items())))


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("plain_token", "forbid", False),
        ("plain_token", "YES", True),
        ("default", "tls-or-vault", "tls-or-vault"),
        ("life_days", " 7 ", 7),
        ("plain_people", "Ann@X.example, bob@x.example\nann@x.example", ("ann@x.example", "bob@x.example")),
        ("plain_people", "Officer, manager", ("officer", "manager")),
        ("friends_people", "subscriber\nAnn@X.example", ("subscriber", "ann@x.example")),
        (
            "subscriber_domains",
            "X.example., Bücher.example, Ann@Gmail.example",
            ("x.example", "xn--bcher-kva.example", "ann@gmail.example"),
        ),
        ("code_instead", "code", "code"),
        ("secure_marks", "[Secure], #phi", ("[secure]", "#phi")),
        ("notice_en", "  Call us:\n555 0100 ", "Call us: 555 0100"),
    ],
)
def test_values_are_taken_as_they_are_typed(name, typed, value):
    assert organisation_typed.parse(name, typed) == value
    assert organisation_typed.parse(name, organisation.spelt(value)) == value


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("unheard", "1", "no setting"),
        ("plain_token", "perhaps", "yes or no"),
        ("default", "pigeon", "one of: plain"),
        ("life_days", "0", "from 1 to 2555, in days"),
        ("life_days", "1e3", "whole number"),
        ("life_days", "٣", "whole number"),
        ("messages_per_day", "-1", "from 1 on"),
        ("plain_people", "ann", "is no address, and no role: subscriber, manager, officer"),
        ("friends_people", "boss", "is no address"),
        ("subscriber_domains", "clinic", "is no domain"),
        ("subscriber_domains", "x@", "is no domain"),
        ("code_instead", "letter", "one of: code, mail, none"),
        ("secure_marks", "secure", "neither letter nor digit"),
        ("secure_marks", "::", "no colon"),
        ("notice_en", "see https://evil.example", "link"),
        ("notice_en", "write to ann@x.example", "an address"),
        ("notice_en", "x" * 301, "at most 300"),
        ("notice_en", "a\u202eb", "cannot be shown"),
    ],
)
def test_what_a_rule_does_not_take_is_refused_with_a_sentence(name, typed, said):
    with pytest.raises(Denied, match=said):
        organisation_typed.parse(name, typed)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"life_days": 100, "life_most_days": 30}, "longest life"),
        ({"life_most_days": 2555}, "days for which messages are kept"),
        ({"idle_minutes": 30, "absolute_hours": 0}, "end in any case"),
        ({"plain_people": ("a@x.example",), "plain_token": False}, "nothing leaves plain"),
        ({"cleartext": True, "plain_token": False}, "nothing leaves plain"),
        ({"friends": False, "friends_people": ("officer",)}, "forbidden to all"),
        ({"custody": "strict", "code_rule": "never"}, "Strict custody needs codes"),
    ],
)
def test_rules_that_contradict_one_another_are_refused(said, why):
    held = replace(vouched(said, leaves=Leaves("plain", True)), absolute_hours=said.get("absolute_hours", 12))
    with pytest.raises(Denied, match=why):
        organisation_typed.check_together(said, held)


def test_what_differs_between_two_versions_is_told_rule_by_rule():
    before, after = {"life_days": 7, "plain_token": False}, {"life_days": 9, "notice_en": "Hi"}
    assert [(each.name, each.before, each.after) for each in organisation.differences(before, after)] == [
        ("plain_token", False, None),
        ("life_days", 7, 9),
        ("notice_en", None, "Hi"),
    ]


def test_some_people_may_send_plain_and_words_come_in_the_readers_language():
    held = vouched({"plain_people": ("ann@x.example",), "notice_en": "Hi", "notice_es": "Hola"})
    assert held.may_send_plain(["me@x.example", "ann@x.example"], ["subscriber"])
    assert not held.may_send_plain(["bob@x.example"], ["subscriber", "officer"])
    assert HOUSE.may_send_plain(["bob@x.example"], ["subscriber"])
    assert [held.notice_words(each) for each in ("en", "es", "de")] == ["Hi", "Hola", "Hi"]
    assert replace(held, notice_es="").notice_words("es") == "Hi"


@pytest.mark.parametrize(
    ("said", "may"),
    [
        ({}, True),
        ({"friends": False}, False),
        ({"friends_people": ("officer",)}, False),
        ({"friends_people": ("officer", "manager")}, True),
        ({"friends_people": ("subscriber",)}, True),
        ({"friends_people": ("alias@x.example",)}, True),
        ({"friends_people": ("bob@x.example",)}, False),
    ],
)
def test_everybody_some_or_nobody_have_friends_who_get_ordinary_mail(said, may):
    held = vouched(said)
    assert held.may_have_friends(["ann@x.example", "alias@x.example"], ["subscriber", "manager"]) is may


@pytest.mark.parametrize(
    ("places", "address", "may"),
    [
        ((), "ann@x.example", True),
        (("x.example",), "ann@x.example", True),
        (("x.example",), "ann@sub.x.example", False),
        (("x.example",), "ann@evilx.example", False),
        (("x.example", "ann@gmail.example"), "ann@gmail.example", True),
        (("x.example", "ann@gmail.example"), "bob@gmail.example", False),
    ],
)
def test_subscribers_have_their_addresses_where_the_rule_says(places, address, may):
    assert vouched({"subscriber_domains": places}).may_subscribe(address) is may


def test_what_is_not_looked_for_counts_only_where_the_keeper_vouches_for_it():
    text = write({"dlp_ignored": ("ssn",), "dlp_words": ("heron",)})
    found = holds(text, HOUSE, Leaves(), vouched=b"")
    assert found.dlp_ignored == ()
    assert found.dlp_words == ("heron",)
    edited = holds(text, replace(HOUSE, dlp_off=True), Leaves(), vouched=digest(write({})) or b"another")
    assert edited.dlp_off is False


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("dlp_patterns", "(a", "RE2"),
        ("dlp_patterns", ".*", "every mail"),
        ("dlp_mrn", "(?=x)", "look-around"),
        ("dlp_words", "x", "2 to 100"),
        ("dlp_ignored", "everything", "no rule"),
    ],
)
def test_what_nothing_can_be_looked_for_by_is_refused_when_it_is_typed(name, typed, words):
    with pytest.raises(Denied, match=words):
        organisation_typed.parse(name, typed)


def test_patterns_are_a_line_each_and_keep_their_commas():
    assert organisation_typed.parse("dlp_patterns", "HX[0-9]{1,3}\nQ[0-9]{2,4}") == ("HX[0-9]{1,3}", "Q[0-9]{2,4}")
    assert organisation_typed.parse("dlp_ignored", "npi, dea") == ("npi", "dea")
    assert organisation_typed.parse("dlp_mrn", "") == ""
