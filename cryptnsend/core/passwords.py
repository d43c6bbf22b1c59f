"""How does something a person knows, or a device keeps, open a seed? docs/vault-format.md §7.

A password becomes K by Argon2id (RFC 9106); a recovery code and a device's secret have their own chance in them and
need no slow hash. HKDF makes a wrap key of K, and the wrap holds the seed. Opening the wrap is the password check.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cryptnsend.core.errors import SealBroken, Sentence, WrongSecret
from cryptnsend.core.keys import NONCE, SEED, TAG, box, unbox
from cryptnsend.core.model import Random
from cryptnsend.core.seal import framed
from cryptnsend.core.tokens import ALPHABET

SALT = 16
DEVICE_SECRET = 16
PRF_OUTPUT = 32
DEVICE_USES = {  # scope of a device password → what it is for, at which doors
    "submit": frozenset({"submit"}),
    "read": frozenset({"read"}),
    "mail": frozenset({"submit", "read"}),
}
MAX_PASSWORD = 1024  # characters; far above any passphrase, far below what would keep Argon2id's input stage busy

_KINDS = frozenset({"password", "recovery", "device", "export"})
_CHECKSUM = 8
_COMMITMENT = 32
_WRAP = _COMMITMENT + NONCE + SEED + TAG + _CHECKSUM
_ENCODED = re.compile(r"argon2id,m=([0-9]{1,9}),t=([0-9]{1,4}),p=([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Argon:
    """Parameters of Argon2id (RFC 9106 §4 recommends 64 MiB, 3 passes, 4 lanes where memory is scarce)."""

    memory_kib: int = 65536
    iterations: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        # Rows may have been tampered with: parameters must not be a way to hang or fill the machine.
        fits = 1 <= self.lanes <= 16 and 1 <= self.iterations <= 64 and 8 * self.lanes <= self.memory_kib <= 2**20
        if not fits:
            raise ValueError("Argon2id parameters are out of range")

    def encode(self) -> str:
        """Return the parameters as text, as rows and exported objects hold them."""
        return f"argon2id,m={self.memory_kib},t={self.iterations},p={self.lanes}"

    @classmethod
    def decode(cls, text: str) -> Argon:
        """Return the parameters that `encode` wrote; raise `SealBroken` for anything else."""
        match = _ENCODED.fullmatch(text)
        if match is None:
            raise SealBroken("The password parameters are damaged.")
        try:
            return cls(*map(int, match.groups()))
        except ValueError:
            raise SealBroken("The password parameters are damaged.") from None


def prepared(password: str) -> bytes:
    """
    Return the octets that stand for *password* on every keyboard: RFC 8265 §4.2 (OpaqueString) where it matters here.

    Every kind of space counts as the ASCII one, composed and decomposed letters are the same (NFC), case and width
    are kept. Raise `WrongSecret` for what can never have been set: nothing, too much, halves of surrogate pairs.
    """
    spaced = "".join(" " if unicodedata.category(each) == "Zs" else each for each in password[: MAX_PASSWORD + 1])
    composed = unicodedata.normalize("NFC", spaced)
    if not composed or len(password) > MAX_PASSWORD:
        raise WrongSecret(Sentence("A password has between 1 and %(most)s characters.", most=MAX_PASSWORD))
    try:
        return composed.encode()
    except UnicodeEncodeError:
        raise WrongSecret("This password has characters that cannot be used.") from None


_argon_lock = threading.Lock()  # see `derive`


def derive(password: str, salt: bytes, params: Argon) -> bytes:
    """
    Return K, 32 octets: what a password amounts to once it has cost memory and time. Releases the GIL meanwhile.

    One at a time in a process: each uses several threads of OpenSSL's one pool, and two that share it fail for want of
    threads, or wait for each other for ever. The processors are as busy as they would be anyway.
    """
    if len(salt) != SALT:
        raise ValueError(f"a salt has {SALT} octets")
    argon = Argon2id(
        salt=salt, length=32, iterations=params.iterations, lanes=params.lanes, memory_cost=params.memory_kib
    )
    octets = prepared(password)
    with _argon_lock:
        return argon.derive(octets)


def wrap_seed(k: bytes, seed: bytes, *, pair: int, kind: str, rng: Random) -> bytes:
    """
    Wrap a seed under K: 100 octets, bound to the *pair* it belongs to and the *kind* of K.

    Kinds are `password`, `recovery`, `device` and `export`. The wrap commits to K, since AES-GCM alone does not.
    """
    if len(seed) != SEED:
        raise ValueError(f"a seed has {SEED} octets")
    wrap_key, commitment = _wrap_key(k, kind)
    body = commitment + box(wrap_key, seed, framed("seed", pair, kind), rng)
    return body + _checksum(body, pair, kind)


def unwrap_seed(k: bytes, wrap: bytes, *, pair: int, kind: str) -> bytes:
    """
    Return the seed. This is the password check.

    Raise `WrongSecret` if K is not the one it was wrapped under, and `SealBroken` if the wrap is damaged or belongs
    to another pair or kind: a person must not be told that the password is wrong when a disk is.
    """
    body, checksum = wrap[:-_CHECKSUM], wrap[-_CHECKSUM:]
    if len(wrap) != _WRAP or not hmac.compare_digest(checksum, _checksum(body, pair, kind)):
        raise SealBroken("A wrapped seed is damaged.")
    wrap_key, commitment = _wrap_key(k, kind)
    if not hmac.compare_digest(commitment, body[:_COMMITMENT]):
        raise WrongSecret(_WRONG[kind])
    return unbox(wrap_key, body[_COMMITMENT:], framed("seed", pair, kind))


_WRONG = {
    "password": "This password is not right.",
    "recovery": "This recovery code is not right.",
    "device": "This device password is not right.",
    "export": "This password is not right.",
}


def _wrap_key(k: bytes, kind: str) -> tuple[bytes, bytes]:
    """Return the wrap key that grows from K, and the commitment that tells K without giving it away."""
    if kind not in _KINDS or len(k) != 32:
        raise ValueError(f"no seed is wrapped by {len(k)} octets of kind {kind!r}")
    grown = HKDF(SHA256(), 32 + _COMMITMENT, salt=None, info=framed("wrap key", kind)).derive(k)
    return grown[:32], grown[32:]


def _checksum(body: bytes, pair: int, kind: str) -> bytes:
    return hashlib.sha256(framed("wrap checksum", pair, kind, body)).digest()[:_CHECKSUM]


# -- codes that carry their own chance --------------------------------------------------------------------------------

_RECOVERY = 20  # octets of chance: 160 bits, 32 characters; four more are a checksum
_DEVICE_ID = 8  # octets


def _spell(octets: bytes) -> str:
    """Spell octets, a multiple of five, in our alphabet: five bits to a character."""
    number, count = int.from_bytes(octets, "big"), len(octets) * 8 // 5
    return "".join(ALPHABET[number >> 5 * place & 31] for place in range(count - 1, -1, -1))


def _typed(text: str) -> str | None:
    """Return what someone typed as characters of our alphabet, or None: case, spaces and hyphens do not count."""
    if len(text) > 200:
        return None
    plain = "".join(text.replace("-", " ").split()).upper().translate(str.maketrans("OIL", "011"))
    return plain if all(each in ALPHABET for each in plain) else None


def _number(characters: str) -> int:
    value = 0
    for each in characters:
        value = value << 5 | ALPHABET.index(each)
    return value


def new_recovery_code(rng: Random) -> str:
    """Return a recovery code to print and keep: nine groups of four, 160 bits of chance and a checksum of 20."""
    chance = rng(_RECOVERY)
    written = _spell(chance) + _recovery_checksum(chance)
    return "-".join(written[i : i + 4] for i in range(0, len(written), 4))


def recovery_key(code: str) -> bytes:
    """
    Return the K of a recovery code as a person types it.

    Case, spaces, hyphens and O for 0 or I for 1 do not matter. Raise `WrongSecret` if it is incomplete or mistyped.
    """
    plain = _typed(code)
    if plain is not None and len(plain) == 36:
        chance = _number(plain[:32]).to_bytes(_RECOVERY, "big")
        if hmac.compare_digest(_recovery_checksum(chance), plain[32:]):
            return HKDF(SHA256(), 32, salt=None, info=framed("recovery code")).derive(chance)
    raise WrongSecret("This recovery code is incomplete or has a typing mistake; it has nine groups of four.")


def _recovery_checksum(chance: bytes) -> str:
    return _spell(hashlib.sha256(framed("recovery checksum", chance)).digest()[:5])[:4]


def serves(scope: str, use: str) -> bool:
    """Say whether a device password of this *scope* is for this *use*: to `submit`, or to `read`."""
    return use in DEVICE_USES.get(scope, frozenset())


def new_device_password(device_id: int, rng: Random) -> str:
    """Return a password for one device's mail program: eight groups of five, its id and 128 bits of chance."""
    return format_device_password(device_id, rng(DEVICE_SECRET))


def format_device_password(device_id: int, secret: bytes) -> str:
    """Return the device password that carries this id and secret, in lower case, which phones type more easily."""
    if len(secret) != DEVICE_SECRET:
        raise ValueError(f"a device secret has {DEVICE_SECRET} octets")
    octets = device_id.to_bytes(_DEVICE_ID, "big") + secret
    written = _spell(octets + _device_checksum(octets)).lower()
    return "-".join(written[i : i + 5] for i in range(0, len(written), 5))


def parse_device_password(text: str) -> tuple[int, bytes] | None:
    """Return the device id and the 16-octet secret of a device password, or None if *text* is none."""
    plain = _typed(text)
    if plain is None or len(plain) != 40:
        return None
    octets = _number(plain).to_bytes(_DEVICE_ID + DEVICE_SECRET + 1, "big")
    octets, checksum = octets[:-1], octets[-1:]
    if checksum != _device_checksum(octets):
        return None
    return int.from_bytes(octets[:_DEVICE_ID], "big"), octets[_DEVICE_ID:]


def device_key(secret: bytes) -> bytes:
    """Return the K of a device's secret, for wraps of the seeds that a reading device may open."""
    return HKDF(SHA256(), 32, salt=None, info=framed("device secret")).derive(secret)


def passkey_key(output: bytes, salt: bytes) -> bytes:
    """
    Return the seed of the pair that grows from a passkey's PRF output (WebAuthn level 3, section 10.1.4).

    *output* has 32 octets and is the same each time for the same passkey; *salt* is the keeper's own for each.
    """
    if len(output) != PRF_OUTPUT:
        raise ValueError(f"a passkey gives {PRF_OUTPUT} octets")
    return HKDF(SHA256(), 32, salt=salt, info=framed("passkey output")).derive(output)


def _device_checksum(octets: bytes) -> bytes:
    return hashlib.sha256(framed("device checksum", octets)).digest()[:1]


# -- strength ---------------------------------------------------------------------------------------------------------

_PRODUCT = ("cryptnsend", "crypt", "send", "secure", "mail", "message", "password", "passphrase", "welcome", "letmein")
LONG, _SHORT = 15, 8  # characters: alone, and with a second factor (NIST SP 800-63B-4 §3.1.1.2)
_SCORED = 72  # characters; zxcvbn's time grows with the square of the length
_SIGNS = frozenset("4@8({[<369!1|05$7+%2")  # what zxcvbn tries as letters, in every combination
_MOST_SIGNS = 8  # different ones; with all twenty it would be busy for seconds
_zxcvbn_lock = threading.Lock()  # zxcvbn keeps the words of its caller in a module-wide dictionary


@dataclass(frozen=True, slots=True)
class Strength:
    """How well a password would hold: a score of 0 to 4, whether it may be used, and what to do if not."""

    score: int
    ok: bool
    advice: str  # a `Sentence`, empty if there is nothing to say


def check_strength(password: str, *, hints: Sequence[str], second_factor: bool, shortest: int = LONG) -> Strength:
    """
    Judge a new password: at least *shortest* characters, 8 with a second factor; zxcvbn 3 or better; not on our list.

    *hints* are words a stranger would try first: the person's addresses and names, the sender's. There are no rules
    about digits and signs; they make passwords worse (NIST SP 800-63B-4 §3.1.1.2).
    """
    password = unicodedata.normalize("NFC", password)
    least = _SHORT if second_factor else shortest
    words = _hint_words(hints)
    score = _score(password, [*words, *_PRODUCT])
    if len(password) > MAX_PASSWORD:
        return Strength(score, False, Sentence("Use at most %(most)s characters.", most=MAX_PASSWORD))
    if any(unicodedata.category(each) in ("Cc", "Cs") for each in password):
        return Strength(0, False, Sentence("Use letters, digits, signs and spaces only."))
    if len(password) < least:
        return Strength(
            min(score, 2),
            False,
            Sentence("Use at least %(least)s characters; a few words in a row are easy to keep.", least=least),
        )
    if _mostly_known(password, [*words, *_PRODUCT]):
        return Strength(
            min(score, 1),
            False,
            Sentence("Leave out names, addresses, and words like “password” or this service's name."),
        )
    if score < 3:
        return Strength(
            score, False, Sentence("This would be guessed soon. Add a few words that have nothing to do with you.")
        )
    return Strength(score, True, "")


def _score(password: str, words: list[str]) -> int:
    """Return zxcvbn's score of the first 72 characters, and at most 1 for what mostly runs on, like "!\\"#$%&'"."""
    text = password[:_SCORED]
    if not text:
        return 0
    # Its word lists cost more than all the rest of this module, and few processes ever judge a password.
    from zxcvbn import zxcvbn

    # "password123456789" has no more in it than "password1".
    with _zxcvbn_lock:
        scores = [
            int(zxcvbn(_fewer_signs(each), user_inputs=words)["score"])  # type: ignore[no-untyped-call]
            for each in {text, _without_runs(text)}
        ]
    steps = [ord(b) - ord(a) for a, b in pairwise(text)]
    runs = sum(a == b for a, b in pairwise(steps))
    return min(*scores, 1 if 2 * runs > len(text) else 4)


def _without_runs(text: str) -> str:
    """Keep the first of characters that run on, up, down or on the spot, where they are three or more."""
    kept, at = "", 0
    while at < len(text):
        end = at + 1
        step = ord(text[end]) - ord(text[at]) if end < len(text) else 9
        while abs(step) <= 1 and end < len(text) and ord(text[end]) - ord(text[end - 1]) == step:
            end += 1
        kept += text[at] if end - at >= 3 else text[at:end]
        at = end
    return kept


def _fewer_signs(text: str) -> str:
    """Replace signs that may stand for letters, but for the first eight different ones: a stranger chose the text."""
    kept = [each for each in dict.fromkeys(text) if each in _SIGNS][:_MOST_SIGNS]
    return "".join("~" if each in _SIGNS and each not in kept else each for each in text)


def _hint_words(hints: Sequence[str]) -> list[str]:
    """Return the hints and the words they are made of, in lower case, the longest first, each once."""
    words = {each.casefold() for each in hints}
    for each in hints:
        words.update(re.split(r"[\W_]+", each.casefold()))
    return sorted((each for each in words if len(each) >= 3), key=lambda each: (-len(each), each))


def _mostly_known(password: str, words: list[str]) -> bool:
    """Say whether known words and what people add to them are all there is: fewer than 8 other letters or digits."""
    rest = password.casefold()
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, " ")
    return rest != password.casefold() and sum(map(str.isalnum, rest)) < 8
