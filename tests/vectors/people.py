"""Vectors of what people and devices keep, and of tokens and codes: docs/vault-format.md §7 and §8."""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.vectors.by_hand import ARGON, SALT, SEED, argon, b64, chance, checksum, flip, frame, spell, wrapped, write


def wraps() -> None:
    password = "correct horse, b\u00e4ttery staple"
    k = argon(password)
    good = wrapped(k, 41, "password")

    def vector(name: str, about: str, expect: str, wrap: bytes = good, **other: object) -> None:
        fields = {"password": password, "salt": SALT.hex(), "parameters": ARGON, "pair": 41, "kind": "password"}
        seed = {"seed": SEED.hex()} if expect == "success" else {}
        write("wrap", name, about, expect, **{**fields, **seed, **other, "wrap": b64(wrap)})

    vector("success", "a seed under a password", "success")
    vector(
        "decomposed",
        "the same password typed with a combining dot pair",
        "success",
        password="correct horse, ba\u0308ttery staple",
    )
    vector(
        "other-space",
        "the same password typed with no-break spaces",
        "success",
        password=password.replace(" ", "\u00a0"),
    )
    vector("export", "a seed in an exported object", "success", wrapped(k, 41, "export"), kind="export")
    vector("wrong-password", "another password", "wrong secret", password="correct horse, battery staple")
    vector("wrong-case", "case counts", "wrong secret", password=password.title())
    vector("wrong-salt", "another salt", "wrong secret", salt=chance("other salt", 16).hex())
    vector("wrong-parameters", "other parameters", "wrong secret", parameters="argon2id,m=64,t=1,p=2")
    vector("wrong-pair", "moved to another pair", "damaged", pair=42)
    vector("wrong-kind", "moved to another kind", "damaged", kind="recovery")
    vector("commitment-flipped", "one bit of the commitment: not a wrong password", "damaged", flip(good, 0))
    vector("seed-flipped", "one bit of the wrapped seed", "damaged", flip(good, 50 * 8))
    vector("checksum-flipped", "one bit of the checksum", "damaged", flip(good, len(good) * 8 - 1))
    vector("cut", "the last octet is missing", "damaged", good[:-1])
    vector("nothing", "no octets at all", "damaged", b"")
    bent = flip(good[:-8], 60 * 8)
    vector("checksum-forged", "bent, with the checksum made to fit", "damaged", bent + checksum(bent, 41, "password"))
    vector(
        "pair-forged",
        "moved to another pair, with the checksum made to fit",
        "damaged",
        wrapped(k, 42, "password", 41),
        pair=42,
    )
    vector(
        "parameters-huge", "parameters that would fill the machine", "damaged", parameters="argon2id,m=99999999,t=3,p=4"
    )
    vector("parameters-other", "parameters of another hash", "damaged", parameters="scrypt,n=14")

    number = int.from_bytes(chance("recovery", 20), "big")
    tail = hashlib.sha256(frame("recovery checksum", chance("recovery", 20))).digest()
    code = spell(number, 32) + spell(int.from_bytes(tail[:3], "big") >> 4, 4)
    grouped = "-".join(code[i : i + 4] for i in range(0, 36, 4))
    key = HKDF(SHA256(), 32, None, frame("recovery code")).derive(chance("recovery", 20))
    taken = wrapped(key, 41, "recovery")

    def recovery(name: str, about: str, expect: str, typed: str) -> None:
        seed = {"seed": SEED.hex()} if expect == "success" else {}
        write(
            "wrap",
            f"recovery-{name}",
            about,
            expect,
            recovery_code=typed,
            pair=41,
            kind="recovery",
            **seed,
            wrap=b64(taken),
        )

    recovery("success", "a recovery code as printed", "success", grouped)
    recovery(
        "as-typed",
        "lower case, spaces, O for 0 and l for 1",
        "success",
        grouped.lower().replace("-", " ").replace("0", "O").replace("1", "l"),
    )
    recovery("typo", "one character is another", "wrong secret", flip(grouped.encode(), 0).decode())
    recovery("short", "the last group is missing", "wrong secret", grouped[:-5])

    octets = (41).to_bytes(8, "big") + chance("device", 16)
    octets += hashlib.sha256(frame("device checksum", octets)).digest()[:1]
    plain = spell(int.from_bytes(octets, "big"), 40).lower()
    typed = "-".join(plain[i : i + 5] for i in range(0, 40, 5))
    key = HKDF(SHA256(), 32, None, frame("device secret")).derive(chance("device", 16))
    write(
        "wrap",
        "device-success",
        "a device password",
        "success",
        device_password=typed,
        device=41,
        pair=41,
        kind="device",
        seed=SEED.hex(),
        wrap=b64(wrapped(key, 41, "device")),
    )


def tokens() -> None:
    key, ident = chance("link key", 32), chance("token id", 10)
    claims = {"purpose": "open", "address": "pat@yahoo.example", "subscriber": 9, "message": 77}

    def token(octets: int, key_id: int = 1) -> bytes:
        covered = frame("token", octets, key_id, ident, *claims.values())
        return key_id.to_bytes(2, "big") + ident + hmac.digest(key, covered, "sha256")[:octets]

    def spelled(octets: bytes) -> str:
        return base64.b32encode(octets).decode().rstrip("=").lower()

    def vector(name: str, about: str, expect: str, text: str = spelled(token(16)), **other: object) -> None:
        write("token", name, about, expect, **{"kind": "token", "key": key.hex(), **claims, **other, "token": text})

    link, local = spelled(token(16)), spelled(token(12))
    vector("link", "a token in a link", "success")
    vector("local-part", "a token in an address", "success", local)
    vector("capitals", "a mail system made capitals of it", "success", local.upper())
    vector("wrong-key", "another key", "refused", key=chance("other link key", 32).hex())
    vector("wrong-purpose", "used for something else", "refused", purpose="reply")
    vector("wrong-address", "used for another address", "refused", address="mallory@yahoo.example")
    vector("wrong-subscriber", "used for another subscriber", "refused", subscriber=10)
    vector("wrong-message", "used for another message", "refused", message=78)
    vector(
        "shifted-fields", "purpose and address joined otherwise", "refused", purpose="openp", address="at@yahoo.example"
    )
    vector("shortened", "a link's token, its MAC cut to the short length", "refused", spelled(token(16)[:-4]))
    vector("mac-flipped", "one bit of the MAC", "refused", spelled(flip(token(16), 27 * 8)))
    vector("id-flipped", "one bit of the random id", "refused", spelled(flip(token(16), 3 * 8)))
    vector("key-id-changed", "another key id, the same key", "refused", spelled(b"\0\2" + token(16)[2:]))
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    vector(
        "left-over-bits",
        "a second spelling of the same octets",
        "refused",
        link[:-1] + letters[letters.index(link[-1]) | 1],
    )
    vector("cut", "the last character is missing", "refused", link[:-1])
    vector("padded", "with base32 padding", "refused", link + "===")
    vector("nothing", "no characters", "refused", "")
    vector("not-ascii", "a dotless i, which lower case makes of no ASCII letter", "refused", "\u0131" + link[1:])

    def code(name: str, about: str, digits: int, attempt: int, **fields: object) -> None:
        covered = frame("code", *fields.values(), digits, attempt)
        value = int.from_bytes(hmac.digest(key, covered, "sha256")[:8], "big")
        write(
            "token",
            name,
            about,
            "success",
            kind="code",
            key=key.hex(),
            **fields,
            digits=digits,
            code=str(value % 10**digits).zfill(digits),
        )

    fields = {"era": 1, "address": "pat@yahoo.example", "subscriber": 9, "generation": 1}
    code("code", "a first code", 6, 0, **fields)
    code("code-next", "the next generation has 8 digits", 8, 0, **{**fields, "generation": 2})
    code("code-era", "after a restore", 6, 0, **{**fields, "era": 2})
