"""Accounts for tests of the pages: everything about being somebody here, out of one small world."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from cryptnsend.core.errors import Denied, Ended, NoGrant, Refusal, SecondStep, Throttled, WrongSecret
from cryptnsend.flow.ownkeys import Held
from cryptnsend.flow.views_accounts import Blocked, Browser, Code, Device, Doing, NewDevice, Profile, SignedIn, Started
from cryptnsend.flow.wishing import USUAL
from cryptnsend.keeper.credentials import PasskeyAsk, PasskeyRow, SecondWays
from cryptnsend.keeper.requests import RecoveryFile
from tests.portal.world import ANN, CODE, DAY, NOW, PASSWORD, PAT, FakeSession, World

ASKED = PasskeyAsk(b"c" * 56, "open.cryptnsend.example", b"i" * 32, b"u" * 32, (b"k" * 32,))


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

    def ask_any_passkey(self, browser: bytes) -> PasskeyAsk:
        self.world.calls.append("ask_any_passkey")
        return ASKED

    def passkey_sign_in(self, browser: bytes, answer: bytes, output: bytes, source: str, agent: str) -> str:
        assert browser
        if answer != b"right":
            raise WrongSecret("This passkey does not open anything here.")
        return self.world.sign_in()

    def second_ways(self, held: bytes) -> SecondWays:
        asked = ASKED if self.world.passkeys else None
        return SecondWays(self.world.second_step and not self.world.passkey_step, asked)

    def second_of(self, session: Any) -> SecondWays:
        return SecondWays(self.world.second_step, ASKED if self.world.passkeys else None, self.world.passkey_step)

    def second_passkey(self, address: str, held: bytes, answer: bytes, source: str, agent: str) -> str:
        if answer != b"right":
            raise WrongSecret("This passkey does not open anything here.")
        return self.world.sign_in(address)

    def passkeys(self, session: Any) -> list[PasskeyRow]:
        return [each for each in self.world.passkeys if each.account == session.account]

    def begin_passkey(self, session: Any, password: str, source: str) -> PasskeyAsk:
        self.confirm(session, password, source)
        return ASKED

    def add_passkey(self, session: Any, name: str, answer: bytes, output: bytes) -> PasskeyRow:
        if answer != b"right":
            raise Denied("The passkey could not be made. Try again.")
        made = PasskeyRow(len(self.world.passkeys) + 1, session.account, name, "device", bool(output), NOW, None, None)
        self.world.passkeys.append(made)
        return made

    def seal_passkey(self, session: Any, answer: bytes, output: bytes) -> PasskeyRow:
        if answer != b"right" or not output:
            raise Denied("This passkey cannot keep keys, or the browser does not let it.")
        self.world.passkeys[-1] = structs.replace(self.world.passkeys[-1], opens=True)
        return self.world.passkeys[-1]

    def remove_passkey(self, session: Any, passkey: int, password: str, source: str) -> None:
        self.confirm(session, password, source)
        self.world.passkeys = [each for each in self.world.passkeys if each.id != passkey]

    def ask_passkey(self, session: Any, purpose: str) -> PasskeyAsk:
        return ASKED

    def show_passkey(self, session: Any, what: str, answer: bytes) -> str:
        if answer != b"right":
            raise WrongSecret("This passkey does not open anything here.")
        return PASSWORD if what == "password" else CODE

    def begin_passkey_step(self, session: Any, password: str, code: str, source: str) -> str:
        self.end_passkey_step(session, password, code, source)
        self.world.passkey_step = True
        return "abcd-efgh"

    def end_passkey_step(self, session: Any, password: str, code: str, source: str) -> None:
        self.confirm(session, password, source)
        if code != CODE:
            raise WrongSecret("Wrong.")
        self.world.passkey_step = False

    def unlock_by_passkey(self, session: Any, answer: bytes, output: bytes, password: str, source: str) -> None:
        self.confirm(session, password, source)
        if answer != b"right":
            raise WrongSecret("This passkey does not open anything here.")
        self.world.calls.append("unlock_by_passkey")

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

    def session(self, cookie: str, source: str = "", agent: str = "") -> FakeSession | None:
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

    def unlock(self, session: Any, kind: str, secret: str, password: str, source: str, trust: bytes = b"") -> None:
        self.world.calls.append(f"unlock {kind}")
        if secret != "right":
            raise WrongSecret("Wrong.")

    def codes(self, session: Any, addresses: Sequence[str]) -> Sequence[Code]:
        self.world.calls.append("codes")
        return [Code(each, self.world.told.get(each, CODE), 5, NOW + 3 * DAY, "live") for each in addresses]

    def next_code(self, session: Any, address: str) -> Code:
        self.world.calls.append(f"next_code {address}")
        if self.world.limit is not None:
            return Code(address, None, 0, self.world.limit, "limit")
        self.world.told[address] = "48291357"
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

    def object_to(self, token: str, typed: str) -> None:
        if token != "objects":
            raise Ended("This link does not work any more.")
        if typed != ANN:
            raise WrongSecret("Type the address that the mail with this link came to.")
        self.world.calls.append("object_to")

    def set_rest(self, session: Any, minutes: int) -> None:
        for ident, found in self.world.sessions.items():
            if found == session:
                self.world.sessions[ident] = replace(found, rest=minutes)

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

    def recovery_file(self, session: Any, password: str, code: str, source: str) -> RecoveryFile:
        self.confirm(session, password, source)
        if code == "000000":
            raise WrongSecret("That is not the number.")
        if code == "222222":
            raise Denied("It takes two officers.")
        return RecoveryFile("CRYPTNSEND RECOVERY\nabcd efgh", "1111-2222")

    def replace_archive_key(self, session: Any, password: str, code: str, source: str) -> RecoveryFile | None:
        made = self.recovery_file(session, password, code, source)
        self.world.calls.append("replace_archive_key")
        return None if code == "333333" else made

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

    def set_number(self, session: Any, phone: str) -> None:
        self.world.profile = replace(self.world.profile, phone=phone)

    def may_have_friends(self, session: Any) -> bool:
        return self.world.may_friends

    def friends(self, session: Any) -> Sequence[str]:
        return self.world.friends

    def set_friends(self, session: Any, typed: str, password: str, source: str) -> None:
        if "oops" in typed:
            raise Refusal("This is no address: oops. Correct it, or take it out.")
        self.confirm(session, password, source)
        self.world.friends = tuple(typed.split(", "))

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


class FakeOwnKeys:
    """Keys as pages show them; the real ones are tested over the real flows."""

    def __init__(self, world: World):
        self.world = world

    def own(self, session: Any) -> Sequence[Held]:
        return [each for each in self.world.own_keys if not each.address]

    def known(self, session: Any) -> Sequence[Held]:
        return [each for each in self.world.own_keys if each.address]

    def may_use_others(self, session: Any) -> bool:
        return True


class FakeTrials:
    """A test that is under way for good."""

    def __init__(self, world: World):
        self.world = world

    def send(self, session: Any, nonce: bytes, language: str) -> int:
        return 21
