"""What is in a recovery file, and how does it open again?

A file holds a key under a code that stands nowhere else, so that neither is worth anything alone. The code carries its
own chance; the file may therefore lie on a disk for a while, but belongs off the server.

It is to survive as paper: a person can type it, and a phone reads it from a QR code. A check value tells what was typed
wrong from a wrong code.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptnsend.core import keys
from cryptnsend.core.errors import SealBroken
from cryptnsend.core.model import Random
from cryptnsend.core.passwords import new_recovery_code, recovery_key, unwrap_seed, wrap_seed
from cryptnsend.keeper.providers import Provider
from cryptnsend.keeper.requests import Earlier, RecoveryFile

TITLE = "CryptnSend recovery file"
MASTER, ARCHIVE = "master key", "archive"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovery file gives back: a master key, or the seed of an archive's pair."""

    kind: str
    organisation: int
    pair: int  # 0 for a master key
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A recovery file as it was read, closed."""

    kind: str
    organisation: int
    pair: int
    wrap: bytes

    def opened(self, code: str) -> Recovered:
        """Return what the file holds. Raise `WrongSecret` if the code is not this file's."""
        key = unwrap_seed(recovery_key(code), self.wrap, pair=self.pair, kind="recovery")
        return Recovered(self.kind, self.organisation, self.pair, key)


def archive_file(organisation: int, name: str, pair: int, seed: bytes, now: int, rng: Random) -> RecoveryFile:
    """Return a new recovery file for an organisation's archive."""
    code = new_recovery_code(rng)
    wrap = wrap_seed(recovery_key(code), seed, pair=pair, kind="recovery", rng=rng)
    return RecoveryFile(_written(ARCHIVE, organisation, name, pair, wrap, now), code)


def master_file(provider: Provider, now: int, rng: Random) -> RecoveryFile:
    """Return a new recovery file for the installation. Raises `NoMasterKey`, `ConfigError` for a key in a token."""
    code = new_recovery_code(rng)
    wrap = provider.sealed_copy(recovery_key(code))
    return RecoveryFile(_written(MASTER, 0, "installation", 0, wrap, now), code)


def chain(pair: int, seed: bytes, sealed: Sequence[Earlier]) -> dict[int, bytes]:
    """Return the seeds of a pair and of all that came before it, by their ids. Raise `SealBroken` if one fits none."""
    found, newest = {pair: seed}, pair
    by_successor = {each.successor: each for each in sealed}
    while newest in by_successor:
        before = by_successor.pop(newest)
        opened = keys.open_with(
            found[newest], before.sealed, label="archive", owner=before.holder, holder=before.holder, ref=before.pair
        )
        if keys.public_of(opened) != before.public:
            raise SealBroken("The archive's seed does not belong to its pair.")
        found[before.pair] = opened
        newest = before.pair
    return found


def read(text: str, code: str) -> Recovered:
    """
    Return what a recovery file holds.

    Raise `SealBroken` if the text is damaged or no recovery file, `WrongSecret` if the code is not this file's.
    """
    return sheet(text).opened(code)


def sheet(text: str) -> Sheet:
    """Return what a recovery file says without its code. Raise `SealBroken` if it is damaged or none."""
    title, _, rest = text.strip().partition("\n")
    if title.strip() != TITLE:
        raise SealBroken("This is not a recovery file.")
    fields = {}
    for line in textwrap.dedent(rest).splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    try:
        kind, organisation, pair = fields["kind"], int(fields["organisation"].split()[0]), int(fields["pair"])
        # Who types from paper may well set the letters in groups.
        body = "".join("".join(fields[f"wrap {place}"].split()) for place in (1, 2, 3))
        wrap = base64.b64decode(body, validate=True)
    except (KeyError, IndexError, ValueError, NotBase64):
        raise SealBroken("This recovery file is damaged.") from None
    # Files of before the check value have none.
    if fields.get("check", "").lower() not in ("", _check(kind, organisation, pair, wrap)):
        raise SealBroken(
            "This recovery file has a character that is not as it was: compare it with the paper, or scan again."
        )
    return Sheet(kind, organisation, pair, wrap)


def without_hints(text: str) -> str:
    """Return a recovery file without the advice at its end: what a QR code has to hold, so that it stays coarse."""
    return text.rstrip().rpartition("\n\n")[0] or text


def _check(kind: str, organisation: int, pair: int, wrap: bytes) -> str:
    """Return eight hexadecimal digits that are others if one character of the file is; nothing secret is in them."""
    return hashlib.sha256(f"{kind}|{organisation}|{pair}|{wrap.hex()}".encode()).hexdigest()[:8]


def _written(kind: str, organisation: int, name: str, pair: int, wrap: bytes, now: int) -> str:
    body = base64.b64encode(wrap).decode()
    third = -(-len(body) // 3)
    # The name is for whoever finds the sheet; nothing is read from it, so anything that could look like a field goes.
    shown = "".join(each for each in name if each.isprintable() and each != ":")[:100]
    lines = [
        TITLE,
        "",
        f"Kind: {kind}",
        f"Organisation: {organisation} {shown}".rstrip(),
        f"Pair: {pair}",
        f"Made: {datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d %H:%M} UTC",
        *(f"Wrap {place + 1}: {body[place * third : (place + 1) * third]}" for place in range(3)),
        f"Check: {_check(kind, organisation, pair, wrap)}",
        "",
        "Print this or store it away from the server. It opens only together with its code, which was shown once.",
        "Keep the code somewhere else.",
        "",
    ]
    return "\n".join(lines)
