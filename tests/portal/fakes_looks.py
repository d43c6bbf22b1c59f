"""What stands in for the looks of organisations: one of them has made its pages its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cryptnsend.core import logo, look
from cryptnsend.core.errors import NoGrant
from cryptnsend.core.look import Look
from cryptnsend.flow.looks import Version, Worn
from tests.portal.world import DAY, NOW, World

CLINIC, HOST = 7, "mail.clinic.example"
DRAWN = logo.take(
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><circle cx="20" cy="20" r="18" fill="#8a2b6b"/>'
    b'<path d="M12 20h16M20 12v16" stroke="#fff" stroke-width="5"/></svg>'
)
FIRST = {"accent": "#8a2b6b"}
SAID = {
    **FIRST,
    "logo": DRAWN.mark,
    "banner_en": "We are closed from 24 to 26 December.",
    "footer_en": "Clinic, 410 Alder Street, Denver. (555) 010-0142",
    "host": HOST,
}
BASE_URL = "https://open.cryptnsend.example"


class FakeLooks:
    """The clinic has a look; everybody else wears the house's."""

    def __init__(self, world: World):
        self.world = world

    def house(self) -> Worn:
        return Worn(0, "", Look(), BASE_URL)

    def worn(self, org: int) -> Worn:
        if org != CLINIC:
            return replace(self.house(), organisation=org)
        return Worn(org, "Clinic", look.of(SAID), f"https://{HOST}")

    def at_host(self, host: str) -> Worn | None:
        return self.worn(CLINIC) if host == HOST else None

    def picture(self, mark: str) -> tuple[str, bytes] | None:
        return (logo.TYPES[DRAWN.kind], DRAWN.octets) if mark == DRAWN.mark else None

    def said(self, org: int) -> tuple[int, Mapping[str, str]]:
        return 2, SAID

    def said_in(self, org: int, number: int) -> Mapping[str, str]:
        if number > 2:
            raise NoGrant("There is no such version of the look.")
        return ({}, FIRST, SAID)[number]

    def history(self, org: int, before: int = 0, limit: int = 50) -> Sequence[Version]:
        return [
            Version(2, NOW - DAY, "account:3", "The new sign.", SAID, look.differences(FIRST, SAID)),
            Version(1, NOW - 9 * DAY, "owner", "", FIRST, look.differences({}, FIRST)),
        ]
