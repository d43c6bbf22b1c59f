"""What belongs to an account? The codes a subscriber tells, device passwords, the profile, the delivery passphrase."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cryptnsend.core import passwords
from cryptnsend.core.cards import read_card
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.model import account_holder
from cryptnsend.flow.people import People, notice_name
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views_accounts import Code, Device, NewDevice, Profile
from cryptnsend.keeper import requests
from cryptnsend.store.records import accounts, devices

_NUMBER = re.compile(r"(?=(?:.*[0-9]){3})[0-9 +().\-/]{3,32}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?")


class Belongings(People):
    """What somebody who is signed in sees and changes of their own."""

    # -- codes --------------------------------------------------------------------------------------------------------

    def codes(self, session: Session, addresses: Sequence[str]) -> list[Code]:
        """Return the subscriber's codes for these recipients; showing one starts its days."""
        said = self._keeper.codes(session.ticket, addresses)
        self._note(session, "code.shown", {"count": sum(each.code is not None for each in said)})
        return [_code(each) for each in said]

    def next_code(self, session: Session, address: str) -> Code:
        """Replace a recipient's code; state "limit" when those of a week are used up: the one before stays as it is."""
        said = self._keeper.next_code(session.ticket, address)
        if said.state == "live":
            self._note(session, "code.replaced", {"address": address})
        return _code(said)

    # -- devices ------------------------------------------------------------------------------------------------------

    def devices(self, session: Session) -> list[Device]:
        """Return the device passwords of this account, newest first."""
        rows = devices.listing(self._engine, session.account)
        return [Device(each["id"], each["name"], each["scope"], each["created"], each["used"]) for each in rows]

    def add_device(self, session: Session, name: str, scope: str, by: str = "") -> NewDevice:
        """Make a device password and return it, this once; *by* says in the audit trail how it leaves, if not shown."""
        if scope not in passwords.DEVICE_USES:
            raise Denied("A device password is for sending (submit), for reading (read), or for both (mail).")
        seeds = session.seeds if passwords.serves(scope, "read") else None
        made = self._keeper.device_add(session.ticket, scope, seeds)
        now, shown, detail = self._clock.now(), name.strip()[:60] or "device", {"device": made.id}

        def write(rows: Rows) -> None:
            devices.add(rows, made.id, session.organisation, session.account, shown, scope, now)
            self._append(
                rows, session.organisation, session.account, "device.added", detail | ({"by": by} if by else {})
            )

        self._engine.write(write).result()
        self._alert(session.account, "new-device")
        return NewDevice(made.id, shown, passwords.format_device_password(made.id, made.secret), scope)

    def revoke_device(self, session: Session, device: int) -> None:
        """
        Revoke a device password; it fails at its next use in every process.

        The keeper goes first: if it is out of reach, the device stays in the list, to be tried again. Otherwise its
        secret would still show who its owner is, and a backup that comes back would let it in.
        """
        now = self._clock.now()
        if not devices.is_live(self._engine, session.account, device):
            raise NoGrant("There is no such device.")
        self._keeper.device_revoke(session.ticket, device)

        def write(rows: Rows) -> None:
            devices.revoke(rows, session.account, device, now)
            self._did(rows, session, "device.revoked", {"device": device})

        self._engine.write(write).result()
        self._alert(session.account, "device-revoked")

    def revoke_devices(self, session: Session) -> int:
        """Revoke every device password of this account, the keeper first, and return how many there were."""
        now, live = self._clock.now(), devices.listing(self._engine, session.account)
        for each in live:
            self._keeper.device_revoke(session.ticket, each["id"])

        def write(rows: Rows) -> None:
            for each in live:
                devices.revoke(rows, session.account, each["id"], now)
                self._did(rows, session, "device.revoked", {"device": each["id"]})

        self._engine.write(write).result()
        if live:
            self._alert(session.account, "devices-revoked")
        return len(live)

    # -- profile and passphrase ---------------------------------------------------------------------------------------

    def profile(self, session: Session) -> Profile:
        """Return what a subscriber says of themselves on notices."""
        row = accounts.account(self._engine, session.account)
        if row is None:
            raise NoGrant("There is no such account.")
        signed = self._keeper.card(account_holder(session.account))
        form = read_card(signed, self._keeper.anchors().card_key).form if signed else ""
        organisation = accounts.organisation_name(self._engine, row["org"])
        return Profile(row["name"], row["phone"], form, organisation, self._may_tls(row["org"]))

    def set_profile(
        self, session: Session, *, name: str, phone: str, form: str, password: str = "", source: str = ""
    ) -> None:
        """
        Change name, call-back number and the form that replies arrive in (zip, pdf, link, tls, smime, openpgp).

        Raises Denied for a name or number that cannot stand on a notice, and WrongSecret where "tls" is turned on
        without the password: from then on whoever reads the mailbox reads the replies.
        """
        shown, number = notice_name(name), call_back_number(phone)
        k, before = None, self.profile(session)
        is_new = form == "tls" and before.form != "tls"
        if is_new:
            if not before.may_tls:
                raise Denied("Replies cannot arrive readable here: the rules of this server or organisation forbid it.")
            k = self._confirmed(session, password, source)
        opened = self._keeper.profile(session.ticket, name=shown, form=form, k=k)
        self._take(opened, "account.profile", {**session.origin, "form": form})
        self._engine.write(lambda rows: accounts.set_profile(rows, session.account, shown, number)).result()
        if is_new:
            self._alert(session.account, "replies-readable")

    def set_number(self, session: Session, phone: str) -> None:
        """Change the call-back number alone; raises Denied for what is none."""
        number, name = call_back_number(phone), self.profile(session).name
        self._engine.write(lambda rows: accounts.set_profile(rows, session.account, name, number)).result()

    def set_language(self, session: Session, language: str) -> None:
        """Speak *language* (a tag of RFC 5646) to this account from now on, on pages and in mails."""
        self._take(
            self._keeper.profile(session.ticket, locale=language),
            "account.language",
            {**session.origin, "language": language},
        )

    def _may_tls(self, org: int) -> bool:
        return self._policies.now(org).tls_replies

    def passphrases(self, session: Session, password: str, source: str) -> list[tuple[int, str]]:
        """Return (since, words) of each delivery passphrase, newest first; asks for the password again."""
        said = self._keeper.passphrase(session.ticket, self._confirmed(session, password, source))
        self._note(session, "passphrase.shown", {})
        return [(each.since, each.words) for each in said]

    def new_passphrase(self, session: Session, password: str, source: str) -> None:
        """Make a new delivery passphrase; earlier replies keep theirs."""
        self._keeper.new_passphrase(session.ticket, self._confirmed(session, password, source))
        self._note(session, "passphrase.changed", {})
        self._alert(session.account, "passphrase-changed")


def call_back_number(number: str) -> str:
    """Return a call-back number; raise Denied for what is none. Empty is fine."""
    shown = " ".join(number.split())
    if shown and not _NUMBER.fullmatch(shown):
        raise Denied("This is not a phone number. Use digits, blanks, and + ( ) - . / only.")
    return shown


def _code(said: requests.Code) -> Code:
    state = {"live": "live", "limit": "limit", "proven": "none", "waived": "none"}.get(said.state, "used-up")
    return Code(said.address, said.code, said.tries_left, said.expires, state)
