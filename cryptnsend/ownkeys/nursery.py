"""What does the process do that reads and uses people's keys? Either job of `reading.Job`, and nothing else.

Where it comes from, and what it cannot do, is in cryptnsend/confined.
"""

from __future__ import annotations

import re
import sys
import time
from typing import BinaryIO

import msgspec

from cryptnsend.confined import nursery
from cryptnsend.ownkeys import openpgp, smime
from cryptnsend.ownkeys.reading import MOST_INPUT, Answer, Job, Lock, OwnKey, Unusable

# Whatever begins like one of these, in text or in octets: PKCS #8 and older in PEM, OpenPGP, SSH, and PKCS #12.
PRIVATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|^PuTTY-User-Key-File", re.MULTILINE)
_PKCS12 = re.compile(rb"\x30(?:\x80|[\x81-\x84].{1,4}|.)\x02\x01\x03\x30", re.DOTALL)
_PKCS8 = re.compile(rb"\x30(?:[\x81-\x84].{1,4}|.)\x02\x01\x00[\x30\x02]", re.DOTALL)


def looks_private(octets: bytes) -> bool:
    """Say whether *octets* are a private key, or a file with one in it, without reading it."""
    if PRIVATE.search(octets) or _PKCS12.match(octets) or _PKCS8.match(octets):
        return True
    return bool(octets[:1]) and (octets[0] & 0xFC == 0x94 or octets[0] == 0xC5)  # OpenPGP packets of tag 5


def read(octets: bytes, now: int) -> OwnKey:
    """Return the one key in *octets*, of either kind; raise Unusable."""
    if not octets.strip():
        raise Unusable("empty")
    if looks_private(octets) or looks_private(octets.lstrip()):
        raise Unusable("private")
    if len(octets) > MOST_INPUT:
        raise Unusable("too-large")
    of_pgp, of_smime = len(openpgp.blocks(octets)), len(smime.pem(octets))
    if of_pgp + of_smime > 1:
        raise Unusable("several")
    if of_pgp:
        return openpgp.read(octets, now)
    if of_smime or octets[:1] == b"\x30":
        return smime.read(octets, now)
    return openpgp.read(octets, now)


def work(encoded: bytes, octets: BinaryIO) -> bytes:
    """Do a job; whatever is raised besides ends the process, and whoever asked hears that."""
    job = msgspec.msgpack.decode(encoded, type=Job)
    try:
        if isinstance(job, Lock):
            content = octets.read(job.size)
            if len(content) != job.size:
                raise EOFError("content was cut short")
            module = smime if job.kind == "smime" else openpgp
            answer = Answer(locked=module.lock(job.key, content, job.now))
        else:
            answer = Answer(key=read(octets.read(MOST_INPUT + 1), job.now))
    except Unusable as wrong:
        answer = Answer(wrong=wrong.word, fingerprint=wrong.fingerprint)
    return msgspec.msgpack.encode(answer)


def warm_up() -> None:
    """Do all of it once: whoever works can load nothing any more, since it may open no file."""
    now = int(time.time() * 1000)
    for key in (smime.sample(now), openpgp.sample()):
        found = read(key, now)
        (smime if found.kind == "smime" else openpgp).lock(found.octets, b"x", now)


if __name__ == "__main__":
    nursery.serve(int(sys.argv[1]), warm_up, work)
