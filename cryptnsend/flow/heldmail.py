"""How does a sender hear that a mail of theirs is held? By what was found, masked, and with no link that does anything.

The mail leads to a page that asks for the password; there they choose. Names of files stay on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from cryptnsend.core.contracts import Row
from cryptnsend.core.dlp.detect import REASONS, Finding
from cryptnsend.core.seal import open_sealed
from cryptnsend.flow.composing import Composing, Letter
from cryptnsend.flow.inspecting import PART
from cryptnsend.flow.mailwords import moment
from cryptnsend.flow.parcels import Moot
from cryptnsend.store.records import deliveries, holds, listing

Words = Callable[[str], str]


class HeldMail(Composing):
    """Composes the word about a held message."""

    def _held(self, row: Row) -> Letter:
        about = listing.message(self._engine, row["message"])
        known = holds.of(self._engine, about["org"], row["message"]) if about is not None else None
        if about is None or known is None or known["state"] != "held":
            raise Moot("it was decided before its sender was told")
        to, words = self._keeper.alert(row["subject_id"]), self._words(row)
        values = {
            "found": [(what, masked, _where(place, words)) for what, masked, place in self._told(known, words)],
            "people": len(holds.waiting(self._engine, about["org"], row["message"])),
            "sent": moment(about["created"], row["language"]),
            "until": moment(known["until"], row["language"]),
            "link": self._url(row, f"/held/{row['message']}"),
            "host": self._host(row),
            "recipient": to,
        }
        return self._own(row, "held", to, words("A mail of yours waits for your word"), values)

    def _told(self, known: Row, words: Words) -> list[tuple[str, str, str]]:
        """Return (what, masked, place) of what was found, by the key that what waits still has."""
        for waiting in holds.waiting(self._engine, known["org"], known["message"]):
            leaving = deliveries.composed(self._engine, waiting["id"])
            if leaving is not None and leaving["queue_wrap"] is not None:
                found = findings_of(known, self._parcels.plain(leaving).keys[:32])
                return [(rule_in_words(each.rule, words), each.masked, each.where) for each in found]
        raise Moot("nothing of it waits any more")


def findings_of(known: Row, key: bytes) -> Sequence[Finding]:
    """Open what was found in a held message with its content key; raise SealBroken."""
    return msgspec.json.decode(open_sealed(key, known["message"], PART, known["sealed"]), type=list[Finding])


def rule_in_words(rule: str, words: Words) -> str:
    """Return what a rule finds, in the language that *words* puts it into."""
    said = {
        "ssn": words("Social Security number"),
        "itin": words("taxpayer number (ITIN)"),
        "card": words("payment card number"),
        "npi": words("provider number (NPI)"),
        "mbi": words("Medicare number (MBI)"),
        "dea": words("DEA number"),
        "icd10": words("diagnosis code (ICD-10)"),
        "drug": words("medicine somebody takes"),
        "birth-date": words("date of birth"),
        "mrn": words("medical record number"),
        "word": words("word of your organisation’s list"),
        "pattern": words("pattern of your organisation’s list"),
        "encrypted": words("a file with a password, which nobody here can read"),
        "unreadable": words("a file that cannot be read here"),
        "too-much": words("more than can be read"),
    }
    return said.get(rule, rule)


def place_in_words(place: str, words: Words) -> str:
    """Return where something was found; the name of a file stands as it is."""
    said = {"subject": words("in the subject"), "text": words("in the text"), "header": words("in the header")}
    return said.get(place, place) if place else words("in the whole mail")


def _where(place: str, words: Words) -> str:
    """Return where something was found, as a mail may say it: a file has no name there."""
    return place_in_words(place, words) if place in ("", "subject", "text", "header") else words("in a file")


def is_unread(rule: str) -> bool:
    """Say whether nothing was found, but something could not be read."""
    return rule in REASONS
