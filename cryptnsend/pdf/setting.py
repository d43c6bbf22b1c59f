"""How does HTML become pages? By weasyprint, which is given nothing to fetch: pictures stand in the HTML itself.

The document is tagged (PDF/UA-1), so that it can be read aloud in order, and says nothing of itself outside its pages.
"""

from __future__ import annotations

import base64
import binascii
import io
import logging
import re

from PIL import Image
from weasyprint import HTML
from weasyprint.urls import URLFetcher, URLFetcherResponse

from cryptnsend.pdf.document import LOGO

MOST_PAGES = 400  # set from one message; who makes more wants to hurt
MOST_PIXELS = 40_000_000  # of one picture
MOST_SIDE = 20_000
FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
DRAWN = frozenset({"image/svg+xml"})
_DATA = re.compile(r"data:image/(?:png|gif|jpe?g|webp);base64,([A-Za-z0-9+/=\s]+)", re.IGNORECASE)

logging.getLogger("weasyprint").disabled = True  # it tells of what it leaves out, with the address
logging.getLogger("fontTools").disabled = True


class TooManyPages(Exception):
    """A message that was made to have no end."""


class Inside(URLFetcher):  # type: ignore[misc]  # its package is untyped
    """Fetches pictures that stand in their own address, and the logo, and nothing else, wherever a page asks for it."""

    def __init__(self, logo: tuple[str, bytes]):
        super().__init__()
        self._logo = logo

    def fetch(self, url: str, headers: object = None) -> URLFetcherResponse:
        """Return a picture; raise ValueError for every other address, and for pictures larger than can be set."""
        if url == LOGO and self._logo[1]:
            media_type, octets = self._logo  # drawn anew when it was saved: what acts or fetches is not in it
            if media_type not in DRAWN:
                media_type = kind_of(octets)
            return URLFetcherResponse(url, body=octets, headers={"Content-Type": media_type})
        found = _DATA.fullmatch(url)
        if found is None:
            raise ValueError("nothing is fetched here")
        try:
            octets = base64.b64decode(found[1], validate=False)
        except binascii.Error:
            raise ValueError("this is no picture") from None
        return URLFetcherResponse(url, body=octets, headers={"Content-Type": kind_of(octets)})


def kind_of(octets: bytes) -> str:
    """Return the media type of a picture as its octets show it; raise ValueError for what is none, or is too large."""
    try:
        with Image.open(io.BytesIO(octets), formats=tuple(FORMATS)) as picture:
            (width, height), kind = picture.size, FORMATS[str(picture.format)]
    except (OSError, KeyError, Image.DecompressionBombError, SyntaxError):
        raise ValueError("this is no picture") from None
    if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
        raise ValueError("this picture is too large")
    return kind


def set_pages(html: str, logo: tuple[str, bytes] = ("", b"")) -> bytes:
    """
    Return a PDF of *html*, a whole document of ours with a stranger's inside; raise TooManyPages.

    *logo* is (media type, octets).
    """
    options = {"pdf_variant": "pdf/ua-1", "presentational_hints": True}
    document = HTML(string=html, url_fetcher=Inside(logo), base_url=None).render(**options)
    if len(document.pages) > MOST_PAGES:
        raise TooManyPages(f"{len(document.pages)} pages")
    made: bytes = document.write_pdf(**options)
    return made
