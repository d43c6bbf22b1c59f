"""How does somebody have a file who has a link, and nothing to prove who they are by? As its author chose it.

A link is made for files beside one message. What it opens, their names and keys, rests under a key that we do not have:
it grows from the 256-bit secret behind the # of its address, which browsers keep to themselves, or from a password that
its author tells by other means, by Argon2id. What stands before the # goes into that key as well, and only its hash
rests here, so that a thief of the rows has nothing to guess passwords against.

Three steps, so that no program which follows links opens or spends anything: to look at the address shows who shares;
a button with the secret opens the list, by a pass that is good for an hour in that browser; a button for one file
counts the download and makes a ticket. With the ticket the file is had by GET from any place on, as by recipients.

A link ends at its time, when it is revoked, when the organisation does not allow links any more, and whenever nobody
can open the message any more. Which it is, whoever has the link does not hear.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cryptnsend import metrics
from cryptnsend.core import keys
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Denied, Ended, NoGrant, SealBroken, Sentence, WrongSecret
from cryptnsend.core.linkedfiles import LinkedFile, read, written
from cryptnsend.core.model import Random, account_holder, new_id
from cryptnsend.core.names import safe_display_name
from cryptnsend.core.passwords import SALT, Argon, check_strength, derive
from cryptnsend.core.seal import framed, open_sealed, pad, seal, unpad
from cryptnsend.flow import linkmarks
from cryptnsend.flow.downloads import NOTHING, TICKET, Download, download_of, ident_of, key_of, typed
from cryptnsend.flow.filereading import FileReading, chosen, files_beside
from cryptnsend.flow.guessing import Guesses, subject_of
from cryptnsend.flow.linklooks import Held, LinkLooks
from cryptnsend.flow.opening import Opener
from cryptnsend.flow.ownpair import own_pair
from cryptnsend.flow.policies import Policies
from cryptnsend.flow.sent import DAY, NOTHING_MORE, Sent
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.throttling import Throttle, network_of
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import audit, filelinks, linked, listing

MINUTE = 60_000  # milliseconds
OPEN_DAYS = 7  # the longest life of a link without a password
MOST = 20  # links of one message that hold
MOST_DOWNLOADS = 1000
PASS = 60 * MINUTE
OPENED = 200  # times that one source may open a link in a day: each leaves an entry in the audit trail
LOOKS = 100  # times a day that files of one account are looked into, because a link to them was asked for
LOCATOR, SECRET = 20, 32  # octets
PART, LABEL = "link", "file link"
OVER = "This link does not work any more."


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link as its author sees it."""

    id: int
    place: str  # what its address ends in; "" once it is over, or where this session does not open it
    has_password: bool
    state: str  # active, revoked, ended; damaged where its row is, so that it opens nothing
    most: int  # downloads, 0 for any number
    spent: int
    ends: int
    created: int
    guesses: int = 0  # wrong passwords that were typed for it


@dataclass(frozen=True, slots=True)
class Face:
    """What a link shows to whoever looks at its address."""

    has_password: bool
    sender: str
    organisation: str
    ends: int


@dataclass(frozen=True, slots=True)
class Offered:
    """What a link shows once it was opened: its files, and how many downloads it still has, None for any number."""

    face: Face
    token: str
    files: Sequence[LinkedFile]
    left: int | None


class FileLinks:
    """Makes links, and gives out files by them. Shared by all requests of a process; thread-safe."""

    def __init__(
        self,
        *,
        engine: Engine,
        keeper: Keeper,
        opener: Opener,
        reading: FileReading,
        looks: LinkLooks,
        sent: Sent,
        policies: Policies,
        throttle: Throttle,
        argon: Argon,
        clock: Clock,
        random: Random,
        wake: Callable[[], None],
    ):
        self._guesses = Guesses(engine=engine, throttle=throttle, clock=clock, random=random, wake=wake)
        self._engine, self._keeper, self._opener, self._reading, self._sent = engine, keeper, opener, reading, sent
        self._policies, self._throttle, self._argon, self._looks = policies, throttle, argon, looks
        self._clock, self._random = clock, random

    # -- its author ---------------------------------------------------------------------------------------------------

    def allowed(self, session: Session) -> bool:
        """Say whether the rules let this subscriber share files with whoever has a link."""
        return not session.weak and self._policies.now(session.organisation).file_links

    def make(
        self, session: Session, message: int, *, until: int, most: int = 0, password: str = "", reason: str = ""
    ) -> int:
        """
        Make a link for the files beside an own message, good until then (UTC milliseconds); return its number.

        *most* downloads, 0 for any number. Without a *password* its address has a secret. *reason*: why the files leave
        although something was found in them. Raises Denied with a sentence for what is not allowed, Held among them for
        what was found, NoGrant for what is not one's own.
        """
        about, now = self._sent.owned(session, message), self._clock.now()
        if not self.allowed(session):
            raise Denied("Your organisation does not let files be shared with whoever has a link.")
        self._check(about, until, most, has_password=bool(password))
        if password:
            strength = check_strength(password, hints=[session.address, session.name], second_factor=True)
            if not strength.ok:
                raise Denied(strength.advice)
        row = self._opener.as_author(session, message)
        files = files_beside(self._engine, self._opener, row["org"], message, self._opener.keys(session, row)[:32])
        if not files:
            raise Denied("There is no large file beside this message.")
        looked = self._looked_at(session, about, files, reason)
        ident, locator, salt = new_id(now, self._random), self._random(LOCATOR), self._random(SALT)
        secret = b"" if password else self._random(SECRET)
        k = derive(password, salt, self._argon) if password else secret
        pair, holder = own_pair(self._engine, self._keeper, session), account_holder(session.account)
        sealed = seal(_key_of(k, locator, ident), ident, PART, pad(written(files)))
        link = _marked(filelinks.LinkRow(
            ident, about["org"], message, hashlib.sha256(locator).digest(), "password" if password else "secret",
            salt, self._argon.encode() if password else "", sealed,
            keys.seal_to(pair.public, locator + secret, label=LABEL, owner=holder, holder=holder, ref=ident),
            pair.id, "active", most, 0, until, now,
        ))  # fmt: skip
        said = {"link": str(ident), "way": link.way, "until": until, "most": most, "files": len(files), **looked}

        def write(rows: Rows) -> None:
            if filelinks.count(rows, about["org"], message, now) >= MOST:
                raise Denied(Sentence("A message has at most %(most)s links. Revoke one first.", most=MOST))
            filelinks.add(rows, link)
            audit.append(rows, about["org"], now, holder, "link.made", str(message), said)

        self._engine.write(write).result()
        return ident

    def listing(self, session: Session, message: int) -> Sequence[SharedLink]:
        """Return the links of an own message, the newest first; raise NoGrant for others."""
        about, now = self._sent.owned(session, message), self._clock.now()
        found = []
        for row in filelinks.of(self._engine, about["org"], message):
            holds = filelinks.holds(self._engine, about["org"], row["id"], now)
            state = row["state"] if holds or row["state"] != "active" else "ended"
            if holds and not linkmarks.is_whole(row):
                linkmarks.tell(row)
                state = "damaged"
            place = self._place(session, row) if state == "active" else ""
            found.append(
                SharedLink(
                    row["id"], place, row["way"] == "password", state, row["most"], row["spent"], row["ends"],
                    row["created"], row["guesses"],
                )
            )  # fmt: skip
        return found

    def revoke(self, session: Session, message: int, ident: int) -> None:
        """End a link of an own message for good, also downloads under way; raise NoGrant for others."""
        about = self._sent.owned(session, message)
        row = filelinks.by_id(self._engine, ident)
        if row is None or (row["org"], row["message"]) != (about["org"], message):
            raise NoGrant("There is no such link.")
        self.end(row, account_holder(session.account))

    def end(self, row: Row, actor: str, by: Mapping[str, object] = NOTHING_MORE) -> None:
        """End a link for *actor* who may: its author, or the owner of the home. Doing it twice changes nothing."""

        def write(rows: Rows) -> None:
            if filelinks.revoke(rows, row["org"], row["message"], row["id"]):
                detail = {**by, "link": str(row["id"])}
                audit.append(rows, row["org"], self._clock.now(), actor, "link.revoked", str(row["message"]), detail)

        self._engine.write(write).result()

    # -- whoever has it -----------------------------------------------------------------------------------------------

    def look(self, locator: str) -> Face:
        """Return what stands at an address; raise NoGrant if there never was a link, Ended if it is over."""
        return self._face(self._found(_locator(locator)))

    def open(self, locator: str, secret: str, source: str, browser: bytes) -> Offered:
        """
        Return the files of a link to who has its *secret*: what stands behind the #, or the password.

        *browser* is what only this browser knows. Raises as `look`, WrongSecret, Throttled after too many tries (Shut
        for good), SealBroken where the row is damaged, whatever was typed.
        """
        octets = _locator(locator)
        row = self._found(octets)
        self._throttle.ask(f"{subject_of(row)} opened", source, OPENED)
        if not linkmarks.is_whole(row):
            linkmarks.tell(row)
            raise SealBroken("The row of the link is damaged.")
        key = _key_of(self._k(row, secret, source), octets, row["id"])
        try:
            files = read(unpad(open_sealed(key, row["id"], PART, row["files"])))
        except SealBroken:
            raise self._wrong(row, source) from None
        if row["way"] == "password":
            self._guesses.right(row, source)
        metrics.count("file_links", result="opened")
        now, token = self._clock.now(), self._random(SECRET)
        # A pass rests like a ticket, of its first file; what is sealed in it is no ticket's.
        made = filelinks.TicketRow(
            ident_of(token), row["org"], row["message"], files[0].id, row["id"], browser,
            seal(key_of(token), row["id"], PART, pad(written(files))), min(now + PASS, row["ends"]),
        )  # fmt: skip

        def write(rows: Rows) -> None:
            filelinks.add_ticket(rows, made)
            self._note(rows, row, "link.opened", {"network": network_of(source)})

        self._engine.write(write).result()
        return self._offered(row, token, files)

    def offered(self, locator: str, token: str, browser: bytes) -> Offered:
        """Return again what `open` returned; raises as `begin`."""
        row, secret, files = self._passed(locator, token, browser)
        return self._offered(row, secret, files)

    def begin(self, locator: str, token: str, file: int, source: str, browser: bytes) -> str:
        """
        Count a download of one file, write it down, and return the ticket for it.

        The same button again gives the same ticket and counts nothing. Raises Ended for a link that is over or was used
        as often as it may be, NoGrant for a pass or a file that is none of these.
        """
        row, secret, files = self._passed(locator, token, browser)
        one, now = chosen(files, file), self._clock.now()
        # Of the pass and the file, so that a form that is sent twice spends one download.
        mine = hmac.digest(secret, framed("file link ticket", one.id), "sha256")
        ticket = filelinks.TicketRow(
            ident_of(mine), row["org"], row["message"], one.id, row["id"], browser,
            seal(key_of(mine), row["message"], "ticket", pad(msgspec.msgpack.encode(one))), now + TICKET,
        )  # fmt: skip
        network = network_of(source)

        def write(rows: Rows) -> None:
            if not filelinks.add_ticket(rows, ticket):
                return
            if not filelinks.spend(rows, row["org"], row["id"], now):
                raise Ended("This link was used as often as it may be.")
            ident = new_id(now, self._random)
            filelinks.add_download(
                rows, filelinks.DownloadRow(ident, row["org"], row["message"], one.id, row["id"], now)
            )
            self._note(rows, row, "file.downloaded", {"file": str(one.id), "network": network})

        self._engine.write(write).result()
        return mine.hex()

    def get(self, ticket: str, browser: bytes) -> Download:
        """Return the file of a ticket; raise NoGrant for one that is none, is over, or is another browser's."""
        secret = typed(ticket)
        row = linked.ticket(self._engine, ident_of(secret), self._clock.now()) if secret else None
        if secret is None or row is None or row["link"] is None or not hmac.compare_digest(row["session"], browser):
            raise NoGrant(NOTHING)
        if not self._still(row) or not self._policies.now(row["org"]).file_links:
            raise NoGrant(NOTHING)
        try:
            octets = unpad(open_sealed(key_of(secret), row["message"], "ticket", row["sealed"]))
            file = msgspec.msgpack.decode(octets, type=LinkedFile)
        except (SealBroken, msgspec.MsgspecError):
            raise NoGrant(NOTHING) from None
        return download_of(file, self._reading, partial(self._still, row))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _check(self, about: Row, until: int, most: int, *, has_password: bool) -> None:
        now, longest = self._clock.now(), self._policies.limits(about["org"]).life_most_days
        if about["created"] > now:
            raise Denied("This message has not left yet. Make the link when it has.")
        if not filelinks.message_holds(self._engine, about["org"], about["id"], now):
            raise Denied("Nobody can open this message any more. Give it back first, if that is still possible.")
        if until <= now:
            raise Denied("Choose a time to come.")
        if not has_password and until > now + OPEN_DAYS * DAY + MINUTE:
            raise Denied(
                Sentence("Without a password a link holds for %(days)s days at most. Choose an earlier time, or set a"
                         " password.", days=OPEN_DAYS)
            )  # fmt: skip
        if until > now + (longest + 1) * DAY:
            raise Denied("That is longer than a message may be opened. Choose an earlier day.")
        if not 0 <= most <= MOST_DOWNLOADS:
            raise Denied(Sentence("A link has at most %(most)s downloads.", most=MOST_DOWNLOADS))

    def _looked_at(self, session: Session, about: Row, files: Sequence[LinkedFile], reason: str) -> dict[str, object]:
        """Return what the audit trail says of a look into the files; what holds them back stands there as well."""
        # Reading files may take a minute of this machine's time.
        self._throttle.ask(f"links of {session.account}", "", LOOKS)
        try:
            return self._looks.check(session, about["id"], files, reason)
        except Held as held:
            now, actor = self._clock.now(), account_holder(session.account)
            rules = list(dict.fromkeys(each.rule for each in held.found))
            self._engine.write(
                lambda rows: audit.append(
                    rows, session.organisation, now, actor, "link.held", str(about["id"]), {"rules": rules}
                )
            ).result()
            raise

    def _place(self, session: Session, row: Row) -> str:
        seed, holder = session.seeds.get(row["pair"]), account_holder(session.account)
        if seed is None:
            return ""
        try:
            octets = keys.open_with(seed, row["own"], label=LABEL, owner=holder, holder=holder, ref=row["id"])
        except SealBroken:
            return ""
        locator, secret = octets[:LOCATOR], octets[LOCATOR:]
        return _spelt(locator) + (f"#{_spelt(secret)}" if secret else "")

    def _found(self, locator: bytes) -> Row:
        row = filelinks.by_locator(self._engine, hashlib.sha256(locator).digest()) if locator else None
        if row is None:
            raise NoGrant("There is no such link.")
        if not filelinks.holds(self._engine, row["org"], row["id"], self._clock.now()):
            raise Ended(OVER)
        if not self._policies.now(row["org"]).file_links:
            raise Ended(OVER)
        return row

    def _face(self, row: Row) -> Face:
        about = listing.message(self._engine, row["message"])
        if about is None:
            raise Ended(OVER)
        name = safe_display_name(about["name"]) or about["address"]
        return Face(row["way"] == "password", name, about["organisation"], row["ends"])

    def _offered(self, row: Row, token: bytes, files: Sequence[LinkedFile]) -> Offered:
        left = max(0, row["most"] - row["spent"]) if row["most"] else None
        return Offered(self._face(row), token.hex(), files, left)

    def _k(self, row: Row, secret: str, source: str) -> bytes:
        if row["way"] == "secret":
            octets = _read(secret, SECRET)
            if not octets:
                raise WrongSecret("This link is not whole. Copy all of it, to its last character.")
            return octets
        self._guesses.check(row, source)
        return derive(secret, row["salt"], Argon.decode(row["params"]))

    def _wrong(self, row: Row, source: str) -> Denied:
        """Count a wrong secret, and return what to say of it; raise Throttled."""
        if row["way"] == "secret":
            return WrongSecret("This link is not whole. Copy all of it, to its last character.")
        self._guesses.wrong(row, source)
        return WrongSecret("This password is not right.")

    def _passed(self, locator: str, token: str, browser: bytes) -> tuple[Row, bytes, Sequence[LinkedFile]]:
        """Return link and files of a pass, while both hold; it must be this browser's, and this link's."""
        row, secret = self._found(_locator(locator)), typed(token)
        known = linked.ticket(self._engine, ident_of(secret), self._clock.now()) if secret else None
        if secret is None or known is None or known["link"] != row["id"]:
            raise NoGrant(NOTHING)
        if not hmac.compare_digest(known["session"], browser):
            raise NoGrant(NOTHING)
        try:
            return row, secret, read(unpad(open_sealed(key_of(secret), row["id"], PART, known["sealed"])))
        except SealBroken:
            raise NoGrant(NOTHING) from None

    def _still(self, row: Row) -> bool:
        """Say whether the link of a ticket still holds, and the file is still there."""
        return linked.belongs(self._engine, row["org"], row["message"], row["file"]) and filelinks.holds(
            self._engine, row["org"], row["link"], self._clock.now()
        )

    def _note(self, rows: Rows, row: Row, action: str, detail: Mapping[str, object]) -> None:
        """Write down what somebody did who has a link: it is all that is known of them."""
        said = {**detail, "link": str(row["id"])}
        audit.append(rows, row["org"], self._clock.now(), f"link:{row['id']}", action, str(row["message"]), said)


def _key_of(k: bytes, locator: bytes, ident: int) -> bytes:
    return HKDF(SHA256(), 32, salt=locator, info=framed(LABEL, ident)).derive(k)


def _marked(link: filelinks.LinkRow) -> filelinks.LinkRow:
    return replace(link, mark=linkmarks.mark_of(link))


def _spelt(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _read(text: str, size: int) -> bytes:
    """Return what `_spelt` spelt, of exactly that *size*; b"" for anything else."""
    if not text.isascii() or len(text) != -(-size * 4 // 3):
        return b""
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""
    return octets if len(octets) == size and _spelt(octets) == text else b""


def _locator(text: str) -> bytes:
    return _read(text, LOCATOR)
