"""Flows with everything in memory, for tests of pages: who may open what is decided elsewhere and tested there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from cryptnsend.core.errors import Ended, NoGrant, Refusal, WrongSecret
from cryptnsend.core.linkedfiles import LinkedFile
from cryptnsend.flow.filelinks import Face, Offered, SharedLink
from cryptnsend.flow.linklooks import FOUND, Held
from cryptnsend.flow.papers import Key
from cryptnsend.flow.searching import Found, matches, wanted
from cryptnsend.flow.views import (
    Arriving,
    Begun,
    Downloaded,
    Drafted,
    Entry,
    KeptFile,
    KeptMail,
    Letter,
    Part,
    SentEntry,
    Status,
    Turn,
    Upload,
    Waiting,
    Writing,
)
from cryptnsend.flow.views_accounts import Started
from tests.portal.world import CODE, NOW, FakeProof, World


class FakeKept:
    def __init__(self, world: World):
        self.world = world

    def any(self, session: Any) -> bool:
        return bool(self.world.kept)

    def list(self, session: Any, before: int | None = None, limit: int = 50) -> list[KeptMail]:
        return [each for each in self.world.kept if before is None or each.message < before][:limit]

    def show(self, session: Any, message: int) -> KeptMail:
        for each in self.world.kept:
            if each.message == message:
                return each
        raise NoGrant("There is nothing here.")

    def eml(self, session: Any, message: int) -> Part:
        self.show(session, message)
        return Part("kept-mail.eml", "message/rfc822", 3, iter([b"abc"]))

    def delete(self, session: Any, message: int) -> None:
        self.world.kept.remove(self.show(session, message))


class FakePapers:
    """Keys and documents; `refuses` is why none can be made, "" if it can."""

    def __init__(self, world: World, show: Callable[[Any, int], Letter]):
        self.world, self._show, self.refuses = world, show, ""

    def keys(self, session: Any, message: int) -> tuple[Letter, Sequence[Key]]:
        self.world.calls.append("keys")
        return self._show(session, message), [Key(session.address, "k7m2-0x9a-03fw-ysw8-g41f")]

    def document(self, session: Any, message: int, language: str) -> Part:
        self.world.calls.append(f"document {language}")
        if self.refuses:
            raise Refusal(self.refuses)
        return Part("secure-message.pdf", "application/pdf", 8, iter([b"%PDF-1.7"]))


class FakePickup:
    def __init__(self, world: World):
        self.world = world
        self.kept = FakeKept(world)
        self.papers = FakePapers(world, self.show)

    def waiting(self, token: str) -> Waiting:
        found = self.world.waiting.get(token)
        if found is None:
            raise Ended("This link opens nothing.")
        return found

    def _check(self, code: str) -> None:
        if code != CODE:
            self.world.tries -= 1
            if self.world.tries <= 0:
                raise Ended("This code no longer works.")
            raise WrongSecret("That is not the code.", tries_left=self.world.tries)

    def ask(self, token: str, source: str) -> Waiting:
        self.world.calls.append(f"ask {token}")
        return self.waiting(token)

    def ask_own(self, session: Any, token: str, source: str) -> None:
        self.world.calls.append(f"ask_own {token}")

    def ask_message(self, session: Any, message: int, source: str) -> None:
        self.world.calls.append(f"ask {message}")

    def prove(self, token: str, code: str, source: str, language: str = "") -> FakeProof:
        self.world.calls.append("prove")
        self._check(code)
        found = self.world.waiting[token]
        return FakeProof(b"ticket " + token.encode(), found.to, found.has_account, self.world.may_register)

    def mail_code(self, token: str, source: str, language: str = "") -> Started:
        self.world.calls.append(f"mail_code {token}")
        return Started(81, NOW + 600_000)

    def prove_mailed(self, token: str, ident: int, code: str, source: str, language: str = "") -> FakeProof:
        self.world.calls.append(f"prove_mailed {ident}")
        self._check(code)
        found = self.world.waiting[token]
        return FakeProof(b"ticket " + token.encode(), found.to, found.has_account, not found.has_account)

    def prove_mailed_as(self, session: Any, token: str, ident: int, code: str, source: str) -> None:
        self.world.calls.append("prove_mailed_as")
        self._check(code)

    def agree(self, token: str, language: str = "") -> None:
        self.world.calls.append("agree")

    def prove_as(self, session: Any, token: str, code: str, source: str) -> None:
        self.world.calls.append("prove_as")
        self._check(code)

    def awaited(self, session: Any, message: int) -> Waiting:
        return replace(self.world.waiting["second"], message=message)

    def prove_message(self, session: Any, message: int, code: str, source: str) -> None:
        self.world.calls.append("prove_message")
        self._check(code)

    def adopt(self, session: Any) -> int:
        return 0

    def list(
        self, session: Any, before: int | None = None, limit: int = 50, *, unread: bool = False
    ) -> Sequence[Entry]:
        found = [each for each in self.world.entries if before is None or each.message < before]
        found = [each for each in found if not unread or (not each.opened and each.state in ("open", "code"))]
        return sorted(found, key=lambda each: -each.message)[:limit]

    def unread(self, session: Any) -> int:
        return len(self.list(session, limit=100, unread=True))

    def search_sent(self, session: Any, typed: str) -> Found:
        found = [each for each in self.sent(session) if typed.casefold() in each.subject.casefold()]
        return Found(found, len(self.world.sent), all=True)

    def search(self, session: Any, typed: str) -> Found:
        words = wanted(typed)
        found = [each for each in self.list(session) if matches(words, each.subject or "", each.sender_name)]
        return Found(found, 1000, all=typed != "iron")

    def entry(self, session: Any, message: int) -> Entry | None:
        return next((each for each in self.world.entries if each.message == message), None)

    def show(self, session: Any, message: int) -> Letter:
        self.world.calls.append("show")
        if message not in self.world.letters:
            raise NoGrant("There is nothing here.")
        return self.world.letters[message]

    def part(self, session: Any, message: int, part: str) -> Part:
        self.world.calls.append("part")
        for each in self.show(session, message).files:
            if each.part == part:
                octets = self.world.files[message, part]
                return Part(each.name, each.media_type, len(octets), iter([octets]))
        raise NoGrant("There is nothing here.")

    def eml(self, session: Any, message: int) -> Part:
        letter = self.show(session, message)
        return Part(f"{letter.subject}.eml", "message/rfc822", 5, iter([b"Hello"]))

    def everything(self, session: Any, password: str) -> Iterator[bytes]:
        self.world.calls.append(f"everything {password}")
        return iter([b"PK\x03\x04", password.encode()])

    def zip(self, session: Any, message: int, password: str) -> Iterator[bytes]:
        self.world.calls.append(f"zip {password}")
        return iter([b"PK\x03\x04", password.encode()])

    def sent(self, session: Any, before: int | None = None, limit: int = 50) -> Sequence[SentEntry]:
        found = [
            SentEntry(each.message, each.subject, each.at, each.recipients, 2, each.ends, bool(each.taken_back))
            for each in self.world.sent.values()
            if before is None or each.message < before
        ]
        return sorted(found, key=lambda each: -each.message)[:limit]

    def status(self, session: Any, message: int) -> Status:
        if message not in self.world.sent:
            raise NoGrant("There is nothing here.")
        return self.world.sent[message]

    def expire(self, session: Any, message: int, address: str | None = None) -> None:
        self.world.calls.append(f"expire {address or 'all'}")

    def restore(self, session: Any, message: int, address: str | None = None) -> None:
        self.world.calls.append(f"restore {address or 'all'}")

    def shred(self, session: Any, message: int, address: str | None = None) -> None:
        self.world.calls.append(f"shred {address or 'all'}")

    def thread(self, session: Any, message: int) -> Sequence[Turn]:
        return self.world.threads.get(message, ())


class FakeReplies:
    def __init__(self, world: World):
        self.world = world

    def send(
        self, session: Any, message: int, *, everybody: bool, text: str, files: Any, nonce: bytes,
        kept: Collection[int] | None,
    ) -> int:  # fmt: skip
        files = [*FakeDrafts(self.world).uploads(session, parent=message, keep=kept), *files]
        if self.world.refuse:
            raise Refusal(self.world.refuse)
        self.world.replies.append(
            {
                "message": message,
                "everybody": everybody,
                "text": text,
                "nonce": nonce,
                "files": [(each.name, each.media_type, b"".join(each.chunks())) for each in files],
            }
        )
        self.world.drafts.pop(message, None)
        return 1000 + len(self.world.replies)


class FakeDrafts:
    """Drafts by the message they answer, or by their own id; files are kept as they are."""

    def __init__(self, world: World):
        self.world = world

    def save(
        self, session: Any, writing: Writing, *, parent: int = 0, draft: int = 0, files: Any = (),
        keep: Collection[int] | None = None, nonce: bytes = b"",
    ) -> int:  # fmt: skip
        self.world.calls.append(f"save {session.address} {parent}")
        if self.world.refuse:
            raise Refusal(self.world.refuse)
        key = parent or draft or 900 + len(self.world.drafts)
        before = self.world.drafts.get(key)
        stay = [each for each in before.files if keep is None or each.id in keep] if before else []
        for each in files:
            number = each.id or len(self.world.draft_files) + 1
            self.world.draft_files[number] = b"".join(each.chunks())
            stay.append(KeptFile(number, each.name, each.media_type, each.size))
        ident = 500 + parent if parent else key
        self.world.drafts[key] = Drafted(ident, parent, writing, tuple(stay), NOW - 60_000, nonce)
        return ident

    def save_for_later(
        self, writer: Any, writing: Writing, *, parent: int = 0, draft: int = 0, files: Any = (),
        keep: Collection[int] = (), nonce: bytes = b"",
    ) -> int:  # fmt: skip
        return self.save(writer, writing, parent=parent, draft=draft, files=files, keep=keep, nonce=nonce)

    def listing(self, session: Any) -> Sequence[Drafted]:
        return list(self.world.drafts.values())

    def count(self, session: Any) -> int:
        return len(self.world.drafts)

    def reply_to(self, session: Any, parent: int) -> Drafted | None:
        return self.world.drafts.get(parent)

    def draft(self, session: Any, ident: int) -> Drafted:
        for each in self.world.drafts.values():
            if each.id == ident:
                return each
        raise NoGrant("There is no such draft here.")

    def uploads(
        self, session: Any, *, parent: int = 0, draft: int = 0, keep: Collection[int] | None = None
    ) -> Sequence[Upload]:
        before = self.world.drafts.get(parent or draft)
        return [
            Upload(each.name, each.media_type, each.size, lambda each=each: iter([self.world.draft_files[each.id]]))  # type: ignore[misc]
            for each in (before.files if before else ())
            if keep is None or each.id in keep
        ]

    def drop(self, session: Any, draft: int) -> None:
        for key, each in self.world.drafts.items():
            if each.id == draft:
                self.world.calls.append(f"drop {draft}")
                del self.world.drafts[key]
                return
        raise NoGrant("There is no such draft here.")


class FakeUploads:
    """Files that come in pieces; the rules of the real ones are tested over these."""

    def __init__(self, world: World):
        self.world = world

    def begin(
        self,
        session: Any,
        name: str,
        media_type: str,
        size: int,
        *,
        nonce: bytes,
        parent: int = 0,
        may_share: bool = False,
    ) -> Arriving:
        ident = 700 + len(self.world.arriving)
        self.world.arriving[ident] = (name, media_type, size, bytearray())
        return self.look(session, ident)

    def look(self, session: Any, ident: int) -> Arriving:
        if ident not in self.world.arriving:
            raise NoGrant("There is no such file here.")
        _, _, size, octets = self.world.arriving[ident]
        return Arriving(ident, size, len(octets), NOW + 86_400_000)

    def append(self, session: Any, ident: int, start: int, chunks: Iterable[bytes]) -> Arriving:
        for each in chunks:
            self.world.arriving[ident][3].extend(each)
        return self.look(session, ident)

    def drop(self, session: Any, ident: int) -> None:
        del self.world.arriving[ident]

    def upload(self, session: Any, ident: int) -> Upload:
        if ident not in self.world.arriving:
            raise NoGrant("There is no such file here.")
        name, media_type, size, octets = self.world.arriving[ident]
        return Upload(name, media_type, size, lambda: iter([bytes(octets)]), ident)


class FakeDownloads:
    """Files beside messages; the real ones are tested over the real flows."""

    def __init__(self, world: World):
        self.world = world

    def begin(self, session: Any, message: int, file: int) -> str:
        raise NoGrant("There is no such file here.")

    def get(self, ticket: str, session: Any) -> Any:
        raise NoGrant("There is no such file here.")

    def beside(self, session: Any, message: int) -> Sequence[KeptFile]:
        return self.world.beside.get(message, ())

    def done(self, session: Any, message: int) -> Sequence[Downloaded]:
        return self.world.downloaded.get(message, ())


class FakeFileLinks:
    """Links for anybody; the real ones are tested over the real flows."""

    def __init__(self, world: World):
        self.world = world

    def allowed(self, session: Any) -> bool:
        return self.world.may_link

    def make(
        self, session: Any, message: int, *, until: int, most: int = 0, password: str = "", reason: str = ""
    ) -> int:
        self.world.calls.append(f"make link {message} until {until}")
        if self.world.found_in_files:
            raise Held(FOUND, self.world.found_in_files, may_leave=True)
        return 1

    def listing(self, session: Any, message: int) -> Sequence[SharedLink]:
        return self.world.file_links

    def revoke(self, session: Any, message: int, ident: int) -> None:
        self.world.calls.append(f"revoke link {ident}")

    def look(self, locator: str) -> Face:
        if locator == "over":
            raise Ended("This link does not work any more.")
        if locator not in ("secret", "password"):
            raise NoGrant("There is no such link.")
        return Face(locator == "password", "Dr. Ann Ruiz", "", NOW + 86_400_000)

    def open(self, locator: str, secret: str, source: str, browser: bytes) -> Offered:
        files = [LinkedFile(5, 1, b"k" * 32, "MRI scan of the knee.dcm", "application/dicom", 612_000_000)]
        return Offered(self.look(locator), "00" * 32, files, 3)

    def offered(self, locator: str, token: str, browser: bytes) -> Offered:
        return self.open(locator, "", "", browser)

    def begin(self, locator: str, token: str, file: int, source: str, browser: bytes) -> str:
        raise NoGrant("There is no such file here.")

    def get(self, ticket: str, browser: bytes) -> Any:
        raise NoGrant("There is no such file here.")


class FakeLibrary:
    """Files to be attached again; the real ones are tested over the real flows."""

    def __init__(self, world: World):
        self.world = world

    def add(self, session: Any, name: str, media_type: str, size: int, chunks: Iterable[bytes], nonce: bytes) -> int:
        self.world.library.append(KeptFile(60 + len(self.world.library), name, media_type, size))
        return self.world.library[-1].id

    def listing(self, session: Any) -> Sequence[KeptFile]:
        return self.world.library

    def rename(self, session: Any, ident: int, name: str) -> None:
        raise NoGrant("There is no such file here.")

    def drop(self, session: Any, ident: int) -> None:
        raise NoGrant("There is no such file here.")

    def upload(self, session: Any, ident: int) -> Upload:
        raise NoGrant("There is no such file here.")


class FakeBegun:
    """Drafts of mail programs."""

    def __init__(self, world: World):
        self.world = world

    def listing(self, session: Any) -> Sequence[Begun]:
        return self.world.begun

    def take_up(self, session: Any, ident: int) -> int:
        for each in self.world.begun:
            if each.id == ident:
                self.world.begun.remove(each)
                return FakeDrafts(self.world).save(session, Writing("", subject=each.subject, to=tuple(each.people)))
        raise NoGrant("There is no such draft here.")
