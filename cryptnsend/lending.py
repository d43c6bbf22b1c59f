"""How do the doors show a certificate whose key they may not read? The supervisor, which may, lends them copies.

So the key can lie wherever the program that renews it puts it, readable by root only, and the doors can run as users
who own nothing but their copy. A copy is made at the start and whenever the files change; whether chain and key belong
together is the doors' to judge, which keep the pair they have until they do.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cryptnsend.config import Config
from cryptnsend.home import Home, write_private
from cryptnsend.logs import logger
from cryptnsend.rights import People

DOORS = ("submission", "inbound", "mailbox", "portal")
Marks = tuple[tuple[int, int, int], ...]

log = logger(__name__)


class Lending:
    """Copies of certificate and key under run/tls/, for each door its own. Call `renew` now and then."""

    def __init__(self, config: Config, people: People, roles: Iterable[str] = DOORS):
        """*roles* are those that are served here; others may be somebody else's to lend to."""
        self._doors = [role for role in DOORS if role in set(roles)]
        self._files = (config.tls.certificate, config.tls.key)
        self._home, self._people = Home(config.server.home), people
        self._seen: Marks | None = None
        self._trouble = ""

    def environ(self, role: str) -> dict[str, str]:
        """Return the settings by which a door finds its copies; nothing for roles that are none."""
        if role not in self._doors:
            return {}
        certificate, key = self._home.door_tls(role)
        return {"CRYPTNSEND_TLS_CERTIFICATE": str(certificate), "CRYPTNSEND_TLS_KEY": str(key)}

    def renew(self) -> None:
        """Copy the files if they have changed; what cannot be read stays as it was lent, and is logged once."""
        try:
            marks = tuple(_mark(file) for file in self._files)
            if marks == self._seen:
                return
            octets = [file.read_bytes() for file in self._files]
            for role in self._doors:
                for place, copy in zip(self._home.door_tls(role), octets, strict=True):
                    write_private(place, copy, mode=0o400, owner=self._people.uids[role])
        except OSError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                log.error("the certificate cannot be lent to the doors", reason=error.strerror)
            return
        self._seen, self._trouble = marks, ""

    def end(self) -> None:
        """Take the copies back."""
        for role in self._doors:
            for place in self._home.door_tls(role):
                place.unlink(missing_ok=True)


def _mark(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size
