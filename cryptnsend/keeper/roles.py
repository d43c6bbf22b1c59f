"""Which role may ask for what? One list of requests per socket; what is not on it does not exist there.

There is no "sign this" and no "give me account A" on any list: a request carries a proof, or names something whose
answer goes to one place only.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

import msgspec

from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.keeper import (
    accounts,
    allowances,
    api_tokens,
    budget,
    courier,
    devices,
    everyone,
    glass,
    grants,
    hooks,
    ledger,
    links,
    looks,
    mailed,
    openers,
    own,
    owner,
    passkeys,
    people,
    policies,
    registration,
    renewing,
    returning,
    second,
)
from cryptnsend.keeper.accounts import Password
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.credentials import DeviceRow
from cryptnsend.keeper.requests import Anchors, Ident, Opened, Who

ROLES = ("submission", "inbound", "mailbox", "portal", "courier", "owner")
_ADDRESS = re.compile(r"[^\x00-\x1f\x7f]{1,256}@[^\x00-\x20\x7f@]{1,255}")


# -- requests whose arguments travel in another shape than the rules want them ----------------------------------------


def check_password(context: Context, address: str, k: bytes) -> Who:
    account, _ = accounts.open_password(context, address, k)
    second.check_off(context, account)
    return accounts.who(context, account)


def open_account(context: Context, address: str, k: bytes) -> Opened:
    account, seeds = accounts.open_password(context, address, k)
    openers.catch_up(context, account.id, seeds)
    return accounts.opened(context, account, seeds)


def open_on_page(context: Context, address: str, k: bytes) -> Opened:
    account, seeds = accounts.open_password(context, address, k)
    second.check_off(context, account)
    return renewing.signed_in(context, account, k, seeds)


def open_by_password_alone(context: Context, address: str, k: bytes) -> Opened:
    account, _ = accounts.open_password(context, address, k)
    second.check_off(context, account)
    return open_account(context, address, k)


def register(context: Context, ticket: bytes, salt: bytes, params: str, k: bytes, name: str, locale: str) -> Opened:
    return registration.register(context, ticket, Password(salt, params, k), name, locale)


def reset(context: Context, ident: int, code: str, salt: bytes, params: str, k: bytes) -> Opened:
    return mailed.reset(context, ident, code, Password(salt, params, k))


def signup(
    context: Context, ident: int, code: str, salt: bytes, params: str, k: bytes, name: str, locale: str
) -> Opened:
    return mailed.signup(context, ident, code, Password(salt, params, k), name, locale)


def visit(
    context: Context, ident: int, code: str, salt: bytes, params: str, k: bytes, name: str, locale: str
) -> Opened:
    return mailed.visit(context, ident, code, Password(salt, params, k), name, locale)


def change(context: Context, ticket: bytes, old_k: bytes, salt: bytes, params: str, k: bytes) -> Opened:
    return own.change(context, ticket, old_k, Password(salt, params, k))


def add(
    context: Context,
    address: str,
    organisation: int | None,
    roles: list[str],
    salt: bytes,
    params: str,
    k: bytes,
    name: str,
    locale: str,
) -> Opened:
    return owner.add(context, address, organisation, roles, Password(salt, params, k), name, locale)


def passwd(context: Context, address: str, salt: bytes, params: str, k: bytes, old_k: bytes | None) -> Opened:
    return own.reset_by_owner(context, address, Password(salt, params, k), old_k)


def device_list(context: Context, address: str) -> list[DeviceRow]:
    account = ledger.account_at(context.reads, address)
    if account is None:
        raise NoGrant("There is no account at this address.")
    return devices.of(context, account)


def restored(context: Context) -> Anchors:
    owner.restored(context)
    return everyone.anchors(context)


# -- the lists --------------------------------------------------------------------------------------------------------

_EVERYONE: dict[str, Callable[..., Any]] = {
    "anchors": everyone.anchors,
    "card": everyone.card,
    "vouch": everyone.vouch,
    "checkpoint": everyone.checkpoint,
    "witness_keys": everyone.witness_keys,
    "ended": everyone.ended,
}
_SUBMISSION: dict[str, Callable[..., Any]] = {
    "salt": accounts.salt,
    "check_password": check_password,
    "check_device": devices.check,
    "link": links.is_ours,
    "resend_keys": everyone.resend_keys,
}
_INBOUND: dict[str, Callable[..., Any]] = {  # nobody signs in there, so it can check tokens and seal, and open nothing
    "link": links.is_ours,
    "resend_keys": everyone.resend_keys,
}
_MAILBOX: dict[str, Callable[..., Any]] = {  # for reading alone: nothing is changed, sent or made there
    "salt": accounts.salt,
    "open": open_by_password_alone,
    "open_device": devices.open_seeds,
    "adopt": grants.adopt,
}
_PORTAL: dict[str, Callable[..., Any]] = {
    "salt": accounts.salt,
    "link": links.is_ours,
    "resend_keys": everyone.resend_keys,
    "open": open_on_page,
    "hold": second.hold,
    "open_second": second.open_second,
    "open_recovered": second.open_recovered,
    "open_trusted": second.open_trusted,
    "trust": second.trust,
    "second_ways": second.ways,
    "open_second_passkey": second.open_by_passkey,
    "passkey_step": second.set_passkey_step,
    "passkey_sign_in": passkeys.ask_anybody,
    "open_passkey": passkeys.open_account,
    "passkey_begin": passkeys.begin,
    "passkey_add": passkeys.add,
    "passkey_ask": passkeys.ask,
    "passkey_seal": passkeys.seal,
    "passkey_show": passkeys.show,
    "passkeys": passkeys.of,
    "passkey_remove": passkeys.remove,
    "step_up": second.step_up,
    "open_rest": second.open_rest,
    "second_begin": second.begin,
    "second_begun": second.begun,
    "second_end": second.end,
    "second_state": second.state,
    "second_of": second.state_of,
    "forget_browsers": second.forget_browsers,
    "digits": registration.digits,
    "prove": registration.prove,
    "prove_session": registration.prove_session,
    "prove_mailed": registration.prove_mailed,
    "prove_mailed_session": registration.prove_mailed_session,
    "allow": allowances.allow,
    "usual_way": allowances.usual,
    "way_of": allowances.way_of,
    "mail_open": allowances.start,
    "prove_own": registration.prove_own,
    "own_digits": registration.own_digits,
    "register": register,
    "mail_proof": mailed.start,
    "seen": budget.seen,
    "mail_salt": mailed.salt,
    "reset": reset,
    "signup": signup,
    "visit": visit,
    "alias": mailed.alias,
    "subscribe": mailed.subscribe,
    "invite_member": people.invite,
    "disable_member": people.disable,
    "enable_member": people.enable,
    "set_roles": people.set_roles,
    "hand_over": people.hand_over,
    "change_salt": own.change_salt,
    "change": change,
    "store_wraps": returning.store_wraps,
    "unlock": returning.unlock,
    "confirm": returning.confirm,
    "object_to": returning.object_to,
    "codes": own.show_codes,
    "next_code": own.next_code,
    "adopt": grants.adopt,
    "profile": own.profile,
    "set_friends": own.set_friends,
    "set_own_key": own.set_own_key,
    "set_known_key": own.set_known_key,
    "device_add": devices.add,
    "device_revoke": devices.revoke,
    "token_add": api_tokens.add,
    "token_revoke": api_tokens.revoke,
    "check_token": api_tokens.check,
    "hook_add": hooks.add,
    "hook_rotate": hooks.rotate,
    "hook_end": hooks.end,
    "passphrase": own.passphrase,
    "new_passphrase": own.new_passphrase,
    "archive_recovery": own.officers_recovery,
    "archive_replace": own.archive_replace,
    "set_policy": policies.set_by_officer,
    "set_look": looks.set_by_staff,
    "close_account": own.close,
    "glass_ask": glass.ask,
    "glass_agree": glass.agree,
    "glass_open": glass.open_agreed,
    "glass_end": glass.end,
    "glass_running": glass.running,
    "glass_export": glass.seal_export,
    "glass_two": glass.take_two,
    "glass_takes_two": glass.takes_two,
    "officer_step": glass.confirm,
    "manifest_fits": glass.manifest_fits,
}
_COURIER: dict[str, Callable[..., Any]] = {
    "notice": courier.notice,
    "reply_token": courier.reply_token,
    "receipt": courier.receipt,
    "queue": grants.leaving,
    "mail_code": courier.mail_code,
    "closed": courier.closed,
    "resets": mailed.resets,
    "bounce": courier.bounce,
    "invitation": courier.invitation,
    "alert": courier.alert,
    "hook": hooks.place,
    "manifest": glass.manifest,
    "warning": courier.warning,
    "end_partners": policies.end_partners,
}
_OWNER: dict[str, Callable[..., Any]] = {
    "salt": accounts.salt,
    "open": open_account,
    "organisation_add": owner.organisation_add,
    "organisation_rule": owner.organisation_rule,
    "organisation_policy": policies.take,
    "organisation_look": looks.take,
    "add": add,
    "invite": mailed.invite,
    "disable": owner.disable,
    "enable": owner.enable,
    "passwd": passwd,
    "confirm_account": returning.confirm_any,
    "device_add": devices.add,
    "device_revoke": devices.revoke,
    "device_list": device_list,
    "revoke": devices.revoke_any,
    "token_list": api_tokens.listing,
    "revoke_token": api_tokens.revoke_any,
    "end_hook": hooks.end_any,
    "passkey_list": passkeys.of_address,
    "passkey_revoke": passkeys.remove_any,
    "archive_recovery": own.archive_recovery,
    "step_up": second.step_up,
    "set_roles": people.set_roles,
    "hand_over": people.hand_over,
    "glass_ask": glass.ask,
    "glass_agree": glass.agree,
    "glass_open": glass.open_agreed,
    "glass_end": glass.end,
    "glass_running": glass.running,
    "glass_export": glass.seal_export,
    "glass_rule": glass.two_officers,
    "recovery_ticket": glass.recovery_ticket,
    "recovered": glass.recovered,
    "recovered_export": glass.seal_recovered,
    "manifest": glass.manifest,
    "recovery_file": owner.recovery_file,
    "keys": renewing.own_keys,
    "keys_rotate": renewing.rotate,
    "keys_order": renewing.order,
    "seal_file": owner.seal_file,
    "open_file": owner.open_file,
    "restored": restored,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request that a socket serves: the rule behind it, and what its arguments must look like."""

    rule: Callable[..., Any]
    arguments: msgspec.msgpack.Decoder[msgspec.Struct]

    def answer(self, context: Context, octets: msgspec.Raw) -> Any:
        """Return the rule's answer; raise `Denied` for arguments of another form, or what the rule raises."""
        try:
            given = msgspec.structs.asdict(self.arguments.decode(octets))
        except msgspec.MsgspecError:
            raise Denied("This request is not well formed.") from None
        for name in ("address", "author", "to", "mailbox"):
            if given.get(name):
                _check_address(given[name])
        for each in given.get("addresses", ()):
            _check_address(each)
        return self.rule(context, **given)


def _check_address(text: str) -> None:
    """Raise `Denied` for what can be no canonical address, so that none ever comes out of here into a header."""
    if not _ADDRESS.fullmatch(text):
        raise Denied("This is not an address.")


def _request(name: str, rule: Callable[..., Any]) -> Request:
    hints, fields = get_type_hints(rule), []
    for argument in list(inspect.signature(rule).parameters)[1:]:
        fields.append((argument, _bounded(hints[argument])))
    struct = msgspec.defstruct(f"{name}_arguments", fields, forbid_unknown_fields=True)
    return Request(rule, msgspec.msgpack.Decoder(struct))


def _bounded(hint: Any) -> Any:
    """Return the type to check an argument by: integers as the ledger can hold them."""
    return {int: Ident, int | None: Ident | None, list[int]: list[Ident]}.get(hint, hint)


REQUESTS: Mapping[str, Mapping[str, Request]] = {
    role: {name: _request(name, rule) for name, rule in (_EVERYONE | listed).items()}
    for role, listed in zip(ROLES, (_SUBMISSION, _INBOUND, _MAILBOX, _PORTAL, _COURIER, _OWNER), strict=True)
}
