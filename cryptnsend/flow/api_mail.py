"""What may a program do with mail of the subscriber whose token it shows? Send, see what became of it, take it back.

It goes the road of all other mail: the same admission with its rules, looks at what leaves plain, and caps. A program
has no seed, so that nothing here opens a message: what is told of one is what the rows have, no subject, no content.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptnsend.core.addresses import Mailbox, canonical
from cryptnsend.core.charsets import one_line
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import Denied, NoGrant, Refusal, Sentence
from cryptnsend.core.html import tidy, to_text
from cryptnsend.core.mime import Enclosure, Outgoing, build_message
from cryptnsend.core.model import account_holder
from cryptnsend.core.names import safe_display_name
from cryptnsend.core.seal import framed
from cryptnsend.core.typed import read_people
from cryptnsend.flow import twice
from cryptnsend.flow.admit import Admission, Draft
from cryptnsend.flow.api_tokens import Program
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.flow.newmail import Recipients, recipients_of
from cryptnsend.flow.sent import Sent
from cryptnsend.flow.views import Reached, Upload, Writing
from cryptnsend.store.records import accounts, api, audit, grants, listing, messages

MARKS = {"usual": "", "sealed": "secure/ ", "plain": ":: ", "pdf": "encrypt/ "}
DAY = 86_400_000  # milliseconds
LONGEST = 2555  # days that a message may be opened
NOTHING = "There is no such message."


class Repeated(Refusal):
    """A key that was used before, for another request."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a program wants to have sent. `protection` is a key of MARKS, `days` 0 for the usual life."""

    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    subject: str = ""
    text: str = ""
    html: str = ""
    sender: str = ""
    protection: str = "usual"
    days: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of one message: ids, times and who was written to. `recipients` in the order of the envelope."""

    message: int
    created: int
    ends: int | None
    size: int
    recipients: Sequence[Reached] = field(repr=False)
    decisions: Mapping[str, str] = field(default_factory=dict)
    taken_back: bool = False
    repeated: bool = False


class ApiMail:
    """Sending and following for programs. Shared by all requests of a process."""

    def __init__(self, *, engine: Engine, admission: Admission, sent: Sent, clock: Clock, domain: str, most: int):
        """*most*: recipients of one message."""
        self._engine, self._admission, self._sent, self._clock = engine, admission, sent, clock
        self._domain, self._most = domain, most

    def send(self, program: Program, letter: Letter, files: Sequence[Upload], key: bytes) -> Told:
        """
        Seal and admit a message. The same *key* with the same request returns what it made at first, for two days.

        Raises Refusal (TooBig among them, and Repeated for a key of another request), Temporary, NoGrant.
        """
        once = hashlib.sha256(framed("api key", program.token, key)).digest()[:16]
        said = self._said(program, letter, files)
        earlier = messages.sent_by(self._engine, program.account, once)
        if earlier is not None:
            return self._again(program, earlier, said)
        addressed = self._addressed(letter)
        draft = self._begin(program, letter, addressed, once)
        with draft:
            draft.take(build_message(self._outgoing(program, letter, addressed, files, draft)))

        def beside(rows: Rows) -> None:
            now = self._clock.now()
            api.remember(rows, draft.message, program.organisation, program.token, said, now)
            holder, detail = account_holder(program.account), {"token": program.token}
            audit.append(rows, program.organisation, now, holder, "token.sent", str(draft.message), detail)

        admitted = draft.commit_now(beside=beside)
        if admitted.repeated:
            return self._again(program, admitted.message, said)
        told = self._told(program, admitted.message)
        return replace(told, decisions={who: type(each).__name__.lower() for who, each in admitted.decisions.items()})

    def status(self, program: Program, message: int) -> Told:
        """Return what became of one message. Raises NoGrant for what this subscriber did not send."""
        return self._told(program, message)

    def listing(self, program: Program, before: int | None, limit: int) -> Sequence[Told]:
        """Return what this subscriber sent, newest first, older than the message *before*."""
        older = before if before is not None else (1 << 63) - 1
        rows = grants.page(self._engine, account_holder(program.account), "author", older, limit)
        return [self._told(program, row["message"]) for row in rows]

    def expire(self, program: Program, message: int, address: str | None) -> Told:
        """Take a message back from *address* or everybody, as `Sent.expire`; doing it twice changes nothing."""
        about = self._own(program, message)
        wanted = None if address is None else _canonical(address)
        self._sent.take_back(about, wanted, account_holder(program.account), {"token": program.token})
        return self._told(program, message)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _own(self, program: Program, message: int) -> dict[str, object]:
        about = listing.message(self._engine, message)
        if about is None or about["author"] != program.account or about["created"] > self._clock.now():
            raise NoGrant(NOTHING)
        return about

    def _told(self, program: Program, message: int) -> Told:
        about = listing.message(self._engine, message)
        if about is None or about["author"] != program.account:
            raise NoGrant(NOTHING)
        reached, taken = self._sent.reached(about)
        return Told(message, about["created"], about["expires"], about["size"], reached, taken_back=bool(taken))

    def _again(self, program: Program, message: int, said: bytes) -> Told:
        before = api.said(self._engine, message)
        if before is None or not hmac.compare_digest(before, said):
            raise Repeated("This key was used for another request. Take a new one for each message.")
        return replace(self._told(program, message), repeated=True)

    @staticmethod
    def _said(program: Program, letter: Letter, files: Sequence[Upload]) -> bytes:
        """Return a MAC of a request under the token's secret: it rests, and must not tell what was written."""
        return hmac.digest(program.secret, twice.digest("api", b"", letter, files), "sha256")

    def _addressed(self, letter: Letter) -> Recipients:
        for each in (*letter.to, *letter.cc, *letter.bcc):
            read = read_people(each)
            if read.wrong or len(read.people) != 1:
                raise Refusal(Sentence("This is no address: %(typed)s.", typed=each[:100]))
        addressed = recipients_of(Writing("", to=letter.to, cc=letter.cc, bcc=letter.bcc))
        if not addressed.all:
            raise Refusal("Name somebody who is to get it.")
        if len(addressed.all) > self._most:
            raise Refusal(Sentence("A message can have %(most)s recipients at most.", most=self._most))
        return addressed

    def _begin(self, program: Program, letter: Letter, addressed: Recipients, once: bytes) -> Draft:
        own = frozenset(program.addresses)
        author = Author(program.account, program.organisation, self._sender(program, letter), own, True)
        envelope = Envelope("", tuple(Addressee(each.address) for each in addressed.all), protocol="HTTPS")
        life = min(letter.days, LONGEST) * DAY if letter.days > 0 else None
        return self._admission.begin(author, envelope, "api", nonce=once, life=life)

    @staticmethod
    def _sender(program: Program, letter: Letter) -> str:
        sender = _canonical(letter.sender) if letter.sender else program.addresses[0]
        if sender not in program.addresses:
            raise Refusal("The sender is none of the addresses of this account.")
        return sender

    def _outgoing(
        self, program: Program, letter: Letter, addressed: Recipients, files: Sequence[Upload], draft: Draft
    ) -> Outgoing:
        row = accounts.account(self._engine, program.account)
        html = tidy(letter.html) if letter.html else ""
        return Outgoing(
            author=Mailbox(safe_display_name(row["name"] if row else ""), self._sender(program, letter)),
            to=addressed.to,
            cc=addressed.cc,
            bcc=addressed.bcc,
            subject=MARKS[letter.protection] + one_line(letter.subject),
            date=self._clock.now(),
            message_id=f"<m{draft.message}@{self._domain}>",
            text=letter.text or to_text(html),
            html=html,
            enclosures=tuple(Enclosure(each.name, each.media_type, each.chunks()) for each in files),
        )


def _canonical(address: str) -> str:
    try:
        return canonical(address)
    except ValueError:
        raise Denied(Sentence("This is no address: %(typed)s.", typed=address[:100])) from None
