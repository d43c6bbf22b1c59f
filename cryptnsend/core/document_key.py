"""What opens an encrypted PDF? A key made from the message's own, for one recipient of it, and written down nowhere.

Whoever may open the message can make it again; who has only the file, or was sent the same message at another address,
cannot. docs/vault-format.md §8 specifies it.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cryptnsend.core.seal import framed
from cryptnsend.core.tokens import ALPHABET

GROUPS, IN_GROUP = 5, 4  # of characters with five bits each: 100 bits, since a PDF derives its own key fast
_SPELT = """
Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa Quebec Romeo Sierra
Tango Uniform Victor Whiskey X-ray Yankee Zulu
"""
_NAMES = {each[0].lower(): each for each in _SPELT.split()}


def document_key(content_key: bytes, message: int, recipient: str) -> str:
    """
    Return the key of the PDF of *message* for *recipient*, a canonical address: five groups of four, "k7m2-q9rd-...".

    *content_key* has 32 octets. Small letters and digits, none of which looks like another.
    """
    count = GROUPS * IN_GROUP
    info = framed("pdf", message, recipient)
    made = HKDF(SHA256(), -(-count * 5 // 8), None, info).derive(content_key)
    number = int.from_bytes(made, "big")
    characters = "".join(ALPHABET[number >> 5 * place & 31] for place in range(count)).lower()
    return "-".join(characters[at : at + IN_GROUP] for at in range(0, count, IN_GROUP))


def without_hyphens(key: str) -> str:
    """Return a key as somebody types it who leaves the hyphens out; it opens the document, too."""
    return key.replace("-", "")


def said(key: str) -> list[str]:
    """Return how each group of a key is read to somebody: "Kilo 7 Mike 2" (the ICAO's spelling alphabet)."""
    return [" ".join(_NAMES.get(each, each) for each in group) for group in key.split("-")]
