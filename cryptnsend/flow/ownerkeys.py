"""What may a home's owner do about devices, tokens, webhooks and passkeys of people? List them, and end them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptnsend.core import passwords
from cryptnsend.core.addresses import canonical
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.model import INSTALLATION, Random, new_id
from cryptnsend.flow.mailwords import moment
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.credentials import PasskeyRow
from cryptnsend.languages import ENGLISH
from cryptnsend.store.records import accounts, api, devices, hooks, messages


@dataclass(frozen=True, slots=True)
class NewDevice:
    """A device password, shown this once."""

    id: int
    name: str
    password: str


class OwnersKeys:
    """The owner's flows about devices and passkeys; `Owner` has what they need."""

    _engine: Engine
    _keeper: Keeper
    _clock: Clock
    _random: Random
    _wake: Callable[[], None]

    def k(self, address: str, password: str) -> bytes:
        """Return what the password of a canonical address becomes."""
        raise NotImplementedError

    def _row(self, address: str) -> Row:
        raise NotImplementedError

    def _append(self, rows: Rows, org: int, account: int, action: str, detail: dict[str, object]) -> None:
        raise NotImplementedError

    # -- devices ------------------------------------------------------------------------------------------------------

    def devices(self, address: str) -> list[Row]:
        """Return an account's devices that are not revoked."""
        return devices.listing(self._engine, self._row(address)["id"])

    def add_device(self, address: str, password: str, name: str, scope: str) -> NewDevice:
        """Make a device password for who has this account password; scope is a key of `DEVICE_USES`."""
        who = canonical_or_denied(address)
        opened = self._keeper.open(who, self.k(who, password))
        made = self._keeper.device_add(opened.ticket, scope, opened.seeds if passwords.serves(scope, "read") else None)
        now = self._clock.now()

        def write(rows: Rows) -> None:
            devices.add(rows, made.id, opened.organisation, opened.account, name, scope, now)
            self._append(rows, opened.organisation, opened.account, "device.added", {"device": made.id})

        self._engine.write(write).result()
        return NewDevice(made.id, name, passwords.format_device_password(made.id, made.secret))

    def device(self, address: str, which: str) -> int:
        """Return the id of an account's device by its id or name. Raises NoGrant, Denied where a name is ambiguous."""
        return _one_of("device", address, which, [(row["id"], row["name"]) for row in reversed(self.devices(address))])

    def revoke_device(self, device: int) -> int:
        """Revoke a device password, which fails at its very next use; return when that was. Raises NoGrant, Denied."""
        row = devices.named(self._engine, device)
        if row is None:
            raise NoGrant(f"There is no device {device}.")
        if row["revoked"] is not None:
            self._keeper.revoke(device)  # a command may have died before the keeper heard of it
            raise Denied(f"Device {device} is revoked already, since {moment(row['revoked'], ENGLISH)}.")
        now = self._clock.now()

        def write(rows: Rows) -> None:
            devices.revoke(rows, row["account"], device, now)
            self._append(rows, row["org"], row["account"], "device.revoked", {"device": device})

        self._engine.write(write).result()
        self._keeper.revoke(device)
        return now

    # -- tokens of programs -------------------------------------------------------------------------------------------

    def tokens(self, address: str) -> list[Row]:
        """Return an account's tokens of programs that are not revoked."""
        return api.listing(self._engine, self._row(address)["id"])

    def revoke_token(self, token: int) -> int:
        """Revoke a program's token, which fails at its very next use; return when that was. Raises NoGrant, Denied."""
        row = api.named(self._engine, token)
        if row is None:
            raise NoGrant(f"There is no token {token}.")
        self._keeper.revoke_token(token)
        if row["revoked"] is not None:
            raise Denied(f"Token {token} is revoked already, since {moment(row['revoked'], ENGLISH)}.")
        now = self._clock.now()

        def write(rows: Rows) -> None:
            api.revoke(rows, token, now)
            self._append(rows, row["org"], row["account"], "token.revoked", {"token": token})

        self._engine.write(write).result()
        return now

    # -- webhooks -----------------------------------------------------------------------------------------------------

    def hooks(self, address: str) -> list[Row]:
        """Return an account's own webhooks that have not ended, each with `tried` and `state` of its latest event."""
        return [self._tried(row) for row in hooks.listing(self._engine, self._row(address)["id"])]

    def hooks_of_all(self, org: int) -> list[Row]:
        """Return an organisation's webhooks that have not ended, as `hooks` does."""
        return [self._tried(row) for row in hooks.listing_of_all(self._engine, org)]

    def _tried(self, row: Row) -> Row:
        latest = next(iter(hooks.tries(self._engine, row["id"], 1)), None)
        by = next(iter(accounts.addresses(self._engine, row["account"])), "")
        return {
            **row,
            "by": by,
            "tried": latest["created"] if latest else None,
            "state": (latest["state"] or "") if latest else "",
        }

    def end_hook(self, hook: int) -> int:
        """End a webhook, which is told nothing more; return when that was. Raises NoGrant, Denied."""
        row = hooks.named(self._engine, hook)
        if row is None:
            raise NoGrant(f"There is no webhook {hook}.")
        self._keeper.end_hook(hook)
        if row["ended"] is not None:
            raise Denied(f"Webhook {hook} has ended already, at {moment(row['ended'], ENGLISH)}.")
        now = self._clock.now()
        action = "organisation-hook.removed" if row["whole"] else "hook.removed"

        def write(rows: Rows) -> None:
            hooks.end(rows, hook, now)
            self._append(rows, row["org"], row["account"], action, {"hook": hook})

        self._engine.write(write).result()
        return now

    # -- passkeys -----------------------------------------------------------------------------------------------------

    def passkeys(self, address: str) -> list[PasskeyRow]:
        """Return an account's passkeys, as the keeper has them. Raises NoGrant."""
        self._row(address)
        return self._keeper.passkey_list(canonical_or_denied(address))

    def passkey(self, address: str, which: str) -> int:
        """Return the id of an account's passkey by its id or name. Raises NoGrant, Denied where a name is ambiguous."""
        return _one_of("passkey", address, which, [(each.id, each.name) for each in self.passkeys(address)])

    def revoke_passkey(self, address: str, passkey: int) -> None:
        """Remove a passkey, which opens nothing from its next use on; its owner is told by mail. Raises NoGrant."""
        row = self._row(address)
        self._keeper.passkey_revoke(passkey)
        now = self._clock.now()
        told = messages.Delivery(
            new_id(now, self._random), INSTALLATION, "alert", "", None, None, row["id"], "passkey-removed",
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip

        def write(rows: Rows) -> None:
            self._append(rows, row["org"], row["id"], "passkey.removed", {"passkey": passkey})
            messages.add_deliveries(rows, [told])

        self._engine.write(write).result()
        self._wake()


def _one_of(what: str, address: str, which: str, known: Sequence[tuple[int, str]]) -> int:
    """Return which of what somebody has is named, by its number or its name; raise NoGrant or Denied."""
    found = [ident for ident, _ in known if str(ident) == which]
    found = found or [ident for ident, name in known if name.casefold() == which.casefold()]
    if len(found) > 1:
        numbers = ", ".join(map(str, sorted(found)))
        raise Denied(f"{address} has {len(found)} {what}s named {which!r}: {numbers}. Name one by its number.")
    if found:
        return found[0]
    there = ", ".join(f"{name!r} ({ident})" for ident, name in known)
    raise NoGrant(f"{address} has no {what} {which!r}. " + (f"There are: {there}." if there else "There is none."))


def canonical_or_denied(address: str) -> str:
    """Return the canonical form of what was typed; raise Denied for what is no address."""
    try:
        return canonical(address)
    except ValueError as error:
        raise Denied(f"{address!r} is not a mail address: {error}") from None
