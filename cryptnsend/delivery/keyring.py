"""Which of our DKIM keys sign, which are only announced, and which may go? Files under dkim/, and what DNS shows.

A key is used once its record can be seen: signatures that nobody can check do more harm than none. The one before it
stays published while mail that it signed may still be on its way. Selectors take turns, `rsa1` with `rsa2` and `ed1`
with `ed2`, so that domains of others can point at them once and for all.

    announced → signing → retired → over

`<selector>.pem` is the key, `keys.json` says how each stands; a key that it does not name signs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import uniform
from typing import Literal

import msgspec
import structlog

from cryptnsend.core.contracts import Clock
from cryptnsend.core.errors import ConfigError, Denied
from cryptnsend.delivery.dkim import ED25519, RSA, DkimKey, dns_name, from_pem, generate_key, to_pem
from cryptnsend.delivery.dkim_check import is_key
from cryptnsend.delivery.dns import DnsTrouble
from cryptnsend.home import locked, write_private

State = Literal["announced", "signing", "retired", "over"]
Texts = Callable[[str], Sequence[str]]  # TXT records of a name, none if there is no such name; raises DnsTrouble

STATE_FILE = "keys.json"
PREFIXES = {RSA: "rsa", ED25519: "ed"}
TURNS = (1, 2)
DAY = 86_400_000  # milliseconds
SETTLES = DAY  # how long a record is seen before it is used: other servers may have kept the one before it that long
IN_TRANSIT = 5 * DAY  # for which other servers go on trying to pass our mail on (RFC 5321 §4.5.4.1)
ROUND = 600.0  # seconds between two looks

log = structlog.stdlib.get_logger(__name__)


def selectors() -> tuple[str, ...]:
    """Return every selector that a key of ours ever has, those of RSA first."""
    return tuple(f"{prefix}{turn}" for prefix in PREFIXES.values() for turn in TURNS)


class _Standing(msgspec.Struct):
    """A line of the file."""

    algorithm: str
    state: State
    since: int
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """
    A key and how it stands since when, in UTC milliseconds.

    `seen` is when the record of an announced one was first found in DNS, 0 before. `key` is None once it is over: its
    private half is destroyed then.
    """

    selector: str
    algorithm: str
    state: State
    since: int
    seen: int = 0
    key: DkimKey | None = None

    @property
    def is_published(self) -> bool:
        """Say whether its record has to be in DNS."""
        return self.state != "over"


class KeyRing:
    """The signing keys of one domain. Reads the folder anew when it has changed; safe for many threads."""

    def __init__(self, folder: Path, domain: str, clock: Clock, *, give_up: int):
        """*give_up* is milliseconds for which we try to deliver a mail."""
        self._folder, self._domain, self._clock = folder, domain, clock
        self.published_after = give_up + IN_TRANSIT
        self._guard = threading.Lock()
        self._marks: object = None
        self._held: tuple[Held, ...] = ()

    def held(self) -> tuple[Held, ...]:
        """Return every key by selector. Raises ConfigError for a file that cannot be used."""
        with self._guard:
            return self._read()

    def signing(self) -> tuple[DkimKey, ...]:
        """Return the keys that sign now."""
        return tuple(each.key for each in self.held() if each.state == "signing" and each.key is not None)

    def may_go(self, held: Held) -> int:
        """Return when the record of a retired key may be taken out of DNS, in UTC milliseconds."""
        return held.since + self.published_after

    def signs_from(self, held: Held) -> int | None:
        """Return when an announced key begins to sign, None while its record was not seen."""
        return held.seen + SETTLES if held.seen else None

    def rotate(self) -> tuple[Held, ...]:
        """
        Make a new key of each kind, and return them: announced, to be published, not used yet.

        Raises Denied while an earlier rotation goes on.
        """
        with self._changing() as held:
            now = self._clock.now()
            if any(each.state == "announced" for each in held.values()):
                raise Denied(
                    "New keys are announced already. Publish what `cryptnsend dns` prints; then they are used."
                )
            made = {}
            for algorithm, prefix in PREFIXES.items():
                names = [f"{prefix}{turn}" for turn in TURNS]
                free = [name for name in names if name not in held or self._is_over(held[name], now)]
                if not free:
                    until = max(self.may_go(held[name]) for name in names if held[name].state == "retired")
                    raise Denied(
                        f"Mail that was signed with the keys of before may still be on its way until {_day(until)}."
                        " Rotate again after that."
                    )
                key = generate_key(free[0], self._domain, algorithm)
                made[free[0]] = Held(free[0], algorithm, "announced", now, key=key)
            for each in made.values():
                if each.key is not None:
                    self._write(f"{each.selector}.pem", to_pem(each.key))
            self._save({**held, **made})
            return tuple(made.values())

    def look(self, texts: Texts) -> tuple[Held, ...]:
        """
        Ask DNS about announced keys, use those that have been seen long enough, and end those whose time is over.

        Returns what has changed. Raises DnsTrouble when DNS gives no answer; nothing has changed then.
        """
        waiting = [each for each in self.held() if each.state == "announced" and each.key is not None]
        there = {each.selector: is_published(each.key, texts) for each in waiting if each.key is not None}
        with self._changing() as before:
            now, after = self._clock.now(), dict(before)
            for selector, is_there in there.items():
                one = after.get(selector)
                if one is None or one.state != "announced":
                    continue
                after[selector] = one = replace(one, seen=(one.seen or now) if is_there else 0)
                if one.seen and now >= one.seen + SETTLES:
                    after = _turned(after, selector, now)
            for selector, one in after.items():
                if self._is_over(one, now) and one.state != "over":
                    after[selector] = replace(one, state="over", since=now, key=None)
            if after == before:
                return ()
            self._save(after)
            for one in after.values():
                if one.state == "over":
                    (self._folder / f"{one.selector}.pem").unlink(missing_ok=True)
        return tuple(one for selector, one in after.items() if one != before[selector])

    def activate(self) -> tuple[Held, ...]:
        """Use announced keys at once, on somebody's word that they are published. Raises Denied if there are none."""
        with self._changing() as held:
            now = self._clock.now()
            announced = [each.selector for each in held.values() if each.state == "announced"]
            if not announced:
                raise Denied("No new key is announced. `cryptnsend dkim rotate` makes them.")
            for selector in announced:
                held = _turned(held, selector, now)
            self._save(held)
            return tuple(held[selector] for selector in announced)

    def run(self, stop: threading.Event, texts: Texts) -> None:
        """Look now and again until *stop* is set."""
        while not stop.wait(ROUND * uniform(0.8, 1.2)):  # noqa: S311 - only so that servers do not go in step
            try:
                for each in self.look(texts):
                    log.info("signing key", selector=each.selector, state=each.state)
            except (DnsTrouble, ConfigError, OSError) as error:
                log.warning("signing keys have to wait", error=type(error).__name__)

    def _is_over(self, held: Held, now: int) -> bool:
        return held.state == "over" or (held.state == "retired" and now >= self.may_go(held))

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Held]]:
        """Yield the keys by selector; neither this process nor a command changes them meanwhile."""
        with self._guard, locked(self._folder / "lock"):
            yield {each.selector: each for each in self._read()}

    # -- files --------------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[Held, ...]:
        files = sorted(self._folder.glob("*.pem"))
        marks = [(path.name, path.stat().st_mtime_ns, path.stat().st_ino) for path in files]
        state = self._folder / STATE_FILE
        if state.exists():
            marks.append((STATE_FILE, state.stat().st_mtime_ns, state.stat().st_ino))
        if marks != self._marks:
            self._held, self._marks = self._parsed(files, state), marks
        return self._held

    def _parsed(self, files: Sequence[Path], state: Path) -> tuple[Held, ...]:
        said: dict[str, _Standing] = {}
        if state.exists():
            try:
                said = msgspec.json.decode(state.read_bytes(), type=dict[str, _Standing])
            except msgspec.MsgspecError:
                raise ConfigError(
                    f"{state}: this is not what `cryptnsend dkim` wrote. Restore it; without it every key here signs."
                ) from None
        found = {
            name: Held(name, each.algorithm, each.state, each.since)
            for name, each in said.items()
            if each.state == "over"
        }
        for file in files:
            if file.stem not in found:
                found[file.stem] = self._of(file, said.get(file.stem))
        return tuple(found[name] for name in sorted(found))

    def _of(self, file: Path, said: _Standing | None) -> Held:
        try:
            key = from_pem(file.stem, self._domain, file.read_bytes())
        except ValueError:
            raise ConfigError(f"{file}: a DKIM key is RSA or Ed25519, in PEM; this one is neither.") from None
        if said is None:
            return Held(file.stem, key.algorithm, "signing", 0, key=key)
        return Held(file.stem, key.algorithm, said.state, said.since, said.seen, key)

    def _save(self, held: dict[str, Held]) -> None:
        lines = {name: _Standing(one.algorithm, one.state, one.since, one.seen) for name, one in sorted(held.items())}
        self._write(STATE_FILE, msgspec.json.format(msgspec.json.encode(lines), indent=1) + b"\n")
        self._marks = None

    def _write(self, name: str, octets: bytes) -> None:
        write_private(self._folder / name, octets)


def is_published(key: DkimKey, texts: Texts) -> bool:
    """Say whether everybody finds this key where its signatures say; raise DnsTrouble when that cannot be known."""
    found = texts(dns_name(key))
    return len(found) == 1 and is_key(found[0].encode("utf-8", "replace"), key)


def _turned(held: dict[str, Held], selector: str, now: int) -> dict[str, Held]:
    """Return the keys with *selector* signing, and those of its kind that did before retired."""
    kind = held[selector].algorithm
    turned = {
        name: replace(one, state="retired", since=now) if one.state == "signing" and one.algorithm == kind else one
        for name, one in held.items()
    }
    turned[selector] = replace(held[selector], state="signing", since=now, seen=0)
    return turned


def _day(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"
