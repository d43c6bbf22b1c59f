"""Why did this go this way? What is known of one delivery: the decision, the host, the proof, the tries, the words.

The outcome of the last attempt is kept as JSON beside the delivery; rows of earlier versions have less in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from cryptnsend.core.contracts import Row
from cryptnsend.core.policy import why

ROUTES = {
    "mx": "by the MX records of the domain",
    "implicit-mx": "by the domain's own address, since it has no MX records",
    "route": "by a route that the operator set",
    "smarthost": "by the operator's relay",
    "https": "to a web server",
    "scan": "nowhere: a scanner of this server looks at it first",
}
PROOFS = {
    "dane": "proven by the domain's signed DNS (DANE)",
    "mta-sts": "proven by the domain's policy (MTA-STS)",
    "operator": "checked by name, on the operator's word",
    "none": "not proven",
}


@dataclass(frozen=True, slots=True)
class Way:
    """The way of one delivery; times are UTC milliseconds. `route` and `proof` are keys of ROUTES and PROOFS."""

    kind: str
    state: str
    tries: int
    why: str = ""  # the policy's decision in words
    route: str = ""
    host: str = ""
    address: str = ""
    tls: str = ""
    cipher: str = ""
    proof: str = ""
    status: str = ""
    code: str = ""
    reply: str = ""
    is_ours: bool = False  # nobody else spoke: the reply says what this server found out
    due: int | None = None  # the next try
    late_at: int | None = None  # when the next host told that it cannot pass it on yet
    late_by: str = ""
    late: str = ""  # its words
    automatic_at: int | None = None  # when a program answered
    automatic: int | None = None  # the mail that is kept apart with that answer
    awaits_word: bool = False  # something was found in it, and its author has to choose
    form: str = ""  # in which it left: zip, pdf, link, tls, smime, openpgp
    decided: str = ""  # in which it was to leave

    @property
    def told(self) -> str:
        """The peer's answer with its codes, as it came; ours where no peer spoke."""
        return " ".join(filter(None, (self.code, self.status, self.reply)))


def way_of(row: Row) -> Way:
    """Return the way of a delivery from its row (kind, state, attempts, outcome, reply, due, and reason if known)."""
    known = msgspec.json.decode(row["outcome"], type=dict[str, str]) if row["outcome"] else {}
    waits = row["state"] in ("due", "delayed", "leased")
    return Way(
        kind=row["kind"],
        state=row["state"],
        tries=row["attempts"],
        why=why(row["reason"]) if row.get("reason") else "",
        reply=row["reply"] or "",
        is_ours=bool(known.get("ours")),
        due=row["due"] if waits else None,
        late_at=_number(known.get("late_at")),
        late_by=known.get("late_by", ""),
        late=known.get("late", ""),
        automatic_at=_number(known.get("automatic_at")),
        automatic=_number(known.get("automatic")),
        awaits_word=row["state"] == "held" and row.get("steered", "-") == "",
        form=row.get("left_as") or "",
        decided=row.get("form") or "",
        **{
            name: known.get(name, "")
            for name in ("route", "host", "address", "tls", "cipher", "proof", "status", "code")
        },
    )


def _number(text: str | None) -> int | None:
    return int(text) if text else None


HEAPED = ("organisation", "domain", "kind", "state", "status")  # what deliveries can be counted by


@dataclass(frozen=True, slots=True)
class Heap:
    """
    Deliveries that have in common what they were counted by; the other ones of HEAPED are "".

    `oldest` is when the first of them was made, UTC milliseconds; `example` is what one of the peers said.
    """

    count: int
    oldest: int
    example: str
    organisation: str = ""
    domain: str = ""
    kind: str = ""
    state: str = ""
    status: str = ""


def heaps(rows: Iterable[Row], by: Sequence[str] = ("domain", "state", "status")) -> list[Heap]:
    """Count deliveries *by* some of HEAPED, the largest heap first; without a recipient the domain is ""."""
    counts: Counter[tuple[str, ...]] = Counter()
    oldest: dict[tuple[str, ...], int] = {}
    examples: dict[tuple[str, ...], str] = {}
    for row in rows:
        way = way_of(row)
        known = {
            "organisation": str(row.get("org", "")),
            "domain": (row["recipient"] or "").rpartition("@")[2],
            "kind": way.kind,
            "state": way.state,
            "status": way.status,
        }
        key = tuple(known[name] for name in by)
        counts[key] += 1
        oldest[key] = min(oldest.get(key, row["created"]), row["created"])
        examples[key] = way.reply or examples.get(key, "")
    return [
        Heap(count, oldest[key], examples[key], **dict(zip(by, key, strict=True)))
        for key, count in counts.most_common()
    ]
