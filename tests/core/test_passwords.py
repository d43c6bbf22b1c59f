"""Does the right secret open a seed, a wrong one never, and is damage never taken for a wrong secret?"""

from __future__ import annotations

import os
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core import passwords
from cryptnsend.core.errors import SealBroken, WrongSecret
from cryptnsend.core.passwords import Argon, check_strength, derive, unwrap_seed, wrap_seed
from cryptnsend.core.words import suggestion

FAST = Argon(64, 1, 1)
SALT = bytes(16)
K, OTHER_K = bytes(range(32)), bytes(range(1, 33))
SEED = bytes(range(100, 132))
WRAP = wrap_seed(K, SEED, pair=41, kind="password", rng=os.urandom)


# -- Argon2id ---------------------------------------------------------------------------------------------------------


def test_the_defaults_are_those_of_rfc_9106():
    """§4, the second recommended option: 64 MiB, 3 passes, 4 lanes."""
    assert Argon().encode() == "argon2id,m=65536,t=3,p=4"


@given(st.integers(1, 16), st.integers(1, 64), st.integers(0, 2**20))
def test_parameters_come_back_from_their_text(lanes, iterations, more):
    params = Argon(max(8 * lanes, more), iterations, lanes)
    assert Argon.decode(params.encode()) == params


@pytest.mark.parametrize(
    "text",
    [
        "",
        "argon2id",
        "argon2i,m=65536,t=3,p=4",
        "argon2id,m=65536,t=3,p=4 ",
        "argon2id,m=-1,t=3,p=4",
        "argon2id,m=2097152,t=3,p=4",
        "argon2id,m=65536,t=0,p=4",
        "argon2id,m=65536,t=65,p=4",
        "argon2id,m=65536,t=3,p=17",
        "argon2id,m=8,t=3,p=4",
        "argon2id,m=٦٤,t=3,p=4",
    ],
)
def test_parameters_that_would_hang_or_fill_the_machine_are_damage(text):
    with pytest.raises(SealBroken):
        Argon.decode(text)


def test_k_is_argon2id_of_the_password():
    """The answer was computed with the reference implementation, libargon2: version 0x13, no secret, no data."""
    known = "f61caa0434e03c84925a692a8d9d1dea543394cc106bd7ac20624bf1b85fae34"
    assert derive("pass", b"s" * 16, Argon(256, 3, 4)).hex() == known


@pytest.mark.parametrize("change", [{"password": "pasS"}, {"salt": b"t" * 16}, {"params": Argon(64, 2, 1)}])
def test_password_salt_and_parameters_all_count(change):
    place = {"password": "pass", "salt": b"s" * 16, "params": FAST}
    assert derive(**place) == derive(**place)
    assert derive(**{**place, **change}) != derive(**place)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("b\u00e4r", "ba\u0308r"),
        ("a b", "a\u00a0b"),
        ("a b", "a\u3000b"),
        ("\u212b", "\u00c5"),
        ("e\u0323\u0307", "e\u0307\u0323"),
    ],
)
def test_the_same_password_from_another_keyboard_is_the_same(one, other):
    """RFC 8265 §4.2.2: spaces are mapped, then NFC."""
    assert derive(one, SALT, FAST) == derive(other, SALT, FAST)


@pytest.mark.parametrize(("one", "other"), [("pass", "PASS"), ("a", "\uff41"), ("a b", "a  b"), ("pass", "pass ")])
def test_case_width_and_number_of_spaces_are_kept(one, other):
    """RFC 8265 §4.2.2."""
    assert derive(one, SALT, FAST) != derive(other, SALT, FAST)


def test_many_sign_in_at_once_and_each_gets_their_own_key():
    """OpenSSL has one pool of threads for all derivations, and those that share it fail or wait for ever."""
    params = Argon(memory_kib=64, iterations=2, lanes=4)
    salts = [bytes([number]) * 16 for number in range(8)]
    alone = [derive("pale river lantern oak", salt, params) for salt in salts]
    found: dict[int, bytes] = {}

    def many(number):
        for _ in range(40):
            found[number] = derive("pale river lantern oak", salts[number], params)

    threads = [threading.Thread(target=many, args=(number,), daemon=True) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert not any(each.is_alive() for each in threads)
    assert [found[number] for number in range(8)] == alone


@given(st.text(min_size=1, max_size=30))
def test_any_text_derives_the_same_however_it_was_composed(text):
    forms = {derive(unicodedata.normalize(form, text), SALT, FAST) for form in ("NFC", "NFD")}
    assert forms == {derive(text, SALT, FAST)}


@pytest.mark.parametrize("password", ["", "x" * 1025, "half \ud800 pair"])
def test_what_can_never_have_been_set_is_a_wrong_secret(password):
    with pytest.raises(WrongSecret):
        derive(password, SALT, FAST)


def test_a_salt_of_another_size_is_a_mistake():
    with pytest.raises(ValueError, match="16 octets"):
        derive("pass", b"short", FAST)


# -- wraps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["password", "recovery", "device", "export"])
def test_a_wrap_opens_with_its_k(kind):
    wrap = wrap_seed(K, SEED, pair=41, kind=kind, rng=os.urandom)
    assert len(wrap) == 100
    assert unwrap_seed(K, wrap, pair=41, kind=kind) == SEED
    with pytest.raises(WrongSecret):
        unwrap_seed(OTHER_K, wrap, pair=41, kind=kind)


@pytest.mark.parametrize(("pair", "kind"), [(42, "password"), (41, "recovery"), (4, "password")])
def test_a_wrap_moved_to_another_pair_or_kind_is_damage(pair, kind):
    with pytest.raises(SealBroken):
        unwrap_seed(K, WRAP, pair=pair, kind=kind)


def test_no_flipped_bit_is_ever_taken_for_a_wrong_password():
    for bit in range(len(WRAP) * 8):
        damaged = bytearray(WRAP)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            unwrap_seed(K, bytes(damaged), pair=41, kind="password")


@given(st.binary(max_size=120))
def test_octets_that_are_no_wrap_are_damage(octets):
    with pytest.raises(SealBroken):
        unwrap_seed(K, octets, pair=41, kind="password")


@pytest.mark.parametrize(
    ("k", "seed", "kind"), [(K[:-1], SEED, "password"), (K, SEED[:-1], "password"), (K, SEED, "x")]
)
def test_other_sizes_and_kinds_are_mistakes(k, seed, kind):
    with pytest.raises(ValueError, match="octets"):
        wrap_seed(k, seed, pair=41, kind=kind, rng=os.urandom)


# -- recovery codes and device passwords ------------------------------------------------------------------------------


def test_a_recovery_code_has_160_bits_and_nine_groups():
    code = passwords.new_recovery_code(os.urandom)
    assert [len(group) for group in code.split("-")] == [4] * 9
    assert len({passwords.new_recovery_code(os.urandom) for _ in range(100)}) == 100
    assert len(passwords.recovery_key(code)) == 32


@given(st.binary(min_size=20, max_size=20), st.randoms())
def test_a_recovery_code_forgives_how_people_type(chance, draw):
    code = passwords.new_recovery_code(lambda _: chance)
    typed = "".join(
        draw.choice({"0": "0Oo", "1": "1IiLl", "-": ["", " ", "-", " - "]}.get(each, each + each.lower()))
        for each in code
    )
    assert passwords.recovery_key(f"  {typed}\n") == passwords.recovery_key(code)


@given(st.binary(min_size=20, max_size=20), st.integers(0, 35), st.sampled_from(passwords.ALPHABET))
def test_one_mistyped_character_of_a_recovery_code_is_noticed(chance, place, letter):
    """The checksum has 20 bits, so a wrong code passes it once in a million; the wrap then refuses it."""
    code = passwords.new_recovery_code(lambda _: chance).replace("-", "")
    typed = code[:place] + letter + code[place + 1 :]
    wrap = wrap_seed(passwords.recovery_key(code), SEED, pair=1, kind="recovery", rng=os.urandom)
    if typed != code:
        with pytest.raises(WrongSecret):
            unwrap_seed(passwords.recovery_key(typed), wrap, pair=1, kind="recovery")


@pytest.mark.parametrize("code", ["", "hello", "0" * 35, "0" * 37, "U" * 36, "é" * 36, "0" * 5000])
def test_what_is_no_recovery_code_is_said_in_words(code):
    with pytest.raises(WrongSecret, match="nine groups of four"):
        passwords.recovery_key(code)


@given(st.integers(0, 2**63 - 1))
def test_a_device_password_carries_its_id_and_secret(device):
    secret = os.urandom(16)
    password = passwords.new_device_password(device, lambda n: secret[:n])
    assert password.isascii()
    assert [len(group) for group in password.split("-")] == [5] * 8
    assert password == passwords.format_device_password(device, secret)
    for typed in (password, password.upper(), password.replace("-", ""), password.replace("-", " ") + "\n"):
        assert passwords.parse_device_password(typed) == (device, secret)


@given(st.text(max_size=60))
def test_a_persons_password_is_not_taken_for_a_devices(text):
    parsed = passwords.parse_device_password(text)
    assert parsed is None or passwords.format_device_password(*parsed).replace("-", "") in text.lower().replace("-", "")


def test_a_mistyped_device_password_is_mostly_noticed():
    password = passwords.new_device_password(7, os.urandom)
    wrong = [password[:-1] + each for each in passwords.ALPHABET.lower() if each != password[-1]]
    assert [passwords.parse_device_password(each) for each in wrong] == [None] * 31
    assert passwords.parse_device_password(password[:-6]) is None


def test_the_key_of_a_device_is_not_its_secret():
    secret = os.urandom(16)
    assert len(passwords.device_key(secret)) == 32
    assert secret not in passwords.device_key(secret)


def test_a_device_secret_has_16_octets():
    with pytest.raises(ValueError, match="16 octets"):
        passwords.format_device_password(7, b"short")


# -- strength ---------------------------------------------------------------------------------------------------------

HINTS = ["ann.ruiz@gmail.example", "Ann Ruiz"]


@pytest.mark.parametrize(
    ("password", "second_factor", "ok"),
    [
        ("correct horse battery staple", False, True),
        ("kv9#Lq2!xTz7", False, False),  # strong, but 12 characters
        ("kv9#Lq2!xTz7", True, True),
        ("kv9#Lq2", True, False),
        ("aaaaaaaaaaaaaaaaaaaa", False, False),
        ("abcdefghijklmnopqrst", False, False),
        ("password password password", False, False),
        ("ann.ruiz@gmail.example2024", False, False),
        ("Ann Ruiz Ann Ruiz 1975", False, False),
        ("cryptnsend secure mail", False, False),
        ("ünïcödé wörds äre fïne", False, True),
        ("", False, False),
        ("horse\x00battery correct staple", False, False),
        ("half a surrogate pair \ud800", False, False),
        ("x" * 1025, False, False),
        ("correct horse battery staple " * 30, False, True),
    ],
)
def test_a_password_must_be_long_and_hard_to_guess(password, second_factor, ok):
    """NIST SP 800-63B-4 §3.1.1.2: 15 characters, or 8 with a second factor; no rules about kinds of characters."""
    found = check_strength(password, hints=HINTS, second_factor=second_factor)
    assert found.ok is ok
    assert bool(found.advice) is not ok
    assert 0 <= found.score <= 4


@pytest.mark.parametrize("password", ["".join(map(chr, range(33, 105))), "zyxwvutsrqponmlkjihg", "x" * 72])
def test_what_runs_on_is_no_password(password):
    assert check_strength(password, hints=[], second_factor=False).score <= 1


@given(st.text("4@8({[<369!1|05$7+%2ab", max_size=80))
def test_signs_that_stand_for_letters_are_few_when_scored(password):
    """zxcvbn tries them in every combination: with all twenty a stranger kept it busy for 6 seconds."""
    scored = passwords._fewer_signs(password)
    assert len(scored) == len(password)
    assert len({each for each in scored if each in "4@8({[<369!1|05$7+%2"}) <= 8


def test_suggested_passphrases_are_good_enough():
    for _ in range(20):
        assert check_strength(suggestion(os.urandom), hints=HINTS, second_factor=False).ok


@given(st.text(max_size=200), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_gets_an_answer(password, hints):
    found = check_strength(password, hints=hints, second_factor=True)
    assert found.ok is (found.advice == "")
    if found.ok:
        assert len(derive(password, SALT, FAST)) == 32


def test_the_hints_of_one_person_do_not_count_for_another():
    """zxcvbn keeps them in a module-wide dictionary, so threads must take turns."""
    gate = threading.Barrier(8)

    def judge(n: int) -> int:
        gate.wait(60)
        hints = [f"zyqwvx{n}bkjh"] if n % 2 else []
        return check_strength(f"zyqwvx{n}bkjh", hints=hints, second_factor=True).score

    with ThreadPoolExecutor(8) as pool:
        scores = list(pool.map(judge, range(8)))
    assert all(score <= 1 for score in scores[1::2])
    assert all(score >= 3 for score in scores[0::2])


@pytest.mark.parametrize("known", ["password123456789", "letmein123456789", "Password12345678!", "monkey1234567890"])
def test_a_known_word_and_counting_is_no_password(known: str) -> None:
    assert not check_strength(known, hints=[], second_factor=False).ok


def test_counting_at_the_end_takes_nothing_from_a_passphrase() -> None:
    assert check_strength("velvet acorn harvest dune 1234", hints=[], second_factor=False).ok
