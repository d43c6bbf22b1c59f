"""How does somebody answer on a page? One admission like any other message, addressed to who may hear of it.

A reply goes to the author; to all means the author and those who stand in To or Cc and were in that message's
envelope. Whoever was written to in secret is neither shown, granted to nor counted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Clock
from cryptnsend.core.mime import Enclosure, Outgoing, build_message
from cryptnsend.core.names import safe_display_name
from cryptnsend.flow import twice
from cryptnsend.flow.admit import Admission
from cryptnsend.flow.drafting import Drafts
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.flow.pickup import Answering, Pickup
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Upload
from cryptnsend.store.records import messages

REFERENCES = 20  # Message-IDs in References: the first, and the newest of the others
SUBJECT = 900  # characters
_IDENT = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,990}>")


class Replies:
    """Sends replies from pages."""

    def __init__(self, *, admission: Admission, pickup: Pickup, drafts: Drafts, clock: Clock, domain: str):
        self._admission, self._pickup, self._drafts = admission, pickup, drafts
        self._clock, self._domain = clock, domain

    def send(
        self,
        session: Session,
        message: int,
        *,
        everybody: bool,
        text: str,
        files: Iterable[Upload],
        nonce: bytes,
        kept: Collection[int] | None = (),
    ) -> int:
        """
        Seal and admit a reply, and return its id.

        The same form again, by its *nonce* and all that was typed and chosen, returns the same id and sends nothing.

        *kept* names the files of its draft that go along, None all of them. What was kept of it as a draft goes in the
        same transaction.

        Raises NoGrant or Ended where the message cannot be read, Refusal (TooBig among them) where it cannot be sent,
        or where a file that was to go along is not there any more.
        """
        answering, fresh = self._pickup.answering(session, message), tuple(files)
        once = twice.digest("reply", nonce, (message, everybody, text), fresh, kept)
        kept_files = self._drafts.uploads(session, parent=message, keep=kept)
        if messages.sent_by(self._admission.engine, session.account, once) is None:
            twice.check_all_there(kept, kept_files)
        whole = (*kept_files, *fresh)
        others = answering.others if everybody else ()
        addressed = (answering.author, *others)
        aliases = frozenset((*session.addresses, answering.address))
        author = Author(
            session.account, session.organisation, answering.address, aliases, "subscriber" in session.roles
        )
        envelope = Envelope("", tuple(Addressee(each.address) for each in addressed), protocol="HTTPS")
        with self._admission.begin(author, envelope, "reply", parent=message, nonce=once) as draft:
            draft.take(build_message(self._outgoing(session, answering, others, text, whole, draft.message)))
            draft_of_it = self._drafts.sending(session, message, nonce)
            sent = draft.commit_now(draft_of_it.write).message
        draft_of_it.done()
        return sent

    def _outgoing(
        self,
        session: Session,
        answering: Answering,
        others: tuple[Mailbox, ...],
        text: str,
        files: Sequence[Upload],
        message: int,
    ) -> Outgoing:
        parents = [each for each in (*answering.references, answering.message_id) if _IDENT.fullmatch(each)]
        return Outgoing(
            author=Mailbox(safe_display_name(session.name), answering.address),
            to=[answering.author],
            cc=others,
            subject=f"Re: {_one_line(answering.subject)}".strip(),
            date=self._clock.now(),
            message_id=f"<m{message}@{self._domain}>",
            text=text,
            in_reply_to=parents[-1:] if _IDENT.fullmatch(answering.message_id) else (),
            references=(parents[:1] + parents[1:][-REFERENCES + 1 :]) if parents else (),
            enclosures=tuple(Enclosure(each.name, each.media_type, each.chunks()) for each in files),
        )


def _one_line(subject: str) -> str:
    """Return a subject as one line; what an author put into it is none of a header's business."""
    return " ".join(subject.split())[:SUBJECT]
