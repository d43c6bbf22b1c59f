"""How does an organisation look, on pages, in notices and on covers, who changed that, and at which host are its pages?

`Looks` reads it for whoever shows it, and changes it for officers, managers and the server's owner. The rows have the
text and the pictures; it counts only where the fingerprint on the archive's card, which the keeper signs, is that of
the text, and pictures only where they are what their marks say. So a changed row brings the house's look, and no
other's, and turns no link away from the house's host.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptnsend.core import colour, look
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import Denied, Ended, NoGrant, SealBroken, Sentence
from cryptnsend.core.logo import TYPES, Logo, is_mark
from cryptnsend.core.look import Look
from cryptnsend.core.model import INSTALLATION, archive_holder
from cryptnsend.core.names import safe_display_name
from cryptnsend.flow import versions
from cryptnsend.flow.holders import Holders
from cryptnsend.flow.versions import NEWEST, Book, Kind, reason
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import PolicyTaken
from cryptnsend.logs import logger
from cryptnsend.store.records import accounts, domains
from cryptnsend.store.records import looks as records

LIFE = 60.0  # seconds for which a look that was vouched for is shown without asking again
MOST_REMEMBERED = 2000
PLAIN = Look()

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Worn:
    """How somebody's pages, mails and covers look: an organisation's name ("" for the house) and its look."""

    organisation: int
    name: str
    look: Look
    base_url: str  # what links begin with: the organisation's own host, where it has one

    @property
    def host(self) -> str:
        """Return the host, with its port where that is not the usual one."""
        return urlsplit(self.base_url).netloc


@dataclass(frozen=True, slots=True)
class Cover:
    """
    What a page on paper shows of an organisation, or of the house. `logo` is (media type, octets), None without.

    `name` is "" for the house and for somebody on their own; `base_url` is what links begin with.
    """

    name: str
    accent: str
    logo: tuple[str, bytes] | None
    banner: str
    footer: str
    base_url: str


Change = tuple[str, str, str]  # name, before, after
Version = versions.Version[Mapping[str, str], Change]


def _spelt(each: Change) -> tuple[str, list[str]]:
    name, before, after = each
    return name, [look.spelt(name, before), look.spelt(name, after)]


def _add(rows: Rows, org: int, said: Mapping[str, str], text: str, at: int, actor: str, why: str) -> int:
    return records.add(rows, org, text, said.get("host", ""), at, actor, why)


LOOKS = Kind[Mapping[str, str], Change](
    rows=records.VERSIONS,
    read=look.read,
    write=look.write,
    differences=look.differences,
    spelt=_spelt,
    add=_add,
    action="look.changed",
    none_such=lambda: NoGrant("There is no such version of the look."),
    overtaken=lambda: Ended(
        "Somebody else has changed the look meanwhile. Look at it again, then change what you want."
    ),
)


@dataclass(frozen=True, slots=True)
class _Known:
    version: int
    at: float
    worn: Worn


class Looks:
    """
    The looks of organisations, read and changed. Thread-safe.

    *base_url* is the house's; *serves* says what keeps this server from answering at a host: "elsewhere" (its name
    leads there), "certificate" (which is not for it), "away" (nobody can tell now), "" if nothing does.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        keeper: Keeper,
        holders: Holders,
        clock: Clock,
        base_url: Callable[[], str],
        serves: Callable[[str], str],
    ):
        self._engine, self._keeper, self._holders, self._clock = engine, keeper, holders, clock
        self._base_url, self._serves = base_url, serves
        self._book = Book(LOOKS, engine=engine, keeper=keeper, clock=clock)
        self._known: dict[int, _Known] = {}
        self._lock = threading.Lock()

    # -- how it looks -------------------------------------------------------------------------------------------------

    def house(self) -> Worn:
        """Return the look of the house itself."""
        return Worn(INSTALLATION, "", PLAIN, self._base_url())

    def worn(self, org: int) -> Worn:
        """Return how an organisation looks now; the house's look where it said nothing, or nobody vouches for it."""
        version = records.newest(self._engine, org) if org != INSTALLATION else 0
        if not version:
            return self._named(org, PLAIN)
        now = self._clock.monotonic()
        with self._lock:
            known = self._known.get(org)
        if known is not None and known.version == version and now - known.at < LIFE:
            # What the keeper said holds for a while; whose a domain is may have changed a moment ago.
            return self._named(org, known.worn.look) if known.worn.look.host else known.worn
        worn = self._named(org, self._vouched(org))
        with self._lock:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[org] = _Known(version, now, worn)
        return worn

    def cover(self, org: int, language: str) -> Cover:
        """Return what a page on paper, such as the first of a locked PDF, shows of an organisation."""
        worn = self.worn(org)
        return Cover(
            worn.name,
            worn.look.accent or colour.HOUSE,
            self.picture(worn.look.logo),
            worn.look.banner(language),
            worn.look.footer(language),
            worn.base_url,
        )

    def picture(self, mark: str) -> tuple[str, bytes] | None:
        """Return (media type, octets) of a picture by its mark; None where there is none, or it is another."""
        if not is_mark(mark):
            return None
        octets = records.logo(self._engine, mark)
        if octets is None or hashlib.sha256(octets).hexdigest() != mark.partition(".")[0]:
            return None
        return TYPES[mark.partition(".")[2]], octets

    def at_host(self, host: str) -> Worn | None:
        """Return whose pages are at a host besides the house's own; None for every other name."""
        for org in records.at_host(self._engine, host):
            worn = self.worn(org)
            if worn.look.host == host and self.is_proven(org, host):
                return worn
        return None

    def _vouched(self, org: int) -> Look:
        def read(rows: Rows) -> Look:
            card = self._holders.card_or_none(rows, archive_holder(org))
            text = records.text(rows, org)
            if card is None or card.look != look.digest(text):
                return PLAIN
            return look.of(look.read(text))

        try:
            return self._holders.settled(lambda: self._engine.write(read).result())
        except SealBroken:
            log.error("the card of an archive is not the keeper's", organisation=org)
            return PLAIN

    def _named(self, org: int, said: Look) -> Worn:
        name = safe_display_name(accounts.organisation_name(self._engine, org)) if org != INSTALLATION else ""
        base = self._base_url()
        if said.host and self.is_proven(org, said.host):
            port = urlsplit(base).port
            base = f"https://{said.host}" + (f":{port}" if port else "")
        return Worn(org, name, said, base)

    def is_proven(self, org: int, host: str) -> bool:
        """Say whether a host is below a domain that this organisation has proven, and no other a narrower one."""
        labels = host.split(".")
        for start in range(len(labels) - 1):
            owner = domains.owner(self._engine, ".".join(labels[start:]))
            if owner is not None:
                return owner == org
        return False

    # -- what was said ------------------------------------------------------------------------------------------------

    def said(self, org: int) -> tuple[int, Mapping[str, str]]:
        """Return the number of the newest version, 0 before the first, and what it says."""
        return self._book.newest(org)

    def said_in(self, org: int, number: int) -> Mapping[str, str]:
        """Return what a version said; nothing in 0, before the first. Raises NoGrant."""
        return self._book.said_in(org, number)

    def history(self, org: int, before: int = NEWEST, limit: int = 50) -> Sequence[Version]:
        """Return the versions of an organisation, the newest first, each with what it changed."""
        return self._book.history(org, before, limit)

    def compare(self, org: int, earlier: int, later: int) -> Sequence[Change]:
        """Return how two versions look different; 0 is the time before the first. Raises NoGrant."""
        return self._book.compare(org, earlier, later)

    # -- changing -----------------------------------------------------------------------------------------------------

    def check(self, org: int, said: Mapping[str, str], pictures: Sequence[Logo] = ()) -> Mapping[str, str]:
        """Return what would be said; raise Denied for what cannot hold. Nothing is saved."""
        found, marks = look.check(said), {each.mark for each in pictures}
        for name in ("logo", "logo_dark"):
            mark = found.get(name, "")
            if mark and mark not in marks and not records.has_logo(self._engine, org, mark):
                raise Denied("There is no such logo. Bring the file again.")
        host = found.get("host", "")
        if host and host != self.said(org)[1].get("host", ""):
            self._check_host(org, host)
        return found

    def _check_host(self, org: int, host: str) -> None:
        if not self.is_proven(org, host):
            raise Denied(
                Sentence("%(host)s is below no domain that you have proven. Prove the domain first.", host=host)
            )
        if host == urlsplit(self._base_url()).hostname:
            raise Denied("This is the server's own host. Leave it empty to be there.")
        if any(each != org for each in records.at_host(self._engine, host)):
            raise Denied("The pages of another organisation are there.")
        match self._serves(host):
            case "away":
                raise Denied("The name servers do not answer now. Try again in a minute.")
            case "elsewhere":
                raise Denied(
                    Sentence(
                        "%(host)s does not lead to this server yet. Publish: %(host)s. CNAME %(ours)s.",
                        host=host,
                        ours=urlsplit(self._base_url()).hostname or "",
                    )
                )
            case "certificate":
                raise Denied(
                    Sentence(
                        "The certificate of this server is not for %(host)s yet. Ask who runs the server to add it.",
                        host=host,
                    )
                )

    def change(
        self,
        org: int,
        said: Mapping[str, str],
        *,
        pictures: Sequence[Logo] = (),
        why: str,
        based_on: int | None,
        actor: str,
        take: Callable[[str], PolicyTaken],
        detail: Mapping[str, object],
    ) -> int:
        """
        Let an organisation look like this from now on; *take* hands the text to the keeper. Return the version.

        *based_on* is the version that was looked at. Raises Ended if somebody changed the look since, Denied for what
        cannot hold, and whatever *take* raises.
        """
        version, before = self.said(org)
        self._book.check_not_overtaken(version, based_on)
        found, words = self.check(org, said, pictures), reason(why)
        if not self._book.differ(before, found):
            return version
        # The pictures first: the keeper's word on the text is worth nothing without what it names.
        self._keep(org, pictures, self._clock.now())
        self._book.add(org, before, found, why=words, actor=actor, take=take, detail=detail)
        return records.newest(self._engine, org)

    def _keep(self, org: int, pictures: Sequence[Logo], now: int) -> None:
        def write(rows: Rows) -> None:
            for each in pictures:
                records.put_logo(rows, org, each.mark, each.octets, now)

        self._engine.write(write).result()
