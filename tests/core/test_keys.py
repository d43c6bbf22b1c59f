"""Can exactly the holder open a content key, in exactly its place, and does every grant find its epoch's row?"""

from __future__ import annotations

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core import keys
from cryptnsend.core.errors import NoGrant, SealBroken
from cryptnsend.core.keys import Epochs, GrantBinding, QueueBinding

SEED = bytes(range(32))
PUBLIC = keys.public_of(SEED)
PLACE = {"label": "epoch", "owner": "account:12", "holder": "account:12", "ref": 5}
GRANT = GrantBinding(3, 77, "account:12", "recipient", "pat@yahoo.example|9", "managed")
QUEUE = QueueBinding(3, 77, 5, "ann@gmail.example", "zip")
EPOCH_KEY = bytes(range(32, 64))
CONTENT_KEY = bytes(range(64, 96))


class Hand:
    """A clock that only moves when told to; UTC milliseconds."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Hand:
    return Hand()


def opened(epoch: keys.Epoch, holder: str = "account:12") -> bytes:
    return keys.open_with(SEED, epoch.sealed, label="epoch", owner=holder, holder=holder, ref=epoch.id)


# -- pairs ------------------------------------------------------------------------------------------------------------


def test_a_seed_is_32_octets_of_chance_and_grows_into_a_public_key():
    assert keys.new_seed(lambda n: b"x" * n) == b"x" * 32
    assert len(PUBLIC) == keys.PUBLIC
    assert keys.Pair(SEED).public == PUBLIC
    assert keys.public_of(bytes(32)) != PUBLIC


def test_the_public_key_of_a_seed_is_the_published_x_wing_one():
    """The first test vector of draft-connolly-cfrg-xwing-kem: its seed, and how its public key begins and ends."""
    seed = bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
    public = keys.public_of(seed)
    assert public.hex().startswith("e2236b35a8c24b39b10aa1323a96a919a2ced88400633a7b07131713fc14b2b5")
    assert public.hex().endswith("859edb06eff389b27dce59844570216223593d4ba32d9abac8cd049040ef6534")


def test_a_seed_is_told_from_every_other_by_its_public_key():
    seed, other = os.urandom(32), os.urandom(32)
    public = keys.public_of(seed)
    assert keys.is_seed_of(seed, public)
    assert not keys.is_seed_of(other, public)
    assert not keys.is_seed_of(seed, keys.public_of(other))
    assert not keys.is_seed_of(seed[:31], public)
    assert not keys.is_seed_of(seed, public[:-1])
    assert not keys.is_seed_of(seed, b"")


def test_a_secret_of_32_octets_takes_1168_when_sealed():
    sealed = keys.seal_to(PUBLIC, EPOCH_KEY, **PLACE)
    assert len(sealed) == 1168 == 32 + keys.SEALED_OVERHEAD
    assert keys.open_with(SEED, sealed, **PLACE) == EPOCH_KEY
    assert keys.Pair(SEED).open(sealed, **PLACE) == EPOCH_KEY


@pytest.mark.parametrize("other", [{"label": "seed"}, {"owner": "account:13"}, {"holder": "account:1"}, {"ref": 6}])
def test_a_secret_opens_only_in_its_place(other):
    sealed = keys.seal_to(PUBLIC, EPOCH_KEY, **PLACE)
    with pytest.raises(SealBroken):
        keys.open_with(SEED, sealed, **{**PLACE, **other})


def test_a_secret_opens_only_with_its_pair():
    with pytest.raises(SealBroken):
        keys.open_with(bytes(32), keys.seal_to(PUBLIC, EPOCH_KEY, **PLACE), **PLACE)


@given(st.binary(max_size=1300))
def test_what_was_never_sealed_opens_to_nothing(octets):
    with pytest.raises(SealBroken):
        PAIR.open(octets, **PLACE)


PAIR = keys.Pair(SEED)


@pytest.mark.parametrize(
    "public", [b"", PUBLIC[:-1], PUBLIC + b"\0", PUBLIC[:1184] + bytes(32), b"\xff" * 1184 + PUBLIC[1184:]]
)
def test_a_damaged_public_key_is_refused(public):
    """Too short, too long, a point of small order (RFC 7748 §6.1), coefficients above q (FIPS 203 §7.2)."""
    with pytest.raises(SealBroken):
        keys.seal_to(public, EPOCH_KEY, **PLACE)


def test_a_seed_of_another_size_is_a_mistake():
    with pytest.raises(ValueError, match="32 octets"):
        keys.Pair(bytes(31))


# -- grants -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("binding", [GRANT, QUEUE])
@pytest.mark.parametrize(("octets", "size"), [(32, 60), (64, 92)])
def test_a_grant_wraps_one_key_or_two(binding, octets, size):
    content_keys = os.urandom(octets)
    wrap = keys.wrap_content(EPOCH_KEY, content_keys, binding, os.urandom)
    assert len(wrap) == size
    assert keys.unwrap_content(EPOCH_KEY, wrap, binding) == content_keys


@pytest.mark.parametrize("octets", [0, 16, 31, 33, 63, 96])
def test_a_grant_wraps_nothing_else(octets):
    with pytest.raises(ValueError, match="one content key or two"):
        keys.wrap_content(EPOCH_KEY, bytes(octets), GRANT, os.urandom)


@pytest.mark.parametrize(
    "moved",
    [
        replace(GRANT, organisation=4),
        replace(GRANT, message=78),
        replace(GRANT, holder="account:13"),
        replace(GRANT, holder="address:pat@yahoo.example"),
        replace(GRANT, role="author"),
        replace(GRANT, contact="pat@yahoo.example|10"),
        replace(GRANT, contact="quinn@yahoo.example|9"),
        replace(GRANT, custody="strict"),
        QUEUE,
    ],
)
def test_a_grant_moved_anywhere_is_refused(moved):
    wrap = keys.wrap_content(EPOCH_KEY, CONTENT_KEY, GRANT, os.urandom)
    with pytest.raises(SealBroken):
        keys.unwrap_content(EPOCH_KEY, wrap, moved)


@pytest.mark.parametrize(
    "moved",
    [
        replace(QUEUE, organisation=4),
        replace(QUEUE, message=78),
        replace(QUEUE, delivery=6),
        replace(QUEUE, recipient="mallory@gmail.example"),
        replace(QUEUE, form="tls"),
    ],
)
def test_a_queue_wrap_moved_anywhere_is_refused(moved):
    wrap = keys.wrap_content(EPOCH_KEY, CONTENT_KEY, QUEUE, os.urandom)
    with pytest.raises(SealBroken):
        keys.unwrap_content(EPOCH_KEY, wrap, moved)


def test_every_flipped_bit_of_a_grant_is_found():
    for bit in range(len(WRAP) * 8):
        wrap = bytearray(WRAP)
        wrap[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            keys.unwrap_content(EPOCH_KEY, bytes(wrap), GRANT)


WRAP = keys.wrap_content(EPOCH_KEY, CONTENT_KEY, GRANT, os.urandom)


@pytest.mark.parametrize("length", [0, 11, 12, 27, 28, 59])
def test_a_grant_cut_short_is_found(length):
    with pytest.raises(SealBroken):
        keys.unwrap_content(EPOCH_KEY, WRAP[:length], GRANT)


def test_no_grant_has_another_role():
    with pytest.raises(ValueError, match="officer"):
        replace(GRANT, role="officer")


def test_only_two_keys_open_the_authors_index():
    assert keys.author_key(CONTENT_KEY + EPOCH_KEY) == EPOCH_KEY
    with pytest.raises(NoGrant):
        keys.author_key(CONTENT_KEY)


texts = st.text(max_size=6)


@given(st.tuples(texts, texts, texts), st.tuples(texts, texts, texts))
def test_other_fields_are_other_associated_data(one, two):
    def aad(fields):
        return GrantBinding(1, 2, fields[0], "recipient", fields[1], fields[2]).aad()

    assert (aad(one) == aad(two)) is (one == two)


@given(st.binary(max_size=100), st.binary(max_size=40))
def test_a_box_opens_under_its_key_and_data_only(plain, aad):
    boxed = keys.box(EPOCH_KEY, plain, aad, os.urandom)
    assert keys.unbox(EPOCH_KEY, boxed, aad) == plain
    with pytest.raises(SealBroken):
        keys.unbox(EPOCH_KEY, boxed, aad + b"x")
    with pytest.raises(SealBroken):
        keys.unbox(CONTENT_KEY, boxed, aad)


# -- epochs -----------------------------------------------------------------------------------------------------------


def test_an_epoch_is_used_again_for_its_pair_and_opens_for_it(clock):
    epochs = Epochs(os.urandom, clock)
    first = epochs.current(1, PUBLIC, "account:12", "account:12")
    assert epochs.current(1, PUBLIC, "account:12", "account:12") is first
    assert opened(first) == first.key
    assert 0 < first.id < 2**63


@pytest.mark.parametrize(
    "other", [(2, "account:12", "account:12"), (1, "keeper", "account:12"), (1, "account:12", "x")]
)
def test_another_pair_owner_or_holder_has_another_epoch(clock, other):
    epochs = Epochs(os.urandom, clock)
    first = epochs.current(1, PUBLIC, "account:12", "account:12")
    pair, owner, holder = other
    second = epochs.current(pair, PUBLIC, owner, holder)
    assert second.key != first.key
    assert second.id != first.id


def test_a_changed_public_key_has_another_epoch(clock):
    epochs = Epochs(os.urandom, clock)
    first = epochs.current(1, PUBLIC, "account:12", "account:12")
    assert epochs.current(1, keys.public_of(bytes(32)), "account:12", "account:12").key != first.key


def test_an_epoch_ends_after_its_uses(clock):
    epochs = Epochs(os.urandom, clock, max_uses=3)
    ids = [epochs.current(1, PUBLIC, "a", "a").id for _ in range(7)]
    assert [ids.count(each) for each in dict.fromkeys(ids)] == [3, 3, 1]


def test_an_epoch_ends_with_its_time(clock):
    epochs = Epochs(os.urandom, clock, max_age_ms=600_000)
    first = epochs.current(1, PUBLIC, "a", "a")
    clock.ms += 599_999
    assert epochs.current(1, PUBLIC, "a", "a") is first
    clock.ms += 1
    assert epochs.current(1, PUBLIC, "a", "a") is not first


def test_a_clock_set_back_lengthens_no_epoch(clock):
    epochs = Epochs(os.urandom, clock)
    first = epochs.current(1, PUBLIC, "a", "a")
    clock.ms -= 1
    assert epochs.current(1, PUBLIC, "a", "a") is not first


def test_ids_never_repeat_though_clock_and_chance_do(clock):
    epochs = Epochs(lambda n: bytes(n), clock, max_uses=1)
    ids = [epochs.current(1, PUBLIC, "a", "a").id for _ in range(5)]
    assert len(set(ids)) == 5


def test_every_grant_carries_the_epochs_row_until_a_commit_is_confirmed(clock):
    epochs = Epochs(os.urandom, clock)
    epoch = epochs.current(1, PUBLIC, "a", "a")
    assert epochs.needs_row(epoch.id)
    epochs.current(1, PUBLIC, "a", "a")
    assert epochs.needs_row(epoch.id)
    epochs.confirm([epoch.id, 12345])
    assert not epochs.needs_row(epoch.id)


def test_a_forgotten_epoch_is_used_for_nothing_more(clock):
    epochs = Epochs(os.urandom, clock)
    epoch = epochs.current(1, PUBLIC, "a", "a")
    epochs.confirm([epoch.id])
    epochs.forget([epoch.id, 12345])
    assert epochs.needs_row(epoch.id)
    assert epochs.current(1, PUBLIC, "a", "a") is not epoch


def test_forgetting_an_old_epoch_leaves_the_one_that_replaced_it(clock):
    epochs = Epochs(os.urandom, clock)
    old = epochs.current(1, PUBLIC, "a", "a")
    clock.ms += 600_000
    new = epochs.current(1, PUBLIC, "a", "a")
    epochs.forget([old.id])
    assert epochs.current(1, PUBLIC, "a", "a") is new is not old


def test_the_pair_unused_for_the_longest_is_forgotten_first(clock):
    epochs = Epochs(os.urandom, clock, capacity=2)
    one, two = epochs.current(1, PUBLIC, "a", "a"), epochs.current(2, PUBLIC, "a", "a")
    epochs.current(1, PUBLIC, "a", "a")
    epochs.current(3, PUBLIC, "a", "a")
    assert epochs.current(1, PUBLIC, "a", "a") is one
    assert epochs.current(2, PUBLIC, "a", "a") is not two


@given(st.integers(0, 2**32))
def test_after_any_rollbacks_every_committed_grant_has_its_epochs_row(chance):
    """A model of batches whose items and commits fail at random: no committed grant points at a missing row."""
    draw = random.Random(chance)
    clock = Hand()
    epochs = Epochs(os.urandom, clock, max_uses=4, capacity=3)
    rows: set[int] = set()
    for _ in range(12):
        batch = []
        for _ in range(draw.randint(1, 5)):
            clock.ms += draw.choice([0, 1, 200_000])
            epoch = epochs.current(draw.randint(1, 4), PUBLIC, "a", "a")
            batch.append((epoch.id, epochs.needs_row(epoch.id), draw.random() < 0.3))
        if draw.random() < 0.3:
            epochs.forget(ident for ident, _, _ in batch)
            continue
        kept = [(ident, carried) for ident, carried, failed in batch if not failed]
        rows |= {ident for ident, carried in kept if carried}
        assert {ident for ident, _ in kept} <= rows
        epochs.confirm({ident for ident, _ in kept})


def test_threads_share_epochs_and_never_use_one_too_often(clock):
    epochs = Epochs(os.urandom, clock, max_uses=10)
    gate = threading.Barrier(4)

    def work(_: int) -> list[tuple[int, int]]:
        gate.wait(60)
        return [(e.id, e.pair) for e in (epochs.current(n % 3, PUBLIC, "a", "a") for n in range(90))]

    with ThreadPoolExecutor(4) as pool:
        used = [each for found in pool.map(work, range(4)) for each in found]
    counts = {ident: used.count(ident) for ident in set(used)}
    assert len(used) == 360
    assert max(counts.values()) <= 10
    assert len({ident for ident, _ in counts}) == len(counts)


def test_an_epoch_never_shows_its_key(clock):
    """A traceback or a log line may hold its repr."""
    epoch = Epochs(os.urandom, clock).current(1, PUBLIC, "a", "a")
    assert "key" not in repr(epoch)
    assert "sealed" not in repr(epoch)
