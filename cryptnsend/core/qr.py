"""How is a short text drawn so that a phone or a scanner reads it again? (ISO/IEC 18004)"""

from __future__ import annotations

import segno


def svg(text: str, *, scale: int = 5) -> str:
    """
    Return the QR code of *text* as an SVG element, *scale* units a module, that may stand inside a page of HTML.

    It is black on white whatever the page's colours, because readers need it so, and bears that a seventh of it cannot
    be read. No character of *text* stands in what is returned. Raises `ValueError` where *text* has more than 2,331
    octets.
    """
    return segno.make_qr(text, error="m").svg_inline(scale=scale, border=2, dark="#000", light="#fff", svgclass="qr")
