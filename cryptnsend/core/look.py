"""How may an organisation look? Its accent, logo, banner, words below notices and host: what may be said, and as text.

A look is kept as JSON text, names to words; what is not said is the house's. Words and a host stand on pages that
people trust and in mail that the house signs, so a text counts only where the keeper vouches for its fingerprint.
Pure: no I/O, no clock.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from cryptnsend.core import colour, logo
from cryptnsend.core.addresses import display_domain
from cryptnsend.core.errors import Denied, Sentence
from cryptnsend.core.organisation import plain_words

NAMES = ("accent", "logo", "logo_dark", "banner_en", "banner_es", "footer_en", "footer_es", "host")
WORDS = ("banner_en", "banner_es", "footer_en", "footer_es")
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?){2,}")


@dataclass(frozen=True, slots=True)
class Look:
    """What an organisation says of its look; "" is the house's."""

    accent: str = ""  # "#" and six digits; readable on light screens
    logo: str = ""  # mark of a picture: SHA-256 of its octets, and its kind
    logo_dark: str = ""  # the same for dark screens; without, the other stands on a light plate there
    banner_en: str = ""  # above every page that shows the look
    banner_es: str = ""
    footer_en: str = ""  # below every notice
    footer_es: str = ""
    host: str = ""  # where its pages are, besides the house's own

    def banner(self, language: str) -> str:
        """Return the banner in a language; in English where nothing is said in that one."""
        return (self.banner_es if language == "es" else self.banner_en) or self.banner_en

    def footer(self, language: str) -> str:
        """Return what stands below notices in a language; in English where nothing is said in that one."""
        return (self.footer_es if language == "es" else self.footer_en) or self.footer_en


class TooPale(Denied):
    """A colour that not everyone can read; `nearest` is the shade of it that they can."""

    def __init__(self, accent: str):
        reading, self.nearest = colour.read(accent), colour.nearest(accent)
        self.ratio = min(reading.on_paper, reading.under_words)
        super().__init__(
            Sentence(
                "Not everyone could read %(accent)s: its contrast is %(ratio)s to 1, and 4.5 to 1 is needed. The"
                " nearest shade that can be read is %(nearest)s.",
                accent=accent,
                ratio=f"{self.ratio:.1f}",
                nearest=self.nearest,
            )
        )


def write(said: Mapping[str, str]) -> str:
    """Return what an organisation said of its look as JSON text, the same text for the same words."""
    return msgspec.json.encode({name: said[name] for name in NAMES if said.get(name)}, order="sorted").decode()


def read(text: str) -> dict[str, str]:
    """Return what a text says; never raises. What could not have been saved says nothing."""
    try:
        found = msgspec.json.decode(text, type=dict[str, str])
        return check(found)
    except (msgspec.MsgspecError, Denied):
        return {}


def of(said: Mapping[str, str]) -> Look:
    """Return a look from what was said and checked."""
    return Look(**said)


def digest(text: str) -> bytes:
    """Return the fingerprint by which the keeper vouches for a text; empty for one that says nothing."""
    return b"" if text in ("", "{}") else hashlib.sha256(b"cryptnsend/v1 look\0" + text.encode()).digest()


def parse(name: str, typed: str) -> str:
    """Return what somebody typed in its one spelling; raise Denied, or TooPale, with what is wrong."""
    typed = typed.strip()
    if name not in NAMES:
        raise Denied(Sentence("A look has no %(name)s. It has: %(known)s.", name=repr(name), known=", ".join(NAMES)))
    if not typed:
        return ""
    if name == "accent":
        return _accent(typed)
    if name in WORDS:
        return plain_words(name, typed)
    if name == "host":
        return _host(typed)
    if not logo.is_mark(typed):
        raise Denied("This is no logo.")
    return typed


def check(said: Mapping[str, str]) -> dict[str, str]:
    """Return what was said in its one spelling, without what is empty; raise Denied for what a look does not take."""
    found = {name: parse(name, value) for name, value in said.items()}
    if found.get("logo_dark") and not found.get("logo"):
        raise Denied("A logo for dark screens needs one for light screens beside it.")
    return {name: value for name, value in found.items() if value}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (name, before, after) of what two looks say differently."""
    return [(name, before.get(name, ""), after.get(name, "")) for name in NAMES if before.get(name) != after.get(name)]


def spelt(name: str, value: str) -> str:
    """Spell a value for people; of a logo its kind and the first digits of its mark."""
    if name in ("logo", "logo_dark") and value:
        return f"{value.partition('.')[2].upper()} {value[:8]}"
    return value


def _accent(typed: str) -> str:
    value = typed.lower()
    value = value if value.startswith("#") else f"#{value}"
    if re.fullmatch(r"#[0-9a-f]{3}", value):
        value = "#" + "".join(2 * each for each in value[1:])
    if not colour.is_colour(value):
        raise Denied("A colour is a number sign and six characters, such as #0b5c73.")
    if not colour.read(value).passes:
        raise TooPale(value)
    return value


def _host(typed: str) -> str:
    try:
        host = display_domain(typed.rstrip("."))
    except ValueError:
        host = ""
    if not _HOST.fullmatch(host) or host.rpartition(".")[2].isdecimal():
        raise Denied("This is no host below a domain of yours. Type it as mail.clinic.example.")
    return host
