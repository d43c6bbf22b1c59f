"""The format of docs/vault-format.md by hand, from primitives: vectors are to test `core`, not to repeat it.

All but what HPKE draws by itself is deterministic.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PublicKey, Suite
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

HERE = Path(__file__).parent
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def chance(label: str, octets: int) -> bytes:
    """Return octets that look random and are the same on every run."""
    return hashlib.shake_256(b"cryptnsend vector " + label.encode()).digest(octets)


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def flip(octets: bytes, bit: int) -> bytes:
    return octets[: bit // 8] + bytes([octets[bit // 8] ^ 1 << bit % 8]) + octets[bit // 8 + 1 :]


def frame(label: str, *fields: str | int | bytes) -> bytes:
    octets = [each if isinstance(each, bytes) else str(each).encode() for each in ("cryptnsend/v1 " + label, *fields)]
    return b"".join(len(each).to_bytes(4, "big") + each for each in octets)


def write(folder: str, name: str, about: str, expect: str, **fields: object) -> None:
    path = HERE / folder / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text(json.dumps({"about": about, "expect": expect, **fields}, indent=1, ensure_ascii=False) + "\n")
        print("wrote", path)


KEY, AUTHOR_KEY = chance("content key", 32), chance("author key", 32)
SEED = chance("seed", 32)
EPOCH_KEY = chance("epoch key", 32)
ARGON, SALT = "argon2id,m=64,t=2,p=2", chance("password salt", 16)
GRANT = {
    "organisation": 3,
    "message": 77,
    "holder": "account:12",
    "role": "recipient",
    "contact": "pat@yahoo.example|9",
    "custody": "managed",
}


def sealed(
    content: bytes,
    message: int = 77,
    part: str = "raw",
    label: str = "salt",
    key: bytes = KEY,
    always_full: bool = False,
) -> bytes:
    """Seal by hand; *always_full* leaves out the empty last chunk, which no correct sealer does."""
    salt = chance(label, 24)
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + salt
    derived = HKDFExpand(SHA512(), 76, info + f"cryptnsend/v1 message {message} {part}".encode()).derive(key)
    cipher, base = AESGCM(derived[:32]), int.from_bytes(derived[32:44], "big")
    octets = [salt + derived[44:]]
    for k in range(len(content) // 16384 + (not always_full)):
        chunk = content[k * 16384 : (k + 1) * 16384]
        octets.append(cipher.encrypt((base ^ k).to_bytes(12, "big"), chunk, None))
    return b"".join(octets)


def public_of(seed: bytes) -> tuple[MLKEM768X25519PublicKey, bytes]:
    grown = hashlib.shake_256(seed).digest(96)
    private = (
        mlkem.MLKEM768PrivateKey.from_seed_bytes(grown[:64]),
        x25519.X25519PrivateKey.from_private_bytes(grown[64:]),
    )
    octets = b"".join(each.public_key().public_bytes_raw() for each in private)
    return MLKEM768X25519PublicKey(private[0].public_key(), private[1].public_key()), octets


def seal_to(public: MLKEM768X25519PublicKey, secret: bytes, *place: str | int) -> bytes:
    """Seal by HPKE, §4: the one thing here that differs on every run."""
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    return suite.encrypt(secret, public, info=frame("hpke", *place))


def box(key: bytes, plain: bytes, aad: bytes, label: str = "nonce") -> bytes:
    nonce = chance(label, 12)
    return nonce + AESGCM(key).encrypt(nonce, plain, aad)


def argon(password: str) -> bytes:
    return Argon2id(salt=SALT, length=32, iterations=2, lanes=2, memory_cost=64).derive(password.encode())


def spell(number: int, count: int) -> str:
    return "".join(LETTERS[number >> 5 * place & 31] for place in range(count - 1, -1, -1))


def wrapped(k: bytes, pair: int, kind: str, inner_pair: int | None = None) -> bytes:
    grown = HKDF(SHA256(), 64, None, frame("wrap key", kind)).derive(k)
    inner = pair if inner_pair is None else inner_pair
    body = grown[32:] + box(grown[:32], SEED, frame("seed", inner, kind), "wrap nonce")
    return body + checksum(body, pair, kind)


def checksum(body: bytes, pair: int, kind: str) -> bytes:
    return hashlib.sha256(frame("wrap checksum", pair, kind, body)).digest()[:8]
