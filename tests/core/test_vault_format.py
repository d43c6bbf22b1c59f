"""Do the vectors of docs/vault-format.md come out as they say, and does a stranger's reader open what we export?"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend import reader
from cryptnsend.core import export, keys, passwords, seal, tokens
from cryptnsend.core.errors import CryptnSendError, NoGrant, SealBroken, WrongSecret
from tests import independent_reader

VECTORS = Path(__file__).parent.parent / "vectors"
PASSWORD = "correct horse, bättery staple"
BCC = b"Bcc: quinn@example.org,\r\n\tkim@example.org\r\n"
HEADER = b"From: ann@gmail.example\r\nSubject: Potassium\r\n"
BODY = b"\r\nfine.\r\n" + bytes(range(256)) * 200  # four chunks
SUBMITTED = HEADER[:25] + BCC + HEADER[25:] + BODY
FAST = passwords.Argon(64, 1, 1)


def vectors(kind: str) -> list[Any]:
    """Return every vector of a folder as a test parameter named after its file."""
    return [
        pytest.param(json.loads(each.read_text()), id=each.stem) for each in sorted((VECTORS / kind).glob("*.json"))
    ]


def test_there_are_vectors_of_every_kind():
    found = {kind: len(vectors(kind)) for kind in ("seal", "epoch", "grant", "wrap", "token", "export")}
    assert all(number >= 12 for number in found.values()), found


@pytest.mark.parametrize("vector", vectors("seal"))
def test_stream_vector(vector):
    """Both readers agree with the vector; the one that reads ranges says whether the header or a chunk is to blame."""
    key, octets = bytes.fromhex(vector["key"]), base64.b64decode(vector["sealed"])
    place = vector["message"], vector["part"]
    outcomes = []
    for read in (one_pass, by_ranges):
        try:
            content = read(key, *place, octets)
        except SealBroken as broken:
            outcomes.append("header" if "header" in str(broken) or len(octets) < seal.HEADER else "payload")
        else:
            outcomes.append("success")
            assert hashlib.sha256(content).hexdigest() == vector["content_sha256"]
            assert len(content) == vector["content_size"] == seal.plain_size(len(octets))
    assert outcomes == [vector["expect"]] * 2


def one_pass(key: bytes, message: int, part: str, octets: bytes) -> bytes:
    return seal.open_sealed(key, message, part, octets)


def by_ranges(key: bytes, message: int, part: str, octets: bytes) -> bytes:
    source = seal.SeekReader(key, message, part, lambda start: iter((octets[start:],)), len(octets))
    content = b"".join(source.read_range(0, source.size))
    source.verify()
    return content


@pytest.mark.parametrize("vector", vectors("epoch"))
def test_epoch_vector(vector):
    place = {name: vector[name] for name in ("label", "owner", "holder", "ref")}
    seed, sealed = bytes.fromhex(vector["seed"]), base64.b64decode(vector["sealed"])
    try:
        secret = keys.open_with(seed, sealed, **place)
    except SealBroken:
        assert vector["expect"] == "payload"
    else:
        assert vector["expect"] == "success"
        assert secret.hex() == vector["secret"]
        assert keys.public_of(seed) == base64.b64decode(vector["public"])


@pytest.mark.parametrize("vector", vectors("grant"))
def test_grant_vector(vector):
    if vector["kind"] == "queue":
        names = ("organisation", "message", "delivery", "recipient", "form")
        binding: keys.Binding = keys.QueueBinding(*(vector[name] for name in names))
    else:
        names = ("organisation", "message", "holder", "role", "contact", "custody")
        binding = keys.GrantBinding(*(vector[name] for name in names))
    try:
        opened = keys.unwrap_content(bytes.fromhex(vector["epoch_key"]), base64.b64decode(vector["wrap"]), binding)
        wanted = keys.author_key(opened) if vector.get("wants") == "author_index" else opened[:32]
    except NoGrant:
        outcome = "no grant"
    except SealBroken:
        outcome = "payload"
    else:
        outcome = "success"
        assert wanted.hex() == vector["content_key"]
    assert outcome == vector["expect"]


@pytest.mark.parametrize("vector", vectors("wrap"))
def test_wrap_vector(vector):
    try:
        k = typed_key(vector)
        seed = passwords.unwrap_seed(k, base64.b64decode(vector["wrap"]), pair=vector["pair"], kind=vector["kind"])
    except WrongSecret:
        outcome = "wrong secret"
    except SealBroken:
        outcome = "damaged"
    else:
        outcome = "success"
        assert seed.hex() == vector["seed"]
    assert outcome == vector["expect"]


def typed_key(vector: dict[str, Any]) -> bytes:
    if "recovery_code" in vector:
        return passwords.recovery_key(vector["recovery_code"])
    if "device_password" in vector:
        parsed = passwords.parse_device_password(vector["device_password"])
        assert parsed is not None
        assert parsed[0] == vector["device"]
        return passwords.device_key(parsed[1])
    params = passwords.Argon.decode(vector["parameters"])
    return passwords.derive(vector["password"], bytes.fromhex(vector["salt"]), params)


@pytest.mark.parametrize("vector", vectors("token"))
def test_token_vector(vector):
    key = bytes.fromhex(vector["key"])
    if vector["kind"] == "code":
        place = (vector[name] for name in ("era", "address", "subscriber", "generation", "digits"))
        assert tokens.code(key, *place) == vector["code"]
        return
    claims = tokens.Claims(*(vector[name] for name in ("purpose", "address", "subscriber", "message")))
    assert tokens.verify(key, vector["token"], claims) is (vector["expect"] == "success")


@pytest.mark.parametrize("vector", vectors("export"))
def test_export_vector(vector):
    """Files that this version wrote must open for ever."""
    try:
        message = opened(base64.b64decode(vector["object"]), vector["password"])
    except WrongSecret:
        outcome = "wrong secret"
    except SealBroken:
        outcome = "damaged"
    else:
        outcome = "success"
        assert hashlib.sha256(message).hexdigest() == vector["message_sha256"]
    assert outcome == vector["expect"]


@pytest.mark.parametrize("vector", [each for each in vectors("export") if each.values[0]["expect"] == "success"])
def test_a_reader_written_from_the_format_page_alone_opens_the_export_vectors(vector, tmp_path):
    (tmp_path / "77.sealed.tar").write_bytes(base64.b64decode(vector["object"]))
    message = independent_reader.read(tmp_path / "77.sealed.tar", vector["password"])
    assert hashlib.sha256(message).hexdigest() == vector["message_sha256"]


# -- exported objects -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seed() -> bytes:
    return keys.new_seed(os.urandom)


def made(seed: bytes, role: str, params: passwords.Argon = FAST) -> bytes:
    """Seal, grant and export one message for its author or a recipient."""
    message, holder, content_keys = 77, "account:12", os.urandom(64)
    contact = "pat@yahoo.example|9" if role == "recipient" else ""
    granted = content_keys if role == "author" else content_keys[:32]
    binding = keys.GrantBinding(3, message, holder, role, contact, "managed")
    epochs = keys.Epochs(os.urandom, lambda: 1_700_000_000_000)
    epoch = epochs.current(41, keys.public_of(seed), holder, holder)
    salt, seed_wrap = export.wrap_for_export(PASSWORD, seed, 41, params, os.urandom)
    cuts = json.dumps({"v": 1, "bcc": [[25, base64.b64encode(BCC).decode()]]}).encode()
    exported = export.Exported(
        grant=binding,
        wrap=keys.wrap_content(epoch.key, granted, binding, os.urandom),
        epoch=epoch.id,
        epoch_owner=holder,
        epoch_holder=holder,
        epoch_sealed=epoch.sealed,
        pair=41,
        salt=salt,
        params=params,
        seed_wrap=seed_wrap,
        index=seal.seal(content_keys[:32], message, "index", seal.pad(b"{}")),
        author_index=seal.seal(content_keys[32:], message, "author_index", seal.pad(cuts)),
    )
    stream = seal.seal(content_keys[:32], message, "raw", HEADER + BODY)
    pieces = (stream[at : at + 1000] for at in range(0, len(stream), 1000))
    return b"".join(export.export_object(exported, pieces, len(stream)))


def opened(octets: bytes, password: str = PASSWORD) -> bytes:
    exported, stored = export.read_object(io.BytesIO(octets))
    content_keys = exported.content_keys(password)
    export.verify(exported, content_keys, stored)
    return b"".join(export.open_message(exported, content_keys, stored))


@pytest.mark.parametrize(("role", "message"), [("author", SUBMITTED), ("recipient", HEADER + BODY)])
def test_an_export_opens_to_what_its_holder_may_see(seed, role, message):
    """The author's is what was submitted to the octet, Bcc included; a recipient's never shows Bcc."""
    assert opened(made(seed, role)) == message


@pytest.mark.parametrize(("role", "message"), [("author", SUBMITTED), ("recipient", HEADER + BODY)])
def test_a_reader_written_from_the_format_page_alone_opens_an_export(seed, role, message, tmp_path):
    file = tmp_path / "77.sealed.tar"
    file.write_bytes(made(seed, role, passwords.Argon(128, 2, 2)))
    assert independent_reader.read(file, PASSWORD) == message


def test_the_independent_reader_is_short_and_independent():
    source = Path(independent_reader.__file__).read_text()
    assert len(source.splitlines()) <= 80
    assert not [
        word for word in ("import cryptnsend", "from cryptnsend", "hpke import", "cobblestone import") if word in source
    ]


def test_the_independent_reader_refuses_another_password(seed, tmp_path):
    file = tmp_path / "77.sealed.tar"
    file.write_bytes(made(seed, "author"))
    with pytest.raises(AssertionError, match="wrong password"):
        independent_reader.read(file, PASSWORD + "!")


def test_the_independent_reader_refuses_what_the_stream_vectors_refuse():
    for parameter in vectors("seal"):
        vector = parameter.values[0]
        key, octets = bytes.fromhex(vector["key"]), base64.b64decode(vector["sealed"])
        try:
            content = independent_reader.open_stream(key, vector["message"], vector["part"], octets)
        except (AssertionError, InvalidTag):
            assert vector["expect"] != "success", parameter.id
        else:
            assert hashlib.sha256(content).hexdigest() == vector["content_sha256"], parameter.id


def test_a_wrong_password_is_told_apart_from_damage(seed):
    octets = made(seed, "author")
    with pytest.raises(WrongSecret):
        opened(octets, PASSWORD + "!")


def test_a_recipients_export_has_no_right_to_the_authors_index(seed):
    exported, _ = export.read_object(io.BytesIO(made(seed, "recipient")))
    with pytest.raises(NoGrant):
        export.author_cuts(exported, exported.content_keys(PASSWORD))


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ('"organisation": "3"', '"organisation": "4"'),
        ('"message": "77"', '"message": "78"'),
        ('"holder": "account:12"', '"holder": "account:13"'),
        ('"role": "author"', '"role": "archive"'),
        ('"custody": "managed"', '"custody": "strict"'),
        ('"pair": "41"', '"pair": "42"'),
        ('"suite": 1', '"suite": 2'),
        ("cryptnsend-sealed/1", "cryptnsend-sealed/2"),
        ('"message": "77"', '"message": "-7"'),
        ('"message": "77"', '"message": "077"'),
        ('"role": "author"', '"role": "officer"'),
    ],
)
def test_an_export_with_an_edited_description_opens_nothing(seed, field, other):
    octets = made(seed, "author")
    assert octets.count(field.encode()) >= 1
    edited = rewritten(octets, {"meta.json": lambda meta: meta.replace(field.encode(), other.encode())})
    with pytest.raises(SealBroken):
        opened(edited)


def rewritten(octets: bytes, change: dict[str, Any]) -> bytes:
    """Return the tar with some members put through a function, headers made to fit."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(octets)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            stored = old.extractfile(member)
            assert stored is not None
            content = change.get(member.name, bytes)(stored.read())
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("name", ["seed.wrap", "epoch.bin", "grant.bin", "index.bin", "author_index.bin", "stream.bin"])
def test_one_flipped_bit_in_any_member_is_found(seed, name):
    def flip(octets: bytes) -> bytes:
        return octets[:-5] + bytes([octets[-5] ^ 4]) + octets[-4:]

    with pytest.raises(SealBroken):
        opened(rewritten(made(seed, "author"), {name: flip}))


def test_an_export_cut_short_anywhere_is_refused(seed):
    octets = made(seed, "author")
    end = octets.rstrip(b"\0")
    for length in (0, 1, 511, 512, 700, 4096, len(end) - 20000, len(end) - 1):
        with pytest.raises(SealBroken):
            opened(octets[:length])


def test_an_export_of_another_size_than_told_is_an_error():
    binding = keys.GrantBinding(3, 77, "account:12", "author", "", "managed")
    exported = export.Exported(binding, b"", 1, "", "", b"", 1, bytes(16), FAST, b"", b"")
    with pytest.raises(SealBroken):
        list(export.export_object(exported, [b"x" * 99], 100))


@given(st.binary(max_size=2000))
def test_what_is_no_export_is_refused_in_words(octets):
    with pytest.raises(SealBroken):
        export.read_object(io.BytesIO(octets))


@given(st.data())
def test_a_bent_export_never_opens_to_anything_else(data):
    """Whatever is changed, the message comes out unchanged or an error of ours does."""
    octets = bytearray(BENT)
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CryptnSendError):
        assert opened(bytes(octets)) == SUBMITTED


BENT = made(bytes(range(32)), "author")


# -- the stand-alone reader -------------------------------------------------------------------------------------------


@pytest.fixture
def exported_file(seed, tmp_path) -> Path:
    file = tmp_path / "77.sealed.tar"
    file.write_bytes(made(seed, "author"))
    return file


def run(*arguments: str | Path, typed: str = PASSWORD) -> Any:
    return CliRunner().invoke(reader.main, [*map(str, arguments), "--password-stdin"], input=f"{typed}\n")


def test_the_reader_writes_a_message_that_only_its_owner_can_read(exported_file, tmp_path):
    result = run(exported_file, tmp_path / "out.eml")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out.eml").read_bytes() == SUBMITTED
    assert (tmp_path / "out.eml").stat().st_mode & 0o777 == 0o600


def test_the_reader_runs_without_server_modules(exported_file):
    """A fresh process that opens the file has loaded nothing but `core`, and what keeps its memory to itself."""
    program = (
        "import sys; from cryptnsend import reader\n"
        "try: reader.main(sys.argv[1:])\n"
        "finally: print(sorted({n.split('.')[1] for n in sys.modules if n.startswith('cryptnsend.')}), file=sys.stderr)"
    )
    arguments = [sys.executable, "-c", program, str(exported_file), "-", "--password-stdin"]
    done = subprocess.run(arguments, input=f"{PASSWORD}\n".encode(), capture_output=True, check=True)
    assert done.stdout == SUBMITTED
    assert done.stderr.decode().splitlines()[-1] == "['core', 'hardening', 'reader']"


def test_the_reader_never_overwrites(exported_file, tmp_path):
    (tmp_path / "out.eml").write_text("mine")
    assert run(exported_file, tmp_path / "out.eml").exit_code == 2
    assert (tmp_path / "out.eml").read_text() == "mine"


def test_the_reader_checks_without_writing(exported_file, tmp_path):
    result = run(exported_file, "--check")
    assert result.exit_code == 0
    assert "whole" in result.output
    assert list(tmp_path.iterdir()) == [exported_file]


def test_the_reader_wants_one_of_output_and_check(exported_file, tmp_path):
    assert run(exported_file).exit_code == 2
    assert run(exported_file, tmp_path / "out.eml", "--check").exit_code == 2


def test_the_reader_says_what_is_wrong(exported_file, tmp_path):
    refused = run(exported_file, tmp_path / "out.eml", typed="wrong")
    assert (refused.exit_code, "password is not right" in refused.output) == (4, True)
    octets = bytearray(exported_file.read_bytes())
    octets[-3000] ^= 1
    exported_file.write_bytes(octets)
    damaged = run(exported_file, tmp_path / "out.eml")
    assert (damaged.exit_code, "damaged" in damaged.output) == (1, True)
    assert not (tmp_path / "out.eml").exists()
