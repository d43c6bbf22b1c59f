"""How does a stranger write to a subscriber first? The subscriber's page, a proven address, one letter.

Whoever has an address here already signs in; for everybody else a mailed code makes an account, so that the answer and
the whole conversation are found again. The code proves no contact: what the subscriber answers still asks for the
subscriber's own code. A page exists only where its subscriber opened it, and nothing tells a page that is closed from
one that never was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptnsend.core import handles
from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Carried, Row, Rows
from cryptnsend.core.errors import NoGrant, Refusal
from cryptnsend.core.mime import Enclosure, Outgoing, build_message
from cryptnsend.core.model import account_holder
from cryptnsend.core.names import safe_display_name
from cryptnsend.flow import twice
from cryptnsend.flow.admit import Admission
from cryptnsend.flow.drafting import Drafts
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.flow.people import MAILS, People, canonical_or_nobody, notice_name
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.throttling import network_of
from cryptnsend.flow.views import NO_FORM, Filled, Upload, Writing
from cryptnsend.flow.views_accounts import SignedIn, Started
from cryptnsend.flow.visiting import BLOCKED, CLOSED, OWN, words
from cryptnsend.languages import known
from cryptnsend.store.records import accounts, messages, visitors

MOST_HANDLES = 3  # that one account may take, as each is taken for good
GREETING = 1200  # characters
SUBJECT = 200
SEARCHES = 20  # exact addresses that one source may look for in a row
RECEIPT = "visitor-receipt"
NO_PAGE = "There is no such page here."


@dataclass(frozen=True, slots=True)
class Page:
    """A subscriber's page as visitors see it."""

    handle: str
    account: int
    name: str
    organisation: str
    phone: str
    greetings: dict[str, str]  # by language
    language: str = "en"  # the subscriber's own

    def greeting(self, language: str) -> str:
        """Return the greeting in this language, in the other one where nothing is said in it."""
        return self.greetings.get(language) or next((each for each in self.greetings.values() if each), "")


@dataclass(frozen=True, slots=True)
class Own:
    """A subscriber's page as they set it."""

    handle: str = ""
    is_open: bool = False
    findable: bool = False
    greeting_en: str = ""
    greeting_es: str = ""
    allowed: bool = True  # by server and organisation


@dataclass(frozen=True, slots=True)
class Wrote:
    """Who wrote a message by the reader's page. `id` names the visitor in a form."""

    id: int
    address: str
    blocked: int | None


@dataclass(frozen=True, slots=True)
class BlockedVisitor:
    """Somebody from whom a page takes nothing any more."""

    id: int
    name: str
    address: str
    since: int


@dataclass(frozen=True, slots=True)
class SentLetter:
    """A letter that somebody wrote by a page."""

    message: int
    at: int
    name: str  # whom to


@dataclass(frozen=True, slots=True)
class Letter:
    """What a visitor sends; *html* and *attached* are ours, made from a form that they filled in."""

    subject: str
    text: str
    html: str = ""
    attached: Sequence[tuple[str, str, bytes]] = field(default=(), repr=False)  # name, media type, octets


class Visitors(People):
    """Pages for visitors, and the letters that come by them. Shared by all requests of a process; thread-safe."""

    def __init__(self, *, admission: Admission, drafts: Drafts, domain: str, codes: tuple[int, int], **of_people: Any):
        """*codes*: how many a network may have mailed in a row, and how many of these without a proof of work."""
        super().__init__(**of_people)
        self._admission, self._drafts, self._domain, self._codes = admission, drafts, domain, codes

    # -- what everybody sees ------------------------------------------------------------------------------------------

    def page(self, handle: str) -> Page:
        """Return an open page; raise NoGrant alike for one that is closed, forbidden, or was never there."""
        row = visitors.page(self._engine, handle) if handles.is_one(handle) else None
        if row is None or not self._policies.limits(row["org"]).visitor_pages:
            raise NoGrant(NO_PAGE)
        return _page(row)

    def find(self, typed: str, source: str) -> Page | None:
        """
        Return the page of who has exactly this address and may be found by it; None for everybody else. Throttled.

        That somebody can be found is their own choice; whether anybody else is known here cannot be told from None.
        """
        self._throttle.ask("addresses looked for", network_of(source) or source, SEARCHES)
        row = visitors.page_at(self._engine, canonical_or_nobody(typed))
        if row is None or not self._policies.limits(row["org"]).visitor_pages:
            return None
        return _page(row)

    # -- proving an address -------------------------------------------------------------------------------------------

    def start(self, handle: str, address: str, source: str, language: str, *, worked: bool) -> Started:
        """
        Mail a code that proves an address, or the word that it has an account; the same answer for both.

        *worked*: with a proof of work, else far fewer. Raises NoGrant, Throttled, Denied for an address of ours.
        """
        self.page(handle)
        network = network_of(source) or source
        if not worked:
            self._throttle.ask(f"{MAILS} without a sum", network, self._codes[1])
        self._throttle.ask(f"{MAILS} for visitors", network, self._codes[0])
        return self._mail_code(address, "visit", source, language)

    def use(self, challenge: bytes, ends: int) -> bool:
        """Use a proof of work up until it *ends*; False if it was used before."""
        now = self._clock.now()
        return self._engine.write(lambda rows: visitors.use(rows, challenge, now, ends)).result()

    def finish(self, ident: int, code: str, password: str, name: str, source: str, agent: str, locale: str) -> SignedIn:
        """Make the account of who shows the mailed code, and sign it in. Raises WrongSecret, Ended, Denied."""
        shown = notice_name(name)
        self._check_strength(password, [shown])
        salt, k = self._k_by_mail(ident, password, source)
        opened = self._keeper.visit(ident, code, salt, self._settings.argon.encode(), k, shown, locale)
        self._take(opened, "account.registered", {"by": "visit", "source": source, "agent": agent})
        self._seen(opened, source)
        return SignedIn(self._enter(opened, opened.addresses[0], agent))

    # -- the letter ---------------------------------------------------------------------------------------------------

    def check(self, session: Session, handle: str) -> Page:
        """Return the page for who is about to write; raise NoGrant, and Refusal where nothing would be taken."""
        page = self.page(handle)
        if page.account == session.account:
            raise Refusal(OWN)
        row = visitors.page(self._engine, handle)
        me = accounts.by_address(self._engine, session.address)
        known = visitors.visitor(self._engine, row["org"], page.account, me["address_id"]) if row and me else None
        if known is not None and known["blocked"] is not None:
            raise Refusal(BLOCKED)
        return page

    def send(
        self,
        session: Session,
        handle: str,
        letter: Letter,
        *,
        files: Iterable[Upload] = (),
        draft: int = 0,
        keep: Collection[int] | None = (),
        nonce: bytes,
        source: str,
    ) -> int:
        """
        Seal and admit a letter to the subscriber of a page, and return its id; the visitor gets a receipt by mail.

        The same form again, by its *nonce* and all that was typed and chosen, returns the same id and sends nothing.
        *source* is the IP address it comes from: nobody here knows its writer, so the spam filter is asked as well.
        Raises NoGrant or Refusal (TooBig, Infected, Spam among them) where it is not taken, Temporary where it is
        later.
        """
        row = visitors.page(self._engine, handle) if handles.is_one(handle) else None
        if row is None:
            raise Refusal(CLOSED)
        fresh = tuple(files)
        once = twice.digest("visit", nonce, (handle, letter.subject, letter.text), fresh, keep)
        kept = self._drafts.uploads(session, draft=draft, keep=keep) if draft else ()
        if messages.sent_by(self._engine, session.account, once) is None:
            twice.check_all_there(keep, kept)
        author = Author(session.account, session.organisation, session.address, frozenset(session.addresses), False)
        envelope = Envelope("", (Addressee(row["address"]),), protocol="HTTPS")
        known = Carried(session.address, (row["address"],), source)
        begun = self._admission.begin(author, envelope, "visitor", nonce=once, visits=row["account"], stranger=known)
        with begun:
            begun.take(build_message(self._outgoing(session, row, letter, (*kept, *fresh), begun.message)))
            gone = self._drafts.sending(session, 0, nonce, draft)
            receipt = self._mail("alert", RECEIPT, session.account, begun.message)

            def also(rows: Rows) -> None:
                gone.write(rows)
                if messages.made_by(rows, session.account, once) == begun.message:  # not by the same form, sent again
                    messages.add_deliveries(rows, [receipt])

            sent = begun.commit_now(also).message
        gone.done()
        return sent

    def _outgoing(self, session: Session, row: Row, letter: Letter, files: Sequence[Upload], message: int) -> Outgoing:
        enclosures = [Enclosure(name, kind, [octets]) for name, kind, octets in letter.attached]
        enclosures += [Enclosure(each.name, each.media_type, each.chunks()) for each in files]
        return Outgoing(
            author=Mailbox(safe_display_name(session.name), session.address),
            to=[Mailbox(safe_display_name(row["name"]), row["address"])],
            subject=" ".join(letter.subject.split())[:SUBJECT],
            date=self._clock.now(),
            message_id=f"<m{message}@{self._domain}>",
            text=letter.text,
            html=letter.html,
            enclosures=tuple(enclosures),
        )

    def letters(self, session: Session, limit: int = 20) -> Sequence[SentLetter]:
        """Return the latest letters that somebody wrote by pages, the newest first."""
        rows = visitors.letters_of(self._engine, account_holder(session.account), limit)
        return [SentLetter(row["id"], row["created"], safe_display_name(row["name"]) or row["display"]) for row in rows]

    # -- the subscriber's side ----------------------------------------------------------------------------------------

    def own(self, session: Session) -> Own:
        """Return a subscriber's page as it is set, and whether the rules let it be open."""
        allowed = self._policies.limits(session.organisation).visitor_pages
        row = visitors.page_of(self._engine, session.organisation, session.account)
        if row is None:
            return Own(allowed=allowed)
        return Own(
            row["handle"], bool(row["is_open"]), bool(row["findable"]), row["greeting_en"], row["greeting_es"], allowed
        )

    def save(self, session: Session, wanted: Own) -> Own:
        """
        Set a subscriber's page, and return it. Raises Refusal for a handle or a greeting that cannot be taken.

        A handle is taken for good: nobody else ever gets it, or one that looks like it.
        """
        if wanted.is_open and not self._policies.now(session.organisation).visitor_pages:
            raise Refusal(words("The rules here do not let you have such a page, so it stays closed."))
        if wanted.is_open and session.weak:
            raise Refusal(words("Your password was reset by mail. Confirm that it is you first, then open the page."))
        if not wanted.handle and not wanted.is_open:
            return self.own(session)
        handle = handles.read(wanted.handle)
        if not handle:
            raise Refusal(
                words(
                    "The name of a page has 3 to 32 letters, digits and single hyphens, begins with a letter and does"
                    " not end with a hyphen."
                )
            )
        if handles.is_reserved(handle):
            raise Refusal(
                words("This name cannot be taken: it could be mistaken for this server, or for a well-known company.")
            )
        greetings = [_plain(each) for each in (wanted.greeting_en, wanted.greeting_es)]
        org, account, now = session.organisation, session.account, self._clock.now()

        def write(rows: Rows) -> None:
            if not visitors.take(rows, org, account, handle, handles.looks(handle), now):
                raise Refusal(words("This name, or one that looks like it, is taken. Choose another one."))
            if visitors.taken(rows, account) > MOST_HANDLES:
                raise Refusal(words("You have had three names already. Take one of those."))
            visitors.save(
                rows, org, account, handle, is_open=wanted.is_open, findable=wanted.findable,
                greeting_en=greetings[0], greeting_es=greetings[1], now=now,
            )  # fmt: skip
            action = "visitors.opened" if wanted.is_open else "visitors.closed"
            self._append(rows, org, account, action, {"handle": handle, "findable": wanted.findable})

        self._engine.write(write).result()
        return self.own(session)

    def wrote(self, session: Session, message: int) -> Wrote | None:
        """Return who wrote a message by this subscriber's page, None for any other message."""
        row = visitors.author_of(self._engine, session.organisation, message)
        if row is None or row["subscriber"] != session.account or row["author"] == session.account:
            return None
        known = visitors.visitor(self._engine, session.organisation, session.account, row["address"])
        return None if known is None else Wrote(row["address"], row["display"], known["blocked"])

    def block(self, session: Session, visitor: int) -> None:
        """Take nothing from a visitor any more, neither letters nor answers; raise NoGrant for who never wrote."""
        self._set_blocked(session, visitor, self._clock.now(), "visitor.blocked")

    def unblock(self, session: Session, visitor: int) -> None:
        """Take letters of a visitor again; raise NoGrant for who never wrote."""
        self._set_blocked(session, visitor, None, "visitor.unblocked")

    def blocked(self, session: Session) -> Sequence[BlockedVisitor]:
        """Return whom this subscriber has blocked, the latest first."""
        rows = visitors.blocked(self._engine, session.organisation, session.account)
        return [
            BlockedVisitor(row["address"], safe_display_name(row["name"]), row["display"], row["blocked"])
            for row in rows
        ]

    def _set_blocked(self, session: Session, visitor: int, since: int | None, action: str) -> None:
        def write(rows: Rows) -> None:
            if not visitors.block(rows, session.organisation, session.account, visitor, since):
                raise NoGrant("There is no such visitor here.")
            self._did(rows, session, action, {})

        self._engine.write(write).result()


def writing_of(handle: str, subject: str, text: str, filled: Filled = NO_FORM) -> Writing:
    """Return a letter as a draft keeps it, with what was *filled* in of a form."""
    return Writing(text, " ".join(subject.split())[:SUBJECT], visits=handle, filled=filled)


def _page(row: Row) -> Page:
    return Page(
        row["handle"],
        row["account"],
        safe_display_name(row["name"]) or row["address"],
        safe_display_name(row["organisation"]),
        row["phone"],
        {"en": row["greeting_en"], "es": row["greeting_es"]},
        known(row["locale"]),
    )


def _plain(typed: str) -> str:
    """Return a greeting as lines of plain words; raise Refusal for one that is too long or has strange characters."""
    text = "\n".join(" ".join(line.split()) for line in typed.strip().splitlines())
    if len(text) > GREETING:
        raise Refusal(words("The greeting is too long."))
    if any(not (c.isprintable() or c == "\n") for c in text):
        raise Refusal(words("There is a character in the greeting that cannot be shown."))
    return text
