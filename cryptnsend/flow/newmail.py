"""How does a subscriber write a new message on a page? Checked while it is written, admitted like any other mail.

The message leaves a little after the button was pressed, or at a time its author chose, and is nobody else's before:
until then it can be had back as a draft. What would happen to it is asked of the admission itself, which keeps nothing
of the question.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from cryptnsend.core.addresses import Mailbox, canonical
from cryptnsend.core.cards import read_card
from cryptnsend.core.charsets import one_line
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import Denied, Ended, NoGrant, Refusal, Sentence
from cryptnsend.core.html import tidy, to_text
from cryptnsend.core.linkedfiles import PART, written
from cryptnsend.core.lookalikes import closest
from cryptnsend.core.mime import Enclosure, Outgoing, build_message
from cryptnsend.core.model import account_holder
from cryptnsend.core.names import safe_display_name
from cryptnsend.core.organisation import INSTEAD_OF_CODE as INSTEAD
from cryptnsend.core.typed import read_people
from cryptnsend.flow import twice
from cryptnsend.flow.admit import Admission, Draft, Plan
from cryptnsend.flow.beside import Beside, told
from cryptnsend.flow.drafting import Drafts
from cryptnsend.flow.granting import Addressee, Author, Envelope, needs_code
from cryptnsend.flow.noting import note_act
from cryptnsend.flow.passing import Passing
from cryptnsend.flow.sent import Sent
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.uploading import Uploads
from cryptnsend.flow.views import Addressed, Checked, Known, Upload, Wishes, Writing
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import messages, people

CODE = INSTEAD[0]
KNOWN = 20_000  # people that a new address is compared with, the latest
SUGGESTED = 8
MINUTE, DAY = 60_000, 86_400_000  # milliseconds
LATEST = 366 * DAY  # how far ahead a message may leave
LONGEST = 2555  # days that a message may be opened


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whom a message is for, each once: who stands in To is not in Cc again, and a Bcc is nobody of these."""

    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    bcc: tuple[Mailbox, ...]
    wrong: tuple[str, ...]

    @property
    def all(self) -> tuple[Mailbox, ...]:
        """Return everybody."""
        return (*self.to, *self.cc, *self.bcc)


class NewMail:
    """Sends new messages from pages. Shared by all requests of a process."""

    def __init__(
        self,
        *,
        engine: Engine,
        admission: Admission,
        passing: Passing,
        drafts: Drafts,
        uploads: Uploads,
        sent: Sent,
        clock: Clock,
        domain: str,
        most: int,
        pause: int,
        keeper: Keeper,
    ):
        """*most*: recipients of one message; *pause*: milliseconds for which it waits, so that it can be had back."""
        self._keeper = keeper
        self._engine, self._passing, self._drafts, self._sent, self._clock = engine, passing, drafts, sent, clock
        self._beside = Beside(admission, drafts.reading, uploads)
        self._admission, self._domain, self._most, self._pause = admission, domain, most, pause

    # -- while it is written ------------------------------------------------------------------------------------------

    def known(self, session: Session, typed: str = "", limit: int = SUGGESTED) -> Sequence[Known]:
        """Return people whom this subscriber wrote to and whose name or address has a word that begins like *typed*."""
        wanted = typed.casefold().strip()
        found: list[Known] = []
        for row in people.written_to(self._engine, session.organisation, session.account, KNOWN if wanted else limit):
            name = safe_display_name(row["name"])
            if wanted and not _begins(wanted, row["canonical"], name):
                continue
            found.append(Known(row["display"], name))
            if len(found) == limit:
                break
        return found

    def may_plain(self, session: Session) -> bool:
        """Say whether the rules let this subscriber send ordinary mail on purpose."""
        held = self._admission.policies.now(session.organisation)
        return held.plain_token and held.may_send_plain(session.addresses, session.roles) and not session.weak

    def plain_from(self, session: Session) -> int | None:
        """Return from when an account that signed up by itself may send ordinary mail; None where it is no newcomer."""
        signed, key = self._keeper.card(account_holder(session.account)), self._keeper.anchors().card_key
        if signed is None:
            return None
        card, settings = read_card(signed, key), self._admission.settings
        is_new = settings.is_newcomer(card, self._clock.now())
        return card.open_since + settings.newcomer if is_new and card.open_since else None

    def may_pdf(self, session: Session) -> bool:
        """Say whether the rules let this subscriber send locked PDFs."""
        return self._admission.policies.now(session.organisation).pdf_token

    def senders(self, session: Session) -> Sequence[str]:
        """Return those addresses of this subscriber from which the rules let them send."""
        held = self._admission.policies.now(session.organisation)
        return [each for each in session.addresses if held.may_subscribe(each)]

    def instead_of_code(self, session: Session) -> tuple[Sequence[str], str]:
        """Return what this subscriber may let stand in for their code, that itself first, and their usual choice."""
        if session.weak:
            return INSTEAD[:1], CODE
        most = self._admission.policies.now(session.organisation).code_instead
        return INSTEAD[: INSTEAD.index(most) + 1], self._keeper.usual_way(session.ticket)

    def check(self, session: Session, writing: Writing) -> Checked:
        """
        Return what would become of a message, recipient by recipient, and which addresses look like mistakes.

        Keeps nothing. Raises Refusal for an address that can never be used, Temporary where nobody can tell now.
        """
        addressed = recipients_of(writing)
        if not addressed.all:
            return Checked(wrong=addressed.wrong)
        with self._begin(session, writing, addressed, None, None, None) as draft:
            draft.header(next(build_message(self._outgoing(session, writing, addressed, (), draft, 0))))
            decisions = draft.explain()
        own = {*session.addresses}
        rows = people.written_to(self._engine, session.organisation, session.account, KNOWN)
        known = {row["canonical"] for row in rows} | own
        names = {canonical(each.address): each.name for each in addressed.all}
        near = {each.canonical: closest(each.canonical, known) for each in draft.people if each.new_contact}
        return Checked(
            [
                Addressed(
                    address=person.canonical,
                    name=names.get(person.canonical, ""),
                    way=type(decisions[person.canonical]).__name__.lower(),
                    why=decisions[person.canonical].explain(),
                    is_new=person.new_contact,
                    needs_code=needs_code(person, decisions[person.canonical]),
                    meant=found.address if (found := near.get(person.canonical)) else "",
                    differs=found.what if found else "",
                    is_proven=getattr(decisions[person.canonical], "tls", "") == "proven",
                )
                for person in draft.people
            ],
            addressed.wrong,
        )

    # -- when it is sent ----------------------------------------------------------------------------------------------

    def send(
        self,
        session: Session,
        writing: Writing,
        *,
        draft: int = 0,
        keep: Collection[int] | None = None,
        files: Iterable[Upload] = (),
        nonce: bytes,
        beside_words: str = "",
    ) -> int:
        """
        Seal and admit a message, and return its id.

        Files that are `linked` rest beside it, and *beside_words* above their names say so to who reads the message
        elsewhere than on its page. Such a message is always locked.

        The same form again, by its *nonce* and all that was typed and chosen, returns the same id and sends nothing;
        it raises Ended if its author had that message back meanwhile.

        It goes with those files of the *draft* that *keep* names, and *files*; the draft goes in the same transaction.
        Raises Refusal (TooBig among them) where it cannot be sent, or where a file that was to go along is not there
        any more, Temporary where it can be later.
        """
        addressed = self._addressed(writing)
        wishes, starts = writing.wishes, self._starts(writing)
        life = min(wishes.days, LONGEST) * DAY if wishes.days > 0 else None
        fresh = [*files]
        kept_files = self._drafts.uploads(session, draft=draft, keep=keep) if draft else ()
        once = twice.digest("new", nonce, writing, fresh, keep)
        earlier = messages.sent_by(self._engine, session.account, once)
        if earlier is not None:
            self._check_not_had_back(session, earlier)
        else:
            twice.check_all_there(keep, kept_files)
        way, usual = self._way(session, wishes)
        everything = [*kept_files, *fresh]
        beside = self._beside.checked(session, writing, everything)
        attached = [each for each in everything if not each.linked]
        with self._begin(session, writing, addressed, once, life, Plan(starts, wishes.tell, way)) as begun:
            writing = told(writing, beside, beside_words)
            self._beside.examine(session, begun.message, beside)
            if beside:
                begun.enclose(PART, written(beside))
            begun.take(build_message(self._outgoing(session, writing, addressed, attached, begun, starts)))
            kept = self._drafts.sending(session, 0, nonce, draft)
            if way != usual:
                self._keeper.allow(session.ticket, begun.message, way)  # the ledger first: it is what counts

            def write(rows: Rows) -> None:
                kept.write(rows)
                if way != CODE:
                    org, now, about = session.organisation, self._clock.now(), str(begun.message)
                    note_act(rows, session, org, now, "code.allowed", about, {"instead": way})

            sent = begun.commit_now(write, partial(self._beside.bind, session, begun.message, beside)).message
        kept.done()
        return sent

    def _addressed(self, writing: Writing) -> Recipients:
        """Return who is to get it; raise Refusal for what was typed wrong, for nobody, and for too many."""
        addressed = recipients_of(writing)
        if addressed.wrong:
            raise Refusal(
                Sentence("This is no address: %(typed)s. Correct it, or take it out.", typed=addressed.wrong[0])
            )
        if not addressed.all:
            raise Refusal("Type the address of who is to get it.")
        if len(addressed.all) > self._most:
            raise Refusal(Sentence("A message can have %(most)s recipients at most.", most=self._most))
        return addressed

    def _way(self, session: Session, wishes: Wishes) -> tuple[str, str]:
        """Return what stands in for the code of this message, and what usually does; raise Refusal if it may not."""
        allowed, usual = self.instead_of_code(session)
        way = wishes.way or usual
        if way not in allowed:
            raise Refusal("A message cannot be opened in this way here. Choose the code that you tell by phone.")
        return way, usual

    def take_up(self, session: Session, message: int) -> int:
        """
        Have a message back that has not left yet, as a draft, and return the draft's id.

        It leaves for nobody then. Raises NoGrant for what is not one's own, Ended once it has begun to leave.
        """
        leaves = self._sent.status(session, message).at
        self._check_waits(leaves)
        writing, files = self._passing.again(session, message)
        draft = self._drafts.save(session, writing, files=files)
        try:
            self._check_waits(leaves)  # large files take their time
        except Ended:
            self._drafts.drop(session, draft)
            raise
        self._sent.shred(session, message)
        return draft

    def pass_on(self, session: Session, message: int) -> int:
        """
        Begin a message that passes on another one with its files; return the draft's id. Raises as `Pickup.show`.

        Large files go along as copies of its author's own, so that each message keeps what it was sent with.
        """
        writing, files = self._passing.quoted(session, message)
        large, left_out = self._beside.copied(session, self._passing.beside(session, message))
        if left_out:
            said = "\n".join(f"Not passed on, for want of room: {name}" for name in left_out)
            writing = replace(writing, text=f"\n\n{said}{writing.text}")
        return self._drafts.save(session, writing, files=[*files, *large])

    def write_again(self, session: Session, message: int, address: str) -> int:
        """
        Begin a mail anew for a recipient whom it did not get to as ordinary mail; return the draft's id.

        Nothing of it waits here to leave any more, so it is judged, scanned and sent like any other. Raises NoGrant for
        what is not one's own, Denied where it got there, is on its way, or left as a secure message.
        """
        reached = {each.address: each for each in self._sent.status(session, message).recipients}
        if address not in reached or not reached[address].came_back_plain:
            raise Denied("This did not come back, or a notice of it can be sent again.")
        writing, files = self._passing.again(session, message)
        return self._drafts.save(session, replace(writing, to=(address,), cc=(), bcc=()), files=files)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _check_not_had_back(self, session: Session, message: int) -> None:
        """Whoever sends the page again as it was must not hear that what they had back is on its way."""
        if all(each.state == "ended" for each in self._sent.status(session, message).recipients):
            raise Ended("You had this message back. Send it from your drafts.")

    def _check_waits(self, leaves: int) -> None:
        if leaves <= self._clock.now():
            raise Ended("It has left already. You can still take it back.")

    def _starts(self, writing: Writing) -> int:
        now, wishes = self._clock.now(), writing.wishes
        asked = max(wishes.at, now + wishes.later * MINUTE if wishes.later > 0 else 0)
        if asked > now + LATEST:
            raise Refusal("A message can leave a year from now at the latest.")
        return max(asked, now + self._pause)

    def _begin(
        self,
        session: Session,
        writing: Writing,
        addressed: Recipients,
        nonce: bytes | None,
        life: int | None,
        plan: Plan | None,
    ) -> Draft:
        sender = self._sender(session, writing)
        own = frozenset(session.addresses)
        author = Author(session.account, session.organisation, sender, own, "subscriber" in session.roles)
        envelope = Envelope("", tuple(Addressee(each.address) for each in addressed.all), protocol="HTTPS")
        return self._admission.begin(author, envelope, "page", nonce=nonce, life=life, plan=plan)

    @staticmethod
    def _sender(session: Session, writing: Writing) -> str:
        if writing.sender and writing.sender not in session.addresses:
            raise NoGrant("This is none of your addresses.")
        return writing.sender or session.address

    def _outgoing(
        self,
        session: Session,
        writing: Writing,
        addressed: Recipients,
        files: Sequence[Upload],
        draft: Draft,
        starts: int,
    ) -> Outgoing:
        html = tidy(writing.html) if writing.html else ""
        subject = one_line(writing.subject)
        return Outgoing(
            author=Mailbox(safe_display_name(session.name), self._sender(session, writing)),
            to=addressed.to,
            cc=addressed.cc,
            bcc=addressed.bcc,
            subject=_marked(subject, writing.wishes),
            date=starts or self._clock.now(),
            message_id=f"<m{draft.message}@{self._domain}>",
            text=to_text(html) if html else writing.text,
            html=html,
            references=self._passing.reference(session, writing.about) if writing.about else (),
            enclosures=tuple(Enclosure(each.name, each.media_type, each.chunks()) for each in files),
        )


def _marked(subject: str, wishes: Wishes) -> str:
    """Return a subject with the word in front that asks for another way than the usual one."""
    return f":: {subject}" if wishes.plain else f"encrypt/ {subject}" if wishes.pdf else subject


def recipients_of(writing: Writing) -> Recipients:
    """Return whom a message is for; an address that stands there twice counts where it shows most."""
    seen: set[str] = set()
    wrong: list[str] = []

    def fresh(fields: Sequence[str]) -> Iterator[Mailbox]:
        for field in fields:
            typed = read_people(field)
            wrong.extend(typed.wrong)
            for each in typed.people:
                name = canonical(each.address)
                if name not in seen:
                    seen.add(name)
                    yield Mailbox(safe_display_name(each.name), each.address)

    return Recipients(tuple(fresh(writing.to)), tuple(fresh(writing.cc)), tuple(fresh(writing.bcc)), tuple(wrong))


def _begins(wanted: str, address: str, name: str) -> bool:
    local, _, domain = address.partition("@")
    parts = local.replace(".", " ").replace("-", " ").replace("_", " ").split()
    return any(word.startswith(wanted) for word in (address, domain, *parts, name.casefold(), *name.casefold().split()))
