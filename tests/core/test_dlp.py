"""Detectors: what each finds, what it leaves alone, and that no text takes more time than its length allows."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.dlp.detect import OWN, RULES, SHOWN, Finding, Piece, detect, masked
from cryptnsend.core.dlp.numbers import is_card, is_dea, is_itin, is_ssn, luhn
from cryptnsend.core.dlp.own import BadPattern, Own, check, check_pattern
from cryptnsend.core.dlp.text import plain_form

FOUND = [
    ("ssn", "Her SSN is 219-44-1234."),
    ("ssn", "219-44-1234"),
    ("ssn", "his social is 219 44 1234"),
    ("ssn", "SSN 219.44.1234"),
    ("ssn", "Social Security number: 219441234"),
    ("ssn", "order 12, SSN 219-44-1234"),
    ("ssn", "219\u201144\u20111234"),
    ("ssn", "SSN: ２１９-４４-１２３４"),
    ("ssn", "21\u200b9-44-12\u200b34"),
    ("ssn", "Name\tSSN\nPat Doe\t219441234\n"),
    ("itin", "ITIN 912-70-1234"),
    ("itin", "912-88-1234"),
    ("itin", "taxpayer id 912701234"),
    ("card", "4111 1111 1111 1111"),
    ("card", "4111-1111-1111-1111 exp 12/27"),
    ("card", "5555555555554444"),
    ("card", "2223003122003222"),
    ("card", "378282246310005"),
    ("card", "3782 822463 10005"),
    ("card", "6011 1111 1111 1117"),
    ("card", "Diners card 3056 930902 5904"),
    ("card", "3530111333300000"),
    ("card", "UnionPay 6200000000000005"),
    ("npi", "NPI: 1234567893"),
    ("npi", "1234567893 (NPI)"),
    ("mbi", "MBI 1EG4-TE5-MK73"),
    ("mbi", "1EG4TE5MK73"),
    ("mbi", "Medicare number 1eg4te5mk73"),
    ("dea", "DEA# AB1234563"),
    ("dea", "DEA: F91234563"),
    ("icd10", "Diagnosis: E11.9"),
    ("icd10", "Dx I10"),
    ("icd10", "the patient was seen for M54.50"),
    ("icd10", "ICD-10: F32A, S72.001A"),
    ("drug", "takes metformin 500 mg twice daily"),
    ("drug", "We prescribed Lipitor."),
    ("drug", "She is on warfarin now"),
    ("drug", "Your refill of sertraline is ready"),
    ("drug", "la paciente toma metformina, losartan 50 mg al día"),
    ("birth-date", "DOB: 03/04/1961"),
    ("birth-date", "D.O.B. 3-4-61"),
    ("birth-date", "born on March 4, 1961"),
    ("birth-date", "Date of birth 1961-03-04"),
    ("birth-date", "4 March 1961 (DOB)"),
    ("birth-date", "Fecha de nacimiento: 4 de marzo de 1961"),
    ("birth-date", "Her birthday is 03/04/1961"),
    ("birth-date", "Is the birthday that we have, March 4, 1961, right?"),
    ("ssn", "The invoice is attached. Her number is 219-44-1234"),
    ("mbi", "1eg4te5mk73 stands on the card"),
    ("birth-date", "Name,DOB,Visit\nPat,03/04/1961,05/06/2024\n"),
    ("mrn", "MRN: 00123456"),
    ("mrn", "MRN 12-34-567"),
    ("mrn", "medical record number A123456"),
    ("mrn", "chart no. 443210"),
    ("mrn", "Patient ID: 998877"),
    ("mrn", "MRN,Name\n554433,Pat Doe\n"),
]
LEFT_ALONE = [
    "Call 219-443-1234 or 1-800-555-0100.",
    "000-12-3456, 666-12-3456, 219-00-1234, 219-44-0000",
    "078-05-1120 was in every wallet",
    "Order no. 219-44-1234",
    "Invoice 219-44-1234 is due",
    "219441234",
    "Meter reading 219 44 1234",
    "219.44.1234",
    "Part no. 219-44-1234 is gone, there is 219-44-1235 instead",
    "Happy birthday on 03/04/2026, the birthday party is on 03/05/2026",
    "SSN ending in 1234",
    "912-69-1234",
    "4111 1111 1111 1112",
    "**** **** **** 1111",
    "Tracking number 4111111111111111",
    "IMEI 4111111111111111",
    "https://shop.example/?id=4111111111111111",
    "ISBN 978-3-16-148410-0",
    "phone 1234567893",
    "1EG4-TE5-MK7 and 1SG4-TE5-MK73",
    "AB1234563",
    "DEA AB1234567",
    "meet in room E11, gate B12, seat C31",
    "patient took vitamin B12",
    "the patient asked about the A320",
    "Please order 20 boxes of ibuprofen 200 mg",
    "A new study of metformin 500 mg daily was published",
    "Aspirin is made of willow bark",
    "Your appointment is on 03/04/2025 at 10:30",
    "The clinic was founded on 03/04/1961",
    "patient since 2024-11",
    "The chart shows 1200 visits",
    "Patient phone 555-123-4567",
    "Invoice total $1,234.56 due 2024-12-01, PO 4500123456, UPS 1Z999AA10123456784",
]


def rules_of(text: str, own: Own | None = None) -> set[str]:
    return {each.rule for each in detect([Piece("text", text)], own or Own())}


@pytest.mark.parametrize(("rule", "text"), FOUND)
def test_a_value_of_a_kind_is_found_by_its_rule(rule: str, text: str) -> None:
    assert rule in rules_of(text)


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_ordinary_mail_is_left_alone(text: str) -> None:
    assert rules_of(text) == set()


def test_checks_know_what_was_never_given_out() -> None:
    assert is_ssn("219441234")
    assert not any(map(is_ssn, ("000121234", "666121234", "900121234", "219001234", "219440000", "219099999")))
    assert is_itin("912501234")
    assert is_itin("912991234")
    assert not any(map(is_itin, ("912491234", "912661234", "912891234", "912931234", "812701234")))
    assert luhn("79927398713")
    assert not luhn("79927398710")
    assert is_card("4111111111111111")
    assert not any(map(is_card, ("4444444444444444", "1111111111111117", "411111111111111")))
    assert is_dea("1234563")
    assert not is_dea("1234560")


def test_of_a_row_only_the_column_of_births_counts() -> None:
    table = "Name\tVisit\tDOB\nPat\t05/06/2024\t03/04/1961\nKim\t05/07/2024\t03/05/1962\n"
    found = detect([Piece("t", table)], rules=("birth-date",))
    assert len(found) == 1  # both are masked alike, and the two visits are not among them
    assert detect([Piece("t", table.replace("03/04/1961", "").replace("03/05/1962", ""))]) == []


def test_what_is_shown_of_a_value_is_too_little_to_use() -> None:
    assert masked("ssn", "219-44-1234") == "***-**-**34"
    assert masked("card", "4111 1111 1111 1111") == "**** **** **** 1111"
    assert masked("drug", "metformin") == "m********"
    assert masked("birth-date", "03/04/1961") == "**/**/****"
    assert masked("mrn", "1234") == "****"
    assert masked("pattern", "AC-123456") == "**-******"


def test_an_organisations_own_rules_find_whole_words_and_patterns() -> None:
    own = Own(mrn="AC-[0-9]{6}", words=("Project Heron", "Ñandú"), patterns=("HX[0-9]{4}",))
    check(own)
    assert rules_of("about project   HERON", own) == {"word"}
    assert rules_of("el ñandú", own) == {"word"}
    assert rules_of("projects heronry, AC-1234567", own) == set()
    assert rules_of("AC-123456 and xHX12345", own) == {"mrn", "pattern"}


@pytest.mark.parametrize(
    "pattern",
    ["(a", "(?=x)y", r"(a)\1", "x{1000}{1000}", "", "a*", ".", r"\d", "[a-z]+", "x" * 301, "((x{1,99}){1,99}){1,99}"],
)
def test_a_pattern_that_is_of_no_use_is_refused_with_the_reason(pattern: str) -> None:
    with pytest.raises(BadPattern, match=r"cannot be kept|needs from"):
        check_pattern(pattern)


def test_words_without_letters_and_lists_without_end_are_refused() -> None:
    for own in (Own(words=("-",)), Own(words=("x" * 101,)), Own(words=("ok",) * 1001), Own(mrn="(")):
        with pytest.raises(BadPattern):
            check(own)


def test_many_values_of_one_rule_are_told_as_a_few() -> None:
    text = " ".join(f"219-44-{number}" for number in range(1000, 2000))
    assert len(detect([Piece("t", text)])) == SHOWN


def test_a_value_in_two_places_is_told_twice() -> None:
    found = detect([Piece("subject", "219-44-1234"), Piece("text", "219-44-1234, 219-44-1234")])
    assert found == [Finding("ssn", "***-**-**34", "subject"), Finding("ssn", "***-**-**34", "text")]


HEAVY = [
    "1", "219-44-", "E11.9 ", "a,", "\n,", "metformin ", "03/04/1961 ", "MRN ", "patient ", "DOB ", "-", "born\n,\n",
    "4111 ", "x@", "\u200b", "ﷺ", "(" , "AB12", "1EG4-TE5-", "is on ", "\t", "\n", "chart #",
]  # fmt: skip


@pytest.mark.parametrize("unit", HEAVY)
def test_time_grows_with_the_length_and_not_with_its_square(unit: str) -> None:
    own = Own(mrn="(A+)+-[0-9]+", words=("aaa aaa",), patterns=("(x+x+)+y",))

    def seconds(octets: int) -> float:
        text = unit * (octets // len(unit))
        begun = time.process_time()
        detect([Piece("t", text)], own)
        return time.process_time() - begun

    small, large = min(seconds(4_000) for _ in range(2)), seconds(32_000)
    assert large < 40 * small + 0.5  # eight times as long; by its square it were sixty-four times


@given(st.text(alphabet=st.sampled_from("0123456789-./, \n\tABEXMRNDOB@#:\u00a0\u2011\u200b４ñ"), max_size=300))
@settings(max_examples=150, deadline=None)
def test_nothing_that_people_write_breaks_a_detector(text: str) -> None:
    own = Own(mrn="[A-Z]{2}[0-9]{3}", words=("mrn",), patterns=("[0-9]{3}-[A-Z]",))
    for finding in detect([Piece("t", text)], own):
        assert finding.rule in RULES
        assert set(OWN) <= set(RULES)


@given(
    st.integers(0, 999_999_999), st.sampled_from(["", "-", " ", "."]), st.sampled_from(["SSN ", "social security: "])
)
@settings(max_examples=150, deadline=None)
def test_a_labelled_number_is_found_exactly_if_it_may_have_been_given_out(number: int, sign: str, label: str) -> None:
    digits = f"{number:09d}"
    written = sign.join((digits[:3], digits[3:5], digits[5:]))
    assert ("ssn" in rules_of(label + written)) == is_ssn(digits)


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_the_plain_form_of_a_text_is_its_own_plain_form(text: str) -> None:
    assert plain_form(plain_form(text)) == plain_form(text)
