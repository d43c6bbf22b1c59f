"""Vectors of streams, epochs, grants and exported objects: docs/vault-format.md §3 to §6 and §9."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile

from tests.vectors.by_hand import (
    ARGON,
    AUTHOR_KEY,
    EPOCH_KEY,
    GRANT,
    HERE,
    KEY,
    SALT,
    SEED,
    argon,
    b64,
    box,
    chance,
    flip,
    frame,
    public_of,
    seal_to,
    sealed,
    wrapped,
    write,
)


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


def epochs() -> None:
    secret, (public, octets) = chance("epoch key", 32), public_of(SEED)
    place = {"label": "epoch", "owner": "account:12", "holder": "account:12", "ref": 7130316800004143384}
    first = HERE / "epoch" / "success.json"
    if first.exists():
        box = base64.b64decode(json.loads(first.read_text())["sealed"])
    else:
        box = seal_to(public, secret, *place.values())

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
        epoch_sealed = seal_to(public_of(SEED)[0], EPOCH_KEY, "epoch", epoch["owner"], epoch["holder"], epoch["id"])

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
