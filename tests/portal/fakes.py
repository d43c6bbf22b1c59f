"""Flows with everything in memory, for tests of pages: who may open what is decided elsewhere and tested there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from cryptnsend.core.errors import Denied, Ended, NoGrant, Refusal, SecondStep, Throttled, WrongSecret
from cryptnsend.flow.searching import Found, matches, wanted
from cryptnsend.flow.views import (
    Arriving,
    Begun,
    Blocked,
    Browser,
    Code,
    Device,
    Doing,
    Drafted,
    Entry,
    KeptFile,
    KeptMail,
    Letter,
    NewDevice,
    Part,
    Profile,
    SentEntry,
    SignedIn,
    Started,
    Status,
    Turn,
    Upload,
    Waiting,
    Writing,
)
from cryptnsend.flow.wishing import USUAL
from cryptnsend.keeper.requests import RecoveryFile
from tests.portal.world import ANN, CODE, DAY, NOW, PASSWORD, PAT, FakeProof, FakeSession, World


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


class FakePickup:
    def __init__(self, world: World):
        self.world = world
        self.kept = FakeKept(world)

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

    def ask_message(self, session: Any, message: int, source: str) -> None:
        self.world.calls.append(f"ask {message}")

    def prove(self, token: str, code: str, source: str) -> FakeProof:
        self.world.calls.append("prove")
        self._check(code)
        found = self.world.waiting[token]
        return FakeProof(b"ticket " + token.encode(), found.to, found.has_account, self.world.may_register)

    def mail_code(self, token: str, source: str, language: str = "") -> Started:
        self.world.calls.append(f"mail_code {token}")
        return Started(81, NOW + 600_000)

    def prove_mailed(self, token: str, ident: int, code: str, source: str) -> FakeProof:
        self.world.calls.append(f"prove_mailed {ident}")
        self._check(code)
        found = self.world.waiting[token]
        return FakeProof(b"ticket " + token.encode(), found.to, found.has_account, not found.has_account)

    def prove_mailed_as(self, session: Any, token: str, ident: int, code: str, source: str) -> None:
        self.world.calls.append("prove_mailed_as")
        self._check(code)

    def agree(self, token: str) -> None:
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


class FakeAccounts:
    def __init__(self, world: World):
        self.world = world

    def sign_in(self, address: str, password: str, source: str, agent: str, trust: bytes = b"") -> str:
        self.world.calls.append("sign_in")
        if self.world.second_step and password == PASSWORD and trust != b"trusted":
            raise SecondStep("A number.", held=b"held")
        if password == "throttle":
            raise Throttled("Too many tries.", retry_after=900)
        if password != PASSWORD or address not in (PAT, ANN):
            raise WrongSecret("Wrong.")
        roles = ("subscriber",) if address == ANN else ("recipient",)
        return self.world.sign_in(address, roles=roles)

    def second_step(self, address: str, held: bytes, typed: str, source: str, agent: str) -> str:
        assert held == b"held"
        if typed not in (CODE, "recovery code of letters"):
            raise WrongSecret("Wrong.")
        return self.world.sign_in(address)

    def password_age(self, session: Any) -> int:
        return self.world.password_age

    def has_second_step(self, session: Any) -> bool:
        return self.world.second_step

    def begin_second_step(self, session: Any, password: str, source: str) -> bytes:
        self.confirm(session, password, source)
        return b"12345678901234567890"

    def begun_second_step(self, session: Any, code: str) -> str:
        if code != CODE:
            raise WrongSecret("Wrong.")
        self.world.second_step = True
        return "abcd-efgh"

    def end_second_step(self, session: Any, password: str, code: str, source: str) -> None:
        self.confirm(session, password, source)
        if code != CODE:
            raise WrongSecret("Wrong.")
        self.world.second_step = False

    def trust(self, session: Any) -> bytes:
        return b"trusted"

    def forget_browsers(self, session: Any) -> None:
        self.world.calls.append("forget_browsers")

    def session(self, cookie: str) -> FakeSession | None:
        return self.world.sessions.get(cookie)

    def away(self, cookie: str) -> FakeSession | None:
        return self.world.away.get(cookie)

    def sign_out(self, cookie: str) -> None:
        self.world.calls.append("sign_out")
        self.world.sessions.pop(cookie, None)

    def sign_out_everywhere(self, session: Any) -> None:
        self.world.calls.append("sign_out_everywhere")
        self.world.sessions.clear()

    def subscribe(
        self, session: Any, password: str, source: str, agent: str, id: int | None = None, code: str = ""
    ) -> SignedIn:
        if id is not None:
            self._code(code)
        return SignedIn(self.world.sign_in(session.address, roles=("recipient", "subscriber")))

    def register(self, ticket: bytes, password: str, name: str, source: str, agent: str, locale: str) -> SignedIn:
        self.world.calls.append("register")
        token = ticket.removeprefix(b"ticket ").decode()
        return SignedIn(self.world.sign_in(self.world.waiting[token].to))

    def start_reset(self, address: str, source: str, language: str = "") -> Started:
        self.world.calls.append(f"start_reset {address}")
        return Started(77, NOW + 600_000)

    def finish_reset(
        self, ident: int, code: str, password: str, source: str, agent: str, address: str = ""
    ) -> SignedIn:
        self._code(code)
        return SignedIn(self.world.sign_in(PAT, weak=True))

    def start_signup(self, address: str, source: str, invite: str = "", language: str = "") -> Started:
        self.world.calls.append(f"start_signup {address} {invite}".strip())
        return Started(78, NOW + 600_000)

    def finish_signup(
        self, ident: int, code: str, password: str, name: str, source: str, agent: str, locale: str, invite: str = ""
    ) -> SignedIn:
        self._code(code)
        return SignedIn(
            self.world.sign_in(ANN, roles=("subscriber",), name=name), "CRYPTNSEND RECOVERY\nabcd efgh", "1111-2222"
        )

    def _code(self, code: str) -> None:
        if code != CODE:
            raise WrongSecret("That is not the code.", tries_left=4)

    def change_password(self, session: Any, old: str, new: str, source: str, agent: str) -> SignedIn:
        self.confirm(session, old, source)
        return SignedIn(self.world.sign_in(session.address, roles=session.roles))

    def confirm(self, session: Any, password: str, source: str) -> None:
        if password != PASSWORD:
            raise WrongSecret("Wrong.")

    def recovery_code(self, session: Any, password: str, source: str) -> str:
        self.confirm(session, password, "")
        return "ABCD-EFGH-JKMN-PQRS-TVWX-YZ01-2345-6789-ABCD"

    def unlock(self, session: Any, kind: str, secret: str, password: str, source: str) -> None:
        self.world.calls.append(f"unlock {kind}")
        if secret != "right":
            raise WrongSecret("Wrong.")

    def codes(self, session: Any, addresses: Sequence[str]) -> Sequence[Code]:
        self.world.calls.append("codes")
        return [Code(each, CODE, 5, NOW + 3 * DAY, "live") for each in addresses]

    def next_code(self, session: Any, address: str) -> Code:
        self.world.calls.append(f"next_code {address}")
        return Code(address, "48291357", 5, NOW + 3 * DAY, "live")

    def list_devices(self, session: Any) -> Sequence[Device]:
        return self.world.devices

    devices = list_devices

    def revoke_devices(self, session: Any) -> int:
        count = len(self.world.devices)
        self.world.devices.clear()
        return count

    def add_device(self, session: Any, name: str, scope: str, by: str = "") -> NewDevice:
        self.world.devices.append(Device(len(self.world.devices) + 1, name, scope, NOW, None))
        return NewDevice(len(self.world.devices), name, "k7m2q-x9hd4-wz3rp-6tbn5-cv8jy-f2abc-d3efg-h4jkm", scope)

    def revoke_device(self, session: Any, device: int) -> None:
        self.world.calls.append(f"revoke {device}")
        self.world.devices[:] = [each for each in self.world.devices if each.id != device]

    def object_to(self, token: str) -> None:
        if token != "objects":
            raise Ended("This link does not work any more.")
        self.world.calls.append("object_to")

    def browsers(self, session: Any) -> Sequence[Browser]:
        return self.world.browsers

    def end_browser(self, session: Any, ident: str) -> None:
        if ident not in [each.id for each in self.world.browsers]:
            raise NoGrant("There is no such browser.")
        self.world.calls.append(f"end_browser {ident}")

    def access_log(self, session: Any, before: int | None = None, limit: int = 50) -> Sequence[Doing]:
        return [each for each in self.world.doings if before is None or each.at < before][:limit]

    def recovery_file_is_missing(self, session: Any) -> bool:
        return "officer" in session.roles and not self.world.recovery_safe

    def confirm_recovery_file(self, session: Any) -> None:
        self.world.calls.append("confirm_recovery_file")
        self.world.recovery_safe = True

    def recovery_file(self, session: Any, password: str, source: str) -> RecoveryFile:
        self.confirm(session, password, source)
        return RecoveryFile("CRYPTNSEND RECOVERY\nabcd efgh", "1111-2222")

    def start_alias(self, session: Any, address: str, source: str) -> Started:
        if "@" not in address:
            raise Denied("This is not an address.")
        self.world.calls.append(f"start_alias {address}")
        return Started(79, NOW + 600_000)

    def finish_alias(self, session: Any, ident: int, code: str) -> None:
        self._code(code)
        self.world.calls.append("finish_alias")

    def blocked(self, session: Any) -> Sequence[Blocked]:
        return self.world.blocked

    def block(self, session: Any, message: int, *, report: bool) -> None:
        self.world.calls.append(f"block {message} {report}")

    def unblock(self, session: Any, contact: int) -> None:
        if contact not in [each.contact for each in self.world.blocked]:
            raise NoGrant("There is nothing here.")
        self.world.calls.append(f"unblock {contact}")

    def close(self, session: Any, password: str, source: str) -> None:
        self.confirm(session, password, source)
        self.world.calls.append("close")
        self.world.sessions.clear()

    def profile(self, session: Any) -> Profile:
        return self.world.profile

    def set_profile(
        self, session: Any, *, name: str, phone: str, form: str, password: str = "", source: str = ""
    ) -> None:
        if form == "tls" and self.world.profile.form != "tls":
            self.confirm(session, password, source)
        self.world.profile = Profile(name, phone, form)

    def usual_way(self, session: Any) -> str:
        return self.world.usual_way

    def set_usual_way(self, session: Any, way: str, password: str, source: str) -> None:
        if way not in ("code", self.world.usual_way):
            self.confirm(session, password, source)
        self.world.usual_way = way

    def mails(self, session: Any) -> dict[str, bool]:
        return {**USUAL, **self.world.mail_wishes}

    def set_mails(self, session: Any, wanted: Collection[str]) -> None:
        self.world.mail_wishes = {mail: mail in wanted for mail in USUAL}

    def set_language(self, session: Any, language: str) -> None:
        self.world.calls.append(f"set_language {language}")
        for ident, found in self.world.sessions.items():
            if found == session:
                self.world.sessions[ident] = replace(found, locale=language)

    def passphrases(self, session: Any, password: str, source: str) -> Sequence[tuple[int, str]]:
        self.confirm(session, password, source)
        return [
            (NOW - DAY, "velvet-acorn-harvest-dune-pickle-window-oak-lamp"),
            (NOW - 90 * DAY, "gravel-sunny-pilot-lemon-basket-iris-tower-mint"),
        ]

    def new_passphrase(self, session: Any, password: str, source: str) -> None:
        self.confirm(session, password, source)
        self.world.calls.append("new_passphrase")


class FakeUploads:
    """Files that come in pieces; the rules of the real ones are tested over these."""

    def __init__(self, world: World):
        self.world = world

    def begin(self, session: Any, name: str, media_type: str, size: int, *, nonce: bytes, parent: int = 0) -> Arriving:
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
