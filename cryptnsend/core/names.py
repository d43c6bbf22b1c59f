"""Which name may stand in the From line of a notice?

A notice is the one mail of ours that strangers trust at sight, so the name that a subscriber chose for it must not
borrow somebody else's: no brand, no help desk, no address, no link, no number to call.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode categories of characters that do not show
BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and symbols by category that have no ink

# Names that a notice may not borrow. Compared without accents, look-alikes and punctuation, so they stand here bare.
_BRANDS = (
    "adobe", "aetna", "alibaba", "amazon", "americanexpress", "bankofamerica", "barclays", "binance",
    "bitcoin", "bluecross", "blueshield", "capitalone", "cigna", "citibank", "coinbase", "commerzbank", "cryptnsend",
    "deutschebank", "docusign", "dropbox", "facebook", "fedex", "gmail", "godaddy", "google", "hotmail", "hsbc",
    "icloud", "instagram", "jpmorgan", "linkedin", "mailerdaemon", "mastercard", "medicare", "medicaid", "microsoft",
    "mychart", "netflix", "office365", "outlook", "paypal", "postmaster", "protonmail", "revolut", "santander",
    "sharepoint", "socialsecurity", "sparkasse", "telegram", "unitedhealth", "usps", "volksbank", "walmart",
    "wellsfargo", "westernunion", "whatsapp", "yahoo",
)  # fmt: skip
_ROLES = re.compile(
    r"\b(?:account|billing|customer|e?mail|fraud|help|it|password|payments?|security|service|system|tech(?:nical)?)"
    r"[ -]*(?:admin(?:istrator)?|alerts?|care|center|centre|department|dept|desk|notification|security|services?"
    r"|support|team)\b"
    r"|\b(?:admin|administrator|apple (?:id|inc|pay|store|support)|chase bank|no-?reply|support|visa (?:card|inc))\b"
)
_LINK = re.compile(
    r"://|\bwww\.|\b[\w-]+\.(?:com|net|org|info|biz|io|co|app|link|xyz|online|site|shop|[a-z]{2})\b(?! )"
)
# Letters that look alike fall together: first of each pair onto the second.
_PAIRS = (
    "аa еe оo рp сc уy хx іl јj ѕs ԁd һh ԛq ԝw кk мm тt вb нh ӏl αa οo ρp εe τt υu νv ιl κk χx μm "
    "0o 1l 3e 4a 5s $s |l !l il"
)
_LOOKS = str.maketrans({pair[0]: pair[1] for pair in _PAIRS.split()})
_LOOKALIKES = tuple(brand.translate(_LOOKS) for brand in _BRANDS)
_ALONE = {name.translate(_LOOKS) for name in ("apple", "chase", "dhl", "ebay", "irs", "meta", "stripe", "ups", "visa")}


def fold_looks(text: str) -> str:
    """Return *text* with letters that look alike made the same, for comparing only."""
    return text.translate(_LOOKS)


@lru_cache(1024)
def safe_display_name(name: str) -> str:
    """
    Return *name* fit for the From line of a notice, or "" if it must not stand there.

    Refused: an @, links and host names, five or more digits, names of brands and of help desks (also spelt with
    look-alike letters), words that mix scripts. Cleaned: control, invisible and direction-changing characters, blanks,
    characters that would need quoting, anything past 60 characters.
    """
    text = unicodedata.normalize("NFKC", name[:400])
    text = "".join(" " if c.isspace() or c in '<>"\\()[]{};,' else c for c in text if not _invisible(c))
    text = " ".join(text.split())[:60].strip()
    if "@" in text or sum(c.isdigit() for c in text) >= 5 or _LINK.search(text) or _mixes_scripts(text):
        return ""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    if _borrows(plain.translate(_LOOKS)) or _ROLES.search(plain):
        return ""
    return text if any(c.isalpha() for c in text) else ""


def legible(text: str) -> str:
    """Return *text* in one line without what nobody sees in it: a reason of invisible characters gives none."""
    return " ".join("".join(c for c in text if not _invisible(c)).split())


def skeleton(text: str) -> str:
    """Return what is left of *text* for a hasty eye: letters that look alike are the same letter (UTS 39 §4)."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return plain.translate(_LOOKS).replace("rn", "m").replace("vv", "w").replace("cl", "d").replace("-", "")


def _borrows(plain: str) -> bool:
    """Tell whether words of *plain* make a brand: long ones anywhere, short ones as whole words ("Marcus Psaros")."""
    words = ["".join(filter(str.isalnum, word)) for word in re.split(r"[\s_./+&-]+", plain)]
    if "".join(words) in _ALONE:
        return True
    runs = {"".join(words[at : at + n]) for at in range(len(words)) for n in (1, 2, 3)} | {"".join(words)}
    return any(
        brand in runs or (len(brand) >= 6 and any(w.startswith(brand) for w in words))
        or (len(brand) >= 8 and brand in "".join(words))
        for brand in _LOOKALIKES
    )  # fmt: skip


def _invisible(char: str) -> bool:
    return (unicodedata.category(char) in UNSEEN and not char.isspace()) or char in BLANKS


def _mixes_scripts(text: str) -> bool:
    """Tell whether one word has letters of Latin and of another alphabet that looks like it."""
    for word in text.split():
        scripts = {unicodedata.name(c, "").partition(" ")[0] for c in word if c.isalpha()}
        if "LATIN" in scripts and scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"}:
            return True
    return False
