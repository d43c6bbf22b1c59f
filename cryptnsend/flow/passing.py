"""What of a message goes into another one? All of it when it is written anew, its words and files when passed on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from cryptnsend.core.addresses import Mailbox, parse_mailboxes
from cryptnsend.core.contracts import Engine, Row, Rows
from cryptnsend.core.errors import NoGrant
from cryptnsend.core.html import tidy
from cryptnsend.core.linkedfiles import LinkedFile
from cryptnsend.core.mime import Attachment, Index, choose_bodies, cut_bcc, part_text
from cryptnsend.core.model import account_holder
from cryptnsend.core.subject import PROTECTING, Token, peel
from cryptnsend.flow import saving
from cryptnsend.flow.filereading import files_beside
from cryptnsend.flow.mailwords import moment, usable_ids
from cryptnsend.flow.opening import Opener, Sealed
from cryptnsend.flow.rendering import SHOWN, files_of, render
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Upload, Wishes, Writing
from cryptnsend.store.records import listing, messages, plans

DAY = 86_400_000  # milliseconds


class Passing:
    """Opens messages for their words. Shared by all requests of a process; keeps nothing."""

    def __init__(self, engine: Engine, opener: Opener):
        self._engine, self._opener = engine, opener

    def reference(self, session: Session, message: int) -> Sequence[str]:
        """
        Return the Message-ID of what is passed on, if it can be named and who passes it on can open it.

        By it the admission knows what is quoted: words of a sealed conversation do not leave plain.
        """
        row = self._opener.grant(session, message)
        about = listing.message(self._engine, row["message"])
        return usable_ids([about["message_id"]]) if about is not None else ()

    def again(self, session: Session, message: int) -> tuple[Writing, Sequence[Upload]]:
        """Return an own message as it was written, with everybody it was for; raise NoGrant for others."""
        row = self._opener.as_author(session, message)
        keys = self._opener.keys(session, row)
        index, raw, about = self._opener.index(row, keys), self._opener.raw(row, keys), self._about(message)
        if index is None:
            raise NoGrant("This message cannot be written anew.")
        cuts = b"".join(octets for _, octets in self._opener.cuts(row, keys))
        plan = plans.of(self._engine, about["org"], message)
        days = (about["expires"] - about["created"]) // DAY if about["expires"] else 0
        wishes = Wishes(days=days, tell=bool(plan and plan["tell"]), way=plan["way"] if plan else "")
        writing = self._writing(session, index, raw, cuts, wishes)
        beside = [
            Upload(each.name, each.media_type, each.size, partial(iter, ()), each.id, each.key, linked=True)
            for each in files_beside(self._engine, self._opener, row["org"], message, keys[:32])
        ]
        return writing, [*self._files(index, raw), *beside]

    def brought(self, session: Session, index: Index, raw: Sealed) -> tuple[Writing, Sequence[Upload]]:
        """Return what somebody began to write in a mail program, with everybody it is for."""
        [header] = raw.ranges([(0, index.root.body_start)])
        cuts = b"".join(octets for _, octets in cut_bcc(header)[1])
        return self._writing(session, index, raw, cuts, Wishes()), self._files(index, raw)

    def _writing(self, session: Session, index: Index, raw: Sealed, cuts: bytes, wishes: Wishes) -> Writing:
        """Return the words of a message that its author goes on with; *cuts* are its Bcc fields."""
        body = choose_bodies(index)
        parts = [part for part in (body.text, body.html) if part is not None]
        texts = dict(zip(map(id, parts), raw.ranges([(part.body_start, part.body_end) for part in parts]), strict=True))
        peeled = peel(index.subject)
        asked: Token | None = peeled.token
        is_plain, is_pdf = asked is not None and asked not in PROTECTING, asked == "pdf"
        return Writing(
            text=part_text(body.text, [texts[id(body.text)]], SHOWN).replace("\r\n", "\n") if body.text else "",
            subject=peeled.shown if is_plain or is_pdf else index.subject,
            to=_typed(index.to),
            cc=_typed(index.cc),
            bcc=_typed(parse_mailboxes(cuts.decode("utf-8", "replace").partition(":")[2].replace("\r\n", " "))),
            html=tidy(part_text(body.html, [texts[id(body.html)]], SHOWN)) if body.html else "",
            sender=index.author.address if index.author and index.author.address in session.addresses else "",
            about=self._quoted_in(session, index),
            wishes=replace(wishes, plain=is_plain, pdf=is_pdf),
        )

    def quoted(self, session: Session, message: int) -> tuple[Writing, Sequence[Upload]]:
        """Return the words of a message as they are passed on, with its files; errors as of `Opener.grant`."""
        row = self._opener.grant(session, message)
        keys = self._opener.keys(session, row)
        index, raw, about = self._opener.index(row, keys), self._opener.raw(row, keys), self._about(message)
        if index is None:
            raise NoGrant("This message can be passed on as a file only.")
        shown = render(index, raw)
        author = index.author or Mailbox("", about["display"])
        subject = peel(index.subject).shown
        head = [
            "---------- Passed on ----------",
            f"From: {_written(author)}",
            f"Date: {moment(about['created'], session.locale)}",
            f"Subject: {subject}",
            f"To: {', '.join(map(_written, index.to))}",
        ]
        subject = subject if subject.lower().startswith(("fw:", "fwd:")) else f"Fwd: {subject}"
        text = "\n".join(("", "", *head, "", (shown.text or "").strip("\n"), ""))
        return Writing(text=text, subject=subject, about=message), self._files(index, raw)

    def beside(self, session: Session, message: int) -> Sequence[LinkedFile]:
        """Return the large files beside a message, with what opens them; errors as of `Opener.grant`."""
        row = self._opener.grant(session, message)
        return files_beside(self._engine, self._opener, row["org"], message, self._opener.keys(session, row)[:32])

    def _quoted_in(self, session: Session, index: Index) -> int:
        """Return the message that one of one's own passes on, 0 for none; see `reference`."""
        holder = account_holder(session.account)

        def find(rows: Rows) -> int:
            found = (messages.granted_by_message_id(rows, holder, each) for each in index.references)
            return next((row["id"] for row in found if row is not None), 0)

        return self._engine.write(find).result() if index.references else 0

    def _about(self, message: int) -> Row:
        about = listing.message(self._engine, message)
        if about is None:
            raise NoGrant("There is no such message here.")
        return about

    def _files(self, index: Index, raw: Sealed) -> Sequence[Upload]:
        """Return what is attached, each file checked once more when it is read."""

        def upload(found: Attachment) -> Upload:
            part = saving.part(index, found, raw)
            return Upload(part.name, part.media_type, part.size or 0, partial(_chunks, index, found, raw))

        return [upload(each) for each in files_of(index)]


def _chunks(index: Index, found: Attachment, raw: Sealed) -> Iterator[bytes]:
    return saving.part(index, found, raw).chunks


def _typed(people: Sequence[Mailbox]) -> tuple[str, ...]:
    return (", ".join(map(_written, people)),) if people else ()


def _written(person: Mailbox) -> str:
    return f"{person.name} <{person.address}>" if person.name else person.address
