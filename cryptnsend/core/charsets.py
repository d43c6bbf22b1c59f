"""How do octets with a charset label become text?

Mail labels lie: unknown names, 8-bit octets without a label, words cut in the middle of a character. Nothing here
raises, whatever comes. Names are looked up in a fixed table and never handed to `codecs.lookup`, which remembers every
name it was asked for, and whose `idna` and `punycode` need quadratic time.
"""

from __future__ import annotations

import binascii
import re
from encodings.aliases import aliases

_NOT_TEXT = {
    "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec", "mbcs", "oem",
    "punycode", "idna", "unicode_escape", "raw_unicode_escape", "undefined",
}  # fmt: skip

# What senders write against what they mean (the Encoding Standard's readings, where it has one).
_MEANT = {
    "ascii": "", "us_ascii": "", "unknown_8bit": "", "x_unknown": "", "8bit": "", "unknown": "", "default": "",
    "utf8mb4": "utf_8", "utf_8": "utf_8", "unicode_1_1_utf_7": "utf_7", "x_unicode_2_0_utf_7": "utf_7",
    "iso_8859_1": "cp1252", "iso8859_1": "cp1252", "latin1": "cp1252", "latin_1": "cp1252", "l1": "cp1252",
    "iso_8859_9": "cp1254", "latin5": "cp1254", "iso_8859_8_i": "iso8859_8", "iso_8859_8_e": "iso8859_8",
    "gb2312": "gb18030", "gbk": "gb18030", "x_gbk": "gb18030", "gb_2312_80": "gb18030", "cp936": "gb18030",
    "ks_c_5601_1987": "cp949", "ks_c_5601": "cp949", "euc_kr": "cp949", "ksc5601": "cp949",
    "shift_jis": "cp932", "sjis": "cp932", "x_sjis": "cp932", "windows_31j": "cp932",
    "iso_2022_jp": "iso2022_jp_ext", "big5": "big5hkscs", "x_mac_roman": "mac_roman", "macintosh": "mac_roman",
    "tis_620": "cp874", "windows_874": "cp874", "x_user_defined": "cp1252", "koi8_ru": "koi8_u",
}  # fmt: skip
# Codecs without an alias of their own, which the table of the standard library does not name.
_NAMED = ("cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_t", "koi8_u", "mac_croatian", "mac_romanian")
_CODECS = {
    **{codec: codec for codec in _NAMED},
    **{codec: codec for codec in aliases.values() if codec not in _NOT_TEXT},
    **{alias: codec for alias, codec in aliases.items() if codec not in _NOT_TEXT},
    **_MEANT,
}
_PUNCTUATION = re.compile(r"[^a-z0-9]+")


def decode_text(octets: bytes, charset: str = "") -> str:
    """
    Decode *octets* as *charset* says, or as they look when it is missing, unknown or plainly wrong.

    Without a usable label: UTF-8 if the octets are UTF-8, else Windows-1252. Octets that fit nothing become U+FFFD; a
    byte order mark at the start is dropped. Never raises, never returns lone surrogates.
    """
    codec = _CODECS.get(_PUNCTUATION.sub("_", charset[:60].lower()).strip("_"), "") if charset else ""
    if not codec:
        return guess_text(octets)
    try:
        text = octets.decode(codec)
    except (UnicodeError, LookupError):
        # A body that is not what its label says is mostly UTF-8 with an old label, or cut short.
        text = guess_text(octets) if codec in {"cp1252", "utf_8"} else octets.decode(codec, "replace")
    if codec == "utf_7":
        text = text.encode("utf-8", "replace").decode()
    return text.removeprefix("\ufeff")


def guess_text(octets: bytes) -> str:
    """Decode octets that carry no label: UTF-8 if they are, else Windows-1252."""
    try:
        return octets.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        pass
    # A text cut short in the middle of a character is still UTF-8; so is one with a single broken character.
    text = octets.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if sum(not c.isascii() for c in text) >= 3 * broken:
        return text.removeprefix("\ufeff")
    return octets.decode("cp1252", "replace")


# RFC 2047 §2; blanks inside the text are forbidden there and common in practice. Bounds keep a hostile field linear.
_WORD = re.compile(r"=\?([^?\s]{1,80})\?([bBqQ])\?([^?]*)\?=")
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")


def decode_words(text: str) -> str:
    """
    Decode the encoded-words of an unfolded header value (RFC 2047 §6.2); what is none stays as it is.

    Neighbouring words of one charset are joined before decoding, because senders cut characters in two.
    """
    if "=?" not in text:
        return text
    out: list[str] = []
    pending, charset, end = b"", "", 0
    for word in _WORD.finditer(text):
        between = text[end : word.start()]
        name = word[1].partition("*")[0].lower()  # RFC 2231 §5: a language may follow
        octets = _base64_word(word[3]) if word[2] in "bB" else _q_word(word[3])
        if between and (end == 0 or not between.isspace()):
            out += (decode_text(pending, charset), between)
            pending = b""
        elif name != charset:
            out.append(decode_text(pending, charset))
            pending = b""
        pending += octets
        charset, end = name, word.end()
    out += (decode_text(pending, charset), text[end:])
    return "".join(out)


def _q_word(text: str) -> bytes:
    octets = text.replace("_", " ").encode("utf-8", "replace")
    return _HEX.sub(lambda m: bytes((int(m[1], 16),)), octets)


def _base64_word(text: str) -> bytes:
    return lenient_base64(text.encode("ascii", "ignore"))


def lenient_base64(octets: bytes) -> bytes:
    """Decode base64 as far as it goes: foreign octets are skipped, missing padding is added, a lone digit dropped."""
    try:
        return binascii.a2b_base64(octets)
    except binascii.Error:
        digits = re.sub(rb"[^A-Za-z0-9+/]", b"", octets)
        digits = digits[: len(digits) - (len(digits) % 4 == 1)]
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


_ODD = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029), " "),
    # Embeddings, overrides and isolates turn the rest of a page's line round; marks (200E, 200F) do not.
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF, *range(0xD800, 0xE000)), None),
}


def one_line(text: str, limit: int = 1000) -> str:
    """Make *text* fit for one displayed line: no control or direction-changing characters, at most *limit* long."""
    text = text[: limit * 4]
    if not text.isprintable():
        text = text.translate(_ODD)
    return " ".join(text.split())[:limit] if "  " in text or text != text.strip() else text[:limit]
