"""Can everyone read it? Contrast as WCAG 2.2 counts it, and the shades that pages and mails draw from one accent.

An organisation chooses one colour. It stands on paper as text and under white words as a button, so it has to reach
4.5:1 there; what does not is answered with the nearest shade that does. Dark screens get a lighter sister of it, which
always does. Shades are bent in OKLCH, where hue and lightness are apart as people see them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

LEAST = 4.5  # contrast of text, WCAG 2.2 success criterion 1.4.3
HOUSE = "#0b5c73"  # the accent of pages that nobody made their own
PAPER = ("#f2f5f6", "#ffffff", "#e9eef0")  # ground, sheet, sunk of light screens, as the style sheet has them
NIGHT = ("#0e1619", "#162126", "#0b1215")  # the same of dark ones
ON_LIGHT, ON_DARK = "#ffffff", "#07222b"  # words on a button
TINTED = {False: 0.10, True: 0.15}  # how much of the accent a quiet ground has; by whether it is dark

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Shades:
    """What is drawn from an accent on one kind of screen."""

    ink: str  # as text, and as a button
    down: str  # a button under the pointer
    on: str  # words on a button
    tint: str  # a selected row


@dataclass(frozen=True, slots=True)
class Reading:
    """How well an accent can be read: the worst contrast where it stands as given, and of its sister on dark."""

    on_paper: float
    under_words: float
    given_on_dark: float
    sister_on_dark: float
    sister: str

    @property
    def passes(self) -> bool:
        """Say whether everyone can read it."""
        return min(self.on_paper, self.under_words) >= LEAST


def is_colour(text: str) -> bool:
    """Say whether that is a colour as we spell it: a number sign and six lower-case digits of base 16."""
    return re.fullmatch(r"#[0-9a-f]{6}", text) is not None


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def read(accent: str) -> Reading:
    """Return how well an accent can be read."""
    dark = on_dark(accent)
    return Reading(
        on_paper=_worst(accent, (*PAPER, _tint(accent, dark=False))),
        under_words=contrast(ON_LIGHT, accent),
        given_on_dark=_worst(accent, NIGHT),
        sister_on_dark=min(_worst(dark.ink, (*NIGHT, dark.tint)), contrast(dark.on, dark.ink)),
        sister=dark.ink,
    )


def nearest(accent: str) -> str:
    """Return the shade of an accent nearest to it that everyone can read on paper: itself if it can be read."""
    return accent if read(accent).passes else _bent(accent, -0.005, lambda shade: read(shade).passes)


def on_light(accent: str) -> Shades:
    """Return what light screens draw from an accent that passes."""
    lightness, chroma, hue = _oklch(accent)
    return Shades(accent, _hex(max(0.0, lightness - 0.08), chroma, hue), ON_LIGHT, _tint(accent, dark=False))


def on_dark(accent: str) -> Shades:
    """Return what dark screens draw from any accent: a lighter sister of it, pale enough to be read."""
    _, chroma, hue = _oklch(accent)
    first = _hex(0.81, min(chroma, 0.09), hue)

    def is_read(shade: str) -> bool:
        grounds = (*NIGHT, _tint(shade, dark=True))
        return _worst(shade, grounds) >= LEAST and contrast(ON_DARK, shade) >= LEAST

    ink = first if is_read(first) else _bent(first, 0.005, is_read)
    lightness, chroma, hue = _oklch(ink)
    return Shades(ink, _hex(min(1.0, lightness + 0.07), min(chroma, 0.07), hue), ON_DARK, _tint(ink, dark=True))


def stylesheet(accent: str) -> str:
    """Return the style sheet that gives pages another accent, behind the house's own; the same for the same colour."""
    return (
        f":root {{ {_properties(accent, on_light(accent))} }}\n"
        "@media screen and (prefers-color-scheme: dark) {\n"
        f'  :root:not([data-theme="light"]) {{ {_properties(accent, on_dark(accent))} }}\n}}\n'
    )


def preview(accent: str) -> str:
    """Return the style sheet that gives another accent to the screens drawn on a page, and not to the page."""
    light, dark = _properties(accent, on_light(accent)), _properties(accent, on_dark(accent))
    return f".screen {{ {light} }}\n.screen.dark {{ {dark} }}\n"


def _properties(accent: str, shades: Shades) -> str:
    named = {
        "accent": accent, "accent-ink": shades.ink, "accent-fill": shades.ink, "accent-fill-down": shades.down,
        "on-accent": shades.on, "accent-tint": shades.tint,
    }  # fmt: skip
    return " ".join(f"--{name}: {value};" for name, value in named.items())


def _worst(colour: str, grounds: tuple[str, ...]) -> float:
    return min(contrast(colour, ground) for ground in grounds)


def _bent(colour: str, step: float, is_read: Callable[[str], bool]) -> str:
    """Return the first shade that can be read on the way to black or white, which both can."""
    lightness, chroma, hue = _oklch(colour)
    while 0.0 < lightness < 1.0:
        lightness = min(1.0, max(0.0, lightness + step))
        shade = _hex(lightness, chroma, hue)
        if is_read(shade):
            return shade
    return "#000000" if step < 0 else "#ffffff"


def _tint(colour: str, *, dark: bool) -> str:
    share, sheet = TINTED[dark], _rgb(NIGHT[1] if dark else PAPER[1])
    mixed = (share * ours + (1 - share) * ground for ours, ground in zip(_rgb(colour), sheet, strict=True))
    return "#" + "".join(f"{round(each * 255):02x}" for each in mixed)


# -- colour spaces ----------------------------------------------------------------------------------------------------


def _rgb(colour: str) -> Rgb:
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _luminance(colour: str) -> float:
    red, green, blue = map(_linear, _rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _oklch(colour: str) -> Rgb:
    """Return lightness, chroma and hue (CSS Color 4 §9.3)."""
    red, green, blue = map(_linear, _rgb(colour))
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return lightness, math.hypot(a, b), math.atan2(b, a)


def _hex(lightness: float, chroma: float, hue: float) -> str:
    """Return the colour as screens can show it: with less chroma where they cannot."""
    while True:
        found = _linear_of(lightness, chroma, hue)
        if chroma == 0 or all(-0.0005 <= each <= 1.0005 for each in found):
            break
        chroma = chroma - 0.002 if chroma > 0.002 else 0.0
    coded = (12.92 * each if each <= 0.0031308 else 1.055 * each ** (1 / 2.4) - 0.055 for each in _clipped(found))
    return "#" + "".join(f"{round(each * 255):02x}" for each in coded)


def _clipped(found: Rgb) -> list[float]:
    return [min(1.0, max(0.0, each)) for each in found]


def _linear_of(lightness: float, chroma: float, hue: float) -> Rgb:
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
