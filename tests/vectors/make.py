"""Writes the vectors that are missing; one that is there is never changed. Run: python tests/vectors/make.py

Built from docs/vault-format.md with primitives alone, so that the vectors test `core` instead of repeating it. All but
what HPKE draws by itself is deterministic.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import tarfile
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


# -- sealed streams, §3 -----------------------------------------------------------------------------------------------

KEY, AUTHOR_KEY = chance("content key", 32), chance("author key", 32)


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


def streams() -> None:
    def vector(name: str, about: str, expect: str, octets: bytes, content: bytes = b"", **place: object) -> None:
        good = {"content_size": len(content), "content_sha256": hashlib.sha256(content).hexdigest()}
        fields = {"key": KEY.hex(), "message": 77, "part": "raw", **place}
        write("seal", name, about, expect, **fields, **(good if expect == "success" else {}), sealed=b64(octets))

    text = b"Subject: A lab report\r\n\r\nPotassium is fine.\r\n"
    small, long = sealed(text), chance("long content", 2 * 16384 + 100)
    big = sealed(long)
    body, cut = big[:56], [big[56 + 16400 * k : 56 + 16400 * (k + 1)] for k in range(3)]
    vector("success", "a message of one chunk", "success", small, text)
    vector("empty", "no content: one chunk of no octets", "success", sealed(b""), b"")
    vector(
        "one-chunk-exactly",
        "16,384 octets: a full chunk, then an empty last one",
        "success",
        sealed(long[:16384]),
        long[:16384],
    )
    vector("three-chunks", "two full chunks and a last one of 100 octets", "success", big, long)
    vector("index", "the same key and message, part index", "success", sealed(b"{}", part="index"), b"{}", part="index")
    vector("upload", "a numbered part", "success", sealed(b"scan", part="upload.3"), b"scan", part="upload.3")
    vector("wrong-key", "another content key", "header", small, key=chance("other key", 32).hex())
    vector("wrong-message", "moved to another message", "header", small, message=78)
    vector("wrong-part", "moved to another part of its message", "header", small, part="index")
    vector("salt-flipped", "one bit of the salt", "header", flip(small, 0))
    vector("commitment-flipped", "one bit of the key commitment", "header", flip(small, 24 * 8))
    vector("header-cut", "55 octets: the header is not whole", "header", small[:55])
    vector("nothing", "no octets at all", "header", b"")
    vector("header-alone", "a header and no chunk", "payload", small[:56])
    vector("chunk-flipped", "one bit of the content", "payload", flip(small, 57 * 8))
    vector("tag-flipped", "the last bit of the tag", "payload", flip(small, len(small) * 8 - 1))
    vector("last-octet-cut", "the last octet is missing", "payload", small[:-1])
    vector("octet-added", "one octet too many at the end", "payload", small + b"\0")
    vector(
        "cut-between-chunks", "the last chunk is missing, the first two are whole", "payload", body + cut[0] + cut[1]
    )
    vector("cut-inside-chunk", "cut in the second chunk", "payload", body + cut[0] + cut[1][:5000])
    vector("chunks-swapped", "the first two chunks have changed places", "payload", body + cut[1] + cut[0] + cut[2])
    vector("chunk-repeated", "the first chunk stands twice", "payload", body + cut[0] + cut[0] + cut[2])
    vector("chunk-dropped", "the first chunk is missing", "payload", body + cut[1] + cut[2])
    vector("last-chunk-first", "the last chunk stands alone, where the first should", "payload", body + cut[2])
    vector(
        "no-empty-last", "a full chunk without the empty last one", "payload", sealed(long[:16384], always_full=True)
    )
    vector(
        "chunk-of-another",
        "the last chunk comes from another stream under the same key and context",
        "payload",
        body + cut[0] + cut[1] + sealed(long, label="other salt")[-116:],
    )


# -- pairs and epochs, §4 and §5 --------------------------------------------------------------------------------------

SEED = chance("seed", 32)


def public_of(seed: bytes) -> tuple[MLKEM768X25519PublicKey, bytes]:
    grown = hashlib.shake_256(seed).digest(96)
    private = (
        mlkem.MLKEM768PrivateKey.from_seed_bytes(grown[:64]),
        x25519.X25519PrivateKey.from_private_bytes(grown[64:]),
    )
    octets = b"".join(each.public_key().public_bytes_raw() for each in private)
    return MLKEM768X25519PublicKey(private[0].public_key(), private[1].public_key()), octets


def epochs() -> None:
    secret, (public, octets) = chance("epoch key", 32), public_of(SEED)
    place = {"label": "epoch", "owner": "account:12", "holder": "account:12", "ref": 7130316800004143384}
    first = HERE / "epoch" / "success.json"
    if first.exists():
        box = base64.b64decode(json.loads(first.read_text())["sealed"])
    else:
        suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
        box = suite.encrypt(secret, public, info=frame("hpke", *place.values()))

    def vector(name: str, about: str, expect: str, box: bytes = box, **other: object) -> None:
        good = {"public": b64(octets), "secret": secret.hex()} if expect == "success" else {}
        write("epoch", name, about, expect, **{"seed": SEED.hex(), **place, **good, **other, "sealed": b64(box)})

    vector("success", "an epoch key sealed to an account's pair", "success")
    vector("wrong-seed", "another pair", "payload", seed=chance("other seed", 32).hex())
    vector("wrong-label", "the same place under another label", "payload", label="seed")
    vector("wrong-owner", "as if it were sealed to another account's pair", "payload", owner="account:13")
    vector("wrong-holder", "as if it were sealed for another holder", "payload", holder="account:13")
    vector("wrong-ref", "moved to another epoch's row", "payload", ref=7130316800004143385)
    vector("shifted-fields", "owner and holder joined otherwise", "payload", owner="account:12a", holder="ccount:12")
    vector("encapsulation-flipped", "one bit of the ML-KEM part", "payload", flip(box, 3))
    vector("x25519-flipped", "one bit of the X25519 part", "payload", flip(box, 1100 * 8))
    vector("ciphertext-flipped", "one bit of the sealed key", "payload", flip(box, 1125 * 8))
    vector("cut", "the last octet is missing", "payload", box[:-1])
    vector("nothing", "no octets at all", "payload", b"")


# -- grants and queue wraps, §6 ---------------------------------------------------------------------------------------

EPOCH_KEY = chance("epoch key", 32)
GRANT = {
    "organisation": 3,
    "message": 77,
    "holder": "account:12",
    "role": "recipient",
    "contact": "pat@yahoo.example|9",
    "custody": "managed",
}


def box(key: bytes, plain: bytes, aad: bytes, label: str = "nonce") -> bytes:
    nonce = chance(label, 12)
    return nonce + AESGCM(key).encrypt(nonce, plain, aad)


def grants() -> None:
    one, two = chance("content key", 32), chance("content key", 32) + chance("author key", 32)
    own = {**GRANT, "role": "author", "contact": "", "holder": "account:9"}
    granted = box(EPOCH_KEY, one, frame("grant", *GRANT.values()))
    authored = box(EPOCH_KEY, two, frame("grant", *own.values()))

    def vector(
        name: str, about: str, expect: str, wrap: bytes = granted, wants: str = "content", **other: object
    ) -> None:
        fields = {"kind": "grant", "epoch_key": EPOCH_KEY.hex(), "wants": wants, **GRANT, **other, "wrap": b64(wrap)}
        write("grant", name, about, expect, **fields)

    vector("recipient", "a recipient's grant on the content", "success", content_key=one.hex())
    vector("author", "an author's grant on the content", "success", authored, **own, content_key=one.hex())
    vector(
        "author-index",
        "an author's grant on the author's index",
        "success",
        authored,
        "author_index",
        **own,
        content_key=two[32:].hex(),
    )
    vector("recipient-author-index", "a recipient wants the author's index", "no grant", wants="author_index")
    pending = {**GRANT, "holder": "address:pat@yahoo.example"}
    waiting = box(EPOCH_KEY, one, frame("grant", *pending.values()))
    vector("pending", "a grant of a contact not yet proven", "success", waiting, **pending, content_key=one.hex())
    vector("pending-as-account", "a pending grant, claimed by an account", "payload", waiting)
    vector("wrong-epoch", "under another epoch's key", "payload", epoch_key=chance("other epoch", 32).hex())
    vector("wrong-organisation", "moved to another organisation", "payload", organisation=4)
    vector("wrong-message", "moved to another message", "payload", message=78)
    vector("wrong-holder", "moved to another holder", "payload", holder="account:13")
    vector("wrong-role", "a recipient's grant, claimed as an author's", "payload", role="author")
    vector("wrong-contact", "moved to the contact with another subscriber", "payload", contact="pat@yahoo.example|10")
    vector("wrong-custody", "strict mail, claimed as managed", "payload", custody="strict")
    vector(
        "shifted-fields",
        "role and contact joined otherwise",
        "payload",
        contact="",
        custody="pat@yahoo.example|9managed",
    )
    vector("nonce-flipped", "one bit of the nonce", "payload", flip(granted, 0))
    vector("key-flipped", "one bit of the wrapped key", "payload", flip(granted, 20 * 8))
    vector("tag-flipped", "one bit of the tag", "payload", flip(granted, len(granted) * 8 - 1))
    vector("cut", "the last octet is missing", "payload", granted[:-1])
    vector("cut-to-nonce", "a nonce and nothing else", "payload", granted[:12])

    queue = {"organisation": 3, "message": 77, "delivery": 5, "recipient": "ann@gmail.example", "form": "zip"}
    wrap = box(EPOCH_KEY, one, frame("queue", *queue.values()))

    def waits(name: str, about: str, expect: str, **other: object) -> None:
        good = {"content_key": one.hex()} if expect == "success" else {}
        fields = {"kind": "queue", "epoch_key": EPOCH_KEY.hex(), **queue, **other, **good, "wrap": b64(wrap)}
        write("grant", f"queue-{name}", about, expect, **fields)

    waits("success", "the content key of a delivery that waits", "success")
    waits("wrong-delivery", "moved to another delivery", "payload", delivery=6)
    waits("wrong-recipient", "redirected", "payload", recipient="mallory@gmail.example")
    waits("wrong-form", "zip turned into clear", "payload", form="tls")
    waits("wrong-message", "moved to another message", "payload", message=78)
    waits("wrong-organisation", "moved to another organisation", "payload", organisation=4)
    taken = {key: value for key, value in GRANT.items() if key not in queue}
    write(
        "grant",
        "queue-as-grant",
        "a queue wrap, claimed as a grant",
        "payload",
        kind="grant",
        wants="content",
        epoch_key=EPOCH_KEY.hex(),
        organisation=3,
        message=77,
        **taken,
        wrap=b64(wrap),
    )


# -- passwords and wraps, §7 ------------------------------------------------------------------------------------------

ARGON, SALT = "argon2id,m=64,t=2,p=2", chance("password salt", 16)


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


# -- tokens and codes, §8 ---------------------------------------------------------------------------------------------


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


# -- exported objects, §9 ---------------------------------------------------------------------------------------------

PASSWORD = "correct horse, b\u00e4ttery staple"
HEADER = b"From: ann@gmail.example\r\nSubject: Potassium\r\n\r\n"
BCC = b"Bcc: quinn@example.org\r\n"
RAW = HEADER + b"It is fine.\r\n" * 20


def tar(members: dict[str, bytes]) -> str:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as new:
        for name, octets in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(octets)
            new.addfile(member, io.BytesIO(octets))
    return b64(file.getvalue())


def exports() -> None:
    own = {**GRANT, "holder": "account:9", "role": "author", "contact": ""}
    epoch = {"id": "7130316800004143384", "pair": "41", "owner": "account:9", "holder": "account:9"}
    first = HERE / "export" / "author.json"
    if first.exists():
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(json.loads(first.read_text())["object"]))) as file:
            epoch_sealed = file.extractfile("epoch.bin").read()
    else:
        suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
        info = frame("hpke", "epoch", epoch["owner"], epoch["holder"], epoch["id"])
        epoch_sealed = suite.encrypt(EPOCH_KEY, public_of(SEED)[0], info=info)

    def members(grant: dict[str, object], content_keys: bytes) -> dict[str, bytes]:
        meta = {
            "format": "cryptnsend-sealed/1",
            "suite": 1,
            "grant": {key: str(value) for key, value in grant.items()},
            "epoch": epoch,
            "password": {"parameters": ARGON, "salt": b64(SALT)},
        }
        index = json.dumps({"v": 1, "bcc": [[25, b64(BCC)]]}).encode()
        index += b"\x80" + bytes(-(len(index) + 1) % 256)
        return {
            "meta.json": json.dumps(meta, indent=2).encode(),
            "seed.wrap": wrapped(argon(PASSWORD), 41, "export"),
            "epoch.bin": epoch_sealed,
            "grant.bin": box(EPOCH_KEY, content_keys, frame("grant", *grant.values())),
            "index.bin": sealed(b"{}\x80" + bytes(253), part="index", label="index salt"),
            "author_index.bin": sealed(index, part="author_index", label="author salt", key=AUTHOR_KEY),
            "stream.bin": sealed(RAW),
        }

    def vector(name: str, about: str, expect: str, found: dict[str, bytes], message: bytes = b"", **other: str) -> None:
        good = {"message_sha256": hashlib.sha256(message).hexdigest()} if expect == "success" else {}
        write("export", name, about, expect, **{"password": PASSWORD, **other}, **good, object=tar(found))

    both, submitted = KEY + AUTHOR_KEY, RAW[:25] + BCC + RAW[25:]
    author = members(own, both)
    archive = {**own, "role": "archive"}
    without = {name: octets for name, octets in author.items() if name != "author_index.bin"}
    last = author.pop("stream.bin")
    vector("author", "the author's: Bcc is back in its place", "success", {**author, "stream.bin": last}, submitted)
    vector("archive", "the same under an archive's grant", "success", members(archive, both), submitted)
    vector(
        "recipient",
        "a recipient's: no Bcc, though the file has the author's index",
        "success",
        members(GRANT | {"holder": "account:9"}, KEY),
        RAW,
    )
    vector("nothing-cut", "the author's, of a message that had no Bcc", "success", without, RAW)
    vector(
        "wrong-password", "another password", "wrong secret", {**author, "stream.bin": last}, password="correct horse"
    )
    moved = {**author, "meta.json": author["meta.json"].replace(b'"77"', b'"78"'), "stream.bin": last}
    vector("wrong-message", "the description names another message", "damaged", moved)
    newer = {**author, "meta.json": author["meta.json"].replace(b'"suite": 1', b'"suite": 2'), "stream.bin": last}
    vector("newer-suite", "a suite that this version does not know", "damaged", newer)
    vector("stream-cut", "the last octet of the body is missing", "damaged", {**author, "stream.bin": last[:-1]})
    vector("stream-missing", "no body", "damaged", author)
    vector(
        "grant-missing",
        "no grant",
        "damaged",
        {n: o for n, o in {**author, "stream.bin": last}.items() if n != "grant.bin"},
    )
    vector(
        "unknown-member",
        "something else in the file",
        "damaged",
        {"evil.sh": b"#!/bin/sh", **author, "stream.bin": last},
    )
    vector(
        "climbing-member",
        "a member that would leave its folder",
        "damaged",
        {"../meta.json": b"{}", **author, "stream.bin": last},
    )


if __name__ == "__main__":
    for each in (streams, epochs, grants, wraps, tokens, exports):
        each()
