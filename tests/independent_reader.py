"""Opens exported objects by docs/vault-format.md alone: independent_reader.py FILE < password > message.eml"""

import base64
import hashlib
import hmac
import json
import sys
import tarfile
import unicodedata

from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand


def frame(label, *fields):  # §1
    octets = [each if isinstance(each, bytes) else str(each).encode() for each in ("cryptnsend/v1 " + label, *fields)]
    return b"".join(len(each).to_bytes(4, "big") + each for each in octets)


def open_stream(key, message, part, stream):  # §3
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0" + stream[:24]
    derived = HKDFExpand(SHA512(), 76, info + f"cryptnsend/v1 message {message} {part}".encode()).derive(key)
    assert derived[44:] == stream[24:56], "header"
    assert (len(stream) - 56) % 16400 >= 16, "cut"
    cipher, base = AESGCM(derived[:32]), int.from_bytes(derived[32:44], "big")
    chunks = enumerate(range(56, len(stream), 16400))
    return b"".join(cipher.decrypt((base ^ k).to_bytes(12, "big"), stream[at : at + 16400], None) for k, at in chunks)


def hpke_open(seed, sealed, info):  # §4
    def extract(salt, label, ikm):
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(label, n):
        return HKDFExpand(SHA256(), n, n.to_bytes(2, "big") + b"HPKE-v1" + suite + label + schedule).derive(secret)

    grown, suite = hashlib.shake_256(seed).digest(96), b"HPKE" + bytes.fromhex("647a00010002")
    own, ct = x25519.X25519PrivateKey.from_private_bytes(grown[64:]), sealed[1088:1120]
    x = own.exchange(x25519.X25519PublicKey.from_public_bytes(ct))
    m = mlkem.MLKEM768PrivateKey.from_seed_bytes(grown[:64]).decapsulate(sealed[:1088])
    shared = hashlib.sha3_256(m + x + ct + own.public_key().public_bytes_raw() + bytes.fromhex("5c2e2f2f5e5c")).digest()
    schedule = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    return AESGCM(expand(b"key", 32)).decrypt(expand(b"base_nonce", 12), sealed[1120:], None)


def open_seed(password, parameters, salt, wrap, pair):  # §7
    spaced = "".join(" " if unicodedata.category(each) == "Zs" else each for each in password)
    m, t, p = (int(each[2:]) for each in parameters.split(",")[1:])
    argon = Argon2id(salt=base64.b64decode(salt), length=32, iterations=t, lanes=p, memory_cost=m)
    k = argon.derive(unicodedata.normalize("NFC", spaced).encode())
    grown = HKDF(SHA256(), 64, None, frame("wrap key", "export")).derive(k)
    assert hashlib.sha256(frame("wrap checksum", pair, "export", wrap[:-8])).digest()[:8] == wrap[-8:], "damaged"
    assert grown[32:] == wrap[:32], "wrong password"
    return AESGCM(grown[:32]).decrypt(wrap[32:44], wrap[44:-8], frame("seed", pair, "export"))


def read(path, password):  # §9
    with tarfile.open(path) as file:
        part = {each.name: file.extractfile(each).read() for each in file}
    meta = json.loads(part["meta.json"])
    grant, epoch, typed, wrap = meta["grant"], meta["epoch"], meta["password"], part["grant.bin"]
    seed = open_seed(password, typed["parameters"], typed["salt"], part["seed.wrap"], epoch["pair"])
    epoch_key = hpke_open(seed, part["epoch.bin"], frame("hpke", "epoch", epoch["owner"], epoch["holder"], epoch["id"]))
    bound = (grant[each] for each in ("organisation", "message", "holder", "role", "contact", "custody"))
    keys = AESGCM(epoch_key).decrypt(wrap[:12], wrap[12:], frame("grant", *bound))
    raw = open_stream(keys[:32], grant["message"], "raw", part["stream.bin"])
    if len(keys) == 64 and "author_index.bin" in part:  # §2
        index = open_stream(keys[32:], grant["message"], "author_index", part["author_index.bin"])
        for offset, cut in json.loads(index[: index.rindex(b"\x80")])["bcc"]:
            raw = raw[:offset] + base64.b64decode(cut) + raw[offset:]
    return raw


if __name__ == "__main__":
    sys.stdout.buffer.write(read(sys.argv[1], sys.stdin.readline().rstrip("\r\n")))
